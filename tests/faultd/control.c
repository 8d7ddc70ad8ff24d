/*
 * control.c - answers the control URLs and writes the lines of the log.
 *
 * SPDX-License-Identifier: MIT
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "control.h"

#include "script.h"
#include "server.h"
#include "stats.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

bool control_is_path(const char *path)
{
    static const char *const names[] = {"/_stats", "/_hits?", "/_log",
                                        "/_reset", "/_heal",
                                        "/_stop"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strncmp(path, names[i], strlen(names[i])) == 0)
            return true;
    return false;
}

static void send_text(struct conn *conn, const char *text)
{
    char head[128];

    (void)snprintf(head, sizeof head,
                   "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                   "Content-Length: %zu\r\n\r\n",
                   strlen(text)); /* it fits */
    conn_puts(conn, head);
    conn_puts(conn, text);
    conn_flush(conn);
}

/* The decoded value of ?NAME=VALUE, from malloc; "" without one. */
static char *query_value(const char *path, const char *name)
{
    const char *query = strchr(path, '?');
    size_t len = strlen(name);

    bool found = query != NULL && strncmp(query + 1, name, len) == 0 &&
                 query[1 + len] == '=';
    char *value = strdup(found ? query + len + 2 : "");
    if (value == NULL)
        abort();
    (void)script_decode(value); /* its length is of no interest: a text */
    return value;
}

static void send_hits(struct conn *conn, const char *path)
{
    char number[32];
    char *wanted = query_value(path, "path");
    long hits = stats_hits(server_stats(conn->server), wanted);

    (void)snprintf(number, sizeof number, "%ld\n", hits); /* it fits */
    send_text(conn, number);
    free(wanted);
}

static void send_log(struct conn *conn, const char *path)
{
    char *last = query_value(path, "last");
    long max = *last != '\0' ? strtol(last, NULL, 10) : -1;
    char *text = stats_log(server_stats(conn->server), max);

    send_text(conn, text);
    free(text);
    free(last);
}

static void send_stats(struct conn *conn)
{
    char *text = stats_json(server_stats(conn->server));

    send_text(conn, text);
    free(text);
}

bool control_answer(struct conn *conn, const struct request *request)
{
    const char *path = request->path;

    conn->control = true;
    if (strncmp(path, "/_hits", 6) == 0) {
        send_hits(conn, path);
    } else if (strncmp(path, "/_log", 5) == 0) {
        send_log(conn, path);
    } else if (strcmp(path, "/_reset") == 0) {
        stats_reset(server_stats(conn->server));
        server_heal(conn->server, false);
        send_text(conn, "{}\n");
    } else if (strcmp(path, "/_heal") == 0) {
        server_heal(conn->server, true);
        send_text(conn, "{}\n");
    } else if (strcmp(path, "/_stop") == 0) {
        send_text(conn, "{}\n");
        server_stop(conn->server);
        return false;
    } else {
        send_stats(conn);
    }
    return request->keep_alive;
}

/* Writes text as a JSON string; bytes beyond ASCII are taken as Latin-1. */
static void print_string(FILE *out, const char *text)
{
    putc('"', out);
    for (; *text != '\0'; text++) {
        unsigned char byte = (unsigned char)*text;
        if (byte == '"' || byte == '\\')
            fprintf(out, "\\%c", byte);
        else if (byte < 0x20 || byte >= 0x7f)
            fprintf(out, "\\u%04x", byte);
        else
            putc(byte, out);
    }
    putc('"', out);
}

static void print_field(FILE *out, const char *name, const char *value)
{
    fprintf(out, ",\"%s\":", name);
    print_string(out, value);
}

char *control_log_line(const struct request *request, unsigned long conn_id,
                       bool tls)
{
    static const char *const selected[] = {
        "Host",          "Range",  "If-Range",
        "If-None-Match", "If-Modified-Since",
        "Authorization", "Proxy-Authorization",
        "Cookie",        "Referer", "User-Agent",
        "Accept-Encoding"};
    char *line = NULL;
    size_t len;
    FILE *out = open_memstream(&line, &len);
    struct timespec now;

    if (out == NULL)
        abort();
    clock_gettime(CLOCK_MONOTONIC, &now);
    fprintf(out, "{\"ms\":%lld,\"connection\":%lu,\"tls\":%s",
            (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000, conn_id,
            tls ? "true" : "false");
    print_field(out, "method", request->method);
    print_field(out, "path", request->path);
    for (size_t i = 0; i < sizeof selected / sizeof selected[0]; i++) {
        const char *value = request_field(request, selected[i]);
        if (value != NULL)
            print_field(out, selected[i], value);
    }
    putc('}', out);
    if (fclose(out) != 0)
        abort();
    return line;
}
