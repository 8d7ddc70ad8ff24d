/* check_order.c - one body at a time, delivery in order, and the rest of what
 * the library promises to those who build on it.
 *
 * SPDX-License-Identifier: MIT
 *
 * That bodies are not mixed, that begin comes with the verdict, and that ends
 * and records keep the order is checked by the handler in support.c.
 */
#include "config.h"

#include "pfetch_handlers.h"
#include "suite.h"
#include "support.h"

#include "../faultd/body.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PIECE = PFETCH_SPOOL_PIECE_BYTES };

static struct faultd server;

static void reset(void)
{
    faultd_reset(&server);
}

/* --- one body at a time --------------------------------------------------- */

START_TEST(test_bodies_come_whole)
{
    static const long sizes[] = { 0, 1, 16384, 16385, PIECE, PIECE + 1,
                                  3 * PIECE - 1, 2000000 };
    enum { SIZES = sizeof(sizes) / sizeof(sizes[0]), EACH = 12 };
    struct run *run = run_create(SIZES * EACH);
    char path[100];

    run->handler.serial = true;
    run->options.workers = 16;
    run->options.spool_limit_bytes = _i == 0 ? 0 : _i == 1 ? 1 << 20 : 1 << 30;
    run_start(run);
    for (unsigned i = 0; i < SIZES * EACH; i++) {
        (void)snprintf(path, sizeof(path), "/delay=0-20/size=%ld%s/b%u",
                       sizes[i % SIZES], i % 2 == 0 ? "" : "/chunked", i);
        (void)run_add_path(run, &server, path);
    }
    run_finish(run);
    for (unsigned i = 0; i < SIZES * EACH; i++) {
        struct entry *e = &run->entries[i];
        char seed[16];

        (void)snprintf(seed, sizeof(seed), "b%u", i);
        expect_body(e, seed, sizes[i % SIZES]);
        ck_assert_uint_eq(e->begins, 1);
        ck_assert_int_eq(e->declared, sizes[i % SIZES]);
        ck_assert_uint_eq(e->takes,
                          (unsigned)((sizes[i % SIZES] + PIECE - 1) / PIECE));
    }
    run_free(run);
}
END_TEST

/* The handler sees nothing of an attempt that broke off. */
START_TEST(test_retries_are_not_seen)
{
    static const char *const paths[] = {
        "/size=1000000/etag=v/failcut=1:400000/x", /* continued */
        "/size=1000000/failcut=1:400000/x",        /* begun anew */
        "/size=1000000/etag=v/failcut=1:400000/newafter=1:x/x",
        "/size=1000000/etag=v/norange/failcut=1:400000/x",
    };
    enum { PATHS = sizeof(paths) / sizeof(paths[0]) };
    struct run *run = run_create(PATHS);

    run->handler.serial = true;
    run->options.spool_limit_bytes = _i == 0 ? 300000 : 1 << 30;
    run_start(run);
    for (unsigned i = 0; i < PATHS; i++)
        (void)run_add_path(run, &server, paths[i]);
    run_finish(run);
    for (unsigned i = 0; i < PATHS; i++) {
        expect_body(&run->entries[i], "x", 1000000);
        ck_assert_uint_eq(run->entries[i].attempts, 2);
        ck_assert_uint_eq(run->entries[i].begins, 1);
        ck_assert_int_eq(run->entries[i].last_offset, 0);
        ck_assert_uint_eq(run->entries[i].takes, 4);
    }
    run_free(run);
}
END_TEST

START_TEST(test_what_fails_is_not_begun)
{
    struct run *run = run_create(3);

    run->handler.serial = true;
    run_start(run);
    (void)run_add_path(run, &server, "/status=404/x");
    (void)run_add_path(run, &server, "/size=100000/cut=50000/x");
    (void)run_add_path(run, &server, "/size=600000/length=700000/x");
    run_finish(run);
    expect_failed(&run->entries[0], PFETCH_CLASS_HTTP);
    expect_failed(&run->entries[1], PFETCH_CLASS_SHORT);
    expect_failed(&run->entries[2], PFETCH_CLASS_SHORT);
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_uint_eq(run->entries[i].begins, 0);
        ck_assert_uint_eq(run->entries[i].takes, 0);
        ck_assert_uint_eq(run->entries[i].ends, 1);
    }
    run_free(run);
}
END_TEST

/* Nowhere to put what does not fit: local, not the server's fault. */
START_TEST(test_a_spool_that_cannot_be_written)
{
    struct run *run = run_create(1);

    run->handler.serial = true;
    run->options.spool_limit_bytes = 1000;
    run->options.spool_dir = "/nonexistent/dir";
    run_start(run);
    (void)run_add_path(run, &server, "/size=100000/x");
    run_finish(run);
    ck_assert_int_eq(run->end, PFETCH_END_LOCAL);
    ck_assert_int_eq(run->why.cls, PFETCH_CLASS_LOCAL);
    ck_assert_ptr_nonnull(strstr(run->why.text, "/nonexistent/dir"));
    expect_failed(&run->entries[0], PFETCH_CLASS_LOCAL);
    ck_assert_uint_eq(run->entries[0].begins, 0);
    run_free(run);
}
END_TEST

START_TEST(test_a_serial_handler_may_refuse)
{
    enum { GOOD = 10 };
    struct run *run = run_create(GOOD + 2);
    char url[URL_BYTES];
    struct entry *e;

    run->handler.serial = true;
    run_start(run);
    run_add_good(run, &server, GOOD / 2, 20000);
    for (unsigned i = 0; i < 2; i++) {
        e = run_next(run, faultd_url(&server, PORT_PLAIN, "127.0.0.1",
                                     "/size=1000000/x", url));
        e->why_text = "I do not want it";
        if (i == 0) {
            e->begin_reply = PFETCH_FAIL;
        } else {
            e->take_reply = PFETCH_FAIL;
            e->fail_take = 2;
        }
        (void)run_put(e);
    }
    run_add_good(run, &server, GOOD / 2, 20000);
    run_finish(run);
    expect_good(run);
    expect_failed(&run->entries[GOOD / 2], PFETCH_CLASS_HANDLER);
    expect_failed(&run->entries[GOOD / 2 + 1], PFETCH_CLASS_HANDLER);
    ck_assert_uint_eq(run->entries[GOOD / 2 + 1].takes, 2);
    run_free(run);
}
END_TEST

/* --- in order ------------------------------------------------------------- */

/* Every kind of ending, and all of them in their place. */
START_TEST(test_results_come_in_order)
{
    static const char *const paths[] = {
        "/delay=0-50/size=1000/x", "/status=404/x",
        "/delay=0-20/size=300000/x", "/fail=1:500/size=2000/x",
        "/redirect=hops:2/size=100/x", "/size=50000/etag=v/failcut=1:20000/x",
        "/cut=10/x",
    };
    enum { PATHS = sizeof(paths) / sizeof(paths[0]), N = 400 };
    struct run *run = run_create(N);
    struct pfetch_failure why;
    char url[URL_BYTES];

    run->handler.serial = _i % 2 == 1;
    run->options.ordered = true;
    run->options.workers = 16;
    run->options.queue_jobs = _i < 2 ? 40 : 32768;
    run->options.retry_delay_ms = run->options.retry_max_delay_ms = 50;
    pfetch_failure_set(&why, PFETCH_CLASS_URL, "the caller does not like it");
    run_start(run);
    for (unsigned i = 0; i < N; i++) {
        struct entry *e = run_next(
            run, i % 50 == 7 ? "http://127.0.0.1:1/dead"
                 : i % 50 == 8 ? "no URL"
                               : faultd_url(&server, PORT_PLAIN, "127.0.0.1",
                                            paths[i % PATHS], url));

        if (i % 50 == 9) {
            e->plan_reply = PFETCH_SKIP;
        } else if (i % 50 == 10) {
            e->plan_reply = PFETCH_FAIL;
            e->why_text = "no";
        }
        if (i % 50 == 11) {
            struct pfetch_request request = { .url = e->url, .n = i + 1,
                                              .user = e };

            ck_assert_int_eq(pfetch_reject(run->pf, &request, &why), 0);
        } else {
            (void)run_put(e);
        }
    }
    run_finish(run);
    ck_assert_int_eq(run->end, PFETCH_END_COMPLETE);
    ck_assert_uint_eq(run->recorded, N);
    ck_assert_uint_gt(run->counters.ok, N / 2);
    run_free(run);
}
END_TEST

/* How many were asked for when the oldest one was through. */
static void count_requests(struct run *run, struct entry *e, enum event event)
{
    if (event == ON_RECORD && e->n == 0)
        *(long *)run->user = faultd_stat(&server, "requests");
}

/* The first is slow, and comes back from retries: the others do not run ahead
 * of it farther than the window, and do not keep it from its turn. */
START_TEST(test_nobody_runs_ahead_of_the_oldest)
{
    enum { N = 1000, WINDOW = 256 };
    struct run *run = run_create(N);
    long requests = 0;

    run->options.ordered = true;
    run->options.workers = 8;
    run->options.retries = 3;
    run->options.retry_delay_ms = run->options.retry_max_delay_ms = 100;
    run->hook = count_requests;
    run->user = &requests;
    run_start(run);
    (void)run_add_path(run, &server, "/fail=3:500/delay=300/size=10/first");
    run_add_good(run, &server, N - 1, 100);
    run_finish(run);
    expect_body(&run->entries[0], "first", 10);
    ck_assert_uint_eq(run->entries[0].attempts, 4);
    expect_good(run);
    ck_assert_int_le(requests, WINDOW + 3 + 1); /* and the one that asks */
    if (!is_slow())
        ck_assert_int_ge(requests, WINDOW);
    run_free(run);
}
END_TEST

START_TEST(test_a_stop_keeps_the_order)
{
    enum { N = 500 };
    struct run *run = run_create(N);

    run->options.ordered = true;
    run->options.workers = 16;
    run_start(run);
    for (unsigned i = 0; i < N; i++) {
        char path[80];

        (void)snprintf(path, sizeof(path), "/delay=0-30/size=20000/s%u", i);
        (void)run_add_path(run, &server, path);
        if (i == N / 2)
            pfetch_stop(run->pf, _i == 0 ? 0 : PFETCH_GRACE_FOREVER);
    }
    run_finish(run);
    ck_assert_int_eq(run->end, PFETCH_END_STOPPED);
    run_free(run);
}
END_TEST

/* Settled backwards, ten at a time: records wait for each other, ends do
 * not. */
static void settle_backwards(struct run *run, struct entry *e,
                             enum event event)
{
    enum { AT_ONCE = 10 };
    static struct pfetch_job *jobs[AT_ONCE]; /* the writer's only */

    if (event != ON_END)
        return;
    jobs[e->n % AT_ONCE] = e->job;
    if (e->n % AT_ONCE != AT_ONCE - 1)
        return;
    ck_assert_uint_le(run->recorded, e->n / AT_ONCE * AT_ONCE);
    for (unsigned i = AT_ONCE; i-- > 0;)
        pfetch_settle(jobs[i], PFETCH_GO, NULL);
}

START_TEST(test_pending_jobs_in_order)
{
    enum { N = 100 };
    struct run *run = run_create(N);
    char url[URL_BYTES], path[80];

    run->options.ordered = true;
    run->hook = settle_backwards;
    run_start(run);
    for (unsigned i = 0; i < N; i++) {
        struct entry *e;

        (void)snprintf(path, sizeof(path), "/delay=0-10/size=500/good%u", i);
        e = run_next(run, faultd_url(&server, PORT_PLAIN, "127.0.0.1", path,
                                     url));
        e->end_reply = PFETCH_PENDING;
        (void)run_put(e);
    }
    run_finish(run);
    expect_good(run);
    ck_assert_uint_eq(run->recorded, N);
    run_free(run);
}
END_TEST

/* --- the library ---------------------------------------------------------- */

static void pass_gate(struct run *run, struct entry *e, enum event event)
{
    (void)e;
    if (event == ON_RECORD)
        gate_add(run->user);
}

START_TEST(test_try_add_never_waits)
{
    enum { PLACES = 3 };
    struct run *run = run_create(PLACES + 2);
    struct gate gate;
    struct entry *e;
    char url[URL_BYTES];
    struct pfetch_request request = { .n = 0 };

    gate_init(&gate);
    run->hook = pass_gate;
    run->user = &gate;
    run->options.queue_jobs = PLACES;
    run_start(run);
    for (unsigned i = 0; i <= PLACES; i++) {
        e = run_next(run, faultd_url(&server, PORT_PLAIN, "127.0.0.1",
                                     "/delay=300/size=10/x", url));
        request = (struct pfetch_request){ .url = e->url, .n = e->n + 1,
                                           .user = e };
        e->add_error = pfetch_try_add(run->pf, &request);
        ck_assert_int_eq(e->add_error, i < PLACES ? 0 : PFETCH_EAGAIN);
    }
    gate_wait(&gate, PLACES); /* their places come back after that */
    while ((e->add_error = pfetch_try_add(run->pf, &request))
           == PFETCH_EAGAIN)
        (void)usleep(1000);
    ck_assert_int_eq(e->add_error, 0);
    pfetch_stop(run->pf, PFETCH_GRACE_FOREVER);
    e = run_next(run, url);
    request = (struct pfetch_request){ .url = e->url, .n = e->n + 1,
                                       .user = e };
    e->add_error = pfetch_try_add(run->pf, &request);
    ck_assert_int_eq(e->add_error, PFETCH_ESTOPPED);
    run_finish(run);
    run_free(run);
}
END_TEST

/* An earlier caller's structs are shorter, a later one's are longer. */
START_TEST(test_structs_may_grow)
{
    struct {
        struct pfetch_options options;
        char more[64];
    } later;
    struct {
        struct pfetch_counters counters;
        char more[64];
    } many;
    struct pfetch_options earlier;
    struct pfetch_handler handler = { .self = NULL };
    struct pfetch_request request = { .url = "no URL", .n = 1 };
    struct pfetch_counters few;
    struct pfetch_failure why;
    struct pfetch *pf;
    size_t upto = offsetof(struct pfetch_options, retry_delay_ms);

    /* Beyond its size nothing is written, nor read. */
    memset(&earlier, 0xee, sizeof(earlier));
    pfetch_options_init_sized(&earlier, upto);
    ck_assert_uint_eq(earlier.size, upto);
    ck_assert_uint_eq(earlier.workers, 16);
    ck_assert_int_eq(((unsigned char *)&earlier)[upto], 0xee);
    earlier.workers = 1;
    ck_assert_int_eq(pfetch_create_sized(
                         &pf, &earlier, &handler,
                         offsetof(struct pfetch_handler, serial), &why), 0);
    ck_assert_int_eq(pfetch_add_sized(pf, &request,
                                      offsetof(struct pfetch_request, user)),
                     0);
    ck_assert_int_eq(pfetch_add_sized(pf, &request, sizeof(request) + 8),
                     PFETCH_EINVAL);
    ck_assert_int_eq(pfetch_finish(pf, &why), PFETCH_END_COMPLETE);
    memset(&few, 0xee, sizeof(few));
    pfetch_get_counters_sized(pf, &few, offsetof(struct pfetch_counters, ok));
    ck_assert_uint_eq(few.added, 1);
    ck_assert_uint_ne(few.failed, 1);
    memset(&many, 0xee, sizeof(many));
    pfetch_get_counters_sized(pf, &many.counters, sizeof(many));
    ck_assert_uint_eq(many.counters.failed, 1);
    ck_assert_int_eq(many.more[0], 0);
    pfetch_free(pf);

    pfetch_options_init_sized(&later.options, sizeof(later));
    ck_assert_uint_eq(later.options.size, sizeof(later));
    ck_assert_int_eq(later.more[63], 0);
    ck_assert_int_eq(pfetch_create(&pf, &later.options, NULL, &why),
                     PFETCH_EINVAL);
    ck_assert_ptr_null(pf);
    later.options.size = sizeof(later.options);
    ck_assert_int_eq(pfetch_create_sized(&pf, &later.options, &handler,
                                         sizeof(handler) + 8, &why),
                     PFETCH_EINVAL);
    later.options.size = 0;
    ck_assert_int_eq(pfetch_create(&pf, &later.options, NULL, &why),
                     PFETCH_EINVAL);
}
END_TEST

struct instance {
    struct run *run;
    unsigned n;
    pthread_t thread;
};

static void *add_all(void *arg)
{
    struct instance *i = arg;

    run_add_good(i->run, &server, i->n, 100);
    return NULL;
}

/* Each with threads of its own, and one adding to each at the same time. */
START_TEST(test_two_downloaders_at_once)
{
    struct instance two[2];
    unsigned n = is_slow() && !is_full() ? 1000 : 10000;

    for (unsigned i = 0; i < 2; i++) {
        two[i].n = n;
        two[i].run = run_create(n);
        two[i].run->handler.serial = i == 0;
        two[i].run->options.ordered = i == 0;
        run_start(two[i].run);
    }
    for (unsigned i = 0; i < 2; i++)
        ck_assert_int_eq(pthread_create(&two[i].thread, NULL, add_all,
                                        &two[i]), 0);
    for (unsigned i = 0; i < 2; i++) {
        ck_assert_int_eq(pthread_join(two[i].thread, NULL), 0);
        run_finish(two[i].run);
        ck_assert_uint_eq(two[i].run->counters.ok, n);
        expect_good(two[i].run);
        run_free(two[i].run);
    }
}
END_TEST

/* --- a reader that does not read ------------------------------------------ */

/* A stop ends even then: the writer must not sleep in write(2). */
START_TEST(test_a_stop_ends_a_blocked_stdout)
{
    enum { SIZE = 1000000, N = 20 };
    struct run *run = run_create(N);
    struct pfetch_handler out;
    struct pfetch_stdout_options options;
    struct pfetch_failure why;
    char path[80];
    int fds[2];
    int64_t begun;

    ck_assert_int_eq(pipe(fds), 0);
    pfetch_stdout_options_init(&options);
    options.fd = fds[1];
    options.format = (enum pfetch_stdout_format)_i;
    ck_assert_int_eq(pfetch_stdout_create(&out, &options, &why), 0);
    ck_assert(out.serial);
    run->handler = out;
    run_start(run);
    for (unsigned i = 0; i < N; i++) {
        (void)snprintf(path, sizeof(path), "/size=%d/x%u", SIZE, i);
        (void)run_add_path(run, &server, path);
    }
    /* With what the writer has and the blocks of the pool no more than these
     * few are sure to be asked for. */
    (void)snprintf(path, sizeof(path), "/size=%d/x%u", SIZE, 5u);
    faultd_wait_hits(&server, path, 1);
    begun = now_ms();
    pfetch_stop(run->pf, 100);
    run_finish(run);
    if (!is_slow())
        ck_assert_int_lt(now_ms() - begun, 5000);
    /* Not even the first fits into the pipe. */
    for (unsigned i = 0; i < N; i++)
        if (run->entries[i].status != PFETCH_STATUS_NOT_ATTEMPTED)
            expect_failed(&run->entries[i], PFETCH_CLASS_STOPPED);
    /* O_NONBLOCK was not forced on those who share the pipe. */
    ck_assert_int_eq(fcntl(fds[1], F_GETFL) & O_NONBLOCK, 0);
    pfetch_stdout_free(&out);
    ck_assert_int_eq(close(fds[0]) | close(fds[1]), 0);
    run_free(run);
}
END_TEST

static Suite *create_suite(void)
{
    Suite *suite = suite_create("order");
    TCase *tests = tcase_create("order");

    tcase_add_checked_fixture(tests, reset, NULL);
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, test_bodies_come_whole, 0, 3);
    tcase_add_loop_test(tests, test_retries_are_not_seen, 0, 2);
    tcase_add_test(tests, test_what_fails_is_not_begun);
    tcase_add_test(tests, test_a_spool_that_cannot_be_written);
    tcase_add_test(tests, test_a_serial_handler_may_refuse);
    tcase_add_loop_test(tests, test_results_come_in_order, 0, 4);
    tcase_add_test(tests, test_nobody_runs_ahead_of_the_oldest);
    tcase_add_loop_test(tests, test_a_stop_keeps_the_order, 0, 2);
    tcase_add_test(tests, test_pending_jobs_in_order);
    tcase_add_test(tests, test_try_add_never_waits);
    tcase_add_test(tests, test_structs_may_grow);
    tcase_add_test(tests, test_two_downloaders_at_once);
    tcase_add_loop_test(tests, test_a_stop_ends_a_blocked_stdout, 0, 3);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    int status;

    faultd_start(&server, "127.0.0.1", NULL, NULL);
    status = suite_run(create_suite());
    faultd_stop(&server);
    return status;
}
