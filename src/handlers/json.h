/* json.h - JSON, written strictly into a buffer that grows.
 *
 * SPDX-License-Identifier: MIT
 *
 * What comes out is valid UTF-8 without control characters, but for what
 * pf_json_raw() puts in.  One thread at a time.
 */
#ifndef PF_JSON_H
#define PF_JSON_H

#include "pfetch.h"

/* All zero: empty.  After a failed allocation `failed` is set, what follows is
 * ignored, and the content is not to be used. */
struct pf_json {
    char *text;       /* not terminated */
    size_t size, capacity;
    bool failed;
};

void pf_json_fini(struct pf_json *json);

/* The bytes as they are. */
void pf_json_raw(struct pf_json *json, const void *data, size_t size);
void pf_json_word(struct pf_json *json, const char *word);

/* `"key":` after a comma, unless the last byte is '{'. */
void pf_json_key(struct pf_json *json, const char *key);

/* Key and value; a NULL text, or a negative number, is left out.  Bytes of
 * text that are no character become %XX. */
void pf_json_text(struct pf_json *json, const char *key, const char *text);
void pf_json_number(struct pf_json *json, const char *key, int64_t number);

/* A string of these bytes, quotes included; they are valid UTF-8. */
void pf_json_string(struct pf_json *json, const void *data, size_t size);

/* The same without quotes: a part of a string that ends between two
 * characters. */
void pf_json_characters(struct pf_json *json, const void *data, size_t size);

/* Base64 (RFC 4648), without quotes.  Of a text that comes in pieces all but
 * the last must have a multiple of 3 bytes. */
void pf_json_base64(struct pf_json *json, const void *data, size_t size);

/* Whether the bytes are valid UTF-8 (RFC 3629). */
bool pf_json_is_utf8(const void *data, size_t size);

/* What a result is: "n", "url", "status" and so on, as in the records of
 * pfetch --results, without the times. */
void pf_json_record(struct pf_json *json, const struct pfetch_record *record);

#endif
