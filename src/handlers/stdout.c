/* stdout.c - the handler that writes all results into one descriptor.
 *
 * SPDX-License-Identifier: MIT
 *
 * A serial handler: the engine hands over whole bodies, one after another, so
 * nothing here has to be retracted.  What belongs to one result is collected
 * and written in end(), by one call if it is small; a long body goes out as it
 * is taken.  Everything runs on the writer thread.
 *
 * Once a result had to be given up nothing more is written: a reader sees a
 * result that is cut off at the end of the stream, never one in the middle.
 */
#include "config.h"

#include "frame.h"
#include "json.h"
#include "pfetch_handlers.h"
#include "stream.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    BUFFER_BYTES = 64 * 1024,        /* more is written at once */
    TEXT_MAX_BYTES = 4 * 1024 * 1024, /* a longer body is never text */
    KEEP_BYTES = 1024 * 1024         /* a larger buffer is not kept */
};

struct out {
    struct pfetch_stdout_options options;
    struct pf_stream stream; /* to options.fd */
    struct pf_json pending;  /* not written yet */
    bool is_partial;         /* a part of this result was written */
    bool is_over;            /* a result was given up: nothing follows it */

    /* Of the result going on, JSON Lines only. */
    struct pf_json body;     /* collected, while it may be text */
    bool is_collected;
    unsigned char carry[3];  /* base64 takes three bytes at a time */
    size_t carried;
};

/* --- writing --------------------------------------------------------------- */

static enum pfetch_reply fail(const struct out *out, int error,
                              struct pfetch_failure *why)
{
    pfetch_failure_set(why, PFETCH_CLASS_LOCAL, "%s: %s", out->options.name,
                       strerror(error));
    return PFETCH_BROKEN;
}

static enum pfetch_reply write_all(struct out *out, const void *data,
                                   size_t size, struct pfetch_failure *why)
{
    int error;

    if (size == 0)
        return PFETCH_GO;
    out->is_partial = true;
    error = pf_stream_write(&out->stream, data, size);
    if (error == 0)
        return PFETCH_GO;
    if (error != ECANCELED)
        return fail(out, error, why);
    out->is_over = true;
    pfetch_failure_set(why, PFETCH_CLASS_STOPPED, "stopped while nobody read "
                       "%s", out->options.name);
    return PFETCH_FAIL;
}

static enum pfetch_reply flush(struct out *out,
                               struct pfetch_failure *why)
{
    enum pfetch_reply reply;

    if (out->pending.failed)
        return fail(out, ENOMEM, why);
    reply = write_all(out, out->pending.text, out->pending.size, why);
    out->pending.size = 0;
    if (out->pending.capacity > KEEP_BYTES)
        pf_json_fini(&out->pending);
    return reply;
}

static enum pfetch_reply flush_if_large(struct out *out,
                                        struct pfetch_failure *why)
{
    return out->pending.size < BUFFER_BYTES ? PFETCH_GO
                                            : flush(out, why);
}

static enum pfetch_reply put_bytes(struct out *out,
                                   const void *data, size_t size,
                                   struct pfetch_failure *why)
{
    enum pfetch_reply reply;

    if (out->pending.size + size <= BUFFER_BYTES) {
        pf_json_raw(&out->pending, data, size);
        return PFETCH_GO;
    }
    reply = flush(out, why);
    return reply != PFETCH_GO ? reply : write_all(out, data, size, why);
}

/* --- JSON Lines ------------------------------------------------------------ */

static enum pfetch_reply put_base64(struct out *out,
                                    const unsigned char *data, size_t size,
                                    struct pfetch_failure *why)
{
    enum { SLICE = BUFFER_BYTES / 4 * 3 };
    enum pfetch_reply reply = PFETCH_GO;

    while (size > 0 && reply == PFETCH_GO) {
        size_t n = size < SLICE ? size / 3 * 3 : SLICE;

        if (out->carried > 0 || n == 0) {
            out->carry[out->carried++] = *data++;
            size--;
            if (out->carried == 3) {
                pf_json_base64(&out->pending, out->carry, 3);
                out->carried = 0;
            }
            continue;
        }
        pf_json_base64(&out->pending, data, n);
        data += n;
        size -= n;
        reply = flush_if_large(out, why);
    }
    return reply;
}

/* In slices that end between two characters. */
static enum pfetch_reply put_text(struct out *out,
                                  const char *text, size_t size,
                                  struct pfetch_failure *why)
{
    enum pfetch_reply reply = PFETCH_GO;

    while (size > 0 && reply == PFETCH_GO) {
        size_t n = size < BUFFER_BYTES ? size : BUFFER_BYTES;

        while (n < size && ((unsigned char)text[n] & 0xc0) == 0x80)
            n--;
        pf_json_characters(&out->pending, text, n);
        text += n;
        size -= n;
        reply = flush_if_large(out, why);
    }
    return reply;
}

/* Ends the line of a body. */
static enum pfetch_reply close_line(struct out *out,
                                    struct pfetch_failure *why)
{
    const struct pf_json *body = &out->body;
    enum pfetch_reply reply = PFETCH_GO;

    if (body->failed)
        return fail(out, ENOMEM, why);
    if (out->is_collected && pf_json_is_utf8(body->text, body->size)) {
        pf_json_key(&out->pending, "body");
        pf_json_word(&out->pending, "\"");
        reply = put_text(out, body->text, body->size, why);
    } else {
        if (out->is_collected) {
            pf_json_key(&out->pending, "body_base64");
            pf_json_word(&out->pending, "\"");
            reply = put_base64(out, (const void *)body->text, body->size,
                               why);
        }
        pf_json_base64(&out->pending, out->carry, out->carried);
    }
    pf_json_word(&out->pending, "\"}\n");
    return reply;
}

/* --- the handler ----------------------------------------------------------- */

static void start(void *self, const struct pfetch *run)
{
    struct out *out = self;

    out->stream.run = run;
}

static enum pfetch_reply begin(void *self, struct pfetch_job *job,
                               const struct pfetch_response *response,
                               int64_t offset, struct pfetch_failure *why)
{
    struct out *out = self;

    (void)job;
    (void)offset; /* a spooled body begins at 0 where plan() says nothing */
    if (out->is_over) {
        pfetch_failure_set(why, PFETCH_CLASS_STOPPED, "stopped: %s has ended "
                           "before this", out->options.name);
        return PFETCH_FAIL;
    }
    switch (out->options.format) {
    case PFETCH_STDOUT_BODIES:
        break;
    case PFETCH_STDOUT_JSONL:
        pf_json_word(&out->pending, "{");
        pf_json_record(&out->pending, response->record);
        out->carried = 0;
        out->body.size = 0;
        out->is_collected = response->length_bytes <= TEXT_MAX_BYTES;
        if (!out->is_collected) {
            pf_json_key(&out->pending, "body_base64");
            pf_json_word(&out->pending, "\"");
        }
        break;
    case PFETCH_STDOUT_FRAMED:
        pf_frame_header(&out->pending, response->record,
                        response->length_bytes);
        break;
    }
    return PFETCH_GO;
}

static enum pfetch_reply take(void *self, struct pfetch_job *job,
                              const void *data, size_t size,
                              struct pfetch_failure *why)
{
    struct out *out = self;

    (void)job;
    if (out->options.format != PFETCH_STDOUT_JSONL)
        return put_bytes(out, data, size, why);
    if (!out->is_collected)
        return put_base64(out, data, size, why);
    pf_json_raw(&out->body, data, size);
    return PFETCH_GO;
}

/* A result without a body. */
static enum pfetch_reply put_failed(struct out *out,
                                    const struct pfetch_record *record,
                                    struct pfetch_failure *why)
{
    enum pfetch_reply reply;

    if (out->is_over || out->options.format == PFETCH_STDOUT_BODIES)
        return PFETCH_GO;
    if (out->options.format == PFETCH_STDOUT_FRAMED) {
        pf_frame_header(&out->pending, record, 0);
    } else {
        pf_json_word(&out->pending, "{");
        pf_json_record(&out->pending, record);
        pf_json_word(&out->pending, "}\n");
    }
    reply = flush(out, why);
    if (reply == PFETCH_GO)
        out->is_partial = false;
    return reply;
}

static enum pfetch_reply end(void *self, struct pfetch_job *job,
                             const struct pfetch_record *record,
                             struct pfetch_failure *why)
{
    struct out *out = self;
    enum pfetch_reply reply = PFETCH_GO;

    (void)job;
    if (record->status != PFETCH_STATUS_OK) {
        /* What had begun and was given up. */
        out->is_over = out->is_over || out->is_partial;
        out->pending.size = 0;
        return put_failed(out, record, why);
    }
    if (out->options.format == PFETCH_STDOUT_JSONL)
        reply = close_line(out, why);
    if (reply == PFETCH_GO)
        reply = flush(out, why);
    if (reply == PFETCH_GO)
        out->is_partial = false;
    if (out->body.capacity > KEEP_BYTES)
        pf_json_fini(&out->body);
    return reply;
}

/* --- create and free ------------------------------------------------------- */

static void set_defaults(struct pfetch_stdout_options *options)
{
    *options = (struct pfetch_stdout_options){
        .size = sizeof(*options), .fd = STDOUT_FILENO,
        .name = "standard output", .format = PFETCH_STDOUT_BODIES,
    };
}

void pfetch_stdout_options_init_sized(struct pfetch_stdout_options *options,
                                      size_t size)
{
    struct pfetch_stdout_options defaults;

    set_defaults(&defaults);
    defaults.size = size;
    memset(options, 0, size);
    memcpy(options, &defaults, size < sizeof(defaults) ? size
                                                       : sizeof(defaults));
}

int pfetch_stdout_create(struct pfetch_handler *handler,
                         const struct pfetch_stdout_options *options,
                         struct pfetch_failure *why)
{
    struct out *out;

    *handler = (struct pfetch_handler){ .self = NULL };
    if (options->size <= offsetof(struct pfetch_stdout_options, fd)
        || options->size > sizeof(*options)) {
        pfetch_failure_set(why, PFETCH_CLASS_NONE, "not usable: options.size "
                           "(use pfetch_stdout_options_init())");
        return PFETCH_EINVAL;
    }
    out = calloc(1, sizeof(*out));
    if (out == NULL) {
        pfetch_failure_set(why, PFETCH_CLASS_LOCAL, "out of memory");
        return PFETCH_ENOMEM;
    }
    set_defaults(&out->options);
    memcpy(&out->options, options, options->size);
    pf_stream_init(&out->stream, out->options.fd);
    *handler = (struct pfetch_handler){
        .self = out, .start = start, .begin = begin, .take = take, .end = end,
        .serial = true,
    };
    return 0;
}

void pfetch_stdout_free(struct pfetch_handler *handler)
{
    struct out *out = handler->self;

    if (out == NULL)
        return;
    pf_stream_fini(&out->stream);
    pf_json_fini(&out->pending);
    pf_json_fini(&out->body);
    free(out);
    handler->self = NULL;
}
