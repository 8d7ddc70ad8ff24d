/* certs.h - a certificate authority, and certificates by it, for tests.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PIPELINE_CERTS_H
#define PIPELINE_CERTS_H

/* A file of each: CERT holds the certificate, KEY the key, in PEM. */
struct certs {
    char dir[64];
    char ca[80];                        /* to be trusted */
    char good[80], good_key[80];        /* 127.0.0.1, 127.0.0.2, localhost */
    char other[80], other_key[80];      /* other.invalid */
    char expired[80], expired_key[80];  /* as good, but its time is over */
    char alone[80], alone_key[80];      /* as good, but signed by itself */
    char stray_ca[80];                  /* another authority */
};

/* Makes them in a new directory; ends the program on failure. */
void certs_make(struct certs *certs);
void certs_remove(const struct certs *certs);

#endif
