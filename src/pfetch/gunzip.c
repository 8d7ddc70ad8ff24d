/* gunzip.c - gzip, decompressed as it comes.
 *
 * SPDX-License-Identifier: MIT
 *
 * The work is zlib's.  What is added is what lies between members: another
 * one, zeros (tar and tapes leave them), or the end of the file.  A file that
 * ends anywhere else was cut off, and what it still would have said is
 * missing: that is an error.
 */
#include "config.h"

#include "gunzip.h"

#include <stdlib.h>
#include <string.h>

bool pf_gunzip_is(const char *data, size_t size)
{
    return size >= 2 && memcmp(data, "\x1f\x8b", 2) == 0;
}

#ifdef HAVE_ZLIB

#include <zlib.h>

struct pf_gunzip {
    z_stream z;
    bool between; /* members, not inside of one */
    bool at_end;  /* nothing more will be fed */
    char fed[PF_GUNZIP_BYTES];
};

struct pf_gunzip *pf_gunzip_create(const char **why)
{
    struct pf_gunzip *gunzip = malloc(sizeof(*gunzip));

    *why = "out of memory";
    if (gunzip == NULL)
        return NULL;
    memset(gunzip, 0, offsetof(struct pf_gunzip, fed));
    if (inflateInit2(&gunzip->z, 16 + MAX_WBITS) == Z_OK) /* 16: gzip only */
        return gunzip;
    free(gunzip);
    return NULL;
}

void pf_gunzip_free(struct pf_gunzip *gunzip)
{
    if (gunzip == NULL)
        return;
    (void)inflateEnd(&gunzip->z); /* fails only if it was not begun */
    free(gunzip);
}

char *pf_gunzip_room(struct pf_gunzip *gunzip)
{
    return gunzip->fed;
}

void pf_gunzip_fed(struct pf_gunzip *gunzip, size_t size)
{
    gunzip->z.next_in = (Bytef *)gunzip->fed;
    gunzip->z.avail_in = (uInt)size;
    gunzip->at_end = size == 0;
}

/* Whether another member begins; after zeros. */
static bool find_member(struct pf_gunzip *gunzip)
{
    z_stream *z = &gunzip->z;

    while (z->avail_in > 0 && *z->next_in == 0) {
        z->next_in++;
        z->avail_in--;
    }
    if (z->avail_in == 0)
        return false;
    gunzip->between = false;
    return inflateReset(z) == Z_OK; /* of a stream that is in order */
}

enum pf_gunzip_result pf_gunzip_read(struct pf_gunzip *gunzip, char *out,
                                     size_t *size, const char **why)
{
    z_stream *z = &gunzip->z;
    size_t room = *size;

    z->next_out = (Bytef *)out;
    z->avail_out = (uInt)room;
    while (z->avail_out == room) {
        if (gunzip->between && !find_member(gunzip))
            break;
        int result = inflate(z, Z_NO_FLUSH);
        if (result == Z_BUF_ERROR) /* no input left, and no output */
            break;
        if (result == Z_STREAM_END) {
            gunzip->between = true;
        } else if (result != Z_OK) {
            *why = result == Z_MEM_ERROR ? "out of memory"
                                         : "damaged, or not all gzip";
            return PF_GUNZIP_FAILED;
        }
    }
    *size = room - z->avail_out;
    if (*size > 0)
        return PF_GUNZIP_DATA;
    if (!gunzip->at_end)
        return PF_GUNZIP_HUNGRY;
    *why = "cut off: its compressed data ends too early";
    return gunzip->between ? PF_GUNZIP_END : PF_GUNZIP_FAILED;
}

#else /* !HAVE_ZLIB */

struct pf_gunzip {
    char fed;
};

struct pf_gunzip *pf_gunzip_create(const char **why)
{
    *why = "compressed by gzip, but this program was compiled without zlib; "
           "decompress it by 'gzip -dc LIST | ... -i -'";
    return NULL;
}

void pf_gunzip_free(struct pf_gunzip *gunzip)
{
    (void)gunzip;
}

char *pf_gunzip_room(struct pf_gunzip *gunzip)
{
    return &gunzip->fed;
}

void pf_gunzip_fed(struct pf_gunzip *gunzip, size_t size)
{
    (void)gunzip;
    (void)size;
}

enum pf_gunzip_result pf_gunzip_read(struct pf_gunzip *gunzip, char *out,
                                     size_t *size, const char **why)
{
    (void)gunzip;
    (void)out;
    (void)size;
    (void)why;
    return PF_GUNZIP_FAILED;
}

#endif
