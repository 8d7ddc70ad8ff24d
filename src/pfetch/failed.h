/* failed.h - the lines that were read but are not ok, for another run.
 *
 * SPDX-License-Identifier: MIT
 *
 * They stand as they stood in their list, with their fields, in the order in
 * which they ended: the file is a list for -i.  It is emptied when it is
 * opened: what is in it belongs to this run.  Nothing in it is masked, so
 * nobody but the owner may read it.
 *
 * Used by one thread at a time, as a report.
 */
#ifndef PF_FAILED_H
#define PF_FAILED_H

#include <stdint.h>

#include "input.h"
#include "outfile.h"
#include "pfetch.h"

struct pf_failed {
    struct pf_outfile out; /* out.fd -1: closed, nothing is written */
    char end;              /* of a line */
    uint64_t lines;        /* written */
    char *buffer;          /* heap: the line being written */
    size_t buffer_size;
};

/* Opens file and makes it the owner's alone; null_separated: lines end with
 * NUL.  report (NULL: none) is one that is open: the file must be neither
 * that nor one of the lists of input.  It is not emptied yet.  0, or -1 with
 * *why set, as by pf_outfile_open(). */
int pf_failed_open(struct pf_failed *failed, const char *file,
                   bool null_separated, const struct pf_input *input,
                   const struct pf_outfile *report,
                   struct pfetch_failure *why);

/* Empties the file, if it is a regular one.  As pf_failed_record(). */
int pf_failed_begin(struct pf_failed *failed, struct pfetch_failure *why);

/* Writes the line of a record that is failed or not-attempted, and nothing
 * for others.  A line that cannot be repeated (too long, no text) becomes a
 * comment that names it.  0, also when the file is closed; -1 with *why set
 * when this call is the first that failed. */
int pf_failed_record(struct pf_failed *failed,
                     const struct pfetch_record *record,
                     struct pfetch_failure *why);

/* Closes and frees.  0, or -1 with *why set: what was written may be lost. */
int pf_failed_close(struct pf_failed *failed, struct pfetch_failure *why);

#endif
