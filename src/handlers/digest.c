/* digest.c - SHA-256 of short texts.
 *
 * SPDX-License-Identifier: MIT
 *
 * The algorithm is fetched once: looking it up for each sum, as the one-shot
 * functions of OpenSSL 3 do, costs more than the sum.
 */
#include "config.h"

#include "digest.h"

#include "pfetch.h"

int pf_digest_init(struct pf_digest *digest)
{
    digest->md = EVP_MD_fetch(NULL, "SHA256", NULL);
    digest->ctx = EVP_MD_CTX_new();
    return digest->md != NULL && digest->ctx != NULL ? 0 : PFETCH_ENOMEM;
}

void pf_digest_fini(struct pf_digest *digest)
{
    EVP_MD_CTX_free(digest->ctx);
    EVP_MD_free(digest->md);
    digest->ctx = NULL;
    digest->md = NULL;
}

int pf_digest_sum(struct pf_digest *digest, char space, const void *text,
                  size_t size, uint8_t sum[PF_DIGEST_BYTES])
{
    size_t prefix = space != 0 ? 1 : 0;

    if (EVP_DigestInit_ex(digest->ctx, digest->md, NULL) != 1
        || EVP_DigestUpdate(digest->ctx, &space, prefix) != 1
        || EVP_DigestUpdate(digest->ctx, text, size) != 1
        || EVP_DigestFinal_ex(digest->ctx, sum, NULL) != 1)
        return PFETCH_ENOMEM;
    return 0;
}

void pf_digest_hex(const uint8_t *sum, size_t size, char *hex)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < size; i++) {
        hex[2 * i] = digits[sum[i] >> 4];
        hex[2 * i + 1] = digits[sum[i] & 15];
    }
    hex[2 * size] = '\0';
}
