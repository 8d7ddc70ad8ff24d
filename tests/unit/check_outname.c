/* check_outname.c - URLs become safe file names.
 *
 * SPDX-License-Identifier: MIT
 */
#include "config.h"

#include <check.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "outname.h"
#include "suite.h"

static struct pf_digest digest;

static void set_up(void)
{
    ck_assert_int_eq(pf_digest_init(&digest), 0);
}

static void tear_down(void)
{
    pf_digest_fini(&digest);
}

static void expand(const char *template, const char *url,
                   char path[PF_PATH_SIZE])
{
    ck_assert_ptr_null(pf_outname_check_template(template));
    ck_assert_int_eq(pf_outname_expand(&digest, template, url, 7, path), 0);
}

struct example {
    const char *url;
    const char *name;
};

static void check_basename(const struct example *e)
{
    char name[PF_PATH_SIZE];

    expand("{base}", e->url, name);
    ck_assert_msg(strcmp(name, e->name) == 0, "%s became %s, not %s", e->url,
                  name, e->name);
}

static const struct example plain[] = {
    { "http://h/a.txt", "a.txt" },
    { "http://h/d/a%20b.txt", "a b.txt" },
    { "http://h/a.txt?x=1&y=2", "a.txt?x=1&y=2" },
    { "http://h/%C3%A9", "\xc3\xa9" },
    { "http://h/\xc3\xa9", "\xc3\xa9" },
    { "http://h/~root", "~root" },
    { "http://h/CON", "CON" },
    { "http://h/a.", "a." },
    { "http://h/a%20", "a " },
    { "http://h/a:b", "a:b" },
    { "http://h/*?\"<>", "*?\"<>" },
    { "http://h/a%5cb", "a\\b" },
    { "http://h/a..b", "a..b" },
};

static const struct example fallback[] = {
    { "http://h", "index.html" },
    { "http://h/", "index.html" },
    { "http://h/d/", "index.html" },
    { "http://h//", "index.html" },
    { "http://h?q=1", "index.html?q=1" },
    { "http://h/?q=1", "index.html?q=1" },
    { "http://h/a#frag", "a" },
    { "http://h/a?", "a?" },
};

static const struct example escaped[] = {
    { "http://h/..%2f..%2fevil", "%2E.%2F..%2Fevil" },
    { "http://h/%2e%2e", "%2E." },
    { "http://h/%2e%2e%2fx", "%2E.%2Fx" },
    { "http://h/..", "%2E." },
    { "http://h/.", "%2E" },
    { "http://h/a/../../b", "b" },
    { "http://h/%5c..%5cx", "\\..\\x" },
    { "http://h/a%00b", "a%00b" },
    { "http://h/.bashrc", "%2Ebashrc" },
    { "http://h/-rf", "%2Drf" },
    { "http://h/--help", "%2D-help" },
    { "http://h/a%1b%5b31mX", "a%1B[31mX" },
    { "http://h/%c2%9b31m", "%C2%9B31m" },
    { "http://h/%e2%80%ae", "%E2%80%AE" },
    { "http://h/%e2%80%a8", "%E2%80%A8" },
    { "http://h/%e2%81%a6", "%E2%81%A6" },
    { "http://h/%ef%bb%bf", "%EF%BB%BF" },
    { "http://h/%c2%ad", "%C2%AD" },
    { "http://h/%f3%a0%81%81", "%F3%A0%81%81" },
    { "http://h/%ff%fe", "%FF%FE" },
    { "http://h/%7f", "%7F" },
    { "http://h/%0a", "%0A" },
    { "http://h/a?b/c", "a?b%2Fc" },
    { "http://h/a?b\x01" "c", "a?b%01c" },
    /* Overlong, a surrogate, beyond the last code point, cut short. */
    { "http://h/%c0%af", "%C0%AF" },
    { "http://h/%e0%80%af", "%E0%80%AF" },
    { "http://h/%e0%9f%bf", "%E0%9F%BF" },
    { "http://h/%f0%8f%bf%bd", "%F0%8F%BF%BD" },
    { "http://h/%ed%a0%80", "%ED%A0%80" },
    { "http://h/%f4%90%80%80", "%F4%90%80%80" },
    { "http://h/%e2%82", "%E2%82" },
    { "http://h/%e2%82x", "%E2%82x" },
};

/* What is decoded once must not look as if it could be decoded again. */
static const struct example percent[] = {
    { "http://h/100%25", "100%" },
    { "http://h/100%", "100%" },
    { "http://h/a%2525b", "a%2525b" },
    { "http://h/a%252fb", "a%252fb" },
    { "http://h/a%252", "a%2" },
    { "http://h/a%25%32f", "a%252f" },
    { "http://h/a%zz", "a%zz" },
    { "http://h/a%3Fb", "a%3Fb" },
    { "http://h/a%253Fb", "a%253Fb" },
    { "http://h/a?x=%26", "a?x=%26" },
    { "http://h/a?x=%2F", "a?x=%2F" },
};

START_TEST(test_plain)
{
    check_basename(&plain[_i]);
}
END_TEST

START_TEST(test_fallback)
{
    check_basename(&fallback[_i]);
}
END_TEST

START_TEST(test_escaped)
{
    check_basename(&escaped[_i]);
}
END_TEST

START_TEST(test_percent)
{
    check_basename(&percent[_i]);
}
END_TEST

static const struct example paths[] = {
    { "http://Host.Example:8080/a/b.txt", "host.example:8080/a/b.txt" },
    { "https://h", "h/index.html" },
    { "https://h/", "h/index.html" },
    { "https://h/d/", "h/d/index.html" },
    { "https://h/d?q=/x/", "h/d?q=%2Fx%2F" },
    { "https://h//a///b", "h/a/b" },
    { "https://h/../../etc/passwd", "h/%2E./%2E./etc/passwd" },
    { "https://h/%2e%2e/%2e/x", "h/%2E./%2E/x" },
    { "https://h/a%2Fb/c", "h/a%2Fb/c" },
    { "https://h/-r/x", "h/%2Dr/x" },
    { "https://[::1]:80/x", "[::1]:80/x" },
    { "https://../x", "%2E./x" },
};

START_TEST(test_path)
{
    const struct example *e = &paths[_i];
    char path[PF_PATH_SIZE];

    expand("{host}/{path}", e->url, path);
    ck_assert_str_eq(path, e->name);
}
END_TEST

/* --- length -------------------------------------------------------------- */

/* "http://h/" and unit count times and rest; to be freed. */
static char *long_url(const char *unit, size_t count, const char *rest)
{
    size_t len = strlen("http://h/");
    char *url = malloc(len + count * strlen(unit) + strlen(rest) + 1);

    ck_assert_ptr_nonnull(url);
    memcpy(url, "http://h/", len);
    for (size_t i = 0; i < count; i++, len += strlen(unit))
        memcpy(url + len, unit, strlen(unit));
    memcpy(url + len, rest, strlen(rest) + 1);
    return url;
}

static bool ends_with(const char *text, const char *end)
{
    return strlen(text) >= strlen(end)
           && strcmp(text + strlen(text) - strlen(end), end) == 0;
}

START_TEST(test_longest_that_fits)
{
    char name[PF_PATH_SIZE];
    char *url = long_url("a", PF_NAME_MAX - 4, ".txt");

    expand("{base}", url, name);
    ck_assert_str_eq(name, url + strlen("http://h/"));
    free(url);
}
END_TEST

START_TEST(test_cut_keeps_extension_and_gets_hash)
{
    static const size_t lengths[] = { 237, 250, 251, 252, 296, 4092, 60000 };
    char name[PF_PATH_SIZE];
    char full[PF_PATH_SIZE];
    char *url = long_url("a", lengths[_i], ".txt");

    expand("{base}", url, name);
    ck_assert_uint_eq(strlen(name), PF_NAME_MAX);
    ck_assert(ends_with(name, ".txt"));
    ck_assert_int_eq(name[PF_NAME_MAX - 4 - 17], '~');
    expand("{hash}", url, full);
    ck_assert_int_eq(memcmp(name + PF_NAME_MAX - 4 - 16, full, 16), 0);
    free(url);
}
END_TEST

START_TEST(test_cut_between_characters)
{
    char name[PF_PATH_SIZE];
    const char *shift[] = { "", "x", "xy" };

    for (int i = 0; i < 3; i++) {
        char *url = long_url("%E2%82%AC", 255, shift[i]);

        memmove(url + 9 + strlen(shift[i]), url + 9, 9 * 255);
        memcpy(url + 9, shift[i], strlen(shift[i]));
        expand("{base}", url, name);
        size_t stem = strlen(name) - 17;
        ck_assert_int_eq(name[stem], '~');
        ck_assert_uint_eq((stem - strlen(shift[i])) % 3, 0);
        ck_assert_uint_ge(strlen(name), PF_NAME_MAX - 2);
        free(url);
    }
}
END_TEST

START_TEST(test_cut_not_inside_an_escape)
{
    static const char *const units[] = { "x%01", "xx%01", "%01" };
    char name[PF_PATH_SIZE];

    for (size_t i = 0; i < 3; i++) {
        /* The limit falls on another byte of the escape each time. */
        for (size_t shift = 0; shift < 5; shift++) {
            char *url = long_url(units[i], 300, "");
            size_t unit = strlen(units[i]);

            memmove(url + 9 + shift, url + 9, 300 * unit - shift);
            memset(url + 9, 'y', shift);
            expand("{base}", url, name);
            const char *cut = strchr(name, '~');
            ck_assert_ptr_nonnull(cut);
            ck_assert(cut[-1] != '%' && cut[-2] != '%');
            free(url);
        }
    }
}
END_TEST

START_TEST(test_cut_names_differ)
{
    char one[PF_PATH_SIZE];
    char two[PF_PATH_SIZE];
    char *url = long_url("a", 300, "b.txt");

    expand("{base}", url, one);
    url[9 + 300] = 'c';
    expand("{base}", url, two);
    ck_assert_str_ne(one, two);
    free(url);
}
END_TEST

START_TEST(test_long_directories)
{
    char path[PF_PATH_SIZE];
    char *deep = long_url("d/", 20000, "x.txt");
    char *wide = long_url("d", 300, "/x.txt");

    expand("{host}/{path}", deep, path);
    ck_assert_uint_eq(strlen(path), strlen("h/x~0123456789abcdef.txt"));
    ck_assert_int_eq(memcmp(path, "h/x~", 4), 0);
    expand("{host}/{path}", wide, path);
    ck_assert_uint_eq(strlen(path), 2 + PF_NAME_MAX + strlen("/x.txt"));
    /* Its files are all in that one directory. */
    wide[strlen(wide) - 5] = 'y';
    char other[PF_PATH_SIZE];
    expand("{host}/{path}", wide, other);
    ck_assert_int_eq(memcmp(path, other, 2 + PF_NAME_MAX + 1), 0);
    free(deep);
    free(wide);
}
END_TEST

/* --- numbers ------------------------------------------------------------- */

static const struct {
    const char *path;
    uint32_t number;
    const char *numbered;
} numbers[] = {
    { "x", 1, "x.1" },
    { "x.txt", 2, "x.2.txt" },
    { "x.tar.gz", 3, "x.tar.3.gz" },
    { "d.d/x", 1, "d.d/x.1" },
    { "d/x.c", 10, "d/x.10.c" },
    { "x.txt?q=1", 1, "x.txt?q=1.1" },
    { "x.1", 2, "x.2.1" },
    { "x.", 1, "x..1" },
    { "a.b c", 1, "a.b c.1" },
    { "x.0123456789abcdef", 1, "x.0123456789abcdef.1" },
    { "x.0123456789abcde", 4294967295U, "x.4294967295.0123456789abcde" },
};

START_TEST(test_number)
{
    char numbered[PF_PATH_SIZE];

    ck_assert_int_eq(pf_outname_number(&digest, numbers[_i].path,
                                       numbers[_i].number, "http://h/x",
                                       numbered), 0);
    ck_assert_str_eq(numbered, numbers[_i].numbered);
    if (numbers[_i].number <= INT32_MAX)
        ck_assert_uint_eq(pf_outname_number_of(pf_outname_last(numbered)),
                          numbers[_i].number);
}
END_TEST

START_TEST(test_number_of_other_names)
{
    static const char *const names[] = {
        "x", "x.txt", "x.0", "x.01.txt", "x.1a", "1.txt", "x.4294967297",
        "x.99999999999999999999.txt", "", ".", "x..txt"
    };

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        ck_assert_msg(pf_outname_number_of(names[i]) == 0, "%s", names[i]);
}
END_TEST

START_TEST(test_number_is_never_cut)
{
    char name[PF_PATH_SIZE];
    char numbered[PF_PATH_SIZE];
    char again[PF_PATH_SIZE];

    for (size_t len = 220; len < 260; len++) {
        char *url = long_url("a", len, ".txt");

        expand("{base}", url, name);
        ck_assert_int_eq(pf_outname_number(&digest, name, 12345, url,
                                           numbered), 0);
        ck_assert_uint_le(strlen(numbered), PF_NAME_MAX);
        ck_assert(ends_with(numbered, ".12345.txt"));
        ck_assert_uint_eq(pf_outname_number_of(numbered), 12345);
        ck_assert_int_eq(pf_outname_number(&digest, name, 12346, url,
                                           again), 0);
        ck_assert_str_ne(numbered, again);
        free(url);
    }
}
END_TEST

START_TEST(test_hash)
{
    char name[PF_PATH_SIZE];

    /* printf 'http://h/x' | sha256sum */
    expand("{hash}", "http://h/x", name);
    ck_assert_str_eq(name, "86ca99740210faa002c7e540649a2601");
}
END_TEST

/* --- templates ----------------------------------------------------------- */

static const struct {
    const char *template;
    const char *url;
    const char *path;
} templates[] = {
    { "{n}-{base}", "http://h/d/a.txt?q=1", "7-a.txt?q=1" },
    { "{stem}{ext}", "http://h/d/a.tar.gz?q=1", "a.tar.gz" },
    { "{stem}.{ext}", "http://h/d/a.tar.gz?q=1", "a.tar.gz" },
    { "{stem}_{n}.{ext}", "http://h/a.txt", "a_7.txt" },
    { "{stem}_{n}.{ext}", "http://h/a", "a_7" },
    { "{stem}_{n}.{ext}", "http://h/", "index_7.html" },
    { "{hash}{ext}", "http://h/x",
      "86ca99740210faa002c7e540649a2601" },
    { "{{{n}}}{{}}", "http://h/x", "{7}{}" },
    { "{host}/{base}", "http://H.Example:81/d/x", "h.example:81/x" },
    { "{host}_{path}", "http://h/a/b//c", "h_a/b/c" },
    { "{path}", "http://h/a/b/c?d/e", "a/b/c?d%2Fe" },
    { "{path}.bak", "http://h/a/b.c", "a/b.c.bak" },
    { "x/{path}/y", "http://h/a/", "x/a/index.html/y" },
    { "{base}/{base}/{n}", "http://h/.x", "%2Ex/%2Ex/7" },
    { "{n}{base}", "http://h/.x", "7.x" },
    { "{n}{stem}", "http://h/.bashrc", "7.bashrc" },
    { "{n}{stem}{ext}", "http://h/.bash.rc", "7.bash.rc" },
    { "{ext}", "http://h/a.txt", "%2Etxt" },
    { "d/{ext}", "http://h/a", "d/index.html" },
    { "{ext}/{base}", "http://h/a", "a" },
    { "{base}", "http://h/..%2f..%2fx", "%2E.%2F..%2Fx" },
    { "{path}", "http://h/../%2e%2e/-r", "%2E./%2E./%2Dr" },
    { "{stem}{stem}", "http://h/a.0123456789abcde",
      "aa" },
    { "\xc3\xa9-{n}", "http://h/x", "\xc3\xa9-7" },
    { "a.b/c.{n}", "http://h/x", "a.b/c.7" },
};

START_TEST(test_template)
{
    char path[PF_PATH_SIZE];

    expand(templates[_i].template, templates[_i].url, path);
    ck_assert_str_eq(path, templates[_i].path);
}
END_TEST

START_TEST(test_template_that_is_none)
{
    static const char *const wrong[] = {
        "", "/{base}", "../{base}", "{base}/..", "a/../{n}", ".", "./{n}",
        "a//{n}", "{n}/", "{", "}", "{n", "n}", "{n}}", "{{n}", "{}", "{N}",
        "{name}", "{ n}", "{host{n}}", ".{base}", "-{n}", "a/-{n}",
        "a\nb{n}", "\xff{n}", "{n}\xe2\x80\xae", "{n}\x7f",
    };

    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        ck_assert_msg(pf_outname_check_template(wrong[i]) != NULL,
                      "'%s' is a template", wrong[i]);
    ck_assert(pf_outname_has_number("a{n}"));
    ck_assert(!pf_outname_has_number("a{{n}}{base}"));
}
END_TEST

/* Whatever is longest, each component keeps to its limit, and the hash tells
 * two of them apart. */
START_TEST(test_template_is_cut)
{
    static const char *const long_ones[] = {
        "{base}", "x{base}", "{stem}{ext}", "{stem}-{n}.{ext}",
        "{stem}{stem}{ext}", "{n}{path}", "{base}/{n}", "{stem}/{base}",
        "{base}/{base}/{base}/{base}/{base}/{base}/{base}/{base}/{base}",
    };
    char one[PF_PATH_SIZE];
    char two[PF_PATH_SIZE];

    for (size_t i = 0; i < sizeof long_ones / sizeof long_ones[0]; i++)
        for (size_t len = 225; len < 260; len++) {
            char *url = long_url("a", len, ".txt");

            expand(long_ones[i], url, one);
            ck_assert_uint_le(strlen(one),
                              PF_PATH_SIZE - PF_FAN_OUT_SIZE - 1);
            for (const char *at = one; *at != '\0'; at += *at == '/') {
                size_t part = strcspn(at, "/");

                ck_assert(part >= 1 && part <= PF_NAME_MAX);
                at += part;
            }
            url[9 + len / 2] = 'b';
            expand(long_ones[i], url, two);
            ck_assert_str_ne(one, two);
            free(url);
        }
}
END_TEST

/* A stem that fits is not cut because its extension did not. */
START_TEST(test_stem_that_fits)
{
    char path[PF_PATH_SIZE];
    char *url = long_url("a", PF_NAME_MAX - 2, ".txt");

    expand("{stem}", url, path);
    ck_assert_uint_eq(strlen(path), PF_NAME_MAX - 2);
    ck_assert_ptr_null(strchr(path, '~'));
    free(url);
}
END_TEST

/* --- names from elsewhere ------------------------------------------------- */

START_TEST(test_given_path)
{
    static const char *const good[] = { "a", "a/b/c.txt", "a b", "a..",
                                        "\xc3\xa9", "a/b.part", "~", "%2E" };
    static const char *const wrong[] = {
        "", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/..", "a/../b",
        "./a", "a/.", ".a.part", "a/.b", "-a", "a/-b", "a\nb", "\x1b[0m",
        "a\x7f", "\xff", "\xc0\xaf", "\xe2\x80\xae", "a\xe2\x80\x8b",
    };
    char text[PF_PATH_SIZE + 10];

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        ck_assert_msg(pf_outname_check(good[i]) == NULL, "%s", good[i]);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        ck_assert_msg(pf_outname_check(wrong[i]) != NULL, "'%s'", wrong[i]);
    memset(text, 'a', sizeof text);
    text[PF_NAME_MAX] = '\0';
    ck_assert_ptr_null(pf_outname_check(text));
    text[PF_NAME_MAX] = 'a';
    text[PF_NAME_MAX + 1] = '\0';
    ck_assert_ptr_nonnull(pf_outname_check(text));
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = i % 2 == 0 ? 'a' : '/';
    text[PF_PATH_SIZE - PF_NAME_SIZE - 2] = 'a';
    text[PF_PATH_SIZE - PF_NAME_SIZE - 1] = '\0';
    ck_assert_ptr_null(pf_outname_check(text));
    text[PF_PATH_SIZE - PF_NAME_SIZE - 1] = '/';
    text[PF_PATH_SIZE + 1] = '\0';
    ck_assert_ptr_nonnull(pf_outname_check(text));
}
END_TEST

START_TEST(test_text)
{
    static const struct example texts[] = {
        { "a.txt", "a.txt" },       { ".bashrc", "%2Ebashrc" },
        { "../x", "%2E.%2Fx" },     { "a%2fb", "a%2fb" },
        { "a?b", "a?b" },           { "\x1b[31m", "%1B[31m" },
        { "\xe2\x80\xae" "x", "%E2%80%AEx" },
    };
    char name[PF_NAME_SIZE];

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        ck_assert_int_eq(pf_outname_text(&digest, texts[i].url, "http://h/",
                                         name), 0);
        ck_assert_str_eq(name, texts[i].name);
    }
    char *url = long_url("a", 300, ".txt");
    ck_assert_int_eq(pf_outname_text(&digest, url + 9, url, name), 0);
    ck_assert_uint_eq(strlen(name), PF_NAME_MAX);
    ck_assert(ends_with(name, ".txt"));
    free(url);
}
END_TEST

START_TEST(test_fan_out)
{
    static const struct {
        unsigned dirs;
        const char *first, *middle, *last;
    } fans[] = {
        { 1, "0/", "0/", "0/" },         { 2, "0/", "1/", "1/" },
        { 16, "0/", "8/", "f/" },        { 17, "00/", "08/", "10/" },
        { 256, "00/", "80/", "ff/" },    { 257, "000/", "080/", "100/" },
        { 1000, "000/", "1f4/", "3e7/" },
        { 65536, "0000/", "8000/", "ffff/" },
    };
    char dir[PF_FAN_OUT_SIZE];

    for (size_t i = 0; i < sizeof fans / sizeof fans[0]; i++) {
        pf_outname_fan_out((const uint8_t *)"\0\0\0\0", fans[i].dirs, dir);
        ck_assert_str_eq(dir, fans[i].first);
        pf_outname_fan_out((const uint8_t *)"\x80\0\0\0", fans[i].dirs, dir);
        ck_assert_str_eq(dir, fans[i].middle);
        pf_outname_fan_out((const uint8_t *)"\xff\xff\xff\xff",
                           fans[i].dirs, dir);
        ck_assert_str_eq(dir, fans[i].last);
    }
}
END_TEST

#define COUNT(table) ((int)(sizeof(table) / sizeof(table)[0]))

int main(void)
{
    Suite *suite = suite_create("outname");
    TCase *names = tcase_create("names");
    TCase *length = tcase_create("length");

    tcase_add_checked_fixture(names, set_up, tear_down);
    tcase_add_checked_fixture(length, set_up, tear_down);
    tcase_add_loop_test(names, test_plain, 0, COUNT(plain));
    tcase_add_loop_test(names, test_fallback, 0, COUNT(fallback));
    tcase_add_loop_test(names, test_escaped, 0, COUNT(escaped));
    tcase_add_loop_test(names, test_percent, 0, COUNT(percent));
    tcase_add_loop_test(names, test_path, 0, COUNT(paths));
    tcase_add_loop_test(names, test_number, 0, COUNT(numbers));
    tcase_add_test(names, test_number_of_other_names);
    tcase_add_test(names, test_hash);
    tcase_add_loop_test(names, test_template, 0, COUNT(templates));
    tcase_add_test(names, test_template_that_is_none);
    tcase_add_test(names, test_given_path);
    tcase_add_test(names, test_text);
    tcase_add_test(names, test_fan_out);
    tcase_add_test(length, test_template_is_cut);
    tcase_add_test(length, test_stem_that_fits);
    tcase_add_test(length, test_longest_that_fits);
    tcase_add_loop_test(length, test_cut_keeps_extension_and_gets_hash, 0, 7);
    tcase_add_test(length, test_cut_between_characters);
    tcase_add_test(length, test_cut_not_inside_an_escape);
    tcase_add_test(length, test_cut_names_differ);
    tcase_add_test(length, test_long_directories);
    tcase_add_test(length, test_number_is_never_cut);
    suite_add_tcase(suite, names);
    suite_add_tcase(suite, length);

    return suite_run(suite);
}
