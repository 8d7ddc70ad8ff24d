/*
 * decide.h - from script and request to the answer: status, range, ending.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef FAULTD_DECIDE_H
#define FAULTD_DECIDE_H

#include "request.h"
#include "script.h"

struct answer {
    const char *status; /* as it stands in the status line */
    const char *reason;
    bool sound;         /* plain length framing, no fault but the delay */
    bool has_body;      /* false: neither body nor Content-Length */
    uint64_t hash;      /* of the body, see body.h */
    int64_t start;      /* first byte of the file that is sent */
    int64_t length;     /* and how many */
    int64_t total;      /* what Content-Range says */
    bool content_range; /* for 206 and 416 */
    bool multipart;
    const char *etag;   /* NULL: none */
    bool other_etag;
    char *location;     /* NULL: none; owned */
    const char *challenge; /* WWW-Authenticate, or NULL */
    const char *note;   /* text body before the bytes of the file */
    enum script_end end;
    int64_t end_after;
};

/*
 * Decides.  count: the how-manieth request for this path it is; place: false
 * when limit= has no place left.  The texts in answer are borrowed from script
 * and request, but for location: answer_fini frees that.
 */
void answer_init(struct answer *answer, const struct script *script,
                 const struct request *request, long count, bool place);
void answer_fini(struct answer *answer);

#endif
