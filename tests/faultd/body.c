/*
 * body.c - the bytes faultd serves; body.h defines them.
 *
 * SPDX-License-Identifier: MIT
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "body.h"

#include <string.h>

enum { LINE = 32, HASH_DIGITS = 16, OFFSET_DIGITS = 14 };

uint64_t body_hash(const char *seed, size_t len)
{
    uint64_t hash = 0xcbf29ce484222325u;

    for (size_t i = 0; i < len; i++) {
        hash ^= (unsigned char)seed[i];
        hash *= 0x100000001b3u;
    }
    return hash;
}

/* Writes digits of value at out, filled up with zeros, dropping high digits. */
static void put_digits(char *out, int digits, uint64_t value, unsigned base)
{
    while (digits-- > 0) {
        out[digits] = "0123456789abcdef"[value % base];
        value /= base;
    }
}

void body_fill(uint64_t hash, int64_t offset, char *out, size_t len)
{
    char line[LINE];

    put_digits(line, HASH_DIGITS, hash, 16);
    line[HASH_DIGITS] = ' ';
    line[LINE - 1] = '\n';
    while (len > 0) {
        size_t skip = (size_t)(offset % LINE);
        size_t n = LINE - skip < len ? LINE - skip : len;

        put_digits(line + HASH_DIGITS + 1, OFFSET_DIGITS,
                   (uint64_t)offset - skip, 10);
        memcpy(out, line + skip, n);
        out += n;
        len -= n;
        offset += (int64_t)n;
    }
}
