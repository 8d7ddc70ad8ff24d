/* trust.h - whom TLS trusts, loaded once.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PF_TRUST_H
#define PF_TRUST_H

#include "pfetch.h"

#include <curl/curl.h>
#include <pthread.h>

enum pf_trust_state {
    PF_TRUST_NONE,    /* nobody has needed it yet */
    PF_TRUST_LOADING, /* one thread is loading, under no lock */
    PF_TRUST_READY,
    PF_TRUST_FAILED
};

struct pf_trust {
    pthread_mutex_t lock;     /* guards state; why and store once it is ready
                               * or failed are read-only */
    pthread_cond_t loaded;    /* broadcast when state leaves LOADING */
    enum pf_trust_state state;
    void *store;              /* X509_STORE; NULL where libcurl loads itself */
    struct pfetch_failure why;
    char *cacert, *capath;    /* set before start */
    bool is_named;            /* the caller insists: each must load */
    bool insecure;            /* set before start */
    bool is_openssl;          /* libcurl's TLS library is OpenSSL */
};

/* Copies the paths.  With neither, those libcurl was built with are used.
 * 0 or PFETCH_ENOMEM. */
int pf_trust_init(struct pf_trust *trust,
                  const struct pfetch_options *options);
void pf_trust_fini(struct pf_trust *trust);

/* Loads the certificates unless they are loaded; blocks while another thread
 * does (bounded: local files).  0, or PFETCH_ETRUST with *why of class local.
 * Any thread. */
int pf_trust_load(struct pf_trust *trust, struct pfetch_failure *why);

/* Makes a handle use them, once for its life.  0 or PFETCH_ECURL. */
int pf_trust_setup(struct pf_trust *trust, CURL *easy);

/* Whether the TLS library holds bytes that it has taken from the socket and
 * nobody has read.  Only inside a callback of a transfer, when libcurl tells
 * which connection it uses. */
bool pf_trust_has_unread(const struct pf_trust *trust, CURL *easy);

#endif
