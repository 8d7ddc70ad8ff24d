/* nametable.h - what is known of the names of this run.
 *
 * SPDX-License-Identifier: MIT
 *
 * A set of 64-bit keys with a small number each.  Keys are made from hashes,
 * so that a line of the list costs the same whatever its length: with the two
 * keys a line needs (its URL and its name) at most 32 bytes, growth included,
 * beside a fixed 16 KiB.  A further key, for a directory or for a numbered
 * file of an earlier run, takes 14.  Nothing is ever removed.
 *
 * Any thread may call any function: the table has a lock of its own.
 */
#ifndef PF_NAMETABLE_H
#define PF_NAMETABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a key is about.  Two keys of different spaces are different keys. */
enum pf_space {
    PF_SPACE_NAME = 'n', /* a path: is it taken, and the number to try next
                          * when it is the base of numbered names */
    PF_SPACE_URL = 'u',  /* a URL: the number of the line that has it */
    PF_SPACE_DIR = 'd',  /* a directory: enum pf_dir_value */
    PF_SPACE_OWN = 'o'   /* a URL: the number in the name of the file from an
                          * earlier run that carries its attribute (or where
                          * that name is kept: naming.c) */
};

/* The key for a hash that is uniformly distributed.  Never 0. */
uint64_t pf_nametable_key(enum pf_space space, const uint8_t *hash);

struct pf_nametable;

/* NULL when out of memory.  pf_nametable_free() accepts NULL. */
struct pf_nametable *pf_nametable_create(void);
void pf_nametable_free(struct pf_nametable *table);

/* The number of a key; 0: the key is not there. */
uint32_t pf_nametable_get(struct pf_nametable *table, uint64_t key);

/* Sets the number, which is not 0, of a key that may be new.  0 or
 * PFETCH_ENOMEM. */
int pf_nametable_put(struct pf_nametable *table, uint64_t key,
                     uint32_t value);

/* A name's number has two parts: whether the name is taken in this run, and
 * the next number to try behind it (0: none was tried). */

/* Takes a name.  1: it was free; 0: somebody has it; or PFETCH_ENOMEM. */
int pf_nametable_claim(struct pf_nametable *table, uint64_t name);

/* Whether a name is taken.  next may be NULL. */
bool pf_nametable_taken(struct pf_nametable *table, uint64_t name,
                        uint32_t *next);

/* Remembers the next number, below 2^31.  A name that is not in the table
 * is added only if add is true.  0 or PFETCH_ENOMEM. */
int pf_nametable_set_next(struct pf_nametable *table, uint64_t name,
                          uint32_t next, bool add);

/* The most bytes the table has held at one time, malloc's included. */
size_t pf_nametable_bytes(struct pf_nametable *table);

#endif
