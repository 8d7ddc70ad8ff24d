/* null.c - the handler that drops every body.
 *
 * SPDX-License-Identifier: MIT
 *
 * A callback that is NULL is not called and agrees to everything.
 */
#include "config.h"

#include "pfetch_handlers.h"

void pfetch_null_create(struct pfetch_handler *handler)
{
    *handler = (struct pfetch_handler){ .self = NULL };
}
