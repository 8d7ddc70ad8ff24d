/* stream.c - see stream.h.
 *
 * SPDX-License-Identifier: MIT
 */
#include "config.h"

#include "stream.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { POLL_MS = 100 };

/* How to write to the descriptor without sleeping there. */
void pf_stream_init(struct pf_stream *stream, int fd)
{
    char name[64];
    struct stat st;
    int own;

    *stream = (struct pf_stream){ .fd = fd, .given_fd = fd };
    if (fstat(fd, &st) != 0 || S_ISREG(st.st_mode))
        return; /* the first write says what is wrong */
    stream->step_bytes = PIPE_BUF;
    if (!S_ISFIFO(st.st_mode))
        return;
    (void)snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
    own = open(name, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    if (own < 0)
        return;
    stream->fd = own;
    stream->step_bytes = 0;
}

/* Waits until something can be written.  False: the run was stopped, and
 * nobody reads. */
static bool wait_for_reader(const struct pf_stream *stream)
{
    struct pollfd pollfd = { .fd = stream->fd, .events = POLLOUT };

    while (poll(&pollfd, 1, POLL_MS) <= 0)
        if (stream->run != NULL && pfetch_is_stopped(stream->run))
            return false;
    return true;
}

int pf_stream_write(struct pf_stream *stream, const void *data, size_t size)
{
    const char *from = data;
    bool must_wait = stream->step_bytes > 0;

    while (size > 0) {
        size_t step = size;
        ssize_t n;

        if (stream->step_bytes > 0 && step > stream->step_bytes)
            step = stream->step_bytes;
        if (must_wait && !wait_for_reader(stream))
            return ECANCELED;
        must_wait = stream->step_bytes > 0;
        n = write(stream->fd, from, step);
        if (n > 0) {
            from += n;
            size -= (size_t)n;
        } else if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            must_wait = true;
        } else if (n < 0 && errno != EINTR) {
            return errno;
        }
    }
    return 0;
}

void pf_stream_fini(struct pf_stream *stream)
{
    if (stream->fd != stream->given_fd)
        (void)close(stream->fd); /* a pipe: nothing can be lost */
    stream->fd = stream->given_fd = -1;
}
