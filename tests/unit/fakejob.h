/* fakejob.h - the engine's side of a job, as small as a handler test needs.
 *
 * SPDX-License-Identifier: MIT
 *
 * It defines struct pfetch_job, its accessors and pfetch_failure_set(), so a
 * handler can be driven without the engine.
 */
#ifndef FAKEJOB_H
#define FAKEJOB_H

#include "pfetch.h"

struct pfetch_job {
    struct pfetch_request request;
    char *path; /* owned; NULL: none was set */
    void *state;
    int64_t resume_offset;  /* what plan() has asked for; 0: nothing */
    int64_t resume_total;
    char *resume_etag;      /* owned; NULL */
    char *if_changed;       /* owned; NULL */
    bool has_digest;
    char digested[256];     /* what resume() has given to the digest */
    unsigned settled;           /* calls of pfetch_settle() */
    enum pfetch_reply settled_reply;
    struct pfetch_failure settled_why;
};

void fakejob_init(struct pfetch_job *job, const char *url, uint64_t n);

/* The state is the handler's: it has to be NULL by now. */
void fakejob_fini(struct pfetch_job *job);

#endif
