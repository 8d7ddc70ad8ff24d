/* check_urlqueue.c - tests of urlqueue.c and host.c.
 *
 * SPDX-License-Identifier: MIT
 */
#include "config.h"

#include "urlqueue.h"

#include "retry.h" /* pf_random */
#include "unit.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum { AN_HOUR_MS = 3600 * 1000 };

/* --- a queue, and looks into it ------------------------------------------- */

static struct pf_urlqueue queue;

static void open_queue(size_t max_jobs, size_t max_bytes)
{
    const struct pf_urlqueue_limits limits = { .max_jobs = max_jobs,
                                               .max_bytes = max_bytes };

    ck_assert_int_eq(pf_urlqueue_init(&queue, &limits), 0);
}

/* Everything must have come back; after a stop the hosts stay. */
static void close_queue(void)
{
    ck_assert_uint_eq(queue.inside, 0);
    ck_assert_uint_eq(queue.delayed, 0);
    ck_assert_ptr_null(queue.concluded.first);
    ck_assert(pf_heap_is_empty(&queue.expiries));
    if (!queue.is_stopped) {
        ck_assert_uint_eq(queue.hosts.count, 0);
        ck_assert_ptr_null(queue.first_ready);
        ck_assert(pf_heap_is_empty(&queue.timers));
    }
    pf_urlqueue_fini(&queue);
}

static unsigned sleepers(void)
{
    unsigned n;

    pf_mutex_lock(&queue.lock);
    n = queue.sleepers + queue.has_timekeeper;
    pf_mutex_unlock(&queue.lock);
    return n;
}

static bool has_timekeeper(void)
{
    bool has;

    pf_mutex_lock(&queue.lock);
    has = queue.has_timekeeper;
    pf_mutex_unlock(&queue.lock);
    return has;
}

static bool is_reserver_waiting(void)
{
    bool is;

    pf_mutex_lock(&queue.lock);
    is = queue.is_full_waited;
    pf_mutex_unlock(&queue.lock);
    return is;
}

static struct pfetch_job *push(const char *host, uint64_t n)
{
    struct pfetch_job *job;
    char url[64];

    (void)snprintf(url, sizeof(url), "http://%s/%d", host, (int)n);
    job = unit_job(url, n);
    ck_assert_int_eq(pf_urlqueue_push(&queue, job), 0);
    return job;
}

/* Pops a job and says whether it is the one expected. */
static struct pfetch_job *pop(uint64_t n)
{
    struct pfetch_job *job = pf_urlqueue_pop(&queue);

    ck_assert_ptr_nonnull(job);
    ck_assert_uint_eq(job->request.n, n);
    return job;
}

/* These attempts say nothing about their hosts; check_scheduler is about those
 * that do. */
static const struct pf_contact no_contact = { .kind = PF_CONTACT_NONE };

static void leave_queue(struct pfetch_job *job)
{
    struct pf_host_notice notice;

    pf_urlqueue_leave(&queue, job, &no_contact, &notice);
    ck_assert_int_eq(notice.kind, PF_NOTICE_NONE);
}

static void leave(struct pfetch_job *job)
{
    leave_queue(job);
    pf_job_free(job);
}

static void retry(struct pfetch_job *job, int64_t delay_ms)
{
    struct pf_host_notice notice;

    ck_assert(pf_urlqueue_retry(&queue, job, delay_ms, &no_contact, &notice));
    ck_assert_int_eq(notice.kind, PF_NOTICE_NONE);
}

/* Redirects a popped job, as the worker does. */
static void redirect(struct pfetch_job *job, const char *text)
{
    struct pfetch_failure why;
    struct pf_url *url;

    ck_assert_int_eq(pf_url_parse(text, &url, &why), 0);
    pf_job_set_url(job, url);
    ck_assert_int_eq(pf_urlqueue_redirect(&queue, job), 0);
}

/* A thread that does one thing, and whether it has. */
struct helper {
    pthread_t thread;
    size_t bytes;           /* to reserve */
    int error;
    struct pfetch_job *job; /* popped; or to reserve for, else NULL */
    _Atomic bool is_done;
};

/* Jobs without a URL, which count for nothing but places. */
static int reserve(size_t bytes)
{
    struct pfetch_job job = { .queue_bytes = bytes };

    return pf_urlqueue_reserve(&queue, &job);
}

static void release(size_t bytes)
{
    struct pfetch_job job = { .queue_bytes = bytes };

    pf_urlqueue_release(&queue, &job);
}

static void *run_reserve(void *arg)
{
    struct helper *helper = arg;

    helper->error = helper->job != NULL
                        ? pf_urlqueue_reserve(&queue, helper->job)
                        : reserve(helper->bytes);
    atomic_store(&helper->is_done, true);
    return NULL;
}

static void *run_pop(void *arg)
{
    struct helper *helper = arg;

    helper->job = pf_urlqueue_pop(&queue);
    atomic_store(&helper->is_done, true);
    return NULL;
}

static void start_helper(struct helper *helper, void *(*run)(void *),
                         size_t bytes)
{
    helper->bytes = bytes;
    helper->job = NULL;
    atomic_init(&helper->is_done, false);
    helper->thread = unit_start(run, helper);
}

static void start_reserver(struct helper *helper, struct pfetch_job *job)
{
    helper->job = job;
    atomic_init(&helper->is_done, false);
    helper->thread = unit_start(run_reserve, helper);
}

static void join_helper(struct helper *helper)
{
    AWAIT(atomic_load(&helper->is_done));
    pf_thread_join(helper->thread);
}

/* --- turns ---------------------------------------------------------------- */

static size_t count_delayed(struct pf_urlqueue *of)
{
    size_t delayed, held;

    pf_urlqueue_count(of, &delayed, &held);
    return delayed;
}

START_TEST(hosts_take_turns)
{
    static const int order[] = { 1, 5, 7, 2, 6, 3, 4 };

    open_queue(100, 10000);
    for (uint64_t n = 1; n <= 4; n++)
        push("a", n);
    push("b", 5);
    push("b", 6);
    push("C", 7);
    ck_assert_uint_eq(queue.hosts.count, 3);
    for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++)
        leave(pop((uint64_t)order[i]));
    close_queue();
}
END_TEST

/* Two spellings, two ports, one host: turns go by the host's name. */
START_TEST(ports_and_case_make_no_other_host)
{
    open_queue(100, 10000);
    push("H", 1);
    push("h:81", 2);
    push("h", 3);
    push("other", 4);
    ck_assert_uint_eq(queue.hosts.count, 2);
    leave(pop(1));
    leave(pop(4));
    leave(pop(2));
    leave(pop(3));
    close_queue();
}
END_TEST

START_TEST(a_thousand_hosts_are_forgotten_again)
{
    enum { N = 1000 };
    char host[32];

    open_queue(2 * N, 100 * N);
    for (uint64_t n = 0; n < 2 * N; n++) {
        (void)snprintf(host, sizeof(host), "h%d", (int)n % N);
        push(host, n);
    }
    ck_assert_uint_eq(queue.hosts.count, N);
    for (uint64_t n = 0; n < 2 * N; n++)
        leave(pop(n));
    close_queue();
}
END_TEST

/* --- bounds --------------------------------------------------------------- */

START_TEST(reserve_blocks_at_the_bound_of_jobs)
{
    struct helper helper;

    open_queue(2, 1000);
    ck_assert_int_eq(reserve(1), 0);
    ck_assert_int_eq(reserve(1), 0);
    start_helper(&helper, run_reserve, 1);
    AWAIT(is_reserver_waiting());
    ck_assert(!atomic_load(&helper.is_done));
    ck_assert_uint_eq(queue.unfinished, 2);
    release(1);
    join_helper(&helper);
    ck_assert_int_eq(helper.error, 0);
    ck_assert_uint_eq(queue.unfinished, 2);
    ck_assert_uint_eq(queue.unfinished_bytes, 2);
    close_queue();
}
END_TEST

START_TEST(reserve_blocks_at_the_bound_of_bytes)
{
    struct helper helper;

    open_queue(100, 10);
    ck_assert_int_eq(reserve(4), 0);
    ck_assert_int_eq(reserve(6), 0);
    start_helper(&helper, run_reserve, 5);
    AWAIT(is_reserver_waiting());
    release(4); /* not enough */
    AWAIT(is_reserver_waiting());
    ck_assert(!atomic_load(&helper.is_done));
    release(6);
    join_helper(&helper);
    ck_assert_int_eq(helper.error, 0);
    ck_assert_uint_eq(queue.unfinished_bytes, 5);
    close_queue();
}
END_TEST

START_TEST(an_empty_queue_takes_a_text_of_any_length)
{
    open_queue(2, 10);
    ck_assert_int_eq(reserve(1000), 0);
    release(1000);
    ck_assert_int_eq(reserve(10), 0);
    close_queue();
}
END_TEST

static void release_three(void)
{
    struct pfetch_job jobs[3] = { { .queue_bytes = 1, .next = &jobs[1] },
                                  { .queue_bytes = 1, .next = &jobs[2] },
                                  { .queue_bytes = 1 } };

    pf_urlqueue_release(&queue, jobs);
}

/* Several wait; all places come back at once. */
START_TEST(release_wakes_all_who_fit)
{
    struct helper helpers[3];

    open_queue(3, 1000);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(reserve(1), 0);
    for (int i = 0; i < 3; i++)
        start_helper(&helpers[i], run_reserve, 1);
    AWAIT(is_reserver_waiting());
    release_three();
    for (int i = 0; i < 3; i++) {
        join_helper(&helpers[i]);
        ck_assert_int_eq(helpers[i].error, 0);
    }
    ck_assert_uint_eq(queue.unfinished, 3);
    close_queue();
}
END_TEST

START_TEST(stop_and_close_wake_who_reserves)
{
    struct helper helpers[2];

    open_queue(1, 1000);
    ck_assert_int_eq(reserve(1), 0);
    start_helper(&helpers[0], run_reserve, 1);
    start_helper(&helpers[1], run_reserve, 1);
    AWAIT(is_reserver_waiting());
    if (_i == 0)
        pf_urlqueue_stop(&queue);
    else
        pf_urlqueue_close(&queue);
    for (int i = 0; i < 2; i++) {
        join_helper(&helpers[i]);
        ck_assert_int_eq(helpers[i].error, PFETCH_ESTOPPED);
    }
    ck_assert_uint_eq(queue.unfinished, 1);
    ck_assert_int_eq(reserve(1), PFETCH_ESTOPPED);
    close_queue();
}
END_TEST

/* A job with a place; in the queue, too, if it got one. */
static struct pfetch_job *add(const char *host, uint64_t n)
{
    struct pfetch_job *job;
    char url[64];

    (void)snprintf(url, sizeof(url), "http://%s/%d", host, (int)n);
    job = unit_job(url, n);
    job->queue_bytes = 1;
    ck_assert_int_eq(pf_urlqueue_reserve(&queue, job), 0);
    ck_assert_int_eq(pf_urlqueue_push(&queue, job), 0);
    return job;
}

static void end(struct pfetch_job *job)
{
    leave_queue(job);
    job->next = NULL;
    pf_urlqueue_release(&queue, job);
    pf_job_free(job);
}

/* Whatever is done with its jobs, redirects included: the share is that of the
 * host that the list names. */
START_TEST(one_host_leaves_places_to_others)
{
    struct helper helper;
    struct pfetch_job *slow[6], *other, *late;

    open_queue(8, 1000);
    for (uint64_t n = 0; n < 6; n++)
        slow[n] = add("slow", n);
    for (uint64_t n = 0; n < 6; n++)
        ck_assert_ptr_eq(pop(n), slow[n]);
    redirect(slow[0], "http://elsewhere/");
    retry(slow[1], AN_HOUR_MS);
    late = unit_job("http://slow:81/", 7);
    late->queue_bytes = 1;
    start_reserver(&helper, late);
    AWAIT(is_reserver_waiting());
    /* Others have room, but only until all places are taken. */
    other = add("other", 8);
    ck_assert_ptr_eq(pop(0), slow[0]);
    ck_assert_ptr_eq(pop(8), other);
    end(other);
    AWAIT(is_reserver_waiting());
    ck_assert(!atomic_load(&helper.is_done));
    end(slow[0]);
    join_helper(&helper);
    ck_assert_int_eq(helper.error, 0);
    ck_assert_uint_eq(late->place_host->places, 6);
    ck_assert_int_eq(pf_urlqueue_push(&queue, late), 0);
    ck_assert_ptr_eq(pop(7), late);
    end(late);
    for (int i = 2; i < 6; i++)
        end(slow[i]);
    pf_urlqueue_stop(&queue);
    ck_assert_ptr_eq(pf_urlqueue_take_left(&queue), slow[1]);
    pf_urlqueue_release(&queue, slow[1]);
    pf_job_free(slow[1]);
    ck_assert_uint_eq(queue.unfinished, 0);
    close_queue();
}
END_TEST

/* --- sleeping and waking -------------------------------------------------- */

START_TEST(pop_sleeps_until_a_push)
{
    struct helper helper;

    open_queue(100, 1000);
    start_helper(&helper, run_pop, 0);
    AWAIT(sleepers() == 1);
    push("a", 1);
    join_helper(&helper);
    ck_assert_ptr_nonnull(helper.job);
    leave(helper.job);
    close_queue();
}
END_TEST

/* Pushes faster than the sleepers wake: nobody may stay asleep. */
START_TEST(as_many_wake_as_jobs_come)
{
    enum { N = 4 };
    struct helper helpers[N];

    open_queue(100, 1000);
    for (int i = 0; i < N; i++)
        start_helper(&helpers[i], run_pop, 0);
    AWAIT(sleepers() == N);
    for (uint64_t n = 0; n < N; n++)
        push("a", n);
    for (int i = 0; i < N; i++) {
        join_helper(&helpers[i]);
        leave(helpers[i].job);
    }
    close_queue();
}
END_TEST

START_TEST(close_wakes_all_sleepers)
{
    enum { N = 3 };
    struct helper helpers[N];

    open_queue(100, 1000);
    for (int i = 0; i < N; i++)
        start_helper(&helpers[i], run_pop, 0);
    AWAIT(sleepers() == N);
    pf_urlqueue_close(&queue);
    for (int i = 0; i < N; i++) {
        join_helper(&helpers[i]);
        ck_assert_ptr_null(helpers[i].job);
    }
    ck_assert_ptr_null(pf_urlqueue_pop(&queue));
    close_queue();
}
END_TEST

START_TEST(a_closed_queue_takes_no_push)
{
    struct pfetch_job *job = unit_job("http://a/", 1);

    open_queue(100, 1000);
    pf_urlqueue_close(&queue);
    ck_assert_int_eq(pf_urlqueue_push(&queue, job), PFETCH_ESTOPPED);
    pf_job_free(job);
    close_queue();
}
END_TEST

/* --- retries -------------------------------------------------------------- */

START_TEST(retries_come_in_the_order_of_time)
{
    static const int delays[] = { 60, 20, 40, 30, 50 };
    static const int order[] = { 1, 3, 2, 4, 0 };
    static const char *const hosts[] = { "a", "a", "b", "c", "a" };
    struct pfetch_job *job;
    int64_t now_ms, due_ms[5];

    open_queue(100, 1000);
    for (uint64_t n = 0; n < 5; n++)
        push(hosts[n], n);
    now_ms = pf_now_ms();
    for (int i = 0; i < 5; i++) {
        job = pf_urlqueue_pop(&queue);
        due_ms[job->request.n] = now_ms + delays[job->request.n];
        /* Again is not before all are popped. */
        retry(job, delays[job->request.n] + 100);
        due_ms[job->request.n] += 100;
    }
    ck_assert_uint_eq(count_delayed(&queue), 5);
    for (int i = 0; i < 5; i++) {
        job = pop((uint64_t)order[i]);
        ck_assert(pf_now_ms() >= due_ms[order[i]]);
        leave(job);
    }
    ck_assert_uint_eq(count_delayed(&queue), 0);
    close_queue();
}
END_TEST

START_TEST(a_delayed_job_holds_up_no_other_of_its_host)
{
    struct pfetch_job *job;

    open_queue(100, 1000);
    push("a", 1);
    job = pop(1);
    retry(job, AN_HOUR_MS);
    push("a", 2);
    push("b", 3);
    ck_assert_ptr_eq(job->host, queue.first_ready);
    leave(pop(2));
    leave(pop(3));
    ck_assert_uint_eq(count_delayed(&queue), 1);
    pf_urlqueue_stop(&queue);
    ck_assert_ptr_eq(pf_urlqueue_take_left(&queue), job);
    pf_job_free(job);
    close_queue();
}
END_TEST

/* The only sleeper keeps the time of a retry: a push wakes it all the same,
 * for the host that waits and for any other. */
START_TEST(a_delayed_job_holds_no_worker)
{
    struct helper helper;
    struct pfetch_job *job;

    open_queue(100, 1000);
    push("a", 1);
    job = pop(1);
    retry(job, AN_HOUR_MS);
    start_helper(&helper, run_pop, 0);
    AWAIT(has_timekeeper());
    push(_i == 0 ? "a" : "b", 2);
    join_helper(&helper);
    ck_assert_uint_eq(helper.job->request.n, 2);
    leave(helper.job);
    pf_urlqueue_stop(&queue);
    pf_job_free(pf_urlqueue_take_left(&queue));
    close_queue();
}
END_TEST

START_TEST(a_retry_that_is_due_earlier_is_kept_in_time)
{
    struct helper helper;

    open_queue(100, 1000);
    push("a", 1);
    push(_i == 0 ? "a" : "b", 2);
    retry(pop(1), AN_HOUR_MS);
    start_helper(&helper, run_pop, 0);
    AWAIT(atomic_load(&helper.is_done)); /* has job 2 */
    pf_thread_join(helper.thread);
    retry(helper.job, AN_HOUR_MS / 2);
    start_helper(&helper, run_pop, 0);
    AWAIT(has_timekeeper());
    push("c", 3);
    join_helper(&helper);
    ck_assert_uint_eq(helper.job->request.n, 3);
    {
        struct pfetch_job *third = helper.job;

        start_helper(&helper, run_pop, 0);
        AWAIT(has_timekeeper());
        retry(third, 20);
        join_helper(&helper);
        ck_assert_ptr_eq(helper.job, third);
        leave(third);
    }
    pf_urlqueue_stop(&queue);
    pf_job_free(pf_urlqueue_take_left(&queue));
    pf_job_free(pf_urlqueue_take_left(&queue));
    close_queue();
}
END_TEST

/* One timer, or several at once, set several jobs free: the timekeeper takes
 * one and must wake the others. */
START_TEST(jobs_due_together_wake_as_many_workers)
{
    enum { N = 4 };
    struct helper helpers[N];
    struct pfetch_job *jobs[N];
    char host[8] = "a";

    open_queue(100, 1000);
    for (uint64_t n = 0; n < N; n++) {
        if (_i == 1)
            host[0] = (char)('a' + n);
        push(host, n);
    }
    for (uint64_t n = 0; n < N; n++)
        jobs[n] = pop(n);
    for (int i = 0; i < N; i++)
        start_helper(&helpers[i], run_pop, 0);
    AWAIT(sleepers() == N);
    for (int i = 0; i < N; i++)
        retry(jobs[i], 30);
    for (int i = 0; i < N; i++)
        join_helper(&helpers[i]); /* none has left yet */
    for (int i = 0; i < N; i++)
        leave(helpers[i].job);
    close_queue();
}
END_TEST

/* The timekeeper goes away with another job while a timer still runs. */
START_TEST(another_sleeper_becomes_timekeeper)
{
    struct helper helpers[2];
    struct pfetch_job *first;

    open_queue(100, 1000);
    push("a", 1);
    first = pop(1);
    start_helper(&helpers[0], run_pop, 0);
    AWAIT(sleepers() == 1);
    start_helper(&helpers[1], run_pop, 0);
    AWAIT(sleepers() == 2);
    retry(first, 150);
    AWAIT(has_timekeeper());
    push("b", 2);
    push("b", 3); /* takes whoever is awake */
    AWAIT(atomic_load(&helpers[0].is_done)
          && atomic_load(&helpers[1].is_done));
    leave(helpers[0].job);
    leave(helpers[1].job);
    pf_thread_join(helpers[0].thread);
    pf_thread_join(helpers[1].thread);
    leave(pop(1));
    close_queue();
}
END_TEST

/* The timekeeper sleeps for an hour when a host gets an earlier timer. */
START_TEST(a_timer_that_comes_up_earlier_is_kept_in_time)
{
    enum { N = 3 };
    static const struct pfetch_host_options rated = {
        .name = "rated", .per_host = -1, .rate = 5
    };
    const struct pf_urlqueue_limits limits = {
        .max_jobs = 100, .max_bytes = 1000, .hosts = &rated, .host_count = 1,
    };
    struct helper helpers[N];
    struct pfetch_job *job;
    int left = 0;

    ck_assert_int_eq(pf_urlqueue_init(&queue, &limits), 0);
    push("a", 1);
    retry(pop(1), AN_HOUR_MS);
    for (int i = 0; i < N; i++)
        start_helper(&helpers[i], run_pop, 0);
    AWAIT(sleepers() == N && has_timekeeper());
    for (uint64_t n = 2; n <= 9; n++)
        push("rated", n);
    AWAIT(atomic_load(&helpers[0].is_done) + atomic_load(&helpers[1].is_done)
          + atomic_load(&helpers[2].is_done) == N);
    pf_urlqueue_stop(&queue);
    for (int i = 0; i < N; i++) {
        join_helper(&helpers[i]);
        leave(helpers[i].job);
    }
    while ((job = pf_urlqueue_take_left(&queue)) != NULL) {
        pf_job_free(job);
        left++;
    }
    ck_assert_int_eq(left, 9 - N);
    close_queue();
}
END_TEST

/* --- redirects ------------------------------------------------------------ */

START_TEST(a_redirect_goes_to_the_front_of_its_new_host)
{
    struct pfetch_job *job;

    open_queue(100, 1000);
    push("a", 1);
    push("b", 2);
    push("b", 3);
    job = pop(1);
    ck_assert_uint_eq(queue.hosts.count, 2);
    redirect(job, "http://b/");
    ck_assert_uint_eq(queue.hosts.count, 1);
    ck_assert_str_eq(job->host->name, "b");
    leave(pop(1));
    leave(pop(2));
    leave(pop(3));
    close_queue();
}
END_TEST

START_TEST(a_redirect_to_the_same_host)
{
    struct pfetch_job *job;

    open_queue(100, 1000);
    push("a", 1);
    if (_i == 1)
        push("a", 2);
    job = pop(1);
    redirect(job, "http://a/again");
    ck_assert_uint_eq(queue.hosts.count, 1);
    leave(pop(1));
    if (_i == 1)
        leave(pop(2));
    close_queue();
}
END_TEST

START_TEST(a_redirect_to_a_new_host_after_close)
{
    open_queue(100, 1000);
    push("a", 1);
    pf_urlqueue_close(&queue);
    redirect(pop(1), "http://new/");
    leave(pop(1));
    ck_assert_ptr_null(pf_urlqueue_pop(&queue));
    close_queue();
}
END_TEST

/* The old host waits for a timer only, and must be kept. */
START_TEST(a_redirect_away_from_a_host_that_waits)
{
    struct pfetch_job *first, *second;

    open_queue(100, 1000);
    push("a", 1);
    push("a", 2);
    first = pop(1);
    second = pop(2);
    retry(first, 30);
    redirect(second, "http://b/");
    leave(pop(2));
    leave(pop(1));
    close_queue();
}
END_TEST

/* --- the end -------------------------------------------------------------- */

/* Drained is closed with nothing waiting, delayed or running. */
START_TEST(not_drained_while_a_job_runs)
{
    struct helper helper;
    struct pfetch_job *job;

    open_queue(100, 1000);
    push("a", 1);
    job = pop(1);
    start_helper(&helper, run_pop, 0);
    AWAIT(sleepers() == 1);
    pf_urlqueue_close(&queue);
    AWAIT(sleepers() == 1); /* it looked, and sleeps again */
    ck_assert(!atomic_load(&helper.is_done));
    if (_i == 0) {
        leave(job);
    } else {
        if (_i == 1)
            retry(job, 20);
        else
            redirect(job, "http://b/");
        join_helper(&helper);
        ck_assert_ptr_eq(helper.job, job);
        start_helper(&helper, run_pop, 0);
        AWAIT(sleepers() == 1);
        leave(job);
    }
    join_helper(&helper);
    ck_assert_ptr_null(helper.job);
    close_queue();
}
END_TEST

START_TEST(not_drained_while_a_job_is_delayed)
{
    open_queue(100, 1000);
    push("a", 1);
    retry(pop(1), 30);
    pf_urlqueue_close(&queue);
    leave(pop(1));
    ck_assert_ptr_null(pf_urlqueue_pop(&queue));
    close_queue();
}
END_TEST

START_TEST(stop_wakes_all)
{
    enum { N = 3 };
    struct helper helpers[N], reserver;
    struct pfetch_job *job;

    open_queue(1, 1000);
    push("a", 1);
    job = pop(1);
    retry(job, AN_HOUR_MS);
    for (int i = 0; i < N; i++)
        start_helper(&helpers[i], run_pop, 0);
    ck_assert_int_eq(reserve(1), 0);
    start_helper(&reserver, run_reserve, 1);
    AWAIT(sleepers() == N && has_timekeeper() && is_reserver_waiting());
    pf_urlqueue_stop(&queue);
    for (int i = 0; i < N; i++) {
        join_helper(&helpers[i]);
        ck_assert_ptr_null(helpers[i].job);
    }
    join_helper(&reserver);
    ck_assert_int_eq(reserver.error, PFETCH_ESTOPPED);
    ck_assert_ptr_eq(pf_urlqueue_take_left(&queue), job);
    pf_job_free(job);
    close_queue();
}
END_TEST

START_TEST(a_stopped_queue_gives_nothing_out)
{
    struct pfetch_job *job;

    open_queue(100, 1000);
    push("a", 1);
    pf_urlqueue_stop(&queue);
    ck_assert_ptr_null(pf_urlqueue_pop(&queue));
    job = unit_job("http://a/2", 2);
    ck_assert_int_eq(pf_urlqueue_push(&queue, job), PFETCH_ESTOPPED);
    pf_job_free(job);
    pf_job_free(pf_urlqueue_take_left(&queue));
    ck_assert_ptr_null(pf_urlqueue_take_left(&queue));
    close_queue();
}
END_TEST

/* Waiting, delayed, delayed behind a waiting one, retried and redirected
 * after the stop: each comes out once. */
START_TEST(take_left_returns_everything_once)
{
    enum { N = 40 };
    struct pfetch_job *running[N], *job;
    unsigned seen[N] = { 0 };
    size_t n_running = 0;
    char host[8];

    open_queue(100, 10000);
    for (uint64_t n = 0; n < N; n++) {
        (void)snprintf(host, sizeof(host), "h%d", (int)n % 7);
        push(host, n);
    }
    for (int i = 0; i < N / 2; i++) {
        job = pf_urlqueue_pop(&queue);
        if (i % 3 == 0)
            retry(job, AN_HOUR_MS + i);
        else
            running[n_running++] = job;
    }
    pf_urlqueue_stop(&queue);
    for (size_t i = 0; i < n_running; i++)
        if (i % 2 == 0)
            retry(running[i], AN_HOUR_MS);
        else
            redirect(running[i], i % 4 == 1 ? "http://h3/" : "http://new/");
    while ((job = pf_urlqueue_take_left(&queue)) != NULL) {
        ck_assert_ptr_null(job->host);
        seen[job->request.n]++;
        pf_job_free(job);
    }
    for (int n = 0; n < N; n++)
        ck_assert_uint_eq(seen[n], 1);
    close_queue();
}
END_TEST

/* --- any operations by several threads ------------------------------------ */

enum { STORM_JOBS = 2000, STORM_WORKERS = 4, STORM_HOSTS = 7,
       STORM_PLACES = 50 };

struct storm {
    _Atomic unsigned out[STORM_JOBS];   /* with a worker now */
    _Atomic unsigned ended[STORM_JOBS]; /* left, by whomever */
    _Atomic unsigned ended_count;
    _Atomic size_t accepted;
    unsigned stop_after;                /* 0: never */
    uint64_t seed;
};

struct storm_worker {
    struct storm *storm;
    uint64_t random;
};

static void storm_host(char *url, size_t size, uint64_t *random)
{
    (void)snprintf(url, size, "http://h%d/",
                   (int)(pf_random(random) >> 40) % STORM_HOSTS);
}

static void end_job(struct storm *storm, struct pfetch_job *job)
{
    atomic_fetch_add(&storm->ended[job->request.n], 1);
    job->next = NULL;
    pf_urlqueue_release(&queue, job);
    pf_job_free(job);
    if (atomic_fetch_add(&storm->ended_count, 1) + 1 == storm->stop_after)
        pf_urlqueue_stop(&queue);
}

static void *run_storm_worker(void *arg)
{
    struct storm_worker *w = arg;
    struct storm *storm = w->storm;
    struct pfetch_job *job;

    while ((job = pf_urlqueue_pop(&queue)) != NULL) {
        unsigned choice = (unsigned)(pf_random(&w->random) >> 40) % 8;

        /* attempts and hops are the owner's: no lock, for TSan to see. */
        if (atomic_fetch_add(&storm->out[job->request.n], 1) != 0)
            abort();
        atomic_fetch_sub(&storm->out[job->request.n], 1);
        if (choice < 2 && job->attempts++ < 3) {
            retry(job, choice * 2);
        } else if (choice < 4 && job->hops++ < 3) {
            char url[32];

            storm_host(url, sizeof(url), &w->random);
            redirect(job, url);
        } else {
            leave_queue(job);
            end_job(storm, job);
        }
    }
    return NULL;
}

static void *run_storm_adder(void *arg)
{
    struct storm *storm = arg;
    uint64_t random = storm->seed;

    for (uint64_t n = 0; n < STORM_JOBS; n++) {
        struct pfetch_job *job;
        char url[32];

        storm_host(url, sizeof(url), &random);
        job = unit_job(url, n);
        job->queue_bytes = strlen(url);
        if (pf_urlqueue_reserve(&queue, job) != 0) {
            pf_job_free(job);
            break;
        }
        if (pf_urlqueue_push(&queue, job) != 0) {
            pf_urlqueue_release(&queue, job);
            pf_job_free(job);
            break;
        }
        atomic_fetch_add(&storm->accepted, 1);
    }
    pf_urlqueue_close(&queue);
    return NULL;
}

START_TEST(every_job_ends_once_whatever_happens)
{
    struct storm storm = { .seed = (uint64_t)_i * 77 + 1,
                           .stop_after = _i % 2 == 0 ? 0 : STORM_JOBS / 4 };
    struct storm_worker workers[STORM_WORKERS];
    pthread_t threads[STORM_WORKERS], adder;
    struct pfetch_job *job;

    open_queue(STORM_PLACES, 100000);
    for (int i = 0; i < STORM_WORKERS; i++) {
        workers[i] = (struct storm_worker){ &storm, storm.seed + 1000
                                                        + (uint64_t)i };
        threads[i] = unit_start(run_storm_worker, &workers[i]);
    }
    adder = unit_start(run_storm_adder, &storm);
    pf_thread_join(adder);
    for (int i = 0; i < STORM_WORKERS; i++)
        pf_thread_join(threads[i]);
    while ((job = pf_urlqueue_take_left(&queue)) != NULL)
        end_job(&storm, job);
    if (storm.stop_after == 0)
        ck_assert_uint_eq(storm.accepted, STORM_JOBS);
    else
        ck_assert_uint_lt(storm.accepted, STORM_JOBS);
    for (size_t n = 0; n < STORM_JOBS; n++)
        ck_assert_uint_eq(storm.ended[n], n < storm.accepted ? 1 : 0);
    ck_assert_uint_eq(queue.unfinished, 0);
    ck_assert_uint_eq(queue.unfinished_bytes, 0);
    close_queue();
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("urlqueue");

    tcase_add_test(tests, hosts_take_turns);
    tcase_add_test(tests, ports_and_case_make_no_other_host);
    tcase_add_test(tests, a_thousand_hosts_are_forgotten_again);
    tcase_add_test(tests, reserve_blocks_at_the_bound_of_jobs);
    tcase_add_test(tests, reserve_blocks_at_the_bound_of_bytes);
    tcase_add_test(tests, an_empty_queue_takes_a_text_of_any_length);
    tcase_add_test(tests, release_wakes_all_who_fit);
    tcase_add_loop_test(tests, stop_and_close_wake_who_reserves, 0, 2);
    tcase_add_test(tests, one_host_leaves_places_to_others);
    tcase_add_test(tests, pop_sleeps_until_a_push);
    tcase_add_test(tests, as_many_wake_as_jobs_come);
    tcase_add_test(tests, close_wakes_all_sleepers);
    tcase_add_test(tests, a_closed_queue_takes_no_push);
    tcase_add_test(tests, retries_come_in_the_order_of_time);
    tcase_add_test(tests, a_delayed_job_holds_up_no_other_of_its_host);
    tcase_add_loop_test(tests, a_delayed_job_holds_no_worker, 0, 2);
    tcase_add_loop_test(tests, a_retry_that_is_due_earlier_is_kept_in_time, 0,
                        2);
    tcase_add_loop_test(tests, jobs_due_together_wake_as_many_workers, 0, 2);
    tcase_add_test(tests, another_sleeper_becomes_timekeeper);
    tcase_add_test(tests, a_timer_that_comes_up_earlier_is_kept_in_time);
    tcase_add_test(tests, a_redirect_goes_to_the_front_of_its_new_host);
    tcase_add_loop_test(tests, a_redirect_to_the_same_host, 0, 2);
    tcase_add_test(tests, a_redirect_to_a_new_host_after_close);
    tcase_add_test(tests, a_redirect_away_from_a_host_that_waits);
    tcase_add_loop_test(tests, not_drained_while_a_job_runs, 0, 3);
    tcase_add_test(tests, not_drained_while_a_job_is_delayed);
    tcase_add_test(tests, stop_wakes_all);
    tcase_add_test(tests, a_stopped_queue_gives_nothing_out);
    tcase_add_test(tests, take_left_returns_everything_once);
    tcase_add_loop_test(tests, every_job_ends_once_whatever_happens, 0, 6);
    return unit_run(tests, "urlqueue");
}
