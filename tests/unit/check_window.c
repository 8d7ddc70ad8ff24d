/* check_window.c - tests of the window of urlqueue.c (options.ordered).
 *
 * SPDX-License-Identifier: MIT
 *
 * As in check_scheduler.c the clock is a variable, and one thread plays all
 * workers; here it plays the writer as well, which delivers in order.
 */
#include "config.h"

#include "urlqueue.h"

#include "retry.h" /* pf_random */
#include "unit.h"

#include <stdio.h>
#include <string.h>

enum { MS = 1000, SECOND = 1000 * MS, WINDOW = 8, JOBS_MAX = 600 };

static struct pf_urlqueue queue;
static int64_t now;
static struct pf_host_notice notice;
static uint64_t pushed;

/* The writer. */
static bool is_over[JOBS_MAX];
static uint64_t oldest;

static int64_t tell_time(void *data)
{
    return *(int64_t *)data;
}

static struct pf_urlqueue_limits usual_limits(void)
{
    return (struct pf_urlqueue_limits){
        .max_jobs = 1000000, .max_bytes = 1 << 30,
        .hold_ms = 5000, .hold_max_ms = 60000, .retry_after_max_ms = 300000,
        .probe_ms = 1000, .probe_max_ms = 3000, .burst = 1, .probes = 3,
        .window = WINDOW, .now_us = tell_time, .clock_data = &now,
    };
}

static void open_queue(const struct pf_urlqueue_limits *limits)
{
    now = 1000 * (int64_t)SECOND;
    pushed = oldest = 0;
    memset(is_over, 0, sizeof(is_over));
    ck_assert_int_eq(pf_urlqueue_init(&queue, limits), 0);
}

static void close_queue(void)
{
    int64_t wake_us;

    now += 400 * (int64_t)SECOND;
    ck_assert_ptr_null(pf_urlqueue_try_pop(&queue, &wake_us));
    ck_assert_uint_eq(oldest, pushed);
    ck_assert_uint_eq(queue.inside, 0);
    ck_assert(pf_heap_is_empty(&queue.ahead));
    ck_assert(pf_heap_is_empty(&queue.timers));
    ck_assert_uint_eq(queue.hosts.count, 0);
    pf_urlqueue_fini(&queue);
}

static void push(const char *host)
{
    struct pfetch_job *job;
    char url[64];

    (void)snprintf(url, sizeof(url), "http://%s/%d", host, (int)pushed);
    job = unit_job(url, pushed + 1);
    job->seq = pushed++;
    REQUIRE(pf_urlqueue_push(&queue, job) == 0);
}

static struct pfetch_job *pop_seq(uint64_t seq)
{
    int64_t wake_us;
    struct pfetch_job *job = pf_urlqueue_try_pop(&queue, &wake_us);

    ck_assert_ptr_nonnull(job);
    ck_assert_uint_eq(job->seq, seq);
    return job;
}

static void pop_none(void)
{
    int64_t wake_us;

    ck_assert_ptr_null(pf_urlqueue_try_pop(&queue, &wake_us));
}

static void over(uint64_t seq)
{
    is_over[seq] = true;
    while (oldest < pushed && is_over[oldest])
        oldest++;
    pf_urlqueue_advance(&queue, oldest);
}

static void leave_with(struct pfetch_job *job, enum pf_contact_kind kind)
{
    struct pf_contact contact = { .kind = kind, .retry_after_ms = -1,
                                  .why = "refused" };
    uint64_t seq = job->seq;

    pf_urlqueue_leave(&queue, job, &contact, &notice);
    pf_job_free(job);
    over(seq);
}

static void leave(struct pfetch_job *job)
{
    leave_with(job, PF_CONTACT_ANSWERED);
}

START_TEST(no_job_is_begun_beyond_the_window)
{
    struct pf_urlqueue_limits limits = usual_limits();
    struct pfetch_job *jobs[3 * WINDOW];

    open_queue(&limits);
    for (unsigned i = 0; i < 3 * WINDOW; i++)
        push(i % 2 == 0 ? "a" : "b");
    for (unsigned i = 0; i < WINDOW; i++)
        jobs[i] = pop_seq(i);
    pop_none();
    for (unsigned i = 1; i < WINDOW; i++)
        leave(jobs[i]);
    pop_none(); /* the oldest one is still out */
    leave(jobs[0]);
    for (unsigned i = WINDOW; i < 2 * WINDOW; i++)
        jobs[i] = pop_seq(i);
    pop_none();
    leave(jobs[WINDOW]);
    jobs[2 * WINDOW] = pop_seq(2 * WINDOW);
    pop_none();
    for (unsigned i = WINDOW + 1; i <= 2 * WINDOW; i++)
        leave(jobs[i]);
    for (unsigned i = 2 * WINDOW + 1; i < 3 * WINDOW; i++)
        leave(pop_seq(i));
    close_queue();
}
END_TEST

/* It comes back behind jobs of its host that may not run before it. */
START_TEST(the_oldest_job_may_come_back)
{
    struct pf_urlqueue_limits limits = usual_limits();
    struct pf_contact contact = { .kind = PF_CONTACT_ANSWERED,
                                  .retry_after_ms = -1 };
    struct pfetch_job *first;

    open_queue(&limits);
    for (unsigned i = 0; i < 2 * WINDOW; i++)
        push("a");
    first = pop_seq(0);
    for (unsigned i = 1; i < WINDOW; i++)
        leave(pop_seq(i));
    pop_none();
    ck_assert(pf_urlqueue_retry(&queue, first, 500, &contact, &notice));
    pop_none();
    now += 501 * MS;
    first = pop_seq(0);
    pop_none();
    ck_assert(pf_urlqueue_retry(&queue, first, 0, &contact, &notice));
    leave(pop_seq(0));
    for (unsigned i = WINDOW; i < 2 * WINDOW; i++)
        leave(pop_seq(i));
    close_queue();
}
END_TEST

/* Others go on while the oldest is held up, but only within the window. */
START_TEST(a_host_that_is_held_holds_up_what_is_beyond)
{
    struct pf_urlqueue_limits limits = usual_limits();
    struct pf_contact slow = { .kind = PF_CONTACT_SLOW_DOWN,
                               .retry_after_ms = 20000 };
    struct pfetch_job *first;

    open_queue(&limits);
    push("held");
    for (unsigned i = 1; i < 2 * WINDOW; i++)
        push("b");
    first = pop_seq(0);
    ck_assert(pf_urlqueue_retry(&queue, first, 10, &slow, &notice));
    for (unsigned i = 1; i < WINDOW; i++)
        leave(pop_seq(i));
    pop_none();
    now += 61 * (int64_t)SECOND;
    leave(pop_seq(0));
    for (unsigned i = WINDOW; i < 2 * WINDOW; i++)
        leave(pop_seq(i));
    close_queue();
}
END_TEST

/* --- whole runs ------------------------------------------------------------ */

struct running {
    struct pfetch_job *job;
    int64_t until;
};

enum { WORKERS = 12, HOSTS = 5 };

static uint64_t draw;

static bool chance(unsigned percent)
{
    return pf_random(&draw) % 100 < percent;
}

/* What one attempt comes to; the last host is dead, the one before it asks
 * to slow down now and then. */
static void finish_attempt(struct pfetch_job *job)
{
    struct pf_contact contact = { .kind = PF_CONTACT_ANSWERED,
                                  .retry_after_ms = -1, .why = "refused",
                                  .random = pf_random(&draw) };
    bool is_dead = strncmp(job->url->host, "h4", 2) == 0;
    struct pf_url *url;
    struct pfetch_failure why;

    if (is_dead)
        contact.kind = PF_CONTACT_UNREACHABLE;
    else if (strncmp(job->url->host, "h3", 2) == 0 && chance(10))
        contact.kind = PF_CONTACT_SLOW_DOWN;
    job->attempts++;
    if (job->attempts < 4 && (contact.kind != PF_CONTACT_ANSWERED
                              || chance(20))) {
        pf_job_set_url(job, job->home);
        if (pf_urlqueue_retry(&queue, job, (int64_t)(pf_random(&draw) % 3000),
                              &contact, &notice))
            return;
    } else if (!is_dead && job->hops < 3 && chance(10)) {
        job->hops++;
        REQUIRE(pf_url_parse(chance(50) ? "http://h0/x" : "http://h4/x",
                             &url, &why) == 0);
        pf_job_set_url(job, url);
        REQUIRE(pf_urlqueue_redirect(&queue, job) == 0);
        return;
    }
    leave_with(job, contact.kind);
}

/* The oldest job is delivered in the end, whatever happens; never is a job
 * begun beyond the window. */
START_TEST(whole_runs_come_to_their_end)
{
    struct pf_urlqueue_limits limits = usual_limits();
    struct running running[WORKERS] = { { .job = NULL } };
    unsigned jobs = 200 + (unsigned)_i * 10, busy = 0, rounds = 0;

    draw = (uint64_t)_i * 7919 + 1;
    limits.per_host = _i % 3 == 0 ? 2 : 0;
    limits.host_interval_us = _i % 4 == 1 ? 100 * MS : 0;
    limits.interval_us = _i % 5 == 2 ? 10 * MS : 0;
    open_queue(&limits);
    while (oldest < jobs) {
        int64_t next = PF_NEVER, wake_us = PF_NEVER;

        REQUIRE(++rounds < 1000 * jobs);
        while (pushed < jobs && pushed < oldest + 100) {
            char host[8];

            (void)snprintf(host, sizeof(host), "h%d",
                           (int)(pf_random(&draw) % HOSTS));
            push(host);
            if (_i % 2 == 1)
                break;
        }
        for (unsigned w = 0; w < WORKERS; w++) {
            struct pfetch_job *job;

            if (running[w].job != NULL)
                continue;
            job = pf_urlqueue_try_pop(&queue, &wake_us);
            if (job == NULL)
                break;
            if (job->order != PF_ORDER_RUN) {
                leave_with(job, PF_CONTACT_NONE);
                next = now; /* that may have set others free */
                continue;
            }
            REQUIRE(job->seq < oldest + WINDOW);
            running[w].job = job;
            running[w].until = now + (int64_t)(pf_random(&draw)
                                               % (300 * MS));
            busy++;
        }
        for (unsigned w = 0; w < WORKERS; w++)
            if (running[w].job != NULL && running[w].until < next)
                next = running[w].until;
        if (wake_us < next)
            next = wake_us;
        if (pushed < jobs && _i % 2 == 1 && now + MS < next)
            next = now + MS;
        REQUIRE(next != PF_NEVER || oldest == jobs
                || (pushed < jobs && pushed < oldest + 100)
                || queue.concluded.first != NULL
                || queue.first_ready != NULL);
        if (next != PF_NEVER && next > now)
            now = next;
        for (unsigned w = 0; w < WORKERS; w++)
            if (running[w].job != NULL && running[w].until <= now) {
                struct pfetch_job *job = running[w].job;

                running[w].job = NULL;
                busy--;
                finish_attempt(job);
            }
    }
    ck_assert_uint_eq(busy, 0);
    close_queue();
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("window");

    tcase_add_test(tests, no_job_is_begun_beyond_the_window);
    tcase_add_test(tests, the_oldest_job_may_come_back);
    tcase_add_test(tests, a_host_that_is_held_holds_up_what_is_beyond);
    tcase_add_loop_test(tests, whole_runs_come_to_their_end, 0, 40);
    return unit_run(tests, "window");
}
