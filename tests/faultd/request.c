/*
 * request.c - takes a request head apart.
 *
 * Deliberately simple: the clients under test are expected to speak HTTP; it
 * is the server that misbehaves here.
 *
 * SPDX-License-Identifier: MIT
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "request.h"

#include <string.h>
#include <strings.h>

/* Ends the line that starts at text; answers the start of the next one. */
static char *end_line(char *text)
{
    char *end = strchr(text, '\n');

    if (end == NULL)
        return text + strlen(text);
    if (end > text && end[-1] == '\r')
        end[-1] = '\0';
    *end = '\0';
    return end + 1;
}

static const char *origin_form(char *target)
{
    char *authority = strstr(target, "://");

    if (target[0] == '/' || authority == NULL)
        return target;
    char *path = strchr(authority + 3, '/');
    return path != NULL ? path : "/";
}

static bool parse_request_line(struct request *request, char *line)
{
    char *target = strchr(line, ' ');
    if (target == NULL)
        return false;
    *target++ = '\0';
    char *version = strchr(target, ' ');
    if (version == NULL)
        return false;
    *version++ = '\0';

    request->method = line;
    request->path = origin_form(target);
    request->keep_alive = strcmp(version, "HTTP/1.1") == 0;
    return strncmp(version, "HTTP/1.", 7) == 0 && request->path[0] == '/';
}

static bool parse_field(struct request *request, char *line)
{
    char *value = strchr(line, ':');

    if (value == NULL)
        return false;
    *value++ = '\0';
    value += strspn(value, " \t");
    for (size_t n = strlen(value); n > 0 && strchr(" \t", value[n - 1]); n--)
        value[n - 1] = '\0';
    if (request->field_count < REQUEST_FIELDS) {
        request->fields[request->field_count].name = line;
        request->fields[request->field_count].value = value;
        request->field_count++;
    }
    return true;
}

bool request_parse(struct request *request, char *head)
{
    char *next = end_line(head);

    request->field_count = 0;
    if (!parse_request_line(request, head))
        return false;
    for (char *line = next; *line != '\0'; line = next) {
        next = end_line(line);
        if (*line != '\0' && !parse_field(request, line))
            return false;
    }
    const char *connection = request_field(request, "Connection");
    if (connection != NULL && strcasecmp(connection, "close") == 0)
        request->keep_alive = false;
    return true;
}

const char *request_field(const struct request *request, const char *name)
{
    for (size_t i = 0; i < request->field_count; i++)
        if (strcasecmp(request->fields[i].name, name) == 0)
            return request->fields[i].value;
    return NULL;
}
