/* watch.c - the thread with which a handler watches its processes.
 *
 * SPDX-License-Identifier: MIT
 */
#include "config.h"

#include "watch.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "child.h"

int pf_watch_init(struct pf_watch *watch)
{
    pthread_condattr_t monotonic;
    int error = pf_child_pipe(watch->bell);

    if (error != 0)
        return error;
    watch->is_started = false;
    for (int i = 0; i < 2; i++)
        (void)fcntl(watch->bell[i], F_SETFL, O_NONBLOCK); /* a pipe: can */
    /* None of these fails where threads work. */
    (void)pthread_mutex_init(&watch->lock, NULL);
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&watch->changed, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    return 0;
}

int pf_watch_start(struct pf_watch *watch, void *(*run)(void *), void *arg)
{
    sigset_t all, old;
    int error;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &old);
    error = pthread_create(&watch->thread, NULL, run, arg);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    watch->is_started = error == 0;
    return error;
}

void pf_watch_join(struct pf_watch *watch)
{
    if (watch->is_started)
        (void)pthread_join(watch->thread, NULL); /* it is ours */
    watch->is_started = false;
}

void pf_watch_fini(struct pf_watch *watch)
{
    (void)pthread_cond_destroy(&watch->changed); /* nobody is left */
    (void)pthread_mutex_destroy(&watch->lock);
    (void)close(watch->bell[0]);
    (void)close(watch->bell[1]);
}

/* A lock that fails is a bug here, not an error that anybody could handle. */
void pf_watch_lock(struct pf_watch *watch)
{
    if (pthread_mutex_lock(&watch->lock) != 0)
        abort();
}

void pf_watch_unlock(struct pf_watch *watch)
{
    if (pthread_mutex_unlock(&watch->lock) != 0)
        abort();
}

void pf_watch_wait(struct pf_watch *watch)
{
    struct timespec until;

    (void)clock_gettime(CLOCK_MONOTONIC, &until); /* always there */
    until.tv_nsec += PF_WATCH_LOOK_MS * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_nsec -= 1000000000L;
        until.tv_sec++;
    }
    (void)pthread_cond_timedwait(&watch->changed, &watch->lock, &until);
}

void pf_watch_ring(struct pf_watch *watch)
{
    /* EAGAIN: it has been rung often enough. */
    (void)!write(watch->bell[1], "", 1);
}

void pf_watch_unring(struct pf_watch *watch)
{
    char bytes[64];

    while (read(watch->bell[0], bytes, sizeof(bytes)) > 0)
        ;
}
