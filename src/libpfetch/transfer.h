/* transfer.h - one attempt to fetch one URL, by libcurl.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PF_TRANSFER_H
#define PF_TRANSFER_H

#include "pfetch.h"
#include "stop.h"
#include "verdict.h"

struct pf_body;
struct pf_conncache;
struct pf_limiter;
struct pf_stats;
struct pf_trust;
struct pfetch_job;

/* What all transfers of a downloader have in common.  Read-only once workers
 * run; what the pointers lead to guards itself. */
struct pf_transfer_context {
    const struct pfetch_options *options;
    bool keeps_exchange; /* the handler wants the headers of transfers */
    struct pf_conncache *conncache;
    struct pf_trust *trust;
    struct pf_limiter *limiter;
    struct pf_stop *stop;
    struct pf_stats *stats;
};

/* One worker's easy handle and what belongs to it.  One thread only. */
struct pf_transfer;

/* NULL: out of memory, or libcurl refuses an option. */
struct pf_transfer *pf_transfer_create(
    const struct pf_transfer_context *context, struct pf_body *body);
void pf_transfer_free(struct pf_transfer *transfer); /* NULL is allowed */

/* Performs one attempt (one hop) of a job: leases a connection, asks for
 * job->url, puts acceptable body bytes into the body given at creation, and
 * gives the connection back.  Blocks until the transfer ends; ends early on
 * stop, and when the handler has cancelled the job.  *attempt is filled in,
 * to be freed with pf_attempt_fini(). */
void pf_transfer_perform(struct pf_transfer *transfer,
                         struct pfetch_job *job, struct pf_attempt *attempt);

void pf_attempt_fini(struct pf_attempt *attempt);

/* The time a Retry-After value asks for: seconds or an HTTP date (RFC 9110
 * section 10.2.3).  -1: none. */
int64_t pf_retry_after_ms(const char *value);

#endif
