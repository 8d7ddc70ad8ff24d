/* outname.h - the file name that belongs to a URL.
 *
 * SPDX-License-Identifier: MIT
 *
 * Pure functions: a name depends on the URL and its line alone, whatever was
 * answered.
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

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "digest.h"

enum {
    /* So that ".NAME.PID.part" is no longer than 255 bytes. */
    PF_NAME_MAX = 240,
    PF_NAME_SIZE = PF_NAME_MAX + 1,
    /* What a name with its directories may take, the NUL included. */
    PF_PATH_SIZE = 2048,
    PF_FAN_OUT_MAX = 65536,
    PF_FAN_OUT_SIZE = sizeof "ffff/",
    /* Of the SHA-256 of a URL, what --name hash and the attribute keep. */
    PF_URL_HASH_BYTES = 16
};

/* The path for a URL by a template: text, '/', and the words
 *
 *     {host}  host[:port], in small letters
 *     {path}  the path of the URL, with its directories, to {base}
 *     {base}  the last path segment and "?query"; "index.html" for none
 *     {stem}  of the last path segment, without query, what comes before
 *     {ext}   its extension; that is with its dot, or nothing.  ".{ext}" is
 *             the same: the dot does not come twice
 *     {n}     the number n
 *     {hash}  32 hexadecimal digits of the SHA-256 of the URL
 *
 * "{{" and "}}" are braces.  Only '/' and {path} make directories; one whose
 * name is empty is left out.  Directories that would not fit are dropped, and
 * the name gets a hash.  The path takes PF_PATH_SIZE - PF_FAN_OUT_SIZE bytes
 * at most. */
int pf_outname_expand(struct pf_digest *digest, const char *template,
                      const char *url, uint64_t n, char *path);

/* What is wrong with a template, or with a path given by the user: a static
 * text; NULL: nothing.  Both are relative, and no name in them needs to be
 * changed to be safe. */
const char *pf_outname_check_template(const char *template);
const char *pf_outname_check(const char *path);

/* Whether each n has its own name: {n} is in it. */
bool pf_outname_has_number(const char *template);

/* The name for a text from elsewhere, not empty; url is hashed where it must
 * be cut. */
int pf_outname_text(struct pf_digest *digest, const char *text,
                    const char *url, char name[PF_NAME_SIZE]);

/* "3f/": which of so many directories (1 to PF_FAN_OUT_MAX) the hash of a URL
 * belongs to, in as many digits as the last of them needs. */
void pf_outname_fan_out(const uint8_t *hash, unsigned dirs,
                        char dir[PF_FAN_OUT_SIZE]);

/* path (of one of the functions above, for this url) with a number before the
 * extension of its last component: "a/b.txt", 2 -> "a/b.2.txt". */
int pf_outname_number(struct pf_digest *digest, const char *path,
                      uint32_t number, const char *url,
                      char numbered[PF_PATH_SIZE]);

/* The number pf_outname_number() may have put into this name; 0: none. */
uint32_t pf_outname_number_of(const char *name);

bool pf_outname_is_utf8(const char *text, size_t len);

/* The last component of a path. */
const char *pf_outname_last(const char *path);

#endif
