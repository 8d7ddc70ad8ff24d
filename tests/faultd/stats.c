/*
 * stats.c - counters, hits by path, places under limits, the request log.
 *
 * One mutex guards everything.  Hits and limits are two tables of named
 * counters with chaining; the log is a ring of lines that the table owns.
 *
 * SPDX-License-Identifier: MIT
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "stats.h"

#include "body.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKETS = 1 << 14, LOG_LINES = 4096, STATUSES = 1000 };

struct counter {
    struct counter *next;
    long value;
    char name[];
};

struct table {
    struct counter *buckets[BUCKETS];
};

struct stats {
    pthread_mutex_t lock; /* guards all fields below */
    long connections_accepted;
    long connections_open;
    long connections_open_max;
    long tls_handshakes;
    long requests;
    long requests_active;
    long requests_active_max;
    long status_counts[STATUSES];
    struct table hits;   /* by path */
    struct table limits; /* by key: places taken now */
    char *log[LOG_LINES];
    long log_count; /* lines ever put; the next goes to this modulo LOG_LINES */
};

/* The counter of that name, made at 0 when missing. */
static long *find_counter(struct table *table, const char *name)
{
    size_t len = strlen(name);
    struct counter **link = &table->buckets[body_hash(name, len) % BUCKETS];

    for (; *link != NULL; link = &(*link)->next)
        if (strcmp((*link)->name, name) == 0)
            return &(*link)->value;
    *link = calloc(1, sizeof **link + len + 1);
    if (*link == NULL)
        abort();
    memcpy((*link)->name, name, len + 1);
    return &(*link)->value;
}

static void clear_table(struct table *table)
{
    for (size_t i = 0; i < BUCKETS; i++) {
        while (table->buckets[i] != NULL) {
            struct counter *next = table->buckets[i]->next;
            free(table->buckets[i]);
            table->buckets[i] = next;
        }
    }
}

static void clear_log(struct stats *stats)
{
    for (size_t i = 0; i < LOG_LINES; i++) {
        free(stats->log[i]);
        stats->log[i] = NULL;
    }
    stats->log_count = 0;
}

static void raise_to(long *max, long value)
{
    if (*max < value)
        *max = value;
}

struct stats *stats_create(void)
{
    struct stats *stats = calloc(1, sizeof *stats);

    if (stats == NULL || pthread_mutex_init(&stats->lock, NULL) != 0)
        abort();
    return stats;
}

void stats_free(struct stats *stats)
{
    clear_table(&stats->hits);
    clear_table(&stats->limits);
    clear_log(stats);
    (void)pthread_mutex_destroy(&stats->lock); /* nobody holds it any more */
    free(stats);
}

static void lock(struct stats *stats)
{
    if (pthread_mutex_lock(&stats->lock) != 0)
        abort();
}

static void unlock(struct stats *stats)
{
    if (pthread_mutex_unlock(&stats->lock) != 0)
        abort();
}

void stats_connection_open(struct stats *stats)
{
    lock(stats);
    stats->connections_accepted++;
    stats->connections_open++;
    raise_to(&stats->connections_open_max, stats->connections_open);
    unlock(stats);
}

void stats_connection_close(struct stats *stats)
{
    lock(stats);
    stats->connections_open--;
    unlock(stats);
}

void stats_handshake(struct stats *stats)
{
    lock(stats);
    stats->tls_handshakes++;
    unlock(stats);
}

long stats_request_begin(struct stats *stats, const char *path, char *log_line)
{
    lock(stats);
    stats->requests++;
    stats->requests_active++;
    raise_to(&stats->requests_active_max, stats->requests_active);
    long hits = ++*find_counter(&stats->hits, path);
    char **place = &stats->log[stats->log_count++ % LOG_LINES];
    free(*place);
    *place = log_line;
    unlock(stats);
    return hits;
}

void stats_request_end(struct stats *stats)
{
    lock(stats);
    stats->requests_active--;
    unlock(stats);
}

void stats_status(struct stats *stats, int status)
{
    lock(stats);
    stats->status_counts[status > 0 && status < STATUSES ? status : 0]++;
    unlock(stats);
}

bool stats_limit_enter(struct stats *stats, const char *key, long max)
{
    lock(stats);
    long *taken = find_counter(&stats->limits, key);
    bool entered = *taken < max;
    if (entered)
        ++*taken;
    unlock(stats);
    return entered;
}

void stats_limit_leave(struct stats *stats, const char *key)
{
    lock(stats);
    --*find_counter(&stats->limits, key);
    unlock(stats);
}

void stats_reset(struct stats *stats)
{
    lock(stats);
    stats->connections_accepted = 0;
    stats->connections_open_max = stats->connections_open;
    stats->tls_handshakes = 0;
    stats->requests = 0;
    stats->requests_active_max = stats->requests_active;
    memset(stats->status_counts, 0, sizeof stats->status_counts);
    clear_table(&stats->hits);
    clear_log(stats);
    unlock(stats);
}

long stats_hits(struct stats *stats, const char *path)
{
    lock(stats);
    long hits = *find_counter(&stats->hits, path);
    unlock(stats);
    return hits;
}

static void print_counters(FILE *out, const struct stats *stats)
{
    fprintf(out,
            "{\"connections_accepted\":%ld,\"connections_open\":%ld,"
            "\"connections_open_max\":%ld,\"tls_handshakes\":%ld,"
            "\"requests\":%ld,\"requests_active\":%ld,"
            "\"requests_active_max\":%ld,\"status_counts\":{",
            stats->connections_accepted, stats->connections_open,
            stats->connections_open_max, stats->tls_handshakes,
            stats->requests, stats->requests_active,
            stats->requests_active_max);
    const char *comma = "";
    for (int i = 0; i < STATUSES; i++) {
        if (stats->status_counts[i] == 0)
            continue;
        fprintf(out, "%s\"%d\":%ld", comma, i, stats->status_counts[i]);
        comma = ",";
    }
    fputs("}}\n", out);
}

char *stats_json(struct stats *stats)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    if (out == NULL)
        abort();
    lock(stats);
    print_counters(out, stats);
    unlock(stats);
    if (fclose(out) != 0)
        abort();
    return text;
}

char *stats_log(struct stats *stats, long max)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    if (out == NULL)
        abort();
    lock(stats);
    long kept = stats->log_count < LOG_LINES ? stats->log_count : LOG_LINES;
    if (max < 0 || max > kept)
        max = kept;
    for (long i = stats->log_count - max; i < stats->log_count; i++)
        fprintf(out, "%s\n", stats->log[i % LOG_LINES]);
    unlock(stats);
    if (fclose(out) != 0)
        abort();
    return text;
}
