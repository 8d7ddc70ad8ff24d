/* part.h - the temporary file of one body, and how it gets its name.
 *
 * SPDX-License-Identifier: MIT
 *
 * A body is written to ".NAME.part" in the directory where NAME will stand.
 * The one who holds an open-file-description lock on it owns it.  One that is
 * not locked was left behind, and is used again, if it is ours: it carries our
 * mark (filestate.h), or is empty, because its process was killed before it
 * could set the mark.  A file without a mark that holds something is somebody's
 * own, and left alone.
 *
 * Where the name cannot be had, and for a body that is complete already, the
 * file has none until it gets its final one (O_TMPFILE), so that nothing is left
 * behind if this process is killed.  Only where the file system, or a missing
 * /proc, does not allow for that, ".NAME.PID.part" is used for the former and
 * ".NAME.part" for the latter.
 *
 * All functions return 0 or an errno.  dir is the directory, name is NAME.
 * Writer thread only.
 */
#ifndef PF_PART_H
#define PF_PART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pf_part {
    int fd;               /* -1: not open */
    bool with_pid;        /* it is ".NAME.PID.part" */
    bool is_unnamed;      /* it has no name yet */
    int64_t written_bytes;
};

void pf_part_init(struct pf_part *part);

enum { PF_TEMP_SIZE = 272 }; /* PF_NAME_MAX sees to it that 255 bytes of it
                              * are enough */

/* How a file gets its name without replacing one. */
enum pf_publish_way {
    PF_PUBLISH_NOREPLACE = 0, /* renameat2(RENAME_NOREPLACE) */
    PF_PUBLISH_LINK,          /* linkat and unlinkat */
    PF_PUBLISH_CHECK          /* look, then rename: a race, but there is no
                               * better way on such a file system */
};

/* What the file system and the process allow for; found out on the way, so
 * start with zeros and keep it for the whole run. */
struct pf_part_ways {
    enum pf_publish_way named; /* for a file that has a temporary name */
    bool is_probed;            /* an unnamed file was given a name */
    bool no_unnamed;           /* that is not possible */
    bool by_proc;              /* it is by way of /proc only */
};

/* Creates the file, empty, and locks it.  is_trusted: there are no marks, a
 * file of this name is ours.  EEXIST: an object that is no regular file, or is
 * another user's, has its name, and was left alone. */
int pf_part_open(struct pf_part *part, int dir, const char *name,
                 bool is_trusted, struct pf_part_ways *ways);

/* Creates the file without a name.  EOPNOTSUPP: that is not possible here. */
int pf_part_open_unnamed(struct pf_part *part, int dir, const char *name,
                         struct pf_part_ways *ways);

/* The name and the size of what may be a file left behind.  ENOENT: nothing
 * has its name; EEXIST: something that is none, or empty.  Any thread. */
int pf_part_find(int dir, const char *name, char temp[PF_TEMP_SIZE],
                 int64_t *size_bytes);

/* Opens and locks what was found, to be read and continued: what it holds
 * counts as written.  Any thread. */
int pf_part_reopen(struct pf_part *part, int dir, const char *name);

/* Reads into data, which has room for size bytes; *got is 0 at the end.  After
 * pf_part_reopen() only.  Any thread. */
int pf_part_read(const struct pf_part *part, int64_t offset_bytes, void *data,
                 size_t size, size_t *got);

/* Drops what was written behind offset_bytes.  EINVAL: less was written. */
int pf_part_restart(struct pf_part *part, int64_t offset_bytes);

int pf_part_write(struct pf_part *part, const void *data, size_t size);

/* Sets the modification time, if the file system can represent it. */
void pf_part_set_time(const struct pf_part *part, int64_t unix_seconds);

/* Finds out what only close() tells: some file systems write late.  The lock
 * is kept. */
int pf_part_flush(const struct pf_part *part);

/* Gives the file the name final, which may be another than the one it was
 * opened for.  EEXIST: something has that name. */
int pf_part_publish(const struct pf_part *part, int dir, const char *name,
                    const char *final, struct pf_part_ways *ways);

/* The same, but what has that name is replaced; a directory is not: EISDIR. */
int pf_part_replace(const struct pf_part *part, int dir, const char *name,
                    const char *final, struct pf_part_ways *ways);

/* Whether it would stay, under the name that a later run looks for. */
bool pf_part_can_stay(const struct pf_part *part);

/* Closes the file after it was published, or to let it stay. */
void pf_part_close(struct pf_part *part);

/* Removes and closes it.  Nothing happens when it is not open. */
void pf_part_discard(struct pf_part *part, int dir, const char *name);

#endif
