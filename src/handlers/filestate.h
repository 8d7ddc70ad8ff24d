/* filestate.h - what a file knows about itself.
 *
 * SPDX-License-Identifier: MIT
 *
 * A file carries the extended attribute "user.pfetch": the version "1", a
 * blank, 32 hexadecimal digits of the SHA-256 of its URL (never the URL
 * itself, which may be a secret), a blank and the length of the whole in bytes
 * ("-" while that is not known), and, if there is one, a blank and the
 * validator: its ETag, else its Last-Modified.  With a date, or an ETag of up
 * to 29 bytes, it fits into an inode of ext4.
 *
 * It is set on the temporary file before the first byte is written, and set
 * again before the rename only if the length was not known: so it costs one
 * call, and says from the beginning what a temporary file is and by what it
 * can be continued.  A file is complete if it is as long as it says.
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

enum { PF_VALIDATOR_MAX = 160 };

/* What stands on a file. */
struct pf_filemark {
    uint8_t hash[PF_URL_HASH_BYTES]; /* of its URL */
    int64_t size_bytes;              /* of the whole; -1: not known */
    char validator[PF_VALIDATOR_MAX + 1]; /* "": none */
};

struct pf_filestate {
    _Atomic bool usable; /* false from the first refusal on; any thread */
    void (*on_notice)(void *user, const char *text); /* may be NULL */
    void *user;
};

/* Finds out whether attributes can be read in this directory. */
void pf_filestate_init(struct pf_filestate *state, int dir,
                       void (*on_notice)(void *user, const char *text),
                       void *user);

/* Marks an open file.  size_bytes is the length of the whole, -1 if that is not
 * known.  0, also where attributes are not kept, or an errno.  etag and
 * last_modified may be NULL. */
int pf_filestate_write(struct pf_filestate *state, int fd,
                       const uint8_t hash[PF_URL_HASH_BYTES],
                       int64_t size_bytes, const char *etag,
                       const char *last_modified);

/* Reads the mark of a name in a directory.  Nothing is opened, and a symbolic
 * link is not followed.  False: the object carries none that can be read. */
bool pf_filestate_get(const struct pf_filestate *state, int dir,
                      const char *name, struct pf_filemark *mark);

/* The same, of a file that may be complete: hash and size, which is known. */
bool pf_filestate_read(const struct pf_filestate *state, int dir,
                       const char *name, uint8_t hash[PF_URL_HASH_BYTES],
                       int64_t *size_bytes);

/* The mark of an open file. */
bool pf_filestate_get_open(const struct pf_filestate *state, int fd,
                           struct pf_filemark *mark);

/* Whether an open file carries a mark, be it one that cannot be read. */
bool pf_filestate_is_marked(int fd);

/* Whether a file that carries this, and is so long, can be continued. */
bool pf_filemark_is_continuable(const struct pf_filemark *mark,
                                const uint8_t hash[PF_URL_HASH_BYTES],
                                int64_t there_bytes);

#endif
