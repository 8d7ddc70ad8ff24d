/* check_credentials.c - secrets go where they were meant for, and nowhere
 * else.
 *
 * SPDX-License-Identifier: MIT
 *
 * What was sent is read from faultd's log of requests; each path is asked for
 * once.
 */
#include "config.h"

#include "certs.h"
#include "suite.h"
#include "support.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* USER:CANARY and OTHER:CANARY, as Basic credentials have them. */
#define OF_URL "VVNFUjpDQU5BUlk="
#define OF_OPTIONS "T1RIRVI6Q0FOQVJZ"

static struct faultd server, neighbour;
static struct certs certs;

static void reset(void)
{
    faultd_reset(&server);
    faultd_reset(&neighbour);
}

/* What a request is made with, and where it goes to. */
enum {
    BY_URL = 1,     /* USER:CANARY@ in the URL */
    BY_OPTION = 2,  /* OTHER:CANARY as options */
    BY_HEADER = 4   /* If-None-Match: CANARY as a header */
};

static struct run *create_run(unsigned max, int how)
{
    static const char *const headers[] = { "If-None-Match: CANARY", NULL };
    struct run *run = run_create(max);

    run->options.workers = 1; /* so that one handle makes all requests */
    run->options.cacert = certs.ca;
    run->options.allow_downgrade = true;
    if (how & BY_OPTION) {
        run->options.username = "OTHER";
        run->options.password = "CANARY";
    }
    if (how & BY_HEADER)
        run->options.headers = headers;
    return run;
}

/* A URL, with a user part if so wished. */
static char *make_url(const struct faultd *f, int port, const char *host,
                      const char *path, int how, char *url)
{
    char with_user[80];

    (void)snprintf(with_user, sizeof(with_user), "%s%s",
                   how & BY_URL ? "USER:CANARY@" : "", host); /* it fits */
    return faultd_url(f, port, with_user, path, url);
}

/* "/redirect=URL/NAME", the URL encoded as faultd wants it. */
static char *make_redirect(const char *url, const char *name, char *path)
{
    size_t n = (size_t)sprintf(path, "/redirect=");

    for (; *url != '\0'; url++)
        if (*url == '/' || *url == '%')
            n += (size_t)sprintf(path + n, "%%%02X", *url);
        else
            path[n++] = *url;
    (void)sprintf(path + n, "/%s", name); /* URL_BYTES * 3 is enough */
    return path;
}

/* The line of the log about the request whose path ends so; owned by
 * *log. */
static const char *find_request(char *log, const char *name)
{
    const char *found = NULL;

    for (char *line = strtok(log, "\n"); line != NULL;
         line = strtok(NULL, "\n"))
        if (strstr(line, name) != NULL && strstr(line, "\"path\":\"/size=")
                                              != NULL) {
            ck_assert_ptr_null(found); /* asked for once only */
            found = line;
        }
    ck_assert_ptr_nonnull(found);
    return found;
}

/* What came with the one request for /size=.../NAME. */
static int what_came(const struct faultd *f, const char *name)
{
    char *log = faultd_control(f, "/_log?last=100");
    const char *line = find_request(log, name);
    int came = (strstr(line, OF_URL) != NULL ? BY_URL : 0)
               | (strstr(line, OF_OPTIONS) != NULL ? BY_OPTION : 0)
               | (strstr(line, "If-None-Match") != NULL ? BY_HEADER : 0);

    if (!(came & (BY_URL | BY_OPTION)))
        ck_assert_ptr_null(strstr(line, "uthorization"));
    free(log);
    return came;
}

/* Neither in a record nor anywhere near it. */
static void expect_no_secret(const struct run *run)
{
    for (unsigned i = 0; i < run->max; i++) {
        const struct entry *e = &run->entries[i];
        const char *const shown[] = { e->message, e->effective_url,
                                      e->path };

        for (size_t k = 0; k < sizeof(shown) / sizeof(shown[0]); k++)
            if (shown[k] != NULL) {
                ck_assert_ptr_null(strstr(shown[k], "CANARY"));
                ck_assert_ptr_null(strstr(shown[k], "USER"));
            }
    }
    ck_assert_ptr_null(strstr(run->why.text, "CANARY"));
}

/* --- without a redirect --------------------------------------------------- */

START_TEST(test_they_are_sent_to_their_origin)
{
    struct run *run = create_run(1, _i);
    char url[URL_BYTES];
    /* The user part of a URL goes before the options. */
    int expected = _i & BY_URL ? _i & ~BY_OPTION : _i;

    run_start(run);
    (void)run_add(run, make_url(&server, PORT_PLAIN, "127.0.0.1",
                                "/size=9/home", _i, url));
    run_finish(run);
    expect_body(&run->entries[0], "home", 9);
    ck_assert_int_eq(what_came(&server, "home"), expected);
    expect_no_secret(run);
    run_free(run);
}
END_TEST

/* One worker, one handle: what one URL brought must not stay for the next. */
START_TEST(test_the_next_url_has_none)
{
    int how = _i == 0 ? 0 : BY_OPTION;
    struct run *run = create_run(4, how);
    char url[URL_BYTES];

    run_start(run);
    (void)run_add(run, make_url(&server, PORT_PLAIN, "127.0.0.1",
                                "/size=9/first", BY_URL, url));
    (void)run_add(run, make_url(&server, PORT_PLAIN, "127.0.0.1",
                                "/size=9/second", 0, url));
    (void)run_add(run, make_url(&server, PORT_PLAIN, "127.0.0.1",
                                "/size=9/third", BY_URL, url));
    (void)run_add(run, make_url(&server, PORT_PLAIN, "127.0.0.2",
                                "/size=9/fourth", 0, url));
    run_finish(run);
    ck_assert_int_eq(what_came(&server, "first"), BY_URL);
    ck_assert_int_eq(what_came(&server, "second"), how);
    ck_assert_int_eq(what_came(&server, "third"), BY_URL);
    ck_assert_int_eq(what_came(&server, "fourth"), how);
    expect_no_secret(run);
    run_free(run);
}
END_TEST

START_TEST(test_escapes_and_odd_users)
{
    struct run *run = run_create(3);
    char url[URL_BYTES];

    run_start(run);
    (void)run_add(run, faultd_url(&server, PORT_PLAIN,
                                  "a%40b:c%2Fd%3Ae@127.0.0.1",
                                  "/auth=a@b:c%2Fd:e/size=9/good", url));
    (void)run_add(run, faultd_url(&server, PORT_PLAIN, "user@127.0.0.1",
                                  "/auth=user:/size=9/good", url));
    (void)run_add(run, faultd_url(&server, PORT_PLAIN, ":word@127.0.0.1",
                                  "/auth=:word/size=9/good", url));
    run_finish(run);
    expect_body(&run->entries[0], "good", 9);
    expect_body(&run->entries[1], "good", 9);
    expect_body(&run->entries[2], "good", 9);
    expect_no_secret(run);
    run_free(run);
}
END_TEST

/* --- after a redirect ----------------------------------------------------- */

/* From plain http at 127.0.0.1 of `server`, or from its TLS port. */
static const struct {
    int from;
    const struct faultd *to;
    int port;
    const char *host;
    bool is_home;
} hops[] = {
    { PORT_PLAIN, &server, PORT_PLAIN, "127.0.0.1", true },
    { PORT_PLAIN, &server, PORT_PLAIN, "127.0.0.2", false },
    { PORT_PLAIN, &server, PORT_PLAIN, "localhost", false },
    { PORT_PLAIN, &neighbour, PORT_PLAIN, "127.0.0.1", false },
    { PORT_PLAIN, &server, PORT_TLS, "127.0.0.1", false },
    { PORT_TLS, &server, PORT_TLS, "127.0.0.1", true },
    { PORT_TLS, &server, PORT_TLS, "127.0.0.2", false },
    { PORT_TLS, &server, PORT_PLAIN, "127.0.0.1", false },
    { PORT_TLS, &neighbour, PORT_TLS, "127.0.0.1", false },
    { PORT_PLAIN, &server, PORT_PLAIN, "evil:WRONG@127.0.0.1", true },
    { PORT_PLAIN, &server, PORT_PLAIN, "evil:WRONG@127.0.0.2", false },
};

enum { HOPS = sizeof(hops) / sizeof(hops[0]), HOWS = 8 };

START_TEST(test_they_stay_with_their_origin)
{
    int how = _i % HOWS, sent = how & BY_URL ? how & ~BY_OPTION : how;
    struct run *run = create_run(1, how);
    char target[URL_BYTES], path[3 * URL_BYTES], url[URL_BYTES];
    const struct entry *e;

    faultd_url(hops[_i / HOWS].to, hops[_i / HOWS].port,
               hops[_i / HOWS].host, "/size=9/target", target);
    make_redirect(target, "start", path);
    run_start(run);
    e = run_add(run, make_url(&server, hops[_i / HOWS].from, "127.0.0.1",
                              path, how, url));
    run_finish(run);
    expect_body(e, "target", 9);
    ck_assert_int_eq(what_came(hops[_i / HOWS].to, "target"),
                     hops[_i / HOWS].is_home ? sent : 0);
    ck_assert_ptr_null(strstr(e->effective_url, "evil"));
    ck_assert_ptr_null(strstr(e->effective_url, "WRONG"));
    expect_no_secret(run);
    run_free(run);
}
END_TEST

/* There and back again: at home they are sent once more. */
START_TEST(test_there_and_back)
{
    struct run *run = create_run(1, BY_URL | BY_HEADER);
    char home[URL_BYTES], away[URL_BYTES], path[3 * URL_BYTES];
    char back[3 * URL_BYTES], url[URL_BYTES];
    char *log;

    faultd_url(&server, PORT_PLAIN, "127.0.0.1", "/size=9/target", home);
    make_redirect(home, "size=9/away", back);
    faultd_url(&neighbour, PORT_PLAIN, "127.0.0.1", back, away);
    make_redirect(away, "start", path);
    run_start(run);
    (void)run_add(run, make_url(&server, PORT_PLAIN, "127.0.0.1", path,
                                BY_URL, url));
    run_finish(run);
    expect_body(&run->entries[0], "target", 9);
    ck_assert_int_eq(what_came(&server, "target"), BY_URL | BY_HEADER);
    log = faultd_control(&neighbour, "/_log?last=10");
    ck_assert_ptr_nonnull(strstr(log, "away"));
    ck_assert_ptr_null(strstr(log, "uthorization"));
    ck_assert_ptr_null(strstr(log, "If-None-Match"));
    free(log);
    run_free(run);
}
END_TEST

/* A continuation is sent with the same headers as any other request. */
START_TEST(test_a_continuation_keeps_them_at_home)
{
    struct run *run = create_run(1, BY_OPTION | BY_HEADER);
    struct entry *e;

    run_start(run);
    e = run_add_path(run, &server,
                     "/auth=OTHER:CANARY/needheader=If-None-Match:CANARY"
                     "/size=9000/etag=v/failcut=1:5000/x");
    run_finish(run);
    expect_body(e, "x", 9000);
    ck_assert_int_eq(e->resumed_at, 5000);
    run_free(run);
}
END_TEST

/* --- in what is shown ----------------------------------------------------- */

static const char *const shown[] = {
    "http://USER:CANARY@127.0.0.1:1/x",
    "http://USER:CANARY@host.invalid/x",
    "http://USER:CANARY@/x",
    "http://USER:CANARY@127.0.0.1:0/x",
    "http://USER:CANARY@127.0.0.1:99999/x",
    "http://USER:CANARY@[::1/x",
    "http://USER:CANARY@127.0.0.1 /x",
    "http://USER:CANARY@host..invalid/x",
    "USER:CANARY@127.0.0.1/x",
    "ftp://USER:CANARY@127.0.0.1/x",
    "http://USER:CAN%00ARY@127.0.0.1/x",
};

START_TEST(test_no_failure_shows_them)
{
    struct run *run = run_create(1);

    run_start(run);
    (void)run_add(run, shown[_i]);
    run_finish(run);
    ck_assert_int_eq(run->entries[0].status, PFETCH_STATUS_FAILED);
    expect_no_secret(run);
    run_free(run);
}
END_TEST

START_TEST(test_no_challenge_brings_them_out)
{
    struct run *run = create_run(2, 0);
    struct entry *basic, *other;

    run_start(run);
    basic = run_add_path(run, &server, "/auth=USER:CANARY/size=9/x");
    other = run_add_path(run, &server,
                         "/status=401/header=WWW-Authenticate:%20Digest%20"
                         "realm=%22r%22,%20nonce=%22n%22/size=9/x");
    run_finish(run);
    expect_failed(basic, PFETCH_CLASS_HTTP);
    expect_failed(other, PFETCH_CLASS_HTTP);
    ck_assert_uint_eq(basic->attempts + other->attempts, 2);
    ck_assert_int_eq(faultd_stat(&server, "requests"), 2);
    run_free(run);
}
END_TEST

/* No cookies, no referrer, nothing that was not asked for. */
START_TEST(test_nothing_else_is_sent)
{
    struct run *run = create_run(2, 0);
    struct entry *e;

    run->options.user_agent = NULL;
    run_start(run);
    (void)run_add_path(run, &server,
                       "/size=9/header=Set-Cookie:%20a=CANARY/first");
    e = run_add_path(run, &server,
                     "/size=9/refuseheader=Cookie/refuseheader=Referer"
                     "/refuseheader=User-Agent/refuseheader=Range"
                     "/refuseheader=Accept-Encoding/refuseheader=If-Range"
                     "/refuseheader=Authorization/x");
    run_finish(run);
    expect_body(e, "x", 9);
    run_free(run);
}
END_TEST

static Suite *create_suite(void)
{
    Suite *suite = suite_create("credentials");
    TCase *all = tcase_create("all");

    tcase_set_timeout(all, 60);
    tcase_add_checked_fixture(all, reset, NULL);
    tcase_add_loop_test(all, test_they_are_sent_to_their_origin, 0, HOWS);
    tcase_add_loop_test(all, test_the_next_url_has_none, 0, 2);
    tcase_add_test(all, test_escapes_and_odd_users);
    tcase_add_loop_test(all, test_they_stay_with_their_origin, 0,
                        HOPS * HOWS);
    tcase_add_test(all, test_there_and_back);
    tcase_add_test(all, test_a_continuation_keeps_them_at_home);
    tcase_add_loop_test(all, test_no_failure_shows_them, 0,
                        sizeof(shown) / sizeof(shown[0]));
    tcase_add_test(all, test_no_challenge_brings_them_out);
    tcase_add_test(all, test_nothing_else_is_sent);
    suite_add_tcase(suite, all);
    return suite;
}

int main(void)
{
    int status;

    certs_make(&certs);
    faultd_start(&server, "0.0.0.0", certs.good, certs.good_key);
    faultd_start(&neighbour, "0.0.0.0", certs.good, certs.good_key);
    status = suite_run(create_suite());
    faultd_stop(&server);
    faultd_stop(&neighbour);
    certs_remove(&certs);
    return status;
}
