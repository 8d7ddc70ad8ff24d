/* checksum.c - see checksum.h.
 *
 * SPDX-License-Identifier: MIT
 */
#include "config.h"

#include "checksum.h"

#include <string.h>

static const struct pf_checksum_algo algos[] = {
    { "sha256", 32 }, { "sha512", 64 }, { "sha1", 20 }, { "md5", 16 },
};

const struct pf_checksum_algo *pf_checksum_algo(const char *text)
{
    for (size_t i = 0; i < sizeof(algos) / sizeof(algos[0]); i++) {
        size_t length = strlen(algos[i].name);

        if (strncmp(text, algos[i].name, length) == 0
            && (text[length] == ':' || text[length] == '\0'))
            return &algos[i];
    }
    return NULL;
}

bool pfetch_checksum_check(const char *text)
{
    const struct pf_checksum_algo *algo = pf_checksum_algo(text);
    const char *hex = strchr(text, ':');

    return algo != NULL && hex != NULL
           && strspn(hex + 1, "0123456789abcdefABCDEF") == 2 * algo->bytes
           && hex[1 + 2 * algo->bytes] == '\0';
}
