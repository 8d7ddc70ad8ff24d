/* job.h - one URL and what became of it.
 *
 * SPDX-License-Identifier: MIT
 *
 * A job has exactly one owner at a time and a push hands it over:
 *
 *   pfetch_add() -> URL queue -> worker -+-> result queue -> writer -> freed
 *                       ^                |
 *                       +-- retry, redirect
 *
 * The fields fall into groups by who may touch them; no lock guards them,
 * the queues' locks order the hand-over.  While an attempt runs, or waits to
 * be repeated, blocks of it may already be with the writer: the writer then
 * uses the read-only group and its own, never the owner's.
 */
#ifndef PF_JOB_H
#define PF_JOB_H

#include "heap.h"
#include "response.h"
#include "spool.h"
#include "url.h"

#include <stdatomic.h>

struct pf_checksum;
struct pf_host;
struct pf_origin;
struct pf_resultqueue;

/* What travels through the result queue; embedded in a block or a job. */
enum pf_msg_kind {
    PF_MSG_BLOCK,   /* struct pf_block: bytes of a body */
    PF_MSG_VERDICT, /* a job whose transfers are over */
    PF_MSG_SETTLED  /* a job whose pending end() has been settled */
};

struct pf_msg {
    struct pf_msg *next;
    enum pf_msg_kind kind;
};

/* Where a job is while the URL queue has it. */
enum pf_job_place {
    PF_JOB_OUT,       /* with somebody else */
    PF_JOB_WAITING,   /* in its host's list, may run when the host may */
    PF_JOB_DELAYED,   /* in its host's heap, until a time */
    PF_JOB_PARKED,    /* with its origin, which is set aside */
    PF_JOB_CONCLUDED  /* popped next, but not to be run */
};

/* What a popped job is popped for. */
enum pf_job_order {
    PF_ORDER_RUN,       /* one attempt */
    PF_ORDER_EXPIRED,   /* to fail: its time is over */
    PF_ORDER_HOST_DOWN  /* to fail: its origin has been given up */
};

struct pfetch_job {
    /* Set by pfetch_add(), then read-only. */
    struct pfetch_request request;  /* its strings lie behind the struct */
    struct pf_url *home;            /* the URL of the list; NULL: no URL */
    struct pf_resultqueue *results; /* where pfetch_settle() goes to */
    struct pf_host *place_host;     /* whose places its place counts among;
                                     * the URL queue's; NULL: no URL */
    size_t queue_bytes;             /* what it counts for in the URL queue */
    uint64_t seq;                   /* number in the order of adding, from 0 */
    int64_t added_us;
    bool is_planned;                /* plan() let it go: end() is owed */

    /* The owner's. */
    struct pf_url *url;             /* of this hop: home, or the job's own */
    struct pf_host *host;           /* while in the URL queue or a worker */
    struct pf_origin *origin;       /* likewise */
    enum pf_job_place place;        /* the URL queue's word, as what follows */
    enum pf_job_order order;        /* what pop wants done with it */
    struct pfetch_job *next, **link; /* in a list; the pointer to it there */
    struct pf_heap_node delay;      /* in its host's heap of delayed jobs */
    struct pf_heap_node expiry;     /* in the heap of deadlines, if it has one */
    int64_t deadline_us;            /* --timeout; PF_NEVER: none, or not begun */
    uint64_t hold_seen;             /* its host's hold_seq when it was popped */
    int64_t popped_us;              /* to be run, last */
    unsigned attempts, hops;
    int64_t resume_offset;          /* > 0: ask for the rest from here on */
    int64_t resume_total;           /* -1: not known */
    char *resume_etag;              /* strong; NULL when resume_offset is 0 */
    bool is_unclaimed;              /* plan() has asked for that, and the
                                     * handler's resume() is yet to come */
    char *if_changed;               /* header of a conditional request; NULL */
    struct pf_checksum *checksum;   /* of the body; NULL: none is wanted, or
                                     * no attempt was begun */
    int64_t first_us;               /* begin of the first attempt */
    int64_t start_unix_ms;
    enum pfetch_status status;      /* the engine's verdict */
    enum pfetch_class cls;
    char *message;                  /* NULL: none, or no memory for it */
    struct pf_response *response;   /* of the last attempt, a reference */
    int64_t bytes, resumed_at, body_offset;
    int64_t declared_bytes;         /* length in the answer to HEAD; -1 */
    bool body_begun;                /* a block of the last attempt was pushed */
    bool length_verified, reused;
    int64_t dns_us, connect_us, tls_us, first_byte_us, total_us;
    char remote_ip[48];
    struct pf_msg verdict;

    /* The writer's; plan()'s before. */
    void *state;                    /* the handler's pointer */
    char *path;
    bool handler_failed;            /* begin or take said no: drop the rest */
    bool is_closed;                 /* its outcome is final; ordered only */
    struct pf_spooled spooled;      /* its body, if bodies are spooled */
    struct pf_response *spooled_of; /* with which that began, if at byte 0; a
                                     * reference; NULL */
    struct pf_msg settled;
    enum pfetch_reply settle_reply; /* by pfetch_settle(), before the push */
    struct pfetch_failure *handler_why; /* the handler's reason; NULL: none,
                                         * or no memory for it */

    /* Set by the writer, read by the worker: the handler has given this job
     * up, abort the transfer and do not try again. */
    _Atomic bool is_cancelled;
};

static inline struct pfetch_job *pf_job_of_verdict(struct pf_msg *msg)
{
    return (struct pfetch_job *)(void *)
        ((char *)msg - offsetof(struct pfetch_job, verdict));
}

static inline struct pfetch_job *pf_job_of_settled(struct pf_msg *msg)
{
    return (struct pfetch_job *)(void *)
        ((char *)msg - offsetof(struct pfetch_job, settled));
}

static inline struct pfetch_job *pf_job_of_expiry(struct pf_heap_node *node)
{
    return (struct pfetch_job *)(void *)
        ((char *)node - offsetof(struct pfetch_job, expiry));
}

static inline struct pfetch_job *pf_job_of_delay(struct pf_heap_node *node)
{
    return (struct pfetch_job *)(void *)
        ((char *)node - offsetof(struct pfetch_job, delay));
}

/* The text of a request, which its job copies. */
size_t pf_request_bytes(const struct pfetch_request *request);

/* A copy of the request, without a URL yet.  NULL: out of memory. */
struct pfetch_job *pf_job_create(const struct pfetch_request *request);

/* NULL is allowed. */
void pf_job_free(struct pfetch_job *job);

/* The owner's verdict.  text may be NULL. */
void pf_job_set_verdict(struct pfetch_job *job, enum pfetch_status status,
                        enum pfetch_class cls, const char *text);

/* A reason of the handler's without a class is class handler, and one without
 * a text gets one. */
void pf_failure_complete(struct pfetch_failure *why);

/* The handler's reason, copied. */
void pf_job_keep_reason(struct pfetch_job *job,
                        const struct pfetch_failure *why);

/* The next hop's URL; given. */
void pf_job_set_url(struct pfetch_job *job, struct pf_url *url);

/* Where the next attempt continues; etag is copied.  offset 0: nowhere, from
 * the beginning (cannot fail).  0 or PFETCH_ENOMEM: then from the beginning. */
int pf_job_set_resume(struct pfetch_job *job, int64_t offset, int64_t total,
                      const char *etag);

/* The record as far as the engine knows it.  Pointers are borrowed from the
 * job. */
void pf_job_record(const struct pfetch_job *job,
                   struct pfetch_record *record);

#endif
