/* check_durable.c - complete files wait for each other, and then have their
 * names, as options.durable of the dir handler asks.
 *
 * SPDX-License-Identifier: MIT
 *
 * The order of system calls is checked by tests/cli/reports.py.
 */
#include "config.h"

#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fakejob.h"
#include "pfetch_handlers.h"
#include "suite.h"

enum { GROUP = 4, URL_BYTES = 64 };

#define HOME_TEMPLATE "/tmp/check_durable.XXXXXX"
static char home[sizeof HOME_TEMPLATE];
static struct pfetch_dir_options options;
static struct pfetch_handler handler;
static struct pfetch_failure why;
static struct pfetch_job jobs[2 * GROUP];
static char urls[2 * GROUP][URL_BYTES];

static void set_up(void)
{
    memcpy(home, HOME_TEMPLATE, sizeof home);
    ck_assert_ptr_nonnull(mkdtemp(home));
    ck_assert_int_eq(chdir(home), 0);
    pfetch_dir_options_init(&options);
    options.dir = "out";
    options.durable = true;
    options.group_files = GROUP;
}

static void start(void)
{
    ck_assert_int_eq(pfetch_dir_create(&handler, &options, &why), 0);
}

static void tear_down(void)
{
    char command[sizeof home + 32];

    pfetch_dir_free(&handler);
    (void)snprintf(command, sizeof command, "rm -rf -- '%s'", home);
    ck_assert_int_eq(chdir("/"), 0);
    ck_assert_int_eq(system(command), 0);
}

static void plan(unsigned n, const char *path)
{
    (void)snprintf(urls[n], URL_BYTES, "http://h/%s", path);
    fakejob_init(&jobs[n], urls[n], n + 1);
    ck_assert_int_eq(handler.plan(handler.self, &jobs[n], &why), PFETCH_GO);
}

static void fill(unsigned n)
{
    struct pfetch_response response = { .http_status = 200,
                                        .length_bytes = -1,
                                        .last_modified_unix = -1 };

    ck_assert_int_eq(handler.begin(handler.self, &jobs[n], &response, 0,
                                   &why), PFETCH_GO);
    ck_assert_int_eq(handler.take(handler.self, &jobs[n], "body", 4, &why),
                     PFETCH_GO);
}

static enum pfetch_reply end(unsigned n, enum pfetch_status status)
{
    struct pfetch_record record = { .request = &jobs[n].request,
                                    .status = status };

    return handler.end(handler.self, &jobs[n], &record, &why);
}

/* All of a line, up to the answer PFETCH_PENDING. */
static void fetch(unsigned n, const char *path)
{
    plan(n, path);
    fill(n);
    ck_assert_int_eq(end(n, PFETCH_STATUS_OK), PFETCH_PENDING);
}

static void expect_settled(unsigned n, enum pfetch_reply reply,
                           const char *path)
{
    ck_assert_uint_eq(jobs[n].settled, 1);
    ck_assert_msg(jobs[n].settled_reply == reply, "%u: %d: %s", n,
                  jobs[n].settled_reply, jobs[n].settled_why.text);
    ck_assert_str_eq(jobs[n].path, path);
    fakejob_fini(&jobs[n]);
}

static bool is_there(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0;
}

static unsigned count_files(const char *path)
{
    DIR *list = opendir(path);
    unsigned count = 0;

    ck_assert_ptr_nonnull(list);
    while (readdir(list) != NULL)
        count++;
    ck_assert_int_eq(closedir(list), 0);
    return count - 2;
}

START_TEST(a_pause_ends_the_group)
{
    start();
    fetch(0, "a");
    fetch(1, "b");
    ck_assert_uint_eq(jobs[0].settled + jobs[1].settled, 0);
    ck_assert(is_there("out/.a.part") && !is_there("out/a"));
    handler.idle(handler.self);
    expect_settled(0, PFETCH_GO, "a");
    expect_settled(1, PFETCH_GO, "b");
    ck_assert(is_there("out/a") && is_there("out/b"));
    ck_assert_uint_eq(count_files("out"), 2);
    handler.idle(handler.self); /* there is nothing to do */
    ck_assert_uint_eq(jobs[0].settled, 0); /* since it was checked above */
}
END_TEST

START_TEST(a_full_group_does_not_wait)
{
    char path[8];
    unsigned before;

    start();
    before = count_files("/proc/self/fd");
    for (unsigned n = 0; n < GROUP + 1; n++) {
        (void)snprintf(path, sizeof path, "f%u", n);
        fetch(n, path);
        ck_assert_uint_eq(jobs[0].settled, n >= GROUP - 1);
    }
    ck_assert_uint_eq(count_files("/proc/self/fd"), before + 1);
    for (unsigned n = 0; n < GROUP; n++) {
        (void)snprintf(path, sizeof path, "f%u", n);
        expect_settled(n, PFETCH_GO, path);
    }
    ck_assert_uint_eq(jobs[GROUP].settled, 0);
    handler.idle(handler.self);
    expect_settled(GROUP, PFETCH_GO, "f4");
    ck_assert_uint_eq(count_files("/proc/self/fd"), before);
}
END_TEST

START_TEST(many_bytes_do_not_wait)
{
    enum { PIECE = 1 << 20 };
    char *piece = calloc(1, PIECE);

    ck_assert_ptr_nonnull(piece);
    start();
    plan(0, "big");
    fill(0);
    for (int i = 0; i < 64; i++)
        ck_assert_int_eq(handler.take(handler.self, &jobs[0], piece, PIECE,
                                      &why), PFETCH_GO);
    ck_assert_int_eq(end(0, PFETCH_STATUS_OK), PFETCH_PENDING);
    expect_settled(0, PFETCH_GO, "big");
    free(piece);
}
END_TEST

/* What fails is not of the group. */
START_TEST(a_failure_is_settled_at_once)
{
    start();
    fetch(0, "a");
    plan(1, "b");
    fill(1);
    ck_assert_int_eq(end(1, PFETCH_STATUS_FAILED), PFETCH_GO);
    fakejob_fini(&jobs[1]);
    ck_assert(!is_there("out/.b.part"));
    ck_assert_uint_eq(jobs[0].settled, 0);
    handler.idle(handler.self);
    expect_settled(0, PFETCH_GO, "a");
    ck_assert_uint_eq(count_files("out"), 1);
}
END_TEST

START_TEST(a_name_is_taken_while_it_waits)
{
    start();
    fetch(0, "a.txt");
    fetch(1, "b.txt");
    int fd = creat("out/a.txt", 0666);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(close(fd), 0);
    ck_assert_int_eq(mkdir("out/b.txt", 0777), 0);
    handler.idle(handler.self);
    expect_settled(0, PFETCH_GO, "a.1.txt");
    expect_settled(1, PFETCH_GO, "b.1.txt");
    ck_assert_uint_eq(count_files("out"), 4);
}
END_TEST

START_TEST(one_name_cannot_be_given)
{
    options.exist = PFETCH_DIR_EXIST_ERROR;
    start();
    fetch(0, "a");
    fetch(1, "b");
    ck_assert_int_eq(mkdir("out/a", 0777), 0);
    handler.idle(handler.self);
    ck_assert_int_eq(jobs[0].settled_why.cls, PFETCH_CLASS_EXISTS);
    expect_settled(0, PFETCH_FAIL, "a");
    expect_settled(1, PFETCH_GO, "b");
    ck_assert_uint_eq(count_files("out"), 2);
}
END_TEST

START_TEST(directories_and_overwriting)
{
    options.name = PFETCH_DIR_NAME_PATH;
    options.exist = PFETCH_DIR_EXIST_OVERWRITE;
    start();
    fetch(0, "d/e/a");
    fetch(1, "d/b");
    fetch(2, "d/e/c");
    handler.idle(handler.self);
    expect_settled(0, PFETCH_GO, "h/d/e/a");
    expect_settled(1, PFETCH_GO, "h/d/b");
    expect_settled(2, PFETCH_GO, "h/d/e/c");
}
END_TEST

/* Their directory is removed, with what waits in it. */
START_TEST(the_directory_goes_away)
{
    options.name = PFETCH_DIR_NAME_PATH;
    start();
    fetch(0, "d/a");
    fetch(1, "e/b");
    ck_assert_int_eq(system("rm -rf out/h/d"), 0);
    handler.idle(handler.self);
    ck_assert_int_eq(jobs[0].settled_why.cls, PFETCH_CLASS_LOCAL);
    expect_settled(0, PFETCH_FAIL, "h/d/a");
    expect_settled(1, PFETCH_GO, "h/e/b");
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("durable");
    TCase *tcase = tcase_create("durable");

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, a_pause_ends_the_group);
    tcase_add_test(tcase, a_full_group_does_not_wait);
    tcase_add_test(tcase, many_bytes_do_not_wait);
    tcase_add_test(tcase, a_failure_is_settled_at_once);
    tcase_add_test(tcase, a_name_is_taken_while_it_waits);
    tcase_add_test(tcase, one_name_cannot_be_given);
    tcase_add_test(tcase, directories_and_overwriting);
    tcase_add_test(tcase, the_directory_goes_away);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return suite_run(make_suite());
}
