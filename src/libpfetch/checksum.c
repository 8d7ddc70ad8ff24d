/* checksum.c - see checksum.h.
 *
 * SPDX-License-Identifier: MIT
 */
#include "config.h"

#include "checksum.h"

#include <stdlib.h>
#include <string.h>

static const struct pf_checksum_algo algos[PF_CHECKSUM_ALGOS] = {
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

bool pfetch_checksum_is_algo(const char *text)
{
    return pf_checksum_algo(text) != NULL && strchr(text, ':') == NULL;
}

/* --- algorithms ------------------------------------------------------------ */

void pf_checksum_methods_init(struct pf_checksum_methods *methods)
{
    for (size_t i = 0; i < PF_CHECKSUM_ALGOS; i++)
        methods->md[i] = EVP_MD_fetch(NULL, algos[i].name, NULL);
}

void pf_checksum_methods_fini(struct pf_checksum_methods *methods)
{
    for (size_t i = 0; i < PF_CHECKSUM_ALGOS; i++) {
        EVP_MD_free(methods->md[i]);
        methods->md[i] = NULL;
    }
}

bool pf_checksum_can(const struct pf_checksum_methods *methods,
                     const char *text)
{
    const struct pf_checksum_algo *algo = pf_checksum_algo(text);

    return algo != NULL && methods->md[algo - algos] != NULL;
}

/* --- one digest ------------------------------------------------------------ */

struct pf_checksum *pf_checksum_create(
    const struct pf_checksum_methods *methods, const char *text,
    const struct pf_stop *stop)
{
    struct pf_checksum *c = calloc(1, sizeof(*c));

    if (c == NULL)
        return NULL;
    c->algo = pf_checksum_algo(text);
    c->md = methods->md[c->algo - algos];
    c->stop = stop;
    c->ctx = EVP_MD_CTX_new();
    if (c->ctx == NULL) {
        free(c);
        return NULL;
    }
    pf_checksum_begin(c, 0);
    return c;
}

void pf_checksum_free(struct pf_checksum *c)
{
    if (c == NULL)
        return;
    EVP_MD_CTX_free(c->ctx);
    free(c);
}

void pf_checksum_begin(struct pf_checksum *c, int64_t offset)
{
    c->text[0] = '\0';
    if (offset == 0)
        c->bytes = EVP_DigestInit_ex(c->ctx, c->md, NULL) == 1 ? 0 : -1;
    else if (c->bytes != offset)
        c->bytes = -1;
}

void pf_checksum_update(struct pf_checksum *c, const void *data, size_t size)
{
    if (c->bytes < 0)
        return;
    if (EVP_DigestUpdate(c->ctx, data, size) == 1)
        c->bytes += (int64_t)size;
    else
        c->bytes = -1;
}

int pf_checksum_finish(struct pf_checksum *c)
{
    static const char digits[] = "0123456789abcdef";
    unsigned char sum[EVP_MAX_MD_SIZE];
    bool is_sound = c->bytes >= 0
                    && EVP_DigestFinal_ex(c->ctx, sum, NULL) == 1;
    char *out;

    c->bytes = -1;
    if (!is_sound)
        return PFETCH_ENOMEM;
    out = stpcpy(c->text, c->algo->name);
    *out++ = ':';
    for (size_t i = 0; i < c->algo->bytes; i++) {
        *out++ = digits[sum[i] >> 4];
        *out++ = digits[sum[i] & 15];
    }
    *out = '\0';
    return 0;
}
