/* pattern.c - one URL that stands for many.
 *
 * SPDX-License-Identifier: MIT
 *
 * The text is cut into parts: plain pieces, ranges and sets.  They are the
 * wheels of an odometer: each knows only where it stands, so that a pattern
 * for a million URLs needs no more memory than one for two.  A set goes
 * through its elements where they stand in the text.
 *
 * The rules, where they are not obvious, are those of curl's URL globbing.
 */
#include "config.h"

#include "pattern.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DIGITS "0123456789"
#define HEX_DIGITS DIGITS "abcdefABCDEF"
#define LETTERS "abcdefghijklmnopqrstuvwxyz" "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

enum { NUMBER_BYTES = 64 }; /* longest number, zeros included */

enum kind { PLAIN, SET, LETTER, DECIMAL, HEX_LOWER, HEX_UPPER };

struct part {
    enum kind kind;
    const char *text;      /* PLAIN; SET: what stands between the braces */
    size_t size;
    const char *at;        /* SET: the element it stands at */
    uint64_t first, last, step;
    uint64_t now;          /* ranges: the value it stands at */
    int width;             /* numbers: filled up with zeros to this */
};

struct pf_pattern {
    bool done;
    size_t count;
    struct part parts[];
};

/* --- reading the text ----------------------------------------------------- */

struct reader {
    const char *text;
    const char *at;
    struct pf_pattern *pattern;
    struct pf_pattern_fault *fault;
    uint64_t urls;   /* so far */
    size_t longest;  /* of those URLs */
};

static bool complain(struct reader *reader, const char *at, const char *what)
{
    reader->fault->what = what;
    reader->fault->position = (size_t)(at - reader->text) + 1;
    return false;
}

static struct part *add_part(struct reader *reader, enum kind kind)
{
    struct part *part =
        &reader->pattern->parts[reader->pattern->count++];

    *part = (struct part){.kind = kind};
    return part;
}

/* A part has so many values, the longest of them that long. */
static bool account(struct reader *reader, uint64_t values, size_t longest)
{
    if (values > (uint64_t)INT64_MAX / reader->urls)
        return complain(reader, reader->at, "more URLs than can be counted");
    reader->urls *= values;
    if (longest > PF_PATTERN_URL_BYTES - reader->longest)
        return complain(reader, reader->at,
                        "these URLs are longer than 64 KiB");
    reader->longest += longest;
    return true;
}

static bool read_number(struct reader *reader, const char *text, size_t size,
                        int base, uint64_t *number)
{
    *number = 0;
    if (size > NUMBER_BYTES)
        return complain(reader, text, "this number has too many digits");
    for (size_t i = 0; i < size; i++) {
        char c = text[i];
        uint64_t digit = c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;

        if (*number > ((uint64_t)INT64_MAX - digit) / (uint64_t)base)
            return complain(reader, text, "this number is too large");
        *number = *number * (uint64_t)base + digit;
    }
    return true;
}

/* A range, as it stands in the text: "[LOW-HIGH:suffix]". */
struct span {
    const char *low, *high, *suffix; /* suffix: NULL if there is none */
    size_t low_size, high_size, suffix_size;
    const char *end;                 /* behind the bracket */
};

static bool cut_range(struct reader *reader, struct span *span)
{
    static const char no_range[] =
        "no range such as [0-9]; a backslash before the bracket, or "
        "--no-glob, takes it as it stands";
    const char *at = reader->at + 1;

    *span = (struct span){.low = at};
    span->low_size = strspn(at, DIGITS LETTERS);
    at += span->low_size;
    if (span->low_size == 0 || *at != '-')
        return complain(reader, reader->at, no_range);
    span->high = ++at;
    span->high_size = strspn(at, DIGITS LETTERS);
    at += span->high_size;
    if (span->high_size == 0)
        return complain(reader, reader->at, no_range);
    if (*at == ':') {
        span->suffix = ++at;
        span->suffix_size = strspn(at, DIGITS LETTERS);
        at += span->suffix_size;
    }
    if (*at != ']')
        return complain(reader, at, "']' is missing here");
    span->end = at + 1;
    return true;
}

static bool is_all(const char *text, size_t size, const char *accepted)
{
    return strspn(text, accepted) >= size;
}

static bool has_any(const char *text, size_t size, const char *wanted)
{
    return strcspn(text, wanted) < size;
}

static bool read_letters(struct reader *reader, const struct span *span,
                         struct part *part)
{
    part->kind = LETTER;
    part->first = (unsigned char)*span->low;
    part->last = (unsigned char)*span->high;
    if ((part->first & 0x20) != (part->last & 0x20))
        return complain(reader, span->low, "letters of different case");
    return true;
}

static bool read_numbers(struct reader *reader, const struct span *span,
                         struct part *part, int base)
{
    if (*span->low == '0')
        part->width = (int)span->low_size;
    return read_number(reader, span->low, span->low_size, base,
                       &part->first) &&
           read_number(reader, span->high, span->high_size, base,
                       &part->last);
}

static bool read_hex(struct reader *reader, const struct span *span,
                     struct part *part)
{
    bool upper = has_any(span->low, span->low_size, "ABCDEF") ||
                 has_any(span->high, span->high_size, "ABCDEF");
    bool lower = has_any(span->low, span->low_size, "abcdef") ||
                 has_any(span->high, span->high_size, "abcdef");

    if (!is_all(span->low, span->low_size, HEX_DIGITS))
        return complain(reader, span->low, "no hexadecimal number");
    if (!is_all(span->high, span->high_size, HEX_DIGITS))
        return complain(reader, span->high, "no hexadecimal number");
    if (upper && lower)
        return complain(reader, span->low, "letters of different case");
    part->kind = upper ? HEX_UPPER : HEX_LOWER;
    return read_numbers(reader, span, part, 16);
}

static bool read_values(struct reader *reader, const struct span *span,
                        struct part *part)
{
    if (span->suffix_size == 1 && *span->suffix == 'x')
        return read_hex(reader, span, part);
    if (span->low_size == 1 && span->high_size == 1 &&
        is_all(span->low, 1, LETTERS) && is_all(span->high, 1, LETTERS))
        return read_letters(reader, span, part);
    if (is_all(span->low, span->low_size, DIGITS) &&
        is_all(span->high, span->high_size, DIGITS)) {
        part->kind = DECIMAL;
        return read_numbers(reader, span, part, 10);
    }
    if (is_all(span->low, span->low_size, HEX_DIGITS) &&
        is_all(span->high, span->high_size, HEX_DIGITS))
        return complain(reader, span->low,
                        "a hexadecimal range ends with :x, as [00-FF:x]");
    return complain(reader, span->low,
                    "neither two numbers nor two letters");
}

static bool read_step(struct reader *reader, const struct span *span,
                      struct part *part)
{
    part->step = 1;
    if (span->suffix == NULL ||
        (span->suffix_size == 1 && *span->suffix == 'x'))
        return true;
    if (span->suffix_size == 0 ||
        !is_all(span->suffix, span->suffix_size, DIGITS))
        return complain(reader, span->suffix,
                        "neither a step nor x stands behind ':'");
    if (!read_number(reader, span->suffix, span->suffix_size, 10,
                     &part->step))
        return false;
    if (part->step == 0)
        return complain(reader, span->suffix, "a step of 0 leads nowhere");
    if (part->step > 1 && part->step > part->last - part->first)
        return complain(reader, span->suffix,
                        "the step is longer than the range");
    return true;
}

static bool read_range(struct reader *reader)
{
    struct part *part = add_part(reader, DECIMAL);
    struct span span;

    if (!cut_range(reader, &span) || !read_values(reader, &span, part))
        return false;
    if (part->first > part->last)
        return complain(reader, span.low, "the range goes backwards");
    if (!read_step(reader, &span, part))
        return false;
    part->now = part->first;
    if (!account(reader, (part->last - part->first) / part->step + 1,
                 span.low_size > span.high_size ? span.low_size
                                                : span.high_size))
        return false;
    reader->at = span.end;
    return true;
}

/* Where the element that begins at text ends: at ',' or '}', or at what must
 * not be there.  *size: its length when backslashes are taken off. */
static const char *end_element(const char *text, size_t *size)
{
    for (*size = 0; strchr(",{}[]", *text) == NULL; text++, (*size)++)
        if (*text == '\\' && text[1] != '\0')
            text++;
    return text;
}

static bool read_set(struct reader *reader)
{
    struct part *part = add_part(reader, SET);
    const char *at = reader->at;
    uint64_t elements = 0;
    size_t size, longest = 0;

    part->text = part->at = at + 1;
    do {
        at = end_element(at + 1, &size);
        longest = size > longest ? size : longest;
        elements++;
    } while (*at == ',');
    if (*at == '\0')
        return complain(reader, reader->at, "'}' is missing");
    if (*at != '}')
        return complain(reader, at, "a bracket inside of { } (a backslash "
                                    "before it takes it as it stands)");
    part->size = (size_t)(at - part->text);
    if (part->size == 0)
        return complain(reader, reader->at, "nothing inside of { }");
    if (!account(reader, elements, longest))
        return false;
    reader->at = at + 1;
    return true;
}

/* The length of the IPv6 address in brackets that text begins with; 0 if it
 * does not.  No range has two colons. */
static size_t measure_address(const char *text)
{
    size_t size = 1 + strspn(text + 1, HEX_DIGITS ":.");
    size_t colons = 0;

    for (size_t i = 0; i < size; i++)
        colons += text[i] == ':';
    if (text[size] == '%') /* a zone */
        size += strcspn(text + size, "]");
    return colons >= 2 && text[size] == ']' ? size + 1 : 0;
}

static bool read_plain(struct reader *reader)
{
    struct part *part = add_part(reader, PLAIN);
    const char *at = reader->at;

    if (*at == '\\' && at[1] != '\0' && strchr("[]{}", at[1]) != NULL)
        at++;
    part->text = at++;
    if (*part->text == '[' && part->text == reader->at)
        at = part->text + measure_address(part->text);
    for (; strchr("[]{}\\", *at) == NULL; at++)
        ;
    part->size = (size_t)(at - part->text);
    if (!account(reader, 1, part->size))
        return false;
    reader->at = at;
    return true;
}

static bool read_part(struct reader *reader)
{
    switch (*reader->at) {
    case '{':
        return read_set(reader);
    case '[':
        return measure_address(reader->at) > 0 ? read_plain(reader)
                                               : read_range(reader);
    case '}':
        return complain(reader, reader->at,
                        "no '{' stands before this '}' (a backslash before "
                        "it takes it as it stands)");
    case ']':
        return complain(reader, reader->at,
                        "no '[' stands before this ']' (a backslash before "
                        "it takes it as it stands)");
    default:
        return read_plain(reader);
    }
}

bool pf_pattern_is(const char *text)
{
    return strpbrk(text, "[]{}\\") != NULL;
}

int pf_pattern_create(struct pf_pattern **result, const char *text,
                      struct pf_pattern_fault *fault)
{
    struct reader reader = {
        .text = text, .at = text, .fault = fault, .urls = 1};
    size_t parts = 1;

    *result = NULL;
    /* Each special byte begins a part, and may have a plain one behind it. */
    for (const char *at = text; (at = strpbrk(at, "[{\\")) != NULL; at++)
        parts += 2;
    reader.pattern = calloc(1, sizeof(*reader.pattern) +
                                   parts * sizeof(reader.pattern->parts[0]));
    if (reader.pattern == NULL) {
        *fault = (struct pf_pattern_fault){"out of memory", 0};
        return -1;
    }
    while (*reader.at != '\0')
        if (!read_part(&reader)) {
            free(reader.pattern);
            return -1;
        }
    *result = reader.pattern;
    return 0;
}

void pf_pattern_free(struct pf_pattern *pattern)
{
    free(pattern);
}

/* --- making URLs ---------------------------------------------------------- */

/* Writes the element of a set that text begins with. */
static char *write_element(const char *text, char *url)
{
    for (; *text != ',' && *text != '}'; text++) {
        if (*text == '\\')
            text++;
        *url++ = *text;
    }
    return url;
}

/* Writes the number a range stands at. */
static char *write_number(const struct part *part, char *url)
{
    char number[NUMBER_BYTES + 1];
    int size;

    if (part->kind == DECIMAL)
        size = snprintf(number, sizeof(number), "%0*" PRIu64, part->width,
                        part->now);
    else if (part->kind == HEX_LOWER)
        size = snprintf(number, sizeof(number), "%0*" PRIx64, part->width,
                        part->now);
    else
        size = snprintf(number, sizeof(number), "%0*" PRIX64, part->width,
                        part->now);
    memcpy(url, number, (size_t)size);
    return url + size;
}

/* Writes what a part stands at; returns the end of it. */
static char *write_part(const struct part *part, char *url)
{
    switch (part->kind) {
    case PLAIN:
        memcpy(url, part->text, part->size);
        return url + part->size;
    case SET:
        return write_element(part->at, url);
    case LETTER:
        *url = (char)part->now;
        return url + 1;
    case DECIMAL:
    case HEX_LOWER:
    case HEX_UPPER:
        break;
    }
    return write_number(part, url);
}

/* Moves a part on.  False: it is back at its beginning. */
static bool advance(struct part *part)
{
    size_t size;

    if (part->kind == PLAIN)
        return false;
    if (part->kind == SET) {
        const char *end = end_element(part->at, &size);

        part->at = *end == ',' ? end + 1 : part->text;
        return *end == ',';
    }
    if (part->last - part->now < part->step) {
        part->now = part->first;
        return false;
    }
    part->now += part->step;
    return true;
}

bool pf_pattern_next(struct pf_pattern *pattern, char *url)
{
    size_t i;

    if (pattern->done)
        return false;
    for (i = 0; i < pattern->count; i++)
        url = write_part(&pattern->parts[i], url);
    *url = '\0';
    for (i = pattern->count; i > 0 && !advance(&pattern->parts[i - 1]); i--)
        ;
    pattern->done = i == 0;
    return true;
}
