/* check_statusline.c - tests of statusline.c: what is said in how many
 * columns.
 *
 * SPDX-License-Identifier: MIT
 */
#include "config.h"

#include "statusline.h"

#include "unit.h"

#include <string.h>

static const struct pf_status busy = {
    .done = 34567, .total = 100000, .total_known = true, .added = 60000,
    .failed = 12, .running = 16, .delayed = 3, .held = 2,
    .bytes = (uint64_t)5 << 28, .files_per_s = 820,
    .bytes_per_s = 34.0 * 1024 * 1024, .elapsed_ms = 42999,
};

static void expect_bar(const struct pf_status *status, unsigned columns,
                       const char *expected)
{
    char text[PF_STATUSLINE_BYTES];

    ck_assert_uint_eq(pf_statusline_bar(status, columns, text),
                      strlen(text));
    ck_assert_str_eq(text, expected);
}

START_TEST(what_matters_most_stays_on_a_narrow_terminal)
{
    expect_bar(&busy, 0, "");
    expect_bar(&busy, 1, "");
    expect_bar(&busy, 14, "34%  820/s");
    expect_bar(&busy, 15, "34,567/100,000");
    expect_bar(&busy, 20, "34,567/100,000  34%");
    expect_bar(&busy, 40, "34,567/100,000  34%  12 failed  820/s");
    expect_bar(&busy, 80,
               "34,567/100,000  34%  [==>     ]  12 failed  1.2 GiB  34 MiB/s  "
               "820/s  1:19 left");
    expect_bar(&busy, 200,
               "34,567/100,000  34%  [==========>                   ]  "
               "12 failed  3 retrying  2 hosts held  1.2 GiB  34 MiB/s  "
               "820/s  16 busy  0:42  1:19 left");
}
END_TEST

/* Whatever the numbers: it would go on in the next line. */
START_TEST(no_line_is_wider_than_the_terminal)
{
    struct pf_status status = busy;
    char text[PF_STATUSLINE_BYTES];

    for (int huge = 0; huge < 2; huge++) {
        for (unsigned columns = 0; columns <= 1000; columns++) {
            size_t length = pf_statusline_bar(&status, columns, text);

            ck_assert_uint_eq(length, strlen(text));
            ck_assert(length == 0 || length < columns);
            for (size_t i = 0; i < length; i++)
                REQUIRE(text[i] >= ' ' && text[i] <= '~');
        }
        memset(&status, 0xff, sizeof(status));
        status.total_known = true;
        status.elapsed_ms = INT64_MAX;
        status.files_per_s = 1e15;
        status.bytes_per_s = 1e15;
    }
}
END_TEST

START_TEST(what_is_nothing_is_not_said)
{
    struct pf_status status = {.total_known = true, .total = 10};

    expect_bar(&status, 80, "0/10  0%  [>                         ]  "
                            "0 bytes  0 bytes/s  0.0/s  0 busy  0:00");
}
END_TEST

START_TEST(a_total_that_is_not_known)
{
    struct pf_status status = busy;

    status.total_known = false;
    expect_bar(&status, 60,
               "34,567 done  12 failed  3 retrying  34 MiB/s  820/s  0:42");
    ck_assert_int_eq(pf_statusline_left_ms(&status), -1);
}
END_TEST

START_TEST(time_that_is_left)
{
    struct pf_status status = {.total_known = true, .total = 100,
                               .files_per_s = 2};
    static const struct {
        uint64_t done;
        double per_s;
        int64_t left_ms;
    } cases[] = {
        {0, 2, 50000}, {99, 2, 500}, {100, 2, 0}, {101, 2, 0},
        {0, 0, -1}, {0, 1e-9, -1},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        status.done = cases[i].done;
        status.files_per_s = cases[i].per_s;
        ck_assert_int_eq(pf_statusline_left_ms(&status), cases[i].left_ms);
    }
}
END_TEST

START_TEST(hours_and_days)
{
    struct pf_status status = {.elapsed_ms = 3600 * 1000};
    char text[PF_STATUSLINE_BYTES];

    (void)pf_statusline_bar(&status, 200, text);
    ck_assert_ptr_nonnull(strstr(text, "  1:00:00"));
    status.elapsed_ms = (int64_t)100 * 3600 * 1000;
    (void)pf_statusline_bar(&status, 200, text);
    ck_assert_ptr_nonnull(strstr(text, "  4 d 4 h"));
}
END_TEST

START_TEST(all_of_it_in_words)
{
    struct pf_status status = busy;
    char text[PF_STATUSLINE_BYTES];

    (void)pf_statusline_plain(&status, text);
    ck_assert_str_eq(text, "34,567 done of 100,000, 12 failed, 16 running, "
                           "3 delayed, 2 hosts held, 1.2 GiB (820/s, "
                           "34 MiB/s), 0:42, 1:19 left");
    status.total_known = false;
    (void)pf_statusline_plain(&status, text);
    ck_assert_str_eq(text, "34,567 done of 60,000 read, 12 failed, "
                           "16 running, 3 delayed, 2 hosts held, 1.2 GiB "
                           "(820/s, 34 MiB/s), 0:42");
}
END_TEST

START_TEST(all_of_it_for_a_program)
{
    struct pf_status status = busy;
    char text[PF_STATUSLINE_BYTES];

    (void)pf_statusline_json(&status, text);
    ck_assert_str_eq(text,
                     "{\"schema\":1,\"done\":34567,\"total\":100000,"
                     "\"read\":60000,\"failed\":12,\"running\":16,"
                     "\"delayed\":3,\"hosts_held\":2,\"bytes\":1342177280,"
                     "\"per_s\":820.0,\"bytes_per_s\":35651584,"
                     "\"elapsed_ms\":42999,\"left_ms\":79796}");
    status.total_known = false;
    (void)pf_statusline_json(&status, text);
    ck_assert_ptr_null(strstr(text, "total"));
    ck_assert_ptr_null(strstr(text, "left_ms"));
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("statusline");

    tcase_add_test(tests, what_matters_most_stays_on_a_narrow_terminal);
    tcase_add_test(tests, no_line_is_wider_than_the_terminal);
    tcase_add_test(tests, what_is_nothing_is_not_said);
    tcase_add_test(tests, a_total_that_is_not_known);
    tcase_add_test(tests, time_that_is_left);
    tcase_add_test(tests, hours_and_days);
    tcase_add_test(tests, all_of_it_in_words);
    tcase_add_test(tests, all_of_it_for_a_program);
    return unit_run(tests, "statusline");
}
