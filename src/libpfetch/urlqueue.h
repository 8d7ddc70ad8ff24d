/* urlqueue.h - the bounded queue of jobs, in which hosts take turns.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PF_URLQUEUE_H
#define PF_URLQUEUE_H

#include "host.h"
#include "job.h"

#include <pthread.h>

/* What the queue keeps to.  Copied by pf_urlqueue_init(), but for hosts and
 * clock_data, which stay the caller's and must outlive the queue. */
struct pf_urlqueue_limits {
    size_t max_jobs, max_bytes;
    int64_t interval_us;       /* between two starts of any host; 0: none */
    int64_t host_interval_us;  /* between two starts of one host; 0: none */
    unsigned per_host;         /* transfers at once to one host; 0: no limit */
    const struct pfetch_host_options *hosts; /* exceptions, by name */
    size_t host_count;
    int64_t hold_ms, hold_max_ms;     /* 429, 503: first hold, longest */
    int64_t retry_after_max_ms;
    int64_t probe_ms, probe_max_ms;   /* pause before the first probe, longest */
    unsigned burst;            /* starts after a hold that count as one try */
    unsigned probes;           /* of an origin that is set aside */
    int64_t shortage_ms;       /* how long descriptors or threads may be
                                * missing */
    unsigned window;           /* jobs from the oldest undelivered one on that
                                * may be begun; 0: all */
    int64_t (*now_us)(void *data); /* the clock; NULL: pf_now_us() */
    void *clock_data;
};

struct pf_urlqueue {
    pthread_mutex_t lock;       /* guards all below, and every host */
    pthread_cond_t not_full;    /* a place may be reserved; on stop */
    pthread_cond_t runnable;    /* a job may run; drained; on stop */
    pthread_cond_t due;         /* as runnable, for the one worker that waits
                                 * with a deadline (the timekeeper) */
    struct pf_host_table hosts;
    struct pf_host *first_ready, **last_ready; /* the ring of turns */
    struct pf_heap timers;      /* hosts in place PF_HOST_TIMED */
    struct pf_heap expiries;    /* jobs inside that have a deadline */
    struct pf_job_list concluded; /* popped before all others, not to run */
    struct pf_heap ahead;       /* hosts whose next new job is beyond the
                                 * window, by that job's number */
    uint64_t window_end;        /* jobs from this number on are beyond it;
                                 * UINT64_MAX: there is no window */
    int64_t next_start_us;      /* by limits.interval_us */
    int64_t short_since_us;     /* something is missing here; 0: nothing is */
    int64_t short_until_us;     /* nothing starts before */
    int64_t short_pause_us;     /* the last pause */
    bool shortage_said;         /* a person has been told */
    size_t unfinished;          /* places reserved and not released */
    size_t unfinished_bytes;
    size_t inside;              /* jobs waiting, delayed or running */
    size_t delayed;             /* jobs in the hosts' heaps, or parked */
    size_t swept;               /* buckets pf_urlqueue_take_left() is through */
    int64_t holds_until_us;     /* the end of the last hold there is */
    unsigned sleepers;          /* workers waiting on runnable */
    bool has_timekeeper;        /* a worker waits on due */
    int64_t timekeeper_us;      /* until when, or told to look again by then */
    bool is_full_waited;        /* somebody waits on not_full */
    bool is_closed;             /* no more pushes; set once */
    bool is_stopped;            /* no more pops either; set once */
    struct pf_urlqueue_limits limits; /* set before start, then read-only */
};

/* How far an attempt came with its host. */
enum pf_contact_kind {
    PF_CONTACT_NONE,        /* it says nothing about the host */
    PF_CONTACT_SHORTAGE,    /* nor was it begun: descriptors or threads are
                             * missing here */
    PF_CONTACT_ANSWERED,    /* a response that does not ask to slow down */
    PF_CONTACT_SLOW_DOWN,   /* 429 or 503 */
    PF_CONTACT_BROKEN,      /* connected, but no whole answer */
    PF_CONTACT_UNREACHABLE  /* no name, no connection, no TLS */
};

struct pf_contact {
    enum pf_contact_kind kind;
    int64_t retry_after_ms; /* SLOW_DOWN: what the server asks for; -1 */
    bool is_fewer;          /* SLOW_DOWN: 429, fewer at once are asked for */
    const char *why;        /* UNREACHABLE: borrowed */
    uint64_t random;        /* for jitter */
};

/* What a contact has led to, for a person to know. */
struct pf_host_notice {
    enum {
        PF_NOTICE_NONE,
        PF_NOTICE_HOLD,      /* nothing goes to the host for ms */
        PF_NOTICE_HOLD_AGAIN, /* that has been said of the host before */
        PF_NOTICE_SET_ASIDE, /* one job will probe the origin after ms */
        PF_NOTICE_DOWN,      /* the probes are spent */
        PF_NOTICE_BACK,      /* the origin answers again */
        PF_NOTICE_SHORTAGE,  /* nothing starts at all for ms */
        PF_NOTICE_SHORTAGE_AGAIN, /* that has been said before */
        PF_NOTICE_SHORTAGE_LASTS /* for longer than limits.shortage_ms */
    } kind;
    int64_t ms;
    char name[80];           /* host or origin, cut to fit */
    char why[96];
};

/* 0 or PFETCH_ENOMEM. */
int pf_urlqueue_init(struct pf_urlqueue *queue,
                     const struct pf_urlqueue_limits *limits);
/* No thread may use it any more, and no job may be left inside. */
void pf_urlqueue_fini(struct pf_urlqueue *queue);

/* Reserves a place for a job, which has its URL (or none) and queue_bytes.
 * Blocks while the queue is full, or while the host of the URL has its share
 * of the places; woken by pf_urlqueue_release() and pf_urlqueue_stop().  A
 * queue without any unfinished job takes a text of any length.  0, or
 * PFETCH_ESTOPPED or PFETCH_ENOMEM: nothing was reserved. */
int pf_urlqueue_reserve(struct pf_urlqueue *queue, struct pfetch_job *job);

/* As pf_urlqueue_reserve(), but never waits: PFETCH_EAGAIN then. */
int pf_urlqueue_try_reserve(struct pf_urlqueue *queue,
                            struct pfetch_job *job);

/* Gives back the places of jobs that are finished, a list linked by `next`,
 * which stays the caller's.  Never waits. */
void pf_urlqueue_release(struct pf_urlqueue *queue, struct pfetch_job *jobs);

/* With a window: all jobs before number `oldest` have been delivered, the
 * window begins there.  Never waits. */
void pf_urlqueue_advance(struct pf_urlqueue *queue, uint64_t oldest);

/* Hands over a job for which a place is reserved.  On PFETCH_ESTOPPED (stopped
 * or closed) or PFETCH_ENOMEM the job stays with the caller.  Never waits. */
int pf_urlqueue_push(struct pf_urlqueue *queue, struct pfetch_job *job);

/* The next job, job->order saying what for; to be returned by one of retry,
 * redirect and leave.  Blocks until a job may run: its host is below its
 * limits and past its holds.  Woken by whatever may make a job run.  NULL:
 * stopped, or closed and nothing waits, is delayed, or is running any more. */
struct pfetch_job *pf_urlqueue_pop(struct pf_urlqueue *queue);

/* As pf_urlqueue_pop(), but never waits: NULL with *wake_us, the time to look
 * again (PF_NEVER: when something has changed). */
struct pfetch_job *pf_urlqueue_try_pop(struct pf_urlqueue *queue,
                                       int64_t *wake_us);

/* Puts a popped job back, to run again after delay_ms, or later if its host is
 * held back or set aside.  Never waits.  False: that would be after
 * job->deadline_us, or a shortage lasts (*notice says so); the job stays with
 * the caller, as popped.  *notice is filled in by this and by leave. */
bool pf_urlqueue_retry(struct pf_urlqueue *queue, struct pfetch_job *job,
                       int64_t delay_ms, const struct pf_contact *contact,
                       struct pf_host_notice *notice);

/* Puts a popped job back at once, under the host of its new URL; the old one
 * has answered.  Never waits.  On PFETCH_ENOMEM the job stays with the caller,
 * as popped. */
int pf_urlqueue_redirect(struct pf_urlqueue *queue, struct pfetch_job *job);

/* A popped job has no more transfers to do; it stays with the caller.  Wakes
 * nobody for the place this frees: the caller is a worker, and pops next. */
void pf_urlqueue_leave(struct pf_urlqueue *queue, struct pfetch_job *job,
                       const struct pf_contact *contact,
                       struct pf_host_notice *notice);

/* Why the origin of a popped job was given up; written to text. */
void pf_urlqueue_why_down(struct pf_urlqueue *queue,
                          const struct pfetch_job *job, char *text,
                          size_t size);

/* No more pushes: pop returns NULL once all is drained.  Any thread. */
void pf_urlqueue_close(struct pf_urlqueue *queue);

/* Nothing runs any more: reserve, push and pop return at once.  Any thread. */
void pf_urlqueue_stop(struct pf_urlqueue *queue);

/* After a stop, when no worker is left: takes out what waits, one job a
 * call.  NULL: nothing is left. */
struct pfetch_job *pf_urlqueue_take_left(struct pf_urlqueue *queue);

/* For pfetch_get_counters(): jobs that wait for another attempt, and hosts
 * that are held back. */
void pf_urlqueue_count(struct pf_urlqueue *queue, size_t *delayed,
                       size_t *held);

#endif
