/* limiter.c - so many bytes per second, for all transfers together.
 *
 * SPDX-License-Identifier: MIT
 *
 * Each piece of a body gets its place on one common time line, as long as its
 * bytes take at the rate wished; its worker waits until that place comes, and
 * does not read its socket meanwhile.  So the sum is right with one worker and
 * with hundreds, and over any stretch of time.  A worker that wakes late is
 * made up for, within CREDIT_US.
 */
#include "config.h"

#include "limiter.h"

enum { CREDIT_US = 100 * 1000 };

void pf_limiter_init(struct pf_limiter *limiter, int64_t bytes_per_s,
                     const struct pf_stop *stop)
{
    pf_mutex_init(&limiter->lock);
    pf_cond_init(&limiter->woken);
    limiter->next_us = 0;
    limiter->bytes_per_s = bytes_per_s;
    limiter->stop = stop;
}

void pf_limiter_fini(struct pf_limiter *limiter)
{
    pf_cond_fini(&limiter->woken);
    pf_mutex_fini(&limiter->lock);
}

bool pf_limiter_admit(struct pf_limiter *limiter, size_t bytes)
{
    int64_t now_us, start_us;
    bool is_abort = false;

    if (limiter->bytes_per_s == 0)
        return true;
    pf_mutex_lock(&limiter->lock);
    now_us = pf_now_us();
    if (limiter->next_us < now_us - CREDIT_US)
        limiter->next_us = now_us - CREDIT_US;
    start_us = limiter->next_us;
    limiter->next_us += (int64_t)((double)bytes * 1e6
                                  / (double)limiter->bytes_per_s);
    while (pf_now_us() < start_us
           && !(is_abort = pf_stop_is_abort(limiter->stop))) {
        int64_t abort_ms = pf_stop_abort_at_ms(limiter->stop);
        int64_t until_us = start_us;

        if (abort_ms < until_us / 1000)
            until_us = abort_ms * 1000;
        (void)pf_cond_wait_until(&limiter->woken, &limiter->lock, until_us);
    }
    pf_mutex_unlock(&limiter->lock);
    return !is_abort;
}

void pf_limiter_wake(struct pf_limiter *limiter)
{
    pf_mutex_lock(&limiter->lock);
    pf_cond_broadcast(&limiter->woken);
    pf_mutex_unlock(&limiter->lock);
}
