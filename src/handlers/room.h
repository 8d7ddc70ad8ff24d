/* room.h - whether there is room on the disk.
 *
 * SPDX-License-Identifier: MIT
 *
 * The file system is asked when a body is declared to be longer than what may
 * be written without asking, and after every 16 MiB or 4096 files: small
 * files cost no system call.  What others write in between is met as ENOSPC.
 *
 * Failures are PFETCH_BROKEN, with *why of class local; but a body that could
 * not be there alone is PFETCH_FAIL, class too-large.
 */
#ifndef PF_ROOM_H
#define PF_ROOM_H

#include <stdint.h>

#include "pfetch.h"

struct pf_room {
    int root;              /* borrowed: a directory of the file system */
    int64_t reserve_bytes; /* to be left free; 0: nothing is */
    int64_t credit_bytes;  /* that may be written before it is asked again;
                            * writer thread only */
};

void pf_room_init(struct pf_room *room, int root, int64_t reserve_bytes);

/* Whether more is free than is to be left free.  Any thread. */
enum pfetch_reply pf_room_look(const struct pf_room *room,
                                struct pfetch_failure *why);

/* A body begins, of which so many bytes are to come (-1: unknown), for the
 * file path.  Writer thread. */
enum pfetch_reply pf_room_begin(struct pf_room *room, const char *path,
                                 int64_t bytes, struct pfetch_failure *why);

/* So much of it is about to be written.  Writer thread. */
enum pfetch_reply pf_room_write(struct pf_room *room, int64_t bytes,
                                 struct pfetch_failure *why);

#endif
