/* check_input.c - the reader of lists: every rule for a line, wherever a read
 * ends, through files and pipes.
 *
 * SPDX-License-Identifier: MIT
 */
#include "config.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "input.h"
#include "suite.h"

#ifdef HAVE_ZLIB
#include <zlib.h>
#endif

/* What a list is expected to yield: one of these a line.  bad: a part of the
 * text why it fails; NULL: it does not. */
struct expected {
    uint64_t line;
    const char *url, *id, *bad;
};

static struct pf_input *open_lists(const char *const *urls,
                                   const char *const *lists, bool null)
{
    struct pf_input *input;
    struct pfetch_failure why = {.text = ""};
    struct pf_input_options options = {
        .urls = urls, .lists = lists, .null_separated = null, .glob = true};

    ck_assert_msg(pf_input_create(&input, &options, &why) == 0,
                  "%s", why.text);
    return input;
}

static void expect_next(struct pf_input *input, const char *list,
                        const struct expected *expected)
{
    struct pf_line line;
    struct pfetch_failure why = {.text = ""};
    enum pf_input_result result = pf_input_next(input, &line, &why);

    ck_assert_int_eq(result, expected->bad == NULL ? PF_INPUT_LINE
                                                   : PF_INPUT_BAD_LINE);
    ck_assert_pstr_eq(line.list, list);
    ck_assert_uint_eq(line.line, expected->line);
    ck_assert_pstr_eq(line.url, expected->url);
    if (expected->bad == NULL) {
        ck_assert_pstr_eq(line.id, expected->id);
        return;
    }
    ck_assert_msg(strstr(why.text, expected->bad) != NULL,
                  "'%s' is not in '%s'", expected->bad, why.text);
    ck_assert_int_eq(why.cls, PFETCH_CLASS_URL);
}

static void expect_end(struct pf_input *input)
{
    struct pf_line line;
    struct pfetch_failure why;

    ck_assert_int_eq(pf_input_next(input, &line, &why), PF_INPUT_END);
}

/* Reads everything; `expected` ends with line 0. */
static void expect_all(struct pf_input *input, const char *list,
                       const struct expected *expected)
{
    for (; expected->line != 0; expected++)
        expect_next(input, list, expected);
    expect_end(input);
}

static void make_file(char *name, const char *text, size_t size)
{
    int fd = mkstemp(name);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, size), (ssize_t)size);
    ck_assert_int_eq(close(fd), 0);
}

static void check_file(const char *text, size_t size, bool null,
                       const struct expected *expected)
{
    char name[] = "check_input.XXXXXX";
    const char *lists[] = {name, NULL};

    make_file(name, text, size);
    struct pf_input *input = open_lists(NULL, lists, null);
    expect_all(input, name, expected);
    pf_input_free(input);
    ck_assert_int_eq(unlink(name), 0);
}

#define CHECK_FILE(text, null, ...)                    \
    check_file(text, sizeof(text) - 1, null,           \
               (const struct expected[]){__VA_ARGS__,  \
                                         {0, NULL, NULL, NULL}})

START_TEST(plain_lines)
{
    CHECK_FILE("http://a/\nhttp://b/\n", false,
               {1, "http://a/", NULL, NULL}, {2, "http://b/", NULL, NULL});
    CHECK_FILE("http://a/\nhttp://b/", false,
               {1, "http://a/", NULL, NULL}, {2, "http://b/", NULL, NULL});
    CHECK_FILE("http://a/\r\nhttp://b/\r\n", false,
               {1, "http://a/", NULL, NULL}, {2, "http://b/", NULL, NULL});
    CHECK_FILE("http://a/\r\nhttp://b/\r", false,
               {1, "http://a/", NULL, NULL}, {2, "http://b/", NULL, NULL});
    CHECK_FILE("\xef\xbb\xbfhttp://a/\n", false,
               {1, "http://a/", NULL, NULL});
    CHECK_FILE("  http://a/ x \t \n", false, {1, "http://a/ x", NULL, NULL});
    CHECK_FILE("http://\xc3\xbc/\xff\n", false,
               {1, "http://\xc3\xbc/\xff", NULL, NULL});
}
END_TEST

static void check_nothing(const char *text, size_t size)
{
    static const struct expected nothing[] = {{0, NULL, NULL, NULL}};

    check_file(text, size, false, nothing);
}

START_TEST(lines_that_ask_for_nothing)
{
    check_nothing("", 0);
    check_nothing("\n", 1);
    check_nothing("\r\n \t\r\n\n", 7);
    check_nothing("# comment", 9);
    check_nothing("\xef\xbb\xbf", 3);
    check_nothing("\xff\xfe", 2);
    CHECK_FILE("\n#c\n  # c\nhttp://a/#b\n\n", false,
               {4, "http://a/#b", NULL, NULL});
    CHECK_FILE("\xef\xbb\xbf# c\nx", false, {2, "x", NULL, NULL});
}
END_TEST

START_TEST(fields)
{
    CHECK_FILE("u\tid=7\n", false, {1, "u", "7", NULL});
    CHECK_FILE("u \t id=7\n", false, {1, "u", NULL, "field ' id': unknown"});
    CHECK_FILE("u\tid=\nv\tid=a=b c\nw\n", false, {1, "u", "", NULL},
               {2, "v", "a=b c", NULL}, {3, "w", NULL, NULL});
    CHECK_FILE("u\touts=x\tid=1\n", false,
               {1, "u", NULL, "field 'outs': unknown"});
    CHECK_FILE("u\tid\n", false, {1, "u", NULL, "field 'id' has no '='"});
    CHECK_FILE("u\tidx=1\n", false, {1, "u", NULL, "field 'idx': unknown"});
    CHECK_FILE("u\tid=1\t\tid=2\n", false,
               {1, "u", NULL, "field '' has no '='"});
    CHECK_FILE("u\tid=1\tid=2\n", false, {1, "u", NULL, "twice"});
    CHECK_FILE("u\t=1\n", false, {1, "u", NULL, "field '': unknown"});
}
END_TEST

#define HEX32 "0123456789abcdefABCDEF0123456789"

/* The only line has that checksum field; is it accepted? */
static void check_checksum(const char *checksum, bool good)
{
    char text[512];
    const struct expected expected[] = {
        {1, "u", NULL, good ? NULL : "field 'checksum': not ALGO:HEX"},
        {0, NULL, NULL, NULL}};

    int size = snprintf(text, sizeof(text), "u\tchecksum=%s", checksum);
    check_file(text, (size_t)size, false, expected);
}

START_TEST(checksum_fields)
{
    check_checksum("md5:" HEX32, true);
    check_checksum("sha1:" HEX32 "01234567", true);
    check_checksum("sha256:" HEX32 HEX32, true);
    check_checksum("sha512:" HEX32 HEX32 HEX32 HEX32, true);
    check_checksum("", false);
    check_checksum(":", false);
    check_checksum("md5", false);
    check_checksum("md5:", false);
    check_checksum("md5:" HEX32 "0", false);
    check_checksum("md5:0123456789abcdefABCDEF012345678", false);
    check_checksum("md5:0123456789abcdefABCDEF012345678g", false);
    check_checksum("md5: " HEX32, false);
    check_checksum("sha256:" HEX32, false);
    check_checksum("sha224:" HEX32 "012345678901234567890123", false);
    check_checksum("sha2567:" HEX32 HEX32, false);
    check_checksum("SHA256:" HEX32 HEX32, false);
    check_checksum(HEX32 HEX32, false);
}
END_TEST

/* The only line has that size; bad: a part of why it is not accepted. */
static void check_size(const char *text, int64_t size, const char *bad)
{
    char line[128], name[] = "check_input.XXXXXX";
    const char *lists[] = {name, NULL};
    struct pf_line read;
    struct pfetch_failure why;

    make_file(name, line, (size_t)snprintf(line, sizeof(line), "u\tsize=%s",
                                           text));
    struct pf_input *input = open_lists(NULL, lists, false);
    enum pf_input_result result = pf_input_next(input, &read, &why);
    ck_assert_int_eq(result, bad == NULL ? PF_INPUT_LINE : PF_INPUT_BAD_LINE);
    if (bad == NULL)
        ck_assert_int_eq(read.size_bytes, size);
    else
        ck_assert_ptr_nonnull(strstr(why.text, bad));
    pf_input_free(input);
    ck_assert_int_eq(unlink(name), 0);
}

START_TEST(size_fields)
{
    static const char *const bad[] = {
        "", "-1", "+1", " 1", "1 2", "1k", "0x10", "1.0", "x",
        "9223372036854775808", "18446744073709551617",
        "99999999999999999999999999",
    };

    check_size("0", 0, NULL);
    check_size("007", 7, NULL);
    check_size("9223372036854775807", INT64_MAX, NULL);
    check_size("5 ", 5, NULL); /* blanks at the end of the line are cut off */
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        check_size(bad[i], 0, "field 'size': no number of bytes");
    check_size("1\tsize=1", 0, "field 'size': given twice");
    check_size("0\tsize=1", 0, "field 'size': given twice");
}
END_TEST

START_TEST(all_fields_in_any_order)
{
    static const char *const orders[] = {
        "u\tout=a/b c\tchecksum=md5:" HEX32 "\tsize=12\tid=x=y",
        "u\tid=x=y\tsize=12\tchecksum=md5:" HEX32 "\tout=a/b c",
    };

    for (int i = 0; i < 2; i++) {
        char name[] = "check_input.XXXXXX";
        const char *lists[] = {name, NULL};
        struct pf_line line;
        struct pfetch_failure why;

        make_file(name, orders[i], strlen(orders[i]));
        struct pf_input *input = open_lists(NULL, lists, false);
        ck_assert_int_eq(pf_input_next(input, &line, &why), PF_INPUT_LINE);
        ck_assert_str_eq(line.url, "u");
        ck_assert_str_eq(line.out, "a/b c");
        ck_assert_str_eq(line.checksum, "md5:" HEX32);
        ck_assert_int_eq(line.size_bytes, 12);
        ck_assert_str_eq(line.id, "x=y");
        pf_input_free(input);
        ck_assert_int_eq(unlink(name), 0);
    }
    CHECK_FILE("u\tout=a\tout=b\nv\n", false,
               {1, "u", NULL, "field 'out': given twice"},
               {2, "v", NULL, NULL});
}
END_TEST

/* Said once, for the line that begins so; what follows is judged as ever. */
START_TEST(markup_is_no_list)
{
    CHECK_FILE("# c\n\n <!DOCTYPE html>\n<a href=x>\nhttp://a/\n", false,
               {3, "<!DOCTYPE html>", NULL, "looks like HTML"},
               {4, "<a href=x>", NULL, NULL}, {5, "http://a/", NULL, NULL});
    CHECK_FILE("http://a/\n<p>\n", false, {1, "http://a/", NULL, NULL},
               {2, "<p>", NULL, NULL});
}
END_TEST

START_TEST(bytes_that_do_not_belong)
{
    CHECK_FILE("a\x1b[2Jb\nok\n", false, {1, "a\x1b[2Jb", NULL, "control"},
               {2, "ok", NULL, NULL});
    CHECK_FILE("a\x7f\nok\n", false, {1, "a\x7f", NULL, "control"},
               {2, "ok", NULL, NULL});
    CHECK_FILE("a\rb\n", false, {1, "a\rb", NULL, "control"});
    CHECK_FILE("a\0b\nok\n", false, {1, "a", NULL, "NUL"},
               {2, "ok", NULL, NULL});
    CHECK_FILE("a\tid=\x01\n", false, {1, "a\tid=\x01", NULL, "control"});
}
END_TEST

START_TEST(utf16_fails_line_by_line)
{
    CHECK_FILE("\xff\xfe" "a\0\r\0\n\0" "b\0\n\0", false,
               {1, NULL, NULL, "convert the list to UTF-8"},
               {2, NULL, NULL, "UTF-16"});
    CHECK_FILE("\xfe\xff" "\0a\0\n" "\0b", false, {1, NULL, NULL, "UTF-16"},
               {2, NULL, NULL, "UTF-16"});
}
END_TEST

START_TEST(null_separated)
{
    CHECK_FILE("a\0b\tid=1\0c", true, {1, "a", NULL, NULL},
               {2, "b", "1", NULL}, {3, "c", NULL, NULL});
    CHECK_FILE("a\nb\0c\r\0\0#x\0d\0", true, {1, "a\nb", NULL, "control"},
               {2, "c\r", NULL, "control"}, {5, "d", NULL, NULL});
}
END_TEST

/* --- long lines ----------------------------------------------------------- */

/* A line of `length` bytes between two good ones. */
static void check_long_line(size_t length, bool carriage_return, bool fits)
{
    char *text = malloc(length + 64);
    char *url = malloc(length + 1);
    char *at = text;

    ck_assert_ptr_nonnull(text);
    ck_assert_ptr_nonnull(url);
    memset(url, 'x', length);
    url[length] = '\0';
    at += sprintf(at, "first\n");
    memcpy(at, url, length);
    at += length;
    at += sprintf(at, "%s\nlast\n", carriage_return ? "\r" : "");
    const struct expected expected[] = {
        {1, "first", NULL, NULL},
        {2, fits ? url : NULL, NULL, fits ? NULL : "longer than 64 KiB"},
        {3, "last", NULL, NULL},
        {0, NULL, NULL, NULL}};
    check_file(text, (size_t)(at - text), false, expected);
    free(text);
    free(url);
}

START_TEST(long_lines)
{
    check_long_line(PF_INPUT_LINE_BYTES, false, true);
    check_long_line(PF_INPUT_LINE_BYTES, true, true);
    check_long_line(PF_INPUT_LINE_BYTES + 1, false, false);
    check_long_line(PF_INPUT_LINE_BYTES + 1, true, false);
    check_long_line(PF_INPUT_LINE_BYTES + 2, false, false);
    for (size_t i = 0; i < 8; i++) /* around the size of the buffer */
        check_long_line(4 * PF_INPUT_LINE_BYTES - 10 + i, i % 2, false);
    check_long_line(1000 * 1000, false, false);
}
END_TEST

START_TEST(long_line_without_end)
{
    size_t size = 3 * 1000 * 1000;
    char *text = malloc(size);
    static const struct expected expected[] = {
        {1, NULL, NULL, "longer"}, {0, NULL, NULL, NULL}};

    ck_assert_ptr_nonnull(text);
    memset(text, 'x', size);
    check_file(text, size, false, expected);
    free(text);
}
END_TEST

/* --- reads that end anywhere ---------------------------------------------- */

static const char split_text[] =
    "\xef\xbb\xbf" "http://a/1\r\n# c\r\n\n  http://b/2\tid=x\n"
    "c\x01\r\nhttp://d/4";

static const struct expected split_expected[] = {
    {1, "http://a/1", NULL, NULL},
    {4, "http://b/2", "x", NULL},
    {5, "c\x01", NULL, "control"},
    {6, "http://d/4", NULL, NULL},
    {0, NULL, NULL, NULL}};

/* Writes to a pipe in two parts; the second when the first was read. */
struct parts {
    int fd;
    const char *text;
    size_t size;
    size_t first;
};

static void *write_parts(void *argument)
{
    struct parts *parts = argument;
    size_t rest = parts->size - parts->first;

    ck_assert_int_eq(write(parts->fd, parts->text, parts->first),
                     (ssize_t)parts->first);
    /* A packet pipe: what was written apart is read apart. */
    ck_assert_int_eq(write(parts->fd, parts->text + parts->first, rest),
                     (ssize_t)rest);
    ck_assert_int_eq(close(parts->fd), 0);
    return NULL;
}

/* Makes the read end of a pipe standard input; returns the write end. */
static int make_stdin(int flags)
{
    int fds[2];

    ck_assert_int_eq(pipe2(fds, flags), 0);
    ck_assert_int_eq(dup2(fds[0], STDIN_FILENO), STDIN_FILENO);
    ck_assert_int_eq(close(fds[0]), 0);
    return fds[1];
}

/* Text that yields split_expected, in two parts, wherever they meet. */
static void check_split(const char *text, size_t size)
{
    static const char *const lists[] = {"-", NULL};

    for (size_t first = 1; first < size; first++) {
        struct parts parts = {make_stdin(O_DIRECT), text, size, first};
        struct pf_input *input = open_lists(NULL, lists, false);
        pthread_t thread;

        ck_assert_int_eq(
            pthread_create(&thread, NULL, write_parts, &parts), 0);
        expect_all(input, "-", split_expected);
        ck_assert_int_eq(pthread_join(thread, NULL), 0);
        pf_input_free(input);
    }
}

START_TEST(lines_split_across_reads)
{
    check_split(split_text, sizeof(split_text) - 1);
}
END_TEST

#ifdef HAVE_ZLIB

START_TEST(compressed_lines_split_across_reads)
{
    static char packed[1024];
    static char text[sizeof(split_text)]; /* zlib's input is not const */
    z_stream z = {.next_in = (Bytef *)text,
                  .avail_in = sizeof(split_text) - 1,
                  .next_out = (Bytef *)packed,
                  .avail_out = sizeof(packed)};

    memcpy(text, split_text, sizeof(text));
    ck_assert_int_eq(deflateInit2(&z, 6, Z_DEFLATED, 16 + MAX_WBITS, 8,
                                  Z_DEFAULT_STRATEGY), Z_OK);
    ck_assert_int_eq(deflate(&z, Z_FINISH), Z_STREAM_END);
    ck_assert_int_eq(deflateEnd(&z), Z_OK);
    check_split(packed, sizeof(packed) - z.avail_out);
}
END_TEST

#endif

START_TEST(lines_byte_by_byte)
{
    static const char *const lists[] = {"-", NULL};
    int fd = make_stdin(O_DIRECT);
    struct pf_input *input = open_lists(NULL, lists, false);

    for (size_t i = 0; i < sizeof(split_text) - 1; i++)
        if (i < 12) /* a packet pipe holds few packets */
            ck_assert_int_eq(write(fd, split_text + i, 1), 1);
    ck_assert_int_eq(write(fd, split_text + 12, sizeof(split_text) - 13),
                     (ssize_t)sizeof(split_text) - 13);
    ck_assert_int_eq(close(fd), 0);
    expect_all(input, "-", split_expected);
    pf_input_free(input);
}
END_TEST

/* Lines of many lengths, so that the end of the buffer falls everywhere. */
START_TEST(lines_across_the_buffer)
{
    enum { LINES = 20000 };
    char name[] = "check_input.XXXXXX";
    const char *lists[] = {name, NULL};
    char url[256], id[16];
    int fd = mkstemp(name);
    FILE *file = fdopen(fd, "w");

    ck_assert_ptr_nonnull(file);
    memset(url, 'x', sizeof(url));
    for (int i = 1; i <= LINES; i++)
        fprintf(file, "http://%.*s\tid=%d\n", i * 7919 % 200, url, i);
    ck_assert_int_eq(fclose(file), 0);
    struct pf_input *input = open_lists(NULL, lists, false);
    for (int i = 1; i <= LINES; i++) {
        char whole[300];
        struct expected expected = {(uint64_t)i, whole, id, NULL};

        (void)sprintf(whole, "http://%.*s", i * 7919 % 200, url);
        (void)sprintf(id, "%d", i);
        expect_next(input, name, &expected);
    }
    expect_end(input);
    pf_input_free(input);
    ck_assert_int_eq(unlink(name), 0);
}
END_TEST

/* --- several lists, arguments --------------------------------------------- */

START_TEST(arguments_come_first_and_are_literal)
{
    static const char *const urls[] = {"http://a/", "#b", " c", "d\te=f",
                                       "", NULL};
    static const struct expected expected[] = {
        {0, "http://a/", NULL, NULL},
        {0, "#b", NULL, NULL},
        {0, " c", NULL, NULL},
        {0, "d\te=f", NULL, "control"},
        {0, "", NULL, NULL}};
    char name[] = "check_input.XXXXXX";
    const char *lists[] = {name, name, NULL};
    static const struct expected first = {1, "x", NULL, NULL};

    make_file(name, "x", 1);
    struct pf_input *input = open_lists(urls, lists, false);
    for (size_t i = 0; i < 5; i++)
        expect_next(input, NULL, &expected[i]);
    expect_next(input, name, &first); /* the line ends with its list */
    expect_next(input, name, &first);
    expect_end(input);
    pf_input_free(input);
    ck_assert_int_eq(unlink(name), 0);
}
END_TEST

START_TEST(patterns_are_expanded_in_their_place)
{
    static const char *const urls[] = {"a[1-2]", "b", "{c,d}\\[", "e]", "f",
                                       NULL};
    static const struct expected expected[] = {
        {0, "a1", NULL, NULL}, {0, "a2", NULL, NULL}, {0, "b", NULL, NULL},
        {0, "c[", NULL, NULL}, {0, "d[", NULL, NULL},
        {0, "e]", NULL, "position 2: no '['"}, {0, "f", NULL, NULL}};
    struct pf_input_options options = {.urls = urls};
    struct pf_input *input = open_lists(urls, NULL, false);
    struct pfetch_failure why;
    struct pf_line line;

    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
        expect_next(input, NULL, &expected[i]);
    expect_end(input);
    pf_input_free(input);

    ck_assert_int_eq(pf_input_create(&input, &options, &why), 0);
    for (size_t i = 0; urls[i] != NULL; i++) { /* glob is false */
        ck_assert_int_eq(pf_input_next(input, &line, &why), PF_INPUT_LINE);
        ck_assert_str_eq(line.url, urls[i]);
        ck_assert_uint_eq(line.n, i + 1);
    }
    expect_end(input);
    pf_input_free(input);
}
END_TEST

/* Freed in the middle of a pattern. */
START_TEST(patterns_need_not_be_used_up)
{
    static const char *const urls[] = {"a[1-9]", NULL};
    static const struct expected first = {0, "a1", NULL, NULL};
    struct pf_input *input = open_lists(urls, NULL, false);

    expect_next(input, NULL, &first);
    pf_input_free(input);
}
END_TEST

START_TEST(checksum_files_are_lists)
{
    static const char text[] = "# c\r\n\n" HEX32 "  a b\r\n"
                               "MD5 (./d/e) = " HEX32 "\n"
                               "http://h/\n" HEX32 "  x\ty\n"
                               HEX32 "  trailing ";
    static const char *const urls[] = {"http://h/d/a%20b", "http://h/d/d/e",
                                       NULL, NULL, "http://h/d/trailing%20"};
    static const char *const outs[] = {"a b", "d/e", NULL, NULL, "trailing "};
    static const uint64_t numbers[] = {3, 4, 5, 6, 7};
    char name[] = "check_input.XXXXXX";
    const char *sums[] = {name, NULL};
    struct pf_input_options options = {.sums = sums, .base = "http://h/d"};
    struct pf_input *input;
    struct pfetch_failure why;
    struct pf_line line;

    make_file(name, text, sizeof(text) - 1);
    ck_assert_int_eq(pf_input_create(&input, &options, &why), 0);
    for (size_t i = 0; i < 5; i++) {
        enum pf_input_result result = pf_input_next(input, &line, &why);

        ck_assert_int_eq(result, urls[i] != NULL ? PF_INPUT_LINE
                                                 : PF_INPUT_BAD_LINE);
        ck_assert_str_eq(line.list, name);
        ck_assert_uint_eq(line.line, numbers[i]);
        ck_assert_uint_eq(line.n, i + 1);
        if (urls[i] == NULL) {
            ck_assert_ptr_nonnull(line.url); /* the line, for the record */
            continue;
        }
        ck_assert_str_eq(line.url, urls[i]);
        ck_assert_str_eq(line.out, outs[i]);
        ck_assert_str_eq(line.checksum, "md5:" HEX32);
    }
    expect_end(input);
    pf_input_free(input);
    ck_assert_int_eq(unlink(name), 0);
}
END_TEST

/* --- shards --------------------------------------------------------------- */

enum { SHARD_LINES = 400, SHARDS = 4 };

/* Line i of the list that is dealt out. */
static void write_shard_line(FILE *file, int i)
{
    if (i % 10 == 0)
        fprintf(file, "no URL %d\n", i);
    else if (i % 10 == 1)
        fprintf(file, "http://h%d.example/\tsize=x\n", i % 37);
    else if (i % 10 == 2)
        fprintf(file, "bell %d\x07\n", i);
    else
        fprintf(file, "http://%s%d.EXAMPLE:%d/%d\n", i % 2 ? "u:p@H" : "h",
                i % 37, 8000 + i % 3, i);
}

static void read_shard(const char *const *lists, unsigned index,
                       unsigned owner[SHARD_LINES + 1])
{
    struct pf_input_options options = {
        .lists = lists, .shard = {.index = index, .count = SHARDS}};
    struct pf_input *input;
    struct pfetch_failure why;
    struct pf_line line;
    enum pf_input_result result;

    ck_assert_int_eq(pf_input_create(&input, &options, &why), 0);
    while ((result = pf_input_next(input, &line, &why)) != PF_INPUT_END) {
        ck_assert(result == PF_INPUT_LINE || result == PF_INPUT_BAD_LINE);
        ck_assert_uint_eq(line.n, line.line);
        ck_assert_uint_eq(owner[line.n], 0);
        ck_assert_int_eq(result, line.n % 10 >= 1 && line.n % 10 <= 2
                                     ? PF_INPUT_BAD_LINE : PF_INPUT_LINE);
        owner[line.n] = index;
    }
    pf_input_free(input);
}

/* Each line has one shard, and each host. */
START_TEST(shards_deal_out_a_list)
{
    char name[] = "check_input.XXXXXX";
    const char *lists[] = {name, NULL};
    unsigned owner[SHARD_LINES + 1] = {0}, of_host[37] = {0};
    unsigned lines[SHARDS + 1] = {0};
    FILE *file = fdopen(mkstemp(name), "w");

    ck_assert_ptr_nonnull(file);
    for (int i = 1; i <= SHARD_LINES; i++)
        write_shard_line(file, i);
    ck_assert_int_eq(fclose(file), 0);
    for (unsigned index = 1; index <= SHARDS; index++)
        read_shard(lists, index, owner);
    for (int i = 1; i <= SHARD_LINES; i++) {
        ck_assert_uint_ne(owner[i], 0);
        lines[owner[i]]++;
        if (i % 10 == 0 || i % 10 == 2)
            continue;
        if (of_host[i % 37] == 0)
            of_host[i % 37] = owner[i];
        ck_assert_uint_eq(owner[i], of_host[i % 37]);
    }
    for (unsigned index = 1; index <= SHARDS; index++)
        ck_assert_uint_gt(lines[index], 0);
    ck_assert_int_eq(unlink(name), 0);
}
END_TEST

/* Another shard's lines would be skipped for years. */
START_TEST(stop_ends_skipping)
{
    static const char *const urls[] = {"http://h/[0-9223372036854775806]",
                                       NULL};
    struct pf_input_options options = {
        .urls = urls, .glob = true,
        .shard = {.index = pf_shard_of("h", 2) == 1 ? 2 : 1, .count = 2}};
    struct pf_input *input;
    struct pfetch_failure why;
    struct pf_line line;

    ck_assert_int_eq(pf_input_create(&input, &options, &why), 0);
    pf_input_stop(input);
    ck_assert_int_eq(pf_input_next(input, &line, &why), PF_INPUT_STOPPED);
    pf_input_free(input);
}
END_TEST

START_TEST(a_mark_concerns_its_own_list)
{
    char marked[] = "check_input.XXXXXX", plain[] = "check_input.XXXXXX";
    const char *lists[] = {marked, plain, NULL};
    static const struct expected bad = {1, NULL, NULL, "UTF-16"};
    static const struct expected good = {1, "b", NULL, NULL};

    make_file(marked, "\xff\xfe" "a\0", 4);
    make_file(plain, "b\n", 2);
    struct pf_input *input = open_lists(NULL, lists, false);
    ck_assert_uint_eq(pf_input_lists(input), 2);
    expect_next(input, marked, &bad);
    expect_next(input, plain, &good);
    expect_end(input);
    pf_input_free(input);
    ck_assert_int_eq(unlink(marked), 0);
    ck_assert_int_eq(unlink(plain), 0);
}
END_TEST

/* Neither as a list nor as a checksum file, after one that can be. */
static void check_not_opened(const char *name, const char *text)
{
    const char *const names[] = {"/dev/null", name, NULL};
    const struct pf_input_options options[] = {
        {.lists = names}, {.sums = names, .base = "http://h/"}};

    for (int i = 0; i < 2; i++) {
        struct pfetch_failure why = {.text = ""};
        struct pf_input *input = (void *)&why; /* must become NULL */

        ck_assert_int_eq(pf_input_create(&input, &options[i], &why), -1);
        ck_assert_ptr_null(input);
        ck_assert_msg(strstr(why.text, text) != NULL, "%s", why.text);
    }
}

START_TEST(lists_that_cannot_be_opened)
{
    check_not_opened("/nonexistent", "/nonexistent: cannot open");
    check_not_opened("/", strerror(EISDIR));
    check_not_opened("HTTP://u:secret@h/list", "HTTP://***@h/list: a list "
                                                "is a file");
    check_not_opened("https://h/", "without -i");

    int fd = open("/dev/null", O_WRONLY);
    ck_assert_int_eq(dup2(fd, STDIN_FILENO), STDIN_FILENO);
    check_not_opened("-", strerror(EBADF));
    ck_assert_int_eq(close(fd), 0);
}
END_TEST

START_TEST(read_error_is_not_the_end)
{
    /* The memory of the process: opens well, address 0 cannot be read. */
    static const char *const lists[] = {"/proc/self/mem", NULL};
    struct pf_input *input = open_lists(NULL, lists, false);
    struct pf_line line;
    struct pfetch_failure why;

    ck_assert_int_eq(pf_input_next(input, &line, &why), PF_INPUT_FAILED);
    ck_assert_int_eq(why.cls, PFETCH_CLASS_LOCAL);
    ck_assert_ptr_nonnull(strstr(why.text, "/proc/self/mem"));
    pf_input_free(input);
}
END_TEST

START_TEST(knows_its_files)
{
    char name[] = "check_input.XXXXXX";
    const char *lists[] = {name, NULL};
    struct stat status, other;

    make_file(name, "x", 1);
    struct pf_input *input = open_lists(NULL, lists, false);
    ck_assert_int_eq(stat(name, &status), 0);
    ck_assert_int_eq(stat("/", &other), 0);
    ck_assert(pf_input_reads(input, status.st_dev, status.st_ino));
    ck_assert(!pf_input_reads(input, other.st_dev, other.st_ino));
    pf_input_free(input);
    ck_assert_int_eq(unlink(name), 0);
}
END_TEST

/* --- waiting -------------------------------------------------------------- */

struct waiting {
    struct pf_input *input;
    enum pf_input_result result;
    struct pf_line line;
};

static void *wait_for_line(void *argument)
{
    struct waiting *waiting = argument;
    struct pfetch_failure why;

    waiting->result = pf_input_next(waiting->input, &waiting->line, &why);
    return NULL;
}

START_TEST(stop_wakes_the_reader)
{
    static const char *const lists[] = {"-", NULL};
    int fd = make_stdin(0);
    struct waiting waiting = {.input = open_lists(NULL, lists, false)};
    static const struct expected first = {1, "a", NULL, NULL};
    pthread_t thread;

    /* A line comes before the end of the list; half a line is no line. */
    ck_assert_int_eq(write(fd, "a\nb", 3), 3);
    expect_next(waiting.input, "-", &first);
    ck_assert_int_eq(pthread_create(&thread, NULL, wait_for_line, &waiting),
                     0);
    pf_input_stop(waiting.input);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_int_eq(waiting.result, PF_INPUT_STOPPED);
    ck_assert_str_eq(waiting.line.list, "-");
    pf_input_free(waiting.input);
    ck_assert_int_eq(close(fd), 0);
}
END_TEST

/* A FIFO nobody writes to yet is neither a hang at the opening nor empty. */
START_TEST(fifo_waits_for_its_writer)
{
    char directory[] = "check_input.XXXXXX", name[64];
    const char *lists[] = {name, NULL};
    pthread_t thread;

    ck_assert_ptr_nonnull(mkdtemp(directory));
    (void)snprintf(name, sizeof(name), "%s/fifo", directory);
    ck_assert_int_eq(mkfifo(name, 0600), 0);
    struct waiting waiting = {.input = open_lists(NULL, lists, false)};
    ck_assert_int_eq(pthread_create(&thread, NULL, wait_for_line, &waiting),
                     0);
    int fd = open(name, O_WRONLY);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, "a", 1), 1);
    ck_assert_int_eq(close(fd), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_int_eq(waiting.result, PF_INPUT_LINE);
    ck_assert_str_eq(waiting.line.url, "a");
    expect_end(waiting.input);
    pf_input_free(waiting.input);
    ck_assert_int_eq(unlink(name), 0);
    ck_assert_int_eq(rmdir(directory), 0);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("input");
    TCase *tcase = tcase_create("input");

    tcase_set_timeout(tcase, 30);
    tcase_add_test(tcase, plain_lines);
    tcase_add_test(tcase, lines_that_ask_for_nothing);
    tcase_add_test(tcase, fields);
    tcase_add_test(tcase, checksum_fields);
    tcase_add_test(tcase, size_fields);
    tcase_add_test(tcase, all_fields_in_any_order);
    tcase_add_test(tcase, markup_is_no_list);
    tcase_add_test(tcase, bytes_that_do_not_belong);
    tcase_add_test(tcase, utf16_fails_line_by_line);
    tcase_add_test(tcase, null_separated);
    tcase_add_test(tcase, long_lines);
    tcase_add_test(tcase, long_line_without_end);
    tcase_add_test(tcase, lines_split_across_reads);
#ifdef HAVE_ZLIB
    tcase_add_test(tcase, compressed_lines_split_across_reads);
#endif
    tcase_add_test(tcase, lines_byte_by_byte);
    tcase_add_test(tcase, lines_across_the_buffer);
    tcase_add_test(tcase, arguments_come_first_and_are_literal);
    tcase_add_test(tcase, patterns_are_expanded_in_their_place);
    tcase_add_test(tcase, patterns_need_not_be_used_up);
    tcase_add_test(tcase, checksum_files_are_lists);
    tcase_add_test(tcase, shards_deal_out_a_list);
    tcase_add_test(tcase, stop_ends_skipping);
    tcase_add_test(tcase, a_mark_concerns_its_own_list);
    tcase_add_test(tcase, lists_that_cannot_be_opened);
    tcase_add_test(tcase, read_error_is_not_the_end);
    tcase_add_test(tcase, knows_its_files);
    tcase_add_test(tcase, stop_wakes_the_reader);
    tcase_add_test(tcase, fifo_waits_for_its_writer);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return suite_run(make_suite());
}
