/* pack.c - see pack.h.
 *
 * SPDX-License-Identifier: MIT
 *
 * gzip (RFC 1952) is written around raw deflate, because its end has to be
 * known after each flush: an empty last block, the sum and the length.  A
 * flush ends on a byte.  Bytes to be changed later stand in a stored block of
 * their own, which compression begins after, and the sum of the whole is
 * combined from theirs and that of the rest.
 *
 * zstd (RFC 8878) frames have no sum here, so that their end is always the
 * same: an empty last block.
 */
#include "config.h"

#include "pack.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifdef HAVE_ZLIB
#include <zlib.h>
#endif
#ifdef HAVE_ZSTD
#include <zstd.h>
#endif

enum { OUT_BYTES = 64 * 1024 };

struct pf_pack {
    enum pf_pack_kind kind;
    int (*put)(void *to, const void *data, size_t size);
    void *to;
    bool is_begun;       /* a stream is going on */
#ifdef HAVE_ZLIB
    z_stream deflate;
    bool has_deflate;    /* deflate has been set up */
    uLong stored_sum;    /* of what was stored; 0: nothing */
    size_t stored_bytes;
    uLong sum;           /* of what was written since */
    uint64_t bytes;
#endif
#ifdef HAVE_ZSTD
    ZSTD_CCtx *zstd;
    bool has_frame;      /* something of the frame has come out */
#endif
    unsigned char out[OUT_BYTES];
};

bool pf_pack_has(enum pf_pack_kind kind)
{
    switch (kind) {
    case PF_PACK_PLAIN:
        return true;
    case PF_PACK_GZIP:
#ifdef HAVE_ZLIB
        return true;
#else
        return false;
#endif
    case PF_PACK_ZSTD:
#ifdef HAVE_ZSTD
        return true;
#else
        return false;
#endif
    }
    return false;
}

/* --- gzip ---------------------------------------------------------------- */

#ifdef HAVE_ZLIB

static bool setup_gzip(struct pf_pack *pack)
{
    pack->has_deflate = deflateInit2(&pack->deflate, Z_DEFAULT_COMPRESSION,
                                     Z_DEFLATED, -MAX_WBITS, 8,
                                     Z_DEFAULT_STRATEGY) == Z_OK;
    return pack->has_deflate;
}

static int begin_gzip(struct pf_pack *pack)
{
    /* Deflate, no name, no time, made on Unix. */
    static const unsigned char head[] = { 0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3 };

    if (deflateReset(&pack->deflate) != Z_OK)
        return ENOMEM;
    pack->sum = crc32(0, NULL, 0);
    pack->bytes = 0;
    pack->stored_bytes = 0;
    return pack->put(pack->to, head, sizeof(head));
}

static int deflate_bytes(struct pf_pack *pack, const void *data, size_t size,
                         int flush)
{
    z_stream *z = &pack->deflate;
    int error;

    z->next_in = (Bytef *)(uintptr_t)data; /* zlib only reads it */
    z->avail_in = (uInt)size;
    do {
        z->next_out = pack->out;
        z->avail_out = OUT_BYTES;
        (void)deflate(z, flush); /* no progress is no error */
        error = pack->put(pack->to, pack->out, OUT_BYTES - z->avail_out);
    } while (error == 0 && z->avail_out == 0);
    return error;
}

static int write_gzip(struct pf_pack *pack, const void *data, size_t size)
{
    const unsigned char *from = data;

    while (size > 0) {
        size_t n = size < INT32_MAX ? size : INT32_MAX; /* zlib counts in int */
        int error = deflate_bytes(pack, from, n, Z_NO_FLUSH);

        if (error != 0)
            return error;
        pack->sum = crc32(pack->sum, from, (uInt)n);
        pack->bytes += n;
        from += n;
        size -= n;
    }
    return 0;
}

static void put_u32(unsigned char *to, uint64_t value)
{
    for (int i = 0; i < 4; i++)
        to[i] = (unsigned char)(value >> 8 * i);
}

/* What follows the last block. */
static void make_trailer(const struct pf_pack *pack, unsigned char trailer[8])
{
    uLong sum = pack->sum;

    if (pack->stored_bytes > 0)
        sum = crc32_combine(pack->stored_sum, pack->sum,
                            (z_off_t)pack->bytes);
    put_u32(trailer, sum);
    put_u32(trailer + 4, pack->stored_bytes + pack->bytes);
}

static int end_gzip(struct pf_pack *pack)
{
    unsigned char trailer[8];
    int error = deflate_bytes(pack, NULL, 0, Z_FINISH);

    make_trailer(pack, trailer);
    return error != 0 ? error : pack->put(pack->to, trailer, sizeof(trailer));
}

static int store_gzip(struct pf_pack *pack, const void *data, size_t size)
{
    unsigned char head[5] = { 0 }; /* not the last block, stored */
    int error;

    head[1] = (unsigned char)size;
    head[2] = (unsigned char)(size >> 8);
    head[3] = (unsigned char)~head[1];
    head[4] = (unsigned char)~head[2];
    error = pack->put(pack->to, head, sizeof(head));
    if (error != 0)
        return error;
    pack->stored_bytes = size;
    pf_pack_restore(pack, data, size);
    return pack->put(pack->to, data, size);
}

#endif

/* --- zstd ---------------------------------------------------------------- */

#ifdef HAVE_ZSTD

static int zstd_bytes(struct pf_pack *pack, const void *data, size_t size,
                      ZSTD_EndDirective how)
{
    ZSTD_inBuffer in = { data, size, 0 };
    size_t left;

    do {
        ZSTD_outBuffer out = { pack->out, OUT_BYTES, 0 };
        int error;

        left = ZSTD_compressStream2(pack->zstd, &out, &in, how);
        if (ZSTD_isError(left))
            return ENOMEM; /* nothing else can go wrong in memory */
        error = pack->put(pack->to, out.dst, out.pos);
        if (error != 0)
            return error;
        pack->has_frame = pack->has_frame || out.pos > 0;
    } while (how == ZSTD_e_continue ? in.pos < in.size : left > 0);
    if (how == ZSTD_e_end)
        pack->has_frame = false;
    return 0;
}

#endif

/* --- the stream ---------------------------------------------------------- */

struct pf_pack *pf_pack_create(enum pf_pack_kind kind,
                               int (*put)(void *to, const void *data,
                                          size_t size),
                               void *to)
{
    struct pf_pack *pack = calloc(1, sizeof(*pack));
    bool is_ready = pack != NULL && pf_pack_has(kind);

    if (pack == NULL)
        return NULL;
    pack->kind = kind;
    pack->put = put;
    pack->to = to;
#ifdef HAVE_ZLIB
    if (kind == PF_PACK_GZIP)
        is_ready = setup_gzip(pack);
#endif
#ifdef HAVE_ZSTD
    if (kind == PF_PACK_ZSTD)
        is_ready = (pack->zstd = ZSTD_createCCtx()) != NULL;
#endif
    if (is_ready)
        return pack;
    pf_pack_free(pack);
    return NULL;
}

void pf_pack_free(struct pf_pack *pack)
{
    if (pack == NULL)
        return;
#ifdef HAVE_ZLIB
    if (pack->has_deflate)
        (void)deflateEnd(&pack->deflate); /* an unfinished stream is fine */
#endif
#ifdef HAVE_ZSTD
    (void)ZSTD_freeCCtx(pack->zstd); /* cannot fail */
#endif
    free(pack);
}

int pf_pack_begin(struct pf_pack *pack)
{
    if (pack->is_begun)
        return 0;
    pack->is_begun = true;
#ifdef HAVE_ZLIB
    if (pack->kind == PF_PACK_GZIP)
        return begin_gzip(pack);
#endif
    /* The head of a zstd frame comes with its first block. */
    return 0;
}

int pf_pack_write(struct pf_pack *pack, const void *data, size_t size)
{
    int error = pf_pack_begin(pack);

    if (error != 0)
        return error;
#ifdef HAVE_ZLIB
    if (pack->kind == PF_PACK_GZIP)
        return write_gzip(pack, data, size);
#endif
#ifdef HAVE_ZSTD
    if (pack->kind == PF_PACK_ZSTD)
        return zstd_bytes(pack, data, size, ZSTD_e_continue);
#endif
    return pack->put(pack->to, data, size);
}

int pf_pack_flush(struct pf_pack *pack)
{
    if (!pack->is_begun)
        return 0;
#ifdef HAVE_ZLIB
    if (pack->kind == PF_PACK_GZIP)
        return deflate_bytes(pack, NULL, 0, Z_SYNC_FLUSH);
#endif
#ifdef HAVE_ZSTD
    if (pack->kind == PF_PACK_ZSTD)
        return zstd_bytes(pack, NULL, 0, ZSTD_e_flush);
#endif
    return 0;
}

size_t pf_pack_tail(const struct pf_pack *pack,
                    unsigned char tail[PF_PACK_TAIL_BYTES])
{
#ifdef HAVE_ZLIB
    if (pack->kind == PF_PACK_GZIP) {
        tail[0] = 3; /* the last block, with the fixed code, empty */
        tail[1] = 0;
        make_trailer(pack, tail + 2);
        return 10;
    }
#endif
#ifdef HAVE_ZSTD
    if (pack->kind == PF_PACK_ZSTD && pack->has_frame) {
        memcpy(tail, "\1\0\0", 3); /* the last block, raw, empty */
        return 3;
    }
#endif
    (void)pack;
    (void)tail;
    return 0;
}

int pf_pack_end(struct pf_pack *pack)
{
    if (!pack->is_begun)
        return 0;
    pack->is_begun = false;
#ifdef HAVE_ZLIB
    if (pack->kind == PF_PACK_GZIP)
        return end_gzip(pack);
#endif
#ifdef HAVE_ZSTD
    if (pack->kind == PF_PACK_ZSTD)
        return zstd_bytes(pack, NULL, 0, ZSTD_e_end);
#endif
    return 0;
}

int pf_pack_store(struct pf_pack *pack, const void *data, size_t size)
{
    int error = pf_pack_begin(pack);

    if (error != 0)
        return error;
#ifdef HAVE_ZLIB
    if (pack->kind == PF_PACK_GZIP)
        return store_gzip(pack, data, size);
#endif
    return pack->put(pack->to, data, size);
}

void pf_pack_restore(struct pf_pack *pack, const void *data, size_t size)
{
#ifdef HAVE_ZLIB
    if (pack->kind == PF_PACK_GZIP)
        pack->stored_sum = crc32(crc32(0, NULL, 0), data, (uInt)size);
#endif
    (void)pack;
    (void)data;
    (void)size;
}
