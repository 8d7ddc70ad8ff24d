/*
 * server.h - listens, gives each connection a thread, and ends them all.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef FAULTD_SERVER_H
#define FAULTD_SERVER_H

#include "conn.h"
#include "stats.h"

enum server_port { PORT_PLAIN, PORT_TLS, PORT_MUTE, PORT_COUNT };

struct server_options {
    const char *bind_address; /* IPv4, numeric */
    int ports[PORT_COUNT];    /* 0: any; -1: not wanted */
    SSL_CTX *tls;             /* kept until server_free; for PORT_TLS */
};

/* Listens and prints the port lines; NULL: with the reason on stderr. */
struct server *server_create(const struct server_options *options);

/* Serves until standard input ends or server_stop; no thread is left then. */
void server_run(struct server *server);

/* Ends server_run soon; any thread, and signal handlers. */
void server_stop(struct server *server);

void server_free(struct server *server);

/* Whether faults count no more: see script.h.  Any thread. */
void server_heal(struct server *server, bool healed);
bool server_is_healed(struct server *server);

struct stats *server_stats(struct server *server);

/* Counts the connection in the statistics unless it is counted already. */
void server_count(struct conn *conn);

#endif
