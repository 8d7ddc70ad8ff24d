/* check_scheduler.c - tests of urlqueue.c as the scheduler it is.
 *
 * SPDX-License-Identifier: MIT
 *
 * The clock is a variable, and one thread plays all workers with
 * pf_urlqueue_try_pop(): hours pass in no time, and nothing sleeps.  At the
 * end whole runs are simulated, with hosts that are slow, overloaded or dead
 * as a seed says, and every start is held against what was promised.
 */
#include "config.h"

#include "urlqueue.h"

#include "retry.h" /* pf_random */
#include "unit.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { MS = 1000, SECOND = 1000 * MS };

/* --- a queue with a clock of its own --------------------------------------- */

static struct pf_urlqueue queue;
static int64_t now;
static struct pf_host_notice notice; /* of the last retry or leave */

static int64_t tell_time(void *data)
{
    return *(int64_t *)data;
}

static struct pf_urlqueue_limits usual_limits(void)
{
    return (struct pf_urlqueue_limits){
        .max_jobs = 1000000, .max_bytes = 1 << 30,
        .hold_ms = 5000, .hold_max_ms = 60000, .retry_after_max_ms = 300000,
        .probe_ms = 1000, .probe_max_ms = 3000, .burst = 1, .probes = 4,
        .shortage_ms = 15000,
        .now_us = tell_time, .clock_data = &now,
    };
}

static void open_queue(const struct pf_urlqueue_limits *limits)
{
    now = 1000 * (int64_t)SECOND;
    ck_assert_int_eq(pf_urlqueue_init(&queue, limits), 0);
}

/* All is over: nothing may be left of any job, and after a while nothing of
 * any host. */
static void close_queue(void)
{
    int64_t wake_us;

    for (int i = 0; i < 3; i++) {
        ck_assert_ptr_null(pf_urlqueue_try_pop(&queue, &wake_us));
        now += 400 * (int64_t)SECOND;
    }
    ck_assert_uint_eq(queue.inside, 0);
    ck_assert_uint_eq(queue.delayed, 0);
    ck_assert_uint_eq(queue.hosts.count, 0);
    ck_assert_ptr_null(queue.first_ready);
    ck_assert(pf_heap_is_empty(&queue.timers));
    ck_assert(pf_heap_is_empty(&queue.expiries));
    ck_assert_int_eq(wake_us, PF_NEVER);
    pf_urlqueue_fini(&queue);
}

static struct pfetch_job *push(const char *host, uint64_t n)
{
    struct pfetch_job *job;
    char url[64];

    (void)snprintf(url, sizeof(url), "http://%s/%d", host, (int)n);
    job = unit_job(url, n);
    REQUIRE(pf_urlqueue_push(&queue, job) == 0);
    return job;
}

static void push_many(const char *host, uint64_t first, uint64_t last)
{
    for (uint64_t n = first; n <= last; n++)
        (void)push(host, n);
}

/* A job must come now, for that. */
static struct pfetch_job *pop_order(enum pf_job_order order)
{
    int64_t wake_us;
    struct pfetch_job *job = pf_urlqueue_try_pop(&queue, &wake_us);

    ck_assert_ptr_nonnull(job);
    ck_assert_int_eq(job->order, order);
    return job;
}

static struct pfetch_job *pop(void)
{
    return pop_order(PF_ORDER_RUN);
}

static struct pfetch_job *pop_n(uint64_t n)
{
    struct pfetch_job *job = pop();

    ck_assert_uint_eq(job->request.n, n);
    return job;
}

/* No job may come now; returns when to look again, from now on. */
static int64_t pop_none(void)
{
    int64_t wake_us;

    ck_assert_ptr_null(pf_urlqueue_try_pop(&queue, &wake_us));
    return wake_us == PF_NEVER ? PF_NEVER : wake_us - now;
}

static struct pf_contact contact(enum pf_contact_kind kind)
{
    return (struct pf_contact){ .kind = kind, .retry_after_ms = -1,
                                .why = "refused" };
}

/* Makes a hold last ms, by chance; is_fewer: a 429. */
static struct pf_contact slow_down(int64_t ms, bool is_fewer)
{
    struct pf_contact c = contact(PF_CONTACT_SLOW_DOWN);

    c.random = (uint64_t)ms;
    c.is_fewer = is_fewer;
    return c;
}

static void leave_with(struct pfetch_job *job, struct pf_contact c)
{
    pf_urlqueue_leave(&queue, job, &c, &notice);
    pf_job_free(job);
}

static void leave(struct pfetch_job *job)
{
    leave_with(job, contact(PF_CONTACT_ANSWERED));
}

static void retry_with(struct pfetch_job *job, int64_t delay_ms,
                       struct pf_contact c)
{
    ck_assert(pf_urlqueue_retry(&queue, job, delay_ms, &c, &notice));
}

/* Runs all that is left, each with a good answer; returns how many. */
static size_t drain(void)
{
    struct pfetch_job *job;
    size_t count = 0;
    int64_t wake_us;

    for (;;) {
        job = pf_urlqueue_try_pop(&queue, &wake_us);
        if (job != NULL) {
            leave(job);
            count++;
        } else if (queue.inside > 0) {
            REQUIRE(wake_us != PF_NEVER && wake_us > now);
            now = wake_us;
        } else {
            return count;
        }
    }
}

/* --- limits ---------------------------------------------------------------- */

START_TEST(no_more_at_once_than_allowed)
{
    struct pf_urlqueue_limits limits = usual_limits();
    struct pfetch_job *jobs[4];

    limits.per_host = 2;
    open_queue(&limits);
    push_many("a", 1, 4);
    push_many("a:81", 5, 5); /* the same host */
    push_many("b", 11, 13);
    jobs[0] = pop_n(1);
    jobs[1] = pop_n(11);
    jobs[2] = pop_n(2);
    jobs[3] = pop_n(12);
    ck_assert_int_eq(pop_none(), PF_NEVER);
    leave(jobs[2]);
    jobs[2] = pop_n(3);
    ck_assert_int_eq(pop_none(), PF_NEVER);
    /* A job that waits for a retry leaves its place to others. */
    retry_with(jobs[0], 1000, contact(PF_CONTACT_BROKEN));
    jobs[0] = pop_n(4);
    ck_assert_int_eq(pop_none(), PF_NEVER);
    for (int i = 0; i < 4; i++)
        leave(jobs[i]);
    ck_assert_uint_eq(drain(), 3);
    close_queue();
}
END_TEST

START_TEST(hosts_may_be_exceptions)
{
    static const struct pfetch_host_options hosts[] = {
        { .name = "ONE", .per_host = 1, .rate = -1 },
        { .name = "free", .per_host = 0, .rate = 0 },
        { .name = "rated", .per_host = -1, .rate = 2 },
    };
    struct pf_urlqueue_limits limits = usual_limits();
    struct pfetch_job *jobs[10];

    limits.per_host = 2;
    limits.host_interval_us = SECOND / 10;
    limits.hosts = hosts;
    limits.host_count = 3;
    open_queue(&limits);
    push_many("one", 1, 2);
    jobs[0] = pop_n(1);
    now += 10 * SECOND;
    ck_assert_int_eq(pop_none(), PF_NEVER);
    leave(jobs[0]);
    leave(pop_n(2));
    push_many("free:8080", 1, 10);
    for (uint64_t n = 0; n < 10; n++)
        jobs[n] = pop_n(n + 1);
    for (int n = 0; n < 10; n++)
        leave(jobs[n]);
    push_many("rated", 1, 3);
    push_many("other", 11, 13);
    jobs[0] = pop_n(1);
    jobs[1] = pop_n(11);
    now += SECOND / 10;
    jobs[2] = pop_n(12); /* one every 100 ms */
    now += SECOND;
    jobs[3] = pop_n(2);
    ck_assert_int_eq(pop_none(), PF_NEVER);
    for (int i = 0; i < 4; i++)
        leave(jobs[i]);
    ck_assert_uint_eq(drain(), 2);
    close_queue();
}
END_TEST

/* 1,000 starts, some of them late, at 50 in a second: 20 s. */
START_TEST(the_rate_is_right)
{
    enum { N = 1000, INTERVAL = SECOND / 50 };
    struct pf_urlqueue_limits limits = usual_limits();
    uint64_t random = 5;
    int64_t began, wake_us;
    char host[16];

    limits.interval_us = INTERVAL;
    open_queue(&limits);
    for (uint64_t n = 0; n < N; n++) {
        (void)snprintf(host, sizeof(host), "h%d", (int)n % 7);
        push(host, n);
    }
    began = now;
    for (int n = 0; n < N;) {
        struct pfetch_job *job = pf_urlqueue_try_pop(&queue, &wake_us);

        if (job == NULL) {
            ck_assert(wake_us > now && wake_us <= now + INTERVAL);
            now = wake_us + (int64_t)(pf_random(&random) >> 40) % (15 * MS);
            continue;
        }
        leave(job);
        n++;
    }
    ck_assert_int_ge(now - began, 95 * (int64_t)N * INTERVAL / 100);
    ck_assert_int_le(now - began, 105 * (int64_t)N * INTERVAL / 100);
    close_queue();
}
END_TEST

START_TEST(the_rate_of_each_host_is_right)
{
    enum { HOSTS = 4, N = 1000, INTERVAL = SECOND / 10 };
    struct pf_urlqueue_limits limits = usual_limits();
    int64_t began, last[HOSTS], wake_us;
    char host[16];

    limits.host_interval_us = INTERVAL;
    open_queue(&limits);
    for (uint64_t n = 0; n < HOSTS * N; n++) {
        (void)snprintf(host, sizeof(host), "h%d", (int)n % HOSTS);
        push(host, n);
    }
    began = now;
    for (int n = 0; n < HOSTS * N;) {
        struct pfetch_job *job = pf_urlqueue_try_pop(&queue, &wake_us);

        if (job == NULL) {
            now = wake_us;
            continue;
        }
        last[job->request.n % HOSTS] = now;
        leave(job);
        n++;
    }
    for (int h = 0; h < HOSTS; h++) {
        ck_assert_int_ge(last[h] - began, 95 * (int64_t)N * INTERVAL / 100);
        ck_assert_int_le(last[h] - began, 105 * (int64_t)N * INTERVAL / 100);
    }
    close_queue();
}
END_TEST

/* Whoever comes late may make up for a little, not for an hour. */
START_TEST(no_burst_after_a_pause)
{
    struct pf_urlqueue_limits limits = usual_limits();
    size_t count = 0;
    int64_t wake_us;
    struct pfetch_job *job;

    limits.host_interval_us = _i == 0 ? 20 * MS : 0;
    limits.interval_us = _i == 1 ? 20 * MS : 0;
    open_queue(&limits);
    push_many("a", 1, 100);
    leave(pop_n(1));
    now += 3600 * (int64_t)SECOND;
    while ((job = pf_urlqueue_try_pop(&queue, &wake_us)) != NULL) {
        leave(job);
        count++;
    }
    ck_assert_uint_le(count, 4);
    ck_assert_uint_eq(drain(), 99 - count);
    close_queue();
}
END_TEST

/* --- shortage -------------------------------------------------------------- */

START_TEST(a_shortage_holds_every_host_back_with_one_message)
{
    struct pf_urlqueue_limits limits = usual_limits();
    struct pfetch_job *jobs[3];

    open_queue(&limits);
    push_many("a", 1, 3);
    push("b", 4);
    for (int i = 0; i < 3; i++)
        jobs[i] = pop();
    retry_with(jobs[0], 0, contact(PF_CONTACT_SHORTAGE));
    ck_assert_int_eq(notice.kind, PF_NOTICE_SHORTAGE);
    retry_with(jobs[1], 0, contact(PF_CONTACT_SHORTAGE));
    ck_assert_int_eq(notice.kind, PF_NOTICE_NONE);
    ck_assert_int_eq(pop_none(), 250 * MS);
    /* Such answers blame no host. */
    ck_assert_uint_eq(jobs[0]->origin->failures, 0);
    now += 250 * MS;
    jobs[0] = pop();
    retry_with(jobs[0], 0, contact(PF_CONTACT_SHORTAGE));
    ck_assert_int_eq(notice.kind, PF_NOTICE_SHORTAGE_AGAIN);
    ck_assert_int_eq(pop_none(), 500 * MS);
    leave(jobs[2]); /* began before: says nothing */
    ck_assert_int_eq(pop_none(), 500 * MS);
    ck_assert_uint_eq(drain(), 3);
    ck_assert_int_eq(queue.short_since_us, 0);
    close_queue();
}
END_TEST

START_TEST(a_shortage_that_lasts_is_told)
{
    struct pf_urlqueue_limits limits = usual_limits();
    struct pfetch_job *job;
    int64_t begun, rounds = 0;

    open_queue(&limits);
    push("a", 1);
    begun = now;
    for (;;) {
        struct pf_contact c = contact(PF_CONTACT_SHORTAGE);

        job = pop();
        if (!pf_urlqueue_retry(&queue, job, 0, &c, &notice))
            break;
        rounds++;
        now += pop_none();
    }
    ck_assert_int_eq(notice.kind, PF_NOTICE_SHORTAGE_LASTS);
    ck_assert_int_gt(now - begun, 15 * SECOND);
    ck_assert_int_lt(now - begun, 20 * SECOND);
    ck_assert_int_gt(rounds, 5);
    leave(job);
    close_queue();
}
END_TEST

/* As long as something comes through now and then it is not for good. */
START_TEST(a_shortage_that_comes_and_goes_does_not_last)
{
    struct pf_urlqueue_limits limits = usual_limits();
    int64_t wake_us;

    open_queue(&limits);
    push_many("a", 1, 100);
    for (int i = 0; i < 99; i++) {
        retry_with(pop(), 0, contact(PF_CONTACT_SHORTAGE));
        ck_assert_int_eq(notice.kind, i == 0 ? PF_NOTICE_SHORTAGE
                                             : PF_NOTICE_SHORTAGE_AGAIN);
        ck_assert_ptr_null(pf_urlqueue_try_pop(&queue, &wake_us));
        now = wake_us;
        leave(pop());
    }
    ck_assert_uint_eq(drain(), 1);
    close_queue();
}
END_TEST

/* --- slow down ------------------------------------------------------------- */

/* Thirty answers that were under way make one hold; others go on. */
START_TEST(one_hold_for_all_answers_under_way)
{
    enum { N = 30 };
    struct pf_urlqueue_limits limits = usual_limits();
    struct pfetch_job *jobs[N];
    int holds = 0;

    open_queue(&limits);
    push_many("a", 0, N - 1);
    for (int i = 0; i < N; i++)
        jobs[i] = pop();
    for (int i = 0; i < N; i++) {
        retry_with(jobs[i], 100, slow_down(4000, _i == 1));
        if (notice.kind != PF_NOTICE_NONE) {
            ck_assert_int_eq(notice.kind, PF_NOTICE_HOLD);
            ck_assert_int_eq(notice.ms, 4000);
            ck_assert_str_eq(notice.name, "a");
            holds++;
        }
        now += MS;
    }
    ck_assert_int_eq(holds, 1);
    push("a", 50);
    push("b", 51);
    leave(pop_n(51));
    ck_assert_int_eq(pop_none(), (4000 - N) * MS);
    now += (4000 - N) * MS;
    jobs[0] = pop();
    /* The try after it fails, too: longer. */
    leave_with(jobs[0], slow_down(9000, _i == 1));
    ck_assert_int_eq(notice.kind, PF_NOTICE_HOLD_AGAIN);
    ck_assert_int_eq(notice.ms, 9000);
    ck_assert_int_eq(pop_none(), 9 * SECOND);
    ck_assert_uint_eq(drain(), N);
    close_queue();
}
END_TEST

/* Only in a row do holds grow. */
START_TEST(a_good_answer_makes_holds_short_again)
{
    struct pf_urlqueue_limits limits = usual_limits();

    limits.burst = 0;
    open_queue(&limits);
    push_many("a", 1, 20);
    for (int i = 0; i < 8; i++) {
        leave_with(pop(), slow_down(60000, false)); /* 60000 % 5001 and so on */
        ck_assert_int_le(notice.ms, i >= 4 ? 60000 : 5000 << i);
        now += notice.ms * MS;
    }
    ck_assert_int_eq(notice.ms, 60000);
    leave(pop());
    leave_with(pop(), slow_down(5000, false));
    ck_assert_int_eq(notice.ms, 5000);
    (void)drain();
    close_queue();
}
END_TEST

/* A 503 in the first starts after a hold delays its own job only. */
START_TEST(the_first_starts_after_a_hold_are_one_try)
{
    struct pf_urlqueue_limits limits = usual_limits();
    struct pfetch_job *job;

    limits.burst = 3;
    open_queue(&limits);
    push_many("a", 1, 10);
    leave_with(pop(), slow_down(1000, false));
    ck_assert_int_eq(pop_none(), SECOND);
    now += SECOND;
    for (int i = 0; i < 2; i++) {
        job = pop();
        retry_with(job, 5000, slow_down(1000, false));
        ck_assert_int_eq(notice.kind, PF_NOTICE_NONE);
    }
    job = pop();
    retry_with(job, 5000, slow_down(1000, false));
    ck_assert_int_eq(notice.kind, PF_NOTICE_HOLD_AGAIN);
    ck_assert_uint_eq(drain(), 9);
    close_queue();
}
END_TEST

START_TEST(retry_after_is_a_floor_up_to_a_cap)
{
    static const struct {
        int64_t retry_after_ms, drawn_ms, hold_ms;
    } cases[] = {
        { -1, 3000, 3000 }, { 0, 3000, 3000 }, { 2000, 3000, 3000 },
        { 20000, 3000, 20000 }, { 86400000, 3000, 300000 },
    };
    struct pf_urlqueue_limits limits = usual_limits();
    struct pf_contact c = slow_down(cases[_i].drawn_ms, _i % 2 == 0);

    c.retry_after_ms = cases[_i].retry_after_ms;
    open_queue(&limits);
    push_many("a", 1, 2);
    leave_with(pop(), c);
    ck_assert_int_eq(notice.ms, cases[_i].hold_ms);
    ck_assert_int_eq(pop_none(), cases[_i].hold_ms * MS);
    ck_assert_uint_eq(drain(), 1);
    close_queue();
}
END_TEST

static size_t pop_all(struct pfetch_job **jobs)
{
    size_t count = 0;
    int64_t wake_us;

    while ((jobs[count] = pf_urlqueue_try_pop(&queue, &wake_us)) != NULL)
        count++;
    return count;
}

START_TEST(a_429_halves_and_good_answers_raise)
{
    struct pf_urlqueue_limits limits = usual_limits();
    struct pfetch_job *jobs[64];
    size_t running, good = 0;

    limits.per_host = 8;
    open_queue(&limits);
    push_many("a", 1, 500);
    ck_assert_uint_eq(pop_all(jobs), 8);
    for (int i = 0; i < 8; i++)
        leave_with(jobs[i], slow_down(1000, true));
    now += SECOND;
    ck_assert_uint_eq(running = pop_all(jobs), 4);
    while (running == 4) { /* ten for each at once */
        leave(jobs[3]);
        good++;
        running = 3 + pop_all(&jobs[3]);
    }
    ck_assert_uint_eq(good, 40);
    ck_assert_uint_eq(running, 5);
    for (size_t i = 0; i < running; i++)
        leave(jobs[i]);
    (void)drain();
    /* It never goes above the limit. */
    push_many("a", 1, 20);
    ck_assert_uint_eq(pop_all(jobs), 8);
    for (int i = 0; i < 8; i++)
        leave(jobs[i]);
    (void)drain();
    close_queue();
}
END_TEST

/* A 503 does not ask for fewer at once. */
START_TEST(a_503_does_not_halve)
{
    struct pf_urlqueue_limits limits = usual_limits();
    struct pfetch_job *jobs[64];

    limits.per_host = 8;
    open_queue(&limits);
    push_many("a", 1, 40);
    ck_assert_uint_eq(pop_all(jobs), 8);
    for (int i = 0; i < 8; i++)
        leave_with(jobs[i], slow_down(1000, false));
    now += SECOND;
    ck_assert_uint_eq(pop_all(jobs), 8);
    for (int i = 0; i < 8; i++)
        leave(jobs[i]);
    (void)drain();
    close_queue();
}
END_TEST

/* --- the circuit breaker --------------------------------------------------- */

static void refuse(struct pfetch_job *job)
{
    leave_with(job, contact(PF_CONTACT_UNREACHABLE));
}

/* Five failures of its first five jobs; the probe waits a second then. */
static void set_aside(const char *host, uint64_t n)
{
    push_many(host, n, n + 4);
    notice.kind = PF_NOTICE_NONE;
    for (uint64_t i = 0; i < 5; i++) {
        ck_assert_int_ne(notice.kind, PF_NOTICE_SET_ASIDE);
        refuse(pop_n(n + i));
    }
    ck_assert_int_eq(notice.kind, PF_NOTICE_SET_ASIDE);
    ck_assert_str_eq(notice.why, "refused");
}

START_TEST(a_host_is_probed_and_comes_back)
{
    static const int pauses[] = { 1, 2, 3 }; /* s: doubled, up to the cap */
    struct pf_urlqueue_limits limits = usual_limits();
    struct pfetch_job *jobs[200];

    open_queue(&limits);
    set_aside("a", 1);
    push_many("a", 11, 60);
    push_many("a:81", 61, 61); /* another origin */
    push_many("b", 62, 62);
    for (int i = 0; i < 3; i++) {
        if (i == 0) {
            leave(pop_n(61));
            leave(pop_n(62));
        }
        ck_assert_int_eq(pop_none(), pauses[i] * SECOND);
        now += pauses[i] * SECOND - 1;
        (void)pop_none();
        now++;
        jobs[0] = pop();
        (void)pop_none(); /* one only */
        push_many("a:81", 70, 70); /* waits: fewer at once since it failed */
        if (i == 1)
            retry_with(jobs[0], 100, contact(PF_CONTACT_UNREACHABLE));
        else
            refuse(jobs[0]);
        ck_assert_int_eq(notice.kind, PF_NOTICE_NONE);
        leave(pop_n(70));
    }
    now += 3 * SECOND;
    leave(pop());
    ck_assert_int_eq(notice.kind, PF_NOTICE_BACK);
    ck_assert_uint_eq(drain(), 50 - 3);
    ck_assert_uint_eq(queue.delayed, 0);
    close_queue();
}
END_TEST

START_TEST(spent_probes_conclude_all_jobs)
{
    struct pf_urlqueue_limits limits = usual_limits();
    struct pfetch_job *job;
    char text[128];
    size_t down = 0;
    int64_t wake_us;

    open_queue(&limits);
    set_aside("a", 1);
    push_many("a", 11, 110);
    push_many("a:81", 200, 200);
    leave(pop_n(200));
    for (unsigned i = 0; i < limits.probes; i++) {
        now += pop_none();
        refuse(pop());
    }
    ck_assert_int_eq(notice.kind, PF_NOTICE_DOWN);
    push_many("a", 111, 120); /* and those that come later */
    while ((job = pf_urlqueue_try_pop(&queue, &wake_us)) != NULL) {
        ck_assert_int_eq(job->order, PF_ORDER_HOST_DOWN);
        pf_urlqueue_why_down(&queue, job, text, sizeof(text));
        ck_assert_ptr_nonnull(strstr(text, "refused"));
        leave_with(job, contact(PF_CONTACT_NONE));
        down++;
    }
    ck_assert_uint_eq(down, 110 - limits.probes);
    push_many("a:81", 201, 201);
    leave(pop_n(201));
    close_queue();
}
END_TEST

/* A job without a retry in it, a job whose time is over, one that was
 * cancelled: another probes. */
START_TEST(a_probe_that_goes_away_is_replaced)
{
    struct pf_urlqueue_limits limits = usual_limits();
    struct pfetch_job *probe;

    open_queue(&limits);
    set_aside("a", 1);
    push_many("a", 11, 15);
    ck_assert_int_eq(pop_none(), SECOND);
    now += SECOND;
    probe = pop_n(11);
    switch (_i) {
    case 0: /* cancelled */
        leave_with(probe, contact(PF_CONTACT_NONE));
        leave(pop_n(12));
        break;
    case 1: /* expires while it waits to probe again */
        probe->deadline_us = now + SECOND;
        retry_with(probe, 10, contact(PF_CONTACT_UNREACHABLE));
        ck_assert_int_eq(pop_none(), SECOND);
        now += SECOND;
        leave_with(pop_order(PF_ORDER_EXPIRED), contact(PF_CONTACT_NONE));
        ck_assert_int_eq(pop_none(), SECOND);
        now += SECOND;
        leave(pop_n(12));
        break;
    case 2: /* goes elsewhere: an answer */
        {
            struct pf_url *url;
            struct pfetch_failure why;

            ck_assert_int_eq(pf_url_parse("http://b/", &url, &why), 0);
            pf_job_set_url(probe, url);
            ck_assert_int_eq(pf_urlqueue_redirect(&queue, probe), 0);
        }
        break;
    }
    (void)drain();
    close_queue();
}
END_TEST

/* One that was on its way answers after all: the one that waits to probe runs
 * at once, too. */
START_TEST(a_late_answer_frees_the_probe)
{
    struct pf_urlqueue_limits limits = usual_limits();
    struct pfetch_job *jobs[8];

    open_queue(&limits);
    notice.kind = PF_NOTICE_NONE;
    push_many("a", 1, 6);
    ck_assert_uint_eq(pop_all(jobs), 6);
    for (int i = 0; i < 5; i++)
        retry_with(jobs[i], 0, contact(PF_CONTACT_UNREACHABLE));
    (void)pop_none();
    ck_assert_int_eq(notice.kind, PF_NOTICE_SET_ASIDE);
    (void)pop_none();
    leave(jobs[5]);
    ck_assert_int_eq(notice.kind, PF_NOTICE_BACK);
    ck_assert_uint_eq(queue.delayed, 0);
    for (int i = 0; i < 5; i++)
        leave(pop());
    close_queue();
}
END_TEST

/* A probe that fails for a reason of ours keeps to its delay. */
START_TEST(a_probe_that_says_nothing_waits_its_delay)
{
    struct pf_urlqueue_limits limits = usual_limits();

    open_queue(&limits);
    set_aside("a", 1);
    push_many("a", 11, 12);
    now += pop_none();
    retry_with(pop_n(11), 700, contact(PF_CONTACT_NONE));
    ck_assert_int_eq(pop_none(), 700 * MS);
    now += 700 * MS;
    leave(pop_n(11));
    leave(pop_n(12));
    close_queue();
}
END_TEST

/* --- deadlines ------------------------------------------------------------- */

START_TEST(a_job_expires_wherever_it_is)
{
    struct pf_urlqueue_limits limits = usual_limits();
    struct pfetch_job *job, *other = NULL;

    limits.per_host = 1;
    open_queue(&limits);
    notice.kind = PF_NOTICE_NONE;
    push("a", 1);
    job = pop();
    job->deadline_us = now + 2 * SECOND;
    switch (_i) {
    case 0: /* waits */
        push("a", 2);
        retry_with(job, 0, contact(PF_CONTACT_BROKEN));
        other = pop_n(2);
        break;
    case 1: /* delayed */
        retry_with(job, 1999, contact(PF_CONTACT_BROKEN));
        push("a", 2);
        other = pop_n(2);
        break;
    case 2: /* parked */
        job->deadline_us += SECOND;
        push_many("a", 2, 7);
        retry_with(job, 0, contact(PF_CONTACT_UNREACHABLE));
        for (uint64_t n = 2; n <= 5; n++)
            refuse(pop_n(n));
        ck_assert_int_eq(notice.kind, PF_NOTICE_SET_ASIDE);
        now += pop_none();
        other = pop_n(6);
        ck_assert_int_eq(job->place, PF_JOB_PARKED);
        break;
    }
    ck_assert_int_eq(pop_none(), 2 * SECOND);
    now += 2 * SECOND - 1;
    (void)pop_none();
    now++;
    ck_assert_ptr_eq(pop_order(PF_ORDER_EXPIRED), job);
    leave_with(job, contact(PF_CONTACT_NONE));
    leave(other);
    (void)drain();
    close_queue();
}
END_TEST

START_TEST(a_retry_that_would_be_late_is_refused)
{
    struct pf_urlqueue_limits limits = usual_limits();
    struct pf_contact c = contact(PF_CONTACT_BROKEN);
    struct pfetch_job *job;

    open_queue(&limits);
    push("a", 1);
    job = pop();
    job->deadline_us = now + 2 * SECOND;
    if (_i == 0) {
        ck_assert(!pf_urlqueue_retry(&queue, job, 2000, &c, &notice));
    } else { /* the hold it has caused is too long */
        c = slow_down(2000, false);
        ck_assert(!pf_urlqueue_retry(&queue, job, 1, &c, &notice));
        ck_assert_int_eq(notice.kind, PF_NOTICE_HOLD);
    }
    leave_with(job, contact(PF_CONTACT_NONE));
    close_queue();
}
END_TEST

/* --- what is forgotten ----------------------------------------------------- */

/* As long as its rate has something to say, a host without jobs is kept. */
START_TEST(the_rate_holds_for_one_job_at_a_time)
{
    enum { N = 100, INTERVAL = SECOND / 25 };
    struct pf_urlqueue_limits limits = usual_limits();
    int64_t began, wake_us;

    limits.host_interval_us = INTERVAL;
    open_queue(&limits);
    began = now;
    for (uint64_t n = 0; n < N; n++) {
        struct pfetch_job *job;

        push("a", n);
        while ((job = pf_urlqueue_try_pop(&queue, &wake_us)) == NULL)
            now = wake_us;
        leave(job);
        now += MS;
    }
    ck_assert_int_ge(now - began, 95 * (int64_t)N * INTERVAL / 100);
    close_queue();
}
END_TEST

START_TEST(idle_hosts_are_forgotten_unless_held)
{
    struct pf_urlqueue_limits limits = usual_limits();

    limits.host_interval_us = SECOND;
    open_queue(&limits);
    push("good", 1);
    push("held", 2);
    push("bad", 3);
    leave(pop_n(1));
    leave_with(pop_n(2), slow_down(4000, false));
    refuse(pop_n(3));
    ck_assert_uint_eq(queue.hosts.count, 3);
    now += SECOND;
    (void)pop_none();
    ck_assert_uint_eq(queue.hosts.count, 2); /* its rate is no matter now */
    now += 2 * SECOND;
    (void)pop_none();
    push("held", 4); /* still on hold */
    ck_assert_int_eq(pop_none(), SECOND);
    ck_assert_uint_eq(drain(), 1);
    now += 70 * SECOND;
    (void)pop_none();
    ck_assert_uint_eq(queue.hosts.count, 0);
    close_queue();
}
END_TEST

/* --- take_left ------------------------------------------------------------- */

/* Waiting, delayed, parked, to probe, concluded. */
START_TEST(take_left_finds_every_place)
{
    struct pf_urlqueue_limits limits = usual_limits();
    unsigned seen[100] = { 0 };
    struct pfetch_job *job;
    int64_t wake_us;

    limits.probes = 1;
    open_queue(&limits);
    notice.kind = PF_NOTICE_NONE;
    push_many("delayed", 1, 3);
    for (uint64_t n = 1; n <= 3; n++)
        retry_with(pop_n(n), 3600 * 1000, contact(PF_CONTACT_NONE));
    set_aside("down", 60);
    push_many("down", 10, 19);
    now += pop_none();
    job = pop_n(10);
    set_aside("aside", 70);
    push_many("aside", 20, 29);
    (void)pop_none();
    refuse(job);
    ck_assert_int_eq(notice.kind, PF_NOTICE_DOWN);
    ck_assert_ptr_nonnull(queue.concluded.first);
    leave_with(pop_order(PF_ORDER_HOST_DOWN), contact(PF_CONTACT_NONE));
    ck_assert_uint_eq(queue.delayed, 3 + 10);
    push_many("waits", 40, 49);
    pf_urlqueue_stop(&queue);
    ck_assert_ptr_null(pf_urlqueue_try_pop(&queue, &wake_us));
    while ((job = pf_urlqueue_take_left(&queue)) != NULL) {
        ck_assert_ptr_null(job->host);
        seen[job->request.n]++;
        pf_job_free(job);
    }
    for (int n = 0; n < 100; n++)
        ck_assert_uint_eq(seen[n], (n >= 1 && n <= 3) || (n >= 12 && n <= 29)
                                       || (n >= 40 && n <= 49) ? 1 : 0);
    ck_assert_uint_eq(queue.delayed, 0);
    pf_urlqueue_fini(&queue);
}
END_TEST

/* --- whole runs ------------------------------------------------------------ */

enum { SIM_JOBS = 1500, SIM_HOSTS = 12, SIM_WORKERS = 24, SIM_TRIES = 6,
       RATE_WINDOW = 6, CREDIT_US = 50 * MS };

/* One host as the tests see it, without a look into the queue. */
struct sim_host {
    unsigned running, most;         /* most: 0: no limit */
    int64_t interval_us;
    int64_t starts[RATE_WINDOW];    /* the last ones */
    size_t start_count;
    int64_t hold_until_us;          /* as the notice said */
    int64_t dead_from_us, dead_until_us; /* its port 80 */
    unsigned bad;                   /* of 100 answers: ask to slow down */
    size_t skipped;                 /* turns of others while it might run */
};

struct sim_run {
    struct pfetch_job *job;
    int64_t until_us;
};

static struct sim {
    struct pf_urlqueue_limits limits;
    struct sim_host hosts[SIM_HOSTS];
    struct sim_run runs[SIM_WORKERS];
    int64_t starts[RATE_WINDOW];
    size_t start_count;
    unsigned ended[SIM_JOBS];
    bool is_out[SIM_JOBS];
    size_t end_count, pushed;
    uint64_t random;
    struct pfetch_host_options exceptions[2];
} sim;

static unsigned draw(unsigned n)
{
    return (unsigned)(pf_random(&sim.random) >> 33) % n;
}

static struct sim_host *host_of(const struct pfetch_job *job)
{
    return &sim.hosts[atoi(job->url->host + 1)];
}

/* RATE_WINDOW starts take that many intervals, but for the credit. */
static void check_rate(int64_t *starts, size_t *count, int64_t interval_us)
{
    int64_t *oldest = &starts[*count % RATE_WINDOW];

    if (*count >= RATE_WINDOW)
        REQUIRE(now - *oldest >= RATE_WINDOW * interval_us - CREDIT_US);
    *oldest = now;
    ++*count;
}

static void random_url(char *url, size_t size, unsigned n)
{
    (void)snprintf(url, size, "http://h%u%s/%u", draw(SIM_HOSTS),
                   draw(4) == 0 ? ":81" : "", n);
}

static void end_sim(struct pfetch_job *job, struct pf_contact c)
{
    sim.ended[job->request.n]++;
    sim.is_out[job->request.n] = false;
    sim.end_count++;
    leave_with(job, c);
}

/* What the server does with it. */
static struct pf_contact outcome(const struct pfetch_job *job)
{
    struct sim_host *host = host_of(job);
    struct pf_contact c = contact(PF_CONTACT_ANSWERED);

    if (strstr(job->url->origin, ":81") == NULL && now >= host->dead_from_us
        && now < host->dead_until_us) {
        c.kind = PF_CONTACT_UNREACHABLE;
    } else if (draw(100) < host->bad) {
        c.kind = PF_CONTACT_SLOW_DOWN;
        c.is_fewer = draw(2) == 0;
        c.retry_after_ms = draw(3) == 0 ? (int64_t)draw(4000) : -1;
        c.random = pf_random(&sim.random);
    } else if (draw(20) == 0) {
        c.kind = PF_CONTACT_BROKEN;
    } else if (draw(50) == 0) {
        c.kind = PF_CONTACT_NONE;
    }
    return c;
}

static void note_hold(struct sim_host *host)
{
    if (notice.kind == PF_NOTICE_HOLD || notice.kind == PF_NOTICE_HOLD_AGAIN) {
        REQUIRE(now >= host->hold_until_us); /* one at a time */
        host->hold_until_us = now + notice.ms * MS;
    }
}

static void finish_attempt(struct pfetch_job *job)
{
    struct pf_contact c = outcome(job);
    struct sim_host *host = host_of(job);
    bool in_time;

    host->running--;
    if (c.kind == PF_CONTACT_ANSWERED && job->hops < 3 && draw(8) == 0) {
        struct pfetch_failure why;
        struct pf_url *url;
        char text[48];

        job->hops++;
        random_url(text, sizeof(text), (unsigned)job->request.n);
        REQUIRE(pf_url_parse(text, &url, &why) == 0);
        pf_job_set_url(job, url);
        sim.is_out[job->request.n] = false;
        REQUIRE(pf_urlqueue_redirect(&queue, job) == 0);
        return;
    }
    if (c.kind == PF_CONTACT_ANSWERED || job->attempts > SIM_TRIES) {
        end_sim(job, c);
        note_hold(host);
        return;
    }
    pf_job_set_url(job, job->home);
    job->hops = 0;
    sim.is_out[job->request.n] = false;
    in_time = pf_urlqueue_retry(&queue, job, draw(2000), &c, &notice);
    note_hold(host);
    if (!in_time) {
        REQUIRE(job->deadline_us != PF_NEVER);
        end_sim(job, contact(PF_CONTACT_NONE));
    }
}

static void start_attempt(struct pfetch_job *job)
{
    struct sim_host *host = host_of(job);
    size_t i = 0;

    REQUIRE(now < job->deadline_us);
    REQUIRE(now >= host->hold_until_us);
    host->running++;
    REQUIRE(host->most == 0 || host->running <= host->most);
    check_rate(host->starts, &host->start_count, host->interval_us);
    check_rate(sim.starts, &sim.start_count, sim.limits.interval_us);
    if (job->attempts++ == 0 && draw(3) == 0)
        job->deadline_us = now + (int64_t)draw(20) * SECOND + 1;
    while (sim.runs[i].job != NULL)
        i++;
    sim.runs[i].job = job;
    sim.runs[i].until_us = now + 1 + draw(300 * MS);
}

/* What a pop has left behind: has any host a job that may run, by all that is
 * known of it?  Counts the turns in which it was passed over. */
static bool may_anything_run(size_t turns)
{
    bool any = false;

    for (size_t b = 0; b < queue.hosts.size; b++)
        for (struct pf_host *h = queue.hosts.buckets[b]; h != NULL;
             h = h->chain) {
            struct pf_heap_node *due = pf_heap_min(&h->delayed);
            struct sim_host *host = &sim.hosts[atoi(h->name + 1)];
            bool may = (h->waiting.first != NULL
                        || (due != NULL && due->key <= now))
                       && !pf_host_is_busy(h) && now >= h->hold_until_us
                       && now >= h->next_start_us;

            host->skipped = may ? host->skipped + turns : 0;
            REQUIRE(host->skipped <= SIM_HOSTS);
            any = any || may;
        }
    return any && now >= queue.next_start_us;
}

/* Gives work to the free workers; returns when to look again. */
static int64_t start_all(size_t *free_workers)
{
    int64_t wake_us = now + 1;

    while (*free_workers > 0) {
        struct pfetch_job *job = pf_urlqueue_try_pop(&queue, &wake_us);

        if (job == NULL) {
            REQUIRE(!may_anything_run(0));
            REQUIRE(wake_us > now);
            break;
        }
        REQUIRE(!sim.is_out[job->request.n]);
        sim.is_out[job->request.n] = true;
        if (job->order == PF_ORDER_RUN) {
            host_of(job)->skipped = 0;
            start_attempt(job);
            --*free_workers;
            (void)may_anything_run(1);
            continue;
        }
        if (job->order == PF_ORDER_EXPIRED)
            REQUIRE(now >= job->deadline_us);
        else
            REQUIRE(host_of(job)->dead_until_us > 0);
        end_sim(job, contact(PF_CONTACT_NONE));
    }
    return *free_workers > 0 ? wake_us : PF_NEVER;
}

static void make_hosts(void)
{
    for (int i = 0; i < SIM_HOSTS; i++) {
        struct sim_host *host = &sim.hosts[i];

        host->most = sim.limits.per_host;
        host->interval_us = sim.limits.host_interval_us;
        host->bad = draw(3) == 0 ? draw(60) : 0;
        if (draw(4) == 0) {
            host->dead_from_us = now + (int64_t)draw(20) * SECOND;
            host->dead_until_us = host->dead_from_us
                                  + (int64_t)draw(200) * SECOND + 1;
        }
    }
    sim.exceptions[0] = (struct pfetch_host_options){
        .name = "H3", .per_host = 1, .rate = -1 };
    sim.hosts[3].most = 1;
    sim.exceptions[1] = (struct pfetch_host_options){
        .name = "h4", .per_host = 5, .rate = 8 };
    sim.hosts[4].most = 5;
    sim.hosts[4].interval_us = SECOND / 8;
}

static void open_sim(uint64_t seed)
{
    memset(&sim, 0, sizeof(sim));
    sim.random = seed * 7919 + 1;
    sim.limits = usual_limits();
    sim.limits.hosts = sim.exceptions;
    sim.limits.host_count = 2;
    sim.limits.per_host = draw(5);
    sim.limits.interval_us = draw(2) == 0 ? 0 : (int64_t)draw(30) * MS;
    sim.limits.host_interval_us = draw(2) == 0 ? 0 : (int64_t)draw(200) * MS;
    sim.limits.burst = draw(SIM_WORKERS);
    open_queue(&sim.limits);
    make_hosts();
}

/* Jobs come in lots, the later ones to hosts with a history. */
static void push_lot(void)
{
    for (unsigned k = draw(200) + 1; k > 0 && sim.pushed < SIM_JOBS; k--) {
        char url[48];

        random_url(url, sizeof(url), (unsigned)sim.pushed);
        REQUIRE(pf_urlqueue_push(&queue, unit_job(url, sim.pushed)) == 0);
        sim.pushed++;
    }
}

START_TEST(whole_runs_keep_every_promise)
{
    size_t free_workers = SIM_WORKERS;
    int64_t end_us;

    open_sim((uint64_t)_i);
    end_us = now + 3 * 3600 * (int64_t)SECOND;
    push_lot();
    while (sim.end_count < SIM_JOBS) {
        int64_t next_us = start_all(&free_workers);

        for (int i = 0; i < SIM_WORKERS; i++)
            if (sim.runs[i].job != NULL && sim.runs[i].until_us < next_us)
                next_us = sim.runs[i].until_us;
        if (sim.pushed < SIM_JOBS && (next_us == PF_NEVER || draw(40) == 0)) {
            push_lot();
            continue;
        }
        if (sim.end_count == SIM_JOBS)
            break;
        REQUIRE(next_us != PF_NEVER);
        REQUIRE(next_us < end_us);
        now = next_us;
        for (int i = 0; i < SIM_WORKERS; i++)
            if (sim.runs[i].job != NULL && sim.runs[i].until_us <= now) {
                struct pfetch_job *job = sim.runs[i].job;

                sim.runs[i].job = NULL;
                free_workers++;
                finish_attempt(job);
            }
    }
    for (int n = 0; n < SIM_JOBS; n++)
        REQUIRE(sim.ended[n] == 1);
    close_queue();
}
END_TEST

/* --- what a job costs ------------------------------------------------------ */

/* Only prints: the time depends on the machine; that it hardly depends on the
 * number of hosts is for a person to see. */
START_TEST(microseconds_a_job)
{
    enum { COUNT_MAX = 200000, RUNNING = 64 };
    static const int hosts[] = { 10, 1000, 100000 };
    static struct pfetch_job *jobs[COUNT_MAX];
    struct pfetch_job *running[RUNNING] = { NULL };
    struct pf_urlqueue_limits limits = usual_limits();
    struct pf_contact good = contact(PF_CONTACT_ANSWERED);
    int64_t began, pushed, wake_us;
    /* Under valgrind nobody looks at the time. */
    int count = getenv("CK_TIMEOUT_MULTIPLIER") != NULL ? 10000 : COUNT_MAX;
    int done = 0;

    limits.now_us = NULL;
    ck_assert_int_eq(pf_urlqueue_init(&queue, &limits), 0);
    for (int n = 0; n < count; n++) {
        char url[64];

        (void)snprintf(url, sizeof(url), "http://host%d/%d", n % hosts[_i], n);
        jobs[n] = unit_job(url, (uint64_t)n);
    }
    began = pf_now_us();
    for (int n = 0; n < count; n++)
        REQUIRE(pf_urlqueue_push(&queue, jobs[n]) == 0);
    pushed = pf_now_us();
    for (int n = 0; done < count; n++) {
        struct pfetch_job **at = &running[n % RUNNING];

        if (*at != NULL) {
            pf_urlqueue_leave(&queue, *at, &good, &notice);
            done++;
        }
        *at = pf_urlqueue_try_pop(&queue, &wake_us);
    }
    printf("# %6d hosts: %.2f us a push, %.2f us a job after it\n", hosts[_i],
           (double)(pushed - began) / count,
           (double)(pf_now_us() - pushed) / count);
    (void)fflush(stdout); /* the output of a test is for people */
    for (int n = 0; n < count; n++)
        pf_job_free(jobs[n]);
    ck_assert_uint_eq(queue.hosts.count, 0);
    pf_urlqueue_fini(&queue);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("scheduler");

    tcase_add_test(tests, no_more_at_once_than_allowed);
    tcase_add_test(tests, a_shortage_holds_every_host_back_with_one_message);
    tcase_add_test(tests, a_shortage_that_lasts_is_told);
    tcase_add_test(tests, a_shortage_that_comes_and_goes_does_not_last);
    tcase_add_test(tests, hosts_may_be_exceptions);
    tcase_add_test(tests, the_rate_is_right);
    tcase_add_test(tests, the_rate_of_each_host_is_right);
    tcase_add_loop_test(tests, no_burst_after_a_pause, 0, 2);
    tcase_add_loop_test(tests, one_hold_for_all_answers_under_way, 0, 2);
    tcase_add_test(tests, a_good_answer_makes_holds_short_again);
    tcase_add_test(tests, the_first_starts_after_a_hold_are_one_try);
    tcase_add_loop_test(tests, retry_after_is_a_floor_up_to_a_cap, 0, 5);
    tcase_add_test(tests, a_429_halves_and_good_answers_raise);
    tcase_add_test(tests, a_503_does_not_halve);
    tcase_add_test(tests, a_host_is_probed_and_comes_back);
    tcase_add_test(tests, spent_probes_conclude_all_jobs);
    tcase_add_loop_test(tests, a_probe_that_goes_away_is_replaced, 0, 3);
    tcase_add_test(tests, a_late_answer_frees_the_probe);
    tcase_add_test(tests, a_probe_that_says_nothing_waits_its_delay);
    tcase_add_loop_test(tests, a_job_expires_wherever_it_is, 0, 3);
    tcase_add_loop_test(tests, a_retry_that_would_be_late_is_refused, 0, 2);
    tcase_add_test(tests, the_rate_holds_for_one_job_at_a_time);
    tcase_add_test(tests, idle_hosts_are_forgotten_unless_held);
    tcase_add_test(tests, take_left_finds_every_place);
    tcase_add_loop_test(tests, whole_runs_keep_every_promise, 0, 40);
    tcase_add_loop_test(tests, microseconds_a_job, 0, 3);
    return unit_run(tests, "scheduler");
}
