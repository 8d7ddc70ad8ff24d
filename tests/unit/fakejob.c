/* fakejob.c - the engine's side of a job, as small as a handler test needs.
 *
 * SPDX-License-Identifier: MIT
 */
#include "config.h"

#include "fakejob.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void fakejob_init(struct pfetch_job *job, const char *url, uint64_t n)
{
    *job = (struct pfetch_job){ .request = { .url = url, .n = n } };
}

void fakejob_fini(struct pfetch_job *job)
{
    if (job->state != NULL)
        abort();
    free(job->path);
    free(job->resume_etag);
    free(job->if_changed);
    *job = (struct pfetch_job){ .path = NULL };
}

int pfetch_job_resume(struct pfetch_job *job, int64_t offset_bytes,
                      int64_t total_bytes, const char *validator)
{
    if (offset_bytes < 1 || validator[0] != '"')
        return PFETCH_EINVAL;
    free(job->resume_etag);
    job->resume_etag = strdup(validator);
    job->resume_offset = offset_bytes;
    job->resume_total = total_bytes;
    return job->resume_etag != NULL ? 0 : PFETCH_ENOMEM;
}

int pfetch_job_if_changed(struct pfetch_job *job, const char *validator)
{
    free(job->if_changed);
    job->if_changed = strdup(validator);
    return job->if_changed != NULL ? 0 : PFETCH_ENOMEM;
}

bool pfetch_job_has_digest(const struct pfetch_job *job)
{
    return job->has_digest;
}

int pfetch_job_digest(struct pfetch_job *job, const void *data, size_t size)
{
    if (strlen(job->digested) + size >= sizeof job->digested)
        abort();
    strncat(job->digested, data, size);
    return 0;
}

const struct pfetch_request *pfetch_job_request(const struct pfetch_job *job)
{
    return &job->request;
}

const char *pfetch_job_url(const struct pfetch_job *job)
{
    return job->request.url;
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

bool pfetch_is_stopped(const struct pfetch *run)
{
    (void)run;
    return false;
}

void pfetch_settle(struct pfetch_job *job, enum pfetch_reply reply,
                   const struct pfetch_failure *why)
{
    job->settled++;
    job->settled_reply = reply;
    if (why != NULL)
        job->settled_why = *why;
}

void pfetch_failure_set(struct pfetch_failure *why, enum pfetch_class cls,
                        const char *format, ...)
{
    va_list args;

    if (why == NULL)
        return;
    why->cls = cls;
    va_start(args, format);
    (void)vsnprintf(why->text, sizeof why->text, format, args); /* may cut */
    va_end(args);
}
