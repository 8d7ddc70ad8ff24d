/* worker.h - one thread that fetches.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PF_WORKER_H
#define PF_WORKER_H

#include "body.h"
#include "retry.h"
#include "transfer.h"

struct pf_checksum_methods;
struct pf_urlqueue;

/* What all workers have in common.  Read-only once they run. */
struct pf_worker_context {
    const struct pfetch_options *options;
    const struct pf_transfer_context *transfer;
    const struct pf_checksum_methods *methods;
    const struct pfetch_handler *handler; /* for its resume() */
    struct pf_status_set retry_http;
    struct pf_urlqueue *urls;
    struct pf_resultqueue *results;
    struct pf_stats *stats;

    /* Called once the place is found unusable; never waits.  Any thread. */
    void (*on_broken)(void *user, const struct pfetch_failure *why);
    void *user;
};

struct pf_worker {
    pthread_t thread;
    const struct pf_worker_context *context;
    struct pf_body body;
    struct pf_transfer *transfer;
    uint64_t random; /* worker only: jitter */

    /* For pfetch_get_transfers().  The job is read by others with the lock
     * held, so the worker takes it before it begins and before it gives the
     * job away. */
    pthread_mutex_t lock;       /* guards the next; made and ended with the
                                 * array of workers */
    struct pfetch_job *running; /* NULL: no transfer is going on */
};

/* Starts the thread.  The worker stays the caller's, at a fixed address,
 * until pf_worker_join().  0, PFETCH_ENOMEM or PFETCH_ETHREAD: nothing runs,
 * nothing is left to be freed. */
int pf_worker_start(struct pf_worker *worker,
                    const struct pf_worker_context *context,
                    struct pf_block_pool *pool, uint64_t seed);

/* Waits until the thread has ended: when pf_urlqueue_pop() returns NULL. */
void pf_worker_join(struct pf_worker *worker);

/* The transfer it is busy with at that time; false: none.  Any thread. */
bool pf_worker_look(struct pf_worker *worker, int64_t now_us,
                    struct pfetch_transfer *transfer);

/* What it still holds: all blocks must have come back to the pool. */
void pf_worker_fini(struct pf_worker *worker);

#endif
