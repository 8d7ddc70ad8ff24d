/*
 * conn.c - reading, writing, waiting on and ending one connection.
 *
 * Sockets are blocking.  The server wakes a thread wherever it is by shutting
 * its socket down: reads, writes and the polls here all end then.
 *
 * SPDX-License-Identifier: MIT
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* POLLRDHUP */
#endif

#include "conn.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#ifdef __linux__
#include <linux/sockios.h>
#endif

enum { HEAD_MAX = 256 * 1024, IN_STEP = 8192, DRAIN_MS = 5000 };

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool receive_more(struct conn *conn)
{
    if (conn->in_size - conn->in_len < IN_STEP) {
        char *bigger = realloc(conn->in, conn->in_size + IN_STEP);
        if (bigger == NULL)
            return false;
        conn->in = bigger;
        conn->in_size += IN_STEP;
    }
    char *place = conn->in + conn->in_len;
    size_t room = conn->in_size - conn->in_len;
    ssize_t n;
    do {
        n = conn->ssl != NULL ? SSL_read(conn->ssl, place, (int)room)
                              : recv(conn->fd, place, room, 0);
    } while (n < 0 && conn->ssl == NULL && errno == EINTR);
    if (n <= 0)
        return false;
    conn->in_len += (size_t)n;
    return true;
}

/* Length of the head at the start of in, or 0 when it is not complete. */
static size_t head_length(const struct conn *conn, size_t from)
{
    for (size_t i = from; i + 4 <= conn->in_len; i++)
        if (memcmp(conn->in + i, "\r\n\r\n", 4) == 0)
            return i + 4;
    return 0;
}

static char *take_head(struct conn *conn, size_t len)
{
    char *head = malloc(len + 1);

    if (head == NULL)
        return NULL;
    memcpy(head, conn->in, len);
    head[len] = '\0';
    conn->in_len -= len;
    memmove(conn->in, conn->in + len, conn->in_len);
    return head;
}

char *conn_read_head(struct conn *conn)
{
    size_t searched = 0;

    while (!conn->broken) {
        size_t len = conn->in_len > 0 ? head_length(conn, searched) : 0;
        if (len > 0)
            return take_head(conn, len);
        searched = conn->in_len > 3 ? conn->in_len - 3 : 0;
        if (conn->in_len > HEAD_MAX || !receive_more(conn))
            conn->broken = true;
    }
    return NULL;
}

void conn_flush(struct conn *conn)
{
    size_t sent = 0;

    while (!conn->broken && sent < conn->out_len) {
        const char *from = conn->out + sent;
        size_t left = conn->out_len - sent;
        ssize_t n = conn->ssl != NULL
                        ? SSL_write(conn->ssl, from, (int)left)
                        : send(conn->fd, from, left, MSG_NOSIGNAL);
        if (n > 0)
            sent += (size_t)n;
        else if (conn->ssl != NULL || errno != EINTR)
            conn->broken = true;
    }
    conn->out_len = 0;
}

size_t conn_room(struct conn *conn)
{
    if (conn->out_len == CONN_OUT)
        conn_flush(conn);
    return CONN_OUT - conn->out_len;
}

void conn_put(struct conn *conn, const void *data, size_t len)
{
    const char *from = data;

    while (len > 0 && !conn->broken) {
        size_t n = conn_room(conn);
        if (n > len)
            n = len;
        memcpy(conn->out + conn->out_len, from, n);
        conn->out_len += n;
        from += n;
        len -= n;
    }
}

void conn_puts(struct conn *conn, const char *text)
{
    conn_put(conn, text, strlen(text));
}

/* Polls for events up to ms (-1: for ever); true: one of them, or an error. */
static bool poll_until(const struct conn *conn, short events, int64_t ms)
{
    int64_t deadline = now_ms() + ms;
    struct pollfd poll_fd = {.fd = conn->fd, .events = events};

    for (;;) {
        int64_t left = ms < 0 ? INT_MAX : deadline - now_ms();
        if (left < 0)
            left = 0;
        int ready = poll(&poll_fd, 1, left > INT_MAX ? INT_MAX : (int)left);
        if (ready > 0)
            return true;
        if (ready == 0 && ms >= 0 && now_ms() >= deadline)
            return false;
    }
}

void conn_pause(struct conn *conn, int64_t ms)
{
    if (!conn->broken && ms != 0 && poll_until(conn, POLLRDHUP, ms))
        conn->broken = true;
}

bool conn_wait_input(struct conn *conn, int64_t ms)
{
    if (conn->in_len > 0 || conn->broken)
        return true;
    if (conn->ssl != NULL && SSL_pending(conn->ssl) > 0)
        return true;
    return poll_until(conn, POLLIN | POLLRDHUP, ms);
}

/*
 * A reset throws away what the kernel has not sent yet, so wait until all of
 * it has left: on a loopback that means it is in the peer's receive buffer.
 */
static void wait_until_sent(struct conn *conn)
{
#ifdef SIOCOUTQNSD
    int64_t deadline = now_ms() + DRAIN_MS;
    int unsent = 0;

    while (ioctl(conn->fd, SIOCOUTQNSD, &unsent) == 0 && unsent > 0 &&
           now_ms() < deadline && !poll_until(conn, 0, 1))
        ;
#else
    (void)conn; /* then the bytes before a reset are likely, not certain */
#endif
}

/* Unread input would turn the FIN of close() into an RST. */
static void drop_input(const struct conn *conn)
{
    char waste[4096];

    while (recv(conn->fd, waste, sizeof waste, MSG_DONTWAIT) > 0)
        ;
}

void conn_finish(struct conn *conn)
{
    conn_flush(conn);
    if (conn->ending == CONN_RESET) {
        struct linger linger = {.l_onoff = 1, .l_linger = 0};
        wait_until_sent(conn);
        /* Cannot fail on an open socket. */
        (void)setsockopt(conn->fd, SOL_SOCKET, SO_LINGER, &linger,
                         sizeof linger);
    } else {
        if (conn->ending == CONN_POLITE && conn->ssl != NULL && !conn->broken)
            (void)SSL_shutdown(conn->ssl); /* the peer may be gone already */
        (void)shutdown(conn->fd, SHUT_WR); /* likewise */
        drop_input(conn);
    }
    SSL_free(conn->ssl);
    free(conn->in);
}
