/* disposition.h - the file name in a Content-Disposition header.
 *
 * SPDX-License-Identifier: MIT
 *
 * RFC 6266 with RFC 8187.  What comes out is only decoded: it is a server's
 * word, and no file name before pf_outname_text().
 */
#ifndef PF_DISPOSITION_H
#define PF_DISPOSITION_H

#include <stdbool.h>

enum { PF_DISPOSITION_SIZE = 1024 };

/* The name in the value of a header: UTF-8, the last component of what was
 * sent, not empty, neither "." nor "..".  "filename*" comes before "filename".
 * False: there is none that can be read. */
bool pf_disposition_name(const char *value, char name[PF_DISPOSITION_SIZE]);

#endif
