/* report.c - records for other programs.
 *
 * SPDX-License-Identifier: MIT
 *
 * jansson makes each record, compact and in ASCII: no byte of a list or a
 * server reaches a terminal through it.  Bytes that are not UTF-8, which
 * jansson refuses, become %XX before.  URLs are masked by pfetch_redact().
 * outfile.c writes the line.
 */
#include "config.h"

#include "report.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "utf8.h"

enum { LINE_BYTES_FIRST = 4096 };

/* Makes *buffer hold at least size bytes; its content is lost. */
static bool reserve(char **buffer, size_t *buffer_size, size_t size)
{
    if (*buffer_size >= size)
        return true;
    free(*buffer);
    *buffer = malloc(size);
    *buffer_size = *buffer != NULL ? size : 0;
    return *buffer != NULL;
}

/* --- text ----------------------------------------------------------------- */

/* The length of the character text begins with; 0: it begins with none, or
 * with a control character. */
static size_t measure_character(const unsigned char *text)
{
    if (text[0] < 0x80)
        return text[0] >= 0x20 && text[0] != 0x7f;
    return pf_utf8_length((const char *)text);
}

/* text as it may stand in a report: each byte that is no character, or a
 * control character, as %XX.  Returns text itself, or the scratch buffer;
 * NULL: out of memory. */
static const char *clean(struct pf_report *report, const char *text)
{
    const unsigned char *in = (const unsigned char *)text;
    size_t length;

    while (*in != '\0' && (length = measure_character(in)) > 0)
        in += length;
    if (*in == '\0')
        return text;
    if (!reserve(&report->scratch, &report->scratch_size,
                 3 * strlen(text) + 1))
        return NULL;
    char *out = report->scratch;
    for (in = (const unsigned char *)text; *in != '\0'; in += length) {
        length = measure_character(in);
        if (length == 0) {
            out += sprintf(out, "%%%02X", *in);
            length = 1;
        } else {
            memcpy(out, in, length);
            out += length;
        }
    }
    *out = '\0';
    return report->scratch;
}

/* url masked, in the scratch buffer; NULL: out of memory. */
static const char *redact(struct pf_report *report, const char *url)
{
    size_t size = 3 * strlen(url) + 16; /* all escaped, and the mask */

    if (!reserve(&report->scratch, &report->scratch_size, size))
        return NULL;
    return pfetch_redact(url, report->scratch, report->scratch_size);
}

/* --- the record ----------------------------------------------------------- */

/* jansson answers a NULL value, and a value that it could not make, with an
 * error; `bad` remembers it, so that a record is looked at once. */
struct object {
    struct pf_report *report;
    json_t *json;
    bool bad;
};

static void put(struct object *object, const char *key, json_t *value)
{
    if (json_object_set_new(object->json, key, value) != 0)
        object->bad = true;
}

/* Unknown is absent. */
static void put_text(struct object *object, const char *key,
                     const char *text)
{
    if (text != NULL) {
        const char *cleaned = clean(object->report, text);

        put(object, key, cleaned != NULL ? json_string(cleaned) : NULL);
    }
}

static void put_url(struct object *object, const char *key, const char *url)
{
    if (url != NULL) {
        const char *masked = redact(object->report, url);

        put(object, key, masked != NULL ? json_string(masked) : NULL);
    }
}

static void put_number(struct object *object, const char *key,
                       uint64_t number)
{
    put(object, key, json_integer((json_int_t)number));
}

static void put_start(struct object *object, int64_t unix_ms)
{
    time_t seconds = (time_t)(unix_ms / 1000);
    struct tm utc;
    char date[64], text[80];

    if (unix_ms < 0 || gmtime_r(&seconds, &utc) == NULL)
        return;
    (void)strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &utc);
    (void)snprintf(text, sizeof(text), "%s.%03dZ", date,
                   (int)(unix_ms % 1000));
    put_text(object, "start", text);
}

/* Adds "ms": the times that are known, in ms with up to three decimals. */
static void put_times(struct object *object,
                      const struct pfetch_record *record)
{
    const struct {
        const char *key;
        int64_t us;
    } times[] = {{"queue", record->queue_us},
                 {"dns", record->dns_us},
                 {"connect", record->connect_us},
                 {"tls", record->tls_us},
                 {"first_byte", record->first_byte_us},
                 {"total", record->total_us}};
    struct object ms = {.report = object->report, .json = json_object()};

    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++)
        if (times[i].us >= 0)
            put(&ms, times[i].key, json_real((double)times[i].us / 1000));
    object->bad |= ms.bad;
    if (json_object_size(ms.json) > 0)
        put(object, "ms", ms.json);
    else
        json_decref(ms.json);
}

static void put_request(struct object *object,
                        const struct pfetch_request *request)
{
    put_number(object, "n", request->n);
    put_text(object, "list", request->list);
    if (request->line > 0)
        put_number(object, "line", request->line);
    put_url(object, "url", request->url);
    put_text(object, "id", request->id);
}

static void put_response(struct object *object,
                         const struct pfetch_record *record)
{
    if (record->http_status > 0)
        put_number(object, "http", (uint64_t)record->http_status);
    if (record->status == PFETCH_STATUS_FAILED)
        put_text(object, "error", pfetch_class_name(record->cls));
    put_text(object, "message", record->message);
    put_number(object, "attempts", record->attempts);
    if (record->resumed_at_bytes > 0)
        put_number(object, "resumed_at", (uint64_t)record->resumed_at_bytes);
    put_url(object, "effective_url", record->effective_url);
    put_text(object, "etag", record->etag);
    put_text(object, "last_modified", record->last_modified);
    put_text(object, "content_type", record->content_type);
    if (record->status == PFETCH_STATUS_OK && record->length_bytes < 0)
        put(object, "length_verified", json_boolean(record->length_verified));
    put_text(object, "remote_ip", record->remote_ip);
    put_text(object, "http_version", record->http_version);
    if (record->http_status > 0)
        put(object, "reused", json_boolean(record->reused));
}

/* Takes over object->json. */
static int write_object(struct object *object, struct pfetch_failure *why)
{
    static const size_t flags =
        JSON_COMPACT | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(15);
    struct pf_report *report = object->report;
    size_t size = 0;

    if (!object->bad &&
        reserve(&report->line, &report->line_size, LINE_BYTES_FIRST)) {
        size = json_dumpb(object->json, report->line, report->line_size,
                          flags);
        if (size >= report->line_size) /* it and a newline do not fit */
            size = reserve(&report->line, &report->line_size, size + 1)
                       ? json_dumpb(object->json, report->line, size, flags)
                       : 0;
    }
    json_decref(object->json);
    if (size == 0)
        return pf_outfile_fail(&report->out, why, "out of memory");
    report->line[size] = '\n';
    return pf_outfile_write(&report->out, report->line, size + 1, why);
}

int pf_report_record(struct pf_report *report,
                     const struct pfetch_record *record,
                     struct pfetch_failure *why)
{
    struct object object = {.report = report};

    if (report->out.fd < 0 || report->out.failed)
        return 0;
    object.json = json_object();
    put_number(&object, "schema", 1);
    put_request(&object, record->request);
    put_text(&object, "status", pfetch_status_name(record->status));
    put_text(&object, "path", record->path);
    if (record->bytes >= 0)
        put_number(&object, "bytes", (uint64_t)record->bytes);
    put_text(&object, "checksum", record->checksum);
    if (record->length_bytes >= 0)
        put_number(&object, "length", (uint64_t)record->length_bytes);
    put_response(&object, record);
    put_start(&object, record->start_unix_ms);
    put_times(&object, record);
    return write_object(&object, why);
}

int pf_report_unread(struct pf_report *report, uint64_t n,
                     const struct pf_line *line, struct pfetch_failure *why)
{
    struct object object = {.report = report};

    if (report->out.fd < 0 || report->out.failed)
        return 0;
    object.json = json_object();
    put_number(&object, "schema", 1);
    put_number(&object, "n", n);
    put_text(&object, "list", line->list);
    put_text(&object, "status",
             pfetch_status_name(PFETCH_STATUS_NOT_ATTEMPTED));
    put_number(&object, "from_line", n);
    return write_object(&object, why);
}

int pf_report_plan(struct pf_report *report,
                   const struct pfetch_record *record,
                   struct pfetch_failure *why)
{
    const char *url, *path;
    int size = -1;

    if (report->out.fd < 0 || report->out.failed || record->path == NULL)
        return 0;
    size_t room = 3 * (strlen(record->request->url) +
                       strlen(record->path)) + 32;
    if (reserve(&report->line, &report->line_size, room)) {
        url = redact(report, record->request->url);
        if (url != NULL)
            size = snprintf(report->line, report->line_size, "%s\t", url);
        path = clean(report, record->path);
        if (size >= 0 && path != NULL)
            size += snprintf(report->line + size,
                             report->line_size - (size_t)size, "%s\n", path);
    }
    if (size < 0)
        return pf_outfile_fail(&report->out, why, "out of memory");
    return pf_outfile_write(&report->out, report->line, (size_t)size, why);
}

/* --- opening and closing -------------------------------------------------- */

int pf_report_open(struct pf_report *report, const char *file,
                   const struct pf_input *input, struct pfetch_failure *why)
{
    *report = (struct pf_report){.out.fd = -1};
    if (pf_outfile_open(&report->out, file, 0666, input, why) != 0)
        return -1;
    return pf_outfile_mend(&report->out, why);
}

int pf_report_close(struct pf_report *report, struct pfetch_failure *why)
{
    int result = pf_outfile_close(&report->out, why);

    free(report->line);
    free(report->scratch);
    report->line = report->scratch = NULL;
    report->line_size = report->scratch_size = 0;
    return result;
}
