/* check_date.c - tests of date.c.
 *
 * SPDX-License-Identifier: MIT
 */
#include "config.h"

#include "date.h"

#include "unit.h"

#include <curl/curl.h>
#include <time.h>

/* The prescribed form, and what libcurl says to it. */
static void check_time(time_t at)
{
    char text[64];
    struct tm tm;

    ck_assert_ptr_nonnull(gmtime_r(&at, &tm));
    ck_assert_uint_gt(strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT",
                               &tm), 0);
    ck_assert_msg(pf_date(text) == (int64_t)at, "%s: %lld", text,
                  (long long)pf_date(text));
    ck_assert_int_eq(pf_date(text), curl_getdate(text, NULL));
}

/* Each day from 1970 to 2110, at changing times of it: 2000 had a 29th of
 * February, 2100 will have none. */
START_TEST(all_days_of_140_years)
{
    for (int64_t day = 0; day < INT64_C(140) * 365 + 34; day++)
        check_time((time_t)(day * 86400 + day * 7919 % 86400));
    check_time((time_t)INT64_C(253402300799)); /* 9999-12-31 23:59:59 */
}
END_TEST

/* Whatever is not exactly that form is libcurl's to judge. */
START_TEST(other_texts_are_what_libcurl_says)
{
    static const char *const texts[] = {
        "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994",
        "Sun, 06 Nov 1994 08:49:37 +0200", "06 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 GMT ", "Sun, 06 nov 1994 08:49:37 GMT",
        "Sun, 31 Feb 1994 08:49:37 GMT", "Sun, 00 Nov 1994 08:49:37 GMT",
        "Sun, 29 Feb 2100 08:49:37 GMT", "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 1994 08:60:37 GMT", "Sun, 06 Nov 1994 08:49:60 GMT",
        "Sun, 06 Nov 1969 08:49:37 GMT", "Sun, 06 Nov 19x4 08:49:37 GMT",
        "Sun, 06 XXX 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 EST",
        "Sun,x06 Nov 1994 08:49:37 GMT", "never", "", "0",
    };

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        ck_assert_msg(pf_date(texts[i]) == curl_getdate(texts[i], NULL),
                      "'%s': %lld, not %lld", texts[i],
                      (long long)pf_date(texts[i]),
                      (long long)curl_getdate(texts[i], NULL));
    ck_assert_int_eq(pf_date("Sun, 06 Nov 1994 08:49:37 GMT"), 784111777);
    ck_assert_int_eq(pf_date("never"), -1);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("date");

    tcase_add_test(tests, all_days_of_140_years);
    tcase_add_test(tests, other_texts_are_what_libcurl_says);
    return unit_run(tests, "date");
}
