/* check_response.c - tests of response.c.
 *
 * SPDX-License-Identifier: MIT
 */
#include "config.h"

#include "response.h"

#include "unit.h"

#include <string.h>

/* Feeds text line by line, as libcurl does: each with its line end. */
static void feed(struct pf_response *r, const char *text)
{
    while (*text != '\0') {
        const char *end = strchr(text, '\n');
        size_t size = end == NULL ? strlen(text) : (size_t)(end - text) + 1;

        ck_assert_int_eq(pf_response_header(r, text, size), 0);
        text += size;
    }
}

static struct pf_response *read_text(const char *text)
{
    struct pf_response *r = pf_response_create();

    ck_assert_ptr_nonnull(r);
    feed(r, text);
    ck_assert_uint_eq(r->header_bytes, strlen(text));
    return r;
}

/* A header with one field. */
static struct pf_response *read_one(const char *field)
{
    struct pf_response *r = pf_response_create();

    ck_assert_ptr_nonnull(r);
    feed(r, "HTTP/1.1 200 OK\r\n");
    feed(r, field);
    feed(r, "\r\n\r\n");
    ck_assert(r->is_complete);
    ck_assert_int_eq(r->status, 200);
    return r;
}

START_TEST(a_fresh_response_knows_nothing)
{
    struct pf_response *r = pf_response_create();

    ck_assert_int_eq(r->status, 0);
    ck_assert(!r->is_complete && !r->chunked && r->bad == NULL);
    ck_assert_int_eq(r->length, -1);
    ck_assert_int_eq(r->range_start, -1);
    ck_assert_int_eq(r->range_end, -1);
    ck_assert_int_eq(r->range_total, -1);
    ck_assert_int_eq(r->last_modified_unix, -1);
    ck_assert_int_eq(pf_response_body_length(r), -1);
    pf_response_unref(r);
    pf_response_unref(NULL);
}
END_TEST

START_TEST(the_last_reference_frees)
{
    struct pf_response *r = read_one("ETag: \"x\"");

    ck_assert_ptr_eq(pf_response_ref(r), r);
    pf_response_unref(r);
    ck_assert_str_eq(r->etag, "\"x\"");
    pf_response_unref(r);
}
END_TEST

START_TEST(fields_are_read)
{
    struct pf_response *r = read_text("HTTP/1.0 206 Partial Content\r\n"
                                      "content-LENGTH: \t 5 \r\n"
                                      "Content-Range: bytes 5-9/10\r\n"
                                      "ETag:\"a\"\r\n"
                                      "Last-Modified: some day\n"
                                      "Content-Type: text/plain; x=y\r\n"
                                      "Retry-After: 7\r\n"
                                      "Server: x\r\n"
                                      "no colon\r\n"
                                      ": no name\r\n"
                                      "\r\n");

    ck_assert_int_eq(r->status, 206);
    ck_assert_int_eq(r->version, 10);
    ck_assert(r->is_complete);
    ck_assert_ptr_null(r->bad);
    ck_assert_int_eq(r->length, 5);
    ck_assert_int_eq(pf_response_body_length(r), 5);
    ck_assert_int_eq(r->range_start, 5);
    ck_assert_int_eq(r->range_end, 9);
    ck_assert_int_eq(r->range_total, 10);
    ck_assert_str_eq(r->etag, "\"a\"");
    ck_assert_str_eq(r->last_modified, "some day");
    ck_assert_str_eq(r->content_type, "text/plain; x=y");
    ck_assert_str_eq(r->retry_after, "7");
    pf_response_unref(r);
}
END_TEST

START_TEST(status_lines)
{
    static const struct {
        const char *line;
        int status, version;
    } lines[] = {
        { "HTTP/1.1 200 OK\r\n", 200, 11 }, { "HTTP/1.1 404\r\n", 404, 11 },
        { "HTTP/2 200 \r\n", 200, 20 }, { "HTTP/3 204\r\n", 204, 30 },
        { "http/1.1 500 x", 500, 11 }, { "HTTP/1.1 999 x", 999, 11 },
        { "HTTP/1.1 99 x", 0, 11 }, { "HTTP/1.1 1000 x", 0, 11 },
        { "HTTP/1.1 -200 x", 0, 11 }, { "HTTP/1.1 xx", 0, 11 },
        { "HTTP/x 200", 0, 0 }, { "HTTP/99999999999999999999 200", 0, 0 },
        { "HTTP/1.99 200", 0, 0 },
        { "HTTP/1.1 99999999999999999999 OK", 0, 11 },
    };

    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        struct pf_response *r = read_text(lines[i].line);

        ck_assert_msg(r->status == lines[i].status, "%s", lines[i].line);
        ck_assert_msg(r->version == lines[i].version, "%s", lines[i].line);
        pf_response_unref(r);
    }
}
END_TEST

START_TEST(content_length_is_read_strictly)
{
    static const struct {
        const char *field;
        int64_t length; /* -1: bad */
    } fields[] = {
        { "Content-Length: 0", 0 }, { "Content-Length: 007", 7 },
        { "Content-Length: 9223372036854775807", INT64_MAX },
        { "Content-Length: 5, 5", 5 }, { "Content-Length: 5,5 ,5", 5 },
        { "Content-Length: 5\r\nContent-Length: 5", 5 },
        { "Content-Length: 9223372036854775808", -1 },
        { "Content-Length: 1000000000000000000000000000000", -1 },
        { "Content-Length:", -1 }, { "Content-Length: -5", -1 },
        { "Content-Length: +5", -1 }, { "Content-Length: 5x", -1 },
        { "Content-Length: 5 5", -1 }, { "Content-Length: 0x5", -1 },
        { "Content-Length: 5.0", -1 }, { "Content-Length: 5,", -1 },
        { "Content-Length: ,5", -1 }, { "Content-Length: 5, 6", -1 },
        { "Content-Length: 5\r\nContent-Length: 6", -1 },
        { "Content-Length: 5\r\nContent-Length: x", -1 },
        { "Content-Length:\r\n 5", -1 },
    };

    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        struct pf_response *r = read_one(fields[i].field);

        ck_assert_msg((r->bad == NULL) == (fields[i].length >= 0), "%s",
                      fields[i].field);
        if (r->bad == NULL)
            ck_assert_int_eq(r->length, fields[i].length);
        pf_response_unref(r);
    }
}
END_TEST

START_TEST(only_whole_ranges_are_read)
{
    static const char *const bad[] = {
        "", "bytes", "bytes ", "bytes */10", "bytes 5-9", "bytes 5-9/",
        "bytes 5-9/x", "bytes 5-9/9", "bytes 9-5/10", "bytes -9/10",
        "bytes 5-/10", "bytes 5 - 9/10", "items 5-9/10", "bytes=5-9/10",
        "bytes 5-9/10x", "bytes 5-9/10, 5-9/10", "5-9/10",
        "bytes 0-9223372036854775808/*",
        "bytes 99999999999999999999-99999999999999999999/*",
        "bytes 0-1/99999999999999999999",
    };
    struct pf_response *r;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char field[128] = "Content-Range: ";

        r = read_one(strcat(field, bad[i]));
        ck_assert_msg(r->range_start == -1 && r->range_end == -1
                          && r->range_total == -1, "%s", bad[i]);
        pf_response_unref(r);
    }
    r = read_one("Content-Range: BYTES  0-0/*");
    ck_assert_int_eq(r->range_start, 0);
    ck_assert_int_eq(r->range_end, 0);
    ck_assert_int_eq(r->range_total, -1);
    pf_response_unref(r);
    r = read_one("Content-Range: bytes 0-9223372036854775806/"
                 "9223372036854775807");
    ck_assert_int_eq(r->range_total, INT64_MAX);
    pf_response_unref(r);
}
END_TEST

START_TEST(chunked_hides_the_length)
{
    static const struct {
        const char *field;
        bool chunked, bad;
    } fields[] = {
        { "Transfer-Encoding: chunked", true, false },
        { "transfer-encoding:CHUNKED ", true, false },
        { "Transfer-Encoding: gzip, chunked", true, true },
        { "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked", true,
          true },
        { "Transfer-Encoding: chunked, gzip", false, true },
        { "Transfer-Encoding: xchunked", false, true },
        { "Transfer-Encoding: chunked,", false, false },
        { "Transfer-Encoding: identity", false, false },
        { "Transfer-Encoding:", false, false },
        { "X-Transfer-Encoding: chunked", false, false },
    };

    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        char field[128] = "Content-Length: 5\r\n";
        struct pf_response *r = read_one(strcat(field, fields[i].field));

        ck_assert_msg(r->chunked == fields[i].chunked, "%s", fields[i].field);
        ck_assert_msg((r->bad != NULL) == fields[i].bad, "%s",
                      fields[i].field);
        ck_assert_int_eq(r->length, 5);
        ck_assert_int_eq(pf_response_body_length(r),
                         fields[i].chunked ? -1 : 5);
        pf_response_unref(r);
    }
}
END_TEST

START_TEST(informational_answers_are_forgotten)
{
    struct pf_response *r = read_text("HTTP/1.1 103 Early Hints\r\n"
                                      "Content-Length: x\r\n"
                                      "Transfer-Encoding: chunked\r\n"
                                      "Content-Range: bytes 0-1/2\r\n"
                                      "ETag: \"old\"\r\n"
                                      "Content-Type: old\r\n"
                                      "Last-Modified: old\r\n"
                                      "Retry-After: 1\r\n"
                                      "\r\n"
                                      "HTTP/1.1 200 OK\r\n"
                                      "\r\n");

    ck_assert_int_eq(r->status, 200);
    ck_assert(r->is_complete && !r->chunked && r->bad == NULL);
    ck_assert_int_eq(r->length, -1);
    ck_assert_int_eq(r->range_start, -1);
    ck_assert_ptr_null(r->etag);
    ck_assert_ptr_null(r->content_type);
    ck_assert_ptr_null(r->last_modified);
    ck_assert_ptr_null(r->retry_after);
    pf_response_unref(r);
}
END_TEST

START_TEST(trailers_change_nothing)
{
    struct pf_response *r = read_text("HTTP/1.1 200 OK\r\n"
                                      "Content-Length: 5\r\n"
                                      "\r\n"
                                      "Content-Length: 6\r\n"
                                      "ETag: \"late\"\r\n"
                                      "HTTP/1.1 404 Not Found\r\n"
                                      "\r\n");

    ck_assert_int_eq(r->status, 200);
    ck_assert_int_eq(r->length, 5);
    ck_assert_ptr_null(r->etag);
    ck_assert_ptr_null(r->bad);
    pf_response_unref(r);
}
END_TEST

/* A status line in the middle of a header made a 404 a 200. */
START_TEST(a_status_line_inside_a_header_began_it_anew)
{
    struct pf_response *r = read_text("HTTP/1.1 404 Not Found\r\n"
                                      "Content-Length: 5\r\n"
                                      "HTTP/1.1 200 OK\r\n"
                                      " HTTP/1.1 200 OK\r\n"
                                      "\r\n");

    ck_assert_int_eq(r->status, 404);
    ck_assert_int_eq(r->length, 5);
    pf_response_unref(r);
}
END_TEST

/* A line of blanks continues the field before; libcurl reads on, too. */
START_TEST(a_line_of_blanks_ended_the_header)
{
    struct pf_response *r = read_text("HTTP/1.1 200 OK\r\n"
                                      "X: a\r\n"
                                      " \t\r\n");

    ck_assert(!r->is_complete);
    feed(r, "Content-Length: 5\r\n\r\n");
    ck_assert(r->is_complete);
    ck_assert_int_eq(r->length, 5);
    pf_response_unref(r);
}
END_TEST

/* What continues the field before is no field, for libcurl neither. */
START_TEST(folded_lines_were_read_as_fields)
{
    struct pf_response *r = read_one("X: a\r\n Content-Length: 5\r\n"
                                     "\tTransfer-Encoding: chunked");

    ck_assert_int_eq(r->length, -1);
    ck_assert(!r->chunked);
    ck_assert_ptr_null(r->bad);
    pf_response_unref(r);
}
END_TEST

START_TEST(a_nul_byte_is_bad)
{
    static const char line[] = "Content-Length: 5\0006\r\n";
    struct pf_response *r = read_text("HTTP/1.1 200 OK\r\n");

    ck_assert_int_eq(pf_response_header(r, line, sizeof(line) - 1), 0);
    ck_assert_ptr_nonnull(r->bad);
    ck_assert_int_eq(r->length, -1);
    pf_response_unref(r);
}
END_TEST

START_TEST(the_last_of_equal_fields_counts)
{
    struct pf_response *r = read_one("ETag: \"a\"\r\nETag: \"b\"");

    ck_assert_str_eq(r->etag, "\"b\"");
    pf_response_unref(r);
}
END_TEST

START_TEST(strong_etags)
{
    static const char *const strong[] = { "\"\"", "\"a\"", "\"W/a\"",
                                          "\"\xc3\xa4!~\"" };
    static const char *const weak[] = {
        "", "\"", "a", "W/\"a\"", "w/\"a\"", "\"a", "a\"", "\"a\"b\"",
        "\"a b\"", "\"a\"\"", "\"a\r\n\"", "\"a\x7f\"", "\"a\t\"", " \"a\"",
    };

    for (size_t i = 0; i < sizeof(strong) / sizeof(strong[0]); i++)
        ck_assert_msg(pf_is_strong_etag(strong[i]), "%s", strong[i]);
    for (size_t i = 0; i < sizeof(weak) / sizeof(weak[0]); i++)
        ck_assert_msg(!pf_is_strong_etag(weak[i]), "%s", weak[i]);
    ck_assert(!pf_is_strong_etag(NULL));
}
END_TEST

static void read_line(struct pf_response *r, const char *line)
{
    ck_assert_int_eq(pf_response_header(r, line, strlen(line)), 0);
}

/* A job that waits for another attempt kept a header of up to 256 KiB. */
START_TEST(what_waits_keeps_no_long_texts)
{
    char line[8192] = "ETag: \"";
    struct pf_response *r = pf_response_create(), *before = r;

    read_line(r, "HTTP/1.1 500 x\r\n");
    read_line(r, "Content-Type: text/plain\r\n");
    pf_response_shorten(&r);
    ck_assert_ptr_eq(r, before); /* it is short */
    memset(line + 7, 'e', 4000);
    strcpy(line + 4007, "\"\r\n");
    read_line(r, line);
    read_line(r, "\r\n");
    pf_response_ref(r); /* that of a block */
    pf_response_shorten(&r);
    ck_assert_ptr_ne(r, before);
    ck_assert_ptr_nonnull(before->etag);
    ck_assert_ptr_null(r->etag);
    ck_assert_ptr_null(r->content_type);
    ck_assert_int_eq(r->status, 500);
    ck_assert_int_eq(r->version, 11);
    ck_assert(r->is_complete);
    pf_response_unref(before);
    pf_response_unref(r);
    r = NULL;
    pf_response_shorten(&r);
    ck_assert_ptr_null(r);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("response");

    tcase_add_test(tests, what_waits_keeps_no_long_texts);

    tcase_add_test(tests, a_fresh_response_knows_nothing);
    tcase_add_test(tests, the_last_reference_frees);
    tcase_add_test(tests, fields_are_read);
    tcase_add_test(tests, status_lines);
    tcase_add_test(tests, content_length_is_read_strictly);
    tcase_add_test(tests, only_whole_ranges_are_read);
    tcase_add_test(tests, chunked_hides_the_length);
    tcase_add_test(tests, informational_answers_are_forgotten);
    tcase_add_test(tests, trailers_change_nothing);
    tcase_add_test(tests, a_status_line_inside_a_header_began_it_anew);
    tcase_add_test(tests, a_line_of_blanks_ended_the_header);
    tcase_add_test(tests, folded_lines_were_read_as_fields);
    tcase_add_test(tests, a_nul_byte_is_bad);
    tcase_add_test(tests, the_last_of_equal_fields_counts);
    tcase_add_test(tests, strong_etags);
    return unit_run(tests, "response");
}
