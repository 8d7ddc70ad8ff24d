/* exchange.h - the header of a request as it was sent, and that of its
 * response as it came, for a handler that wants them.
 *
 * SPDX-License-Identifier: MIT
 *
 * Filled by a worker while a transfer runs, then read-only; belongs to a
 * struct pf_response.
 */
#ifndef PF_EXCHANGE_H
#define PF_EXCHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pf_text {
    char *data; /* NULL while size is 0 */
    size_t size, capacity;
    bool is_complete; /* the blank line has come */
};

struct pf_exchange {
    struct pf_text request, header;
    int64_t start_unix_ms; /* UTC */
};

/* NULL: out of memory. */
struct pf_exchange *pf_exchange_create(int64_t start_unix_ms);
void pf_exchange_free(struct pf_exchange *exchange); /* NULL is allowed */

/* Takes in bytes of a request's header as they are sent.  What comes after a
 * complete one begins another, as after that to a proxy.  0 or
 * PFETCH_ENOMEM. */
int pf_exchange_request(struct pf_exchange *exchange, const char *data,
                        size_t size);

/* Takes in one line of the response's header, with its line end.  A status
 * line (is_first) begins anew; what follows the blank line is left out.  0 or
 * PFETCH_ENOMEM. */
int pf_exchange_header(struct pf_exchange *exchange, const char *line,
                       size_t size, bool is_first);

/* Replaces what may be secret in the request: the values of all fields but
 * well-known harmless ones become "***".  To be called before anybody else
 * sees it. */
void pf_exchange_mask(struct pf_exchange *exchange);

#endif
