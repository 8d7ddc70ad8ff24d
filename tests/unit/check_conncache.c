/* check_conncache.c - tests of conncache.c, with real connections.
 *
 * SPDX-License-Identifier: MIT
 *
 * A server of one thread answers every request with "ok" and never closes a
 * connection by itself, unless it is asked for "/close".  A test tells it to
 * misbehave, and waits until that has arrived at the slot's socket.
 */
#include "config.h"

#include "conncache.h"

#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SERVED_MAX = 64, AN_HOUR_MS = 3600 * 1000 };

/* --- the server ----------------------------------------------------------- */

static struct {
    int listener;
    int port;
    pthread_t thread;
    _Atomic unsigned accepted;
    _Atomic unsigned closed;   /* by the client, or after "/close" */
    _Atomic bool shut_newest;  /* an order: end the last connection made */
    _Atomic bool soil_newest;  /* an order: write into it unasked */
    _Atomic bool is_over;
} server;

static const char junk[] = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";

static void answer(struct pollfd *fd)
{
    static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    static const char last[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"
                               "Connection: close\r\n\r\nok";
    char request[4096];
    ssize_t n = recv(fd->fd, request, sizeof(request) - 1, 0);
    bool is_last;

    if (n > 0) { /* libcurl sends a small request at once */
        request[n] = '\0';
        is_last = strstr(request, "/close") != NULL;
        (void)send(fd->fd, is_last ? last : ok,
                   is_last ? sizeof(last) - 1 : sizeof(ok) - 1, MSG_NOSIGNAL);
        if (!is_last)
            return;
    }
    (void)close(fd->fd);
    fd->fd = -1;
    atomic_fetch_add(&server.closed, 1);
}

static void *serve(void *arg)
{
    struct pollfd fds[SERVED_MAX + 1];
    int n = 1, newest = -1;

    (void)arg;
    fds[0] = (struct pollfd){ .fd = server.listener, .events = POLLIN };
    while (!atomic_load(&server.is_over)) {
        if (atomic_exchange(&server.shut_newest, false))
            (void)shutdown(newest, SHUT_WR);
        if (atomic_exchange(&server.soil_newest, false))
            (void)send(newest, junk, sizeof(junk) - 1, MSG_NOSIGNAL);
        if (poll(fds, (nfds_t)n, 20) <= 0)
            continue;
        for (int i = 1; i < n; i++)
            if (fds[i].fd >= 0 && fds[i].revents != 0)
                answer(&fds[i]);
        if (fds[0].revents != 0) {
            int at = 1;

            while (at < n && fds[at].fd >= 0)
                at++;
            if (at > SERVED_MAX)
                abort();
            fds[at] = (struct pollfd){ .fd = accept(server.listener, NULL,
                                                    NULL),
                                       .events = POLLIN };
            if (at == n)
                n++;
            newest = fds[at].fd;
            atomic_fetch_add(&server.accepted, 1);
        }
    }
    for (int i = 1; i < n; i++)
        if (fds[i].fd >= 0)
            (void)close(fds[i].fd);
    return NULL;
}

static void start_server(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET };
    socklen_t size = sizeof(address);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    server.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(server.listener, 0);
    ck_assert_int_eq(bind(server.listener, (void *)&address, size), 0);
    ck_assert_int_eq(listen(server.listener, SERVED_MAX), 0);
    ck_assert_int_eq(getsockname(server.listener, (void *)&address, &size), 0);
    server.port = ntohs(address.sin_port);
    server.thread = unit_start(serve, NULL);
}

static void stop_server(void)
{
    atomic_store(&server.is_over, true);
    pf_thread_join(server.thread);
    (void)close(server.listener);
}

/* --- a cache and transfers ------------------------------------------------ */

static struct pf_conncache cache;
static struct pf_stats stats;

static void set_up(size_t max_idle)
{
    ck_assert_int_eq(curl_global_init(CURL_GLOBAL_DEFAULT), CURLE_OK);
    start_server();
    ck_assert_int_eq(pf_conncache_init(&cache, max_idle, AN_HOUR_MS, false,
                                       &stats),
                     0);
}

static void tear_down(void)
{
    pf_conncache_fini(&cache);
    /* Whatever was opened has been closed again. */
    AWAIT(atomic_load(&server.closed) == atomic_load(&server.accepted));
    stop_server();
}

struct body {
    char text[64];
    size_t size;
};

static size_t on_body(char *data, size_t size, size_t n, void *user)
{
    struct body *body = user;

    if (size * n > sizeof(body->text) - 1 - body->size)
        return 0;
    memcpy(body->text + body->size, data, size * n);
    body->size += size * n;
    return size * n;
}

/* One transfer through a slot, on a handle of its own. */
static CURLcode perform(struct pf_slot *slot, const char *path)
{
    CURL *easy = curl_easy_init();
    struct body body = { .size = 0 };
    char url[128];
    CURLcode rc;

    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%d%s", server.port,
                   path);
    if (easy == NULL || pf_slot_attach(slot, easy) != 0)
        abort();
    (void)curl_easy_setopt(easy, CURLOPT_URL, url);
    (void)curl_easy_setopt(easy, CURLOPT_PROXY, "");
    (void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEDATA, &body);
    rc = curl_easy_perform(easy);
    pf_slot_detach(easy);
    curl_easy_cleanup(easy);
    if (rc == CURLE_OK && strcmp(body.text, "ok") != 0)
        rc = CURLE_WRITE_ERROR; /* somebody else's bytes */
    return rc;
}

static struct pf_slot *lease(const char *key)
{
    struct pf_slot *slot = pf_conncache_lease(&cache, key);

    ck_assert_ptr_nonnull(slot);
    ck_assert_str_eq(slot->key, key);
    return slot;
}

static struct pf_slot *lease_and_fetch(const char *key)
{
    struct pf_slot *slot = lease(key);

    ck_assert_int_eq(perform(slot, "/"), CURLE_OK);
    ck_assert_uint_eq(slot->socket_count, 1);
    return slot;
}

static void fetch(const char *key)
{
    pf_conncache_give(&cache, lease_and_fetch(key), true);
}

static bool has_news(const struct pf_slot *slot)
{
    struct pollfd fd = { .fd = slot->sockets[0], .events = POLLIN };

    return poll(&fd, 1, 0) == 1;
}

static uint64_t discarded(void)
{
    return pf_stat_get(&stats.connections_discarded);
}

/* --- one after the other -------------------------------------------------- */

START_TEST(a_quiet_connection_is_used_again)
{
    struct pf_slot *slot;

    set_up(10);
    slot = lease_and_fetch("a");
    pf_conncache_give(&cache, slot, true);
    ck_assert_uint_eq(cache.idle, 1);
    ck_assert_ptr_eq(pf_conncache_lease(&cache, "a"), slot);
    ck_assert_uint_eq(cache.idle, 0);
    ck_assert_int_eq(perform(slot, "/"), CURLE_OK);
    pf_conncache_give(&cache, slot, true);
    ck_assert_uint_eq(atomic_load(&server.accepted), 1);
    ck_assert_uint_eq(discarded(), 0);
    tear_down();
}
END_TEST

START_TEST(a_closed_connection_is_discarded)
{
    struct pf_slot *slot;

    set_up(10);
    slot = lease_and_fetch("a");
    pf_conncache_give(&cache, slot, true);
    atomic_store(&server.shut_newest, true);
    AWAIT(has_news(slot));
    fetch("a");
    ck_assert_uint_eq(atomic_load(&server.accepted), 2);
    ck_assert_uint_eq(discarded(), 1);
    tear_down();
}
END_TEST

/* Bytes nobody asked for: they must not become the next answer. */
START_TEST(a_dirty_connection_is_discarded)
{
    struct pf_slot *slot;

    set_up(10);
    slot = lease_and_fetch("a");
    pf_conncache_give(&cache, slot, true);
    atomic_store(&server.soil_newest, true);
    AWAIT(has_news(slot));
    fetch("a"); /* checks the body */
    ck_assert_uint_eq(discarded(), 1);
    tear_down();
}
END_TEST

START_TEST(the_next_idle_one_is_tried_when_one_is_dead)
{
    struct pf_slot *first, *second;

    set_up(10);
    first = lease_and_fetch("a");
    second = lease_and_fetch("a");
    pf_conncache_give(&cache, first, true);
    pf_conncache_give(&cache, second, true);
    atomic_store(&server.shut_newest, true);
    AWAIT(has_news(second));
    ck_assert_ptr_eq(pf_conncache_lease(&cache, "a"), first);
    ck_assert_uint_eq(discarded(), 1);
    pf_conncache_give(&cache, first, true);
    tear_down();
}
END_TEST

START_TEST(keys_are_kept_apart_and_the_last_used_comes_first)
{
    struct pf_slot *a, *b, *c;

    set_up(10);
    a = lease_and_fetch("a");
    b = lease_and_fetch("a");
    c = lease_and_fetch("other");
    pf_conncache_give(&cache, a, true);
    pf_conncache_give(&cache, b, true);
    pf_conncache_give(&cache, c, true);
    ck_assert_ptr_eq(pf_conncache_lease(&cache, "a"), b);
    ck_assert_ptr_eq(pf_conncache_lease(&cache, "a"), a);
    ck_assert_ptr_eq(pf_conncache_lease(&cache, "other"), c);
    pf_conncache_give(&cache, c, true);
    pf_conncache_give(&cache, b, true);
    pf_conncache_give(&cache, a, true);
    ck_assert_ptr_eq(pf_conncache_lease(&cache, "a"), a);
    pf_conncache_give(&cache, a, true);
    ck_assert_uint_eq(cache.idle, 3);
    tear_down();
}
END_TEST

START_TEST(a_connection_not_to_be_kept_is_closed)
{
    set_up(10);
    pf_conncache_give(&cache, lease_and_fetch("a"), false);
    ck_assert_uint_eq(cache.idle, 0);
    AWAIT(atomic_load(&server.closed) == 1);
    ck_assert_uint_eq(discarded(), 0);
    tear_down();
}
END_TEST

START_TEST(a_slot_without_connection_is_not_kept)
{
    struct pf_slot *slot;

    set_up(10);
    pf_conncache_give(&cache, lease("a"), true);
    ck_assert_uint_eq(cache.idle, 0);
    slot = lease("a");
    ck_assert_int_eq(perform(slot, "/close"), CURLE_OK);
    ck_assert_uint_eq(slot->socket_count, 0);
    pf_conncache_give(&cache, slot, true);
    ck_assert_uint_eq(cache.idle, 0);
    tear_down();
}
END_TEST

START_TEST(a_slot_that_cannot_see_all_its_sockets_is_not_kept)
{
    struct pf_slot *slot;

    set_up(10);
    slot = lease_and_fetch("a");
    slot->is_overfull = true;
    pf_conncache_give(&cache, slot, true);
    ck_assert_uint_eq(cache.idle, 0);
    tear_down();
}
END_TEST

/* --- bounds --------------------------------------------------------------- */

START_TEST(the_least_recently_used_are_closed_first)
{
    struct pf_slot *slots[4];

    set_up(2);
    for (int i = 0; i < 4; i++) {
        char key[2] = { (char)('a' + i), '\0' };

        slots[i] = lease_and_fetch(key);
    }
    for (int i = 0; i < 4; i++)
        pf_conncache_give(&cache, slots[i], true);
    ck_assert_uint_eq(cache.idle, 2);
    AWAIT(atomic_load(&server.closed) == 2);
    ck_assert_ptr_eq(pf_conncache_lease(&cache, "d"), slots[3]);
    ck_assert_ptr_eq(pf_conncache_lease(&cache, "c"), slots[2]);
    pf_conncache_give(&cache, slots[2], true);
    pf_conncache_give(&cache, slots[3], true);
    ck_assert_uint_eq(atomic_load(&server.accepted), 4);
    tear_down();
}
END_TEST

START_TEST(none_is_kept_when_none_may_be)
{
    set_up(0);
    fetch("a");
    fetch("a");
    ck_assert_uint_eq(cache.idle, 0);
    ck_assert_uint_eq(atomic_load(&server.accepted), 2);
    tear_down();
}
END_TEST

START_TEST(an_old_connection_is_not_used)
{
    struct pf_slot *slot;

    set_up(10);
    slot = lease_and_fetch("a");
    pf_conncache_give(&cache, slot, true);
    slot->idle_since_ms -= AN_HOUR_MS + UNIT_PATIENCE_MS;
    fetch("a");
    ck_assert_uint_eq(atomic_load(&server.accepted), 2);
    ck_assert_uint_eq(discarded(), 1);
    tear_down();
}
END_TEST

START_TEST(old_connections_of_others_are_closed_on_give)
{
    struct pf_slot *slot;

    set_up(10);
    slot = lease_and_fetch("a");
    pf_conncache_give(&cache, slot, true);
    slot->idle_since_ms -= AN_HOUR_MS + UNIT_PATIENCE_MS;
    fetch("b");
    ck_assert_uint_eq(cache.idle, 1);
    AWAIT(atomic_load(&server.closed) == 1);
    tear_down();
}
END_TEST

/* --- sockets -------------------------------------------------------------- */

START_TEST(sockets_are_closed_on_exec)
{
    struct pf_slot *slot;

    set_up(10);
    slot = lease_and_fetch("a");
    ck_assert(fcntl(slot->sockets[0], F_GETFD) & FD_CLOEXEC);
    pf_conncache_give(&cache, slot, true);
    tear_down();
}
END_TEST

START_TEST(descriptors_that_ran_out_are_a_local_reason)
{
    struct rlimit limit, none;
    struct pf_slot *slot;
    CURLcode rc;

    set_up(10);
    slot = lease("a");
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none = (struct rlimit){ .rlim_cur = 0, .rlim_max = limit.rlim_max };
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    rc = perform(slot, "/");
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    ck_assert_int_eq(rc, CURLE_COULDNT_CONNECT);
    ck_assert_int_eq(slot->local_errno, EMFILE);
    ck_assert_int_eq(perform(slot, "/"), CURLE_OK);
    ck_assert_int_eq(slot->local_errno, 0);
    pf_conncache_give(&cache, slot, true);
    tear_down();
}
END_TEST

/* --- several threads ------------------------------------------------------ */

enum { FETCHERS = 4, FETCHES = 60 };

static void *run_fetcher(void *arg)
{
    unsigned *failed = arg;

    for (int i = 0; i < FETCHES; i++) {
        static const char *const keys[] = { "a", "b", "c" };
        struct pf_slot *slot = pf_conncache_lease(&cache, keys[i % 3]);

        if (slot == NULL || strcmp(slot->key, keys[i % 3]) != 0
            || perform(slot, "/") != CURLE_OK)
            ++*failed;
        pf_conncache_give(&cache, slot, i % 7 != 0);
    }
    return NULL;
}

START_TEST(threads_share_the_connections)
{
    unsigned failed[FETCHERS] = { 0 };
    pthread_t threads[FETCHERS];

    set_up(_i == 0 ? 1 : 100);
    for (int i = 0; i < FETCHERS; i++)
        threads[i] = unit_start(run_fetcher, &failed[i]);
    for (int i = 0; i < FETCHERS; i++) {
        pf_thread_join(threads[i]);
        ck_assert_uint_eq(failed[i], 0);
    }
    ck_assert_uint_le(cache.idle, cache.max_idle);
    ck_assert_uint_eq(discarded(), 0);
    if (_i == 1) /* only what was not to be kept is opened again */
        ck_assert_uint_le(atomic_load(&server.accepted),
                          FETCHERS * (3 + FETCHES / 7 + 1));
    tear_down();
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("conncache");

    tcase_add_test(tests, a_quiet_connection_is_used_again);
    tcase_add_test(tests, a_closed_connection_is_discarded);
    tcase_add_test(tests, a_dirty_connection_is_discarded);
    tcase_add_test(tests, the_next_idle_one_is_tried_when_one_is_dead);
    tcase_add_test(tests, keys_are_kept_apart_and_the_last_used_comes_first);
    tcase_add_test(tests, a_connection_not_to_be_kept_is_closed);
    tcase_add_test(tests, a_slot_without_connection_is_not_kept);
    tcase_add_test(tests, a_slot_that_cannot_see_all_its_sockets_is_not_kept);
    tcase_add_test(tests, the_least_recently_used_are_closed_first);
    tcase_add_test(tests, none_is_kept_when_none_may_be);
    tcase_add_test(tests, an_old_connection_is_not_used);
    tcase_add_test(tests, old_connections_of_others_are_closed_on_give);
    tcase_add_test(tests, sockets_are_closed_on_exec);
    tcase_add_test(tests, descriptors_that_ran_out_are_a_local_reason);
    tcase_add_loop_test(tests, threads_share_the_connections, 0, 2);
    return unit_run(tests, "conncache");
}
