/* fuzz_pattern.c - URL patterns.
 *
 * SPDX-License-Identifier: MIT
 *
 * What is accepted yields URLs that fit, of which the first few are all
 * different but for sets that name the same twice; what is refused names a
 * place in the text.  A text without special bytes stands for itself.
 */
#include "config.h"

#include "fuzz.h"
#include "pattern.h"

#include <string.h>

enum { TEXT_MAX = 2000, URLS_MAX = 300 };

static void check_urls(struct pf_pattern *pattern, const char *text)
{
    static char url[PF_PATTERN_URL_BYTES + 1];
    static char before[PF_PATTERN_URL_BYTES + 1];
    bool has_set = strchr(text, '{') != NULL;
    int urls = 0;

    for (; urls < URLS_MAX && pf_pattern_next(pattern, url); urls++) {
        must(strlen(url) <= PF_PATTERN_URL_BYTES);
        must(urls == 0 || has_set || strcmp(url, before) != 0);
        (void)strcpy(before, url);
    }
    must(urls > 0);
    if (!pf_pattern_is(text))
        must(urls == 1 && strcmp(url, text) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[TEXT_MAX + 1];
    struct pf_pattern_fault fault = {.what = NULL};
    struct pf_pattern *pattern;

    if (size > TEXT_MAX)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    if (pf_pattern_create(&pattern, text, &fault) != 0) {
        must(pattern == NULL && fault.what != NULL);
        must(fault.position >= 1 && fault.position <= strlen(text) + 1);
        must(pf_pattern_is(text));
        return 0;
    }
    check_urls(pattern, text);
    pf_pattern_free(pattern);
    return 0;
}
