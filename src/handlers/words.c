/* words.c - see words.h.
 *
 * SPDX-License-Identifier: MIT
 */
#include "config.h"

#include "words.h"

#include <stdlib.h>
#include <string.h>

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n';
}

/* Copies what stands between two quotes, from behind the first on.  Returns
 * what follows the second; NULL: there is none. */
static const char *copy_quoted(const char *from, char quote, char **to)
{
    for (; *from != quote; from++) {
        if (*from == '\0')
            return NULL;
        if (quote == '"' && *from == '\\' && from[1] != '\0'
            && strchr("$`\"\\\n", from[1]) != NULL) {
            from++;
            if (*from == '\n')
                continue;
        }
        *(*to)++ = *from;
    }
    return from + 1;
}

/* Copies a word, from its first byte on.  Returns what follows; NULL: *why
 * says what is wrong. */
static const char *copy_word(const char *from, char **to,
                             struct pfetch_failure *why)
{
    while (*from != '\0' && !is_blank(*from)) {
        char c = *from++;

        if (c == '\'' || c == '"') {
            from = copy_quoted(from, c, to);
            if (from == NULL) {
                pfetch_failure_set(why, PFETCH_CLASS_NONE, "a quote (%c) is "
                                   "not closed", c);
                return NULL;
            }
            continue;
        }
        if (c == '\\') {
            c = *from;
            if (c == '\0') {
                pfetch_failure_set(why, PFETCH_CLASS_NONE, "nothing follows "
                                   "the last backslash");
                return NULL;
            }
            from++;
            if (c == '\n')
                continue;
        }
        *(*to)++ = c;
    }
    *(*to)++ = '\0';
    return from;
}

/* Blanks, and line ends that a backslash takes away. */
static const char *skip_blanks(const char *text)
{
    for (;;) {
        if (is_blank(*text))
            text++;
        else if (text[0] == '\\' && text[1] == '\n')
            text += 2;
        else
            return text;
    }
}

int pf_words_split(char ***words, const char *text,
                   struct pfetch_failure *why)
{
    /* A word takes a byte and a blank at least; its bytes and its end are not
     * more than the text has. */
    size_t length = strlen(text), most = length / 2 + 1, count = 0;
    char **all;
    char *to;

    *words = NULL;
    if (length > SIZE_MAX / 32 - 32)
        return PFETCH_ENOMEM;
    all = malloc((most + 1) * sizeof(*all) + length + 1);
    if (all == NULL) {
        pfetch_failure_set(why, PFETCH_CLASS_LOCAL, "out of memory");
        return PFETCH_ENOMEM;
    }
    to = (char *)(all + most + 1);
    for (text = skip_blanks(text); *text != '\0'; text = skip_blanks(text)) {
        all[count++] = to;
        text = copy_word(text, &to, why);
        if (text == NULL) {
            free(all);
            return PFETCH_EINVAL;
        }
    }
    if (count == 0) {
        pfetch_failure_set(why, PFETCH_CLASS_NONE, "the command is empty");
        free(all);
        return PFETCH_EINVAL;
    }
    all[count] = NULL;
    *words = all;
    return 0;
}
