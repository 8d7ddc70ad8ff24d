/* exec_each.c - the handler that runs a command for each finished file.
 *
 * SPDX-License-Identifier: MIT
 *
 * It is the dir handler, and something after its end(): plan, resume, begin and
 * take are passed on.
 *
 * Two threads.  The writer starts a process in end(), once one of `jobs`
 * places is free: that is where downloads wait for commands.  The watcher
 * (watch.c) notices how processes end, settles their jobs, and ends them when
 * the run was stopped.
 *
 * A place is waited for before the file gets its name.  So when a stop comes
 * first, the file is dropped, and the next run fetches it and runs the command;
 * likewise when the command cannot be started, which ends the run.  So a file
 * that is there has had its command started.
 */
#include "config.h"

#include "pfetch_handlers.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "child.h"
#include "exec.h"
#include "watch.h"
#include "words.h"

enum { STOP_MS = 1000 };

static const char BRACES[] = "{}";
static const char PREFIX[] = "PFETCH_";

/* What a command is told of its file. */
enum { VARIABLES = 6, NUMBER_BYTES = 48 };

struct place {
    struct pfetch_job *job; /* lock; NULL: nothing runs here */
    struct pf_child child;  /* the watcher's, while job is not NULL; else the
                             * writer's */
};

struct each {
    /* Read-only. */
    struct pfetch_handler dir;
    char **words;
    size_t word_count;
    bool has_braces;
    char *base;             /* what paths are relative to, with a "/" */
    char **env;             /* ours, without what begins with PREFIX; its
                             * end has room for VARIABLES more, the writer's */
    size_t env_count;
    unsigned jobs;
    struct place *places;
    const struct pfetch *run; /* since start(); nothing runs before */

    struct pf_watch watch;  /* its lock guards: */
    unsigned running;
    bool is_ending;         /* nothing runs, and nothing will */

    struct pollfd *polled;  /* the watcher's */
};

/* The command's name, for messages. */
#define NAME(each) ((each)->words[0])

/* --- what is run ----------------------------------------------------------- */

static size_t count_braces(const char *word)
{
    size_t count = 0;

    for (; (word = strstr(word, BRACES)) != NULL; word += strlen(BRACES))
        count++;
    return count;
}

/* Copies word with all "{}" replaced; returns the end. */
static char *fill_in(char *to, const char *word, const char *path)
{
    size_t length = strlen(path);
    const char *next;

    for (; (next = strstr(word, BRACES)) != NULL;
         word = next + strlen(BRACES)) {
        memcpy(to, word, (size_t)(next - word));
        to += next - word;
        memcpy(to, path, length);
        to += length;
    }
    length = strlen(word) + 1;
    memcpy(to, word, length);
    return to + length;
}

/* The words for one file, in one piece: free(3).  NULL: no memory. */
static char **make_words(const struct each *each, const char *path)
{
    size_t count = each->word_count, size = (count + 2) * sizeof(char *);
    char **words, *to;

    for (size_t i = 0; i < count; i++)
        size += strlen(each->words[i]) + 1
                + count_braces(each->words[i]) * strlen(path);
    words = malloc(size + strlen(path) + 1);
    if (words == NULL)
        return NULL;
    to = (char *)(words + count + 2);
    for (size_t i = 0; i < count; i++) {
        words[i] = to;
        to = fill_in(to, each->words[i], path);
    }
    words[count] = words[count + 1] = NULL;
    if (!each->has_braces) {
        words[count] = to;
        (void)fill_in(to, BRACES, path);
    }
    return words;
}

/* "NAME=text", on the heap; NULL: no memory. */
static char *make_variable(const char *name, const char *text)
{
    size_t size = sizeof(PREFIX) + strlen(name) + 1 + strlen(text);
    char *variable = malloc(size);

    if (variable != NULL)
        (void)snprintf(variable, size, "%s%s=%s", PREFIX, name, text);
    return variable;
}

static char *make_number(const char *name, int64_t number)
{
    char text[NUMBER_BYTES];

    (void)snprintf(text, sizeof(text), "%" PRId64, number);
    return make_variable(name, text);
}

static void free_variables(struct each *each)
{
    for (size_t i = 0; i < VARIABLES; i++) {
        free(each->env[each->env_count + i]);
        each->env[each->env_count + i] = NULL;
    }
}

/* False: no memory. */
static bool set_variables(struct each *each, const struct pfetch_job *job,
                          const struct pfetch_record *record,
                          const char *path)
{
    char **at = each->env + each->env_count;

    at[0] = make_variable("URL", pfetch_job_url(job));
    at[1] = make_variable("PATH", path);
    at[2] = make_variable("STATUS", pfetch_status_name(record->status));
    at[3] = make_number("HTTP_STATUS", record->http_status);
    at[4] = make_number("BYTES", record->bytes);
    at[5] = make_number("N", (int64_t)record->request->n);
    for (size_t i = 0; i < VARIABLES; i++)
        if (at[i] == NULL)
            return false;
    return true;
}

static char *make_path(const struct each *each, const char *path)
{
    size_t size = strlen(each->base) + strlen(path) + 1;
    char *joined = malloc(size);

    if (joined != NULL)
        (void)snprintf(joined, size, "%s%s", each->base, path);
    return joined;
}

/* 0 or an errno. */
static int start_command(struct each *each, struct pf_child *child,
                         const struct pfetch_job *job,
                         const struct pfetch_record *record)
{
    char *path = make_path(each, pfetch_job_path(job));
    char **words = path == NULL ? NULL : make_words(each, path);
    int error = ENOMEM;

    if (words != NULL && set_variables(each, job, record, path))
        error = pf_child_start(child, words, each->env, -1, -1);
    free_variables(each);
    free(words);
    free(path);
    return error;
}

/* --- the watcher ----------------------------------------------------------- */

static void look_at(struct each *each, struct place *place, bool is_ended)
{
    struct pfetch_failure why = { .cls = PFETCH_CLASS_NONE };
    enum pfetch_reply reply = PFETCH_GO;
    struct pf_child *child = &place->child;
    struct pfetch_job *job;
    char end[64];
    bool was_signalled;
    int status;

    pf_watch_lock(&each->watch);
    job = place->job;
    pf_watch_unlock(&each->watch);
    if (job == NULL)
        return;
    if (child->deadline_ms == INT64_MAX && pfetch_is_stopped(each->run))
        pf_child_expect_end(child, STOP_MS);
    if (!((is_ended || child->exit_fd < 0) && pf_child_has_ended(child))
        && pf_child_press(child))
        return;
    was_signalled = child->signalled != 0;
    pf_child_reap(child, &status);
    if (status != 0) {
        reply = PFETCH_FAIL;
        pfetch_failure_set(&why, was_signalled ? PFETCH_CLASS_STOPPED
                                               : PFETCH_CLASS_HANDLER,
                           "%s%.100s %s", was_signalled ? "stopped: " : "",
                           NAME(each),
                           pf_child_describe(status, end, sizeof(end)));
    }
    pf_watch_lock(&each->watch);
    place->job = NULL;
    each->running--;
    (void)pthread_cond_signal(&each->watch.changed);
    pf_watch_unlock(&each->watch);
    pfetch_settle(job, reply, &why);
}

/* Fills each->polled; returns the time for poll(2). */
static int prepare_locked(struct each *each)
{
    int timeout_ms = each->running > 0 ? PF_WATCH_LOOK_MS : -1;

    each->polled[0] = (struct pollfd){ .fd = each->watch.bell[0],
                                       .events = POLLIN };
    for (unsigned i = 0; i < each->jobs; i++) {
        const struct place *place = &each->places[i];
        bool is_there = place->job != NULL;
        int child_ms;

        each->polled[1 + i] = (struct pollfd){
            .fd = is_there ? place->child.exit_fd : -1, .events = POLLIN };
        if (!is_there)
            continue;
        child_ms = pf_child_timeout_ms(&place->child);
        if (child_ms >= 0 && child_ms < timeout_ms)
            timeout_ms = child_ms;
    }
    return timeout_ms;
}

static void *watch(void *arg)
{
    struct each *each = arg;
    int timeout_ms;
    bool is_over;

    for (;;) {
        pf_watch_lock(&each->watch);
        timeout_ms = prepare_locked(each);
        is_over = each->is_ending && each->running == 0;
        pf_watch_unlock(&each->watch);
        if (is_over)
            return NULL;
        (void)poll(each->polled, 1 + (nfds_t)each->jobs, timeout_ms);
        if (each->polled[0].revents != 0)
            pf_watch_unring(&each->watch);
        for (unsigned i = 0; i < each->jobs; i++)
            look_at(each, &each->places[i],
                    each->polled[1 + i].revents != 0);
    }
}

/* --- the handler ----------------------------------------------------------- */

static void start(void *self, const struct pfetch *run)
{
    struct each *each = self;

    each->run = run;
}

static enum pfetch_reply plan(void *self, struct pfetch_job *job,
                              struct pfetch_failure *why)
{
    struct each *each = self;

    return each->dir.plan(each->dir.self, job, why);
}

static enum pfetch_reply resume(void *self, struct pfetch_job *job,
                                struct pfetch_failure *why)
{
    struct each *each = self;

    return each->dir.resume(each->dir.self, job, why);
}

static enum pfetch_reply begin(void *self, struct pfetch_job *job,
                               const struct pfetch_response *response,
                               int64_t offset_bytes,
                               struct pfetch_failure *why)
{
    struct each *each = self;

    return each->dir.begin(each->dir.self, job, response, offset_bytes, why);
}

static enum pfetch_reply take(void *self, struct pfetch_job *job,
                              const void *data, size_t size,
                              struct pfetch_failure *why)
{
    struct each *each = self;

    return each->dir.take(each->dir.self, job, data, size, why);
}

/* A place in which nothing runs; NULL: the run was stopped before there was
 * one. */
static struct place *wait_for_place(struct each *each)
{
    struct place *free_place = NULL;
    bool is_stopped;

    pf_watch_lock(&each->watch);
    while (!(is_stopped = pfetch_is_stopped(each->run))
           && each->running == each->jobs)
        pf_watch_wait(&each->watch);
    for (unsigned i = 0; !is_stopped && free_place == NULL; i++)
        if (each->places[i].job == NULL)
            free_place = &each->places[i];
    pf_watch_unlock(&each->watch);
    return free_place;
}

/* The file is dropped. */
static enum pfetch_reply drop(struct each *each, struct pfetch_job *job,
                              const struct pfetch_record *record,
                              struct pfetch_failure *why)
{
    struct pfetch_record dropped = *record;
    struct pfetch_failure ignored;

    dropped.status = PFETCH_STATUS_FAILED;
    dropped.cls = PFETCH_CLASS_STOPPED;
    (void)each->dir.end(each->dir.self, job, &dropped, &ignored);
    pfetch_failure_set(why, PFETCH_CLASS_STOPPED,
                       "stopped before %.100s was run", NAME(each));
    return PFETCH_FAIL;
}

/* It has its name already, and would count as done. */
static void remove_file(const struct each *each, const struct pfetch_job *job)
{
    char *path = make_path(each, pfetch_job_path(job));

    if (path != NULL)
        (void)unlink(path); /* else a later run leaves the command out */
    free(path);
}

static enum pfetch_reply run_command(struct each *each, struct place *place,
                                     struct pfetch_job *job,
                                     const struct pfetch_record *record,
                                     struct pfetch_failure *why)
{
    int error = start_command(each, &place->child, job, record);

    if (error != 0) {
        pfetch_failure_set(why, PFETCH_CLASS_LOCAL, "cannot start %.100s: %s",
                           NAME(each), strerror(error));
        /* What is run may be the file itself: that is this file's fault. */
        if (count_braces(NAME(each)) > 0)
            return PFETCH_FAIL;
        remove_file(each, job);
        return PFETCH_BROKEN;
    }
    pf_watch_lock(&each->watch);
    place->job = job;
    each->running++;
    pf_watch_unlock(&each->watch);
    pf_watch_ring(&each->watch); /* one more to watch */
    return PFETCH_PENDING;
}

static enum pfetch_reply end(void *self, struct pfetch_job *job,
                             const struct pfetch_record *record,
                             struct pfetch_failure *why)
{
    struct each *each = self;
    enum pfetch_reply reply;
    struct place *place;

    if (record->status != PFETCH_STATUS_OK)
        return each->dir.end(each->dir.self, job, record, why);
    place = wait_for_place(each);
    if (place == NULL)
        return drop(each, job, record, why);
    reply = each->dir.end(each->dir.self, job, record, why);
    return reply == PFETCH_GO ? run_command(each, place, job, record, why)
                              : reply;
}

/* Everything is settled by now: nothing runs. */
static enum pfetch_reply done(void *self, struct pfetch_failure *why)
{
    struct each *each = self;

    return each->dir.done != NULL ? each->dir.done(each->dir.self, why)
                                  : PFETCH_GO;
}

/* --- create and free ------------------------------------------------------- */

static void free_each(struct each *each)
{
    pfetch_dir_free(&each->dir);
    free(each->polled);
    free(each->places);
    free(each->env);
    free(each->base);
    free(each->words);
    free(each);
}

/* "-c", "-ec": what follows is a script. */
static bool is_script_option(const char *word)
{
    size_t length = strlen(word);

    return length >= 2 && word[0] == '-' && word[1] != '-'
           && word[length - 1] == 'c';
}

static int read_words(struct each *each, const char *command,
                      struct pfetch_failure *why)
{
    int error = pf_words_split(&each->words, command, why);

    if (error != 0)
        return error;
    for (char **word = each->words; *word != NULL; word++) {
        each->word_count++;
        if (count_braces(*word) == 0)
            continue;
        each->has_braces = true;
        if (word > each->words && is_script_option(word[-1])) {
            pfetch_failure_set(why, PFETCH_CLASS_NONE, "{} stands in a "
                               "script, where a file name could be code: "
                               "use \"$PFETCH_PATH\" there");
            return PFETCH_EINVAL;
        }
    }
    return 0;
}

/* Our environment as it is now, without what we set ourselves. */
static int copy_environment(struct each *each)
{
    size_t count = 0;

    while (environ[count] != NULL)
        count++;
    each->env = calloc(count + VARIABLES + 1, sizeof(*each->env));
    if (each->env == NULL)
        return PFETCH_ENOMEM;
    for (size_t i = 0; i < count; i++)
        if (strncmp(environ[i], PREFIX, strlen(PREFIX)) != 0)
            each->env[each->env_count++] = environ[i];
    return 0;
}

/* A path that begins with "-" could be taken for an option. */
static char *make_base(const char *dir)
{
    size_t size = strlen(dir) + 4;
    char *base = malloc(size);

    if (base != NULL)
        (void)snprintf(base, size, "%s%s%s", dir[0] == '-' ? "./" : "", dir,
                       dir[strlen(dir) - 1] == '/' ? "" : "/");
    return base;
}

/* Whether PATH has the command: found out before the first request, not after
 * the first file.  0 or an errno. */
static int find_command(const char *name)
{
    const char *path = getenv("PATH");
    char file[4096];
    int error = ENOENT;

    if (strchr(name, '/') != NULL)
        return access(name, X_OK) == 0 ? 0 : errno;
    if (path == NULL)
        path = "/bin:/usr/bin"; /* as posix_spawnp(3) */
    for (;;) {
        int length = (int)strcspn(path, ":");
        int size = snprintf(file, sizeof(file), "%.*s%s%s", length, path,
                            length > 0 ? "/" : "", name);

        if (size > 0 && (size_t)size < sizeof(file)
            && access(file, X_OK) == 0)
            return 0;
        if (errno == EACCES)
            error = EACCES;
        if (path[length] == '\0')
            return error;
        path += length + 1;
    }
}

/* 0, PFETCH_ENOMEM or PFETCH_EINVAL; *each is fit for free_each() after all.
 */
static int init_each(struct each *each, const struct pfetch_exec_options *o,
                     const struct pfetch_dir_options *dir,
                     struct pfetch_failure *why)
{
    int error = read_words(each, o->command, why);

    if (error != 0)
        return error;
    error = count_braces(NAME(each)) > 0 ? 0 : find_command(NAME(each));
    if (error != 0) {
        pfetch_failure_set(why, PFETCH_CLASS_LOCAL, "cannot start %.100s: %s",
                           NAME(each), strerror(error));
        return PFETCH_EINVAL;
    }
    if (dir->durable) { /* its end() would be pending, and so be nobody's */
        pfetch_failure_set(why, PFETCH_CLASS_NONE,
                           "not usable: durable, with a command for each file");
        return PFETCH_EINVAL;
    }
    error = pfetch_dir_create(&each->dir, dir, why);
    if (error != 0)
        return error;
    each->jobs = o->jobs;
    each->base = make_base(dir->dir);
    each->places = calloc(o->jobs, sizeof(*each->places));
    each->polled = calloc(1 + (size_t)o->jobs, sizeof(*each->polled));
    if (each->base != NULL && each->places != NULL && each->polled != NULL
        && copy_environment(each) == 0)
        return 0;
    pfetch_failure_set(why, PFETCH_CLASS_LOCAL, "out of memory");
    return PFETCH_ENOMEM;
}

static int start_watch(struct each *each, struct pfetch_failure *why)
{
    int error = pf_watch_init(&each->watch);

    if (error == 0) {
        error = pf_watch_start(&each->watch, watch, each);
        if (error != 0)
            pf_watch_fini(&each->watch);
    }
    if (error == 0)
        return 0;
    pfetch_failure_set(why, PFETCH_CLASS_LOCAL, "cannot start a thread: %s",
                       strerror(error));
    return PFETCH_ETHREAD;
}

int pfetch_exec_each_create(struct pfetch_handler *handler,
                            const struct pfetch_exec_options *options,
                            const struct pfetch_dir_options *dir,
                            struct pfetch_failure *why)
{
    struct pfetch_exec_options o;
    struct each *each;
    int error;

    *handler = (struct pfetch_handler){ .self = NULL };
    if (!pf_exec_options_read(&o, options, why))
        return PFETCH_EINVAL;
    each = calloc(1, sizeof(*each));
    if (each == NULL) {
        pfetch_failure_set(why, PFETCH_CLASS_LOCAL, "out of memory");
        return PFETCH_ENOMEM;
    }
    error = init_each(each, &o, dir, why);
    if (error == 0)
        error = start_watch(each, why);
    if (error != 0) {
        free_each(each);
        return error;
    }
    *handler = (struct pfetch_handler){
        .self = each, .start = start, .plan = plan, .resume = resume,
        .begin = begin, .take = take, .end = end, .done = done,
    };
    return 0;
}

void pfetch_exec_each_free(struct pfetch_handler *handler)
{
    struct each *each = handler->self;

    if (each == NULL)
        return;
    pf_watch_lock(&each->watch);
    each->is_ending = true;
    pf_watch_unlock(&each->watch);
    pf_watch_ring(&each->watch);
    pf_watch_join(&each->watch);
    pf_watch_fini(&each->watch);
    free_each(each);
    handler->self = NULL;
}
