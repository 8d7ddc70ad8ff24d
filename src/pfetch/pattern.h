/* pattern.h - one URL that stands for many: "http://h/[00-99]/{a,b}".
 *
 * SPDX-License-Identifier: MIT
 *
 *     [0-999] [000-999]   numbers; zeros before the first one keep the width
 *     [0-100:5]           every fifth of them
 *     [00-ff:x]           hexadecimal, in the case of its letters
 *     [a-z] [a-z:2]       letters
 *     {a,b,c}             each of these texts
 *
 * Several of them are combined, the last one running fastest.  A backslash
 * takes the special meaning from [, ], { and }, and inside of braces from any
 * byte.  An IPv6 address in brackets is no range.
 */
#ifndef PF_PATTERN_H
#define PF_PATTERN_H

#include <stdbool.h>
#include <stddef.h>

enum { PF_PATTERN_URL_BYTES = 64 * 1024 }; /* longest URL; NUL not counted */

struct pf_pattern;

/* What is wrong with a pattern. */
struct pf_pattern_fault {
    const char *what; /* static */
    size_t position;  /* of the byte that is wrong, from 1; 0: memory is out */
};

/* Whether text is more than one plain URL. */
bool pf_pattern_is(const char *text);

/* Reads a pattern; text is borrowed until pf_pattern_free().  Takes memory
 * for what stands in text, not for the URLs that come of it.  0, or -1 with
 * *fault set and *pattern NULL. */
int pf_pattern_create(struct pf_pattern **pattern, const char *text,
                      struct pf_pattern_fault *fault);

/* Writes the next URL, of at most PF_PATTERN_URL_BYTES and a NUL.  False:
 * there are no more. */
bool pf_pattern_next(struct pf_pattern *pattern, char *url);

/* NULL is allowed. */
void pf_pattern_free(struct pf_pattern *pattern);

#endif
