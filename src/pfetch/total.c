/* total.c - how many lines there are in all, counted beside the run.
 *
 * SPDX-License-Identifier: MIT
 *
 * For the person who looks at the status line only: nothing depends on it.
 * A thread of its own reads the lists once more, as files and not as the
 * reader of lists does, so it does not wait for a worker and no worker for it.
 * It counts what input.c takes for a line: not blank, not a comment.  A list
 * that changes meanwhile, or is damaged, makes it wrong; when the lists have
 * been read to their end the number of lines read is what counts.
 */
#include "config.h"

#include "total.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pattern.h"

enum { CHUNK_BYTES = 64 * 1024, STACK_BYTES = 256 * 1024 };

/* Where in a line the next byte stands. */
enum place {
    BEGIN,  /* only blanks so far */
    REST,   /* of a line that was counted, or of a comment */
};

struct count {
    int64_t lines;
    enum place place;
    char end; /* of a line: newline or NUL */
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static void count_bytes(struct count *count, const char *at, size_t size)
{
    const char *stop = at + size;

    while (at < stop) {
        if (count->place == REST) {
            at = memchr(at, count->end, (size_t)(stop - at));
            if (at == NULL)
                return;
            count->place = BEGIN;
        } else if (*at != count->end && !is_blank(*at)) {
            count->lines += *at != '#';
            count->place = REST;
        }
        at++;
    }
}

/* Lines of an open regular file from offset on; -1: cannot be told. */
static int64_t count_file(const struct pf_total *total, int fd, off_t offset)
{
    static const char gzip[] = {'\x1f', '\x8b'};
    static const char mark[] = {'\xef', '\xbb', '\xbf'}; /* of UTF-8 */
    char chunk[CHUNK_BYTES];
    struct count count = {
        .place = BEGIN,
        .end = total->input->null_separated ? '\0' : '\n',
    };
    bool is_first = true;
    ssize_t size;

    while ((size = pread(fd, chunk, sizeof(chunk), offset)) > 0) {
        size_t skip = 0;

        if (atomic_load(&total->over))
            return -1;
        if (is_first && size >= 2 && memcmp(chunk, gzip, 2) == 0)
            return -1;
        if (is_first && size >= 3 && memcmp(chunk, mark, 3) == 0)
            skip = 3;
        is_first = false;
        count_bytes(&count, chunk + skip, (size_t)size - skip);
        offset += size;
    }
    return size < 0 ? -1 : count.lines;
}

static int64_t count_list(const struct pf_total *total, const char *name)
{
    struct stat status;
    int64_t lines = -1;

    if (strcmp(name, "-") == 0)
        return total->stdin_offset < 0
                   ? -1
                   : count_file(total, STDIN_FILENO, total->stdin_offset);
    /* A FIFO would be opened a second time, and have two readers. */
    if (stat(name, &status) != 0 || !S_ISREG(status.st_mode))
        return -1;
    int fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return -1;
    lines = count_file(total, fd, 0);
    (void)close(fd);
    return lines;
}

/* Adds the lines of each list to *lines; false: one cannot be told. */
static bool add_lists(const struct pf_total *total, const char *const *names,
                      int64_t *lines)
{
    for (; names != NULL && *names != NULL; names++) {
        int64_t more = count_list(total, *names);

        if (more < 0)
            return false;
        *lines += more;
    }
    return true;
}

static bool add_arguments(const struct pf_total *total, int64_t *lines)
{
    const char *const *url = total->input->urls;

    for (; url != NULL && *url != NULL; url++) {
        if (total->input->glob && pf_pattern_is(*url))
            return false;
        (*lines)++;
    }
    return true;
}

static void *run_total(void *argument)
{
    struct pf_total *total = argument;
    int64_t lines = 0;

    if (add_arguments(total, &lines) &&
        add_lists(total, total->input->lists, &lines) &&
        add_lists(total, total->input->sums, &lines))
        atomic_store(&total->lines, lines);
    return NULL;
}

void pf_total_init(struct pf_total *total,
                   const struct pf_input_options *input)
{
    struct stat status;

    total->input = input;
    total->running = false;
    atomic_init(&total->over, false);
    atomic_init(&total->lines, -1);
    total->stdin_offset = -1;
    if (fstat(STDIN_FILENO, &status) == 0 && S_ISREG(status.st_mode))
        total->stdin_offset = lseek(STDIN_FILENO, 0, SEEK_CUR);
}

void pf_total_start(struct pf_total *total)
{
    pthread_attr_t attributes;

    if (total->input->shard.count > 0)
        return; /* whose lines they are, hosts would have to tell */
    (void)pthread_attr_init(&attributes);
    (void)pthread_attr_setstacksize(&attributes, STACK_BYTES);
    total->running = pthread_create(&total->thread, &attributes, run_total,
                                    total) == 0;
    (void)pthread_attr_destroy(&attributes);
}

int64_t pf_total_get(const struct pf_total *total)
{
    return atomic_load(&total->lines);
}

void pf_total_join(struct pf_total *total)
{
    if (!total->running)
        return;
    atomic_store(&total->over, true);
    (void)pthread_join(total->thread, NULL);
    total->running = false;
}
