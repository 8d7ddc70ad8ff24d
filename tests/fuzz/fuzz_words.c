/* fuzz_words.c - commands, divided into words.
 *
 * SPDX-License-Identifier: MIT
 *
 * What comes out, quoted again, must give the same words.
 */
#include "config.h"

#include "fuzz.h"
#include "words.h"

#include <stdlib.h>
#include <string.h>

/* "it's" as 'it'\''s'. */
static char *quote(char *to, const char *word)
{
    *to++ = '\'';
    for (; *word != '\0'; word++) {
        if (*word == '\'') {
            memcpy(to, "'\\'", 3);
            to += 3;
        }
        *to++ = *word;
    }
    *to++ = '\'';
    *to++ = ' ';
    return to;
}

static void check_again(char **words, size_t bytes)
{
    char *text = malloc(8 * bytes + 8), *end = text;
    struct pfetch_failure why;
    char **again;

    if (text == NULL)
        return;
    for (char **word = words; *word != NULL; word++)
        end = quote(end, *word);
    *end = '\0';
    must(pf_words_split(&again, text, &why) == 0);
    for (size_t i = 0; i == 0 || words[i - 1] != NULL; i++)
        must(words[i] == NULL ? again[i] == NULL
                              : again[i] != NULL
                                    && strcmp(again[i], words[i]) == 0);
    free(again);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pfetch_failure why = { .text = "" };
    char *text = malloc(size + 1);
    size_t bytes = 0;
    char **words;

    if (text == NULL)
        return 0;
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    if (pf_words_split(&words, text, &why) == 0) {
        must(words[0] != NULL);
        for (char **word = words; *word != NULL; word++)
            bytes += strlen(*word) + 1;
        must(bytes <= strlen(text) + 1);
        check_again(words, bytes);
        free(words);
    } else {
        must(words == NULL && why.text[0] != '\0');
    }
    free(text);
    return 0;
}
