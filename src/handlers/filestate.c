/* filestate.c - what a file knows about itself.
 *
 * SPDX-License-Identifier: MIT
 */
#include "config.h"

#include "filestate.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

static const char ATTRIBUTE[] = "user.pfetch";

enum {
    HEX_DIGITS = 2 * PF_URL_HASH_BYTES,
    PREFIX = 2 + HEX_DIGITS, /* "1 " and the digits */
    VALUE_SIZE = 512,        /* more than any version has written */
    PROC_PATH = 512          /* "/proc/self/fd/N/" and a name */
};

/* True for the errors by which a file system, or a policy (SELinux, seccomp),
 * says that there are no user attributes here. */
static bool is_refusal(int error)
{
    return error == ENOTSUP || error == EOPNOTSUPP || error == ENOSYS
           || error == EPERM || error == EACCES;
}

static void give_up(struct pf_filestate *state, const char *text)
{
    if (atomic_exchange(&state->usable, false) && state->on_notice != NULL)
        state->on_notice(state->user, text);
}

static const char NO_ATTRIBUTES[] =
    "the output directory keeps no user attributes: names are trusted, a "
    "file that has the name of a URL counts as that URL's complete file, and "
    "nothing is continued or updated";
static const char NO_PROC[] =
    "/proc is not there, so file attributes cannot be read: names are "
    "trusted, a file that has the name of a URL counts as that URL's "
    "complete file, and nothing is continued or updated";

static ssize_t get_attribute(int dir, const char *name, void *value,
                             size_t size)
{
    char path[PROC_PATH];
    int len = snprintf(path, sizeof path, "/proc/self/fd/%d/%s", dir, name);

    if (len < 0 || (size_t)len >= sizeof path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    return lgetxattr(path, ATTRIBUTE, value, size);
}

void pf_filestate_init(struct pf_filestate *state, int dir,
                       void (*on_notice)(void *user, const char *text),
                       void *user)
{
    char value[VALUE_SIZE];

    atomic_init(&state->usable, true);
    state->on_notice = on_notice;
    state->user = user;
    if (dir < 0 || get_attribute(dir, ".", value, sizeof value) >= 0)
        return;
    if (is_refusal(errno))
        give_up(state, NO_ATTRIBUTES);
    else if (errno == ENOENT)
        give_up(state, NO_PROC);
}

int pf_filestate_write(struct pf_filestate *state, int fd,
                       const uint8_t hash[PF_URL_HASH_BYTES],
                       int64_t size_bytes, const char *etag,
                       const char *last_modified)
{
    const char *validator = etag != NULL ? etag : last_modified;
    char value[VALUE_SIZE] = "1 ";
    size_t len = PREFIX, needed;

    if (!atomic_load(&state->usable))
        return 0;
    pf_digest_hex(hash, PF_URL_HASH_BYTES, value + 2);
    len += size_bytes < 0
               ? (size_t)snprintf(value + len, sizeof value - len, " -")
               : (size_t)snprintf(value + len, sizeof value - len, " %lld",
                                  (long long)size_bytes);
    needed = len;
    /* Half a validator validates nothing: one too long is left out. */
    if (validator != NULL && validator[0] != '\0'
        && strlen(validator) <= PF_VALIDATOR_MAX)
        len += (size_t)snprintf(value + len, sizeof value - len, " %s",
                                validator);
    if (fsetxattr(fd, ATTRIBUTE, value, len, 0) == 0)
        return 0;
    /* It may be the attribute that has no space, not the disk. */
    if ((errno == ENOSPC || errno == E2BIG || errno == ERANGE)
        && len > needed && fsetxattr(fd, ATTRIBUTE, value, needed, 0) == 0)
        return 0;
    if (!is_refusal(errno))
        return errno;
    give_up(state, NO_ATTRIBUTES);
    return 0;
}

static int digit_value(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *found = c != '\0' ? strchr(digits, c) : NULL;

    return found != NULL ? (int)(found - digits) : -1;
}

/* Reads the number, or "-", and moves behind it. */
static bool parse_size(const char **at, int64_t *size_bytes)
{
    char *end;

    if (**at == '-') {
        *size_bytes = -1;
        ++*at;
        return true;
    }
    if (digit_value(**at) < 0)
        return false;
    errno = 0;
    *size_bytes = strtoll(*at, &end, 10);
    *at = end;
    return errno == 0;
}

/* value has len bytes, and room for one more. */
static bool parse(char *value, ssize_t len, struct pf_filemark *mark)
{
    const char *at = value + PREFIX + 1;

    if (len <= PREFIX + 1 || memcmp(value, "1 ", 2) != 0
        || value[PREFIX] != ' ')
        return false;
    value[len] = '\0';
    if (!parse_size(&at, &mark->size_bytes) || (*at != '\0' && *at != ' '))
        return false;
    for (size_t i = 0; i < PF_URL_HASH_BYTES; i++) {
        int high = digit_value(value[2 + 2 * i]);
        int low = digit_value(value[3 + 2 * i]);

        if (high < 0 || low < 0)
            return false;
        mark->hash[i] = (uint8_t)(high << 4 | low);
    }
    mark->validator[0] = '\0';
    if (*at == ' ' && strlen(at + 1) <= PF_VALIDATOR_MAX)
        memcpy(mark->validator, at + 1, strlen(at + 1) + 1);
    return true;
}

bool pf_filestate_get(const struct pf_filestate *state, int dir,
                      const char *name, struct pf_filemark *mark)
{
    char value[VALUE_SIZE + 1];

    return atomic_load(&state->usable)
           && parse(value, get_attribute(dir, name, value, VALUE_SIZE), mark);
}

bool pf_filestate_read(const struct pf_filestate *state, int dir,
                       const char *name, uint8_t hash[PF_URL_HASH_BYTES],
                       int64_t *size_bytes)
{
    struct pf_filemark mark;

    if (!pf_filestate_get(state, dir, name, &mark) || mark.size_bytes < 0)
        return false;
    memcpy(hash, mark.hash, PF_URL_HASH_BYTES);
    *size_bytes = mark.size_bytes;
    return true;
}

bool pf_filestate_get_open(const struct pf_filestate *state, int fd,
                           struct pf_filemark *mark)
{
    char value[VALUE_SIZE + 1];

    return atomic_load(&state->usable)
           && parse(value, fgetxattr(fd, ATTRIBUTE, value, VALUE_SIZE), mark);
}

bool pf_filestate_is_marked(int fd)
{
    return fgetxattr(fd, ATTRIBUTE, NULL, 0) >= 0;
}

bool pf_filemark_is_continuable(const struct pf_filemark *mark,
                                const uint8_t hash[PF_URL_HASH_BYTES],
                                int64_t there_bytes)
{
    size_t len = strlen(mark->validator);

    /* A strong ETag; the engine looks at it more closely. */
    return len >= 2 && mark->validator[0] == '"'
           && mark->validator[len - 1] == '"'
           && memcmp(mark->hash, hash, PF_URL_HASH_BYTES) == 0
           && there_bytes >= 1
           && (mark->size_bytes < 0 || there_bytes < mark->size_bytes);
}
