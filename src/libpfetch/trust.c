/* trust.c - whom TLS trusts, loaded once.
 *
 * SPDX-License-Identifier: MIT
 *
 * Left alone, libcurl parses the whole bundle of certificates again for each
 * new connection: with 144 authorities and 1,000 hosts that took 26 s and
 * 1 GB where 2 s and 70 MB do (measured, libcurl 7.88.1).  So where libcurl
 * uses OpenSSL, one X509_STORE is loaded here and every connection's SSL_CTX
 * gets a reference to it (CURLOPT_SSL_CTX_FUNCTION(3),
 * SSL_CTX_set1_verify_cert_store(3)); libcurl is told to load nothing itself.
 * The store has a lock of its own.  It is the verify store and not the one
 * that SSL_CTX_set1_cert_store(3) sets, because libcurl sets flags on that one
 * for each connection, under no lock.  With any other TLS library libcurl loads
 * the file, CURLOPT_CAPATH is switched off (it would switch libcurl's own cache
 * of certificates off), and its cache does what it can.
 *
 * Verification itself stays libcurl's and OpenSSL's: peer and host name are
 * always checked, unless the caller asked for `insecure` in so many words.
 *
 * Loading takes tens of milliseconds, so it waits for the first https URL,
 * and a machine without certificates can still fetch over http.
 */
#include "config.h"

#include "trust.h"

#include "thread.h"

#include <dirent.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

static int copy(char **to, const char *from)
{
    if (from == NULL || *from == '\0')
        return 0;
    *to = strdup(from);
    return *to == NULL ? PFETCH_ENOMEM : 0;
}

int pf_trust_init(struct pf_trust *trust, const struct pfetch_options *options)
{
    const curl_version_info_data *info = curl_version_info(CURLVERSION_NOW);
    const char *cacert = options->cacert, *capath = options->capath;

    *trust = (struct pf_trust){ .insecure = options->insecure };
    trust->is_named = (cacert != NULL || capath != NULL)
                      && !options->ca_is_default;
    if (cacert == NULL && capath == NULL) {
        cacert = info->cainfo;
        capath = info->capath;
    }
    trust->is_openssl = info->ssl_version != NULL
                        && strncmp(info->ssl_version, "OpenSSL/", 8) == 0;
    if (copy(&trust->cacert, cacert) != 0
        || copy(&trust->capath, capath) != 0) {
        free(trust->cacert);
        return PFETCH_ENOMEM;
    }
    pf_mutex_init(&trust->lock);
    pf_cond_init(&trust->loaded);
    return 0;
}

void pf_trust_fini(struct pf_trust *trust)
{
    X509_STORE_free(trust->store); /* NULL is allowed */
    free(trust->cacert);
    free(trust->capath);
    pf_cond_fini(&trust->loaded);
    pf_mutex_fini(&trust->lock);
}

/* A directory is only read when a certificate is looked for in it; so see
 * that it has one: a file named by its hash (openssl-rehash(1)), "5ed36f99.0". */
static bool has_hashed_file(const char *path)
{
    DIR *dir = opendir(path);
    const struct dirent *entry = NULL;

    while (dir != NULL && (entry = readdir(dir)) != NULL)
        if (strspn(entry->d_name, "0123456789abcdef") == 8
            && entry->d_name[8] == '.')
            break;
    if (dir != NULL)
        (void)closedir(dir); /* only read */
    return entry != NULL;
}

/* OpenSSL works out what a certificate may be used for when it is first asked,
 * and keeps it in the certificate.  Asked here, it is there before any other
 * thread looks. */
static void prepare_certificates(X509_STORE *store)
{
    STACK_OF(X509_OBJECT) *objects = X509_STORE_get0_objects(store);

    for (int i = 0; i < sk_X509_OBJECT_num(objects); i++) {
        X509 *certificate =
            X509_OBJECT_get0_X509(sk_X509_OBJECT_value(objects, i));

        if (certificate != NULL) /* the answer is asked for later */
            (void)X509_check_purpose(certificate, -1, 0);
    }
}

static void *load_store(const struct pf_trust *trust,
                        struct pfetch_failure *why)
{
    X509_STORE *store = X509_STORE_new();
    bool has_file, has_path;

    if (store == NULL) {
        pfetch_failure_set(why, PFETCH_CLASS_LOCAL, "out of memory");
        return NULL;
    }
    has_file = trust->cacert != NULL
               && X509_STORE_load_file(store, trust->cacert) == 1;
    has_path = trust->capath != NULL && has_hashed_file(trust->capath)
               && X509_STORE_load_path(store, trust->capath) == 1;
    /* As libcurl has it: an intermediate authority may be named, too.  It
     * answers 1. */
    (void)X509_STORE_set_flags(store, X509_V_FLAG_TRUSTED_FIRST
                                          | X509_V_FLAG_PARTIAL_CHAIN);
    ERR_clear_error(); /* our own message says what matters */
    if ((!has_file && !has_path)
        || (trust->is_named && trust->cacert != NULL && !has_file)
        || (trust->is_named && trust->capath != NULL && !has_path)) {
        pfetch_failure_set(why, PFETCH_CLASS_LOCAL,
                           "no certificates to verify servers with in %s%s%s "
                           "(install ca-certificates, or name a file)",
                           trust->cacert == NULL ? "" : trust->cacert,
                           trust->cacert != NULL && trust->capath != NULL
                               ? " and " : "",
                           trust->capath == NULL ? "" : trust->capath);
        X509_STORE_free(store);
        return NULL;
    }
    prepare_certificates(store);
    ERR_clear_error(); /* of certificates that may be used for nothing */
    return store;
}

int pf_trust_load(struct pf_trust *trust, struct pfetch_failure *why)
{
    struct pfetch_failure load_why;
    bool is_mine, has_failed;
    void *store;

    if (trust->insecure || !trust->is_openssl)
        return 0;
    pf_mutex_lock(&trust->lock);
    while (trust->state == PF_TRUST_LOADING)
        pf_cond_wait(&trust->loaded, &trust->lock);
    is_mine = trust->state == PF_TRUST_NONE;
    if (is_mine)
        trust->state = PF_TRUST_LOADING;
    has_failed = trust->state == PF_TRUST_FAILED;
    pf_mutex_unlock(&trust->lock);
    if (is_mine) {
        store = load_store(trust, &load_why);
        has_failed = store == NULL;
        pf_mutex_lock(&trust->lock);
        trust->store = store;
        if (has_failed)
            trust->why = load_why;
        trust->state = has_failed ? PF_TRUST_FAILED : PF_TRUST_READY;
        pf_cond_broadcast(&trust->loaded);
        pf_mutex_unlock(&trust->lock);
    }
    if (!has_failed)
        return 0;
    if (why != NULL)
        *why = trust->why;
    return PFETCH_ETRUST;
}

/* libcurl's call for each new connection. */
static CURLcode give_store(CURL *easy, void *ssl_ctx, void *data)
{
    const struct pf_trust *trust = data;

    (void)easy;
    return SSL_CTX_set1_verify_cert_store((SSL_CTX *)ssl_ctx,
                                          (X509_STORE *)trust->store) == 1
               ? CURLE_OK : CURLE_OUT_OF_MEMORY;
}

int pf_trust_setup(struct pf_trust *trust, CURL *easy)
{
    CURLcode rc;

    if (trust->insecure) {
        rc = curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
        if (rc == CURLE_OK)
            rc = curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
        return rc == CURLE_OK ? 0 : PFETCH_ECURL;
    }
    rc = curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    if (rc == CURLE_OK && trust->is_openssl) {
        rc = curl_easy_setopt(easy, CURLOPT_CAINFO, NULL);
        if (rc == CURLE_OK)
            rc = curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, give_store);
        if (rc == CURLE_OK)
            rc = curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, trust);
    } else if (rc == CURLE_OK && trust->cacert != NULL) {
        rc = curl_easy_setopt(easy, CURLOPT_CAINFO, trust->cacert);
    }
    return rc == CURLE_OK ? 0 : PFETCH_ECURL;
}

bool pf_trust_has_unread(const struct pf_trust *trust, CURL *easy)
{
    struct curl_tlssessioninfo *tls = NULL;

    return trust->is_openssl
           && curl_easy_getinfo(easy, CURLINFO_TLS_SSL_PTR, &tls) == CURLE_OK
           && tls != NULL && tls->internals != NULL
           && SSL_has_pending(tls->internals) == 1;
}
