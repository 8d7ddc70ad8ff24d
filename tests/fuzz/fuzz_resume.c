/* fuzz_resume.c - reports of earlier runs, as anybody may have left them.
 *
 * SPDX-License-Identifier: MIT
 *
 * Each line is read by jansson, too: what that refuses must have been
 * ignored, so that a torn record never counts.
 */
#include "config.h"

#include "fuzz.h"
#include "resume.h"

#include <jansson.h>
#include <string.h>

enum { SIZE_MAX_BYTES = 20000 };

/* Numbers too large for jansson, and trees too deep, are JSON all the same. */
static bool is_record(const char *line, size_t size)
{
    json_error_t error;
    json_t *json = json_loadb(line, size, JSON_ALLOW_NUL, &error);
    bool good = json_is_object(json);

    if (json == NULL)
        good = json_error_code(&error) == json_error_numeric_overflow ||
               json_error_code(&error) == json_error_stack_overflow;
    json_decref(json);
    return good;
}

static bool is_blank(const char *line, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (line[i] == '\0' || strchr(" \t\r\n", line[i]) == NULL)
            return false;
    return true;
}

/* How many lines of a file are ignored. */
static uint64_t load(const void *data, size_t size)
{
    static const struct pfetch_request request = {.url = "http://h/a"};
    struct pf_resume *resume = pf_resume_create(PF_RESUME_PATH);
    struct pfetch_failure why;
    struct fuzz_file file;

    must(resume != NULL);
    fuzz_file_open(&file, data, size);
    must(pf_resume_load(resume, file.name, &why) == 0);
    fuzz_file_close(&file);
    uint64_t ignored = pf_resume_ignored(resume);
    (void)pf_resume_has(resume, &request, "a", 1); /* either is right */
    pf_resume_free(resume);
    return ignored;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t ignored = 0;
    const char *text = (const char *)data, *end = text + size;

    if (size == 0 || size > SIZE_MAX_BYTES)
        return 0;
    for (const char *line = text, *next; line < end; line = next) {
        const char *newline = memchr(line, '\n', (size_t)(end - line));

        next = newline != NULL ? newline + 1 : end;
        uint64_t now = load(line, (size_t)(next - line));
        must(now <= 1);
        must(now == 1 || is_blank(line, (size_t)(next - line)) ||
             is_record(line, (size_t)(next - line)));
        ignored += now;
    }
    must(load(data, size) == ignored); /* wherever a line stands */
    return 0;
}
