/* writer.h - the one thread that hands results to the handler.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PF_WRITER_H
#define PF_WRITER_H

#include "block.h"
#include "heap.h"
#include "joblist.h"
#include "pfetch.h"
#include "resultqueue.h"
#include "stats.h"

struct pf_stop;
struct pf_urlqueue;

struct pf_writer {
    /* Set before start, then read-only. */
    struct pfetch_handler handler;
    void (*on_record)(void *user, const struct pfetch_record *record);
    void (*on_idle)(void *user);    /* NULL: nobody wants to know */
    void *record_user;          /* of both */
    struct pf_resultqueue *results;
    struct pf_block_pool *pool;
    struct pf_urlqueue *urls;   /* whose places are released */
    struct pf_stats *stats;
    const struct pf_stop *stop;
    /* Called once the handler finds the place unusable; never waits. */
    void (*on_broken)(void *user, const struct pfetch_failure *why);
    void *user;
    bool is_spooled;            /* the handler gets whole bodies, one after
                                 * the other */
    bool is_ordered;            /* in the order of job->seq; spooled as well */

    pthread_t thread;

    /* The writer thread's own. */
    size_t pending;             /* jobs whose end() answered PFETCH_PENDING */
    struct pfetch_job *finished; /* a list: not yet told to the URL queue */
    size_t finished_jobs;       /* in that list */
    bool is_broken;             /* no begin and take any more */
    struct pf_spool spool;      /* initialised before start */
    struct pf_heap early;       /* ordered: verdicts that came before their
                                 * turn, by job->seq, in job->delay */
    uint64_t turn;              /* ordered: whose turn it is to be handed over */
    struct pf_job_list unrecorded; /* ordered: handed over, but the record has
                                 * to wait for one that is pending */
    uint64_t recorded;          /* ordered: jobs whose record is out */
};

/* 0 or PFETCH_ETHREAD. */
int pf_writer_start(struct pf_writer *writer);

/* Waits until all is delivered and done() has returned: after the result
 * queue was closed. */
void pf_writer_join(struct pf_writer *writer);

#endif
