/* shard.h - which lines of a list this process takes, of several that share
 * it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PF_SHARD_H
#define PF_SHARD_H

#include <stdbool.h>
#include <stddef.h>

enum { PF_SHARDS_MAX = 1000000, PF_SHARD_WHY_BYTES = 256 };

/* Shard `index` of `count`; 1 of 1, or all 0, is the whole list. */
struct pf_shard {
    unsigned index; /* from 1 */
    unsigned count;
};

/* Reads "I/N", or "auto" or "auto/N": then the environment that Slurm or
 * Kubernetes gives to a task of an array says it.  False: why holds one line
 * about it. */
bool pf_shard_parse(struct pf_shard *shard, const char *text,
                    char why[PF_SHARD_WHY_BYTES]);

/* The shard, from 1 to count, that the lines of a host belong to; of a line
 * that is no URL, host is its text.  The same in each process that has the
 * same version and count. */
unsigned pf_shard_of(const char *host, unsigned count);

#endif
