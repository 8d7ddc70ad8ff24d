/* url.h - a URL, taken apart.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PF_URL_H
#define PF_URL_H

#include "pfetch.h"

/* Read-only once made.  One allocation: the strings lie behind the struct. */
struct pf_url {
    const char *text;     /* absolute, without user part and fragment */
    const char *origin;   /* "https://host:port", lower case, port always there:
                           * what connections and credentials are bound to */
    const char *host;     /* lower case: what the URL queue goes by */
    const char *user;     /* percent-decoded; NULL if the URL had none */
    const char *password; /* percent-decoded, may be ""; NULL without user */
    size_t bytes;         /* of the whole allocation */
    bool tls;             /* https */
};

/* Takes text apart by the parser that libcurl itself uses, so that what is
 * checked is what is fetched.  Accepts absolute http and https URLs only, and
 * guesses nothing.  On success *url is the caller's, to be freed with
 * pf_url_free().  PFETCH_EINVAL: *why says what is wrong (class url or
 * scheme); PFETCH_ENOMEM: *why says that. */
int pf_url_parse(const char *text, struct pf_url **url,
                 struct pfetch_failure *why);

/* Whether libcurl can make a proxy of it: [scheme://][user:password@]host
 * [:port] with a scheme that CURLOPT_PROXY(3) names; or "", no proxy. */
bool pf_is_proxy(const char *text);

/* NULL is allowed. */
void pf_url_free(struct pf_url *url);

#endif
