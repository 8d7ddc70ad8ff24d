/* resultqueue.c - see resultqueue.h.
 *
 * SPDX-License-Identifier: MIT
 */
#include "config.h"

#include "resultqueue.h"

#include "thread.h"

#include <sched.h>

void pf_resultqueue_init(struct pf_resultqueue *queue)
{
    pf_mutex_init(&queue->lock);
    pf_cond_init(&queue->not_empty);
    queue->first = NULL;
    queue->last = &queue->first;
    queue->is_asleep = queue->is_closed = false;
}

void pf_resultqueue_fini(struct pf_resultqueue *queue)
{
    pf_cond_fini(&queue->not_empty);
    pf_mutex_fini(&queue->lock);
}

void pf_resultqueue_push(struct pf_resultqueue *queue, struct pf_msg *first,
                         struct pf_msg *last)
{
    last->next = NULL;
    pf_mutex_lock(&queue->lock);
    *queue->last = first;
    queue->last = &last->next;
    /* Under the lock: after a pfetch_settle() from a foreign thread the queue
     * may be gone as soon as the lock is. */
    if (queue->is_asleep)
        pf_cond_signal(&queue->not_empty);
    queue->is_asleep = false;
    pf_mutex_unlock(&queue->lock);
}

static struct pf_msg *take_all_locked(struct pf_resultqueue *queue)
{
    struct pf_msg *all = queue->first;

    queue->first = NULL;
    queue->last = &queue->first;
    return all;
}

struct pf_msg *pf_resultqueue_poll_all(struct pf_resultqueue *queue)
{
    struct pf_msg *all;

    pf_mutex_lock(&queue->lock);
    all = take_all_locked(queue);
    pf_mutex_unlock(&queue->lock);
    return all;
}

struct pf_msg *pf_resultqueue_pop_all(struct pf_resultqueue *queue,
                                      bool is_owed)
{
    struct pf_msg *all;

    pf_mutex_lock(&queue->lock);
    if (queue->first == NULL && !queue->is_closed) {
        /* Under load more results come while the others run: waiting a turn
         * first makes one wake-up serve several. */
        pf_mutex_unlock(&queue->lock);
        (void)sched_yield(); /* never fails on Linux; only a hint */
        pf_mutex_lock(&queue->lock);
    }
    while (queue->first == NULL && (is_owed || !queue->is_closed)) {
        queue->is_asleep = true;
        pf_cond_wait(&queue->not_empty, &queue->lock);
    }
    queue->is_asleep = false;
    all = take_all_locked(queue);
    pf_mutex_unlock(&queue->lock);
    return all;
}

void pf_resultqueue_close(struct pf_resultqueue *queue)
{
    pf_mutex_lock(&queue->lock);
    queue->is_closed = true;
    pf_cond_signal(&queue->not_empty);
    pf_mutex_unlock(&queue->lock);
}
