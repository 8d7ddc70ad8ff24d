/* check_dir.c - the handler that writes files, driven without the engine.
 *
 * SPDX-License-Identifier: MIT
 *
 * Each test has an empty directory of its own, "out", below a temporary one
 * that is the working directory.  Two handlers on one directory behave as two
 * processes do: locks belong to open files, not to processes.
 */
#include "config.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "fakejob.h"
#include "part.h"
#include "pfetch_handlers.h"
#include "suite.h"

#define HOME_TEMPLATE "/tmp/check_dir.XXXXXX"
static char home[sizeof HOME_TEMPLATE];
static struct pfetch_dir_options options;
static struct pfetch_failure why;
static unsigned notices;
static bool attributes; /* the file system keeps them */

static void count_notice(void *user, const char *text)
{
    (void)user;
    ck_assert_ptr_nonnull(text);
    notices++;
}

static void set_up(void)
{
    memcpy(home, HOME_TEMPLATE, sizeof home);
    ck_assert_ptr_nonnull(mkdtemp(home));
    ck_assert_int_eq(chdir(home), 0);
    ck_assert_int_eq(mkdir("out", 0777), 0);
    attributes = setxattr("out", "user.test", "1", 1, 0) == 0;
    pfetch_dir_options_init(&options);
    options.dir = "out";
    options.on_notice = count_notice;
    notices = 0;
}

static void tear_down(void)
{
    char command[sizeof home + 32];

    (void)snprintf(command, sizeof command, "rm -rf -- '%s'", home);
    ck_assert_int_eq(chdir("/"), 0);
    ck_assert_int_eq(system(command), 0);
}

/* Most of what the tests say needs a file to know its URL. */
static bool can_mark(void)
{
    if (!attributes)
        puts("# no user attributes in /tmp: not tested");
    return attributes;
}

/* --- the engine's part --------------------------------------------------- */

static struct pfetch_handler start_run(void)
{
    struct pfetch_handler handler;

    ck_assert_int_eq(pfetch_dir_create(&handler, &options, &why), 0);
    return handler;
}

static void end_run(struct pfetch_handler *handler)
{
    ck_assert_ptr_null(handler->done);
    pfetch_dir_free(handler);
    ck_assert_ptr_null(handler->self);
}

static enum pfetch_reply plan(struct pfetch_handler *handler,
                              struct pfetch_job *job, const char *url,
                              uint64_t n)
{
    fakejob_init(job, url, n);
    why = (struct pfetch_failure){ .cls = PFETCH_CLASS_NONE };
    return handler->plan(handler->self, job, &why);
}

static enum pfetch_reply begin(struct pfetch_handler *handler,
                               struct pfetch_job *job, int64_t offset)
{
    struct pfetch_response response = { .http_status = 200,
                                        .length_bytes = -1,
                                        .last_modified_unix = 1000000000 };

    why = (struct pfetch_failure){ .cls = PFETCH_CLASS_NONE };
    return handler->begin(handler->self, job, &response, offset, &why);
}

static enum pfetch_reply take(struct pfetch_handler *handler,
                              struct pfetch_job *job, const char *text)
{
    return handler->take(handler->self, job, text, strlen(text), &why);
}

static enum pfetch_reply end(struct pfetch_handler *handler,
                             struct pfetch_job *job,
                             enum pfetch_status status)
{
    struct pfetch_record record = { .request = &job->request,
                                    .status = status,
                                    .etag = "\"e\"" };

    why = (struct pfetch_failure){ .cls = PFETCH_CLASS_NONE };
    return handler->end(handler->self, job, &record, &why);
}

/* The rest of a job that was planned: its body is its URL. */
static enum pfetch_reply fetch(struct pfetch_handler *handler,
                               struct pfetch_job *job)
{
    ck_assert_int_eq(begin(handler, job, 0), PFETCH_GO);
    ck_assert_int_eq(take(handler, job, job->request.url), PFETCH_GO);
    return end(handler, job, PFETCH_STATUS_OK);
}

/* A whole line.  What is expected: "NAME" is fetched as NAME, "=NAME" is
 * skipped as being there under NAME, "-NAME" is planned as NAME and its
 * transfer fails, "!" is skipped without a name. */
static void run_line(struct pfetch_handler *handler, const char *url,
                     uint64_t n, const char *expect)
{
    struct pfetch_job job;
    enum pfetch_reply reply = plan(handler, &job, url, n);
    const char *name = expect + strspn(expect, "=-!");
    bool skipped = expect[0] == '=' || expect[0] == '!';

    ck_assert_msg(reply == (skipped ? PFETCH_SKIP : PFETCH_GO),
                  "%s: reply %d (%s), path %s, expected %s", url, reply,
                  why.text, job.path, expect);
    if (expect[0] == '!')
        ck_assert_ptr_null(job.path);
    else
        ck_assert_str_eq(job.path, name);
    if (expect[0] == '-')
        ck_assert_int_eq(end(handler, &job, PFETCH_STATUS_FAILED), PFETCH_GO);
    else if (!skipped)
        ck_assert_int_eq(fetch(handler, &job), PFETCH_GO);
    fakejob_fini(&job);
}

struct line {
    const char *url;
    const char *expect;
};

/* A run over a list, which a NULL ends. */
static void run_list(const struct line *lines)
{
    struct pfetch_handler handler = start_run();

    for (uint64_t i = 0; lines[i].url != NULL; i++)
        run_line(&handler, lines[i].url, i + 1, lines[i].expect);
    end_run(&handler);
}

/* --- looking at the directory -------------------------------------------- */

static void put_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(fputs(text, file), 0);
    ck_assert_int_eq(fclose(file), 0);
}

static void check_file(const char *path, const char *text)
{
    char data[4096] = "";
    FILE *file = fopen(path, "r");

    ck_assert_msg(file != NULL, "%s is missing", path);
    data[fread(data, 1, sizeof data - 1, file)] = '\0';
    ck_assert_int_eq(fclose(file), 0);
    ck_assert_str_eq(data, text);
}

static unsigned count_files(const char *path)
{
    DIR *list = opendir(path);
    const struct dirent *entry;
    unsigned count = 0;

    ck_assert_ptr_nonnull(list);
    while ((entry = readdir(list)) != NULL)
        count += strcmp(entry->d_name, ".") != 0
                 && strcmp(entry->d_name, "..") != 0;
    ck_assert_int_eq(closedir(list), 0);
    return count;
}

static unsigned count_descriptors(void)
{
    return count_files("/proc/self/fd");
}

/* --- names --------------------------------------------------------------- */

static const struct line three[] = { { "http://a/x", "x" },
                                     { "http://b/x", "x.1" },
                                     { "http://c/x", "x.2" },
                                     { NULL, NULL } };

START_TEST(test_names_follow_the_list)
{
    const struct line list[] = { { "http://a/x.c", "x.c" },
                                 { "http://b/x.1.c", "x.1.c" },
                                 { "http://b/x.c", "x.2.c" },
                                 { "http://c/x.c", "x.3.c" },
                                 { "http://c/x.1.c", "x.1.1.c" },
                                 { NULL, NULL } };

    run_list(list);
    check_file("out/x.c", "http://a/x.c");
    check_file("out/x.1.c", "http://b/x.1.c");
    check_file("out/x.2.c", "http://b/x.c");
    check_file("out/x.3.c", "http://c/x.c");
    check_file("out/x.1.1.c", "http://c/x.1.c");
    ck_assert_uint_eq(count_files("out"), 5);
}
END_TEST

/* Names are given by plan, in whatever order the transfers end. */
START_TEST(test_names_do_not_depend_on_timing)
{
    struct pfetch_handler handler = start_run();
    struct pfetch_job jobs[3];

    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(plan(&handler, &jobs[i], three[i].url,
                              (uint64_t)i + 1), PFETCH_GO);
    for (int i = 2; i >= 0; i--) {
        ck_assert_int_eq(fetch(&handler, &jobs[i]), PFETCH_GO);
        ck_assert_str_eq(jobs[i].path, three[i].expect);
        fakejob_fini(&jobs[i]);
    }
    end_run(&handler);
    check_file("out/x", "http://a/x");
    check_file("out/x.1", "http://b/x");
    check_file("out/x.2", "http://c/x");
}
END_TEST

START_TEST(test_same_url_is_fetched_once)
{
    struct pfetch_handler handler = start_run();

    run_line(&handler, "http://a/x", 7, "x");
    run_line(&handler, "http://a/x", 8, "!");
    ck_assert_str_eq(why.text, "same URL as line 7");
    run_line(&handler, "http://a/x", 9, "!");
    ck_assert_str_eq(why.text, "same URL as line 7");
    end_run(&handler);
    ck_assert_uint_eq(count_files("out"), 1);
}
END_TEST

START_TEST(test_line_numbers_beyond_32_bits)
{
    struct pfetch_handler handler = start_run();

    run_line(&handler, "http://a/x", UINT64_C(1) << 40, "x");
    run_line(&handler, "http://a/x", 8, "!");
    ck_assert_str_eq(why.text, "same URL as an earlier line");
    end_run(&handler);
}
END_TEST

START_TEST(test_mode_number)
{
    const struct line list[] = { { "http://a/x", "1" },
                                 { "http://a/x", "2" },
                                 { "http://b/y", "3" },
                                 { NULL, NULL } };
    const struct line again[] = { { "http://a/x", "=1" },
                                  { "http://b/y", "2.1" },
                                  { NULL, NULL } };
    const struct line third[] = { { "http://a/x", "=1" },
                                  { "http://b/y", "=2.1" },
                                  { NULL, NULL } };

    options.name = PFETCH_DIR_NAME_NUMBER;
    run_list(list);
    if (!can_mark())
        return;
    run_list(again);
    run_list(third);
    ck_assert_uint_eq(count_files("out"), 4);
}
END_TEST

START_TEST(test_mode_hash)
{
    struct pfetch_handler handler;
    struct pfetch_job job;

    options.name = PFETCH_DIR_NAME_HASH;
    handler = start_run();
    ck_assert_int_eq(plan(&handler, &job, "http://a/x.c", 1), PFETCH_GO);
    ck_assert_uint_eq(strlen(job.path), 32);
    ck_assert_uint_eq(strspn(job.path, "0123456789abcdef"), 32);
    ck_assert_int_eq(fetch(&handler, &job), PFETCH_GO);
    fakejob_fini(&job);
    run_line(&handler, "http://a/x.c", 2, "!");
    end_run(&handler);
}
END_TEST

START_TEST(test_mode_path)
{
    const struct line list[] = { { "http://h/a/b/x", "h/a/b/x" },
                                 { "http://h/a/b/y", "h/a/b/y" },
                                 { "http://h/a/x", "h/a/x" },
                                 { "https://h/a/x", "h/a/x.1" },
                                 { "http://h/", "h/index.html" },
                                 { "http://i/../../x", "i/%2E./%2E./x" },
                                 { NULL, NULL } };

    options.name = PFETCH_DIR_NAME_PATH;
    run_list(list);
    check_file("out/h/a/b/x", "http://h/a/b/x");
    check_file("out/h/a/x.1", "https://h/a/x");
    check_file("out/i/%2E./%2E./x", "http://i/../../x");
    ck_assert_uint_eq(count_files("."), 1);
}
END_TEST

static void expect_failure(struct pfetch_handler *handler, const char *url,
                           enum pfetch_class cls)
{
    struct pfetch_job job;

    ck_assert_int_eq(plan(handler, &job, url, 99), PFETCH_FAIL);
    ck_assert_int_eq(why.cls, cls);
    ck_assert_str_ne(why.text, "");
    fakejob_fini(&job);
}

/* Also while nothing has been written: it does not depend on timing. */
START_TEST(test_file_and_directory_of_one_name)
{
    struct pfetch_handler handler;

    options.name = PFETCH_DIR_NAME_PATH;
    handler = start_run();
    run_line(&handler, "http://h/a/x", 1, "-h/a/x");
    expect_failure(&handler, "http://h/a", PFETCH_CLASS_NAME);
    expect_failure(&handler, "http://h/a/x/y", PFETCH_CLASS_NAME);
    expect_failure(&handler, "http://h/a/x/y/z", PFETCH_CLASS_NAME);
    run_line(&handler, "http://h/a/y", 2, "-h/a/y");
    run_line(&handler, "http://h/b", 3, "-h/b");
    expect_failure(&handler, "http://h/b/x", PFETCH_CLASS_NAME);
    end_run(&handler);
    ck_assert_uint_eq(count_files("out"), 0);
}
END_TEST

/* A number must not lead to the name of a directory either. */
START_TEST(test_number_is_a_directory)
{
    struct pfetch_handler handler;

    options.name = PFETCH_DIR_NAME_PATH;
    handler = start_run();
    run_line(&handler, "http://h/x.1/y", 1, "-h/x.1/y");
    run_line(&handler, "http://h/x", 2, "-h/x");
    run_line(&handler, "https://h/x", 3, "-h/x.2");
    end_run(&handler);
}
END_TEST

/* --- running again ------------------------------------------------------- */

START_TEST(test_rerun_skips_all)
{
    const struct line again[] = { { "http://a/x", "=x" },
                                  { "http://b/x", "=x.1" },
                                  { "http://c/x", "=x.2" },
                                  { NULL, NULL } };

    if (!can_mark())
        return;
    run_list(three);
    run_list(again);
    ck_assert_uint_eq(count_files("out"), 3);
    ck_assert_uint_eq(notices, 0);
}
END_TEST

/* b has failed in the first run, so there are x (of a) and x.2 (of c). */
static void leave_a_gap(void)
{
    const struct line list[] = { { "http://a/x", "x" },
                                 { "http://b/x", "-x.1" },
                                 { "http://c/x", "x.2" },
                                 { NULL, NULL } };

    run_list(list);
    ck_assert_uint_eq(count_files("out"), 2);
}

static void check_three(void)
{
    check_file("out/x", "http://a/x");
    check_file("out/x.1", "http://b/x");
    check_file("out/x.2", "http://c/x");
    ck_assert_uint_eq(count_files("out"), 3);
}

START_TEST(test_rerun_with_all)
{
    const struct line list[] = { { "http://a/x", "=x" },
                                 { "http://b/x", "x.1" },
                                 { "http://c/x", "=x.2" },
                                 { NULL, NULL } };

    if (!can_mark())
        return;
    leave_a_gap();
    run_list(list);
    check_three();
}
END_TEST

START_TEST(test_rerun_with_the_failed_line)
{
    const struct line list[] = { { "http://b/x", "x.1" }, { NULL, NULL } };

    if (!can_mark())
        return;
    leave_a_gap();
    run_list(list);
    check_three();
}
END_TEST

START_TEST(test_rerun_with_the_last_line)
{
    const struct line list[] = { { "http://c/x", "=x.2" }, { NULL, NULL } };

    if (!can_mark())
        return;
    leave_a_gap();
    run_list(list);
    ck_assert_uint_eq(count_files("out"), 2);
}
END_TEST

START_TEST(test_rerun_in_another_order)
{
    const struct line list[] = { { "http://c/x", "=x.2" },
                                 { "http://d/x", "x.3" },
                                 { "http://b/x", "=x.1" },
                                 { "http://a/x", "=x" },
                                 { NULL, NULL } };

    if (!can_mark())
        return;
    run_list(three);
    run_list(list);
    ck_assert_uint_eq(count_files("out"), 4);
    check_file("out/x", "http://a/x");
    check_file("out/x.3", "http://d/x");
}
END_TEST

/* A number found on a file does not move the list's own numbers. */
START_TEST(test_rerun_keeps_counting_from_the_list)
{
    const struct line list[] = { { "http://a/x", "=x" },
                                 { "http://c/x", "=x.2" },
                                 { "http://d/x", "x.1" },
                                 { NULL, NULL } };

    if (!can_mark())
        return;
    leave_a_gap();
    run_list(list);
    check_file("out/x.1", "http://d/x");
    ck_assert_uint_eq(count_files("out"), 3);
}
END_TEST

/* The file of c stands under a name that c could not get. */
START_TEST(test_rerun_after_a_file_was_renamed)
{
    const struct line list[] = { { "http://c/x", "x.1" }, { NULL, NULL } };

    if (!can_mark())
        return;
    leave_a_gap();
    ck_assert_int_eq(rename("out/x.2", "out/y.2"), 0);
    run_list(list);
    check_file("out/x.1", "http://c/x");
    check_file("out/y.2", "http://c/x");
}
END_TEST

/* The base is free, but the file is there under its number. */
START_TEST(test_rerun_when_the_first_one_failed)
{
    const struct line list[] = { { "http://a/x", "-x" },
                                 { "http://b/x", "x.1" },
                                 { NULL, NULL } };
    const struct line second[] = { { "http://b/x", "=x.1" }, { NULL, NULL } };
    const struct line third[] = { { "http://a/x", "x" }, { NULL, NULL } };

    if (!can_mark())
        return;
    run_list(list);
    run_list(second);
    run_list(third);
    ck_assert_uint_eq(count_files("out"), 2);
}
END_TEST

START_TEST(test_rerun_in_mode_path)
{
    const struct line list[] = { { "http://h/a/x", "h/a/x" },
                                 { "https://h/a/x", "h/a/x.1" },
                                 { NULL, NULL } };
    const struct line again[] = { { "https://h/a/x", "=h/a/x.1" },
                                  { "http://h/a/x", "=h/a/x" },
                                  { NULL, NULL } };

    if (!can_mark())
        return;
    options.name = PFETCH_DIR_NAME_PATH;
    run_list(list);
    run_list(again);
}
END_TEST

/* Many lines that find the names of others: each gets the next number. */
START_TEST(test_many_foreign_numbers)
{
    enum { MANY = 40 };
    struct pfetch_handler handler;
    char path[64];
    char url[64];
    char expect[64];

    put_file("out/x", "foreign");
    for (int i = 1; i <= MANY; i++) {
        (void)snprintf(path, sizeof path, "out/x.%d", i);
        put_file(path, "foreign");
    }
    if (!can_mark())
        return;
    handler = start_run();
    for (int i = 1; i <= 3; i++) {
        (void)snprintf(url, sizeof url, "http://h%d/x", i);
        (void)snprintf(expect, sizeof expect, "x.%d", MANY + i);
        run_line(&handler, url, (uint64_t)i, expect);
    }
    end_run(&handler);
    check_file("out/x", "foreign");
    check_file("out/x.40", "foreign");
}
END_TEST

/* --- names that are given ------------------------------------------------- */

/* As run_line(), with out=; "#" before the name: it fails, class name. */
static void run_given(struct pfetch_handler *handler, const char *url,
                      const char *out, uint64_t n, const char *expect)
{
    struct pfetch_job job;

    fakejob_init(&job, url, n);
    job.request.out = out;
    why = (struct pfetch_failure){ .cls = PFETCH_CLASS_NONE };
    enum pfetch_reply reply = handler->plan(handler->self, &job, &why);
    if (expect[0] == '#') {
        ck_assert_msg(reply == PFETCH_FAIL && why.cls == PFETCH_CLASS_NAME,
                      "%s became %s", out, job.path);
        ck_assert_ptr_null(job.path);
    } else {
        ck_assert_msg(reply == (expect[0] == '=' ? PFETCH_SKIP : PFETCH_GO),
                      "%s: %s", out, why.text);
        ck_assert_str_eq(job.path, expect + (expect[0] == '='));
        if (expect[0] != '=') {
            ck_assert_int_eq(fetch(handler, &job), PFETCH_GO);
            check_file(job.path, url);
        }
    }
    fakejob_fini(&job);
}

START_TEST(test_given_names)
{
    for (int run = 0; run < 2; run++) {
        options.dir = "."; /* so that check_file() finds them */
        if (run == 1 && !can_mark())
            return;
        struct pfetch_handler handler = start_run();

        run_line(&handler, "http://a/x", 1, run == 0 ? "x" : "=x");
        run_given(&handler, "http://b/x", "x", 2, "#");
        run_given(&handler, "http://b/x", "d/x", 3,
                  run == 0 ? "d/x" : "=d/x");
        run_given(&handler, "http://c/x", "d/x", 4, "#");
        run_given(&handler, "http://c/x", "d", 5, "#");
        run_given(&handler, "http://c/x", "x/d", 6, "#");
        run_given(&handler, "http://c/x", "d/x/e", 7, "#");
        run_line(&handler, "http://c/x", 8, run == 0 ? "x.1" : "=x.1");
        run_given(&handler, "http://d/x", "x.1", 9, "#");
        run_given(&handler, "http://d/x", "../x", 10, "#");
        run_given(&handler, "http://a/x", "y", 11, run == 0 ? "y" : "=y");
        end_run(&handler);
    }
}
END_TEST

START_TEST(test_options_that_are_wrong)
{
    struct pfetch_handler handler;

    ck_assert(pfetch_dir_template_check("{n}", &why));
    ck_assert(!pfetch_dir_template_check("{m}", &why));
    options.name_template = "../{n}";
    ck_assert_int_eq(pfetch_dir_create(&handler, &options, &why),
                     PFETCH_EINVAL);
    options.name_template = NULL;
    options.fan_out = 65537;
    ck_assert_int_eq(pfetch_dir_create(&handler, &options, &why),
                     PFETCH_EINVAL);
}
END_TEST

/* More directories in turn than are kept open, and none stays so. */
START_TEST(test_fan_out)
{
    enum { LINES = 300 };
    unsigned before = count_descriptors();
    char url[32];

    options.fan_out = 100;
    for (int run = 0; run < (attributes ? 2 : 1); run++) {
        struct pfetch_handler handler = start_run();
        unsigned skipped = 0;

        for (uint64_t i = 0; i < LINES; i++) {
            struct pfetch_job job;

            (void)snprintf(url, sizeof url, "http://h/%u", (unsigned)i);
            enum pfetch_reply reply = plan(&handler, &job, url, i + 1);
            if (reply == PFETCH_GO)
                ck_assert_int_eq(fetch(&handler, &job), PFETCH_GO);
            skipped += reply == PFETCH_SKIP;
            ck_assert_int_eq(job.path[2], '/');
            fakejob_fini(&job);
        }
        ck_assert_uint_eq(skipped, run == 0 ? 0 : LINES);
        ck_assert_uint_le(count_descriptors() - before,
                          1 + PFETCH_DIR_DESCRIPTORS);
        end_run(&handler);
        ck_assert_uint_eq(count_descriptors(), before);
        ck_assert_uint_gt(count_files("out"), PFETCH_DIR_DESCRIPTORS);
    }
}
END_TEST

/* A directory that was kept open is gone: its files get a new one. */
START_TEST(test_fan_out_directory_removed)
{
    options.fan_out = 1;
    struct pfetch_handler handler = start_run();

    run_line(&handler, "http://a/x", 1, "0/x");
    ck_assert_int_eq(unlink("out/0/x"), 0);
    ck_assert_int_eq(rmdir("out/0"), 0);
    run_line(&handler, "http://b/y", 2, "0/y");
    check_file("out/0/y", "http://b/y");
    end_run(&handler);
}
END_TEST

/* The engine has the handler continue: what a 206 does not say, the 200
 * before it has said. */
START_TEST(test_sent_name_of_a_continued_body)
{
    static const char value[] = "attachment; filename=sent";

    options.content_disposition = true;
    for (int i = 0; i < 3; i++) {
        struct pfetch_handler handler = start_run();
        struct pfetch_job job;
        struct pfetch_response response = { .http_status = 200,
                                            .content_disposition = value };

        ck_assert_int_eq(plan(&handler, &job, i == 0 ? "http://a/0"
                                              : i == 1 ? "http://a/1"
                                                       : "http://a/2", 1),
                         PFETCH_GO);
        ck_assert_int_eq(handler.begin(handler.self, &job, &response, 0,
                                       &why), PFETCH_GO);
        ck_assert_int_eq(take(&handler, &job, "ab"), PFETCH_GO);
        if (i < 2) { /* continued, and then from the beginning */
            response.content_disposition = NULL;
            response.http_status = i == 0 ? 206 : 200;
            ck_assert_int_eq(handler.begin(handler.self, &job, &response,
                                           i == 0 ? 2 : 0, &why), PFETCH_GO);
            ck_assert_int_eq(take(&handler, &job, "cd"), PFETCH_GO);
        }
        ck_assert_int_eq(end(&handler, &job, PFETCH_STATUS_OK), PFETCH_GO);
        ck_assert_str_eq(job.path, i == 0 ? "sent" : i == 1 ? "1" : "sent.1");
        fakejob_fini(&job);
        end_run(&handler);
    }
    check_file("out/sent", "abcd");
    check_file("out/1", "cd");
    check_file("out/sent.1", "ab");
    ck_assert_uint_eq(count_files("out"), 3);
}
END_TEST

/* A killed process may leave a temporary file that is marked as complete: it
 * is never taken for this URL's file. */
START_TEST(test_marked_temporary_file_is_no_file)
{
    char value[256];

    if (!can_mark())
        return;
    options.content_disposition = true;
    struct pfetch_handler handler = start_run();
    run_line(&handler, "http://a/x", 1, "x");
    end_run(&handler);
    ssize_t len = getxattr("out/x", "user.pfetch", value, sizeof value);
    ck_assert_int_gt(len, 0);
    ck_assert_int_eq(rename("out/x", "out/.y.part"), 0);
    handler = start_run();
    run_line(&handler, "http://a/x", 1, "x");
    end_run(&handler);
    check_file("out/x", "http://a/x");
}
END_TEST

/* --- what is there already ----------------------------------------------- */

START_TEST(test_foreign_file_is_left_alone)
{
    const struct line list[] = { { "http://a/x", "x.1" }, { NULL, NULL } };

    if (!can_mark())
        return;
    put_file("out/x", "foreign");
    run_list(list);
    check_file("out/x", "foreign");
    check_file("out/x.1", "http://a/x");
}
END_TEST

START_TEST(test_no_object_is_followed)
{
    const struct line list[] = { { "http://a/link", "link.1" },
                                 { "http://a/dangling", "dangling.1" },
                                 { "http://a/dir", "dir.1" },
                                 { "http://a/fifo", "fifo.1" },
                                 { NULL, NULL } };

    put_file("target", "outside");
    ck_assert_int_eq(symlink("../target", "out/link"), 0);
    ck_assert_int_eq(symlink("../nothing", "out/dangling"), 0);
    ck_assert_int_eq(mkdir("out/dir", 0777), 0);
    ck_assert_int_eq(mkfifo("out/fifo", 0666), 0);
    run_list(list);
    check_file("target", "outside");
    ck_assert_int_eq(access("nothing", F_OK), -1);
    ck_assert_uint_eq(count_files("out"), 8);
}
END_TEST

START_TEST(test_exist_skip)
{
    const struct line list[] = { { "http://a/x", "=x" },
                                 { "http://b/x", "x.1" },
                                 { "http://a/d", "=d" },
                                 { NULL, NULL } };

    put_file("out/x", "foreign");
    ck_assert_int_eq(mkdir("out/d", 0777), 0);
    options.exist = PFETCH_DIR_EXIST_SKIP;
    run_list(list);
    check_file("out/x", "foreign");
}
END_TEST

START_TEST(test_exist_error)
{
    struct pfetch_handler handler;

    put_file("out/x", "foreign");
    options.exist = PFETCH_DIR_EXIST_ERROR;
    handler = start_run();
    expect_failure(&handler, "http://a/x", PFETCH_CLASS_EXISTS);
    run_line(&handler, "http://a/x", 2, "!");
    run_line(&handler, "http://b/x", 3, "x.1");
    end_run(&handler);
    check_file("out/x", "foreign");
}
END_TEST

START_TEST(test_exist_overwrite)
{
    struct pfetch_handler handler;
    struct stat st;

    put_file("out/x", "foreign");
    put_file("target", "outside");
    ck_assert_int_eq(link("out/x", "kept"), 0);
    ck_assert_int_eq(symlink("../target", "out/l"), 0);
    ck_assert_int_eq(mkdir("out/d", 0777), 0);
    options.exist = PFETCH_DIR_EXIST_OVERWRITE;
    handler = start_run();
    run_line(&handler, "http://a/x", 1, "x");
    run_line(&handler, "http://a/l", 2, "l");
    run_line(&handler, "http://b/x", 3, "x.1");
    expect_failure(&handler, "http://a/d", PFETCH_CLASS_EXISTS);
    end_run(&handler);
    check_file("out/x", "http://a/x");
    check_file("kept", "foreign");
    check_file("target", "outside");
    ck_assert_int_eq(lstat("out/l", &st), 0);
    ck_assert(S_ISREG(st.st_mode));
    ck_assert_uint_eq(count_files("out"), 4);
}
END_TEST

/* A directory that comes later is not replaced either. */
START_TEST(test_overwrite_meets_a_directory)
{
    struct pfetch_handler handler;
    struct pfetch_job job;

    options.exist = PFETCH_DIR_EXIST_OVERWRITE;
    handler = start_run();
    ck_assert_int_eq(plan(&handler, &job, "http://a/x", 1), PFETCH_GO);
    ck_assert_int_eq(mkdir("out/x", 0777), 0);
    ck_assert_int_eq(fetch(&handler, &job), PFETCH_FAIL);
    ck_assert_int_eq(why.cls, PFETCH_CLASS_EXISTS);
    fakejob_fini(&job);
    end_run(&handler);
    ck_assert_uint_eq(count_files("out"), 1);
}
END_TEST

START_TEST(test_symlink_as_a_directory_on_the_way)
{
    struct pfetch_handler handler;
    struct pfetch_job job;

    ck_assert_int_eq(mkdir("elsewhere", 0777), 0);
    /* A directory that was empty at the start is not looked into. */
    ck_assert(mkdir("out", 0777) == 0 || errno == EEXIST);
    ck_assert_int_eq(mkdir("out/there", 0777), 0);
    options.name = PFETCH_DIR_NAME_PATH;
    handler = start_run();
    ck_assert_int_eq(plan(&handler, &job, "http://i/x", 1), PFETCH_GO);
    ck_assert_int_eq(symlink("../elsewhere", "out/h"), 0);
    ck_assert_int_eq(symlink("../elsewhere", "out/i"), 0);
    expect_failure(&handler, "http://h/x", PFETCH_CLASS_EXISTS);
    ck_assert_int_eq(begin(&handler, &job, 0), PFETCH_FAIL);
    ck_assert_int_eq(end(&handler, &job, PFETCH_STATUS_FAILED), PFETCH_GO);
    fakejob_fini(&job);
    end_run(&handler);
    ck_assert_uint_eq(count_files("elsewhere"), 0);
}
END_TEST

/* --- the temporary file -------------------------------------------------- */

START_TEST(test_nothing_before_the_end)
{
    struct pfetch_handler handler = start_run();
    struct pfetch_job job;

    ck_assert_int_eq(plan(&handler, &job, "http://a/x", 1), PFETCH_GO);
    ck_assert_uint_eq(count_files("out"), 0);
    ck_assert_int_eq(begin(&handler, &job, 0), PFETCH_GO);
    ck_assert_int_eq(take(&handler, &job, "half"), PFETCH_GO);
    check_file("out/.x.part", "half");
    ck_assert_uint_eq(count_files("out"), 1);
    ck_assert_int_eq(end(&handler, &job, PFETCH_STATUS_OK), PFETCH_GO);
    check_file("out/x", "half");
    ck_assert_uint_eq(count_files("out"), 1);
    fakejob_fini(&job);
    end_run(&handler);
}
END_TEST

START_TEST(test_discard_leaves_nothing)
{
    unsigned descriptors = count_descriptors();
    struct pfetch_handler handler = start_run();
    struct pfetch_job job;

    ck_assert_int_eq(plan(&handler, &job, "http://a/x", 1), PFETCH_GO);
    ck_assert_int_eq(begin(&handler, &job, 0), PFETCH_GO);
    ck_assert_int_eq(take(&handler, &job, "half"), PFETCH_GO);
    ck_assert_int_eq(end(&handler, &job, PFETCH_STATUS_FAILED), PFETCH_GO);
    fakejob_fini(&job);
    run_line(&handler, "http://b/y", 2, "y");
    end_run(&handler);
    ck_assert_uint_eq(count_files("out"), 1);
    ck_assert_uint_eq(count_descriptors(), descriptors);
}
END_TEST

START_TEST(test_restart_at_an_offset)
{
    struct pfetch_handler handler = start_run();
    struct pfetch_job job;

    ck_assert_int_eq(plan(&handler, &job, "http://a/x", 1), PFETCH_GO);
    ck_assert_int_eq(begin(&handler, &job, 0), PFETCH_GO);
    ck_assert_int_eq(take(&handler, &job, "0123456789"), PFETCH_GO);
    ck_assert_int_eq(begin(&handler, &job, 0), PFETCH_GO);
    ck_assert_int_eq(take(&handler, &job, "abcdef"), PFETCH_GO);
    ck_assert_int_eq(begin(&handler, &job, 3), PFETCH_GO);
    ck_assert_int_eq(take(&handler, &job, "X"), PFETCH_GO);
    ck_assert_int_eq(begin(&handler, &job, 4), PFETCH_GO);
    ck_assert_int_eq(take(&handler, &job, "Y"), PFETCH_GO);
    ck_assert_int_eq(end(&handler, &job, PFETCH_STATUS_OK), PFETCH_GO);
    check_file("out/x", "abcXY");
    fakejob_fini(&job);
    end_run(&handler);
}
END_TEST

START_TEST(test_no_hole_before_an_offset)
{
    struct pfetch_handler handler = start_run();
    struct pfetch_job job;

    ck_assert_int_eq(plan(&handler, &job, "http://a/x", 1), PFETCH_GO);
    ck_assert_int_eq(begin(&handler, &job, 0), PFETCH_GO);
    ck_assert_int_eq(take(&handler, &job, "abc"), PFETCH_GO);
    ck_assert_int_eq(begin(&handler, &job, 4), PFETCH_FAIL);
    ck_assert_int_eq(why.cls, PFETCH_CLASS_LOCAL);
    ck_assert_uint_eq(count_files("out"), 0);
    ck_assert_int_eq(end(&handler, &job, PFETCH_STATUS_FAILED), PFETCH_GO);
    fakejob_fini(&job);
    end_run(&handler);
}
END_TEST

/* Whatever our mark says, and if it says nothing that can be read. */
START_TEST(test_file_left_behind_is_used_again)
{
    static const char *const values[] = {
        "1 0123456789abcdef0123456789abcdef 100 \"e\"", "", "2 of tomorrow",
    };

    if (!can_mark())
        return;
    put_file("out/.x.part", "a long text of a process that was killed");
    ck_assert_int_eq(setxattr("out/.x.part", "user.pfetch", values[_i],
                              strlen(values[_i]), 0), 0);
    struct pfetch_handler handler = start_run();

    run_line(&handler, "http://a/x", 1, "x");
    end_run(&handler);
    check_file("out/x", "http://a/x");
    ck_assert_uint_eq(count_files("out"), 1);
}
END_TEST

/* Killed between creation and mark. */
START_TEST(test_empty_file_left_behind)
{
    put_file("out/.x.part", "");
    struct pfetch_handler handler = start_run();

    run_line(&handler, "http://a/x", 1, "x");
    end_run(&handler);
    check_file("out/x", "http://a/x");
    ck_assert_uint_eq(count_files("out"), 1);
}
END_TEST

/* Somebody may call a file of his so. */
START_TEST(test_part_that_is_not_ours)
{
    if (!can_mark())
        return;
    put_file("out/.x.part", "of the user");
    struct pfetch_handler handler = start_run();
    run_line(&handler, "http://a/x", 1, "x");
    run_line(&handler, "http://b/x", 2, "-x.1");
    end_run(&handler);
    check_file("out/.x.part", "of the user");
    check_file("out/x", "http://a/x");
    ck_assert_uint_eq(count_files("out"), 2);

    options.exist = PFETCH_DIR_EXIST_OVERWRITE;
    handler = start_run();
    run_line(&handler, "http://c/x", 1, "x");
    end_run(&handler);
    check_file("out/.x.part", "of the user");
    check_file("out/x", "http://c/x");
    ck_assert_uint_eq(count_files("out"), 2);
}
END_TEST

/* A file that holds anything can be told from the user's. */
START_TEST(test_mark_comes_first)
{
    struct pfetch_handler handler = start_run();
    struct pfetch_job job;
    char value[128] = "";

    if (!can_mark())
        return;
    ck_assert_int_eq(plan(&handler, &job, "http://h/x", 1), PFETCH_GO);
    ck_assert_int_eq(begin(&handler, &job, 0), PFETCH_GO);
    ck_assert_int_gt(getxattr("out/.x.part", "user.pfetch", value,
                              sizeof value - 1), 0);
    ck_assert_str_eq(value, "1 86ca99740210faa002c7e540649a2601 -");
    ck_assert_int_eq(end(&handler, &job, PFETCH_STATUS_FAILED), PFETCH_GO);
    fakejob_fini(&job);
    end_run(&handler);
}
END_TEST

/* What is left to do where no file can be without a name. */
START_TEST(test_part_name_without_unnamed_files)
{
    int dir = open("out", O_PATH | O_DIRECTORY | O_CLOEXEC);
    struct pf_part_ways ways = { .named = PF_PUBLISH_NOREPLACE };
    struct pf_part part;
    char temp[64];

    (void)snprintf(temp, sizeof temp, "out/.x.%ld.part", (long)getpid());
    pf_part_init(&part);
    part.with_pid = true;
    part.fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    ck_assert_int_ge(part.fd, 0);
    ck_assert_int_eq(pf_part_write(&part, "body", 4), 0);
    ck_assert(!pf_part_can_stay(&part));
    ck_assert_int_eq(pf_part_publish(&part, dir, "x", "x", &ways), 0);
    pf_part_close(&part);
    check_file("out/x", "body");
    ck_assert_uint_eq(count_files("out"), 1);
    ck_assert_int_eq(close(dir), 0);
}
END_TEST

static enum pfetch_reply begin_complete(struct pfetch_handler *handler,
                                        struct pfetch_job *job)
{
    struct pfetch_response response = { .http_status = 200,
                                        .length_bytes = 4,
                                        .last_modified_unix = 1000000000,
                                        .is_complete = true };

    why = (struct pfetch_failure){ .cls = PFETCH_CLASS_NONE };
    return handler->begin(handler->self, job, &response, 0, &why);
}

/* Nobody could continue it, and nothing is left if the process is killed. */
START_TEST(test_complete_bodies_have_no_temporary_name)
{
    struct pfetch_handler handler = start_run();
    struct pfetch_job jobs[2];
    int unnamed = open("out", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);

    if (unnamed < 0)
        return; /* not on this file system */
    ck_assert_int_eq(close(unnamed), 0);
    ck_assert_int_eq(plan(&handler, &jobs[0], "http://a/x", 1), PFETCH_GO);
    ck_assert_int_eq(plan(&handler, &jobs[1], "http://b/x", 2), PFETCH_GO);
    ck_assert_int_eq(begin_complete(&handler, &jobs[0]), PFETCH_GO);
    ck_assert_int_eq(take(&handler, &jobs[0], "body"), PFETCH_GO);
    ck_assert_uint_eq(count_files("out"), 0);
    ck_assert_int_eq(end(&handler, &jobs[0], PFETCH_STATUS_OK), PFETCH_GO);
    check_file("out/x", "body");
    ck_assert_int_eq(begin_complete(&handler, &jobs[1]), PFETCH_GO);
    put_file("out/x.1", "of another process");
    ck_assert_int_eq(take(&handler, &jobs[1], "more"), PFETCH_GO);
    ck_assert_int_eq(end(&handler, &jobs[1], PFETCH_STATUS_OK), PFETCH_GO);
    check_file("out/x.1", "of another process");
    check_file("out/x.2", "more");
    ck_assert_uint_eq(count_files("out"), 3);
    fakejob_fini(&jobs[0]);
    fakejob_fini(&jobs[1]);
    end_run(&handler);
}
END_TEST

/* What was left behind under the temporary name goes with it. */
START_TEST(test_complete_body_uses_what_was_left_behind)
{
    struct pfetch_job job;

    put_file("out/.x.part", ""); /* its process was killed at once */
    struct pfetch_handler handler = start_run();
    ck_assert_int_eq(plan(&handler, &job, "http://a/x", 1), PFETCH_GO);
    ck_assert_int_eq(begin_complete(&handler, &job), PFETCH_GO);
    ck_assert_int_eq(take(&handler, &job, "body"), PFETCH_GO);
    ck_assert_int_eq(end(&handler, &job, PFETCH_STATUS_OK), PFETCH_GO);
    check_file("out/x", "body");
    ck_assert_uint_eq(count_files("out"), 1);
    fakejob_fini(&job);
    end_run(&handler);
}
END_TEST

/* Its process was killed between link and unlink: it is the final file. */
START_TEST(test_file_left_behind_with_two_names)
{
    put_file("out/z", "complete");
    ck_assert_int_eq(link("out/z", "out/.x.part"), 0);
    struct pfetch_handler handler = start_run();

    run_line(&handler, "http://a/x", 1, "x");
    end_run(&handler);
    check_file("out/z", "complete");
    check_file("out/x", "http://a/x");
}
END_TEST

static void refuse_begin(void)
{
    struct pfetch_handler handler = start_run();
    struct pfetch_job job;

    ck_assert_int_eq(plan(&handler, &job, "http://a/x", 1), PFETCH_GO);
    ck_assert_int_eq(begin(&handler, &job, 0), PFETCH_FAIL);
    ck_assert_int_eq(why.cls, PFETCH_CLASS_LOCAL);
    ck_assert_int_eq(end(&handler, &job, PFETCH_STATUS_FAILED), PFETCH_GO);
    fakejob_fini(&job);
    end_run(&handler);
}

START_TEST(test_objects_with_the_temporary_name)
{
    struct stat st;

    put_file("target", "outside");
    ck_assert_int_eq(symlink("../target", "out/.x.part"), 0);
    refuse_begin();
    check_file("target", "outside");
    ck_assert_int_eq(lstat("out/.x.part", &st), 0);
    ck_assert(S_ISLNK(st.st_mode));

    ck_assert_int_eq(unlink("out/.x.part"), 0);
    ck_assert_int_eq(mkdir("out/.x.part", 0777), 0);
    refuse_begin();
    ck_assert_int_eq(rmdir("out/.x.part"), 0);

    ck_assert_int_eq(mkfifo("out/.x.part", 0666), 0);
    refuse_begin();
    ck_assert_int_eq(unlink("out/.x.part"), 0);

    if (geteuid() == 0) {
        put_file("out/.x.part", "of another user");
        ck_assert_int_eq(chown("out/.x.part", 65534, 65534), 0);
        refuse_begin();
        check_file("out/.x.part", "of another user");
    }
}
END_TEST

START_TEST(test_mode_of_a_file)
{
    static const mode_t masks[] = { 0, 022, 077 };
    struct pfetch_handler handler;
    struct stat st;
    mode_t old = umask(masks[_i]);

    handler = start_run();
    run_line(&handler, "http://a/x", 1, "x");
    end_run(&handler);
    (void)umask(old);
    ck_assert_int_eq(stat("out/x", &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0666 & ~masks[_i]);
}
END_TEST

/* --- two processes ------------------------------------------------------- */

START_TEST(test_two_write_the_same_name)
{
    struct pfetch_handler one = start_run();
    struct pfetch_handler two = start_run();
    struct pfetch_job a, b;

    ck_assert_int_eq(plan(&one, &a, "http://a/x", 1), PFETCH_GO);
    ck_assert_int_eq(plan(&two, &b, "http://b/x", 1), PFETCH_GO);
    ck_assert_int_eq(begin(&one, &a, 0), PFETCH_GO);
    ck_assert_int_eq(take(&one, &a, "http://a/x"), PFETCH_GO);
    ck_assert_int_eq(begin(&two, &b, 0), PFETCH_GO);
    ck_assert_int_eq(take(&two, &b, "of b"), PFETCH_GO);
    check_file("out/.x.part", "http://a/x");
    /* That of b has no name, which a killed process could leave behind. */
    ck_assert_uint_eq(count_files("out"), 1);
    ck_assert_int_eq(end(&one, &a, PFETCH_STATUS_OK), PFETCH_GO);
    ck_assert_int_eq(end(&two, &b, PFETCH_STATUS_OK), PFETCH_GO);
    check_file("out/x", "http://a/x");
    if (attributes) {
        ck_assert_str_eq(b.path, "x.1");
        check_file("out/x.1", "of b");
    }
    ck_assert_uint_eq(count_files("out"), attributes ? 2 : 1);
    fakejob_fini(&a);
    fakejob_fini(&b);
    end_run(&one);
    end_run(&two);
}
END_TEST

/* Both have the same list: one file is enough. */
START_TEST(test_two_fetch_the_same_url)
{
    struct pfetch_handler one = start_run();
    struct pfetch_handler two = start_run();
    struct pfetch_job a, b;

    ck_assert_int_eq(plan(&one, &a, "http://a/x", 1), PFETCH_GO);
    ck_assert_int_eq(plan(&two, &b, "http://a/x", 1), PFETCH_GO);
    ck_assert_int_eq(begin(&one, &a, 0), PFETCH_GO);
    ck_assert_int_eq(fetch(&two, &b), PFETCH_GO);
    ck_assert_int_eq(take(&one, &a, "http://a/x"), PFETCH_GO);
    ck_assert_int_eq(end(&one, &a, PFETCH_STATUS_OK), PFETCH_GO);
    ck_assert_str_eq(a.path, "x");
    ck_assert_str_eq(b.path, "x");
    check_file("out/x", "http://a/x");
    ck_assert_uint_eq(count_files("out"), 1);
    fakejob_fini(&a);
    fakejob_fini(&b);
    end_run(&one);
    end_run(&two);
}
END_TEST

/* A number that is free on disk may belong to another line of the run: x.1
 * to b, x.2 to d. */
START_TEST(test_name_taken_between_plan_and_end)
{
    static const struct line lines[] = { { "http://a/x", "x.3" },
                                         { "http://b/x", "x.1" },
                                         { "http://d/x.2", "x.2" },
                                         { "http://c/x", "x.4" } };
    struct pfetch_handler handler = start_run();
    struct pfetch_job jobs[4];
    char path[64];

    if (!can_mark())
        return;
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(plan(&handler, &jobs[i], lines[i].url, 1),
                         PFETCH_GO);
    put_file("out/x", "of another process");
    ck_assert_int_eq(fetch(&handler, &jobs[0]), PFETCH_GO);
    ck_assert_int_eq(plan(&handler, &jobs[3], lines[3].url, 1), PFETCH_GO);
    for (int i = 0; i < 4; i++) {
        if (i > 0)
            ck_assert_int_eq(fetch(&handler, &jobs[i]), PFETCH_GO);
        ck_assert_str_eq(jobs[i].path, lines[i].expect);
        (void)snprintf(path, sizeof path, "out/%s", lines[i].expect);
        check_file(path, lines[i].url);
        fakejob_fini(&jobs[i]);
    }
    check_file("out/x", "of another process");
    ck_assert_uint_eq(count_files("out"), 5);
    end_run(&handler);
}
END_TEST

/* Each of the ways that a file system may need; none replaces anything. */
START_TEST(test_ways_to_publish)
{
    struct pf_part_ways ways = { .named = (enum pf_publish_way)_i };
    int dir = open("out", O_PATH | O_DIRECTORY | O_CLOEXEC);
    struct pf_part part;

    pf_part_init(&part);
    ck_assert_int_eq(pf_part_open(&part, dir, "x", false, &ways), 0);
    ck_assert_int_eq(pf_part_write(&part, "body", 4), 0);
    put_file("out/taken", "foreign");
    ck_assert_int_eq(symlink("nowhere", "out/link"), 0);
    ck_assert_int_eq(pf_part_publish(&part, dir, "x", "taken", &ways), EEXIST);
    ck_assert_int_eq(pf_part_publish(&part, dir, "x", "link", &ways), EEXIST);
    check_file("out/taken", "foreign");
    ck_assert_int_eq(pf_part_publish(&part, dir, "x", "free", &ways), 0);
    pf_part_close(&part);
    check_file("out/free", "body");
    ck_assert_uint_eq(count_files("out"), 3);
    ck_assert_int_eq(ways.named, _i);
    ck_assert_int_eq(close(dir), 0);
}
END_TEST

START_TEST(test_name_taken_and_not_numbered)
{
    struct pfetch_handler handler;
    struct pfetch_job job;

    options.exist = _i == 0 ? PFETCH_DIR_EXIST_SKIP : PFETCH_DIR_EXIST_ERROR;
    handler = start_run();
    ck_assert_int_eq(plan(&handler, &job, "http://a/x", 1), PFETCH_GO);
    put_file("out/x", "of another process");
    ck_assert_int_eq(fetch(&handler, &job), PFETCH_FAIL);
    ck_assert_int_eq(why.cls, PFETCH_CLASS_EXISTS);
    check_file("out/x", "of another process");
    ck_assert_uint_eq(count_files("out"), 1);
    fakejob_fini(&job);
    end_run(&handler);
}
END_TEST

/* --- parts across runs --------------------------------------------------- */

static const char WHOLE[] = "0123456789";

static enum pfetch_reply begin_with(struct pfetch_handler *handler,
                                    struct pfetch_job *job, int64_t offset,
                                    int64_t length, const char *etag)
{
    struct pfetch_response response = {
        .http_status = offset > 0 ? 206 : 200,
        .length_bytes = length,
        .etag = etag,
        .last_modified = "Sun, 09 Sep 2001 01:46:40 GMT",
        .last_modified_unix = 1000000000,
    };

    why = (struct pfetch_failure){ .cls = PFETCH_CLASS_NONE };
    return handler->begin(handler->self, job, &response, offset, &why);
}

static enum pfetch_reply fail_with(struct pfetch_handler *handler,
                                   struct pfetch_job *job,
                                   enum pfetch_class cls, int http_status)
{
    struct pfetch_record record = { .request = &job->request,
                                    .status = PFETCH_STATUS_FAILED,
                                    .cls = cls, .http_status = http_status };

    why = (struct pfetch_failure){ .cls = PFETCH_CLASS_NONE };
    return handler->end(handler->self, job, &record, &why);
}

/* A run in which the body breaks off after these bytes. */
static void break_off(const char *url, const char *text, int64_t length,
                      const char *etag, enum pfetch_class cls,
                      int http_status)
{
    struct pfetch_handler handler = start_run();
    struct pfetch_job job;

    ck_assert_int_eq(plan(&handler, &job, url, 1), PFETCH_GO);
    ck_assert_int_eq(begin_with(&handler, &job, 0, length, etag), PFETCH_GO);
    if (*text != '\0')
        ck_assert_int_eq(take(&handler, &job, text), PFETCH_GO);
    ck_assert_int_eq(fail_with(&handler, &job, cls, http_status), PFETCH_GO);
    fakejob_fini(&job);
    end_run(&handler);
}

/* The usual one. */
static void leave_part(void)
{
    break_off("http://h/x", "0123", 10, "\"v\"", PFETCH_CLASS_SHORT, 200);
    check_file("out/.x.part", "0123");
}

START_TEST(test_part_is_continued)
{
    struct pfetch_handler handler;
    struct pfetch_job job;
    unsigned descriptors = count_descriptors();

    if (!can_mark())
        return;
    leave_part();
    handler = start_run();
    ck_assert_int_eq(plan(&handler, &job, "http://h/x", 1), PFETCH_GO);
    ck_assert_int_eq(job.resume_offset, 4);
    ck_assert_int_eq(job.resume_total, 10);
    ck_assert_str_eq(job.resume_etag, "\"v\"");
    job.has_digest = _i == 1;
    ck_assert_int_eq(handler.resume(handler.self, &job, &why), PFETCH_GO);
    ck_assert_str_eq(job.digested, _i == 1 ? "0123" : "");
    ck_assert_int_eq(begin_with(&handler, &job, 4, 10, NULL), PFETCH_GO);
    ck_assert_int_eq(take(&handler, &job, WHOLE + 4), PFETCH_GO);
    ck_assert_int_eq(end(&handler, &job, PFETCH_STATUS_OK), PFETCH_GO);
    fakejob_fini(&job);
    run_line(&handler, "http://i/y", 2, "y");
    end_run(&handler);
    check_file("out/x", WHOLE);
    ck_assert_uint_eq(count_files("out"), 2);
    ck_assert_uint_eq(count_descriptors(), descriptors);

    handler = start_run();
    run_line(&handler, "http://h/x", 1, "=x");
    end_run(&handler);
}
END_TEST

/* The server has another file now: 200. */
START_TEST(test_part_is_begun_anew)
{
    struct pfetch_handler handler;
    struct pfetch_job job;
    char value[128] = "";

    if (!can_mark())
        return;
    leave_part();
    handler = start_run();
    ck_assert_int_eq(plan(&handler, &job, "http://h/x", 1), PFETCH_GO);
    ck_assert_int_eq(handler.resume(handler.self, &job, &why), PFETCH_GO);
    ck_assert_int_eq(begin_with(&handler, &job, 0, 3, "\"w\""), PFETCH_GO);
    check_file("out/.x.part", "");
    ck_assert_int_gt(getxattr("out/.x.part", "user.pfetch", value,
                              sizeof value - 1), 0);
    ck_assert_str_eq(value, "1 86ca99740210faa002c7e540649a2601 3 \"w\"");
    ck_assert_int_eq(take(&handler, &job, "new"), PFETCH_GO);
    ck_assert_int_eq(end(&handler, &job, PFETCH_STATUS_OK), PFETCH_GO);
    fakejob_fini(&job);
    end_run(&handler);
    check_file("out/x", "new");
    ck_assert_uint_eq(count_files("out"), 1);
}
END_TEST

/* It stays as it is when the next run comes no further. */
START_TEST(test_part_stays_when_nothing_comes)
{
    struct pfetch_handler handler;
    struct pfetch_job job;

    if (!can_mark())
        return;
    leave_part();
    handler = start_run();
    ck_assert_int_eq(plan(&handler, &job, "http://h/x", 1), PFETCH_GO);
    if (_i == 0)
        ck_assert_int_eq(handler.resume(handler.self, &job, &why), PFETCH_GO);
    ck_assert_int_eq(fail_with(&handler, &job, PFETCH_CLASS_CONNECT, 0),
                     PFETCH_GO);
    fakejob_fini(&job);
    end_run(&handler);
    check_file("out/.x.part", "0123");
}
END_TEST

START_TEST(test_what_is_kept)
{
    static const struct {
        const char *text;
        int64_t length;
        const char *etag;
        enum pfetch_class cls;
        int http_status;
        bool is_kept;
    } rows[] = {
        { "0123", 10, "\"v\"", PFETCH_CLASS_SHORT, 200, true },
        { "0123", 10, "\"v\"", PFETCH_CLASS_STOPPED, 200, true },
        { "0123", 10, "\"v\"", PFETCH_CLASS_TIMEOUT, 200, true },
        { "0123", -1, "\"v\"", PFETCH_CLASS_SHORT, 200, true },
        { "0123", 10, "\"v\"", PFETCH_CLASS_HTTP, 503, true },
        { "0123", 10, "\"v\"", PFETCH_CLASS_HTTP, 403, true },
        { "0123", 10, "\"v\"", PFETCH_CLASS_HTTP, 404, false },
        { "0123", 10, "\"v\"", PFETCH_CLASS_HTTP, 410, false },
        { "0123", 10, "\"v\"", PFETCH_CLASS_CHECKSUM, 200, false },
        { "0123", 10, "\"v\"", PFETCH_CLASS_SIZE, 200, false },
        { "0123", 10, "\"v\"", PFETCH_CLASS_TOO_LARGE, 200, false },
        { "0123", 10, "\"v\"", PFETCH_CLASS_LOCAL, 200, false },
        { "0123", 10, "\"v\"", PFETCH_CLASS_HANDLER, 200, false },
        { "0123", 10, "W/\"v\"", PFETCH_CLASS_SHORT, 200, false },
        { "0123", 10, NULL, PFETCH_CLASS_SHORT, 200, false },
        { "", 10, "\"v\"", PFETCH_CLASS_SHORT, 200, false },
        { WHOLE, 10, "\"v\"", PFETCH_CLASS_SHORT, 200, false },
    };

    if (!can_mark())
        return;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        break_off("http://h/x", rows[i].text, rows[i].length, rows[i].etag,
                  rows[i].cls, rows[i].http_status);
        ck_assert_msg(count_files("out") == rows[i].is_kept, "row %d", (int)i);
        if (rows[i].is_kept) {
            check_file("out/.x.part", rows[i].text);
            ck_assert_int_eq(unlink("out/.x.part"), 0);
        }
    }
    options.resume = false;
    break_off("http://h/x", "0123", 10, "\"v\"", PFETCH_CLASS_SHORT, 200);
    ck_assert_uint_eq(count_files("out"), 0);
}
END_TEST

/* A part is there, and the run does not ask for its rest. */
static void expect_anew(const char *url, const char *expect)
{
    struct pfetch_handler handler = start_run();
    struct pfetch_job job;

    ck_assert_int_eq(plan(&handler, &job, url, 1), PFETCH_GO);
    ck_assert_msg(job.resume_offset == 0, "%s", expect);
    ck_assert_int_eq(fetch(&handler, &job), PFETCH_GO);
    fakejob_fini(&job);
    end_run(&handler);
    check_file("out/x", url);
    ck_assert_int_eq(unlink("out/x"), 0);
}

START_TEST(test_part_of_another_url)
{
    if (!can_mark())
        return;
    leave_part();
    expect_anew("http://i/x", "another URL");
    ck_assert_uint_eq(count_files("out"), 0);
}
END_TEST

START_TEST(test_part_without_resume)
{
    if (!can_mark())
        return;
    leave_part();
    options.resume = false;
    expect_anew("http://h/x", "--no-resume");
    ck_assert_uint_eq(count_files("out"), 0);
}
END_TEST

/* Its mark, cut short everywhere, and with what a later version may write. */
START_TEST(test_part_with_a_mark_of_another_form)
{
    static const char mark[] =
        "1 86ca99740210faa002c7e540649a2601 10 \"v\"";
    static const char *const values[] = {
        "2 86ca99740210faa002c7e540649a2601 10 \"v\"",
        "1 86ca99740210faa002c7e540649a2601 10x \"v\"",
        "1 86ca99740210faa002c7e540649a2601 4 \"v\"",
        "1 86ca99740210faa002c7e540649a2601 3 \"v\"",
        "1 86ca99740210faa002c7e540649a2601 99999999999999999999 \"v\"",
        "1 86ca99740210faa002c7e540649a2601 10 v",
        "1 86ca99740210faa002c7e540649a2601 10 W/\"v\"",
        "1 86ca99740210faa002c7e540649a2601 10 \"",
        "1 86ca99740210faa002c7e540649a2601 -10 \"v\"",
    };
    enum { VALUES = sizeof values / sizeof values[0] };

    if (!can_mark())
        return;
    for (size_t i = 0; i < VALUES + sizeof mark - 1; i++) {
        const char *value = i < VALUES ? values[i] : mark;
        size_t len = i < VALUES ? strlen(value) : i - VALUES;

        put_file("out/.x.part", "0123");
        ck_assert_int_eq(setxattr("out/.x.part", "user.pfetch", value, len,
                                  0), 0);
        expect_anew("http://h/x", value);
        ck_assert_uint_eq(count_files("out"), 0);
    }
}
END_TEST

/* Between plan and resume. */
START_TEST(test_part_that_changes_meanwhile)
{
    struct pfetch_handler handler, other;
    struct pfetch_job job, others;
    int fd;

    if (!can_mark())
        return;
    leave_part();
    handler = start_run();
    other = start_run();
    ck_assert_int_eq(plan(&handler, &job, "http://h/x", 1), PFETCH_GO);
    ck_assert_int_eq(job.resume_offset, 4);
    ck_assert_int_eq(plan(&other, &others, "http://h/x", 1), PFETCH_GO);
    switch (_i) {
    case 0: /* it is gone */
        ck_assert_int_eq(unlink("out/.x.part"), 0);
        break;
    case 1: /* it is shorter */
        ck_assert_int_eq(truncate("out/.x.part", 3), 0);
        break;
    case 2: /* it is of another version of the file */
        ck_assert_int_eq(setxattr("out/.x.part", "user.pfetch",
                                  "1 86ca99740210faa002c7e540649a2601 10 "
                                  "\"w\"", 42, 0), 0);
        break;
    case 3: /* somebody else continues it */
        ck_assert_int_eq(other.resume(other.self, &others, &why), PFETCH_GO);
        break;
    case 4: /* it is something else */
        ck_assert_int_eq(unlink("out/.x.part"), 0);
        fd = open("out/y", O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
        ck_assert_int_eq(write(fd, WHOLE, 10), 10);
        ck_assert_int_eq(close(fd), 0);
        ck_assert_int_eq(symlink("y", "out/.x.part"), 0);
        break;
    }
    ck_assert_int_ne(handler.resume(handler.self, &job, &why), PFETCH_GO);
    if (_i == 4) {
        ck_assert_int_eq(unlink("out/.x.part"), 0);
        check_file("out/y", WHOLE);
        ck_assert_int_eq(unlink("out/y"), 0);
    }
    ck_assert_int_eq(fetch(&handler, &job), PFETCH_GO);
    check_file("out/x", "http://h/x");
    ck_assert_int_eq(fail_with(&other, &others, PFETCH_CLASS_HTTP, 404),
                     PFETCH_GO);
    ck_assert_uint_eq(count_files("out"), 1);
    fakejob_fini(&job);
    fakejob_fini(&others);
    end_run(&handler);
    end_run(&other);
}
END_TEST

/* Another run came further; this one's request names the old end. */
START_TEST(test_part_that_has_grown_meanwhile)
{
    struct pfetch_handler handler;
    struct pfetch_job job;
    FILE *file;

    if (!can_mark())
        return;
    leave_part();
    handler = start_run();
    ck_assert_int_eq(plan(&handler, &job, "http://h/x", 1), PFETCH_GO);
    file = fopen("out/.x.part", "a");
    ck_assert_int_ge(fputs("45", file), 0);
    ck_assert_int_eq(fclose(file), 0);
    job.has_digest = true;
    ck_assert_int_eq(handler.resume(handler.self, &job, &why), PFETCH_GO);
    ck_assert_str_eq(job.digested, "0123");
    ck_assert_int_eq(begin_with(&handler, &job, 4, 10, NULL), PFETCH_GO);
    ck_assert_int_eq(take(&handler, &job, WHOLE + 4), PFETCH_GO);
    ck_assert_int_eq(end(&handler, &job, PFETCH_STATUS_OK), PFETCH_GO);
    check_file("out/x", WHOLE);
    fakejob_fini(&job);
    end_run(&handler);
}
END_TEST

/* --- what the list says of a file ----------------------------------------- */

/* "=NAME": is skipped as that; "NAME": would be fetched as that. */
static void plan_with(const char *url, const char *checksum, int64_t size,
                      const char *expect)
{
    struct pfetch_handler handler = start_run();
    struct pfetch_job job;
    enum pfetch_reply reply;

    fakejob_init(&job, url, 1);
    job.request.checksum = checksum;
    job.request.has_size = size >= 0;
    job.request.size_bytes = size;
    reply = handler.plan(handler.self, &job, &why);
    ck_assert_int_eq(reply, *expect == '=' ? PFETCH_SKIP : PFETCH_GO);
    ck_assert_str_eq(job.path, expect + (*expect == '='));
    if (reply == PFETCH_GO)
        ck_assert_int_eq(end(&handler, &job, PFETCH_STATUS_NOT_ATTEMPTED),
                         PFETCH_GO);
    fakejob_fini(&job);
    end_run(&handler);
}

START_TEST(test_list_says_what_is_complete)
{
    /* printf 'http://h/x' and printf foreign, by md5sum and sha1sum */
    static const char OWN[] = "md5:f3a8c6e90e538177e7879fa0f926c991", FOREIGN[] = "sha1:44D16146BA6B29515A558A305C62FB09F76CB6EA",
                      WRONG[] = "md5:00000000000000000000000000000000";
    const struct line list[] = { { "http://h/x", "x" }, { NULL, NULL } };

    if (!can_mark())
        return;
    run_list(list);
    plan_with("http://h/x", NULL, 10, "=x");
    plan_with("http://h/x", NULL, 11, "x.1");
    plan_with("http://h/x", OWN, -1, "=x");
    plan_with("http://h/x", OWN, 10, "=x");
    plan_with("http://h/x", OWN, 11, "x.1");
    plan_with("http://h/x", WRONG, -1, "x.1");
    plan_with("http://h/x", WRONG, 10, "x.1");
    /* That it is another URL's is known. */
    plan_with("http://i/x", OWN, 10, "x.1");

    /* Somebody has brought it. */
    ck_assert_int_eq(unlink("out/x"), 0);
    put_file("out/x", "foreign");
    plan_with("http://h/x", NULL, -1, "x.1");
    plan_with("http://h/x", NULL, 7, "=x");
    plan_with("http://h/x", NULL, 8, "x.1");
    plan_with("http://h/x", FOREIGN, -1, "=x");
    plan_with("http://h/x", WRONG, -1, "x.1");
    plan_with("http://h/x", FOREIGN, 8, "x.1");
    ck_assert_int_eq(unlink("out/x"), 0);
    ck_assert_int_eq(symlink("../out/z", "out/x"), 0);
    put_file("out/z", "foreign");
    plan_with("http://h/x", FOREIGN, 7, "x.1");
}
END_TEST

/* --- update ---------------------------------------------------------------- */

/* A file of h with this validator. */
static void put_own(const char *etag, const char *last_modified)
{
    struct pfetch_handler handler = start_run();
    struct pfetch_job job;
    struct pfetch_record record = { .status = PFETCH_STATUS_OK,
                                    .etag = etag,
                                    .last_modified = last_modified };

    ck_assert_int_eq(plan(&handler, &job, "http://h/x", 1), PFETCH_GO);
    ck_assert_int_eq(begin(&handler, &job, 0), PFETCH_GO);
    ck_assert_int_eq(take(&handler, &job, "old"), PFETCH_GO);
    record.request = &job.request;
    ck_assert_int_eq(handler.end(handler.self, &job, &record, &why),
                     PFETCH_GO);
    fakejob_fini(&job);
    end_run(&handler);
}

START_TEST(test_update)
{
    static const struct {
        const char *etag, *last_modified, *condition;
    } rows[] = {
        { "\"v\"", "Sun, 09 Sep 2001 01:46:40 GMT", "\"v\"" },
        { "W/\"v\"", NULL, "W/\"v\"" },
        { NULL, "Sun, 09 Sep 2001 01:46:40 GMT",
          "Sun, 09 Sep 2001 01:46:40 GMT" },
        { NULL, NULL, NULL },
    };
    struct pfetch_handler handler;
    struct pfetch_job job;

    if (!can_mark())
        return;
    put_own(rows[_i].etag, rows[_i].last_modified);
    ck_assert_int_eq(link("out/x", "kept"), 0);
    options.exist = PFETCH_DIR_EXIST_UPDATE;
    handler = start_run();
    /* 304 */
    ck_assert_int_eq(plan(&handler, &job, "http://h/x", 1), PFETCH_GO);
    ck_assert_str_eq(job.path, "x");
    if (rows[_i].condition == NULL)
        ck_assert_ptr_null(job.if_changed);
    else
        ck_assert_str_eq(job.if_changed, rows[_i].condition);
    ck_assert_int_eq(end(&handler, &job, PFETCH_STATUS_SKIPPED), PFETCH_GO);
    fakejob_fini(&job);
    end_run(&handler);
    check_file("out/x", "old");
    /* 200 */
    handler = start_run();
    run_line(&handler, "http://h/x", 1, "x");
    end_run(&handler);
    check_file("out/x", "http://h/x");
    check_file("kept", "old");
    ck_assert_uint_eq(count_files("out"), 1);
}
END_TEST

START_TEST(test_update_of_own_files_only)
{
    struct pfetch_handler handler;
    struct pfetch_job job;

    if (!can_mark())
        return;
    put_file("out/x", "foreign");
    put_own("\"v\"", NULL); /* x.1 */
    options.exist = PFETCH_DIR_EXIST_UPDATE;
    handler = start_run();
    ck_assert_int_eq(plan(&handler, &job, "http://h/x", 1), PFETCH_GO);
    ck_assert_str_eq(job.path, "x.1");
    ck_assert_str_eq(job.if_changed, "\"v\"");
    /* It becomes somebody else's meanwhile. */
    ck_assert_int_eq(unlink("out/x.1"), 0);
    put_file("out/x.1", "foreign, too");
    ck_assert_int_eq(fetch(&handler, &job), PFETCH_GO);
    ck_assert_str_eq(job.path, "x.2");
    fakejob_fini(&job);
    run_line(&handler, "http://i/y", 2, "y");
    end_run(&handler);
    check_file("out/x", "foreign");
    check_file("out/x.1", "foreign, too");
    check_file("out/x.2", "http://h/x");
    ck_assert_uint_eq(count_files("out"), 4);

    /* What the list says of a file is no mark on it. */
    plan_with("http://k/x", NULL, 7, "=x");
}
END_TEST

START_TEST(test_update_by_the_list)
{
    struct pfetch_handler handler;
    struct pfetch_job job;

    if (!can_mark())
        return;
    put_own("\"v\"", NULL);
    options.exist = PFETCH_DIR_EXIST_UPDATE;
    /* printf old | md5sum */
    plan_with("http://h/x", "md5:149603e6c03516362a8da23f624db945", -1, "=x");
    handler = start_run();
    fakejob_init(&job, "http://h/x", 1);
    job.request.has_size = true;
    job.request.size_bytes = 10;
    ck_assert_int_eq(handler.plan(handler.self, &job, &why), PFETCH_GO);
    ck_assert_str_eq(job.path, "x");
    ck_assert_ptr_null(job.if_changed); /* it is wrong as it is */
    ck_assert_int_eq(fetch(&handler, &job), PFETCH_GO);
    fakejob_fini(&job);
    end_run(&handler);
    check_file("out/x", "http://h/x");
    ck_assert_uint_eq(count_files("out"), 1);
}
END_TEST

/* --- what stands on the file --------------------------------------------- */

START_TEST(test_attribute_and_time)
{
    struct pfetch_handler handler = start_run();
    char value[128] = "";
    struct stat st;

    run_line(&handler, "http://h/x", 1, "x");
    end_run(&handler);
    ck_assert_int_eq(stat("out/x", &st), 0);
    ck_assert_int_eq(st.st_mtime, 1000000000);
    if (!can_mark())
        return;
    ck_assert_int_gt(getxattr("out/x", "user.pfetch", value,
                              sizeof value - 1), 0);
    /* printf 'http://h/x' | sha256sum, its first 32 digits */
    ck_assert_str_eq(value, "1 86ca99740210faa002c7e540649a2601 10 \"e\"");
    ck_assert_int_eq(listxattr("out/x", NULL, 0), sizeof "user.pfetch");
}
END_TEST

START_TEST(test_time_that_cannot_be_stored)
{
    struct pfetch_handler handler = start_run();
    struct pfetch_response response = { .http_status = 200,
                                        .last_modified_unix =
                                            INT64_C(253402300799) };
    struct pfetch_job job;
    struct stat st;

    ck_assert_int_eq(plan(&handler, &job, "http://a/x", 1), PFETCH_GO);
    ck_assert_int_eq(handler.begin(handler.self, &job, &response, 0, &why),
                     PFETCH_GO);
    ck_assert_int_eq(end(&handler, &job, PFETCH_STATUS_OK), PFETCH_GO);
    fakejob_fini(&job);
    end_run(&handler);
    ck_assert_int_eq(stat("out/x", &st), 0);
    /* The time itself, or that of the download: nothing between. */
    if (st.st_mtime != response.last_modified_unix)
        ck_assert_int_le(st.st_mtime, time(NULL));
}
END_TEST

START_TEST(test_no_remote_time)
{
    struct stat st;

    options.remote_time = false;
    struct pfetch_handler handler = start_run();
    run_line(&handler, "http://a/x", 1, "x");
    end_run(&handler);
    ck_assert_int_eq(stat("out/x", &st), 0);
    ck_assert_int_ne(st.st_mtime, 1000000000);
}
END_TEST

START_TEST(test_attribute_of_another_form)
{
    /* The hash is the right one: see test_attribute_and_time. */
    static const char *const values[] = {
        "",
        "1",
        "1  ",
        "2 86ca99740210faa002c7e540649a2601 7",
        "1 86ca99740210faa002c7e540649a2601",
        "1 86ca99740210faa002c7e540649a2601 ",
        "1 86ca99740210faa002c7e540649a2601 6",
        "1 86ca99740210faa002c7e540649a2601 7x",
        "1 86ca99740210faa002c7e540649a2601 99999999999999999999",
        "1 86ca99740210faa002c7e540649a2601x",
        "1 86ca99740210faa002c7e540649a260 7",
        "1 86CA99740210FAA002C7E540649A2601 7",
    };
    const struct line list[] = { { "http://h/x", "x.1" }, { NULL, NULL } };

    if (!can_mark())
        return;
    put_file("out/x", "foreign");
    ck_assert_int_eq(setxattr("out/x", "user.pfetch", values[_i],
                              strlen(values[_i]), 0), 0);
    run_list(list);
    check_file("out/x", "foreign");
}
END_TEST

/* --- the place ----------------------------------------------------------- */

START_TEST(test_create_directory)
{
    struct stat st;
    mode_t old = umask(027);

    options.dir = "new";
    struct pfetch_handler handler = start_run();
    (void)umask(old);
    run_line(&handler, "http://a/x", 1, "x");
    end_run(&handler);
    check_file("new/x", "http://a/x");
    ck_assert_int_eq(stat("new", &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0750);
}
END_TEST

START_TEST(test_no_directory)
{
    static const char *const dirs[] = { "file", "no/parent", "", "dangling",
                                        "/dev/null" };
    struct pfetch_handler handler;

    put_file("file", "");
    ck_assert_int_eq(symlink("nowhere", "dangling"), 0);
    options.dir = dirs[_i];
    ck_assert_int_eq(pfetch_dir_create(&handler, &options, &why),
                     PFETCH_EINVAL);
    ck_assert_int_eq(why.cls, PFETCH_CLASS_LOCAL);
    ck_assert_ptr_null(handler.self);
    pfetch_dir_free(&handler);
}
END_TEST

START_TEST(test_link_to_a_directory)
{
    ck_assert_int_eq(symlink("out", "link"), 0);
    options.dir = "link";
    struct pfetch_handler handler = start_run();
    /* What was opened counts, not what has the name now. */
    ck_assert_int_eq(unlink("link"), 0);
    run_line(&handler, "http://a/x", 1, "x");
    end_run(&handler);
    check_file("out/x", "http://a/x");
}
END_TEST

START_TEST(test_dry_run)
{
    struct pfetch_handler handler;
    struct pfetch_job job;

    options.dry_run = true;
    options.dir = _i == 0 ? "missing" : "out";
    put_file("out/x", "foreign");
    handler = start_run();
    ck_assert_int_eq(plan(&handler, &job, "http://a/x", 1), PFETCH_GO);
    ck_assert_str_eq(job.path, _i == 1 && attributes ? "x.1" : "x");
    ck_assert_int_eq(end(&handler, &job, PFETCH_STATUS_PLANNED), PFETCH_GO);
    fakejob_fini(&job);
    end_run(&handler);
    ck_assert_uint_eq(count_files("."), 1);
    ck_assert_uint_eq(count_files("out"), 1);
}
END_TEST

static void expect_broken(enum pfetch_reply reply, const char *text)
{
    ck_assert_int_eq(reply, PFETCH_BROKEN);
    ck_assert_int_eq(why.cls, PFETCH_CLASS_LOCAL);
    ck_assert_msg(strstr(why.text, text) != NULL, "%s", why.text);
}

START_TEST(test_directory_removed)
{
    struct pfetch_handler handler = start_run();
    struct pfetch_job job;

    ck_assert_int_eq(plan(&handler, &job, "http://a/x", 1), PFETCH_GO);
    ck_assert_int_eq(rmdir("out"), 0);
    expect_broken(begin(&handler, &job, 0), "has been removed");
    ck_assert_int_eq(end(&handler, &job, PFETCH_STATUS_FAILED), PFETCH_GO);
    fakejob_fini(&job);
    end_run(&handler);
}
END_TEST

START_TEST(test_directory_removed_before_the_end)
{
    struct pfetch_handler handler = start_run();
    struct pfetch_job job;

    ck_assert_int_eq(plan(&handler, &job, "http://a/x", 1), PFETCH_GO);
    ck_assert_int_eq(begin(&handler, &job, 0), PFETCH_GO);
    ck_assert_int_eq(unlink("out/.x.part"), 0);
    ck_assert_int_eq(rmdir("out"), 0);
    expect_broken(end(&handler, &job, PFETCH_STATUS_OK), "has been removed");
    fakejob_fini(&job);
    end_run(&handler);
}
END_TEST

/* A directory below is made again; only the output directory is the place. */
START_TEST(test_directory_below_removed)
{
    struct pfetch_handler handler;

    options.name = PFETCH_DIR_NAME_PATH;
    handler = start_run();
    run_line(&handler, "http://h/a/x", 1, "h/a/x");
    ck_assert_int_eq(unlink("out/h/a/x"), 0);
    ck_assert_int_eq(rmdir("out/h/a"), 0);
    run_line(&handler, "http://h/a/y", 2, "h/a/y");
    end_run(&handler);
    check_file("out/h/a/y", "http://h/a/y");
}
END_TEST

START_TEST(test_directory_not_writable_any_more)
{
    struct pfetch_handler handler = start_run();
    struct pfetch_job job;

    if (geteuid() == 0) {
        /* Root may write everywhere; the directory stays root's. */
        ck_assert_int_eq(chmod(home, 0755), 0);
        ck_assert_int_eq(seteuid(65534), 0);
    } else {
        ck_assert_int_eq(chmod("out", 0555), 0);
    }
    ck_assert_int_eq(plan(&handler, &job, "http://a/x", 1), PFETCH_GO);
    expect_broken(begin(&handler, &job, 0), "not writable");
    ck_assert_int_eq(end(&handler, &job, PFETCH_STATUS_FAILED), PFETCH_GO);
    fakejob_fini(&job);
    end_run(&handler);

    struct pfetch_handler second;
    ck_assert_int_eq(pfetch_dir_create(&second, &options, &why),
                     PFETCH_EINVAL);
    if (getuid() == 0)
        ck_assert_int_eq(seteuid(0), 0);
    else
        ck_assert_int_eq(chmod("out", 0755), 0);
}
END_TEST

START_TEST(test_no_space_left)
{
    static char block[64 * 1024];
    struct pfetch_handler handler;
    struct pfetch_job job;
    enum pfetch_reply reply = PFETCH_GO;

    memset(block, 'x', sizeof block);
    if (mount("tmpfs", "out", "tmpfs", 0, "size=256k") != 0) {
        puts("# a tmpfs cannot be mounted: not tested");
        return;
    }
    handler = start_run();
    run_line(&handler, "http://a/small", 1, "small");
    ck_assert_int_eq(plan(&handler, &job, "http://a/x", 2), PFETCH_GO);
    ck_assert_int_eq(begin(&handler, &job, 0), PFETCH_GO);
    for (int i = 0; i < 8 && reply == PFETCH_GO; i++)
        reply = handler.take(handler.self, &job, block, sizeof block, &why);
    expect_broken(reply, "free some space");
    /* Space is free again before the engine says anything. */
    ck_assert_uint_eq(count_files("out"), 1);
    ck_assert_int_eq(end(&handler, &job, PFETCH_STATUS_FAILED), PFETCH_GO);
    fakejob_fini(&job);
    run_line(&handler, "http://a/small2", 3, "small2");
    end_run(&handler);
    ck_assert_int_eq(umount("out"), 0);
}
END_TEST

/* --- without attributes -------------------------------------------------- */

/* ramfs keeps no user attributes on any kernel. */
START_TEST(test_names_are_trusted_without_attributes)
{
    const struct line list[] = { { "http://a/x", "=x" },
                                 { "http://a/y", "y" },
                                 { "http://b/y", "y.1" },
                                 { "http://a/d", "d.1" },
                                 { NULL, NULL } };

    if (mount("ramfs", "out", "ramfs", 0, NULL) != 0) {
        puts("# a ramfs cannot be mounted: not tested");
        return;
    }
    put_file("out/x", "foreign");
    ck_assert_int_eq(mkdir("out/d", 0777), 0);
    run_list(list);
    ck_assert_uint_eq(notices, 1);
    check_file("out/x", "foreign");
    check_file("out/y.1", "http://b/y");
    ck_assert_int_eq(umount("out"), 0);
}
END_TEST

/* Nothing says whose a file is, so none is replaced or continued. */
START_TEST(test_no_update_without_attributes)
{
    const struct line list[] = { { "http://h/x", "=x" },
                                 { "http://h/y", "y" },
                                 { NULL, NULL } };

    if (mount("ramfs", "out", "ramfs", 0, NULL) != 0) {
        puts("# a ramfs cannot be mounted: not tested");
        return;
    }
    put_file("out/x", "foreign");
    put_file("out/.y.part", "left behind");
    options.exist = PFETCH_DIR_EXIST_UPDATE;
    run_list(list);
    ck_assert_uint_eq(notices, 1);
    check_file("out/x", "foreign");
    check_file("out/y", "http://h/y");
    ck_assert_uint_eq(count_files("out"), 2);
    break_off("http://h/z", "0123", 10, "\"v\"", PFETCH_CLASS_SHORT, 200);
    ck_assert_uint_eq(count_files("out"), 2);
    ck_assert_int_eq(umount("out"), 0);
}
END_TEST

START_TEST(test_null_handler)
{
    struct pfetch_handler handler;

    memset(&handler, 1, sizeof handler);
    pfetch_null_create(&handler);
    ck_assert_ptr_null(handler.self);
    ck_assert(handler.plan == NULL && handler.begin == NULL
              && handler.take == NULL && handler.end == NULL
              && handler.done == NULL);
}
END_TEST

static TCase *add_case(Suite *suite, const char *name)
{
    TCase *tcase = tcase_create(name);

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    suite_add_tcase(suite, tcase);
    return tcase;
}

static void add_names(Suite *suite)
{
    TCase *names = add_case(suite, "names");

    tcase_add_test(names, test_names_follow_the_list);
    tcase_add_test(names, test_names_do_not_depend_on_timing);
    tcase_add_test(names, test_same_url_is_fetched_once);
    tcase_add_test(names, test_line_numbers_beyond_32_bits);
    tcase_add_test(names, test_mode_number);
    tcase_add_test(names, test_mode_hash);
    tcase_add_test(names, test_mode_path);
    tcase_add_test(names, test_file_and_directory_of_one_name);
    tcase_add_test(names, test_number_is_a_directory);
    tcase_add_test(names, test_given_names);
    tcase_add_test(names, test_options_that_are_wrong);
    tcase_add_test(names, test_fan_out);
    tcase_add_test(names, test_fan_out_directory_removed);
    tcase_add_test(names, test_sent_name_of_a_continued_body);
    tcase_add_test(names, test_marked_temporary_file_is_no_file);
    tcase_set_timeout(names, 60); /* many files, on a disk that is busy */
}

static void add_reruns(Suite *suite)
{
    TCase *reruns = add_case(suite, "reruns");

    tcase_add_test(reruns, test_rerun_skips_all);
    tcase_add_test(reruns, test_rerun_with_all);
    tcase_add_test(reruns, test_rerun_with_the_failed_line);
    tcase_add_test(reruns, test_rerun_with_the_last_line);
    tcase_add_test(reruns, test_rerun_in_another_order);
    tcase_add_test(reruns, test_rerun_keeps_counting_from_the_list);
    tcase_add_test(reruns, test_rerun_after_a_file_was_renamed);
    tcase_add_test(reruns, test_rerun_when_the_first_one_failed);
    tcase_add_test(reruns, test_rerun_in_mode_path);
    tcase_add_test(reruns, test_many_foreign_numbers);
}

static void add_exists(Suite *suite)
{
    TCase *exists = add_case(suite, "exists");

    tcase_add_test(exists, test_foreign_file_is_left_alone);
    tcase_add_test(exists, test_no_object_is_followed);
    tcase_add_test(exists, test_exist_skip);
    tcase_add_test(exists, test_exist_error);
    tcase_add_test(exists, test_exist_overwrite);
    tcase_add_test(exists, test_overwrite_meets_a_directory);
    tcase_add_test(exists, test_symlink_as_a_directory_on_the_way);
}

static void add_parts(Suite *suite)
{
    TCase *parts = add_case(suite, "parts");

    tcase_add_test(parts, test_nothing_before_the_end);
    tcase_add_test(parts, test_discard_leaves_nothing);
    tcase_add_test(parts, test_restart_at_an_offset);
    tcase_add_test(parts, test_no_hole_before_an_offset);
    tcase_add_loop_test(parts, test_file_left_behind_is_used_again, 0, 3);
    tcase_add_test(parts, test_empty_file_left_behind);
    tcase_add_test(parts, test_part_that_is_not_ours);
    tcase_add_test(parts, test_mark_comes_first);
    tcase_add_test(parts, test_part_name_without_unnamed_files);
    tcase_add_test(parts, test_complete_bodies_have_no_temporary_name);
    tcase_add_test(parts, test_complete_body_uses_what_was_left_behind);
    tcase_add_test(parts, test_file_left_behind_with_two_names);
    tcase_add_test(parts, test_objects_with_the_temporary_name);
    tcase_add_loop_test(parts, test_mode_of_a_file, 0, 3);
    tcase_add_test(parts, test_two_write_the_same_name);
    tcase_add_test(parts, test_two_fetch_the_same_url);
    tcase_add_test(parts, test_name_taken_between_plan_and_end);
    tcase_add_loop_test(parts, test_ways_to_publish, PF_PUBLISH_NOREPLACE,
                        PF_PUBLISH_CHECK + 1);
    tcase_add_loop_test(parts, test_name_taken_and_not_numbered, 0, 2);
    tcase_add_test(parts, test_attribute_and_time);
    tcase_add_test(parts, test_time_that_cannot_be_stored);
    tcase_add_test(parts, test_no_remote_time);
    tcase_add_loop_test(parts, test_attribute_of_another_form, 0, 12);
}

static void add_parts_of_runs(Suite *suite)
{
    TCase *runs = add_case(suite, "parts of runs");

    tcase_add_loop_test(runs, test_part_is_continued, 0, 2);
    tcase_add_test(runs, test_part_is_begun_anew);
    tcase_add_loop_test(runs, test_part_stays_when_nothing_comes, 0, 2);
    tcase_add_test(runs, test_what_is_kept);
    tcase_add_test(runs, test_part_of_another_url);
    tcase_add_test(runs, test_part_without_resume);
    tcase_add_test(runs, test_part_with_a_mark_of_another_form);
    tcase_add_loop_test(runs, test_part_that_changes_meanwhile, 0, 5);
    tcase_add_test(runs, test_part_that_has_grown_meanwhile);
    tcase_add_test(runs, test_list_says_what_is_complete);
    tcase_add_loop_test(runs, test_update, 0, 4);
    tcase_add_test(runs, test_update_of_own_files_only);
    tcase_add_test(runs, test_update_by_the_list);
}

static void add_places(Suite *suite)
{
    TCase *places = add_case(suite, "places");

    tcase_add_test(places, test_create_directory);
    tcase_add_loop_test(places, test_no_directory, 0, 5);
    tcase_add_test(places, test_link_to_a_directory);
    tcase_add_loop_test(places, test_dry_run, 0, 2);
    tcase_add_test(places, test_directory_removed);
    tcase_add_test(places, test_directory_removed_before_the_end);
    tcase_add_test(places, test_directory_below_removed);
    tcase_add_test(places, test_directory_not_writable_any_more);
    tcase_add_test(places, test_no_space_left);
    tcase_add_test(places, test_names_are_trusted_without_attributes);
    tcase_add_test(places, test_no_update_without_attributes);
    tcase_add_test(places, test_null_handler);
}

int main(void)
{
    Suite *suite = suite_create("dir");

    add_names(suite);
    add_reruns(suite);
    add_exists(suite);
    add_parts(suite);
    add_parts_of_runs(suite);
    add_places(suite);

    return suite_run(suite);
}
