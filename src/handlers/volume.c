/* volume.c - see volume.h.
 *
 * SPDX-License-Identifier: MIT
 *
 *     | member | member | end |            after a commit
 *     | member | member | end | rest of the next member ...
 *     | member | member | member | end |   after the next one
 *
 * The first bytes of a member, as many as the end has, stay in memory until
 * everything behind them is in the file, with a new end.  Then they are
 * written over the old end, and that is the moment at which the member is part
 * of the archive.  So nothing has to be repaired after a failure: what is
 * behind the old end is cut off, which needs no space.
 *
 * The end of a compressed file is the tail of its stream (pack.h), and a
 * stream that holds the end of the archive.
 */
#include "config.h"

#include "volume.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    BUFFER_BYTES = 128 * 1024,
    DIRECT_BYTES = 32 * 1024 /* pieces from here on are not copied */
};

/* --- bytes of the file --------------------------------------------------- */

static int write_at(struct pf_volume *v, int64_t at, const void *data,
                    size_t size)
{
    const unsigned char *from = data;

    if (v->is_stream) {
        int error = pf_stream_write(&v->stream, data, size);

        if (error != 0)
            v->cut = error;
        return error;
    }
    while (size > 0) {
        ssize_t n = pwrite(v->fd, from, size, (off_t)at);

        if (n < 0 && errno != EINTR)
            return errno;
        if (n > 0) {
            from += n;
            at += n;
            size -= (size_t)n;
        }
    }
    return 0;
}

/* Writes what is behind the head. */
static int spill(struct pf_volume *v)
{
    size_t size = v->used - v->head_size;
    int error = write_at(v, v->rest_at, v->buffer + v->head_size, size);

    v->rest_at += (int64_t)size;
    v->used = v->head_size;
    return error;
}

/* Bytes that come out of the packer. */
static int put(void *to, const void *data, size_t size)
{
    struct pf_volume *v = to;
    const unsigned char *from = data;
    int error = 0;

    v->member_bytes += (int64_t)size;
    while (error == 0 && size > 0) {
        size_t n = BUFFER_BYTES - v->used;

        if (size >= DIRECT_BYTES && v->used >= v->head_size) {
            error = spill(v);
            if (error == 0)
                error = write_at(v, v->rest_at, from, size);
            v->rest_at += (int64_t)size;
            return error;
        }
        if (n == 0) {
            error = spill(v);
            continue;
        }
        /* What is large goes directly once the head is there. */
        if (size >= DIRECT_BYTES)
            n = v->head_size - v->used;
        if (n > size)
            n = size;
        memcpy(v->buffer + v->used, from, n);
        v->used += n;
        from += n;
        size -= n;
    }
    return error;
}

/* --- the end ------------------------------------------------------------- */

/* What would have to follow the last commit, behind the head or not. */
static int put_end(struct pf_volume *v)
{
    unsigned char tail[PF_PACK_TAIL_BYTES];
    size_t size = v->end_size > 0 ? pf_pack_tail(v->pack, tail) : 0;
    int error = put(v, tail, size);

    return error != 0 ? error : put(v, v->end, v->end_size);
}

/* Packs the end of the archive. */
static int put_packed_end(void *to, const void *data, size_t size)
{
    struct pf_volume *v = to;

    if (size > sizeof(v->end) - v->end_size)
        return ENOMEM; /* it has become longer: it does not, being zeros */
    memcpy(v->end + v->end_size, data, size);
    v->end_size += size;
    return 0;
}

static int pack_end(struct pf_volume *v, enum pf_pack_kind kind,
                    const void *end, size_t size)
{
    struct pf_pack *pack = pf_pack_create(kind, put_packed_end, v);
    int error = pack == NULL ? ENOMEM : 0;

    if (error == 0 && size > 0)
        error = pf_pack_write(pack, end, size);
    if (error == 0)
        error = pf_pack_end(pack);
    pf_pack_free(pack);
    if (!v->is_stream && v->end_size > 0)
        v->head_size = v->end_size
                       + (kind == PF_PACK_PLAIN ? 0 : PF_PACK_TAIL_BYTES);
    return error;
}

/* --- open ---------------------------------------------------------------- */

void pf_volume_init(struct pf_volume *v)
{
    *v = (struct pf_volume){ .fd = -1 };
    v->stream.fd = v->stream.given_fd = -1;
}

static int open_file(struct pf_volume *v)
{
    if (strcmp(v->name, "-") == 0) {
        v->is_stream = true;
        v->fd = STDOUT_FILENO;
        pf_stream_init(&v->stream, v->fd);
        return 0;
    }
    v->fd = open(v->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY,
                 0666);
    return v->fd >= 0 ? 0 : errno;
}

static int open_volume(struct pf_volume *v, const char *name,
                       enum pf_pack_kind kind, const void *end, size_t size)
{
    int error;

    v->name = strdup(name);
    v->buffer = malloc(BUFFER_BYTES);
    v->pack = pf_pack_create(kind, put, v);
    if (v->name == NULL || v->buffer == NULL || v->pack == NULL)
        return ENOMEM;
    error = open_file(v);
    if (error != 0)
        return error;
    error = pack_end(v, kind, end, size);
    v->rest_at = (int64_t)v->head_size;
    if (error == 0 && size > 0)
        error = pf_pack_begin(v->pack);
    return error != 0 ? error : pf_volume_commit(v);
}

int pf_volume_open(struct pf_volume *v, const char *name,
                   enum pf_pack_kind kind, const void *end, size_t end_size)
{
    int error;

    pf_volume_init(v);
    error = open_volume(v, name, kind, end, end_size);
    if (error != 0)
        pf_volume_remove(v);
    return error;
}

void pf_volume_start(struct pf_volume *v, const struct pfetch *run)
{
    v->stream.run = run;
}

/* --- members ------------------------------------------------------------- */

int pf_volume_write(struct pf_volume *v, const void *data, size_t size)
{
    return v->cut != 0 ? v->cut : pf_pack_write(v->pack, data, size);
}

int pf_volume_hold(struct pf_volume *v, const void *data, size_t size)
{
    int error = v->cut != 0 ? v->cut : pf_pack_store(v->pack, data, size);

    v->hold_at = v->whole + v->member_bytes - (int64_t)size;
    return error;
}

int pf_volume_replace(struct pf_volume *v, const void *data, size_t size)
{
    const unsigned char *from = data;
    int64_t at = v->hold_at;
    int64_t in_file;

    pf_pack_restore(v->pack, data, size);
    /* In the file, in the buffer, or in both one after the other; a volume
     * with a head has no use for this. */
    in_file = v->rest_at - at;
    if (in_file > (int64_t)size)
        in_file = (int64_t)size;
    if (in_file > 0) {
        int error = write_at(v, at, from, (size_t)in_file);

        if (error != 0)
            return error;
        from += in_file;
        at += in_file;
        size -= (size_t)in_file;
    }
    if (size > 0)
        memcpy(v->buffer + (at - v->rest_at), from, size);
    return 0;
}

int pf_volume_end_stream(struct pf_volume *v)
{
    return v->cut != 0 ? v->cut : pf_pack_end(v->pack);
}

/* Brings the end of the member, and then its head, into the file. */
static int settle(struct pf_volume *v)
{
    int error;

    if (v->used <= v->head_size)
        return write_at(v, v->whole, v->buffer, v->used);
    error = spill(v);
    return error != 0 ? error
                      : write_at(v, v->whole, v->buffer, v->head_size);
}

int pf_volume_commit(struct pf_volume *v)
{
    int error = v->cut != 0 ? v->cut : pf_pack_flush(v->pack);
    int64_t size = v->member_bytes, file_bytes;

    if (error == 0 && !v->is_stream)
        error = put_end(v);
    file_bytes = v->whole + v->member_bytes;
    if (error == 0)
        error = settle(v);
    if (error != 0)
        return error;
    v->whole += size;
    v->file_bytes = file_bytes;
    v->member_bytes = 0;
    v->used = 0;
    v->rest_at = v->whole + (int64_t)v->head_size;
    return 0;
}

void pf_volume_abort(struct pf_volume *v)
{
    if (v->cut != 0 || v->fd < 0)
        return;
    v->cut = EIO;
    /* Should it fail, there is something behind the end, which readers do
     * not look at. */
    if (!v->is_stream)
        (void)!ftruncate(v->fd, (off_t)v->file_bytes);
}

/* --- close --------------------------------------------------------------- */

static void free_volume(struct pf_volume *v)
{
    pf_stream_fini(&v->stream);
    pf_pack_free(v->pack);
    free(v->buffer);
    free(v->name);
    pf_volume_init(v);
}

int pf_volume_close(struct pf_volume *v)
{
    int error = 0;

    if (v->name == NULL)
        return 0;
    if (v->is_stream && v->cut == 0) {
        error = put_end(v);
        if (error == 0)
            error = spill(v);
    }
    /* The descriptor of standard output is not ours, but what it has to say
     * is. */
    if (v->is_stream) {
        int copy = error == 0 ? dup(v->fd) : -1;

        if (copy >= 0 && close(copy) != 0)
            error = errno;
    } else if (v->fd >= 0 && close(v->fd) != 0 && errno != EINTR) {
        error = errno;
    }
    free_volume(v);
    return error;
}

void pf_volume_remove(struct pf_volume *v)
{
    struct stat ours, there;

    if (v->name != NULL && v->fd >= 0 && !v->is_stream) {
        if (fstat(v->fd, &ours) == 0 && lstat(v->name, &there) == 0
            && ours.st_dev == there.st_dev && ours.st_ino == there.st_ino)
            (void)unlink(v->name); /* an empty archive is left at worst */
        (void)close(v->fd);        /* nobody needs what is in it */
    }
    free_volume(v);
}

static const char *find_remedy(int error)
{
    switch (error) {
    case ENOSPC:
    case EDQUOT:
        return ": free some space";
    case EFBIG:
        return ": raise the limit on file sizes (ulimit -f)";
    case EPIPE:
        return ": its reader is gone";
    default:
        return "";
    }
}

enum pfetch_reply pf_volume_failure(const char *name, const char *doing,
                                    int error, struct pfetch_failure *why)
{
    if (error == ECANCELED) {
        pfetch_failure_set(why, PFETCH_CLASS_STOPPED,
                           "stopped while nobody read standard output");
        return PFETCH_FAIL;
    }
    pfetch_failure_set(why, PFETCH_CLASS_LOCAL, "cannot %s %.120s: %s%s",
                       doing, strcmp(name, "-") == 0 ? "standard output"
                                                     : name,
                       strerror(error), find_remedy(error));
    return PFETCH_BROKEN;
}
