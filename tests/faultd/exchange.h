/*
 * exchange.h - one request and its answer on a connection.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef FAULTD_EXCHANGE_H
#define FAULTD_EXCHANGE_H

#include "conn.h"

/*
 * Answers the request whose head that is (modified, not freed).  True: the
 * connection goes on; false: close it as conn->ending says.
 */
bool exchange_run(struct conn *conn, char *head);

#endif
