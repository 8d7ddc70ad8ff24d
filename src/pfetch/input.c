/* input.c - the reader of lists.
 *
 * SPDX-License-Identifier: MIT
 *
 * All lists are opened first, so that a wrong name ends the program before
 * anything was requested, then read one after the other into one buffer.  A
 * line is handed out where it lies in the buffer, its end overwritten with
 * NUL: no copy and no allocation for a line.  What is left of an incomplete
 * line moves to the front of the buffer before more is read behind it.
 *
 * The buffer holds more than the longest line.  When a line gets longer than
 * that, what was read of it is dropped as it comes, and the line fails at its
 * end.
 *
 * Waiting: before a descriptor that is not a regular file is read, poll(2)
 * waits for it and for a pipe to which pf_input_stop() writes.  A FIFO is
 * opened without blocking; poll() then waits for its first writer.  Standard
 * input stays as it is: O_NONBLOCK would be seen by every process that
 * shares it.
 *
 * A list that begins with the byte order mark of UTF-16 fails line by line
 * (lines end at each newline byte), with a text that says what to do.
 *
 * What is not read from the list as it stands is made in `made`: the URLs of a
 * pattern, and the line of a list that a line of a checksum file stands for.
 * A compressed list has its bytes go through gunzip.c on their way into the
 * buffer, which alone knows how much of it that is.
 *
 * Lines of other shards are read and counted like ours, and then left alone:
 * so numbers are those of the whole list.  Skipping may take long without
 * anybody to wait for; therefore a stop is looked for there, too.
 */
#include "config.h"

#include "input.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gunzip.h"
#include "pattern.h"
#include "sums.h"

enum { BUFFER_BYTES = 4 * PF_INPUT_LINE_BYTES };

_Static_assert((int)PF_PATTERN_URL_BYTES <= (int)PF_INPUT_LINE_BYTES,
               "what a pattern makes has room");
_Static_assert((int)PF_GUNZIP_BYTES >= (int)BUFFER_BYTES,
               "what was read before a list was known to be compressed has "
               "room");

struct list {
    const char *name;
    int fd;     /* -1: closed */
    bool waits; /* not a regular file: poll() before reading */
    bool sums;  /* a checksum file */
    dev_t device;
    ino_t inode;
};

struct pf_input {
    /* Set by create, then read-only. */
    int stop_pipe[2]; /* read end polled; write end does not block */
    char delimiter;
    struct pf_input_options options;
    struct list *lists;
    size_t list_count;

    atomic_bool stopped; /* set by pf_input_stop() */

    /* Reader only. */
    uint64_t n;                 /* of the last line, over all inputs */
    size_t url_next;            /* the argument to be read */
    struct pf_pattern *pattern; /* it, while it is expanded; NULL: it is not */
    size_t list_now;
    struct pf_gunzip *gunzip;   /* this list is compressed; NULL: it is not */
    uint64_t line;   /* number of the last line begun in this list */
    bool at_end;     /* of this list */
    bool utf16;      /* this list */
    bool has_text;   /* this list had a line that is no comment */
    bool overlong;   /* the line at `start` lost its beginning */
    size_t start;    /* the bytes not yet handed out: buffer[start..end) */
    size_t scanned;  /* no delimiter in buffer[start..scanned) */
    size_t end;
    char *text;      /* heap: a copy of the line; NULL: not asked for */
    char buffer[BUFFER_BYTES + 1]; /* room for a NUL behind the last line */
    char made[PF_INPUT_LINE_BYTES + 1];
};

/* --- opening -------------------------------------------------------------- */

static int fail_text(struct pfetch_failure *why, const char *name,
                     const char *what, const char *text)
{
    pfetch_failure_set(why, PFETCH_CLASS_LOCAL, "%s: %s: %s", name, what,
                       text);
    return -1;
}

static int fail_list(struct pfetch_failure *why, const char *name,
                     const char *what, int error)
{
    return fail_text(why, name, what, strerror(error));
}

/* The list could not be opened: errno says why. */
static int fail_open(struct pfetch_failure *why, const char *name)
{
    char shown[128];

    if (errno != ENOENT || (strncasecmp(name, "http://", 7) != 0 &&
                            strncasecmp(name, "https://", 8) != 0))
        return fail_list(why, name, "cannot open the list", errno);
    return fail_text(why, pfetch_redact(name, shown, sizeof(shown)),
                     "a list is a file, this is a URL",
                     "fetch it without -i, or pipe it in, as by "
                     "'curl -fsS URL | pfetch -i -'");
}

static int open_list(struct list *list, const char *name, bool sums,
                     struct pfetch_failure *why)
{
    struct stat status;

    *list = (struct list){.name = name, .fd = -1, .sums = sums};
    if (strcmp(name, "-") == 0)
        list->fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
    else
        list->fd = open(name, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (list->fd < 0)
        return fail_open(why, name);
    if (fstat(list->fd, &status) != 0)
        return fail_list(why, name, "cannot open the list", errno);
    if (S_ISDIR(status.st_mode))
        return fail_list(why, name, "cannot read the list", EISDIR);
    if ((fcntl(list->fd, F_GETFL) & O_ACCMODE) == O_WRONLY)
        return fail_list(why, name, "cannot read the list", EBADF);
    list->waits = !S_ISREG(status.st_mode);
    list->device = status.st_dev;
    list->inode = status.st_ino;
    return 0;
}

static size_t count_names(const char *const *names)
{
    size_t count = 0;

    while (names != NULL && names[count] != NULL)
        count++;
    return count;
}

/* There is room for them in input->lists. */
static int open_lists(struct pf_input *input, const char *const *names,
                      bool sums, struct pfetch_failure *why)
{
    for (; names != NULL && *names != NULL; names++) {
        struct list *list = &input->lists[input->list_count];
        int error = open_list(list, *names, sums, why);

        input->list_count += list->fd >= 0; /* pf_input_free() closes it */
        if (error != 0)
            return error;
    }
    return 0;
}

/* The mistake of the first day: a list without -i before it. */
static int check_arguments(const char *const *urls,
                           struct pfetch_failure *why)
{
    struct stat status;

    for (; urls != NULL && *urls != NULL; urls++)
        if (strstr(*urls, "://") == NULL && stat(*urls, &status) == 0 &&
            !S_ISDIR(status.st_mode))
            return fail_text(why, *urls, "this is a file, not a URL",
                             "for the URLs in it say -i FILE");
    return 0;
}

static int open_all(struct pf_input *input, struct pfetch_failure *why)
{
    const struct pf_input_options *options = &input->options;
    size_t count = count_names(options->lists) + count_names(options->sums);

    if (check_arguments(options->urls, why) != 0)
        return -1;
    if (pipe2(input->stop_pipe, O_CLOEXEC | O_NONBLOCK) != 0)
        return fail_list(why, "stop pipe", "cannot create", errno);
    if (count == 0)
        return 0;
    input->lists = calloc(count, sizeof(*input->lists));
    if (input->lists == NULL)
        return fail_list(why, "lists", "cannot open", ENOMEM);
    int error = open_lists(input, options->lists, false, why);
    return error != 0 ? error : open_lists(input, options->sums, true, why);
}

int pf_input_create(struct pf_input **result,
                    const struct pf_input_options *options,
                    struct pfetch_failure *why)
{
    struct pf_input *input = malloc(sizeof(*input));

    *result = NULL;
    if (input == NULL)
        return fail_list(why, "lists", "cannot open", ENOMEM);
    memset(input, 0, offsetof(struct pf_input, buffer));
    input->stop_pipe[0] = input->stop_pipe[1] = -1;
    input->options = *options;
    input->delimiter = options->null_separated ? '\0' : '\n';
    atomic_init(&input->stopped, false);
    if (open_all(input, why) != 0) {
        pf_input_free(input);
        return -1;
    }
    *result = input;
    return 0;
}

int pf_input_keep_text(struct pf_input *input)
{
    input->text = malloc(PF_INPUT_LINE_BYTES + 1);
    return input->text != NULL ? 0 : PFETCH_ENOMEM;
}

void pf_input_free(struct pf_input *input)
{
    if (input == NULL)
        return;
    for (size_t i = 0; i < input->list_count; i++)
        if (input->lists[i].fd >= 0)
            (void)close(input->lists[i].fd); /* nothing was written */
    for (int i = 0; i < 2; i++)
        if (input->stop_pipe[i] >= 0)
            (void)close(input->stop_pipe[i]);
    pf_pattern_free(input->pattern);
    pf_gunzip_free(input->gunzip);
    free(input->lists);
    free(input->text);
    free(input);
}

unsigned pf_input_lists(const struct pf_input *input)
{
    return (unsigned)input->list_count;
}

bool pf_input_reads(const struct pf_input *input, dev_t device, ino_t inode)
{
    for (size_t i = 0; i < input->list_count; i++)
        if (input->lists[i].device == device &&
            input->lists[i].inode == inode)
            return true;
    return false;
}

/* --- waiting and reading -------------------------------------------------- */

void pf_input_stop(struct pf_input *input)
{
    atomic_store(&input->stopped, true);
    /* A pipe that is full wakes the reader as well. */
    ssize_t written = write(input->stop_pipe[1], "", 1);
    (void)written;
}

/* Waits until the list can be read.  1: it can; 0: stopped; -1: errno. */
static int wait_for(const struct pf_input *input, const struct list *list)
{
    struct pollfd fds[2] = {{.fd = input->stop_pipe[0], .events = POLLIN},
                            {.fd = list->fd, .events = POLLIN}};

    while (poll(fds, 2, -1) < 0)
        if (errno != EINTR && errno != EAGAIN)
            return -1;
    return fds[0].revents == 0;
}

/* Makes room behind what is not handed out yet. */
static void make_room(struct pf_input *input)
{
    if (input->start == 0)
        return;
    memmove(input->buffer, input->buffer + input->start,
            input->end - input->start);
    input->end -= input->start;
    input->scanned -= input->start;
    input->start = 0;
}

/* Reads what the list has next; *got 0: its end. */
static enum pf_input_result read_list(struct pf_input *input, char *to,
                                      size_t room, size_t *got,
                                      struct pfetch_failure *why)
{
    struct list *list = &input->lists[input->list_now];

    for (;;) {
        if (list->waits) {
            int ready = wait_for(input, list);

            if (ready == 0)
                return PF_INPUT_STOPPED;
            if (ready < 0)
                break;
        }
        ssize_t size = read(list->fd, to, room);
        if (size >= 0) {
            *got = (size_t)size;
            /* A list that has ended was read to its end all the same. */
            return size > 0 && atomic_load(&input->stopped)
                       ? PF_INPUT_STOPPED : PF_INPUT_LINE;
        }
        if (errno != EINTR && errno != EAGAIN && errno != EWOULDBLOCK)
            break;
    }
    (void)fail_list(why, list->name, "cannot read the list further", errno);
    return PF_INPUT_FAILED;
}

/* The same for a compressed list: reads as much as gives some text. */
static enum pf_input_result read_gzip(struct pf_input *input, char *to,
                                      size_t room, size_t *got,
                                      struct pfetch_failure *why)
{
    enum pf_input_result result = PF_INPUT_LINE;
    const char *wrong;

    while (result == PF_INPUT_LINE) {
        size_t fed;

        *got = room;
        switch (pf_gunzip_read(input->gunzip, to, got, &wrong)) {
        case PF_GUNZIP_DATA:
            return atomic_load(&input->stopped) ? PF_INPUT_STOPPED
                                                : PF_INPUT_LINE;
        case PF_GUNZIP_END:
            *got = 0;
            return PF_INPUT_LINE;
        case PF_GUNZIP_FAILED:
            (void)fail_text(why, input->lists[input->list_now].name,
                            "cannot read the list further", wrong);
            return PF_INPUT_FAILED;
        case PF_GUNZIP_HUNGRY:
            result = read_list(input, pf_gunzip_room(input->gunzip),
                               PF_GUNZIP_BYTES, &fed, why);
            if (result == PF_INPUT_LINE)
                pf_gunzip_fed(input->gunzip, fed);
        }
    }
    return result;
}

/* Reads more of the list, or finds its end.  There is room. */
static enum pf_input_result read_more(struct pf_input *input,
                                      struct pfetch_failure *why)
{
    size_t got = 0;
    enum pf_input_result result =
        (input->gunzip != NULL ? read_gzip : read_list)(
            input, input->buffer + input->end, BUFFER_BYTES - input->end,
            &got, why);

    if (result == PF_INPUT_LINE) {
        input->end += got;
        input->at_end = got == 0;
    }
    return result;
}

/* --- raw lines ------------------------------------------------------------ */

/* A line as it stands in the list, without its end. */
struct raw {
    char *text; /* text[size] may be overwritten */
    size_t size;
    bool overlong;
};

/* The bytes from the beginning of this line up to `size` bytes of it are the
 * line; what follows starts `used` bytes after its beginning. */
static void cut_line(struct pf_input *input, size_t size, size_t used,
                     struct raw *raw)
{
    raw->text = input->buffer + input->start;
    raw->size = size;
    if (input->delimiter == '\n' && size > 0 && raw->text[size - 1] == '\r')
        raw->size--;
    raw->overlong = input->overlong || raw->size > PF_INPUT_LINE_BYTES;
    input->overlong = false;
    input->start += used;
    input->scanned = input->start;
    input->line++;
}

/* Finds the end of the line in what was read.  False: more must be read
 * first, or, at the end of the list, nothing is left. */
static bool cut_buffered(struct pf_input *input, struct raw *raw)
{
    const char *from = input->buffer + input->scanned;
    const char *stop =
        memchr(from, input->delimiter, input->end - input->scanned);
    size_t size;

    if (stop != NULL) {
        size = (size_t)(stop - input->buffer) - input->start;
        cut_line(input, size, size + 1, raw);
        return true;
    }
    size = input->end - input->start;
    input->scanned = input->end;
    if (input->at_end && (size > 0 || input->overlong)) {
        cut_line(input, size, size, raw);
        return true;
    }
    if (size > PF_INPUT_LINE_BYTES + 1) { /* 1: it may be a CR */
        input->overlong = true;
        input->start = input->end;
    }
    return false;
}

/* Steps over a byte order mark. */
static void skip_mark(struct pf_input *input)
{
    const char *text = input->buffer + input->start;
    size_t size = input->end - input->start;

    if (size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
        input->start += 3;
    else if (size >= 2 && (memcmp(text, "\xff\xfe", 2) == 0 ||
                           memcmp(text, "\xfe\xff", 2) == 0)) {
        input->start += 2;
        input->utf16 = true;
    }
    input->scanned = input->start;
}

/* Reads until a byte order mark, or the first bytes of gzip, would be there as
 * a whole.  No URL begins with such a byte: waiting for what follows it holds
 * up nothing that could be fetched. */
static enum pf_input_result read_beginning(struct pf_input *input,
                                           struct pfetch_failure *why)
{
    enum pf_input_result result;
    const unsigned char *first = (const unsigned char *)input->buffer;

    do
        result = read_more(input, why);
    while (result == PF_INPUT_LINE && !input->at_end &&
           ((input->end < 3 && *first >= 0xef) ||
            (input->end < 2 && *first == 0x1f)));
    return result;
}

/* What was read is the beginning of a compressed list. */
static enum pf_input_result begin_gzip(struct pf_input *input,
                                       struct pfetch_failure *why)
{
    const char *wrong;

    input->gunzip = pf_gunzip_create(&wrong);
    if (input->gunzip == NULL) {
        (void)fail_text(why, input->lists[input->list_now].name,
                        "cannot read the list", wrong);
        return PF_INPUT_FAILED;
    }
    memcpy(pf_gunzip_room(input->gunzip), input->buffer, input->end);
    pf_gunzip_fed(input->gunzip, input->end);
    input->end = 0;
    input->at_end = false;
    return read_beginning(input, why);
}

static enum pf_input_result begin_list(struct pf_input *input,
                                       struct pfetch_failure *why)
{
    enum pf_input_result result;

    input->start = input->scanned = input->end = 0;
    input->line = 0;
    input->at_end = input->utf16 = input->overlong = input->has_text = false;
    result = read_beginning(input, why);
    if (result == PF_INPUT_LINE && pf_gunzip_is(input->buffer, input->end))
        result = begin_gzip(input, why);
    if (result == PF_INPUT_LINE)
        skip_mark(input);
    return result;
}

static void end_list(struct pf_input *input)
{
    struct list *list = &input->lists[input->list_now++];

    (void)close(list->fd); /* nothing was written */
    list->fd = -1;
    pf_gunzip_free(input->gunzip);
    input->gunzip = NULL;
    input->line = 0;
    input->end = 0;
}

/* LINE with *raw filled in, END at the end of this list, STOPPED, FAILED. */
static enum pf_input_result next_raw(struct pf_input *input, struct raw *raw,
                                     struct pfetch_failure *why)
{
    while (!cut_buffered(input, raw)) {
        if (input->at_end)
            return PF_INPUT_END;
        make_room(input);
        enum pf_input_result result = read_more(input, why);
        if (result != PF_INPUT_LINE)
            return result;
    }
    return PF_INPUT_LINE;
}

/* --- what a line says ----------------------------------------------------- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Cuts blanks off both ends. */
static void trim(struct raw *raw)
{
    while (raw->size > 0 && is_blank(raw->text[0])) {
        raw->text++;
        raw->size--;
    }
    while (raw->size > 0 && is_blank(raw->text[raw->size - 1]))
        raw->size--;
}

/* True if text has a byte below space, but for TAB, or DEL. */
static bool has_control_byte(const char *text, size_t size)
{
    bool found = false;

    for (size_t i = 0; i < size; i++) { /* no early end: vectorises */
        unsigned char c = (unsigned char)text[i];

        found |= (c < 0x20 && c != '\t') || c == 0x7f;
    }
    return found;
}

/* True if nothing but NUL, CR and blanks is left of a line of UTF-16. */
static bool is_blank_utf16(const struct raw *raw)
{
    for (size_t i = 0; i < raw->size; i++)
        if (memchr("\0\r \t", raw->text[i], 4) == NULL)
            return false;
    return true;
}

static enum pf_input_result refuse(struct pfetch_failure *why,
                                   const char *text)
{
    pfetch_failure_set(why, PFETCH_CLASS_URL, "%s", text);
    return PF_INPUT_BAD_LINE;
}

/* A number of bytes, in decimal, whole. */
static bool parse_bytes(const char *text, int64_t *bytes)
{
    char *end;

    if (*text < '0' || *text > '9')
        return false;
    errno = 0;
    *bytes = strtoll(text, &end, 10);
    return errno == 0 && *end == '\0';
}

/* Sets the field of that name.  NULL, or what is wrong. */
static const char *set_field(struct pf_line *line, const char *key,
                             const char *value)
{
    const char **text = strcmp(key, "id") == 0         ? &line->id
                        : strcmp(key, "out") == 0      ? &line->out
                        : strcmp(key, "checksum") == 0 ? &line->checksum
                                                       : NULL;

    if (text == NULL && strcmp(key, "size") != 0)
        return "unknown";
    if (text != NULL ? *text != NULL : line->size_bytes >= 0)
        return "given twice";
    if (text == &line->checksum && !pfetch_checksum_check(value))
        return "not ALGO:HEX of a sha256, sha512, sha1 or md5";
    if (text != NULL)
        *text = value;
    else if (!parse_bytes(value, &line->size_bytes))
        return "no number of bytes";
    return NULL;
}

/* Reads "key=value", NUL-terminated. */
static enum pf_input_result parse_field(char *field, struct pf_line *line,
                                        struct pfetch_failure *why)
{
    char *equals = strchr(field, '=');
    const char *wrong;

    if (equals == NULL) {
        pfetch_failure_set(why, PFETCH_CLASS_URL,
                           "field '%.100s' has no '='", field);
        return PF_INPUT_BAD_LINE;
    }
    *equals = '\0';
    wrong = set_field(line, field, equals + 1);
    if (wrong == NULL)
        return PF_INPUT_LINE;
    pfetch_failure_set(why, PFETCH_CLASS_URL, "field '%.100s': %s", field,
                       wrong);
    return PF_INPUT_BAD_LINE;
}

/* Splits "URL<TAB>key=value...", NUL-terminated, in place. */
static enum pf_input_result parse_fields(char *text, struct pf_line *line,
                                         struct pfetch_failure *why)
{
    char *tab = strchr(text, '\t');
    enum pf_input_result result = PF_INPUT_LINE;

    if (tab == NULL)
        return PF_INPUT_LINE;
    for (char *last = tab; last > text && is_blank(last[-1]); last--)
        last[-1] = '\0';
    while (tab != NULL && result == PF_INPUT_LINE) {
        char *field = tab + 1;

        *tab = '\0';
        tab = strchr(field, '\t');
        if (tab != NULL)
            *tab = '\0';
        result = parse_field(field, line, why);
    }
    return result;
}

static enum pf_input_result parse_line(struct raw *raw, struct pf_line *line,
                                       struct pfetch_failure *why)
{
    bool has_control = has_control_byte(raw->text, raw->size);

    raw->text[raw->size] = '\0';
    line->url = raw->text;
    if (has_control) {
        bool has_nul = strlen(raw->text) < raw->size;

        return refuse(why, has_nul ? "the line holds a NUL byte"
                                   : "the line holds a control byte");
    }
    return parse_fields(raw->text, line, why);
}

/* A copy of the line, if that is asked for and can be: reading it in place
 * destroys it. */
static const char *copy_text(const struct pf_input *input,
                             const struct raw *raw)
{
    if (input->text == NULL || memchr(raw->text, '\0', raw->size) != NULL)
        return NULL;
    memcpy(input->text, raw->text, raw->size);
    input->text[raw->size] = '\0';
    return input->text;
}

/* A line of a checksum file: the line of a list that it stands for. */
static enum pf_input_result parse_sum(struct pf_input *input, struct raw *raw,
                                      struct pf_line *line,
                                      struct pfetch_failure *why)
{
    struct raw made = {.text = input->made};
    const char *wrong;

    if (has_control_byte(raw->text, raw->size))
        return parse_line(raw, line, why); /* which refuses it */
    raw->text[raw->size] = '\0';
    if (!pf_sums_line(raw->text, input->options.base, input->made,
                      sizeof(input->made), &wrong)) {
        line->url = raw->text;
        return refuse(why, wrong);
    }
    made.size = strlen(made.text);
    line->text = copy_text(input, &made);
    return parse_line(&made, line, why);
}

/* The first line of a list begins as no list does: for browsers, or as one of
 * our own reports.  This is said once; what follows fails for what it is. */
static enum pf_input_result refuse_foreign(struct raw *raw,
                                           struct pf_line *line,
                                           struct pfetch_failure *why)
{
    raw->text[raw->size] = '\0';
    line->url = raw->text;
    if (raw->text[0] == '{')
        return refuse(why, "this looks like records; --resume-from reads "
                           "them, a list is what --failed writes");
    return refuse(why, "this looks like HTML or XML; a list has URLs, one a "
                       "line");
}

/* False: the line asks for nothing. */
static bool judge_raw(struct pf_input *input, struct raw *raw,
                      struct pf_line *line, struct pfetch_failure *why,
                      enum pf_input_result *result)
{
    struct raw whole = *raw;
    bool first = !input->has_text;

    if (raw->overlong) {
        *result = refuse(why, "the line is longer than 64 KiB");
        return true;
    }
    if (input->utf16) {
        *result = refuse(why, "UTF-16 text; convert the list to UTF-8");
        return !is_blank_utf16(raw);
    }
    trim(raw);
    if (raw->size == 0 || raw->text[0] == '#')
        return false;
    input->has_text = true;
    line->text = copy_text(input, raw);
    if (first && (raw->text[0] == '<' || raw->text[0] == '{'))
        *result = refuse_foreign(raw, line, why);
    else if (input->lists[input->list_now].sums)
        *result = parse_sum(input, &whole, line, why); /* blanks and all */
    else
        *result = parse_line(raw, line, why);
    return true;
}

/* --- the sequence of lists ------------------------------------------------ */

static enum pf_input_result next_in_list(struct pf_input *input,
                                         struct pf_line *line,
                                         struct pfetch_failure *why)
{
    enum pf_input_result result = PF_INPUT_LINE;
    struct raw raw;

    do {
        result = next_raw(input, &raw, why);
        line->line = input->line;
    } while (result == PF_INPUT_LINE &&
             !judge_raw(input, &raw, line, why, &result));
    return result;
}

/* An argument is taken as it is: no comments, no fields. */
static enum pf_input_result judge_argument(const char *url,
                                           struct pf_line *line,
                                           struct pfetch_failure *why)
{
    size_t size = strlen(url);

    line->url = url;
    if (size > PF_INPUT_LINE_BYTES) {
        line->url = NULL;
        return refuse(why, "the argument is longer than 64 KiB");
    }
    if (has_control_byte(url, size) || memchr(url, '\t', size) != NULL)
        return refuse(why, "the argument holds a control byte");
    line->text = url; /* as a list would have it */
    return PF_INPUT_LINE;
}

/* The argument cannot be expanded. */
static enum pf_input_result refuse_pattern(
    const char *url, const struct pf_pattern_fault *fault,
    struct pf_line *line, struct pfetch_failure *why)
{
    line->url = url;
    pfetch_failure_set(why, PFETCH_CLASS_URL, "position %zu: %s",
                       fault->position, fault->what);
    if (fault->position > 0)
        return PF_INPUT_BAD_LINE;
    (void)fail_text(why, "arguments", "cannot expand", fault->what);
    return PF_INPUT_FAILED;
}

/* END: there are no more. */
static enum pf_input_result next_argument(struct pf_input *input,
                                          struct pf_line *line,
                                          struct pfetch_failure *why)
{
    const char *const *urls = input->options.urls;
    struct pf_pattern_fault fault;

    while (urls != NULL && urls[input->url_next] != NULL) {
        const char *url = urls[input->url_next];

        if (input->pattern == NULL) {
            input->url_next++;
            if (!input->options.glob || !pf_pattern_is(url))
                return judge_argument(url, line, why);
            if (pf_pattern_create(&input->pattern, url, &fault) != 0)
                return refuse_pattern(url, &fault, line, why);
            input->url_next--; /* it stays until it is used up */
        }
        if (pf_pattern_next(input->pattern, input->made))
            return judge_argument(input->made, line, why);
        pf_pattern_free(input->pattern);
        input->pattern = NULL;
        input->url_next++;
    }
    return PF_INPUT_END;
}

/* The next line, whoever's it is. */
static enum pf_input_result next_line(struct pf_input *input,
                                      struct pf_line *line,
                                      struct pfetch_failure *why)
{
    enum pf_input_result result;

    *line = (struct pf_line){.size_bytes = -1};
    result = next_argument(input, line, why);
    if (result != PF_INPUT_END)
        return result;
    while (input->list_now < input->list_count) {
        result = PF_INPUT_LINE;
        line->list = input->lists[input->list_now].name;
        if (input->line == 0 && input->end == 0)
            result = begin_list(input, why);
        if (result == PF_INPUT_LINE)
            result = next_in_list(input, line, why);
        if (result != PF_INPUT_END)
            return result;
        end_list(input);
    }
    return PF_INPUT_END;
}

/* Whether the line is of our shard.  1: it is; 0: it is not; -1: memory is
 * out.  One that is no URL goes by its text, so that one shard has it. */
static int is_ours(const struct pf_input *input, const struct pf_line *line)
{
    const struct pf_shard *shard = &input->options.shard;
    const char *text = line->url != NULL ? line->url : "";
    char host[1024];

    if (shard->count <= 1)
        return 1;
    int length = pfetch_url_host(text, host, sizeof(host), NULL);
    if (length == PFETCH_ENOMEM)
        return -1;
    return pf_shard_of(length < 0 ? text : host, shard->count) ==
           shard->index;
}

enum pf_input_result pf_input_next(struct pf_input *input,
                                   struct pf_line *line,
                                   struct pfetch_failure *why)
{
    for (;;) {
        enum pf_input_result result = next_line(input, line, why);

        if (result != PF_INPUT_LINE && result != PF_INPUT_BAD_LINE)
            return result;
        line->n = ++input->n;
        int ours = is_ours(input, line);
        if (ours > 0)
            return result;
        if (ours < 0) {
            (void)fail_list(why, "lists", "cannot read on", ENOMEM);
            return PF_INPUT_FAILED;
        }
        if (atomic_load(&input->stopped))
            return PF_INPUT_STOPPED;
    }
}
