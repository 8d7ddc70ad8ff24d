/* descriptors.h - how many workers and idle connections the descriptors allow.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PF_DESCRIPTORS_H
#define PF_DESCRIPTORS_H

/* Lowers *workers (never below 1) and *max_idle (never below 0) to what
 * `descriptors` open files allow, `others` of them being used otherwise. */
void pf_descriptors_share(unsigned long long descriptors, unsigned others,
                     unsigned *workers, unsigned *max_idle);

/* Raises the soft limit of open files towards the hard one as far as the
 * workers and idle connections asked for need, then lowers both as
 * pf_descriptors_share() does.  Returns the limit in force. */
unsigned long long pf_descriptors_raise(unsigned others, unsigned *workers,
                                   unsigned *max_idle);

#endif
