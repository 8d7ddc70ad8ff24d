/* certs.c - a certificate authority, and certificates by it, for tests.
 *
 * SPDX-License-Identifier: MIT
 *
 * Made by libcrypto, because openssl(1) need not be installed.
 */
#include "config.h"

#include "certs.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define GOOD_NAMES "IP:127.0.0.1,IP:127.0.0.2,DNS:localhost"

enum { DAY_S = 86400 };

/* Who signs: a certificate and its key. */
struct signer {
    X509 *cert;
    EVP_PKEY *key;
};

static void must(bool done, const char *what)
{
    if (done)
        return;
    fprintf(stderr, "certs: %s failed\n", what);
    exit(99);
}

static void add_extension(X509 *cert, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509_EXTENSION *extension;

    X509V3_set_ctx(&ctx, cert, cert, NULL, NULL, 0);
    extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    must(extension != NULL && X509_add_ext(cert, extension, -1) == 1,
         "an extension");
    X509_EXTENSION_free(extension);
}

/* A certificate for these names that is valid until `until` from now on; NULL
 * for names: an authority.  by is NULL when it signs itself. */
static struct signer make(const char *name, const char *names, long until_s,
                          const struct signer *by)
{
    static long serial;
    struct signer s = { X509_new(), EVP_EC_gen("P-256") };
    X509_NAME *subject;

    must(s.cert != NULL && s.key != NULL, "a key");
    subject = X509_get_subject_name(s.cert);
    must(X509_set_version(s.cert, 2) == 1, "the version");
    must(ASN1_INTEGER_set(X509_get_serialNumber(s.cert), ++serial) == 1,
         "the serial number");
    must(X509_gmtime_adj(X509_getm_notBefore(s.cert), -30L * DAY_S) != NULL
         && X509_gmtime_adj(X509_getm_notAfter(s.cert), until_s) != NULL,
         "a date");
    must(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                                    (const unsigned char *)name, -1, -1, 0)
             == 1, "the name");
    must(X509_set_issuer_name(s.cert,
                              by == NULL ? subject
                                         : X509_get_subject_name(by->cert))
             == 1, "the issuer");
    must(X509_set_pubkey(s.cert, s.key) == 1, "the public key");
    if (names == NULL)
        add_extension(s.cert, NID_basic_constraints, "critical,CA:TRUE");
    else
        add_extension(s.cert, NID_subject_alt_name, names);
    must(X509_sign(s.cert, by == NULL ? s.key : by->key, EVP_sha256()) > 0,
         "a signature");
    return s;
}

static void drop(struct signer *s)
{
    X509_free(s->cert);
    EVP_PKEY_free(s->key);
}

static FILE *create(const struct certs *certs, const char *name, char *path,
                    size_t size)
{
    FILE *out;

    must(snprintf(path, size, "%s/%s", certs->dir, name) < (int)size,
         "a path");
    out = fopen(path, "w");
    must(out != NULL, "a file");
    return out;
}

static void write_cert(const struct certs *certs, const char *name,
                       const struct signer *s, char path[80])
{
    FILE *out = create(certs, name, path, 80);

    must(PEM_write_X509(out, s->cert) == 1, "writing a certificate");
    must(fclose(out) == 0, "writing a certificate");
}

static void write_pair(const struct certs *certs, const char *name,
                       struct signer *s, char cert[80], char key[80])
{
    char key_name[40];
    FILE *out;

    write_cert(certs, name, s, cert);
    (void)snprintf(key_name, sizeof(key_name), "%s.key", name); /* fits */
    out = create(certs, key_name, key, 80);
    must(PEM_write_PrivateKey(out, s->key, NULL, NULL, 0, NULL, NULL) == 1
         && fclose(out) == 0, "writing a key");
    drop(s);
}

void certs_make(struct certs *certs)
{
    struct signer ca, stray, leaf;

    memset(certs, 0, sizeof(*certs));
    (void)snprintf(certs->dir, sizeof(certs->dir), "%s",
                   "/tmp/pfetch-certs-XXXXXX"); /* fits */
    must(mkdtemp(certs->dir) != NULL, "a directory");
    ca = make("pfetch test CA", NULL, 30L * DAY_S, NULL);
    stray = make("pfetch stray CA", NULL, 30L * DAY_S, NULL);
    write_cert(certs, "ca", &ca, certs->ca);
    write_cert(certs, "stray_ca", &stray, certs->stray_ca);
    leaf = make("good", GOOD_NAMES, 30L * DAY_S, &ca);
    write_pair(certs, "good", &leaf, certs->good, certs->good_key);
    leaf = make("other", "DNS:other.invalid", 30L * DAY_S, &ca);
    write_pair(certs, "other", &leaf, certs->other, certs->other_key);
    leaf = make("expired", GOOD_NAMES, -DAY_S, &ca);
    write_pair(certs, "expired", &leaf, certs->expired, certs->expired_key);
    leaf = make("alone", GOOD_NAMES, 30L * DAY_S, NULL);
    write_pair(certs, "alone", &leaf, certs->alone, certs->alone_key);
    drop(&ca);
    drop(&stray);
}

void certs_remove(const struct certs *certs)
{
    const char *const paths[] = {
        certs->ca, certs->stray_ca, certs->good, certs->good_key,
        certs->other, certs->other_key, certs->expired, certs->expired_key,
        certs->alone, certs->alone_key,
    };

    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
        (void)unlink(paths[i]); /* a temporary directory: best effort */
    (void)rmdir(certs->dir);
}
