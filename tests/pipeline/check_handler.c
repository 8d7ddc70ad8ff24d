/* check_handler.c - what a data handler is told, and what it may answer.
 *
 * SPDX-License-Identifier: MIT
 *
 * The call protocol itself is checked by the handler in support.c, in every
 * test of this directory.
 */
#include "config.h"

#include "suite.h"
#include "support.h"

#include "../faultd/body.h"

#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { GOOD = 19 };

static struct faultd server;

static void reset(void)
{
    faultd_reset(&server);
}

static struct entry *next_path(struct run *run, const char *path)
{
    char url[URL_BYTES];

    return run_next(run, faultd_url(&server, PORT_PLAIN, "127.0.0.1", path,
                                    url));
}

/* --- answers -------------------------------------------------------------- */

START_TEST(test_plan_may_skip_and_fail)
{
    struct run *run = run_create(GOOD + 3);
    struct entry *skipped, *failed, *bare;

    run_start(run);
    run_add_good(run, &server, GOOD, 2000);
    skipped = next_path(run, "/size=10/skipped");
    skipped->plan_reply = PFETCH_SKIP;
    skipped->why_text = "it is there";
    (void)run_put(skipped);
    failed = next_path(run, "/size=10/failed");
    failed->plan_reply = PFETCH_FAIL;
    failed->why_cls = PFETCH_CLASS_NAME;
    failed->why_text = "no such name";
    (void)run_put(failed);
    bare = next_path(run, "/size=10/bare");
    bare->plan_reply = PFETCH_FAIL;
    (void)run_put(bare);
    run_finish(run);
    ck_assert_int_eq(run->end, PFETCH_END_COMPLETE);
    ck_assert_int_eq(skipped->status, PFETCH_STATUS_SKIPPED);
    ck_assert_str_eq(skipped->message, "it is there");
    expect_failed(failed, PFETCH_CLASS_NAME);
    ck_assert_str_eq(failed->message, "no such name");
    expect_failed(bare, PFETCH_CLASS_HANDLER);
    ck_assert_int_eq(faultd_hits(&server, "/size=10/skipped")
                     + faultd_hits(&server, "/size=10/failed"), 0);
    expect_good(run);
    run_free(run);
}
END_TEST

/* Which call says no. */
enum place { AT_BEGIN, AT_FIRST_TAKE, AT_THIRD_TAKE, AT_END, PLACES };

static void refuse(struct entry *e, enum place place, enum pfetch_reply reply)
{
    e->why_text = "I do not want it";
    if (place == AT_BEGIN)
        e->begin_reply = reply;
    else if (place == AT_END)
        e->end_reply = reply;
    else
        e->take_reply = reply;
    e->fail_take = place == AT_FIRST_TAKE ? 1 : place == AT_THIRD_TAKE ? 3 : 0;
}

START_TEST(test_a_failure_is_of_one_url_only)
{
    struct run *run = run_create(GOOD + 1);
    struct entry *e;

    run_start(run);
    run_add_good(run, &server, GOOD / 2, 20000);
    e = next_path(run, "/size=3000000/x");
    refuse(e, (enum place)_i, PFETCH_FAIL);
    (void)run_put(e);
    run_add_good(run, &server, GOOD - GOOD / 2, 20000);
    run_finish(run);
    ck_assert_int_eq(run->end, PFETCH_END_COMPLETE);
    expect_failed(e, PFETCH_CLASS_HANDLER);
    ck_assert_str_eq(e->message, "I do not want it");
    ck_assert_uint_eq(e->attempts, 1);
    expect_good(run);
    run_free(run);
}
END_TEST

/* Without end, so that only an abort can end it. */
START_TEST(test_the_transfer_of_a_refused_body_is_aborted)
{
    struct run *run = run_create(GOOD + 1);
    struct entry *e;

    run->options.workers = 1;
    run_start(run);
    e = next_path(run, "/size=500000000000/x");
    refuse(e, (enum place)_i, PFETCH_FAIL);
    (void)run_put(e);
    run_add_good(run, &server, GOOD, 20000);
    run_finish(run);
    expect_failed(e, PFETCH_CLASS_HANDLER);
    expect_good(run);
    run_free(run);
}
END_TEST

/* A job that the handler had given up while it waited for its next attempt
 * was begun once more, only to be aborted. */
START_TEST(test_a_refused_body_is_not_fetched_again)
{
    struct run *run = run_create(1);
    const char *path = "/size=10000/etag=v/cut=5000/refused";
    struct entry *e;

    run->options.retries = 5;
    run->options.retry_delay_ms = run->options.retry_max_delay_ms = 1000;
    run_start(run);
    e = next_path(run, path);
    refuse(e, AT_FIRST_TAKE, PFETCH_FAIL);
    (void)run_put(e);
    run_finish(run);
    expect_failed(e, PFETCH_CLASS_HANDLER);
    ck_assert_uint_eq(e->attempts, 1);
    ck_assert_int_eq(faultd_hits(&server, path), 1);
    run_free(run);
}
END_TEST

START_TEST(test_a_place_that_is_broken_ends_the_run)
{
    enum { MANY = 300 };
    struct run *run = run_create(MANY + 1);
    struct entry *e;

    run->options.queue_jobs = 32;
    run_start(run);
    run_add_good(run, &server, MANY / 2, 2000);
    e = next_path(run, "/size=3000000/x");
    if (_i == PLACES)
        e->plan_reply = PFETCH_BROKEN;
    else
        refuse(e, (enum place)_i, PFETCH_BROKEN);
    e->why_text = "disk full";
    e->why_cls = PFETCH_CLASS_LOCAL;
    (void)run_put(e);
    run_add_good(run, &server, MANY - MANY / 2, 2000);
    run_finish(run);
    ck_assert_int_eq(run->end, PFETCH_END_LOCAL);
    ck_assert_str_eq(run->why.text, "disk full");
    ck_assert_int_eq(run->why.cls, PFETCH_CLASS_LOCAL);
    expect_failed(e, PFETCH_CLASS_LOCAL);
    run_free(run);
}
END_TEST

/* The reason of the run was empty when plan() had given none. */
START_TEST(test_a_broken_place_without_a_reason)
{
    struct run *run = run_create(1);
    struct entry *e;

    run_start(run);
    e = next_path(run, "/size=10/x");
    e->plan_reply = PFETCH_BROKEN;
    (void)run_put(e);
    run_finish(run);
    ck_assert_int_eq(run->end, PFETCH_END_LOCAL);
    ck_assert_int_eq(run->why.cls, PFETCH_CLASS_HANDLER);
    ck_assert_str_ne(run->why.text, "");
    run_free(run);
}
END_TEST

/* --- pending -------------------------------------------------------------- */

enum { PENDING = 60, SETTLERS = 3 };

/* Jobs to be settled, for the threads that do it. */
struct pending {
    pthread_mutex_t lock;          /* guards the rest */
    pthread_cond_t changed;        /* broadcast on each change */
    struct pfetch_job *jobs[PENDING];
    unsigned first, count;
    bool is_over;
};

static void settle(struct pfetch_job *job)
{
    const struct entry *e = pfetch_job_state(job);
    struct pfetch_failure why;

    if (e->n % 3 == 0) {
        pfetch_failure_set(&why, PFETCH_CLASS_CHECKSUM, "not what it was");
        pfetch_settle(job, PFETCH_FAIL, &why);
    } else {
        pfetch_settle(job, PFETCH_GO, NULL);
    }
}

static void *run_settler(void *arg)
{
    struct pending *p = arg;

    ck_assert_int_eq(pthread_mutex_lock(&p->lock), 0);
    for (;;) {
        struct pfetch_job *job;

        while (p->first == p->count && !p->is_over)
            if (pthread_cond_wait(&p->changed, &p->lock) != 0)
                abort();
        if (p->first == p->count)
            break;
        job = p->jobs[p->first++];
        if (pthread_mutex_unlock(&p->lock) != 0)
            abort();
        settle(job);
        if (pthread_mutex_lock(&p->lock) != 0)
            abort();
    }
    if (pthread_mutex_unlock(&p->lock) != 0)
        abort();
    return NULL;
}

static void hand_over(struct run *run, struct entry *e, enum event event)
{
    struct pending *p = run->user;

    if (event != ON_END)
        return;
    if (e->n % 2 == 0) {
        settle(e->job); /* before end() has returned */
        return;
    }
    if (pthread_mutex_lock(&p->lock) != 0)
        abort();
    p->jobs[p->count++] = e->job;
    if (pthread_cond_broadcast(&p->changed) != 0
        || pthread_mutex_unlock(&p->lock) != 0)
        abort();
}

START_TEST(test_pending_jobs_are_settled_by_other_threads)
{
    struct pending p = { .lock = PTHREAD_MUTEX_INITIALIZER,
                         .changed = PTHREAD_COND_INITIALIZER };
    struct run *run = run_create(PENDING);
    pthread_t threads[SETTLERS];

    run->hook = hand_over;
    run->user = &p;
    run->options.queue_jobs = 7;
    run_start(run);
    for (unsigned i = 0; i < SETTLERS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, run_settler, &p),
                         0);
    for (unsigned i = 0; i < PENDING; i++) {
        struct entry *e = next_path(run, "/size=100/x");

        e->end_reply = PFETCH_PENDING;
        (void)run_put(e);
        if (_i == 1 && i == PENDING / 2)
            pfetch_stop(run->pf, 0);
    }
    run_finish(run);
    ck_assert_int_eq(pthread_mutex_lock(&p.lock), 0);
    p.is_over = true;
    ck_assert_int_eq(pthread_cond_broadcast(&p.changed), 0);
    ck_assert_int_eq(pthread_mutex_unlock(&p.lock), 0);
    for (unsigned i = 0; i < SETTLERS; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    for (unsigned i = 0; i < PENDING && _i == 0; i++)
        if (i % 3 == 0)
            expect_failed(&run->entries[i], PFETCH_CLASS_CHECKSUM);
        else
            expect_body(&run->entries[i], "x", 100);
    run_free(run);
}
END_TEST

static void settle_broken(struct run *run, struct entry *e, enum event event)
{
    (void)run;
    if (event == ON_END)
        pfetch_settle(e->job, PFETCH_BROKEN, NULL);
}

/* A settled PFETCH_BROKEN was lost when no reason could be kept. */
START_TEST(test_a_pending_job_may_break_the_run)
{
    struct run *run = run_create(1);
    struct entry *e;

    run->hook = settle_broken;
    run_start(run);
    e = next_path(run, "/size=100/x");
    e->end_reply = PFETCH_PENDING;
    (void)run_put(e);
    run_finish(run);
    ck_assert_int_eq(run->end, PFETCH_END_LOCAL);
    expect_failed(e, PFETCH_CLASS_HANDLER);
    run_free(run);
}
END_TEST

/* Kept by end() for idle(): all on the writer thread. */
struct held {
    struct pfetch_job *jobs[PENDING];
    unsigned count, groups;
    unsigned records_seen; /* by on_idle, last */
};

static void hold(struct run *run, struct entry *e, enum event event)
{
    struct held *held = run->user;

    if (event == ON_END)
        held->jobs[held->count++] = e->job;
}

static void settle_held(void *self)
{
    struct run *run = self;
    struct held *held = run->user;

    held->groups += held->count > 0;
    while (held->count > 0)
        pfetch_settle(held->jobs[--held->count], PFETCH_GO, NULL);
}

static void count_records(void *user)
{
    struct run *run = user;
    struct held *held = run->user;

    held->records_seen = atomic_load(&run->records);
}

/* Whether the run is finished or stopped, whoever keeps work for a pause gets
 * one: the handler, and then who writes the records. */
START_TEST(test_pending_jobs_are_settled_in_a_pause)
{
    struct held held = { .count = 0 };
    struct run *run = run_create(PENDING);
    unsigned accepted = 0;

    run->hook = hold;
    run->user = &held;
    run->handler.idle = settle_held;
    run->options.on_idle = count_records;
    run->options.queue_jobs = 7; /* without a pause no more could be added */
    run_start(run);
    for (unsigned i = 0; i < PENDING; i++) {
        struct entry *e = next_path(run, "/size=100/x");

        e->end_reply = PFETCH_PENDING;
        accepted += run_put(e) == 0;
        if (_i == 1 && i == PENDING / 2)
            pfetch_stop(run->pf, 0);
    }
    run_finish(run);
    ck_assert_uint_ge(held.groups, 1);
    ck_assert_uint_eq(held.records_seen, accepted);
    for (unsigned i = 0; i < PENDING && _i == 0; i++)
        expect_body(&run->entries[i], "x", 100);
    run_free(run);
}
END_TEST

/* Where threads are short the program begins again with fewer workers. */
START_TEST(test_a_handler_outlives_a_downloader_without_jobs)
{
    struct run *run = run_create(GOOD);

    run_start(run);
    pfetch_free(run->pf);
    ck_assert_uint_eq(atomic_load(&run->dones), 0);
    run_start(run);
    run_add_good(run, &server, GOOD, 2000);
    run_finish(run);
    ck_assert_uint_eq(atomic_load(&run->dones), 1);
    expect_good(run);
    run_free(run);
}
END_TEST

/* --- continuations -------------------------------------------------------- */

/* A body that breaks off, and what becomes of the next attempt. */
static const struct {
    const char *path;
    int64_t resumed_at; /* -1: fetched anew */
    const char *seed;
    unsigned attempts;
} continued[] = {
    { "/size=100000/etag=v/failcut=1:60000/x", 60000, "x", 2 },
    { "/size=100000/etag=v/failcut=2:30000/x", 60000, "x", 3 },
    { "/size=100000/etag=v/failcut=1:1/x", 1, "x", 2 },
    { "/size=100000/etag=v/failcut=1:99999/x", 99999, "x", 2 },
    { "/size=900000/etag=v/chunked/failcut=1:600000/x", -2, "x", 2 },
    { "/size=100000/etag=v/shortrange=30000/failcut=1:10000/x", 70000, "x",
      4 },
    /* nothing to continue by */
    { "/size=100000/failcut=1:60000/x", -1, "x", 2 },
    { "/size=100000/etag=W%2Fv/failcut=1:60000/x", -1, "x", 2 },
    { "/size=900000/etag=W%2Fv/failcut=1:600000/x", -1, "x", 2 },
    { "/size=100000/etag=v/failcut=1:0/x", -1, "x", 2 },
    /* the server does not do what it is asked for */
    { "/size=100000/etag=v/norange/failcut=1:60000/x", -1, "x", 2 },
    { "/size=100000/etag=v/wrongrange=start/failcut=1:60000/x", -1, "x", 3 },
    { "/size=100000/etag=v/wrongrange=after/failcut=1:60000/x", -1, "x", 3 },
    { "/size=100000/etag=v/wrongrange=total/failcut=1:60000/x", -1, "x", 3 },
    { "/size=100000/etag=v/wrongrange=etag/failcut=1:60000/x", -1, "x", 3 },
    { "/size=100000/etag=v/wrongrange=nocr/failcut=1:60000/x", -1, "x", 3 },
    { "/size=100000/etag=v/wrongrange=multipart/failcut=1:60000/x", -1, "x",
      3 },
    { "/size=100000/etag=v/416=always/failcut=1:60000/x", -1, "x", 3 },
    /* the file is another one meanwhile */
    { "/size=100000/etag=v/newafter=1:new/failcut=1:60000/x", -1, "new", 2 },
};

START_TEST(test_a_body_that_breaks_off)
{
    struct run *run = run_create(GOOD + 1);
    struct entry *e;
    long size = strtol(strstr(continued[_i].path, "size=") + 5, NULL, 10);

    run->options.retries = 4;
    run_start(run);
    run_add_good(run, &server, GOOD / 2, 2000);
    e = run_add_path(run, &server, continued[_i].path);
    run_add_good(run, &server, GOOD - GOOD / 2, 2000);
    run_finish(run);
    expect_body(e, continued[_i].seed, size);
    ck_assert_uint_eq(e->attempts, continued[_i].attempts);
    if (continued[_i].resumed_at != -2) {
        ck_assert_int_eq(e->resumed_at, continued[_i].resumed_at);
        ck_assert_int_eq(e->declared, size);
    }
    ck_assert_int_eq(e->last_offset, e->resumed_at < 0 ? 0 : e->resumed_at);
    expect_good(run);
    run_free(run);
}
END_TEST

/* What plan() asks for. */
static const struct {
    const char *path;
    int64_t offset, total;
    const char *etag;
    bool is_continued;
} planned[] = {
    { "/size=50000/etag=v/x", 20000, 50000, "\"v\"", true },
    { "/size=50000/etag=v/x", 20000, -1, "\"v\"", true },
    { "/size=50000/etag=v/x", 49999, 50000, "\"v\"", true },
    { "/size=50000/etag=w/x", 20000, 50000, "\"v\"", false },
    { "/size=50000/etag=v/x", 20000, 50001, "\"v\"", false },
    { "/size=50000/etag=v/norange/x", 20000, 50000, "\"v\"", false },
    { "/size=50000/x", 20000, 50000, "\"v\"", false },
    /* all of it is there already, or more than that */
    { "/size=50000/etag=v/x", 50000, 50000, "\"v\"", false },
    { "/size=50000/etag=v/x", 60000, -1, "\"v\"", false },
    { "/size=50000/etag=v/416=always/x", 20000, 50000, "\"v\"", false },
    { "/size=50000/etag=v/wrongrange=start/x", 20000, 50000, "\"v\"", false },
    { "/size=0/etag=v/x", 20000, -1, "\"v\"", false },
};

/* Without retries, too: to begin anew is none.  It was one, and a partial
 * file that was complete could never be finished. */
START_TEST(test_plan_may_ask_for_the_rest)
{
    for (unsigned retries = 0; retries <= 1; retries++) {
        struct run *run = run_create(1);
        long size = strtol(strstr(planned[_i].path, "size=") + 5, NULL, 10);
        struct entry *e = next_path(run, planned[_i].path);

        run->options.retries = retries;
        e->resume_offset = planned[_i].offset;
        e->resume_total = planned[_i].total;
        e->resume_etag = planned[_i].etag;
        e->body = malloc(100000);
        ck_assert_ptr_nonnull(e->body);
        e->capacity = 100000;
        body_fill(body_hash("x", 1), 0, e->body, 100000);
        run_start(run);
        (void)run_put(e);
        run_finish(run);
        expect_body(e, "x", size);
        ck_assert_int_eq(e->resumed_at, planned[_i].is_continued
                                            ? planned[_i].offset : -1);
        run_free(run);
    }
}
END_TEST

/* This handler has no resume(), so nobody knows the bytes before the offset: a
 * digest can only be had of the whole. */
START_TEST(test_rest_is_not_asked_for_when_there_is_a_digest)
{
    struct run *run = run_create(1);
    struct entry *e = next_path(run, "/size=50000/etag=v/refuseheader=Range/x");

    run->options.checksum = "md5";
    e->resume_offset = 20000;
    e->resume_total = 50000;
    e->resume_etag = "\"v\"";
    e->body = malloc(100000);
    ck_assert_ptr_nonnull(e->body);
    e->capacity = 100000;
    run_start(run);
    (void)run_put(e);
    run_finish(run);
    expect_body(e, "x", 50000);
    ck_assert_int_eq(e->resumed_at, -1);
    run_free(run);
}
END_TEST

static void try_to_resume(struct run *run, struct entry *e, enum event event)
{
    static const struct {
        int64_t offset;
        const char *etag;
    } bad[] = {
        { 0, "\"v\"" }, { -1, "\"v\"" }, { 5, "W/\"v\"" }, { 5, "v" },
        { 5, "" }, { 5, NULL }, { 5, "\"" }, { 5, "\"a\r\nX: y\"" },
        { 5, "\"a\"b\"" },
    };
    unsigned *refused = run->user;

    if (event != ON_PLAN)
        return;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        *refused += pfetch_job_resume(e->job, bad[i].offset, -1, bad[i].etag)
                    == PFETCH_EINVAL;
}

START_TEST(test_what_cannot_be_continued_by)
{
    struct run *run = run_create(1);
    unsigned refused = 0;
    struct entry *e;

    run->hook = try_to_resume;
    run->user = &refused;
    run_start(run);
    e = run_add_path(run, &server, "/size=10/etag=v/refuseheader=Range/x");
    run_finish(run);
    ck_assert_uint_eq(refused, 9);
    expect_body(e, "x", 10);
    run_free(run);
}
END_TEST

/* --- the rest ------------------------------------------------------------- */

START_TEST(test_an_empty_body_is_begun_and_ended)
{
    struct run *run = run_create(2);
    struct entry *e[2];

    run_start(run);
    e[0] = run_add_path(run, &server, "/size=0/x");
    e[1] = run_add_path(run, &server, "/size=0/chunked/x");
    run_finish(run);
    for (int i = 0; i < 2; i++) {
        expect_body(e[i], "x", 0);
        ck_assert_uint_eq(e[i]->begins, 1);
        ck_assert_uint_eq(e[i]->takes, 0);
        ck_assert_uint_eq(e[i]->ends, 1);
    }
    run_free(run);
}
END_TEST

START_TEST(test_without_callbacks)
{
    struct run *run = run_create(GOOD + 1);

    memset(&run->handler, 0, sizeof(run->handler));
    if (_i == 1)
        run->options.on_record = NULL;
    run_start(run);
    run_add_good(run, &server, GOOD, 2000);
    (void)run_add_path(run, &server, "/status=404/x");
    if (_i == 0) {
        run_finish(run);
        ck_assert_uint_eq(run->counters.ok, GOOD);
        ck_assert_uint_eq(run->counters.failed, 1);
    } else {
        ck_assert_int_eq(pfetch_finish(run->pf, NULL), PFETCH_END_COMPLETE);
        pfetch_get_counters(run->pf, &run->counters);
        ck_assert_uint_eq(run->counters.ok, GOOD);
        pfetch_free(run->pf);
    }
    run_free(run);
}
END_TEST

START_TEST(test_a_dry_run_fetches_nothing)
{
    struct run *run = run_create(3);
    struct entry *planned_one, *skipped;

    run->options.dry_run = true;
    run_start(run);
    planned_one = run_add_path(run, &server, "/size=10/dry");
    skipped = next_path(run, "/size=10/dry");
    skipped->plan_reply = PFETCH_SKIP;
    (void)run_put(skipped);
    (void)run_add(run, "no-URL");
    run_finish(run);
    ck_assert_int_eq(planned_one->status, PFETCH_STATUS_PLANNED);
    ck_assert_uint_eq(planned_one->ends, 1);
    ck_assert_uint_eq(planned_one->attempts, 0);
    ck_assert_ptr_null(planned_one->effective_url);
    ck_assert_int_eq(skipped->status, PFETCH_STATUS_SKIPPED);
    expect_failed(&run->entries[2], PFETCH_CLASS_SCHEME);
    ck_assert_int_eq(faultd_hits(&server, "/size=10/dry"), 0);
    run_free(run);
}
END_TEST

static void set_paths(struct run *run, struct entry *e, enum event event)
{
    static const char *const names[] = { "planned", "begun" };

    (void)run;
    if (event == ON_PLAN || event == ON_BEGIN)
        ck_assert_int_eq(pfetch_job_set_path(e->job, names[event]), 0);
    if (event == ON_END)
        ck_assert_str_eq(pfetch_job_path(e->job), "begun");
}

START_TEST(test_the_path_is_the_handlers)
{
    struct run *run = run_create(1);
    struct entry *e;

    run->hook = set_paths;
    run_start(run);
    e = run_add_path(run, &server, "/size=10/x");
    run_finish(run);
    ck_assert_str_eq(e->path, "begun");
    run_free(run);
}
END_TEST

/* Without retry_http pfetch_create() crashed. */
START_TEST(test_options_at_their_limits)
{
    struct run *run = run_create(1);
    struct pfetch_failure why;
    struct entry *e;

    run->options.connect_timeout_ms = INT64_C(1000) * 86400 * 365;
    run->options.stall_timeout_ms = 0;
    run_start(run);
    e = run_add_path(run, &server, "/size=10/x");
    run_finish(run);
    expect_body(e, "x", 10);
    run->options.retry_http = NULL;
    ck_assert_int_eq(pfetch_create(&run->pf, &run->options, NULL, &why),
                     PFETCH_EINVAL);
    ck_assert_str_ne(why.text, "");
    run->options.retry_http = "200";
    ck_assert_int_eq(pfetch_create(&run->pf, &run->options, NULL, NULL),
                     PFETCH_EINVAL);
    ck_assert_ptr_null(run->pf);
    run_free(run);
}
END_TEST

/* --- a slow handler ------------------------------------------------------- */

enum { BODIES = 4, STALL_MS = 2000, RSS_KIB = 64 * 1024 };

static const struct timespec nap = { 0, 5000000 };

static void take_slowly(struct run *run, struct entry *e, enum event event)
{
    (void)run;
    (void)e;
    if (event == ON_TAKE)
        (void)nanosleep(&nap, NULL); /* the work of this handler */
}

/* All of it in a process of its own, whose memory is measured. */
static _Noreturn void fetch_slowly(int64_t size)
{
    struct run *run = run_create(BODIES);
    char path[80];

    run->hook = take_slowly;
    run->options.stall_timeout_ms = STALL_MS;
    run->options.retries = 0;
    run_start(run);
    for (int i = 0; i < BODIES; i++) {
        struct entry *e;

        (void)snprintf(path, sizeof(path), "/size=%" PRId64 "/x",
                       size); /* it fits */
        e = next_path(run, path);
        e->is_compared = true;
        e->compare_hash = body_hash("x", 1);
        (void)run_put(e);
    }
    run_finish(run);
    for (int i = 0; i < BODIES; i++)
        if (run->entries[i].status != PFETCH_STATUS_OK
            || run->entries[i].size != size || run->entries[i].is_wrong) {
            fprintf(stderr, "%s\n", run->entries[i].message == NULL
                                        ? "wrong bytes"
                                        : run->entries[i].message);
            _exit(1);
        }
    _exit(0);
}

START_TEST(test_a_slow_handler_is_no_slow_server)
{
    int64_t size = (int64_t)(is_full() ? 64 : is_slow() ? 2 : 24) << 20;
    struct rusage used;
    int status;
    pid_t pid = fork();

    ck_assert_int_ge(pid, 0);
    if (pid == 0)
        fetch_slowly(size);
    ck_assert_int_eq(wait4(pid, &status, 0, &used), pid);
    ck_assert_int_eq(status, 0);
    if (!is_slow())
        ck_assert_int_lt(used.ru_maxrss, RSS_KIB);
}
END_TEST

static Suite *create_suite(void)
{
    Suite *suite = suite_create("handler");
    TCase *answers = tcase_create("answers");
    TCase *resume = tcase_create("resume");
    TCase *slow = tcase_create("slow");

    tcase_add_checked_fixture(answers, reset, NULL);
    tcase_add_checked_fixture(resume, reset, NULL);
    tcase_set_timeout(answers, 60);
    tcase_set_timeout(resume, 60);
    tcase_set_timeout(slow, 300);
    tcase_add_test(answers, test_plan_may_skip_and_fail);
    tcase_add_loop_test(answers, test_a_failure_is_of_one_url_only, 0,
                        PLACES);
    tcase_add_loop_test(answers,
                        test_the_transfer_of_a_refused_body_is_aborted, 0,
                        AT_END);
    tcase_add_test(answers, test_a_refused_body_is_not_fetched_again);
    tcase_add_loop_test(answers, test_a_place_that_is_broken_ends_the_run, 0,
                        PLACES + 1);
    tcase_add_test(answers, test_a_broken_place_without_a_reason);
    tcase_add_loop_test(answers,
                        test_pending_jobs_are_settled_by_other_threads, 0, 2);
    tcase_add_test(answers, test_a_pending_job_may_break_the_run);
    tcase_add_loop_test(answers, test_pending_jobs_are_settled_in_a_pause, 0,
                        2);
    tcase_add_test(answers, test_a_handler_outlives_a_downloader_without_jobs);
    tcase_add_test(answers, test_an_empty_body_is_begun_and_ended);
    tcase_add_loop_test(answers, test_without_callbacks, 0, 2);
    tcase_add_test(answers, test_a_dry_run_fetches_nothing);
    tcase_add_test(answers, test_the_path_is_the_handlers);
    tcase_add_test(answers, test_options_at_their_limits);
    tcase_add_loop_test(resume, test_a_body_that_breaks_off, 0,
                        sizeof(continued) / sizeof(continued[0]));
    tcase_add_loop_test(resume, test_plan_may_ask_for_the_rest, 0,
                        sizeof(planned) / sizeof(planned[0]));
    tcase_add_test(resume, test_rest_is_not_asked_for_when_there_is_a_digest);
    tcase_add_test(resume, test_what_cannot_be_continued_by);
    tcase_add_test(slow, test_a_slow_handler_is_no_slow_server);
    suite_add_tcase(suite, answers);
    suite_add_tcase(suite, resume);
    suite_add_tcase(suite, slow);
    return suite;
}

int main(void)
{
    int status;

    faultd_start(&server, "0.0.0.0", NULL, NULL);
    status = suite_run(create_suite());
    faultd_stop(&server);
    return status;
}
