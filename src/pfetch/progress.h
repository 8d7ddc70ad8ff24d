/* progress.h - the thread that says how far the run is.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PF_PROGRESS_H
#define PF_PROGRESS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "pfetch.h"

struct pf_progress {
    /* Set by start, then read-only. */
    const struct pfetch *pf;
    bool periodic; /* false: only when asked */
    bool terminal; /* one line, rewritten, instead of a line now and then */
    int64_t start_ms;
    bool running; /* main only */
    pthread_t thread;

    pthread_mutex_t lock;   /* guards the two below */
    pthread_cond_t changed; /* signalled when one of them is set */
    bool over;
    bool asked;

    /* Thread only: what the last line said, for the rates. */
    int64_t last_ms;
    uint64_t last_done;
    uint64_t last_bytes;
};

/* Starts the thread; quiet: it speaks only when asked.  pf is borrowed until
 * pf_progress_join().  0, or an errno value: then nothing runs. */
int pf_progress_start(struct pf_progress *progress, const struct pfetch *pf,
                      bool quiet);

/* Makes it say one status line now.  Any thread; does not block. */
void pf_progress_ask(struct pf_progress *progress);

/* Ends the thread; nothing of it is left on a terminal.  Waits for a line
 * that is just being written.  Allowed when it was never started. */
void pf_progress_join(struct pf_progress *progress);

#endif
