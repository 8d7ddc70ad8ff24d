/*
 * decide.c - decides what a request is answered with; sends nothing.
 *
 * In this order: refusals (bad script, headers, credentials, places), failures
 * by count, redirects, conditions, ranges.  The first that applies decides.
 *
 * SPDX-License-Identifier: MIT
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "decide.h"

#include "body.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *reason_of(const char *status)
{
    static const struct {
        const char *status, *reason;
    } reasons[] = {
        {"200", "OK"},
        {"204", "No Content"},
        {"206", "Partial Content"},
        {"302", "Found"},
        {"304", "Not Modified"},
        {"400", "Bad Request"},
        {"401", "Unauthorized"},
        {"403", "Forbidden"},
        {"404", "Not Found"},
        {"416", "Range Not Satisfiable"},
        {"429", "Too Many Requests"},
        {"500", "Internal Server Error"},
        {"503", "Service Unavailable"},
    };

    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++)
        if (strcmp(reasons[i].status, status) == 0)
            return reasons[i].reason;
    return "Faulty";
}

static void set_status(struct answer *answer, const char *status)
{
    answer->status = status;
    answer->reason = reason_of(status);
}

/* A sound response that says why there is nothing better. */
static void refuse(struct answer *answer, const char *status, const char *note)
{
    set_status(answer, status);
    answer->sound = true;
    answer->length = 0;
    answer->note = note;
}

static bool has_needed(const struct request *request, const char *need)
{
    const char *colon = strchr(need, ':');
    size_t name_len = (size_t)(colon - need);
    const char *value = colon + 1 + strspn(colon + 1, " ");

    for (size_t i = 0; i < request->field_count; i++)
        if (strncasecmp(request->fields[i].name, need, name_len) == 0 &&
            request->fields[i].name[name_len] == '\0' &&
            strcmp(request->fields[i].value, value) == 0)
            return true;
    return false;
}

/* Does the credentials' base64 text stand for exactly that plain text? */
static bool base64_equals(const char *base64, const char *plain)
{
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t len = strlen(plain);

    if (strlen(base64) != (len + 2) / 3 * 4)
        return false;
    for (size_t i = 0; i < (len * 8 + 5) / 6; i++) {
        size_t bit = i * 6;
        unsigned pair = (unsigned char)plain[bit / 8] << 8;
        if (bit / 8 + 1 < len)
            pair |= (unsigned char)plain[bit / 8 + 1];
        if (base64[i] != digits[pair >> (10 - bit % 8) & 63])
            return false;
    }
    return true;
}

static bool is_authorized(const struct request *request, const char *auth)
{
    const char *value = request_field(request, "Authorization");

    return value != NULL && strncasecmp(value, "Basic ", 6) == 0 &&
           base64_equals(value + 6, auth);
}

static bool decide_refusal(struct answer *answer, const struct script *script,
                           const struct request *request, bool place)
{
    if (script->bad) {
        refuse(answer, "400", script->complaint);
        return true;
    }
    for (size_t i = 0; i < script->refuse_count; i++) {
        if (request_field(request, script->refuse[i]) != NULL) {
            refuse(answer, "400", "faultd: refused header\n");
            return true;
        }
    }
    for (size_t i = 0; i < script->need_count; i++) {
        if (!has_needed(request, script->need[i])) {
            refuse(answer, "403", "faultd: needed header\n");
            return true;
        }
    }
    if (script->auth != NULL && !is_authorized(request, script->auth)) {
        refuse(answer, "401", "faultd: credentials\n");
        answer->challenge = "Basic realm=\"faultd\"";
        return true;
    }
    if (!place) {
        refuse(answer, "429", "faultd: limit\n");
        return true;
    }
    return false;
}

static bool decide_failure(struct answer *answer, const struct script *script,
                           long count)
{
    if (count <= script->fail_count) {
        set_status(answer, script->fail_status);
        answer->sound = true;
        return true;
    }
    if (count <= script->failreset_count) {
        answer->end = END_RESET;
        answer->end_after = AFTER_NOTHING;
    } else if (count <= script->failcut_count) {
        answer->end = END_FIN;
        answer->end_after = script->failcut_bytes;
    }
    return false;
}

/* The path with the number after "redirect=hops:" one less, from malloc. */
static char *next_hop(const char *path, long hops)
{
    static const char mark[] = "hops"; /* some escape what is around it */
    const char *number = strstr(path, mark);
    size_t size = strlen(path) + 24;
    char *next = malloc(size);

    if (next == NULL || number == NULL)
        abort();
    number += sizeof mark - 1;
    number += *number == '%' ? 3 : 1; /* the colon */
    const char *rest = number + strspn(number, "0123456789");
    (void)snprintf(next, size, "%.*s%ld%s", (int)(number - path), path,
                   hops - 1, rest); /* it fits */
    return next;
}

/* The same path at the other of the two names, from malloc. */
static char *other_host(const struct request *request)
{
    const char *host = request_field(request, "Host");
    const char *port = host != NULL ? strchr(host, ':') : NULL;
    size_t size = strlen(request->path) + (port ? strlen(port) : 0) + 24;
    char *url = malloc(size);

    if (url == NULL)
        abort();
    (void)snprintf(url, size, "http://%s%s%s",
                   host != NULL && strncmp(host, "localhost", 9) == 0
                       ? "127.0.0.1" : "localhost",
                   port != NULL ? port : "", request->path); /* it fits */
    return url;
}

static bool decide_redirect(struct answer *answer, const struct script *script,
                            const struct request *request)
{
    const char *redirect = script->redirect;

    if (redirect == NULL)
        return false;
    if (strncmp(redirect, "hops:", 5) == 0) {
        long hops = strtol(redirect + 5, NULL, 10);
        if (hops <= 0)
            return false;
        answer->location = next_hop(request->path, hops);
    } else if (strcmp(redirect, "pingpong") == 0) {
        answer->location = other_host(request);
    } else if (strcmp(redirect, "loop") == 0) {
        answer->location = strdup(request->path);
    } else if (strcmp(redirect, "none") != 0) {
        answer->location = strdup(redirect);
    }
    if (script->status == NULL)
        set_status(answer, "302");
    if (!script->size_set)
        answer->length = 0;
    return true;
}

/* Is text the ETag, as it is sent: "etag", or W/"etag"? */
static bool is_etag(const char *text, const char *etag)
{
    bool weak = strncmp(etag, "W/", 2) == 0;

    if (weak && strncmp(text, "W/", 2) != 0)
        return false;
    text += weak ? 2 : 0;
    etag += weak ? 2 : 0;
    size_t len = strlen(etag);
    return strlen(text) == len + 2 && text[0] == '"' && text[len + 1] == '"' &&
           strncmp(text + 1, etag, len) == 0;
}

static bool decide_condition(struct answer *answer, const struct script *script,
                             const struct request *request)
{
    const char *match = request_field(request, "If-None-Match");
    const char *since = request_field(request, "If-Modified-Since");
    bool same;

    if (match != NULL)
        same = strcmp(match, "*") == 0 ||
               (answer->etag != NULL && is_etag(match, answer->etag));
    else
        same = since != NULL && script->lastmod != NULL &&
               strcmp(since, script->lastmod) == 0;
    if (same) {
        set_status(answer, "304");
        answer->has_body = false;
    }
    return same;
}

/* Reads "bytes=A-", "bytes=A-B" or "bytes=-N"; false: none of these. */
static bool read_range(const char *range, int64_t size, int64_t *first,
                       int64_t *end)
{
    long long a;
    long long b = size - 1;
    char *rest;

    if (strncmp(range, "bytes=", 6) != 0)
        return false;
    range += 6;
    a = strtoll(range, &rest, 10);
    if (rest == range)
        return false;
    if (a < 0) {
        a = size + a < 0 ? 0 : size + a;
    } else {
        if (*rest != '-')
            return false;
        if (rest[1] != '\0')
            b = strtoll(rest + 1, &rest, 10);
        else
            rest++;
    }
    *first = a;
    *end = b < size - 1 ? b + 1 : size;
    return *rest == '\0';
}

static bool if_range_holds(const struct answer *answer,
                           const struct script *script,
                           const struct request *request)
{
    const char *if_range = request_field(request, "If-Range");

    if (if_range == NULL)
        return true;
    if (answer->etag != NULL && strncmp(answer->etag, "W/", 2) != 0 &&
        is_etag(if_range, answer->etag))
        return true;
    return script->lastmod != NULL && strcmp(if_range, script->lastmod) == 0;
}

static void set_partial(struct answer *answer, int64_t first, int64_t end)
{
    set_status(answer, "206");
    answer->content_range = true;
    answer->start = first;
    answer->length = end - first;
}

static void set_unsatisfiable(struct answer *answer)
{
    set_status(answer, "416");
    answer->content_range = true;
    answer->length = 0;
}

static void spoil_range(struct answer *answer, enum range_fault fault)
{
    int64_t end = answer->start + answer->length;

    switch (fault) {
    case RANGE_SOUND:
        break;
    case RANGE_START:
        set_partial(answer, answer->start / 2, end);
        break;
    case RANGE_AFTER:
        if (answer->length > 10)
            set_partial(answer, answer->start + 10, end);
        break;
    case RANGE_TOTAL:
        answer->total += 1000;
        break;
    case RANGE_ETAG:
        answer->other_etag = true;
        break;
    case RANGE_NO_HEADER:
        answer->content_range = false;
        break;
    case RANGE_MULTIPART:
        answer->multipart = true;
        break;
    }
}

static void decide_range(struct answer *answer, const struct script *script,
                         const struct request *request)
{
    const char *range = request_field(request, "Range");
    int64_t first;
    int64_t end;

    if (range == NULL && script->unasked206 >= 0 &&
        script->unasked206 < script->size) {
        set_partial(answer, script->unasked206, script->size);
        return;
    }
    if (range == NULL || script->norange)
        return;
    if (script->always416) {
        set_unsatisfiable(answer);
        return;
    }
    if (!if_range_holds(answer, script, request) ||
        !read_range(range, script->size, &first, &end))
        return;
    if (first >= script->size) {
        set_unsatisfiable(answer);
        return;
    }
    if (script->shortrange > 0 && end - first > script->shortrange)
        end = first + script->shortrange;
    if (end <= first)
        return;
    set_partial(answer, first, end);
    spoil_range(answer, script->range_fault);
}

/* The answer when nothing odd is asked for. */
static void set_defaults(struct answer *answer, const struct script *script,
                         long count)
{
    bool is_new =
        script->newafter.data != NULL && count > script->newafter_count;
    struct text seed = is_new ? script->newafter : script->seed;

    *answer = (struct answer){
        .has_body = true,
        .hash = body_hash(seed.data, seed.len),
        .length = script->size,
        .total = script->size,
        .etag = is_new ? script->newafter.data : script->etag,
        .note = "",
        .end = script->end,
        .end_after = script->end_after,
    };
    set_status(answer, script->status != NULL ? script->status : "200");
}

/* 1xx, 204 and 304 have no body, unless the script asks for that fault. */
static bool status_has_body(const char *status)
{
    return status[0] != '1' && strcmp(status, "204") != 0 &&
           strcmp(status, "304") != 0;
}

void answer_init(struct answer *answer, const struct script *script,
                 const struct request *request, long count, bool place)
{
    if (script->bad) {
        *answer = (struct answer){.has_body = true};
        (void)decide_refusal(answer, script, request, place); /* it refuses */
        return;
    }
    set_defaults(answer, script, count);
    if (!status_has_body(answer->status) && !script->size_set)
        answer->has_body = false;
    if (!decide_refusal(answer, script, request, place) &&
        !decide_failure(answer, script, count) &&
        !decide_redirect(answer, script, request) && script->status == NULL &&
        !decide_condition(answer, script, request))
        decide_range(answer, script, request);
    if (script->reason != NULL && !answer->sound)
        answer->reason = script->reason;
    if (strcmp(request->method, "HEAD") == 0 && answer->end != END_NORMAL &&
        answer->end_after >= 0)
        answer->end = END_NORMAL; /* there is no body to end in */
}

void answer_fini(struct answer *answer)
{
    free(answer->location);
}
