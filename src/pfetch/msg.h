/* msg.h - what is said to the user on standard error, and nothing else
 * writes there.
 *
 * SPDX-License-Identifier: MIT
 *
 * Each call writes whole lines with one write(2), so that lines of different
 * threads do not mix.  All but pf_msg_init() may be called from any thread;
 * they block only as long as standard error does.
 */
#ifndef PF_MSG_H
#define PF_MSG_H

#include <stdbool.h>
#include <stddef.h>

enum pf_verbosity {
    PF_QUIET,   /* -q: errors about the run only */
    PF_NORMAL,
    PF_VERBOSE  /* -v */
};

#if defined(__GNUC__)
#define PF_PRINTF(text, first) __attribute__((format(printf, text, first)))
#else
#define PF_PRINTF(text, first)
#endif

/* The name messages begin with: the last part of argv0 (borrowed for good;
 * NULL is allowed), and how much is said.  Before other threads start; may be
 * called again until then. */
void pf_msg_init(const char *argv0, enum pf_verbosity verbosity);

/* The name messages begin with.  Never NULL. */
const char *pf_msg_program(void);

/* Something is wrong with the run as a whole: always said. */
void pf_msg_error(const char *format, ...) PF_PRINTF(1, 2);

/* Said unless quiet. */
void pf_msg_note(const char *format, ...) PF_PRINTF(1, 2);

/* Said only when verbose. */
void pf_msg_detail(const char *format, ...) PF_PRINTF(1, 2);

/* A usage error: what, and where to find help. */
void pf_msg_usage(const char *what);

/* A line of its own, of printable text, without the program's name. */
void pf_msg_line(const char *text);

/* A status that stays until the next message or status replaces it: lines of
 * printable ASCII, each shorter than the terminal is wide, with newlines
 * between them.  Begin says whether it can be: standard error is a terminal
 * that knows how to wipe a line.  It never blocks; what the terminal does not
 * take is dropped.  End takes it away.  Begin on one thread, before the
 * others. */
bool pf_msg_status_begin(void);
void pf_msg_status(const char *block);
void pf_msg_status_end(void);

/* Makes text safe to print: whatever is not printable in the locale's
 * character set (control, format and bidi characters, bytes that are no
 * text) becomes \xNN.  Cut to size (at least 1), always terminated.  Returns
 * the length written. */
size_t pf_msg_escape(const char *text, char *out, size_t size);

#endif
