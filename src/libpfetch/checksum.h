/* checksum.h - digests of bodies.
 *
 * SPDX-License-Identifier: MIT
 *
 * A digest belongs to its job and is computed by the worker that has the job,
 * while bytes go into blocks: so as many bodies are hashed at once as are
 * fetched, and the writer has no part in it.
 */
#ifndef PF_CHECKSUM_H
#define PF_CHECKSUM_H

#include "pfetch.h"
#include "stop.h"

#include <openssl/evp.h>

struct pf_checksum_algo {
    const char *name; /* as it stands in "ALGO:HEX"; OpenSSL knows it so */
    size_t bytes;     /* of a digest */
};

enum {
    PF_CHECKSUM_ALGOS = 4,
    PF_CHECKSUM_TEXT_BYTES = sizeof("sha512:") + 2 * 64
};

/* The algorithm of "ALGO" or "ALGO:HEX".  NULL: none of ours. */
const struct pf_checksum_algo *pf_checksum_algo(const char *text);

/* The algorithms as OpenSSL has them, looked up once for all jobs; NULL: it
 * has this one not.  Read-only between init and fini. */
struct pf_checksum_methods {
    EVP_MD *md[PF_CHECKSUM_ALGOS];
};

void pf_checksum_methods_init(struct pf_checksum_methods *methods);
void pf_checksum_methods_fini(struct pf_checksum_methods *methods);

/* Whether the algorithm of "ALGO" or "ALGO:HEX" can be had. */
bool pf_checksum_can(const struct pf_checksum_methods *methods,
                     const char *text);

/* The digest of one body.  The job's owner only. */
struct pf_checksum {
    const struct pf_checksum_algo *algo;
    const EVP_MD *md;           /* borrowed, as stop */
    const struct pf_stop *stop; /* for who reads what is there already */
    EVP_MD_CTX *ctx;
    int64_t bytes;              /* taken in; -1: finished, or broken */
    char text[PF_CHECKSUM_TEXT_BYTES]; /* "ALGO:HEX" once finished, else "" */
};

/* A digest by the algorithm of "ALGO" or "ALGO:HEX", which can be had.  NULL:
 * out of memory. */
struct pf_checksum *pf_checksum_create(
    const struct pf_checksum_methods *methods, const char *text,
    const struct pf_stop *stop);
void pf_checksum_free(struct pf_checksum *checksum); /* NULL is allowed */

/* The next bytes are those from offset on: goes on if that is how far it has
 * come, begins anew at 0, and is broken otherwise. */
void pf_checksum_begin(struct pf_checksum *checksum, int64_t offset);

void pf_checksum_update(struct pf_checksum *checksum, const void *data,
                        size_t size);

/* Sets text.  0, or PFETCH_ENOMEM: it is broken. */
int pf_checksum_finish(struct pf_checksum *checksum);

#endif
