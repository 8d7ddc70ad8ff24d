/*
 * conn.h - one accepted connection: plain TCP or TLS, read and written by one
 * thread.
 *
 * Output is gathered in a buffer that is sent when it is full *and more comes*,
 * or on conn_flush: so the last bytes of a response are still here when it is
 * otherwise complete, and what is put after it goes out in the same segment.
 * The first error of any kind sets `broken`; from then on reading and writing
 * do nothing, so that callers may check once, at the end of a step.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef FAULTD_CONN_H
#define FAULTD_CONN_H

#include <openssl/ssl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CONN_OUT = 16384 };

enum conn_ending {
    CONN_POLITE, /* TLS close_notify, then FIN */
    CONN_FIN,    /* FIN alone: with TLS a truncation */
    CONN_RESET,  /* RST, after what was written has reached the peer's kernel */
};

struct server;

struct conn {
    struct server *server;
    struct conn *prev, *next; /* the server's lists, under its lock */
    pthread_t thread;         /* set when it is about to end, to be joined */
    unsigned long id;         /* from 1, in order of acceptance */
    int fd;
    SSL *ssl;     /* NULL: plain */
    bool mute;    /* accepted on the port that never answers */
    bool counted; /* known to the statistics */
    bool control; /* has made a control request */
    bool broken;
    enum conn_ending ending;
    long responses; /* complete ones so far, for closeevery= */
    char *in;       /* received and not yet taken */
    size_t in_len, in_size;
    size_t out_len;
    char out[CONN_OUT];
};

/*
 * The next request head, up to and with its blank line, NUL added; the caller
 * frees it.  NULL: the peer has closed, or sent more than a head may have.
 */
char *conn_read_head(struct conn *conn);

void conn_put(struct conn *conn, const void *data, size_t len);
void conn_puts(struct conn *conn, const char *text);
void conn_flush(struct conn *conn);

/* Makes room of at least one byte in out; answers the number of bytes. */
size_t conn_room(struct conn *conn);

/* Waits ms (-1: for ever); breaks early when the peer or the server closes. */
void conn_pause(struct conn *conn, int64_t ms);

/* Waits at most ms for the peer to send something; true: it did, or closed. */
bool conn_wait_input(struct conn *conn, int64_t ms);

/*
 * Ends the connection as `ending` says and frees what it owns, but not itself
 * and not its descriptor: the server closes that, which is what sends an RST.
 */
void conn_finish(struct conn *conn);

#endif
