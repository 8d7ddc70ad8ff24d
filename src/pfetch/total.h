/* total.h - how many lines there are in all, counted beside the run.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PF_TOTAL_H
#define PF_TOTAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "input.h"

struct pf_total {
    /* Set by init, then read-only. */
    const struct pf_input_options *input;
    off_t stdin_offset; /* where standard input begins; -1: no file */

    bool running; /* who starts and joins only */
    pthread_t thread;
    _Atomic bool over;     /* set by join: the thread is to end */
    _Atomic int64_t lines; /* -1: not known, or not yet */
};

/* Before the lists are read; input is borrowed until join. */
void pf_total_init(struct pf_total *total,
                   const struct pf_input_options *input);

/* Starts to count.  Where it cannot be known (a pipe, a compressed list, a
 * shard, a pattern) or no thread can be had, it stays unknown. */
void pf_total_start(struct pf_total *total);

/* The lines of all lists, arguments included; -1: not known.  Any thread;
 * does not block. */
int64_t pf_total_get(const struct pf_total *total);

/* Ends the thread: waits for a read(2) of a file at most.  Allowed when it
 * was never started. */
void pf_total_join(struct pf_total *total);

#endif
