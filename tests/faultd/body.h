/*
 * body.h - the bytes faultd serves, computable by anybody.
 *
 * A body is a sequence of lines of 32 bytes.  The line that begins at offset O
 * (a multiple of 32) is, as printf would say it,
 *
 *     "%016llx %014lld\n"   with   FNV-1a-64(seed)   and   O modulo 10^14
 *
 * and the last line is cut where the body ends.  So a byte that ends up in a
 * wrong file or at a wrong offset names the place it came from.
 * tests/support/faultbody.py says the same in Python.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef FAULTD_BODY_H
#define FAULTD_BODY_H

#include <stddef.h>
#include <stdint.h>

/* FNV-1a, 64 bits, of len bytes. */
uint64_t body_hash(const char *seed, size_t len);

/* Writes bytes [offset, offset + len) of the body of that hash to out. */
void body_fill(uint64_t hash, int64_t offset, char *out, size_t len);

#endif
