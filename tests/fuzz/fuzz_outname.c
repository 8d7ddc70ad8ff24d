/* fuzz_outname.c - whatever the URL, its name is safe.
 *
 * SPDX-License-Identifier: MIT
 *
 * The input is a URL up to its first NUL.  The promise about each component of
 * a name is checked here by code of its own: 1 to PF_NAME_MAX bytes, valid
 * UTF-8, no '.' or '-' at the beginning, no '/', no control, bidi or format
 * character, no line or paragraph separator.  A broken promise aborts.
 */
#include "config.h"

#include "fuzz.h"
#include "outname.h"

#include <stdlib.h>
#include <string.h>

/* The code point at *at, which moves on; aborts on invalid UTF-8. */
static uint32_t next_code(const unsigned char **at)
{
    const unsigned char *s = *at;
    uint32_t code;

    if (s[0] < 0x80) {
        *at = s + 1;
        return s[0];
    }
    must((s[1] & 0xc0) == 0x80);
    if (s[0] < 0xe0) {
        must(s[0] >= 0xc2);
        *at = s + 2;
        return (uint32_t)(s[0] & 0x1f) << 6 | (s[1] & 0x3f);
    }
    must((s[2] & 0xc0) == 0x80);
    if (s[0] < 0xf0) {
        code = (uint32_t)(s[0] & 0x0f) << 12 | (uint32_t)(s[1] & 0x3f) << 6
               | (s[2] & 0x3f);
        must(code >= 0x800 && (code < 0xd800 || code > 0xdfff));
        *at = s + 3;
        return code;
    }
    must((s[3] & 0xc0) == 0x80);
    code = (uint32_t)(s[0] & 0x07) << 18 | (uint32_t)(s[1] & 0x3f) << 12
           | (uint32_t)(s[2] & 0x3f) << 6 | (s[3] & 0x3f);
    must(s[0] < 0xf5 && code >= 0x10000 && code <= 0x10ffff);
    *at = s + 4;
    return code;
}

static bool is_harmless(uint32_t code)
{
    return code >= 0x20 && !(code >= 0x7f && code <= 0x9f) && code != '/'
           && code != 0xad && !(code >= 0x200b && code <= 0x200f)
           && !(code >= 0x2028 && code <= 0x202e)
           && !(code >= 0x2060 && code <= 0x206f) && code != 0xfeff
           && code != 0x061c && code != 0xe0001;
}

static void check_component(const char *name, size_t len)
{
    const unsigned char *at = (const unsigned char *)name;
    const unsigned char *end = at + len;

    must(len >= 1 && len <= PF_NAME_MAX);
    must(name[0] != '.' && name[0] != '-');
    while (at < end)
        must(is_harmless(next_code(&at)));
    must(at == end);
}

static void check_path(const char *path)
{
    must(strlen(path) < PF_PATH_SIZE);
    for (const char *slash; (slash = strchr(path, '/')) != NULL;
         path = slash + 1)
        check_component(path, (size_t)(slash - path));
    check_component(path, strlen(path));
}

static void check_number(struct pf_digest *digest, const char *path,
                         const char *url, uint32_t number)
{
    char numbered[PF_PATH_SIZE];

    must(pf_outname_number(digest, path, number, url, numbered) == 0);
    check_path(numbered);
    must(strcmp(numbered, path) != 0);
    must(pf_outname_number_of(pf_outname_last(numbered)) == number);
}

static void check_template(struct pf_digest *digest, const char *template,
                           const char *url)
{
    char path[PF_PATH_SIZE];
    char again[PF_PATH_SIZE];

    must(pf_outname_expand(digest, template, url, 5, path) == 0);
    must(strlen(path) < PF_PATH_SIZE - PF_FAN_OUT_SIZE);
    check_path(path);
    must(pf_outname_expand(digest, template, url, 5, again) == 0);
    must(strcmp(path, again) == 0);
    check_number(digest, path, url, 1);
    check_number(digest, path, url, 2147483647);
}

/* The input is also a template, a path and a name given by somebody. */
static void check_given(struct pf_digest *digest, const char *text)
{
    char name[PF_NAME_SIZE];

    if (pf_outname_check_template(text) == NULL)
        check_template(digest, text, "http://h/d/a.txt?b");
    if (pf_outname_check(text) == NULL)
        check_path(text);
    if (text[0] != '\0') {
        must(pf_outname_text(digest, text, "http://h/", name) == 0);
        check_component(name, strlen(name));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const templates[] = {
        "{base}", "{host}/{path}", "{stem}{ext}", "{n}-{path}.{ext}",
        "{stem}{stem}/{base}", "{ext}/{host}{n}/{hash}.{ext}",
    };
    char *url = malloc(size + 1);
    char hash[PF_PATH_SIZE];
    struct pf_digest digest;

    must(url != NULL && pf_digest_init(&digest) == 0);
    if (size > 0)
        memcpy(url, data, size);
    url[size] = '\0';

    for (size_t i = 0; i < sizeof templates / sizeof templates[0]; i++)
        check_template(&digest, templates[i], url);
    must(pf_outname_expand(&digest, "{hash}", url, 1, hash) == 0);
    must(strspn(hash, "0123456789abcdef") == 32 && hash[32] == '\0');
    check_given(&digest, url);

    pf_digest_fini(&digest);
    free(url);
    return 0;
}
