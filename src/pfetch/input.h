/* input.h - the reader of lists: one URL at a time, from arguments, files,
 * pipes and standard input.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PF_INPUT_H
#define PF_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "pfetch.h"
#include "shard.h"

enum {
    PF_INPUT_LINE_BYTES = 64 * 1024 /* longest line; its end not counted */
};

struct pf_input;

/* What is to be read, in this order.  The arrays (NULL-terminated, or NULL)
 * and their strings are borrowed until pf_input_free(). */
struct pf_input_options {
    const char *const *urls;  /* arguments */
    const char *const *lists; /* "-" is standard input */
    const char *const *sums;  /* lists as sha256sum(1) writes them */
    const char *base;         /* URL of the names in sums */
    bool glob;                /* arguments may be patterns, see pattern.h */
    bool null_separated;      /* lines of lists end with NUL */
    struct pf_shard shard;    /* lines of other shards are counted only */
};

/* A line that asks for something.  Strings are borrowed until the next call
 * of pf_input_next(). */
struct pf_line {
    const char *list; /* as named on the command line; NULL: an argument */
    uint64_t line;    /* within its list, from 1; 0: an argument */
    uint64_t n;       /* over all inputs and shards, from 1 */
    const char *url;  /* NULL: the line is too long or no text */
    const char *id;   /* fields; NULL: none */
    const char *out;
    const char *checksum; /* well-formed */
    int64_t size_bytes;   /* -1: none */
    const char *text;     /* the line as it stands in its list, without blanks
                           * around it; NULL: not asked for, or not to be had
                           * (too long, no text, a NUL byte inside) */
};

enum pf_input_result {
    PF_INPUT_LINE,     /* *line is to be fetched */
    PF_INPUT_BAD_LINE, /* *line is wrong, *why says how */
    PF_INPUT_END,      /* everything was read */
    PF_INPUT_STOPPED,  /* pf_input_stop() was called while waiting */
    PF_INPUT_FAILED    /* a list cannot be read further, *why says which */
};

/* Opens every list at once; each is later read when its turn comes.  One that
 * begins as gzip does is decompressed.  Does not block, not for a FIFO either.
 * 0, or -1 with *why set and *input NULL. */
int pf_input_create(struct pf_input **input,
                    const struct pf_input_options *options,
                    struct pfetch_failure *why);

/* From now on lines have their text.  0, or PFETCH_ENOMEM. */
int pf_input_keep_text(struct pf_input *input);

/* The next line of this shard; fills *line, and *why where it says so.  Blocks
 * while a pipe or terminal has nothing; woken by pf_input_stop().  One thread only.  After
 * END, STOPPED or FAILED it is not to be called again.  With STOPPED and
 * FAILED, line->list and line->line tell the last line that was begun. */
enum pf_input_result pf_input_next(struct pf_input *input,
                                   struct pf_line *line,
                                   struct pfetch_failure *why);

/* Wakes pf_input_next(), now or when it next waits.  Any thread; never
 * blocks. */
void pf_input_stop(struct pf_input *input);

/* How many lists are open, each with a descriptor. */
unsigned pf_input_lists(const struct pf_input *input);

/* True if that file is one of the lists. */
bool pf_input_reads(const struct pf_input *input, dev_t device, ino_t inode);

/* Closes what is open.  NULL is allowed. */
void pf_input_free(struct pf_input *input);

#endif
