/*
 * stats.h - what faultd counts and remembers of the requests it got.
 *
 * All functions may be called from any thread; none blocks for longer than a
 * walk through the tables takes.  Allocation failure ends the program: this
 * is a test server.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef FAULTD_STATS_H
#define FAULTD_STATS_H

#include <stdbool.h>

struct stats;

struct stats *stats_create(void);
void stats_free(struct stats *stats);

/* A connection is counted when it is known not to be one for control only. */
void stats_connection_open(struct stats *stats);
void stats_connection_close(struct stats *stats);
void stats_handshake(struct stats *stats);

/*
 * A request for path has come in.  log_line (one JSON object, from malloc) is
 * given to the ring.  Answers the how-manieth request for that path this is,
 * from 1.  Every begin is followed by one end.
 */
long stats_request_begin(struct stats *stats, const char *path, char *log_line);
void stats_request_end(struct stats *stats);

/* A response with that status is about to be sent; odd statuses count as 0. */
void stats_status(struct stats *stats, int status);

/* Takes one of the max places under that key; false: none is left. */
bool stats_limit_enter(struct stats *stats, const char *key, long max);
void stats_limit_leave(struct stats *stats, const char *key);

/* Forgets everything but what is open, active or held at this moment. */
void stats_reset(struct stats *stats);

/* Requests for exactly that path so far. */
long stats_hits(struct stats *stats, const char *path);

/* All counters as a JSON object; the caller frees it. */
char *stats_json(struct stats *stats);

/* The newest max log lines, oldest first, each ended by LF; caller frees. */
char *stats_log(struct stats *stats, long max);

#endif
