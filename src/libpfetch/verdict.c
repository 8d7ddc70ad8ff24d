/* verdict.c - what one attempt means for its job.
 *
 * SPDX-License-Identifier: MIT
 *
 * Pure, so that every rule can be tested without a server.  "CURLE_OK" is not
 * the rule: libcurl is content with a 404, with a 206 nobody asked for, and
 * with a body of the wrong length in several cases.
 */
#include "config.h"

#include "verdict.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>

/* A 206 is right if it carries the rest of the very body that was begun:
 * from the offset asked for, in a whole whose length has not changed, under
 * the validator that was sent, and as long as it says it is.  That it goes up
 * to the last byte is seen when it has. */
static bool is_right_range(const struct pf_attempt *a)
{
    const struct pf_response *r = a->response;
    int64_t length = pf_response_body_length(r);

    return a->asked_offset > 0 && r->range_start == a->asked_offset
           && r->range_total >= 0
           && (length < 0 || length == r->range_end - r->range_start + 1)
           && (a->asked_total < 0 || r->range_total == a->asked_total)
           && (r->etag == NULL || a->asked_etag == NULL
               || strcmp(r->etag, a->asked_etag) == 0);
}

bool pf_is_acceptable(const struct pf_attempt *a)
{
    const struct pf_response *r = a->response;

    if (r->bad != NULL)
        return false;
    return r->status == 200 || (r->status == 206 && is_right_range(a));
}

int64_t pf_body_offset(const struct pf_attempt *a)
{
    return a->response->status == 206 ? a->asked_offset : 0;
}

int64_t pf_whole_length(const struct pf_attempt *a)
{
    if (a->response->is_decoded)
        return -1;
    return a->response->status == 206 ? a->response->range_total
                                      : pf_response_body_length(a->response);
}

static bool fail_size(struct pf_attempt *a, const char *how, int64_t bytes)
{
    pfetch_failure_set(&a->why, PFETCH_CLASS_SIZE,
                       "the body has %s%" PRId64 " bytes, not %" PRId64, how,
                       bytes, a->wanted_bytes);
    return false;
}

bool pf_may_fit(struct pf_attempt *a, int64_t more)
{
    int64_t whole = pf_whole_length(a);
    int64_t end = pf_body_offset(a) + a->body_bytes + more;

    if (a->wanted_bytes < 0)
        return true;
    if (whole >= 0 && whole != a->wanted_bytes)
        return fail_size(a, "", whole);
    return end <= a->wanted_bytes || fail_size(a, "at least ", end);
}

static enum pf_verdict judge_body(struct pf_attempt *a)
{
    const struct pf_response *r = a->response;
    int64_t declared = pf_response_body_length(r);
    int64_t whole = pf_whole_length(a);
    int64_t end = pf_body_offset(a) + a->body_bytes;

    if (a->require_length && declared < 0 && !r->chunked) {
        pfetch_failure_set(&a->why, PFETCH_CLASS_SHORT,
                           "the server declared no length: the end of the "
                           "body cannot be verified");
        return PF_FAIL;
    }
    if (!pf_may_fit(a, 0))
        return PF_FAIL;
    if (r->is_decoded) /* libcurl has compared what came with the length */
        declared = -1;
    if (r->status == 206) /* with a Content-Range that fits */
        declared = r->range_end - r->range_start + 1;
    if (declared >= 0 && a->body_bytes != declared) {
        pfetch_failure_set(&a->why, PFETCH_CLASS_SHORT,
                           "%" PRId64 " of %" PRId64 " bytes received",
                           a->body_bytes, declared);
        return PF_RETRY;
    }
    if (whole >= 0 && end != whole) {
        pfetch_failure_set(&a->why, PFETCH_CLASS_SHORT,
                           "the range ended at byte %" PRId64 " of %" PRId64,
                           end, whole);
        return PF_RETRY;
    }
    if (a->wanted_bytes >= 0 && end != a->wanted_bytes) {
        (void)fail_size(a, "", end);
        return PF_FAIL;
    }
    return PF_ACCEPT;
}

enum pf_verdict pf_judge_checksum(struct pf_attempt *a, const char *found,
                                  const char *wanted)
{
    bool is_continued = pf_body_offset(a) > 0;

    if (strcasecmp(found, wanted) == 0)
        return PF_ACCEPT;
    pfetch_failure_set(&a->why, PFETCH_CLASS_CHECKSUM,
                       "the body%s is %s, not what the list says",
                       is_continued ? ", continued," : "", found);
    return is_continued ? PF_RESTART : PF_FAIL;
}

static const char *status_text(int status)
{
    static const struct {
        int status;
        const char *text;
    } texts[] = {
        { 204, "No Content" }, { 304, "Not Modified" },
        { 400, "Bad Request" }, { 401, "Unauthorized" },
        { 403, "Forbidden" }, { 404, "Not Found" },
        { 405, "Method Not Allowed" }, { 406, "Not Acceptable" },
        { 407, "Proxy Authentication Required" },
        { 408, "Request Timeout" }, { 409, "Conflict" }, { 410, "Gone" },
        { 416, "Range Not Satisfiable" }, { 421, "Misdirected Request" },
        { 429, "Too Many Requests" },
        { 451, "Unavailable For Legal Reasons" },
        { 500, "Internal Server Error" }, { 501, "Not Implemented" },
        { 502, "Bad Gateway" }, { 503, "Service Unavailable" },
        { 504, "Gateway Timeout" },
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (texts[i].status == status)
            return texts[i].text;
    return "";
}

/* A status that carries no body we want. */
static enum pf_verdict judge_status(struct pf_attempt *a,
                                    const struct pf_status_set *retry_http)
{
    int status = a->response->status;
    const char *text = status_text(status);

    pfetch_failure_set(&a->why, PFETCH_CLASS_HTTP, "%d%s%s", status,
                       *text == '\0' ? "" : " ", text);
    if (status == 407)
        a->why.cls = PFETCH_CLASS_PROXY;
    return pf_status_set_has(retry_http, status) ? PF_RETRY : PF_FAIL;
}

static bool is_redirect(int status)
{
    return status == 301 || status == 302 || status == 303 || status == 307
           || status == 308;
}

enum pf_verdict pf_judge(struct pf_attempt *a,
                         const struct pf_status_set *retry_http)
{
    const struct pf_response *r = a->response;

    if (a->why.cls != PFETCH_CLASS_NONE)
        return a->transient ? PF_RETRY : PF_FAIL;
    if (r->status == 0) {
        pfetch_failure_set(&a->why, PFETCH_CLASS_PROTOCOL,
                           "the answer has no readable status line");
        return PF_FAIL;
    }
    if (r->bad != NULL) {
        pfetch_failure_set(&a->why, PFETCH_CLASS_PROTOCOL, "%s", r->bad);
        return PF_FAIL;
    }
    if (pf_is_acceptable(a))
        return !a->is_head         ? judge_body(a)
               : pf_may_fit(a, 0) ? PF_ACCEPT
                                  : PF_FAIL;
    if (r->status == 304 && a->asked_if_changed)
        return PF_UNCHANGED;
    if (is_redirect(r->status) && a->redirect_url != NULL)
        return PF_REDIRECT;
    if (r->status == 206 || (r->status == 416 && a->asked_offset > 0)) {
        pfetch_failure_set(&a->why, PFETCH_CLASS_PROTOCOL,
                           a->asked_offset > 0
                               ? "the server did not continue the body where "
                                 "it broke off (%d)"
                               : "a partial body that was not asked for (%d)",
                           r->status);
        return a->asked_offset > 0 ? PF_RESTART : PF_FAIL;
    }
    return judge_status(a, retry_http);
}
