/* filestate.h - what a file knows about itself.
 *
 * SPDX-License-Identifier: MIT
 *
 * A complete file carries the extended attribute "user.pfetch": the version
 * "1", a blank, 32 hexadecimal digits of the SHA-256 of its URL (never the
 * URL itself, which may be a secret), and, if there is one, a blank and the
 * validator: its ETag, else its Last-Modified.  It is set on the temporary
 * file before that gets its name.  With a date, or an ETag of up to 29 bytes,
 * it fits into an inode of ext4.
 *
 * Where the file system keeps no user attributes, or /proc, through which
 * they are read without opening anything, is missing: the caller is told once,
 * and names are trusted.
 */
#ifndef PF_FILESTATE_H
#define PF_FILESTATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "outname.h"

struct pf_filestate {
    _Atomic bool usable; /* false from the first refusal on; any thread */
    void (*on_notice)(void *user, const char *text); /* may be NULL */
    void *user;
};

/* Finds out whether attributes can be read in this directory. */
void pf_filestate_init(struct pf_filestate *state, int dir,
                       void (*on_notice)(void *user, const char *text),
                       void *user);

/* Marks an open file of size_bytes as complete.  0, also where attributes are not kept, or
 * an errno.  etag and last_modified may be NULL. */
int pf_filestate_write(struct pf_filestate *state, int fd,
                       const uint8_t hash[PF_URL_HASH_BYTES],
                       int64_t size_bytes, const char *etag,
                       const char *last_modified);

/* Reads hash and size from a name in a directory.  Nothing is opened, and a
 * symbolic link is not followed.  False: the object carries none. */
bool pf_filestate_read(const struct pf_filestate *state, int dir,
                       const char *name, uint8_t hash[PF_URL_HASH_BYTES],
                       int64_t *size_bytes);

#endif
