/* checksum.h - digests of bodies.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PF_CHECKSUM_H
#define PF_CHECKSUM_H

#include "pfetch.h"

struct pf_checksum_algo {
    const char *name; /* as it stands in "ALGO:HEX"; OpenSSL knows it so */
    size_t bytes;     /* of a digest */
};

/* The algorithm of "ALGO" or "ALGO:HEX".  NULL: none of ours. */
const struct pf_checksum_algo *pf_checksum_algo(const char *text);

#endif
