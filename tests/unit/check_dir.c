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
    enum { LINES = 1000 };
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
        ck_assert_uint_eq(count_files("out"), 100);
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

START_TEST(test_file_left_behind_is_used_again)
{
    put_file("out/.x.part", "a long text of a process that was killed");
    struct pfetch_handler handler = start_run();

    run_line(&handler, "http://a/x", 1, "x");
    end_run(&handler);
    check_file("out/x", "http://a/x");
    ck_assert_uint_eq(count_files("out"), 1);
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
    char temp[64];

    (void)snprintf(temp, sizeof temp, "out/.x.%ld.part", (long)getpid());
    ck_assert_int_eq(plan(&one, &a, "http://a/x", 1), PFETCH_GO);
    ck_assert_int_eq(plan(&two, &b, "http://b/x", 1), PFETCH_GO);
    ck_assert_int_eq(begin(&one, &a, 0), PFETCH_GO);
    ck_assert_int_eq(take(&one, &a, "http://a/x"), PFETCH_GO);
    ck_assert_int_eq(begin(&two, &b, 0), PFETCH_GO);
    ck_assert_int_eq(take(&two, &b, "of b"), PFETCH_GO);
    check_file("out/.x.part", "http://a/x");
    check_file(temp, "of b");
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
    enum pf_publish_way way = (enum pf_publish_way)_i;
    int dir = open("out", O_PATH | O_DIRECTORY | O_CLOEXEC);
    struct pf_part part;

    pf_part_init(&part);
    ck_assert_int_eq(pf_part_open(&part, dir, "x"), 0);
    ck_assert_int_eq(pf_part_write(&part, "body", 4), 0);
    put_file("out/taken", "foreign");
    ck_assert_int_eq(symlink("nowhere", "out/link"), 0);
    ck_assert_int_eq(pf_part_publish(&part, dir, "x", "taken", &way), EEXIST);
    ck_assert_int_eq(pf_part_publish(&part, dir, "x", "link", &way), EEXIST);
    check_file("out/taken", "foreign");
    ck_assert_int_eq(pf_part_publish(&part, dir, "x", "free", &way), 0);
    pf_part_close(&part);
    check_file("out/free", "body");
    ck_assert_uint_eq(count_files("out"), 3);
    ck_assert_int_eq(way, _i);
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
    tcase_add_test(parts, test_file_left_behind_is_used_again);
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
    tcase_add_test(places, test_null_handler);
}

int main(void)
{
    Suite *suite = suite_create("dir");

    add_names(suite);
    add_reruns(suite);
    add_exists(suite);
    add_parts(suite);
    add_places(suite);

    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
