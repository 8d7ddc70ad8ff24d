/* check_resume.c - what earlier records say, and what is no record.
 *
 * SPDX-License-Identifier: MIT
 */
#include "config.h"

#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "report.h"
#include "resume.h"
#include "suite.h"

#define OK_LINE(url, path, bytes)                                           \
    "{\"schema\":1,\"n\":1,\"url\":\"" url "\",\"status\":\"ok\",\"path\":\"" \
    path "\",\"bytes\":" #bytes "}\n"
#define FAILED_LINE(url)                                                    \
    "{\"schema\":1,\"url\":\"" url "\",\"status\":\"failed\","                \
    "\"error\":\"http\"}\n"

static char file_name[32];
static struct pf_resume *resume;
static struct pfetch_failure why;

static void set_up(void)
{
    strcpy(file_name, "check_resume.XXXXXX");
    int fd = mkstemp(file_name);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(close(fd), 0);
    resume = pf_resume_create(PF_RESUME_PATH);
    ck_assert_ptr_nonnull(resume);
}

static void tear_down(void)
{
    pf_resume_free(resume);
    ck_assert_int_eq(unlink(file_name), 0);
}

static void put_file(const char *data, size_t size)
{
    FILE *file = fopen(file_name, "w");

    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(data, 1, size, file), size);
    ck_assert_int_eq(fclose(file), 0);
}

static void load_bytes(const char *data, size_t size)
{
    put_file(data, size);
    if (pf_resume_load(resume, file_name, &why) != 0)
        ck_abort_msg("%s", why.text);
}

static void load(const char *text)
{
    load_bytes(text, strlen(text));
}

static bool has(const char *url, const char *path, int64_t bytes)
{
    struct pfetch_request request = {.url = url};

    return pf_resume_has(resume, &request, path, bytes);
}

START_TEST(url_path_and_size_must_agree)
{
    ck_assert(!has("http://h/a", "a", 7)); /* nothing was loaded */
    load(OK_LINE("http://h/a", "a", 7) OK_LINE("http://h/b", "b", 0));
    ck_assert(has("http://h/a", "a", 7));
    ck_assert(has("http://h/b", "b", 0));
    ck_assert(has("http://h/a", "a", -1));
    ck_assert(!has("http://h/a", "a", 8));
    ck_assert(!has("http://h/a", "b", 7));
    ck_assert(!has("http://h/b", "a", 7));
    ck_assert(!has("http://h/", "aa", 7));
    ck_assert_uint_eq(pf_resume_ignored(resume), 0);
}
END_TEST

START_TEST(one_url_may_have_several_paths)
{
    load(OK_LINE("http://h/a", "x", 7) OK_LINE("http://h/a", "y", 7));
    ck_assert(has("http://h/a", "x", 7) && has("http://h/a", "y", 7));
    ck_assert(!has("http://h/a", "z", 7));
}
END_TEST

START_TEST(the_last_record_counts)
{
    load(OK_LINE("http://h/a", "a", 7) OK_LINE("http://h/a", "a", 8));
    ck_assert(has("http://h/a", "a", 8) && !has("http://h/a", "a", 7));
    load(FAILED_LINE("http://h/a"));
    ck_assert(!has("http://h/a", "a", 8));
    load(OK_LINE("http://h/a", "a", 9));
    ck_assert(has("http://h/a", "a", 9));
    /* Nothing happened to the file. */
    load("{\"schema\":1,\"url\":\"http://h/a\",\"status\":\"skipped\","
         "\"path\":\"a\"}\n"
         "{\"schema\":1,\"url\":\"http://h/a\",\"status\":\"not-attempted\"}\n"
         "{\"schema\":1,\"n\":7,\"status\":\"not-attempted\","
         "\"from_line\":7}\n");
    ck_assert(has("http://h/a", "a", 9));
    ck_assert_uint_eq(pf_resume_ignored(resume), 0);
}
END_TEST

START_TEST(what_the_line_says_must_agree)
{
    struct pfetch_request request = {.url = "http://h/a", .has_size = true,
                                     .size_bytes = 7};

    load("{\"schema\":1,\"url\":\"http://h/a\",\"status\":\"ok\","
         "\"path\":\"a\",\"bytes\":7,\"checksum\":\"md5:abcd\"}\n"
         OK_LINE("http://h/b", "b", 7));
    ck_assert(pf_resume_has(resume, &request, "a", 7));
    request.size_bytes = 8;
    ck_assert(!pf_resume_has(resume, &request, "a", 7));
    ck_assert(!pf_resume_has(resume, &request, "a", 8));
    request.has_size = false;
    request.checksum = "MD5:ABCD";
    ck_assert(pf_resume_has(resume, &request, "a", 7));
    request.checksum = "md5:abce";
    ck_assert(!pf_resume_has(resume, &request, "a", 7));
    request.url = "http://h/b"; /* its record has none */
    ck_assert(!pf_resume_has(resume, &request, "b", 7));
}
END_TEST

START_TEST(without_files_the_url_is_enough)
{
    pf_resume_free(resume);
    resume = pf_resume_create(PF_RESUME_BODY);
    load(OK_LINE("http://h/a", "a", 7)
         "{\"schema\":1,\"url\":\"http://h/b\",\"status\":\"ok\","
         "\"bytes\":7}\n");
    ck_assert(has("http://h/a", "", -1) && has("http://h/b", "", -1));
    ck_assert(!has("http://h/c", "", -1));
}
END_TEST

/* What report.c writes is found again. */
START_TEST(records_of_our_own)
{
    static const char *const urls[] = {
        "http://user:secret@h/a?b=\"c\\d", "http://h/\xc3\xbc",
        "http://h/\xff\x01"};
    static const char *const paths[] = {
        "a\"\\b", "\xc3\xbc/\xe2\x82\xac/\xf0\x9f\x98\x80", "plain"};
    struct pf_report report;

    ck_assert_int_eq(pf_report_open(&report, file_name, NULL, &why), 0);
    for (int i = 0; i < 3; i++) {
        struct pfetch_request request = {.url = urls[i], .n = 1};
        struct pfetch_record record = {
            .request = &request, .status = PFETCH_STATUS_OK,
            .path = paths[i], .bytes = INT64_C(5000000000) + i,
            .message = "\x1b[1m \xff {\"status\":\"failed\"}",
            .total_us = 5, .queue_us = 7};

        ck_assert_int_eq(pf_report_record(&report, &record, &why), 0);
    }
    ck_assert_int_eq(pf_report_close(&report, &why), 0);
    ck_assert_int_eq(pf_resume_load(resume, file_name, &why), 0);
    for (int i = 0; i < 3; i++)
        ck_assert(has(urls[i], paths[i], INT64_C(5000000000) + i));
    ck_assert(has("http://other:one@h/a?b=\"c\\d", paths[0],
                  INT64_C(5000000000)));
    ck_assert_uint_eq(pf_resume_ignored(resume), 0);
}
END_TEST

/* One line each; true: it makes http://h/a ok as "a" with 7 bytes. */
static const struct {
    const char *line;
    bool counts;
} lines[] = {
    {OK_LINE("http://h/a", "a", 7), true},
    {" { \"path\" : \"a\" , \"bytes\" : 7 ,\t\"status\":\"ok\","
     "\"url\":\"http:\\/\\/h\\/\\u0061\",\"schema\":1 } \r\n", true},
    {"{\"x\":[{\"status\":\"failed\",\"a\":\"]}\\\"\"},[]],\"schema\":1,"
     "\"y\":{\"url\":\"z\"},\"url\":\"http://h/a\",\"status\":\"ok\","
     "\"z\":-1.5e+3,\"t\":true,\"f\":false,\"n\":null,\"path\":\"a\","
     "\"bytes\":7}", true},
    {"{\"schema\":1,\"url\":\"http://h/a\",\"status\":\"ok\",\"path\":\"a\","
     "\"bytes\":7", false},                        /* torn */
    {"{\"schema\":1,\"url\":\"http://h/a\",\"status\":\"ok\",\"path\":\"a\","
     "\"bytes\":7,\"x\":{}", false},
    {"{\"schema\":1,\"url\":\"http://h/a\",\"status\":\"ok\",\"path\":\"a\","
     "\"bytes\":7}}", false},
    {"{\"schema\":1,\"url\":\"http://h/a\",\"status\":\"ok\",\"path\":\"a\","
     "\"bytes\":7}{", false},
    {"{\"schema\":2,\"url\":\"http://h/a\",\"status\":\"ok\",\"path\":\"a\","
     "\"bytes\":7}", false},
    {"{\"url\":\"http://h/a\",\"status\":\"ok\",\"path\":\"a\",\"bytes\":7}",
     false},
    {"{\"schema\":1,\"url\":\"http://h/a\",\"status\":\"ok\",\"path\":\"a\","
     "\"bytes\":7,\"path\":\"a\"}", false},        /* twice */
    {"{\"schema\":1,\"url\":\"http://h/a\",\"status\":\"ok\",\"path\":\"a\","
     "\"bytes\":7.0}", false},
    {"{\"schema\":1,\"url\":\"http://h/a\",\"status\":\"ok\",\"path\":\"a\","
     "\"bytes\":99999999999999999999}", false},
    {"{\"schema\":1,\"url\":\"http://h/a\",\"status\":\"ok\",\"path\":\"a\","
     "\"bytes\":-7}", false},
    {"{\"schema\":1,\"url\":\"http://h/a\x01\",\"status\":\"ok\"}", false},
    {"{\"schema\":1,\"url\":\"\\u0000\",\"status\":\"ok\"}", false},
    {"{\"schema\":1,\"url\":\"\\ud83d\",\"status\":\"ok\"}", false},
    {"{\"schema\":1,\"url\":\"\\ud83dx\",\"status\":\"ok\"}", false},
    {"{\"schema\":1,\"url\":\"\\ude00\",\"status\":\"ok\"}", false},
    {"{\"schema\":1,\"url\":\"\\u00g0\",\"status\":\"ok\"}", false},
    {"{\"schema\":1,\"url\":\"\\x41\",\"status\":\"ok\"}", false},
    {"{\"schema\":1,\"url\":\"\\", false},
    {"{\"schema\":1,\"url\":\"\\u12", false},
    {"{\"schema\":1,\"url\":", false},
    {"{\"schema\":1,\"url\"", false},
    {"{\"schema\":1,\"url\":7,\"status\":\"ok\"}", false},
    {"{\"schema\":1,,}", false},
    {"{\"schema\":1,\"x\":}", false},
    {"{\"schema\":1,\"x\":[\"", false},
    {"{}", false},
    {"{", false},
    {"[]", false},
    {"http://h/a", false},
    {"\xff\xfe{", false},
};

START_TEST(only_whole_records_count)
{
    /* Behind one that is right, and before another. */
    load(OK_LINE("http://h/first", "f", 1));
    char *text = malloc(strlen(lines[_i].line) + 200);
    ck_assert_ptr_nonnull(text);
    (void)sprintf(text, "%s\n%s", lines[_i].line,
                  OK_LINE("http://h/last", "l", 2));
    load(text);
    ck_assert(has("http://h/a", "a", 7) == lines[_i].counts);
    ck_assert_uint_eq(pf_resume_ignored(resume), !lines[_i].counts);
    ck_assert(has("http://h/first", "f", 1) && has("http://h/last", "l", 2));
    free(text);
}
END_TEST

/* Every beginning of a record is torn; every byte of it may be one that means
 * something. */
START_TEST(torn_anywhere)
{
    static const char line[] =
        "{\"schema\":1,\"url\":\"http://h/\\ud83d\\ude00\",\"status\":\"ok\","
        "\"path\":\"p\",\"ms\":{\"a\":[1]},\"bytes\":7}";
    char text[sizeof(line) + 1];
    uint64_t ignored = 0;

    for (size_t size = 1; size < sizeof(line) - 1; size++) {
        load_bytes(line, size);
        ck_assert_uint_eq(pf_resume_ignored(resume), ++ignored);
    }
    for (size_t i = 0; i < sizeof(line) - 1; i++)
        for (const char *c = "\"\\{}[],:u\x01\xff"; ; c++) {
            memcpy(text, line, sizeof(line));
            text[i] = *c;
            load_bytes(text, sizeof(line) - 1); /* may say anything */
            if (*c == '\0')
                break;
        }
}
END_TEST

START_TEST(nul_and_long_lines)
{
    static const char nul[] = "{\"schema\":1}\0\n"
                              OK_LINE("http://h/a", "a", 7);
    enum { LONG = 3 << 20 };
    static const char after[] = "\n" OK_LINE("http://h/b", "b", 7);
    char *text = malloc(LONG + sizeof(after));

    load_bytes(nul, sizeof(nul) - 1);
    ck_assert_uint_eq(pf_resume_ignored(resume), 1);
    ck_assert(has("http://h/a", "a", 7));
    ck_assert_ptr_nonnull(text);
    for (size_t size = (1 << 20) - 3; size < LONG; size += size < (1 << 20) + 3
                                                     ? 1 : 700001) {
        memset(text, 'x', size);
        memcpy(text + size, after, sizeof(after));
        uint64_t before = pf_resume_ignored(resume);
        load_bytes(text, size + sizeof(after) - 1);
        ck_assert_uint_eq(pf_resume_ignored(resume), before + 1);
        ck_assert(has("http://h/b", "b", 7));
    }
    free(text);
}
END_TEST

START_TEST(what_cannot_be_read)
{
    ck_assert_int_eq(pf_resume_load(resume, "/nonexistent/x", &why), -1);
    ck_assert_int_eq(why.cls, PFETCH_CLASS_NONE);
    ck_assert_ptr_nonnull(strstr(why.text, "/nonexistent/x"));
    ck_assert_int_eq(pf_resume_load(resume, "/", &why), -1);
    ck_assert_int_eq(why.cls, PFETCH_CLASS_NONE);
    load("");
    load("\n\n \r\n");
    ck_assert_uint_eq(pf_resume_ignored(resume), 0);
}
END_TEST

START_TEST(many_records_in_little_memory)
{
    enum { RECORDS = 100000 };
    FILE *file = fopen(file_name, "w");
    char url[32], path[16];

    ck_assert_ptr_nonnull(file);
    for (int i = 0; i < RECORDS; i++)
        ck_assert_int_gt(fprintf(file, "{\"schema\":1,\"url\":\"http://h/%d\","
                                 "\"status\":\"ok\",\"path\":\"%d\","
                                 "\"bytes\":%d}\n", i, i, i % 100), 0);
    ck_assert_int_eq(fclose(file), 0);
    ck_assert_int_eq(pf_resume_load(resume, file_name, &why), 0);
    for (int i = 0; i < RECORDS; i++) {
        (void)snprintf(url, sizeof(url), "http://h/%d", i);
        (void)snprintf(path, sizeof(path), "%d", i);
        ck_assert(has(url, path, i % 100));
        ck_assert(!has(url, path, i % 100 + 1));
        ck_assert(!has(url, "x", i % 100));
    }
    ck_assert_uint_le(pf_resume_bytes(resume), 20 * RECORDS);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("resume");
    TCase *tcase = tcase_create("resume");

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, url_path_and_size_must_agree);
    tcase_add_test(tcase, one_url_may_have_several_paths);
    tcase_add_test(tcase, the_last_record_counts);
    tcase_add_test(tcase, what_the_line_says_must_agree);
    tcase_add_test(tcase, without_files_the_url_is_enough);
    tcase_add_test(tcase, records_of_our_own);
    tcase_add_loop_test(tcase, only_whole_records_count, 0,
                        sizeof(lines) / sizeof(lines[0]));
    tcase_add_test(tcase, torn_anywhere);
    tcase_add_test(tcase, nul_and_long_lines);
    tcase_add_test(tcase, what_cannot_be_read);
    tcase_add_test(tcase, many_records_in_little_memory);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return suite_run(make_suite());
}
