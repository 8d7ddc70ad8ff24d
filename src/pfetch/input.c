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
 */
#include "config.h"

#include "input.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BUFFER_BYTES = 4 * PF_INPUT_LINE_BYTES };

struct list {
    const char *name;
    int fd;     /* -1: closed */
    bool waits; /* not a regular file: poll() before reading */
    dev_t device;
    ino_t inode;
};

struct pf_input {
    /* Set by create, then read-only. */
    int stop_pipe[2]; /* read end polled; write end does not block */
    char delimiter;
    const char *const *urls; /* the arguments; NULL: none */
    struct list *lists;
    size_t list_count;

    /* Reader only. */
    size_t url_next;
    size_t list_now;
    uint64_t line;   /* number of the last line begun in this list */
    bool at_end;     /* of this list */
    bool utf16;      /* this list */
    bool overlong;   /* the line at `start` lost its beginning */
    size_t start;    /* the bytes not yet handed out: buffer[start..end) */
    size_t scanned;  /* no delimiter in buffer[start..scanned) */
    size_t end;
    char buffer[BUFFER_BYTES + 1]; /* room for a NUL behind the last line */
};

/* --- opening -------------------------------------------------------------- */

static int fail_list(struct pfetch_failure *why, const char *name,
                     const char *what, int error)
{
    pfetch_failure_set(why, PFETCH_CLASS_LOCAL, "%s: %s: %s", name, what,
                       strerror(error));
    return -1;
}

static int open_list(struct list *list, const char *name,
                     struct pfetch_failure *why)
{
    struct stat status;

    list->name = name;
    if (strcmp(name, "-") == 0)
        list->fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
    else
        list->fd = open(name, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (list->fd < 0 || fstat(list->fd, &status) != 0)
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

static int open_all(struct pf_input *input, const char *const *lists,
                    struct pfetch_failure *why)
{
    size_t count = 0;

    if (pipe2(input->stop_pipe, O_CLOEXEC | O_NONBLOCK) != 0)
        return fail_list(why, "stop pipe", "cannot create", errno);
    while (lists != NULL && lists[count] != NULL)
        count++;
    if (count == 0)
        return 0;
    input->lists = calloc(count, sizeof(*input->lists));
    if (input->lists == NULL)
        return fail_list(why, lists[0], "cannot open the list", ENOMEM);
    for (; input->list_count < count; input->list_count++) {
        struct list *list = &input->lists[input->list_count];

        list->fd = -1;
        if (open_list(list, lists[input->list_count], why) != 0) {
            if (list->fd >= 0)
                (void)close(list->fd); /* nothing was written */
            return -1;
        }
    }
    return 0;
}

int pf_input_create(struct pf_input **result, const char *const *urls,
                    const char *const *lists, bool null_separated,
                    struct pfetch_failure *why)
{
    struct pf_input *input = malloc(sizeof(*input));

    *result = NULL;
    if (input == NULL)
        return fail_list(why, "lists", "cannot open", ENOMEM);
    memset(input, 0, offsetof(struct pf_input, buffer));
    input->stop_pipe[0] = input->stop_pipe[1] = -1;
    input->urls = urls;
    input->delimiter = null_separated ? '\0' : '\n';
    if (open_all(input, lists, why) != 0) {
        pf_input_free(input);
        return -1;
    }
    *result = input;
    return 0;
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
    free(input->lists);
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

/* Reads more of the list, or finds its end.  There is room. */
static enum pf_input_result read_more(struct pf_input *input,
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
        ssize_t got = read(list->fd, input->buffer + input->end,
                           BUFFER_BYTES - input->end);
        if (got >= 0) {
            input->end += (size_t)got;
            input->at_end = got == 0;
            return PF_INPUT_LINE;
        }
        if (errno != EINTR && errno != EAGAIN && errno != EWOULDBLOCK)
            break;
    }
    (void)fail_list(why, list->name, "cannot read the list further", errno);
    return PF_INPUT_FAILED;
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

/* Reads until a byte order mark would be there as a whole. */
static enum pf_input_result begin_list(struct pf_input *input,
                                       struct pfetch_failure *why)
{
    enum pf_input_result result = PF_INPUT_LINE;

    input->start = input->scanned = input->end = 0;
    input->line = 0;
    input->at_end = input->utf16 = input->overlong = false;
    /* 0xEF, 0xFE and 0xFF begin no URL: waiting for what follows such a byte
     * holds up nothing that could be fetched. */
    do
        result = read_more(input, why);
    while (result == PF_INPUT_LINE && !input->at_end && input->end < 3 &&
           (unsigned char)input->buffer[0] >= 0xef);
    if (result == PF_INPUT_LINE)
        skip_mark(input);
    return result;
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

/* False: the line asks for nothing. */
static bool judge_raw(const struct pf_input *input, struct raw *raw,
                      struct pf_line *line, struct pfetch_failure *why,
                      enum pf_input_result *result)
{
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
static enum pf_input_result next_argument(const char *url,
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
    return PF_INPUT_LINE;
}

enum pf_input_result pf_input_next(struct pf_input *input,
                                   struct pf_line *line,
                                   struct pfetch_failure *why)
{
    *line = (struct pf_line){.size_bytes = -1};
    if (input->urls != NULL && input->urls[input->url_next] != NULL)
        return next_argument(input->urls[input->url_next++], line, why);
    while (input->list_now < input->list_count) {
        struct list *list = &input->lists[input->list_now];
        enum pf_input_result result = PF_INPUT_LINE;

        line->list = list->name;
        if (input->line == 0 && input->end == 0)
            result = begin_list(input, why);
        if (result == PF_INPUT_LINE)
            result = next_in_list(input, line, why);
        if (result != PF_INPUT_END)
            return result;
        (void)close(list->fd); /* nothing was written */
        list->fd = -1;
        input->list_now++;
        input->line = 0;
        input->end = 0;
    }
    return PF_INPUT_END;
}
