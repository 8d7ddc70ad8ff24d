/* url.c - a URL, taken apart.
 *
 * SPDX-License-Identifier: MIT
 *
 * The parsing is libcurl's (curl_url_set(3)).  What is added here is what a
 * list must be protected from: a scheme that libcurl would guess, "http:/h"
 * and "http:///h" that it would mend, blanks and control bytes, port 0.
 * Bytes above 127 in path and query are percent-encoded, as browsers do.
 */
#include "config.h"

#include "url.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Refuses what libcurl would mend or guess. */
static int check_text(const char *text, struct pfetch_failure *why)
{
    const char *rest;

    for (const char *p = text; *p != '\0'; p++) {
        unsigned char c = (unsigned char)*p;

        if (c == ' ') {
            pfetch_failure_set(why, PFETCH_CLASS_URL,
                               "a blank inside the URL (write %%20)");
            return PFETCH_EINVAL;
        }
        if (c < 0x20 || c == 0x7f) {
            pfetch_failure_set(why, PFETCH_CLASS_URL,
                               "control byte 0x%02X inside the URL", c);
            return PFETCH_EINVAL;
        }
    }
    if (strncasecmp(text, "http:", 5) == 0) {
        rest = text + 5;
    } else if (strncasecmp(text, "https:", 6) == 0) {
        rest = text + 6;
    } else {
        pfetch_failure_set(why, PFETCH_CLASS_SCHEME,
                           "not a URL that begins with http:// or https://");
        return PFETCH_EINVAL;
    }
    if (strncmp(rest, "//", 2) != 0 || rest[2] == '/' || rest[2] == '\0') {
        pfetch_failure_set(why, PFETCH_CLASS_URL, "no host name in the URL");
        return PFETCH_EINVAL;
    }
    return 0;
}

/* The parts of a URL, each by curl_free(). */
struct parts {
    char *text, *host, *zone, *port, *user, *password;
};

static void free_parts(struct parts *parts)
{
    curl_free(parts->text);
    curl_free(parts->host);
    curl_free(parts->zone);
    curl_free(parts->port);
    curl_free(parts->user);
    curl_free(parts->password);
}

static CURLUcode get_optional(CURLU *h, CURLUPart what, char **part,
                              unsigned flags, CURLUcode absent)
{
    CURLUcode rc = curl_url_get(h, what, part, flags);

    return rc == absent ? CURLUE_OK : rc;
}

static CURLUcode split(CURLU *h, const char *text, struct parts *parts)
{
    CURLUcode rc;

    rc = curl_url_set(h, CURLUPART_URL, text, CURLU_URLENCODE);
    if (rc == CURLUE_OK)
        rc = curl_url_get(h, CURLUPART_HOST, &parts->host, 0);
    if (rc == CURLUE_OK && *parts->host == '[')
        rc = get_optional(h, CURLUPART_ZONEID, &parts->zone, 0,
                          CURLUE_NO_ZONEID);
    /* Without its user part such a URL would mean another host. */
    if (rc == CURLUE_OK && parts->zone != NULL
        && strchr(parts->zone, '@') != NULL)
        rc = CURLUE_BAD_IPV6;
    if (rc == CURLUE_OK)
        rc = curl_url_get(h, CURLUPART_PORT, &parts->port,
                          CURLU_DEFAULT_PORT);
    if (rc == CURLUE_OK && strchr(text, '@') != NULL)
        rc = get_optional(h, CURLUPART_USER, &parts->user, CURLU_URLDECODE,
                          CURLUE_NO_USER);
    if (rc == CURLUE_OK && strchr(text, '@') != NULL)
        rc = get_optional(h, CURLUPART_PASSWORD, &parts->password,
                          CURLU_URLDECODE, CURLUE_NO_PASSWORD);
    if (rc == CURLUE_OK && strchr(text, '#') != NULL)
        rc = curl_url_set(h, CURLUPART_FRAGMENT, NULL, 0);
    if (rc == CURLUE_OK && (parts->user != NULL || parts->password != NULL)) {
        rc = curl_url_set(h, CURLUPART_USER, NULL, 0);
        if (rc == CURLUE_OK)
            rc = curl_url_set(h, CURLUPART_PASSWORD, NULL, 0);
    }
    if (rc == CURLUE_OK)
        rc = curl_url_get(h, CURLUPART_URL, &parts->text, 0);
    return rc;
}

static void lower(char *s)
{
    for (; *s != '\0'; s++)
        if (*s >= 'A' && *s <= 'Z')
            *s = (char)(*s - 'A' + 'a');
}

/* Copies s to *at, moves *at behind it, and returns the copy. */
static char *place(char **at, const char *s)
{
    size_t size = strlen(s) + 1;
    char *copy = *at;

    memcpy(copy, s, size);
    *at += size;
    return copy;
}

/* The same without the NUL, and without the copy. */
static void append(char **at, const char *s)
{
    size_t size = strlen(s);

    memcpy(*at, s, size);
    *at += size;
}

static struct pf_url *assemble(const struct parts *parts)
{
    const char *password = parts->password == NULL ? "" : parts->password;
    const char *user = parts->user == NULL ? "" : parts->user;
    const char *zone = parts->zone == NULL ? "" : parts->zone;
    size_t host_bytes = strlen(parts->host) + 1 + strlen(zone) + 1;
    size_t bytes = sizeof(struct pf_url) + strlen(parts->text) + 1
                   + host_bytes + strlen("https://") + host_bytes
                   + strlen(parts->port) + 1
                   + strlen(user) + 1 + strlen(password) + 1;
    struct pf_url *url = malloc(bytes);
    char *at, *origin, *host;

    if (url == NULL)
        return NULL;
    memset(url, 0, sizeof(*url));
    url->bytes = bytes;
    at = (char *)(url + 1);
    url->text = place(&at, parts->text);
    url->tls = strncasecmp(parts->text, "https:", 6) == 0;
    /* The same address on another interface is another server. */
    host = at;
    append(&at, parts->host);
    append(&at, *zone == '\0' ? "" : "%");
    (void)place(&at, zone);
    lower(host);
    url->host = host;
    origin = at;
    append(&at, url->tls ? "https://" : "http://");
    append(&at, host);
    append(&at, ":");
    (void)place(&at, parts->port);
    url->origin = origin;
    if (parts->user != NULL || parts->password != NULL) {
        url->user = place(&at, user);
        url->password = place(&at, password);
    }
    return url;
}

int pf_url_parse(const char *text, struct pf_url **url,
                 struct pfetch_failure *why)
{
    struct parts parts = { 0 };
    CURLUcode rc;
    CURLU *h;
    int error;

    *url = NULL;
    error = check_text(text, why);
    if (error != 0)
        return error;
    h = curl_url();
    rc = h == NULL ? CURLUE_OUT_OF_MEMORY : split(h, text, &parts);
    if (rc == CURLUE_OK && strtol(parts.port, NULL, 10) == 0) {
        pfetch_failure_set(why, PFETCH_CLASS_URL, "port 0 in the URL");
        error = PFETCH_EINVAL;
    } else if (rc == CURLUE_OK && strchr(parts.host, 0x7f) != NULL) {
        /* libcurl decodes a host and lets this one control byte through. */
        pfetch_failure_set(why, PFETCH_CLASS_URL,
                           "control byte 0x7F inside the host name");
        error = PFETCH_EINVAL;
    } else if (rc == CURLUE_OK) {
        *url = assemble(&parts);
        if (*url == NULL)
            rc = CURLUE_OUT_OF_MEMORY;
    }
    if (rc == CURLUE_OUT_OF_MEMORY) {
        pfetch_failure_set(why, PFETCH_CLASS_LOCAL, "out of memory");
        error = PFETCH_ENOMEM;
    } else if (rc != CURLUE_OK) {
        pfetch_failure_set(why, PFETCH_CLASS_URL, "%s",
                           curl_url_strerror(rc));
        error = PFETCH_EINVAL;
    }
    free_parts(&parts);
    curl_url_cleanup(h);
    return error;
}

int pfetch_url_host(const char *url, char *text, size_t size,
                    struct pfetch_failure *why)
{
    struct pf_url *parsed;
    int result = pf_url_parse(url, &parsed, why);

    if (result != 0)
        return result;
    size_t length = strlen(parsed->host);
    if (length < size) {
        memcpy(text, parsed->host, length + 1);
        result = (int)length;
    } else {
        pfetch_failure_set(why, PFETCH_CLASS_URL, "the host name is too long");
        result = PFETCH_EINVAL;
    }
    pf_url_free(parsed);
    return result;
}

bool pf_is_proxy(const char *text)
{
    static const char *const schemes[] = { "http", "https", "socks4",
                                           "socks4a", "socks5", "socks5h" };
    char *scheme = NULL, *host = NULL;
    bool found = false;
    CURLU *h;

    if (*text == '\0')
        return true;
    h = curl_url();
    if (h != NULL
        && curl_url_set(h, CURLUPART_URL, text,
                        CURLU_NON_SUPPORT_SCHEME | CURLU_GUESS_SCHEME)
               == CURLUE_OK
        && curl_url_get(h, CURLUPART_HOST, &host, 0) == CURLUE_OK
        && curl_url_get(h, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK)
        for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
            found = found || strcasecmp(scheme, schemes[i]) == 0;
    curl_free(scheme);
    curl_free(host);
    curl_url_cleanup(h);
    return found;
}

void pf_url_free(struct pf_url *url)
{
    free(url);
}
