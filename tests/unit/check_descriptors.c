/* check_descriptors.c - how few descriptors are shared out.
 *
 * SPDX-License-Identifier: MIT
 */
#include "config.h"

#include <check.h>
#include <stdlib.h>

#include "descriptors.h"
#include "suite.h"

/* What is expected of so many descriptors. */
struct share {
    unsigned long long descriptors;
    unsigned workers, max_idle;
    size_t jobs;
};

static void expect_share(struct share expected)
{
    unsigned workers = 16, max_idle = 1024;
    size_t jobs = 32768;

    pf_descriptors_share(expected.descriptors, 0, &workers, &max_idle, &jobs);
    ck_assert_uint_eq(workers, expected.workers);
    ck_assert_uint_eq(max_idle, expected.max_idle);
    ck_assert_uint_eq(jobs, expected.jobs);
}

START_TEST(with_enough_of_them_nothing_is_lowered)
{
    expect_share((struct share){524288, 16, 1024, 32768});
}
END_TEST

START_TEST(workers_come_first_and_one_is_left_always)
{
    expect_share((struct share){160, 16, 0, 16});
    expect_share((struct share){64, 4, 0, 4});
    expect_share((struct share){8, 1, 0, 1});
}
END_TEST

/* Each job that waited for another attempt kept its file open, and a server
 * that broke off a thousand bodies ended the run. */
START_TEST(files_of_waiting_jobs_used_up_the_descriptors)
{
    expect_share((struct share){1024, 16, 432, 448});
    expect_share((struct share){8192, 16, 1024, 7024});
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("descriptors");
    TCase *tests = tcase_create("descriptors");

    tcase_add_test(tests, with_enough_of_them_nothing_is_lowered);
    tcase_add_test(tests, workers_come_first_and_one_is_left_always);
    tcase_add_test(tests, files_of_waiting_jobs_used_up_the_descriptors);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
