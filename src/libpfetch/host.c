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

void pf_host_table_fini(struct pf_host_table *table)
{
    for (size_t i = 0; table->buckets != NULL && i < table->size; i++)
        while (table->buckets[i] != NULL) {
            struct pf_host *host = table->buckets[i];

            table->buckets[i] = host->chain;
            free(host);
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

struct pf_host *pf_host_get(struct pf_host_table *table, const char *name)
{
    uint64_t hash = pf_hash(name);
    size_t name_size = strlen(name) + 1;
    struct pf_host *host;

    for (host = table->buckets[hash & (table->size - 1)]; host != NULL;
         host = host->chain)
        if (host->hash == hash && strcmp(host->name, name) == 0)
            return host;
    host = calloc(1, sizeof(*host) + name_size);
    if (host == NULL)
        return NULL;
    memcpy(host->name, name, name_size);
    host->hash = hash;
    host->last = &host->first;
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
    free(host);
}

void pf_host_append(struct pf_host *host, struct pfetch_job *job)
{
    job->next = NULL;
    *host->last = job;
    host->last = &job->next;
}

void pf_host_prepend(struct pf_host *host, struct pfetch_job *job)
{
    job->next = host->first;
    if (host->first == NULL)
        host->last = &job->next;
    host->first = job;
}

struct pfetch_job *pf_host_take(struct pf_host *host)
{
    struct pfetch_job *job = host->first;

    if (job == NULL)
        return NULL;
    host->first = job->next;
    if (host->first == NULL)
        host->last = &host->first;
    job->next = NULL;
    return job;
}

size_t pf_host_wake_delayed(struct pf_host *host, int64_t now_ms)
{
    struct pf_heap_node *node;
    size_t woken = 0;

    while ((node = pf_heap_min(&host->delayed)) != NULL
           && node->key <= now_ms) {
        (void)pf_heap_pop(&host->delayed); /* it is node */
        pf_host_append(host, pf_job_of_delay(node));
        woken++;
    }
    return woken;
}
