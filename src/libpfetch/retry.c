/* retry.c - see retry.h.
 *
 * SPDX-License-Identifier: MIT
 */
#include "config.h"

#include "retry.h"

#include <stdlib.h>
#include <string.h>

static const char *read_status(const char *p, int *status)
{
    int n = 0, digits = 0;

    while (*p >= '0' && *p <= '9' && digits < 4) {
        n = n * 10 + (*p++ - '0');
        digits++;
    }
    *status = digits == 3 && n >= 400 ? n : -1;
    return p;
}

int pf_status_set_parse(struct pf_status_set *set, const char *list)
{
    const char *p = list;

    memset(set, 0, sizeof(*set));
    if (*p == '\0')
        return 0;
    for (;;) {
        int first, last;

        p = read_status(p, &first);
        last = first;
        if (*p == '-')
            p = read_status(p + 1, &last);
        if (first < 0 || last < first)
            return PFETCH_EINVAL;
        for (int s = first; s <= last; s++)
            set->bits[s / 64] |= UINT64_C(1) << (s % 64);
        if (*p == '\0')
            return 0;
        if (*p++ != ',')
            return PFETCH_EINVAL;
    }
}

int64_t pf_retry_delay_ms(unsigned k, int64_t base_ms, int64_t max_ms,
                          uint64_t random)
{
    int64_t limit = base_ms;

    while (k-- > 1 && limit < max_ms)
        limit = limit > max_ms / 2 ? max_ms : limit * 2;
    if (limit > max_ms)
        limit = max_ms;
    if (limit <= 0)
        return 0;
    return (int64_t)(random % ((uint64_t)limit + 1));
}
