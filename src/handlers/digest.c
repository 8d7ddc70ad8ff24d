/* digest.c - SHA-256 of short texts, and checksums of files.
 *
 * SPDX-License-Identifier: MIT
 *
 * The algorithm is fetched once: looking it up for each sum, as the one-shot
 * functions of OpenSSL 3 do, costs more than the sum.
 */
#include "config.h"

#include "digest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "pfetch.h"

enum { READ_BYTES = 256 * 1024 };

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

/* --- files -------------------------------------------------------------- */

/* The whole file into the digest. */
static bool add_file(EVP_MD_CTX *ctx, int fd)
{
    char *data = malloc(READ_BYTES);
    ssize_t got = -1;

    if (data == NULL)
        return false;
    do {
        got = read(fd, data, READ_BYTES);
        if (got > 0 && EVP_DigestUpdate(ctx, data, (size_t)got) != 1)
            break;
    } while (got > 0 || (got < 0 && errno == EINTR));
    free(data);
    return got == 0;
}

bool pf_digest_matches(const char *checksum, int dir, const char *name)
{
    const char *colon = strchr(checksum, ':');
    char hex[2 * EVP_MAX_MD_SIZE + 1], algo[16];
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    bool is_read = false;

    if (colon == NULL || (size_t)(colon - checksum) >= sizeof algo)
        return false;
    memcpy(algo, checksum, (size_t)(colon - checksum));
    algo[colon - checksum] = '\0';
    int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return false;
    EVP_MD *md = EVP_MD_fetch(NULL, algo, NULL);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    if (md != NULL && ctx != NULL && EVP_DigestInit_ex(ctx, md, NULL) == 1)
        is_read = add_file(ctx, fd) && EVP_DigestFinal_ex(ctx, sum, &size) == 1;
    EVP_MD_CTX_free(ctx);
    EVP_MD_free(md);
    (void)close(fd); /* only read from */
    if (!is_read)
        return false;
    pf_digest_hex(sum, size, hex);
    return strcasecmp(hex, colon + 1) == 0;
}
