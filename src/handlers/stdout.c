/* stdout.c - the handler that writes all results into one descriptor.
 *
 * SPDX-License-Identifier: MIT
 *
 * A serial handler: the engine hands over whole bodies, one after another, so
 * nothing here has to be retracted.  What belongs to one result is collected
 * and written in end(), by one call if it is small; a long body goes out as it
 * is taken.  Everything runs on the writer thread.
 *
 * A reader that does not read must not keep the process from ending.  So the
 * writer never sleeps in write(2) but in poll(2), and looks every 100 ms
 * whether the run was stopped.  O_NONBLOCK cannot be set on a descriptor that
 * was given to us, since others share it (a shell, the reader's terminal): a
 * pipe is opened once more, which gives a description of our own.  What cannot
 * be (sockets, terminals, another user's pipe) gets pieces that fit when poll
 * says so.  Files never keep anybody waiting for somebody else.
 *
 * Once a result had to be given up nothing more is written: a reader sees a
 * result that is cut off at the end of the stream, never one in the middle.
 */
#include "config.h"

#include "frame.h"
#include "json.h"
#include "pfetch_handlers.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    BUFFER_BYTES = 64 * 1024,        /* more is written at once */
    TEXT_MAX_BYTES = 4 * 1024 * 1024, /* a longer body is never text */
    KEEP_BYTES = 1024 * 1024,        /* a larger buffer is not kept */
    POLL_MS = 100
};

struct out {
    struct pfetch_stdout_options options;
    int fd;                  /* options.fd, or a pipe opened once more */
    size_t step_bytes;       /* what one write may have; 0: any amount */
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

/* Waits until something can be written.  False: the run was stopped, and
 * nobody reads. */
static bool wait_for_reader(const struct out *out,
                            const struct pfetch_job *job)
{
    struct pollfd pollfd = { .fd = out->fd, .events = POLLOUT };

    while (poll(&pollfd, 1, POLL_MS) <= 0)
        if (pfetch_job_is_stopped(job))
            return false;
    return true;
}

static enum pfetch_reply write_all(struct out *out,
                                   const struct pfetch_job *job,
                                   const void *data, size_t size,
                                   struct pfetch_failure *why)
{
    const char *from = data;
    bool must_wait = out->step_bytes > 0;

    while (size > 0) {
        size_t step = size;
        ssize_t n;

        if (out->step_bytes > 0 && step > out->step_bytes)
            step = out->step_bytes;
        if (must_wait && !wait_for_reader(out, job)) {
            out->is_over = true;
            pfetch_failure_set(why, PFETCH_CLASS_STOPPED,
                               "stopped while nobody read %s",
                               out->options.name);
            return PFETCH_FAIL;
        }
        must_wait = out->step_bytes > 0;
        n = write(out->fd, from, step);
        if (n > 0) {
            out->is_partial = true;
            from += n;
            size -= (size_t)n;
        } else if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            must_wait = true;
        } else if (n < 0 && errno != EINTR) {
            return fail(out, errno, why);
        }
    }
    return PFETCH_GO;
}

static enum pfetch_reply flush(struct out *out, const struct pfetch_job *job,
                               struct pfetch_failure *why)
{
    enum pfetch_reply reply;

    if (out->pending.failed)
        return fail(out, ENOMEM, why);
    reply = write_all(out, job, out->pending.text, out->pending.size, why);
    out->pending.size = 0;
    if (out->pending.capacity > KEEP_BYTES)
        pf_json_fini(&out->pending);
    return reply;
}

static enum pfetch_reply flush_if_large(struct out *out,
                                        const struct pfetch_job *job,
                                        struct pfetch_failure *why)
{
    return out->pending.size < BUFFER_BYTES ? PFETCH_GO
                                            : flush(out, job, why);
}

static enum pfetch_reply put_bytes(struct out *out,
                                   const struct pfetch_job *job,
                                   const void *data, size_t size,
                                   struct pfetch_failure *why)
{
    enum pfetch_reply reply;

    if (out->pending.size + size <= BUFFER_BYTES) {
        pf_json_raw(&out->pending, data, size);
        return PFETCH_GO;
    }
    reply = flush(out, job, why);
    return reply != PFETCH_GO ? reply : write_all(out, job, data, size, why);
}

/* --- JSON Lines ------------------------------------------------------------ */

static enum pfetch_reply put_base64(struct out *out,
                                    const struct pfetch_job *job,
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
        reply = flush_if_large(out, job, why);
    }
    return reply;
}

/* In slices that end between two characters. */
static enum pfetch_reply put_text(struct out *out,
                                  const struct pfetch_job *job,
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
        reply = flush_if_large(out, job, why);
    }
    return reply;
}

/* Ends the line of a body. */
static enum pfetch_reply close_line(struct out *out,
                                    const struct pfetch_job *job,
                                    struct pfetch_failure *why)
{
    const struct pf_json *body = &out->body;
    enum pfetch_reply reply = PFETCH_GO;

    if (body->failed)
        return fail(out, ENOMEM, why);
    if (out->is_collected && pf_json_is_utf8(body->text, body->size)) {
        pf_json_key(&out->pending, "body");
        pf_json_word(&out->pending, "\"");
        reply = put_text(out, job, body->text, body->size, why);
    } else {
        if (out->is_collected) {
            pf_json_key(&out->pending, "body_base64");
            pf_json_word(&out->pending, "\"");
            reply = put_base64(out, job, (const void *)body->text, body->size,
                               why);
        }
        pf_json_base64(&out->pending, out->carry, out->carried);
    }
    pf_json_word(&out->pending, "\"}\n");
    return reply;
}

/* --- the handler ----------------------------------------------------------- */

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

    if (out->options.format != PFETCH_STDOUT_JSONL)
        return put_bytes(out, job, data, size, why);
    if (!out->is_collected)
        return put_base64(out, job, data, size, why);
    pf_json_raw(&out->body, data, size);
    return PFETCH_GO;
}

/* A result without a body. */
static enum pfetch_reply put_failed(struct out *out,
                                    const struct pfetch_job *job,
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
    reply = flush(out, job, why);
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

    if (record->status != PFETCH_STATUS_OK) {
        /* What had begun and was given up. */
        out->is_over = out->is_over || out->is_partial;
        out->pending.size = 0;
        return put_failed(out, job, record, why);
    }
    if (out->options.format == PFETCH_STDOUT_JSONL)
        reply = close_line(out, job, why);
    if (reply == PFETCH_GO)
        reply = flush(out, job, why);
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

/* How to write to options.fd without sleeping there. */
static void choose_way(struct out *out)
{
    char name[64];
    struct stat st;
    int fd;

    out->fd = out->options.fd;
    if (fstat(out->fd, &st) != 0 || S_ISREG(st.st_mode))
        return; /* the first write says what is wrong */
    out->step_bytes = PIPE_BUF;
    if (!S_ISFIFO(st.st_mode))
        return;
    (void)snprintf(name, sizeof(name), "/proc/self/fd/%d", out->fd);
    fd = open(name, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return;
    out->fd = fd;
    out->step_bytes = 0;
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
    choose_way(out);
    *handler = (struct pfetch_handler){
        .self = out, .begin = begin, .take = take, .end = end, .serial = true,
    };
    return 0;
}

void pfetch_stdout_free(struct pfetch_handler *handler)
{
    struct out *out = handler->self;

    if (out == NULL)
        return;
    if (out->fd != out->options.fd)
        (void)close(out->fd); /* a pipe: nothing can be lost */
    pf_json_fini(&out->pending);
    pf_json_fini(&out->body);
    free(out);
    handler->self = NULL;
}
