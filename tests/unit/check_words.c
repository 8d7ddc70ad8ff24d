/* check_words.c - a command, divided into words.
 *
 * SPDX-License-Identifier: MIT
 */
#include "config.h"

#include "suite.h"
#include "words.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* words: what is expected, joined by '|'; NULL: it is refused. */
struct example {
    const char *text;
    const char *words;
};

static const struct example examples[] = {
    { "a", "a" },
    { "a b", "a|b" },
    { "  a \t b\n", "a|b" },
    { "python3 reader.py --x=1", "python3|reader.py|--x=1" },
    /* Quotes keep blanks, and may stand in the middle of a word. */
    { "a 'b c' \"d e\"", "a|b c|d e" },
    { "a'b c'd\"e f\"g", "ab cde fg" },
    { "''", "" },
    { "a '' \"\" b", "a|||b" },
    { "''''", "" },
    /* A backslash: outside it keeps what follows, in '' it is nothing special,
     * in "" only before a few. */
    { "a\\ b \\'c\\\" \\\\", "a b|'c\"|\\" },
    { "'a\\' b", "a\\|b" },
    { "\"a\\\"b\\\\c\\$d\\`e\\nf\"", "a\"b\\c$d`e\\nf" },
    /* Before the end of a line it takes that away. */
    { "a\\\nb", "ab" },
    { "a \\\n b", "a|b" },
    { "a \\\n", "a" },
    { "\"a\\\nb\"", "ab" },
    /* Nothing else is special. */
    { "a|b", "a|b" }, /* one word; the '|' is its own */
    { "a; b > c & $d * # e ~", "a;|b|>|c|&|$d|*|#|e|~" },
    { "sh -c 'a \"$b\"' {}", "sh|-c|a \"$b\"|{}" },
    { "\xff\xfe \x01", "\xff\xfe|\x01" },
    { "", NULL },
    { " \t\n", NULL },
    { "\\\n", NULL },
    { "a 'b", NULL },
    { "a \"b", NULL },
    { "a \"b\\\"", NULL },
    { "\"\\", NULL },
    { "a\\", NULL },
    { "\\", NULL },
};

START_TEST(splits)
{
    const struct example *e = &examples[_i];
    struct pfetch_failure why = { .cls = PFETCH_CLASS_LOCAL };
    char joined[256] = "";
    char **words;
    int error = pf_words_split(&words, e->text, &why);

    if (e->words == NULL) {
        ck_assert_int_eq(error, PFETCH_EINVAL);
        ck_assert_ptr_null(words);
        ck_assert_int_eq(why.cls, PFETCH_CLASS_NONE);
        ck_assert_int_ne(why.text[0], '\0');
        return;
    }
    ck_assert_msg(error == 0, "%s: %s", e->text, why.text);
    for (char **word = words; *word != NULL; word++) {
        if (word > words)
            (void)strcat(joined, "|");
        (void)strcat(joined, *word);
    }
    free(words);
    ck_assert_str_eq(joined, e->words);
}
END_TEST

/* The engine's part. */
void pfetch_failure_set(struct pfetch_failure *why, enum pfetch_class cls,
                        const char *format, ...)
{
    why->cls = cls;
    (void)snprintf(why->text, sizeof(why->text), "%s", format);
}

int main(void)
{
    Suite *suite = suite_create("words");
    TCase *tests = tcase_create("words");

    tcase_add_loop_test(tests, splits, 0,
                        sizeof(examples) / sizeof(examples[0]));
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
