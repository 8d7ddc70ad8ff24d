/* watch.h - the thread with which a handler watches its processes.
 *
 * SPDX-License-Identifier: MIT
 *
 * Two threads work together: the engine's writer starts processes and waits
 * for them to have room; the watcher sleeps in poll(2) until one of them says
 * something or ends.  The lock is the handler's, for whatever both look at.
 */
#ifndef PF_WATCH_H
#define PF_WATCH_H

#include <pthread.h>
#include <stdbool.h>

/* How often who waits looks whether the run was stopped: a handler is not
 * told, it has to ask. */
enum { PF_WATCH_LOOK_MS = 100 };

struct pf_watch {
    pthread_mutex_t lock;   /* guards what its owner says, and: */
    pthread_cond_t changed; /* signalled by the watcher when the writer may
                             * have got room */
    int bell[2];            /* a pipe, read by the watcher; read-only */
    pthread_t thread;       /* writer only */
    bool is_started;        /* writer only */
};

/* 0 or an errno. */
int pf_watch_init(struct pf_watch *watch);

/* Starts the watcher, with all signals blocked.  0 or an errno. */
int pf_watch_start(struct pf_watch *watch, void *(*run)(void *), void *arg);

/* Waits until run() has returned, if it was started. */
void pf_watch_join(struct pf_watch *watch);

/* After pf_watch_join(). */
void pf_watch_fini(struct pf_watch *watch);

void pf_watch_lock(struct pf_watch *watch);
void pf_watch_unlock(struct pf_watch *watch);

/* Under the lock: waits for `changed`, PF_WATCH_LOOK_MS at most. */
void pf_watch_wait(struct pf_watch *watch);

/* Makes bell[0] readable, from any thread; and not readable, by the watcher.
 * Both never block. */
void pf_watch_ring(struct pf_watch *watch);
void pf_watch_unring(struct pf_watch *watch);

#endif
