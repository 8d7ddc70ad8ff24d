/*
 * exchange.c - one request and its answer: counts it, waits, sends head and
 * body with the faults that the script asks for, ends or keeps the connection.
 *
 * The counts of active requests and of places under limit= are given back
 * before the last bytes leave: a client that has got them may come again at
 * once and must not find its own place taken.
 *
 * SPDX-License-Identifier: MIT
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "exchange.h"

#include "body.h"
#include "control.h"
#include "decide.h"
#include "server.h"
#include "stats.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HEADER_LINE = 1024, EXTENSION = 1 << 20, NEXT_MS = 60000 };

static const char POISON[] = "HTTP/1.1 200 OK\r\n"
                             "Content-Length: 6\r\n\r\nPOISON";
static const char PART_END[] = "\r\n--FAULTD--\r\n";

struct exchange {
    struct conn *conn;
    struct stats *stats;
    struct request request;
    struct script script;
    struct answer answer;
    bool active;     /* counted as active in the statistics */
    char *limit_key; /* place taken under limit=, or NULL; owned */
    bool close_after;
    char part_head[256]; /* "" unless the answer is multipart */
};

/* For short lines only: what does not fit is cut. */
__attribute__((format(printf, 2, 3)))
static void put_line(struct conn *conn, const char *format, ...)
{
    char line[512];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(line, sizeof line, format, args); /* constant formats */
    va_end(args);
    conn_puts(conn, line);
}

static void put_field(struct conn *conn, const char *name, const char *value)
{
    if (value == NULL)
        return;
    conn_puts(conn, name);
    conn_puts(conn, ": ");
    conn_puts(conn, value);
    conn_puts(conn, "\r\n");
}

static void leave(struct exchange *x)
{
    if (x->active)
        stats_request_end(x->stats);
    if (x->limit_key != NULL)
        stats_limit_leave(x->stats, x->limit_key);
    x->active = false;
    free(x->limit_key);
    x->limit_key = NULL;
}

/* Host and path prefix: the name of the place that limit= counts. */
static char *make_limit_key(const struct exchange *x)
{
    const char *host = request_field(&x->request, "Host");
    size_t size = x->script.limit_prefix + strlen(host ? host : "") + 1;
    char *key = malloc(size);

    if (key == NULL)
        abort();
    (void)snprintf(key, size, "%s%.*s", host ? host : "",
                   (int)x->script.limit_prefix, x->request.path); /* fits */
    return key;
}

/* Counts the request and decides the answer. */
static void enter(struct exchange *x)
{
    const struct conn *conn = x->conn;
    long count = stats_request_begin(
        x->stats, x->request.path,
        control_log_line(&x->request, conn->id, conn->ssl != NULL));
    bool place = true;

    x->active = true;
    if (x->script.limit >= 0) {
        x->limit_key = make_limit_key(x);
        place = stats_limit_enter(x->stats, x->limit_key,
                                  (long)x->script.limit);
        if (!place) {
            free(x->limit_key);
            x->limit_key = NULL;
        }
    }
    answer_init(&x->answer, &x->script, &x->request, count, place);
    if (x->script.bad)
        fputs(x->script.complaint, stderr);
}

/* Head */

static void put_hints(struct exchange *x)
{
    int64_t left = x->script.hints;

    for (; left != 0 && !x->conn->broken; left -= left > 0)
        conn_puts(x->conn, "HTTP/1.1 103 Early Hints\r\n"
                           "Link: </s.css>; rel=preload; as=style\r\n\r\n");
}

static void put_etag(struct conn *conn, const struct answer *answer)
{
    const char *etag = answer->etag;
    const char *suffix = answer->other_etag ? "-other" : "";

    if (etag == NULL)
        return;
    bool weak = strncmp(etag, "W/", 2) == 0;
    conn_puts(conn, weak ? "ETag: W/\"" : "ETag: \"");
    conn_puts(conn, weak ? etag + 2 : etag);
    conn_puts(conn, suffix);
    conn_puts(conn, "\"\r\n");
}

static void put_content_range(struct conn *conn, const struct answer *answer)
{
    if (!answer->content_range || answer->multipart)
        return;
    if (answer->length == 0)
        put_line(conn, "Content-Range: bytes */%" PRId64 "\r\n",
                 answer->total);
    else
        put_line(conn,
                 "Content-Range: bytes %" PRId64 "-%" PRId64 "/%" PRId64 "\r\n",
                 answer->start, answer->start + answer->length - 1,
                 answer->total);
}

static void make_part_head(struct exchange *x)
{
    const struct answer *answer = &x->answer;

    if (answer->multipart)
        (void)snprintf(x->part_head, sizeof x->part_head,
                       "--FAULTD\r\nContent-Type: application/octet-stream\r\n"
                       "Content-Range: bytes %" PRId64 "-%" PRId64 "/%" PRId64
                       "\r\n\r\n",
                       answer->start, answer->start + answer->length - 1,
                       answer->total); /* it fits */
}

static void put_framing(struct exchange *x)
{
    struct conn *conn = x->conn;
    const struct script *script = &x->script;
    bool sound = x->answer.sound;
    int64_t length = x->answer.length + (int64_t)strlen(x->answer.note) +
                     (int64_t)strlen(x->part_head);

    if (x->answer.multipart)
        length += (int64_t)strlen(PART_END);
    if (!sound && script->framing == FRAME_CHUNKED)
        conn_puts(conn, "Transfer-Encoding: chunked\r\n");
    if (!sound && script->length != NULL)
        put_field(conn, "Content-Length", script->length);
    else if (x->answer.has_body &&
             (sound || script->framing == FRAME_LENGTH))
        put_line(conn, "Content-Length: %" PRId64 "\r\n", length);
    if (!sound)
        put_field(conn, "Content-Length", script->length2);
}

static void put_big_headers(struct conn *conn, int64_t count)
{
    char value[HEADER_LINE];

    memset(value, 'x', sizeof value);
    for (int64_t i = 0; i < count && !conn->broken; i++) {
        char name[32];
        int len = snprintf(name, sizeof name, "X-Big-%" PRId64 ": ", i);
        conn_put(conn, name, (size_t)len);
        conn_put(conn, value, sizeof value - (size_t)len - 2);
        conn_puts(conn, "\r\n");
    }
}

static void put_slow_headers(struct conn *conn, int64_t pause_ms)
{
    for (int64_t i = 0; pause_ms > 0 && !conn->broken; i++) {
        put_line(conn, "X-Slow-%" PRId64 ": more\r\n", i);
        conn_flush(conn);
        conn_pause(conn, pause_ms);
    }
}

static void put_head(struct exchange *x)
{
    struct conn *conn = x->conn;
    const struct script *script = &x->script;
    const struct answer *answer = &x->answer;

    put_hints(x);
    conn_puts(conn, script->http10 ? "HTTP/1.0 " : "HTTP/1.1 ");
    conn_puts(conn, answer->status);
    conn_puts(conn, " ");
    conn_puts(conn, answer->reason);
    conn_puts(conn, "\r\nServer: faultd\r\n");
    if (answer->end == END_FIN && answer->end_after == AFTER_HALF_HEAD)
        return;
    put_framing(x);
    if (x->close_after)
        conn_puts(conn, "Connection: close\r\n");
    if (answer->multipart)
        conn_puts(conn, "Content-Type: multipart/byteranges; "
                        "boundary=FAULTD\r\n");
    put_content_range(conn, answer);
    put_etag(conn, answer);
    put_field(conn, "Last-Modified", script->lastmod);
    put_field(conn, "Location", answer->location);
    put_field(conn, "WWW-Authenticate", answer->challenge);
    if (answer->status[0] >= '3')
        put_field(conn, "Retry-After", script->retryafter);
    for (size_t i = 0; i < script->header_count; i++) {
        conn_put(conn, script->headers[i].data, script->headers[i].len);
        conn_puts(conn, "\r\n");
    }
    put_big_headers(conn, script->bigheaders);
    put_slow_headers(conn, script->slowheaders_ms);
    conn_puts(conn, "\r\n");
}

/* Body */

static void put_file(struct exchange *x, int64_t from, int64_t length)
{
    struct conn *conn = x->conn;

    while (length > 0 && !conn->broken) {
        size_t n = conn_room(conn);
        if ((int64_t)n > length)
            n = (size_t)length;
        body_fill(x->answer.hash, from, conn->out + conn->out_len, n);
        conn->out_len += n;
        from += (int64_t)n;
        length -= (int64_t)n;
    }
}

/* The line before a chunk of n bytes at `sent`; the fault comes half way. */
static void put_chunk_size(struct exchange *x, int64_t sent, int64_t n)
{
    struct conn *conn = x->conn;
    const char *fault = NULL;

    if (x->script.chunk_fault == CHUNK_ZZ)
        fault = "zz";
    else if (x->script.chunk_fault == CHUNK_LONG)
        fault = "FFFFFFFFFFFFFFFFF";
    else if (x->script.chunk_fault == CHUNK_NEG)
        fault = "-5";
    if (fault != NULL && sent > 0) {
        put_line(conn, "%s\r\n", fault);
        return;
    }
    put_line(conn, "%" PRIx64, (uint64_t)n);
    if (x->script.chunk_fault == CHUNK_EXT && sent > 0) {
        char filler[4096];
        memset(filler, 'e', sizeof filler);
        conn_puts(conn, ";");
        for (size_t i = 0; i < EXTENSION / sizeof filler; i++)
            conn_put(conn, filler, sizeof filler);
    }
    conn_puts(conn, "\r\n");
}

static int64_t min64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* How many bytes of body go out before the next pause or chunk. */
static int64_t step_bytes(const struct exchange *x)
{
    const struct script *script = &x->script;
    int64_t step = INT64_MAX;

    if (x->answer.sound)
        return step;
    if (script->framing == FRAME_CHUNKED)
        step = script->chunk_bytes;
    if (script->chunk_fault >= CHUNK_ZZ && script->chunk_fault <= CHUNK_EXT)
        step = (x->answer.length + 1) / 2;
    if (script->drip_bytes > 0)
        step = min64(step, script->drip_bytes);
    return step;
}

static void put_body(struct exchange *x)
{
    struct conn *conn = x->conn;
    const struct answer *answer = &x->answer;
    bool chunked = !answer->sound && x->script.framing == FRAME_CHUNKED;
    bool ends = !answer->sound && answer->end != END_NORMAL;
    int64_t length = answer->length;
    int64_t todo = ends ? min64(answer->end_after, length) : length;
    int64_t step = step_bytes(x);
    int64_t sent = 0;

    while (sent < todo && !conn->broken) {
        int64_t n = min64(step, length - sent);
        int64_t now = min64(n, todo - sent);
        if (chunked)
            put_chunk_size(x, sent, n);
        put_file(x, answer->start + sent, now);
        if (chunked && now == n)
            conn_puts(conn, "\r\n");
        sent += now;
        if (!answer->sound && x->script.drip_bytes > 0 && sent < todo) {
            conn_flush(conn);
            conn_pause(conn, x->script.drip_ms);
        }
    }
}

static void put_last_chunk(struct exchange *x)
{
    struct conn *conn = x->conn;

    if (x->answer.sound || x->script.framing != FRAME_CHUNKED)
        return;
    conn_puts(conn, "0\r\n");
    while (x->script.chunk_fault == CHUNK_TRAILERS && !conn->broken)
        conn_puts(conn, "X-Trailer: more\r\n");
    if (x->script.chunk_fault != CHUNK_CUT_LAST)
        conn_puts(conn, "\r\n");
}

static void put_junk(struct conn *conn, int64_t bytes)
{
    if (bytes == JUNK_POISON)
        conn_puts(conn, POISON);
    for (; bytes > 0 && !conn->broken; bytes -= 4)
        conn_put(conn, "JUNK", (size_t)min64(4, bytes));
}

/* Endings */

/* FIN, RST or silence, after what has been put; the connection is over. */
static bool end_badly(struct exchange *x)
{
    struct conn *conn = x->conn;

    if (x->answer.end != END_STALL)
        leave(x);
    conn_flush(conn);
    if (x->answer.end == END_RESET)
        conn->ending = CONN_RESET;
    else if (x->answer.end == END_STALL)
        conn_pause(conn, -1);
    else
        conn->ending = x->script.notify ? CONN_POLITE : CONN_FIN;
    return false;
}

/* After a whole response: does the connection go on? */
static bool end_well(struct exchange *x)
{
    struct conn *conn = x->conn;
    const struct script *script = &x->script;

    leave(x);
    if (x->answer.sound) {
        conn_flush(conn);
        return !x->close_after;
    }
    put_junk(conn, script->junk);
    conn_flush(conn);
    conn->responses++;
    if (script->chunk_fault == CHUNK_CUT_LAST)
        conn->ending = CONN_FIN;
    if (x->close_after || script->closeidle || script->length != NULL ||
        script->framing == FRAME_CLOSE ||
        (script->chunk_fault != CHUNK_SOUND &&
         script->chunk_fault != CHUNK_EXT) ||
        (script->closeevery > 0 && conn->responses % script->closeevery == 0))
        return false;
    if (script->next_end != END_NORMAL) {
        (void)conn_wait_input(conn, NEXT_MS); /* ends the same way if none */
        if (script->next_junk) {
            put_junk(conn, 100);
            conn_flush(conn);
        }
        conn->ending = script->next_end == END_RESET ? CONN_RESET : CONN_FIN;
        return false;
    }
    if (script->latejunk != 0 &&
        !conn_wait_input(conn, script->latejunk_ms)) {
        put_junk(conn, script->latejunk);
        conn_flush(conn);
    }
    return true;
}

static void put_random(struct conn *conn)
{
    uint32_t state = 2463534242;

    for (int i = 0; i < 512; i++) {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        unsigned char byte = (unsigned char)(state >> 8);
        conn_put(conn, &byte, 1);
    }
}

static bool send_garbage(struct exchange *x)
{
    struct conn *conn = x->conn;

    switch (x->script.garbage) {
    case GARBAGE_NONE:
        break;
    case GARBAGE_HTTP09:
        conn_puts(conn, "<html>An answer from 1991.</html>\n");
        break;
    case GARBAGE_SSH:
        conn_puts(conn, "SSH-2.0-OpenSSH_9.2p1\r\n");
        break;
    case GARBAGE_TLS: /* a fatal alert: handshake_failure */
        conn_put(conn, "\x15\x03\x03\x00\x02\x02\x28", 7);
        break;
    case GARBAGE_RANDOM:
        put_random(conn);
        break;
    }
    return end_badly(x);
}

static bool send_answer(struct exchange *x)
{
    struct conn *conn = x->conn;
    const struct answer *answer = &x->answer;
    bool ends = !answer->sound && answer->end != END_NORMAL;

    conn_pause(conn, script_delay_ms(&x->script));
    if (ends && answer->end_after == AFTER_NOTHING)
        return end_badly(x);
    if (!answer->sound && x->script.garbage != GARBAGE_NONE)
        return send_garbage(x);

    stats_status(x->stats, (int)strtol(answer->status, NULL, 10));
    make_part_head(x);
    put_head(x);
    if (ends && answer->end_after < 0)
        return end_badly(x);
    if (strcmp(x->request.method, "HEAD") != 0 && answer->has_body) {
        conn_puts(conn, answer->note);
        conn_puts(conn, x->part_head);
        put_body(x);
        if (ends)
            return end_badly(x);
        if (answer->multipart)
            conn_puts(conn, PART_END);
        put_last_chunk(x);
    }
    return end_well(x);
}

/* What is no request, or one that only control can answer. */
static bool send_refusal(struct conn *conn)
{
    conn_puts(conn, "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n"
                    "Content-Length: 0\r\n\r\n");
    conn_flush(conn);
    return false;
}

bool exchange_run(struct conn *conn, char *head)
{
    struct exchange x = {.conn = conn, .stats = server_stats(conn->server)};

    if (!request_parse(&x.request, head))
        return send_refusal(conn);
    if (control_is_path(x.request.path))
        return control_answer(conn, &x.request);
    server_count(conn);
    script_parse(&x.script, x.request.path);
    if (server_is_healed(conn->server))
        script_heal(&x.script);
    x.close_after = !x.request.keep_alive || x.script.connclose;
    enter(&x);
    bool goes_on = send_answer(&x);
    leave(&x);
    answer_fini(&x.answer);
    script_free(&x.script);
    return goes_on && !conn->broken;
}
