/* urlqueue.c - the bounded queue of jobs, in which hosts take turns.
 *
 * SPDX-License-Identifier: MIT
 *
 * Two numbers must not be confused.  *Unfinished* counts the places reserved
 * by the adding thread and released by the writer: it bounds the memory of a
 * run, whatever state its jobs are in.  *Inside* counts the jobs that may
 * still need a worker: waiting, delayed, parked, or running.  Closed and
 * nothing inside means drained.  A retry or a redirect re-enters a job that is
 * inside and unfinished all the time, so it waits for nothing, and no cycle of
 * waiting is possible.
 *
 * One host may have three quarters of the places.  Were it allowed to fill all
 * of them with jobs that wait, each place that becomes free would go to the
 * next line, whatever its host, and what other hosts have would run one at a
 * time.  So who adds waits when the next line is one too many for its host,
 * and all that follows up to the next such line finds room.
 *
 * Each host has its own list of jobs that may run and its own heap of jobs
 * that wait for a retry.  A host stands in one of three places, and
 * place_locked() is the only function that moves it:
 *
 *   READY  it has a job that may run now: in the ring; a pop takes one job
 *          from the first host and sends the host to the end of the ring
 *   TIMED  it may have one later, when its hold is over, its rate allows it,
 *          or its earliest delayed job is due: in the heap of timers
 *   IDLE   it has nothing, or is at its limit: a job that comes back moves it
 *
 * So a pop is O(1) while something may run, and O(log hosts) when a timer
 * fires; hosts that cannot run are never looked at.  A host without jobs is
 * forgotten, but not while something about it is worth remembering.
 *
 * Slow down.  429 and 503 hold back the whole host.  An attempt that began
 * before the last hold cannot start another one (job->hold_seen): thirty
 * answers that were on their way make one hold, and only if an attempt after
 * it fails too is the next one longer.  After a hold one start a worker
 * counts as one try: a 503 in it delays its own job only, or a server that is
 * near would be asked for one URL a hold.  429 also halves the number of
 * transfers at once; good answers raise it again, one for every ten of them
 * times that number.
 *
 * Circuit breaker, by origin.  After DOWN_AFTER failures to connect in a row
 * an origin is set aside: its jobs are parked when their turn comes, and one
 * of them probes it after growing pauses.  Any answer brings all of them
 * back; when the probes are spent they are concluded, and so is each job that
 * comes later.  A job is parked once and concluded once, so this costs O(1) a
 * job.
 *
 * Shortage.  When descriptors or threads are missing here, no host is to blame
 * and no other host would fare better: nothing starts for a while, which grows
 * until something that began after that comes through.  If nothing does for
 * limits.shortage_ms it is not going to pass.
 *
 * The window (options.ordered).  Results are delivered in the order in which
 * jobs were added, so one that is begun long before its turn only fills the
 * spool.  Jobs are numbered (job->seq), and none is begun whose number is
 * window_end or above: the number of the oldest job that is not delivered yet
 * plus the size of the window.  Two invariants make that cheap.  The window
 * only moves forward, so a job that has been popped once is inside for good.
 * And a job that comes back goes to the front of its host's list, where those
 * that were never popped stand in order behind it.  So when the first job of
 * a host is beyond the window, all of its list is, and the host waits in one
 * more heap, `ahead`, by the number of that job, until pf_urlqueue_advance()
 * has moved the window there: O(log hosts).  No deadlock: the oldest job is
 * never beyond the window, whatever holds it up is a time or a job that comes
 * back, and of the jobs that may go before it there are only as many as the
 * window has.
 *
 * Sleeping workers: all but one wait on `runnable` without a deadline; one,
 * the timekeeper, waits on `due` until the first timer, and is told of every
 * earlier one.  So a retry that comes due wakes one worker, and a push wakes
 * one only if one sleeps.
 */
#include "config.h"

#include "urlqueue.h"

#include "retry.h"
#include "thread.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum {
    DOWN_AFTER = 5,      /* failures to connect in a row */
    RAISE_AFTER = 10,    /* good answers, times the number allowed at once */
    REMEMBER_US = 60 * 1000 * 1000, /* what is known of a host without jobs */
    CREDIT_US = 50 * 1000, /* a start that came late is made up for, so far */
    SHORT_PAUSE_US = 250 * 1000, /* the first, and the longest */
    SHORT_PAUSE_MAX_US = 4000 * 1000
};

static int64_t clock_us(const struct pf_urlqueue *queue)
{
    if (queue->limits.now_us != NULL)
        return queue->limits.now_us(queue->limits.clock_data);
    return pf_now_us();
}

int pf_urlqueue_init(struct pf_urlqueue *queue,
                     const struct pf_urlqueue_limits *limits)
{
    *queue = (struct pf_urlqueue){ .limits = *limits };
    if (pf_host_table_init(&queue->hosts) != 0)
        return PFETCH_ENOMEM;
    pf_mutex_init(&queue->lock);
    pf_cond_init(&queue->not_full);
    pf_cond_init(&queue->runnable);
    pf_cond_init(&queue->due);
    pf_job_list_init(&queue->concluded);
    queue->last_ready = &queue->first_ready;
    queue->window_end = limits->window > 0 ? limits->window : UINT64_MAX;
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

/* --- where a host stands --------------------------------------------------- */

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Before this nothing of the host starts. */
static int64_t gate(const struct pf_host *host)
{
    return later(host->hold_until_us, host->next_start_us);
}

/* The first job of the host's list that the window allows; NULL: none. */
static struct pfetch_job *first_waiting(const struct pf_urlqueue *queue,
                                        const struct pf_host *host)
{
    struct pfetch_job *job = host->waiting.first;

    return job == NULL || job->seq >= queue->window_end ? NULL : job;
}

/* When the host is to be looked at again; PF_NEVER: when a job of it comes
 * back, or the window moves.  In the past or now: it may run. */
static int64_t next_look(const struct pf_urlqueue *queue,
                         const struct pf_host *host)
{
    const struct pf_heap_node *earliest = pf_heap_min(&host->delayed);

    if (pf_host_is_busy(host))
        return PF_NEVER;
    if (first_waiting(queue, host) != NULL)
        return gate(host);
    return earliest == NULL ? PF_NEVER : later(gate(host), earliest->key);
}

/* Puts a host that is not in the ring where it belongs now, and forgets it if
 * it has no jobs and nothing to remember. */
static void place_locked(struct pf_urlqueue *queue, struct pf_host *host,
                         int64_t now_us)
{
    int64_t look_us;

    if (host->place == PF_HOST_READY)
        return;
    if (host->place == PF_HOST_TIMED)
        pf_heap_remove(&queue->timers, &host->timer);
    host->place = PF_HOST_IDLE;
    if (host->is_ahead)
        pf_heap_remove(&queue->ahead, &host->ahead);
    host->is_ahead = false;
    if (pf_host_is_unused(host)) {
        look_us = later(later(host->hold_until_us, host->keep_until_us),
                        /* A new one would begin with the credit anew. */
                        host->next_start_us + CREDIT_US);
        if (look_us <= now_us) {
            pf_host_drop(&queue->hosts, host);
            return;
        }
    } else {
        look_us = next_look(queue, host);
    }
    if (look_us <= now_us) {
        host->place = PF_HOST_READY;
        host->next_ready = NULL;
        *queue->last_ready = host;
        queue->last_ready = &host->next_ready;
        return;
    }
    if (look_us != PF_NEVER) {
        host->place = PF_HOST_TIMED;
        pf_heap_insert(&queue->timers, &host->timer, look_us);
    }
    /* A job beyond the window counts for nothing until that has moved.  In the
     * ring this is found out when the turn comes. */
    if (host->waiting.first != NULL && first_waiting(queue, host) == NULL) {
        host->is_ahead = true;
        pf_heap_insert(&queue->ahead, &host->ahead,
                       (int64_t)host->waiting.first->seq);
    }
}

/* --- where a job stands ---------------------------------------------------- */

/* Every job inside that has a deadline is in the heap of expiries, too. */
static void enter_locked(struct pf_urlqueue *queue, struct pfetch_job *job,
                         enum pf_job_place place)
{
    job->place = place;
    if (place == PF_JOB_DELAYED || place == PF_JOB_PARKED)
        queue->delayed++;
    if (job->deadline_us != PF_NEVER && place != PF_JOB_CONCLUDED)
        pf_heap_insert(&queue->expiries, &job->expiry, job->deadline_us);
}

static bool has_window(const struct pf_urlqueue *queue)
{
    return queue->limits.window > 0;
}

static void wait_locked(struct pf_urlqueue *queue, struct pfetch_job *job)
{
    pf_job_list_append(&job->host->waiting, job);
    enter_locked(queue, job, PF_JOB_WAITING);
}

/* A job that has had its turn before: with a window to the front. */
static void wait_again_locked(struct pf_urlqueue *queue,
                              struct pfetch_job *job)
{
    if (has_window(queue))
        pf_job_list_prepend(&job->host->waiting, job);
    else
        pf_job_list_append(&job->host->waiting, job);
    enter_locked(queue, job, PF_JOB_WAITING);
}

static void delay_locked(struct pf_urlqueue *queue, struct pfetch_job *job,
                         int64_t due_us)
{
    pf_heap_insert(&job->host->delayed, &job->delay, due_us);
    enter_locked(queue, job, PF_JOB_DELAYED);
}

static void park_locked(struct pf_urlqueue *queue, struct pfetch_job *job)
{
    pf_job_list_append(&job->origin->parked, job);
    enter_locked(queue, job, PF_JOB_PARKED);
}

static void conclude_locked(struct pf_urlqueue *queue, struct pfetch_job *job,
                            enum pf_job_order order)
{
    job->order = order;
    pf_job_list_append(&queue->concluded, job);
    enter_locked(queue, job, PF_JOB_CONCLUDED);
}

/* Takes a job out of wherever it stands. */
static void take_out_locked(struct pf_urlqueue *queue, struct pfetch_job *job)
{
    switch (job->place) {
    case PF_JOB_OUT:
        return;
    case PF_JOB_WAITING:
        pf_job_list_remove(&job->host->waiting, job);
        break;
    case PF_JOB_DELAYED:
        pf_heap_remove(&job->host->delayed, &job->delay);
        queue->delayed--;
        break;
    case PF_JOB_PARKED:
        pf_job_list_remove(&job->origin->parked, job);
        queue->delayed--;
        break;
    case PF_JOB_CONCLUDED:
        pf_job_list_remove(&queue->concluded, job);
        break;
    }
    if (job->deadline_us != PF_NEVER && job->place != PF_JOB_CONCLUDED)
        pf_heap_remove(&queue->expiries, &job->expiry);
    job->place = PF_JOB_OUT;
}

/* --- the circuit breaker --------------------------------------------------- */

static int64_t pause_us(const struct pf_urlqueue *queue, unsigned probes)
{
    int64_t ms = queue->limits.probe_ms, max_ms = queue->limits.probe_max_ms;

    while (probes-- > 0 && ms < max_ms)
        ms = ms > max_ms / 2 ? max_ms : ms * 2;
    return earlier(ms, max_ms) * 1000;
}

static bool is_probe(const struct pfetch_job *job)
{
    return job->origin->probe == job;
}

static void make_probe_locked(struct pf_urlqueue *queue,
                              struct pfetch_job *job, int64_t due_us)
{
    job->origin->probe = job;
    delay_locked(queue, job, due_us);
}

/* An origin set aside needs a probe as long as it has jobs. */
static void appoint_probe_locked(struct pf_urlqueue *queue,
                                 struct pf_origin *origin)
{
    struct pfetch_job *job = origin->parked.first;

    if (origin->state != PF_ORIGIN_SET_ASIDE || origin->probe != NULL
        || job == NULL)
        return;
    take_out_locked(queue, job);
    make_probe_locked(queue, job, origin->next_probe_us);
}

static void unpark_locked(struct pf_urlqueue *queue, struct pf_host *host,
                          struct pf_origin *origin)
{
    struct pfetch_job *job, *next;

    while ((job = origin->parked.first) != NULL) {
        take_out_locked(queue, job);
        if (origin->state == PF_ORIGIN_DOWN)
            conclude_locked(queue, job, PF_ORDER_HOST_DOWN);
        else
            wait_again_locked(queue, job);
    }
    if (origin->state != PF_ORIGIN_DOWN)
        return;
    for (job = host->waiting.first; job != NULL; job = next) {
        next = job->next;
        if (job->origin != origin)
            continue;
        take_out_locked(queue, job);
        conclude_locked(queue, job, PF_ORDER_HOST_DOWN);
    }
}

static void say(struct pf_host_notice *notice, int kind, int64_t us,
                const char *name, const char *why)
{
    notice->kind = kind;
    notice->ms = us / 1000;
    (void)snprintf(notice->name, sizeof(notice->name), "%s", name);
    (void)snprintf(notice->why, sizeof(notice->why), "%s", why);
}

static void origin_answers_locked(struct pf_urlqueue *queue,
                                  struct pfetch_job *job,
                                  struct pf_host_notice *notice)
{
    struct pf_origin *origin = job->origin;

    origin->has_answered = true;
    origin->failures = 0;
    if (origin->state == PF_ORIGIN_UP)
        return;
    origin->state = PF_ORIGIN_UP;
    origin->probes = 0;
    /* Another job may have brought the answer while the probe waits. */
    if (origin->probe != NULL && origin->probe->place == PF_JOB_DELAYED) {
        take_out_locked(queue, origin->probe);
        wait_again_locked(queue, origin->probe);
    }
    origin->probe = NULL;
    unpark_locked(queue, job->host, origin);
    say(notice, PF_NOTICE_BACK, 0, origin->key, "");
}

static void origin_fails_locked(struct pf_urlqueue *queue,
                                struct pfetch_job *job, const char *why,
                                int64_t now_us,
                                struct pf_host_notice *notice)
{
    struct pf_origin *origin = job->origin;

    origin->failures++;
    (void)snprintf(origin->why, sizeof(origin->why), "%s", why);
    job->host->keep_until_us = now_us + REMEMBER_US;
    if (origin->state == PF_ORIGIN_UP && origin->failures >= DOWN_AFTER) {
        origin->state = PF_ORIGIN_SET_ASIDE;
    } else if (origin->state == PF_ORIGIN_SET_ASIDE && is_probe(job)) {
        origin->probes++;
    } else {
        return;
    }
    origin->probe = NULL;
    if (origin->probes >= queue->limits.probes) {
        origin->state = PF_ORIGIN_DOWN;
        unpark_locked(queue, job->host, origin);
        say(notice, PF_NOTICE_DOWN, 0, origin->key, origin->why);
        return;
    }
    origin->next_probe_us = now_us + pause_us(queue, origin->probes);
    if (origin->probes == 0)
        say(notice, PF_NOTICE_SET_ASIDE, pause_us(queue, 0), origin->key,
            origin->why);
}

/* --- slow down ------------------------------------------------------------- */

/* Half of what went on at once, or of what was allowed. */
static void halve_locked(struct pf_host *host)
{
    unsigned now = host->peak;

    if (host->allowed > 0 && host->allowed < now)
        now = host->allowed;
    host->allowed = now > 1 ? now / 2 : 1;
    host->peak = 0;
    host->good = 0;
}

static void hold_locked(struct pf_urlqueue *queue, struct pf_host *host,
                        const struct pf_contact *contact, int64_t now_us,
                        struct pf_host_notice *notice)
{
    const struct pf_urlqueue_limits *l = &queue->limits;
    int64_t floor_ms = earlier(contact->retry_after_ms,
                               l->retry_after_max_ms);
    int64_t ms = pf_retry_delay_ms(++host->hold_level, l->hold_ms,
                                   l->hold_max_ms, contact->random);

    if (ms < floor_ms)
        ms = floor_ms;
    host->hold_seq++;
    host->hold_until_us = now_us + ms * 1000;
    host->keep_until_us = host->hold_until_us + REMEMBER_US;
    queue->holds_until_us = later(queue->holds_until_us,
                                  host->hold_until_us);
    if (contact->is_fewer)
        halve_locked(host);
    else
        host->burst = l->burst;
    say(notice, host->hold_said ? PF_NOTICE_HOLD_AGAIN : PF_NOTICE_HOLD,
        ms * 1000, host->name, "");
    host->hold_said = true;
}

static void raise_locked(struct pf_host *host)
{
    if (host->allowed == 0 || ++host->good < RAISE_AFTER * host->allowed)
        return;
    host->allowed++;
    host->peak = 0;
    host->good = 0;
}

/* --- shortage -------------------------------------------------------------- */

static void shortage_locked(struct pf_urlqueue *queue, int64_t now_us,
                            const char *why, struct pf_host_notice *notice)
{
    int kind = queue->shortage_said ? PF_NOTICE_SHORTAGE_AGAIN
                                    : PF_NOTICE_SHORTAGE;

    if (queue->short_since_us == 0) {
        queue->short_since_us = now_us;
        queue->short_pause_us = SHORT_PAUSE_US;
    } else if (now_us < queue->short_until_us) {
        kind = PF_NOTICE_NONE; /* several workers have met the same one */
    } else if (now_us - queue->short_since_us
               > queue->limits.shortage_ms * 1000) {
        kind = PF_NOTICE_SHORTAGE_LASTS;
    } else {
        queue->short_pause_us = earlier(queue->short_pause_us * 2,
                                        SHORT_PAUSE_MAX_US);
    }
    if (kind != PF_NOTICE_NONE)
        queue->short_until_us = now_us + queue->short_pause_us;
    say(notice, kind, queue->short_pause_us, "", why);
    queue->shortage_said = true;
}

static void note_contact_locked(struct pf_urlqueue *queue,
                                struct pfetch_job *job,
                                const struct pf_contact *contact,
                                int64_t now_us, struct pf_host_notice *notice)
{
    struct pf_host *host = job->host;
    bool after_hold = job->hold_seen == host->hold_seq;

    notice->kind = PF_NOTICE_NONE;
    if (contact->kind > PF_CONTACT_SHORTAGE
        && job->popped_us > queue->short_since_us)
        queue->short_since_us = 0; /* it has passed */
    switch (contact->kind) {
    case PF_CONTACT_NONE:
        break;
    case PF_CONTACT_SHORTAGE:
        shortage_locked(queue, now_us, contact->why, notice);
        break;
    case PF_CONTACT_ANSWERED:
        origin_answers_locked(queue, job, notice);
        if (after_hold) {
            host->hold_level = 0;
            raise_locked(host);
        }
        break;
    case PF_CONTACT_SLOW_DOWN:
        origin_answers_locked(queue, job, notice);
        if (after_hold && (contact->is_fewer || host->burst == 0))
            hold_locked(queue, host, contact, now_us, notice);
        break;
    case PF_CONTACT_BROKEN:
        origin_answers_locked(queue, job, notice);
        break;
    case PF_CONTACT_UNREACHABLE:
        /* One that has answered refuses because there are too many of us; one
         * that never did is the circuit breaker's, and may be a closed port
         * beside an open one. */
        if (job->origin->failures == 0 && job->origin->has_answered)
            halve_locked(host);
        origin_fails_locked(queue, job, contact->why, now_us, notice);
        break;
    }
    if (is_probe(job)) { /* it has found out nothing */
        job->origin->probe = NULL;
        job->origin->next_probe_us = now_us;
    }
}

/* --- turns ----------------------------------------------------------------- */

static void fire_timers_locked(struct pf_urlqueue *queue, int64_t now_us)
{
    struct pf_heap_node *node;

    while ((node = pf_heap_min(&queue->timers)) != NULL
           && node->key <= now_us) {
        struct pf_host *host = pf_host_of_timer(node);

        queue->delayed -= pf_host_wake_delayed(host, now_us,
                                               has_window(queue));
        place_locked(queue, host, now_us);
    }
}

static void fire_expiries_locked(struct pf_urlqueue *queue, int64_t now_us)
{
    struct pf_heap_node *node;

    while ((node = pf_heap_min(&queue->expiries)) != NULL
           && node->key <= now_us) {
        struct pfetch_job *job = pf_job_of_expiry(node);
        struct pf_origin *origin = job->origin;

        take_out_locked(queue, job);
        if (is_probe(job)) {
            origin->probe = NULL;
            appoint_probe_locked(queue, origin);
        }
        conclude_locked(queue, job, PF_ORDER_EXPIRED);
        place_locked(queue, job->host, now_us);
    }
}

/* The first job of a host that may run now; jobs of origins that are set
 * aside or down are sent where they belong. */
static struct pfetch_job *take_job_locked(struct pf_urlqueue *queue,
                                          struct pf_host *host,
                                          int64_t now_us)
{
    struct pfetch_job *job;

    while ((job = first_waiting(queue, host)) != NULL) {
        struct pf_origin *origin = job->origin;

        take_out_locked(queue, job);
        if (origin->state == PF_ORIGIN_UP || is_probe(job))
            return job;
        if (origin->state == PF_ORIGIN_DOWN) {
            conclude_locked(queue, job, PF_ORDER_HOST_DOWN);
        } else if (origin->probe != NULL) {
            park_locked(queue, job);
        } else if (origin->next_probe_us <= now_us) {
            origin->probe = job;
            return job;
        } else {
            make_probe_locked(queue, job, origin->next_probe_us);
        }
    }
    return NULL;
}

/* One start is charged to a rate. */
static void charge(int64_t *next_start_us, int64_t interval_us,
                   int64_t now_us)
{
    if (interval_us > 0)
        *next_start_us = later(*next_start_us, now_us - CREDIT_US)
                         + interval_us;
}

/* The next job of the host whose turn it is; the host goes to the end of the
 * ring.  Its delayed jobs that are due come along: a host that never leaves
 * the ring has no timer. */
static struct pfetch_job *take_turn_locked(struct pf_urlqueue *queue,
                                           int64_t now_us)
{
    struct pf_host *host;

    while ((host = queue->first_ready) != NULL) {
        struct pfetch_job *job = NULL;

        queue->first_ready = host->next_ready;
        if (queue->first_ready == NULL)
            queue->last_ready = &queue->first_ready;
        host->place = PF_HOST_IDLE;
        queue->delayed -= pf_host_wake_delayed(host, now_us,
                                               has_window(queue));
        /* It may have been held back while it stood in the ring. */
        if (next_look(queue, host) <= now_us)
            job = take_job_locked(queue, host, now_us);
        if (job != NULL) {
            job->order = PF_ORDER_RUN;
            job->hold_seen = host->hold_seq;
            job->popped_us = now_us;
            host->running++;
            if (host->peak < host->running)
                host->peak = host->running;
            if (host->burst > 0)
                host->burst--;
            charge(&host->next_start_us, host->interval_us, now_us);
            charge(&queue->next_start_us, queue->limits.interval_us, now_us);
        }
        place_locked(queue, host, now_us);
        if (job != NULL)
            return job;
    }
    return NULL;
}

static struct pfetch_job *take_concluded_locked(struct pf_urlqueue *queue)
{
    struct pfetch_job *job = queue->concluded.first;

    if (job != NULL) {
        take_out_locked(queue, job);
        job->host->running++;
    }
    return job;
}

/* Before this nothing starts, whatever its host. */
static int64_t start_us_locked(const struct pf_urlqueue *queue)
{
    return later(queue->next_start_us, queue->short_until_us);
}

/* When something may run next, as things stand; may be past. */
static int64_t next_event_locked(const struct pf_urlqueue *queue)
{
    int64_t us = PF_NEVER;

    if (queue->first_ready != NULL)
        us = start_us_locked(queue);
    if (!pf_heap_is_empty(&queue->timers))
        us = earlier(us, pf_heap_min(&queue->timers)->key);
    if (!pf_heap_is_empty(&queue->expiries))
        us = earlier(us, pf_heap_min(&queue->expiries)->key);
    return us;
}

static struct pfetch_job *try_pop_locked(struct pf_urlqueue *queue,
                                         int64_t *wake_us)
{
    struct pfetch_job *job = take_concluded_locked(queue);
    int64_t now_us;

    *wake_us = PF_NEVER;
    if (job != NULL || next_event_locked(queue) == PF_NEVER)
        return job;
    now_us = clock_us(queue);
    fire_timers_locked(queue, now_us);
    fire_expiries_locked(queue, now_us);
    if (start_us_locked(queue) <= now_us)
        job = take_turn_locked(queue, now_us);
    if (job == NULL)
        job = take_concluded_locked(queue);
    if (job != NULL)
        return job;
    *wake_us = next_event_locked(queue);
    return NULL;
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

/* The next event may have become an earlier one: the timekeeper looks again,
 * or one is appointed.  What does not wait any longer than the timekeeper
 * sleeps anyway wakes nobody. */
static void keep_time_locked(struct pf_urlqueue *queue)
{
    int64_t us = next_event_locked(queue);

    if (queue->concluded.first != NULL) {
        wake_one_locked(queue);
    } else if (queue->has_timekeeper) {
        if (us < queue->timekeeper_us) {
            queue->timekeeper_us = us; /* one signal is enough */
            pf_cond_signal(&queue->due);
        }
    } else if (us != PF_NEVER && queue->sleepers > 0) {
        pf_cond_signal(&queue->runnable);
    }
}

static void wake_all_locked(struct pf_urlqueue *queue)
{
    pf_cond_broadcast(&queue->runnable);
    pf_cond_broadcast(&queue->due);
    pf_cond_broadcast(&queue->not_full);
}

static void sleep_locked(struct pf_urlqueue *queue, int64_t wake_us)
{
    if (wake_us != PF_NEVER && !queue->has_timekeeper) {
        queue->has_timekeeper = true;
        queue->timekeeper_us = wake_us;
        (void)pf_cond_wait_until(&queue->due, &queue->lock, wake_us);
        queue->has_timekeeper = false;
    } else {
        keep_time_locked(queue); /* it may sleep for longer than wake_us */
        queue->sleepers++;
        pf_cond_wait(&queue->runnable, &queue->lock);
        queue->sleepers--;
    }
}

static bool is_drained_locked(const struct pf_urlqueue *queue)
{
    return queue->is_closed && queue->inside == 0;
}

/* After a push, a redirect, and a pop: who leaves with a job may have been the
 * timekeeper, or may have been woken for something that set several jobs free,
 * or may have set a timer that is earlier than the timekeeper knows. */
static void pass_on_locked(struct pf_urlqueue *queue)
{
    if (queue->first_ready != NULL)
        wake_one_locked(queue);
    keep_time_locked(queue);
}

/* --- hosts of jobs --------------------------------------------------------- */

static void set_limits(const struct pf_urlqueue *queue, struct pf_host *host)
{
    const struct pf_urlqueue_limits *l = &queue->limits;

    host->limit = l->per_host;
    host->interval_us = l->host_interval_us;
    for (size_t i = 0; i < l->host_count; i++) {
        const struct pfetch_host_options *o = &l->hosts[i];

        if (strcasecmp(o->name, host->name) != 0)
            continue;
        if (o->per_host >= 0)
            host->limit = (unsigned)o->per_host;
        if (o->rate >= 0)
            host->interval_us = o->rate > 0 ? (int64_t)(1e6 / o->rate) : 0;
    }
}

/* Finds host and origin of job->url; does not count the job yet. */
static int find_host_locked(struct pf_urlqueue *queue,
                            const struct pfetch_job *job,
                            struct pf_host **host, struct pf_origin **origin)
{
    bool is_new;

    if (job->place_host != NULL && job->url == job->home) {
        *host = job->place_host;
        is_new = false;
    } else {
        *host = pf_host_get(&queue->hosts, job->url->host, &is_new);
    }
    if (*host == NULL)
        return PFETCH_ENOMEM;
    if (is_new)
        set_limits(queue, *host);
    *origin = pf_host_origin(*host, job->url->origin);
    if (*origin != NULL)
        return 0;
    if (is_new)
        pf_host_drop(&queue->hosts, *host);
    return PFETCH_ENOMEM;
}

static void attach(struct pfetch_job *job, struct pf_host *host,
                   struct pf_origin *origin)
{
    job->host = host;
    job->origin = origin;
    origin->jobs++;
}

/* A popped job goes away from its host. */
static void detach_locked(struct pf_urlqueue *queue, struct pf_host *host,
                          struct pf_origin *origin, int64_t now_us)
{
    host->running--;
    origin->jobs--;
    appoint_probe_locked(queue, origin);
    if (origin->jobs == 0 && origin->state == PF_ORIGIN_UP
        && origin->failures == 0)
        pf_host_drop_origin(host, origin);
    place_locked(queue, host, now_us);
}

/* --- places ---------------------------------------------------------------- */

/* How many places one host may have. */
static size_t share(const struct pf_urlqueue *queue)
{
    return queue->limits.max_jobs - queue->limits.max_jobs / 4;
}

static bool is_full_locked(const struct pf_urlqueue *queue,
                           const struct pfetch_job *job)
{
    if (queue->unfinished == 0)
        return false;
    return queue->unfinished >= queue->limits.max_jobs
           || queue->unfinished_bytes + job->queue_bytes
                  > queue->limits.max_bytes
           || (job->place_host != NULL
               && job->place_host->places >= share(queue));
}

/* Finds the host whose places the job's place is to be counted among. */
static int find_place_host_locked(struct pf_urlqueue *queue,
                                  struct pfetch_job *job)
{
    bool is_new;

    job->place_host = NULL;
    if (job->url == NULL)
        return 0;
    job->place_host = pf_host_get(&queue->hosts, job->url->host, &is_new);
    if (job->place_host == NULL)
        return PFETCH_ENOMEM;
    if (is_new)
        set_limits(queue, job->place_host);
    return 0;
}

static int reserve(struct pf_urlqueue *queue, struct pfetch_job *job,
                   bool may_wait)
{
    int error;

    pf_mutex_lock(&queue->lock);
    for (;;) {
        if (queue->is_stopped || queue->is_closed) {
            error = PFETCH_ESTOPPED;
            break;
        }
        /* Found anew each time: without jobs it may have been forgotten. */
        error = find_place_host_locked(queue, job);
        if (error != 0 || !is_full_locked(queue, job))
            break;
        if (job->place_host != NULL)
            place_locked(queue, job->place_host, clock_us(queue));
        if (!may_wait) {
            error = PFETCH_EAGAIN;
            break;
        }
        queue->is_full_waited = true;
        pf_cond_wait(&queue->not_full, &queue->lock);
    }
    if (error == 0) {
        queue->unfinished++;
        queue->unfinished_bytes += job->queue_bytes;
        if (job->place_host != NULL)
            job->place_host->places++;
    } else {
        job->place_host = NULL;
    }
    pf_mutex_unlock(&queue->lock);
    return error;
}

int pf_urlqueue_reserve(struct pf_urlqueue *queue, struct pfetch_job *job)
{
    return reserve(queue, job, true);
}

int pf_urlqueue_try_reserve(struct pf_urlqueue *queue, struct pfetch_job *job)
{
    return reserve(queue, job, false);
}

void pf_urlqueue_release(struct pf_urlqueue *queue, struct pfetch_job *jobs)
{
    bool wake;

    pf_mutex_lock(&queue->lock);
    for (struct pfetch_job *job = jobs; job != NULL; job = job->next) {
        struct pf_host *host = job->place_host;

        queue->unfinished--;
        queue->unfinished_bytes -= job->queue_bytes;
        job->place_host = NULL;
        if (host != NULL && --host->places == 0)
            place_locked(queue, host, clock_us(queue));
    }
    wake = queue->is_full_waited;
    queue->is_full_waited = false;
    pf_mutex_unlock(&queue->lock);
    if (wake)
        pf_cond_broadcast(&queue->not_full);
}

/* --- jobs ------------------------------------------------------------------ */

int pf_urlqueue_push(struct pf_urlqueue *queue, struct pfetch_job *job)
{
    struct pf_origin *origin;
    struct pf_host *host;
    int error = 0;

    pf_mutex_lock(&queue->lock);
    if (queue->is_stopped || queue->is_closed) {
        error = PFETCH_ESTOPPED;
    } else if (find_host_locked(queue, job, &host, &origin) != 0) {
        error = PFETCH_ENOMEM;
    } else {
        attach(job, host, origin);
        queue->inside++;
        if (origin->state == PF_ORIGIN_DOWN)
            conclude_locked(queue, job, PF_ORDER_HOST_DOWN);
        else
            wait_locked(queue, job);
        if (host->place != PF_HOST_READY)
            place_locked(queue, host, clock_us(queue));
        pass_on_locked(queue);
    }
    pf_mutex_unlock(&queue->lock);
    return error;
}

void pf_urlqueue_advance(struct pf_urlqueue *queue, uint64_t oldest)
{
    struct pf_heap_node *node;
    uint64_t end = oldest + queue->limits.window;

    pf_mutex_lock(&queue->lock);
    if (end > queue->window_end)
        queue->window_end = end;
    while ((node = pf_heap_min(&queue->ahead)) != NULL
           && (uint64_t)node->key < queue->window_end)
        place_locked(queue, pf_host_of_ahead(node), clock_us(queue));
    pass_on_locked(queue);
    pf_mutex_unlock(&queue->lock);
}

struct pfetch_job *pf_urlqueue_try_pop(struct pf_urlqueue *queue,
                                       int64_t *wake_us)
{
    struct pfetch_job *job = NULL;

    *wake_us = PF_NEVER;
    pf_mutex_lock(&queue->lock);
    if (!queue->is_stopped)
        job = try_pop_locked(queue, wake_us);
    pf_mutex_unlock(&queue->lock);
    return job;
}

struct pfetch_job *pf_urlqueue_pop(struct pf_urlqueue *queue)
{
    struct pfetch_job *job = NULL;
    int64_t wake_us;

    pf_mutex_lock(&queue->lock);
    while (!queue->is_stopped) {
        job = try_pop_locked(queue, &wake_us);
        if (job != NULL || is_drained_locked(queue))
            break;
        sleep_locked(queue, wake_us);
    }
    if (job != NULL)
        pass_on_locked(queue);
    pf_mutex_unlock(&queue->lock);
    return job;
}

/* A popped job whose URL has changed goes over to its host.  Without memory
 * for that it stays under the old one: only limits are the worse for it. */
static void move_locked(struct pf_urlqueue *queue, struct pfetch_job *job,
                        int64_t now_us)
{
    struct pf_host *old = job->host, *host;
    struct pf_origin *old_origin = job->origin, *origin;

    if (strcmp(old_origin->key, job->url->origin) == 0
        || find_host_locked(queue, job, &host, &origin) != 0)
        return;
    attach(job, host, origin);
    host->running++;
    detach_locked(queue, old, old_origin, now_us);
}

static void reenter_locked(struct pf_urlqueue *queue, struct pfetch_job *job,
                           int64_t due_us, int64_t now_us)
{
    switch (job->origin->state) {
    case PF_ORIGIN_UP:
        delay_locked(queue, job, due_us);
        break;
    case PF_ORIGIN_SET_ASIDE:
        if (job->origin->probe != NULL)
            park_locked(queue, job);
        else if (job->origin->next_probe_us > now_us)
            make_probe_locked(queue, job, job->origin->next_probe_us);
        else /* it was the probe, and found out nothing: by its own delay */
            make_probe_locked(queue, job, due_us);
        break;
    case PF_ORIGIN_DOWN:
        conclude_locked(queue, job, PF_ORDER_HOST_DOWN);
        break;
    }
}

bool pf_urlqueue_retry(struct pf_urlqueue *queue, struct pfetch_job *job,
                       int64_t delay_ms, const struct pf_contact *contact,
                       struct pf_host_notice *notice)
{
    int64_t now_us, due_us;
    bool in_time;

    pf_mutex_lock(&queue->lock);
    now_us = clock_us(queue);
    note_contact_locked(queue, job, contact, now_us, notice);
    due_us = later(now_us + delay_ms * 1000, job->host->hold_until_us);
    in_time = due_us < job->deadline_us
              && notice->kind != PF_NOTICE_SHORTAGE_LASTS;
    if (in_time) {
        move_locked(queue, job, now_us);
        job->host->running--;
        reenter_locked(queue, job, due_us, now_us);
    }
    place_locked(queue, job->host, now_us);
    keep_time_locked(queue);
    pf_mutex_unlock(&queue->lock);
    return in_time;
}

int pf_urlqueue_redirect(struct pf_urlqueue *queue, struct pfetch_job *job)
{
    static const struct pf_contact answered = { .kind = PF_CONTACT_ANSWERED };
    struct pf_host *old = job->host, *host;
    struct pf_origin *old_origin = job->origin, *origin;
    struct pf_host_notice notice;
    int64_t now_us;
    int error;

    pf_mutex_lock(&queue->lock);
    now_us = clock_us(queue);
    error = find_host_locked(queue, job, &host, &origin);
    if (error == 0) {
        note_contact_locked(queue, job, &answered, now_us, &notice);
        attach(job, host, origin);
        if (origin->state == PF_ORIGIN_DOWN) {
            conclude_locked(queue, job, PF_ORDER_HOST_DOWN);
        } else {
            pf_job_list_prepend(&host->waiting, job);
            enter_locked(queue, job, PF_JOB_WAITING);
        }
        detach_locked(queue, old, old_origin, now_us);
        if (host != old)
            place_locked(queue, host, now_us);
        pass_on_locked(queue);
    }
    pf_mutex_unlock(&queue->lock);
    return error;
}

void pf_urlqueue_leave(struct pf_urlqueue *queue, struct pfetch_job *job,
                       const struct pf_contact *contact,
                       struct pf_host_notice *notice)
{
    struct pf_host *host = job->host;
    struct pf_origin *origin = job->origin;
    int64_t now_us;

    pf_mutex_lock(&queue->lock);
    now_us = clock_us(queue);
    note_contact_locked(queue, job, contact, now_us, notice);
    job->host = NULL;
    job->origin = NULL;
    queue->inside--;
    detach_locked(queue, host, origin, now_us);
    if (is_drained_locked(queue))
        wake_all_locked(queue);
    pf_mutex_unlock(&queue->lock);
}

void pf_urlqueue_why_down(struct pf_urlqueue *queue,
                          const struct pfetch_job *job, char *text,
                          size_t size)
{
    pf_mutex_lock(&queue->lock);
    (void)snprintf(text, size, "%s was given up: %s", job->origin->key,
                   job->origin->why);
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

/* Hosts stay where they are: nothing is popped any more, and what the writer
 * still tells the queue (places, the window) wakes nobody. */
struct pfetch_job *pf_urlqueue_take_left(struct pf_urlqueue *queue)
{
    struct pfetch_job *job;

    pf_mutex_lock(&queue->lock);
    job = queue->concluded.first;
    for (; job == NULL && queue->swept < queue->hosts.size; queue->swept++) {
        struct pf_host *host = queue->hosts.buckets[queue->swept];

        for (; host != NULL && job == NULL; host = host->chain)
            job = pf_host_any_job(host);
        if (job != NULL)
            break;
    }
    if (job != NULL) {
        take_out_locked(queue, job);
        job->host = NULL;
        job->origin = NULL;
        queue->inside--;
    }
    pf_mutex_unlock(&queue->lock);
    return job;
}

/* A hold ends by the clock, and nothing happens then: so they are counted when
 * somebody asks, and while there are some. */
void pf_urlqueue_count(struct pf_urlqueue *queue, size_t *delayed,
                       size_t *held)
{
    int64_t now_us;

    pf_mutex_lock(&queue->lock);
    now_us = clock_us(queue);
    *delayed = queue->delayed;
    *held = 0;
    if (queue->holds_until_us > now_us)
        for (size_t i = 0; i < queue->hosts.size; i++)
            for (const struct pf_host *host = queue->hosts.buckets[i];
                 host != NULL; host = host->chain)
                *held += host->hold_until_us > now_us;
    pf_mutex_unlock(&queue->lock);
}
