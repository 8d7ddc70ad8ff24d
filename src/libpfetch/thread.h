/* thread.h - pthreads and the monotonic clock, wrapped once.
 *
 * SPDX-License-Identifier: MIT
 *
 * A pthread call that fails on a valid object is a bug in this program, not
 * an error a caller could handle: these wrappers abort then, so that callers
 * read clean.  What can really fail (starting a thread) returns an error.
 * All deadlines are on CLOCK_MONOTONIC: a step of the wall clock neither
 * stretches nor fires them.
 */
#ifndef PF_THREAD_H
#define PF_THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void pf_mutex_init(pthread_mutex_t *mutex);
void pf_mutex_fini(pthread_mutex_t *mutex);
void pf_mutex_lock(pthread_mutex_t *mutex);
void pf_mutex_unlock(pthread_mutex_t *mutex);

void pf_cond_init(pthread_cond_t *cond);
void pf_cond_fini(pthread_cond_t *cond);
void pf_cond_signal(pthread_cond_t *cond);
void pf_cond_broadcast(pthread_cond_t *cond);
void pf_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex);

/* Returns false when deadline_us (on pf_now_us()'s clock) has passed.
 * PF_NEVER waits without end. */
bool pf_cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *mutex,
                        int64_t deadline_us);

#define PF_NEVER INT64_MAX

/* The stack of a worker: libcurl, OpenSSL and one 16 KiB buffer fit into half
 * of it; the default of 8 MiB (glibc) or 128 KiB (musl) is too much for a
 * thousand workers or too little for TLS.  Sanitizers need larger frames. */
#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) \
    || __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define PF_WORKER_STACK_BYTES ((size_t)2 << 20)
#else
#define PF_WORKER_STACK_BYTES ((size_t)256 << 10)
#endif

/* Starts a thread with all signals blocked.  stack_bytes 0: the system's
 * default.  0, or an errno value: then nothing was started. */
int pf_thread_start(pthread_t *thread, const char *name, size_t stack_bytes,
                    void *(*run)(void *), void *arg);
void pf_thread_join(pthread_t thread);

/* The monotonic clock, from an arbitrary start. */
int64_t pf_now_ms(void);
int64_t pf_now_us(void);

/* The wall clock, for records only: milliseconds since 1970, UTC. */
int64_t pf_wall_ms(void);

#endif
