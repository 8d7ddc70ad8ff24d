/*
 * tls.c - makes the server's TLS context.
 *
 * SPDX-License-Identifier: MIT
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "tls.h"

#include <openssl/err.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* The protocol number of a version, 0 (no bound) for NULL, -1 if unknown. */
static int parse_version(const char *name)
{
    static const char *const names[] = {"1.0", "1.1", "1.2", "1.3"};

    if (name == NULL)
        return 0;
    for (int i = 0; i < 4; i++)
        if (strcmp(name, names[i]) == 0)
            return TLS1_VERSION + i;
    return -1;
}

static bool configure(SSL_CTX *ctx, const struct tls_options *options)
{
    int min = parse_version(options->min);
    int max = parse_version(options->max);

    if (min < 0 || max < 0) {
        fputs("faultd: TLS versions are 1.0, 1.1, 1.2 and 1.3\n", stderr);
        return false;
    }
    /* Old protocols need old signatures, which level 1 and above forbid. */
    SSL_CTX_set_security_level(ctx, 0);
    if (options->client_ca_file != NULL) {
        SSL_CTX_set_verify(
            ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
        if (SSL_CTX_load_verify_file(ctx, options->client_ca_file) != 1)
            return false;
    }
    static const unsigned char id[] = "faultd"; /* resumption asks for one */
    return SSL_CTX_set_session_id_context(ctx, id, sizeof id - 1) == 1 &&
           SSL_CTX_set_min_proto_version(ctx, min) == 1 &&
           SSL_CTX_set_max_proto_version(ctx, max) == 1 &&
           SSL_CTX_use_certificate_chain_file(ctx, options->cert_file) == 1 &&
           SSL_CTX_use_PrivateKey_file(ctx, options->key_file,
                                       SSL_FILETYPE_PEM) == 1;
}

SSL_CTX *tls_create(const struct tls_options *options)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

    if (ctx != NULL && !configure(ctx, options)) {
        SSL_CTX_free(ctx);
        ctx = NULL;
    }
    if (ctx == NULL)
        ERR_print_errors_fp(stderr);
    else
        /* Sessions are resumed by ticket, so no session cache to lock. */
        (void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    return ctx;
}
