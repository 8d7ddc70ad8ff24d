/* utf8.h - what is a character.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PF_UTF8_H
#define PF_UTF8_H

#include <stddef.h>

/* The length of the UTF-8 character that text, NUL-terminated, begins with
 * (RFC 3629: no overlong form, no surrogate); 0: it begins with none. */
size_t pf_utf8_length(const char *text);

#endif
