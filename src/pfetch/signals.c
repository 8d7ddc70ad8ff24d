/* signals.c - the thread that waits for signals.
 *
 * SPDX-License-Identifier: MIT
 *
 * The signals are blocked in every thread and taken by sigtimedwait(2), so
 * that what they do is ordinary code.  After the first INT or TERM the thread
 * waits with a deadline: whatever hangs then (a handler, a write to a pipe
 * nobody reads), the process still ends.  This thread itself does nothing
 * that could block.
 */
#include "config.h"

#include "signals.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "msg.h"

enum {
    SAVE_MS = 2000, /* after the grace time, to save what there is */
    TWICE_MS = 100, /* within this the second signal is the first once more:
                     * timeout(1) sends it to the process and to its group */
    STACK_BYTES = 128 * 1024
};

_Noreturn void pf_signals_die(int signal_number)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigset_t set;

    pf_msg_status_end(); /* or it would stay on the terminal */
    /* None of these fails for a signal that was waited for. */
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(signal_number, &action, NULL);
    (void)sigemptyset(&set);
    (void)sigaddset(&set, signal_number);
    (void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    (void)raise(signal_number);
    _exit(128 + signal_number);
}

/* Waits for a signal, until deadline_ms if that is not negative.  0: the
 * deadline has come. */
static int wait_for_signal(const sigset_t *set, int64_t deadline_ms)
{
    for (;;) {
        int64_t left_ms = deadline_ms - pf_clock_ms();
        struct timespec left = {0, 0};
        int got;

        if (left_ms > 0) {
            left.tv_sec = (time_t)(left_ms / 1000);
            left.tv_nsec = (left_ms % 1000) * 1000000;
        }
        got = deadline_ms < 0 ? sigwaitinfo(set, NULL)
                              : sigtimedwait(set, NULL, &left);
        if (got > 0)
            return got;
        if (errno == EAGAIN)
            return 0;
    }
}

static void *run_signals(void *argument)
{
    struct pf_signals *signals = argument;
    int64_t deadline_ms = signals->stop_at_ms, first_ms = 0;

    for (;;) {
        int got = wait_for_signal(&signals->set, deadline_ms);

        if (got == 0 && signals->fatal != 0)
            pf_signals_die(signals->fatal);
        if (got == 0) {
            signals->expired = true;
            deadline_ms = -1;
            pfetch_stop(signals->pf, 0);
            pf_input_stop(signals->input);
            continue;
        }
        if (got == SIGINT || got == SIGTERM) {
            if (got == signals->fatal && pf_clock_ms() - first_ms < TWICE_MS)
                continue;
            if (signals->fatal != 0)
                pf_signals_die(got);
            signals->fatal = got;
            first_ms = pf_clock_ms();
            deadline_ms = first_ms + signals->grace_ms + SAVE_MS;
            pfetch_stop(signals->pf, signals->grace_ms);
            pf_input_stop(signals->input);
        } else if (got == SIGHUP) {
            signals->hangup = true;
            pfetch_stop(signals->pf, PFETCH_GRACE_FOREVER);
            pf_input_stop(signals->input);
        } else if (atomic_load(&signals->over)) {
            return NULL; /* the USR1 of pf_signals_join() */
        } else {
            pf_progress_ask(signals->progress);
        }
    }
}

static void add_unless_ignored(sigset_t *set, int signal_number)
{
    struct sigaction action;

    if (sigaction(signal_number, NULL, &action) == 0 &&
        action.sa_handler != SIG_IGN)
        (void)sigaddset(set, signal_number);
}

void pf_signals_block(struct pf_signals *signals)
{
    struct sigaction action = {.sa_handler = SIG_DFL};

    memset(signals, 0, sizeof(*signals));
    (void)sigemptyset(&signals->set);
    add_unless_ignored(&signals->set, SIGINT);
    add_unless_ignored(&signals->set, SIGTERM);
    add_unless_ignored(&signals->set, SIGHUP);
    /* USR1 ends this thread: it is waited for in any case, and must not be
     * ignored. */
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGUSR1, &action, NULL);
    (void)sigaddset(&signals->set, SIGUSR1);
#ifdef SIGINFO
    (void)sigaddset(&signals->set, SIGINFO);
#endif
    (void)pthread_sigmask(SIG_BLOCK, &signals->set, &signals->old_mask);
}

int pf_signals_start(struct pf_signals *signals, struct pfetch *pf,
                     struct pf_input *input, struct pf_progress *progress,
                     int64_t grace_ms, int64_t stop_at_ms)
{
    pthread_attr_t attributes;

    signals->pf = pf;
    signals->input = input;
    signals->progress = progress;
    signals->grace_ms = grace_ms;
    signals->stop_at_ms = stop_at_ms;
    (void)pthread_attr_init(&attributes);
    (void)pthread_attr_setstacksize(&attributes, STACK_BYTES);
    int error = pthread_create(&signals->thread, &attributes, run_signals,
                               signals);
    (void)pthread_attr_destroy(&attributes);
    signals->running = error == 0;
    return error;
}

void pf_signals_join(struct pf_signals *signals)
{
    if (signals->running) {
        atomic_store(&signals->over, true);
        /* Of the signals sent to a thread none is lost. */
        (void)pthread_kill(signals->thread, SIGUSR1);
        (void)pthread_join(signals->thread, NULL);
        signals->running = false;
    }
    (void)pthread_sigmask(SIG_SETMASK, &signals->old_mask, NULL);
}
