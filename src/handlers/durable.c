/* durable.c - complete files that get onto stable storage together.
 *
 * SPDX-License-Identifier: MIT
 *
 * The order of a flush is the promise: write-back of all is started, and
 * waited for; each file is forced; those that are get their names; the
 * directories are forced; the jobs are settled, and only now can a record say
 * ok.  (After the wait the journal of ext4 needs one commit for all of them;
 * without it, each file that is forced may need one of its own.)  A file that could
 * not be forced is dropped: after a failed fsync(2) the kernel may take the
 * pages for clean, and a second one would succeed and mean nothing.  For the
 * same reason all files of the group fail when a directory cannot be forced;
 * they have their names then, whole, but nobody knows for how long.
 *
 * Every directory from the file's up to the root is forced, once in a group,
 * because any of them may have been made for it.
 */
#include "config.h"

#include "durable.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* So much is written, in a group or in one file, before write-back begins. */
#define GROUP_BYTES ((int64_t)64 << 20)
#define START_BYTES ((int64_t)8 << 20)

struct pf_durable_file {
    struct pfetch_job *job;
    int fd;    /* borrowed */
    int error; /* of forcing its data */
    enum pfetch_reply reply;
    struct pfetch_failure why;
};

/* --- forcing -------------------------------------------------------------- */

/* 0 or an errno. */
static int force(int fd)
{
    while (fsync(fd) != 0)
        if (errno != EINTR)
            return errno;
    return 0;
}

/* Waits until what was written to a file has reached the disk, but for what
 * says where it is there.  0 or an errno. */
static int wait_for(int fd)
{
    int error = sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WAIT_BEFORE
                                              | SYNC_FILE_RANGE_WRITE
                                              | SYNC_FILE_RANGE_WAIT_AFTER)
                        == 0 ? 0 : errno;

    /* An error of the disk is told once: fsync(2) would not tell it again. */
    return error == ENOSYS || error == ESPIPE || error == EINVAL ? 0 : error;
}

/* Forces the names in a directory.  0, also on a file system that cannot
 * force directories, or an errno. */
static int force_directory(int dir, const char *name)
{
    int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return errno;
    int error = force(fd);
    (void)close(fd); /* a directory: nothing was written */
    return error == EINVAL || error == ENOTSUP ? 0 : error;
}

int pf_durable_sync_other(int dir, const char *name)
{
    int fd = openat(dir, name,
                    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

    if (fd < 0)
        return errno;
    int error = force(fd);
    (void)close(fd); /* nothing was written */
    return error;
}

void pf_durable_wrote(int fd, int64_t before_bytes, int64_t now_bytes)
{
    int64_t begin = before_bytes / START_BYTES * START_BYTES;
    int64_t end = now_bytes / START_BYTES * START_BYTES;

    /* Only a head start: what goes wrong is found by fsync(2). */
    if (end > begin)
        (void)sync_file_range(fd, begin, end - begin, SYNC_FILE_RANGE_WRITE);
}

/* --- a group -------------------------------------------------------------- */

int pf_durable_init(struct pf_durable *durable, int root, unsigned max,
                    pf_durable_name_fn *name, void *user,
                    struct pfetch_failure *why)
{
    *durable = (struct pf_durable){ .root = root, .max = max, .name = name,
                                    .user = user };
    pf_walk_init(&durable->walk, root);
    durable->files = calloc(max, sizeof *durable->files);
    if (durable->files == NULL)
        return PFETCH_ENOMEM;
    int error = force_directory(root, "..");
    if (error == 0 || error == EACCES) /* it may be one we cannot list */
        return 0;
    pfetch_failure_set(why, PFETCH_CLASS_LOCAL,
                       "the name of the output directory cannot be forced to "
                       "the disk: %s", strerror(error));
    return PFETCH_EINVAL;
}

void pf_durable_fini(struct pf_durable *durable)
{
    if (durable->max == 0)
        return;
    pf_walk_close(&durable->walk);
    free(durable->files);
    durable->files = NULL;
}

/* Whether a file before files[n] lies in this directory, the first len bytes
 * of its path, or below it: then it was forced for that. */
static bool is_forced(const struct pf_durable *durable, size_t n, size_t len)
{
    const char *path = pfetch_job_path(durable->files[n].job);

    for (size_t i = 0; i < n; i++)
        if (durable->files[i].reply == PFETCH_GO
            && strncmp(pfetch_job_path(durable->files[i].job), path, len)
                   == 0)
            return true;
    return false;
}

/* Forces the directories of files[n], from the innermost to the root.  0 or
 * an errno. */
static int force_directories(struct pf_durable *durable, size_t n)
{
    const char *path = pfetch_job_path(durable->files[n].job);
    size_t len = (size_t)(pf_outname_last(path) - path);
    char dirs[PF_PATH_SIZE];

    memcpy(dirs, path, len);
    while (!is_forced(durable, n, len)) {
        dirs[len] = '\0';
        int dir = pf_walk_open(&durable->walk, dirs, false);
        int error = dir < 0 ? errno : force_directory(dir, ".");

        if (error != 0 || len == 0)
            return error;
        do
            len--;
        while (len > 0 && dirs[len - 1] != '/');
    }
    return 0;
}

/* A directory on the way to files[n] could not be forced. */
static void fail_all(struct pf_durable *durable, size_t n, int error)
{
    struct pfetch_failure why;
    enum pfetch_reply reply =
        pf_place_failure(durable->root, error, "sync the directory of",
                         pfetch_job_path(durable->files[n].job), &why);

    for (size_t i = 0; i < durable->count; i++)
        if (durable->files[i].reply == PFETCH_GO) {
            durable->files[i].reply = reply;
            durable->files[i].why = why;
        }
}

void pf_durable_flush(struct pf_durable *durable)
{
    struct pf_durable_file *files = durable->files;
    size_t count = durable->count;
    int error = 0;

    for (size_t i = 0; i < count; i++)
        /* Only a head start: what goes wrong is found by fsync(2). */
        (void)sync_file_range(files[i].fd, 0, 0, SYNC_FILE_RANGE_WRITE);
    for (size_t i = 0; i < count; i++)
        files[i].error = wait_for(files[i].fd);
    for (size_t i = 0; i < count; i++)
        if (files[i].error == 0)
            files[i].error = force(files[i].fd);
    for (size_t i = 0; i < count; i++) {
        files[i].why = (struct pfetch_failure){ .cls = PFETCH_CLASS_NONE };
        files[i].reply = durable->name(durable->user, files[i].job,
                                       files[i].error, &files[i].why);
    }
    /* The one kept open may have been removed and made anew since. */
    pf_walk_close(&durable->walk);
    for (size_t i = 0; i < count && error == 0; i++)
        if (files[i].reply == PFETCH_GO) {
            error = force_directories(durable, i);
            if (error != 0)
                fail_all(durable, i, error);
        }
    durable->count = 0;
    durable->bytes = 0;
    for (size_t i = 0; i < count; i++)
        pfetch_settle(files[i].job, files[i].reply, &files[i].why);
}

enum pfetch_reply pf_durable_add(struct pf_durable *durable,
                                 struct pfetch_job *job, int fd,
                                 int64_t bytes)
{
    durable->files[durable->count++] = (struct pf_durable_file){
        .job = job, .fd = fd
    };
    durable->bytes += bytes;
    if (durable->count == durable->max || durable->bytes >= GROUP_BYTES)
        pf_durable_flush(durable);
    return PFETCH_PENDING;
}
