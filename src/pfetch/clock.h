/* clock.h - the monotonic clock in milliseconds.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PF_CLOCK_H
#define PF_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Milliseconds since some fixed moment; never goes back.  Any thread. */
static inline int64_t pf_clock_ms(void)
{
    struct timespec now;

    /* Cannot fail: CLOCK_MONOTONIC exists wherever pthreads do. */
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

#endif
