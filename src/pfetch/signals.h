/* signals.h - what INT, TERM, HUP and USR1 do to a run.
 *
 * SPDX-License-Identifier: MIT
 *
 * The order of calls, all from main: block, start, join.  A signal that
 * comes between block and start waits for start.
 */
#ifndef PF_SIGNALS_H
#define PF_SIGNALS_H

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "input.h"
#include "pfetch.h"
#include "progress.h"

struct pf_signals {
    /* Set by block and start, then read-only. */
    sigset_t set;      /* the signals waited for */
    sigset_t old_mask; /* of main, before */
    struct pfetch *pf;
    struct pf_input *input;
    struct pf_progress *progress;
    int64_t grace_ms;
    int64_t stop_at_ms; /* --deadline, on pf_clock_ms(); -1: none */
    bool running; /* main only */
    pthread_t thread;

    _Atomic bool over; /* set by join: the thread is to end */

    /* Written by the thread, read by main after join. */
    int fatal;   /* the first INT or TERM; 0: none came */
    bool hangup; /* HUP came */
    bool expired; /* stop_at_ms came */
};

/* Blocks the signals, before any thread is started, so that they reach the
 * signal thread only.  Those that are ignored (nohup, a shell's background
 * job) stay ignored. */
void pf_signals_block(struct pf_signals *signals);

/* Starts the thread.  INT or TERM: pfetch_stop() with the grace time, and
 * the reader of lists is woken; the second one, or 2 s after the grace time,
 * ends the process by the signal.  HUP: pfetch_stop() without end of grace.
 * USR1: a status line.  At stop_at_ms (-1: never): pfetch_stop() at once.
 * pf, input and progress are borrowed until join.
 * 0, or an errno value. */
int pf_signals_start(struct pf_signals *signals, struct pfetch *pf,
                     struct pf_input *input, struct pf_progress *progress,
                     int64_t grace_ms, int64_t stop_at_ms);

/* Ends the thread and unblocks the signals again: from here on they do what
 * they did when the program was started.  Allowed after block alone. */
void pf_signals_join(struct pf_signals *signals);

/* Ends the process by that signal, whatever its disposition was. */
_Noreturn void pf_signals_die(int signal_number);

#endif
