/* figures.h - numbers as a person reads them.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PF_FIGURES_H
#define PF_FIGURES_H

#include <stdint.h>

enum { PF_FIGURE_BYTES = 32 };

/* "1,234,567".  Writes to text and returns it.  Any thread. */
char *pf_figure_count(uint64_t count, char text[PF_FIGURE_BYTES]);

/* "512 bytes", "9.8 MiB".  Writes to text and returns it.  Any thread. */
char *pf_figure_size(uint64_t bytes, char text[PF_FIGURE_BYTES]);

/* "3.7" below ten, else a whole count: "47,000".  For rates.  Writes to text
 * and returns it.  Any thread. */
char *pf_figure_rate(double rate, char text[PF_FIGURE_BYTES]);

#endif
