/* nametable.c - what is known of the names of this run.
 *
 * SPDX-License-Identifier: MIT
 *
 * Open addressing with linear probing over entries of 12 bytes.  A table
 * that doubles holds the old and the new at one time and is half empty
 * afterwards, three times what the entries need.  So there are 256 tables
 * ("segments", chosen by the first byte of the key), each grows by a sixteenth
 * when it is fifteen sixteenths full, and what is there twice is one segment
 * at most.  At the worst moment an entry takes 12 * 17 / 15 = 13.6 bytes; what
 * malloc loses between segments of growing size comes on top (measured with
 * glibc: 4 bytes a line at a million lines).
 *
 * A key is 64 bits of a SHA-256: that two of 10 million URLs share one has a
 * chance of 3 in a million.  It would make the later line "the same URL".
 */
#include "config.h"

#include "nametable.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "pfetch.h"

enum {
    SEGMENTS = 256,
    GROWTH = 16,      /* a segment grows by this part */
    BLOCK_BYTES = 16, /* what malloc adds to an allocation, at most */
};

static const uint32_t TAKEN = UINT32_C(1) << 31;

/* The key in two halves keeps the entry at 12 bytes.  Both 0: empty. */
struct entry {
    uint32_t high;
    uint32_t low;
    uint32_t value;
};

struct segment {
    struct entry *entries; /* NULL while capacity is 0 */
    uint32_t capacity;
    uint32_t used;
};

struct pf_nametable {
    pthread_mutex_t lock; /* guards all fields below */
    size_t bytes;         /* held now */
    size_t most_bytes;
    struct segment segments[SEGMENTS];
};

uint64_t pf_nametable_key(enum pf_space space, const uint8_t *hash)
{
    uint64_t key;

    memcpy(&key, hash, sizeof key);
    /* Any odd constant will do: it moves each space to keys of its own. */
    key ^= (uint64_t)space * UINT64_C(0x9e3779b97f4a7c15);
    return key != 0 ? key : 1;
}

struct pf_nametable *pf_nametable_create(void)
{
    struct pf_nametable *table = calloc(1, sizeof *table);

    if (table == NULL)
        return NULL;
    if (pthread_mutex_init(&table->lock, NULL) != 0) {
        free(table);
        return NULL;
    }
    table->bytes = sizeof *table + BLOCK_BYTES;
    table->most_bytes = table->bytes;
    return table;
}

void pf_nametable_free(struct pf_nametable *table)
{
    if (table == NULL)
        return;
    for (size_t i = 0; i < SEGMENTS; i++)
        free(table->segments[i].entries);
    (void)pthread_mutex_destroy(&table->lock); /* nobody holds it any more */
    free(table);
}

/* The entry of a key, or the empty one where it belongs.  The segment has an
 * empty entry. */
static struct entry *probe_segment(const struct segment *s, uint64_t key)
{
    uint32_t high = (uint32_t)(key >> 32);
    uint32_t low = (uint32_t)key;
    uint32_t i = (uint32_t)((uint64_t)low * s->capacity >> 32);

    for (;;) {
        struct entry *e = &s->entries[i];

        if ((e->high == high && e->low == low)
            || (e->high == 0 && e->low == 0))
            return e;
        if (++i == s->capacity)
            i = 0;
    }
}

static size_t segment_bytes(uint32_t capacity)
{
    return capacity == 0 ? 0 : capacity * sizeof(struct entry) + BLOCK_BYTES;
}

static int grow_segment_locked(struct pf_nametable *table, struct segment *s)
{
    struct segment larger = { .used = s->used };

    larger.capacity = s->capacity + s->capacity / GROWTH + 2;
    larger.entries = calloc(larger.capacity, sizeof *larger.entries);
    if (larger.entries == NULL)
        return PFETCH_ENOMEM;
    for (uint32_t i = 0; i < s->capacity; i++) {
        const struct entry *e = &s->entries[i];

        if (e->high != 0 || e->low != 0)
            *probe_segment(&larger, (uint64_t)e->high << 32 | e->low) = *e;
    }
    table->bytes += segment_bytes(larger.capacity);
    if (table->bytes > table->most_bytes)
        table->most_bytes = table->bytes;
    table->bytes -= segment_bytes(s->capacity);
    free(s->entries);
    *s = larger;
    return 0;
}

/* The entry of a key or NULL. */
static struct entry *find_locked(struct pf_nametable *table, uint64_t key)
{
    const struct segment *s = &table->segments[key >> 56];

    if (s->capacity == 0)
        return NULL;
    struct entry *e = probe_segment(s, key);
    return e->high == 0 && e->low == 0 ? NULL : e;
}

/* The entry of a key, made with value 0 if it is new; NULL: no memory. */
static struct entry *add_locked(struct pf_nametable *table, uint64_t key)
{
    struct segment *s = &table->segments[key >> 56];
    struct entry *e = find_locked(table, key);

    if (e != NULL)
        return e;
    if ((s->used + UINT64_C(1)) * 16 > s->capacity * UINT64_C(15)
        && grow_segment_locked(table, s) != 0)
        return NULL;
    e = probe_segment(s, key);
    e->high = (uint32_t)(key >> 32);
    e->low = (uint32_t)key;
    s->used++;
    return e;
}

uint32_t pf_nametable_get(struct pf_nametable *table, uint64_t key)
{
    (void)pthread_mutex_lock(&table->lock);
    const struct entry *e = find_locked(table, key);
    uint32_t value = e != NULL ? e->value : 0;
    (void)pthread_mutex_unlock(&table->lock);
    return value;
}

int pf_nametable_put(struct pf_nametable *table, uint64_t key, uint32_t value)
{
    (void)pthread_mutex_lock(&table->lock);
    struct entry *e = add_locked(table, key);
    if (e != NULL)
        e->value = value;
    (void)pthread_mutex_unlock(&table->lock);
    return e != NULL ? 0 : PFETCH_ENOMEM;
}

int pf_nametable_claim(struct pf_nametable *table, uint64_t name)
{
    int result = PFETCH_ENOMEM;

    (void)pthread_mutex_lock(&table->lock);
    struct entry *e = add_locked(table, name);
    if (e != NULL) {
        result = (e->value & TAKEN) == 0;
        e->value |= TAKEN;
    }
    (void)pthread_mutex_unlock(&table->lock);
    return result;
}

bool pf_nametable_taken(struct pf_nametable *table, uint64_t name,
                        uint32_t *next)
{
    uint32_t value = pf_nametable_get(table, name);

    if (next != NULL)
        *next = value & ~TAKEN;
    return (value & TAKEN) != 0;
}

int pf_nametable_set_next(struct pf_nametable *table, uint64_t name,
                          uint32_t next, bool add)
{
    int result = 0;

    (void)pthread_mutex_lock(&table->lock);
    struct entry *e = find_locked(table, name);
    if (e == NULL && add) {
        e = add_locked(table, name);
        result = e != NULL ? 0 : PFETCH_ENOMEM;
    }
    if (e != NULL)
        e->value = (e->value & TAKEN) | next;
    (void)pthread_mutex_unlock(&table->lock);
    return result;
}

size_t pf_nametable_bytes(struct pf_nametable *table)
{
    (void)pthread_mutex_lock(&table->lock);
    size_t bytes = table->most_bytes;
    (void)pthread_mutex_unlock(&table->lock);
    return bytes;
}
