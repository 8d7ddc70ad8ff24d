/* naming.h - which name a line of the list gets.
 *
 * SPDX-License-Identifier: MIT
 *
 * Names are given in the order of the list, on the thread that adds, so they
 * never depend on timing.  Only when another process takes a name between
 * plan and end does the writer thread ask for one more.
 */
#ifndef PF_NAMING_H
#define PF_NAMING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "digest.h"
#include "filestate.h"
#include "nametable.h"
#include "outname.h"
#include "pfetch.h"
#include "pfetch_handlers.h"
#include "place.h"

/* What stands at a path. */
enum pf_found {
    PF_FOUND_NOTHING,
    PF_FOUND_OWN,   /* this URL's complete file */
    PF_FOUND_STALE, /* this URL's, but not what size= and checksum= say */
    PF_FOUND_OTHER, /* anything else */
    PF_FOUND_DIR,
    PF_FOUND_ERROR  /* errno says why it cannot be told */
};

struct pf_naming {
    char *template;               /* set before start, then read-only: */
    enum pfetch_dir_exist exist;
    unsigned fan_out;             /* so many directories; 0: none */
    bool counts;                  /* {n}: lines of one URL have files each */
    bool by_header;               /* files of earlier runs have any name */
    bool (*is_done)(void *user, const struct pfetch_request *request,
                    const char *path, int64_t size_bytes); /* or NULL */
    void *user;                   /* is_done's */
    int root;                     /* borrowed; -1: the directory is missing */
    bool was_empty;               /* at the start: there is nothing to find */
    struct pf_filestate *state;   /* borrowed; any thread */
    struct pf_nametable *names;   /* any thread */
    _Atomic bool keeps_names;     /* the names of this run are in names: always
                                   * but with --name number until a line has
                                   * out= */
    _Atomic bool has_dirs;        /* a name with a directory has been seen */
    struct pf_digest digest;      /* adding thread only, as all below */
    struct pf_walk walk;
    char known_dirs[PF_PATH_SIZE]; /* of a line before: they are in names */
    uint64_t last_unkept;         /* the last n whose name is not in names */
    char *own_names;              /* by_header: of files of earlier runs */
    size_t own_size;
    size_t own_room;
    enum pf_found own;            /* of the line planned last, with --exist
                                   * update: what of its own is at its path */
};

/* 0 or PFETCH_ENOMEM; pf_naming_fini() is allowed after both. */
int pf_naming_init(struct pf_naming *naming,
                   const struct pfetch_dir_options *options, int root,
                   struct pf_filestate *state);
void pf_naming_fini(struct pf_naming *naming);

/* Decides about a job: its path is set, and hash becomes that of its URL. */
enum pfetch_reply pf_naming_plan(struct pf_naming *naming,
                                 struct pfetch_job *job,
                                 uint8_t hash[PF_URL_HASH_BYTES],
                                 struct pfetch_failure *why);

/* What stands at the name in the directory.  Reads the file if the request
 * has a checksum.  Any thread. */
enum pf_found pf_naming_look(const struct pf_naming *naming, int dir,
                             const char *name,
                             const uint8_t hash[PF_URL_HASH_BYTES],
                             const struct pfetch_request *request);

/* For the writer thread: a further name for a job, which no other job of this
 * run gets.  *number is the one tried last, 0 at first.  name is the file name
 * that the server has sent, or NULL.  The digest is the caller's.  0 or
 * PFETCH_ENOMEM. */
int pf_naming_next(struct pf_naming *naming, struct pf_digest *digest,
                   const struct pfetch_job *job, const char *name,
                   uint32_t *number, char path[PF_PATH_SIZE]);

/* The same for the first name: path, which is the job's, becomes that of the
 * safe name that a server has sent, with *number if that is taken in this
 * run. */
int pf_naming_rename(struct pf_naming *naming, struct pf_digest *digest,
                     const struct pfetch_job *job, const char *name,
                     uint32_t *number, char path[PF_PATH_SIZE]);

#endif
