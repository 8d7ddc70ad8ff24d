/* replay.c - runs a fuzz target over its corpus, without libFuzzer.
 *
 * SPDX-License-Identifier: MIT
 *
 * The test fuzz/replay_NAME is fuzz_NAME.c and this file.  It feeds each file
 * of $srcdir/fuzz/corpus/NAME, or of the directories given as arguments, to
 * the target and prints TAP.  An input that crashes ends the process: then
 * the last line names it.
 */
#include "config.h"

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Reads a whole file into exactly as much memory as it has bytes, so that a
 * sanitizer sees one byte too many.  NULL: it cannot be read. */
static uint8_t *read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data = NULL;
    long length;

    if (file == NULL)
        return NULL;
    if (fseek(file, 0, SEEK_END) == 0 && (length = ftell(file)) >= 0 &&
        fseek(file, 0, SEEK_SET) == 0 &&
        (data = malloc(length > 0 ? (size_t)length : 1)) != NULL) {
        *size = fread(data, 1, (size_t)length, file);
        if (*size != (size_t)length) {
            free(data);
            data = NULL;
        }
    }
    (void)fclose(file); /* only read from */
    return data;
}

/* Feeds one file; returns whether it could be read. */
static int replay_file(unsigned number, const char *dir, const char *name)
{
    char path[4096];
    uint8_t *data;
    size_t size = 0;

    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    printf("# %s\n", path);
    (void)fflush(stdout); /* a crash is to come after the name */
    data = read_file(path, &size);
    if (data != NULL)
        (void)LLVMFuzzerTestOneInput(data, size); /* always 0 */
    printf("%sok %u - %s\n", data != NULL ? "" : "not ", number, name);
    free(data);
    return data != NULL;
}

static int is_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

/* Feeds all files of a directory, by name; *number goes on counting.  Returns
 * whether there was one and all could be read. */
static int replay_dir(unsigned *number, const char *dir)
{
    struct dirent **entries;
    int count = scandir(dir, &entries, is_visible, alphasort);
    int good = count > 0;

    if (count <= 0)
        printf("not ok %u - no corpus in %s\n", ++*number, dir);
    for (int i = 0; i < count; i++) {
        good &= replay_file(++*number, dir, entries[i]->d_name);
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
    return good;
}

int main(int argc, char **argv)
{
    unsigned number = 0;
    int good = 1;

    for (int i = 1; i < argc; i++)
        good &= replay_dir(&number, argv[i]);
    if (argc < 2) {
        const char *srcdir = getenv("srcdir");
        const char *target = strstr(argv[0], "replay_");
        char dir[4096];

        (void)snprintf(dir, sizeof dir, "%s/fuzz/corpus/%s",
                       srcdir != NULL ? srcdir : ".",
                       target != NULL ? target + strlen("replay_") : "");
        good &= replay_dir(&number, dir);
    }
    printf("1..%u\n", number);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
