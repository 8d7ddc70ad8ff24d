/* utf8.c - what is a character: pure.
 *
 * SPDX-License-Identifier: MIT
 */
#include "config.h"

#include "utf8.h"

size_t pf_utf8_length(const char *text)
{
    const unsigned char *at = (const unsigned char *)text;
    unsigned char low = 0x80, high = 0xbf;
    size_t length;

    if (at[0] < 0x80)
        return at[0] != '\0';
    if (at[0] < 0xc2 || at[0] > 0xf4)
        return 0;
    length = at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;
    if (at[0] == 0xe0)
        low = 0xa0; /* below: overlong */
    else if (at[0] == 0xed)
        high = 0x9f; /* above: surrogates */
    else if (at[0] == 0xf0)
        low = 0x90; /* below: overlong */
    else if (at[0] == 0xf4)
        high = 0x8f; /* above: no characters */
    if (at[1] < low || at[1] > high)
        return 0;
    for (size_t i = 2; i < length; i++)
        if (at[i] < 0x80 || at[i] > 0xbf)
            return 0;
    return length;
}
