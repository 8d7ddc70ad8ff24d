/* job.c - see job.h.
 *
 * SPDX-License-Identifier: MIT
 */
#include "config.h"

#include "job.h"

#include "checksum.h"
#include "resultqueue.h"
#include "thread.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t size_of(const char *s)
{
    return s == NULL ? 0 : strlen(s) + 1;
}

static const char *place(char **at, const char *s)
{
    size_t size = size_of(s);
    char *copy = *at;

    if (s == NULL)
        return NULL;
    memcpy(copy, s, size);
    *at += size;
    return copy;
}

size_t pf_request_bytes(const struct pfetch_request *request)
{
    return size_of(request->url) + size_of(request->list)
           + size_of(request->id) + size_of(request->text)
           + size_of(request->out) + size_of(request->checksum);
}

struct pfetch_job *pf_job_create(const struct pfetch_request *request)
{
    size_t text = pf_request_bytes(request);
    struct pfetch_job *job = calloc(1, sizeof(*job) + text);
    char *at;

    if (job == NULL)
        return NULL;
    at = (char *)(job + 1);
    job->request = *request;
    job->request.url = place(&at, request->url);
    job->request.list = place(&at, request->list);
    job->request.id = place(&at, request->id);
    job->request.text = place(&at, request->text);
    job->request.out = place(&at, request->out);
    job->request.checksum = place(&at, request->checksum);
    job->added_us = pf_now_us();
    job->first_us = job->start_unix_ms = -1;
    job->deadline_us = PF_NEVER;
    job->resume_total = job->resumed_at = job->declared_bytes = -1;
    job->dns_us = job->connect_us = job->tls_us = -1;
    job->first_byte_us = job->total_us = -1;
    job->verdict.kind = PF_MSG_VERDICT;
    job->settled.kind = PF_MSG_SETTLED;
    atomic_init(&job->is_cancelled, false);
    return job;
}

void pf_job_free(struct pfetch_job *job)
{
    if (job == NULL)
        return;
    if (job->url != job->home)
        pf_url_free(job->url);
    pf_url_free(job->home);
    pf_response_unref(job->response);
    pf_response_unref(job->spooled_of);
    free(job->resume_etag);
    free(job->if_changed);
    pf_checksum_free(job->checksum);
    free(job->message);
    free(job->path);
    free(job->handler_why);
    free(job);
}

void pf_job_set_verdict(struct pfetch_job *job, enum pfetch_status status,
                        enum pfetch_class cls, const char *text)
{
    job->status = status;
    job->cls = cls;
    free(job->message);
    job->message = text == NULL || *text == '\0' ? NULL : strdup(text);
    if (job->first_us >= 0)
        job->total_us = pf_now_us() - job->first_us;
}

void pf_job_set_url(struct pfetch_job *job, struct pf_url *url)
{
    if (job->url != job->home)
        pf_url_free(job->url);
    job->url = url;
}

int pf_job_set_resume(struct pfetch_job *job, int64_t offset, int64_t total,
                      const char *etag)
{
    char *copy = NULL;

    if (offset > 0) {
        copy = strdup(etag);
        if (copy == NULL)
            offset = 0;
    }
    free(job->resume_etag);
    job->resume_etag = copy;
    job->resume_offset = offset;
    job->resume_total = offset > 0 ? total : -1;
    return copy == NULL && etag != NULL ? PFETCH_ENOMEM : 0;
}

void pf_job_keep_reason(struct pfetch_job *job,
                        const struct pfetch_failure *why)
{
    if (job->handler_why == NULL)
        job->handler_why = malloc(sizeof(*why));
    if (job->handler_why != NULL)
        *job->handler_why = *why;
}

void pf_failure_complete(struct pfetch_failure *why)
{
    if (why->cls == PFETCH_CLASS_NONE)
        why->cls = PFETCH_CLASS_HANDLER;
    if (why->text[0] == '\0')
        pfetch_failure_set(why, why->cls, "the data handler refused it");
}

static const char *version_text(int version)
{
    switch (version) {
    case 10:
        return "1.0";
    case 11:
        return "1.1";
    case 20:
        return "2";
    case 30:
        return "3";
    default:
        return NULL;
    }
}

void pf_job_record(const struct pfetch_job *job, struct pfetch_record *record)
{
    const struct pf_response *r = job->response;

    memset(record, 0, sizeof(*record));
    record->request = &job->request;
    record->status = job->status;
    record->cls = job->cls;
    record->message = job->message;
    /* A name without a file behind it would mislead. */
    if (job->status != PFETCH_STATUS_FAILED
        && job->status != PFETCH_STATUS_NOT_ATTEMPTED)
        record->path = job->path;
    record->effective_url = job->attempts == 0 ? NULL : job->url->text;
    record->bytes = job->status == PFETCH_STATUS_OK ? job->bytes : -1;
    if (job->checksum != NULL && job->checksum->text[0] != '\0')
        record->checksum = job->checksum->text;
    record->attempts = job->attempts;
    record->resumed_at_bytes = job->resumed_at;
    if (r != NULL) {
        record->http_status = r->status;
        record->etag = r->etag;
        record->last_modified = r->last_modified;
        record->content_type = r->content_type;
        record->http_version = version_text(r->version);
    }
    record->remote_ip = job->remote_ip[0] == '\0' ? NULL : job->remote_ip;
    record->length_verified = job->length_verified;
    record->reused = job->reused;
    record->start_unix_ms = job->start_unix_ms;
    record->queue_us = job->first_us < 0 ? -1 : job->first_us - job->added_us;
    record->dns_us = job->dns_us;
    record->connect_us = job->connect_us;
    record->tls_us = job->tls_us;
    record->first_byte_us = job->first_byte_us;
    record->total_us = job->total_us;
    record->length_bytes = job->declared_bytes;
}

/* --- what a handler may ask and say --------------------------------------- */

const struct pfetch_request *pfetch_job_request(const struct pfetch_job *job)
{
    return &job->request;
}

const char *pfetch_job_url(const struct pfetch_job *job)
{
    return job->home->text;
}

void pfetch_job_set_state(struct pfetch_job *job, void *state)
{
    job->state = state;
}

void *pfetch_job_state(const struct pfetch_job *job)
{
    return job->state;
}

int pfetch_job_set_path(struct pfetch_job *job, const char *path)
{
    char *copy = strdup(path);

    if (copy == NULL)
        return PFETCH_ENOMEM;
    free(job->path);
    job->path = copy;
    return 0;
}

const char *pfetch_job_path(const struct pfetch_job *job)
{
    return job->path;
}

int pfetch_job_resume(struct pfetch_job *job, int64_t offset_bytes,
                      int64_t total_bytes, const char *validator)
{
    if (offset_bytes < 1 || !pf_is_strong_etag(validator))
        return PFETCH_EINVAL;
    job->is_unclaimed = true;
    return pf_job_set_resume(job, offset_bytes, total_bytes, validator);
}

/* What may stand in a header, whoever wrote it. */
static bool is_printable(const char *text)
{
    for (; *text != '\0'; text++)
        if (*text < ' ' || *text > '~')
            return false;
    return true;
}

int pfetch_job_if_changed(struct pfetch_job *job, const char *validator)
{
    const char *name = "If-Modified-Since: ";
    size_t size;

    if (validator == NULL || *validator == '\0' || !is_printable(validator))
        return PFETCH_EINVAL;
    if (pf_is_strong_etag(validator)
        || (strncmp(validator, "W/", 2) == 0
            && pf_is_strong_etag(validator + 2)))
        name = "If-None-Match: ";
    else if (*validator == '"' || strncmp(validator, "W/", 2) == 0)
        return PFETCH_EINVAL;
    size = strlen(name) + strlen(validator) + 1;
    free(job->if_changed);
    job->if_changed = malloc(size);
    if (job->if_changed == NULL)
        return PFETCH_ENOMEM;
    (void)snprintf(job->if_changed, size, "%s%s", name, validator);
    return 0;
}

bool pfetch_job_has_digest(const struct pfetch_job *job)
{
    return job->checksum != NULL;
}

int pfetch_job_digest(struct pfetch_job *job, const void *data, size_t size)
{
    if (job->checksum == NULL)
        return 0;
    if (pf_stop_is_abort(job->checksum->stop))
        return PFETCH_ESTOPPED;
    pf_checksum_update(job->checksum, data, size);
    return 0;
}

void pfetch_settle(struct pfetch_job *job, enum pfetch_reply reply,
                   const struct pfetch_failure *why)
{
    job->settle_reply = reply;
    if (why != NULL)
        pf_job_keep_reason(job, why);
    pf_resultqueue_push(job->results, &job->settled, &job->settled);
}
