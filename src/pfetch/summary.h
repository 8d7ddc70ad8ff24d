/* summary.h - what a person is told about URLs: a line for each that fails,
 * and at the end one sentence, with the reasons and hosts of failures.
 *
 * SPDX-License-Identifier: MIT
 *
 * Used by one thread at a time: the engine's writer thread while it runs,
 * main afterwards.
 */
#ifndef PF_SUMMARY_H
#define PF_SUMMARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pfetch.h"

enum { PF_TALLY_ENTRIES = 64, PF_TALLY_NAME_BYTES = 256 };

/* Counts by name: the first names that come get a place, the others are
 * counted together. */
struct pf_tally {
    struct pf_tally_entry {
        char name[PF_TALLY_NAME_BYTES];
        uint64_t count;
    } entries[PF_TALLY_ENTRIES];
    size_t used;
    uint64_t others;
};

struct pf_summary {
    uint64_t ok;
    uint64_t planned;
    uint64_t failed;
    uint64_t cut_off;       /* of these, by a stop */
    uint64_t wrong;         /* of these, because the line is wrong */
    uint64_t skipped;
    uint64_t not_attempted; /* of the lines read */
    uint64_t bytes;         /* of bodies that are ok */
    unsigned lines_said;
    struct pf_tally reasons;
    struct pf_tally hosts;
};

/* How the run went, beside its records. */
struct pf_ending {
    const char *noun;        /* what an ok record is: "file" */
    bool dry_run;
    int64_t elapsed_ms;
    const char *stopped_by;  /* a signal or an option; NULL: nothing */
    bool unread;             /* lists were not read to their end */
    bool enough;             /* --max-files was reached: nothing is missing */
    bool repeatable;         /* what is done would be found by the same command */
    uint64_t holds;          /* times a host was held back */
    uint64_t hosts_down;     /* origins given up */
    const char *failed;      /* the file of lines that are not ok; or NULL */
    uint64_t failed_lines;   /* in it */
};

/* Counts a record and says what is to be said of it. */
void pf_summary_add(struct pf_summary *summary,
                    const struct pfetch_record *record, bool verbose);

/* The closing words. */
void pf_summary_say(const struct pf_summary *summary,
                    const struct pf_ending *ending);

#endif
