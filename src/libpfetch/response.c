/* response.c - what the header of a response says.
 *
 * SPDX-License-Identifier: MIT
 *
 * libcurl reads headers too, and mends what it can: an overlong
 * Content-Length makes it read until the connection closes, of two different
 * ones it takes the last.  A downloader that promises complete files cannot
 * mend; so the framing fields are read here once more, strictly, and anything
 * odd about them is kept in `bad` for the verdict.  Pure: no I/O, no libcurl.
 */
#include "config.h"

#include "response.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { KEPT_BYTES = 1024 };

struct pf_response *pf_response_create(void)
{
    struct pf_response *response = calloc(1, sizeof(*response));

    if (response == NULL)
        return NULL;
    atomic_init(&response->refs, 1);
    response->length = -1;
    response->range_start = response->range_end = -1;
    response->range_total = -1;
    response->last_modified_unix = -1;
    return response;
}

struct pf_response *pf_response_ref(struct pf_response *response)
{
    atomic_fetch_add_explicit(&response->refs, 1, memory_order_relaxed);
    return response;
}

static void free_strings(struct pf_response *response)
{
    free(response->etag);
    free(response->last_modified);
    free(response->content_type);
    free(response->content_disposition);
    free(response->retry_after);
    response->etag = response->last_modified = NULL;
    response->content_type = response->retry_after = NULL;
    response->content_disposition = NULL;
}

void pf_response_unref(struct pf_response *response)
{
    if (response == NULL
        || atomic_fetch_sub_explicit(&response->refs, 1,
                                     memory_order_acq_rel) != 1)
        return;
    free_strings(response);
    pf_exchange_free(response->exchange);
    free(response);
}

static size_t bytes_of(const char *text)
{
    return text == NULL ? 0 : strlen(text);
}

void pf_response_shorten(struct pf_response **response)
{
    const struct pf_response *old = *response;
    struct pf_response *copy;

    if (old == NULL
        || (old->exchange == NULL
            && bytes_of(old->etag) + bytes_of(old->last_modified)
                       + bytes_of(old->content_type)
                       + bytes_of(old->content_disposition)
                       + bytes_of(old->retry_after) <= KEPT_BYTES))
        return;
    copy = pf_response_create();
    if (copy == NULL)
        return; /* it stays as it is */
    copy->status = old->status;
    copy->version = old->version;
    copy->is_complete = old->is_complete;
    copy->length = old->length;
    pf_response_unref(*response);
    *response = copy;
}

/* A header value: bytes without surrounding blanks. */
struct value {
    const char *text;
    size_t size;
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct value trim(const char *text, size_t size)
{
    while (size > 0 && is_blank(text[0])) {
        text++;
        size--;
    }
    while (size > 0 && is_blank(text[size - 1]))
        size--;
    return (struct value){ text, size };
}

static bool equals(struct value v, const char *word)
{
    return v.size == strlen(word) && strncasecmp(v.text, word, v.size) == 0;
}

/* Reads digits at the front of *v and moves behind them.  -1: there are none,
 * -2: the number does not fit. */
static int64_t read_number(struct value *v)
{
    int64_t n = 0;
    size_t i;

    for (i = 0; i < v->size && v->text[i] >= '0' && v->text[i] <= '9'; i++) {
        int digit = v->text[i] - '0';

        if (n > (INT64_MAX - digit) / 10)
            return -2;
        n = n * 10 + digit;
    }
    v->text += i;
    v->size -= i;
    return i == 0 ? -1 : n;
}

static bool skip_char(struct value *v, char c)
{
    if (v->size == 0 || v->text[0] != c)
        return false;
    v->text++;
    v->size--;
    return true;
}

/* Content-Length: one number, or the same number again (RFC 9110 section
 * 8.6 allows a recipient to accept "5, 5"). */
static void read_length(struct pf_response *response, struct value v)
{
    do {
        int64_t n;

        v = trim(v.text, v.size);
        n = read_number(&v);
        v = trim(v.text, v.size);
        if (n == -2)
            response->bad = "Content-Length does not fit into 63 bits";
        else if (n < 0 || (v.size > 0 && v.text[0] != ','))
            response->bad = "Content-Length is not a number";
        else if (response->length >= 0 && response->length != n)
            response->bad = "two different Content-Length values";
        else
            response->length = n;
    } while (response->bad == NULL && skip_char(&v, ','));
}

/* Content-Range: bytes 5-9/10 (RFC 9110 section 14.4).  Anything else leaves
 * the range unknown. */
static void read_range(struct pf_response *response, struct value v)
{
    int64_t start, end, total = -1;

    if (v.size < 6 || strncasecmp(v.text, "bytes ", 6) != 0)
        return;
    v = trim(v.text + 6, v.size - 6);
    start = read_number(&v);
    if (start < 0 || !skip_char(&v, '-'))
        return;
    end = read_number(&v);
    if (end < start || !skip_char(&v, '/'))
        return;
    if (!equals(v, "*")) {
        total = read_number(&v);
        if (total <= end || v.size != 0)
            return;
    }
    response->range_start = start;
    response->range_end = end;
    response->range_total = total;
}

/* The last transfer coding must be chunked for the body to frame itself; the
 * list may be spread over several lines.  Any other coding was not asked for,
 * and would be stored, because nothing here undoes it. */
static void read_coding(struct pf_response *response, struct value v)
{
    do {
        const char *comma = memchr(v.text, ',', v.size);
        size_t size = comma == NULL ? v.size : (size_t)(comma - v.text);
        struct value coding = trim(v.text, size);

        v.text += size;
        v.size -= size;
        response->chunked = equals(coding, "chunked");
        if (coding.size > 0 && !response->chunked
            && !equals(coding, "identity"))
            response->bad = "a transfer coding that was not asked for";
    } while (skip_char(&v, ','));
}

static int keep(char **field, struct value v)
{
    char *copy = malloc(v.size + 1);

    if (copy == NULL)
        return PFETCH_ENOMEM;
    memcpy(copy, v.text, v.size);
    copy[v.size] = '\0';
    free(*field);
    *field = copy;
    return 0;
}

/* "HTTP/1.1 200 OK", "HTTP/2 200 " */
static void begin(struct pf_response *response, struct value v)
{
    int64_t major, minor = 0, status;

    free_strings(response);
    response->status = 0;
    response->version = 0;
    response->is_complete = false;
    response->chunked = response->is_encoded = false;
    response->bad = NULL;
    response->length = -1;
    response->range_start = response->range_end = response->range_total = -1;
    v.text += 5;
    v.size -= 5;
    major = read_number(&v);
    if (skip_char(&v, '.'))
        minor = read_number(&v);
    if (major < 0 || major > 9 || minor < 0 || minor > 9)
        return;
    response->version = (int)(major * 10 + minor);
    v = trim(v.text, v.size);
    status = read_number(&v);
    if (status >= 100 && status <= 999)
        response->status = (int)status;
}

static int read_field(struct pf_response *response, struct value name,
                      struct value v)
{
    if (memchr(v.text, '\0', v.size) != NULL) {
        response->bad = "a NUL byte in the header";
        return 0;
    }
    if (equals(name, "content-length"))
        read_length(response, v);
    else if (equals(name, "transfer-encoding"))
        read_coding(response, v);
    else if (equals(name, "content-range"))
        read_range(response, v);
    else if (equals(name, "content-encoding"))
        response->is_encoded |= !equals(v, "identity");
    else if (equals(name, "etag"))
        return keep(&response->etag, v);
    else if (equals(name, "last-modified"))
        return keep(&response->last_modified, v);
    else if (equals(name, "content-type"))
        return keep(&response->content_type, v);
    else if (equals(name, "content-disposition"))
        return keep(&response->content_disposition, v);
    else if (equals(name, "retry-after"))
        return keep(&response->retry_after, v);
    return 0;
}

int pf_response_header(struct pf_response *response, const char *line,
                       size_t size)
{
    struct value v = trim(line, size);
    bool is_first = response->header_bytes == 0
                    || (response->is_complete && response->status < 200);
    const char *colon;

    if (response->exchange != NULL
        && pf_exchange_header(response->exchange, line, size, is_first) != 0)
        return PFETCH_ENOMEM;
    response->header_bytes += size;
    if (is_first && v.size > 5 && strncasecmp(v.text, "HTTP/", 5) == 0) {
        begin(response, v);
        return 0;
    }
    if (response->is_complete)
        return 0;
    /* It continues the field before (RFC 9112 section 5.2): no field, and no
     * end of the header either.  libcurl does not join them. */
    if (size > 0 && (line[0] == ' ' || line[0] == '\t'))
        return 0;
    if (v.size == 0) {
        response->is_complete = true;
        return 0;
    }
    colon = memchr(v.text, ':', v.size);
    if (colon == NULL)
        return 0;
    return read_field(response, trim(v.text, (size_t)(colon - v.text)),
                      trim(colon + 1,
                           (size_t)(v.text + v.size - colon - 1)));
}

int64_t pf_response_body_length(const struct pf_response *response)
{
    return response->chunked ? -1 : response->length;
}

bool pf_is_strong_etag(const char *etag)
{
    size_t size = etag == NULL ? 0 : strlen(etag);

    if (size < 2 || etag[0] != '"' || etag[size - 1] != '"')
        return false;
    for (size_t i = 1; i < size - 1; i++) {
        unsigned char c = (unsigned char)etag[i];

        if (c <= 0x20 || c == '"' || c == 0x7f)
            return false;
    }
    return true;
}
