/* place.c - the output directory, and the directories below it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "config.h"

#include "place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
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
                           error == ENOTDIR
                               ? "there is a file of that name, and no "
                                 "directory"
                               : strerror(error));
        errno = error;
    }
    return fd;
}

/* --- directories below -------------------------------------------------- */

void pf_walk_init(struct pf_walk *walk, int root)
{
    *walk = (struct pf_walk){ .root = root };
    for (size_t i = 0; i < PF_WALK_DIRS; i++)
        walk->dirs[i].fd = -1;
}

static void close_dir(struct pf_walk_dir *dir)
{
    if (dir->fd < 0)
        return;
    (void)close(dir->fd); /* a directory: nothing was written */
    free(dir->path);
    dir->fd = -1;
}

void pf_walk_close(struct pf_walk *walk)
{
    for (size_t i = 0; i < PF_WALK_DIRS; i++)
        close_dir(&walk->dirs[i]);
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

/* Opens a directory below the root, one component at a time.  dirs ends with
 * a slash, and is changed and restored. */
static int open_from_root(int root, char *dirs, size_t len, bool create)
{
    int dir = root;

    for (char *name = dirs, *end = dirs + len; name < end && dir >= 0;) {
        char *slash = memchr(name, '/', (size_t)(end - name));

        *slash = '\0';
        int fd = open_step(dir, name, create);
        int error = errno;
        *slash = '/';
        if (dir != root)
            (void)close(dir); /* a directory: nothing was written */
        errno = error;
        dir = fd;
        name = slash + 1;
    }
    return dir;
}

/* The open directory of that path; NULL: *oldest is the one to be closed for
 * it. */
static struct pf_walk_dir *find_dir(struct pf_walk *walk, const char *path,
                                    size_t len, uint32_t hash,
                                    struct pf_walk_dir **oldest)
{
    *oldest = &walk->dirs[0];
    for (size_t i = 0; i < PF_WALK_DIRS; i++) {
        struct pf_walk_dir *dir = &walk->dirs[i];

        if (dir->fd >= 0 && dir->hash == hash
            && strncmp(dir->path, path, len) == 0 && dir->path[len] == '\0')
            return dir;
        if (dir->fd < 0 || ((*oldest)->fd >= 0
                            && dir->used < (*oldest)->used))
            *oldest = dir;
    }
    return NULL;
}

static uint32_t hash_of(const char *path, size_t len)
{
    uint32_t hash = 2166136261U; /* FNV-1a */

    for (size_t i = 0; i < len; i++)
        hash = (hash ^ (unsigned char)path[i]) * 16777619U;
    return hash;
}

int pf_walk_open(struct pf_walk *walk, const char *path, bool create)
{
    size_t len = (size_t)(pf_outname_last(path) - path);
    struct pf_walk_dir *oldest;

    if (walk->root < 0) {
        errno = ENOENT;
        return -1;
    }
    if (len == 0)
        return walk->root;
    uint32_t hash = hash_of(path, len);
    struct pf_walk_dir *dir = find_dir(walk, path, len, hash, &oldest);
    if (dir == NULL) {
        char *copy = strndup(path, len);
        int fd = copy != NULL ? open_from_root(walk->root, copy, len, create)
                              : -1;

        if (fd < 0 && copy != NULL && (errno == EMFILE || errno == ENFILE)) {
            pf_walk_close(walk); /* what is kept open is only for speed */
            fd = open_from_root(walk->root, copy, len, create);
        }
        if (fd < 0) {
            int error = errno;

            free(copy);
            errno = error;
            return -1;
        }
        dir = oldest;
        close_dir(dir);
        *dir = (struct pf_walk_dir){ .fd = fd, .hash = hash, .path = copy };
    }
    dir->used = ++walk->uses;
    return dir->fd;
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
