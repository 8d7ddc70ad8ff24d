/* outfile.h - a file that whole lines are appended to: the report, the lines
 * that failed.
 *
 * SPDX-License-Identifier: MIT
 *
 * A line is written whole, by one write(2) to a descriptor in append mode, so
 * that the lines of several processes do not mix; only a pipe that is full,
 * or a full disk, can part it.  There is no buffer that could be lost.  After
 * a first failure, which is told, nothing more is written.
 *
 * Used by one thread at a time.
 */
#ifndef PF_OUTFILE_H
#define PF_OUTFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "input.h"
#include "pfetch.h"

struct pf_outfile {
    const char *name; /* for messages; borrowed */
    int fd;           /* -1: closed, nothing is written */
    bool failed;      /* set with the first failure, for good */
};

/* Opens file, created with that mode if it is missing, or standard output for
 * "-".  May block for a FIFO.  0, or -1 with *why set: of class local; of
 * class none where the file is one of the lists of input (may be NULL). */
int pf_outfile_open(struct pf_outfile *out, const char *file, mode_t mode,
                    const struct pf_input *input, struct pfetch_failure *why);

/* Gives a file that does not end with a newline one: a run was killed in the
 * middle of a line.  As pf_outfile_write(). */
int pf_outfile_mend(struct pf_outfile *out, struct pfetch_failure *why);

/* Writes size bytes: a whole line, or several.  0, also when the file is
 * closed or has failed before; -1 with *why set when this call is the first
 * that fails. */
int pf_outfile_write(struct pf_outfile *out, const char *data, size_t size,
                     struct pfetch_failure *why);

/* Waits until what was written is on stable storage; nothing to be done for
 * what is no regular file.  As pf_outfile_write(). */
int pf_outfile_sync(struct pf_outfile *out, struct pfetch_failure *why);

/* The same for the name of a file, once after it was opened; not for standard
 * output. */
int pf_outfile_sync_name(struct pf_outfile *out, struct pfetch_failure *why);

/* Records a failure that was met in making a line.  As pf_outfile_write(). */
int pf_outfile_fail(struct pf_outfile *out, struct pfetch_failure *why,
                    const char *what);

/* True if it is open, and that file. */
bool pf_outfile_is(const struct pf_outfile *out, dev_t device, ino_t inode);

/* 0, or -1 with *why set: what was written may be lost. */
int pf_outfile_close(struct pf_outfile *out, struct pfetch_failure *why);

#endif
