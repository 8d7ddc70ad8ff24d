/* exchange.c - see exchange.h.
 *
 * SPDX-License-Identifier: MIT
 */
#include "config.h"

#include "exchange.h"

#include "pfetch.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct pf_exchange *pf_exchange_create(int64_t start_unix_ms)
{
    struct pf_exchange *exchange = calloc(1, sizeof(*exchange));

    if (exchange != NULL)
        exchange->start_unix_ms = start_unix_ms;
    return exchange;
}

void pf_exchange_free(struct pf_exchange *exchange)
{
    if (exchange == NULL)
        return;
    if (exchange->request.data != NULL) /* a transfer that ended unmasked */
        explicit_bzero(exchange->request.data, exchange->request.capacity);
    free(exchange->request.data);
    free(exchange->header.data);
    free(exchange);
}

static int append(struct pf_text *text, const char *data, size_t size)
{
    if (text->size + size > text->capacity) {
        size_t capacity = text->capacity == 0 ? 512 : text->capacity;
        char *grown;

        while (capacity < text->size + size)
            capacity *= 2;
        grown = malloc(capacity); /* realloc() leaves copies behind */
        if (grown == NULL)
            return PFETCH_ENOMEM;
        if (text->data != NULL) {
            memcpy(grown, text->data, text->size);
            explicit_bzero(text->data, text->size);
            free(text->data);
        }
        text->data = grown;
        text->capacity = capacity;
    }
    memcpy(text->data + text->size, data, size);
    text->size += size;
    return 0;
}

static bool ends_with_blank_line(const struct pf_text *text)
{
    return text->size >= 4
           && memcmp(text->data + text->size - 4, "\r\n\r\n", 4) == 0;
}

int pf_exchange_request(struct pf_exchange *exchange, const char *data,
                        size_t size)
{
    struct pf_text *request = &exchange->request;
    int error;

    if (request->is_complete)
        request->size = 0;
    error = append(request, data, size);
    request->is_complete = ends_with_blank_line(request);
    return error;
}

int pf_exchange_header(struct pf_exchange *exchange, const char *line,
                       size_t size, bool is_first)
{
    struct pf_text *header = &exchange->header;

    if (is_first) {
        header->size = 0;
        header->is_complete = false;
    }
    if (header->is_complete)
        return 0;
    header->is_complete = size == 0 || line[0] == '\n'
                          || (line[0] == '\r' && size <= 2);
    return append(header, line, size);
}

/* --- secrets ------------------------------------------------------------- */

/* The user may send any field, and a key may stand in any of them. */
static bool is_harmless(const char *name, size_t size)
{
    static const char *const names[] = {
        "Host", "User-Agent", "Accept", "Accept-Charset", "Accept-Encoding",
        "Accept-Language", "Cache-Control", "Connection", "Date", "DNT",
        "From", "If-Match", "If-Modified-Since", "If-None-Match", "If-Range",
        "If-Unmodified-Since", "Pragma", "Proxy-Connection", "Range", "TE",
        "Upgrade", "Via",
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strlen(names[i]) == size && strncasecmp(names[i], name, size) == 0)
            return true;
    return false;
}

/* Appends one line, masked, to what is kept of the request. */
static size_t keep_line(char *to, const char *line, size_t size)
{
    static const char mask[] = ": ***\r\n";
    const char *colon = memchr(line, ':', size);
    size_t value_bytes, n;

    if (colon == NULL || is_harmless(line, (size_t)(colon - line))) {
        memmove(to, line, size);
        return size;
    }
    n = (size_t)(colon - line);
    value_bytes = size - n; /* with the colon and the line end */
    memmove(to, line, n);
    if (value_bytes >= sizeof(mask) - 1) {
        memcpy(to + n, mask, sizeof(mask) - 1);
        return n + sizeof(mask) - 1;
    }
    /* A value too short for that: "a: x" */
    memcpy(to + n, ":\r\n", 3);
    return n + 3;
}

void pf_exchange_mask(struct pf_exchange *exchange)
{
    struct pf_text *request = &exchange->request;
    size_t kept = 0, at = 0;
    bool is_first = true;

    while (at < request->size) {
        const char *line = request->data + at;
        const char *end = memchr(line, '\n', request->size - at);
        size_t size = end == NULL ? request->size - at
                                  : (size_t)(end - line) + 1;

        /* The request line may hold a colon.  A line that is cut off, or not
         * ended by CR and LF, is none of libcurl's: it is not kept. */
        if (is_first) {
            memmove(request->data + kept, line, size);
            kept += size;
        } else if (size == 2) {
            memmove(request->data + kept, line, size);
            kept += size;
        } else if (size >= 4 && line[size - 2] == '\r') {
            kept += keep_line(request->data + kept, line, size);
        }
        is_first = false;
        at += size;
    }
    if (request->data != NULL)
        explicit_bzero(request->data + kept, request->size - kept);
    request->size = kept;
}
