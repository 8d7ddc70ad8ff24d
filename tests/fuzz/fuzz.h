/* fuzz.h - what the fuzz targets share.
 *
 * SPDX-License-Identifier: MIT
 *
 * A target is a function that libFuzzer, or replay.c, calls with any bytes.
 * It calls what it tests and must() for each promise; a broken one aborts.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline void must(bool holds)
{
    if (!holds)
        abort();
}

/* A file in memory that has a name, for what reads or writes files. */
struct fuzz_file {
    int fd;
    char name[32];
};

static inline void fuzz_file_open(struct fuzz_file *file, const void *data,
                                  size_t size)
{
    file->fd = memfd_create("fuzz", MFD_CLOEXEC);
    must(file->fd >= 0);
    must(size == 0 || write(file->fd, data, size) == (ssize_t)size);
    (void)snprintf(file->name, sizeof(file->name), "/proc/self/fd/%d",
                   file->fd); /* it fits */
}

static inline void fuzz_file_close(struct fuzz_file *file)
{
    must(close(file->fd) == 0);
}

#endif
