/* block.h - the bounded pool of body blocks.
 *
 * SPDX-License-Identifier: MIT
 *
 * Body bytes travel from the workers to the writer in blocks.  The pool is
 * what bounds the result queue: no push ever waits, getting a block does, and
 * a worker that waits for one does not read its socket, so that
 * back-pressure reaches the server.
 *
 * Blocks have two sizes.  Each worker owns the right to one small block at
 * any time; beyond that, small and large ones are counted against a common
 * limit.  A slow transfer lives in its worker's own small block, so that any
 * number of slow transfers cannot take the common blocks from a fast one.
 */
#ifndef PF_BLOCK_H
#define PF_BLOCK_H

#include "job.h"
#include "stop.h"

#include <pthread.h>

enum {
    PF_BLOCK_SMALL_BYTES = 16 * 1024,
    PF_BLOCK_LARGE_BYTES = 256 * 1024
};

struct pf_block {
    struct pf_msg msg;          /* in the result queue; in a free list */
    struct pfetch_job *job;
    struct pf_response *response; /* first block of an attempt: a reference,
                                   * begin() comes before its bytes */
    int64_t offset;             /* with response: where the body starts */
    struct pf_block_user *user; /* whose own block it is; NULL: a common one */
    size_t size;                /* bytes filled */
    size_t capacity;
    unsigned char data[];
};

static inline struct pf_block *pf_block_of(struct pf_msg *msg)
{
    return (struct pf_block *)(void *)
        ((char *)msg - offsetof(struct pf_block, msg));
}

/* A worker's account with the pool.  All fields are guarded by the pool's
 * lock. */
struct pf_block_user {
    pthread_cond_t granted;     /* a block this one waits for may be had;
                                 * signalled by put, broadcast on stop */
    bool has_own;               /* its own small block is out */
    bool is_waiting;
    struct pf_block_user *next_waiting;
};

struct pf_block_pool {
    pthread_mutex_t lock;       /* guards all below but limit and stop */
    size_t common_bytes;        /* common blocks that are out */
    size_t free_bytes;          /* in the free lists */
    struct pf_msg *free_small, *free_large;
    struct pf_block_user *first_waiting, **last_waiting;
    size_t limit_bytes;         /* of common blocks; set before start */
    const struct pf_stop *stop; /* set before start */
};

/* limit_bytes is raised to one large block if it is below. */
void pf_block_pool_init(struct pf_block_pool *pool, size_t limit_bytes,
                        const struct pf_stop *stop);
/* All blocks must have come back. */
void pf_block_pool_fini(struct pf_block_pool *pool);

void pf_block_user_init(struct pf_block_user *user);
void pf_block_user_fini(struct pf_block_user *user);

/* An empty block, large if that is wished and to be had at once, else small.
 * Blocks while the user has its own small block out and the limit is reached;
 * woken by pf_block_put() and pf_block_pool_wake().  NULL: transfers are to be
 * aborted (see stop.h), or out of memory (*no_memory is set then).  One
 * thread per user. */
struct pf_block *pf_block_get(struct pf_block_pool *pool,
                              struct pf_block_user *user, bool want_large,
                              bool *no_memory);

/* Gives a block back; never waits.  Any thread. */
void pf_block_put(struct pf_block_pool *pool, struct pf_block *block);

/* To be called after the stop word was changed: who waits looks again. */
void pf_block_pool_wake(struct pf_block_pool *pool);

#endif
