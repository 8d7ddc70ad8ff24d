/* sums.h - lines of checksum files, as sha256sum(1) writes them.
 *
 * SPDX-License-Identifier: MIT
 *
 *     HEX  NAME           GNU; the second blank may be '*'
 *     SHA256 (NAME) = HEX  BSD, and sha256sum --tag
 *     SHA256(NAME)= HEX    openssl dgst
 *
 * A line that begins with a backslash has \\, \n and \r in its name.
 */
#ifndef PF_SUMS_H
#define PF_SUMS_H

#include <stdbool.h>
#include <stddef.h>

/* Turns such a line into one of a list: the URL, which is base, '/' if it
 * lacks one, and the name percent-encoded; and the fields out= and checksum=.
 * False: *why (static) says what is wrong. */
bool pf_sums_line(const char *text, const char *base, char *line, size_t size,
                  const char **why);

#endif
