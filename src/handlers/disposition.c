/* disposition.c - the file name in a Content-Disposition header.
 *
 * SPDX-License-Identifier: MIT
 *
 * Read as browsers do: the type does not matter and may be missing, of two
 * equal parameters the first counts, a value without quotes goes on to the
 * next ';', and raw bytes are UTF-8 if they can be, else ISO-8859-1.  Strict
 * is only filename*: what is not quite right there is ignored, because
 * filename says it too.  A name that is longer than the buffer is ignored.
 */
#include "config.h"

#include "disposition.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "outname.h"

/* name=value; a value in quotes has its escapes still. */
struct parameter {
    const char *name;
    size_t name_len;
    const char *value;
    size_t value_len;
    bool quoted;
};

static const char *skip_blanks(const char *s)
{
    return s + strspn(s, " \t");
}

/* Behind a quoted string, s being behind the quote that begins it; NULL: it
 * has no end. */
static const char *skip_quoted(const char *s)
{
    for (; *s != '"'; s++) {
        if (*s == '\\' && s[1] != '\0')
            s++;
        if (*s == '\0')
            return NULL;
    }
    return s + 1;
}

static void read_value(const char **at, struct parameter *p)
{
    const char *s = skip_blanks(*at);

    p->quoted = *s == '"';
    if (p->quoted) {
        const char *end = skip_quoted(s + 1);

        p->value = s + 1;
        p->value_len = end != NULL ? (size_t)(end - s) - 2 : 0;
        *at = end != NULL ? end : s + strlen(s);
        return;
    }
    p->value = s;
    p->value_len = strcspn(s, ";");
    *at = s + p->value_len;
    while (p->value_len > 0
           && strchr(" \t", s[p->value_len - 1]) != NULL)
        p->value_len--;
}

/* The next parameter; the type, and whatever else has no '=', is passed
 * over. */
static bool next_parameter(const char **at, struct parameter *p)
{
    const char *s = *at;

    for (;;) {
        s += strspn(s, " \t;");
        if (*s == '\0')
            return false;
        p->name = s;
        p->name_len = strcspn(s, "=; \t\"");
        s = skip_blanks(s + p->name_len);
        if (*s == '=') {
            *at = s + 1;
            read_value(at, p);
            return true;
        }
        if (*s == '"' && (s = skip_quoted(s + 1)) == NULL)
            return false;
    }
}

/* --- values --------------------------------------------------------------- */

/* A text that grows up to the size of the buffer. */
struct text {
    char *data;
    size_t len;
    bool fits;
};

static void put(struct text *text, unsigned char byte)
{
    text->fits = text->fits && text->len < PF_DISPOSITION_SIZE - 1;
    if (text->fits)
        text->data[text->len++] = (char)byte;
}

static void put_latin1(struct text *text, unsigned char byte)
{
    if (byte >= 0x80)
        put(text, (unsigned char)(0xc0 | byte >> 6));
    put(text, byte < 0x80 ? byte : (unsigned char)(0x80 | (byte & 0x3f)));
}

static bool read_plain(const struct parameter *p, struct text *text)
{
    bool utf8 = pf_outname_is_utf8(p->value, p->value_len);

    for (size_t i = 0; i < p->value_len; i++) {
        if (p->quoted && p->value[i] == '\\' && i + 1 < p->value_len)
            i++;
        unsigned char byte = (unsigned char)p->value[i];

        if (utf8)
            put(text, byte);
        else
            put_latin1(text, byte);
    }
    return text->fits;
}

static int hex_value(char c)
{
    const char *digits = "0123456789abcdef0123456789ABCDEF";
    const char *found = c != '\0' ? strchr(digits, c) : NULL;

    return found != NULL ? (int)(found - digits) % 16 : -1;
}

/* charset'language'text, percent-encoded (RFC 8187). */
static bool read_extended(const struct parameter *p, struct text *text)
{
    const char *end = p->value + p->value_len;
    const char *language = memchr(p->value, '\'', p->value_len);
    const char *s = language == NULL
                        ? NULL
                        : memchr(language + 1, '\'',
                                 (size_t)(end - language - 1));
    size_t charset_len = language == NULL ? 0 : (size_t)(language - p->value);
    bool utf8 = charset_len == 5 && strncasecmp(p->value, "UTF-8", 5) == 0;

    if (s == NULL || p->quoted
        || (!utf8 && (charset_len != 10
                      || strncasecmp(p->value, "ISO-8859-1", 10) != 0)))
        return false;
    for (s++; s < end; s++) {
        int byte = (unsigned char)*s;

        if (*s == '%') {
            if (end - s < 3 || hex_value(s[1]) < 0 || hex_value(s[2]) < 0)
                return false;
            byte = hex_value(s[1]) << 4 | hex_value(s[2]);
            s += 2;
        } else if (byte >= 0x80) {
            return false;
        }
        if (byte == 0)
            return false;
        if (utf8)
            put(text, (unsigned char)byte);
        else
            put_latin1(text, (unsigned char)byte);
    }
    return text->fits && pf_outname_is_utf8(text->data, text->len);
}

/* Leaves the last component.  False: it is no name. */
static bool keep_last(struct text *text)
{
    char *data = text->data;
    size_t start = text->len;

    while (start > 0 && data[start - 1] != '/' && data[start - 1] != '\\')
        start--;
    memmove(data, data + start, text->len - start);
    data[text->len - start] = '\0';
    return data[0] != '\0' && strcmp(data, ".") != 0
           && strcmp(data, "..") != 0;
}

static bool find_name(const char *value, const char *parameter,
                      bool (*read)(const struct parameter *p,
                                   struct text *text),
                      char name[PF_DISPOSITION_SIZE])
{
    struct parameter p;

    while (next_parameter(&value, &p))
        if (p.name_len == strlen(parameter)
            && strncasecmp(p.name, parameter, p.name_len) == 0) {
            struct text text = { .data = name, .fits = true };

            return read(&p, &text) && keep_last(&text);
        }
    return false;
}

bool pf_disposition_name(const char *value, char name[PF_DISPOSITION_SIZE])
{
    return find_name(value, "filename*", read_extended, name)
           || find_name(value, "filename", read_plain, name);
}
