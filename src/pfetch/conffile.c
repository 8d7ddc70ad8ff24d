/* conffile.c - the configuration file.
 *
 * SPDX-License-Identifier: MIT
 *
 * It is read as a whole and cut up where it lies: options keep pointers into
 * it, as they do into argv.
 */
#include "config.h"

#include "conffile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char blanks[] = " \t\r";

bool pf_conffile_default(char name[PF_CONFFILE_NAME_BYTES])
{
    const char *directory = getenv("XDG_CONFIG_HOME");
    const char *below = "";

    /* A relative one is to be ignored (XDG Base Directory Specification). */
    if (directory == NULL || *directory != '/') {
        directory = getenv("HOME");
        below = "/.config";
    }
    if (directory == NULL || *directory != '/')
        return false;
    int size = snprintf(name, PF_CONFFILE_NAME_BYTES, "%s%s/pfetch/config",
                        directory, below);
    return size > 0 && size < PF_CONFFILE_NAME_BYTES;
}

/* Reads until the end, at most one byte more than is allowed. */
static int read_all(int fd, struct pf_conffile *file)
{
    while (file->size <= PF_CONFFILE_BYTES) {
        ssize_t got = read(fd, file->text + file->size,
                           PF_CONFFILE_BYTES + 1 - file->size);

        if (got == 0)
            return 0;
        if (got > 0)
            file->size += (size_t)got;
        else if (errno != EINTR)
            return errno;
    }
    return EFBIG;
}

int pf_conffile_read(struct pf_conffile *file, const char *name)
{
    int error, fd = open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY);

    *file = (struct pf_conffile){.text = NULL};
    if (fd < 0)
        return errno;
    file->text = malloc(PF_CONFFILE_BYTES + 2);
    error = file->text == NULL ? ENOMEM : read_all(fd, file);
    (void)close(fd); /* only read from: nothing can be lost */
    if (error == 0 && memchr(file->text, '\0', file->size) != NULL)
        error = EILSEQ;
    if (error != 0) {
        pf_conffile_free(file);
        return error;
    }
    file->text[file->size] = '\0';
    file->next = file->text;
    if (strncmp(file->next, "\xef\xbb\xbf", 3) == 0)
        file->next += 3;
    return 0;
}

/* Takes the next line off; NULL: there is none. */
static char *cut_line(struct pf_conffile *file)
{
    char *line = file->next;

    if (*line == '\0')
        return NULL;
    file->next += strcspn(line, "\n");
    if (*file->next == '\n')
        *file->next++ = '\0';
    file->line++;
    return line;
}

/* Cuts blanks off both ends. */
static char *trim(char *text)
{
    text += strspn(text, blanks);
    for (char *end = text + strlen(text);
         end > text && strchr(blanks, end[-1]) != NULL;)
        *--end = '\0';
    return text;
}

static void cut_entry(char *text, struct pf_conffile_entry *entry)
{
    entry->name = text + (strncmp(text, "--", 2) == 0 ? 2 : 0);
    entry->value = NULL;
    char *end = entry->name + strcspn(entry->name, "= \t");
    char *value = end + strspn(end, " \t");
    if (*value == '\0')
        return; /* blanks were cut off: the name is all there is */
    value += *value == '=';
    *end = '\0';
    entry->value = value + strspn(value, " \t");
}

bool pf_conffile_next(struct pf_conffile *file,
                      struct pf_conffile_entry *entry)
{
    char *line;

    while ((line = cut_line(file)) != NULL) {
        line = trim(line);
        if (*line != '\0' && *line != '#') {
            cut_entry(line, entry);
            return true;
        }
    }
    return false;
}

void pf_conffile_free(struct pf_conffile *file)
{
    if (file->text != NULL)
        explicit_bzero(file->text, file->size);
    free(file->text);
    *file = (struct pf_conffile){.text = NULL};
}
