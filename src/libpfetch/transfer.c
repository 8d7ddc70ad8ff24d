/* transfer.c - one attempt to fetch one URL, by libcurl.
 *
 * SPDX-License-Identifier: MIT
 *
 * Each worker has one easy handle for its life.  What does not change is set
 * once, in setup(); what belongs to a URL is set in prepare() and, where it
 * is often the same, only when it differs.
 *
 * libcurl is given the small jobs only: one hop (redirects are judged by
 * verdict.c and go through the URL queue), no retries, no low-speed check
 * (it averages, and it counts the time in which this side does not read).
 * Stalls are measured here: from the moment the request is sent, the time
 * since the last byte of header or body, less the time spent waiting for a
 * block.  Until then CURLOPT_CONNECTTIMEOUT_MS limits name resolution,
 * connection and TLS together.
 *
 * A transfer is aborted from libcurl's progress callback, which comes with
 * each event and at least once a second: on stop, when the handler has given
 * the job up, and when the transfer has stalled.
 *
 * Bodies of answers that cannot be accepted (404, redirects) are read and
 * dropped as long as they are small and come soon, so that the connection can
 * be kept.  How such a body ends makes no difference to the verdict.
 */
#include "config.h"

#include "transfer.h"

#include "body.h"
#include "conncache.h"
#include "date.h"
#include "limiter.h"
#include "trust.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* Of a body that will not be stored, this much is read to keep the
 * connection; a longer one closes it. */
enum { DROP_BODY_MAX_BYTES = 64 * 1024 };

/* libcurl's receive buffer: large enough for one block, as long as all
 * workers together stay modest. */
enum {
    BUFFER_MIN_BYTES = 16 * 1024,
    BUFFER_MAX_BYTES = 256 * 1024,
    BUFFERS_ALL_BYTES = 8 * 1024 * 1024
};

struct pf_transfer {
    const struct pf_transfer_context *context;
    struct pf_body *body;
    CURL *easy;
    struct curl_slist *headers;       /* options->headers */
    struct curl_slist *bearer;        /* the same and options->bearer; NULL:
                                       * there is none */
    struct curl_slist *resolve;       /* options->resolve */
    const struct curl_slist *headers_set; /* what the handle has now */
    const char *user_set;             /* whose name it has now; compared as a
                                       * pointer, never read */
    char errbuf[CURL_ERROR_SIZE];

    /* Of the attempt going on. */
    struct pfetch_job *job;
    struct pf_attempt *attempt;
    int64_t last_byte_ms;  /* 0: not connected yet */
    int64_t dropped_bytes;
    bool is_judged;        /* the header was complete and looked at */
    bool is_acceptable;
    bool is_enough;        /* aborted by us although nothing is wrong */
    bool has_unread;       /* bytes behind the body were read already */
    bool has_new_cookies;  /* some server has set one; of all attempts */
};

/* --- callbacks ------------------------------------------------------------- */

static void fail(struct pf_transfer *t, enum pfetch_class cls, bool transient,
                 const char *text)
{
    pfetch_failure_set(&t->attempt->why, cls, "%s", text);
    t->attempt->transient = transient;
}

static void fail_place(struct pf_transfer *t, const char *text)
{
    fail(t, PFETCH_CLASS_LOCAL, false, text);
    t->attempt->is_place = true;
}

/* The connection is there, the request is about to be sent. */
static int on_request(void *data, char *remote_ip, char *local_ip,
                      int remote_port, int local_port)
{
    struct pf_transfer *t = data;

    (void)local_ip;
    (void)remote_port;
    (void)local_port;
    (void)snprintf(t->attempt->remote_ip, sizeof(t->attempt->remote_ip), "%s",
                   remote_ip);
    t->last_byte_ms = pf_now_ms();
    return CURL_PREREQFUNC_OK;
}

static void fail_stalled(struct pf_transfer *t)
{
    const struct pf_response *r = t->attempt->response;
    int64_t length = pf_response_body_length(r);
    int64_t ms = t->context->options->stall_timeout_ms;

    t->attempt->transient = true;
    if (!r->is_complete)
        pfetch_failure_set(&t->attempt->why, PFETCH_CLASS_TIMEOUT,
                           "no answer for %" PRId64 ".%" PRId64 " s",
                           ms / 1000, ms % 1000 / 100);
    else if (length >= 0)
        pfetch_failure_set(&t->attempt->why, PFETCH_CLASS_TIMEOUT,
                           "no byte for %" PRId64 ".%" PRId64 " s after %"
                           PRId64 " of %" PRId64 " bytes", ms / 1000,
                           ms % 1000 / 100, t->attempt->body_bytes, length);
    else
        pfetch_failure_set(&t->attempt->why, PFETCH_CLASS_TIMEOUT,
                           "no byte for %" PRId64 ".%" PRId64 " s after %"
                           PRId64 " bytes", ms / 1000, ms % 1000 / 100,
                           t->attempt->body_bytes);
}

/* The answer has come, and its body will not be stored: an error page, a
 * redirect. */
static bool is_refused(const struct pf_transfer *t)
{
    const struct pf_response *r = t->attempt->response;

    return r->is_complete && r->status >= 200
           && !pf_is_acceptable(t->attempt);
}

static bool is_unwanted(struct pf_transfer *t)
{
    if (!atomic_load_explicit(&t->job->is_cancelled, memory_order_relaxed)
        && !pf_stop_is_abort(t->context->stop))
        return false;
    t->attempt->is_stopped = true;
    fail(t, PFETCH_CLASS_STOPPED, false, "the transfer was stopped");
    return true;
}

/* The time for the whole URL is over, waits for the handler not counted. */
static bool is_late(struct pf_transfer *t)
{
    int64_t deadline_us = t->job->deadline_us;

    if (deadline_us == PF_NEVER
        || pf_now_us() < deadline_us + t->body->waited_us)
        return false;
    fail(t, PFETCH_CLASS_TIMEOUT, false, "not done within its time");
    return true;
}

static int on_progress(void *data, curl_off_t down_total, curl_off_t down,
                       curl_off_t up_total, curl_off_t up)
{
    struct pf_transfer *t = data;
    int64_t stall_ms = t->context->options->stall_timeout_ms;

    (void)down_total;
    (void)down;
    (void)up_total;
    (void)up;
    if (is_unwanted(t) || is_late(t))
        return 1;
    if (stall_ms > 0 && t->last_byte_ms > 0
        && pf_now_ms() - t->last_byte_ms >= stall_ms) {
        if (is_refused(t))
            t->is_enough = true;
        else
            fail_stalled(t);
        return 1;
    }
    return 0;
}

/* With verbose messages only, which a handler has to ask for. */
static int on_debug(CURL *easy, curl_infotype type, char *data, size_t size,
                    void *user)
{
    struct pf_transfer *t = user;
    struct pf_response *r = t->attempt == NULL ? NULL : t->attempt->response;

    (void)easy;
    if (type == CURLINFO_HEADER_OUT && r != NULL
        && pf_exchange_request(r->exchange, data, size) != 0)
        fail_place(t, "out of memory");
    return 0;
}

static size_t on_header(char *line, size_t size, size_t n, void *data)
{
    struct pf_transfer *t = data;
    struct pf_response *r = t->attempt->response;

    size *= n;
    t->last_byte_ms = pf_now_ms();
    if (r->header_bytes + size > PF_HEADER_MAX_BYTES) {
        fail(t, PFETCH_CLASS_TOO_LARGE, false,
             "the header of the answer does not end");
        return 0;
    }
    if (size > 11 && strncasecmp(line, "Set-Cookie:", 11) == 0)
        t->has_new_cookies = true;
    if (pf_response_header(r, line, size) != 0) {
        fail_place(t, "out of memory");
        return 0;
    }
    /* Nothing is wanted of a body whose framing is odd, and libcurl may wait
     * for its end as long as the connection stands. */
    if (r->is_complete && r->status >= 200 && r->bad != NULL) {
        t->is_enough = true;
        return 0;
    }
    return size;
}

/* The header is complete and a body begins (or the transfer has ended). */
static void look_at_header(struct pf_transfer *t)
{
    struct pf_attempt *a = t->attempt;
    struct pf_response *r = a->response;

    t->is_judged = true;
    t->is_acceptable = pf_is_acceptable(a);
    if (!t->is_acceptable)
        return;
    r->is_decoded = t->context->options->compressed && r->is_encoded;
    r->last_modified_unix = r->last_modified == NULL
                                ? -1 : pf_date(r->last_modified);
    if (r->exchange != NULL)
        pf_exchange_mask(r->exchange);
    pf_body_begin(t->body, t->job, r, pf_body_offset(a));
}

static bool is_too_large(const struct pf_transfer *t, int64_t more)
{
    const struct pf_attempt *a = t->attempt;
    int64_t max = t->context->options->max_size_bytes;

    return max > 0
           && (pf_whole_length(a) > max
               || pf_body_offset(a) + a->body_bytes + more > max);
}

/* Waits for the bytes' turn; false: it does not come. */
static bool admit(struct pf_transfer *t, size_t size)
{
    int64_t deadline_us = t->job->deadline_us;

    if (deadline_us != PF_NEVER)
        deadline_us += t->body->waited_us;
    return pf_limiter_admit(t->context->limiter, size, deadline_us);
}

static size_t write_body(struct pf_transfer *t, const char *data, size_t size)
{
    char text[80];

    if (is_too_large(t, (int64_t)size)) {
        (void)snprintf(text, sizeof(text),
                       "the body is longer than %" PRId64 " bytes",
                       t->context->options->max_size_bytes);
        fail(t, PFETCH_CLASS_TOO_LARGE, false, text);
        return 0;
    }
    if (!pf_may_fit(t->attempt, (int64_t)size))
        return 0;
    if (!admit(t, size) && is_late(t))
        return 0;
    switch (is_unwanted(t) ? PF_BODY_ABORTED
                           : pf_body_write(t->body, data, size)) {
    case PF_BODY_OK:
        break;
    case PF_BODY_ABORTED:
        t->attempt->is_stopped = true;
        fail(t, PFETCH_CLASS_STOPPED, false, "the transfer was stopped");
        return 0;
    case PF_BODY_NO_MEMORY:
        fail_place(t, "out of memory");
        return 0;
    }
    t->attempt->body_bytes += (int64_t)size;
    pf_stat_add(&t->context->stats->body_bytes, size);
    return size;
}

/* A refused body.  Its bytes are no sign of life: all of it may take one
 * stall time, however slowly it drips. */
static size_t drop_body(struct pf_transfer *t, size_t size)
{
    t->dropped_bytes += (int64_t)size;
    if (t->dropped_bytes > DROP_BODY_MAX_BYTES) {
        t->is_enough = true;
        return 0;
    }
    return size;
}

/* libcurl asks the TLS library for the bytes of the body only.  What else was
 * in the last record, where no poll() sees it, would begin the next answer. */
static void look_behind_body(struct pf_transfer *t)
{
    int64_t length = pf_response_body_length(t->attempt->response);

    if (t->job->url->tls && length >= 0 && !t->attempt->response->is_decoded
        && t->attempt->body_bytes + t->dropped_bytes >= length)
        t->has_unread = pf_trust_has_unread(t->context->trust, t->easy);
}

static size_t on_body(char *data, size_t size, size_t n, void *user)
{
    struct pf_transfer *t = user;

    size *= n;
    if (!t->is_judged)
        look_at_header(t);
    if (t->is_acceptable) {
        size = write_body(t, data, size);
        /* Waiting for a block was this side's time, not the server's. */
        t->last_byte_ms = pf_now_ms();
    } else {
        size = drop_body(t, size);
    }
    look_behind_body(t);
    return size;
}

/* --- the handle ------------------------------------------------------------ */

static long buffer_bytes(unsigned workers)
{
    long bytes = BUFFERS_ALL_BYTES / (long)workers;

    if (bytes < BUFFER_MIN_BYTES)
        return BUFFER_MIN_BYTES;
    return bytes > BUFFER_MAX_BYTES ? BUFFER_MAX_BYTES : bytes;
}

/* libcurl takes a long, which has 32 bits here and there. */
static long timeout_ms(int64_t ms)
{
    return ms > LONG_MAX ? LONG_MAX : (long)ms;
}

#define SET(option, value)                                      \
    do {                                                        \
        if (curl_easy_setopt(easy, option, value) != CURLE_OK)  \
            return PFETCH_ECURL;                                \
    } while (0)

static int set_callbacks(struct pf_transfer *t, CURL *easy)
{
    SET(CURLOPT_ERRORBUFFER, t->errbuf);
    SET(CURLOPT_NOPROGRESS, 0L);
    SET(CURLOPT_XFERINFOFUNCTION, on_progress);
    SET(CURLOPT_XFERINFODATA, t);
    SET(CURLOPT_PREREQFUNCTION, on_request);
    SET(CURLOPT_PREREQDATA, t);
    SET(CURLOPT_HEADERFUNCTION, on_header);
    SET(CURLOPT_HEADERDATA, t);
    SET(CURLOPT_WRITEFUNCTION, on_body);
    SET(CURLOPT_WRITEDATA, t);
    if (t->context->keeps_exchange) {
        SET(CURLOPT_DEBUGFUNCTION, on_debug);
        SET(CURLOPT_DEBUGDATA, t);
        SET(CURLOPT_VERBOSE, 1L);
    }
    return 0;
}

static int set_network(struct pf_transfer *t, CURL *easy)
{
    const struct pfetch_options *o = t->context->options;
    const char *proxy = o->proxy, *noproxy = o->noproxy;

    /* What a proxy connects to cannot be seen here. */
    if (o->deny_private)
        proxy = "";
    if (proxy != NULL) {
        SET(CURLOPT_PROXY, proxy);
        SET(CURLOPT_NOPROXY, noproxy == NULL ? "" : noproxy);
    } else if (noproxy != NULL) {
        SET(CURLOPT_NOPROXY, noproxy);
    }
    if (o->ip_version != 0)
        SET(CURLOPT_IPRESOLVE, o->ip_version == 4 ? (long)CURL_IPRESOLVE_V4
                                                  : (long)CURL_IPRESOLVE_V6);
    if (o->interface != NULL)
        SET(CURLOPT_INTERFACE, o->interface);
    if (t->resolve != NULL)
        SET(CURLOPT_RESOLVE, t->resolve);
    return 0;
}

static int set_identity(struct pf_transfer *t, CURL *easy)
{
    static const long versions[] = {
        CURL_SSLVERSION_TLSv1_0, CURL_SSLVERSION_TLSv1_1,
        CURL_SSLVERSION_TLSv1_2, CURL_SSLVERSION_TLSv1_3,
    };
    const struct pfetch_options *o = t->context->options;

    SET(CURLOPT_SSLVERSION, versions[o->tls_min - 10]);
    if (o->cert != NULL)
        SET(CURLOPT_SSLCERT, o->cert);
    if (o->key != NULL)
        SET(CURLOPT_SSLKEY, o->key);
    if (o->netrc) {
        SET(CURLOPT_NETRC, (long)CURL_NETRC_OPTIONAL);
        if (o->netrc_file != NULL)
            SET(CURLOPT_NETRC_FILE, o->netrc_file);
    }
    if (o->cookie_file != NULL)
        SET(CURLOPT_COOKIEFILE, o->cookie_file);
    return 0;
}

/* Everything that stays the same for the life of the handle. */
static int setup(struct pf_transfer *t, CURL *easy)
{
    const struct pfetch_options *o = t->context->options;

    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_QUICK_EXIT, 1L);
    SET(CURLOPT_DNS_CACHE_TIMEOUT, 0L);
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    if (o->compressed)
        SET(CURLOPT_ACCEPT_ENCODING, ""); /* all that libcurl can unpack */
    else
        SET(CURLOPT_HTTP_CONTENT_DECODING, 0L);
    SET(CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
    SET(CURLOPT_TCP_KEEPALIVE, 1L);
    SET(CURLOPT_CONNECTTIMEOUT_MS, timeout_ms(o->connect_timeout_ms));
    SET(CURLOPT_BUFFERSIZE, buffer_bytes(o->workers));
    SET(CURLOPT_USERAGENT, o->user_agent);
    if (o->referer != NULL)
        SET(CURLOPT_REFERER, o->referer);
    SET(CURLOPT_NOBODY, o->head ? 1L : 0L);
    SET(CURLOPT_HTTP_VERSION,
        o->http_version == 2 ? (long)CURL_HTTP_VERSION_2TLS
                             : (long)CURL_HTTP_VERSION_1_1);
    if (set_network(t, easy) != 0 || set_identity(t, easy) != 0
        || set_callbacks(t, easy) != 0)
        return PFETCH_ECURL;
    return pf_trust_setup(t->context->trust, easy);
}

static int append(struct curl_slist **list, const char *text)
{
    struct curl_slist *longer = curl_slist_append(*list, text);

    if (longer == NULL)
        return PFETCH_ENOMEM;
    *list = longer;
    return 0;
}

static int append_all(struct curl_slist **list, const char *const *texts)
{
    int error = 0;

    for (; texts != NULL && *texts != NULL && error == 0; texts++)
        error = append(list, *texts);
    return error;
}

static int append_bearer(struct curl_slist **list, const char *token)
{
    static const char name[] = "Authorization: Bearer ";
    size_t size = sizeof(name) + strlen(token);
    char *text = malloc(size);
    int error;

    if (text == NULL)
        return PFETCH_ENOMEM;
    (void)snprintf(text, size, "%s%s", name, token);
    error = append(list, text);
    free(text);
    return error;
}

static int copy_lists(struct pf_transfer *t)
{
    const struct pfetch_options *o = t->context->options;
    int error = append_all(&t->headers, o->headers);

    if (error == 0 && o->bearer != NULL)
        error = append_all(&t->bearer, o->headers);
    if (error == 0 && o->bearer != NULL)
        error = append_bearer(&t->bearer, o->bearer);
    return error != 0 ? error : append_all(&t->resolve, o->resolve);
}

struct pf_transfer *pf_transfer_create(
    const struct pf_transfer_context *context, struct pf_body *body)
{
    struct pf_transfer *t = calloc(1, sizeof(*t));

    if (t == NULL)
        return NULL;
    t->context = context;
    t->body = body;
    t->easy = curl_easy_init();
    if (t->easy == NULL || copy_lists(t) != 0 || setup(t, t->easy) != 0) {
        pf_transfer_free(t);
        return NULL;
    }
    return t;
}

void pf_transfer_free(struct pf_transfer *t)
{
    if (t == NULL)
        return;
    curl_easy_cleanup(t->easy);
    curl_slist_free_all(t->headers);
    curl_slist_free_all(t->bearer);
    curl_slist_free_all(t->resolve);
    free(t);
}

/* --- one attempt ----------------------------------------------------------- */

/* What --host says of the user name for this host; NULL: nothing. */
static const struct pfetch_host_options *find_host_user(
    const struct pfetch_options *o, const char *name)
{
    for (size_t i = o->host_count; i > 0; i--)
        if (o->hosts[i - 1].username != NULL
            && strcasecmp(o->hosts[i - 1].name, name) == 0)
            return &o->hosts[i - 1];
    return NULL;
}

/* Secrets go to the origin they were given for, and to no other: the user
 * part of a URL of the list and the options to the list's origin; what a
 * redirect's URL brings along to nobody.  *own: they are this URL's or this
 * host's own, and a bearer for all is not sent. */
static int set_credentials(struct pf_transfer *t, CURL *easy, bool at_home,
                           bool *own)
{
    const struct pfetch_options *o = t->context->options;
    const struct pfetch_host_options *host =
        at_home && o->host_count > 0 ? find_host_user(o, t->job->home->host)
                                     : NULL;
    const char *user = NULL, *password = NULL;
    bool of_url = false;

    if (at_home && t->job->home->user != NULL) {
        user = t->job->home->user;
        password = t->job->home->password;
        of_url = true;
    } else if (host != NULL) {
        user = host->username;
        password = host->password == NULL ? "" : host->password;
    } else if (at_home) {
        user = o->username;
        password = o->password == NULL ? "" : o->password;
    }
    *own = of_url || host != NULL;
    if (of_url || user != t->user_set) {
        SET(CURLOPT_USERNAME, user);
        SET(CURLOPT_PASSWORD, user == NULL ? NULL : password);
        /* The next URL may lie at the same address. */
        t->user_set = of_url ? t->errbuf : user;
    }
    return 0;
}

static int set_headers(struct pf_transfer *t, CURL *easy,
                       const struct curl_slist *headers)
{
    if (headers != t->headers_set) {
        SET(CURLOPT_HTTPHEADER, headers);
        t->headers_set = headers;
    }
    return 0;
}

/* Connecting may take what is left of the time for the whole URL. */
static long connect_ms(const struct pf_transfer *t)
{
    int64_t ms = t->context->options->connect_timeout_ms;
    int64_t left_ms = (t->job->deadline_us - pf_now_us()) / 1000;

    if (left_ms < ms)
        ms = left_ms;
    return ms < 1 ? 1 : timeout_ms(ms);
}

static int prepare(struct pf_transfer *t, CURL *easy)
{
    const struct pfetch_job *job = t->job;
    bool at_home = job->url == job->home
                   || strcmp(job->url->origin, job->home->origin) == 0;
    bool own;

    SET(CURLOPT_URL, job->url->text);
    if (t->context->options->timeout_ms > 0)
        SET(CURLOPT_CONNECTTIMEOUT_MS, connect_ms(t));
    if (t->has_new_cookies && t->context->options->cookie_file != NULL) {
        /* Those of the file, and no others. */
        SET(CURLOPT_COOKIELIST, "ALL");
        SET(CURLOPT_COOKIELIST, "RELOAD");
        t->has_new_cookies = false;
    }
    if (set_credentials(t, easy, at_home, &own) != 0)
        return PFETCH_ECURL;
    if (!at_home)
        return set_headers(t, easy, NULL);
    return set_headers(t, easy, own || t->bearer == NULL ? t->headers
                                                         : t->bearer);
}

/* A request that depends on something: headers for this one request, in front
 * of those that all have. */
struct condition {
    struct curl_slist if_range, if_changed;
    char *text; /* heap: of if_range */
};

/* Asks for the rest of a body only, if it is still the same body. */
static int prepare_range(struct pf_transfer *t, CURL *easy,
                         struct condition *c)
{
    const struct pfetch_job *job = t->job;
    size_t size = strlen(job->resume_etag) + sizeof("If-Range: ");
    char range[32];

    c->text = malloc(size);
    if (c->text == NULL)
        return PFETCH_ENOMEM;
    (void)snprintf(range, sizeof(range), "%" PRId64 "-", job->resume_offset);
    (void)snprintf(c->text, size, "If-Range: %s", job->resume_etag);
    c->if_range.data = c->text;
    c->if_range.next = (struct curl_slist *)(uintptr_t)t->headers_set;
    SET(CURLOPT_RANGE, range);
    SET(CURLOPT_HTTPHEADER, &c->if_range);
    t->attempt->asked_offset = job->resume_offset;
    t->attempt->asked_total = job->resume_total;
    t->attempt->asked_etag = job->resume_etag;
    return 0;
}

/* Asks for nothing if the file has not changed.  A server looks at that
 * first, then at the range (RFC 9110 section 13.2.2). */
static int prepare_if_changed(struct pf_transfer *t, CURL *easy,
                              struct condition *c)
{
    c->if_changed.data = t->job->if_changed;
    c->if_changed.next = c->text != NULL
                             ? &c->if_range
                             : (struct curl_slist *)(uintptr_t)t->headers_set;
    SET(CURLOPT_HTTPHEADER, &c->if_changed);
    t->attempt->asked_if_changed = true;
    return 0;
}

static int unprepare(struct pf_transfer *t, CURL *easy)
{
    SET(CURLOPT_RANGE, NULL);
    SET(CURLOPT_HTTPHEADER, t->headers_set);
    return 0;
}

static CURLcode perform(struct pf_transfer *t)
{
    struct condition condition = { .text = NULL };
    CURLcode rc = CURLE_OK;

    if (t->job->resume_offset == 0 && t->job->if_changed == NULL)
        return curl_easy_perform(t->easy);
    if ((t->job->resume_offset > 0
         && prepare_range(t, t->easy, &condition) != 0)
        || (t->job->if_changed != NULL
            && prepare_if_changed(t, t->easy, &condition) != 0))
        rc = CURLE_OUT_OF_MEMORY;
    if (rc == CURLE_OK)
        rc = curl_easy_perform(t->easy);
    if (unprepare(t, t->easy) != 0 && rc == CURLE_OK)
        rc = CURLE_OUT_OF_MEMORY;
    free(condition.text);
    return rc;
}

static int64_t info_us(CURL *easy, CURLINFO what)
{
    curl_off_t us = 0;

    if (curl_easy_getinfo(easy, what, &us) != CURLE_OK || us <= 0)
        return -1;
    return us;
}

/* Where a redirect leads to, absolute; NULL: nowhere, or out of memory.
 * (CURLINFO_REDIRECT_URL is not known when a long body was cut short.) */
static char *resolve_location(struct pf_transfer *t)
{
    const unsigned flags = CURLU_URLENCODE | CURLU_NON_SUPPORT_SCHEME;
    struct curl_header *location;
    char *text = NULL, *copy = NULL;
    CURLU *url;

    if (curl_easy_header(t->easy, "Location", 0, CURLH_HEADER, -1, &location)
        != CURLHE_OK)
        return NULL;
    url = curl_url();
    if (url != NULL
        && curl_url_set(url, CURLUPART_URL, t->job->url->text, 0) == CURLUE_OK
        && curl_url_set(url, CURLUPART_URL, location->value, flags)
               == CURLUE_OK
        && curl_url_get(url, CURLUPART_URL, &text, 0) == CURLUE_OK)
        copy = strdup(text);
    else if (url != NULL)
        copy = strdup(location->value); /* url.c says what is wrong with it */
    curl_free(text);
    curl_url_cleanup(url);
    return copy;
}

/* Before the slot is detached: libcurl forgets some of this then. */
static void collect(struct pf_transfer *t)
{
    struct pf_attempt *a = t->attempt;
    CURL *easy = t->easy;
    long opened = 0;

    a->dns_us = info_us(easy, CURLINFO_NAMELOOKUP_TIME_T);
    a->connect_us = info_us(easy, CURLINFO_CONNECT_TIME_T);
    a->tls_us = info_us(easy, CURLINFO_APPCONNECT_TIME_T);
    a->first_byte_us = info_us(easy, CURLINFO_STARTTRANSFER_TIME_T);
    if (curl_easy_getinfo(easy, CURLINFO_NUM_CONNECTS, &opened) == CURLE_OK) {
        a->reused = opened == 0 && t->last_byte_ms > 0;
        pf_stat_add(&t->context->stats->connections_opened, (uint64_t)opened);
        if (a->reused)
            pf_stat_add(&t->context->stats->connections_reused, 1);
    }
    if (a->response->status >= 300 && a->response->status < 400)
        a->redirect_url = resolve_location(t);
}

/* How far connecting came; libcurl's own timeout covers nothing else.  It
 * notes the time of the connection only when TLS is there, too. */
static enum pfetch_class phase(const struct pf_transfer *t)
{
    const char *proxy = t->context->options->proxy;

    if (proxy != NULL && *proxy != '\0')
        return PFETCH_CLASS_PROXY;
    if (t->attempt->dns_us < 0)
        return PFETCH_CLASS_DNS;
    if (!t->job->url->tls
        || (t->attempt->connect_us < 0
            && strstr(t->errbuf, "SSL connection") == NULL))
        return PFETCH_CLASS_CONNECT;
    return PFETCH_CLASS_TLS;
}

/* The connection ended before the answer did. */
static void fail_cut(struct pf_transfer *t, const char *how)
{
    struct pf_attempt *a = t->attempt;
    int64_t length = pf_response_body_length(a->response);

    a->transient = true;
    if (!a->response->is_complete)
        pfetch_failure_set(&a->why, PFETCH_CLASS_SHORT,
                           "%s before the answer was complete", how);
    else if (length >= 0)
        pfetch_failure_set(&a->why, PFETCH_CLASS_SHORT,
                           "%s after %" PRId64 " of %" PRId64 " bytes", how,
                           a->body_bytes, length);
    else
        pfetch_failure_set(&a->why, PFETCH_CLASS_SHORT,
                           "%s after %" PRId64 " bytes, before the end", how,
                           a->body_bytes);
}

static bool is_shortage(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOBUFS
           || error == ENOMEM;
}

/* The resolver does not tell a name it could not ask for from one that is not
 * there.  So see whether there is a descriptor for a socket. */
static int find_shortage(void)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return is_shortage(errno) ? errno : 0;
    (void)close(fd); /* never used */
    return 0;
}

static void fail_short_of(struct pf_transfer *t, const char *text)
{
    fail(t, PFETCH_CLASS_LOCAL, true, text);
    t->attempt->is_short_of = true;
}

static void classify_unresolved(struct pf_transfer *t, const char *text)
{
    int error;

    if (strstr(text, "thread") != NULL)
        fail_short_of(t, "no thread could be started to resolve a name");
    else if ((error = find_shortage()) != 0)
        fail_short_of(t, strerror(error));
    else
        fail(t, PFETCH_CLASS_DNS, true, text);
}

/* A handshake that was cut off may work the next time; one that the TLS
 * library refused (OpenSSL says "error:...:SSL routines::...") will not. */
static bool is_handshake_cut(const char *text)
{
    return strstr(text, "routines") == NULL
           || strstr(text, "unexpected eof") != NULL;
}

/* While sending or receiving. */
static void classify_broken(struct pf_transfer *t, const char *text)
{
    long os_errno = 0;

    (void)curl_easy_getinfo(t->easy, CURLINFO_OS_ERRNO, &os_errno);
    if (strstr(text, "CONNECT") != NULL) /* a refusal says its status */
        fail(t, PFETCH_CLASS_PROXY, strstr(text, "aborted") != NULL, text);
    else if (strstr(text, "chunk") != NULL)
        fail(t, PFETCH_CLASS_PROTOCOL, false, text);
    else
        fail_cut(t, os_errno == ECONNRESET ? "the connection was reset"
                                           : "the connection broke");
}

static void classify_no_memory(struct pf_transfer *t)
{
    /* libcurl 7.88 says this, too, of a header line over 100 KB. */
    if (t->last_byte_ms > 0 && !t->attempt->response->is_complete)
        fail(t, PFETCH_CLASS_TOO_LARGE, false,
             "a line of the answer's header is too long");
    else
        fail_place(t, "out of memory");
}

/* connect(2) says EADDRNOTAVAIL when all local ports are in use.  (For ::1, also
 * where there is no IPv6.) */
static bool is_without_port(const struct pf_transfer *t,
                            const struct pf_slot *slot)
{
    long error = 0;

    return !slot->has_ipv6
           && curl_easy_getinfo(t->easy, CURLINFO_OS_ERRNO, &error)
                  == CURLE_OK
           && error == EADDRNOTAVAIL;
}

/* What a server sends behind an answer may arrive when its connection was
 * leased again, and then comes before the next answer.  Which bytes those are
 * cannot be known, but what does not even look like HTTP on a kept connection
 * says nothing about the request. */
static bool is_stray(const struct pf_transfer *t)
{
    return t->attempt->reused && t->attempt->response->status == 0;
}

/* What libcurl's codes mean here.  The texts are libcurl's own where they say
 * more than ours could. */
static void classify(struct pf_transfer *t, CURLcode rc,
                     const struct pf_slot *slot)
{
    const char *text = t->errbuf[0] != '\0' ? t->errbuf
                                            : curl_easy_strerror(rc);

    /* libcurl quotes a proxy it cannot use, password included. */
    if (strchr(text, '@') != NULL)
        text = curl_easy_strerror(rc);
    switch (rc) {
    case CURLE_COULDNT_RESOLVE_PROXY:
        fail(t, PFETCH_CLASS_PROXY, true, text);
        break;
    case CURLE_PROXY:
        fail(t, PFETCH_CLASS_PROXY, false, text);
        break;
    case CURLE_COULDNT_RESOLVE_HOST:
        classify_unresolved(t, text);
        break;
    case CURLE_COULDNT_CONNECT:
        if (is_shortage(slot->local_errno))
            fail_short_of(t, strerror(slot->local_errno));
        else if (is_without_port(t, slot))
            fail(t, PFETCH_CLASS_LOCAL, true,
                 "no local port is free for another connection");
        else if (slot->is_denied)
            fail(t, PFETCH_CLASS_CONNECT, false,
                 "the address is not public, and such are denied");
        else
            fail(t, phase(t), true, text);
        break;
    case CURLE_OPERATION_TIMEDOUT:
        fail(t, phase(t), true, text);
        break;
    case CURLE_SSL_CONNECT_ERROR:
        fail(t, PFETCH_CLASS_TLS, is_handshake_cut(text), text);
        break;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_INVALIDCERTSTATUS:
    case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
    case CURLE_SSL_CLIENTCERT:
        fail(t, PFETCH_CLASS_TLS, false, text);
        break;
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CRL_BADFILE:
    case CURLE_SSL_ENGINE_NOTFOUND:
    case CURLE_SSL_ENGINE_SETFAILED:
    case CURLE_INTERFACE_FAILED:
    case CURLE_FAILED_INIT:
        fail_place(t, text);
        break;
    case CURLE_PARTIAL_FILE:
    case CURLE_GOT_NOTHING:
        fail_cut(t, "the connection was closed");
        break;
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
        classify_broken(t, text);
        break;
    case CURLE_BAD_CONTENT_ENCODING:
        fail(t, PFETCH_CLASS_PROTOCOL, false, text);
        break;
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
        fail(t, PFETCH_CLASS_PROTOCOL, true, text);
        break;
    case CURLE_OUT_OF_MEMORY:
        classify_no_memory(t);
        break;
    case CURLE_UNSUPPORTED_PROTOCOL: /* it says so of HTTP/0.9 */
    case CURLE_WEIRD_SERVER_REPLY:
        fail(t, PFETCH_CLASS_PROTOCOL, is_stray(t), text);
        break;
    default:
        fail(t, PFETCH_CLASS_PROTOCOL, false, text);
        break;
    }
}

static void begin_attempt(struct pf_transfer *t, struct pfetch_job *job,
                          struct pf_attempt *attempt)
{
    *attempt = (struct pf_attempt){ .asked_total = -1, .wanted_bytes = -1,
                                    .dns_us = -1, .connect_us = -1,
                                    .tls_us = -1, .first_byte_us = -1 };
    if (job->request.has_size)
        attempt->wanted_bytes = job->request.size_bytes;
    attempt->require_length = t->context->options->require_length;
    attempt->response = pf_response_create();
    attempt->is_head = t->context->options->head;
    t->job = job;
    t->attempt = attempt;
    t->last_byte_ms = 0;
    t->dropped_bytes = 0;
    t->is_judged = t->is_acceptable = t->is_enough = t->has_unread = false;
    t->errbuf[0] = '\0';
}

/* The same for plain http through a proxy that all hosts use: the connection
 * is the proxy's.  With exceptions (noproxy) it depends on the host. */
static const char *connection_key(const struct pf_transfer *t)
{
    const struct pfetch_options *o = t->context->options;

    if (o->proxy != NULL && *o->proxy != '\0' && o->noproxy == NULL
        && !t->job->url->tls)
        return o->proxy;
    return t->job->url->origin;
}

/* What libcurl's answer means, where nothing of ours has said it yet. */
static void conclude(struct pf_transfer *t, CURLcode rc,
                     const struct pf_slot *slot)
{
    struct pf_attempt *a = t->attempt;

    if (a->why.cls != PFETCH_CLASS_NONE)
        return;
    /* Framing that was odd is the reason for whatever followed it. */
    if (rc != CURLE_OK && !t->is_enough && !is_refused(t)
        && a->response->bad == NULL)
        classify(t, rc, slot);
    /* libcurl 7.88 is content with a header that breaks off. */
    else if (rc == CURLE_OK && a->response->status != 0
             && !a->response->is_complete)
        fail_cut(t, "the connection was closed");
    else if (t->is_acceptable && !a->is_head && is_too_large(t, 0))
        (void)write_body(t, "", 0); /* says so */
}

/* Whether nothing of this answer can be left on the connection. */
static bool is_clean(const struct pf_transfer *t)
{
    const struct pf_response *r = t->attempt->response;

    return r->is_complete && r->bad == NULL && !t->has_unread
           && !(r->chunked && r->length >= 0);
}

static void perform_leased(struct pf_transfer *t, struct pf_slot *slot)
{
    bool keep = false;
    CURLcode rc;

    if (pf_slot_attach(slot, t->easy) != 0 || prepare(t, t->easy) != 0) {
        fail_place(t, "out of memory");
    } else {
        rc = perform(t);
        collect(t);
        if (rc == CURLE_OK && !t->is_judged)
            look_at_header(t);
        conclude(t, rc, slot);
        keep = rc == CURLE_OK && is_clean(t);
    }
    pf_slot_detach(t->easy);
    pf_conncache_give(t->context->conncache, slot, keep);
}

void pf_transfer_perform(struct pf_transfer *t, struct pfetch_job *job,
                         struct pf_attempt *attempt)
{
    struct pf_slot *slot;

    begin_attempt(t, job, attempt);
    if (attempt->response == NULL
        || (t->context->keeps_exchange
            && (attempt->response->exchange
                    = pf_exchange_create(pf_wall_ms())) == NULL)) {
        fail_place(t, "out of memory");
        return;
    }
    if (job->url->tls && pf_trust_load(t->context->trust, &attempt->why) != 0) {
        attempt->is_place = true;
        return;
    }
    slot = pf_conncache_lease(t->context->conncache, connection_key(t));
    if (slot == NULL) {
        fail_place(t, "out of memory");
        return;
    }
    perform_leased(t, slot);
}

void pf_attempt_fini(struct pf_attempt *attempt)
{
    pf_response_unref(attempt->response);
    free(attempt->redirect_url);
    attempt->response = NULL;
    attempt->redirect_url = NULL;
}

int64_t pf_retry_after_ms(const char *value)
{
    char *end;
    long long s;
    time_t date;

    if (value == NULL)
        return -1;
    if (*value >= '0' && *value <= '9') {
        errno = 0;
        s = strtoll(value, &end, 10);
        if (*end != '\0')
            return -1;
        return errno != 0 || s > INT64_MAX / 1000 ? INT64_MAX : s * 1000;
    }
    date = pf_date(value);
    if (date == -1)
        return -1;
    date -= time(NULL);
    if (date > INT64_MAX / 1000)
        return INT64_MAX;
    return date < 0 ? 0 : (int64_t)date * 1000;
}
