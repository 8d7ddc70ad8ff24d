/* outfile.c - a file that whole lines are appended to.
 *
 * SPDX-License-Identifier: MIT
 */
#include "config.h"

#include "outfile.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char STANDARD_OUTPUT[] = "standard output";

/* --- writing -------------------------------------------------------------- */

int pf_outfile_fail(struct pf_outfile *out, struct pfetch_failure *why,
                    const char *what)
{
    if (out->failed)
        return 0;
    out->failed = true;
    pfetch_failure_set(why, PFETCH_CLASS_LOCAL, "%.150s: cannot write: %s",
                       out->name, what);
    return -1;
}

/* Waits for a descriptor somebody made non-blocking. */
static void wait_until_writable(int fd)
{
    struct pollfd pollfd = {.fd = fd, .events = POLLOUT};

    (void)poll(&pollfd, 1, -1); /* write(2) will tell what is wrong */
}

int pf_outfile_write(struct pf_outfile *out, const char *data, size_t size,
                     struct pfetch_failure *why)
{
    if (out->fd < 0 || out->failed)
        return 0;
    while (size > 0) {
        ssize_t written = write(out->fd, data, size);

        if (written >= 0) {
            data += written;
            size -= (size_t)written;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            wait_until_writable(out->fd);
        } else if (errno != EINTR) {
            return pf_outfile_fail(out, why, strerror(errno));
        }
    }
    return 0;
}

/* True for the errors that say that there is nothing to force to a disk, or
 * no way to. */
static bool is_unsyncable(int error)
{
    return error == EINVAL || error == EROFS || error == ENOTSUP ||
           error == ENOSYS;
}

int pf_outfile_sync(struct pf_outfile *out, struct pfetch_failure *why)
{
    if (out->fd < 0 || out->failed)
        return 0;
    while (fsync(out->fd) != 0)
        if (errno != EINTR)
            return is_unsyncable(errno)
                       ? 0
                       : pf_outfile_fail(out, why, strerror(errno));
    return 0;
}

int pf_outfile_sync_name(struct pf_outfile *out, struct pfetch_failure *why)
{
    struct stat status;
    int result = 0;

    if (out->fd < 0 || fstat(out->fd, &status) != 0 ||
        !S_ISREG(status.st_mode))
        return 0;
    const char *slash = strrchr(out->name, '/');
    size_t length = slash != NULL ? (size_t)(slash - out->name) + 1 : 0;
    char *directory = slash != NULL ? strndup(out->name, length)
                                    : strdup(".");
    int fd = directory != NULL ? open(directory, O_RDONLY | O_DIRECTORY |
                                                     O_CLOEXEC)
                               : -1;
    free(directory);
    if (fd < 0)
        return pf_outfile_fail(out, why, strerror(errno));
    if (fsync(fd) != 0 && !is_unsyncable(errno))
        result = pf_outfile_fail(out, why, strerror(errno));
    (void)close(fd); /* a directory: nothing was written */
    return result;
}

/* --- opening and closing -------------------------------------------------- */

int pf_outfile_mend(struct pf_outfile *out, struct pfetch_failure *why)
{
    struct stat status;
    char last = '\n';

    if (out->fd < 0 || fstat(out->fd, &status) != 0 ||
        !S_ISREG(status.st_mode) || status.st_size == 0)
        return 0;
    bool is_stdout = strcmp(out->name, STANDARD_OUTPUT) == 0;
    if (is_stdout && (fcntl(out->fd, F_GETFL) & O_APPEND) == 0)
        return 0; /* where it stands is the caller's affair */
    int fd = open(is_stdout ? "/dev/stdout" : out->name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0; /* may be written but not read: then we do not know */
    ssize_t got = pread(fd, &last, 1, status.st_size - 1);
    (void)close(fd); /* only read from */
    return got == 1 && last != '\n' ? pf_outfile_write(out, "\n", 1, why) : 0;
}

int pf_outfile_open(struct pf_outfile *out, const char *file, mode_t mode,
                    const struct pf_input *input, struct pfetch_failure *why)
{
    struct stat status;

    *out = (struct pf_outfile){.name = file, .fd = -1};
    if (strcmp(file, "-") == 0) {
        out->name = file = STANDARD_OUTPUT;
        out->fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    } else {
        out->fd = open(file, O_WRONLY | O_APPEND | O_CREAT | O_NOCTTY |
                                 O_CLOEXEC, mode);
    }
    if (out->fd < 0 || fstat(out->fd, &status) != 0) {
        pfetch_failure_set(why, PFETCH_CLASS_LOCAL, "%.150s: cannot open: %s",
                           file, strerror(errno));
        return -1;
    }
    if (S_ISREG(status.st_mode) && input != NULL &&
        pf_input_reads(input, status.st_dev, status.st_ino)) {
        pfetch_failure_set(why, PFETCH_CLASS_NONE,
                           "%.150s: is a list to be read, and nothing can be "
                           "written to it", file);
        return -1;
    }
    return 0;
}

bool pf_outfile_is(const struct pf_outfile *out, dev_t device, ino_t inode)
{
    struct stat status;

    return out->fd >= 0 && fstat(out->fd, &status) == 0 &&
           status.st_dev == device && status.st_ino == inode;
}

int pf_outfile_close(struct pf_outfile *out, struct pfetch_failure *why)
{
    int result = 0;

    if (out->fd >= 0 && close(out->fd) != 0 && errno != EINTR)
        result = pf_outfile_fail(out, why, strerror(errno));
    out->fd = -1;
    return result;
}
