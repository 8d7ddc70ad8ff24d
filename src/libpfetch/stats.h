/* stats.h - what pfetch_get_counters() counts.
 *
 * SPDX-License-Identifier: MIT
 *
 * Each number is one relaxed atomic: written where it happens, read by a
 * snapshot at any time.  No decision depends on them.
 */
#ifndef PF_STATS_H
#define PF_STATS_H

#include <stdatomic.h>
#include <stdint.h>

struct pf_stats {
    _Atomic uint64_t added;
    _Atomic uint64_t status[5]; /* by enum pfetch_status */
    _Atomic uint64_t running;
    _Atomic uint64_t retries;
    _Atomic uint64_t redirects;
    _Atomic uint64_t holds;
    _Atomic uint64_t hosts_down;
    _Atomic uint64_t body_bytes;
    _Atomic uint64_t connections_opened;
    _Atomic uint64_t connections_reused;
    _Atomic uint64_t connections_discarded;
};

static inline void pf_stat_add(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static inline void pf_stat_sub(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_fetch_sub_explicit(counter, n, memory_order_relaxed);
}

static inline uint64_t pf_stat_get(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

#endif
