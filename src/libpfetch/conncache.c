/* conncache.c - the connection cache: slots, leased to one transfer at a time.
 *
 * SPDX-License-Identifier: MIT
 *
 * libcurl has never supported connections shared between concurrent threads
 * (CURLSHOPT_SHARE(3)), so nothing is shared concurrently here.  The cache is
 * a set of slots.  A slot is a CURLSH of its own, which holds the connection
 * and the TLS session of one origin.  A worker leases a slot, attaches it to
 * its easy handle, performs one transfer, detaches it and gives it back: at
 * any time a slot is with one thread or idle in the cache, and no libcurl
 * lock callbacks are needed.  The cache's mutex is held for list operations
 * only, never across libcurl: closing a connection may do I/O.
 *
 * A slot holds connections of one origin only, because a lease is one hop:
 * redirects are not followed by libcurl.  It knows its sockets through the
 * open and close callbacks, which get the slot and not the worker as their
 * data: a connection may be closed by another thread than the one that opened
 * it, even after its handle is gone.
 *
 * Before an idle slot is used again its sockets are polled.  Readable while
 * idle means that the server closed the connection, or wrote bytes nobody
 * asked for, which would become the beginning of the next URL's answer.  Such
 * a slot is discarded.  (A TLS 1.3 session ticket that comes late costs a
 * reconnect for the same reason.)
 *
 * Bounds: max_idle slots, least recently used closed first, and an age.
 */
#include "config.h"

#include "conncache.h"

#include "address.h"
#include "hash.h"
#include "pfetch.h"
#include "thread.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FIRST_SIZE = 256 };

/* --- one slot -------------------------------------------------------------- */

static curl_socket_t open_socket(void *data, curlsocktype purpose,
                                 struct curl_sockaddr *address)
{
    struct pf_slot *slot = data;
    int fd;

    (void)purpose; /* there is only one kind for HTTP */
    if (slot->deny_private && !pf_address_is_public(&address->addr)) {
        slot->is_denied = true;
        return CURL_SOCKET_BAD;
    }
    slot->has_ipv6 = slot->has_ipv6 || address->family != AF_INET;
    fd = socket(address->family, address->socktype | SOCK_CLOEXEC,
                address->protocol);
    if (fd < 0) {
        slot->local_errno = errno;
        return CURL_SOCKET_BAD;
    }
    if (slot->socket_count < PF_SLOT_SOCKETS)
        slot->sockets[slot->socket_count++] = fd;
    else
        slot->is_overfull = true;
    return fd;
}

static int close_socket(void *data, curl_socket_t fd)
{
    struct pf_slot *slot = data;

    for (unsigned i = 0; i < slot->socket_count; i++)
        if (slot->sockets[i] == fd) {
            slot->sockets[i] = slot->sockets[--slot->socket_count];
            break;
        }
    return close(fd);
}

static void free_slot(struct pf_slot *slot)
{
    if (slot == NULL)
        return;
    /* Closes the connection, through close_socket().  It cannot be in use:
     * no handle is attached. */
    (void)curl_share_cleanup(slot->share);
    free(slot->key);
    free(slot);
}

static struct pf_slot *create_slot(const char *key, uint64_t hash,
                                   bool deny_private)
{
    struct pf_slot *slot = calloc(1, sizeof(*slot));

    if (slot == NULL)
        return NULL;
    slot->hash = hash;
    slot->deny_private = deny_private;
    slot->key = strdup(key);
    slot->share = curl_share_init();
    if (slot->key == NULL || slot->share == NULL
        || curl_share_setopt(slot->share, CURLSHOPT_SHARE,
                             CURL_LOCK_DATA_CONNECT) != CURLSHE_OK
        || curl_share_setopt(slot->share, CURLSHOPT_SHARE,
                             CURL_LOCK_DATA_SSL_SESSION) != CURLSHE_OK) {
        free_slot(slot);
        return NULL;
    }
    return slot;
}

/* Nothing may have arrived while it was idle, neither an end nor bytes. */
static bool is_quiet(const struct pf_slot *slot)
{
    struct pollfd fds[PF_SLOT_SOCKETS];
    int n;

    for (unsigned i = 0; i < slot->socket_count; i++)
        fds[i] = (struct pollfd){ .fd = slot->sockets[i], .events = POLLIN };
    do
        n = poll(fds, slot->socket_count, 0);
    while (n < 0 && errno == EINTR);
    return n == 0;
}

int pf_slot_attach(struct pf_slot *slot, CURL *easy)
{
    slot->local_errno = 0;
    slot->has_ipv6 = false;
    slot->is_denied = false;
    if (curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket)
        || curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, slot)
        || curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, close_socket)
        || curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, slot)
        || curl_easy_setopt(easy, CURLOPT_SHARE, slot->share))
        return PFETCH_ECURL;
    return 0;
}

void pf_slot_detach(CURL *easy)
{
    (void)curl_easy_setopt(easy, CURLOPT_SHARE, NULL); /* only unlinks */
}

/* --- the idle ones --------------------------------------------------------- */

int pf_conncache_init(struct pf_conncache *cache, size_t max_idle,
                      int64_t max_age_ms, bool deny_private,
                      struct pf_stats *stats)
{
    *cache = (struct pf_conncache){ .size = FIRST_SIZE, .max_idle = max_idle,
                                    .max_age_ms = max_age_ms,
                                    .deny_private = deny_private,
                                    .stats = stats };
    while (cache->size < max_idle)
        cache->size *= 2;
    cache->buckets = calloc(cache->size, sizeof(*cache->buckets));
    if (cache->buckets == NULL)
        return PFETCH_ENOMEM;
    pf_mutex_init(&cache->lock);
    return 0;
}

static void add_idle_locked(struct pf_conncache *cache, struct pf_slot *slot)
{
    struct pf_slot **at = &cache->buckets[slot->hash & (cache->size - 1)];

    slot->chain = *at;
    *at = slot;
    slot->newer = NULL;
    slot->older = cache->newest;
    if (cache->newest != NULL)
        cache->newest->newer = slot;
    else
        cache->oldest = slot;
    cache->newest = slot;
    cache->idle++;
}

static void remove_idle_locked(struct pf_conncache *cache,
                               struct pf_slot *slot)
{
    struct pf_slot **at = &cache->buckets[slot->hash & (cache->size - 1)];

    while (*at != slot)
        at = &(*at)->chain;
    *at = slot->chain;
    if (slot->newer != NULL)
        slot->newer->older = slot->older;
    else
        cache->newest = slot->older;
    if (slot->older != NULL)
        slot->older->newer = slot->newer;
    else
        cache->oldest = slot->newer;
    slot->chain = slot->newer = slot->older = NULL;
    cache->idle--;
}

static struct pf_slot *take_idle(struct pf_conncache *cache, const char *key,
                                 uint64_t hash)
{
    struct pf_slot *slot;

    pf_mutex_lock(&cache->lock);
    for (slot = cache->buckets[hash & (cache->size - 1)]; slot != NULL;
         slot = slot->chain)
        if (slot->hash == hash && strcmp(slot->key, key) == 0)
            break;
    if (slot != NULL)
        remove_idle_locked(cache, slot);
    pf_mutex_unlock(&cache->lock);
    return slot;
}

/* One slot that is beyond the limits, taken out; NULL: none is. */
static struct pf_slot *take_surplus(struct pf_conncache *cache,
                                    size_t max_idle, int64_t now_ms)
{
    struct pf_slot *slot;

    pf_mutex_lock(&cache->lock);
    slot = cache->oldest;
    if (slot != NULL && cache->idle <= max_idle
        && now_ms - slot->idle_since_ms <= cache->max_age_ms)
        slot = NULL;
    if (slot != NULL)
        remove_idle_locked(cache, slot);
    pf_mutex_unlock(&cache->lock);
    return slot;
}

void pf_conncache_fini(struct pf_conncache *cache)
{
    while (cache->oldest != NULL) {
        struct pf_slot *slot = cache->oldest;

        remove_idle_locked(cache, slot); /* no other thread is left */
        free_slot(slot);
    }
    free(cache->buckets);
    pf_mutex_fini(&cache->lock);
}

struct pf_slot *pf_conncache_lease(struct pf_conncache *cache,
                                   const char *key)
{
    uint64_t hash = pf_hash(key);
    struct pf_slot *slot;

    while ((slot = take_idle(cache, key, hash)) != NULL) {
        if (pf_now_ms() - slot->idle_since_ms <= cache->max_age_ms
            && is_quiet(slot))
            return slot;
        pf_stat_add(&cache->stats->connections_discarded, 1);
        free_slot(slot);
    }
    return create_slot(key, hash, cache->deny_private);
}

void pf_conncache_give(struct pf_conncache *cache, struct pf_slot *slot,
                       bool keep)
{
    int64_t now_ms = pf_now_ms();

    if (!keep || slot->socket_count == 0 || slot->is_overfull
        || cache->max_idle == 0) {
        free_slot(slot);
    } else {
        slot->idle_since_ms = now_ms;
        pf_mutex_lock(&cache->lock);
        add_idle_locked(cache, slot);
        pf_mutex_unlock(&cache->lock);
    }
    while ((slot = take_surplus(cache, cache->max_idle, now_ms)) != NULL)
        free_slot(slot);
}

void pf_conncache_close_idle(struct pf_conncache *cache)
{
    struct pf_slot *slot;

    while ((slot = take_surplus(cache, 0, pf_now_ms())) != NULL)
        free_slot(slot);
}
