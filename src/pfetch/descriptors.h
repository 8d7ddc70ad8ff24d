/* descriptors.h - how many workers, idle connections and unfinished jobs the
 * descriptors allow.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PF_DESCRIPTORS_H
#define PF_DESCRIPTORS_H

#include <stddef.h>

/* Lowers *workers (never below 1), *max_idle (never below 0) and *jobs, those
 * not finished (never below *workers), to what `descriptors` open files
 * allow, `others` of them being used otherwise. */
void pf_descriptors_share(unsigned long long descriptors, unsigned others,
                          unsigned *workers, unsigned *max_idle,
                          size_t *jobs);

/* Raises the soft limit of open files towards the hard one as far as what is
 * asked for needs, then lowers that as pf_descriptors_share() does.  Returns
 * the limit in force. */
unsigned long long pf_descriptors_raise(unsigned others, unsigned *workers,
                                        unsigned *max_idle, size_t *jobs);

/* How many of `wanted` files the handler may keep open beside those of the
 * workers: a sixteenth of what may be open, at least 1. */
unsigned pf_descriptors_spare(unsigned wanted);

#endif
