/* check_trust.c - tests of trust.c.
 *
 * SPDX-License-Identifier: MIT
 *
 * The certificates are made here, for each test, in a directory of its own.
 */
#include "config.h"

#include "trust.h"

#include "unit.h"

#include <limits.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[64];
static char path[PATH_MAX];

static void make_dir(void)
{
    (void)snprintf(dir, sizeof(dir), "/tmp/check_trust.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
}

static const char *in_dir(const char *name)
{
    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    return path;
}

static void remove_from_dir(const char *name)
{
    ck_assert_int_eq(unlink(in_dir(name)), 0);
}

static void remove_dir(void)
{
    ck_assert_int_eq(rmdir(dir), 0);
}

/* --- certificates --------------------------------------------------------- */

struct party {
    EVP_PKEY *key;
    X509 *cert;
};

/* A party certified by another one, or by itself (NULL). */
static struct party make_party(const char *name, struct party *by, bool is_ca)
{
    struct party p = { .key = EVP_EC_gen("P-256"), .cert = X509_new() };
    X509_NAME *subject = X509_get_subject_name(p.cert);
    X509_EXTENSION *ca;
    char text[] = "critical,CA:TRUE";

    if (by == NULL)
        by = &p;
    ck_assert_int_eq(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                                                (const void *)name, -1, -1,
                                                0), 1);
    ck_assert_int_eq(X509_set_version(p.cert, X509_VERSION_3), 1);
    ck_assert_int_eq(ASN1_INTEGER_set(X509_get_serialNumber(p.cert),
                                      name[0]), 1);
    ck_assert_ptr_nonnull(X509_gmtime_adj(X509_getm_notBefore(p.cert), -9000));
    ck_assert_ptr_nonnull(X509_gmtime_adj(X509_getm_notAfter(p.cert), 9000));
    ck_assert_int_eq(X509_set_issuer_name(p.cert,
                                          X509_get_subject_name(by->cert)),
                     1);
    ck_assert_int_eq(X509_set_pubkey(p.cert, p.key), 1);
    if (is_ca) {
        ca = X509V3_EXT_conf_nid(NULL, NULL, NID_basic_constraints, text);
        ck_assert_ptr_nonnull(ca);
        ck_assert_int_eq(X509_add_ext(p.cert, ca, -1), 1);
        X509_EXTENSION_free(ca);
    }
    ck_assert_int_gt(X509_sign(p.cert, by->key, EVP_sha256()), 0);
    return p;
}

static void free_party(struct party *p)
{
    X509_free(p->cert);
    EVP_PKEY_free(p->key);
}

static void write_cert(const struct party *p, const char *name)
{
    FILE *file = fopen(in_dir(name), "w");

    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(PEM_write_X509(file, p->cert), 1);
    ck_assert_int_eq(fclose(file), 0);
}

static bool is_trusted(X509_STORE *store, X509 *cert)
{
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    bool is;

    ck_assert_int_eq(X509_STORE_CTX_init(ctx, store, cert, NULL), 1);
    is = X509_verify_cert(ctx) == 1;
    X509_STORE_CTX_free(ctx);
    return is;
}

/* --- loading -------------------------------------------------------------- */

/* Where libcurl's TLS library is another one it loads itself: nothing here
 * then to test. */
static bool init(struct pf_trust *trust, const char *cacert,
                 const char *capath)
{
    struct pfetch_options options;

    pfetch_options_init(&options);
    options.cacert = cacert;
    options.capath = capath;
    ck_assert_int_eq(pf_trust_init(trust, &options), 0);
    return trust->is_openssl;
}

static void expect_failure(const char *cacert, const char *capath,
                           const char *named)
{
    struct pfetch_failure why = { .cls = PFETCH_CLASS_NONE };
    struct pf_trust trust;

    if (init(&trust, cacert, capath))
        for (int i = 0; i < 2; i++) {
            why.text[0] = '\0';
            ck_assert_int_eq(pf_trust_load(&trust, &why), PFETCH_ETRUST);
            ck_assert_int_eq(why.cls, PFETCH_CLASS_LOCAL);
            ck_assert_ptr_nonnull(strstr(why.text, named));
            ck_assert_int_eq(pf_trust_load(&trust, NULL), PFETCH_ETRUST);
        }
    pf_trust_fini(&trust);
}

START_TEST(no_certificates_are_a_local_failure)
{
    struct party ca = make_party("ca", NULL, true);
    char file[PATH_MAX], good[PATH_MAX];
    FILE *text;

    make_dir();
    (void)snprintf(file, sizeof(file), "%s", in_dir("text.pem"));
    expect_failure(file, NULL, file);        /* there is none */
    text = fopen(file, "w");
    ck_assert_int_ge(fputs("no certificate\n", text), 0);
    ck_assert_int_eq(fclose(text), 0);
    expect_failure(file, NULL, file);
    expect_failure(NULL, dir, dir);          /* nothing named by a hash */
    expect_failure(NULL, file, file);        /* no directory */
    write_cert(&ca, "ca.pem");
    (void)snprintf(good, sizeof(good), "%s", in_dir("ca.pem"));
    expect_failure(good, dir, dir);          /* each that is named must load */
    expect_failure("", NULL, "no certificates");
    remove_from_dir("ca.pem");
    remove_from_dir("text.pem");
    remove_dir();
    free_party(&ca);
}
END_TEST

START_TEST(a_file_of_certificates_is_trusted)
{
    struct party ca = make_party("ca", NULL, true);
    struct party host = make_party("host", &ca, false);
    struct party other = make_party("other", NULL, true);
    struct pfetch_failure why;
    struct pf_trust trust;
    CURL *easy = curl_easy_init();

    make_dir();
    write_cert(&ca, "ca.pem");
    if (init(&trust, in_dir("ca.pem"), NULL)) {
        ck_assert_ptr_null(trust.store); /* not before it is needed */
        ck_assert_int_eq(pf_trust_load(&trust, &why), 0);
        ck_assert(is_trusted(trust.store, host.cert));
        ck_assert(!is_trusted(trust.store, other.cert));
    }
    remove_from_dir("ca.pem");
    ck_assert_int_eq(pf_trust_load(&trust, &why), 0); /* it is loaded */
    ck_assert_int_eq(pf_trust_setup(&trust, easy), 0);
    curl_easy_cleanup(easy);
    pf_trust_fini(&trust);
    remove_dir();
    free_party(&other);
    free_party(&host);
    free_party(&ca);
}
END_TEST

START_TEST(a_directory_of_certificates_is_trusted)
{
    struct party ca = make_party("ca", NULL, true);
    struct party host = make_party("host", &ca, false);
    struct pfetch_failure why;
    struct pf_trust trust;
    char name[32];

    make_dir();
    (void)snprintf(name, sizeof(name), "%08lx.0",
                   X509_NAME_hash_ex(X509_get_subject_name(ca.cert), NULL,
                                     NULL, NULL));
    write_cert(&ca, name);
    if (init(&trust, NULL, dir)) {
        ck_assert_int_eq(pf_trust_load(&trust, &why), 0);
        ck_assert(is_trusted(trust.store, host.cert));
    }
    pf_trust_fini(&trust);
    remove_from_dir(name);
    remove_dir();
    free_party(&host);
    free_party(&ca);
}
END_TEST

/* curl --cacert takes an authority that is not a root. */
START_TEST(an_intermediate_authority_was_not_trusted)
{
    struct party root = make_party("root", NULL, true);
    struct party ca = make_party("ca", &root, true);
    struct party host = make_party("host", &ca, false);
    struct pfetch_failure why;
    struct pf_trust trust;

    make_dir();
    write_cert(&ca, "ca.pem");
    if (init(&trust, in_dir("ca.pem"), NULL)) {
        ck_assert_int_eq(pf_trust_load(&trust, &why), 0);
        ck_assert(is_trusted(trust.store, host.cert));
        ck_assert(!is_trusted(trust.store, root.cert));
    }
    pf_trust_fini(&trust);
    remove_from_dir("ca.pem");
    remove_dir();
    free_party(&host);
    free_party(&ca);
    free_party(&root);
}
END_TEST

/* What the environment names need not be all there. */
START_TEST(one_default_place_is_enough)
{
    struct party ca = make_party("ca", NULL, true);
    struct pfetch_options options;
    struct pfetch_failure why;
    struct pf_trust trust;

    make_dir();
    write_cert(&ca, "ca.pem");
    pfetch_options_init(&options);
    options.cacert = in_dir("ca.pem");
    options.capath = "/nonexistent/certs";
    for (int i = 0; i < 2; i++) {
        options.ca_is_default = i == 1;
        ck_assert_int_eq(pf_trust_init(&trust, &options), 0);
        if (trust.is_openssl)
            ck_assert_int_eq(pf_trust_load(&trust, &why),
                             i == 1 ? 0 : PFETCH_ETRUST);
        pf_trust_fini(&trust);
    }
    remove_from_dir("ca.pem");
    remove_dir();
    free_party(&ca);
}
END_TEST

START_TEST(nothing_is_loaded_for_insecure)
{
    struct pfetch_options options;
    struct pfetch_failure why;
    struct pf_trust trust;
    CURL *easy = curl_easy_init();

    pfetch_options_init(&options);
    options.cacert = "/nonexistent/ca.pem";
    options.insecure = true;
    ck_assert_int_eq(pf_trust_init(&trust, &options), 0);
    ck_assert_int_eq(pf_trust_load(&trust, &why), 0);
    ck_assert_ptr_null(trust.store);
    ck_assert_int_eq(pf_trust_setup(&trust, easy), 0);
    curl_easy_cleanup(easy);
    pf_trust_fini(&trust);
}
END_TEST

/* --- several threads ------------------------------------------------------ */

enum { LOADERS = 4 };

struct loader {
    struct pf_trust *trust;
    _Atomic unsigned *started;
    int error;
};

static void *run_load(void *arg)
{
    struct loader *loader = arg;
    struct pfetch_failure why;

    atomic_fetch_add(loader->started, 1);
    loader->error = pf_trust_load(loader->trust, &why);
    if (loader->error == 0 && loader->trust->store == NULL)
        loader->error = 1; /* it came back too early */
    return NULL;
}

static bool is_loading(struct pf_trust *trust)
{
    bool is;

    pf_mutex_lock(&trust->lock); /* free while one loads */
    is = trust->state == PF_TRUST_LOADING;
    pf_mutex_unlock(&trust->lock);
    return is;
}

/* The file is a pipe, so it can be read once and for as long as we like.  The
 * first round gives a certificate, the second none. */
START_TEST(several_threads_load_once)
{
    struct party ca = make_party("ca", NULL, true);
    struct loader loaders[LOADERS];
    pthread_t threads[LOADERS];
    struct pf_trust trust;
    _Atomic unsigned started = 0;
    FILE *pipe_in;

    make_dir();
    ck_assert_int_eq(mkfifo(in_dir("ca.pem"), 0600), 0);
    if (init(&trust, in_dir("ca.pem"), NULL)) {
        for (int i = 0; i < LOADERS; i++) {
            loaders[i] = (struct loader){ &trust, &started, 1 };
            threads[i] = unit_start(run_load, &loaders[i]);
        }
        AWAIT(is_loading(&trust) && atomic_load(&started) == LOADERS);
        pipe_in = fopen(in_dir("ca.pem"), "w");
        ck_assert_ptr_nonnull(pipe_in);
        if (_i == 0)
            ck_assert_int_eq(PEM_write_X509(pipe_in, ca.cert), 1);
        ck_assert_int_eq(fclose(pipe_in), 0);
        for (int i = 0; i < LOADERS; i++) {
            pf_thread_join(threads[i]);
            ck_assert_int_eq(loaders[i].error, _i == 0 ? 0 : PFETCH_ETRUST);
        }
        ck_assert((trust.store != NULL) == (_i == 0));
    }
    pf_trust_fini(&trust);
    remove_from_dir("ca.pem");
    remove_dir();
    free_party(&ca);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("trust");

    tcase_add_test(tests, no_certificates_are_a_local_failure);
    tcase_add_test(tests, a_file_of_certificates_is_trusted);
    tcase_add_test(tests, a_directory_of_certificates_is_trusted);
    tcase_add_test(tests, an_intermediate_authority_was_not_trusted);
    tcase_add_test(tests, one_default_place_is_enough);
    tcase_add_test(tests, nothing_is_loaded_for_insecure);
    tcase_add_loop_test(tests, several_threads_load_once, 0, 2);
    return unit_run(tests, "trust");
}
