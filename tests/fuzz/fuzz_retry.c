/* fuzz_retry.c - lists of statuses, and Retry-After.
 *
 * SPDX-License-Identifier: MIT
 *
 * The input is text up to a line end for the list, and the rest for the
 * field.
 */
#include "config.h"

#include "fuzz.h"
#include "retry.h"
#include "transfer.h"

#include <stdlib.h>
#include <string.h>

static void check_set(const char *list)
{
    struct pf_status_set set;
    unsigned count = 0;

    if (pf_status_set_parse(&set, list) != 0)
        return;
    must(strspn(list, "0123456789,-") == strlen(list));
    for (int s = -1; s <= 1024; s++)
        if (pf_status_set_has(&set, s)) {
            must(s >= 400 && s <= 999);
            count++;
        }
    must((count == 0) == (*list == '\0'));
    /* Said twice it is the same. */
    if (strlen(list) < 400 && *list != '\0') {
        struct pf_status_set twice;
        char text[1000];

        (void)strcpy(text, list);
        (void)strcat(text, ",");
        (void)strcat(text, list);
        must(pf_status_set_parse(&twice, text) == 0);
        must(memcmp(&twice, &set, sizeof(set)) == 0);
    }
}

static void check_delays(int64_t base_ms, uint64_t random)
{
    for (unsigned k = 1; k < 80; k += 13) {
        int64_t ms = pf_retry_delay_ms(k, base_ms, 60000, random);

        must(ms >= 0 && ms <= 60000);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    char *value;
    int64_t ms;

    if (text == NULL)
        return 0;
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    value = strchr(text, '\n');
    if (value != NULL)
        *value++ = '\0';
    check_set(text);
    ms = pf_retry_after_ms(value);
    must(ms >= -1);
    if (value != NULL && strspn(value, "0123456789") == strlen(value)
        && *value != '\0')
        must(ms >= 0);
    check_delays(ms < 0 ? 1000 : ms, (uint64_t)ms * 2654435761u);
    free(text);
    return 0;
}
