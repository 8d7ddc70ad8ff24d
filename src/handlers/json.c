/* json.c - JSON, written strictly into a buffer that grows.
 *
 * SPDX-License-Identifier: MIT
 *
 * By hand, because the library needs it for flat objects of a dozen strings
 * and numbers only, and a body that is one string: a JSON library would be one
 * more for every program that is linked with libpfetch, would want the whole
 * body a second time in memory, and knows no base64.
 */
#include "config.h"

#include "json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_BYTES = 1024, REDACTED_EXTRA = 16 };

void pf_json_fini(struct pf_json *json)
{
    free(json->text);
    *json = (struct pf_json){ .text = NULL };
}

/* Room for size more bytes; NULL: there is none. */
static char *reserve(struct pf_json *json, size_t size)
{
    size_t capacity = json->capacity == 0 ? FIRST_BYTES : json->capacity;
    char *grown;

    if (json->failed)
        return NULL;
    if (size > json->capacity - json->size) {
        if (size > SIZE_MAX / 4 - json->size) {
            json->failed = true;
            return NULL;
        }
        while (capacity - json->size < size)
            capacity *= 2;
        grown = realloc(json->text, capacity);
        if (grown == NULL) {
            json->failed = true;
            return NULL;
        }
        json->text = grown;
        json->capacity = capacity;
    }
    return json->text + json->size;
}

void pf_json_raw(struct pf_json *json, const void *data, size_t size)
{
    char *at = reserve(json, size);

    if (at == NULL || size == 0)
        return;
    memcpy(at, data, size);
    json->size += size;
}

void pf_json_word(struct pf_json *json, const char *word)
{
    pf_json_raw(json, word, strlen(word));
}

/* --- characters ------------------------------------------------------------ */

/* The length of the UTF-8 character that at begins with; 0: of none. */
static size_t measure(const unsigned char *at, size_t left)
{
    unsigned char low = 0x80, high = 0xbf;
    size_t length;

    if (at[0] < 0x80)
        return 1;
    if (at[0] < 0xc2 || at[0] > 0xf4)
        return 0;
    length = at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;
    if (length > left)
        return 0;
    if (at[0] == 0xe0)
        low = 0xa0; /* below: overlong */
    else if (at[0] == 0xed)
        high = 0x9f; /* above: surrogates */
    else if (at[0] == 0xf0)
        low = 0x90; /* below: overlong */
    else if (at[0] == 0xf4)
        high = 0x8f; /* above: no characters */
    if (at[1] < low || at[1] > high)
        return 0;
    for (size_t i = 2; i < length; i++)
        if (at[i] < 0x80 || at[i] > 0xbf)
            return 0;
    return length;
}

bool pf_json_is_utf8(const void *data, size_t size)
{
    const unsigned char *at = data, *end = at + size;
    size_t length;

    for (; at < end; at += length) {
        length = measure(at, (size_t)(end - at));
        if (length == 0)
            return false;
    }
    return true;
}

/* What is written of one character in its place; 0: it stands for itself. */
static size_t escape(const unsigned char *at, size_t length, char out[8])
{
    static const char names[] = "\b\t\n\f\r\"\\";
    static const char letters[] = "btnfr\"\\";
    const char *name;
    unsigned code;

    if (length == 1 && at[0] >= 0x20 && at[0] != 0x7f && at[0] != '"'
        && at[0] != '\\')
        return 0;
    if (length == 1 && at[0] != '\0'
        && (name = strchr(names, at[0])) != NULL) {
        out[0] = '\\';
        out[1] = letters[name - names];
        return 2;
    }
    /* Control characters; those of C1 are U+0080 to U+009F. */
    if (length == 1)
        code = at[0];
    else if (length == 2 && at[0] == 0xc2 && at[1] < 0xa0)
        code = at[1];
    else
        return 0;
    return (size_t)snprintf(out, 8, "\\u%04x", code);
}

void pf_json_characters(struct pf_json *json, const void *data, size_t size)
{
    const unsigned char *at = data, *end = at + size, *plain = at;
    char out[8];

    while (at < end) {
        size_t length = measure(at, (size_t)(end - at)), n;

        if (length == 0) {
            n = (size_t)snprintf(out, sizeof(out), "%%%02X", at[0]);
            length = 1;
        } else {
            n = escape(at, length, out);
        }
        if (n > 0) {
            pf_json_raw(json, plain, (size_t)(at - plain));
            pf_json_raw(json, out, n);
            plain = at + length;
        }
        at += length;
    }
    pf_json_raw(json, plain, (size_t)(end - plain));
}

void pf_json_string(struct pf_json *json, const void *data, size_t size)
{
    pf_json_word(json, "\"");
    pf_json_characters(json, data, size);
    pf_json_word(json, "\"");
}

void pf_json_base64(struct pf_json *json, const void *data, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 "abcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *in = data;
    char *out = reserve(json, (size + 2) / 3 * 4);

    if (out == NULL)
        return;
    json->size += (size + 2) / 3 * 4;
    for (size_t i = 0; i < size; i += 3, out += 4) {
        size_t left = size - i;
        unsigned bits = (unsigned)in[i] << 16;

        if (left > 1)
            bits |= (unsigned)in[i + 1] << 8;
        if (left > 2)
            bits |= in[i + 2];
        out[0] = digits[bits >> 18];
        out[1] = digits[bits >> 12 & 63];
        out[2] = left > 1 ? digits[bits >> 6 & 63] : '=';
        out[3] = left > 2 ? digits[bits & 63] : '=';
    }
}

/* --- objects --------------------------------------------------------------- */

void pf_json_key(struct pf_json *json, const char *key)
{
    if (json->size > 0 && json->text[json->size - 1] != '{')
        pf_json_word(json, ",");
    pf_json_string(json, key, strlen(key));
    pf_json_word(json, ":");
}

void pf_json_text(struct pf_json *json, const char *key, const char *text)
{
    if (text == NULL)
        return;
    pf_json_key(json, key);
    pf_json_string(json, text, strlen(text));
}

void pf_json_number(struct pf_json *json, const char *key, int64_t number)
{
    char text[32];

    if (number < 0)
        return;
    pf_json_key(json, key);
    (void)snprintf(text, sizeof(text), "%" PRId64, number);
    pf_json_word(json, text);
}

/* A URL is shown without its user part, like everywhere. */
static void put_url(struct pf_json *json, const char *key, const char *url)
{
    size_t size;
    char *text;

    if (url == NULL)
        return;
    size = 3 * strlen(url) + REDACTED_EXTRA; /* all escaped, and the mask */
    text = malloc(size);
    if (text == NULL) {
        json->failed = true;
        return;
    }
    pf_json_text(json, key, pfetch_redact(url, text, size));
    free(text);
}

void pf_json_record(struct pf_json *json, const struct pfetch_record *record)
{
    const struct pfetch_request *request = record->request;
    bool is_failed = record->status == PFETCH_STATUS_FAILED;

    pf_json_number(json, "n", (int64_t)request->n);
    pf_json_text(json, "list", request->list);
    if (request->line > 0)
        pf_json_number(json, "line", (int64_t)request->line);
    put_url(json, "url", request->url);
    pf_json_text(json, "id", request->id);
    pf_json_text(json, "status", pfetch_status_name(record->status));
    pf_json_number(json, "bytes", record->bytes);
    if (record->http_status > 0)
        pf_json_number(json, "http", record->http_status);
    if (is_failed)
        pf_json_text(json, "error", pfetch_class_name(record->cls));
    pf_json_text(json, "message", record->message);
    pf_json_number(json, "attempts", record->attempts);
    put_url(json, "effective_url", record->effective_url);
    pf_json_text(json, "etag", record->etag);
    pf_json_text(json, "last_modified", record->last_modified);
    pf_json_text(json, "content_type", record->content_type);
}
