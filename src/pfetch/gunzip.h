/* gunzip.h - gzip, decompressed as it comes.
 *
 * SPDX-License-Identifier: MIT
 *
 *     while ((result = pf_gunzip_read(gunzip, out, &size, &why)) == HUNGRY)
 *         pf_gunzip_fed(gunzip, read(fd, pf_gunzip_room(gunzip), BYTES));
 *
 * Several members one after the other are one text, as gzip(1) has it.  In a
 * build without zlib pf_gunzip_create() says so.
 */
#ifndef PF_GUNZIP_H
#define PF_GUNZIP_H

#include <stdbool.h>
#include <stddef.h>

enum { PF_GUNZIP_BYTES = 256 * 1024 };

struct pf_gunzip;

enum pf_gunzip_result {
    PF_GUNZIP_DATA,   /* *size bytes were written, at least one */
    PF_GUNZIP_HUNGRY, /* all that was fed is used up */
    PF_GUNZIP_END,    /* the file has ended where it may end */
    PF_GUNZIP_FAILED  /* it has not, or is no gzip: *why says which */
};

/* Whether data, the beginning of a file, is compressed by gzip. */
bool pf_gunzip_is(const char *data, size_t size);

/* NULL: *why (static) says why. */
struct pf_gunzip *pf_gunzip_create(const char **why);

/* Where the next PF_GUNZIP_BYTES, at most, go.  Only before the first read
 * and after HUNGRY. */
char *pf_gunzip_room(struct pf_gunzip *gunzip);

/* So many bytes are there now; 0: the file has ended. */
void pf_gunzip_fed(struct pf_gunzip *gunzip, size_t size);

/* Writes to out, which has room for *size bytes (at least 1). */
enum pf_gunzip_result pf_gunzip_read(struct pf_gunzip *gunzip, char *out,
                                     size_t *size, const char **why);

/* NULL is allowed. */
void pf_gunzip_free(struct pf_gunzip *gunzip);

#endif
