/* check_report.c - records: what they say reads back as JSON, whatever bytes
 * came, and a report that cannot be written says so once.
 *
 * SPDX-License-Identifier: MIT
 */
#include "config.h"

#include <check.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "report.h"
#include "suite.h"

enum { TEXT_BYTES = 1 << 20 };

static char file_name[32];
static struct pf_report report;
static struct pfetch_failure why;
static struct pfetch_request request;
static struct pfetch_record record;

static void open_report(void)
{
    if (pf_report_open(&report, file_name, NULL, &why) != 0)
        ck_abort_msg("%s", why.text);
}

/* A report in a new file, and a record of which nothing is known. */
static void set_up(void)
{
    strcpy(file_name, "check_report.XXXXXX");
    int fd = mkstemp(file_name);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(close(fd), 0);
    open_report();
    request = (struct pfetch_request){.url = "http://h/x", .n = 7};
    record = (struct pfetch_record){.request = &request,
                                    .status = PFETCH_STATUS_NOT_ATTEMPTED,
                                    .bytes = -1,
                                    .resumed_at_bytes = -1,
                                    .start_unix_ms = -1,
                                    .queue_us = -1,
                                    .dns_us = -1,
                                    .connect_us = -1,
                                    .tls_us = -1,
                                    .first_byte_us = -1,
                                    .total_us = -1,
                                    .length_bytes = -1};
}

static void tear_down(void)
{
    ck_assert_int_eq(pf_report_close(&report, &why), 0);
    ck_assert_int_eq(unlink(file_name), 0);
}

static void write_record(void)
{
    ck_assert_int_eq(pf_report_record(&report, &record, &why), 0);
}

/* All of the file, NUL-terminated; freed by the caller. */
static char *read_file(void)
{
    char *text = malloc(TEXT_BYTES);
    FILE *file = fopen(file_name, "r");

    ck_assert_ptr_nonnull(text);
    ck_assert_ptr_nonnull(file);
    size_t size = fread(text, 1, TEXT_BYTES - 1, file);
    ck_assert_int_eq(fclose(file), 0);
    text[size] = '\0';
    return text;
}

/* The one line of the file, parsed; it must be printable ASCII. */
static json_t *read_record(void)
{
    char *text = read_file();
    size_t size = strlen(text);
    json_error_t error;

    ck_assert_uint_gt(size, 0);
    ck_assert_int_eq(text[size - 1], '\n');
    for (size_t i = 0; i < size - 1; i++)
        ck_assert_msg(text[i] >= 0x20 && text[i] < 0x7f, "byte %02x",
                      (unsigned char)text[i]);
    json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    ck_assert_msg(json != NULL, "%s: %s", error.text, text);
    free(text);
    return json;
}

static void expect_text(json_t *json, const char *key, const char *value)
{
    ck_assert_pstr_eq(json_string_value(json_object_get(json, key)), value);
}

static void expect_integer(json_t *json, const char *key, json_int_t value)
{
    ck_assert_msg(json_is_integer(json_object_get(json, key)), "no %s", key);
    ck_assert_int_eq(json_integer_value(json_object_get(json, key)), value);
}

static void expect_boolean(json_t *json, const char *key, bool value)
{
    ck_assert_msg(json_is_boolean(json_object_get(json, key)), "no %s", key);
    ck_assert_int_eq(json_boolean_value(json_object_get(json, key)), value);
}

START_TEST(full_record)
{
    request = (struct pfetch_request){.url = "http://h/x", .list = "list.txt",
                                      .id = "ID 7", .n = 9, .line = 7};
    record = (struct pfetch_record){
        .request = &request,
        .status = PFETCH_STATUS_OK,
        .path = "h/x",
        .effective_url = "http://g/y",
        .bytes = INT64_C(5000000000),
        .http_status = 206,
        .attempts = 2,
        .resumed_at_bytes = 100,
        .etag = "\"e\"",
        .last_modified = "Sat, 31 Jan 2026 12:00:00 GMT",
        .content_type = "text/plain",
        .remote_ip = "127.0.0.1",
        .http_version = "1.1",
        .length_verified = true,
        .reused = true,
        .start_unix_ms = INT64_C(1769860800123),
        .queue_us = 0,
        .dns_us = 1,
        .connect_us = 12345,
        .tls_us = 2000,
        .first_byte_us = 1100,
        .total_us = INT64_C(3600000001),
        .length_bytes = -1};
    write_record();

    json_t *json = read_record();
    json_t *ms = json_object_get(json, "ms");
    expect_integer(json, "schema", 1);
    expect_integer(json, "n", 9);
    expect_text(json, "list", "list.txt");
    expect_integer(json, "line", 7);
    expect_text(json, "url", "http://h/x");
    expect_text(json, "id", "ID 7");
    expect_text(json, "status", "ok");
    expect_text(json, "path", "h/x");
    expect_integer(json, "bytes", INT64_C(5000000000));
    ck_assert_ptr_null(json_object_get(json, "length"));
    expect_integer(json, "http", 206);
    expect_integer(json, "attempts", 2);
    expect_integer(json, "resumed_at", 100);
    expect_text(json, "effective_url", "http://g/y");
    expect_text(json, "etag", "\"e\"");
    expect_text(json, "last_modified", "Sat, 31 Jan 2026 12:00:00 GMT");
    expect_text(json, "content_type", "text/plain");
    expect_boolean(json, "length_verified", true);
    expect_text(json, "remote_ip", "127.0.0.1");
    expect_text(json, "http_version", "1.1");
    expect_boolean(json, "reused", true);
    expect_text(json, "start", "2026-01-31T12:00:00.123Z");
    ck_assert_uint_eq(json_object_size(json), 22);
    ck_assert_uint_eq(json_object_size(ms), 6);
    ck_assert(json_number_value(json_object_get(ms, "dns")) == 0.001);
    json_decref(json);

    char *text = read_file();
    ck_assert_ptr_nonnull(strstr(text, "\"connect\":12.345,"));
    ck_assert_ptr_nonnull(strstr(text, "\"total\":3600000.001}"));
    free(text);
}
END_TEST

/* There is no body whose end could be verified. */
START_TEST(a_record_of_head_has_the_length_declared)
{
    record.status = PFETCH_STATUS_OK;
    record.length_bytes = 0;
    write_record();

    json_t *json = read_record();
    expect_integer(json, "length", 0);
    ck_assert_ptr_null(json_object_get(json, "length_verified"));
    json_decref(json);
}
END_TEST

START_TEST(unknown_is_absent)
{
    write_record();
    json_t *json = read_record();
    expect_integer(json, "schema", 1);
    expect_integer(json, "n", 7);
    expect_text(json, "url", "http://h/x");
    expect_text(json, "status", "not-attempted");
    expect_integer(json, "attempts", 0);
    ck_assert_uint_eq(json_object_size(json), 5);
    json_decref(json);
}
END_TEST

START_TEST(failure_without_url)
{
    request.url = NULL;
    record.status = PFETCH_STATUS_FAILED;
    record.cls = PFETCH_CLASS_TOO_LARGE;
    record.message = "the line is \"longer\"";
    write_record();
    json_t *json = read_record();
    ck_assert_ptr_null(json_object_get(json, "url"));
    expect_text(json, "status", "failed");
    expect_text(json, "error", "too-large");
    expect_text(json, "message", "the line is \"longer\"");
    json_decref(json);
}
END_TEST

START_TEST(credentials_are_masked)
{
    request.url = "http://user:canary@h/x?q=1";
    record.effective_url = "https://canary@g/y";
    write_record();
    json_t *json = read_record();
    expect_text(json, "url", "http://***@h/x?q=1");
    expect_text(json, "effective_url", "https://***@g/y");
    json_decref(json);
    char *text = read_file();
    ck_assert_ptr_null(strstr(text, "canary"));
    free(text);
}
END_TEST

/* What comes in a message, and what the record says. */
static const struct {
    const char *in, *out;
} texts[] = {
    {"\xc3\xbc \xe2\x82\xac \xf0\x9f\x98\x80",
     "\xc3\xbc \xe2\x82\xac \xf0\x9f\x98\x80"},
    {"\xff", "%FF"},
    {"a\xc3", "a%C3"},
    {"\xc3(", "%C3("},
    {"\xc0\xaf", "%C0%AF"},                 /* overlong */
    {"\xc1\xbf", "%C1%BF"},
    {"\xe0\x80\xaf", "%E0%80%AF"},
    {"\xe0\x9f\xbf", "%E0%9F%BF"},
    {"\xe0\xa0\x80", "\xe0\xa0\x80"},
    {"\xf0\x8f\xbf\xbf", "%F0%8F%BF%BF"},
    {"\xed\xa0\x80", "%ED%A0%80"},          /* a surrogate */
    {"\xed\x9f\xbf", "\xed\x9f\xbf"},
    {"\xf4\x8f\xbf\xbf", "\xf4\x8f\xbf\xbf"},
    {"\xf4\x90\x80\x80", "%F4%90%80%80"},   /* beyond the last one */
    {"\xf5\x80\x80\x80", "%F5%80%80%80"},
    {"\xe2\x82", "%E2%82"},
    {"\xe2\x82x", "%E2%82x"},
    {"\xf0\x9f\x98", "%F0%9F%98"},
    {"\x80", "%80"},
    {"\x1b[2J\r\n\t\x7f", "%1B[2J%0D%0A%09%7F"},
    {"\xc3\xbc\xff\xc3\xbc", "\xc3\xbc%FF\xc3\xbc"},
    {"100%", "100%"},
    {"", ""},
};

START_TEST(any_bytes_become_text)
{
    record.message = texts[_i].in;
    record.etag = texts[_i].in;
    record.path = texts[_i].in;
    request.list = texts[_i].in;
    request.id = texts[_i].in;
    write_record();
    json_t *json = read_record();
    expect_text(json, "message", texts[_i].out);
    expect_text(json, "etag", texts[_i].out);
    expect_text(json, "path", texts[_i].out);
    expect_text(json, "list", texts[_i].out);
    expect_text(json, "id", texts[_i].out);
    json_decref(json);
}
END_TEST

/* Around the size of the first buffer, and a URL of 64 KiB that is escaped. */
START_TEST(long_texts)
{
    char *text = malloc(65536 + 1);

    ck_assert_ptr_nonnull(text);
    for (size_t size = 3900; size < 4100; size++) {
        memset(text, 'x', size);
        text[size] = '\0';
        record.message = text;
        write_record();
        json_t *json = read_record();
        expect_text(json, "message", text);
        json_decref(json);
        /* Each size meets a report whose buffer has not grown yet. */
        ck_assert_int_eq(pf_report_close(&report, &why), 0);
        ck_assert_int_eq(truncate(file_name, 0), 0);
        open_report();
    }
    memset(text, 0xff, 65536);
    text[65536] = '\0';
    request.url = text;
    record.message = NULL;
    write_record();
    json_t *json = read_record();
    ck_assert_uint_eq(json_string_length(json_object_get(json, "url")),
                      3 * 65536);
    json_decref(json);
    free(text);
}
END_TEST

START_TEST(records_are_lines)
{
    struct pf_line line = {.list = "l", .line = 3};

    write_record();
    write_record();
    ck_assert_int_eq(pf_report_unread(&report, 12, &line, &why), 0);
    char *text = read_file();
    char *first = strtok(text, "\n");
    char *second = strtok(NULL, "\n");
    char *third = strtok(NULL, "\n");
    ck_assert_str_eq(first, second);
    ck_assert_str_eq(third, "{\"schema\":1,\"n\":12,\"list\":\"l\","
                            "\"status\":\"not-attempted\","
                            "\"from_line\":12}");
    ck_assert_ptr_null(strtok(NULL, "\n"));
    free(text);
}
END_TEST

START_TEST(file_is_appended_to_and_mended)
{
    ck_assert_int_eq(write(report.out.fd, "old\n{\"torn", 10), 10);
    ck_assert_int_eq(pf_report_close(&report, &why), 0);
    open_report(); /* adds the newline */
    ck_assert_int_eq(pf_report_close(&report, &why), 0);
    open_report(); /* adds none */
    char *text = read_file();
    ck_assert_str_eq(text, "old\n{\"torn\n");
    free(text);
}
END_TEST

START_TEST(plan_lines)
{
    record.status = PFETCH_STATUS_PLANNED;
    ck_assert_int_eq(pf_report_plan(&report, &record, &why), 0);
    request.url = "http://u:canary@h/\xc3\xbc";
    record.path = "\xc3\xbc\x1b\xff";
    ck_assert_int_eq(pf_report_plan(&report, &record, &why), 0);
    char *text = read_file();
    ck_assert_str_eq(text, "http://***@h/%C3%BC\t\xc3\xbc%1B%FF\n");
    free(text);
}
END_TEST

START_TEST(list_is_no_report)
{
    const char *lists[] = {file_name, NULL};
    struct pf_input *input;
    struct pf_report other;

    struct pf_input_options options = {.lists = lists};
    ck_assert_int_eq(pf_input_create(&input, &options, &why), 0);
    ck_assert_int_eq(pf_report_open(&other, file_name, input, &why), -1);
    ck_assert_ptr_nonnull(strstr(why.text, "is a list"));
    ck_assert_int_eq(pf_report_close(&other, &why), 0);
    pf_input_free(input);
}
END_TEST

START_TEST(cannot_be_opened)
{
    struct pf_report other;

    ck_assert_int_eq(pf_report_open(&other, "/nonexistent/x", NULL, &why),
                     -1);
    ck_assert_int_eq(why.cls, PFETCH_CLASS_LOCAL);
    ck_assert_ptr_nonnull(strstr(why.text, "/nonexistent/x"));
    ck_assert_int_eq(pf_report_close(&other, &why), 0);
}
END_TEST

START_TEST(full_disk_is_told_once)
{
    struct pf_report full;

    ck_assert_int_eq(pf_report_open(&full, "/dev/full", NULL, &why), 0);
    ck_assert_int_eq(pf_report_record(&full, &record, &why), -1);
    ck_assert_ptr_nonnull(strstr(why.text, "/dev/full: cannot write"));
    ck_assert_int_eq(pf_report_record(&full, &record, &why), 0);
    ck_assert(full.out.failed);
    ck_assert_int_eq(pf_report_close(&full, &why), 0);
}
END_TEST

START_TEST(closed_pipe_is_told)
{
    struct pf_report standard_output;
    int fds[2];

    ck_assert(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
    ck_assert_int_eq(pipe(fds), 0);
    int old = dup(STDOUT_FILENO);
    ck_assert_int_eq(dup2(fds[1], STDOUT_FILENO), STDOUT_FILENO);
    int opened = pf_report_open(&standard_output, "-", NULL, &why);
    ck_assert_int_eq(dup2(old, STDOUT_FILENO), STDOUT_FILENO);
    ck_assert_int_eq(opened, 0);
    ck_assert_int_eq(close(old), 0);
    ck_assert_int_eq(close(fds[0]), 0);
    ck_assert_int_eq(close(fds[1]), 0);
    ck_assert_int_eq(pf_report_record(&standard_output, &record, &why), -1);
    ck_assert_ptr_nonnull(strstr(why.text, "standard output"));
    ck_assert_int_eq(pf_report_close(&standard_output, &why), 0);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("report");
    TCase *tcase = tcase_create("report");

    tcase_set_timeout(tcase, 30);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, full_record);
    tcase_add_test(tcase, a_record_of_head_has_the_length_declared);
    tcase_add_test(tcase, unknown_is_absent);
    tcase_add_test(tcase, failure_without_url);
    tcase_add_test(tcase, credentials_are_masked);
    tcase_add_loop_test(tcase, any_bytes_become_text, 0,
                        sizeof(texts) / sizeof(texts[0]));
    tcase_add_test(tcase, long_texts);
    tcase_add_test(tcase, records_are_lines);
    tcase_add_test(tcase, file_is_appended_to_and_mended);
    tcase_add_test(tcase, plan_lines);
    tcase_add_test(tcase, list_is_no_report);
    tcase_add_test(tcase, cannot_be_opened);
    tcase_add_test(tcase, full_disk_is_told_once);
    tcase_add_test(tcase, closed_pipe_is_told);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return suite_run(make_suite());
}
