/* frame.h - results as a stream that programs in any language can read.
 *
 * SPDX-License-Identifier: MIT
 *
 * One frame a result: a header, which is one line, a JSON object whose first
 * member is "length"; then so many bytes of body, and nothing else before the
 * next header.  A result without a body has the length 0.
 */
#ifndef PF_FRAME_H
#define PF_FRAME_H

#include "json.h"

/* Appends the header of a frame with a body of that length. */
void pf_frame_header(struct pf_json *out, const struct pfetch_record *record,
                     int64_t length);

#endif
