/* digest.h - SHA-256 of short texts, and checksums of files.
 *
 * SPDX-License-Identifier: MIT
 *
 * A digest keeps the algorithm and a context of libcrypto, so that a sum
 * allocates nothing.  It belongs to one thread at a time.
 */
#ifndef PF_DIGEST_H
#define PF_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/evp.h>

enum { PF_DIGEST_BYTES = 32 };

struct pf_digest {
    EVP_MD *md;
    EVP_MD_CTX *ctx;
};

/* 0 or PFETCH_ENOMEM; pf_digest_fini() is allowed after both. */
int pf_digest_init(struct pf_digest *digest);
void pf_digest_fini(struct pf_digest *digest);

/* The sum of the byte `space`, unless that is 0, and then of text.  0 or
 * PFETCH_ENOMEM. */
int pf_digest_sum(struct pf_digest *digest, char space, const void *text,
                  size_t size, uint8_t sum[PF_DIGEST_BYTES]);

/* Whether a file in a directory has the checksum "ALGO:HEX" (see
 * pfetch_checksum_check()).  It is read to its end; no symbolic link is
 * followed.  One that cannot be read has not. */
bool pf_digest_matches(const char *checksum, int dir, const char *name);

/* Writes 2 * size lower-case hexadecimal digits and a NUL. */
void pf_digest_hex(const uint8_t *sum, size_t size, char *hex);

#endif
