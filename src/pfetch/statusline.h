/* statusline.h - how far a run is, in one line.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PF_STATUSLINE_H
#define PF_STATUSLINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A snapshot of a run.  Rates are smoothed by who makes it. */
struct pf_status {
    uint64_t done;     /* lines with an outcome */
    uint64_t total;    /* lines in all lists */
    bool total_known;
    uint64_t added;    /* lines read */
    uint64_t failed;
    uint64_t running;
    uint64_t delayed;  /* waiting for another attempt */
    uint64_t held;     /* hosts held back */
    uint64_t bytes;
    double files_per_s;
    double bytes_per_s;
    int64_t elapsed_ms;
};

enum { PF_STATUSLINE_BYTES = 512 };

/* Each writes a line of printable ASCII, without its end, and returns its
 * length.  Any thread. */

/* What fits into that many columns, the most wanted first, with a bar if there
 * is room for one; the last column stays free, or the cursor would move to the
 * next line. */
size_t pf_statusline_bar(const struct pf_status *status, unsigned columns,
                         char text[PF_STATUSLINE_BYTES]);

/* All of it, in words: for a log. */
size_t pf_statusline_plain(const struct pf_status *status,
                           char text[PF_STATUSLINE_BYTES]);

/* All of it, as a JSON object: for a program. */
size_t pf_statusline_json(const struct pf_status *status,
                          char text[PF_STATUSLINE_BYTES]);

/* How long the rest takes if it goes on like this; -1: unknown. */
int64_t pf_statusline_left_ms(const struct pf_status *status);

#endif
