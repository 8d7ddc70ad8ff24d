/* check_redact.c - tests of error.c: redaction, and the texts of errors.
 *
 * SPDX-License-Identifier: MIT
 */
#include "config.h"

#include "pfetch.h"

#include "unit.h"

#include <stdio.h>
#include <string.h>

static void expect(const char *url, const char *shown)
{
    char text[256];

    ck_assert_ptr_eq(pfetch_redact(url, text, sizeof(text)), text);
    ck_assert_msg(strcmp(text, shown) == 0, "%s: shown as %s, not %s", url,
                  text, shown);
}

START_TEST(urls_without_user_are_shown_as_they_are)
{
    static const char *const urls[] = {
        "", "x", "http://h", "http://h/", "https://h:80/a@b?c@d#e@f",
        "http://h?a@b", "http://h#a@b", "http://[::1]:80/a@b",
        "http://[::1]/a@b", "http://h:/a@b", "http://h/x:y@z",
        "plain", "http://h/%00\\\"'<>",
    };

    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++)
        expect(urls[i], urls[i]);
}
END_TEST

START_TEST(user_parts_are_masked)
{
    expect("http://u:p@h/x", "http://***@h/x");
    expect("https://u@h:1/x@y", "https://***@h:1/x@y");
    expect("http://:p@h", "http://***@h");
    expect("http://@h", "http://***@h");
    expect("http://u:p@w@h/", "http://***@h/");
    expect("HTTP://u:p@h?a@b", "HTTP://***@h?a@b");
    expect("http://u:\xff\n@h/", "http://***@h/");
    expect("http://\\u:p@h/", "http://***@h/");
}
END_TEST

START_TEST(lines_that_are_no_url_are_masked_too)
{
    expect("u:p@h/x", "***@h/x");
    expect("ftp://u:p@h/", "ftp://***@h/");
    expect(" http://u:p@h/", " http://***@h/");
    expect("\"http://u:p@h/\"", "\"http://***@h/\"");
    expect("http:u:p@h/", "***@h/");
    expect("http:/u:p@h/", "http:/***@h/");
    expect("http:///u:p@h/", "http:///***@h/");
    expect("http:\\\\u:p@h\\x", "***@h\\x");
    expect("http://h\\u:p@h/", "http://***@h/");
}
END_TEST

/* It looked for the authority behind the first ":/" of the text, here in
 * the query, and showed what stands before it. */
START_TEST(secrets_before_a_url_in_the_query_were_shown)
{
    expect("u:secret@h/?next=http://x/", "***@h/?next=http://x/");
    expect("http:u:secret@h/?next=http://x/", "***@h/?next=http://x/");
}
END_TEST

/* A password with a delimiter in it: no URL, but what was meant is plain. */
START_TEST(secrets_with_an_unescaped_delimiter_were_shown)
{
    expect("http://user:pa/ss@h/x", "http://***@h/x");
    expect("http://user:pa?ss@h/x", "http://***@h/x");
    expect("http://user:1/#pass@h/x", "http://user:1/#pass@h/x");
    expect("user:pa/ss@h/x", "***@h/x");
}
END_TEST

START_TEST(bytes_are_made_printable)
{
    for (int c = 1; c < 256; c++) {
        char url[] = "http://h/?", text[32], shown[32];

        url[9] = (char)c;
        (void)pfetch_redact(url, text, sizeof(text));
        if (c >= 0x20 && c < 0x7f)
            (void)snprintf(shown, sizeof(shown), "http://h/%c", c);
        else
            (void)snprintf(shown, sizeof(shown), "http://h/%%%02X", c);
        ck_assert_str_eq(text, shown);
    }
}
END_TEST

START_TEST(texts_are_cut_to_size)
{
    static const char url[] = "http://user:pass@h/\xff\xff/abc";
    char whole[64], text[64];

    (void)pfetch_redact(url, whole, sizeof(whole));
    for (size_t size = 0; size <= strlen(whole) + 2; size++) {
        memset(text, '!', sizeof(text));
        ck_assert_ptr_eq(pfetch_redact(url, text, size), text);
        ck_assert_int_eq(text[size], '!');
        if (size == 0)
            continue;
        ck_assert_uint_lt(strlen(text), size);
        ck_assert_int_eq(strncmp(text, whole, strlen(text)), 0);
        /* At most one unit (***@ or %XX) did not fit. */
        if (size <= strlen(whole))
            ck_assert_uint_ge(strlen(text) + 4, size);
        else
            ck_assert_str_eq(text, whole);
    }
}
END_TEST

START_TEST(names_are_the_record_formats)
{
    static const char *const classes[PFETCH_CLASS_COUNT] = {
        "", "url", "scheme", "name", "exists", "dns", "connect", "tls",
        "proxy", "timeout", "short", "protocol", "redirect", "http",
        "too-large", "checksum", "size", "handler", "local", "host-down",
        "stopped",
    };
    static const char *const statuses[] = { "ok", "failed", "skipped",
                                            "not-attempted", "planned" };

    for (int i = 0; i < PFETCH_CLASS_COUNT; i++)
        ck_assert_str_eq(pfetch_class_name((enum pfetch_class)i), classes[i]);
    ck_assert_str_eq(pfetch_class_name(PFETCH_CLASS_COUNT), "");
    ck_assert_str_eq(pfetch_class_name((enum pfetch_class)-1), "");
    for (int i = 0; i < 5; i++)
        ck_assert_str_eq(pfetch_status_name((enum pfetch_status)i),
                         statuses[i]);
    ck_assert_str_eq(pfetch_status_name((enum pfetch_status)5), "");
    for (int e = PFETCH_EAGAIN; e <= PFETCH_OK; e++)
        ck_assert_str_ne(pfetch_strerror(e), pfetch_strerror(1));
    ck_assert_str_eq(pfetch_strerror(PFETCH_EAGAIN - 1), pfetch_strerror(1));
}
END_TEST

START_TEST(reasons_are_cut_and_terminated)
{
    struct pfetch_failure why;
    char text[2 * PFETCH_TEXT_BYTES];

    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    pfetch_failure_set(&why, PFETCH_CLASS_HTTP, "%d %s", 404, text);
    ck_assert_int_eq(why.cls, PFETCH_CLASS_HTTP);
    ck_assert_uint_eq(strlen(why.text), PFETCH_TEXT_BYTES - 1);
    ck_assert_int_eq(strncmp(why.text, "404 xxx", 7), 0);
    pfetch_failure_set(NULL, PFETCH_CLASS_HTTP, "%d", 1);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("redact");

    tcase_add_test(tests, urls_without_user_are_shown_as_they_are);
    tcase_add_test(tests, user_parts_are_masked);
    tcase_add_test(tests, lines_that_are_no_url_are_masked_too);
    tcase_add_test(tests, secrets_before_a_url_in_the_query_were_shown);
    tcase_add_test(tests, secrets_with_an_unescaped_delimiter_were_shown);
    tcase_add_test(tests, bytes_are_made_printable);
    tcase_add_test(tests, texts_are_cut_to_size);
    tcase_add_test(tests, names_are_the_record_formats);
    tcase_add_test(tests, reasons_are_cut_and_terminated);
    return unit_run(tests, "redact");
}
