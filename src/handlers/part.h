/* part.h - the temporary file of one body, and how it gets its name.
 *
 * SPDX-License-Identifier: MIT
 *
 * A body is written to ".NAME.part" in the directory where NAME will stand.
 * The one who holds an open-file-description lock on it owns it: one that
 * was left behind by a killed process is not locked, and is used again.  Where
 * it is locked by another process, ".NAME.PID.part" is used instead.
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
    bool with_pid;        /* which of the two names it has */
    int64_t written_bytes;
};

void pf_part_init(struct pf_part *part);

/* Creates the file, empty, and locks it.  EEXIST: something that is no
 * temporary file of ours has its name, and was left alone. */
int pf_part_open(struct pf_part *part, int dir, const char *name);

/* Drops what was written behind offset_bytes.  EINVAL: less was written. */
int pf_part_restart(struct pf_part *part, int64_t offset_bytes);

int pf_part_write(struct pf_part *part, const void *data, size_t size);

/* Sets the modification time, if the file system can represent it. */
void pf_part_set_time(const struct pf_part *part, int64_t unix_seconds);

/* Finds out what only close() tells: some file systems write late.  The lock
 * is kept. */
int pf_part_flush(const struct pf_part *part);

/* How a file gets its name without replacing one; found out on the way, so
 * start with the first and keep it for the whole run. */
enum pf_publish_way {
    PF_PUBLISH_NOREPLACE = 0, /* renameat2(RENAME_NOREPLACE) */
    PF_PUBLISH_LINK,          /* linkat and unlinkat */
    PF_PUBLISH_CHECK          /* look, then rename: a race, but there is no
                               * better way on such a file system */
};

/* Gives the file the name final, which may be another than the one it was
 * opened for.  EEXIST: something has that name. */
int pf_part_publish(const struct pf_part *part, int dir, const char *name,
                    const char *final, enum pf_publish_way *way);

/* The same, but what has that name is replaced; a directory is not: EISDIR. */
int pf_part_replace(const struct pf_part *part, int dir, const char *name,
                    const char *final);

/* Closes the file after it was published. */
void pf_part_close(struct pf_part *part);

/* Removes and closes it.  Nothing happens when it is not open. */
void pf_part_discard(struct pf_part *part, int dir, const char *name);

#endif
