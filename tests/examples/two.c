/* two.c - two downloaders at once, with options of their own, fed by one
 * thread that never waits for either.
 *
 * SPDX-License-Identifier: MIT
 *
 *     two URL...
 *
 * Every second URL goes to the other one.
 */
#define _POSIX_C_SOURCE 200809L /* nanosleep() */

#include <pfetch.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

enum { TWO = 2 };

int main(int argc, char **argv)
{
    struct pfetch *two[TWO];
    struct pfetch_options options;
    struct pfetch_failure why;
    int next[TWO] = { 1, 2 }, status = 0;

    signal(SIGPIPE, SIG_IGN);
    for (int i = 0; i < TWO; i++) {
        pfetch_options_init(&options);
        options.workers = i == 0 ? 4 : 8;
        options.queue_jobs = 16;
        if (pfetch_create(&two[i], &options, NULL, &why) != 0) {
            fprintf(stderr, "%s\n", why.text);
            return 1;
        }
    }
    while (next[0] < argc || next[1] < argc) {
        bool is_idle = true;

        for (int i = 0; i < TWO; i++) {
            struct pfetch_request request = { .n = (uint64_t)next[i] };
            int error;

            if (next[i] >= argc)
                continue;
            request.url = argv[next[i]];
            error = pfetch_try_add(two[i], &request);
            if (error == PFETCH_EAGAIN)
                continue; /* it has enough to do: ask the other one */
            is_idle = false;
            next[i] = error == 0 ? next[i] + TWO : argc;
        }
        if (is_idle) /* a program with other work would do some of it */
            (void)nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
    }
    for (int i = 0; i < TWO; i++) {
        struct pfetch_counters counters;

        if (pfetch_finish(two[i], &why) != PFETCH_END_COMPLETE)
            status = 1;
        pfetch_get_counters(two[i], &counters);
        printf("%d: %llu ok, %llu failed\n", i + 1,
               (unsigned long long)counters.ok,
               (unsigned long long)counters.failed);
        pfetch_free(two[i]);
    }
    return status;
}
