/* descriptors.c - how much of a run the descriptors allow.
 *
 * SPDX-License-Identifier: MIT
 *
 * A worker uses up to WORKER_FILES at once: its socket and a second one
 * while two addresses are tried, libcurl's wake-up pair, the resolver's pair,
 * and a file of the handler with its directory.  An idle connection is one
 * more.  So is a job whose body broke off, as long as it waits for its next
 * attempt: the handler keeps its file open, and a server that is going down
 * can leave any number of those.  When there are too few descriptors, workers
 * come first; idle connections and jobs share what is left.
 */
#include "config.h"

#include "descriptors.h"

#include <sys/resource.h>

enum {
    WORKER_FILES = 8,
    COMMON_FILES = 32 /* standard streams, report, libraries' own */
};

void pf_descriptors_share(unsigned long long descriptors, unsigned others,
                          unsigned *workers, unsigned *max_idle, size_t *jobs)
{
    unsigned long long common = COMMON_FILES + (unsigned long long)others;
    unsigned long long left = descriptors > common ? descriptors - common : 0;

    if (left / WORKER_FILES < *workers) {
        *workers = (unsigned)(left / WORKER_FILES);
        if (*workers == 0)
            *workers = 1;
    }
    unsigned long long used = (unsigned long long)*workers * WORKER_FILES;
    left = left > used ? left - used : 0;
    if (left / 2 < *max_idle)
        *max_idle = (unsigned)(left / 2);
    left -= *max_idle;
    if (*workers + left < *jobs)
        *jobs = (size_t)(*workers + left);
}

unsigned pf_descriptors_spare(unsigned wanted)
{
    struct rlimit limit;
    rlim_t spare = getrlimit(RLIMIT_NOFILE, &limit) == 0
                       ? limit.rlim_max / 16 : 1;

    return spare >= wanted ? wanted : spare > 0 ? (unsigned)spare : 1;
}

unsigned long long pf_descriptors_raise(unsigned others, unsigned *workers,
                                        unsigned *max_idle, size_t *jobs)
{
    /* Twice the idle connections: they get half of what is left. */
    rlim_t needed = COMMON_FILES + (rlim_t)others +
                    (rlim_t)*workers * WORKER_FILES +
                    2 * (rlim_t)*max_idle + (rlim_t)*jobs;
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        limit.rlim_cur = limit.rlim_max = 256; /* the least found anywhere */
    if (limit.rlim_cur < needed && limit.rlim_cur < limit.rlim_max) {
        struct rlimit raised = limit;

        raised.rlim_cur = needed < limit.rlim_max ? needed : limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &raised) == 0)
            limit = raised;
    }
    pf_descriptors_share(limit.rlim_cur, others, workers, max_idle, jobs);
    return limit.rlim_cur;
}
