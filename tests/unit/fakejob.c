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
    job->path = NULL;
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
