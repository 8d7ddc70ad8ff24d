/* place.h - the output directory, and the directories below it.
 *
 * SPDX-License-Identifier: MIT
 *
 * Everything is relative to the directory as it was opened at the start.
 * Directories below are opened one component at a time, without following
 * symbolic links, so that no path leads outside.
 */
#ifndef PF_PLACE_H
#define PF_PLACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "outname.h"
#include "pfetch.h"
#include "pfetch_handlers.h"

/* Opens the output directory; create: it is made if it is missing, and must
 * be writable.  A descriptor, for lookups only.  -1: errno and *why say. */
int pf_place_open(const char *dir, bool create, struct pfetch_failure *why);

/* The directories used last stay open: most lines need the one of the line
 * before, and with a fan-out an end needs the one of its begin, some files ago.
 * (Measured with --fan-out 256 on tmpfs: 4 of 33 microseconds a file are due to
 * it with 32 directories open, 3 with all of them, 7 with one.)  A walk belongs to one thread; the handler has two. */
enum { PF_WALK_DIRS = PFETCH_DIR_DESCRIPTORS / 2 };

struct pf_walk_dir {
    int fd;        /* -1: not in use */
    uint32_t hash; /* of path */
    char *path;    /* heap; with its last slash */
    uint64_t used; /* when: a count of uses */
};

struct pf_walk {
    int root; /* borrowed; -1: there is none, and everything is missing */
    uint64_t uses;
    struct pf_walk_dir dirs[PF_WALK_DIRS];
};

void pf_walk_init(struct pf_walk *walk, int root);
void pf_walk_close(struct pf_walk *walk);

/* The directory part of a path, as a descriptor that stays valid until the
 * next call; create: what is missing is made.  -1: see errno. */
int pf_walk_open(struct pf_walk *walk, const char *path, bool create);

/* What a failure means.  doing is "create", "write", ...; path the file.
 * Fills *why with class local (exists, where something is in the way), and
 * answers PFETCH_FAIL, or PFETCH_BROKEN where other files would fail in the
 * same way. */
enum pfetch_reply pf_place_failure(int root, int error, const char *doing,
                                   const char *path,
                                   struct pfetch_failure *why);

#endif
