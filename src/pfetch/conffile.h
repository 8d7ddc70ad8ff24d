/* conffile.h - the configuration file: one long option a line.
 *
 * SPDX-License-Identifier: MIT
 *
 *     # a comment
 *     threads 64
 *     per-host = 4
 *     --retry-delay=5s
 *     no-remote-time
 *
 * The value is what follows, without the blanks around it: there are no
 * quotes and no escapes.
 */
#ifndef PF_CONFFILE_H
#define PF_CONFFILE_H

#include <stdbool.h>
#include <stddef.h>

enum { PF_CONFFILE_BYTES = 1024 * 1024, PF_CONFFILE_NAME_BYTES = 4096 };

struct pf_conffile {
    char *text;   /* heap */
    size_t size;
    char *next;   /* the line to be read next */
    unsigned line; /* the number of the last line read */
};

/* One option, in the text of its file. */
struct pf_conffile_entry {
    char *name;  /* without "--" */
    char *value; /* NULL: none */
};

/* The file that is read when none is named, by the environment
 * (XDG_CONFIG_HOME, HOME).  False: there is no such place. */
bool pf_conffile_default(char name[PF_CONFFILE_NAME_BYTES]);

/* Reads a whole file.  0, or an errno value: EFBIG: longer than
 * PF_CONFFILE_BYTES; EILSEQ: a NUL byte, so it is no text. */
int pf_conffile_read(struct pf_conffile *file, const char *name);

/* The next option; its strings stay valid, and may be written to, until
 * pf_conffile_free().  False: there are no more. */
bool pf_conffile_next(struct pf_conffile *file,
                      struct pf_conffile_entry *entry);

/* Frees the text, wiped first: it may have held passwords.  One that is all
 * zero is allowed. */
void pf_conffile_free(struct pf_conffile *file);

#endif
