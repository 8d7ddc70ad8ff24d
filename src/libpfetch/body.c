/* body.c - the bytes of one attempt's body, on their way into blocks.
 *
 * SPDX-License-Identifier: MIT
 *
 * The last block of an attempt is not pushed here: the worker pushes it
 * together with the verdict, so that a small file costs one push.
 *
 * A transfer begins with a small block.  Once it has filled one quickly it
 * asks for large ones, and when it slows down again for small ones: so large
 * blocks, of which there are few, are with those who fill them.
 */
#include "config.h"

#include "body.h"

#include <string.h>

/* A block filled within this time calls for a large one next: 16 KiB in 50 ms
 * is 320 KiB/s, at which a large block is with its worker for 0.8 s. */
enum { FAST_MS = 50 };

void pf_body_init(struct pf_body *body, struct pf_block_pool *pool,
                  struct pf_resultqueue *results)
{
    *body = (struct pf_body){ .pool = pool, .results = results };
    pf_block_user_init(&body->user);
}

void pf_body_fini(struct pf_body *body)
{
    pf_block_user_fini(&body->user);
}

void pf_body_begin(struct pf_body *body, struct pfetch_job *job,
                   struct pf_response *response, int64_t offset)
{
    body->job = job;
    body->response = response;
    body->offset = offset;
    body->is_fast = body->is_begun = false;
    body->pushed_bytes = 0;
    if (job->checksum != NULL)
        pf_checksum_begin(job->checksum, offset);
}

static enum pf_body_result get_block(struct pf_body *body)
{
    int64_t begun_us = pf_now_us();
    bool no_memory;
    struct pf_block *block = pf_block_get(body->pool, &body->user,
                                          body->is_fast, &no_memory);

    body->waited_us += pf_now_us() - begun_us;
    if (block == NULL)
        return no_memory ? PF_BODY_NO_MEMORY : PF_BODY_ABORTED;
    block->job = body->job;
    if (!body->is_begun) {
        block->response = pf_response_ref(body->response);
        block->offset = body->offset;
        body->is_begun = true;
    }
    body->block = block;
    body->block_since_ms = pf_now_ms();
    return PF_BODY_OK;
}

static void push_full_block(struct pf_body *body)
{
    struct pf_block *block = body->block;
    int64_t took_ms = pf_now_ms() - body->block_since_ms;

    body->is_fast = took_ms <= FAST_MS * (int64_t)(block->capacity
                                                   / PF_BLOCK_SMALL_BYTES);
    body->pushed_bytes += (int64_t)block->size;
    body->block = NULL;
    pf_resultqueue_push(body->results, &block->msg, &block->msg);
}

enum pf_body_result pf_body_write(struct pf_body *body, const char *data,
                                  size_t size)
{
    int64_t written = atomic_load_explicit(&body->shown_bytes,
                                           memory_order_relaxed)
                      + (int64_t)size;

    while (size > 0) {
        struct pf_block *block;
        size_t n;

        if (body->block == NULL) {
            enum pf_body_result result = get_block(body);

            if (result != PF_BODY_OK)
                return result;
        }
        block = body->block;
        n = block->capacity - block->size;
        if (n > size)
            n = size;
        memcpy(block->data + block->size, data, n);
        if (body->job->checksum != NULL)
            pf_checksum_update(body->job->checksum, data, n);
        block->size += n;
        data += n;
        size -= n;
        if (block->size == block->capacity)
            push_full_block(body);
    }
    atomic_store_explicit(&body->shown_bytes, written, memory_order_relaxed);
    return PF_BODY_OK;
}

struct pf_block *pf_body_tail(struct pf_body *body)
{
    struct pf_block *block = body->block;

    body->block = NULL;
    return block;
}
