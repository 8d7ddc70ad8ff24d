/* stream.h - a descriptor that somebody else may be reading.
 *
 * SPDX-License-Identifier: MIT
 *
 * A reader that does not read must not keep the process from ending.  So the
 * writer never sleeps in write(2) but in poll(2), and looks every 100 ms
 * whether the run was stopped.  O_NONBLOCK cannot be set on a descriptor that
 * was given to us, since others share it (a shell, the reader's terminal): a
 * pipe is opened once more, which gives a description of our own.  What cannot
 * be (sockets, terminals, another user's pipe) gets pieces that fit when poll
 * says so.  Files never keep anybody waiting for somebody else.
 */
#ifndef PF_STREAM_H
#define PF_STREAM_H

#include <stddef.h>

#include "pfetch.h"

struct pf_stream {
    int fd;                   /* given_fd, or a pipe opened once more */
    int given_fd;             /* the caller's, and open as long as this */
    size_t step_bytes;        /* what one write may have; 0: any amount */
    const struct pfetch *run; /* whose stop ends a wait; NULL: nobody's */
};

void pf_stream_init(struct pf_stream *stream, int fd);

/* Writes all of it.  0; an errno; ECANCELED: the run was stopped, and nobody
 * reads, after a part of it maybe. */
int pf_stream_write(struct pf_stream *stream, const void *data, size_t size);

/* The given descriptor stays open. */
void pf_stream_fini(struct pf_stream *stream);

#endif
