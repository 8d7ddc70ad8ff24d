/* retry.h - which failures are worth another attempt, and when.
 *
 * SPDX-License-Identifier: MIT
 *
 * Pure: no clock, no randomness of its own, no libcurl.
 */
#ifndef PF_RETRY_H
#define PF_RETRY_H

#include "pfetch.h"

/* A set of HTTP statuses, one bit each. */
struct pf_status_set {
    uint64_t bits[16]; /* 0 to 999 */
};

/* Reads "408,429,500-504".  "" is the empty set.  0, or PFETCH_EINVAL: a
 * status below 400 or above 999 (a success or a redirect is no failure), or
 * text that is no such list. */
int pf_status_set_parse(struct pf_status_set *set, const char *list);

static inline bool pf_status_set_has(const struct pf_status_set *set,
                                     int status)
{
    return status >= 0 && status < 1000
           && ((set->bits[status / 64] >> (status % 64)) & 1) != 0;
}

/* The delay before further attempt number k (1 the first): exponential with
 * full jitter, drawn evenly from 0 to min(max_ms, base_ms * 2^(k-1)), by the
 * random bits given. */
int64_t pf_retry_delay_ms(unsigned k, int64_t base_ms, int64_t max_ms,
                          uint64_t random);

/* xorshift64* (Vigna, "An experimental exploration of Marsaglia's xorshift
 * generators", 2016): jitter needs no more.  *state must not be 0. */
static inline uint64_t pf_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(2685821657736338717);
}

#endif
