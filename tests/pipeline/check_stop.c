/* check_stop.c - stopping at any moment, and the ends of a run.
 *
 * SPDX-License-Identifier: MIT
 *
 * Moments are counted events (the third record, the fifth plan, a request
 * that faultd has seen), never times.  run_finish() checks that each request
 * accepted has exactly one record, whatever happened.
 */
#include "config.h"

#include "certs.h"
#include "suite.h"
#include "support.h"

#include <arpa/inet.h>
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* libcurl looks whether to go on once a second; the rest is for a slow
 * machine. */
enum { END_MS = 2000 };

static struct faultd server;
static struct certs certs;

static int64_t end_ms(int64_t grace_ms)
{
    return grace_ms + END_MS * (is_slow() ? 5 : 1);
}

static void reset(void)
{
    faultd_reset(&server);
}

/* --- from a callback ------------------------------------------------------ */

enum { MANY = 200 };

/* Stops at the so-manieth event of a kind. */
struct moment {
    enum event event;
    unsigned nth;
    unsigned seen; /* on the thread of these events only */
};

static void stop_at_moment(struct run *run, struct entry *e, enum event event)
{
    struct moment *m = run->user;

    (void)e;
    if (event == m->event && ++m->seen == m->nth)
        pfetch_stop(run->pf, 0);
}

static const struct moment moments[] = {
    { ON_PLAN, 1, 0 }, { ON_PLAN, 2, 0 }, { ON_PLAN, 17, 0 },
    { ON_PLAN, 150, 0 }, { ON_BEGIN, 1, 0 }, { ON_BEGIN, 100, 0 },
    { ON_TAKE, 1, 0 }, { ON_TAKE, 99, 0 }, { ON_END, 1, 0 },
    { ON_END, 100, 0 }, { ON_RECORD, 1, 0 }, { ON_RECORD, 100, 0 },
    { ON_RECORD, MANY, 0 }, { ON_DONE, 1, 0 },
};

static const struct {
    unsigned workers;
    size_t queue_jobs;
} shapes[] = { { 1, 1 }, { 4, 2 }, { 64, 1 }, { 4, 32 }, { 16, 32768 } };

enum {
    MOMENTS = sizeof(moments) / sizeof(moments[0]),
    SHAPES = sizeof(shapes) / sizeof(shapes[0])
};

START_TEST(test_stop_from_a_callback)
{
    struct moment moment = moments[_i / SHAPES];
    struct run *run = run_create(MANY);
    unsigned refused = 0;

    run->hook = stop_at_moment;
    run->user = &moment;
    run->options.workers = shapes[_i % SHAPES].workers;
    run->options.queue_jobs = shapes[_i % SHAPES].queue_jobs;
    run_start(run);
    run_add_good(run, &server, MANY, 2000);
    run_finish(run);
    for (unsigned i = 0; i < MANY; i++) {
        const struct entry *e = &run->entries[i];

        if (e->add_error != 0) {
            ck_assert_int_eq(e->add_error, PFETCH_ESTOPPED);
            refused++;
        } else if (e->status == PFETCH_STATUS_FAILED) {
            expect_failed(e, PFETCH_CLASS_STOPPED);
        }
    }
    ck_assert_int_eq(run->end, PFETCH_END_STOPPED);
    if (moment.event == ON_PLAN) {
        ck_assert_uint_eq(moment.seen, moment.nth);
        ck_assert_uint_eq(refused, MANY - moment.nth);
    }
    run_free(run);
}
END_TEST

/* --- while something waits ------------------------------------------------ */

/* Adds until the run is stopped. */
static void *add_for_ever(void *arg)
{
    struct run *run = arg;
    char url[URL_BYTES];

    faultd_url(&server, PORT_PLAIN, "127.0.0.1", "/stall=head/full", url);
    while (run_put(run_next(run, url)) == 0)
        ;
    return NULL;
}

START_TEST(test_stop_while_the_queue_is_full)
{
    enum { ADDERS = 4, PLACES = 3 };
    struct run *run = run_create(100);
    pthread_t threads[ADDERS];
    struct pfetch_counters counters;

    run->options.queue_jobs = PLACES;
    run->options.workers = 2;
    run_start(run);
    for (int i = 0; i < ADDERS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, add_for_ever, run),
                         0);
    faultd_wait_hits(&server, "/stall=head/full", 2);
    do
        pfetch_get_counters(run->pf, &counters);
    while (counters.added < PLACES);
    if (_i == 0)
        pfetch_stop(run->pf, 0);
    else
        pfetch_stop(run->pf, 300);
    for (int i = 0; i < ADDERS; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    run_finish(run);
    ck_assert_int_eq(run->end, PFETCH_END_STOPPED);
    ck_assert_uint_eq(run->counters.added, PLACES);
    ck_assert_uint_eq(run->counters.not_attempted, PLACES - 2);
    run_free(run);
}
END_TEST

/* Several threads waited for their turn to add: finish took it for good, and
 * they waited for ever.  So did pfetch_add() after pfetch_finish(). */
START_TEST(test_finish_sends_those_who_add_away)
{
    enum { ADDERS = 4 };
    struct run *run = run_create(100);
    pthread_t threads[ADDERS];
    struct pfetch_request request = { .url = "http://127.0.0.1/" };

    run->options.queue_jobs = 1;
    run->options.workers = 1;
    run->options.stall_timeout_ms = 1000;
    run->options.retries = 0;
    run_start(run);
    for (int i = 0; i < ADDERS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, add_for_ever, run),
                         0);
    faultd_wait_hits(&server, "/stall=head/full", 1);
    run->end = pfetch_finish(run->pf, NULL);
    for (int i = 0; i < ADDERS; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    ck_assert_int_eq(pfetch_add(run->pf, &request), PFETCH_ESTOPPED);
    ck_assert_uint_eq(atomic_load(&run->records), 1);
    pfetch_free(run->pf);
    run_free(run);
}
END_TEST

/* --- looking on ------------------------------------------------------------- */

static void add_path(struct run *run, const char *path)
{
    char url[URL_BYTES];
    struct entry *e = run_next(run, faultd_url(&server, PORT_PLAIN,
                                               "127.0.0.1", path, url));

    e->is_compared = true;
    (void)run_put(e);
}

START_TEST(test_the_oldest_transfers_are_told)
{
    struct run *run = run_create(4);
    struct pfetch_transfer seen[3] = { { .bytes = 0 } };
    struct pfetch_counters counters;

    run->options.workers = 4;
    run_start(run);
    ck_assert_uint_eq(pfetch_get_transfers(run->pf, seen, 3), 0);
    add_path(run, "/size=100000/stall=50000/a");
    do /* the bytes that come are counted */
        (void)pfetch_get_transfers(run->pf, seen, 3);
    while (seen[0].bytes != 50000);
    add_path(run, "/stall=head/b");
    faultd_wait_hits(&server, "/stall=head/b", 1);
    ck_assert_uint_eq(pfetch_get_transfers(run->pf, seen, 3), 2);
    add_path(run, "/stall=head/c");
    faultd_wait_hits(&server, "/stall=head/c", 1);
    add_path(run, "/stall=head/d");
    faultd_wait_hits(&server, "/stall=head/d", 1);
    /* Of four the first three, in the order in which they began. */
    ck_assert_uint_eq(pfetch_get_transfers(run->pf, seen, 3), 3);
    ck_assert_ptr_nonnull(strstr(seen[0].url, "/stall=50000/a"));
    ck_assert_ptr_nonnull(strstr(seen[1].url, "/stall=head/b"));
    ck_assert_ptr_nonnull(strstr(seen[2].url, "/stall=head/c"));
    ck_assert_int_ge(seen[0].elapsed_us, seen[1].elapsed_us);
    ck_assert_int_ge(seen[1].elapsed_us, seen[2].elapsed_us);
    ck_assert_int_eq(seen[1].bytes, 0);
    ck_assert_uint_eq(pfetch_get_transfers(run->pf, seen, 0), 0);
    pfetch_get_counters(run->pf, &counters);
    ck_assert_uint_eq(counters.hosts_held, 0);
    pfetch_stop(run->pf, 0);
    /* The first to ask after the end, too. */
    run->end = pfetch_finish(run->pf, NULL);
    ck_assert_uint_eq(pfetch_get_transfers(run->pf, seen, 3), 0);
    pfetch_free(run->pf);
    run_free(run);
}
END_TEST

START_TEST(test_hosts_that_are_held_are_counted)
{
    struct run *run = run_create(2);
    struct pfetch_counters counters;
    char url[URL_BYTES];

    run->options.retry_max_delay_ms = 100000;
    run->options.max_retry_after_ms = 100000;
    run_start(run);
    add_path(run, "/fail=99:503/retryafter=100/a");
    (void)run_put(run_next(run, faultd_url(
        &server, PORT_PLAIN, "127.0.0.2", "/size=1/b", url)));
    do
        pfetch_get_counters(run->pf, &counters);
    while (counters.holds < 1 || counters.ok < 1);
    ck_assert_uint_eq(counters.hosts_held, 1); /* of two */
    pfetch_stop(run->pf, 0);
    run_finish(run);
    run_free(run);
}
END_TEST

/* A place where a worker waits, and how to see that it does. */
static const struct {
    const char *path;
    int port;
    long hits; /* faultd has seen so many requests; -1: no request comes */
} waits[] = {
    { "/stall=head/w", PORT_PLAIN, 1 },
    { "/size=100000/stall=50000/w", PORT_PLAIN, 1 },
    { "/size=100000/stall=50000/etag=v/w", PORT_PLAIN, 1 },
    { "/size=100000/stall=50000/w", PORT_TLS, 1 },
    { "/status=404/size=1000/stall=5/w", PORT_PLAIN, 1 },
    { "/size=500000000000/w", PORT_PLAIN, 1 },
    { "/size=500000/drip=1,50/w", PORT_PLAIN, 1 },
    { "/slowheaders=50/w", PORT_PLAIN, 1 },
    { "/fail=99:503/retryafter=100/w", PORT_PLAIN, 1 },
    { "/w", PORT_MUTE, -1 },
};

enum { WAITS = sizeof(waits) / sizeof(waits[0]) };

static void wait_until_running(struct run *run, unsigned n)
{
    struct pfetch_counters counters;

    do
        pfetch_get_counters(run->pf, &counters);
    while (counters.running < n);
}

START_TEST(test_stop_while_a_transfer_waits)
{
    static const int64_t graces_ms[] = { 0, 400 };
    int64_t grace_ms = graces_ms[_i / WAITS], start;
    struct run *run = run_create(1);
    char url[URL_BYTES];
    struct entry *e;

    run->options.cacert = certs.ca;
    run->options.max_retry_after_ms = 100000;
    run_start(run);
    e = run_next(run, faultd_url(&server, waits[_i % WAITS].port, "127.0.0.1",
                                 waits[_i % WAITS].path, url));
    e->is_compared = true; /* there may be much of it */
    (void)run_put(e);
    if (waits[_i % WAITS].hits > 0)
        faultd_wait_hits(&server, waits[_i % WAITS].path,
                         waits[_i % WAITS].hits);
    else
        wait_until_running(run, 1);
    start = now_ms();
    pfetch_stop(run->pf, PFETCH_GRACE_FOREVER);
    pfetch_stop(run->pf, grace_ms);
    pfetch_stop(run->pf, PFETCH_GRACE_FOREVER); /* the shorter one counts */
    run_finish(run);
    ck_assert_int_lt(now_ms() - start, end_ms(grace_ms));
    ck_assert_int_eq(run->end, PFETCH_END_STOPPED);
    expect_failed(e, PFETCH_CLASS_STOPPED);
    run_free(run);
}
END_TEST

static void stop_at_begin(struct run *run, struct entry *e, enum event event)
{
    (void)e;
    if (event != ON_BEGIN)
        return;
    gate_wait(run->user, 1);
    pfetch_stop(run->pf, PFETCH_GRACE_FOREVER);
}

START_TEST(test_what_runs_may_end_in_its_grace_time)
{
    struct run *run = run_create(2);
    struct entry *running, *late;
    struct gate added;

    gate_init(&added);
    run->hook = stop_at_begin;
    run->user = &added;
    run->options.workers = 1;
    /* More bytes than blocks: the transfer cannot end before it has begun. */
    run->options.pool_bytes = 1;
    run_start(run);
    running = run_add_path(run, &server, "/size=2000000/x");
    late = run_add_path(run, &server, "/size=10/late");
    gate_add(&added);
    run_finish(run);
    expect_body(running, "x", 2000000);
    ck_assert_int_eq(late->status, PFETCH_STATUS_NOT_ATTEMPTED);
    ck_assert_int_eq(faultd_hits(&server, "/size=10/late"), 0);
    run_free(run);
}
END_TEST

START_TEST(test_stop_while_a_connection_is_made)
{
    struct sockaddr_in at = { .sin_family = AF_INET };
    socklen_t size = sizeof(at);
    struct run *run = run_create(8);
    int listener = socket(AF_INET, SOCK_STREAM, 0), fds[8];
    char url[URL_BYTES];
    int64_t start;

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ck_assert(bind(listener, (struct sockaddr *)&at, size) == 0
              && listen(listener, 0) == 0
              && getsockname(listener, (struct sockaddr *)&at, &size) == 0);
    for (int i = 0; i < 8; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        /* In progress, for ever: that is the point. */
        (void)connect(fds[i], (struct sockaddr *)&at, size);
    }
    run->options.connect_timeout_ms = 60000;
    run_start(run);
    (void)snprintf(url, sizeof(url), "%s://127.0.0.1:%d/a",
                   _i == 0 ? "http" : "https",
                   ntohs(at.sin_port)); /* it fits */
    run->options.insecure = true;
    for (int i = 0; i < 8; i++)
        (void)run_add(run, url);
    wait_until_running(run, 4);
    start = now_ms();
    pfetch_stop(run->pf, 0);
    run_finish(run);
    ck_assert_int_lt(now_ms() - start, end_ms(0));
    run_free(run);
    for (int i = 0; i < 8; i++)
        (void)close(fds[i]); /* nothing was written */
    (void)close(listener);
}
END_TEST

/* A handler that does not go on until the run is stopped: the pool runs dry,
 * and all workers wait for a block. */
struct block_test {
    struct gate started, stopped;
};

static void hold_first_take(struct run *run, struct entry *e,
                            enum event event)
{
    struct block_test *t = run->user;

    if (event == ON_TAKE && e->takes == 1) {
        gate_add(&t->started);
        gate_wait(&t->stopped, 1);
    }
}

START_TEST(test_stop_while_workers_wait_for_blocks)
{
    struct block_test t;
    struct run *run = run_create(8);
    struct pfetch_counters counters;
    uint64_t bytes, more;

    gate_init(&t.started);
    gate_init(&t.stopped);
    run->hook = hold_first_take;
    run->user = &t;
    run->options.pool_bytes = 1;
    run_start(run);
    for (int i = 0; i < 8; i++) {
        char path[40];
        struct entry *e;
        char url[URL_BYTES];

        (void)snprintf(path, sizeof(path), "/size=50000000000/x%d",
                       i); /* it fits */
        e = run_next(run, faultd_url(&server, PORT_PLAIN, "127.0.0.1", path,
                                     url));
        e->is_compared = true;
        (void)run_put(e);
    }
    gate_wait(&t.started, 1);
    /* Nothing more comes in once the pool is empty: four small blocks and
     * 256 KiB, of which some may be lost to the larger size. */
    do {
        pfetch_get_counters(run->pf, &counters);
        bytes = counters.body_bytes;
        for (int i = 0; i < 100; i++)
            (void)faultd_hits(&server, "/nothing"); /* takes some time */
        pfetch_get_counters(run->pf, &counters);
        more = counters.body_bytes;
    } while (more != bytes);
    ck_assert_uint_le(more, 256 * 1024 + 4 * 16 * 1024);
    pfetch_stop(run->pf, 0);
    gate_add(&t.stopped);
    run_finish(run);
    ck_assert_int_eq(run->end, PFETCH_END_STOPPED);
    for (int i = 0; i < 8; i++)
        if (run->entries[i].status != PFETCH_STATUS_NOT_ATTEMPTED)
            expect_failed(&run->entries[i], PFETCH_CLASS_STOPPED);
    run_free(run);
}
END_TEST

/* --- the ends of a run ---------------------------------------------------- */

START_TEST(test_no_requests)
{
    struct run *run = run_create(1);

    run->options.workers = _i == 0 ? 1 : 64;
    run_start(run);
    if (_i == 2)
        pfetch_stop(run->pf, 0);
    run_finish(run);
    ck_assert_int_eq(run->end, _i == 2 ? PFETCH_END_STOPPED
                                       : PFETCH_END_COMPLETE);
    run_free(run);
}
END_TEST

START_TEST(test_free_without_finish)
{
    struct run *run = run_create(50);
    unsigned records = 0;

    run_start(run);
    run_add_good(run, &server, 49, 2000);
    (void)run_add_path(run, &server, "/stall=head/x");
    pfetch_free(run->pf);
    for (unsigned i = 0; i < 50; i++)
        records += run->entries[i].records;
    ck_assert_uint_eq(records, 50);
    ck_assert_uint_eq(atomic_load(&run->dones), 1);
    ck_assert_str_eq(run->broken, "");
    run_free(run);
    pfetch_free(NULL);
}
END_TEST

struct adder {
    struct run *run;
    unsigned n;
};

static void *add_some(void *arg)
{
    const struct adder *adder = arg;

    run_add_good(adder->run, &server, adder->n, 500);
    return NULL;
}

START_TEST(test_four_threads_add)
{
    enum { ADDERS = 4, EACH = 100 };
    struct run *run = run_create(ADDERS * EACH);
    struct adder adder = { run, EACH };
    pthread_t threads[ADDERS];

    run->options.queue_jobs = shapes[_i].queue_jobs;
    run->options.workers = shapes[_i].workers;
    run_start(run);
    for (int i = 0; i < ADDERS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, add_some, &adder),
                         0);
    for (int i = 0; i < ADDERS; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    run_finish(run);
    ck_assert_int_eq(run->end, PFETCH_END_COMPLETE);
    ck_assert_uint_eq(run->counters.ok, ADDERS * EACH);
    expect_good(run);
    run_free(run);
}
END_TEST

START_TEST(test_two_downloaders_at_once)
{
    struct run *run[2];

    for (int i = 0; i < 2; i++) {
        run[i] = run_create(100);
        run_start(run[i]);
    }
    for (int k = 0; k < 10; k++)
        for (int i = 0; i < 2; i++)
            run_add_good(run[i], &server, 10, 2000);
    pfetch_stop(run[0]->pf, 0);
    for (int i = 0; i < 2; i++)
        run_finish(run[i]);
    ck_assert_int_eq(run[1]->end, PFETCH_END_COMPLETE);
    expect_good(run[1]);
    run_free(run[0]);
    run_free(run[1]);
}
END_TEST

START_TEST(test_sizes)
{
    struct run *run = run_create(100);

    run->options.queue_jobs = shapes[_i].queue_jobs;
    run->options.workers = shapes[_i].workers;
    run->options.queue_bytes = _i % 2 == 0 ? 1 : 1 << 20;
    run->options.pool_bytes = 1;
    run->options.max_idle = (unsigned)_i;
    run_start(run);
    run_add_good(run, &server, 90, 40000);
    for (int i = 0; i < 5; i++) {
        (void)run_add_path(run, &server, "/fail=1:503/size=9/good");
        (void)run_add_path(run, &server, "/size=9/redirect=hops:2/good");
    }
    run_finish(run);
    for (unsigned i = 0; i < 100; i++)
        ck_assert_int_eq(run->entries[i].status, PFETCH_STATUS_OK);
    run_free(run);
}
END_TEST

static Suite *create_suite(void)
{
    Suite *suite = suite_create("stop");
    TCase *stop = tcase_create("stop");
    TCase *end = tcase_create("end");

    tcase_add_checked_fixture(stop, reset, NULL);
    tcase_set_timeout(stop, 60);
    tcase_set_timeout(end, 60);
    tcase_add_loop_test(stop, test_stop_from_a_callback, 0, MOMENTS * SHAPES);
    tcase_add_loop_test(stop, test_stop_while_the_queue_is_full, 0, 2);
    tcase_add_test(stop, test_finish_sends_those_who_add_away);
    tcase_add_loop_test(stop, test_stop_while_a_transfer_waits, 0,
                        2 * WAITS);
    tcase_add_test(stop, test_what_runs_may_end_in_its_grace_time);
    tcase_add_loop_test(stop, test_stop_while_a_connection_is_made, 0, 2);
    tcase_add_test(stop, test_stop_while_workers_wait_for_blocks);
    tcase_add_loop_test(end, test_no_requests, 0, 3);
    tcase_add_test(end, test_free_without_finish);
    tcase_add_loop_test(end, test_four_threads_add, 0, SHAPES);
    tcase_add_test(end, test_two_downloaders_at_once);
    tcase_add_loop_test(end, test_sizes, 0, SHAPES);
    tcase_add_test(end, test_the_oldest_transfers_are_told);
    tcase_add_test(end, test_hosts_that_are_held_are_counted);
    suite_add_tcase(suite, stop);
    suite_add_tcase(suite, end);
    return suite;
}

int main(void)
{
    int status;

    certs_make(&certs);
    faultd_start(&server, "0.0.0.0", certs.good, certs.good_key);
    status = suite_run(create_suite());
    faultd_stop(&server);
    certs_remove(&certs);
    return status;
}
