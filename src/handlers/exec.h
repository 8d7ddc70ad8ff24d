/* exec.h - what the two handlers that run commands share.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PF_EXEC_H
#define PF_EXEC_H

#include "pfetch_handlers.h"

/* The caller's options, which may be of an earlier version, checked.  False:
 * *why says what is not usable. */
bool pf_exec_options_read(struct pfetch_exec_options *to,
                          const struct pfetch_exec_options *from,
                          struct pfetch_failure *why);

#endif
