/* msg.c - the one file that writes to standard error.
 *
 * SPDX-License-Identifier: MIT
 *
 * A message is formatted, escaped as a whole (what came from a list or a
 * server may be anywhere in it) and written with one write(2).  While a
 * status line stands on a terminal, a message is preceded, in the same
 * write, by the sequence that wipes it; the status line itself comes back
 * when it is next drawn.  So no lock is needed.  The status may be of several
 * lines: the cursor rests at the beginning of the first, so that one sequence
 * wipes them all.  It is written without blocking: a terminal that takes
 * nothing (stopped by Ctrl-S, or the other end of a dead connection) holds
 * nobody up.
 *
 * A write that fails is ignored: there is nowhere left to say so, and a
 * closed standard error is no reason to end a download.
 */
#include "config.h"

#include "msg.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>
#include <wctype.h>

enum {
    TEXT_BYTES = 2048,              /* of one message, before escaping */
    LINE_BYTES = 4 * TEXT_BYTES + 512, /* after it, with the name */
    STATUS_BYTES = 8192
};

/* From where the cursor rests, at the beginning of the status, on. */
#define WIPE "\r\033[J"
#define WIPE_REST "\033[K"  /* of this line */
#define WIPE_BELOW "\033[J"

/* Set by pf_msg_init() before other threads start, then read-only. */
static const char *program = "pfetch";
static enum pf_verbosity verbosity_now = PF_NORMAL;

/* True while a status may stand on the terminal. */
static _Atomic bool status_shown;

/* True once no status is to be shown any more: whoever ends it may not be the
 * thread that draws it. */
static _Atomic bool status_over;

/* The terminal of standard error, opened once more: O_NONBLOCK belongs to the
 * open file, which standard error shares with other processes.  Set by
 * pf_msg_status_begin(), then read-only; open to the end of the process. */
static int status_fd = -1;

static void write_out(const char *data, size_t size)
{
    while (size > 0) {
        ssize_t written = write(STDERR_FILENO, data, size);

        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return;
        data += written;
        size -= (size_t)written;
    }
}

/* Characters that print nothing of their own but change how others look. */
static bool is_deceptive(wchar_t c)
{
    return c == 0xad || c == 0x61c || (c >= 0x200b && c <= 0x200f) ||
           (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) ||
           c == 0xfeff || (c >= 0xfff9 && c <= 0xfffb);
}

/* The length of the printable character text begins with; 0 if there is
 * none. */
static size_t measure_printable(const char *text, size_t left)
{
    unsigned char byte = (unsigned char)text[0];
    mbstate_t state;
    wchar_t c;

    if (byte < 0x80)
        return byte >= 0x20 && byte != 0x7f;
    memset(&state, 0, sizeof(state));
    size_t length = mbrtowc(&c, text, left, &state);
    if (length == 0 || length > left) /* the error values are huge */
        return 0;
    return iswprint((wint_t)c) && !is_deceptive(c) ? length : 0;
}

size_t pf_msg_escape(const char *text, char *out, size_t size)
{
    size_t left = strlen(text);
    size_t used = 0;

    while (left > 0) {
        size_t length = measure_printable(text, left);

        if (length == 0) {
            if (used + 4 >= size)
                break;
            (void)snprintf(out + used, 5, "\\x%02x", (unsigned char)*text);
            used += 4;
            length = 1;
        } else {
            if (used + length >= size)
                break;
            memcpy(out + used, text, length);
            used += length;
        }
        text += length;
        left -= length;
    }
    out[used] = '\0';
    return used;
}

static void say(const char *format, va_list arguments) PF_PRINTF(1, 0);

static void say(const char *format, va_list arguments)
{
    char text[TEXT_BYTES];
    char line[LINE_BYTES];
    size_t used = 0;

    (void)vsnprintf(text, sizeof(text), format, arguments);
    if (atomic_load(&status_shown)) {
        memcpy(line, WIPE, strlen(WIPE));
        used = strlen(WIPE);
    }
    used += pf_msg_escape(program, line + used, 256);
    line[used++] = ':';
    line[used++] = ' ';
    used += pf_msg_escape(text, line + used, sizeof(line) - used - 1);
    line[used++] = '\n';
    write_out(line, used);
}

void pf_msg_init(const char *argv0, enum pf_verbosity verbosity)
{
    if (argv0 != NULL && *argv0 != '\0') {
        const char *slash = strrchr(argv0, '/');

        program = slash != NULL && slash[1] != '\0' ? slash + 1 : argv0;
    }
    verbosity_now = verbosity;
}

const char *pf_msg_program(void)
{
    return program;
}

void pf_msg_error(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    say(format, arguments);
    va_end(arguments);
}

void pf_msg_note(const char *format, ...)
{
    va_list arguments;

    if (verbosity_now < PF_NORMAL)
        return;
    va_start(arguments, format);
    say(format, arguments);
    va_end(arguments);
}

void pf_msg_detail(const char *format, ...)
{
    va_list arguments;

    if (verbosity_now < PF_VERBOSE)
        return;
    va_start(arguments, format);
    say(format, arguments);
    va_end(arguments);
}

void pf_msg_usage(const char *what)
{
    char name[256];
    char line[sizeof(name) + 32];

    pf_msg_error("%s", what);
    (void)pf_msg_escape(program, name, sizeof(name));
    int length = snprintf(line, sizeof(line), "Try '%s --help'\n", name);
    write_out(line, (size_t)length);
}

/* --- the status line -------------------------------------------------------- */

bool pf_msg_status_begin(void)
{
    const char *term = getenv("TERM");

    if (!isatty(STDERR_FILENO) || term == NULL || *term == '\0' ||
        strcmp(term, "dumb") == 0)
        return false;
    if (status_fd < 0)
        status_fd = open("/proc/self/fd/2",
                         O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    atomic_store(&status_over, false);
    /* Not to be had where it belongs to who has called su(1). */
    return status_fd >= 0;
}

/* The shell has given the terminal to somebody else: to a job in the
 * background it does not belong. */
static bool is_in_background(void)
{
    pid_t group = tcgetpgrp(status_fd); /* fails for one that is not ours */

    return group > 0 && group != getpgrp();
}

void pf_msg_status(const char *block)
{
    char out[STATUS_BYTES];
    size_t used = 0, below = 0;

    out[used++] = '\r';
    for (const char *line = block; line != NULL;) {
        size_t length = strcspn(line, "\n");

        if (used + length + 32 > sizeof(out))
            break;
        if (line != block) {
            out[used++] = '\n';
            below++;
        }
        memcpy(out + used, line, length);
        used += length;
        memcpy(out + used, WIPE_REST, strlen(WIPE_REST));
        used += strlen(WIPE_REST);
        line = line[length] == '\n' ? line + length + 1 : NULL;
    }
    used += (size_t)snprintf(out + used, sizeof(out) - used, WIPE_BELOW);
    if (below > 0)
        used += (size_t)snprintf(out + used, sizeof(out) - used,
                                 "\033[%zuA", below);
    out[used++] = '\r';
    if (atomic_load(&status_over) || is_in_background())
        return;
    atomic_store(&status_shown, true);
    /* What a terminal does not take now is out of date later. */
    (void)!write(status_fd, out, used);
}

void pf_msg_status_end(void)
{
    const ssize_t size = (ssize_t)strlen(WIPE);

    atomic_store(&status_over, true);
    /* Should the terminal take nothing, the next message brings it. */
    if (atomic_load(&status_shown) &&
        write(status_fd, WIPE, (size_t)size) == size)
        atomic_store(&status_shown, false);
}

void pf_msg_line(const char *text)
{
    char line[LINE_BYTES];
    int length = snprintf(line, sizeof(line), "%s\n", text);

    if (length > 0 && (size_t)length < sizeof(line))
        write_out(line, (size_t)length);
}
