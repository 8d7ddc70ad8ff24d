/* figures.c - numbers as a person reads them: digits in groups of three, and
 * sizes in powers of 1024.  Always in the C locale's manner, so that messages
 * look the same everywhere.
 *
 * SPDX-License-Identifier: MIT
 */
#include "config.h"

#include "figures.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

char *pf_figure_count(uint64_t count, char text[PF_FIGURE_BYTES])
{
    char digits[PF_FIGURE_BYTES];
    int length = snprintf(digits, sizeof(digits), "%" PRIu64, count);
    char *out = text;

    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0)
            *out++ = ',';
        *out++ = digits[i];
    }
    *out = '\0';
    return text;
}

char *pf_figure_size(uint64_t bytes, char text[PF_FIGURE_BYTES])
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB",
                                        "EiB"};
    double size = (double)bytes / 1024;
    size_t unit = 0;

    if (bytes < 1024) {
        (void)snprintf(text, PF_FIGURE_BYTES, "%u %s", (unsigned)bytes,
                       bytes == 1 ? "byte" : "bytes");
        return text;
    }
    while (size >= 1023.95) {
        size /= 1024;
        unit++;
    }
    (void)snprintf(text, PF_FIGURE_BYTES, "%.*f %s", size < 9.95 ? 1 : 0,
                   size, units[unit]);
    return text;
}

char *pf_figure_rate(double rate, char text[PF_FIGURE_BYTES])
{
    if (rate >= 9.95)
        return pf_figure_count((uint64_t)(rate + 0.5), text);
    (void)snprintf(text, PF_FIGURE_BYTES, "%.1f", rate);
    return text;
}
