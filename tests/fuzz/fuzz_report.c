/* fuzz_report.c - records, whatever bytes they are made of.
 *
 * SPDX-License-Identifier: MIT
 *
 * The input is texts, divided by NUL: URL, path, message, id and headers.  The
 * record is one line of printable ASCII that jansson reads, it does not depend
 * on a password in the URL, and resume.c finds in it what it stands for.
 */
#include "config.h"

#include "fuzz.h"
#include "report.h"
#include "resume.h"

#include <jansson.h>
#include <string.h>

enum { TEXTS = 6, SIZE_MAX_BYTES = 4000, LINE_BYTES = 1 << 18 };

static void check_line(char *line, size_t size)
{
    json_error_t error;

    must(size > 2 && line[size - 1] == '\n' && line[0] == '{');
    for (size_t i = 0; i < size - 1; i++)
        must(line[i] >= 0x20 && line[i] < 0x7f);
    json_t *json = json_loadb(line, size, 0, &error);
    must(json_is_object(json));
    must(json_is_string(json_object_get(json, "url")));
    json_decref(json);
}

/* The record of a URL and the other texts, as it is written.  Returns its
 * length. */
static size_t write_record(const struct fuzz_file *file,
                           const struct pfetch_request *request,
                           char *const texts[TEXTS], size_t size,
                           char line[LINE_BYTES])
{
    struct pf_report report;
    struct pfetch_failure why;
    struct pfetch_record record = {.request = request,
                                   .status = PFETCH_STATUS_OK,
                                   .path = texts[1],
                                   .message = texts[2],
                                   .effective_url = request->url,
                                   .content_type = texts[4],
                                   .etag = texts[5],
                                   .bytes = (int64_t)size};

    must(pf_report_open(&report, file->name, NULL, &why) == 0);
    must(pf_report_record(&report, &record, &why) == 0);
    must(pf_report_close(&report, &why) == 0);
    ssize_t got = pread(file->fd, line, LINE_BYTES, 0);
    must(got > 0 && got < LINE_BYTES);
    return (size_t)got;
}

/* With a password in front of the host, whatever it is, the same comes out. */
static void check_password(const struct pfetch_request *request,
                           char *const texts[TEXTS], size_t size)
{
    static const char *const secrets[] = {"http://u:secret@h/",
                                          "http://u:another%40@h/"};
    static char lines[2][LINE_BYTES];
    char url[SIZE_MAX_BYTES + 64];
    size_t lengths[2];

    for (int i = 0; i < 2; i++) {
        struct pfetch_request with = *request;
        struct fuzz_file file;

        (void)snprintf(url, sizeof(url), "%s%s", secrets[i], request->url);
        with.url = url;
        fuzz_file_open(&file, NULL, 0);
        lengths[i] = write_record(&file, &with, texts, size, lines[i]);
        fuzz_file_close(&file);
    }
    must(lengths[0] == lengths[1] &&
         memcmp(lines[0], lines[1], lengths[0]) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char line[LINE_BYTES];
    char copy[SIZE_MAX_BYTES + 1], *texts[TEXTS], *next = copy;
    struct pfetch_failure why;
    struct fuzz_file file;

    if (size > SIZE_MAX_BYTES)
        return 0;
    if (size > 0)
        memcpy(copy, data, size);
    copy[size] = '\0';
    for (int i = 0; i < TEXTS; i++) {
        texts[i] = next;
        if (next < copy + size)
            next += strlen(next) + (next + strlen(next) < copy + size);
    }
    struct pfetch_request request = {.url = texts[0], .id = texts[3], .n = 1};

    fuzz_file_open(&file, NULL, 0);
    check_line(line, write_record(&file, &request, texts, size, line));

    struct pf_resume *resume = pf_resume_create(PF_RESUME_BODY);
    must(resume != NULL && pf_resume_load(resume, file.name, &why) == 0);
    must(pf_resume_ignored(resume) == 0);
    must(pf_resume_has(resume, &request, NULL, (int64_t)size));
    must(!pf_resume_has(resume, &request, NULL, (int64_t)size + 1));
    pf_resume_free(resume);
    fuzz_file_close(&file);
    check_password(&request, texts, size);
    return 0;
}
