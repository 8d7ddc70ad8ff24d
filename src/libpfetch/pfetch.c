/* pfetch.c - the downloader: what starts the threads, and ends them.
 *
 * SPDX-License-Identifier: MIT
 *
 *     pfetch_add()          any thread, one at a time (the "turn")
 *         | a place is reserved, then plan()
 *         v
 *     URL queue  <------+   urlqueue.c, host.c
 *         | pop         | redirect, retry
 *         v             |
 *     N workers  -------+   worker.c: transfer.c (libcurl), verdict.c,
 *         |                 conncache.c, trust.c, body.c
 *         | blocks, verdicts
 *         v
 *     result queue          resultqueue.c, bounded by block.c
 *         | pop all
 *         v
 *     one writer            writer.c: begin, take, end, done; on_record
 *
 * Finish: the URL queue is closed, the workers drain it and end; what a stop
 * left in it goes to the result queue; that is closed, the writer drains it,
 * calls done() and ends.  Stop: the URL queue gives out no more jobs, and the
 * stop word (stop.h) makes transfers and waits for blocks end; then all goes
 * on as in finish.
 *
 * Nobody holds two locks, and nobody holds one across libcurl, a handler or
 * I/O.
 */
#include "config.h"

#include "pfetch.h"

#include "block.h"
#include "checksum.h"
#include "conncache.h"
#include "limiter.h"
#include "resultqueue.h"
#include "stats.h"
#include "stop.h"
#include "transfer.h"
#include "trust.h"
#include "url.h"
#include "urlqueue.h"
#include "worker.h"
#include "writer.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    WORKERS_MAX = 1024,
    IDLE_MAX = 65536,
    REDIRS_MAX = 1000,
    RETRIES_MAX = 1000,
    /* 429 and 503 ask for patience (RFC 6585 section 4, RFC 9110 section
     * 15.6.4): their delays start here. */
    SLOW_DOWN_MS = 5000,
    CURL_VERSION_MIN = 0x075800 /* 7.88.0 */
};

/* A rate has one start in 11 days at least, and one in a microsecond. */
#define RATE_MIN 1e-6
#define RATE_MAX 1e6

/* libcurl gives up kept connections after this long itself
 * (CURLOPT_MAXAGE_CONN(3)). */
#define IDLE_AGE_MS INT64_C(118000)
/* Jobs in flight in order, so that a slow one does not leave all workers
 * without work at once. */
enum { WINDOW_MIN = 256, WINDOW_PER_WORKER = 4 };

#define DURATION_MAX_MS (INT64_C(1000) * 86400 * 365)

struct pfetch {
    struct pfetch_options options; /* strings are own copies; read-only */
    struct pf_stop stop;
    struct pf_stats stats;
    struct pf_urlqueue urls;
    struct pf_resultqueue results;
    struct pf_block_pool pool;
    struct pf_conncache conncache;
    struct pf_trust trust;
    struct pf_limiter limiter;
    struct pf_checksum_methods methods;
    struct pf_transfer_context transfer_context;
    struct pf_worker_context worker_context;
    struct pf_worker *workers;     /* options.workers of them */
    unsigned worker_count;         /* started */
    struct pf_writer writer;
    bool is_finished;              /* by the thread that finishes */

    pthread_mutex_t lock;          /* guards the rest */
    pthread_cond_t turn_free;      /* signalled when has_turn becomes false,
                                    * broadcast when is_closed is set */
    uint64_t next_seq;             /* jobs taken in; who has the turn uses it
                                    * without the lock */
    bool has_turn;                 /* a thread is adding */
    bool is_closed;                /* finish has begun: nobody adds any more */
    bool is_stopped;               /* pfetch_stop() was called */
    bool is_broken;                /* the place is unusable; why says how */
    struct pfetch_failure why;     /* the first reason */
};

/* --- options --------------------------------------------------------------- */

static void set_defaults(struct pfetch_options *options)
{
    *options = (struct pfetch_options){
        .size = sizeof(*options),
        .workers = 16,
        .max_idle = 1024,
        .queue_jobs = 32768,
        .queue_bytes = (size_t)16 << 20,
        .pool_bytes = (size_t)16 << 20,
        .retries = 4,
        .retry_http = "408,429,500,502,503,504,520-524",
        .retry_delay_ms = 1000,
        .retry_max_delay_ms = 60000,
        .max_retry_after_ms = 300000,
        .connect_timeout_ms = 15000,
        .stall_timeout_ms = 60000,
        .max_redirs = 20,
        .user_agent = "pfetch/" PACKAGE_VERSION,
        .http_version = 11,
        .tls_min = 12,
        .spool_limit_bytes = (size_t)32 << 20,
        .spool_dir = "/tmp",
    };
}

/* The caller's struct may be shorter than ours, or longer: then the rest of
 * it is zero, and pfetch_create() will not have it. */
void pfetch_options_init_sized(struct pfetch_options *options, size_t size)
{
    struct pfetch_options defaults;

    set_defaults(&defaults);
    defaults.size = size;
    memset(options, 0, size);
    memcpy(options, &defaults, size < sizeof(defaults) ? size
                                                       : sizeof(defaults));
}

/* The caller's struct as one of ours.  False: it is of a later version, or
 * too short for any. */
static bool read_options(struct pfetch_options *to,
                         const struct pfetch_options *from)
{
    size_t size = from->size;

    set_defaults(to);
    if (size <= offsetof(struct pfetch_options, workers)
        || size > sizeof(*to))
        return false;
    memcpy(to, from, size);
    to->size = sizeof(*to);
    return true;
}

static bool is_rate(double rate)
{
    return rate == 0 || (rate >= RATE_MIN && rate <= RATE_MAX);
}

static bool are_hosts(const struct pfetch_options *o)
{
    if (o->host_count > 0 && o->hosts == NULL)
        return false;
    for (size_t i = 0; i < o->host_count; i++)
        if (o->hosts[i].name == NULL || o->hosts[i].per_host < -1
            || (o->hosts[i].rate >= 0 && !is_rate(o->hosts[i].rate)))
            return false;
    return true;
}

static bool is_duration(int64_t ms, int64_t min)
{
    return ms >= min && ms <= DURATION_MAX_MS;
}

/* What is out of range, or NULL. */
static const char *find_bad_option(const struct pfetch_options *o)
{
    if (o->workers < 1 || o->workers > WORKERS_MAX)
        return "options.workers";
    if (o->max_idle > IDLE_MAX)
        return "options.max_idle";
    if (o->retry_http == NULL)
        return "options.retry_http";
    if (o->queue_jobs < 1 || o->queue_bytes < 1)
        return "options.queue_jobs or queue_bytes";
    if (o->retries > RETRIES_MAX || o->max_redirs > REDIRS_MAX)
        return "options.retries or max_redirs";
    if (!is_duration(o->retry_delay_ms, 0)
        || !is_duration(o->retry_max_delay_ms, 0)
        || !is_duration(o->max_retry_after_ms, 0))
        return "a retry delay in options";
    if (!is_duration(o->connect_timeout_ms, 1)
        || !is_duration(o->stall_timeout_ms, 0))
        return "a timeout in options";
    if (!is_rate(o->rate) || !is_rate(o->host_rate)
        || o->limit_rate_bytes < 0)
        return "a rate in options";
    if (!are_hosts(o))
        return "options.hosts";
    if (o->timeout_ms != 0 && !is_duration(o->timeout_ms, 1))
        return "options.timeout_ms";
    if (o->max_size_bytes < 0)
        return "options.max_size_bytes";
    if (o->checksum != NULL && !pfetch_checksum_is_algo(o->checksum))
        return "options.checksum";
    if (o->proxy != NULL && !pf_is_proxy(o->proxy))
        return "options.proxy is not the URL of a proxy";
    if (o->http_version != 11 && o->http_version != 2)
        return "options.http_version";
    if (o->ip_version != 0 && o->ip_version != 4 && o->ip_version != 6)
        return "options.ip_version";
    if (o->tls_min < 10 || o->tls_min > 13)
        return "options.tls_min";
    if (o->bearer != NULL && o->username != NULL)
        return "options.bearer and options.username together";
    if (o->spool_dir == NULL)
        return "options.spool_dir";
    return NULL;
}

static void free_texts(const char *const *texts)
{
    for (size_t i = 0; texts != NULL && texts[i] != NULL; i++)
        free((void *)(uintptr_t)texts[i]);
    free((void *)(uintptr_t)texts);
}

static int copy_texts(const char *const *from, const char *const **to)
{
    size_t n = 0;
    const char **copy;

    *to = NULL;
    if (from == NULL)
        return 0;
    while (from[n] != NULL)
        n++;
    copy = calloc(n + 1, sizeof(*copy));
    if (copy == NULL)
        return PFETCH_ENOMEM;
    *to = copy;
    for (size_t i = 0; i < n; i++)
        if ((copy[i] = strdup(from[i])) == NULL)
            return PFETCH_ENOMEM;
    return 0;
}

/* The strings of the options that are copied one by one. */
static const size_t option_strings[] = {
    offsetof(struct pfetch_options, retry_http),
    offsetof(struct pfetch_options, user_agent),
    offsetof(struct pfetch_options, referer),
    offsetof(struct pfetch_options, bearer),
    offsetof(struct pfetch_options, netrc_file),
    offsetof(struct pfetch_options, cookie_file),
    offsetof(struct pfetch_options, interface),
    offsetof(struct pfetch_options, cert),
    offsetof(struct pfetch_options, key),
    offsetof(struct pfetch_options, username),
    offsetof(struct pfetch_options, password),
    offsetof(struct pfetch_options, proxy),
    offsetof(struct pfetch_options, noproxy),
    offsetof(struct pfetch_options, cacert),
    offsetof(struct pfetch_options, capath),
    offsetof(struct pfetch_options, checksum),
    offsetof(struct pfetch_options, spool_dir),
};

enum { STRINGS = sizeof(option_strings) / sizeof(option_strings[0]) };

static const char **string_at(struct pfetch_options *options, size_t i)
{
    return (const char **)(void *)((char *)options + option_strings[i]);
}

static int copy_text(const char **to, const char *from)
{
    *to = from == NULL ? NULL : strdup(from);
    return *to == NULL && from != NULL ? PFETCH_ENOMEM : 0;
}

static void free_hosts(const struct pfetch_host_options *hosts, size_t count)
{
    for (size_t i = 0; hosts != NULL && i < count; i++) {
        free((void *)(uintptr_t)hosts[i].name);
        free((void *)(uintptr_t)hosts[i].username);
        free((void *)(uintptr_t)hosts[i].password);
    }
    free((void *)(uintptr_t)hosts);
}

/* On failure *to is fit for free_hosts(). */
static int copy_hosts(const struct pfetch_host_options *from, size_t count,
                      const struct pfetch_host_options **to)
{
    struct pfetch_host_options *copy = NULL;

    *to = NULL;
    if (count == 0)
        return 0;
    copy = calloc(count, sizeof(*copy));
    if (copy == NULL)
        return PFETCH_ENOMEM;
    *to = copy;
    for (size_t i = 0; i < count; i++) {
        copy[i] = from[i];
        copy[i].name = copy[i].username = copy[i].password = NULL;
    }
    for (size_t i = 0; i < count; i++)
        if (copy_text(&copy[i].name, from[i].name) != 0
            || copy_text(&copy[i].username, from[i].username) != 0
            || copy_text(&copy[i].password, from[i].password) != 0)
            return PFETCH_ENOMEM;
    return 0;
}

static void free_options(struct pfetch_options *options)
{
    for (size_t i = 0; i < STRINGS; i++)
        free((void *)(uintptr_t)*string_at(options, i));
    free_texts(options->headers);
    free_texts(options->resolve);
    free_hosts(options->hosts, options->host_count);
}

static int copy_options(struct pfetch_options *to,
                        const struct pfetch_options *from)
{
    int error;

    *to = *from;
    for (size_t i = 0; i < STRINGS; i++)
        *string_at(to, i) = NULL;
    to->hosts = NULL;
    to->resolve = NULL;
    error = copy_texts(from->headers, &to->headers);
    if (error == 0)
        error = copy_texts(from->resolve, &to->resolve);
    if (error == 0)
        error = copy_hosts(from->hosts, from->host_count, &to->hosts);
    for (size_t i = 0; i < STRINGS && error == 0; i++) {
        struct pfetch_options copy = *from;
        const char *s = *string_at(&copy, i);

        error = copy_text(string_at(to, i), s);
    }
    return error;
}

/* --- create and free ------------------------------------------------------- */

int pfetch_global_init(void)
{
    return curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? 0
                                                             : PFETCH_ECURL;
}

const char *pfetch_curl_version(char *text, size_t size)
{
    const curl_version_info_data *info = curl_version_info(CURLVERSION_NOW);

    (void)snprintf(text, size, "libcurl/%s %s%s%s%s%s", info->version,
                   info->ssl_version == NULL ? "no TLS" : info->ssl_version,
                   info->features & CURL_VERSION_HTTP2 ? " HTTP2" : "",
                   info->features & CURL_VERSION_IPV6 ? " IPv6" : "",
                   info->features & CURL_VERSION_IDN ? " IDN" : "",
                   info->features & CURL_VERSION_ASYNCHDNS ? " AsynchDNS"
                                                           : "");
    return text;
}

static void break_run(void *user, const struct pfetch_failure *why)
{
    struct pfetch *pf = user;
    bool is_first;

    pf_mutex_lock(&pf->lock);
    is_first = !pf->is_broken;
    if (is_first) {
        pf->is_broken = true;
        pf->why = *why;
    }
    pf_mutex_unlock(&pf->lock);
    pfetch_stop(pf, 0);
    if (is_first && pf->options.on_broken != NULL)
        pf->options.on_broken(pf->options.user, why);
}

static void set_contexts(struct pfetch *pf,
                         const struct pfetch_handler *handler)
{
    pf->transfer_context = (struct pf_transfer_context){
        .options = &pf->options, .conncache = &pf->conncache,
        .trust = &pf->trust, .limiter = &pf->limiter, .stop = &pf->stop, .stats = &pf->stats,
        .keeps_exchange = handler->exchange,
    };
    pf->worker_context.options = &pf->options;
    pf->worker_context.methods = &pf->methods;
    pf->worker_context.handler = &pf->writer.handler;
    pf->worker_context.transfer = &pf->transfer_context;
    pf->worker_context.urls = &pf->urls;
    pf->worker_context.results = &pf->results;
    pf->worker_context.stats = &pf->stats;
    pf->worker_context.on_broken = break_run;
    pf->worker_context.user = pf;
    pf->writer = (struct pf_writer){
        .on_record = pf->options.on_record,
        .on_idle = pf->options.on_idle,
        .record_user = pf->options.user, .results = &pf->results,
        .pool = &pf->pool, .urls = &pf->urls, .stats = &pf->stats,
        .stop = &pf->stop, .on_broken = break_run, .user = pf,
    };
    pf->writer.handler = *handler;
    pf->writer.is_ordered = pf->options.ordered;
    pf->writer.is_spooled = pf->options.ordered || pf->writer.handler.serial;
    pf_spool_init(&pf->writer.spool, pf->options.spool_limit_bytes,
                  pf->options.spool_dir);
}

static uint64_t random_seed(void)
{
    uint64_t seed;

    if (getentropy(&seed, sizeof(seed)) != 0)
        seed = (uint64_t)pf_now_us() * UINT64_C(2685821657736338717);
    return seed;
}

/* As many workers as can be had, at least one. */
static int start_workers(struct pfetch *pf)
{
    int error = 0;

    if (pf->options.dry_run)
        return 0;
    while (pf->worker_count < pf->options.workers) {
        error = pf_worker_start(&pf->workers[pf->worker_count],
                                &pf->worker_context, &pf->pool,
                                random_seed());
        if (error != 0)
            break;
        pf->worker_count++;
    }
    return pf->worker_count > 0 ? 0 : error;
}

static int64_t interval_us(double rate)
{
    return rate > 0 ? (int64_t)(1e6 / rate) : 0;
}

static unsigned window(const struct pfetch_options *o)
{
    unsigned jobs = WINDOW_PER_WORKER * o->workers;

    if (!o->ordered)
        return 0;
    return jobs > WINDOW_MIN ? jobs : WINDOW_MIN;
}

static struct pf_urlqueue_limits urlqueue_limits(
    const struct pfetch_options *o)
{
    return (struct pf_urlqueue_limits){
        .max_jobs = o->queue_jobs,
        .max_bytes = o->queue_bytes,
        .interval_us = interval_us(o->rate),
        .host_interval_us = interval_us(o->host_rate),
        .per_host = o->per_host,
        .hosts = o->hosts,
        .host_count = o->host_count,
        .hold_ms = o->retry_delay_ms < SLOW_DOWN_MS ? SLOW_DOWN_MS
                                                    : o->retry_delay_ms,
        .hold_max_ms = o->retry_max_delay_ms,
        .retry_after_max_ms = o->max_retry_after_ms,
        .burst = o->workers,
        .probe_ms = o->retry_delay_ms,
        .probe_max_ms = o->retry_max_delay_ms,
        .probes = o->retries < 1 ? 1 : o->retries,
        .shortage_ms = o->connect_timeout_ms,
        .window = window(o),
    };
}

/* None of them runs, or ever did. */
static void free_workers(struct pfetch *pf)
{
    for (unsigned i = 0; i < pf->options.workers; i++)
        pf_mutex_fini(&pf->workers[i].lock);
    free(pf->workers);
}

/* The parts without threads, in the order of the fields.  On failure what
 * was made is undone. */
static int init_parts(struct pfetch *pf)
{
    const struct pfetch_options *o = &pf->options;
    struct pf_urlqueue_limits limits;

    pf_mutex_init(&pf->lock);
    pf_cond_init(&pf->turn_free);
    pf_stop_init(&pf->stop);
    pf_resultqueue_init(&pf->results);
    pf_block_pool_init(&pf->pool, o->pool_bytes, &pf->stop);
    pf_limiter_init(&pf->limiter, o->limit_rate_bytes, &pf->stop);
    pf_checksum_methods_init(&pf->methods);
    pf->workers = calloc(o->workers, sizeof(*pf->workers));
    if (pf->workers == NULL)
        goto out_pool;
    for (unsigned i = 0; i < o->workers; i++)
        pf_mutex_init(&pf->workers[i].lock);
    limits = urlqueue_limits(o);
    if (pf_urlqueue_init(&pf->urls, &limits) != 0)
        goto out_workers;
    if (pf_conncache_init(&pf->conncache, o->max_idle, IDLE_AGE_MS,
                          o->deny_private, &pf->stats) != 0)
        goto out_urls;
    if (pf_trust_init(&pf->trust, o) == 0)
        return 0;
    pf_conncache_fini(&pf->conncache);
out_urls:
    pf_urlqueue_fini(&pf->urls);
out_workers:
    free_workers(pf);
out_pool:
    pf_checksum_methods_fini(&pf->methods);
    pf_limiter_fini(&pf->limiter);
    pf_block_pool_fini(&pf->pool);
    pf_resultqueue_fini(&pf->results);
    pf_cond_fini(&pf->turn_free);
    pf_mutex_fini(&pf->lock);
    return PFETCH_ENOMEM;
}

static void fini_parts(struct pfetch *pf)
{
    pf_spool_fini(&pf->writer.spool);
    pf_trust_fini(&pf->trust);
    pf_conncache_fini(&pf->conncache);
    pf_urlqueue_fini(&pf->urls);
    free_workers(pf);
    pf_checksum_methods_fini(&pf->methods);
    pf_limiter_fini(&pf->limiter);
    pf_block_pool_fini(&pf->pool);
    pf_resultqueue_fini(&pf->results);
    pf_cond_fini(&pf->turn_free);
    pf_mutex_fini(&pf->lock);
}

/* The threads.  On failure none runs. */
static int start(struct pfetch *pf, struct pfetch_failure *why)
{
    int error = 0;

    if (pf->trust.is_named)
        error = pf_trust_load(&pf->trust, why);
    if (error == 0)
        error = pf_writer_start(&pf->writer);
    if (error != 0)
        return error;
    error = start_workers(pf);
    if (error != 0) {
        /* Nothing was added, so done() has nothing to end. */
        pf->writer.handler.done = NULL;
        pf_resultqueue_close(&pf->results);
        pf_writer_join(&pf->writer);
    }
    return error;
}

/* A smaller handler is of an earlier version; what it does not know is NULL
 * or false. */
static bool read_handler(struct pfetch_handler *to,
                         const struct pfetch_handler *from, size_t size)
{
    memset(to, 0, sizeof(*to));
    if (from == NULL)
        return true;
    if (size > sizeof(*to))
        return false;
    memcpy(to, from, size);
    return true;
}

int pfetch_create_sized(struct pfetch **out,
                        const struct pfetch_options *caller_options,
                        const struct pfetch_handler *caller_handler,
                        size_t handler_size, struct pfetch_failure *why)
{
    struct pfetch_options options;
    struct pfetch_handler handler;
    const char *bad;
    struct pfetch *pf;
    int error;

    *out = NULL;
    pfetch_failure_set(why, PFETCH_CLASS_NONE, "%s", "");
    if (!read_options(&options, caller_options))
        bad = "options.size (use pfetch_options_init())";
    else if (!read_handler(&handler, caller_handler, handler_size))
        bad = "the size of the handler";
    else
        bad = find_bad_option(&options);
    if (bad != NULL) {
        pfetch_failure_set(why, PFETCH_CLASS_NONE, "not usable: %s", bad);
        return PFETCH_EINVAL;
    }
    if (pfetch_global_init() != 0
        || curl_version_info(CURLVERSION_NOW)->version_num
               < CURL_VERSION_MIN) {
        pfetch_failure_set(why, PFETCH_CLASS_LOCAL,
                           "libcurl 7.88.0 or later is needed");
        return PFETCH_ECURL;
    }
    pf = calloc(1, sizeof(*pf));
    if (pf == NULL)
        return PFETCH_ENOMEM;
    error = copy_options(&pf->options, &options);
    if (error != 0)
        goto out_options;
    if (pf_status_set_parse(&pf->worker_context.retry_http,
                            pf->options.retry_http) != 0) {
        pfetch_failure_set(why, PFETCH_CLASS_NONE,
                           "not usable: options.retry_http");
        error = PFETCH_EINVAL;
        goto out_options;
    }
    error = init_parts(pf);
    if (error != 0)
        goto out_options;
    if (pf->options.checksum != NULL
        && !pf_checksum_can(&pf->methods, pf->options.checksum)) {
        pfetch_failure_set(why, PFETCH_CLASS_NONE,
                           "%s is not to be had here (see openssl-list(1))",
                           pf->options.checksum);
        error = PFETCH_EINVAL;
        goto out_parts;
    }
    set_contexts(pf, &handler);
    error = start(pf, why);
    if (error != 0)
        goto out_parts;
    if (handler.start != NULL)
        handler.start(handler.self, pf);
    *out = pf;
    return 0;
out_parts:
    fini_parts(pf);
out_options:
    if (why != NULL && why->text[0] == '\0')
        pfetch_failure_set(why, PFETCH_CLASS_LOCAL, "%s",
                           pfetch_strerror(error));
    free_options(&pf->options);
    free(pf);
    return error;
}

void pfetch_free(struct pfetch *pf)
{
    if (pf == NULL)
        return;
    if (!pf->is_finished) {
        if (pf->next_seq == 0) /* the handler may be given to another one */
            pf->writer.handler.done = NULL;
        pfetch_stop(pf, 0);
        (void)pfetch_finish(pf, NULL); /* the caller did not want to know */
    }
    fini_parts(pf);
    free_options(&pf->options);
    free(pf);
}

/* --- adding ---------------------------------------------------------------- */

/* One thread adds at a time, so that plan() sees the list in order.  The turn
 * is a flag and not a mutex held across plan(): nothing else waits for it
 * but those who add, and pfetch_finish().  0; PFETCH_ESTOPPED: finish has
 * begun; PFETCH_EAGAIN: somebody else has the turn, and this may not wait. */
static int take_turn(struct pfetch *pf, bool may_wait)
{
    int error = 0;

    pf_mutex_lock(&pf->lock);
    while (may_wait && pf->has_turn && !pf->is_closed)
        pf_cond_wait(&pf->turn_free, &pf->lock);
    if (pf->is_closed)
        error = PFETCH_ESTOPPED;
    else if (pf->has_turn)
        error = PFETCH_EAGAIN;
    else
        pf->has_turn = true;
    pf_mutex_unlock(&pf->lock);
    return error;
}

static void give_turn(struct pfetch *pf)
{
    pf_mutex_lock(&pf->lock);
    pf->has_turn = false;
    pf_cond_signal(&pf->turn_free);
    pf_mutex_unlock(&pf->lock);
}

/* Ends the turns: waits until who still adds is done.  Those who wait for a
 * turn are sent away, so the last signal is for this thread. */
static void close_turns(struct pfetch *pf)
{
    pf_mutex_lock(&pf->lock);
    pf->is_closed = true;
    pf_cond_broadcast(&pf->turn_free);
    while (pf->has_turn)
        pf_cond_wait(&pf->turn_free, &pf->lock);
    pf_mutex_unlock(&pf->lock);
}

/* A verdict without a transfer. */
static void conclude(struct pfetch *pf, struct pfetch_job *job,
                     enum pfetch_status status, enum pfetch_class cls,
                     const char *text)
{
    pf_job_set_verdict(job, status, cls, text);
    pf_resultqueue_push(&pf->results, &job->verdict, &job->verdict);
}

static void enqueue(struct pfetch *pf, struct pfetch_job *job)
{
    int error;

    job->is_planned = true;
    if (pf->options.dry_run) {
        conclude(pf, job, PFETCH_STATUS_PLANNED, PFETCH_CLASS_NONE, NULL);
        return;
    }
    error = pf_urlqueue_push(&pf->urls, job);
    if (error == PFETCH_ESTOPPED)
        conclude(pf, job, PFETCH_STATUS_NOT_ATTEMPTED, PFETCH_CLASS_NONE,
                 NULL);
    else if (error != 0)
        conclude(pf, job, PFETCH_STATUS_FAILED, PFETCH_CLASS_LOCAL,
                 pfetch_strerror(error));
}

/* Asks the handler, and hands the job over to whoever is next. */
static void plan(struct pfetch *pf, struct pfetch_job *job)
{
    const struct pfetch_handler *handler = &pf->writer.handler;
    struct pfetch_failure why = { .cls = PFETCH_CLASS_NONE };
    enum pfetch_reply reply = PFETCH_GO;

    if (handler->plan != NULL)
        reply = handler->plan(handler->self, job, &why);
    switch (reply) {
    case PFETCH_GO:
        enqueue(pf, job);
        return;
    case PFETCH_SKIP:
        conclude(pf, job, PFETCH_STATUS_SKIPPED, PFETCH_CLASS_NONE, why.text);
        return;
    default:
        break;
    }
    pf_failure_complete(&why);
    if (reply == PFETCH_BROKEN)
        break_run(pf, &why);
    conclude(pf, job, PFETCH_STATUS_FAILED, why.cls, why.text);
}

static bool has_good_checksum(const struct pfetch *pf,
                              const struct pfetch_request *request,
                              struct pfetch_failure *why)
{
    if (request->checksum == NULL)
        return true;
    if (!pfetch_checksum_check(request->checksum))
        pfetch_failure_set(why, PFETCH_CLASS_CHECKSUM,
                           "the checksum is not ALGO:HEX");
    else if (!pf_checksum_can(&pf->methods, request->checksum))
        pfetch_failure_set(why, PFETCH_CLASS_CHECKSUM,
                           "%s is not to be had here (see openssl-list(1))",
                           pf_checksum_algo(request->checksum)->name);
    else
        return true;
    return false;
}

/* Hands a job that has a place on to whoever is next.  known: why it is not to
 * be fetched, of class none where that is no failure; NULL: it is. */
static void take_in(struct pfetch *pf, struct pfetch_job *job,
                    const struct pfetch_failure *known)
{
    job->seq = pf->next_seq++;
    pf_stat_add(&pf->stats.added, 1);
    if (known == NULL)
        plan(pf, job);
    else
        conclude(pf, job,
                 known->cls == PFETCH_CLASS_NONE ? PFETCH_STATUS_SKIPPED
                                                 : PFETCH_STATUS_FAILED,
                 known->cls, known->text);
}

/* Takes the URL of a request apart.  False: *why says what is wrong. */
static bool parse_request(const struct pfetch *pf, struct pfetch_job *job,
                          struct pfetch_failure *why)
{
    if (job->request.url == NULL)
        pfetch_failure_set(why, PFETCH_CLASS_URL, "no URL");
    else if (has_good_checksum(pf, &job->request, why)
             && pf_url_parse(job->request.url, &job->home, why) == 0)
        job->url = job->home;
    return job->url != NULL;
}

/* size is what the request has for the caller: a smaller one is of an earlier
 * version.  known: as take_in(). */
static int add(struct pfetch *pf, const struct pfetch_request *caller_request,
               size_t size, const struct pfetch_failure *known, bool may_wait)
{
    struct pfetch_request request = { .url = NULL };
    struct pfetch_failure wrong;
    struct pfetch_job *job;
    int error;

    if (size > sizeof(request))
        return PFETCH_EINVAL;
    memcpy(&request, caller_request, size);
    error = take_turn(pf, may_wait);
    if (error != 0)
        return error;
    job = pf_job_create(&request);
    if (job == NULL) {
        give_turn(pf);
        return PFETCH_ENOMEM;
    }
    job->queue_bytes = pf_request_bytes(&request);
    job->results = &pf->results;
    if (known == NULL && !parse_request(pf, job, &wrong))
        known = &wrong;
    error = may_wait ? pf_urlqueue_reserve(&pf->urls, job)
                     : pf_urlqueue_try_reserve(&pf->urls, job);
    if (error == 0)
        take_in(pf, job, known); /* gives it away */
    else
        pf_job_free(job);
    give_turn(pf);
    return error;
}

int pfetch_add_sized(struct pfetch *pf, const struct pfetch_request *request,
                     size_t size)
{
    return add(pf, request, size, NULL, true);
}

int pfetch_try_add_sized(struct pfetch *pf,
                         const struct pfetch_request *request, size_t size)
{
    return add(pf, request, size, NULL, false);
}

int pfetch_reject_sized(struct pfetch *pf,
                        const struct pfetch_request *request, size_t size,
                        const struct pfetch_failure *why)
{
    struct pfetch_failure known = *why;

    if (known.cls == PFETCH_CLASS_NONE)
        known.cls = PFETCH_CLASS_URL;
    return add(pf, request, size, &known, true);
}

int pfetch_skip_sized(struct pfetch *pf, const struct pfetch_request *request,
                      size_t size, const char *text)
{
    struct pfetch_failure known;

    pfetch_failure_set(&known, PFETCH_CLASS_NONE, "%s", text);
    return add(pf, request, size, &known, true);
}

/* --- the end --------------------------------------------------------------- */

void pfetch_stop(struct pfetch *pf, int64_t grace_ms)
{
    int64_t now_ms = pf_now_ms();

    if (grace_ms < 0)
        grace_ms = 0;
    if (grace_ms < PF_NEVER - now_ms)
        pf_stop_abort_at(&pf->stop, now_ms + grace_ms);
    pf_mutex_lock(&pf->lock);
    pf->is_stopped = true;
    pf_mutex_unlock(&pf->lock);
    pf_urlqueue_stop(&pf->urls);
    pf_block_pool_wake(&pf->pool);
    pf_limiter_wake(&pf->limiter);
}

bool pfetch_is_stopped(const struct pfetch *pf)
{
    return pf_stop_is_abort(&pf->stop);
}

/* What a stop has left in the URL queue. */
static void conclude_left(struct pfetch *pf)
{
    struct pfetch_job *job;
    char text[PFETCH_TEXT_BYTES];

    while ((job = pf_urlqueue_take_left(&pf->urls)) != NULL) {
        if (job->attempts == 0) {
            conclude(pf, job, PFETCH_STATUS_NOT_ATTEMPTED, PFETCH_CLASS_NONE,
                     NULL);
            continue;
        }
        (void)snprintf(text, sizeof(text),
                       "stopped before the next attempt%s%.200s",
                       job->message == NULL ? "" : "; before: ",
                       job->message == NULL ? "" : job->message);
        conclude(pf, job, PFETCH_STATUS_FAILED, PFETCH_CLASS_STOPPED, text);
    }
}

enum pfetch_end pfetch_finish(struct pfetch *pf, struct pfetch_failure *why)
{
    enum pfetch_end end = PFETCH_END_COMPLETE;

    pf_urlqueue_close(&pf->urls);
    close_turns(pf);
    for (unsigned i = 0; i < pf->worker_count; i++)
        pf_worker_join(&pf->workers[i]);
    conclude_left(pf);
    pf_resultqueue_close(&pf->results);
    pf_writer_join(&pf->writer);
    for (unsigned i = 0; i < pf->worker_count; i++)
        pf_worker_fini(&pf->workers[i]);
    pf->is_finished = true;
    pf_mutex_lock(&pf->lock);
    if (pf->is_broken)
        end = PFETCH_END_LOCAL;
    else if (pf->is_stopped)
        end = PFETCH_END_STOPPED;
    if (why != NULL)
        *why = pf->why;
    pf_mutex_unlock(&pf->lock);
    return end;
}

/* --- counters -------------------------------------------------------------- */

static void get_counters(const struct pfetch *pf, struct pfetch_counters *c)
{
    const struct pf_stats *s = &pf->stats;
    size_t delayed, held;

    c->workers = pf->worker_count;
    c->added = pf_stat_get(&s->added);
    c->ok = pf_stat_get(&s->status[PFETCH_STATUS_OK]);
    c->failed = pf_stat_get(&s->status[PFETCH_STATUS_FAILED]);
    c->skipped = pf_stat_get(&s->status[PFETCH_STATUS_SKIPPED])
                 + pf_stat_get(&s->status[PFETCH_STATUS_PLANNED]);
    c->not_attempted = pf_stat_get(&s->status[PFETCH_STATUS_NOT_ATTEMPTED]);
    c->running = pf_stat_get(&s->running);
    /* The lock of the queue is taken for these two numbers. */
    pf_urlqueue_count((struct pf_urlqueue *)(uintptr_t)&pf->urls, &delayed,
                      &held);
    c->delayed = delayed;
    c->hosts_held = held;
    c->retries = pf_stat_get(&s->retries);
    c->redirects = pf_stat_get(&s->redirects);
    c->holds = pf_stat_get(&s->holds);
    c->hosts_down = pf_stat_get(&s->hosts_down);
    c->body_bytes = pf_stat_get(&s->body_bytes);
    c->connections_opened = pf_stat_get(&s->connections_opened);
    c->connections_reused = pf_stat_get(&s->connections_reused);
    c->connections_discarded = pf_stat_get(&s->connections_discarded);
}

void pfetch_get_counters_sized(const struct pfetch *pf,
                               struct pfetch_counters *counters, size_t size)
{
    struct pfetch_counters all;

    get_counters(pf, &all);
    memset(counters, 0, size);
    memcpy(counters, &all, size < sizeof(all) ? size : sizeof(all));
}

/* Puts a transfer among those that began first, the oldest first; what finds
 * no place is left out.  Returns how many there are then. */
static size_t insert_transfer(struct pfetch_transfer *sorted, size_t used,
                              size_t count,
                              const struct pfetch_transfer *transfer)
{
    size_t at = used;

    while (at > 0 && sorted[at - 1].elapsed_us < transfer->elapsed_us)
        at--;
    if (at == count)
        return used;
    if (used == count)
        used--;
    memmove(&sorted[at + 1], &sorted[at], (used - at) * sizeof(*sorted));
    sorted[at] = *transfer;
    return used + 1;
}

size_t pfetch_get_transfers_sized(const struct pfetch *pf,
                                  struct pfetch_transfer *transfers,
                                  size_t count, size_t size)
{
    struct pfetch_transfer transfer;
    int64_t now_us = pf_now_us(); /* one for all, or their order is chance */
    size_t used = 0;

    if (count == 0 || size != sizeof(transfer))
        return 0; /* there is one form of it so far */
    for (unsigned i = 0; i < pf->worker_count; i++)
        if (pf_worker_look(&pf->workers[i], now_us, &transfer))
            used = insert_transfer(transfers, used, count, &transfer);
    return used;
}
