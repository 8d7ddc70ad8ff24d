/*
 * tls.h - the TLS side of faultd's second port.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef FAULTD_TLS_H
#define FAULTD_TLS_H

#include <openssl/ssl.h>

struct tls_options {
    const char *cert_file;      /* PEM, leaf first */
    const char *key_file;
    const char *min, *max;      /* "1.0" to "1.3", or NULL */
    const char *client_ca_file; /* a client certificate is demanded; or NULL */
};

/* A context, or NULL with the reason printed on stderr. */
SSL_CTX *tls_create(const struct tls_options *options);

#endif
