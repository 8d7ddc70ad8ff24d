/* resume.c - what earlier runs have recorded as ok.
 *
 * SPDX-License-Identifier: MIT
 *
 * A report may have millions of lines, of which five fields count: schema,
 * url, status, path, bytes and checksum.  A scanner of our own finds them in a
 * fraction of the time in which jansson makes a tree of the record.  It reads JSON as any
 * program may have written it (white space, other orders, UTF-8 instead of
 * \u), and refuses a line in which anything is wrong, so that a record that
 * was torn, or torn and mended, never counts.
 *
 * Texts are decoded where they stand, since they only get shorter.
 *
 * The table is that of nametable.c: open addressing in 256 segments, of which
 * one at a time grows, by a sixteenth, so that a million records need little
 * more memory than their entries.  A key has 64 bits: that two of a million
 * records share one, and the size of a file agrees too, will not happen.
 */
#include "config.h"

#include "resume.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "utf8.h"

enum {
    LINE_BYTES_MAX = 1 << 20, /* a longer one is no record of ours */
    DEPTH = 16,               /* of brackets */
    SEGMENTS = 256,
    GROWTH = 16 /* a segment grows by this part */
};

/* Both halves of the key 0: empty. */
struct entry {
    uint32_t high;
    uint32_t low;
    uint32_t size; /* hashed; of KEY_FAILED: whether it failed last */
    uint32_t sum;  /* the checksum, hashed; 0: none */
};

struct segment {
    struct entry *entries; /* NULL while capacity is 0 */
    uint32_t capacity;
    uint32_t used;
};

struct pf_resume {
    enum pf_resume_rule rule;
    uint64_t ignored;
    char *url; /* heap: room for a masked one */
    size_t url_size;
    size_t bytes;
    struct segment segments[SEGMENTS];
};

/* --- hashes --------------------------------------------------------------- */

/* What a key is about: a URL under a path, or a URL that failed. */
enum key { KEY_OK = 1, KEY_FAILED };

/* FNV-1a; the NUL is hashed, too, so that texts stay apart. */
static uint64_t hash_text(uint64_t hash, const char *text)
{
    do
        hash = (hash ^ (unsigned char)*text) * UINT64_C(1099511628211);
    while (*text++ != '\0');
    return hash;
}

/* Spreads what FNV leaves in the low bits (MurmurHash3's last step). */
static uint64_t spread(uint64_t hash)
{
    hash = (hash ^ hash >> 33) * UINT64_C(0xff51afd7ed558ccd);
    hash = (hash ^ hash >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
    return hash ^ hash >> 33;
}

static uint64_t make_key(enum key kind, const char *url, const char *path)
{
    uint64_t hash = UINT64_C(14695981039346656037) + (uint64_t)kind;
    uint64_t key = spread(hash_text(hash_text(hash, url), path));

    return key != 0 ? key : 1;
}

static uint32_t hash_size(int64_t bytes)
{
    return (uint32_t)spread((uint64_t)bytes + 1);
}

/* Of "sha256:..." in upper or lower case; 0: there is none. */
static uint32_t hash_sum(const char *checksum)
{
    uint64_t hash = 1;

    if (checksum == NULL)
        return 0;
    for (; *checksum != '\0'; checksum++) {
        unsigned char c = (unsigned char)*checksum;

        if (c >= 'A' && c <= 'Z')
            c = (unsigned char)(c - 'A' + 'a');
        hash = (hash ^ c) * UINT64_C(1099511628211);
    }
    return (uint32_t)spread(hash) | 1;
}

/* --- the table ------------------------------------------------------------ */

/* The entry of a key, or the empty one where it belongs.  The segment has an
 * empty entry. */
static struct entry *probe(const struct segment *segment, uint64_t key)
{
    uint32_t high = (uint32_t)(key >> 32);
    uint32_t low = (uint32_t)key;
    uint32_t i = (uint32_t)((uint64_t)low * segment->capacity >> 32);

    for (;;) {
        struct entry *entry = &segment->entries[i];

        if ((entry->high == high && entry->low == low) ||
            (entry->high == 0 && entry->low == 0))
            return entry;
        if (++i == segment->capacity)
            i = 0;
    }
}

static bool grow(struct pf_resume *resume, struct segment *segment)
{
    struct segment larger = {.used = segment->used};

    larger.capacity = segment->capacity + segment->capacity / GROWTH + 2;
    larger.entries = calloc(larger.capacity, sizeof(*larger.entries));
    if (larger.entries == NULL)
        return false;
    for (uint32_t i = 0; i < segment->capacity; i++) {
        const struct entry *entry = &segment->entries[i];

        if (entry->high != 0 || entry->low != 0)
            *probe(&larger, (uint64_t)entry->high << 32 | entry->low) =
                *entry;
    }
    resume->bytes += (larger.capacity - segment->capacity) *
                     sizeof(struct entry);
    free(segment->entries);
    *segment = larger;
    return true;
}

/* NULL: it is not there. */
static struct entry *find(struct pf_resume *resume, uint64_t key)
{
    const struct segment *segment = &resume->segments[key >> 56];

    if (segment->capacity == 0)
        return NULL;
    struct entry *entry = probe(segment, key);
    return entry->high == 0 && entry->low == 0 ? NULL : entry;
}

/* Finds it, or makes it; NULL: out of memory. */
static struct entry *add(struct pf_resume *resume, uint64_t key)
{
    struct segment *segment = &resume->segments[key >> 56];
    struct entry *entry = find(resume, key);

    if (entry != NULL)
        return entry;
    if ((segment->used + UINT64_C(1)) * 16 >
            segment->capacity * UINT64_C(15) &&
        !grow(resume, segment))
        return NULL;
    entry = probe(segment, key);
    entry->high = (uint32_t)(key >> 32);
    entry->low = (uint32_t)key;
    segment->used++;
    return entry;
}

/* --- the scanner ---------------------------------------------------------- */

/* What counts of a record. */
struct record {
    bool schema;   /* it is 1 */
    const char *url, *status, *path, *checksum; /* NULL: absent */
    int64_t bytes; /* -1: absent */
};

static char *skip_blanks(char *at)
{
    while (*at == ' ' || *at == '\t' || *at == '\r')
        at++;
    return at;
}

/* Reads four hexadecimal digits; -1: they are none. */
static long scan_hex(const char *at)
{
    long value = 0;

    for (int i = 0; i < 4; i++) {
        char c = at[i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;

        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

/* Reads the digits behind "\u", of a surrogate those of both; *at moves
 * behind them.  -1: this is no character, or NUL. */
static long scan_escape(const char **at)
{
    long c = scan_hex(*at);

    if (c < 0)
        return -1;
    *at += 4;
    if (c < 0xd800 || c > 0xdfff)
        return c > 0 ? c : -1;
    if (c > 0xdbff || (*at)[0] != '\\' || (*at)[1] != 'u')
        return -1;
    long low = scan_hex(*at + 2);
    if (low < 0xdc00 || low > 0xdfff)
        return -1;
    *at += 6;
    return 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
}

static char *put_utf8(char *out, long c)
{
    if (c < 0x80) {
        *out++ = (char)c;
        return out;
    }
    if (c < 0x800) {
        *out++ = (char)(0xc0 | c >> 6);
    } else {
        if (c < 0x10000) {
            *out++ = (char)(0xe0 | c >> 12);
        } else {
            *out++ = (char)(0xf0 | c >> 18);
            *out++ = (char)(0x80 | (c >> 12 & 0x3f));
        }
        *out++ = (char)(0x80 | (c >> 6 & 0x3f));
    }
    *out++ = (char)(0x80 | (c & 0x3f));
    return out;
}

/* Decodes the text that begins at the quote *at, in place, NUL-terminated,
 * and returns it; *at moves behind its end.  NULL: there is none. */
static const char *scan_text(char **at)
{
    static const char escapes[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    char *begin = *at + 1, *out = begin;
    const char *in = begin;

    if (**at != '"')
        return NULL;
    for (;;) {
        /* By hand: most texts are too short for strcspn(3) to pay. */
        while ((unsigned char)*in >= 0x20 && (unsigned char)*in < 0x80 &&
               *in != '"' && *in != '\\')
            *out++ = *in++;
        if (*in == '"')
            break;
        if ((unsigned char)*in >= 0x80) {
            size_t length = pf_utf8_length(in);

            if (length == 0)
                return NULL;
            memmove(out, in, length);
            out += length;
            in += length;
            continue;
        }
        if (*in != '\\')
            return NULL; /* a control character, or the end of the line */
        const char *escape = in[1] != '\0' ? strchr(escapes, in[1]) : NULL;
        in += 2;
        if (escape != NULL) {
            *out++ = meant[escape - escapes];
        } else {
            long c = in[-1] == 'u' ? scan_escape(&in) : -1;

            if (c < 0)
                return NULL;
            out = put_utf8(out, c);
        }
    }
    *at += in - *at + 1;
    *out = '\0';
    return begin;
}

/* Steps over digits; false: there are none. */
static bool skip_digits(char **at)
{
    size_t length = strspn(*at, "0123456789");

    *at += length;
    return length > 0;
}

/* Steps over a number. */
static bool skip_number(char **at)
{
    *at += **at == '-';
    if (**at == '0')
        (*at)++;
    else if (!skip_digits(at))
        return false;
    if (**at == '.') {
        (*at)++;
        if (!skip_digits(at))
            return false;
    }
    if (**at != 'e' && **at != 'E')
        return true;
    (*at)++;
    *at += **at == '+' || **at == '-';
    return skip_digits(at);
}

static bool skip_word(char **at, const char *word)
{
    size_t length = strlen(word);

    if (strncmp(*at, word, length) != 0)
        return false;
    *at += length;
    return true;
}

/* Reads a key and its colon; *at moves to the value.  NULL: there is none. */
static const char *scan_key(char **at)
{
    *at = skip_blanks(*at);
    const char *key = scan_text(at);

    if (key == NULL)
        return NULL;
    *at = skip_blanks(*at);
    if (**at != ':')
        return NULL;
    *at = skip_blanks(*at + 1);
    return key;
}

/* Steps over any value.  A record has one object in another; deeper than
 * DEPTH is none of ours. */
static bool skip_value(char **at, unsigned depth)
{
    char open = **at, close = open == '{' ? '}' : ']';

    if (open == '"')
        return scan_text(at) != NULL;
    if (open == 't' || open == 'f' || open == 'n')
        return skip_word(at, "true") || skip_word(at, "false") ||
               skip_word(at, "null");
    if (open != '{' && open != '[')
        return skip_number(at);
    *at = skip_blanks(*at + 1);
    if (**at != close) {
        for (;; (*at)++) {
            if (depth == DEPTH || (open == '{' && scan_key(at) == NULL))
                return false;
            *at = skip_blanks(*at);
            if (!skip_value(at, depth + 1))
                return false;
            *at = skip_blanks(*at);
            if (**at != ',')
                break;
        }
        if (**at != close)
            return false;
    }
    (*at)++;
    return true;
}

/* A whole number, not below 0. */
static bool scan_number(char **at, int64_t *number)
{
    char *begin = *at, *end;

    if (*begin == '-' || !skip_number(at))
        return false;
    errno = 0;
    *number = strtoll(begin, &end, 10);
    return errno == 0 && end == *at;
}

/* Reads the value of a key. */
static bool scan_value(char **at, const char *key, struct record *record)
{
    const char **text = strcmp(key, "url") == 0        ? &record->url
                        : strcmp(key, "status") == 0   ? &record->status
                        : strcmp(key, "path") == 0     ? &record->path
                        : strcmp(key, "checksum") == 0 ? &record->checksum
                                                       : NULL;
    int64_t number;

    if (text != NULL)
        return *text == NULL && (*text = scan_text(at)) != NULL;
    if (strcmp(key, "bytes") == 0)
        return record->bytes < 0 && scan_number(at, &record->bytes);
    if (strcmp(key, "schema") != 0)
        return skip_value(at, 0);
    if (record->schema || !scan_number(at, &number))
        return false;
    record->schema = number == 1;
    return record->schema;
}

/* Reads a line, NUL-terminated, destroying it.  False: it is no record. */
static bool scan_record(char *line, struct record *record)
{
    char *at = skip_blanks(line);

    *record = (struct record){.bytes = -1};
    if (*at != '{')
        return false;
    do {
        at++;
        const char *key = scan_key(&at);
        if (key == NULL || !scan_value(&at, key, record))
            return false;
        at = skip_blanks(at);
    } while (*at == ',');
    return *at == '}' && *skip_blanks(at + 1) == '\0' && record->schema;
}

/* --- loading -------------------------------------------------------------- */

static bool keep_ok(struct pf_resume *resume, const struct record *record)
{
    bool by_path = resume->rule == PF_RESUME_PATH && record->path != NULL;
    const char *path = by_path ? record->path : "";
    struct entry *entry =
        find(resume, make_key(KEY_FAILED, record->url, ""));

    if (entry != NULL)
        entry->size = false;
    entry = add(resume, make_key(KEY_OK, record->url, path));
    if (entry == NULL)
        return false;
    entry->size = hash_size(record->bytes);
    entry->sum = hash_sum(record->checksum);
    return true;
}

/* False: out of memory. */
static bool take_line(struct pf_resume *resume, char *line, size_t size)
{
    struct record record;

    if (line[strspn(line, " \t\r")] == '\0' && strlen(line) == size)
        return true;
    if (strlen(line) != size || !scan_record(line, &record)) {
        resume->ignored++;
        return true;
    }
    if (record.url == NULL || record.status == NULL)
        return true; /* one that stands for lines not read */
    if (strcmp(record.status, "ok") == 0)
        return (record.bytes < 0 && resume->rule != PF_RESUME_HEAD) ||
               keep_ok(resume, &record);
    if (strcmp(record.status, "failed") != 0)
        return true;
    struct entry *entry = add(resume, make_key(KEY_FAILED, record.url, ""));
    if (entry != NULL)
        entry->size = true;
    return entry != NULL;
}

/* A file being read, into a buffer of LINE_BYTES_MAX and one more. */
struct reader {
    int fd;
    char *buffer;
    size_t used;
    bool overlong; /* the beginning of this line was dropped */
};

/* Takes the whole lines out of what was read.  False: out of memory. */
static bool take_lines(struct pf_resume *resume, struct reader *reader,
                       bool at_end)
{
    char *line = reader->buffer, *end = line + reader->used, *stop;

    while (line < end) {
        stop = memchr(line, '\n', (size_t)(end - line));
        if (stop == NULL && !at_end)
            break;
        if (stop == NULL)
            stop = end;
        *stop = '\0';
        if (reader->overlong)
            resume->ignored++;
        else if (!take_line(resume, line, (size_t)(stop - line)))
            return false;
        reader->overlong = false;
        line = stop + 1;
    }
    reader->used = line < end ? (size_t)(end - line) : 0;
    memmove(reader->buffer, line, reader->used);
    if (reader->used == LINE_BYTES_MAX) {
        reader->overlong = true;
        reader->used = 0;
    }
    return true;
}

/* 0, or an errno. */
static int read_all(struct pf_resume *resume, struct reader *reader)
{
    for (;;) {
        ssize_t got = read(reader->fd, reader->buffer + reader->used,
                           LINE_BYTES_MAX - reader->used);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return errno;
        reader->used += (size_t)got;
        if (!take_lines(resume, reader, got == 0))
            return ENOMEM;
        if (got == 0)
            return 0;
    }
}

int pf_resume_load(struct pf_resume *resume, const char *file,
                   struct pfetch_failure *why)
{
    struct reader reader = {
        .fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY)};
    int error;

    if (reader.fd < 0) {
        pfetch_failure_set(why, PFETCH_CLASS_NONE, "%.150s: cannot open: %s",
                           file, strerror(errno));
        return -1;
    }
    reader.buffer = malloc(LINE_BYTES_MAX + 1);
    error = reader.buffer != NULL ? read_all(resume, &reader) : ENOMEM;
    free(reader.buffer);
    (void)close(reader.fd); /* only read from */
    if (error == 0)
        return 0;
    pfetch_failure_set(why,
                       error == EISDIR ? PFETCH_CLASS_NONE
                                       : PFETCH_CLASS_LOCAL,
                       "%.150s: cannot read: %s", file, strerror(error));
    return -1;
}

uint64_t pf_resume_ignored(const struct pf_resume *resume)
{
    return resume->ignored;
}

/* --- asking --------------------------------------------------------------- */

bool pf_resume_has(struct pf_resume *resume,
                   const struct pfetch_request *request, const char *path,
                   int64_t size_bytes)
{
    bool by_path = resume->rule == PF_RESUME_PATH;
    size_t room = 3 * strlen(request->url) + 16; /* all escaped, the mask */

    if (resume->url_size < room) {
        free(resume->url);
        resume->url = malloc(room);
        resume->url_size = resume->url != NULL ? room : 0;
        if (resume->url == NULL)
            return false; /* fetched again: no harm */
    }
    const char *url = pfetch_redact(request->url, resume->url,
                                    resume->url_size);
    const struct entry *failed = find(resume, make_key(KEY_FAILED, url, ""));
    const struct entry *entry =
        find(resume, make_key(KEY_OK, url, by_path ? path : ""));

    if (entry == NULL || (failed != NULL && failed->size))
        return false;
    if (size_bytes >= 0 && entry->size != hash_size(size_bytes))
        return false;
    if (request->has_size && entry->size != hash_size(request->size_bytes))
        return false;
    return request->checksum == NULL ||
           entry->sum == hash_sum(request->checksum);
}

/* --- create and free ------------------------------------------------------ */

struct pf_resume *pf_resume_create(enum pf_resume_rule rule)
{
    struct pf_resume *resume = calloc(1, sizeof(*resume));

    if (resume != NULL)
        resume->rule = rule;
    return resume;
}

void pf_resume_free(struct pf_resume *resume)
{
    if (resume == NULL)
        return;
    for (size_t i = 0; i < SEGMENTS; i++)
        free(resume->segments[i].entries);
    free(resume->url);
    free(resume);
}

size_t pf_resume_bytes(const struct pf_resume *resume)
{
    return resume->bytes;
}
