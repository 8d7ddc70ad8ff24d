/* date.h - the dates of HTTP.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PF_DATE_H
#define PF_DATE_H

#include <stdint.h>

/* Seconds since 1970, UTC; -1: text is no date.  All forms that
 * curl_getdate(3) knows. */
int64_t pf_date(const char *text);

#endif
