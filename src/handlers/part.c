/* part.c - the temporary file of one body, and how it gets its name.
 *
 * SPDX-License-Identifier: MIT
 *
 * Order of things.  A file is created, locked, and then checked to have still
 * the name it was opened by: between the first two steps another process may
 * have taken it for one left behind, and published it.  From the check on
 * nobody who keeps to these rules touches it, until the lock is gone.  The
 * lock goes with the last descriptor; so the errors that close() reports are
 * asked for by closing a duplicate, and the file itself is closed after the
 * rename only.
 *
 * A file that has two names is not used again: the process that linked it to
 * its final name was killed before it removed the temporary one.
 *
 * A file that was left behind and is to be continued is opened by the worker
 * that will ask for the rest (pf_part_reopen()); from then on it is held like
 * any other.
 */
#include "config.h"

#include "part.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "filestate.h"
#include "outname.h"

enum {
    PROC_SIZE = 32,
    TRIES = 10,      /* at a name that comes and goes */
    CHANGED = -1     /* no errno: another process was quicker, look again */
};

static void temp_name(char temp[PF_TEMP_SIZE], const char *name, bool with_pid)
{
    if (with_pid)
        (void)snprintf(temp, PF_TEMP_SIZE, ".%.*s.%ld.part", PF_NAME_MAX, name,
                       (long)getpid());
    else
        (void)snprintf(temp, PF_TEMP_SIZE, ".%.*s.part", PF_NAME_MAX, name);
}

void pf_part_init(struct pf_part *part)
{
    part->fd = -1;
    part->with_pid = part->is_unnamed = false;
    part->written_bytes = 0;
}

/* --- opening ------------------------------------------------------------ */

/* Opens what has the name already, if it may be a temporary file left behind.
 * It is looked at first, because opening some objects has effects. */
static int open_left_behind(int dir, const char *temp, int access, int *fd)
{
    struct stat st;

    if (fstatat(dir, temp, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno;
    if (!S_ISREG(st.st_mode) || st.st_uid != geteuid())
        return EEXIST;
    *fd = openat(dir, temp, access | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (*fd >= 0 || errno == ENOENT)
        return *fd >= 0 ? 0 : ENOENT;
    return errno == EMFILE || errno == ENFILE || errno == ENOMEM ? errno
                                                                 : EEXIST;
}

/* Whether an open file has this name and no other. */
static bool has_name(int fd, int dir, const char *temp)
{
    struct stat mine, there;

    return fstat(fd, &mine) == 0
           && fstatat(dir, temp, &there, AT_SYMLINK_NOFOLLOW) == 0
           && mine.st_dev == there.st_dev && mine.st_ino == there.st_ino
           && mine.st_nlink == 1;
}

/* Whether a file that was there is one of ours. */
static bool is_ours(int fd, bool is_trusted)
{
    struct stat st;

    return is_trusted || pf_filestate_is_marked(fd)
           || (fstat(fd, &st) == 0 && st.st_size == 0);
}

/* One try.  0, an errno (EBUSY: it is another's), or CHANGED. */
static int acquire_once(int dir, const char *temp, bool is_trusted,
                        int *result)
{
    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    int error = 0;
    int fd = openat(dir, temp,
                    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                    0666);
    bool created = fd >= 0;

    if (!created && errno != EEXIST)
        return errno;
    if (!created && (error = open_left_behind(dir, temp, O_WRONLY, &fd)) != 0)
        return error == ENOENT ? CHANGED : error;
    if (fcntl(fd, F_OFD_SETLK, &lock) != 0) {
        /* Where there are no locks a file just created is ours all the same,
         * and one that was there may be anybody's. */
        if (errno == EAGAIN || errno == EACCES || !created)
            error = EBUSY;
    }
    if (error == 0 && !has_name(fd, dir, temp))
        error = CHANGED;
    if (error == 0 && !created && !is_ours(fd, is_trusted))
        error = EBUSY;
    if (error == 0 && !created && ftruncate(fd, 0) != 0)
        error = errno;
    if (error != 0) {
        (void)close(fd); /* nothing was written */
        return error;
    }
    *result = fd;
    return 0;
}

static int acquire(int dir, const char *temp, bool is_trusted, int *fd)
{
    int error = CHANGED;

    for (int i = 0; i < TRIES && error == CHANGED; i++)
        error = acquire_once(dir, temp, is_trusted, fd);
    return error == CHANGED ? EBUSY : error;
}

/* Both ways are those of open(2).  The first needs CAP_DAC_READ_SEARCH, or
 * Linux 6.10, and says ENOENT else; then the second is taken from there on. */
static int publish_unnamed(int fd, int dir, const char *final,
                           struct pf_part_ways *ways)
{
    char path[PROC_SIZE];

    if (!ways->by_proc) {
        if (linkat(fd, "", dir, final, AT_EMPTY_PATH) == 0)
            return 0;
        if (errno != ENOENT && errno != EPERM && errno != EINVAL)
            return errno;
        ways->by_proc = true;
    }
    (void)snprintf(path, PROC_SIZE, "/proc/self/fd/%d", fd);
    return linkat(AT_FDCWD, path, dir, final, AT_SYMLINK_FOLLOW) == 0 ? 0
                                                                      : errno;
}

/* What says that it is never possible, unless it is about the directory. */
static bool is_never(int error)
{
    return error == EOPNOTSUPP || error == EISDIR || error == EINVAL
           || error == ENOSYS || error == EPERM || error == EACCES
           || error == EXDEV || error == ENOENT;
}

static int create_unnamed(int dir, int *fd)
{
    *fd = openat(dir, ".", O_WRONLY | O_TMPFILE | O_CLOEXEC, 0666);
    return *fd >= 0 ? 0 : errno;
}

/* Gives a file a name, once a run: that fails without /proc, or where policy
 * does not allow for links, and is to be known before there is a body. */
static int probe(int dir, const char *name, struct pf_part_ways *ways)
{
    char temp[PF_TEMP_SIZE];
    int fd;
    int error = create_unnamed(dir, &fd);

    if (error != 0)
        return error;
    temp_name(temp, name, true);
    error = publish_unnamed(fd, dir, temp, ways);
    ways->is_probed = error == 0;
    if (error == 0)
        (void)unlinkat(dir, temp, 0); /* it can be removed: it is new */
    (void)close(fd);                  /* nothing was written */
    return error;
}

int pf_part_open_unnamed(struct pf_part *part, int dir, const char *name,
                         struct pf_part_ways *ways)
{
    int error = 0, fd = -1;

    if (ways->no_unnamed)
        return EOPNOTSUPP;
    if (!ways->is_probed)
        error = probe(dir, name, ways);
    if (error == 0)
        error = create_unnamed(dir, &fd);
    ways->no_unnamed = is_never(error)
                       && faccessat(dir, ".", W_OK | X_OK, 0) == 0;
    if (error != 0)
        return error;
    pf_part_init(part);
    part->fd = fd;
    part->is_unnamed = true;
    return 0;
}

int pf_part_open(struct pf_part *part, int dir, const char *name,
                 bool is_trusted, struct pf_part_ways *ways)
{
    char temp[PF_TEMP_SIZE];

    pf_part_init(part);
    temp_name(temp, name, false);
    int error = acquire(dir, temp, is_trusted, &part->fd);
    if (error == EBUSY && pf_part_open_unnamed(part, dir, name, ways) == 0)
        return 0;
    if (error == EBUSY) {
        part->with_pid = true;
        temp_name(temp, name, true);
        error = acquire(dir, temp, is_trusted, &part->fd);
    }
    return error;
}

/* --- what was left behind ------------------------------------------------ */

int pf_part_find(int dir, const char *name, char temp[PF_TEMP_SIZE],
                 int64_t *size_bytes)
{
    struct stat st;

    temp_name(temp, name, false);
    if (fstatat(dir, temp, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno;
    if (!S_ISREG(st.st_mode) || st.st_uid != geteuid()
        || st.st_nlink != 1 || st.st_size < 1)
        return EEXIST;
    *size_bytes = st.st_size;
    return 0;
}

int pf_part_reopen(struct pf_part *part, int dir, const char *name)
{
    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    char temp[PF_TEMP_SIZE];
    off_t end = -1;
    int fd;

    temp_name(temp, name, false);
    int error = open_left_behind(dir, temp, O_RDWR, &fd);
    if (error != 0)
        return error;
    if (fcntl(fd, F_OFD_SETLK, &lock) != 0 || !has_name(fd, dir, temp)
        || (end = lseek(fd, 0, SEEK_END)) < 0) {
        (void)close(fd); /* nothing was written */
        return EBUSY;
    }
    pf_part_init(part);
    part->fd = fd;
    part->written_bytes = end;
    return 0;
}

int pf_part_read(const struct pf_part *part, int64_t offset_bytes, void *data,
                 size_t size, size_t *got)
{
    ssize_t n;

    do
        n = pread(part->fd, data, size, (off_t)offset_bytes);
    while (n < 0 && errno == EINTR);
    *got = n > 0 ? (size_t)n : 0;
    return n < 0 ? errno : 0;
}

/* --- writing ------------------------------------------------------------ */

int pf_part_restart(struct pf_part *part, int64_t offset_bytes)
{
    if (offset_bytes < 0 || offset_bytes > part->written_bytes)
        return EINVAL;
    if (offset_bytes == part->written_bytes)
        return 0;
    if (ftruncate(part->fd, (off_t)offset_bytes) != 0
        || lseek(part->fd, (off_t)offset_bytes, SEEK_SET) < 0)
        return errno;
    part->written_bytes = offset_bytes;
    return 0;
}

int pf_part_write(struct pf_part *part, const void *data, size_t size)
{
    const char *at = data;

    while (size > 0) {
        ssize_t n = write(part->fd, at, size);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? errno : EIO;
        at += n;
        size -= (size_t)n;
        part->written_bytes += n;
    }
    return 0;
}

void pf_part_set_time(const struct pf_part *part, int64_t unix_seconds)
{
    struct timespec times[2] = {
        { .tv_nsec = UTIME_OMIT },
        { .tv_sec = (time_t)unix_seconds },
    };
    struct stat st;

    /* The time is a courtesy: a file system that refuses it keeps its own. */
    if (futimens(part->fd, times) != 0
        || (unix_seconds >= 0 && unix_seconds <= INT32_MAX))
        return;
    /* Outside the years that every file system knows, the kernel stores the
     * nearest time it can without a word.  A wrong time is worse than none. */
    if (fstat(part->fd, &st) != 0 || st.st_mtime != times[1].tv_sec) {
        times[1] = (struct timespec){ .tv_nsec = UTIME_NOW };
        (void)futimens(part->fd, times); /* as above */
    }
}

int pf_part_flush(const struct pf_part *part)
{
    int copy = fcntl(part->fd, F_DUPFD_CLOEXEC, 0);

    if (copy < 0)
        return errno;
    /* After EINTR the descriptor is closed, and no error is known. */
    return close(copy) == 0 || errno == EINTR ? 0 : errno;
}

/* --- naming ------------------------------------------------------------- */

static int publish_noreplace(int dir, const char *temp, const char *final)
{
    if (renameat2(dir, temp, dir, final, RENAME_NOREPLACE) == 0)
        return 0;
    return errno;
}

static int publish_link(int dir, const char *temp, const char *final)
{
    if (linkat(dir, temp, dir, final, 0) != 0)
        return errno;
    /* The file has its name: that the other one stays is no failure. */
    (void)unlinkat(dir, temp, 0);
    return 0;
}

static int publish_check(int dir, const char *temp, const char *final)
{
    struct stat st;

    if (fstatat(dir, final, &st, AT_SYMLINK_NOFOLLOW) == 0)
        return EEXIST;
    if (errno != ENOENT)
        return errno;
    return renameat(dir, temp, dir, final) == 0 ? 0 : errno;
}

int pf_part_publish(const struct pf_part *part, int dir, const char *name,
                    const char *final, struct pf_part_ways *ways)
{
    char temp[PF_TEMP_SIZE];
    int error;

    if (part->is_unnamed)
        return publish_unnamed(part->fd, dir, final, ways);
    temp_name(temp, name, part->with_pid);
    if (ways->named == PF_PUBLISH_NOREPLACE) {
        error = publish_noreplace(dir, temp, final);
        if (error != EINVAL && error != ENOSYS)
            return error;
        ways->named = PF_PUBLISH_LINK;
    }
    if (ways->named == PF_PUBLISH_LINK) {
        error = publish_link(dir, temp, final);
        if (error != EPERM && error != EOPNOTSUPP && error != ENOSYS
            && error != EMLINK && error != EINVAL)
            return error;
        ways->named = PF_PUBLISH_CHECK;
    }
    return publish_check(dir, temp, final);
}

int pf_part_replace(const struct pf_part *part, int dir, const char *name,
                    const char *final, struct pf_part_ways *ways)
{
    char temp[PF_TEMP_SIZE];

    temp_name(temp, name, part->with_pid || part->is_unnamed);
    if (part->is_unnamed) {
        /* Only a name can replace a name. */
        int error = publish_unnamed(part->fd, dir, temp, ways);

        if (error != 0)
            return error;
    }
    if (renameat(dir, temp, dir, final) == 0)
        return 0;
    int error = errno;
    if (part->is_unnamed)
        (void)unlinkat(dir, temp, 0); /* as it was before */
    return error;
}

bool pf_part_can_stay(const struct pf_part *part)
{
    return part->fd >= 0 && !part->with_pid && !part->is_unnamed;
}

void pf_part_close(struct pf_part *part)
{
    (void)close(part->fd); /* pf_part_flush() has asked for its errors */
    part->fd = -1;
}

void pf_part_discard(struct pf_part *part, int dir, const char *name)
{
    char temp[PF_TEMP_SIZE];

    if (part->fd < 0)
        return;
    /* Removed while it is locked, and only if the name is still ours. */
    temp_name(temp, name, part->with_pid);
    if (dir >= 0 && !part->is_unnamed && has_name(part->fd, dir, temp))
        (void)unlinkat(dir, temp, 0); /* gone is what it should be */
    (void)close(part->fd);            /* what it held is dropped */
    part->fd = -1;
}
