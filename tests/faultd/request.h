/*
 * request.h - one HTTP/1.x request head, taken apart in place.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef FAULTD_REQUEST_H
#define FAULTD_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

enum { REQUEST_FIELDS = 64 };

struct request {
    const char *method;
    const char *path;      /* target in origin form: "/...", with the query */
    bool keep_alive;       /* by version and Connection */
    size_t field_count;    /* fields beyond REQUEST_FIELDS are dropped */
    struct {
        const char *name;
        const char *value; /* without surrounding blanks */
    } fields[REQUEST_FIELDS];
};

/*
 * Takes the head apart: all pointers point into it, and it is modified.  An
 * absolute target (as sent to a proxy) loses its scheme and authority.  False:
 * this is no HTTP/1.x request.
 */
bool request_parse(struct request *request, char *head);

/* Value of the first field of that name (any case), or NULL. */
const char *request_field(const struct request *request, const char *name);

#endif
