/* host.h - one host name: its jobs, and its place in the turns.
 *
 * SPDX-License-Identifier: MIT
 *
 * All of it is the URL queue's: its lock guards every field.
 */
#ifndef PF_HOST_H
#define PF_HOST_H

#include "heap.h"
#include "job.h"

/* Where a host stands in the URL queue. */
enum pf_host_place {
    PF_HOST_IDLE,  /* nothing to run, now or later */
    PF_HOST_READY, /* in the ring of hosts that take turns */
    PF_HOST_TIMED  /* in the heap: its earliest delayed job is the key */
};

struct pf_host {
    struct pf_host *chain;         /* next in its bucket */
    uint64_t hash;
    struct pfetch_job *first, **last; /* jobs that may run now, in order */
    struct pf_heap delayed;        /* jobs that wait for a retry, by time */
    unsigned running;              /* jobs popped and not yet left */
    enum pf_host_place place;
    struct pf_host *next_ready;
    struct pf_heap_node timer;
    char name[];
};

/* The hosts known, by name: those with a job in the URL queue or a worker. */
struct pf_host_table {
    struct pf_host **buckets;
    size_t size; /* a power of two */
    size_t count;
};

/* 0 or PFETCH_ENOMEM. */
int pf_host_table_init(struct pf_host_table *table);
/* Frees the hosts that are left, too. */
void pf_host_table_fini(struct pf_host_table *table);

/* The host of that name, made if it is not there.  NULL: out of memory. */
struct pf_host *pf_host_get(struct pf_host_table *table, const char *name);

/* Forgets a host that has no jobs. */
void pf_host_drop(struct pf_host_table *table, struct pf_host *host);

static inline struct pf_host *pf_host_of_timer(struct pf_heap_node *node)
{
    return (struct pf_host *)(void *)
        ((char *)node - offsetof(struct pf_host, timer));
}

/* At the end, or (a redirect: it is older than what waits) at the front. */
void pf_host_append(struct pf_host *host, struct pfetch_job *job);
void pf_host_prepend(struct pf_host *host, struct pfetch_job *job);

/* NULL: none may run now. */
struct pfetch_job *pf_host_take(struct pf_host *host);

/* Moves the delayed jobs whose time has come to those that may run; returns
 * how many. */
size_t pf_host_wake_delayed(struct pf_host *host, int64_t now_ms);

static inline bool pf_host_is_unused(const struct pf_host *host)
{
    return host->running == 0 && host->first == NULL
           && pf_heap_is_empty(&host->delayed);
}

#endif
