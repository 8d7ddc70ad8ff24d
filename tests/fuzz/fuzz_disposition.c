/* fuzz_disposition.c - whatever a server says, the file name is safe.
 *
 * SPDX-License-Identifier: MIT
 *
 * The input is the value of a Content-Disposition header up to its first NUL.
 */
#include "config.h"

#include "disposition.h"
#include "fuzz.h"
#include "outname.h"

#include <stdlib.h>
#include <string.h>

static void check_safe(const char *sent)
{
    char name[PF_NAME_SIZE];
    struct pf_digest digest;

    must(pf_digest_init(&digest) == 0);
    must(pf_outname_text(&digest, sent, "http://h/x", name) == 0);
    pf_digest_fini(&digest);
    must(pf_outname_check(name) == NULL); /* fuzz_outname checks that */
    must(strchr(name, '/') == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *value = malloc(size + 1);
    char name[PF_DISPOSITION_SIZE];
    char again[PF_DISPOSITION_SIZE];

    must(value != NULL);
    if (size > 0)
        memcpy(value, data, size);
    value[size] = '\0';
    if (pf_disposition_name(value, name)) {
        size_t len = strnlen(name, sizeof name);

        must(len >= 1 && len < sizeof name);
        must(pf_outname_is_utf8(name, len));
        must(strpbrk(name, "/\\") == NULL);
        must(strcmp(name, ".") != 0 && strcmp(name, "..") != 0);
        must(pf_disposition_name(value, again));
        must(strcmp(name, again) == 0);
        check_safe(name);
    }
    free(value);
    return 0;
}
