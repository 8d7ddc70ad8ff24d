/* spool.h - where bodies wait until they may be handed over.
 *
 * SPDX-License-Identifier: MIT
 *
 * For handlers that take one body at a time, and for delivery in order.
 * Everything here is the writer thread's: there is no lock.
 */
#ifndef PF_SPOOL_H
#define PF_SPOOL_H

#include "pfetch.h"

/* One body.  All zero: it is empty, and needs no pf_spool_drop(). */
struct pf_spooled {
    struct pf_spool_piece *first, *last;
    int64_t offset;   /* of its first byte in the whole body */
    int64_t size;     /* bytes kept */
    int64_t expected; /* bytes still announced; 0 or below: not known */
};

struct pf_spool {
    size_t limit_bytes;  /* of memory; set before use, as dir */
    const char *dir;
    size_t memory_bytes; /* allocated for pieces in memory */
    int fd;              /* the temporary file; -1: not made yet */
    uint64_t slots;      /* the file has had so many */
    uint64_t used_slots;
    uint64_t *free_slots; /* numbers of those that may be used again */
    size_t free_count, free_capacity;
    unsigned char *buffer; /* for a piece out of the file; NULL: none yet */
};

/* dir is borrowed. */
void pf_spool_init(struct pf_spool *spool, size_t limit_bytes,
                   const char *dir);
/* All bodies must have been dropped or taken. */
void pf_spool_fini(struct pf_spool *spool);

/* The bytes that follow begin at offset: what came before it is kept, the
 * rest dropped; all is, if offset is not within what is there.  expected is
 * the number of bytes announced, -1 if it is not known. */
void pf_spool_begin(struct pf_spool *spool, struct pf_spooled *body,
                    int64_t offset, int64_t expected);

/* 0, or PFETCH_EINVAL with *why, class local: the file cannot be made or
 * written.  The body can only be dropped then. */
int pf_spool_append(struct pf_spool *spool, struct pf_spooled *body,
                    const void *data, size_t size,
                    struct pfetch_failure *why);

/* Takes out the next piece, PFETCH_SPOOL_PIECE_BYTES unless it is the last;
 * *data is borrowed until the next call with this body.  *size is 0: there is
 * none.  0, or PFETCH_EINVAL with *why, class local: the file cannot be
 * read. */
int pf_spool_take(struct pf_spool *spool, struct pf_spooled *body,
                  const void **data, size_t *size,
                  struct pfetch_failure *why);

/* Frees what is left of a body. */
void pf_spool_drop(struct pf_spool *spool, struct pf_spooled *body);

#endif
