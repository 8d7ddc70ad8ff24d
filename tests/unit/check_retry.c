/* check_retry.c - tests of retry.c, and of reading Retry-After.
 *
 * SPDX-License-Identifier: MIT
 */
#include "config.h"

#include "retry.h"
#include "transfer.h" /* pf_retry_after_ms */

#include "unit.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static unsigned count(const struct pf_status_set *set)
{
    unsigned n = 0;

    for (int s = -10; s < 1100; s++)
        n += pf_status_set_has(set, s);
    return n;
}

START_TEST(status_sets_are_read)
{
    struct pf_status_set set;

    ck_assert_int_eq(pf_status_set_parse(&set, "408,429,500-504,999"), 0);
    ck_assert_uint_eq(count(&set), 8);
    ck_assert(pf_status_set_has(&set, 408));
    ck_assert(pf_status_set_has(&set, 500));
    ck_assert(pf_status_set_has(&set, 504));
    ck_assert(!pf_status_set_has(&set, 505));
    ck_assert(pf_status_set_has(&set, 999));
    ck_assert_int_eq(pf_status_set_parse(&set, ""), 0);
    ck_assert_uint_eq(count(&set), 0);
    ck_assert_int_eq(pf_status_set_parse(&set, "400-999"), 0);
    ck_assert_uint_eq(count(&set), 600);
    ck_assert_int_eq(pf_status_set_parse(&set, "404-404,404"), 0);
    ck_assert_uint_eq(count(&set), 1);
}
END_TEST

START_TEST(the_default_set_is_read)
{
    struct pfetch_options options;
    struct pf_status_set set;

    pfetch_options_init(&options);
    ck_assert_int_eq(pf_status_set_parse(&set, options.retry_http), 0);
    ck_assert_uint_eq(count(&set), 11);
    ck_assert(pf_status_set_has(&set, 429));
    ck_assert(!pf_status_set_has(&set, 404));
}
END_TEST

START_TEST(other_texts_are_no_status_set)
{
    static const char *const lists[] = {
        ",", "408,", ",408", "408,,429", "40", "4080", "x", "408x", " 408",
        "408 ", "408, 429", "-", "-408", "408-", "429-408", "200", "301",
        "399", "399-401", "400-1000", "0408", "+408", "500-502-504", "5xx",
        "4294967704",
    };
    struct pf_status_set set;

    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
        ck_assert_msg(pf_status_set_parse(&set, lists[i]) == PFETCH_EINVAL,
                      "accepted: \"%s\"", lists[i]);
}
END_TEST

/* The largest delay that may be drawn. */
static int64_t most(unsigned k, int64_t base_ms, int64_t max_ms)
{
    int64_t found = 0;
    uint64_t random = 88172645463325252u;

    for (int i = 0; i < 2000; i++) {
        int64_t ms = pf_retry_delay_ms(k, base_ms, max_ms,
                                       pf_random(&random));

        ck_assert_int_ge(ms, 0);
        if (ms > found)
            found = ms;
    }
    return found;
}

START_TEST(delays_double_up_to_the_maximum)
{
    int64_t limit = 8;

    for (unsigned k = 1; k < 12; k++) {
        int64_t top = most(k, 8, 200);

        ck_assert_int_le(top, limit);
        ck_assert_int_ge(top, limit - limit / 20 - 1);
        limit = limit * 2 > 200 ? 200 : limit * 2;
    }
    ck_assert_int_le(most(1, 1000, 10), 10);
    ck_assert_int_eq(most(5, 0, 1000), 0);
    ck_assert_int_eq(most(5, 1000, 0), 0);
}
END_TEST

START_TEST(delays_are_spread_evenly)
{
    unsigned seen[10] = { 0 };
    uint64_t random = 1;

    for (int i = 0; i < 10000; i++)
        seen[pf_retry_delay_ms(1, 9, 9, pf_random(&random))]++;
    for (int i = 0; i < 10; i++)
        ck_assert_msg(seen[i] > 800 && seen[i] < 1200, "%d: %u", i, seen[i]);
}
END_TEST

START_TEST(delays_do_not_overflow)
{
    ck_assert_int_eq(pf_retry_delay_ms(1000, INT64_MAX / 2 + 1, INT64_MAX,
                                       INT64_MAX), INT64_MAX);
    ck_assert_int_ge(pf_retry_delay_ms(UINT32_MAX, 1, INT64_MAX, 0), 0);
    ck_assert_int_ge(pf_retry_delay_ms(UINT32_MAX, 1, INT64_MAX, UINT64_MAX),
                     0);
}
END_TEST

START_TEST(random_numbers_do_not_get_stuck)
{
    uint64_t state = 1, first = pf_random(&state);

    for (int i = 0; i < 1000; i++) {
        ck_assert_uint_ne(pf_random(&state), first);
        ck_assert_uint_ne(state, 0);
    }
}
END_TEST

START_TEST(retry_after_in_seconds)
{
    static const struct {
        const char *value;
        int64_t ms;
    } values[] = {
        { NULL, -1 }, { "", -1 }, { "0", 0 }, { "1", 1000 }, { "007", 7000 },
        { "120", 120000 }, { "1.5", -1 }, { "-1", -1 }, { "1x", -1 },
        { "x", -1 }, { "9223372036854775", INT64_C(9223372036854775000) },
        { "9223372036854776", INT64_MAX },
        { "99999999999999999999999999", INT64_MAX },
    };

    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
        ck_assert_msg(pf_retry_after_ms(values[i].value) == values[i].ms,
                      "%s", values[i].value);
}
END_TEST

START_TEST(retry_after_as_a_date)
{
    char date[64];
    time_t at = time(NULL) + 100;
    struct tm tm;
    int64_t ms;

    ck_assert_ptr_nonnull(gmtime_r(&at, &tm));
    ck_assert_uint_gt(strftime(date, sizeof(date),
                               "%a, %d %b %Y %H:%M:%S GMT", &tm), 0);
    ms = pf_retry_after_ms(date);
    ck_assert_int_gt(ms, 100000 - UNIT_PATIENCE_MS);
    ck_assert_int_le(ms, 100000);
    ck_assert_int_eq(pf_retry_after_ms("Sun, 06 Nov 1994 08:49:37 GMT"), 0);
    ck_assert_int_eq(pf_retry_after_ms("tomorrow"), -1);
}
END_TEST

/* So many seconds do not fit as milliseconds: it overflowed. */
START_TEST(retry_after_a_date_far_away)
{
    ck_assert_int_eq(pf_retry_after_ms("Fri, 3 Dec 999999999 23:59:59 GMT"),
                     INT64_MAX);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("retry");

    tcase_add_test(tests, status_sets_are_read);
    tcase_add_test(tests, the_default_set_is_read);
    tcase_add_test(tests, other_texts_are_no_status_set);
    tcase_add_test(tests, delays_double_up_to_the_maximum);
    tcase_add_test(tests, delays_are_spread_evenly);
    tcase_add_test(tests, delays_do_not_overflow);
    tcase_add_test(tests, random_numbers_do_not_get_stuck);
    tcase_add_test(tests, retry_after_in_seconds);
    tcase_add_test(tests, retry_after_as_a_date);
    tcase_add_test(tests, retry_after_a_date_far_away);
    return unit_run(tests, "retry");
}
