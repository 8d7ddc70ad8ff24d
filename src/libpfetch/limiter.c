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

/* Until start_us, or less; true: it has come. */
static bool wait_locked(struct pf_limiter *limiter, int64_t start_us,
                        int64_t deadline_us)
{
    int64_t now_us;

    while ((now_us = pf_now_us()) < start_us) {
        int64_t abort_ms = pf_stop_abort_at_ms(limiter->stop);
        int64_t until_us = start_us < deadline_us ? start_us : deadline_us;

        if (now_us >= deadline_us || pf_stop_is_abort(limiter->stop))
            return false;
        if (abort_ms < until_us / 1000)
            until_us = abort_ms * 1000;
        (void)pf_cond_wait_until(&limiter->woken, &limiter->lock, until_us);
    }
    return true;
}

bool pf_limiter_admit(struct pf_limiter *limiter, size_t bytes,
                      int64_t deadline_us)
{
    int64_t now_us, start_us, takes_us;
    bool is_admitted;

    if (limiter->bytes_per_s == 0)
        return true;
    pf_mutex_lock(&limiter->lock);
    now_us = pf_now_us();
    if (limiter->next_us < now_us - CREDIT_US)
        limiter->next_us = now_us - CREDIT_US;
    start_us = limiter->next_us;
    takes_us = (int64_t)((double)bytes * 1e6 / (double)limiter->bytes_per_s);
    limiter->next_us += takes_us;
    is_admitted = wait_locked(limiter, start_us, deadline_us);
    if (!is_admitted)
        limiter->next_us -= takes_us; /* to those who come next */
    pf_mutex_unlock(&limiter->lock);
    return is_admitted;
}

void pf_limiter_wake(struct pf_limiter *limiter)
{
    pf_mutex_lock(&limiter->lock);
    pf_cond_broadcast(&limiter->woken);
    pf_mutex_unlock(&limiter->lock);
}
