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
#include "total.h"

/* --progress. */
enum pf_progress_mode {
    PF_PROGRESS_AUTO,  /* BAR on a terminal that can, else PLAIN */
    PF_PROGRESS_BAR,   /* a line that is rewritten; elsewhere PLAIN */
    PF_PROGRESS_FULL,  /* the same, and below it the oldest transfers */
    PF_PROGRESS_PLAIN, /* a line now and then */
    PF_PROGRESS_JSON,  /* an object each second */
    PF_PROGRESS_NONE
};

/* The sums that rates are made of, as they were when last looked at. */
struct pf_pace {
    int64_t ms;
    uint64_t done;
    uint64_t bytes;
    double files_per_s; /* smoothed */
    double bytes_per_s;
    bool is_begun;
};

struct pf_progress {
    /* Set by start, then read-only. */
    const struct pfetch *pf;
    enum pf_progress_mode mode; /* never AUTO */
    int64_t start_ms;
    bool running; /* main only */
    pthread_t thread;

    pthread_mutex_t lock;   /* guards the three below */
    pthread_cond_t changed; /* signalled when one of the first two is set */
    bool over;
    bool asked;
    bool all_read; /* so the lines read are all there are */

    struct pf_total total; /* the thread starts and joins it */

    /* Thread only. */
    struct pf_pace pace;
    uint64_t last_done; /* the last sign of life, for the tail */
    int64_t last_done_ms;
};

/* Starts the thread.  PF_PROGRESS_NONE: it speaks only when asked; so it does
 * with AUTO where is_silent: other words on the terminal would be disturbed,
 * or nobody wants to hear.  pf and input are borrowed until
 * pf_progress_join().  0, or an errno value: then nothing runs. */
int pf_progress_start(struct pf_progress *progress, const struct pfetch *pf,
                      const struct pf_input_options *input,
                      enum pf_progress_mode mode, bool is_silent);

/* Makes it say one status line now.  Any thread; does not block. */
void pf_progress_ask(struct pf_progress *progress);

/* The lists were read to their end.  Any thread; does not block. */
void pf_progress_all_read(struct pf_progress *progress);

/* Ends the thread; nothing of it is left on a terminal.  Waits for a line
 * that is just being written, which a terminal that takes nothing does not
 * hold up.  Allowed when it was never started. */
void pf_progress_join(struct pf_progress *progress);

#endif
