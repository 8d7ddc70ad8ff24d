/* body.h - the bytes of one attempt's body, on their way into blocks.
 *
 * SPDX-License-Identifier: MIT
 *
 * One per worker, used by its thread only.
 */
#ifndef PF_BODY_H
#define PF_BODY_H

#include "block.h"
#include "checksum.h"
#include "resultqueue.h"

#include <stdatomic.h>

struct pf_body {
    struct pf_block_pool *pool;     /* set once, as the next two */
    struct pf_resultqueue *results;
    struct pf_block_user user;
    struct pfetch_job *job;         /* of the attempt going on */
    struct pf_response *response;   /* borrowed */
    int64_t offset;                 /* where the body starts in the whole */
    struct pf_block *block;         /* being filled; NULL: none yet */
    int64_t block_since_ms;         /* when its first byte came */
    bool is_fast;                   /* the last block filled quickly */
    bool is_begun;                  /* a block of this attempt was made */
    int64_t pushed_bytes;           /* handed to the result queue */
    int64_t waited_us;              /* for blocks; set to 0 by the worker */
    _Atomic int64_t shown_bytes;    /* of this attempt, for who looks on; set
                                     * to 0 by the worker */
};

enum pf_body_result {
    PF_BODY_OK,
    PF_BODY_ABORTED,  /* transfers are to be aborted (stop.h) */
    PF_BODY_NO_MEMORY
};

void pf_body_init(struct pf_body *body, struct pf_block_pool *pool,
                  struct pf_resultqueue *results);
void pf_body_fini(struct pf_body *body);

/* A new attempt of a job whose response can be accepted. */
void pf_body_begin(struct pf_body *body, struct pfetch_job *job,
                   struct pf_response *response, int64_t offset);

/* Takes bytes in.  Blocks while no block is to be had; woken by the writer
 * and on stop. */
enum pf_body_result pf_body_write(struct pf_body *body, const char *data,
                                  size_t size);

/* The attempt is over: the block not pushed yet, given to the caller; NULL:
 * there is none.  Pushing it before the verdict completes the body. */
struct pf_block *pf_body_tail(struct pf_body *body);

#endif
