/* check_sums.c - tests of sums.c: the lines of checksum files, as the programs
 * that write them do, and what is none.
 *
 * SPDX-License-Identifier: MIT
 */
#include "config.h"

#include "sums.h"

#include "unit.h"

#include <stdio.h>
#include <string.h>

#define HEX32 "0123456789abcdefABCDEF0123456789"
#define HEX40 HEX32 "01234567"
#define HEX64 HEX32 HEX32
#define HEX128 HEX64 HEX64

static void expect_from(const char *base, const char *text,
                        const char *expected)
{
    const char *why = "";
    char line[65537];

    ck_assert_msg(pf_sums_line(text, base, line, sizeof(line), &why),
                  "%s: %s", text, why);
    ck_assert_str_eq(line, expected);
}

static void expect(const char *text, const char *expected)
{
    expect_from("http://h/", text, expected);
}

static void refuse(const char *text, const char *what)
{
    const char *why = "";
    char line[65537];

    ck_assert_msg(!pf_sums_line(text, "http://h/", line, sizeof(line), &why),
                  "accepted: %s", text);
    ck_assert_msg(strstr(why, what) != NULL, "%s: %s", text, why);
}

START_TEST(lines_of_coreutils)
{
    expect(HEX32 "  a", "http://h/a\tout=a\tchecksum=md5:" HEX32);
    expect(HEX40 "  a", "http://h/a\tout=a\tchecksum=sha1:" HEX40);
    expect(HEX64 "  a", "http://h/a\tout=a\tchecksum=sha256:" HEX64);
    expect(HEX128 "  a", "http://h/a\tout=a\tchecksum=sha512:" HEX128);
    expect(HEX32 " *a", "http://h/a\tout=a\tchecksum=md5:" HEX32);
    expect(HEX32 " a", "http://h/a\tout=a\tchecksum=md5:" HEX32);
    expect("  " HEX32 "  a", "http://h/a\tout=a\tchecksum=md5:" HEX32);
    expect(HEX32 "   a ", "http://h/%20a%20\tout= a \tchecksum=md5:" HEX32);
}
END_TEST

START_TEST(lines_with_tags)
{
    expect("MD5 (a) = " HEX32, "http://h/a\tout=a\tchecksum=md5:" HEX32);
    expect("SHA256 (a (1).b) = " HEX64,
           "http://h/a%20%281%29.b\tout=a (1).b\tchecksum=sha256:" HEX64);
    expect("SHA1(a)= " HEX40, "http://h/a\tout=a\tchecksum=sha1:" HEX40);
    expect("SHA2-512(a)= " HEX128,
           "http://h/a\tout=a\tchecksum=sha512:" HEX128);
    expect("sha256 (a)=" HEX64,
           "http://h/a\tout=a\tchecksum=sha256:" HEX64);
    expect("MD5 (a) = b) = " HEX32,
           "http://h/a%29%20%3D%20b\tout=a) = b\tchecksum=md5:" HEX32);
}
END_TEST

START_TEST(names_become_urls)
{
    expect(HEX32 "  ./d//e/./f",
           "http://h/d/e/f\tout=d/e/f\tchecksum=md5:" HEX32);
    expect(HEX32 "  a%2fb?c#d&e+f", "http://h/a%252fb%3Fc%23d%26e%2Bf"
                                    "\tout=a%2fb?c#d&e+f\tchecksum=md5:" HEX32);
    expect(HEX32 "  \xc3\xa4~_-.",
           "http://h/%C3%A4~_-.\tout=\xc3\xa4~_-.\tchecksum=md5:" HEX32);
    expect(HEX32 "  ..a/b..",
           "http://h/..a/b..\tout=..a/b..\tchecksum=md5:" HEX32);
    expect_from("https://u:p@h:1/d", HEX32 "  a",
                "https://u:p@h:1/d/a\tout=a\tchecksum=md5:" HEX32);
    expect_from("https://h", HEX32 "  a",
                "https://h/a\tout=a\tchecksum=md5:" HEX32);
}
END_TEST

/* sha256sum puts a backslash before such a line. */
START_TEST(escaped_names)
{
    expect("\\" HEX32 "  a\\\\b",
           "http://h/a%5Cb\tout=a\\b\tchecksum=md5:" HEX32);
    expect(HEX32 "  a\\\\b",
           "http://h/a%5C%5Cb\tout=a\\\\b\tchecksum=md5:" HEX32);
    expect("\\MD5 (a\\\\b) = " HEX32,
           "http://h/a%5Cb\tout=a\\b\tchecksum=md5:" HEX32);
    refuse("\\" HEX32 "  a\\nb", "control byte");
    refuse("\\" HEX32 "  a\\rb", "control byte");
}
END_TEST

START_TEST(names_that_lead_elsewhere)
{
    refuse(HEX32 "  ../a", "below the base");
    refuse(HEX32 "  a/../b", "below the base");
    refuse(HEX32 "  a/..", "below the base");
    refuse(HEX32 "  /etc/passwd", "below the base");
    refuse(HEX32 "  -", "below the base");
    refuse(HEX32 "  ", "no name");
    refuse(HEX32 "  ./", "no name");
    refuse("MD5 () = " HEX32, "no name");
    refuse(HEX32 "  a\tb", "control byte");
}
END_TEST

START_TEST(other_lines_are_refused)
{
    static const char *const lines[] = {
        "x", "http://h/", HEX32, HEX32 "\ta", HEX32 "0  a", HEX32 "x  a",
        "0" HEX64 "  a", "a  " HEX32, "SHA256 (a) = " HEX32,
        "MD5 (a) = " HEX32 "0", "MD5 (a) = " HEX32 " ", "MD5 (a) " HEX32,
        "MD5 a = " HEX32, "MD5  (a) = " HEX32, "MD5 (a = " HEX32,
        "SHA384 (a) = " HEX64 HEX32, "MD5)", "MD5 )(= " HEX32, "\\", "\\\\",
        "-----BEGIN PGP SIGNED MESSAGE-----",
    };

    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        refuse(lines[i], "neither 'HEX  NAME'");
}
END_TEST

START_TEST(long_names)
{
    static char text[8000];
    char line[300];
    const char *why = "";

    (void)strcpy(text, HEX32 "  ");
    memset(text + 34, 'a', 4095);
    ck_assert(pf_sums_line(text, "http://h/", text + 5000, 3000, &why) ==
              false);
    ck_assert_str_eq(why, "the URL is too long");
    memset(text + 34, 'a', 4096);
    refuse(text, "longer than 4095");
    /* Whatever room there is, it is not left. */
    for (size_t size = 2; size < 120; size++) {
        line[size] = 'x';
        bool fits = pf_sums_line(HEX32 "  a b/c", "http://h/", line, size,
                                 &why);
        ck_assert_int_eq(line[size], 'x');
        ck_assert(fits == (size > strlen("http://h/a%20b/c\tout=a b/c"
                                         "\tchecksum=md5:" HEX32)));
        ck_assert(!fits || strlen(line) < size);
    }
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("sums");

    tcase_add_test(tests, lines_of_coreutils);
    tcase_add_test(tests, lines_with_tags);
    tcase_add_test(tests, names_become_urls);
    tcase_add_test(tests, escaped_names);
    tcase_add_test(tests, names_that_lead_elsewhere);
    tcase_add_test(tests, other_lines_are_refused);
    tcase_add_test(tests, long_names);
    return unit_run(tests, "sums");
}
