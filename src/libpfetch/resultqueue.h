/* resultqueue.h - from the workers to the writer.
 *
 * SPDX-License-Identifier: MIT
 *
 * A list of messages in the order they were pushed: blocks of bodies, and
 * verdicts.  A push never waits: what is in the list is bounded by the block
 * pool (bytes) and by the URL queue (jobs).  Messages are embedded in what
 * they carry, so a push cannot fail either.
 */
#ifndef PF_RESULTQUEUE_H
#define PF_RESULTQUEUE_H

#include "job.h"

#include <pthread.h>

struct pf_resultqueue {
    pthread_mutex_t lock;       /* guards all below */
    pthread_cond_t not_empty;   /* signalled when the writer sleeps; on close */
    struct pf_msg *first, **last;
    bool is_asleep;             /* the writer waits */
    bool is_closed;             /* nothing but settled jobs will come */
};

void pf_resultqueue_init(struct pf_resultqueue *queue);
void pf_resultqueue_fini(struct pf_resultqueue *queue);

/* Appends the chain from first to last (linked by next), which is given.  Any
 * thread; never waits. */
void pf_resultqueue_push(struct pf_resultqueue *queue, struct pf_msg *first,
                         struct pf_msg *last);

/* Takes out all there is, at least one; blocks until something is there.
 * NULL: closed and empty, unless is_owed says that a settled job is still to
 * come.  The writer only. */
struct pf_msg *pf_resultqueue_pop_all(struct pf_resultqueue *queue,
                                      bool is_owed);

/* Takes out what there is without waiting; NULL: nothing.  The writer only. */
struct pf_msg *pf_resultqueue_poll_all(struct pf_resultqueue *queue);

/* Wakes the writer for the last time. */
void pf_resultqueue_close(struct pf_resultqueue *queue);

#endif
