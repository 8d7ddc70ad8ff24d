/* durable.h - complete files that get onto stable storage together.
 *
 * SPDX-License-Identifier: MIT
 *
 * A file is durable when its data and size are, then its name, then the name
 * of each directory on the way to it.  Forcing one after the other to the
 * disk takes as long for a thousand small files as a thousand turns of the
 * disk; together they share most of that.  So complete files wait, open and
 * under their temporary names, until a group is full or there is a pause.
 *
 * Writer thread only, but for init and fini.
 */
#ifndef PF_DURABLE_H
#define PF_DURABLE_H

#include <stddef.h>
#include <stdint.h>

#include "pfetch.h"
#include "place.h"

/* Called for each file of a group, in the order in which they were added.
 * error 0: its data are on stable storage, it is to get its name; else an
 * errno: they are not and never will be, it is to be dropped.  Answers as
 * end() does, but not PFETCH_PENDING. */
typedef enum pfetch_reply pf_durable_name_fn(void *user,
                                             struct pfetch_job *job,
                                             int error,
                                             struct pfetch_failure *why);

struct pf_durable {
    int root;              /* borrowed */
    size_t max;            /* files in a group; 0: durability is not asked
                            * for, and no function but fini may be called */
    pf_durable_name_fn *name;
    void *user;
    struct pf_walk walk;
    struct pf_durable_file *files;
    size_t count;          /* that wait */
    int64_t bytes;         /* in them */
};

/* Makes the name of root itself durable, too, where its parent can be
 * read.  0, PFETCH_ENOMEM, or PFETCH_EINVAL with *why set: that cannot be
 * done.  pf_durable_fini() is allowed after all of them. */
int pf_durable_init(struct pf_durable *durable, int root, unsigned max,
                    pf_durable_name_fn *name, void *user,
                    struct pfetch_failure *why);
void pf_durable_fini(struct pf_durable *durable);

/* So much has been written to an open file; before is what was told last.
 * A large body is not left to the end. */
void pf_durable_wrote(int fd, int64_t before_bytes, int64_t now_bytes);

/* Adds a file, complete but for its name, whose job is settled later; the
 * descriptor stays the caller's and must stay open until then.  Flushes when
 * the group is full.  PFETCH_PENDING. */
enum pfetch_reply pf_durable_add(struct pf_durable *durable,
                                 struct pfetch_job *job, int fd,
                                 int64_t bytes);

/* Forces what waits to stable storage, and settles the jobs. */
void pf_durable_flush(struct pf_durable *durable);

/* Forces a file that another process has made.  0 or an errno. */
int pf_durable_sync_other(int dir, const char *name);

#endif
