/* place.c - the output directory, and the directories below it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "config.h"

#include "place.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int pf_place_open(const char *dir, bool create, struct pfetch_failure *why)
{
    const char *what = "open";

    if (create && mkdir(dir, 0777) != 0 && errno != EEXIST) {
        /* An existing directory on a read-only file system is EROFS. */
        int error = errno;
        struct stat st;

        if (stat(dir, &st) != 0) {
            pfetch_failure_set(why, PFETCH_CLASS_LOCAL,
                               "cannot create the output directory %s: %s",
                               dir, strerror(error));
            errno = error;
            return -1;
        }
    }
    int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0 && create
        && faccessat(fd, ".", W_OK | X_OK, AT_EACCESS) != 0) {
        int error = errno;

        (void)close(fd); /* nothing was written */
        errno = error;
        fd = -1;
        what = "write to";
    }
    if (fd < 0) {
        int error = errno;

        pfetch_failure_set(why, PFETCH_CLASS_LOCAL,
                           "cannot %s the output directory %s: %s", what, dir,
                           strerror(error));
        errno = error;
    }
    return fd;
}

/* --- directories below -------------------------------------------------- */

void pf_walk_init(struct pf_walk *walk, int root)
{
    walk->root = root;
    walk->fd = root;
    walk->path[0] = '\0';
}

void pf_walk_close(struct pf_walk *walk)
{
    if (walk->fd >= 0 && walk->fd != walk->root)
        (void)close(walk->fd); /* a directory: nothing was written */
    walk->fd = walk->root;
    walk->path[0] = '\0';
}

static int open_step(int parent, const char *name, bool create)
{
    int flags = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    int fd = openat(parent, name, flags);

    if (fd >= 0 || errno != ENOENT || !create)
        return fd;
    if (mkdirat(parent, name, 0777) != 0 && errno != EEXIST)
        return -1;
    return openat(parent, name, flags);
}

int pf_walk_open(struct pf_walk *walk, const char *path, bool create)
{
    size_t len = (size_t)(pf_outname_last(path) - path);
    char dirs[PF_PATH_SIZE];

    if (walk->root < 0) {
        errno = ENOENT;
        return -1;
    }
    if (strncmp(walk->path, path, len) == 0 && walk->path[len] == '\0')
        return walk->fd;

    pf_walk_close(walk);
    memcpy(dirs, path, len);
    for (char *name = dirs, *end = dirs + len; name < end;) {
        char *slash = memchr(name, '/', (size_t)(end - name));

        *slash = '\0';
        int fd = open_step(walk->fd, name, create);
        int error = errno;
        if (walk->fd != walk->root)
            (void)close(walk->fd); /* a directory: nothing was written */
        walk->fd = fd;
        if (fd < 0) {
            pf_walk_close(walk);
            errno = error;
            return -1;
        }
        name = slash + 1;
    }
    memcpy(walk->path, path, len);
    walk->path[len] = '\0';
    return walk->fd;
}

/* --- failures ----------------------------------------------------------- */

/* What to do about an error that would strike every file; NULL for one that
 * concerns a single file. */
static const char *find_remedy(int root, int error, bool creating, bool below)
{
    struct stat st;

    switch (error) {
    case ENOSPC:
    case EDQUOT:
        return "free some space and run the same command again";
    case EROFS:
        return "make the file system writable and run the same command again";
    case EIO:
    case ENODEV:
    case ENXIO:
        return "check the disk, then run the same command again";
    case ESTALE:
        return "the file system is gone; run the same command again when it "
               "is back";
    case EMFILE:
    case ENFILE:
        return "raise the limit on open files (ulimit -n) or use fewer "
               "threads";
    case ENOMEM:
        return "out of memory";
    case EACCES:
    case EPERM:
        if (creating && !below)
            return "the output directory is not writable any more";
        return NULL;
    case ENOENT:
        if (fstat(root, &st) == 0 && st.st_nlink == 0)
            return "the output directory has been removed";
        return NULL;
    default:
        return NULL;
    }
}

enum pfetch_reply pf_place_failure(int root, int error, const char *doing,
                                   const char *path,
                                   struct pfetch_failure *why)
{
    bool below = strchr(path, '/') != NULL;
    const char *remedy = find_remedy(root, error,
                                     strcmp(doing, "create") == 0, below);

    if (remedy != NULL) {
        pfetch_failure_set(why, PFETCH_CLASS_LOCAL,
                           "cannot %s %.80s: %s: %s", doing, path,
                           strerror(error), remedy);
        return PFETCH_BROKEN;
    }
    if (error == ENOTDIR || error == ELOOP)
        pfetch_failure_set(why, PFETCH_CLASS_EXISTS,
                           "cannot %s %.150s: something that is no directory "
                           "is in the way", doing, path);
    else
        pfetch_failure_set(why, PFETCH_CLASS_LOCAL, "cannot %s %.150s: %s",
                           doing, path, strerror(error));
    return PFETCH_FAIL;
}
