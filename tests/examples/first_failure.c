/* first_failure.c - stop everything at the first URL that fails.
 *
 * SPDX-License-Identifier: MIT
 *
 *     first_failure URL...
 *
 * pfetch_stop() may be called from a callback and from any thread.  It does
 * not wait; pfetch_add() then refuses, and pfetch_finish() ends soon.
 */
#include <pfetch.h>
#include <signal.h>
#include <stdio.h>

struct run {
    struct pfetch *pf;
    unsigned by_status[5];
};

static void on_record(void *user, const struct pfetch_record *record)
{
    struct run *run = user;

    run->by_status[record->status]++;
    if (record->status != PFETCH_STATUS_FAILED
        || record->cls == PFETCH_CLASS_STOPPED)
        return;
    printf("%s: %s: %s\n", record->request->url,
           pfetch_class_name(record->cls), record->message);
    pfetch_stop(run->pf, 0);
}

int main(int argc, char **argv)
{
    struct run run = { .pf = NULL };
    struct pfetch_options options;
    struct pfetch_failure why;
    enum pfetch_end end;

    signal(SIGPIPE, SIG_IGN);
    pfetch_options_init(&options);
    options.on_record = on_record;
    options.user = &run;
    if (pfetch_create(&run.pf, &options, NULL, &why) != 0) {
        fprintf(stderr, "%s\n", why.text);
        return 1;
    }
    for (int i = 1; i < argc; i++) {
        struct pfetch_request request = { .url = argv[i],
                                          .n = (uint64_t)i };

        if (pfetch_add(run.pf, &request) != 0)
            break;
    }
    end = pfetch_finish(run.pf, &why);
    for (int s = PFETCH_STATUS_OK; s <= PFETCH_STATUS_NOT_ATTEMPTED; s++)
        printf("%s %u\n", pfetch_status_name((enum pfetch_status)s),
               run.by_status[s]);
    pfetch_free(run.pf);
    return end == PFETCH_END_COMPLETE ? 0 : 1;
}
