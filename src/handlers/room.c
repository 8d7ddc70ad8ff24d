/* room.c - whether there is room on the disk.
 *
 * SPDX-License-Identifier: MIT
 */
#include "config.h"

#include "room.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>
#include <sys/statvfs.h>

#define CREDIT_BYTES ((int64_t)16 << 20)

enum { FILE_BYTES = 4096 }; /* what a file takes at least, its name included */

void pf_room_init(struct pf_room *room, int root, int64_t reserve_bytes)
{
    *room = (struct pf_room){ .root = root,
                                .reserve_bytes = reserve_bytes };
}

/* The bytes that we may use; INT64_MAX: that cannot be told. */
static int64_t find_free(const struct pf_room *room)
{
    struct statvfs st;

    if (fstatvfs(room->root, &st) != 0 || st.f_blocks == 0
        || st.f_frsize == 0 || st.f_bavail > INT64_MAX / st.f_frsize)
        return INT64_MAX;
    /* Some network file systems do not know, and say 0.  Where it is true
     * the next write tells; nobody has asked for more than that. */
    if (st.f_bavail == 0 && room->reserve_bytes == 0)
        return INT64_MAX;
    return (int64_t)(st.f_bavail * st.f_frsize);
}

/* Whether it would not fit if nothing else were there.  That is no shortage
 * here: a server says so, whose word must not end a run. */
static bool is_absurd(const struct pf_room *room, int64_t bytes)
{
    struct statvfs st;

    return fstatvfs(room->root, &st) == 0 && st.f_blocks > 0
           && st.f_frsize > 0 && st.f_blocks <= INT64_MAX / st.f_frsize
           && bytes > (int64_t)(st.f_blocks * st.f_frsize);
}

static enum pfetch_reply fail_reserve(const struct pf_room *room,
                                      int64_t free_bytes,
                                      struct pfetch_failure *why)
{
    pfetch_failure_set(why, PFETCH_CLASS_LOCAL,
                       "%" PRId64 " bytes are free for the output directory, "
                       "and %" PRId64 " are to be left free: free some space "
                       "and run the same command again", free_bytes,
                       room->reserve_bytes);
    return PFETCH_BROKEN;
}

enum pfetch_reply pf_room_look(const struct pf_room *room,
                                struct pfetch_failure *why)
{
    if (room->reserve_bytes == 0)
        return PFETCH_GO;
    int64_t free_bytes = find_free(room);
    return free_bytes > room->reserve_bytes
               ? PFETCH_GO : fail_reserve(room, free_bytes, why);
}

enum pfetch_reply pf_room_begin(struct pf_room *room, const char *path,
                                 int64_t bytes, struct pfetch_failure *why)
{
    enum pfetch_reply reply = pf_room_write(room, FILE_BYTES, why);

    if (reply != PFETCH_GO || bytes <= room->credit_bytes)
        return reply;
    int64_t free_bytes = find_free(room);
    if (bytes <= free_bytes - room->reserve_bytes)
        return PFETCH_GO;
    if (is_absurd(room, bytes)) {
        pfetch_failure_set(why, PFETCH_CLASS_TOO_LARGE,
                           "a body of %" PRId64 " bytes is longer than the "
                           "whole file system", bytes);
        return PFETCH_FAIL;
    }
    pfetch_failure_set(why, PFETCH_CLASS_LOCAL,
                       "cannot store %.60s: %s: it needs %" PRId64 " bytes, "
                       "%" PRId64 " of those free may be used: free some "
                       "space and run the same command again", path,
                       strerror(ENOSPC), bytes,
                       free_bytes - room->reserve_bytes);
    return PFETCH_BROKEN;
}

enum pfetch_reply pf_room_write(struct pf_room *room, int64_t bytes,
                                 struct pfetch_failure *why)
{
    room->credit_bytes -= bytes;
    if (room->credit_bytes >= 0)
        return PFETCH_GO;
    int64_t free_bytes = find_free(room);
    int64_t left = free_bytes - room->reserve_bytes - bytes;
    if (left < 0 && room->reserve_bytes > 0)
        return fail_reserve(room, free_bytes, why);
    room->credit_bytes = left < 0               ? 0
                          : left < CREDIT_BYTES  ? left
                                                 : CREDIT_BYTES;
    return PFETCH_GO;
}
