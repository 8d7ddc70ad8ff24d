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

    ck_assert_msg(pf_input_create(&input, urls, lists, null, &why) == 0,
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
    size_t first;
};

static void *write_parts(void *argument)
{
    struct parts *parts = argument;
    size_t size = sizeof(split_text) - 1;

    ck_assert_int_eq(write(parts->fd, split_text, parts->first),
                     (ssize_t)parts->first);
    /* A packet pipe: what was written apart is read apart. */
    ck_assert_int_eq(write(parts->fd, split_text + parts->first,
                           size - parts->first),
                     (ssize_t)(size - parts->first));
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

START_TEST(lines_split_across_reads)
{
    static const char *const lists[] = {"-", NULL};

    for (size_t first = 1; first < sizeof(split_text) - 1; first++) {
        struct parts parts = {make_stdin(O_DIRECT), first};
        struct pf_input *input = open_lists(NULL, lists, false);
        pthread_t thread;

        ck_assert_int_eq(
            pthread_create(&thread, NULL, write_parts, &parts), 0);
        expect_all(input, "-", split_expected);
        ck_assert_int_eq(pthread_join(thread, NULL), 0);
        pf_input_free(input);
    }
}
END_TEST

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

START_TEST(lists_that_cannot_be_opened)
{
    static const char *const missing[] = {"/dev/null", "/nonexistent", NULL};
    static const char *const directory[] = {"/", NULL};
    static const char *const standard_input[] = {"-", NULL};
    struct pf_input *input;
    struct pfetch_failure why;

    ck_assert_int_eq(pf_input_create(&input, NULL, missing, false, &why), -1);
    ck_assert_ptr_null(input);
    ck_assert_ptr_nonnull(strstr(why.text, "/nonexistent"));
    ck_assert_int_eq(pf_input_create(&input, NULL, directory, false, &why),
                     -1);
    ck_assert_ptr_nonnull(strstr(why.text, strerror(EISDIR)));

    int fd = open("/dev/null", O_WRONLY);
    ck_assert_int_eq(dup2(fd, STDIN_FILENO), STDIN_FILENO);
    ck_assert_int_eq(
        pf_input_create(&input, NULL, standard_input, false, &why), -1);
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
    tcase_add_test(tcase, bytes_that_do_not_belong);
    tcase_add_test(tcase, utf16_fails_line_by_line);
    tcase_add_test(tcase, null_separated);
    tcase_add_test(tcase, long_lines);
    tcase_add_test(tcase, long_line_without_end);
    tcase_add_test(tcase, lines_split_across_reads);
    tcase_add_test(tcase, lines_byte_by_byte);
    tcase_add_test(tcase, lines_across_the_buffer);
    tcase_add_test(tcase, arguments_come_first_and_are_literal);
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
    SRunner *runner = srunner_create(make_suite());

    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
