/* fuzz_url.c - URLs taken apart and made fit to be shown.
 *
 * SPDX-License-Identifier: MIT
 *
 * What is shown of a URL is printable, fits, and does not depend on its user
 * part: with another password the same text comes out.
 */
#include "config.h"

#include "fuzz.h"
#include "url.h"

#include <stdio.h>
#include <string.h>

enum { TEXT_MAX = 2000 };

static void check_printable(const char *text)
{
    for (; *text != '\0'; text++)
        must(*text >= 0x20 && *text < 0x7f);
}

static void redact(const char *url, char *text, size_t size)
{
    text[size - 1] = 'x';
    must(pfetch_redact(url, text, size) == text);
    must(strlen(text) < size);
    check_printable(text);
}

/* The URL with another user part, the one that libcurl found replaced. */
static void check_hidden(const char *url, const char *shown)
{
    char other[TEXT_MAX + 64], other_shown[3 * TEXT_MAX + 64];
    const char *start = strstr(url, "//") + 2;
    const char *at = NULL;

    for (const char *p = start; *p != '\0' && strchr("/?#", *p) == NULL; p++)
        if (*p == '@')
            at = p;
    must(at != NULL);
    (void)snprintf(other, sizeof(other), "%.*sme:another%s",
                   (int)(start - url), url, at);
    redact(other, other_shown, sizeof(other_shown));
    must(strcmp(shown, other_shown) == 0);
}

static void check_parts(const struct pf_url *url)
{
    const char *scheme = url->tls ? "https://" : "http://";
    size_t n = strlen(scheme);

    must(strncmp(url->text, scheme, n) == 0);
    must(strncmp(url->origin, scheme, n) == 0);
    must(strncmp(url->origin + n, url->host, strlen(url->host)) == 0);
    must(url->origin[n + strlen(url->host)] == ':');
    must(*url->host != '\0' && strpbrk(url->host, "/?#") == NULL);
    must(strchr(url->text, '#') == NULL && strchr(url->text, ' ') == NULL);
    must((url->user == NULL) == (url->password == NULL));
}

/* The text is a URL like any other, and the same one. */
static void check_again(const struct pf_url *url)
{
    struct pfetch_failure why;
    struct pf_url *again;

    must(pf_url_parse(url->text, &again, &why) == 0);
    must(strcmp(again->text, url->text) == 0);
    must(strcmp(again->origin, url->origin) == 0);
    must(again->user == NULL);
    pf_url_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[TEXT_MAX + 1], shown[3 * TEXT_MAX + 64], cut[20];
    struct pfetch_failure why = { .cls = PFETCH_CLASS_NONE };
    struct pf_url *url;

    if (size > TEXT_MAX)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    redact(text, shown, sizeof(shown));
    redact(text, cut, sizeof(cut));
    must(strncmp(shown, cut, strlen(cut)) == 0);
    if (pf_url_parse(text, &url, &why) != 0) {
        must(url == NULL && why.text[0] != '\0');
        must(why.cls == PFETCH_CLASS_URL || why.cls == PFETCH_CLASS_SCHEME);
        return 0;
    }
    check_parts(url);
    check_again(url);
    if (url->user != NULL)
        check_hidden(text, shown);
    pf_url_free(url);
    return 0;
}
