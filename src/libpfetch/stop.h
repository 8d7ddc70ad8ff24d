/* stop.h - the one word that ends everything early.
 *
 * SPDX-License-Identifier: MIT
 *
 * Written by pfetch_stop() from any thread, read without a lock wherever
 * something may take long: libcurl's progress callback and the wait for a
 * block.  Who sleeps on a condition is woken by the owner of that condition,
 * after this was written.
 */
#ifndef PF_STOP_H
#define PF_STOP_H

#include "thread.h"

#include <stdatomic.h>

struct pf_stop {
    /* When transfers still running are to be aborted, on pf_now_ms()'s
     * clock; PF_NEVER while nobody has asked for it.  It only sinks. */
    _Atomic int64_t abort_at_ms;
};

static inline void pf_stop_init(struct pf_stop *stop)
{
    atomic_init(&stop->abort_at_ms, PF_NEVER);
}

static inline int64_t pf_stop_abort_at_ms(const struct pf_stop *stop)
{
    return atomic_load_explicit(&stop->abort_at_ms, memory_order_relaxed);
}

/* The earlier of what was asked before and at_ms. */
static inline void pf_stop_abort_at(struct pf_stop *stop, int64_t at_ms)
{
    int64_t old = atomic_load(&stop->abort_at_ms);

    while (at_ms < old
           && !atomic_compare_exchange_weak(&stop->abort_at_ms, &old, at_ms))
        ;
}

static inline bool pf_stop_is_abort(const struct pf_stop *stop)
{
    int64_t at_ms = pf_stop_abort_at_ms(stop);

    return at_ms != PF_NEVER && pf_now_ms() >= at_ms;
}

#endif
