/* download.c - a list of URLs, each body handed to a function of ours as soon
 * as it is there, while the others go on.
 *
 * SPDX-License-Identifier: MIT
 *
 *     download USER PASSWORD <list.txt
 */
#include <pfetch.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

/* Whole bodies, one at a time; above 256 KiB in several pieces. */
static enum pfetch_reply take(void *self, struct pfetch_job *job,
                              const void *data, size_t size,
                              struct pfetch_failure *why)
{
    (void)self, (void)data, (void)why;
    printf("%s: %zu bytes\n", pfetch_job_url(job), size);
    return PFETCH_GO;
}

static void on_record(void *user, const struct pfetch_record *record)
{
    unsigned *done = user;

    fprintf(stderr, "%u done\n", ++*done);
    if (record->status == PFETCH_STATUS_FAILED)
        printf("%s: failed: %s\n", record->request->url, record->message);
}

int main(int argc, char **argv)
{
    struct pfetch_handler handler = { .take = take, .serial = true };
    struct pfetch_request request = { .n = 0 };
    struct pfetch_options options;
    struct pfetch_failure why;
    struct pfetch *pf;
    char line[4096];
    unsigned done = 0;
    enum pfetch_end end;

    signal(SIGPIPE, SIG_IGN);
    pfetch_options_init(&options);
    options.workers = 32;
    options.retries = 3;
    options.retry_delay_ms = 100;
    options.username = argc > 2 ? argv[1] : NULL;
    options.password = argc > 2 ? argv[2] : NULL;
    options.on_record = on_record;
    options.user = &done;
    if (pfetch_create(&pf, &options, &handler, &why) != 0) {
        fprintf(stderr, "%s\n", why.text);
        return 1;
    }
    while (fgets(line, sizeof(line), stdin) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        request.url = line;
        request.n++;
        if (pfetch_add(pf, &request) != 0)
            break;
    }
    end = pfetch_finish(pf, &why);
    pfetch_free(pf);
    return end == PFETCH_END_COMPLETE ? 0 : 1;
}
