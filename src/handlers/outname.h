/* outname.h - the file name that belongs to a URL.
 *
 * SPDX-License-Identifier: MIT
 *
 * Pure functions: a name depends on the URL alone, whatever was answered.
 * The URL is absolute and has no user part and no fragment, as
 * pfetch_job_url() gives it; any other text yields a safe name too.
 *
 * Each component is 1 to PF_NAME_MAX bytes of valid UTF-8, begins neither
 * with '.' nor with '-', and holds no '/', no control, bidi or format
 * character and no line or paragraph separator.  The names of temporary files
 * begin with '.', so no name is one of those.  See outname.c for the mapping.
 *
 * The digest is borrowed; it is used only where a name needs a hash.  All
 * functions return 0 or PFETCH_ENOMEM.
 */
#ifndef PF_OUTNAME_H
#define PF_OUTNAME_H

#include <stdint.h>

#include "digest.h"

enum {
    /* So that ".NAME.PID.part" is no longer than 255 bytes. */
    PF_NAME_MAX = 240,
    PF_NAME_SIZE = PF_NAME_MAX + 1,
    /* What a name with its directories may take, the NUL included. */
    PF_PATH_SIZE = 2048,
    /* Of the SHA-256 of a URL, what --name hash and the attribute keep. */
    PF_URL_HASH_BYTES = 16
};

/* The last path segment and "?query". */
int pf_outname_basename(struct pf_digest *digest, const char *url,
                        char name[PF_NAME_SIZE]);

/* "host[:port]/segment/.../name".  What would be longer than the buffer
 * keeps the host and the name, with a hash. */
int pf_outname_path(struct pf_digest *digest, const char *url,
                    char path[PF_PATH_SIZE]);

/* 32 hexadecimal digits. */
int pf_outname_hash(struct pf_digest *digest, const char *url,
                    char name[PF_NAME_SIZE]);

/* path (of one of the functions above, for this url) with a number before
 * the extension of its last component: "a/b.txt", 2 -> "a/b.2.txt". */
int pf_outname_number(struct pf_digest *digest, const char *path,
                      uint32_t number, const char *url,
                      char numbered[PF_PATH_SIZE]);

/* The number pf_outname_number() may have put into this name; 0: none. */
uint32_t pf_outname_number_of(const char *name);

/* The last component of a path. */
const char *pf_outname_last(const char *path);

#endif
