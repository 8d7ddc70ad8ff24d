/* host.h - one host name: its jobs, its limits, its health.
 *
 * SPDX-License-Identifier: MIT
 *
 * All of it is the URL queue's: its lock guards every field.  Times are on
 * the URL queue's clock, in microseconds.
 */
#ifndef PF_HOST_H
#define PF_HOST_H

#include "heap.h"
#include "job.h"
#include "joblist.h"

/* Where a host stands in the URL queue. */
enum pf_host_place {
    PF_HOST_IDLE,  /* nothing of it may run until a job of it comes back */
    PF_HOST_READY, /* in the ring of hosts that take turns */
    PF_HOST_TIMED  /* in the heap, by the time at which it is looked at again */
};

/* The circuit breaker goes by origin: another port is another server. */
enum pf_origin_state {
    PF_ORIGIN_UP,
    PF_ORIGIN_SET_ASIDE, /* one job probes it, the others are parked */
    PF_ORIGIN_DOWN       /* the probes are spent: jobs fail at once */
};

struct pf_origin {
    struct pf_origin *next;    /* of the same host */
    enum pf_origin_state state;
    size_t jobs;               /* inside the URL queue or with a worker */
    bool has_answered;         /* at least once */
    unsigned failures;         /* to connect, in a row */
    unsigned probes;           /* made since it was set aside */
    struct pfetch_job *probe;  /* while set aside: on its way, or waits to
                                * be; inside all the time */
    int64_t next_probe_us;     /* while set aside: when the next may go */
    struct pf_job_list parked;
    char why[96];              /* how the last attempt failed */
    char key[];                /* as pf_url.origin */
};

struct pf_host {
    struct pf_host *chain;     /* next in its bucket */
    uint64_t hash;
    struct pf_job_list waiting; /* jobs that may run when the host may */
    struct pf_heap delayed;    /* jobs that wait for a retry, by time */
    struct pf_origin *origins;
    size_t places;             /* reserved for jobs that began here */
    unsigned running;          /* jobs popped and not yet back */
    enum pf_host_place place;
    struct pf_host *next_ready;
    struct pf_heap_node timer;
    struct pf_heap_node ahead; /* in the heap of hosts beyond the window */
    bool is_ahead;             /* it is there */

    /* Limits, set when it is made. */
    unsigned limit;            /* transfers at once; 0: none */
    int64_t interval_us;       /* between two starts; 0: none */

    /* Health. */
    int64_t next_start_us;     /* by interval_us */
    int64_t hold_until_us;     /* 429 or 503: nothing starts before */
    uint64_t hold_seq;         /* holds so far; see pf_job.hold_seen */
    unsigned burst;            /* starts left that 503 does not hold back */
    bool hold_said;            /* a person has been told */
    unsigned hold_level;       /* holds in a row without a good answer */
    unsigned allowed;          /* fewer at once than the limit; 0: no matter */
    unsigned peak;             /* most at once since `allowed` changed */
    unsigned good;             /* good answers since `allowed` changed */
    int64_t keep_until_us;     /* not forgotten before, even without jobs */
    char name[];
};

/* The hosts known, by name. */
struct pf_host_table {
    struct pf_host **buckets;
    size_t size; /* a power of two */
    size_t count;
};

/* 0 or PFETCH_ENOMEM. */
int pf_host_table_init(struct pf_host_table *table);
/* Frees the hosts that are left, too. */
void pf_host_table_fini(struct pf_host_table *table);

/* The host of that name, made if it is not there (*is_new then).  NULL: out
 * of memory. */
struct pf_host *pf_host_get(struct pf_host_table *table, const char *name,
                            bool *is_new);

/* Forgets a host that has no jobs. */
void pf_host_drop(struct pf_host_table *table, struct pf_host *host);

/* The origin of that key, made if it is not there; NULL: out of memory. */
struct pf_origin *pf_host_origin(struct pf_host *host, const char *key);

/* Forgets an origin without jobs that is up. */
void pf_host_drop_origin(struct pf_host *host, struct pf_origin *origin);

/* Some job the host has, in whatever place, left there; NULL: none. */
struct pfetch_job *pf_host_any_job(const struct pf_host *host);

static inline struct pf_host *pf_host_of_timer(struct pf_heap_node *node)
{
    return (struct pf_host *)(void *)
        ((char *)node - offsetof(struct pf_host, timer));
}

static inline struct pf_host *pf_host_of_ahead(struct pf_heap_node *node)
{
    return (struct pf_host *)(void *)
        ((char *)node - offsetof(struct pf_host, ahead));
}

/* Moves the delayed jobs whose time has come to those that may run, to the
 * end or to the front; returns how many. */
size_t pf_host_wake_delayed(struct pf_host *host, int64_t now_us,
                            bool to_front);

/* No job of it is inside the URL queue or with a worker, and no place is
 * reserved for one. */
bool pf_host_is_unused(const struct pf_host *host);

/* As many at once as its limits allow. */
static inline bool pf_host_is_busy(const struct pf_host *host)
{
    return (host->limit > 0 && host->running >= host->limit)
           || (host->allowed > 0 && host->running >= host->allowed);
}

#endif
