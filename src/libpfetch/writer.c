/* writer.c - the one thread that hands results to the handler.
 *
 * SPDX-License-Identifier: MIT
 *
 * Takes everything out of the result queue at once and goes through it in
 * order, under no lock: blocks become begin() and take(), a verdict becomes
 * end(), a record, and the end of the job.  Blocks go back to the pool as
 * soon as they are taken, since workers may wait for them; places in the URL
 * queue are given back once per round, or after a few hundred jobs, which are
 * freed then.
 *
 * A job that the handler gives up is marked cancelled: its worker aborts the
 * transfer, blocks still on their way are dropped, and its verdict becomes
 * the handler's.  When the handler finds the place unusable no begin() and
 * take() follow for anybody; end() still comes for each job, so that nothing
 * is left behind, and a body that was taken whole may still be committed.
 */
#include "config.h"

#include "writer.h"

#include "job.h"
#include "thread.h"
#include "urlqueue.h"

enum { RELEASE_JOBS = 256 };

/* --- the handler's word ---------------------------------------------------- */

static void break_run(struct pf_writer *w, const struct pfetch_failure *why)
{
    if (!w->is_broken)
        w->on_broken(w->user, why);
    w->is_broken = true;
}

/* The job goes no further; why is kept for its record. */
static void give_up(struct pf_writer *w, struct pfetch_job *job,
                    enum pfetch_reply reply, struct pfetch_failure *why)
{
    pf_failure_complete(why);
    job->handler_failed = true;
    pf_job_keep_reason(job, why);
    atomic_store_explicit(&job->is_cancelled, true, memory_order_relaxed);
    if (reply == PFETCH_BROKEN)
        break_run(w, why);
}

static void call_begin(struct pf_writer *w, struct pfetch_job *job,
                       const struct pf_response *r, int64_t offset)
{
    struct pfetch_failure why = { .cls = PFETCH_CLASS_NONE };
    struct pfetch_response response = {
        .http_status = r->status,
        .length_bytes = r->is_decoded ? -1
                        : r->status == 206 ? r->range_total
                                           : pf_response_body_length(r),
        /* No validator of what is unpacked: it cannot be continued. */
        .etag = r->is_decoded ? NULL : r->etag,
        .last_modified = r->last_modified,
        .last_modified_unix = r->last_modified_unix,
        .content_type = r->content_type,
        .content_disposition = r->content_disposition,
    };
    enum pfetch_reply reply;

    if (job->handler_failed)
        return;
    if (w->is_broken) {
        pfetch_failure_set(&why, PFETCH_CLASS_STOPPED,
                           "not stored: the run was stopped");
        give_up(w, job, PFETCH_FAIL, &why);
        return;
    }
    if (w->handler.begin == NULL)
        return;
    reply = w->handler.begin(w->handler.self, job, &response, offset, &why);
    if (reply != PFETCH_GO)
        give_up(w, job, reply, &why);
}

static void call_take(struct pf_writer *w, struct pfetch_job *job,
                      const void *data, size_t size)
{
    struct pfetch_failure why = { .cls = PFETCH_CLASS_NONE };
    enum pfetch_reply reply;

    if (job->handler_failed || size == 0)
        return;
    if (w->is_broken) {
        pfetch_failure_set(&why, PFETCH_CLASS_STOPPED,
                           "not stored: the run was stopped");
        give_up(w, job, PFETCH_FAIL, &why);
        return;
    }
    if (w->handler.take == NULL)
        return;
    reply = w->handler.take(w->handler.self, job, data, size, &why);
    if (reply != PFETCH_GO)
        give_up(w, job, reply, &why);
}

/* --- messages -------------------------------------------------------------- */

static void deliver_block(struct pf_writer *w, struct pf_block *block)
{
    if (block->response != NULL)
        call_begin(w, block->job, block->response, block->offset);
    call_take(w, block->job, block->data, block->size);
    pf_block_put(w->pool, block);
}

static void release_places(struct pf_writer *w)
{
    struct pfetch_job *job;

    if (w->finished == NULL)
        return;
    pf_urlqueue_release(w->urls, w->finished);
    while ((job = w->finished) != NULL) {
        w->finished = job->next;
        pf_job_free(job);
    }
    w->finished_jobs = 0;
}

/* The job is over: its record, and its end. */
static void finish_job(struct pf_writer *w, struct pfetch_job *job)
{
    struct pfetch_record record;

    pf_job_record(job, &record);
    if (w->on_record != NULL)
        w->on_record(w->record_user, &record);
    pf_stat_add(&w->stats->status[job->status], 1);
    job->next = w->finished;
    w->finished = job;
    if (++w->finished_jobs >= RELEASE_JOBS)
        release_places(w);
}

/* why may be NULL: there was no memory to keep it, or none was given. */
static void fail_job(struct pfetch_job *job, const struct pfetch_failure *why)
{
    struct pfetch_failure unknown = { .cls = PFETCH_CLASS_NONE };

    if (why == NULL) {
        pf_failure_complete(&unknown);
        why = &unknown;
    }
    pf_job_set_verdict(job, PFETCH_STATUS_FAILED, why->cls, why->text);
}

static void deliver_verdict(struct pf_writer *w, struct pfetch_job *job)
{
    struct pfetch_failure why = { .cls = PFETCH_CLASS_NONE };
    enum pfetch_reply reply = PFETCH_GO;
    struct pfetch_record record;
    bool was_ok;

    /* An empty body had no block to carry its begin(). */
    if (job->status == PFETCH_STATUS_OK && !job->body_begun)
        call_begin(w, job, job->response, job->body_offset);
    if (job->handler_failed)
        fail_job(job, job->handler_why);
    was_ok = job->status == PFETCH_STATUS_OK;
    if (job->is_planned && w->handler.end != NULL) {
        pf_job_record(job, &record);
        reply = w->handler.end(w->handler.self, job, &record, &why);
    }
    if (reply == PFETCH_PENDING) {
        w->pending++;
        return;
    }
    if (reply == PFETCH_FAIL || reply == PFETCH_BROKEN) {
        pf_failure_complete(&why);
        if (was_ok)
            fail_job(job, &why);
        if (reply == PFETCH_BROKEN)
            break_run(w, &why);
    }
    finish_job(w, job);
}

static void deliver_settled(struct pf_writer *w, struct pfetch_job *job)
{
    struct pfetch_failure why = { .cls = PFETCH_CLASS_NONE };

    w->pending--;
    if (job->settle_reply != PFETCH_GO) {
        if (job->handler_why != NULL)
            why = *job->handler_why;
        pf_failure_complete(&why);
        if (job->status == PFETCH_STATUS_OK)
            fail_job(job, &why);
        if (job->settle_reply == PFETCH_BROKEN)
            break_run(w, &why);
    }
    finish_job(w, job);
}

static void deliver(struct pf_writer *w, struct pf_msg *msg)
{
    switch (msg->kind) {
    case PF_MSG_BLOCK:
        deliver_block(w, pf_block_of(msg));
        break;
    case PF_MSG_VERDICT:
        deliver_verdict(w, pf_job_of_verdict(msg));
        break;
    case PF_MSG_SETTLED:
        deliver_settled(w, pf_job_of_settled(msg));
        break;
    }
}

static void call_done(struct pf_writer *w)
{
    struct pfetch_failure why = { .cls = PFETCH_CLASS_NONE };

    if (w->handler.done == NULL)
        return;
    if (w->handler.done(w->handler.self, &why) == PFETCH_BROKEN) {
        pf_failure_complete(&why);
        break_run(w, &why);
    }
}

static void *run(void *arg)
{
    struct pf_writer *w = arg;
    struct pf_msg *msg;

    while ((msg = pf_resultqueue_pop_all(w->results, w->pending > 0))
           != NULL) {
        while (msg != NULL) {
            struct pf_msg *next = msg->next;

            deliver(w, msg);
            msg = next;
        }
        release_places(w);
    }
    call_done(w);
    return NULL;
}

int pf_writer_start(struct pf_writer *w)
{
    /* Handlers are anybody's code: they get a full stack. */
    return pf_thread_start(&w->thread, "pfetch writer", 0, run, w) == 0
               ? 0 : PFETCH_ETHREAD;
}

void pf_writer_join(struct pf_writer *w)
{
    pf_thread_join(w->thread);
}
