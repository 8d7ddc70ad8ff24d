/* hash.h - FNV-1a (Fowler, Noll, Vo), for tables in memory.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PF_HASH_H
#define PF_HASH_H

#include <stdint.h>

static inline uint64_t pf_hash(const char *s)
{
    uint64_t h = UINT64_C(14695981039346656037);

    for (; *s != '\0'; s++)
        h = (h ^ (unsigned char)*s) * UINT64_C(1099511628211);
    return h ^ (h >> 32);
}

#endif
