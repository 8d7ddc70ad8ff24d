/* conncache.h - the connection cache: slots, leased to one transfer at a time.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PF_CONNCACHE_H
#define PF_CONNCACHE_H

#include "stats.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Sockets a slot can watch: more than one only while libcurl races addresses
 * (happy eyeballs), or replaces a connection that died. */
enum { PF_SLOT_SOCKETS = 4 };

struct pf_slot {
    CURLSH *share;              /* shares connections and TLS sessions */
    char *key;                  /* the origin its connection belongs to */
    uint64_t hash;
    int sockets[PF_SLOT_SOCKETS]; /* open ones; whoever has the slot */
    unsigned socket_count;
    bool is_overfull;           /* a socket did not fit: never kept idle */
    int local_errno;            /* why the last socket could not be made, 0 */
    bool has_ipv6;              /* a socket of the last transfer was for an
                                 * address other than IPv4 */
    bool deny_private;          /* set when it is made */
    bool is_denied;             /* a private address was refused last */
    int64_t idle_since_ms;      /* the rest: the cache's, while idle */
    struct pf_slot *chain;      /* next idle slot in its bucket */
    struct pf_slot *older, *newer; /* among all idle slots */
};

struct pf_conncache {
    pthread_mutex_t lock;       /* guards all below but limits and stats */
    struct pf_slot **buckets;   /* idle slots by key, last used first */
    size_t size;                /* a power of two */
    size_t idle;
    struct pf_slot *newest, *oldest;
    size_t max_idle;            /* set before start */
    int64_t max_age_ms;         /* set before start */
    bool deny_private;          /* set before start */
    struct pf_stats *stats;
};

/* deny_private: no socket is made for an address that is not public.  0 or
 * PFETCH_ENOMEM. */
int pf_conncache_init(struct pf_conncache *cache, size_t max_idle,
                      int64_t max_age_ms, bool deny_private,
                      struct pf_stats *stats);
/* Closes all idle connections.  No slot may be leased. */
void pf_conncache_fini(struct pf_conncache *cache);

/* A slot for one transfer to the origin `key` (copied): with an idle
 * connection that is alive, the most recently used one, or else a fresh one.
 * May close dead connections, which does I/O.  NULL: out of memory.  The
 * caller gives it back by pf_conncache_give(). */
struct pf_slot *pf_conncache_lease(struct pf_conncache *cache,
                                   const char *key);

/* Sets the slot on a handle and takes it off again.  attach: 0 or
 * PFETCH_ECURL.  The handle must be detached before the slot is given back. */
int pf_slot_attach(struct pf_slot *slot, CURL *easy);
void pf_slot_detach(CURL *easy);

/* Closes all idle connections, for the descriptors they have.  Any thread;
 * does I/O. */
void pf_conncache_close_idle(struct pf_conncache *cache);

/* Takes a slot back: kept if it has an open connection and keep is true,
 * closed otherwise; then closes what is beyond the limits. */
void pf_conncache_give(struct pf_conncache *cache, struct pf_slot *slot,
                       bool keep);

#endif
