/* spool.c - where bodies wait until they may be handed over.
 *
 * SPDX-License-Identifier: MIT
 *
 * Who owns what.  The writer thread owns the spool and every body in it, from
 * the first block of a job to the end of its delivery; nobody else looks at
 * either.  A block is copied and goes back to its pool at once, so that a
 * body that waits holds no block, and no worker waits for it.
 *
 * A body is a list of pieces, each full but the last.  So a body that is no
 * longer than a piece is in one place, and is handed over at once.  A piece is
 * in memory, or in a slot of the temporary file.  It is the piece that would
 * grow beyond the limit of memory that goes to the file, together with what it
 * has; pieces that are there stay where they are.
 *
 * There is one file for all bodies, which has no name and is as long as the
 * slots that were ever used at the same time; when the last one is given back
 * it is cut to nothing.  So the spool needs one descriptor, whatever it holds,
 * and leaves nothing behind, however the process ends.
 *
 * Handing over takes pieces out from the front, each freed when the next one
 * is asked for: memory comes back while a long body is delivered.
 */
#include "config.h"

#include "spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PIECE_BYTES = PFETCH_SPOOL_PIECE_BYTES, FIRST_BYTES = 4096 };

struct pf_spool_piece {
    struct pf_spool_piece *next;
    unsigned char *data; /* NULL: it is in the file */
    size_t size;         /* bytes kept; 0 only until the first are there */
    size_t capacity;     /* of data */
    uint64_t slot;       /* in the file */
    bool is_taken;       /* handed over; its bytes are borrowed still */
};

void pf_spool_init(struct pf_spool *spool, size_t limit_bytes,
                   const char *dir)
{
    *spool = (struct pf_spool){ .limit_bytes = limit_bytes, .dir = dir,
                                .fd = -1 };
}

void pf_spool_fini(struct pf_spool *spool)
{
    if (spool->fd >= 0)
        (void)close(spool->fd); /* nobody needs what is in it */
    free(spool->free_slots);
    free(spool->buffer);
}

/* --- the file -------------------------------------------------------------- */

static int fail(const struct pf_spool *spool, const char *what, int error,
                struct pfetch_failure *why)
{
    pfetch_failure_set(why, PFETCH_CLASS_LOCAL, "%s a temporary file in %s: %s",
                       what, spool->dir, strerror(error));
    return PFETCH_EINVAL;
}

/* A file without a name.  A file system that cannot make one has it for a
 * moment. */
static int open_nameless(const char *dir)
{
    char name[4096];
    int fd, error;

#ifdef O_TMPFILE
    fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR
                    && errno != EINVAL))
        return fd;
#endif
    error = snprintf(name, sizeof(name), "%s/pfetch-XXXXXX", dir);
    if (error < 0 || (size_t)error >= sizeof(name)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    fd = mkostemp(name, O_CLOEXEC);
    if (fd >= 0 && unlink(name) != 0) {
        error = errno;
        (void)close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

static uint64_t get_slot(struct pf_spool *spool)
{
    spool->used_slots++;
    if (spool->free_count > 0)
        return spool->free_slots[--spool->free_count];
    return spool->slots++;
}

static void put_slot(struct pf_spool *spool, uint64_t slot)
{
    if (--spool->used_slots == 0) {
        /* Should it fail, the slots are used again all the same. */
        (void)!ftruncate(spool->fd, 0);
        spool->slots = spool->free_count = 0;
        return;
    }
    if (spool->free_count == spool->free_capacity) {
        size_t capacity = spool->free_capacity == 0
                              ? 64 : 2 * spool->free_capacity;
        uint64_t *grown = realloc(spool->free_slots,
                                  capacity * sizeof(*grown));

        if (grown == NULL)
            return; /* the slot is lost until the file is cut */
        spool->free_slots = grown;
        spool->free_capacity = capacity;
    }
    spool->free_slots[spool->free_count++] = slot;
}

static int write_at(struct pf_spool *spool, uint64_t at, const void *data,
                    size_t size, struct pfetch_failure *why)
{
    const unsigned char *from = data;

    while (size > 0) {
        ssize_t n = pwrite(spool->fd, from, size, (off_t)at);

        if (n < 0 && errno != EINTR)
            return fail(spool, "cannot write", errno, why);
        if (n > 0) {
            from += n;
            at += (uint64_t)n;
            size -= (size_t)n;
        }
    }
    return 0;
}

static int read_at(struct pf_spool *spool, uint64_t at, size_t size,
                   struct pfetch_failure *why)
{
    size_t got = 0;

    while (got < size) {
        ssize_t n = pread(spool->fd, spool->buffer + got, size - got,
                          (off_t)(at + got));

        if (n == 0 || (n < 0 && errno != EINTR))
            return fail(spool, "cannot read", n == 0 ? EIO : errno, why);
        if (n > 0)
            got += (size_t)n;
    }
    return 0;
}

/* --- pieces ---------------------------------------------------------------- */

static void free_piece(struct pf_spool *spool, struct pf_spool_piece *piece)
{
    if (piece->data != NULL)
        spool->memory_bytes -= piece->capacity;
    else
        put_slot(spool, piece->slot);
    free(piece->data);
    free(piece);
}

/* What is to be allocated for a piece that has to hold size bytes. */
static size_t capacity_for(const struct pf_spooled *body, size_t held,
                           size_t size)
{
    size_t capacity = FIRST_BYTES;

    if (body->expected > 0 && held + (uint64_t)body->expected >= size)
        return held + (uint64_t)body->expected > PIECE_BYTES
                   ? PIECE_BYTES : held + (size_t)body->expected;
    while (capacity < size)
        capacity *= 2;
    return capacity;
}

/* Makes a piece in memory hold size bytes.  False: it must not, or cannot. */
static bool grow(struct pf_spool *spool, const struct pf_spooled *body,
                 struct pf_spool_piece *piece, size_t size)
{
    size_t capacity;
    unsigned char *grown;

    if (size <= piece->capacity)
        return true;
    capacity = capacity_for(body, piece->size, size);
    if (spool->memory_bytes - piece->capacity + capacity > spool->limit_bytes)
        return false;
    grown = realloc(piece->data, capacity);
    if (grown == NULL)
        return false;
    spool->memory_bytes += capacity - piece->capacity;
    piece->data = grown;
    piece->capacity = capacity;
    return true;
}

/* Sends a piece of memory to the file. */
static int spill(struct pf_spool *spool, struct pf_spool_piece *piece,
                 struct pfetch_failure *why)
{
    if (spool->fd < 0)
        spool->fd = open_nameless(spool->dir);
    if (spool->fd < 0)
        return fail(spool, "cannot make", errno, why);
    piece->slot = get_slot(spool);
    if (piece->size > 0
        && write_at(spool, piece->slot * PIECE_BYTES, piece->data,
                    piece->size, why) != 0) {
        put_slot(spool, piece->slot);
        return PFETCH_EINVAL;
    }
    spool->memory_bytes -= piece->capacity;
    free(piece->data);
    piece->data = NULL;
    piece->capacity = 0;
    return 0;
}

/* A new last piece with these bytes.  It is in the list only when it has
 * got a place in memory or in the file. */
static int start_piece(struct pf_spool *spool, struct pf_spooled *body,
                       const void *data, size_t size,
                       struct pfetch_failure *why)
{
    struct pf_spool_piece *piece = calloc(1, sizeof(*piece));

    if (piece == NULL)
        return fail(spool, "no memory for", ENOMEM, why);
    if (grow(spool, body, piece, size)) {
        memcpy(piece->data, data, size);
    } else if (spill(spool, piece, why) != 0) {
        free(piece);
        return PFETCH_EINVAL;
    } else if (write_at(spool, piece->slot * PIECE_BYTES, data, size, why)
               != 0) {
        free_piece(spool, piece);
        return PFETCH_EINVAL;
    }
    piece->size = size;
    if (body->last != NULL)
        body->last->next = piece;
    else
        body->first = piece;
    body->last = piece;
    return 0;
}

static int extend(struct pf_spool *spool, struct pf_spooled *body,
                  struct pf_spool_piece *piece, const void *data, size_t size,
                  struct pfetch_failure *why)
{
    if (piece->data != NULL && !grow(spool, body, piece, piece->size + size)
        && spill(spool, piece, why) != 0)
        return PFETCH_EINVAL;
    if (piece->data != NULL)
        memcpy(piece->data + piece->size, data, size);
    else if (write_at(spool, piece->slot * PIECE_BYTES + piece->size, data,
                      size, why) != 0)
        return PFETCH_EINVAL;
    piece->size += size;
    return 0;
}

/* --- bodies ---------------------------------------------------------------- */

void pf_spool_drop(struct pf_spool *spool, struct pf_spooled *body)
{
    struct pf_spool_piece *piece;

    while ((piece = body->first) != NULL) {
        body->first = piece->next;
        free_piece(spool, piece);
    }
    *body = (struct pf_spooled){ .first = NULL };
}

/* Keeps the first size bytes (at least one, at most all). */
static void cut(struct pf_spool *spool, struct pf_spooled *body, int64_t size)
{
    struct pf_spool_piece *piece = body->first, *rest;
    int64_t left = size;

    while (left > (int64_t)piece->size) {
        left -= (int64_t)piece->size;
        piece = piece->next;
    }
    piece->size = (size_t)left;
    rest = piece->next;
    piece->next = NULL;
    body->last = piece;
    body->size = size;
    while ((piece = rest) != NULL) {
        rest = piece->next;
        free_piece(spool, piece);
    }
}

void pf_spool_begin(struct pf_spool *spool, struct pf_spooled *body,
                    int64_t offset, int64_t expected)
{
    if (offset <= body->offset || offset > body->offset + body->size) {
        pf_spool_drop(spool, body);
        body->offset = offset;
    } else if (offset < body->offset + body->size) {
        cut(spool, body, offset - body->offset);
    }
    body->expected = expected;
}

int pf_spool_append(struct pf_spool *spool, struct pf_spooled *body,
                    const void *data, size_t size,
                    struct pfetch_failure *why)
{
    const unsigned char *from = data;

    while (size > 0) {
        struct pf_spool_piece *last = body->last;
        bool is_full = last == NULL || last->size == PIECE_BYTES;
        size_t n = is_full ? PIECE_BYTES : PIECE_BYTES - last->size;
        int error;

        if (n > size)
            n = size;
        error = is_full ? start_piece(spool, body, from, n, why)
                        : extend(spool, body, last, from, n, why);
        if (error != 0)
            return error;
        from += n;
        size -= n;
        body->size += (int64_t)n;
        body->expected -= (int64_t)n;
    }
    return 0;
}

int pf_spool_take(struct pf_spool *spool, struct pf_spooled *body,
                  const void **data, size_t *size,
                  struct pfetch_failure *why)
{
    struct pf_spool_piece *piece = body->first;

    *size = 0;
    if (piece != NULL && piece->is_taken) {
        body->first = piece->next;
        free_piece(spool, piece);
        piece = body->first;
    }
    if (piece == NULL) {
        body->last = NULL;
        return 0;
    }
    *data = piece->data;
    if (piece->data == NULL) {
        if (spool->buffer == NULL)
            spool->buffer = malloc(PIECE_BYTES);
        if (spool->buffer == NULL)
            return fail(spool, "no memory for", ENOMEM, why);
        if (read_at(spool, piece->slot * PIECE_BYTES, piece->size, why) != 0)
            return PFETCH_EINVAL;
        *data = spool->buffer;
    }
    *size = piece->size;
    piece->is_taken = true;
    return 0;
}
