/* host.c - see host.h.
 *
 * SPDX-License-Identifier: MIT
 */
#include "config.h"

#include "host.h"

#include "hash.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_SIZE = 64 };

int pf_host_table_init(struct pf_host_table *table)
{
    table->size = FIRST_SIZE;
    table->count = 0;
    table->buckets = calloc(table->size, sizeof(*table->buckets));
    return table->buckets == NULL ? PFETCH_ENOMEM : 0;
}

static void free_host(struct pf_host *host)
{
    while (host->origins != NULL) {
        struct pf_origin *origin = host->origins;

        host->origins = origin->next;
        free(origin);
    }
    free(host);
}

void pf_host_table_fini(struct pf_host_table *table)
{
    for (size_t i = 0; table->buckets != NULL && i < table->size; i++)
        while (table->buckets[i] != NULL) {
            struct pf_host *host = table->buckets[i];

            table->buckets[i] = host->chain;
            free_host(host);
        }
    free(table->buckets);
    table->buckets = NULL;
}

/* Twice the buckets; without memory for them the chains just get longer. */
static void grow(struct pf_host_table *table)
{
    size_t size = table->size * 2;
    struct pf_host **buckets = calloc(size, sizeof(*buckets));

    if (buckets == NULL)
        return;
    for (size_t i = 0; i < table->size; i++)
        while (table->buckets[i] != NULL) {
            struct pf_host *host = table->buckets[i];
            struct pf_host **at = &buckets[host->hash & (size - 1)];

            table->buckets[i] = host->chain;
            host->chain = *at;
            *at = host;
        }
    free(table->buckets);
    table->buckets = buckets;
    table->size = size;
}

struct pf_host *pf_host_get(struct pf_host_table *table, const char *name,
                            bool *is_new)
{
    uint64_t hash = pf_hash(name);
    size_t name_size = strlen(name) + 1;
    struct pf_host *host;

    *is_new = false;
    for (host = table->buckets[hash & (table->size - 1)]; host != NULL;
         host = host->chain)
        if (host->hash == hash && strcmp(host->name, name) == 0)
            return host;
    host = calloc(1, sizeof(*host) + name_size);
    if (host == NULL)
        return NULL;
    *is_new = true;
    memcpy(host->name, name, name_size);
    host->hash = hash;
    pf_job_list_init(&host->waiting);
    host->place = PF_HOST_IDLE;
    if (table->count >= table->size)
        grow(table);
    host->chain = table->buckets[hash & (table->size - 1)];
    table->buckets[hash & (table->size - 1)] = host;
    table->count++;
    return host;
}

void pf_host_drop(struct pf_host_table *table, struct pf_host *host)
{
    struct pf_host **at = &table->buckets[host->hash & (table->size - 1)];

    while (*at != host)
        at = &(*at)->chain;
    *at = host->chain;
    table->count--;
    free_host(host);
}

/* A host has one or two; the one asked for last is asked for next. */
struct pf_origin *pf_host_origin(struct pf_host *host, const char *key)
{
    struct pf_origin **at = &host->origins, *origin;
    size_t key_size = strlen(key) + 1;

    while (*at != NULL && strcmp((*at)->key, key) != 0)
        at = &(*at)->next;
    origin = *at;
    if (origin != NULL) {
        *at = origin->next;
    } else {
        origin = calloc(1, sizeof(*origin) + key_size);
        if (origin == NULL)
            return NULL;
        memcpy(origin->key, key, key_size);
        pf_job_list_init(&origin->parked);
    }
    origin->next = host->origins;
    host->origins = origin;
    return origin;
}

void pf_host_drop_origin(struct pf_host *host, struct pf_origin *origin)
{
    struct pf_origin **at = &host->origins;

    while (*at != origin)
        at = &(*at)->next;
    *at = origin->next;
    free(origin);
}

struct pfetch_job *pf_host_any_job(const struct pf_host *host)
{
    struct pfetch_job *job = host->waiting.first;

    if (job == NULL && !pf_heap_is_empty(&host->delayed))
        job = pf_job_of_delay(pf_heap_min(&host->delayed));
    for (const struct pf_origin *o = host->origins; o != NULL && job == NULL;
         o = o->next)
        job = o->parked.first;
    return job;
}

size_t pf_host_wake_delayed(struct pf_host *host, int64_t now_us,
                            bool to_front)
{
    struct pf_heap_node *node;
    size_t woken = 0;

    while ((node = pf_heap_min(&host->delayed)) != NULL
           && node->key <= now_us) {
        struct pfetch_job *job = pf_job_of_delay(node);

        (void)pf_heap_pop(&host->delayed); /* it is node */
        job->place = PF_JOB_WAITING;
        if (to_front)
            pf_job_list_prepend(&host->waiting, job);
        else
            pf_job_list_append(&host->waiting, job);
        woken++;
    }
    return woken;
}

bool pf_host_is_unused(const struct pf_host *host)
{
    if (host->places > 0 || host->running > 0 || host->waiting.first != NULL
        || !pf_heap_is_empty(&host->delayed))
        return false;
    for (const struct pf_origin *o = host->origins; o != NULL; o = o->next)
        if (o->jobs > 0)
            return false;
    return true;
}
