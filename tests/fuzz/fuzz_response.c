/* fuzz_response.c - response headers, line by line.
 *
 * SPDX-License-Identifier: MIT
 *
 * Whatever a server writes, what is read of it keeps the promises of
 * response.h, and what is judged right is right.
 */
#include "config.h"

#include "fuzz.h"
#include "response.h"
#include "verdict.h"

#include <string.h>

/* A value is text without blanks around it. */
static void check_value(const char *value)
{
    size_t size = value == NULL ? 0 : strlen(value);

    must(size == 0 || strchr(" \t\r\n", value[0]) == NULL);
    must(size == 0 || strchr(" \t\r\n", value[size - 1]) == NULL);
}

static void check_response(const struct pf_response *r)
{
    must(r->status == 0 || (r->status >= 100 && r->status <= 999));
    must(r->version >= 0 && r->version <= 99);
    must(r->length >= -1);
    must(r->range_start >= -1 && r->range_end >= r->range_start);
    must((r->range_start < 0) == (r->range_end < 0));
    must(r->range_total == -1 || r->range_total > r->range_end);
    must(r->range_start >= 0 || r->range_total == -1);
    must(pf_response_body_length(r) == (r->chunked ? -1 : r->length));
    check_value(r->etag);
    check_value(r->last_modified);
    check_value(r->content_type);
    check_value(r->retry_after);
    /* What goes into If-Range must not become a line of its own. */
    if (pf_is_strong_etag(r->etag))
        must(strpbrk(r->etag, " \r\n\t") == NULL);
}

/* The end of a file of ten bytes was asked for, from the fifth on. */
static void check_verdict(struct pf_response *r, int64_t body_bytes)
{
    struct pf_attempt a = { .response = r, .asked_offset = 5,
                            .asked_total = 10, .asked_etag = "\"a\"",
                            .body_bytes = body_bytes };
    struct pf_status_set retry = { { 0 } };
    enum pf_verdict verdict = pf_judge(&a, &retry);

    must((verdict == PF_ACCEPT) == (a.why.cls == PFETCH_CLASS_NONE));
    if (verdict != PF_ACCEPT)
        return;
    must(r->bad == NULL && (r->status == 200 || r->status == 206));
    must(r->chunked || r->length < 0 || r->length == body_bytes);
    if (r->status == 206)
        must(r->range_start == 5 && r->range_end == 9 && r->range_total == 10
             && body_bytes == 5);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pf_response *r = pf_response_create();
    size_t fed = 0;

    if (r == NULL)
        return 0;
    while (size > 0) {
        const uint8_t *end = memchr(data, '\n', size);
        size_t n = end == NULL ? size : (size_t)(end - data) + 1;
        bool was_final = r->is_complete && r->status >= 200;
        int status = r->status;
        int64_t length = r->length;

        if (pf_response_header(r, (const char *)data, n) != 0)
            break;
        fed += n;
        must(r->header_bytes == fed);
        if (was_final) /* trailers change nothing */
            must(r->is_complete && r->status == status && r->length == length);
        check_response(r);
        data += n;
        size -= n;
    }
    check_verdict(r, 5);
    check_verdict(r, 0);
    if (r->length >= 0)
        check_verdict(r, r->length);
    pf_response_unref(r);
    return 0;
}
