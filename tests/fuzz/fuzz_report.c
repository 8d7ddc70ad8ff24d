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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char line[LINE_BYTES];
    char copy[SIZE_MAX_BYTES + 1], *texts[TEXTS], *next = copy;
    struct pf_report report;
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
    struct pfetch_request request = {
        .url = texts[0], .id = texts[3], .n = 1};
    struct pfetch_record record = {.request = &request,
                                   .status = PFETCH_STATUS_OK,
                                   .path = texts[1],
                                   .message = texts[2],
                                   .effective_url = texts[0],
                                   .content_type = texts[4],
                                   .etag = texts[5],
                                   .bytes = (int64_t)size};

    fuzz_file_open(&file, NULL, 0);
    must(pf_report_open(&report, file.name, NULL, &why) == 0);
    must(pf_report_record(&report, &record, &why) == 0);
    must(pf_report_close(&report, &why) == 0);
    ssize_t got = pread(file.fd, line, sizeof(line), 0);
    must(got > 0 && (size_t)got < sizeof(line));
    check_line(line, (size_t)got);

    struct pf_resume *resume = pf_resume_create(PF_RESUME_BODY);
    must(resume != NULL && pf_resume_load(resume, file.name, &why) == 0);
    must(pf_resume_ignored(resume) == 0);
    must(pf_resume_has(resume, &request, NULL, (int64_t)size));
    must(!pf_resume_has(resume, &request, NULL, (int64_t)size + 1));
    pf_resume_free(resume);
    fuzz_file_close(&file);
    return 0;
}
