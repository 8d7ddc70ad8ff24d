/* error.c - the texts of errors, classes and statuses, and redaction.
 *
 * SPDX-License-Identifier: MIT
 *
 * The names of classes and statuses are part of the record format: tools
 * match on them.
 *
 * pfetch_redact() is the one place where a URL is made fit to be shown.  It
 * works on any text, not only on URLs that parse: what it is asked to show
 * first is the line that was no URL.
 */
#include "config.h"

#include "pfetch.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *pfetch_strerror(int error)
{
    switch (error) {
    case PFETCH_OK:
        return "no error";
    case PFETCH_ENOMEM:
        return "out of memory";
    case PFETCH_EINVAL:
        return "an argument is out of its range";
    case PFETCH_ESTOPPED:
        return "stopped";
    case PFETCH_ETHREAD:
        return "no thread could be started";
    case PFETCH_ECURL:
        return "libcurl could not be set up";
    case PFETCH_ETRUST:
        return "the certificates could not be loaded";
    case PFETCH_EAGAIN:
        return "it would have to wait";
    default:
        return "unknown error";
    }
}

const char *pfetch_class_name(enum pfetch_class cls)
{
    static const char *const names[PFETCH_CLASS_COUNT] = {
        [PFETCH_CLASS_NONE] = "",
        [PFETCH_CLASS_URL] = "url",
        [PFETCH_CLASS_SCHEME] = "scheme",
        [PFETCH_CLASS_NAME] = "name",
        [PFETCH_CLASS_EXISTS] = "exists",
        [PFETCH_CLASS_DNS] = "dns",
        [PFETCH_CLASS_CONNECT] = "connect",
        [PFETCH_CLASS_TLS] = "tls",
        [PFETCH_CLASS_PROXY] = "proxy",
        [PFETCH_CLASS_TIMEOUT] = "timeout",
        [PFETCH_CLASS_SHORT] = "short",
        [PFETCH_CLASS_PROTOCOL] = "protocol",
        [PFETCH_CLASS_REDIRECT] = "redirect",
        [PFETCH_CLASS_HTTP] = "http",
        [PFETCH_CLASS_TOO_LARGE] = "too-large",
        [PFETCH_CLASS_CHECKSUM] = "checksum",
        [PFETCH_CLASS_SIZE] = "size",
        [PFETCH_CLASS_HANDLER] = "handler",
        [PFETCH_CLASS_LOCAL] = "local",
        [PFETCH_CLASS_HOST_DOWN] = "host-down",
        [PFETCH_CLASS_STOPPED] = "stopped",
    };

    if ((unsigned)cls >= PFETCH_CLASS_COUNT)
        return "";
    return names[cls];
}

const char *pfetch_status_name(enum pfetch_status status)
{
    switch (status) {
    case PFETCH_STATUS_OK:
        return "ok";
    case PFETCH_STATUS_FAILED:
        return "failed";
    case PFETCH_STATUS_SKIPPED:
        return "skipped";
    case PFETCH_STATUS_NOT_ATTEMPTED:
        return "not-attempted";
    case PFETCH_STATUS_PLANNED:
        return "planned";
    }
    return "";
}

void pfetch_failure_set(struct pfetch_failure *why, enum pfetch_class cls,
                        const char *format, ...)
{
    va_list args;

    if (why == NULL)
        return;
    why->cls = cls;
    va_start(args, format);
    (void)vsnprintf(why->text, sizeof(why->text), format, args);
    va_end(args);
}

const char *pfetch_version(void)
{
    return PACKAGE_VERSION;
}

/* Whether what stands between start and end can be "host:port". */
static bool is_host_and_port(const char *start, const char *end)
{
    const char *colon = memchr(start, ':', (size_t)(end - start));

    return colon == NULL || *start == '['
           || strspn(colon + 1, "0123456789") == (size_t)(end - colon - 1);
}

/* Where the user part of the authority begins and ends (the '@'), if there is
 * one.  Up to the last '@' before the path, as browsers and libcurl read it;
 * a backslash does not end the authority here, so nothing behind it that could
 * be a secret is left standing.  When what should be host and port cannot be
 * ("user:pass" of "user:pass/word@host"), somebody did not escape a password:
 * then the last '@' of all ends it. */
static const char *find_user(const char *url, const char **at)
{
    const char *start = url, *scheme = strstr(url, ":/");
    const char *end;

    if (scheme != NULL && url[strcspn(url, "/?#@")] != '@')
        start = scheme + 1;
    while (*start == '/')
        start++;
    end = start + strcspn(start, "/?#");
    *at = NULL;
    for (const char *p = start; p < end; p++)
        if (*p == '@')
            *at = p;
    if (*at == NULL && !is_host_and_port(start, end))
        *at = strrchr(end, '@');
    return start;
}

char *pfetch_redact(const char *url, char *text, size_t size)
{
    static const char hex[] = "0123456789ABCDEF";
    const char *at, *user = find_user(url, &at);
    size_t n = 0;

    if (size == 0)
        return text;
    for (const char *p = url; *p != '\0'; p++) {
        unsigned char c = (unsigned char)*p;

        if (at != NULL && p == user) {
            if (n + 3 >= size)
                break;
            memcpy(text + n, "***", 3);
            n += 3;
            p = at;
            c = '@';
        }
        if (c >= 0x20 && c < 0x7f) {
            if (n + 1 >= size)
                break;
            text[n++] = (char)c;
        } else {
            if (n + 3 >= size)
                break;
            text[n++] = '%';
            text[n++] = hex[c >> 4];
            text[n++] = hex[c & 15];
        }
    }
    text[n] = '\0';
    return text;
}
