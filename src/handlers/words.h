/* words.h - a command, divided into words as a shell does.
 *
 * SPDX-License-Identifier: MIT
 *
 * Words are divided by blanks, TABs and newlines.  '...' keeps everything,
 * "..." keeps everything but a backslash before one of $ ` " \ and newline,
 * elsewhere a backslash keeps the next byte.  A backslash before a newline
 * disappears with it.  Nothing else is special: no variables, no patterns, no
 * pipes; $ | > * and # are ordinary bytes.  Pure.
 */
#ifndef PF_WORDS_H
#define PF_WORDS_H

#include "pfetch.h"

/* *words is an array that a NULL ends, in one piece: free(3) it.  0;
 * PFETCH_ENOMEM; PFETCH_EINVAL with *why (class none): a quote is not closed,
 * nothing follows a backslash, or there is no word. */
int pf_words_split(char ***words, const char *text,
                   struct pfetch_failure *why);

#endif
