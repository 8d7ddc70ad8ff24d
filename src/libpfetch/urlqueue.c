/* urlqueue.c - the bounded queue of jobs, in which hosts take turns.
 *
 * SPDX-License-Identifier: MIT
 *
 * Two numbers must not be confused.  *Unfinished* counts the places reserved
 * by the adding thread and released by the writer: it bounds the memory of a
 * run, whatever state its jobs are in.  *Inside* counts the jobs that may
 * still need a worker: waiting, delayed, or running.  Closed and nothing
 * inside means drained.  A retry or a redirect re-enters a job that is inside
 * and unfinished all the time, so it waits for nothing, and no cycle of
 * waiting is possible.
 *
 * Each host has its own list of jobs that may run and its own heap of jobs
 * that wait for a retry.  A host stands in one of three places, and
 * place_locked() is the only function that moves it:
 *
 *   READY  it has a job that may run: in the ring; a pop takes one job from
 *          the first host and sends the host to the end of the ring
 *   TIMED  it only has delayed jobs: in the heap of timers, by the earliest
 *   IDLE   neither; a host without any job is forgotten
 *
 * So a pop is O(1) while something may run, and O(log hosts) when a timer
 * fires; hosts that cannot run are never looked at.  Limits, rates and holds
 * of a host fit in as further reasons to stand in TIMED or IDLE.
 *
 * Sleeping workers: all but one wait on `runnable` without a deadline; one,
 * the timekeeper, waits on `due` until the first timer.  So a retry that
 * comes due wakes one worker, and a push wakes one only if one sleeps.
 */
#include "config.h"

#include "urlqueue.h"

#include "thread.h"

int pf_urlqueue_init(struct pf_urlqueue *queue, size_t max_jobs,
                     size_t max_bytes)
{
    *queue = (struct pf_urlqueue){ .max_jobs = max_jobs,
                                   .max_bytes = max_bytes };
    if (pf_host_table_init(&queue->hosts) != 0)
        return PFETCH_ENOMEM;
    pf_mutex_init(&queue->lock);
    pf_cond_init(&queue->not_full);
    pf_cond_init(&queue->runnable);
    pf_cond_init(&queue->due);
    queue->last_ready = &queue->first_ready;
    return 0;
}

void pf_urlqueue_fini(struct pf_urlqueue *queue)
{
    pf_host_table_fini(&queue->hosts);
    pf_cond_fini(&queue->due);
    pf_cond_fini(&queue->runnable);
    pf_cond_fini(&queue->not_full);
    pf_mutex_fini(&queue->lock);
}

/* --- places ---------------------------------------------------------------- */

static bool is_full_locked(const struct pf_urlqueue *queue, size_t bytes)
{
    if (queue->unfinished == 0)
        return false;
    return queue->unfinished >= queue->max_jobs
           || queue->unfinished_bytes + bytes > queue->max_bytes;
}

int pf_urlqueue_reserve(struct pf_urlqueue *queue, size_t bytes)
{
    int error = 0;

    pf_mutex_lock(&queue->lock);
    while (!queue->is_stopped && !queue->is_closed
           && is_full_locked(queue, bytes)) {
        queue->is_full_waited = true;
        pf_cond_wait(&queue->not_full, &queue->lock);
    }
    if (queue->is_stopped || queue->is_closed) {
        error = PFETCH_ESTOPPED;
    } else {
        queue->unfinished++;
        queue->unfinished_bytes += bytes;
    }
    pf_mutex_unlock(&queue->lock);
    return error;
}

void pf_urlqueue_release(struct pf_urlqueue *queue, size_t jobs,
                         size_t bytes)
{
    bool wake;

    pf_mutex_lock(&queue->lock);
    queue->unfinished -= jobs;
    queue->unfinished_bytes -= bytes;
    wake = queue->is_full_waited;
    queue->is_full_waited = false;
    pf_mutex_unlock(&queue->lock);
    if (wake)
        pf_cond_broadcast(&queue->not_full);
}

/* --- turns ----------------------------------------------------------------- */

static void append_ready_locked(struct pf_urlqueue *queue,
                                struct pf_host *host)
{
    host->place = PF_HOST_READY;
    host->next_ready = NULL;
    *queue->last_ready = host;
    queue->last_ready = &host->next_ready;
}

/* Puts a host that is not in the ring where it belongs now, and forgets it if
 * it has no jobs. */
static void place_locked(struct pf_urlqueue *queue, struct pf_host *host)
{
    struct pf_heap_node *earliest = pf_heap_min(&host->delayed);

    if (host->place == PF_HOST_READY)
        return;
    if (host->place == PF_HOST_TIMED)
        pf_heap_remove(&queue->timers, &host->timer);
    host->place = PF_HOST_IDLE;
    if (host->first != NULL) {
        append_ready_locked(queue, host);
    } else if (earliest != NULL) {
        host->place = PF_HOST_TIMED;
        pf_heap_insert(&queue->timers, &host->timer, earliest->key);
    } else if (pf_host_is_unused(host)) {
        pf_host_drop(&queue->hosts, host);
    }
}

static void fire_timers_locked(struct pf_urlqueue *queue)
{
    struct pf_heap_node *node;
    int64_t now_ms;

    if (pf_heap_is_empty(&queue->timers))
        return;
    now_ms = pf_now_ms();
    while ((node = pf_heap_min(&queue->timers)) != NULL
           && node->key <= now_ms) {
        struct pf_host *host = pf_host_of_timer(node);

        queue->delayed -= pf_host_wake_delayed(host, now_ms);
        place_locked(queue, host);
    }
}

/* The next job of the host whose turn it is; the host goes to the end of the
 * ring.  Its delayed jobs that are due come along: a host that never leaves
 * the ring has no timer. */
static struct pfetch_job *take_turn_locked(struct pf_urlqueue *queue)
{
    struct pf_host *host = queue->first_ready;
    struct pfetch_job *job;

    if (host == NULL)
        return NULL;
    queue->first_ready = host->next_ready;
    if (queue->first_ready == NULL)
        queue->last_ready = &queue->first_ready;
    host->place = PF_HOST_IDLE;
    if (!pf_heap_is_empty(&host->delayed))
        queue->delayed -= pf_host_wake_delayed(host, pf_now_ms());
    job = pf_host_take(host);
    host->running++;
    place_locked(queue, host);
    return job;
}

/* --- waking ---------------------------------------------------------------- */

/* One more job may run. */
static void wake_one_locked(struct pf_urlqueue *queue)
{
    if (queue->sleepers > 0)
        pf_cond_signal(&queue->runnable);
    else if (queue->has_timekeeper)
        pf_cond_signal(&queue->due);
}

/* The earliest timer may have changed: the timekeeper looks again, or one is
 * appointed. */
static void wake_timekeeper_locked(struct pf_urlqueue *queue)
{
    if (queue->has_timekeeper)
        pf_cond_signal(&queue->due);
    else if (queue->sleepers > 0)
        pf_cond_signal(&queue->runnable);
}

static void wake_all_locked(struct pf_urlqueue *queue)
{
    pf_cond_broadcast(&queue->runnable);
    pf_cond_broadcast(&queue->due);
    pf_cond_broadcast(&queue->not_full);
}

static void wait_for_job_locked(struct pf_urlqueue *queue)
{
    struct pf_heap_node *timer = pf_heap_min(&queue->timers);

    if (timer != NULL && !queue->has_timekeeper) {
        queue->has_timekeeper = true;
        (void)pf_cond_wait_until(&queue->due, &queue->lock, timer->key);
        queue->has_timekeeper = false;
    } else {
        queue->sleepers++;
        pf_cond_wait(&queue->runnable, &queue->lock);
        queue->sleepers--;
    }
}

static bool is_drained_locked(const struct pf_urlqueue *queue)
{
    return queue->is_closed && queue->inside == 0;
}

/* --- jobs ------------------------------------------------------------------ */

int pf_urlqueue_push(struct pf_urlqueue *queue, struct pfetch_job *job)
{
    struct pf_host *host;
    int error = 0;

    pf_mutex_lock(&queue->lock);
    if (queue->is_stopped || queue->is_closed) {
        error = PFETCH_ESTOPPED;
    } else if ((host = pf_host_get(&queue->hosts, job->url->host)) == NULL) {
        error = PFETCH_ENOMEM;
    } else {
        job->host = host;
        pf_host_append(host, job);
        queue->inside++;
        place_locked(queue, host);
        wake_one_locked(queue);
    }
    pf_mutex_unlock(&queue->lock);
    return error;
}

struct pfetch_job *pf_urlqueue_pop(struct pf_urlqueue *queue)
{
    struct pfetch_job *job = NULL;

    pf_mutex_lock(&queue->lock);
    while (!queue->is_stopped) {
        fire_timers_locked(queue);
        job = take_turn_locked(queue);
        if (job != NULL || is_drained_locked(queue))
            break;
        wait_for_job_locked(queue);
    }
    /* Who leaves may have been the timekeeper, or may have been woken for a
     * timer that set several jobs free: another one takes over. */
    if (job != NULL
        && (queue->first_ready != NULL
            || (!queue->has_timekeeper && !pf_heap_is_empty(&queue->timers))))
        wake_one_locked(queue);
    pf_mutex_unlock(&queue->lock);
    return job;
}

void pf_urlqueue_retry(struct pf_urlqueue *queue, struct pfetch_job *job,
                       int64_t due_ms)
{
    struct pf_host *host = job->host;

    pf_mutex_lock(&queue->lock);
    pf_heap_insert(&host->delayed, &job->delay, due_ms);
    queue->delayed++;
    host->running--;
    place_locked(queue, host);
    wake_timekeeper_locked(queue);
    pf_mutex_unlock(&queue->lock);
}

int pf_urlqueue_redirect(struct pf_urlqueue *queue, struct pfetch_job *job)
{
    struct pf_host *old = job->host, *host;
    int error = 0;

    pf_mutex_lock(&queue->lock);
    host = pf_host_get(&queue->hosts, job->url->host);
    if (host == NULL) {
        error = PFETCH_ENOMEM;
    } else {
        job->host = host;
        pf_host_prepend(host, job);
        place_locked(queue, host);
        old->running--;
        place_locked(queue, old);
        wake_one_locked(queue);
    }
    pf_mutex_unlock(&queue->lock);
    return error;
}

void pf_urlqueue_leave(struct pf_urlqueue *queue, struct pfetch_job *job)
{
    struct pf_host *host = job->host;

    pf_mutex_lock(&queue->lock);
    job->host = NULL;
    host->running--;
    queue->inside--;
    place_locked(queue, host);
    if (is_drained_locked(queue))
        wake_all_locked(queue);
    pf_mutex_unlock(&queue->lock);
}

void pf_urlqueue_close(struct pf_urlqueue *queue)
{
    pf_mutex_lock(&queue->lock);
    queue->is_closed = true;
    wake_all_locked(queue);
    pf_mutex_unlock(&queue->lock);
}

void pf_urlqueue_stop(struct pf_urlqueue *queue)
{
    pf_mutex_lock(&queue->lock);
    queue->is_stopped = true;
    wake_all_locked(queue);
    pf_mutex_unlock(&queue->lock);
}

struct pfetch_job *pf_urlqueue_take_left(struct pf_urlqueue *queue)
{
    struct pfetch_job *job = NULL;
    struct pf_heap_node *timer;

    pf_mutex_lock(&queue->lock);
    while ((timer = pf_heap_min(&queue->timers)) != NULL) {
        struct pf_host *host = pf_host_of_timer(timer);

        queue->delayed -= pf_host_wake_delayed(host, PF_NEVER);
        place_locked(queue, host);
    }
    if (queue->first_ready != NULL)
        queue->delayed -= pf_host_wake_delayed(queue->first_ready, PF_NEVER);
    job = take_turn_locked(queue);
    if (job != NULL) {
        struct pf_host *host = job->host;

        job->host = NULL;
        host->running--;
        queue->inside--;
        place_locked(queue, host);
    }
    pf_mutex_unlock(&queue->lock);
    return job;
}

size_t pf_urlqueue_delayed(struct pf_urlqueue *queue)
{
    size_t delayed;

    pf_mutex_lock(&queue->lock);
    delayed = queue->delayed;
    pf_mutex_unlock(&queue->lock);
    return delayed;
}
