/* outname.c - the file name that belongs to a URL.
 *
 * SPDX-License-Identifier: MIT
 *
 * The mapping of one path segment.  It is percent-decoded once.  A character
 * that must not stand in a name is written as %XX for each of its UTF-8 bytes
 * (upper-case digits): controls (C0, DEL, C1), '/', format and bidi
 * characters, line and paragraph separators, each byte of what is no valid
 * UTF-8, and a '.' or '-' at the beginning.  So is '?', which then always
 * begins the query, and a '%' that two hexadecimal digits follow; so two
 * segments have one name only if they decode to the same bytes (or if one of
 * them is empty).  Everything else stays, blanks and backslashes included.
 *
 * An empty segment is "index.html" as a file, and left out as a directory.
 * The query is not decoded, because "a%26b" and "a&b" are two queries; what
 * must not stand in a name is escaped there in the same way.
 *
 * A name longer than PF_NAME_MAX keeps its beginning, cut between characters
 * and not inside an escape, and its extension; between them stand '~' and the
 * first 16 hexadecimal digits of the SHA-256 of the URL up to the end of this
 * component.  A number comes before the extension and is never cut.  An
 * extension is a dot, not the first byte of a name, with up to 15 ASCII
 * letters, digits, '_', '+' or '-' after it.
 */
#include "config.h"

#include "outname.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "pfetch.h"

enum {
    EXT_MAX = 16,                        /* the dot included */
    HASH_BYTES = 8,
    HASH_TEXT = 1 + 2 * HASH_BYTES,      /* '~' and its digits */
    NUMBER_TEXT = sizeof(".4294967295"), /* the NUL included */
    NOT_UTF8 = 0x110000                  /* beyond the last code point */
};

/* --- one component as it is written ------------------------------------- */

/* Only the beginning and the last bytes of a component are kept, so that one
 * of any length needs no memory. */
struct component {
    char head[PF_NAME_SIZE]; /* whole characters and escapes */
    size_t head_len;
    bool full;               /* something did not fit into head */
    size_t total;            /* bytes it has in all */
    char tail[EXT_MAX];      /* a ring: byte i stands at i % EXT_MAX */
};

/* Appends a character or an escape, which is not torn. */
static void put_unit(struct component *c, const char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        c->tail[c->total++ % EXT_MAX] = bytes[i];
    if (c->full || c->head_len + n > PF_NAME_MAX) {
        c->full = true;
        return;
    }
    memcpy(c->head + c->head_len, bytes, n);
    c->head_len += n;
}

static void put_escaped(struct component *c, const unsigned char *bytes,
                        size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char escape[4];

        (void)snprintf(escape, sizeof escape, "%%%02X", bytes[i]);
        put_unit(c, escape, 3);
    }
}

static bool is_ext_char(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z')
           || (c >= 'A' && c <= 'Z') || c == '_' || c == '+' || c == '-';
}

/* The length of the extension of a name, its dot included, or 0. */
static size_t ext_length(const char *name, size_t len)
{
    for (size_t i = 1; i < len && i <= EXT_MAX; i++) {
        if (name[len - i] == '.')
            return i > 1 ? i : 0;
        if (!is_ext_char(name[len - i]))
            return 0;
    }
    return 0;
}

/* The same for a component of any length; its text goes to ext. */
static size_t component_ext(const struct component *c, char ext[EXT_MAX + 1])
{
    char last[EXT_MAX + 1]; /* one more byte: the stem is not empty */
    size_t n = c->total < EXT_MAX ? c->total : EXT_MAX;

    for (size_t i = 0; i < n; i++)
        last[i + 1] = c->tail[(c->total - n + i) % EXT_MAX];
    last[0] = 'x';
    size_t len = c->total > n ? ext_length(last, n + 1)
                              : ext_length(last + 1, n);
    memcpy(ext, last + 1 + n - len, len);
    return len;
}

/* --- reading a URL ------------------------------------------------------ */

struct reader {
    const char *at;
    const char *end;
    bool decode; /* percent escapes */
    bool lower;  /* ASCII capitals become small: a host */
};

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* The next byte, decoded; -1 at the end. */
static int read_byte(struct reader *r)
{
    if (r->at == r->end)
        return -1;
    if (r->decode && r->at[0] == '%' && r->end - r->at >= 3
        && hex_value(r->at[1]) >= 0 && hex_value(r->at[2]) >= 0) {
        r->at += 3;
        return hex_value(r->at[-2]) << 4 | hex_value(r->at[-1]);
    }
    int byte = (unsigned char)*r->at++;
    return r->lower && byte >= 'A' && byte <= 'Z' ? byte - 'A' + 'a' : byte;
}

/* How many bytes a character has that begins with this one; 0: none does. */
static size_t utf8_length(int byte)
{
    if (byte < 0x80)
        return 1;
    if (byte < 0xc2)
        return 0;
    return byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : byte < 0xf5 ? 4 : 0;
}

/* Reads one character into bytes and *code, and returns its length, 0 at the
 * end.  A byte that belongs to no character is read alone, as NOT_UTF8. */
static size_t read_char(struct reader *r, unsigned char bytes[4],
                        uint32_t *code)
{
    static const uint32_t smallest[5] = { 0, 0, 0x80, 0x800, 0x10000 };
    int first = read_byte(r);

    if (first < 0)
        return 0;
    bytes[0] = (unsigned char)first;
    *code = NOT_UTF8;

    size_t n = utf8_length(first);
    struct reader ahead = *r;
    uint32_t value = n < 2 ? (uint32_t)first : (uint32_t)first & (0x7fU >> n);
    for (size_t i = 1; i < n; i++) {
        int byte = read_byte(&ahead);

        if (byte < 0 || (byte & 0xc0) != 0x80)
            return 1;
        bytes[i] = (unsigned char)byte;
        value = value << 6 | (uint32_t)(byte & 0x3f);
    }
    if (n == 0 || value < smallest[n] || value >= NOT_UTF8
        || (value >= 0xd800 && value <= 0xdfff))
        return 1;
    *r = ahead;
    *code = value;
    return n;
}

static bool follows_hex_pair(struct reader r)
{
    int a = read_byte(&r);
    int b = read_byte(&r);

    return a >= 0 && a < 0x80 && b >= 0 && b < 0x80
           && hex_value((char)a) >= 0 && hex_value((char)b) >= 0;
}

/* --- the mapping -------------------------------------------------------- */

/* Characters that may stand in no name: controls, general category Cf
 * (Unicode 16, with the unassigned code points between), and the line and
 * paragraph separators. */
static bool is_unsafe(uint32_t code)
{
    static const struct {
        uint32_t first, last;
    } ranges[] = {
        { 0x0000, 0x001f },   { 0x007f, 0x009f },   { 0x00ad, 0x00ad },
        { 0x0600, 0x0605 },   { 0x061c, 0x061c },   { 0x06dd, 0x06dd },
        { 0x070f, 0x070f },   { 0x0890, 0x0891 },   { 0x08e2, 0x08e2 },
        { 0x180e, 0x180e },   { 0x200b, 0x200f },   { 0x2028, 0x202e },
        { 0x2060, 0x206f },   { 0xfeff, 0xfeff },   { 0xfff9, 0xfffb },
        { 0x110bd, 0x110bd }, { 0x110cd, 0x110cd }, { 0x13430, 0x1343f },
        { 0x1bca0, 0x1bca3 }, { 0x1d173, 0x1d17a }, { 0xe0000, 0xe007f },
        { NOT_UTF8, NOT_UTF8 },
    };

    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
        if (code >= ranges[i].first && code <= ranges[i].last)
            return true;
    return false;
}

/* Appends what r reads.  decode tells a path segment from a query. */
static void put_text(struct component *c, struct reader r)
{
    unsigned char bytes[4];
    uint32_t code;
    size_t n;

    while ((n = read_char(&r, bytes, &code)) > 0) {
        bool first = c->total == 0 && (code == '.' || code == '-');
        bool special = r.decode
                       && (code == '?'
                           || (code == '%' && follows_hex_pair(r)));

        if (first || special || code == '/' || is_unsafe(code))
            put_escaped(c, bytes, n);
        else
            put_unit(c, (const char *)bytes, n);
    }
}

/* --- length ------------------------------------------------------------- */

/* The largest length up to limit at which text can be cut without tearing a
 * character or an escape.  text has more than limit bytes. */
static size_t cut_length(const char *text, size_t limit)
{
    size_t n = limit;

    while (n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80)
        n--;
    if (n >= 1 && text[n - 1] == '%')
        return n - 1;
    if (n >= 2 && text[n - 2] == '%')
        return n - 2;
    return n;
}

/* What a name is put together from. */
struct parts {
    const char *stem; /* its beginning at least, if it is to be cut */
    size_t stem_len;
    const char *number; /* ".7", or "" */
    const char *ext;
    size_t ext_len;
    const char *url; /* hashed, if the name has to be cut */
    size_t url_len;
    bool cut; /* even where it would fit */
};

static int join_parts(struct pf_digest *digest, const struct parts *p,
                      char name[PF_NAME_SIZE])
{
    size_t number_len = strlen(p->number);
    size_t rest = number_len + p->ext_len;
    size_t stem_len = p->stem_len;
    char hash[HASH_TEXT + 1] = "";

    if (p->cut || stem_len + rest > PF_NAME_MAX) {
        uint8_t sum[PF_DIGEST_BYTES];

        if (pf_digest_sum(digest, 0, p->url, p->url_len, sum) != 0)
            return PFETCH_ENOMEM;
        hash[0] = '~';
        pf_digest_hex(sum, HASH_BYTES, hash + 1);
        if (stem_len > PF_NAME_MAX - HASH_TEXT - rest)
            stem_len = cut_length(p->stem, PF_NAME_MAX - HASH_TEXT - rest);
    }
    char *out = name;
    memcpy(out, p->stem, stem_len);
    out += stem_len;
    memcpy(out, hash, strlen(hash));
    out += strlen(hash);
    memcpy(out, p->number, number_len);
    out += number_len;
    memcpy(out, p->ext, p->ext_len);
    out[p->ext_len] = '\0';
    return 0;
}

/* The finished name of a component that ends at url + url_len. */
static int finish_component(struct pf_digest *digest,
                            const struct component *c, const char *url,
                            size_t url_len, bool cut, char name[PF_NAME_SIZE])
{
    char ext[EXT_MAX + 1];
    size_t ext_len = component_ext(c, ext);
    struct parts parts = {
        .stem = c->head,
        .stem_len = c->total - ext_len,
        .number = "",
        .ext = ext,
        .ext_len = ext_len,
        .url = url,
        .url_len = url_len,
        .cut = cut,
    };

    return join_parts(digest, &parts, name);
}

/* --- URLs --------------------------------------------------------------- */

struct split {
    const char *url;
    const char *host;
    const char *path;  /* the end of the host */
    const char *last;  /* the last segment */
    const char *query; /* the end of the path: '?' or end */
    const char *end;
};

static struct split split_url(const char *url)
{
    struct split s = { .url = url, .host = url };
    const char *scheme_end = strstr(url, "://");

    if (scheme_end != NULL)
        s.host = scheme_end + 3;
    s.end = s.host + strcspn(s.host, "#");
    s.query = s.host + strcspn(s.host, "?#");
    s.path = s.host + strcspn(s.host, "/?#");
    s.last = s.query;
    while (s.last > s.path && s.last[-1] != '/')
        s.last--;
    return s;
}

static int finish_last(struct pf_digest *digest, const struct split *s,
                       bool cut, char name[PF_NAME_SIZE])
{
    struct component c = { .total = 0 };

    put_text(&c, (struct reader){ s->last, s->query, true, false });
    if (c.total == 0)
        put_unit(&c, "index.html", strlen("index.html"));
    put_text(&c, (struct reader){ s->query, s->end, false, false });
    return finish_component(digest, &c, s->url, (size_t)(s->end - s->url),
                            cut, name);
}

int pf_outname_basename(struct pf_digest *digest, const char *url,
                        char name[PF_NAME_SIZE])
{
    struct split s = split_url(url);

    return finish_last(digest, &s, false, name);
}

int pf_outname_hash(struct pf_digest *digest, const char *url,
                    char name[PF_NAME_SIZE])
{
    uint8_t sum[PF_DIGEST_BYTES];

    if (pf_digest_sum(digest, 0, url, strlen(url), sum) != 0)
        return PFETCH_ENOMEM;
    pf_digest_hex(sum, PF_URL_HASH_BYTES, name);
    return 0;
}

/* Appends the directory that stands between from and to in the URL, and a
 * slash, to path.  Nothing for an empty one.  *fits becomes false when there
 * would be no room for the last name any more. */
static int add_dir(struct pf_digest *digest, const struct split *s,
                   const char *from, const char *to, char path[PF_PATH_SIZE],
                   bool *fits)
{
    struct component c = { .total = 0 };
    char name[PF_NAME_SIZE];

    put_text(&c, (struct reader){ from, to, true, from == s->host });
    if (c.total == 0)
        return 0;
    if (finish_component(digest, &c, s->url, (size_t)(to - s->url), false,
                         name) != 0)
        return PFETCH_ENOMEM;
    size_t len = strlen(path);
    size_t name_len = strlen(name);
    if (len + name_len + 1 + PF_NAME_SIZE > PF_PATH_SIZE) {
        *fits = false;
        return 0;
    }
    memcpy(path + len, name, name_len);
    memcpy(path + len + name_len, "/", sizeof "/");
    return 0;
}

int pf_outname_path(struct pf_digest *digest, const char *url,
                    char path[PF_PATH_SIZE])
{
    struct split s = split_url(url);
    bool fits = true;

    path[0] = '\0';
    if (add_dir(digest, &s, s.host, s.path, path, &fits) != 0)
        return PFETCH_ENOMEM;
    size_t host_len = strlen(path);
    for (const char *from = s.path; from < s.last && fits;) {
        const char *to = memchr(from, '/', (size_t)(s.last - from));

        if (add_dir(digest, &s, from, to, path, &fits) != 0)
            return PFETCH_ENOMEM;
        from = to + 1;
    }
    if (!fits)
        path[host_len] = '\0';
    return finish_last(digest, &s, !fits, path + strlen(path));
}

/* --- numbers ------------------------------------------------------------ */

const char *pf_outname_last(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash != NULL ? slash + 1 : path;
}

int pf_outname_number(struct pf_digest *digest, const char *path,
                      uint32_t number, const char *url,
                      char numbered[PF_PATH_SIZE])
{
    const char *name = pf_outname_last(path);
    size_t len = strlen(name);
    size_t ext_len = ext_length(name, len);
    char text[NUMBER_TEXT];
    struct parts parts = {
        .stem = name,
        .stem_len = len - ext_len,
        .number = text,
        .ext = name + len - ext_len,
        .ext_len = ext_len,
        .url = url,
        .url_len = strlen(url),
    };

    (void)snprintf(text, sizeof text, ".%u", (unsigned)number);
    memcpy(numbered, path, (size_t)(name - path));
    return join_parts(digest, &parts, numbered + (name - path));
}

/* The number behind the last dot of the first len bytes, or 0. */
static uint32_t number_at_end(const char *name, size_t len)
{
    uint64_t value = 0;
    uint64_t unit = 1;

    for (size_t i = 1; i < len && i <= 11; i++, unit *= 10) {
        char c = name[len - i];

        if (c == '.')
            return i > 1 && name[len - i + 1] != '0' && value <= INT32_MAX
                       ? (uint32_t)value
                       : 0;
        if (c < '0' || c > '9')
            return 0;
        value += (uint64_t)(c - '0') * unit;
    }
    return 0;
}

uint32_t pf_outname_number_of(const char *name)
{
    size_t len = strlen(name);
    size_t ext_len = ext_length(name, len);
    uint32_t number = number_at_end(name, len - ext_len);

    /* "b.2" is "b" with a number: there the number looks as an extension. */
    return number != 0 ? number : number_at_end(name, len);
}
