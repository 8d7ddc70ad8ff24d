/* worker.c - one thread that fetches.
 *
 * SPDX-License-Identifier: MIT
 *
 *     pop a job -> one transfer -> verdict -> one of
 *         accept    last block and verdict to the result queue
 *         redirect  back into the URL queue, under the new host
 *         unchanged verdict (skipped) to the result queue
 *         retry     back into the URL queue, to wait there
 *         fail      verdict to the result queue
 *
 * After each of these the job belongs to somebody else and is not touched
 * again.  A worker never waits for anything but a job, libcurl, and a block.
 *
 * A body that breaks off is continued: if the response had a strong
 * validator, what arrived is pushed (the handler has it then), and the next
 * attempt asks for the rest.  The same is done with the last bytes of a body
 * for which there will be no next attempt in this run: the handler may keep
 * them for another.
 */
#include "config.h"

#include "worker.h"

#include "checksum.h"
#include "conncache.h"
#include "job.h"
#include "urlqueue.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Names that do not resolve are mostly gone for good: one quick second try,
 * for the resolver that dropped a packet. */
enum { DNS_RETRIES = 1, DNS_DELAY_MS = 500 };

/* A job keeps the URL it is sent to while it waits.  RFC 9110, section 4.1, asks
 * for 8,000 bytes at least. */
enum { REDIRECT_MAX_BYTES = 16 * 1024 };

/* What the attempt says about the host. */
static struct pf_contact contact_of(struct pf_worker *w,
                                    const struct pf_attempt *a)
{
    const struct pf_response *r = a->response;
    struct pf_contact contact = { .kind = PF_CONTACT_NONE,
                                  .retry_after_ms = -1, .why = a->why.text };

    if (a->is_short_of)
        contact.kind = PF_CONTACT_SHORTAGE;
    if (a->is_stopped || a->why.cls == PFETCH_CLASS_LOCAL || r == NULL)
        return contact;
    bool was_reached = a->remote_ip[0] != '\0';

    if (a->why.cls == PFETCH_CLASS_PROXY && !was_reached)
        return contact; /* nothing was heard of the host */
    if (a->why.cls == PFETCH_CLASS_DNS || a->why.cls == PFETCH_CLASS_CONNECT
        || a->why.cls == PFETCH_CLASS_TLS
        || (a->why.cls == PFETCH_CLASS_TIMEOUT && !was_reached)) {
        contact.kind = PF_CONTACT_UNREACHABLE;
    } else if (!r->is_complete) {
        contact.kind = PF_CONTACT_BROKEN;
    } else if (r->status == 429 || r->status == 503) {
        contact.kind = PF_CONTACT_SLOW_DOWN;
        contact.retry_after_ms = pf_retry_after_ms(r->retry_after);
        contact.is_fewer = r->status == 429;
        contact.random = pf_random(&w->random);
    } else {
        contact.kind = PF_CONTACT_ANSWERED;
    }
    return contact;
}

static const struct pf_contact no_contact = { .kind = PF_CONTACT_NONE,
                                              .retry_after_ms = -1 };

/* --- giving the job away --------------------------------------------------- */

/* What the last attempt says for the record. */
static void note_attempt(struct pfetch_job *job, struct pf_attempt *a)
{
    pf_response_unref(job->response);
    job->response = a->response;
    a->response = NULL;
    job->bytes = job->body_offset + a->body_bytes;
    job->resumed_at = job->body_offset > 0 ? job->body_offset : -1;
    job->reused = a->reused;
    job->dns_us = a->dns_us;
    job->connect_us = a->connect_us;
    job->tls_us = a->tls_us;
    job->first_byte_us = a->first_byte_us;
    memcpy(job->remote_ip, a->remote_ip, sizeof(job->remote_ip));
}

static void drop_tail(struct pf_worker *w, struct pf_block *tail)
{
    if (tail != NULL)
        pf_block_put(w->body.pool, tail);
}

/* Once for each hold, set-aside and return, on the worker that met it. */
static void say_notice(struct pf_worker *w,
                       const struct pf_host_notice *notice)
{
    const struct pfetch_options *o = w->context->options;
    char text[PFETCH_TEXT_BYTES];

    switch (notice->kind) {
    case PF_NOTICE_NONE:
        return;
    case PF_NOTICE_HOLD_AGAIN:
        pf_stat_add(&w->context->stats->holds, 1);
        return;
    case PF_NOTICE_HOLD:
        pf_stat_add(&w->context->stats->holds, 1);
        (void)snprintf(text, sizeof(text),
                       "%s asks to slow down: nothing goes there for %" PRId64
                       ".%" PRId64 " s", notice->name, notice->ms / 1000,
                       notice->ms % 1000 / 100);
        break;
    case PF_NOTICE_SET_ASIDE:
        (void)snprintf(text, sizeof(text), "%s is set aside: %s",
                       notice->name, notice->why);
        break;
    case PF_NOTICE_DOWN:
        pf_stat_add(&w->context->stats->hosts_down, 1);
        (void)snprintf(text, sizeof(text), "%s is given up: %s", notice->name,
                       notice->why);
        break;
    case PF_NOTICE_BACK:
        (void)snprintf(text, sizeof(text), "%s is back", notice->name);
        break;
    case PF_NOTICE_SHORTAGE:
        (void)snprintf(text, sizeof(text),
                       "%s (here, not at a server): nothing new starts until "
                       "that passes", notice->why);
        break;
    case PF_NOTICE_SHORTAGE_AGAIN:
    case PF_NOTICE_SHORTAGE_LASTS:
        return;
    }
    if (o->on_notice != NULL)
        o->on_notice(o->user, text);
}

static void leave(struct pf_worker *w, struct pfetch_job *job,
                  const struct pf_contact *contact)
{
    struct pf_host_notice notice;

    pf_urlqueue_leave(w->context->urls, job, contact, &notice);
    say_notice(w, &notice);
}

static void push_verdict(struct pf_worker *w, struct pfetch_job *job,
                         struct pf_block *tail,
                         const struct pf_contact *contact)
{
    leave(w, job, contact);
    if (tail != NULL) {
        tail->msg.next = &job->verdict;
        pf_resultqueue_push(w->context->results, &tail->msg, &job->verdict);
    } else {
        pf_resultqueue_push(w->context->results, &job->verdict,
                            &job->verdict);
    }
}

static void accept_body(struct pf_worker *w, struct pfetch_job *job,
                        struct pf_attempt *a)
{
    struct pf_contact contact = contact_of(w, a);

    /* Chunked framing has an end of its own.  So has HTTP/2, but libcurl
     * before 8.0 takes some bodies that broke off there for complete. */
    job->length_verified =
        !a->is_head
        && (pf_whole_length(a) >= 0 || a->response->chunked
            || pf_response_body_length(a->response) >= 0);
    job->declared_bytes = a->is_head ? pf_response_body_length(a->response)
                                     : -1;
    job->body_offset = pf_body_offset(a);
    job->body_begun = w->body.is_begun;
    note_attempt(job, a);
    if (a->is_head) /* none were asked for, which is not an empty body */
        job->bytes = -1;
    pf_job_set_verdict(job, PFETCH_STATUS_OK, PFETCH_CLASS_NONE, NULL);
    push_verdict(w, job, pf_body_tail(&w->body), &contact);
}

/* Whether more of this body may be asked for later. */
static bool is_continuable(const struct pf_worker *w,
                           const struct pfetch_job *job,
                           const struct pf_attempt *a)
{
    const struct pf_response *r = a->response;

    return r != NULL && w->body.is_begun && !r->is_decoded
           && r->exchange == NULL && pf_is_acceptable(a)
           && pf_is_strong_etag(r->status == 206 ? job->resume_etag
                                                 : r->etag);
}

static void finish_failed(struct pf_worker *w, struct pfetch_job *job,
                          struct pf_attempt *a,
                          const struct pf_contact *contact)
{
    struct pf_block *tail = pf_body_tail(&w->body);

    if (tail != NULL && (a->transient || a->is_stopped)
        && is_continuable(w, job, a))
        pf_resultqueue_push(w->context->results, &tail->msg, &tail->msg);
    else
        drop_tail(w, tail);
    if (a->is_place)
        w->context->on_broken(w->context->user, &a->why);
    note_attempt(job, a);
    pf_job_set_verdict(job, PFETCH_STATUS_FAILED, a->why.cls, a->why.text);
    push_verdict(w, job, NULL, contact);
}

/* The server says that nothing has changed. */
static void skip(struct pf_worker *w, struct pfetch_job *job,
                 struct pf_attempt *a)
{
    struct pf_contact contact = contact_of(w, a);

    drop_tail(w, pf_body_tail(&w->body)); /* there is none */
    note_attempt(job, a);
    pf_job_set_verdict(job, PFETCH_STATUS_SKIPPED, PFETCH_CLASS_NONE,
                       "not modified");
    push_verdict(w, job, NULL, &contact);
}

static void fail(struct pf_worker *w, struct pfetch_job *job,
                 struct pf_attempt *a)
{
    struct pf_contact contact = contact_of(w, a);

    finish_failed(w, job, a, &contact);
}

/* --- redirects ------------------------------------------------------------- */

/* Checks and sets the URL of the next hop. */
static int follow(struct pf_worker *w, struct pfetch_job *job,
                  struct pf_attempt *a)
{
    const struct pfetch_options *o = w->context->options;
    struct pfetch_failure why = { .cls = PFETCH_CLASS_NONE };
    struct pf_url *url;
    int error;

    if (job->hops >= o->max_redirs) {
        pfetch_failure_set(&a->why, PFETCH_CLASS_REDIRECT,
                           "more than %u redirects", o->max_redirs);
        return PFETCH_EINVAL;
    }
    if (strlen(a->redirect_url) > REDIRECT_MAX_BYTES) {
        pfetch_failure_set(&a->why, PFETCH_CLASS_REDIRECT,
                           "redirected to a URL of more than %d bytes",
                           (int)REDIRECT_MAX_BYTES);
        return PFETCH_EINVAL;
    }
    error = pf_url_parse(a->redirect_url, &url, &why);
    if (error == PFETCH_ENOMEM) {
        a->why = why;
        a->is_place = true;
        return error;
    }
    if (error != 0) {
        pfetch_failure_set(&a->why,
                           why.cls == PFETCH_CLASS_SCHEME
                               ? PFETCH_CLASS_SCHEME : PFETCH_CLASS_REDIRECT,
                           "redirected to what cannot be fetched: %.150s",
                           why.text);
        return error;
    }
    if (job->url->tls && !url->tls && !o->allow_downgrade) {
        pf_url_free(url);
        pfetch_failure_set(&a->why, PFETCH_CLASS_REDIRECT,
                           "redirected from https to http");
        return PFETCH_EINVAL;
    }
    pf_job_set_url(job, url);
    return 0;
}

static void redirect(struct pf_worker *w, struct pfetch_job *job,
                     struct pf_attempt *a)
{
    drop_tail(w, pf_body_tail(&w->body)); /* there is none */
    if (follow(w, job, a) != 0) {
        fail(w, job, a);
        return;
    }
    job->hops++;
    pf_stat_add(&w->context->stats->redirects, 1);
    if (pf_urlqueue_redirect(w->context->urls, job) != 0) {
        pfetch_failure_set(&a->why, PFETCH_CLASS_LOCAL, "out of memory");
        a->is_place = true;
        fail(w, job, a);
    }
}

/* --- retries --------------------------------------------------------------- */

static bool is_cancelled(const struct pfetch_job *job)
{
    return atomic_load_explicit(&job->is_cancelled, memory_order_relaxed);
}

static bool may_retry(const struct pf_worker *w, const struct pfetch_job *job,
                      const struct pf_attempt *a)
{
    if (is_cancelled(job))
        return false;
    if (a->why.cls == PFETCH_CLASS_DNS && job->attempts > DNS_RETRIES)
        return false;
    return job->attempts <= w->context->options->retries;
}

static int64_t delay_ms(struct pf_worker *w, const struct pfetch_job *job,
                        const struct pf_attempt *a)
{
    const struct pfetch_options *o = w->context->options;
    int64_t base_ms = o->retry_delay_ms, ms, floor_ms;

    if (a->why.cls == PFETCH_CLASS_DNS && base_ms > DNS_DELAY_MS)
        base_ms = DNS_DELAY_MS;
    ms = pf_retry_delay_ms(job->attempts, base_ms, o->retry_max_delay_ms,
                           pf_random(&w->random));
    if (a->why.cls != PFETCH_CLASS_HTTP)
        return ms;
    floor_ms = pf_retry_after_ms(a->response->retry_after);
    if (floor_ms > o->max_retry_after_ms)
        floor_ms = o->max_retry_after_ms;
    return ms < floor_ms ? floor_ms : ms;
}

/* Sends what has arrived on to the handler if the rest can be asked for. */
static void keep_for_continuation(struct pf_worker *w, struct pfetch_job *job,
                                  struct pf_attempt *a)
{
    struct pf_block *tail = pf_body_tail(&w->body);
    const struct pf_response *r = a->response;

    if (r == NULL || !w->body.is_begun || !pf_is_acceptable(a)) {
        drop_tail(w, tail);
        return; /* nothing has arrived: what was to be asked for stays */
    }
    if (!is_continuable(w, job, a)) {
        drop_tail(w, tail);
        (void)pf_job_set_resume(job, 0, -1, NULL); /* cannot fail */
        return;
    }
    if (tail != NULL)
        pf_resultqueue_push(w->context->results, &tail->msg, &tail->msg);
    /* Without memory for the validator the next attempt begins anew. */
    (void)pf_job_set_resume(job, pf_body_offset(a) + a->body_bytes,
                            pf_whole_length(a),
                            r->status == 206 ? job->resume_etag : r->etag);
}

/* Descriptors or threads are missing: that was no attempt, and nothing starts
 * until they are there again. */
static void wait_out(struct pf_worker *w, struct pfetch_job *job,
                     struct pf_attempt *a)
{
    struct pf_contact contact = contact_of(w, a);
    struct pf_host_notice notice;

    drop_tail(w, pf_body_tail(&w->body)); /* there is none */
    pf_conncache_close_idle(w->context->transfer->conncache);
    job->attempts--;
    note_attempt(job, a);
    pf_response_shorten(&job->response);
    pf_job_set_verdict(job, PFETCH_STATUS_FAILED, a->why.cls, a->why.text);
    pf_job_set_url(job, job->home);
    job->hops = 0;
    if (pf_urlqueue_retry(w->context->urls, job, 0, &contact, &notice)) {
        say_notice(w, &notice);
        return;
    }
    if (notice.kind == PF_NOTICE_SHORTAGE_LASTS)
        w->context->on_broken(w->context->user, &a->why);
    push_verdict(w, job, NULL, &no_contact);
}

static void retry(struct pf_worker *w, struct pfetch_job *job,
                  struct pf_attempt *a, bool restart)
{
    struct pf_contact contact = contact_of(w, a);
    struct pf_host_notice notice;
    int64_t ms;

    /* To begin anew is no retry: nothing was wrong with the server, but with
     * what it was asked for.  It happens once between two retries at most. */
    if (restart ? is_cancelled(job) : !may_retry(w, job, a)) {
        finish_failed(w, job, a, &contact);
        return;
    }
    ms = restart ? 0 : delay_ms(w, job, a);
    if (restart) {
        drop_tail(w, pf_body_tail(&w->body));
        (void)pf_job_set_resume(job, 0, -1, NULL); /* cannot fail */
    } else {
        keep_for_continuation(w, job, a);
    }
    note_attempt(job, a);
    pf_response_shorten(&job->response);
    /* Should there be no next attempt, this is the reason. */
    pf_job_set_verdict(job, PFETCH_STATUS_FAILED, a->why.cls, a->why.text);
    /* The next attempt begins where the list said. */
    pf_job_set_url(job, job->home);
    job->hops = 0;
    if (pf_urlqueue_retry(w->context->urls, job, ms, &contact, &notice))
        pf_stat_add(&w->context->stats->retries, 1);
    else
        push_verdict(w, job, NULL, &no_contact);
    say_notice(w, &notice);
}

/* --- before the first attempt ----------------------------------------------- */

/* Asks the handler whether what plan() has found is still there, and has it
 * taken into the digest; else the body is asked for from byte 0. */
static void claim(struct pf_worker *w, struct pfetch_job *job)
{
    const struct pfetch_handler *handler = w->context->handler;
    struct pfetch_failure why = { .cls = PFETCH_CLASS_NONE };
    bool is_there = handler->resume == NULL
                    || handler->resume(handler->self, job, &why) == PFETCH_GO;

    job->is_unclaimed = false;
    if (!is_there || (job->checksum != NULL
                      && job->checksum->bytes != job->resume_offset))
        (void)pf_job_set_resume(job, 0, -1, NULL); /* cannot fail */
}

/* 0 or PFETCH_ENOMEM. */
static int prepare(struct pf_worker *w, struct pfetch_job *job)
{
    const char *checksum = job->request.checksum != NULL
                               ? job->request.checksum
                               : w->context->options->checksum;

    if (checksum != NULL && job->checksum == NULL) {
        job->checksum = pf_checksum_create(w->context->methods, checksum,
                                           w->context->transfer->stop);
        if (job->checksum == NULL)
            return PFETCH_ENOMEM;
    }
    if (job->is_unclaimed && job->resume_offset > 0)
        claim(w, job);
    return 0;
}

static void fail_for_memory(struct pf_worker *w, struct pfetch_job *job)
{
    struct pfetch_failure why;

    pfetch_failure_set(&why, PFETCH_CLASS_LOCAL, "out of memory");
    w->context->on_broken(w->context->user, &why);
    pf_job_set_verdict(job, PFETCH_STATUS_FAILED, why.cls, why.text);
    push_verdict(w, job, NULL, &no_contact);
}

/* --- the loop -------------------------------------------------------------- */

static void begin(struct pfetch_job *job, int64_t timeout_ms)
{
    if (job->hops == 0)
        job->attempts++;
    if (job->first_us < 0) {
        job->first_us = pf_now_us();
        job->start_unix_ms = pf_wall_ms();
        if (timeout_ms > 0)
            job->deadline_us = job->first_us + timeout_ms * 1000;
    }
}

/* A job that was popped to be failed, not to be run. */
static void fail_unrun(struct pf_worker *w, struct pfetch_job *job)
{
    char text[PFETCH_TEXT_BYTES];

    if (job->order == PF_ORDER_EXPIRED)
        (void)snprintf(text, sizeof(text),
                       "not done within its time; before: %.200s",
                       job->message == NULL ? "?" : job->message);
    else
        pf_urlqueue_why_down(w->context->urls, job, text, sizeof(text));
    pf_job_set_verdict(job, PFETCH_STATUS_FAILED,
                       job->order == PF_ORDER_EXPIRED ? PFETCH_CLASS_TIMEOUT
                                                      : PFETCH_CLASS_HOST_DOWN,
                       text);
    push_verdict(w, job, NULL, &no_contact);
}

static enum pf_verdict judge(struct pf_worker *w, struct pfetch_job *job,
                             struct pf_attempt *a)
{
    enum pf_verdict verdict = pf_judge(a, &w->context->retry_http);

    if (verdict != PF_ACCEPT || job->checksum == NULL || a->is_head)
        return verdict;
    if (!w->body.is_begun) /* an empty body */
        pf_checksum_begin(job->checksum, pf_body_offset(a));
    if (pf_checksum_finish(job->checksum) != 0) {
        pfetch_failure_set(&a->why, PFETCH_CLASS_LOCAL,
                           "the checksum cannot be computed: out of memory");
        return PF_FAIL;
    }
    if (job->request.checksum == NULL)
        return verdict;
    return pf_judge_checksum(a, job->checksum->text, job->request.checksum);
}

static void show(struct pf_worker *w, struct pfetch_job *job)
{
    pf_mutex_lock(&w->lock);
    w->running = job;
    pf_mutex_unlock(&w->lock);
}

bool pf_worker_look(struct pf_worker *w, int64_t now_us,
                    struct pfetch_transfer *transfer)
{
    bool is_running;

    pf_mutex_lock(&w->lock);
    is_running = w->running != NULL;
    if (is_running) {
        (void)pfetch_redact(w->running->request.url, transfer->url,
                            sizeof(transfer->url));
        transfer->elapsed_us = now_us - w->running->first_us;
        if (transfer->elapsed_us < 0) /* it has just begun */
            transfer->elapsed_us = 0;
        transfer->bytes = atomic_load_explicit(&w->body.shown_bytes,
                                               memory_order_relaxed);
    }
    pf_mutex_unlock(&w->lock);
    return is_running;
}

static void run_job(struct pf_worker *w, struct pfetch_job *job)
{
    struct pf_attempt attempt;

    if (is_cancelled(job)) { /* while it waited for this attempt */
        push_verdict(w, job, NULL, &no_contact);
        return;
    }
    if (job->order != PF_ORDER_RUN) {
        fail_unrun(w, job);
        return;
    }
    if (prepare(w, job) != 0) {
        fail_for_memory(w, job);
        return;
    }
    begin(job, w->context->options->timeout_ms);
    w->body.is_begun = false;
    w->body.waited_us = 0;
    atomic_store_explicit(&w->body.shown_bytes, 0, memory_order_relaxed);
    show(w, job);
    pf_stat_add(&w->context->stats->running, 1);
    pf_transfer_perform(w->transfer, job, &attempt);
    pf_stat_sub(&w->context->stats->running, 1);
    show(w, NULL);
    job->body_offset = 0;
    if (job->deadline_us != PF_NEVER) /* waiting for the handler is free */
        job->deadline_us += w->body.waited_us;
    switch (judge(w, job, &attempt)) {
    case PF_ACCEPT:
        accept_body(w, job, &attempt);
        break;
    case PF_REDIRECT:
        redirect(w, job, &attempt);
        break;
    case PF_UNCHANGED:
        skip(w, job, &attempt);
        break;
    case PF_RETRY:
        if (attempt.is_short_of && !is_cancelled(job))
            wait_out(w, job, &attempt);
        else
            retry(w, job, &attempt, false);
        break;
    case PF_RESTART:
        retry(w, job, &attempt, true);
        break;
    case PF_FAIL:
        fail(w, job, &attempt);
        break;
    }
    pf_attempt_fini(&attempt);
}

static void *run(void *arg)
{
    struct pf_worker *w = arg;
    struct pfetch_job *job;

    while ((job = pf_urlqueue_pop(w->context->urls)) != NULL)
        run_job(w, job);
    return NULL;
}

int pf_worker_start(struct pf_worker *w,
                    const struct pf_worker_context *context,
                    struct pf_block_pool *pool, uint64_t seed)
{
    w->context = context;
    w->random = seed | 1;
    pf_body_init(&w->body, pool, context->results);
    w->transfer = pf_transfer_create(context->transfer, &w->body);
    if (w->transfer == NULL) {
        pf_body_fini(&w->body);
        return PFETCH_ENOMEM;
    }
    if (pf_thread_start(&w->thread, "pfetch worker", PF_WORKER_STACK_BYTES,
                        run, w) != 0) {
        pf_worker_fini(w);
        return PFETCH_ETHREAD;
    }
    return 0;
}

void pf_worker_join(struct pf_worker *w)
{
    pf_thread_join(w->thread);
}

void pf_worker_fini(struct pf_worker *w)
{
    pf_transfer_free(w->transfer);
    pf_body_fini(&w->body);
}
