/* frame.c - see frame.h.
 *
 * SPDX-License-Identifier: MIT
 *
 * The length comes first, so that a reader that has no JSON at hand finds it
 * in a fixed place: {"length":1234,...
 */
#include "config.h"

#include "frame.h"

void pf_frame_header(struct pf_json *out, const struct pfetch_record *record,
                     int64_t length)
{
    pf_json_word(out, "{");
    pf_json_number(out, "length", length);
    pf_json_record(out, record);
    pf_json_word(out, "}\n");
}
