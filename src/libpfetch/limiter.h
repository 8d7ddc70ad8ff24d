/* limiter.h - so many bytes per second, for all transfers together.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PF_LIMITER_H
#define PF_LIMITER_H

#include "stop.h"

#include <pthread.h>

struct pf_limiter {
    pthread_mutex_t lock;       /* guards next_us */
    pthread_cond_t woken;       /* broadcast on stop only: everybody who waits
                                 * has a deadline of its own */
    int64_t next_us;            /* when the bytes admitted so far are through */
    int64_t bytes_per_s;        /* 0: no limit; set before start */
    const struct pf_stop *stop; /* set before start */
};

void pf_limiter_init(struct pf_limiter *limiter, int64_t bytes_per_s,
                     const struct pf_stop *stop);
void pf_limiter_fini(struct pf_limiter *limiter);

/* Admits bytes: blocks until those admitted before are through.  Woken by
 * pf_limiter_wake().  False: transfers are to be aborted, or deadline_us has
 * come first; then the bytes do not count. */
bool pf_limiter_admit(struct pf_limiter *limiter, size_t bytes,
                      int64_t deadline_us);

/* To be called after the stop word was changed. */
void pf_limiter_wake(struct pf_limiter *limiter);

#endif
