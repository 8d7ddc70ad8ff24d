/* check_connections.c - how many connections there are, and the stress test
 * of the cache that keeps them.
 *
 * SPDX-License-Identifier: MIT
 *
 * PFETCH_STRESS is the number of URLs of the stress test.  Race detectors run
 * this program, too.
 */
#include "config.h"

#include "certs.h"
#include "suite.h"
#include "support.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct faultd server;
static struct certs certs;

static void reset(void)
{
    faultd_reset(&server);
}

static unsigned stress_urls(void)
{
    const char *text = getenv("PFETCH_STRESS");

    if (text != NULL)
        return (unsigned)strtoul(text, NULL, 10);
    return is_slow() ? 600 : 4000;
}

START_TEST(test_one_host_needs_a_connection_per_worker)
{
    enum { WORKERS = 16 };
    unsigned urls = is_slow() ? 100 : 1000;
    struct run *run = run_create(urls);
    char url[URL_BYTES];

    run->options.workers = WORKERS;
    run->options.cacert = certs.ca;
    run->options.connect_timeout_ms = 200000; /* a retry opens one, too */
    run_start(run);
    for (unsigned i = 0; i < urls; i++)
        (void)run_add(run, faultd_url(&server, _i, "127.0.0.1",
                                      "/size=1000/good", url));
    run_finish(run);
    expect_good(run);
    /* A session ticket that comes late costs a connection.  On a slow machine
     * it may come after this library has looked and before libcurl does. */
    if (_i == PORT_PLAIN || !is_slow())
        ck_assert_uint_le(run->counters.connections_opened,
                          WORKERS + run->counters.connections_discarded);
    ck_assert_uint_eq(run->counters.connections_opened
                      + run->counters.connections_reused, urls);
    ck_assert_int_eq(faultd_stat(&server, "connections_accepted"),
                     (long)run->counters.connections_opened);
    run_free(run);
}
END_TEST

/* With room for few idle connections, hosts in turn: few stay open. */
START_TEST(test_idle_connections_are_bounded)
{
    enum { HOSTS = 100, WORKERS = 4 };
    struct run *run = run_create(2 * HOSTS);
    unsigned max_idle = _i == 0 ? 0 : 10;
    char url[URL_BYTES], host[32];

    run->options.workers = WORKERS;
    run->options.max_idle = max_idle;
    run_start(run);
    for (int i = 0; i < 2 * HOSTS; i++) {
        (void)snprintf(host, sizeof(host), "127.1.2.%d",
                       1 + i % HOSTS); /* it fits */
        (void)run_add(run, faultd_url(&server, PORT_PLAIN, host,
                                      "/size=100/good", url));
    }
    run_finish(run);
    expect_good(run);
    if (max_idle == 0)
        ck_assert_uint_eq(run->counters.connections_reused, 0);
    /* What the client has closed the server may learn a little later; so it
     * may count some more, but far from a hundred. */
    ck_assert_int_le(faultd_stat(&server, "connections_open_max"),
                     max_idle + 2 * WORKERS + 20);
    run_free(run);
}
END_TEST

START_TEST(test_kept_connections_are_shared_by_all_workers)
{
    enum { HOSTS = 50, URLS = 1000, WORKERS = 8 };
    struct run *run = run_create(URLS);
    char url[URL_BYTES], host[32];

    run->options.workers = WORKERS;
    run_start(run);
    for (int i = 0; i < URLS; i++) {
        (void)snprintf(host, sizeof(host), "127.1.3.%d",
                       1 + i % HOSTS); /* it fits */
        (void)run_add(run, faultd_url(&server, PORT_PLAIN, host,
                                      "/size=100/good", url));
    }
    run_finish(run);
    expect_good(run);
    /* A cache of each worker's own would open HOSTS * WORKERS. */
    ck_assert_uint_le(run->counters.connections_opened, 2 * HOSTS);
    run_free(run);
}
END_TEST

/* Servers that close in every way they can, many hosts, many workers. */
START_TEST(test_stress)
{
    static const char *const manners[] = {
        "keep", "closeevery=3", "closeidle", "connclose", "chunked",
        "latejunk=poison,0", "junk=poison", "nolength", "latejunk=10,1",
    };
    enum { MANNERS = sizeof(manners) / sizeof(manners[0]), HOSTS = 60 };
    unsigned urls = stress_urls();
    struct run *run = run_create(urls);
    char url[URL_BYTES], host[32], path[80];

    run->options.workers = 64;
    run->options.max_idle = 40;
    run->options.retries = 0;
    run->options.stall_timeout_ms = run->options.connect_timeout_ms = 60000;
    run->options.queue_jobs = 500;
    run_start(run);
    for (unsigned i = 0; i < urls; i++) {
        (void)snprintf(host, sizeof(host), "127.1.%u.%u", i % 7,
                       1 + i % HOSTS); /* it fits */
        (void)snprintf(path, sizeof(path), "/size=%u/%s/good%u", i % 3000,
                       manners[i % MANNERS], i); /* it fits */
        (void)run_add(run, faultd_url(&server, PORT_PLAIN, host, path, url));
    }
    run_finish(run);
    expect_good(run);
    ck_assert_uint_eq(run->counters.ok, urls);
    run_free(run);
}
END_TEST

/* The same over TLS, where closing does I/O and a slot holds a session. */
START_TEST(test_stress_tls)
{
    static const char *const manners[] = {
        "keep", "closeevery=3", "closeidle", "connclose",
    };
    unsigned urls = stress_urls() / (is_slow() ? 12 : 4);
    struct run *run = run_create(urls);
    char url[URL_BYTES], path[80];

    run->options.workers = is_slow() ? 8 : 32;
    run->options.max_idle = 3;
    run->options.retries = 0;
    run->options.cacert = certs.ca;
    run->options.stall_timeout_ms = run->options.connect_timeout_ms = 200000;
    run_start(run);
    for (unsigned i = 0; i < urls; i++) {
        (void)snprintf(path, sizeof(path), "/size=%u/%s/good%u", i % 3000,
                       manners[i % 4], i); /* it fits */
        (void)run_add(run, faultd_url(&server, PORT_TLS,
                                      i % 2 == 0 ? "127.0.0.1" : "127.0.0.2",
                                      path, url));
    }
    run_finish(run);
    expect_good(run);
    ck_assert_uint_eq(run->counters.ok, urls);
    run_free(run);
}
END_TEST

static Suite *create_suite(void)
{
    Suite *suite = suite_create("connections");
    TCase *all = tcase_create("all");

    tcase_set_timeout(all, 300);
    tcase_add_checked_fixture(all, reset, NULL);
    tcase_add_loop_test(all, test_one_host_needs_a_connection_per_worker,
                        PORT_PLAIN, PORT_TLS + 1);
    tcase_add_loop_test(all, test_idle_connections_are_bounded, 0, 2);
    tcase_add_test(all, test_kept_connections_are_shared_by_all_workers);
    tcase_add_test(all, test_stress);
    tcase_add_test(all, test_stress_tls);
    suite_add_tcase(suite, all);
    return suite;
}

int main(void)
{
    int status;

    certs_make(&certs);
    faultd_start(&server, "0.0.0.0", certs.good, certs.good_key);
    status = suite_run(create_suite());
    faultd_stop(&server);
    certs_remove(&certs);
    return status;
}
