/* pack.h - a stream of bytes, compressed or not, that can be cut.
 *
 * SPDX-License-Identifier: MIT
 *
 * What was written before the last pf_pack_flush() can be unpacked from what
 * has come out until then, and a few bytes known beforehand, the tail, make a
 * complete stream of it.  So a file can be whole after each flush, and goes
 * on where the tail was: nothing compressed is lost by cutting it there, and
 * what was written before still helps to compress what follows.
 *
 * A packer belongs to one thread at a time.  Functions return 0 or an errno:
 * what put() returned, or ENOMEM.
 */
#ifndef PF_PACK_H
#define PF_PACK_H

#include <stdbool.h>
#include <stddef.h>

enum pf_pack_kind { PF_PACK_PLAIN, PF_PACK_GZIP, PF_PACK_ZSTD };

enum {
    PF_PACK_TAIL_BYTES = 10, /* at most */
    PF_PACK_STORE_BYTES = 65535 /* what pf_pack_store() may be given */
};

struct pf_pack;

/* Whether it was compiled in. */
bool pf_pack_has(enum pf_pack_kind kind);

/* put gets what comes out; `to` is passed to it.  NULL: out of memory, or the
 * kind was not compiled in. */
struct pf_pack *pf_pack_create(enum pf_pack_kind kind,
                               int (*put)(void *to, const void *data,
                                          size_t size),
                               void *to);
void pf_pack_free(struct pf_pack *pack); /* NULL is allowed */

/* Begins a stream (a gzip member, a zstd frame), if none is going on. */
int pf_pack_begin(struct pf_pack *pack);

/* Begins a stream, if need be, and compresses. */
int pf_pack_write(struct pf_pack *pack, const void *data, size_t size);

int pf_pack_flush(struct pf_pack *pack);

/* The bytes that end the stream as it was at the last flush; answers how many
 * there are. */
size_t pf_pack_tail(const struct pf_pack *pack,
                    unsigned char tail[PF_PACK_TAIL_BYTES]);

/* Ends the stream, if one is going on. */
int pf_pack_end(struct pf_pack *pack);

/* For bytes that are to be put in place later: they come out as they are, in
 * one call of put(), before anything else of a stream is written.  Not for
 * zstd. */
int pf_pack_store(struct pf_pack *pack, const void *data, size_t size);

/* The bytes given to pf_pack_store(), as they are in the end: to be called
 * before pf_pack_end(). */
void pf_pack_restore(struct pf_pack *pack, const void *data, size_t size);

#endif
