/* shard.c - which lines of a list this process takes.
 *
 * SPDX-License-Identifier: MIT
 *
 * A hash of the host name decides, so that all lines of a host are in one
 * shard, and what limits the requests to a host needs no other process to
 * agree.  Nothing is said between the processes: each reads the whole list.
 */
#include "config.h"

#include "shard.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "msg.h"

static bool complain(char *why, const char *format, ...) PF_PRINTF(2, 3);

static bool complain(char *why, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(why, PF_SHARD_WHY_BYTES, format, arguments);
    va_end(arguments);
    return false;
}

/* Reads digits, at most nine; returns what follows, NULL if there are none or
 * too many. */
static const char *scan(const char *text, unsigned *number)
{
    size_t size = strspn(text, "0123456789");

    if (size == 0 || size > 9)
        return NULL;
    *number = (unsigned)strtoul(text, NULL, 10);
    return text + size;
}

/* A variable that holds a number; `missing` if it is not set and that is not
 * negative. */
static bool read_variable(const char *name, int missing, unsigned *number,
                          char *why)
{
    const char *value = getenv(name);

    if (value == NULL && missing >= 0) {
        *number = (unsigned)missing;
        return true;
    }
    if (value == NULL)
        return complain(why, "%s is not set", name);
    const char *rest = scan(value, number);
    if (rest == NULL || *rest != '\0')
        return complain(why, "%s is no number: '%.100s'", name, value);
    return true;
}

/* A task of an array of Slurm: ID is MIN, MIN + STEP, ...  count: what the
 * command line says; 0: nothing. */
static bool ask_slurm(struct pf_shard *shard, unsigned count, char *why)
{
    unsigned id, min, step, tasks;

    if (!read_variable("SLURM_ARRAY_TASK_ID", -1, &id, why) ||
        !read_variable("SLURM_ARRAY_TASK_MIN", -1, &min, why) ||
        !read_variable("SLURM_ARRAY_TASK_STEP", 1, &step, why) ||
        !read_variable("SLURM_ARRAY_TASK_COUNT", -1, &tasks, why))
        return false;
    /* Some tasks of an array, run again, would be taken for all of it. */
    if (count != 0 && count != tasks)
        return complain(why, "%u shards, but SLURM_ARRAY_TASK_COUNT is %u",
                        count, tasks);
    if (step == 0 || id < min || (id - min) % step != 0 ||
        (id - min) / step >= tasks)
        return complain(why,
                        "SLURM_ARRAY_TASK_ID %u does not fit _MIN %u, _STEP "
                        "%u, _COUNT %u: an array with gaps? Then use I/N",
                        id, min, step, tasks);
    *shard = (struct pf_shard){(id - min) / step + 1, tasks};
    return true;
}

/* A pod of an indexed job of Kubernetes, which does not say how many there
 * are. */
static bool ask_kubernetes(struct pf_shard *shard, unsigned count, char *why)
{
    unsigned index;

    if (!read_variable("JOB_COMPLETION_INDEX", -1, &index, why))
        return false;
    if (count == 0)
        return complain(why, "JOB_COMPLETION_INDEX does not say of how many: "
                             "use auto/N");
    if (index >= count)
        return complain(why, "JOB_COMPLETION_INDEX is %u, but there are %u "
                             "shards, counted from 0", index, count);
    *shard = (struct pf_shard){index + 1, count};
    return true;
}

static bool ask_environment(struct pf_shard *shard, unsigned count, char *why)
{
    if (getenv("SLURM_ARRAY_TASK_ID") != NULL)
        return ask_slurm(shard, count, why);
    if (getenv("JOB_COMPLETION_INDEX") != NULL)
        return ask_kubernetes(shard, count, why);
    return complain(why, "auto, but neither SLURM_ARRAY_TASK_ID nor "
                         "JOB_COMPLETION_INDEX is set");
}

bool pf_shard_parse(struct pf_shard *shard, const char *text,
                    char why[PF_SHARD_WHY_BYTES])
{
    bool automatic = strncmp(text, "auto", 4) == 0;
    unsigned index = 1, count = 0;
    const char *rest = automatic ? text + 4 : scan(text, &index);

    if (rest != NULL && *rest == '/')
        rest = scan(rest + 1, &count);
    else if (!automatic)
        rest = NULL;
    if (rest == NULL || *rest != '\0' || (count == 0 && rest[-1] == '0'))
        return complain(why, "'%.100s' is neither I/N, auto nor auto/N",
                        text);
    *shard = (struct pf_shard){index, count};
    if (automatic && !ask_environment(shard, count, why))
        return false;
    if (shard->count > PF_SHARDS_MAX)
        return complain(why, "there can be %d shards at most", PF_SHARDS_MAX);
    if (shard->index < 1 || shard->index > shard->count)
        return complain(why, "'%.100s': shards are counted from 1 to N",
                        text);
    return true;
}

unsigned pf_shard_of(const char *host, unsigned count)
{
    uint64_t h = UINT64_C(14695981039346656037); /* FNV-1a */

    for (; *host != '\0'; host++)
        h = (h ^ (unsigned char)*host) * UINT64_C(1099511628211);
    /* Spreads what the last bytes changed over all bits (MurmurHash3). */
    h = (h ^ (h >> 33)) * UINT64_C(0xff51afd7ed558ccd);
    h = (h ^ (h >> 33)) * UINT64_C(0xc4ceb9fe1a85ec53);
    return (unsigned)((h ^ (h >> 33)) % count) + 1;
}
