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
 *
 * Every mode is a template, expanded from left to right into one component
 * after the other.  All text goes through put_text(), and all components
 * through finish_component(): there is no other way into a name.
 */
#include "config.h"

#include "outname.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "pfetch.h"

enum {
    EXT_MAX = 16,                        /* the dot included */
    TAIL_SIZE = 2 * EXT_MAX,             /* drop_end() leaves one of them */
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
    char tail[TAIL_SIZE];    /* a ring: byte i stands at i % TAIL_SIZE */
};

/* Appends a character or an escape, which is not torn. */
static void put_unit(struct component *c, const char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        c->tail[c->total++ % TAIL_SIZE] = bytes[i];
    if (c->full || c->head_len + n > PF_NAME_MAX) {
        c->full = true;
        return;
    }
    memcpy(c->head + c->head_len, bytes, n);
    c->head_len += n;
}

/* Takes back the last n bytes, up to EXT_MAX, each of them a unit. */
static void drop_end(struct component *c, size_t n)
{
    c->total -= n;
    if (c->head_len >= c->total) {
        c->head_len = c->total;
        c->full = false;
    }
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
        last[i + 1] = c->tail[(c->total - n + i) % TAIL_SIZE];
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

/* The last path segment. */
static void put_segment(struct component *c, const struct split *s)
{
    if (s->last == s->query)
        put_unit(c, "index.html", strlen("index.html"));
    else
        put_text(c, (struct reader){ s->last, s->query, true, false });
}

static void put_base(struct component *c, const struct split *s)
{
    put_segment(c, s);
    put_text(c, (struct reader){ s->query, s->end, false, false });
}

/* The extension of the last path segment. */
static size_t segment_ext(const struct split *s, char ext[EXT_MAX + 1])
{
    struct component c = { .total = 0 };

    put_segment(&c, s);
    return component_ext(&c, ext);
}

static void put_literal(struct component *c, const char *text, size_t len)
{
    put_text(c, (struct reader){ text, text + len, false, false });
}

/* --- templates ---------------------------------------------------------- */

enum token {
    TOKEN_END,
    TOKEN_TEXT,
    TOKEN_SLASH,
    TOKEN_HOST, /* the words, in the order of words[] */
    TOKEN_PATH,
    TOKEN_BASE,
    TOKEN_STEM,
    TOKEN_EXT,
    TOKEN_N,
    TOKEN_HASH,
    TOKEN_UNKNOWN, /* a word that is none */
    TOKEN_UNBALANCED
};

static enum token read_word(const char *word, size_t len)
{
    static const char *const words[] = { "host", "path", "base", "stem",
                                         "ext", "n", "hash" };

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strlen(words[i]) == len && memcmp(words[i], word, len) == 0)
            return (enum token)(TOKEN_HOST + i);
    return TOKEN_UNKNOWN;
}

/* Reads the token at *at and moves behind it; *text and *len are what it
 * stands for (a text) or consists of. */
static enum token read_token(const char **at, const char **text, size_t *len)
{
    const char *s = *at;
    enum token token = TOKEN_TEXT;

    *text = s;
    *len = 1;
    if (s[0] == '\0')
        return TOKEN_END;
    if ((s[0] == '{' || s[0] == '}') && s[1] == s[0]) {
        *at = s + 2;
        return TOKEN_TEXT;
    }
    if (strncmp(s, ".{ext}", 6) == 0) { /* the dot is the extension's */
        token = TOKEN_EXT;
        *len = 6;
    } else if (s[0] == '{') {
        *len = strcspn(s, "}");
        token = s[*len] == '\0' ? TOKEN_UNBALANCED
                                : read_word(s + 1, *len - 1);
        *len += s[*len] == '}';
    } else if (s[0] == '}') {
        token = TOKEN_UNBALANCED;
    } else if (s[0] == '/') {
        token = TOKEN_SLASH;
    } else {
        *len = 1 + strcspn(s + 1, "{}/.");
    }
    *at = s + *len;
    return token;
}

/* A path on its way. */
struct builder {
    struct pf_digest *digest;
    struct split url;
    uint64_t n;
    struct component c; /* the one being written */
    const char *used;   /* up to where it depends on the URL */
    char *path;         /* the directories, each with its slash */
    size_t len;
    size_t kept;        /* what stays of them if they are too many */
    bool fits;
};

static void use(struct builder *b, const char *end)
{
    if (b->used < end)
        b->used = end;
}

/* Ends a component that is a directory, and begins another.  An empty one is
 * left out. */
static int end_dir(struct builder *b)
{
    const char *used = b->used;
    char name[PF_NAME_SIZE];

    b->used = b->url.url;
    if (b->c.total == 0 || !b->fits) {
        b->c = (struct component){ .total = 0 };
        return 0;
    }
    if (finish_component(b->digest, &b->c, b->url.url,
                         (size_t)(used - b->url.url), false, name) != 0)
        return PFETCH_ENOMEM;
    b->c = (struct component){ .total = 0 };
    size_t name_len = strlen(name);
    if (b->len + name_len + 1 + PF_NAME_SIZE
        > PF_PATH_SIZE - PF_FAN_OUT_SIZE) {
        b->fits = false;
        b->len = b->kept;
        return 0;
    }
    memcpy(b->path + b->len, name, name_len);
    b->path[b->len + name_len] = '/';
    b->len += name_len + 1;
    return 0;
}

/* The path of the URL: its directories, and the base. */
static int put_path(struct builder *b)
{
    b->kept = b->fits ? b->len : b->kept;
    for (const char *from = b->url.path; from < b->url.last;) {
        const char *to = memchr(from, '/', (size_t)(b->url.last - from));

        if (from < to) {
            put_text(&b->c, (struct reader){ from, to, true, false });
            use(b, to);
            if (end_dir(b) != 0)
                return PFETCH_ENOMEM;
        }
        from = to + 1;
    }
    put_base(&b->c, &b->url);
    use(b, b->url.end);
    return 0;
}

static int put_hash(struct builder *b)
{
    uint8_t sum[PF_DIGEST_BYTES];
    char hex[2 * PF_URL_HASH_BYTES + 1];

    if (pf_digest_sum(b->digest, 0, b->url.url, strlen(b->url.url), sum) != 0)
        return PFETCH_ENOMEM;
    pf_digest_hex(sum, PF_URL_HASH_BYTES, hex);
    put_literal(&b->c, hex, strlen(hex));
    return 0;
}

static void put_number(struct builder *b)
{
    char text[sizeof "18446744073709551615"];
    int len = snprintf(text, sizeof text, "%llu", (unsigned long long)b->n);

    put_literal(&b->c, text, (size_t)len);
}

/* A word that makes no separator. */
static int put_word(struct builder *b, enum token word)
{
    const struct split *url = &b->url;
    char ext[EXT_MAX + 1];

    use(b, word == TOKEN_HOST ? url->path : url->end);
    switch (word) {
    case TOKEN_HOST:
        put_text(&b->c, (struct reader){ url->host, url->path, true, true });
        return 0;
    case TOKEN_BASE:
        put_base(&b->c, url);
        return 0;
    case TOKEN_STEM:
        put_segment(&b->c, url);
        drop_end(&b->c, segment_ext(url, ext));
        return 0;
    case TOKEN_EXT:
        put_literal(&b->c, ext, segment_ext(url, ext));
        return 0;
    case TOKEN_N:
        put_number(b);
        return 0;
    default:
        return put_hash(b);
    }
}

static int put_token(struct builder *b, enum token token, const char *text,
                     size_t len)
{
    switch (token) {
    case TOKEN_TEXT:
        put_literal(&b->c, text, len);
        return 0;
    case TOKEN_SLASH:
        return end_dir(b);
    case TOKEN_PATH:
        return put_path(b);
    default:
        return put_word(b, token);
    }
}

int pf_outname_expand(struct pf_digest *digest, const char *template,
                      const char *url, uint64_t n, char *path)
{
    struct builder b = { .digest = digest, .url = split_url(url), .n = n,
                         .used = url, .path = path, .fits = true };
    const char *text;
    size_t len;

    for (enum token token;
         (token = read_token(&template, &text, &len)) < TOKEN_UNKNOWN
         && token != TOKEN_END;)
        if (put_token(&b, token, text, len) != 0)
            return PFETCH_ENOMEM;
    if (b.c.total == 0) /* "d/{ext}" where there is none */
        put_unit(&b.c, "index.html", strlen("index.html"));
    return finish_component(digest, &b.c, url,
                            (size_t)(b.url.end - b.url.url), !b.fits,
                            path + b.len);
}

/* --- what is allowed ---------------------------------------------------- */

/* What is wrong with a text that begins (first) or goes on with a component;
 * NULL: nothing. */
static const char *find_wrong(const char *text, size_t len, bool first)
{
    struct reader r = { text, text + len, false, false };
    unsigned char bytes[4];
    uint32_t code;

    if (first && len > 0 && (text[0] == '.' || text[0] == '-'))
        return "a name must not begin with '.' or '-'";
    while (read_char(&r, bytes, &code) > 0) {
        if (code == NOT_UTF8)
            return "it is not UTF-8";
        if (is_unsafe(code))
            return "it holds a control or format character";
    }
    return NULL;
}

const char *pf_outname_check_template(const char *template)
{
    bool first = true; /* the component is empty so far */

    if (template[0] == '/')
        return "it is not relative";
    for (;;) {
        const char *text, *wrong = NULL;
        size_t len;
        enum token token = read_token(&template, &text, &len);

        if (token == TOKEN_UNKNOWN)
            return "it has a word that is none of {host}, {path}, {base}, "
                   "{stem}, {ext}, {n} and {hash}";
        if (token == TOKEN_UNBALANCED)
            return "a brace has no partner ({{ and }} stand for braces)";
        if ((token == TOKEN_SLASH || token == TOKEN_END) && first)
            return "a name in it is empty";
        if (token == TOKEN_TEXT)
            wrong = find_wrong(text, len, first);
        if (wrong != NULL || token == TOKEN_END)
            return wrong;
        first = token == TOKEN_SLASH;
    }
}

bool pf_outname_has_number(const char *template)
{
    const char *text;
    size_t len;
    enum token token;

    do
        token = read_token(&template, &text, &len);
    while (token < TOKEN_UNKNOWN && token != TOKEN_END && token != TOKEN_N);
    return token == TOKEN_N;
}

const char *pf_outname_check(const char *path)
{
    if (path[0] == '/')
        return "it is not relative";
    if (strlen(path) >= PF_PATH_SIZE - PF_NAME_SIZE)
        return "it is too long";
    for (;;) {
        size_t len = strcspn(path, "/");
        const char *wrong = find_wrong(path, len, true);

        if (len == 0)
            return "a name in it is empty";
        if (len > PF_NAME_MAX)
            return "a name in it is longer than 240 bytes";
        if (wrong != NULL || path[len] == '\0')
            return wrong;
        path += len + 1;
    }
}

bool pf_outname_is_utf8(const char *text, size_t len)
{
    struct reader r = { text, text + len, false, false };
    unsigned char bytes[4];
    uint32_t code;

    while (read_char(&r, bytes, &code) > 0)
        if (code == NOT_UTF8)
            return false;
    return true;
}

/* --- other texts -------------------------------------------------------- */

int pf_outname_text(struct pf_digest *digest, const char *text,
                    const char *url, char name[PF_NAME_SIZE])
{
    struct component c = { .total = 0 };

    put_literal(&c, text, strlen(text));
    return finish_component(digest, &c, url, strlen(url), false, name);
}

void pf_outname_fan_out(const uint8_t *hash, unsigned dirs,
                        char dir[PF_FAN_OUT_SIZE])
{
    uint32_t high = (uint32_t)hash[0] << 24 | (uint32_t)hash[1] << 16
                    | (uint32_t)hash[2] << 8 | hash[3];
    unsigned index = (unsigned)((uint64_t)high * dirs >> 32);
    size_t width = 1;

    for (unsigned last = (dirs - 1) >> 4; last > 0; last >>= 4)
        width++;
    memcpy(dir + width, "/", sizeof "/");
    for (size_t i = width; i-- > 0; index >>= 4)
        dir[i] = "0123456789abcdef"[index & 15];
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
