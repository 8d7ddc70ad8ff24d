/* volume.h - a file that grows by whole members.
 *
 * SPDX-License-Identifier: MIT
 *
 * At every moment, even if the process is killed, the file is what it was
 * after a commit: an archive of all members so far, its end included.  A
 * member that is being added, or was not completed, is not part of it.
 *
 * Standard output grows too, but cannot be changed any more: a member that is
 * not completed leaves it cut short, and its end comes when it is closed.  A
 * stop ends the wait for who reads it: ECANCELED.
 *
 * One thread at a time.  Functions return 0 or an errno; after an error only
 * pf_volume_abort(), _close() and _remove() are of use.
 */
#ifndef PF_VOLUME_H
#define PF_VOLUME_H

#include <stdint.h>

#include "pack.h"
#include "pfetch.h"
#include "stream.h"

enum { PF_VOLUME_END_BYTES = 1024 };

struct pf_volume {
    char *name;              /* heap; NULL: not open */
    int fd;
    bool is_stream;          /* standard output */
    struct pf_stream stream; /* over it */
    int cut;                 /* an errno: a member was not completed, and that
                              * was all; 0 */
    struct pf_pack *pack;
    unsigned char end[PF_VOLUME_END_BYTES]; /* packed: follows the stream */
    size_t end_size;
    size_t head_size;        /* of a member, what is written last */
    int64_t whole;           /* bytes of the file up to the end of the last
                              * whole member */
    int64_t file_bytes;      /* of the file after the last commit */
    int64_t member_bytes;    /* of the member being added */
    int64_t hold_at;         /* where in the file pf_volume_hold() stands */
    unsigned char *buffer;   /* the head of the member, then its last bytes */
    size_t used;
    int64_t rest_at;         /* where buffer + head_size goes */
};

/* The state before open, and after close. */
void pf_volume_init(struct pf_volume *volume);

/* Creates the file, with no member in it; one that exists is not touched:
 * EEXIST.  "-": standard output.  end, of up to PF_VOLUME_END_BYTES bytes,
 * is what follows the last member; with 0 bytes each member is a stream of
 * its own, see pf_volume_end_stream().  name and end are copied. */
int pf_volume_open(struct pf_volume *volume, const char *name,
                   enum pf_pack_kind kind, const void *end, size_t end_size);

/* Whose stop is looked at from now on. */
void pf_volume_start(struct pf_volume *volume, const struct pfetch *run);

/* Bytes of the member being added. */
int pf_volume_write(struct pf_volume *volume, const void *data, size_t size);

/* Bytes, up to PF_PACK_STORE_BYTES, at the beginning of a stream, that will be
 * replaced by as many others before the stream ends.  One at a time; not in
 * standard output. */
int pf_volume_hold(struct pf_volume *volume, const void *data, size_t size);
int pf_volume_replace(struct pf_volume *volume, const void *data,
                      size_t size);

/* What follows can be unpacked by itself: a gzip member ends here. */
int pf_volume_end_stream(struct pf_volume *volume);

/* The member is complete: from now on it is in the file. */
int pf_volume_commit(struct pf_volume *volume);

/* The member is not completed, and no more are added. */
void pf_volume_abort(struct pf_volume *volume);

/* Closes it.  A volume that is not open is allowed. */
int pf_volume_close(struct pf_volume *volume);

/* Closes it and removes the file: it was of no use. */
void pf_volume_remove(struct pf_volume *volume);

/* What such an error means, in words: class local, and PFETCH_BROKEN;
 * ECANCELED is class stopped, and PFETCH_FAIL. */
enum pfetch_reply pf_volume_failure(const char *name, const char *doing,
                                    int error, struct pfetch_failure *why);

#endif
