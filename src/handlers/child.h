/* child.h - processes that handlers start, and how they are ended.
 *
 * SPDX-License-Identifier: MIT
 *
 * A child has a process group of its own, so that Ctrl-C reaches us first and
 * what the child starts is reached together with it.  It gets standard input,
 * output and error, and no other descriptor; no signal is blocked, and SIGPIPE
 * and SIGXFSZ, which callers of this library ignore, mean what they usually
 * do.  What else was ignored stays ignored, as with nohup(1).
 *
 * A child belongs to one thread at a time; the functions need no lock and do
 * not block, but for pf_child_start(), which waits until the program runs.
 */
#ifndef PF_CHILD_H
#define PF_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct pf_child {
    pid_t pid;           /* 0: there is none */
    int exit_fd;         /* readable once it has ended; -1: the kernel has no
                          * such thing, look again and again */
    int signalled;       /* the last signal we sent; 0: none */
    int64_t deadline_ms; /* when the next is due; INT64_MAX: never */
};

/* How often a child without exit_fd is looked at. */
enum { PF_CHILD_LOOK_MS = 10 };

/* Starts words[0], found by PATH.  env NULL: ours.  in and out become its
 * standard input and output; in -1: /dev/null; out -1: our own.  0 or an
 * errno: then it is not running, and *child is none. */
int pf_child_start(struct pf_child *child, char *const words[],
                   char *const env[], int in, int out);

/* A pipe whose descriptors are no standard streams and are not inherited.
 * 0 or an errno. */
int pf_child_pipe(int fds[2]);

bool pf_child_has_ended(const struct pf_child *child);

/* After pf_child_has_ended(), or when it is given up: forgets the child,
 * together with what it has left in its group if it had to be signalled.
 * *status is that of waitpid(2), or -1 where nobody knows. */
void pf_child_reap(struct pf_child *child, int *status);

/* A signal for the whole group, the child's leftovers included. */
void pf_child_signal(struct pf_child *child, int signal_number);

/* It has so long to end by itself, no longer than it had before. */
void pf_child_expect_end(struct pf_child *child, int64_t ms);

/* When the deadline has come: TERM, then KILL.  False: both were in vain. */
bool pf_child_press(struct pf_child *child);

/* The milliseconds until pf_child_press() has something to do, or the next
 * look; -1: until exit_fd is readable.  For poll(2). */
int pf_child_timeout_ms(const struct pf_child *child);

/* "ended with status 3", "was killed by signal 9 (KILL)".  Returns text. */
char *pf_child_describe(int status, char *text, size_t size);

/* The monotonic clock. */
int64_t pf_child_now_ms(void);

#endif
