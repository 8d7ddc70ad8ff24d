/* urlqueue.h - the bounded queue of jobs, in which hosts take turns.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PF_URLQUEUE_H
#define PF_URLQUEUE_H

#include "host.h"
#include "job.h"

#include <pthread.h>

struct pf_urlqueue {
    pthread_mutex_t lock;       /* guards all below, and every host */
    pthread_cond_t not_full;    /* a place may be reserved; on stop */
    pthread_cond_t runnable;    /* a job may run; drained; on stop */
    pthread_cond_t due;         /* as runnable, for the one worker that waits
                                 * with a deadline (the timekeeper) */
    struct pf_host_table hosts;
    struct pf_host *first_ready, **last_ready; /* the ring of turns */
    struct pf_heap timers;      /* hosts in place PF_HOST_TIMED */
    size_t unfinished;          /* places reserved and not released */
    size_t unfinished_bytes;
    size_t inside;              /* jobs waiting, delayed or running */
    size_t delayed;             /* jobs in the hosts' heaps */
    unsigned sleepers;          /* workers waiting on runnable */
    bool has_timekeeper;        /* a worker waits on due */
    bool is_full_waited;        /* somebody waits on not_full */
    bool is_closed;             /* no more pushes; set once */
    bool is_stopped;            /* no more pops either; set once */
    size_t max_jobs, max_bytes; /* set before start, then read-only */
};

/* 0 or PFETCH_ENOMEM. */
int pf_urlqueue_init(struct pf_urlqueue *queue, size_t max_jobs,
                     size_t max_bytes);
/* No thread may use it any more, and no job may be left inside. */
void pf_urlqueue_fini(struct pf_urlqueue *queue);

/* Reserves a place for a job with that many bytes of text.  Blocks while the
 * queue is full; woken by pf_urlqueue_release() and pf_urlqueue_stop().  A
 * queue without any unfinished job takes a text of any length.  0, or
 * PFETCH_ESTOPPED: nothing was reserved. */
int pf_urlqueue_reserve(struct pf_urlqueue *queue, size_t bytes);

/* Gives back the places of jobs that are finished.  Never waits. */
void pf_urlqueue_release(struct pf_urlqueue *queue, size_t jobs,
                         size_t bytes);

/* Hands over a job for which a place is reserved.  On PFETCH_ESTOPPED (stopped
 * or closed) or PFETCH_ENOMEM the job stays with the caller.  Never waits. */
int pf_urlqueue_push(struct pf_urlqueue *queue, struct pfetch_job *job);

/* The next job that may run, to be returned by one of retry, redirect and
 * leave.  Blocks; woken by whatever may make a job run.  NULL: stopped, or
 * closed and nothing waits, is delayed, or is running any more. */
struct pfetch_job *pf_urlqueue_pop(struct pf_urlqueue *queue);

/* Puts a popped job back, to run again at due_ms (pf_now_ms()'s clock).
 * Never waits, never fails. */
void pf_urlqueue_retry(struct pf_urlqueue *queue, struct pfetch_job *job,
                       int64_t due_ms);

/* Puts a popped job back at once, under the host of its new URL.  Never
 * waits.  On PFETCH_ENOMEM the job stays with the caller, as popped. */
int pf_urlqueue_redirect(struct pf_urlqueue *queue, struct pfetch_job *job);

/* A popped job has no more transfers to do; it stays with the caller. */
void pf_urlqueue_leave(struct pf_urlqueue *queue, struct pfetch_job *job);

/* No more pushes: pop returns NULL once all is drained.  Any thread. */
void pf_urlqueue_close(struct pf_urlqueue *queue);

/* Nothing runs any more: reserve, push and pop return at once.  Any thread. */
void pf_urlqueue_stop(struct pf_urlqueue *queue);

/* After a stop, when no worker is left: takes out what waits, one job a
 * call.  NULL: nothing is left. */
struct pfetch_job *pf_urlqueue_take_left(struct pf_urlqueue *queue);

/* For pfetch_get_counters(). */
size_t pf_urlqueue_delayed(struct pf_urlqueue *queue);

#endif
