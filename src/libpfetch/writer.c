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
 * is left behind, and a body that was taken whole may still be committed.  The
 * same holds when a stop has cut transfers off and the handler is so slow that
 * what was on its way then has not been taken within DRAIN_MS: each line is to
 * have its record before the program is ended.  (Not for spooled bodies, which
 * are handed over whole.)
 *
 * Spooled.  For a handler that takes one body at a time blocks go to the spool
 * (spool.c) instead, and a verdict that accepts the body is what makes begin(),
 * take() and end() of it.
 *
 * Ordered.  Verdicts that come before their turn wait in a heap by their
 * number.  Every job that was accepted gets a number and ends in a verdict,
 * in whatever way, so each turn comes.  A job whose end() is pending holds up
 * no other body, only the records after its own: those jobs wait in a list.
 * The URL queue is told how far the records are, since that is where the
 * window of jobs that may be begun starts.
 */
#include "config.h"

#include "writer.h"

#include "job.h"
#include "stop.h"
#include "thread.h"
#include "urlqueue.h"

/* Places are given back after so many jobs at the latest; with a window, which
 * is short and keeps workers waiting, sooner. */
enum { RELEASE_JOBS = 256, RELEASE_ORDERED_JOBS = 16 };

enum { DRAIN_MS = 1000 };

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

static bool is_late(const struct pf_writer *w)
{
    int64_t abort_at_ms = pf_stop_abort_at_ms(w->stop);

    return abort_at_ms != PF_NEVER && pf_now_ms() - DRAIN_MS >= abort_at_ms;
}

static bool is_refused(struct pf_writer *w, struct pfetch_job *job)
{
    struct pfetch_failure why = { .cls = PFETCH_CLASS_NONE };

    if (job->handler_failed)
        return true;
    if (!w->is_broken && (w->is_spooled || !is_late(w)))
        return false;
    pfetch_failure_set(&why, PFETCH_CLASS_STOPPED,
                       "not stored: the run was stopped");
    give_up(w, job, PFETCH_FAIL, &why);
    return true;
}

/* exchange is filled in if the handler wants it. */
static void describe(const struct pf_response *r,
                     struct pfetch_response *response,
                     struct pfetch_exchange *exchange)
{
    const struct pf_exchange *x = r->exchange;

    *response = (struct pfetch_response){
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
        .exchange = x == NULL ? NULL : exchange,
    };
    if (x != NULL)
        *exchange = (struct pfetch_exchange){
            .request = x->request.data,
            .request_bytes = x->request.size,
            .header = x->header.data,
            .header_bytes = x->header.size,
            .start_unix_ms = x->start_unix_ms,
            .is_unpacked = r->is_decoded,
        };
}

static void call_begin(struct pf_writer *w, struct pfetch_job *job,
                       const struct pfetch_response *response, int64_t offset)
{
    struct pfetch_failure why = { .cls = PFETCH_CLASS_NONE };
    enum pfetch_reply reply;

    if (is_refused(w, job) || w->handler.begin == NULL)
        return;
    reply = w->handler.begin(w->handler.self, job, response, offset, &why);
    if (reply != PFETCH_GO)
        give_up(w, job, reply, &why);
}

static void call_take(struct pf_writer *w, struct pfetch_job *job,
                      const void *data, size_t size)
{
    struct pfetch_failure why = { .cls = PFETCH_CLASS_NONE };
    enum pfetch_reply reply;

    if (size == 0 || is_refused(w, job) || w->handler.take == NULL)
        return;
    reply = w->handler.take(w->handler.self, job, data, size, &why);
    if (reply != PFETCH_GO)
        give_up(w, job, reply, &why);
}

/* --- spooled bodies -------------------------------------------------------- */

static void spool_block(struct pf_writer *w, const struct pf_block *block)
{
    struct pfetch_failure why = { .cls = PFETCH_CLASS_NONE };
    struct pfetch_job *job = block->job;

    /* Who takes nothing gets nothing: only begin() and end() are owed. */
    if (is_refused(w, job) || w->handler.take == NULL)
        return;
    if (block->response != NULL) {
        pf_spool_begin(&w->spool, &job->spooled, block->offset,
                       pf_response_body_length(block->response));
        if (block->offset == 0) {
            pf_response_unref(job->spooled_of);
            job->spooled_of = pf_response_ref(block->response);
        }
    }
    if (pf_spool_append(&w->spool, &job->spooled, block->data, block->size,
                        &why) == 0)
        return;
    give_up(w, job, PFETCH_BROKEN, &why);
    pf_spool_drop(&w->spool, &job->spooled);
}

/* A body that has been accepted. */
static void hand_over_body(struct pf_writer *w, struct pfetch_job *job)
{
    struct pfetch_failure why = { .cls = PFETCH_CLASS_NONE };
    /* What a body was continued with may be silent about its name and time. */
    bool is_joined = job->body_offset > 0 && job->spooled.offset == 0
                     && job->spooled_of != NULL;
    struct pfetch_response response;
    struct pfetch_exchange exchange;
    struct pfetch_record record;
    const void *data;
    size_t size = 0;

    /* The last attempt may have had nothing to add. */
    if (!job->body_begun)
        pf_spool_begin(&w->spool, &job->spooled, job->body_offset, -1);
    describe(is_joined ? job->spooled_of : job->response, &response,
             &exchange);
    pf_job_record(job, &record);
    response.http_status = job->spooled.offset > 0 ? 206 : 200;
    response.length_bytes = job->bytes;
    response.record = &record;
    response.is_complete = true;
    call_begin(w, job, &response, job->spooled.offset);
    while (!job->handler_failed) {
        if (pf_spool_take(&w->spool, &job->spooled, &data, &size, &why)
            != 0) {
            give_up(w, job, PFETCH_BROKEN, &why);
            break;
        }
        if (size == 0)
            break;
        call_take(w, job, data, size);
    }
}

/* --- the end of a job ------------------------------------------------------ */

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
    if (w->is_ordered)
        pf_urlqueue_advance(w->urls, w->recorded);
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
    w->recorded++;
    if (++w->finished_jobs >= (w->is_ordered ? RELEASE_ORDERED_JOBS
                                             : RELEASE_JOBS))
        release_places(w);
}

/* What becomes of the job is settled.  In order its record may have to wait
 * for that of another. */
static void close_job(struct pf_writer *w, struct pfetch_job *job)
{
    if (!w->is_ordered) {
        finish_job(w, job);
        return;
    }
    job->is_closed = true;
    while ((job = w->unrecorded.first) != NULL && job->is_closed) {
        pf_job_list_remove(&w->unrecorded, job);
        finish_job(w, job);
    }
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

/* The rest of a body that is accepted: all of it, if it was spooled; begin()
 * of an empty one, which had no block to carry it. */
static void complete_body(struct pf_writer *w, struct pfetch_job *job)
{
    struct pfetch_response response;
    struct pfetch_exchange exchange;

    if (w->is_spooled) {
        hand_over_body(w, job);
    } else if (!job->body_begun) {
        describe(job->response, &response, &exchange);
        response.is_complete = true;
        call_begin(w, job, &response, job->body_offset);
    }
}

static void conclude_job(struct pf_writer *w, struct pfetch_job *job)
{
    struct pfetch_failure why = { .cls = PFETCH_CLASS_NONE };
    enum pfetch_reply reply = PFETCH_GO;
    struct pfetch_record record;
    bool was_ok;

    if (w->is_ordered)
        pf_job_list_append(&w->unrecorded, job);
    if (job->status == PFETCH_STATUS_OK && !job->handler_failed)
        complete_body(w, job);
    pf_spool_drop(&w->spool, &job->spooled);
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
    close_job(w, job);
}

/* --- messages -------------------------------------------------------------- */

/* Whether nothing but an accepting verdict comes after this block. */
static bool is_all(const struct pf_block *block)
{
    const struct pf_msg *next = block->msg.next;

    return block->offset == 0 && next != NULL
           && next->kind == PF_MSG_VERDICT
           && next == &block->job->verdict
           && block->response == block->job->response /* of one attempt */
           && block->job->status == PFETCH_STATUS_OK;
}

static void deliver_block(struct pf_writer *w, struct pf_block *block)
{
    struct pfetch_response response;
    struct pfetch_exchange exchange;

    if (w->is_spooled) {
        spool_block(w, block);
    } else {
        if (block->response != NULL) {
            describe(block->response, &response, &exchange);
            response.is_complete = is_all(block);
            call_begin(w, block->job, &response, block->offset);
        }
        call_take(w, block->job, block->data, block->size);
    }
    pf_block_put(w->pool, block);
}

static void deliver_verdict(struct pf_writer *w, struct pfetch_job *job)
{
    struct pf_heap_node *node;

    if (!w->is_ordered) {
        conclude_job(w, job);
        return;
    }
    if (job->seq != w->turn) {
        pf_heap_insert(&w->early, &job->delay, (int64_t)job->seq);
        return;
    }
    w->turn++;
    conclude_job(w, job);
    while ((node = pf_heap_min(&w->early)) != NULL
           && (uint64_t)node->key == w->turn) {
        (void)pf_heap_pop(&w->early); /* it is node */
        w->turn++;
        conclude_job(w, pf_job_of_delay(node));
    }
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
    close_job(w, job);
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

/* The next messages; NULL: there will be none.  Before the writer sleeps,
 * those get their turn who have kept work for such a pause.  The handler is
 * first: what it settles becomes records. */
static struct pf_msg *next_messages(struct pf_writer *w)
{
    struct pf_msg *msg = NULL;

    if (w->handler.idle != NULL || w->on_idle != NULL)
        msg = pf_resultqueue_poll_all(w->results);
    if (msg == NULL && w->handler.idle != NULL) {
        w->handler.idle(w->handler.self);
        msg = pf_resultqueue_poll_all(w->results);
    }
    if (msg != NULL)
        return msg;
    if (w->on_idle != NULL)
        w->on_idle(w->record_user);
    return pf_resultqueue_pop_all(w->results, w->pending > 0);
}

static void *run(void *arg)
{
    struct pf_writer *w = arg;
    struct pf_msg *msg;

    while ((msg = next_messages(w)) != NULL) {
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
    w->early.root = NULL;
    pf_job_list_init(&w->unrecorded);
    /* Handlers are anybody's code: they get a full stack. */
    return pf_thread_start(&w->thread, "pfetch writer", 0, run, w) == 0
               ? 0 : PFETCH_ETHREAD;
}

void pf_writer_join(struct pf_writer *w)
{
    pf_thread_join(w->thread);
}
