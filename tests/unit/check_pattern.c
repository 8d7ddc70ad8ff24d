/* check_pattern.c - tests of pattern.c: what a pattern stands for, in order,
 * and where it is wrong.
 *
 * SPDX-License-Identifier: MIT
 */
#include "config.h"

#include "pattern.h"

#include "unit.h"

#include <stdio.h>
#include <string.h>

static struct pf_pattern *open_pattern(const char *text)
{
    struct pf_pattern_fault fault = {.what = ""};
    struct pf_pattern *pattern;

    ck_assert_msg(pf_pattern_create(&pattern, text, &fault) == 0,
                  "%s: %s", text, fault.what);
    return pattern;
}

/* The URLs, joined by blanks, are exactly these. */
static void expect(const char *text, const char *urls)
{
    static char url[PF_PATTERN_URL_BYTES + 1], all[4096];
    struct pf_pattern *pattern = open_pattern(text);
    size_t used = 0;

    all[0] = '\0';
    while (pf_pattern_next(pattern, url)) {
        ck_assert_uint_lt(used + strlen(url) + 2, sizeof(all));
        used += (size_t)sprintf(all + used, used > 0 ? " %s" : "%s", url);
    }
    ck_assert(!pf_pattern_next(pattern, url)); /* stays at its end */
    ck_assert_str_eq(all, urls);
    pf_pattern_free(pattern);
}

/* Refused, at that position, and the text has that in it. */
static void refuse(const char *text, size_t position, const char *what)
{
    struct pf_pattern_fault fault = {.what = ""};
    struct pf_pattern *pattern = (void *)&fault; /* must become NULL */

    ck_assert_msg(pf_pattern_create(&pattern, text, &fault) == -1,
                  "accepted: %s", text);
    ck_assert_ptr_null(pattern);
    ck_assert_msg(fault.position == position && strstr(fault.what, what),
                  "%s: %zu: %s", text, fault.position, fault.what);
}

START_TEST(plain_urls_stand_for_themselves)
{
    ck_assert(!pf_pattern_is("http://h/a?b#c"));
    ck_assert(pf_pattern_is("http://h/[1-2]"));
    ck_assert(pf_pattern_is("http://h/{a}"));
    ck_assert(pf_pattern_is("http://h/a]"));
    expect("http://h/", "http://h/");
    expect("http://h/a\\b", "http://h/a\\b");
    expect("\\", "\\");
}
END_TEST

START_TEST(numbers)
{
    expect("a[0-3]b", "a0b a1b a2b a3b");
    expect("[8-11]", "8 9 10 11");
    expect("[08-11]", "08 09 10 11");
    expect("[000-002]", "000 001 002");
    expect("[098-101]", "098 099 100 101");
    expect("[0-100:25]", "0 25 50 75 100");
    expect("[1-10:4]", "1 5 9");
    expect("[5-5]", "5");
    expect("[5-5:1]", "5");
    expect("[9223372036854775806-9223372036854775807]",
           "9223372036854775806 9223372036854775807");
    expect("[1-9223372036854775807:9223372036854775806]",
           "1 9223372036854775807");
}
END_TEST

START_TEST(hexadecimal_numbers)
{
    expect("[8-c:x]", "8 9 a b c");
    expect("[8-C:x]", "8 9 A B C");
    expect("[0FE-101:x]", "0FE 0FF 100 101");
    expect("[fffe-ffff:x]", "fffe ffff");
    expect("[00009-0000B:x]", "00009 0000A 0000B");
    expect("[10-11:x]", "10 11");
    expect("[a-b:x]", "a b");
}
END_TEST

START_TEST(letters)
{
    expect("[a-e]", "a b c d e");
    expect("[X-Z]", "X Y Z");
    expect("[a-i:4]", "a e i");
    expect("[z-z]", "z");
}
END_TEST

START_TEST(sets)
{
    expect("{a,bc,d}", "a bc d");
    expect("x{one}y", "xoney");
    expect("x{,.gz}", "x x.gz");
    expect("x{.gz,}", "x.gz x");
    expect("{a b,c}", "a b c");
}
END_TEST

START_TEST(the_last_part_runs_fastest)
{
    expect("[1-2]{a,b}", "1a 1b 2a 2b");
    expect("{h,i}/[a-b][0-1]", "h/a0 h/a1 h/b0 h/b1 i/a0 i/a1 i/b0 i/b1");
}
END_TEST

START_TEST(a_backslash_takes_the_meaning)
{
    expect("a\\[1-2\\]", "a[1-2]");
    expect("\\{a,b\\}", "{a,b}");
    expect("\\[[1-2]\\]", "[1] [2]");
    expect("{a\\,b,c\\}d,e\\\\f}", "a,b c}d e\\f");
    expect("{\\[,\\x}", "[ x");
    /* As in curl, a backslash does not take it from another. */
    refuse("\\\\[1-2]", 7, "no '['");
}
END_TEST

START_TEST(addresses_are_no_ranges)
{
    expect("http://[::1]/", "http://[::1]/");
    expect("http://[::1]:80/[1-2]", "http://[::1]:80/1 http://[::1]:80/2");
    expect("http://u:p@[2001:db8::a:1]/{a,b}",
           "http://u:p@[2001:db8::a:1]/a http://u:p@[2001:db8::a:1]/b");
    expect("http://[::ffff:10.0.0.1]/", "http://[::ffff:10.0.0.1]/");
    expect("http://[fe80::1%25eth-0]/[1-1]", "http://[fe80::1%25eth-0]/1");
    refuse("http://[1:2]/", 8, "no range");
}
END_TEST

START_TEST(faults_have_a_position)
{
    refuse("a[1]", 2, "no range");
    refuse("[]", 1, "no range");
    refuse("[-1]", 1, "no range");
    refuse("[1-]", 1, "no range");
    refuse("[1 -2]", 1, "no range");
    refuse("ab[1-2", 7, "']' is missing");
    refuse("[1-2.5]", 5, "']' is missing");
    refuse("[1-2:]", 6, "neither a step");
    refuse("[1-2:y]", 6, "neither a step");
    refuse("[1-9:2:x]", 7, "']' is missing");
    refuse("[1-9:0]", 6, "leads nowhere");
    refuse("[1-9:9]", 6, "longer than the range");
    refuse("[5-5:2]", 6, "longer than the range");
    refuse("[9-1]", 2, "backwards");
    refuse("[z-a]", 2, "backwards");
    refuse("[f-0:x]", 2, "backwards");
    refuse("[a-Z]", 2, "different case");
    refuse("[0a-0F:x]", 2, "different case");
    refuse("[0-fg:x]", 4, "no hexadecimal");
    refuse("[00-ff]", 2, "ends with :x");
    refuse("[a-9g]", 2, "neither two numbers");
    refuse("x{", 2, "'}' is missing");
    refuse("x{a,b", 2, "'}' is missing");
    refuse("x{a\\", 2, "'}' is missing");
    refuse("x{}", 2, "nothing inside");
    refuse("x{a{b}}", 4, "inside of { }");
    refuse("{a,[1-2]}", 4, "inside of { }");
    refuse("{a]}", 3, "inside of { }");
    refuse("ab}", 3, "no '{'");
    refuse("ab]", 3, "no '['");
    refuse("[1-2]]", 6, "no '['");
}
END_TEST

START_TEST(what_is_too_large_is_refused)
{
    refuse("[1-9223372036854775808]", 4, "too large");
    refuse("[1-18446744073709551617]", 4, "too large");
    refuse("[0-10000000000000000:x]", 4, "too large");
    refuse("[1-2:99999999999999999999]", 6, "too large");
    refuse("[0000000000000000000000000000000000000000000000000000000000000000"
           "0-1]", 2, "too many digits");
    /* 10 to the power of 18 is fine, of 19 is not. */
    pf_pattern_free(open_pattern("[0-999999999][0-999999999]"));
    refuse("[0-999999999][0-999999999][0-9]", 27, "counted");
    refuse("[0-9223372036854775807]", 1, "counted");
}
END_TEST

START_TEST(urls_have_a_longest_length)
{
    static char text[PF_PATTERN_URL_BYTES + 64];
    static char url[PF_PATTERN_URL_BYTES + 1];
    size_t plain = PF_PATTERN_URL_BYTES - 2;

    memset(text, 'x', plain);
    (void)strcpy(text + plain, "[8-10]");
    struct pf_pattern *pattern = open_pattern(text);
    for (size_t i = 8; i <= 10; i++) {
        ck_assert(pf_pattern_next(pattern, url));
        ck_assert_uint_eq(strlen(url), plain + (i < 10 ? 1 : 2));
    }
    ck_assert(!pf_pattern_next(pattern, url));
    pf_pattern_free(pattern);
    (void)strcpy(text + plain, "[98-100]");
    refuse(text, plain + 1, "longer than 64 KiB");
    (void)strcpy(text + plain, "{ab,abc}");
    refuse(text, plain + 1, "longer than 64 KiB");
    (void)strcpy(text + plain, "{a\\b,ab}");
    pf_pattern_free(open_pattern(text));
}
END_TEST

/* It would not end before the test does, were there a table of them. */
START_TEST(patterns_are_lazy)
{
    static char url[PF_PATTERN_URL_BYTES + 1];
    struct pf_pattern *pattern = open_pattern("[0-9223372036854775806]");

    for (int i = 0; i < 1000; i++) {
        char number[8];

        (void)sprintf(number, "%d", i);
        ck_assert(pf_pattern_next(pattern, url));
        ck_assert_str_eq(url, number);
    }
    pf_pattern_free(pattern);
    pf_pattern_free(NULL);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("pattern");

    tcase_add_test(tests, plain_urls_stand_for_themselves);
    tcase_add_test(tests, numbers);
    tcase_add_test(tests, hexadecimal_numbers);
    tcase_add_test(tests, letters);
    tcase_add_test(tests, sets);
    tcase_add_test(tests, the_last_part_runs_fastest);
    tcase_add_test(tests, a_backslash_takes_the_meaning);
    tcase_add_test(tests, addresses_are_no_ranges);
    tcase_add_test(tests, faults_have_a_position);
    tcase_add_test(tests, what_is_too_large_is_refused);
    tcase_add_test(tests, urls_have_a_longest_length);
    tcase_add_test(tests, patterns_are_lazy);
    return unit_run(tests, "pattern");
}
