/* progress.c - the thread that says how far the run is.
 *
 * SPDX-License-Identifier: MIT
 *
 * On a terminal one line is rewritten each second; elsewhere a line comes
 * every five seconds.  A short run says nothing.  SIGUSR1 asks for a line at
 * once: this thread writes it, so that the signal thread never waits for
 * standard error.  It sleeps on a condition variable, with deadlines of the
 * monotonic clock, and no lock is held while it writes.
 */
#include "config.h"

#include "progress.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "clock.h"
#include "figures.h"
#include "msg.h"

enum {
    PLAIN_INTERVAL_MS = 5000,
    TERMINAL_INTERVAL_MS = 1000,
    STACK_BYTES = 256 * 1024
};

static void compose(struct pf_progress *progress, int64_t now_ms, char *text,
                    size_t size)
{
    struct pfetch_counters now;
    char done[PF_FIGURE_BYTES], added[PF_FIGURE_BYTES];
    char failed[PF_FIGURE_BYTES], bytes[PF_FIGURE_BYTES];
    char rate[PF_FIGURE_BYTES], speed[PF_FIGURE_BYTES];

    pfetch_get_counters(progress->pf, &now);
    uint64_t records = now.ok + now.failed + now.skipped + now.not_attempted;
    double seconds = (double)(now_ms - progress->last_ms) / 1000;
    if (seconds < 0.001)
        seconds = 0.001;
    uint64_t new_bytes = now.body_bytes > progress->last_bytes
                             ? now.body_bytes - progress->last_bytes
                             : 0;
    (void)snprintf(
        text, size,
        "%s done of %s read, %s failed, %u running, %u delayed, %s "
        "(%s/s, %s/s), %lld s",
        pf_figure_count(records, done), pf_figure_count(now.added, added),
        pf_figure_count(now.failed, failed), (unsigned)now.running,
        (unsigned)now.delayed, pf_figure_size(now.body_bytes, bytes),
        pf_figure_rate((double)(records - progress->last_done) / seconds,
                       rate),
        pf_figure_size((uint64_t)((double)new_bytes / seconds), speed),
        (long long)((now_ms - progress->start_ms) / 1000));
    progress->last_ms = now_ms;
    progress->last_done = records;
    progress->last_bytes = now.body_bytes;
}

static unsigned measure_columns(void)
{
    struct winsize size;

    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        return size.ws_col;
    return 80;
}

static void speak(struct pf_progress *progress, bool asked)
{
    char text[512];

    compose(progress, pf_clock_ms(), text, sizeof(text));
    if (asked)
        pf_msg_error("%s", text); /* said even when quiet: it was asked for */
    else if (progress->terminal)
        pf_msg_status(measure_columns(), text);
    else
        pf_msg_note("%s", text);
}

/* Sleeps until asked, over, or the deadline.  Called and returns with the
 * lock held. */
static void sleep_locked(struct pf_progress *progress, int64_t deadline_ms)
{
    struct timespec deadline = {.tv_sec = (time_t)(deadline_ms / 1000),
                                .tv_nsec = (deadline_ms % 1000) * 1000000};
    int result = 0;

    while (!progress->over && !progress->asked && result != ETIMEDOUT)
        result = progress->periodic
                     ? pthread_cond_timedwait(&progress->changed,
                                              &progress->lock, &deadline)
                     : pthread_cond_wait(&progress->changed, &progress->lock);
}

static void *run_progress(void *argument)
{
    struct pf_progress *progress = argument;
    const int64_t interval_ms =
        progress->terminal ? TERMINAL_INTERVAL_MS : PLAIN_INTERVAL_MS;
    int64_t next_ms = progress->start_ms + interval_ms;
    bool over = false;

    while (!over) {
        (void)pthread_mutex_lock(&progress->lock);
        sleep_locked(progress, next_ms);
        over = progress->over;
        bool asked = progress->asked;
        progress->asked = false;
        (void)pthread_mutex_unlock(&progress->lock);

        if (asked || !over)
            speak(progress, asked);
        while (next_ms <= progress->last_ms)
            next_ms += interval_ms;
    }
    pf_msg_status_end();
    return NULL;
}

/* A line can be rewritten on standard error. */
static bool is_terminal(void)
{
    const char *term = getenv("TERM");

    return isatty(STDERR_FILENO) && term != NULL && *term != '\0' &&
           strcmp(term, "dumb") != 0;
}

static void init_sync(struct pf_progress *progress)
{
    pthread_condattr_t attributes;

    /* These fail only for lack of memory, which Linux does not need here. */
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&progress->changed, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    (void)pthread_mutex_init(&progress->lock, NULL);
}

int pf_progress_start(struct pf_progress *progress, const struct pfetch *pf,
                      bool quiet)
{
    pthread_attr_t attributes;

    memset(progress, 0, sizeof(*progress));
    progress->pf = pf;
    progress->periodic = !quiet;
    progress->terminal = is_terminal();
    progress->start_ms = progress->last_ms = pf_clock_ms();
    init_sync(progress);
    (void)pthread_attr_init(&attributes);
    (void)pthread_attr_setstacksize(&attributes, STACK_BYTES);
    int error = pthread_create(&progress->thread, &attributes, run_progress,
                               progress);
    (void)pthread_attr_destroy(&attributes);
    progress->running = error == 0;
    return error;
}

void pf_progress_ask(struct pf_progress *progress)
{
    (void)pthread_mutex_lock(&progress->lock);
    progress->asked = true;
    (void)pthread_cond_signal(&progress->changed);
    (void)pthread_mutex_unlock(&progress->lock);
}

void pf_progress_join(struct pf_progress *progress)
{
    if (!progress->running)
        return;
    (void)pthread_mutex_lock(&progress->lock);
    progress->over = true;
    (void)pthread_cond_signal(&progress->changed);
    (void)pthread_mutex_unlock(&progress->lock);
    (void)pthread_join(progress->thread, NULL);
    (void)pthread_mutex_destroy(&progress->lock);
    (void)pthread_cond_destroy(&progress->changed);
    progress->running = false;
}
