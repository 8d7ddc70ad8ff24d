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
 */
#include "config.h"

#include "part.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "outname.h"

enum {
    TEMP_SIZE = 272, /* PF_NAME_MAX sees to it that 255 bytes are enough */
    TRIES = 10,      /* at a name that comes and goes */
    CHANGED = -1     /* no errno: another process was quicker, look again */
};

static void temp_name(char temp[TEMP_SIZE], const char *name, bool with_pid)
{
    if (with_pid)
        (void)snprintf(temp, TEMP_SIZE, ".%.*s.%ld.part", PF_NAME_MAX, name,
                       (long)getpid());
    else
        (void)snprintf(temp, TEMP_SIZE, ".%.*s.part", PF_NAME_MAX, name);
}

void pf_part_init(struct pf_part *part)
{
    part->fd = -1;
    part->with_pid = false;
    part->written_bytes = 0;
}

/* --- opening ------------------------------------------------------------ */

/* Opens what has the name already, if it may be a temporary file left behind.
 * It is looked at first, because opening some objects has effects. */
static int open_left_behind(int dir, const char *temp, int *fd)
{
    struct stat st;

    if (fstatat(dir, temp, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno;
    if (!S_ISREG(st.st_mode) || st.st_uid != geteuid())
        return EEXIST;
    *fd = openat(dir, temp, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
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

/* One try.  0, an errno (EBUSY: another process has it), or CHANGED. */
static int acquire_once(int dir, const char *temp, int *result)
{
    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    int error = 0;
    int fd = openat(dir, temp,
                    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                    0666);
    bool created = fd >= 0;

    if (!created && errno != EEXIST)
        return errno;
    if (!created && (error = open_left_behind(dir, temp, &fd)) != 0)
        return error == ENOENT ? CHANGED : error;
    if (fcntl(fd, F_OFD_SETLK, &lock) != 0) {
        /* Where there are no locks a file just created is ours all the same,
         * and one that was there may be anybody's. */
        if (errno == EAGAIN || errno == EACCES || !created)
            error = EBUSY;
    }
    if (error == 0 && !has_name(fd, dir, temp))
        error = CHANGED;
    if (error == 0 && !created && ftruncate(fd, 0) != 0)
        error = errno;
    if (error != 0) {
        (void)close(fd); /* nothing was written */
        return error;
    }
    *result = fd;
    return 0;
}

static int acquire(int dir, const char *temp, int *fd)
{
    int error = CHANGED;

    for (int i = 0; i < TRIES && error == CHANGED; i++)
        error = acquire_once(dir, temp, fd);
    return error == CHANGED ? EBUSY : error;
}

int pf_part_open(struct pf_part *part, int dir, const char *name)
{
    char temp[TEMP_SIZE];

    part->with_pid = false;
    part->written_bytes = 0;
    temp_name(temp, name, false);
    int error = acquire(dir, temp, &part->fd);
    if (error == EBUSY) {
        part->with_pid = true;
        temp_name(temp, name, true);
        error = acquire(dir, temp, &part->fd);
    }
    return error;
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
                    const char *final, enum pf_publish_way *way)
{
    char temp[TEMP_SIZE];
    int error;

    temp_name(temp, name, part->with_pid);
    if (*way == PF_PUBLISH_NOREPLACE) {
        error = publish_noreplace(dir, temp, final);
        if (error != EINVAL && error != ENOSYS)
            return error;
        *way = PF_PUBLISH_LINK;
    }
    if (*way == PF_PUBLISH_LINK) {
        error = publish_link(dir, temp, final);
        if (error != EPERM && error != EOPNOTSUPP && error != ENOSYS
            && error != EMLINK && error != EINVAL)
            return error;
        *way = PF_PUBLISH_CHECK;
    }
    return publish_check(dir, temp, final);
}

int pf_part_replace(const struct pf_part *part, int dir, const char *name,
                    const char *final)
{
    char temp[TEMP_SIZE];

    temp_name(temp, name, part->with_pid);
    return renameat(dir, temp, dir, final) == 0 ? 0 : errno;
}

void pf_part_close(struct pf_part *part)
{
    (void)close(part->fd); /* pf_part_flush() has asked for its errors */
    part->fd = -1;
}

void pf_part_discard(struct pf_part *part, int dir, const char *name)
{
    char temp[TEMP_SIZE];

    if (part->fd < 0)
        return;
    /* Removed while it is locked, and only if the name is still ours. */
    temp_name(temp, name, part->with_pid);
    if (dir >= 0 && has_name(part->fd, dir, temp))
        (void)unlinkat(dir, temp, 0); /* gone is what it should be */
    (void)close(part->fd);            /* what it held is dropped */
    part->fd = -1;
}
