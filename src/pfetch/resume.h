/* resume.h - what earlier runs have recorded as ok.
 *
 * SPDX-License-Identifier: MIT
 *
 * Records are known by hashes of URL, path, size and checksum, in no order: at
 * most 24 bytes for each that is ok, growth included.  The URL is the masked
 * one of the record, so that lines which differ only in their user part are
 * the same here.
 *
 * Used by one thread at a time: main.
 */
#ifndef PF_RESUME_H
#define PF_RESUME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pfetch.h"

struct pf_resume;

/* What makes a URL done. */
enum pf_resume_rule {
    PF_RESUME_PATH, /* its body, under the same path */
    PF_RESUME_BODY, /* its body */
    PF_RESUME_HEAD  /* an answer, be it without body: that of --head */
};

/* NULL: out of memory.  pf_resume_free() accepts NULL. */
struct pf_resume *pf_resume_create(enum pf_resume_rule rule);
void pf_resume_free(struct pf_resume *resume);

/* Reads a file of records to its end, behind those read before: later records
 * count.  An ok record makes its URL done; a failed one undoes that, until
 * the next ok one; others change nothing.  Blocks as the file does.  0, or -1
 * with *why set: of class none if it cannot be opened, else of class local. */
int pf_resume_load(struct pf_resume *resume, const char *file,
                   struct pfetch_failure *why);

/* Lines that were no records: torn, foreign, of another schema. */
uint64_t pf_resume_ignored(const struct pf_resume *resume);

/* Whether the request is ok already under that path, with a file of that size
 * (-1: none was looked for).  What the request itself says of size and
 * checksum must agree with the record. */
bool pf_resume_has(struct pf_resume *resume,
                   const struct pfetch_request *request, const char *path,
                   int64_t size_bytes);

/* Bytes that the table holds; for tests. */
size_t pf_resume_bytes(const struct pf_resume *resume);

#endif
