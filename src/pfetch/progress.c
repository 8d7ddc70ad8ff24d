/* progress.c - the thread that says how far the run is.
 *
 * SPDX-License-Identifier: MIT
 *
 * It makes a snapshot of the counters, at most five times a second, and has
 * statusline.c say it: on a terminal in a line that is rewritten, elsewhere in
 * a line now and then, ever more rarely.  A short run says nothing.  No
 * download waits for it: it only reads counters, and writes to the terminal
 * without blocking (msg.c).  SIGUSR1 asks for a line at once: this thread
 * writes it, so that the signal thread never waits for standard error.  It
 * sleeps on a condition variable, with deadlines of the monotonic clock, and
 * no lock is held while it writes.
 *
 * Rates are those of the last seconds: each new one counts by its share of
 * SMOOTH_MS, what was before fades.  When only a few transfers are left and
 * nothing has ended for a while, the line says what is waited for.
 */
#include "config.h"

#include "progress.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "clock.h"
#include "figures.h"
#include "msg.h"
#include "statusline.h"

enum {
    FIRST_MS = 500, /* before it a bar says nothing */
    BAR_MS = 200,   /* between two of them */
    JSON_MS = 1000,
    PLAIN_MS = 5000, /* twice as long each time */
    PLAIN_MAX_MS = 60 * 1000,
    SMOOTH_MS = 3000,
    TAIL_MS = 1000, /* without an outcome, before the tail is named */
    TAIL_TRANSFERS = 3,
    FULL_TRANSFERS = 8,
    COLUMNS_UNKNOWN = 80,
    ROWS_UNKNOWN = 24,
    BLOCK_BYTES = 4096,
    STACK_BYTES = 256 * 1024
};

/* --- what is said --------------------------------------------------------- */

static double smooth(double before, double now, double weight)
{
    return before + (now - before) * weight;
}

/* Counts what has come since the last time. */
static void keep_pace(struct pf_pace *pace, const struct pf_status *status,
                      int64_t now_ms)
{
    double ms = (double)(now_ms - pace->ms);
    double weight = ms / (SMOOTH_MS + ms);

    if (ms < 1)
        return;
    double done = (double)(status->done - pace->done) * 1000 / ms;
    double bytes = status->bytes < pace->bytes
                       ? 0
                       : (double)(status->bytes - pace->bytes) * 1000 / ms;
    if (!pace->is_begun)
        weight = 1; /* there is nothing to be faded */
    pace->files_per_s = smooth(pace->files_per_s, done, weight);
    pace->bytes_per_s = smooth(pace->bytes_per_s, bytes, weight);
    pace->ms = now_ms;
    pace->done = status->done;
    pace->bytes = status->bytes;
    pace->is_begun = true;
}

static void look(struct pf_progress *progress, struct pf_status *status,
                 int64_t now_ms)
{
    struct pfetch_counters now;
    int64_t total = pf_total_get(&progress->total);

    (void)pthread_mutex_lock(&progress->lock);
    bool all_read = progress->all_read;
    (void)pthread_mutex_unlock(&progress->lock);
    pfetch_get_counters(progress->pf, &now);
    memset(status, 0, sizeof(*status));
    status->done = now.ok + now.failed + now.skipped + now.not_attempted;
    status->added = now.added;
    status->total_known = all_read || total >= 0;
    status->total = all_read ? now.added : total >= 0 ? (uint64_t)total : 0;
    if (status->total_known && status->total < now.added)
        status->total = now.added; /* the list has grown */
    status->failed = now.failed;
    status->running = now.running;
    status->delayed = now.delayed;
    status->held = now.hosts_held;
    status->bytes = now.body_bytes;
    status->elapsed_ms = now_ms - progress->start_ms;
    keep_pace(&progress->pace, status, now_ms);
    status->files_per_s = progress->pace.files_per_s;
    status->bytes_per_s = progress->pace.bytes_per_s;
    if (status->done != progress->last_done) {
        progress->last_done = status->done;
        progress->last_done_ms = now_ms;
    }
}

/* A terminal as it is now. */
struct screen {
    unsigned columns, rows;
};

static struct screen measure_screen(void)
{
    struct screen screen = {COLUMNS_UNKNOWN, ROWS_UNKNOWN};
    const char *text = getenv("COLUMNS");
    struct winsize size;
    bool is_known = false;

    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0) {
        is_known = size.ws_col > 0;
        if (is_known)
            screen.columns = size.ws_col;
        if (size.ws_row > 0)
            screen.rows = size.ws_row;
    }
    if (text != NULL && *text != '\0') {
        char *end;
        unsigned long columns = strtoul(text, &end, 10);

        /* Wider than the terminal is, lines would be two. */
        if (*end == '\0' && columns > 0 &&
            (columns < screen.columns || !is_known))
            screen.columns = columns < 10000 ? (unsigned)columns : 10000;
    }
    return screen;
}

/* Lines that stand below each other. */
struct block {
    char text[BLOCK_BYTES];
    size_t used;
};

/* Adds text, cut to width. */
static void add(struct block *block, const char *text, size_t width)
{
    size_t length = strnlen(text, width);

    if (block->used + length >= sizeof(block->text))
        return;
    memcpy(block->text + block->used, text, length);
    block->used += length;
    block->text[block->used] = '\0';
}

/* "   12 s  3.4 MiB  http://h/x". */
static void add_transfer(struct block *block,
                         const struct pfetch_transfer *transfer, size_t width)
{
    char text[sizeof(transfer->url) + 64], size[PF_FIGURE_BYTES];

    (void)snprintf(text, sizeof(text), "%7.1f s  %9s  %.*s",
                   (double)transfer->elapsed_us / 1e6,
                   pf_figure_size((uint64_t)transfer->bytes, size),
                   (int)sizeof(transfer->url), transfer->url);
    add(block, "\n", 1);
    add(block, text, width);
}

static void draw_oldest(struct pf_progress *progress, struct block *block,
                        struct screen screen)
{
    struct pfetch_transfer transfers[FULL_TRANSFERS];
    size_t count = screen.rows > 2 ? screen.rows - 2 : 0;

    if (count > FULL_TRANSFERS)
        count = FULL_TRANSFERS;
    count = pfetch_get_transfers(progress->pf, transfers, count);
    for (size_t i = 0; i < count; i++)
        add_transfer(block, &transfers[i], screen.columns - 1);
}

/* The end of a run that hangs on few transfers: what is waited for, and for
 * how long.  False: that is not how it is. */
static bool draw_tail(struct pf_progress *progress, struct block *block,
                      const struct pf_status *status, struct screen screen,
                      int64_t now_ms)
{
    struct pfetch_transfer transfers[TAIL_TRANSFERS];
    char text[PF_STATUSLINE_BYTES];

    if (!status->total_known || status->done >= status->total ||
        status->total - status->done > TAIL_TRANSFERS ||
        now_ms - progress->last_done_ms < TAIL_MS)
        return false;
    size_t count = pfetch_get_transfers(progress->pf, transfers,
                                        TAIL_TRANSFERS);
    if (count == 0 && status->delayed == 0)
        return false; /* for a rate, or for the handler */
    int used = snprintf(text, sizeof(text), "waiting for %" PRIu64 ": ",
                        status->total - status->done);
    for (size_t i = 0; i < count && (size_t)used < sizeof(text); i++)
        used += snprintf(text + used, sizeof(text) - (size_t)used,
                         "%s%.0f s %s", i > 0 ? ", " : "",
                         (double)transfers[i].elapsed_us / 1e6,
                         transfers[i].url);
    if (status->delayed > 0 && (size_t)used < sizeof(text))
        (void)snprintf(text + used, sizeof(text) - (size_t)used,
                       "%s%" PRIu64 " to be tried again",
                       count > 0 ? ", " : "", status->delayed);
    add(block, text, screen.columns - 1);
    return true;
}

static void draw(struct pf_progress *progress, const struct pf_status *status,
                 int64_t now_ms)
{
    struct screen screen = measure_screen();
    struct block block = {.used = 0};
    char text[PF_STATUSLINE_BYTES];

    block.text[0] = '\0';
    if (progress->mode == PF_PROGRESS_FULL ||
        !draw_tail(progress, &block, status, screen, now_ms)) {
        (void)pf_statusline_bar(status, screen.columns, text);
        add(&block, text, screen.columns - 1);
    }
    if (progress->mode == PF_PROGRESS_FULL)
        draw_oldest(progress, &block, screen);
    pf_msg_status(block.text);
}

static bool is_drawn(const struct pf_progress *progress)
{
    return progress->mode == PF_PROGRESS_BAR ||
           progress->mode == PF_PROGRESS_FULL;
}

static void speak(struct pf_progress *progress, bool asked)
{
    int64_t now_ms = pf_clock_ms();
    struct pf_status status;
    char text[PF_STATUSLINE_BYTES];

    look(progress, &status, now_ms);
    if (asked || progress->mode == PF_PROGRESS_PLAIN) {
        (void)pf_statusline_plain(&status, text);
        pf_msg_error("%s", text); /* also when quiet: it was asked for */
    } else if (is_drawn(progress)) {
        draw(progress, &status, now_ms);
    } else if (progress->mode == PF_PROGRESS_JSON) {
        (void)pf_statusline_json(&status, text);
        pf_msg_line(text);
    }
}

/* --- the thread ----------------------------------------------------------- */

/* Sleeps until asked, over, or the deadline.  Called and returns with the
 * lock held. */
static void sleep_locked(struct pf_progress *progress, int64_t deadline_ms)
{
    struct timespec deadline = {.tv_sec = (time_t)(deadline_ms / 1000),
                                .tv_nsec = (deadline_ms % 1000) * 1000000};
    int result = 0;

    while (!progress->over && !progress->asked && result != ETIMEDOUT)
        result = progress->mode != PF_PROGRESS_NONE
                     ? pthread_cond_timedwait(&progress->changed,
                                              &progress->lock, &deadline)
                     : pthread_cond_wait(&progress->changed, &progress->lock);
}

static int64_t first_interval_ms(const struct pf_progress *progress)
{
    if (is_drawn(progress))
        return FIRST_MS;
    return progress->mode == PF_PROGRESS_JSON ? JSON_MS : PLAIN_MS;
}

static int64_t next_interval_ms(const struct pf_progress *progress,
                                int64_t interval_ms)
{
    if (is_drawn(progress))
        return BAR_MS;
    if (progress->mode == PF_PROGRESS_JSON)
        return JSON_MS;
    return interval_ms >= PLAIN_MAX_MS / 2 ? PLAIN_MAX_MS : 2 * interval_ms;
}

static void *run_progress(void *argument)
{
    struct pf_progress *progress = argument;
    int64_t interval_ms = first_interval_ms(progress);
    int64_t next_ms = progress->start_ms + interval_ms;
    bool over = false, is_counting = false;

    while (!over) {
        (void)pthread_mutex_lock(&progress->lock);
        sleep_locked(progress, is_counting ? next_ms
                                           : progress->start_ms + FIRST_MS);
        over = progress->over;
        bool asked = progress->asked;
        progress->asked = false;
        (void)pthread_mutex_unlock(&progress->lock);

        if (!over && !is_counting) { /* a short run does without */
            is_counting = true;
            pf_total_start(&progress->total);
        }
        bool due = pf_clock_ms() >= next_ms;
        if (asked || (!over && due))
            speak(progress, asked);
        if (due) {
            interval_ms = next_interval_ms(progress, interval_ms);
            next_ms = pf_clock_ms() + interval_ms;
        }
    }
    pf_total_join(&progress->total);
    pf_msg_status_end();
    return NULL;
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
                      const struct pf_input_options *input,
                      enum pf_progress_mode mode, bool is_silent)
{
    pthread_attr_t attributes;

    memset(progress, 0, sizeof(*progress));
    progress->pf = pf;
    if (mode == PF_PROGRESS_AUTO)
        mode = is_silent ? PF_PROGRESS_NONE : PF_PROGRESS_BAR;
    if ((mode == PF_PROGRESS_BAR || mode == PF_PROGRESS_FULL) &&
        !pf_msg_status_begin())
        mode = PF_PROGRESS_PLAIN;
    progress->mode = mode;
    progress->start_ms = pf_clock_ms();
    progress->pace.ms = progress->last_done_ms = progress->start_ms;
    pf_total_init(&progress->total, input);
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

void pf_progress_all_read(struct pf_progress *progress)
{
    (void)pthread_mutex_lock(&progress->lock);
    progress->all_read = true;
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
    /* Lock and condition stay: the signal thread, which ends after this one,
     * may still ask.  They hold nothing that would have to be given back. */
    progress->running = false;
}
