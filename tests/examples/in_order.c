/* in_order.c - results in the order of the list, whatever arrives first.
 *
 * SPDX-License-Identifier: MIT
 *
 *     in_order URL...
 */
#include <pfetch.h>
#include <signal.h>
#include <stdio.h>

/* In order every body is complete when begin() comes: its length is known. */
static enum pfetch_reply begin(void *self, struct pfetch_job *job,
                               const struct pfetch_response *response,
                               int64_t offset, struct pfetch_failure *why)
{
    (void)self, (void)offset, (void)why;
    printf("%llu %s %lld\n",
           (unsigned long long)pfetch_job_request(job)->n,
           pfetch_job_url(job), (long long)response->length_bytes);
    return PFETCH_GO;
}

/* A URL that fails has its place, too. */
static enum pfetch_reply end(void *self, struct pfetch_job *job,
                             const struct pfetch_record *record,
                             struct pfetch_failure *why)
{
    (void)self, (void)why;
    if (record->status != PFETCH_STATUS_OK)
        printf("%llu %s failed\n",
               (unsigned long long)record->request->n, pfetch_job_url(job));
    return PFETCH_GO;
}

int main(int argc, char **argv)
{
    struct pfetch_handler handler = { .begin = begin, .end = end };
    struct pfetch_options options;
    struct pfetch_failure why;
    struct pfetch *pf;

    signal(SIGPIPE, SIG_IGN);
    pfetch_options_init(&options);
    options.ordered = true;
    if (pfetch_create(&pf, &options, &handler, &why) != 0) {
        fprintf(stderr, "%s\n", why.text);
        return 1;
    }
    for (int i = 1; i < argc; i++) {
        struct pfetch_request request = { .url = argv[i],
                                          .n = (uint64_t)i };

        if (pfetch_add(pf, &request) != 0)
            break;
    }
    if (pfetch_finish(pf, &why) != PFETCH_END_COMPLETE)
        fprintf(stderr, "%s\n", why.text);
    pfetch_free(pf);
    return 0;
}
