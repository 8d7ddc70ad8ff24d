/* report.h - records for other programs: JSON Lines, and the lines of
 * --dry-run.
 *
 * SPDX-License-Identifier: MIT
 *
 * A report is used by one thread at a time: the engine's writer thread while
 * it runs, main before and after.
 */
#ifndef PF_REPORT_H
#define PF_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "input.h"
#include "outfile.h"
#include "pfetch.h"

struct pf_report {
    struct pf_outfile out; /* out.fd -1: closed, nothing is written */
    char *line;            /* heap: the line being written */
    size_t line_size;
    char *scratch;         /* heap: a text being cleaned */
    size_t scratch_size;
};

/* Opens file, to be appended to, or standard output for "-".  A file that
 * does not end with a newline (a run was killed in the middle of a record)
 * gets one.  May block for a FIFO.  0, or -1 with *why set, as by
 * pf_outfile_open(). */
int pf_report_open(struct pf_report *report, const char *file,
                   const struct pf_input *input, struct pfetch_failure *why);

/* Writes one record.  0, also when the report is closed; -1 with *why set
 * when this call is the first that failed.  After a failure nothing more is
 * written. */
int pf_report_record(struct pf_report *report,
                     const struct pfetch_record *record,
                     struct pfetch_failure *why);

/* Writes the last record of a run that ended early: it stands for the lines
 * from number n on.  `line` says where that is.  As pf_report_record(). */
int pf_report_unread(struct pf_report *report, uint64_t n,
                     const struct pf_line *line, struct pfetch_failure *why);

/* Writes "URL<TAB>path" for a record that has a path.  As
 * pf_report_record(). */
int pf_report_plan(struct pf_report *report,
                   const struct pfetch_record *record,
                   struct pfetch_failure *why);

/* Closes and frees.  0, or -1 with *why set: what was written may be lost. */
int pf_report_close(struct pf_report *report, struct pfetch_failure *why);

#endif
