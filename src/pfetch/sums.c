/* sums.c - lines of checksum files.
 *
 * SPDX-License-Identifier: MIT
 */
#include "config.h"

#include "sums.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { NAME_BYTES = 4096 };

struct digest {
    const char *name; /* as the field has it */
    size_t digits;
    const char *tags[3]; /* as BSD and OpenSSL have it */
};

static const struct digest digests[] = {
    {"md5", 32, {"MD5"}},
    {"sha1", 40, {"SHA1"}},
    {"sha256", 64, {"SHA256", "SHA2-256"}},
    {"sha512", 128, {"SHA512", "SHA2-512"}},
};

enum { DIGESTS = sizeof(digests) / sizeof(digests[0]) };

/* A line, taken apart; the pieces lie in its text. */
struct sum {
    const struct digest *digest;
    const char *hex;
    const char *name;
    size_t name_size;
    bool escaped;
};

static size_t count_digits(const char *text)
{
    return strspn(text, "0123456789abcdefABCDEF");
}

/* "HEX  NAME", "HEX *NAME" */
static bool cut_gnu(const char *text, struct sum *sum)
{
    size_t digits = count_digits(text);

    sum->digest = NULL;
    for (int i = 0; i < DIGESTS; i++)
        if (digests[i].digits == digits)
            sum->digest = &digests[i];
    if (sum->digest == NULL || text[digits] != ' ')
        return false;
    sum->hex = text;
    text += digits + 1;
    if (*text == ' ' || *text == '*')
        text++;
    sum->name = text;
    sum->name_size = strlen(text);
    return true;
}

/* What follows the tag that text begins with; NULL: none that we know. */
static const char *find_tag(const char *text, const struct digest **digest)
{
    for (int i = 0; i < DIGESTS; i++)
        for (int j = 0; j < 3 && digests[i].tags[j] != NULL; j++) {
            size_t size = strlen(digests[i].tags[j]);

            if (strncasecmp(text, digests[i].tags[j], size) == 0 &&
                (text[size] == ' ' || text[size] == '(')) {
                *digest = &digests[i];
                return text + size;
            }
        }
    return NULL;
}

/* "SHA256 (NAME) = HEX", "SHA256(NAME)= HEX" */
static bool cut_bsd(const char *text, struct sum *sum)
{
    const char *end = strrchr(text, ')');

    text = find_tag(text, &sum->digest);
    if (text == NULL || end == NULL)
        return false;
    text += *text == ' ';
    if (*text != '(')
        return false;
    sum->name = text + 1;
    sum->name_size = (size_t)(end - sum->name);
    end += 1 + strspn(end + 1, " ");
    if (*end != '=')
        return false;
    sum->hex = end + 1 + strspn(end + 1, " ");
    size_t digits = count_digits(sum->hex);
    return digits == sum->digest->digits && sum->hex[digits] == '\0';
}

static bool cut_line(const char *text, struct sum *sum, const char **why)
{
    text += strspn(text, " ");
    sum->escaped = *text == '\\';
    text += sum->escaped;
    if (cut_gnu(text, sum) || cut_bsd(text, sum))
        return true;
    *why = "neither 'HEX  NAME' nor 'SHA256 (NAME) = HEX', with a digest of "
           "md5, sha1, sha256 or sha512";
    return false;
}

/* The name with its backslashes taken off. */
static bool copy_name(const struct sum *sum, char name[NAME_BYTES],
                      const char **why)
{
    const char *at = sum->name, *end = at + sum->name_size;
    size_t size = 0;

    *why = "the name is longer than 4095 bytes";
    if (sum->name_size >= NAME_BYTES)
        return false;
    for (; at < end; at++) {
        char c = *at;

        if (c == '\\' && sum->escaped && at + 1 < end) {
            at++;
            c = *at == 'n' ? '\n' : *at == 'r' ? '\r' : *at;
        }
        if ((unsigned char)c < 0x20 || c == 0x7f) {
            *why = "the name holds a control byte";
            return false;
        }
        name[size++] = c;
    }
    name[size] = '\0';
    return true;
}

/* "./a//b" becomes "a/b", in place; ".." leads elsewhere. */
static bool clean_name(char *name, const char **why)
{
    char *to = name;
    const char *at = name;

    *why = "the digest is not of a file below the base";
    if (*name == '/' || strcmp(name, "-") == 0)
        return false;
    while (*at != '\0') {
        size_t size = strcspn(at, "/");

        if (size == 2 && memcmp(at, "..", 2) == 0)
            return false;
        if (size > 0 && !(size == 1 && *at == '.')) {
            if (to != name)
                *to++ = '/';
            memmove(to, at, size);
            to += size;
        }
        at += size;
        at += *at == '/';
    }
    *to = '\0';
    *why = "there is no name";
    return to != name;
}

/* Everything but letters, digits, "-._~" and '/' becomes %XX.  The number of
 * bytes; `size` or more: there was no room for all. */
static size_t encode(const char *name, char *text, size_t size)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyz"
                                "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "0123456789-._~/";
    size_t used = 0;

    for (; *name != '\0' && used + 4 <= size; name++) {
        if (strchr(plain, *name) != NULL)
            text[used++] = *name;
        else
            used += (size_t)sprintf(text + used, "%%%02X",
                                    (unsigned char)*name);
    }
    return *name == '\0' ? used : size;
}

bool pf_sums_line(const char *text, const char *base, char *line, size_t size,
                  const char **why)
{
    struct sum sum;
    char name[NAME_BYTES];
    size_t used = strlen(base);

    if (!cut_line(text, &sum, why) || !copy_name(&sum, name, why) ||
        !clean_name(name, why))
        return false;
    *why = "the URL is too long";
    if (used + 1 >= size)
        return false;
    memcpy(line, base, used);
    if (base[used - 1] != '/')
        line[used++] = '/';
    used += encode(name, line + used, size - used);
    if (used >= size)
        return false;
    /* The name is not last: blanks at the end of a line do not count. */
    used += (size_t)snprintf(line + used, size - used,
                             "\tout=%s\tchecksum=%s:%.*s", name,
                             sum.digest->name, (int)sum.digest->digits,
                             sum.hex);
    return used < size;
}
