/*
 * control.h - the URLs that tests ask about what happened; none is counted.
 *
 *   /_stats             all counters, JSON
 *   /_hits?path=PATH    number of requests for exactly PATH (percent-encoded)
 *   /_log?last=N        the last N requests, one JSON object a line
 *   /_reset             forget all
 *   /_stop              end the program
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef FAULTD_CONTROL_H
#define FAULTD_CONTROL_H

#include "conn.h"
#include "request.h"

bool control_is_path(const char *path);

/* Answers a control request; true: the connection goes on. */
bool control_answer(struct conn *conn, const struct request *request);

/* The JSON object about a request for the log, from malloc. */
char *control_log_line(const struct request *request, unsigned long conn_id,
                       bool tls);

#endif
