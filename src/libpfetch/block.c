/* block.c - the bounded pool of body blocks.
 *
 * SPDX-License-Identifier: MIT
 *
 * Waiting is first come, first served, and each user sleeps on a condition of
 * its own: one block that comes back wakes one worker, not a thousand.
 *
 * Blocks that come back are kept for the next, but never more memory than the
 * limit plus one small block a user: when one size is wanted and the other
 * lies idle, the idle ones are freed (outside the lock).
 */
#include "config.h"

#include "block.h"

#include <stdlib.h>

void pf_block_pool_init(struct pf_block_pool *pool, size_t limit_bytes,
                        const struct pf_stop *stop)
{
    pf_mutex_init(&pool->lock);
    pool->common_bytes = pool->free_bytes = 0;
    pool->free_small = pool->free_large = NULL;
    pool->first_waiting = NULL;
    pool->last_waiting = &pool->first_waiting;
    pool->limit_bytes = limit_bytes < PF_BLOCK_LARGE_BYTES
                            ? PF_BLOCK_LARGE_BYTES : limit_bytes;
    pool->stop = stop;
}

static void free_list(struct pf_msg *list)
{
    while (list != NULL) {
        struct pf_msg *next = list->next;

        free(pf_block_of(list));
        list = next;
    }
}

void pf_block_pool_fini(struct pf_block_pool *pool)
{
    free_list(pool->free_small);
    free_list(pool->free_large);
    pf_mutex_fini(&pool->lock);
}

void pf_block_user_init(struct pf_block_user *user)
{
    pf_cond_init(&user->granted);
    user->has_own = user->is_waiting = false;
    user->next_waiting = NULL;
}

void pf_block_user_fini(struct pf_block_user *user)
{
    pf_cond_fini(&user->granted);
}

static struct pf_msg **list_for(struct pf_block_pool *pool, size_t capacity)
{
    return capacity == PF_BLOCK_LARGE_BYTES ? &pool->free_large
                                            : &pool->free_small;
}

/* What a user may have now: 0 nothing.  *own: it is the user's own block.
 * Common ones are for who waits longest, if anybody waits. */
static size_t grant_locked(const struct pf_block_pool *pool,
                           const struct pf_block_user *user, bool want_large,
                           bool *own)
{
    bool is_first = pool->first_waiting == NULL
                    || pool->first_waiting == user;
    size_t left = is_first ? pool->limit_bytes - pool->common_bytes : 0;

    *own = false;
    if (want_large && left >= PF_BLOCK_LARGE_BYTES)
        return PF_BLOCK_LARGE_BYTES;
    if (!user->has_own) {
        *own = true;
        return PF_BLOCK_SMALL_BYTES;
    }
    return left >= PF_BLOCK_SMALL_BYTES ? PF_BLOCK_SMALL_BYTES : 0;
}

static void enqueue_locked(struct pf_block_pool *pool,
                           struct pf_block_user *user)
{
    user->is_waiting = true;
    user->next_waiting = NULL;
    *pool->last_waiting = user;
    pool->last_waiting = &user->next_waiting;
}

static void dequeue_locked(struct pf_block_pool *pool,
                           struct pf_block_user *user)
{
    struct pf_block_user **at = &pool->first_waiting;

    while (*at != user)
        at = &(*at)->next_waiting;
    *at = user->next_waiting;
    if (pool->last_waiting == &user->next_waiting)
        pool->last_waiting = at;
    user->is_waiting = false;
}

/* Waits until something can be granted; 0 when transfers are to be aborted. */
static size_t wait_locked(struct pf_block_pool *pool,
                          struct pf_block_user *user, bool want_large,
                          bool *own)
{
    size_t capacity = grant_locked(pool, user, want_large, own);

    if (capacity != 0)
        return capacity;
    enqueue_locked(pool, user);
    for (;;) {
        int64_t abort_at_ms = pf_stop_abort_at_ms(pool->stop);
        bool in_time = pf_cond_wait_until(
            &user->granted, &pool->lock,
            abort_at_ms > PF_NEVER / 1000 ? PF_NEVER : abort_at_ms * 1000);

        capacity = grant_locked(pool, user, want_large, own);
        if (capacity != 0 || !in_time || pf_stop_is_abort(pool->stop))
            break;
    }
    dequeue_locked(pool, user);
    return capacity;
}

/* Takes blocks of the other size out of the free list until one of this
 * capacity may be allocated; the caller frees them. */
static struct pf_msg *make_room_locked(struct pf_block_pool *pool,
                                       size_t capacity)
{
    size_t other = capacity == PF_BLOCK_LARGE_BYTES ? PF_BLOCK_SMALL_BYTES
                                                    : PF_BLOCK_LARGE_BYTES;
    struct pf_msg **list = list_for(pool, other), *idle = NULL;

    while (*list != NULL
           && pool->common_bytes + pool->free_bytes > pool->limit_bytes) {
        struct pf_msg *msg = *list;

        *list = msg->next;
        pool->free_bytes -= other;
        msg->next = idle;
        idle = msg;
    }
    return idle;
}

struct pf_block *pf_block_get(struct pf_block_pool *pool,
                              struct pf_block_user *user, bool want_large,
                              bool *no_memory)
{
    struct pf_msg *idle = NULL, **list;
    struct pf_block *block = NULL;
    size_t capacity;
    bool own;

    *no_memory = false;
    pf_mutex_lock(&pool->lock);
    capacity = wait_locked(pool, user, want_large, &own);
    if (capacity == 0) {
        pf_mutex_unlock(&pool->lock);
        return NULL;
    }
    if (own)
        user->has_own = true;
    else
        pool->common_bytes += capacity;
    /* A large block that came back may serve several who want a small one. */
    if (pool->first_waiting != NULL
        && pool->limit_bytes - pool->common_bytes >= PF_BLOCK_SMALL_BYTES)
        pf_cond_signal(&pool->first_waiting->granted);
    list = list_for(pool, capacity);
    if (*list != NULL) {
        block = pf_block_of(*list);
        *list = block->msg.next;
        pool->free_bytes -= capacity;
    } else {
        idle = make_room_locked(pool, capacity);
    }
    pf_mutex_unlock(&pool->lock);
    free_list(idle);
    if (block == NULL) {
        block = malloc(sizeof(*block) + capacity);
        if (block == NULL) {
            pf_mutex_lock(&pool->lock);
            if (own)
                user->has_own = false;
            else
                pool->common_bytes -= capacity;
            pf_mutex_unlock(&pool->lock);
            *no_memory = true;
            return NULL;
        }
        block->capacity = capacity;
    }
    block->msg.kind = PF_MSG_BLOCK;
    block->job = NULL;
    block->response = NULL;
    block->offset = 0;
    block->user = own ? user : NULL;
    block->size = 0;
    return block;
}

void pf_block_put(struct pf_block_pool *pool, struct pf_block *block)
{
    struct pf_block_user *user = block->user;
    struct pf_msg **list;

    pf_response_unref(block->response);
    pf_mutex_lock(&pool->lock);
    list = list_for(pool, block->capacity);
    block->msg.next = *list;
    *list = &block->msg;
    pool->free_bytes += block->capacity;
    if (user != NULL)
        user->has_own = false;
    else
        pool->common_bytes -= block->capacity;
    if (user == NULL || !user->is_waiting)
        user = pool->first_waiting;
    if (user != NULL)
        pf_cond_signal(&user->granted);
    pf_mutex_unlock(&pool->lock);
}

void pf_block_pool_wake(struct pf_block_pool *pool)
{
    pf_mutex_lock(&pool->lock);
    for (struct pf_block_user *u = pool->first_waiting; u != NULL;
         u = u->next_waiting)
        pf_cond_signal(&u->granted);
    pf_mutex_unlock(&pool->lock);
}
