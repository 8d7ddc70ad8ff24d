/* check_failed.c - the lines that are not ok read back as the lines they were.
 *
 * SPDX-License-Identifier: MIT
 */
#include "config.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "failed.h"
#include "input.h"
#include "suite.h"

static char file_name[32];
static struct pf_failed failed;
static struct pfetch_failure why;

static void set_up(void)
{
    strcpy(file_name, "check_failed.XXXXXX");
    int fd = mkstemp(file_name);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(close(fd), 0);
}

static void tear_down(void)
{
    ck_assert_int_eq(pf_failed_close(&failed, &why), 0);
    ck_assert_int_eq(unlink(file_name), 0);
}

static void put_file(const char *data, size_t size)
{
    FILE *file = fopen(file_name, "w");

    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(data, 1, size, file), size);
    ck_assert_int_eq(fclose(file), 0);
}

static void open_failed(bool null_separated)
{
    ck_assert_int_eq(pf_failed_open(&failed, file_name, null_separated, NULL,
                                    NULL, &why), 0);
    ck_assert_int_eq(pf_failed_begin(&failed, &why), 0);
}

static void write_record(enum pfetch_status status, const char *text)
{
    struct pfetch_request request = {.url = "http://h/", .list = "a\nb",
                                     .line = 3, .text = text};
    struct pfetch_record record = {.request = &request, .status = status,
                                   .message = "m\nhttp://evil/"};

    ck_assert_int_eq(pf_failed_record(&failed, &record, &why), 0);
}

static void expect_file(const char *data, size_t size)
{
    char found[4096];
    FILE *file = fopen(file_name, "r");

    ck_assert_ptr_nonnull(file);
    size_t got = fread(found, 1, sizeof(found), file);
    ck_assert_int_eq(fclose(file), 0);
    ck_assert_uint_eq(got, size);
    ck_assert_mem_eq(found, data, size);
}

START_TEST(only_what_is_not_ok)
{
    put_file("old\n", 4);
    open_failed(false);
    write_record(PFETCH_STATUS_OK, "http://h/ok");
    write_record(PFETCH_STATUS_SKIPPED, "http://h/skipped");
    write_record(PFETCH_STATUS_PLANNED, "http://h/planned");
    write_record(PFETCH_STATUS_FAILED, "http://u:p@h/1\tid=x");
    write_record(PFETCH_STATUS_NOT_ATTEMPTED, "http://h/2");
    static const char expected[] = "http://u:p@h/1\tid=x\nhttp://h/2\n";
    expect_file(expected, sizeof(expected) - 1);
    ck_assert_uint_eq(failed.lines, 2);
}
END_TEST

START_TEST(nul_ends_lines_where_asked)
{
    open_failed(true);
    write_record(PFETCH_STATUS_FAILED, "http://h/1");
    write_record(PFETCH_STATUS_FAILED, "http://h/\n2");
    static const char expected[] = "http://h/1\0http://h/\n2";
    expect_file(expected, sizeof(expected));
}
END_TEST

/* Neither the name of the list nor a message makes a second line. */
START_TEST(a_comment_for_what_cannot_be_repeated)
{
    open_failed(false);
    write_record(PFETCH_STATUS_FAILED, NULL);
    static const char expected[] = "# a?b:3: m?http://evil/\n";
    expect_file(expected, sizeof(expected) - 1);
}
END_TEST

START_TEST(nobody_else_may_read_it)
{
    struct stat status;

    ck_assert_int_eq(chmod(file_name, 0666), 0);
    open_failed(false);
    ck_assert_int_eq(stat(file_name, &status), 0);
    ck_assert_uint_eq(status.st_mode & 07777, 0600);
    ck_assert_int_eq(pf_failed_close(&failed, &why), 0);
    ck_assert_int_eq(unlink(file_name), 0);
    (void)umask(0);
    open_failed(false);
    ck_assert_int_eq(stat(file_name, &status), 0);
    ck_assert_uint_eq(status.st_mode & 07777, 0600);
}
END_TEST

START_TEST(a_list_is_left_alone)
{
    const char *lists[] = {file_name, NULL};
    const struct pf_input_options options = {.lists = lists};
    struct pf_input *input;

    put_file("http://h/\n", 10);
    ck_assert_int_eq(pf_input_create(&input, &options, &why), 0);
    ck_assert_int_eq(pf_failed_open(&failed, file_name, false, input, NULL,
                                    &why), -1);
    ck_assert_int_eq(why.cls, PFETCH_CLASS_NONE);
    ck_assert_ptr_nonnull(strstr(why.text, "is a list"));
    pf_input_free(input);
    expect_file("http://h/\n", 10);
}
END_TEST

START_TEST(the_report_is_left_alone)
{
    struct pf_outfile report;

    put_file("{}\n", 3);
    ck_assert_int_eq(pf_outfile_open(&report, file_name, 0666, NULL, &why),
                     0);
    ck_assert_int_eq(pf_failed_open(&failed, file_name, false, NULL, &report,
                                    &why), -1);
    ck_assert_int_eq(why.cls, PFETCH_CLASS_NONE);
    ck_assert_int_eq(pf_outfile_close(&report, &why), 0);
    expect_file("{}\n", 3);
}
END_TEST

START_TEST(a_full_disk_is_told_once)
{
    struct pf_failed full;
    struct pfetch_request request = {.text = "http://h/"};
    struct pfetch_record record = {.request = &request,
                                   .status = PFETCH_STATUS_FAILED};

    ck_assert_int_eq(pf_failed_open(&full, "/dev/full", false, NULL, NULL,
                                    &why), 0);
    ck_assert_int_eq(pf_failed_begin(&full, &why), 0);
    ck_assert_int_eq(pf_failed_record(&full, &record, &why), -1);
    ck_assert_int_eq(why.cls, PFETCH_CLASS_LOCAL);
    ck_assert_int_eq(pf_failed_record(&full, &record, &why), 0);
    ck_assert_int_eq(pf_failed_close(&full, &why), 0);
    open_failed(false);
}
END_TEST

/* What a list says, and the text of each of its requests. */
START_TEST(lines_have_their_text)
{
    static const char list[] = "\xef\xbb\xbf  http://h/1 \tid=a\tsize=7  \r\n"
                               "# comment\n\n"
                               "http://h/2\x01\n"
                               "http://h/3\0x\n"
                               "http://h/4\tfoo=bar";
    const char *lists[] = {file_name, NULL};
    const char *expected[] = {"http://h/0", "http://h/1 \tid=a\tsize=7",
                              "http://h/2\x01", NULL, "http://h/4\tfoo=bar"};
    const char *urls[] = {"http://h/0", NULL};
    const struct pf_input_options options = {.urls = urls, .lists = lists};
    struct pf_input *input;
    struct pf_line line;

    open_failed(false);
    put_file(list, sizeof(list) - 1);
    for (int keep = 0; keep < 2; keep++) {
        ck_assert_int_eq(pf_input_create(&input, &options, &why), 0);
        if (keep)
            ck_assert_int_eq(pf_input_keep_text(input), 0);
        for (size_t i = 0; i < sizeof(expected) / sizeof(*expected); i++) {
            (void)pf_input_next(input, &line, &why);
            if (keep)
                ck_assert_pstr_eq(line.text, expected[i]);
            else if (i > 0)
                ck_assert_ptr_null(line.text);
        }
        ck_assert_int_eq(pf_input_next(input, &line, &why), PF_INPUT_END);
        pf_input_free(input);
    }
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("failed");
    TCase *tcase = tcase_create("failed");

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, only_what_is_not_ok);
    tcase_add_test(tcase, nul_ends_lines_where_asked);
    tcase_add_test(tcase, a_comment_for_what_cannot_be_repeated);
    tcase_add_test(tcase, nobody_else_may_read_it);
    tcase_add_test(tcase, a_list_is_left_alone);
    tcase_add_test(tcase, the_report_is_left_alone);
    tcase_add_test(tcase, a_full_disk_is_told_once);
    tcase_add_test(tcase, lines_have_their_text);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return suite_run(make_suite());
}
