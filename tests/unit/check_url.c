/* check_url.c - tests of url.c.
 *
 * SPDX-License-Identifier: MIT
 */
#include "config.h"

#include "url.h"

#include "unit.h"

#include <string.h>

static struct pf_url *parse(const char *text)
{
    struct pfetch_failure why = { .cls = PFETCH_CLASS_NONE };
    struct pf_url *url;
    int error = pf_url_parse(text, &url, &why);

    ck_assert_msg(error == 0, "%s: %d %s", text, error, why.text);
    ck_assert_ptr_nonnull(url);
    return url;
}

static void refuse(const char *text, enum pfetch_class cls)
{
    struct pfetch_failure why = { .cls = PFETCH_CLASS_NONE };
    struct pf_url *url = (void *)&why; /* must become NULL */

    ck_assert_msg(pf_url_parse(text, &url, &why) == PFETCH_EINVAL,
                  "accepted: %s", text);
    ck_assert_ptr_null(url);
    ck_assert_msg(why.cls == cls, "%s: class %s, not %s", text,
                  pfetch_class_name(why.cls), pfetch_class_name(cls));
    ck_assert_uint_gt(strlen(why.text), 0);
}

START_TEST(parts_are_taken_apart)
{
    struct pf_url *url = parse("https://Example.COM/a/B?q=1&r#frag");

    ck_assert_str_eq(url->text, "https://Example.COM/a/B?q=1&r");
    ck_assert_str_eq(url->origin, "https://example.com:443");
    ck_assert_str_eq(url->host, "example.com");
    ck_assert_ptr_null(url->user);
    ck_assert_ptr_null(url->password);
    ck_assert(url->tls);
    ck_assert_uint_gt(url->bytes, sizeof(*url));
    pf_url_free(url);
}
END_TEST

START_TEST(origins_carry_the_port)
{
    static const char *const urls[][2] = {
        { "http://h/", "http://h:80" },
        { "http://h:80/x", "http://h:80" },
        { "http://h:8080", "http://h:8080" },
        { "https://h:80/", "https://h:80" },
        { "HTTPS://H", "https://h:443" },
        { "http://[::1]:81/", "http://[::1]:81" },
        { "http://u:p@h:81/", "http://h:81" },
    };

    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        struct pf_url *url = parse(urls[i][0]);

        ck_assert_str_eq(url->origin, urls[i][1]);
        ck_assert(url->tls == (strncmp(url->origin, "https:", 6) == 0));
        pf_url_free(url);
    }
}
END_TEST

START_TEST(texts_are_what_is_sent)
{
    static const char *const urls[][2] = {
        { "http://h", "http://h/" },
        { "http://h?q", "http://h/?q" },
        { "http://h/#", "http://h/" },
        { "http://h/a#b#c", "http://h/a" },
        { "http://h/a%20b%2F", "http://h/a%20b%2F" },
        { "http://h/\xc3\xa4?\xff", "http://h/%c3%a4?%ff" },
        { "http://h/a@b:c", "http://h/a@b:c" },
        { "http://u:p@h/x#f", "http://h/x" },
        { "http://u@h/x", "http://h/x" },
    };

    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        struct pf_url *url = parse(urls[i][0]);

        ck_assert_str_eq(url->text, urls[i][1]);
        pf_url_free(url);
    }
}
END_TEST

START_TEST(credentials_are_decoded_and_cut_out)
{
    struct pf_url *url = parse("https://us%40er:p%3Aw%2f%23@h:1/x");

    ck_assert_str_eq(url->user, "us@er");
    ck_assert_str_eq(url->password, "p:w/#");
    ck_assert_str_eq(url->text, "https://h:1/x");
    ck_assert_str_eq(url->origin, "https://h:1");
    pf_url_free(url);
    url = parse("http://user@h/");
    ck_assert_str_eq(url->user, "user");
    ck_assert_str_eq(url->password, "");
    pf_url_free(url);
    url = parse("http://:secret@h/");
    ck_assert_str_eq(url->user, "");
    ck_assert_str_eq(url->password, "secret");
    pf_url_free(url);
}
END_TEST

/* Two interfaces may have a neighbour of the same link-local address. */
START_TEST(zones_of_addresses_are_different_origins)
{
    struct pf_url *a = parse("http://[fe80::1%25eth0]/");
    struct pf_url *b = parse("http://[fe80::1%25eth1]/");

    ck_assert_str_ne(a->origin, b->origin);
    ck_assert_str_ne(a->host, b->host);
    pf_url_free(a);
    pf_url_free(b);
}
END_TEST

/* What was checked was not what libcurl then read. */
START_TEST(a_zone_with_an_at_sign_became_a_user_part)
{
    refuse("http://u:p@[fe80::1%25eth@]:80/", PFETCH_CLASS_URL);
}
END_TEST

START_TEST(other_schemes_are_refused)
{
    static const char *const urls[] = {
        "", "h", "h/x", "www.example.com", "//h/x", "/x", "ftp://h/",
        "file:///etc/passwd", "httpx://h/", "http", "http;//h", "://h",
        "javascript:alert(1)", "u:p@h/", "xhttp://h/", "localhost:80/x",
    };

    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++)
        refuse(urls[i], PFETCH_CLASS_SCHEME);
}
END_TEST

START_TEST(what_libcurl_would_mend_is_refused)
{
    static const char *const urls[] = {
        "http:h", "http:/h/x", "http:///h/x", "http:////h", "http://",
        "https://", "http:", "http://?q", "http://#f", "http://:80/",
        "http://u:p@/", "http://h:0/", "http://h:65536/", "http://h:-1/",
        "http://h:8x/", "http://h:80:81/", "http://[::1/", "http://[x]/",
        "http:\\\\h\\x", "http://a@b@c:d/",
    };

    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++)
        refuse(urls[i], PFETCH_CLASS_URL);
}
END_TEST

START_TEST(blanks_and_control_bytes_are_refused)
{
    refuse(" http://h/", PFETCH_CLASS_URL);
    refuse("http://h/a b", PFETCH_CLASS_URL);
    refuse("http://h/ ", PFETCH_CLASS_URL);
    for (int c = 1; c < 0x20; c++) {
        char text[] = "http://h/a?b";

        text[10] = (char)c;
        refuse(text, PFETCH_CLASS_URL);
    }
    refuse("http://h/\x7f", PFETCH_CLASS_URL);
    refuse("http://h%7fx/", PFETCH_CLASS_URL);
    refuse("http://h/x\r\nHost: evil", PFETCH_CLASS_URL);
    refuse("http://u%0d%0a:p@h/", PFETCH_CLASS_URL);
    refuse("http://u:p%00@h/", PFETCH_CLASS_URL);
}
END_TEST

/* The reason is shown to people: it must not repeat what was given. */
START_TEST(reasons_do_not_show_secrets)
{
    static const char *const urls[] = {
        "http://u:SECRET@h:x/", "http://u:SECRET@/", "ftp://u:SECRET@h/",
        "http://u:SECRET@h/ b", "http://u:SEC/RET@h/", "u:SECRET@h",
    };

    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        struct pfetch_failure why;
        struct pf_url *url;

        ck_assert_int_eq(pf_url_parse(urls[i], &url, &why), PFETCH_EINVAL);
        ck_assert_ptr_null(strstr(why.text, "SEC"));
    }
}
END_TEST

START_TEST(long_urls_are_kept_whole)
{
    enum { LONG = 100000 };
    char *text = malloc(LONG + 1);
    struct pf_url *url;

    ck_assert_ptr_nonnull(text);
    memset(text, 'a', LONG);
    memcpy(text, "http://h/", 9);
    text[LONG] = '\0';
    url = parse(text);
    ck_assert_str_eq(url->text, text);
    pf_url_free(url);
    free(text);
    pf_url_free(NULL);
}
END_TEST

START_TEST(hosts_are_those_that_limits_go_by)
{
    static const char *const urls[][2] = {
        { "http://h/", "h" },
        { "https://u:p@Www.Example.COM:8443/x#y", "www.example.com" },
        { "http://[::1]:81/", "[::1]" },
        { "http://127.1/", "127.0.0.1" },
    };
    struct pfetch_failure why;
    char text[32];

    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        int length = pfetch_url_host(urls[i][0], text, sizeof(text), &why);
        struct pf_url *url = parse(urls[i][0]);

        ck_assert_str_eq(text, urls[i][1]);
        ck_assert_int_eq(length, (int)strlen(text));
        ck_assert_str_eq(text, url->host);
        pf_url_free(url);
    }
    ck_assert_int_eq(pfetch_url_host("ftp://h/", text, sizeof(text), &why),
                     PFETCH_EINVAL);
    ck_assert_int_eq(why.cls, PFETCH_CLASS_SCHEME);
    ck_assert_int_eq(pfetch_url_host("http://abc/", text, 3, NULL),
                     PFETCH_EINVAL);
    ck_assert_int_eq(pfetch_url_host("http://abc/", text, 4, NULL), 3);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("url");

    tcase_add_test(tests, parts_are_taken_apart);
    tcase_add_test(tests, origins_carry_the_port);
    tcase_add_test(tests, texts_are_what_is_sent);
    tcase_add_test(tests, credentials_are_decoded_and_cut_out);
    tcase_add_test(tests, zones_of_addresses_are_different_origins);
    tcase_add_test(tests, a_zone_with_an_at_sign_became_a_user_part);
    tcase_add_test(tests, other_schemes_are_refused);
    tcase_add_test(tests, what_libcurl_would_mend_is_refused);
    tcase_add_test(tests, blanks_and_control_bytes_are_refused);
    tcase_add_test(tests, reasons_do_not_show_secrets);
    tcase_add_test(tests, long_urls_are_kept_whole);
    tcase_add_test(tests, hosts_are_those_that_limits_go_by);
    return unit_run(tests, "url");
}
