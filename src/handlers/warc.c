/* warc.c - the handler that writes bodies into a web archive.
 *
 * SPDX-License-Identifier: MIT
 *
 * WARC 1.1 (ISO 28500:2017).  A serial handler that asks for the headers of
 * each exchange.  A URL has a request and a response record, which become
 * part of the file together (volume.h); in a .gz file each is a gzip member,
 * so that tools which index records can reach each alone.
 *
 * A record says the digests of what follows.  A body of one piece is looked at
 * first.  For a longer one the fields of the response record are held back,
 * with digests of zeros, and replaced when all of it was taken: they have the
 * same length whatever they say.
 *
 * Digests are SHA-1 in base 32, because that is what the tools compare.
 */
#include "config.h"

#include "pfetch_handlers.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/rand.h>

#include "volume.h"

enum {
    SHA1_BYTES = 20,
    BASE32_SIZE = 33, /* of such a sum, with the NUL */
    ID_SIZE = 48,     /* urn:uuid: and a UUID */
    DATE_SIZE = 40
};

/* Text that grows. */
struct text {
    char *data;
    size_t size, capacity;
    bool has_failed; /* out of memory, for good until it is emptied */
};

struct sum {
    EVP_MD_CTX *ctx;
    bool has_failed;
};

struct warc {
    char *file;
    enum pf_pack_kind kind;
    bool is_dry;
    EVP_MD *sha1;

    /* Writer thread only, as all above: */
    struct pf_volume volume;
    char info_id[ID_SIZE];
    bool is_done;
    struct text fields;  /* of the record being written */
    struct text block;   /* of the same: headers of HTTP */

    /* Of the response going on: */
    bool is_in_record;
    bool is_begun;       /* its fields and its header are written */
    bool is_held;        /* its fields will be replaced */
    char response_id[ID_SIZE];
    char date[DATE_SIZE];
    char *url;           /* heap */
    char ip[48];
    int64_t length;      /* of its body */
    bool is_http2;
    struct sum payload_sum, block_sum;
};

/* --- text ---------------------------------------------------------------- */

static void put_bytes(struct text *text, const void *data, size_t size)
{
    if (text->has_failed)
        return;
    if (text->size + size + 1 > text->capacity) {
        size_t capacity = text->capacity == 0 ? 1024 : text->capacity;
        char *grown;

        while (capacity < text->size + size + 1)
            capacity *= 2;
        grown = realloc(text->data, capacity);
        if (grown == NULL) {
            text->has_failed = true;
            return;
        }
        text->data = grown;
        text->capacity = capacity;
    }
    if (size > 0)
        memcpy(text->data + text->size, data, size);
    text->size += size;
    text->data[text->size] = '\0';
}

static void put_word(struct text *text, const char *word)
{
    put_bytes(text, word, strlen(word));
}

static void put_field(struct text *text, const char *name, const char *value)
{
    put_word(text, name);
    put_word(text, ": ");
    put_word(text, value);
    put_word(text, "\r\n");
}

static void put_id(struct text *text, const char *name, const char *id)
{
    put_word(text, name);
    put_word(text, ": <");
    put_word(text, id);
    put_word(text, ">\r\n");
}

static void put_length(struct text *text, int64_t bytes)
{
    char number[32];

    (void)snprintf(number, sizeof(number), "%" PRId64, bytes);
    put_field(text, "Content-Length", number);
}

static void empty(struct text *text)
{
    text->size = 0;
    text->has_failed = false;
}

/* --- digests ------------------------------------------------------------- */

static void begin_sum(const struct warc *warc, struct sum *sum)
{
    sum->has_failed = EVP_DigestInit_ex(sum->ctx, warc->sha1, NULL) != 1;
}

static void add_to_sum(struct sum *sum, const void *data, size_t size)
{
    if (EVP_DigestUpdate(sum->ctx, data, size) != 1)
        sum->has_failed = true;
}

/* Each five bits are a character; the 160 of SHA-1 are 32 of them. */
static void print_base32(const unsigned char *sum, char text[BASE32_SIZE])
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

    for (int i = 0; i < BASE32_SIZE - 1; i++) {
        int bit = 5 * i;
        unsigned pair = (unsigned)sum[bit / 8] << 8
                        | (bit / 8 + 1 < SHA1_BYTES ? sum[bit / 8 + 1] : 0);

        text[i] = digits[pair >> (11 - bit % 8) & 31];
    }
    text[BASE32_SIZE - 1] = '\0';
}

static void put_sum(struct text *text, const char *name, struct sum *sum)
{
    unsigned char bytes[SHA1_BYTES];
    char digits[BASE32_SIZE];

    if (EVP_DigestFinal_ex(sum->ctx, bytes, NULL) != 1)
        sum->has_failed = true;
    if (sum->has_failed) {
        text->has_failed = true;
        return;
    }
    print_base32(bytes, digits);
    put_word(text, name);
    put_word(text, ": sha1:");
    put_word(text, digits);
    put_word(text, "\r\n");
}

/* As many characters as put_sum() will write. */
static void put_no_sum(struct text *text, const char *name)
{
    put_word(text, name);
    put_word(text, ": sha1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\r\n");
}

/* --- records ------------------------------------------------------------- */

/* A random UUID (RFC 9562, version 4).  Without randomness nothing works. */
static int make_id(char id[ID_SIZE])
{
    unsigned char r[16];

    if (RAND_bytes(r, sizeof(r)) != 1)
        return EIO;
    r[6] = (unsigned char)((r[6] & 0x0f) | 0x40);
    r[8] = (unsigned char)((r[8] & 0x3f) | 0x80);
    (void)snprintf(id, ID_SIZE,
                   "urn:uuid:%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-"
                   "%02x%02x%02x%02x%02x%02x", r[0], r[1], r[2], r[3], r[4],
                   r[5], r[6], r[7], r[8], r[9], r[10], r[11], r[12], r[13],
                   r[14], r[15]);
    return 0;
}

static void print_date(int64_t unix_ms, char text[DATE_SIZE])
{
    time_t seconds = (time_t)(unix_ms / 1000);
    struct tm utc;
    size_t size;

    if (gmtime_r(&seconds, &utc) == NULL)
        memset(&utc, 0, sizeof(utc));
    size = strftime(text, DATE_SIZE - 8, "%Y-%m-%dT%H:%M:%S", &utc);
    (void)snprintf(text + size, DATE_SIZE - size, ".%03dZ",
                   (int)(unix_ms % 1000));
}

static int64_t now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now); /* it is always there */
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* The first fields of any record. */
static void begin_fields(struct warc *warc, const char *type, const char *id,
                         const char *date)
{
    empty(&warc->fields);
    put_word(&warc->fields, "WARC/1.1\r\n");
    put_field(&warc->fields, "WARC-Type", type);
    put_id(&warc->fields, "WARC-Record-ID", id);
    put_field(&warc->fields, "WARC-Date", date);
}

static void put_exchange_fields(struct warc *warc)
{
    struct text *fields = &warc->fields;

    put_field(fields, "WARC-Target-URI", warc->url);
    put_id(fields, "WARC-Warcinfo-ID", warc->info_id);
    if (warc->ip[0] != '\0')
        put_field(fields, "WARC-IP-Address", warc->ip);
    if (warc->is_http2)
        put_field(fields, "WARC-Protocol", "h2");
}

/* Fields and block of a short record.  0 or an errno. */
static int write_record(struct warc *warc)
{
    int error;

    if (warc->fields.has_failed || warc->block.has_failed)
        return ENOMEM;
    put_word(&warc->block, "\r\n\r\n");
    put_word(&warc->fields, "\r\n");
    if (warc->fields.has_failed || warc->block.has_failed)
        return ENOMEM;
    error = pf_volume_write(&warc->volume, warc->fields.data,
                            warc->fields.size);
    if (error == 0)
        error = pf_volume_write(&warc->volume, warc->block.data,
                                warc->block.size);
    return error != 0 ? error : pf_volume_end_stream(&warc->volume);
}

/* The record that the file begins with. */
static int write_info(struct warc *warc)
{
    const char *slash = strrchr(warc->file, '/');
    char date[DATE_SIZE];
    int error = make_id(warc->info_id);

    if (error != 0)
        return error;
    empty(&warc->block);
    put_word(&warc->block, "software: pfetch/");
    put_word(&warc->block, pfetch_version());
    put_word(&warc->block, "\r\nformat: WARC File Format 1.1\r\n"
             "conformsTo: http://iipc.github.io/warc-specifications/"
             "specifications/warc-format/warc-1.1/\r\n");
    print_date(now_ms(), date);
    begin_fields(warc, "warcinfo", warc->info_id, date);
    put_field(&warc->fields, "WARC-Filename",
              slash == NULL ? warc->file : slash + 1);
    put_field(&warc->fields, "Content-Type", "application/warc-fields");
    put_length(&warc->fields, (int64_t)warc->block.size);
    error = write_record(warc);
    return error != 0 ? error : pf_volume_commit(&warc->volume);
}

/* --- headers of HTTP ----------------------------------------------------- */

/* Whether a line begins with this field. */
static bool is_field(const char *line, size_t size, const char *name)
{
    size_t name_bytes = strlen(name);

    return size > name_bytes && line[name_bytes] == ':'
           && strncasecmp(line, name, name_bytes) == 0;
}

/* A first line has its version at this offset.  HTTP/2 is written down as
 * HTTP/1.1, which readers know. */
static void put_first_line(struct warc *warc, const char *line, size_t size,
                           size_t at)
{
    static const char http2[] = "HTTP/2";
    const size_t bytes = sizeof(http2) - 1;

    warc->is_http2 = size > at + bytes
                     && memcmp(line + at, http2, bytes) == 0
                     && (line[at + bytes] == ' ' || line[at + bytes] == '\r');
    put_bytes(&warc->block, line, at);
    if (warc->is_http2) {
        put_word(&warc->block, "HTTP/1.1");
        at += bytes;
    }
    put_bytes(&warc->block, line + at, size - at);
}

static size_t measure_line(const char *text, size_t size)
{
    const char *end = memchr(text, '\n', size);

    return end == NULL ? size : (size_t)(end - text) + 1;
}

static void put_request(struct warc *warc, const char *text, size_t size)
{
    size_t first = measure_line(text, size);
    const char *blank = memrchr(text, ' ', first);

    empty(&warc->block);
    put_first_line(warc, text, first,
                   blank == NULL ? 0 : (size_t)(blank - text) + 1);
    put_bytes(&warc->block, text + first, size - first);
}

/* The header as it came, but for what was true of the transfer only: the
 * body that follows is not chunked any more, and may be unpacked. */
static void put_response(struct warc *warc, const char *text, size_t size,
                         int64_t length, bool is_unpacked)
{
    static const char *const coding = "Transfer-Encoding";
    bool is_coded = is_unpacked, has_length = false;

    for (size_t at = 0, n; at < size; at += n) {
        n = measure_line(text + at, size - at);
        is_coded = is_coded || is_field(text + at, n, coding);
    }
    empty(&warc->block);
    for (size_t at = 0, n; at < size; at += n) {
        const char *line = text + at;
        bool is_length;

        n = measure_line(line, size - at);
        is_length = is_field(line, n, "Content-Length");
        if (at == 0) {
            put_first_line(warc, line, n, 0);
            continue;
        }
        if (line[0] == '\r' || line[0] == '\n')
            break;
        if (is_field(line, n, coding) || (is_coded && is_length)
            || (is_unpacked && is_field(line, n, "Content-Encoding")))
            put_word(&warc->block, "X-Crawler-");
        else
            has_length = has_length || is_length;
        put_bytes(&warc->block, line, n);
    }
    if (!has_length)
        put_length(&warc->block, length);
    put_word(&warc->block, "\r\n");
}

/* --- request and response ------------------------------------------------ */

static int write_request(struct warc *warc,
                         const struct pfetch_exchange *exchange)
{
    char id[ID_SIZE];
    int error = make_id(id);

    if (error != 0)
        return error;
    put_request(warc, exchange->request, exchange->request_bytes);
    if (warc->block.has_failed)
        return ENOMEM;
    begin_sum(warc, &warc->block_sum);
    add_to_sum(&warc->block_sum, warc->block.data, warc->block.size);
    begin_fields(warc, "request", id, warc->date);
    put_id(&warc->fields, "WARC-Concurrent-To", warc->response_id);
    put_exchange_fields(warc);
    put_sum(&warc->fields, "WARC-Block-Digest", &warc->block_sum);
    put_field(&warc->fields, "Content-Type",
              "application/http;msgtype=request");
    put_length(&warc->fields, (int64_t)warc->block.size);
    return write_record(warc);
}

enum sums { SUMS_KNOWN, SUMS_TO_COME, SUMS_LEFT_OUT };

static void make_response_fields(struct warc *warc, enum sums sums)
{
    struct text *fields = &warc->fields;

    begin_fields(warc, "response", warc->response_id, warc->date);
    if (sums == SUMS_KNOWN) {
        put_sum(fields, "WARC-Payload-Digest", &warc->payload_sum);
        put_sum(fields, "WARC-Block-Digest", &warc->block_sum);
    } else if (sums == SUMS_TO_COME) {
        put_no_sum(fields, "WARC-Payload-Digest");
        put_no_sum(fields, "WARC-Block-Digest");
    }
    put_exchange_fields(warc);
    put_field(fields, "Content-Type", "application/http;msgtype=response");
    put_length(fields, (int64_t)warc->block.size + warc->length);
    put_word(fields, "\r\n");
}

/* Fields and header.  Those of a long body are held; if the URL is too long
 * for that there are no digests. */
static int begin_response(struct warc *warc, bool is_long)
{
    struct text *fields = &warc->fields;
    int error;

    warc->is_begun = true;
    make_response_fields(warc, is_long ? SUMS_TO_COME : SUMS_KNOWN);
    warc->is_held = is_long && fields->size <= PF_PACK_STORE_BYTES;
    if (is_long && !warc->is_held)
        make_response_fields(warc, SUMS_LEFT_OUT);
    if (fields->has_failed || warc->block.has_failed)
        return ENOMEM;
    error = warc->is_held
                ? pf_volume_hold(&warc->volume, fields->data, fields->size)
                : pf_volume_write(&warc->volume, fields->data, fields->size);
    return error != 0 ? error
                      : pf_volume_write(&warc->volume, warc->block.data,
                                        warc->block.size);
}

static int end_response(struct warc *warc)
{
    int error = warc->is_begun ? 0 : begin_response(warc, false);

    if (error == 0 && warc->is_held) {
        make_response_fields(warc, SUMS_KNOWN);
        error = warc->fields.has_failed
                    ? ENOMEM
                    : pf_volume_replace(&warc->volume, warc->fields.data,
                                        warc->fields.size);
    }
    if (error == 0)
        error = pf_volume_write(&warc->volume, "\r\n\r\n", 4);
    if (error == 0)
        error = pf_volume_end_stream(&warc->volume);
    return error != 0 ? error : pf_volume_commit(&warc->volume);
}

/* --- the handler --------------------------------------------------------- */

static enum pfetch_reply fail_write(struct warc *warc, int error,
                                    struct pfetch_failure *why)
{
    pf_volume_abort(&warc->volume);
    return pf_volume_failure(warc->file, "write", error, why);
}

/* What is known of the exchange.  0 or an errno. */
static int begin_exchange(struct warc *warc,
                          const struct pfetch_response *response)
{
    const struct pfetch_record *record = response->record;
    const struct pfetch_exchange *exchange = response->exchange;
    int error = make_id(warc->response_id);

    free(warc->url);
    warc->url = strdup(record->effective_url);
    if (error != 0 || warc->url == NULL)
        return error != 0 ? error : ENOMEM;
    print_date(exchange->start_unix_ms, warc->date);
    (void)snprintf(warc->ip, sizeof(warc->ip), "%s",
                   record->remote_ip == NULL ? "" : record->remote_ip);
    warc->length = response->length_bytes;
    warc->is_begun = warc->is_held = false;
    error = write_request(warc, exchange);
    if (error != 0)
        return error;
    put_response(warc, exchange->header, exchange->header_bytes,
                 warc->length, exchange->is_unpacked);
    if (warc->block.has_failed)
        return ENOMEM;
    begin_sum(warc, &warc->payload_sum);
    begin_sum(warc, &warc->block_sum);
    add_to_sum(&warc->block_sum, warc->block.data, warc->block.size);
    /* A longer one comes in pieces: its digests are known at the end. */
    return warc->length > PFETCH_SPOOL_PIECE_BYTES
               ? begin_response(warc, true) : 0;
}

static enum pfetch_reply begin(void *self, struct pfetch_job *job,
                               const struct pfetch_response *response,
                               int64_t offset, struct pfetch_failure *why)
{
    struct warc *warc = self;
    int error;

    (void)job;
    (void)offset; /* 0: an exchange has the whole body */
    warc->is_in_record = true;
    error = begin_exchange(warc, response);
    return error == 0 ? PFETCH_GO : fail_write(warc, error, why);
}

static enum pfetch_reply take(void *self, struct pfetch_job *job,
                              const void *data, size_t size,
                              struct pfetch_failure *why)
{
    struct warc *warc = self;
    int error;

    (void)job;
    add_to_sum(&warc->payload_sum, data, size);
    add_to_sum(&warc->block_sum, data, size);
    error = warc->is_begun ? 0 : begin_response(warc, false);
    if (error == 0)
        error = pf_volume_write(&warc->volume, data, size);
    return error == 0 ? PFETCH_GO : fail_write(warc, error, why);
}

static enum pfetch_reply end(void *self, struct pfetch_job *job,
                             const struct pfetch_record *record,
                             struct pfetch_failure *why)
{
    struct warc *warc = self;
    int error;

    if (record->status != PFETCH_STATUS_OK) {
        /* Bodies are whole before they come: this run has broken. */
        if (warc->is_in_record)
            pf_volume_abort(&warc->volume);
        return PFETCH_GO;
    }
    warc->is_in_record = false;
    error = end_response(warc);
    if (error == 0 && pfetch_job_set_path(job, warc->response_id) != 0)
        error = ENOMEM;
    return error == 0 ? PFETCH_GO : fail_write(warc, error, why);
}

static enum pfetch_reply done(void *self, struct pfetch_failure *why)
{
    struct warc *warc = self;
    int error;

    warc->is_done = true;
    error = pf_volume_close(&warc->volume);
    return error == 0 ? PFETCH_GO
                      : pf_volume_failure(warc->file, "write", error, why);
}

/* --- create and free ----------------------------------------------------- */

static void free_warc(struct warc *warc)
{
    if (!warc->is_done)
        pf_volume_remove(&warc->volume);
    EVP_MD_CTX_free(warc->payload_sum.ctx);
    EVP_MD_CTX_free(warc->block_sum.ctx);
    EVP_MD_free(warc->sha1);
    free(warc->fields.data);
    free(warc->block.data);
    free(warc->url);
    free(warc->file);
    free(warc);
}

static bool ends_with(const char *text, const char *suffix)
{
    size_t size = strlen(text), suffix_size = strlen(suffix);

    return size >= suffix_size
           && strcmp(text + size - suffix_size, suffix) == 0;
}

/* How a file of this name is compressed. */
static int read_name(struct warc *warc, struct pfetch_failure *why)
{
    warc->kind = ends_with(warc->file, ".gz") ? PF_PACK_GZIP : PF_PACK_PLAIN;
    if (strcmp(warc->file, "-") == 0)
        pfetch_failure_set(why, PFETCH_CLASS_NONE, "a web archive is not "
                           "written to standard output");
    else if (ends_with(warc->file, ".zst") || ends_with(warc->file, ".xz")
             || ends_with(warc->file, ".bz2"))
        pfetch_failure_set(why, PFETCH_CLASS_NONE, "%.150s: a web archive "
                           "is compressed by .gz or not at all", warc->file);
    else if (!pf_pack_has(warc->kind))
        pfetch_failure_set(why, PFETCH_CLASS_NONE, "%.150s: compiled without "
                           "zlib", warc->file);
    else
        return 0;
    return PFETCH_EINVAL;
}

static int open_file(struct warc *warc, struct pfetch_failure *why)
{
    int error;

    if (warc->is_dry)
        error = access(warc->file, F_OK) == 0 ? EEXIST : 0;
    else
        error = pf_volume_open(&warc->volume, warc->file, warc->kind, NULL,
                               0);
    if (error == 0 && !warc->is_dry)
        error = write_info(warc);
    if (error == 0)
        return 0;
    (void)pf_volume_failure(warc->file, "create", error, why);
    return PFETCH_EINVAL;
}

static int init_warc(struct warc *warc,
                     const struct pfetch_warc_options *options,
                     struct pfetch_failure *why)
{
    int error;

    pf_volume_init(&warc->volume);
    warc->is_dry = options->dry_run;
    warc->file = strdup(options->file);
    warc->sha1 = EVP_MD_fetch(NULL, "SHA1", NULL);
    warc->payload_sum.ctx = EVP_MD_CTX_new();
    warc->block_sum.ctx = EVP_MD_CTX_new();
    if (warc->file == NULL || warc->sha1 == NULL
        || warc->payload_sum.ctx == NULL || warc->block_sum.ctx == NULL)
        return PFETCH_ENOMEM;
    error = read_name(warc, why);
    return error != 0 ? error : open_file(warc, why);
}

void pfetch_warc_options_init_sized(struct pfetch_warc_options *options,
                                    size_t size)
{
    memset(options, 0, size);
    options->size = size;
}

int pfetch_warc_create(struct pfetch_handler *handler,
                       const struct pfetch_warc_options *options,
                       struct pfetch_failure *why)
{
    struct warc *warc;
    int error;

    *handler = (struct pfetch_handler){ .self = NULL };
    if (options->size != sizeof(*options) || options->file == NULL
        || *options->file == '\0') {
        pfetch_failure_set(why, PFETCH_CLASS_NONE, "not usable: the options "
                           "(see pfetch_warc_options_init())");
        return PFETCH_EINVAL;
    }
    warc = calloc(1, sizeof(*warc));
    error = warc == NULL ? PFETCH_ENOMEM : init_warc(warc, options, why);
    if (error == PFETCH_ENOMEM)
        pfetch_failure_set(why, PFETCH_CLASS_LOCAL, "out of memory");
    if (error != 0) {
        if (warc != NULL)
            free_warc(warc);
        return error;
    }
    *handler = (struct pfetch_handler){
        .self = warc, .begin = begin, .take = take, .end = end, .done = done,
        .serial = true, .exchange = true,
    };
    return 0;
}

void pfetch_warc_free(struct pfetch_handler *handler)
{
    if (handler->self != NULL)
        free_warc(handler->self);
    *handler = (struct pfetch_handler){ .self = NULL };
}
