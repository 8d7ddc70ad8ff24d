/* unit.h - what the unit tests share.
 *
 * SPDX-License-Identifier: MIT
 *
 * Check forks for each test, so threads are started inside of tests only, and
 * a test that hangs is killed and says so.
 */
#ifndef UNIT_H
#define UNIT_H

#include "job.h"
#include "suite.h"
#include "thread.h"

#include <check.h>
#include <poll.h>

/* Far beyond what anything here takes, sanitizers on a busy machine
 * included: only what hangs gets there. */
enum { UNIT_PATIENCE_MS = 20000, UNIT_TEST_SECONDS = 60 };

/* For what is asked very often: ck_assert() tells the parent each time. */
#define REQUIRE(condition)                                                \
    do {                                                                  \
        if (!(condition))                                                 \
            ck_abort_msg("not so: %s", #condition);                       \
    } while (0)

/* Looks again and again until a condition holds; what hangs fails. */
#define AWAIT(condition)                                                  \
    do {                                                                  \
        int64_t await_until_ms = pf_now_ms() + UNIT_PATIENCE_MS;          \
        while (!(condition)) {                                            \
            ck_assert_msg(pf_now_ms() < await_until_ms,                   \
                          "waited in vain for %s", #condition);           \
            (void)poll(NULL, 0, 1); /* leave the others the processor */  \
        }                                                                 \
    } while (0)

/* Runs the tests of one module; for main() to return. */
static inline int unit_run(TCase *tests, const char *module)
{
    Suite *suite = suite_create(module);

    tcase_set_timeout(tests, UNIT_TEST_SECONDS);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}

static inline pthread_t unit_start(void *(*run)(void *), void *arg)
{
    pthread_t thread;

    ck_assert_int_eq(pf_thread_start(&thread, "unit", 0, run, arg), 0);
    return thread;
}

/* A job as pfetch_add() makes it; pf_job_free(). */
static inline struct pfetch_job *unit_job(const char *url, uint64_t n)
{
    struct pfetch_request request = { .url = url, .n = n };
    struct pfetch_job *job = pf_job_create(&request);
    struct pfetch_failure why;

    ck_assert_ptr_nonnull(job);
    ck_assert_int_eq(pf_url_parse(url, &job->home, &why), 0);
    job->url = job->home;
    return job;
}

#endif
