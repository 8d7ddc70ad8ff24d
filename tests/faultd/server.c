/*
 * server.c - the listeners, one thread for each connection, the end.
 *
 * The thread of server_run polls the listeners, standard input and a pipe that
 * server_stop writes to.  It alone accepts, so after its loop no connection is
 * added.  Connections are in a list under the server's lock; a thread moves its
 * own to the list of ended ones, and closes its socket, under that lock, so
 * that server_run may shut down every socket in the first list.  server_run
 * joins the ended threads now and then, and when it ends waits until the first
 * list is empty and joins the rest: then nobody touches the server any more.
 *
 * A plain connection is counted at its first request that is not for control,
 * or at its end if there was none; others when they are accepted.
 *
 * SPDX-License-Identifier: MIT
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* accept4 */
#endif

#include "server.h"

#include "exchange.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 4096, STACK_BYTES = 256 * 1024 };

/* Places in the poll set after the listeners. */
enum { POLL_STDIN = PORT_COUNT, POLL_STOP, POLL_COUNT };

struct server {
    struct stats *stats;         /* has its own lock */
    SSL_CTX *tls;                /* read-only */
    atomic_bool healed;          /* any thread */
    int listeners[PORT_COUNT];   /* server_run only; -1: none */
    int stop_pipe[2];            /* set before start, then read-only */
    unsigned long conn_count;    /* server_run only */
    pthread_attr_t thread_attr;  /* server_run only */
    pthread_mutex_t lock;        /* guards conns and ended */
    pthread_cond_t no_conns;     /* signalled when conns becomes empty */
    struct conn *conns;
    struct conn *ended; /* their threads are to be joined */
};

static void lock(struct server *server)
{
    if (pthread_mutex_lock(&server->lock) != 0)
        abort();
}

static void unlock(struct server *server)
{
    if (pthread_mutex_unlock(&server->lock) != 0)
        abort();
}

static void add_conn(struct server *server, struct conn *conn)
{
    lock(server);
    conn->next = server->conns;
    if (conn->next != NULL)
        conn->next->prev = conn;
    server->conns = conn;
    unlock(server);
}

/* Takes conn out of the list, and closes its socket while it holds the lock. */
static void remove_conn_locked(struct server *server, struct conn *conn)
{
    if (conn->prev != NULL)
        conn->prev->next = conn->next;
    else
        server->conns = conn->next;
    if (conn->next != NULL)
        conn->next->prev = conn->prev;
    close(conn->fd);
    if (server->conns == NULL)
        pthread_cond_signal(&server->no_conns);
}

/* Counts the end, and a connection that never made a request at all. */
static void count_end(struct conn *conn)
{
    if (!conn->control)
        server_count(conn);
    if (conn->counted)
        stats_connection_close(conn->server->stats);
}

static void serve(struct conn *conn)
{
    bool goes_on = true;

    if (conn->mute) {
        conn_pause(conn, -1);
        return;
    }
    if (conn->ssl != NULL) {
        if (SSL_accept(conn->ssl) != 1) {
            conn->broken = true;
            return;
        }
        stats_handshake(conn->server->stats);
    }
    while (goes_on) {
        char *head = conn_read_head(conn);
        goes_on = head != NULL && exchange_run(conn, head);
        free(head);
    }
}

static void *run_conn(void *arg)
{
    struct conn *conn = arg;
    struct server *server = conn->server;

    serve(conn);
    count_end(conn);
    conn_finish(conn);
    lock(server);
    remove_conn_locked(server, conn);
    conn->thread = pthread_self();
    conn->next = server->ended;
    server->ended = conn;
    unlock(server);
    return NULL;
}

/* Joins the threads of ended connections, which have nothing left to do. */
static void join_ended(struct server *server)
{
    lock(server);
    struct conn *ended = server->ended;
    server->ended = NULL;
    unlock(server);

    while (ended != NULL) {
        struct conn *next = ended->next;
        if (pthread_join(ended->thread, NULL) != 0)
            abort();
        free(ended);
        ended = next;
    }
}

/* Ends a connection that got no thread. */
static void drop_conn(struct conn *conn)
{
    struct server *server = conn->server;

    count_end(conn);
    conn_finish(conn);
    lock(server);
    remove_conn_locked(server, conn);
    unlock(server);
    free(conn);
}

static struct conn *make_conn(struct server *server, int fd, int port)
{
    struct conn *conn = calloc(1, sizeof *conn);
    int on = 1;

    if (conn == NULL)
        return NULL;
    /* Without it the answer is only later. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    conn->server = server;
    conn->fd = fd;
    conn->id = ++server->conn_count;
    conn->mute = port == PORT_MUTE;
    if (port == PORT_TLS) {
        conn->ssl = SSL_new(server->tls);
        if (conn->ssl == NULL || SSL_set_fd(conn->ssl, fd) != 1) {
            SSL_free(conn->ssl);
            free(conn);
            return NULL;
        }
    }
    return conn;
}

static void start_conn(struct server *server, int fd, int port)
{
    struct conn *conn = make_conn(server, fd, port);
    pthread_t thread;

    if (conn == NULL) {
        close(fd);
        return;
    }
    if (port != PORT_PLAIN)
        server_count(conn);
    add_conn(server, conn);
    int err = pthread_create(&thread, &server->thread_attr, run_conn, conn);
    if (err != 0) {
        fprintf(stderr, "faultd: no thread: %s\n", strerror(err));
        drop_conn(conn);
    }
}

static void accept_all(struct server *server, int port)
{
    int fd;

    while ((fd = accept4(server->listeners[port], NULL, NULL, SOCK_CLOEXEC)) >=
           0) {
        join_ended(server);
        start_conn(server, fd, port);
    }
    if (errno == EMFILE || errno == ENFILE)
        fputs("faultd: out of descriptors\n", stderr);
}

/* Reads and drops what is there; false: the writer has closed its end. */
static bool drain_stdin(void)
{
    char waste[4096];

    return read(STDIN_FILENO, waste, sizeof waste) > 0;
}

static void end_all(struct server *server)
{
    for (int i = 0; i < PORT_COUNT; i++) {
        if (server->listeners[i] >= 0)
            close(server->listeners[i]);
        server->listeners[i] = -1;
    }
    lock(server);
    for (struct conn *conn = server->conns; conn != NULL; conn = conn->next)
        (void)shutdown(conn->fd, SHUT_RDWR); /* the peer may be gone */
    while (server->conns != NULL)
        pthread_cond_wait(&server->no_conns, &server->lock);
    unlock(server);
    join_ended(server);
}

void server_run(struct server *server)
{
    struct pollfd set[POLL_COUNT];

    for (int i = 0; i < PORT_COUNT; i++)
        set[i] = (struct pollfd){.fd = server->listeners[i], .events = POLLIN};
    set[POLL_STDIN] = (struct pollfd){.fd = STDIN_FILENO, .events = POLLIN};
    set[POLL_STOP] =
        (struct pollfd){.fd = server->stop_pipe[0], .events = POLLIN};
    for (;;) {
        if (poll(set, POLL_COUNT, -1) < 0)
            continue; /* a signal; its handler has written to the pipe */
        for (int i = 0; i < PORT_COUNT; i++)
            if (set[i].revents != 0)
                accept_all(server, i);
        if (set[POLL_STOP].revents != 0 ||
            (set[POLL_STDIN].revents != 0 && !drain_stdin()))
            break;
    }
    end_all(server);
}

void server_stop(struct server *server)
{
    int saved = errno;

    /* When the pipe is full enough has been said. */
    if (write(server->stop_pipe[1], "", 1) < 0)
        errno = saved;
}

static int listen_on(const struct server_options *options, int port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port)};

    if (fd < 0)
        return -1;
    if (inet_pton(AF_INET, options->bind_address, &address.sin_addr) != 1) {
        errno = EINVAL;
    } else if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
               bind(fd, (struct sockaddr *)&address, sizeof address) == 0 &&
               listen(fd, BACKLOG) == 0) {
        return fd;
    }
    int err = errno;
    close(fd);
    errno = err;
    return -1;
}

static bool listen_all(struct server *server,
                       const struct server_options *options)
{
    static const char *const names[PORT_COUNT] = {"plain", "tls", "mute"};

    for (int i = 0; i < PORT_COUNT; i++) {
        struct sockaddr_in bound;
        socklen_t len = sizeof bound;
        if (options->ports[i] < 0)
            continue;
        server->listeners[i] = listen_on(options, options->ports[i]);
        if (server->listeners[i] < 0 ||
            getsockname(server->listeners[i], (struct sockaddr *)&bound,
                        &len) != 0) {
            fprintf(stderr, "faultd: cannot listen on %s: %s\n",
                    options->bind_address, strerror(errno));
            return false;
        }
        printf("%d %s\n", ntohs(bound.sin_port), names[i]);
    }
    return fflush(stdout) == 0;
}

static void init_threads(struct server *server)
{
    if (pthread_mutex_init(&server->lock, NULL) != 0 ||
        pthread_cond_init(&server->no_conns, NULL) != 0 ||
        pthread_attr_init(&server->thread_attr) != 0 ||
        pthread_attr_setstacksize(&server->thread_attr, STACK_BYTES) != 0)
        abort();
}

struct server *server_create(const struct server_options *options)
{
    struct server *server = calloc(1, sizeof *server);

    if (server == NULL || pipe2(server->stop_pipe, O_CLOEXEC | O_NONBLOCK) != 0)
        abort();
    server->tls = options->tls;
    server->stats = stats_create();
    for (int i = 0; i < PORT_COUNT; i++)
        server->listeners[i] = -1;
    init_threads(server);
    if (!listen_all(server, options)) {
        server_free(server);
        return NULL;
    }
    return server;
}

void server_free(struct server *server)
{
    for (int i = 0; i < PORT_COUNT; i++)
        if (server->listeners[i] >= 0)
            close(server->listeners[i]);
    close(server->stop_pipe[0]);
    close(server->stop_pipe[1]);
    stats_free(server->stats);
    (void)pthread_attr_destroy(&server->thread_attr); /* cannot fail */
    (void)pthread_cond_destroy(&server->no_conns);    /* nobody waits */
    (void)pthread_mutex_destroy(&server->lock);       /* nobody holds it */
    free(server);
}

void server_heal(struct server *server, bool healed)
{
    atomic_store(&server->healed, healed);
}

bool server_is_healed(struct server *server)
{
    return atomic_load(&server->healed);
}

struct stats *server_stats(struct server *server)
{
    return server->stats;
}

void server_count(struct conn *conn)
{
    if (!conn->counted)
        stats_connection_open(conn->server->stats);
    conn->counted = true;
}
