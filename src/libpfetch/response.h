/* response.h - what the header of a response says.
 *
 * SPDX-License-Identifier: MIT
 *
 * Filled line by line while the header arrives, by one worker; from the
 * moment its first body block is pushed it is read-only and shared with the
 * writer, each holding a reference.
 */
#ifndef PF_RESPONSE_H
#define PF_RESPONSE_H

#include "exchange.h"
#include "pfetch.h"

#include <stdatomic.h>

/* The header of one transfer (all its 1xx lines included) may have as many
 * bytes as this; a real one has a few hundred. */
enum { PF_HEADER_MAX_BYTES = 256 * 1024 };

struct pf_response {
    _Atomic unsigned refs;
    int status;              /* 0: no status line seen */
    int version;             /* 10, 11, 20; 0 not known */
    bool is_complete;        /* the blank line has come */
    bool chunked;            /* Transfer-Encoding: chunked */
    bool is_encoded;         /* there is a Content-Encoding but identity */
    const char *bad;         /* what is wrong with the framing; static text */
    int64_t length;          /* Content-Length; -1: none */
    int64_t range_start;     /* Content-Range: bytes start-end/total; */
    int64_t range_end;       /* -1: none or none that can be read */
    int64_t range_total;     /* -1: "*" */
    int64_t last_modified_unix; /* -1; filled in by transfer.c */
    bool is_decoded;         /* the body is unpacked as it comes: its length is
                              * not the one declared; filled in likewise */
    size_t header_bytes;
    char *etag;
    char *last_modified;
    char *content_type;
    char *content_disposition;
    char *retry_after;
    struct pf_exchange *exchange; /* NULL: nobody asked; freed with it */
};

/* NULL: out of memory.  One reference is the caller's. */
struct pf_response *pf_response_create(void);
struct pf_response *pf_response_ref(struct pf_response *response);
void pf_response_unref(struct pf_response *response); /* NULL is allowed */

/* For a job that waits for another attempt, of which there may be many
 * thousands: where it holds more than 1 KiB of texts, or an exchange,
 * *response becomes one that says the same without them.  The reference goes
 * with it. */
void pf_response_shorten(struct pf_response **response);

/* Takes in one line as it came from the server (with or without its line
 * end; may hold any byte).  The status line after a 1xx answer begins the header
 * anew: what was said before is forgotten, the bytes still count.  Lines after
 * the blank line (trailers) are counted and otherwise ignored.  0, or
 * PFETCH_ENOMEM. */
int pf_response_header(struct pf_response *response, const char *line,
                       size_t size);

/* The length of the body that follows by its framing (RFC 9112 section 6.3):
 * -1 when only the end of the body tells. */
int64_t pf_response_body_length(const struct pf_response *response);

/* A strong entity tag in the syntax of RFC 9110 section 8.8.3. */
bool pf_is_strong_etag(const char *etag);

#endif
