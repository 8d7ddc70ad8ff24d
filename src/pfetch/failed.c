/* failed.c - the lines that were read but are not ok.
 *
 * SPDX-License-Identifier: MIT
 */
#include "config.h"

#include "failed.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- lines ---------------------------------------------------------------- */

static bool reserve(struct pf_failed *failed, size_t size)
{
    if (failed->buffer_size >= size)
        return true;
    free(failed->buffer);
    failed->buffer = malloc(size);
    failed->buffer_size = failed->buffer != NULL ? size : 0;
    return failed->buffer != NULL;
}

/* A comment for a line that cannot be repeated.  Whatever could end the line
 * is replaced: what stands behind it would be a line of its own. */
static void make_comment(const struct pfetch_record *record, char *text,
                         size_t size)
{
    const struct pfetch_request *request = record->request;
    const char *message = record->message != NULL ? record->message
                                                  : "not attempted";

    if (request->list == NULL)
        (void)snprintf(text, size, "# argument %" PRIu64 ": %s", request->n,
                       message);
    else
        (void)snprintf(text, size, "# %.300s:%" PRIu64 ": %s", request->list,
                       request->line, message);
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            *text = '?';
}

int pf_failed_record(struct pf_failed *failed,
                     const struct pfetch_record *record,
                     struct pfetch_failure *why)
{
    const char *text = record->request->text;
    char comment[PFETCH_TEXT_BYTES + 400];

    if (failed->out.fd < 0 || failed->out.failed ||
        (record->status != PFETCH_STATUS_FAILED &&
         record->status != PFETCH_STATUS_NOT_ATTEMPTED))
        return 0;
    if (text == NULL) {
        make_comment(record, comment, sizeof(comment));
        text = comment;
    }
    size_t size = strlen(text);
    if (!reserve(failed, size + 1))
        return pf_outfile_fail(&failed->out, why, "out of memory");
    memcpy(failed->buffer, text, size);
    failed->buffer[size] = failed->end;
    if (pf_outfile_write(&failed->out, failed->buffer, size + 1, why) != 0)
        return -1;
    failed->lines++;
    return 0;
}

/* --- opening and closing -------------------------------------------------- */

/* Takes the rights of others off a file that was there. */
static int make_private(struct pf_failed *failed, const struct stat *status,
                        struct pfetch_failure *why)
{
    if (!S_ISREG(status->st_mode) ||
        (status->st_mode & (S_IRWXG | S_IRWXO)) == 0 ||
        fchmod(failed->out.fd, S_IRUSR | S_IWUSR) == 0)
        return 0;
    pfetch_failure_set(why, PFETCH_CLASS_LOCAL,
                       "%.150s: cannot be made unreadable for others: %s",
                       failed->out.name, strerror(errno));
    return -1;
}

int pf_failed_open(struct pf_failed *failed, const char *file,
                   bool null_separated, const struct pf_input *input,
                   const struct pf_outfile *report,
                   struct pfetch_failure *why)
{
    struct stat status;

    *failed = (struct pf_failed){.end = null_separated ? '\0' : '\n'};
    if (pf_outfile_open(&failed->out, file, S_IRUSR | S_IWUSR, input, why) !=
        0)
        return -1;
    if (fstat(failed->out.fd, &status) != 0) {
        (void)pf_outfile_fail(&failed->out, why, strerror(errno));
        return -1;
    }
    if (report != NULL && S_ISREG(status.st_mode) &&
        pf_outfile_is(report, status.st_dev, status.st_ino)) {
        pfetch_failure_set(why, PFETCH_CLASS_NONE,
                           "%.150s: records and the lines that failed cannot "
                           "go to the same file", file);
        return -1;
    }
    return make_private(failed, &status, why);
}

int pf_failed_begin(struct pf_failed *failed, struct pfetch_failure *why)
{
    struct stat status;

    if (failed->out.fd < 0 || fstat(failed->out.fd, &status) != 0 ||
        !S_ISREG(status.st_mode) || status.st_size == 0 ||
        ftruncate(failed->out.fd, 0) == 0)
        return 0;
    return pf_outfile_fail(&failed->out, why, strerror(errno));
}

int pf_failed_close(struct pf_failed *failed, struct pfetch_failure *why)
{
    int result = pf_outfile_close(&failed->out, why);

    free(failed->buffer);
    failed->buffer = NULL;
    failed->buffer_size = 0;
    return result;
}
