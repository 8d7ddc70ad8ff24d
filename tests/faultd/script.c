/*
 * script.c - reads the directives in a path.
 *
 * One table says for each directive how its value is read and where it goes:
 * numbers and texts straight into a field, words through a table of words, the
 * rest through a function.  Values are decoded in place in one copy of the
 * path.
 *
 * SPDX-License-Identifier: MIT
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "script.h"

#include "body.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_SIZE = 1000, DEFAULT_CHUNK = 4096 };

/* A whole decimal number, without sign. */
static bool read_number(const char *text, int64_t *number)
{
    char *end;

    if (text == NULL || *text < '0' || *text > '9')
        return false;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    *number = value;
    return errno == 0 && *end == '\0';
}

/* "NUMBER<mark>REST": the number, and REST by reference. */
static bool read_pair(const char *text, char mark, int64_t *number,
                      const char **rest)
{
    char digits[24];
    const char *split = text != NULL ? strchr(text, mark) : NULL;

    if (split == NULL || (size_t)(split - text) >= sizeof digits)
        return false;
    memcpy(digits, text, (size_t)(split - text));
    digits[split - text] = '\0';
    *rest = split + 1;
    return read_number(digits, number);
}

/* Position of text in a list of words that NULL ends, or -1. */
static int read_word(const char *text, const char *const *words)
{
    for (int i = 0; text != NULL && words[i] != NULL; i++)
        if (strcmp(text, words[i]) == 0)
            return i;
    return -1;
}

/* The functions below set one directive; value.data is NULL for a bare one. */

static bool set_size(struct script *script, struct text value)
{
    script->size_set = true;
    return read_number(value.data, &script->size);
}

static bool set_seed(struct script *script, struct text value)
{
    script->seed = value;
    return value.data != NULL;
}

static bool set_header(struct script *script, struct text value)
{
    if (value.data == NULL || script->header_count == SCRIPT_HEADERS)
        return false;
    script->headers[script->header_count++] = value;
    return memchr(value.data, ':', value.len) != NULL;
}

static bool set_chunked(struct script *script, struct text value)
{
    script->framing = FRAME_CHUNKED;
    if (value.data == NULL)
        return true;
    return read_number(value.data, &script->chunk_bytes) &&
           script->chunk_bytes > 0;
}

static bool set_chunkcut(struct script *script, struct text value)
{
    script->framing = FRAME_CHUNKED;
    if (value.data != NULL && strcmp(value.data, "last") == 0) {
        script->chunk_fault = CHUNK_CUT_LAST;
        return true;
    }
    script->end = END_FIN;
    return read_number(value.data, &script->end_after);
}

static bool set_badchunk(struct script *script, struct text value)
{
    static const char *const words[] = {"zz",  "long",     "neg",
                                        "ext", "trailers", NULL};
    int word = read_word(value.data, words);

    script->framing = FRAME_CHUNKED;
    script->chunk_fault = (enum chunk_fault)(CHUNK_ZZ + word);
    return word >= 0;
}

static bool set_nolength(struct script *script, struct text value)
{
    script->framing = FRAME_CLOSE;
    script->http10 = value.data != NULL;
    return value.data == NULL || strcmp(value.data, "1.0") == 0;
}

static bool set_hints(struct script *script, struct text value)
{
    if (value.data != NULL && strcmp(value.data, "endless") == 0) {
        script->hints = HINTS_ENDLESS;
        return true;
    }
    return read_number(value.data, &script->hints);
}

static bool set_garbage(struct script *script, struct text value)
{
    static const char *const words[] = {"http09", "ssh", "tls", "random", NULL};
    int word = read_word(value.data, words);

    script->garbage = (enum garbage)(GARBAGE_HTTP09 + word);
    return word >= 0;
}

static bool set_delay(struct script *script, struct text value)
{
    const char *rest;

    if (read_pair(value.data, '-', &script->delay_min_ms, &rest))
        return read_number(rest, &script->delay_max_ms) &&
               script->delay_max_ms >= script->delay_min_ms;
    if (!read_number(value.data, &script->delay_min_ms))
        return false;
    script->delay_max_ms = script->delay_min_ms;
    return true;
}

static bool set_drip(struct script *script, struct text value)
{
    const char *rest;

    return read_pair(value.data, ',', &script->drip_bytes, &rest) &&
           script->drip_bytes > 0 && read_number(rest, &script->drip_ms);
}

/* An ending: at a number of bytes, or at the word that names a special place */
static bool set_end(struct script *script, enum script_end end, const char *at,
                    const char *word, int64_t place)
{
    script->end = end;
    if (at != NULL && strcmp(at, word) == 0) {
        script->end_after = place;
        return true;
    }
    return read_number(at, &script->end_after);
}

static bool set_cut(struct script *script, struct text value)
{
    return set_end(script, END_FIN, value.data, "head", AFTER_HALF_HEAD);
}

static bool set_reset(struct script *script, struct text value)
{
    return set_end(script, END_RESET, value.data, "before", AFTER_NOTHING);
}

static bool set_stall(struct script *script, struct text value)
{
    return set_end(script, END_STALL, value.data, "head", AFTER_NOTHING);
}

static bool set_close(struct script *script, struct text value)
{
    script->end = END_FIN;
    script->end_after = AFTER_NOTHING;
    return value.data != NULL && strcmp(value.data, "before") == 0;
}

static bool set_junk(struct script *script, struct text value)
{
    if (value.data != NULL && strcmp(value.data, "poison") == 0) {
        script->junk = JUNK_POISON;
        return true;
    }
    return read_number(value.data, &script->junk);
}

static bool set_latejunk(struct script *script, struct text value)
{
    const char *rest;

    if (value.data != NULL && strncmp(value.data, "poison,", 7) == 0) {
        script->latejunk = JUNK_POISON;
        return read_number(value.data + 7, &script->latejunk_ms);
    }
    return read_pair(value.data, ',', &script->latejunk, &rest) &&
           read_number(rest, &script->latejunk_ms);
}

static bool set_nextend(struct script *script, struct text value)
{
    static const char *const words[] = {"close", "reset", "junk", NULL};
    int word = read_word(value.data, words);

    script->next_end = word == 1 ? END_RESET : END_FIN;
    script->next_junk = word == 2;
    return word >= 0;
}

static bool set_wrongrange(struct script *script, struct text value)
{
    static const char *const words[] = {"start", "after",     "total", "etag",
                                        "nocr",  "multipart", NULL};
    int word = read_word(value.data, words);

    script->range_fault = (enum range_fault)(RANGE_START + word);
    return word >= 0;
}

static bool set_416(struct script *script, struct text value)
{
    script->always416 = true;
    return value.data != NULL && strcmp(value.data, "always") == 0;
}

static bool set_unasked206(struct script *script, struct text value)
{
    script->unasked206 = 0;
    return value.data == NULL || read_number(value.data, &script->unasked206);
}

static bool set_fail(struct script *script, struct text value)
{
    return read_pair(value.data, ':', &script->fail_count,
                     &script->fail_status);
}

static bool set_failcut(struct script *script, struct text value)
{
    const char *rest;

    return read_pair(value.data, ':', &script->failcut_count, &rest) &&
           read_number(rest, &script->failcut_bytes);
}

static bool set_newafter(struct script *script, struct text value)
{
    if (!read_pair(value.data, ':', &script->newafter_count,
                   &script->newafter.data))
        return false;
    script->newafter.len =
        value.len - (size_t)(script->newafter.data - value.data);
    return true;
}

static bool set_needheader(struct script *script, struct text value)
{
    if (value.data == NULL || script->need_count == SCRIPT_CHECKS)
        return false;
    script->need[script->need_count++] = value.data;
    return strchr(value.data, ':') != NULL;
}

static bool set_refuseheader(struct script *script, struct text value)
{
    if (value.data == NULL || script->refuse_count == SCRIPT_CHECKS)
        return false;
    script->refuse[script->refuse_count++] = value.data;
    return true;
}

enum kind { KIND_FLAG, KIND_NUMBER, KIND_TEXT, KIND_CALL };

struct directive {
    const char *name;
    enum kind kind;
    size_t field; /* offset in struct script, but for KIND_CALL */
    bool (*set)(struct script *script, struct text value);
};

#define FLAG(name) {#name, KIND_FLAG, offsetof(struct script, name), NULL}
#define NUMBER(name) {#name, KIND_NUMBER, offsetof(struct script, name), NULL}
#define TEXT(name) {#name, KIND_TEXT, offsetof(struct script, name), NULL}
#define CALL(name) {#name, KIND_CALL, 0, set_##name}

static const struct directive directives[] = {
    CALL(size),
    CALL(seed),
    TEXT(status),
    TEXT(reason),
    CALL(header),
    TEXT(etag),
    TEXT(lastmod),
    TEXT(retryafter),
    TEXT(length),
    TEXT(length2),
    CALL(chunked),
    CALL(nolength),
    NUMBER(bigheaders),
    CALL(hints),
    {"slowheaders", KIND_NUMBER, offsetof(struct script, slowheaders_ms), NULL},
    CALL(garbage),
    CALL(delay),
    CALL(drip),
    CALL(cut),
    FLAG(notify),
    CALL(reset),
    CALL(stall),
    CALL(close),
    CALL(chunkcut),
    CALL(badchunk),
    FLAG(connclose),
    FLAG(closeidle),
    NUMBER(closeevery),
    CALL(junk),
    CALL(latejunk),
    CALL(nextend),
    FLAG(norange),
    CALL(wrongrange),
    NUMBER(shortrange),
    CALL(416),
    CALL(unasked206),
    TEXT(redirect),
    CALL(fail),
    {"failreset", KIND_NUMBER, offsetof(struct script, failreset_count), NULL},
    CALL(failcut),
    CALL(newafter),
    NUMBER(limit),
    TEXT(auth),
    CALL(needheader),
    CALL(refuseheader),
};

static bool apply_directive(struct script *script,
                            const struct directive *directive,
                            struct text value)
{
    char *field = (char *)script + directive->field;

    switch (directive->kind) {
    case KIND_FLAG:
        *(bool *)(void *)field = true;
        return value.data == NULL;
    case KIND_NUMBER:
        return read_number(value.data, (int64_t *)(void *)field);
    case KIND_TEXT:
        *(const char **)(void *)field = value.data;
        return value.data != NULL;
    case KIND_CALL:
        return directive->set(script, value);
    }
    return false;
}

static const struct directive *find_directive(const char *name)
{
    for (size_t i = 0; i < sizeof directives / sizeof directives[0]; i++)
        if (strcmp(directives[i].name, name) == 0)
            return &directives[i];
    return NULL;
}

static int hex_value(char digit)
{
    const char *digits = "0123456789abcdef0123456789ABCDEF";
    const char *found = digit != '\0' ? strchr(digits, digit) : NULL;

    return found != NULL ? (int)((found - digits) % 16) : -1;
}

struct text script_decode(char *text)
{
    char *out = text;

    for (const char *in = text; *in != '\0'; in++) {
        int high = *in == '%' ? hex_value(in[1]) : -1;
        int low = high >= 0 ? hex_value(in[2]) : -1;
        if (low >= 0) {
            *out++ = (char)(high * 16 + low);
            in += 2;
        } else {
            *out++ = *in;
        }
    }
    *out = '\0';
    return (struct text){.data = text, .len = (size_t)(out - text)};
}

/* Reads one segment that is not the last; false: bad, complaint is set. */
static bool parse_segment(struct script *script, char *segment)
{
    struct text value = {NULL, 0};
    char *equals = strchr(segment, '=');
    char *escaped = equals == NULL ? strcasestr(segment, "%3d") : NULL;

    if (escaped != NULL) { /* as wget2 sends it */
        *escaped = '\0';
        if (find_directive(segment) != NULL)
            equals = escaped + 2;
        else
            *escaped = '%';
    }
    if (equals != NULL) {
        *equals = '\0';
        value = script_decode(equals + 1);
    }
    const struct directive *directive = find_directive(segment);
    if (directive == NULL && equals == NULL)
        return true; /* a plain directory */
    if (directive != NULL && apply_directive(script, directive, value))
        return true;
    (void)snprintf(script->complaint, sizeof script->complaint,
                   "faultd: bad directive: %s%s%s\n", segment,
                   equals != NULL ? "=" : "",
                   equals != NULL ? value.data : ""); /* may be shortened */
    return false;
}

/* All segments; false: one is bad. */
static bool parse_path(struct script *script)
{
    char *segment = script->buffer;
    char *slash;

    while ((slash = strchr(segment, '/')) != NULL) {
        *slash = '\0';
        if (!parse_segment(script, segment))
            return false;
        if (strcmp(segment, "limit") == 0)
            script->limit_prefix = (size_t)(slash - script->buffer) + 1;
        segment = slash + 1;
    }
    if (script->seed.data == NULL)
        script->seed = script_decode(segment);
    return true;
}

static void set_defaults(struct script *script, char *buffer)
{
    *script = (struct script){
        .buffer = buffer,
        .size = DEFAULT_SIZE,
        .chunk_bytes = DEFAULT_CHUNK,
        .unasked206 = -1,
        .limit = -1,
    };
}

void script_parse(struct script *script, const char *path)
{
    char complaint[sizeof script->complaint];

    set_defaults(script, strdup(path + 1));
    if (script->buffer == NULL)
        abort();
    script->buffer[strcspn(script->buffer, "?")] = '\0';
    if (parse_path(script))
        return;
    /* What came before the bad directive is not to act. */
    memcpy(complaint, script->complaint, sizeof complaint);
    set_defaults(script, script->buffer);
    memcpy(script->complaint, complaint, sizeof complaint);
    script->bad = true;
}

void script_free(struct script *script)
{
    free(script->buffer);
}

void script_heal(struct script *script)
{
    const struct script was = *script;

    if (was.bad)
        return;
    set_defaults(script, was.buffer);
    script->seed = was.seed;
    script->size = was.size;
    script->size_set = was.size_set;
    script->etag = was.etag;
    script->lastmod = was.lastmod;
}

int64_t script_delay_ms(const struct script *script)
{
    uint64_t span =
        (uint64_t)(script->delay_max_ms - script->delay_min_ms) + 1;

    return script->delay_min_ms +
           (int64_t)(body_hash(script->seed.data, script->seed.len) % span);
}
