/* verdict.h - what one attempt means for its job.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PF_VERDICT_H
#define PF_VERDICT_H

#include "pfetch.h"
#include "response.h"
#include "retry.h"

/* What one attempt has brought, as transfer.c saw it. */
struct pf_attempt {
    /* A transfer that did not end as HTTP says it should: class other than
     * none.  Filled in where it was noticed. */
    struct pfetch_failure why;
    bool transient;     /* such a failure may be gone at the next attempt */
    bool is_place;      /* class local: nothing else will work here either */
    bool is_short_of;   /* class local: descriptors or threads were missing,
                         * and may be there again */
    bool is_stopped;    /* aborted by a stop, or by the handler */
    bool require_length; /* options.require_length */

    struct pf_response *response; /* a reference; NULL: out of memory */
    int64_t asked_offset;   /* Range asked for; 0: the whole */
    int64_t asked_total;    /* total length known from before; -1 */
    const char *asked_etag; /* the validator sent with it; NULL */
    bool asked_if_changed;  /* a 304 was asked for */
    int64_t wanted_bytes;   /* length the body must have; -1: any */
    int64_t body_bytes;     /* of the body that can be accepted */
    bool is_head;           /* none was asked for */
    char *redirect_url;     /* where a 3xx points to, absolute; NULL */

    /* For the record; -1, NULL, 0: not known. */
    int64_t dns_us, connect_us, tls_us, first_byte_us;
    char remote_ip[48];
    bool reused;
};

enum pf_verdict {
    PF_ACCEPT,   /* the body is complete and is what was asked for */
    PF_REDIRECT, /* go on at attempt->redirect_url */
    PF_UNCHANGED, /* what is there is still right: 304, as was asked */
    PF_RETRY,    /* failed, worth another attempt after a delay */
    PF_RESTART,  /* the continuation was refused: again, from byte 0 */
    PF_FAIL      /* failed for good */
};

/* Judges an attempt.  The acceptance rule (the whole of it): the transfer
 * ended without an error; the status is 200, or 206 with exactly the range
 * asked for, of the same whole, up to its last byte; and the body has the
 * length that was declared, if one was, unless only the header was asked for.  attempt->why is filled in for
 * PF_RETRY, PF_RESTART and PF_FAIL. */
enum pf_verdict pf_judge(struct pf_attempt *attempt,
                         const struct pf_status_set *retry_http);

/* The last word on a body that pf_judge() accepts: found is its digest,
 * wanted the one it must have.  A body that was continued may have been wrong
 * before: it is begun anew, so this can happen once between two retries. */
enum pf_verdict pf_judge_checksum(struct pf_attempt *attempt,
                                  const char *found, const char *wanted);

/* Whether a body of this acceptable response, with `more` bytes beyond those
 * counted, may still get the length it must have; else why is filled in. */
bool pf_may_fit(struct pf_attempt *attempt, int64_t more);

/* Whether a body of this response could be accepted: its bytes are worth
 * handing on.  Asked when the header is complete. */
bool pf_is_acceptable(const struct pf_attempt *attempt);

/* The offset in the whole at which the body of an acceptable response
 * starts, and the length of that whole (-1: not declared). */
int64_t pf_body_offset(const struct pf_attempt *attempt);
int64_t pf_whole_length(const struct pf_attempt *attempt);

#endif
