/* check_total.c - tests of total.c: what counts as a line is what the reader
 * of lists takes for one.
 *
 * SPDX-License-Identifier: MIT
 */
#include "config.h"

#include "total.h"

#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char path[] = "/tmp/pfetch-total.XXXXXX";
static const char *lists[] = {path, NULL, NULL};

static void make_list(const char *bytes, size_t size)
{
    int fd = mkstemp(path);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, bytes, size), (ssize_t)size);
    (void)close(fd);
}

/* What the reader says. */
static int64_t count_read(const struct pf_input_options *options)
{
    struct pf_input *input;
    struct pfetch_failure why;
    struct pf_line line;
    enum pf_input_result result;
    int64_t count = 0;

    ck_assert_int_eq(pf_input_create(&input, options, &why), 0);
    while ((result = pf_input_next(input, &line, &why)) == PF_INPUT_LINE ||
           result == PF_INPUT_BAD_LINE)
        count++;
    pf_input_free(input);
    return count;
}

static int64_t count(const struct pf_input_options *options)
{
    struct pf_total total;

    pf_total_init(&total, options);
    pf_total_start(&total);
    if (total.running) {
        (void)pthread_join(total.thread, NULL); /* to its end */
        total.running = false;
    }
    pf_total_join(&total);
    return pf_total_get(&total);
}

static void expect_equal(const char *bytes, size_t size, bool null_separated,
                         int64_t expected)
{
    struct pf_input_options options = {.lists = lists,
                                       .null_separated = null_separated};

    memcpy(path + strlen(path) - 6, "XXXXXX", 6);
    make_list(bytes, size);
    int64_t read = count_read(&options);
    int64_t counted = count(&options);
    (void)unlink(path);
    ck_assert_int_eq(read, expected);
    ck_assert_int_eq(counted, expected);
}

START_TEST(what_the_reader_takes_for_a_line)
{
    static const struct {
        const char *text;
        int64_t lines;
    } cases[] = {
        {"", 0}, {"\n\n", 0}, {"a", 1}, {"a\n", 1}, {"a\nb", 2},
        {"a\r\nb\r\n\r\n", 2}, {" \t \n  a \n", 1}, {"# no\n #no\n#", 0},
        {"a # b\n", 1}, {"\xef\xbb\xbf" "a\n", 1},
        {"\xef\xbb\xbf# no\n", 0}, {"http://h/\tout=x\n", 1},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        expect_equal(cases[i].text, strlen(cases[i].text), false,
                     cases[i].lines);
}
END_TEST

START_TEST(lines_that_end_with_nul)
{
    expect_equal("a\0b\0\0# no\0c", 11, true, 3);
}
END_TEST

START_TEST(lines_across_reads)
{
    enum { LINES = 60000 };
    char *text = malloc(LINES * 40 + 1);
    size_t used = 0;

    ck_assert_ptr_nonnull(text);
    for (int i = 0; i < LINES; i++)
        used += (size_t)sprintf(text + used, "%shttp://h/%d\n",
                                i % 7 == 0 ? "#" : "  ", i);
    expect_equal(text, used, false, LINES - (LINES + 6) / 7);
    free(text);
}
END_TEST

START_TEST(what_cannot_be_told)
{
    static const char *const urls[] = {"http://h/a", "http://h/b", NULL};
    static const char *const pattern[] = {"http://h/[1-3]", NULL};
    static const char *const gone[] = {"/nonexistent/list", NULL};
    static const char *const pipe_list[] = {"/dev/null", NULL};
    struct pf_input_options options = {.urls = urls, .glob = true};

    ck_assert_int_eq(count(&options), 2);
    options.urls = pattern;
    ck_assert_int_eq(count(&options), -1);
    options.glob = false;
    ck_assert_int_eq(count(&options), 1);
    options.lists = gone;
    ck_assert_int_eq(count(&options), -1);
    options.lists = pipe_list; /* no regular file */
    ck_assert_int_eq(count(&options), -1);
    options.lists = NULL;
    options.shard = (struct pf_shard){.index = 1, .count = 2};
    ck_assert_int_eq(count(&options), -1);
}
END_TEST

START_TEST(a_compressed_list)
{
    static const char bytes[] = "\x1f\x8b\x08 and so on\n";
    struct pf_input_options options = {.lists = lists};

    make_list(bytes, sizeof(bytes) - 1);
    ck_assert_int_eq(count(&options), -1);
    (void)unlink(path);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("total");

    tcase_add_test(tests, what_the_reader_takes_for_a_line);
    tcase_add_test(tests, lines_that_end_with_nul);
    tcase_add_test(tests, lines_across_reads);
    tcase_add_test(tests, what_cannot_be_told);
    tcase_add_test(tests, a_compressed_list);
    return unit_run(tests, "total");
}
