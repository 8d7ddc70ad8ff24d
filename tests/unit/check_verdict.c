/* check_verdict.c - tests of verdict.c: every rule of acceptance.
 *
 * SPDX-License-Identifier: MIT
 */
#include "config.h"

#include "verdict.h"

#include "unit.h"

#include <stdio.h>
#include <string.h>

/* An attempt, as a row of a table. */
struct row {
    const char *header;   /* status and fields, without the end */
    int64_t body_bytes;
    int64_t asked_offset;
    int64_t asked_total;  /* 0: -1 */
    const char *asked_etag;
    enum pf_verdict verdict;
    enum pfetch_class cls;
};

static void feed(struct pf_response *r, const char *text)
{
    char line[256];

    while (*text != '\0') {
        size_t size = strcspn(text, "\n");

        (void)snprintf(line, sizeof(line), "%.*s\r\n", (int)size, text);
        ck_assert_int_eq(pf_response_header(r, line, strlen(line)), 0);
        text += size + (text[size] == '\n');
    }
}

static struct pf_attempt attempt_of(const char *header)
{
    struct pf_attempt a = { .asked_total = -1, .wanted_bytes = -1 };

    a.response = pf_response_create();
    ck_assert_ptr_nonnull(a.response);
    feed(a.response, header);
    if (*header != '\0')
        ck_assert_int_eq(pf_response_header(a.response, "\r\n", 2), 0);
    return a;
}

static enum pf_verdict judge(struct pf_attempt *a)
{
    struct pf_status_set set;

    ck_assert_int_eq(pf_status_set_parse(&set, "404,407,500-503"), 0);
    return pf_judge(a, &set);
}

static void check_row(const struct row *row)
{
    struct pf_attempt a = attempt_of(row->header);
    enum pf_verdict verdict;

    a.body_bytes = row->body_bytes;
    a.asked_offset = row->asked_offset;
    a.asked_total = row->asked_total == 0 ? -1 : row->asked_total;
    a.asked_etag = row->asked_etag;
    verdict = judge(&a);
    ck_assert_msg(verdict == row->verdict, "%s (%d bytes): verdict %d, not %d",
                  row->header, (int)row->body_bytes, verdict, row->verdict);
    ck_assert_msg(a.why.cls == row->cls, "%s (%d bytes): %s, not %s",
                  row->header, (int)row->body_bytes,
                  pfetch_class_name(a.why.cls), pfetch_class_name(row->cls));
    ck_assert((verdict == PF_ACCEPT) == (a.why.text[0] == '\0'));
    if (verdict == PF_ACCEPT)
        ck_assert(pf_is_acceptable(&a));
    pf_response_unref(a.response);
}

#define CHECK_ROWS(rows)                                            \
    for (size_t i = 0; i < sizeof(rows) / sizeof((rows)[0]); i++)   \
        check_row(&(rows)[i])

START_TEST(whole_bodies)
{
    static const struct row rows[] = {
        { "HTTP/1.1 200 OK\nContent-Length: 5", 5, 0, 0, NULL, PF_ACCEPT, 0 },
        { "HTTP/1.1 200 OK\nContent-Length: 0", 0, 0, 0, NULL, PF_ACCEPT, 0 },
        { "HTTP/1.1 200 OK", 5, 0, 0, NULL, PF_ACCEPT, 0 },
        { "HTTP/1.1 200 OK", 0, 0, 0, NULL, PF_ACCEPT, 0 },
        { "HTTP/1.1 200 OK\nTransfer-Encoding: chunked", 5, 0, 0, NULL,
          PF_ACCEPT, 0 },
        { "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\nContent-Length: 3", 5,
          0, 0, NULL, PF_ACCEPT, 0 },
        { "HTTP/1.1 200 OK\nContent-Length: 5", 4, 0, 0, NULL, PF_RETRY,
          PFETCH_CLASS_SHORT },
        { "HTTP/1.1 200 OK\nContent-Length: 5", 6, 0, 0, NULL, PF_RETRY,
          PFETCH_CLASS_SHORT },
        { "HTTP/1.1 200 OK\nContent-Length: 5", 0, 0, 0, NULL, PF_RETRY,
          PFETCH_CLASS_SHORT },
        { "HTTP/1.1 200 OK\nContent-Length: 9223372036854775807", 5, 0, 0,
          NULL, PF_RETRY, PFETCH_CLASS_SHORT },
    };

    CHECK_ROWS(rows);
}
END_TEST

START_TEST(no_body_where_none_was_asked_for)
{
    struct pf_attempt a = attempt_of("HTTP/1.1 200 OK\nContent-Length: 10");

    a.is_head = true;
    ck_assert_int_eq(judge(&a), PF_ACCEPT);
    a.is_head = false;
    ck_assert_int_eq(judge(&a), PF_RETRY);
    pf_response_unref(a.response);
    a = attempt_of("HTTP/1.1 405 Not Allowed\nContent-Length: 10");
    a.is_head = true;
    ck_assert_int_eq(judge(&a), PF_FAIL);
    pf_response_unref(a.response);
}
END_TEST

START_TEST(bad_framing_is_never_accepted)
{
    static const struct row rows[] = {
        { "HTTP/1.1 200 OK\nContent-Length: 5\nContent-Length: 6", 6, 0, 0,
          NULL, PF_FAIL, PFETCH_CLASS_PROTOCOL },
        { "HTTP/1.1 200 OK\nContent-Length: x", 5, 0, 0, NULL, PF_FAIL,
          PFETCH_CLASS_PROTOCOL },
        { "HTTP/1.1 503 No\nContent-Length: -1", 0, 0, 0, NULL, PF_FAIL,
          PFETCH_CLASS_PROTOCOL },
        { "", 0, 0, 0, NULL, PF_FAIL, PFETCH_CLASS_PROTOCOL },
        { "HTTP/1.1 xxx", 0, 0, 0, NULL, PF_FAIL, PFETCH_CLASS_PROTOCOL },
    };

    CHECK_ROWS(rows);
}
END_TEST

#define RANGE(range) "HTTP/1.1 206 Partial\nContent-Range: bytes " range

START_TEST(continued_bodies)
{
    static const struct row rows[] = {
        { RANGE("5-9/10\nContent-Length: 5"), 5, 5, 10, "\"a\"", PF_ACCEPT,
          0 },
        { RANGE("5-9/10\nETag: \"a\""), 5, 5, 0, "\"a\"", PF_ACCEPT, 0 },
        { RANGE("5-9/10\nTransfer-Encoding: chunked"), 5, 5, 10, "\"a\"",
          PF_ACCEPT, 0 },
        /* The whole instead: from byte 0. */
        { "HTTP/1.1 200 OK\nContent-Length: 7", 7, 5, 10, "\"a\"", PF_ACCEPT,
          0 },
        /* Broken off again, or a shorter range than there is. */
        { RANGE("5-9/10\nContent-Length: 5"), 3, 5, 10, NULL, PF_RETRY,
          PFETCH_CLASS_SHORT },
        { RANGE("5-7/10\nContent-Length: 3"), 3, 5, 10, NULL, PF_RETRY,
          PFETCH_CLASS_SHORT },
        { RANGE("5-9/10"), 4, 5, 10, NULL, PF_RETRY, PFETCH_CLASS_SHORT },
        { RANGE("5-9/10"), 6, 5, 10, NULL, PF_RETRY, PFETCH_CLASS_SHORT },
        { "HTTP/1.1 200 OK\nContent-Length: 7", 5, 5, 10, NULL, PF_RETRY,
          PFETCH_CLASS_SHORT },
    };

    CHECK_ROWS(rows);
}
END_TEST

START_TEST(wrong_ranges_begin_anew)
{
    static const struct row rows[] = {
        { RANGE("4-9/10"), 6, 5, 10, "\"a\"", PF_RESTART,
          PFETCH_CLASS_PROTOCOL },
        { RANGE("6-9/10"), 4, 5, 10, "\"a\"", PF_RESTART,
          PFETCH_CLASS_PROTOCOL },
        { RANGE("0-9/10"), 10, 5, 10, "\"a\"", PF_RESTART,
          PFETCH_CLASS_PROTOCOL },
        { RANGE("5-9/*"), 5, 5, 10, "\"a\"", PF_RESTART,
          PFETCH_CLASS_PROTOCOL },
        { RANGE("5-10/11"), 6, 5, 10, "\"a\"", PF_RESTART,
          PFETCH_CLASS_PROTOCOL },
        { RANGE("5-9/10\nETag: \"b\""), 5, 5, 10, "\"a\"", PF_RESTART,
          PFETCH_CLASS_PROTOCOL },
        { RANGE("5-9/10\nETag: W/\"a\""), 5, 5, 10, "\"a\"", PF_RESTART,
          PFETCH_CLASS_PROTOCOL },
        { "HTTP/1.1 206 Partial\nContent-Type: multipart/byteranges", 5, 5,
          10, "\"a\"", PF_RESTART, PFETCH_CLASS_PROTOCOL },
        { "HTTP/1.1 416 No\nContent-Range: bytes */10", 0, 10, 10, "\"a\"",
          PF_RESTART, PFETCH_CLASS_PROTOCOL },
        /* Nobody asked for these. */
        { RANGE("0-9/10"), 10, 0, 0, NULL, PF_FAIL, PFETCH_CLASS_PROTOCOL },
        { "HTTP/1.1 416 No", 0, 0, 0, NULL, PF_FAIL, PFETCH_CLASS_HTTP },
    };

    CHECK_ROWS(rows);
}
END_TEST

/* The range said 5-7, five bytes came, and 5 + 5 is the total. */
START_TEST(a_range_that_is_not_its_length_was_accepted)
{
    static const struct row rows[] = {
        { RANGE("5-7/10\nContent-Length: 5"), 5, 5, 10, NULL, PF_RESTART,
          PFETCH_CLASS_PROTOCOL },
        { RANGE("5-9/10\nContent-Length: 4"), 4, 5, 10, NULL, PF_RESTART,
          PFETCH_CLASS_PROTOCOL },
        { RANGE("5-7/10\nTransfer-Encoding: chunked"), 5, 5, 10, NULL,
          PF_RETRY, PFETCH_CLASS_SHORT },
    };

    CHECK_ROWS(rows);
}
END_TEST

START_TEST(statuses)
{
    static const struct row rows[] = {
        { "HTTP/1.1 404 x", 0, 0, 0, NULL, PF_RETRY, PFETCH_CLASS_HTTP },
        { "HTTP/1.1 503 x", 0, 0, 0, NULL, PF_RETRY, PFETCH_CLASS_HTTP },
        { "HTTP/1.1 504 x", 0, 0, 0, NULL, PF_FAIL, PFETCH_CLASS_HTTP },
        { "HTTP/1.1 403 x", 0, 0, 0, NULL, PF_FAIL, PFETCH_CLASS_HTTP },
        { "HTTP/1.1 407 x", 0, 0, 0, NULL, PF_RETRY, PFETCH_CLASS_PROXY },
        { "HTTP/1.1 999 x", 0, 0, 0, NULL, PF_FAIL, PFETCH_CLASS_HTTP },
        { "HTTP/1.1 201 x\nContent-Length: 5", 5, 0, 0, NULL, PF_FAIL,
          PFETCH_CLASS_HTTP },
        { "HTTP/1.1 204 x", 0, 0, 0, NULL, PF_FAIL, PFETCH_CLASS_HTTP },
        { "HTTP/1.1 304 x", 0, 0, 0, NULL, PF_FAIL, PFETCH_CLASS_HTTP },
        /* No Location. */
        { "HTTP/1.1 301 x", 0, 0, 0, NULL, PF_FAIL, PFETCH_CLASS_HTTP },
    };

    CHECK_ROWS(rows);
}
END_TEST

START_TEST(reasons_name_the_status)
{
    struct pf_attempt a = attempt_of("HTTP/1.1 404 the server's own words");

    (void)judge(&a);
    ck_assert_str_eq(a.why.text, "404 Not Found");
    pf_response_unref(a.response);
    a = attempt_of("HTTP/1.1 499 the server's own words");
    (void)judge(&a);
    ck_assert_str_eq(a.why.text, "499");
    pf_response_unref(a.response);
}
END_TEST

START_TEST(redirects)
{
    static const struct {
        const char *header;
        enum pf_verdict verdict;
    } rows[] = {
        { "HTTP/1.1 301 x", PF_REDIRECT }, { "HTTP/1.1 302 x", PF_REDIRECT },
        { "HTTP/1.1 303 x", PF_REDIRECT }, { "HTTP/1.1 307 x", PF_REDIRECT },
        { "HTTP/1.1 308 x", PF_REDIRECT }, { "HTTP/1.1 300 x", PF_FAIL },
        { "HTTP/1.1 304 x", PF_FAIL }, { "HTTP/1.1 305 x", PF_FAIL },
        { "HTTP/1.1 306 x", PF_FAIL }, { "HTTP/1.1 201 x", PF_FAIL },
    };
    char url[] = "http://h/";

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct pf_attempt a = attempt_of(rows[i].header);

        a.redirect_url = url;
        ck_assert_msg(judge(&a) == rows[i].verdict, "%s", rows[i].header);
        pf_response_unref(a.response);
    }
}
END_TEST

/* A transfer that broke is not saved by a complete header or body. */
START_TEST(a_broken_transfer_is_never_accepted)
{
    struct pf_attempt a = attempt_of("HTTP/1.1 200 OK\nContent-Length: 5");

    a.body_bytes = 5;
    pfetch_failure_set(&a.why, PFETCH_CLASS_TIMEOUT, "stalled");
    a.transient = true;
    ck_assert_int_eq(judge(&a), PF_RETRY);
    a.transient = false;
    ck_assert_int_eq(judge(&a), PF_FAIL);
    ck_assert_int_eq(a.why.cls, PFETCH_CLASS_TIMEOUT);
    ck_assert_str_eq(a.why.text, "stalled");
    pf_response_unref(a.response);
    a.response = NULL; /* out of memory */
    ck_assert_int_eq(judge(&a), PF_FAIL);
}
END_TEST

START_TEST(offsets_and_lengths)
{
    struct pf_attempt a = attempt_of(RANGE("5-9/10\nContent-Length: 5"));

    a.asked_offset = 5;
    ck_assert_int_eq(pf_body_offset(&a), 5);
    ck_assert_int_eq(pf_whole_length(&a), 10);
    pf_response_unref(a.response);
    a = attempt_of("HTTP/1.1 200 OK\nContent-Length: 7");
    a.asked_offset = 5;
    ck_assert_int_eq(pf_body_offset(&a), 0);
    ck_assert_int_eq(pf_whole_length(&a), 7);
    pf_response_unref(a.response);
    a = attempt_of("HTTP/1.1 200 OK\nTransfer-Encoding: chunked");
    ck_assert_int_eq(pf_whole_length(&a), -1);
    pf_response_unref(a.response);
}
END_TEST

START_TEST(size_that_the_list_gives)
{
    static const struct {
        const char *header;
        int64_t body_bytes, asked_offset;
        enum pf_verdict verdict;
        enum pfetch_class cls;
    } rows[] = {
        { "HTTP/1.1 200 OK\nContent-Length: 5", 5, 0, PF_ACCEPT, 0 },
        { "HTTP/1.1 200 OK", 5, 0, PF_ACCEPT, 0 },
        { RANGE("3-4/5"), 2, 3, PF_ACCEPT, 0 },
        { "HTTP/1.1 200 OK\nContent-Length: 6", 6, 0, PF_FAIL,
          PFETCH_CLASS_SIZE },
        { "HTTP/1.1 200 OK\nContent-Length: 4", 4, 0, PF_FAIL,
          PFETCH_CLASS_SIZE },
        { "HTTP/1.1 200 OK\nContent-Length: 0", 0, 0, PF_FAIL,
          PFETCH_CLASS_SIZE },
        { "HTTP/1.1 200 OK", 4, 0, PF_FAIL, PFETCH_CLASS_SIZE },
        { "HTTP/1.1 200 OK", 6, 0, PF_FAIL, PFETCH_CLASS_SIZE },
        { "HTTP/1.1 200 OK\nTransfer-Encoding: chunked", 4, 0, PF_FAIL,
          PFETCH_CLASS_SIZE },
        { RANGE("3-5/6"), 3, 3, PF_FAIL, PFETCH_CLASS_SIZE },
        /* the declared length is right, and the body too short */
        { "HTTP/1.1 200 OK\nContent-Length: 5", 4, 0, PF_RETRY,
          PFETCH_CLASS_SHORT },
        { "HTTP/1.1 404 Not\nContent-Length: 6", 0, 0, PF_RETRY,
          PFETCH_CLASS_HTTP },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct pf_attempt a = attempt_of(rows[i].header);

        a.body_bytes = rows[i].body_bytes;
        a.asked_offset = rows[i].asked_offset;
        a.wanted_bytes = 5;
        ck_assert_msg(judge(&a) == rows[i].verdict, "row %d: %s", (int)i,
                      a.why.text);
        ck_assert_int_eq(a.why.cls, rows[i].cls);
        pf_response_unref(a.response);
    }
}
END_TEST

/* As soon as it is known, and not later. */
START_TEST(size_that_cannot_be_reached)
{
    struct pf_attempt a = attempt_of("HTTP/1.1 200 OK");

    ck_assert(pf_may_fit(&a, 1000));
    a.wanted_bytes = 5;
    a.body_bytes = 3;
    ck_assert(pf_may_fit(&a, 2));
    ck_assert_int_eq(a.why.cls, PFETCH_CLASS_NONE);
    ck_assert(!pf_may_fit(&a, 3));
    ck_assert_int_eq(a.why.cls, PFETCH_CLASS_SIZE);
    pf_response_unref(a.response);

    a = attempt_of("HTTP/1.1 200 OK\nContent-Length: 6");
    a.wanted_bytes = 5;
    ck_assert(!pf_may_fit(&a, 1));
    ck_assert_int_eq(a.why.cls, PFETCH_CLASS_SIZE);
    pf_response_unref(a.response);
}
END_TEST

START_TEST(checksum_that_the_list_gives)
{
    struct pf_attempt a = attempt_of("HTTP/1.1 200 OK");

    ck_assert_int_eq(pf_judge_checksum(&a, "md5:0a", "md5:0A"), PF_ACCEPT);
    ck_assert_int_eq(a.why.cls, PFETCH_CLASS_NONE);
    ck_assert_int_eq(pf_judge_checksum(&a, "md5:0a", "md5:0b"), PF_FAIL);
    ck_assert_int_eq(a.why.cls, PFETCH_CLASS_CHECKSUM);
    pf_response_unref(a.response);

    /* What came before may have been wrong. */
    a = attempt_of(RANGE("5-9/10"));
    a.asked_offset = 5;
    ck_assert_int_eq(pf_judge_checksum(&a, "md5:0a", "md5:0a"), PF_ACCEPT);
    ck_assert_int_eq(pf_judge_checksum(&a, "md5:0a", "md5:0b"), PF_RESTART);
    ck_assert_int_eq(a.why.cls, PFETCH_CLASS_CHECKSUM);
    pf_response_unref(a.response);
}
END_TEST

START_TEST(not_modified)
{
    struct pf_attempt a = attempt_of("HTTP/1.1 304 Not Modified");

    ck_assert_int_eq(judge(&a), PF_FAIL);
    ck_assert_int_eq(a.why.cls, PFETCH_CLASS_HTTP);
    pf_response_unref(a.response);
    a = attempt_of("HTTP/1.1 304 Not Modified");
    a.asked_if_changed = true;
    ck_assert_int_eq(judge(&a), PF_UNCHANGED);
    pf_response_unref(a.response);
    a = attempt_of("HTTP/1.1 200 OK");
    a.asked_if_changed = true;
    ck_assert_int_eq(judge(&a), PF_ACCEPT);
    pf_response_unref(a.response);
}
END_TEST

/* It comes from an attribute, which anybody may have written. */
START_TEST(what_can_be_a_validator)
{
    static const struct {
        const char *validator, *header;
    } rows[] = {
        { "\"v\"", "If-None-Match: \"v\"" },
        { "W/\"v\"", "If-None-Match: W/\"v\"" },
        { "Sun, 06 Nov 1994 08:49:37 GMT",
          "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT" },
        { "", NULL }, { NULL, NULL }, { "\"", NULL }, { "\"a\"b\"", NULL },
        { "W/v", NULL }, { "\"a\r\nX: y\"", NULL }, { "a\nX: y", NULL },
        { "\x80", NULL },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct pfetch_job *job = unit_job("http://h/", 1);

        ck_assert_int_eq(pfetch_job_if_changed(job, rows[i].validator),
                         rows[i].header == NULL ? PFETCH_EINVAL : 0);
        if (rows[i].header == NULL)
            ck_assert_ptr_null(job->if_changed);
        else
            ck_assert_str_eq(job->if_changed, rows[i].header);
        pf_job_free(job);
    }
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("verdict");

    tcase_add_test(tests, whole_bodies);
    tcase_add_test(tests, no_body_where_none_was_asked_for);
    tcase_add_test(tests, bad_framing_is_never_accepted);
    tcase_add_test(tests, continued_bodies);
    tcase_add_test(tests, wrong_ranges_begin_anew);
    tcase_add_test(tests, a_range_that_is_not_its_length_was_accepted);
    tcase_add_test(tests, statuses);
    tcase_add_test(tests, reasons_name_the_status);
    tcase_add_test(tests, redirects);
    tcase_add_test(tests, a_broken_transfer_is_never_accepted);
    tcase_add_test(tests, offsets_and_lengths);
    tcase_add_test(tests, size_that_the_list_gives);
    tcase_add_test(tests, size_that_cannot_be_reached);
    tcase_add_test(tests, checksum_that_the_list_gives);
    tcase_add_test(tests, not_modified);
    tcase_add_test(tests, what_can_be_a_validator);
    return unit_run(tests, "verdict");
}
