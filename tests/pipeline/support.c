/* support.c - what the pipeline tests have in common; see support.h.
 *
 * SPDX-License-Identifier: MIT
 *
 * Entries are written by whoever has the job: the adding thread in plan(),
 * the writer afterwards, the test when the run is over.  The engine's queues
 * order these, so an entry needs no lock; a race detector that finds one here
 * has found one in the engine.
 */
#include "config.h"

#include "support.h"

#include "../faultd/body.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

int64_t now_ms(void)
{
    struct timespec ts;

    if (clock_gettime(CLOCK_MONOTONIC, &ts) != 0)
        abort();
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

bool is_slow(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
    return true;
#endif
#endif
    /* valgrind hides itself from the program. */
    return getenv("PFETCH_SLOW") != NULL;
}

bool is_full(void)
{
    const char *text = getenv("PFETCH_FULL");

    return text != NULL && *text != '\0'; /* the Makefile always sets it */
}

static void die(const char *what)
{
    fprintf(stderr, "pipeline: %s: %s\n", what, strerror(errno));
    exit(99);
}

/* --- faultd --------------------------------------------------------------- */

static void exec_faultd(const char *bind, const char *cert, const char *key)
{
    const char *program = getenv("FAULTD");

    if (program == NULL)
        program = "faultd/faultd";
    if (cert == NULL)
        execl(program, "faultd", "--bind", bind, "--mute", (char *)NULL);
    else
        execl(program, "faultd", "--bind", bind, "--mute", "--tls-cert", cert,
              "--tls-key", key, (char *)NULL);
    die(program);
}

/* "12345 plain" and so on, one a line. */
static void read_ports(struct faultd *f, FILE *in, unsigned n)
{
    static const char *const names[PORTS] = { "plain", "tls", "mute" };

    memset(f->ports, 0, sizeof(f->ports));
    while (n-- > 0) {
        char name[16];
        int port;

        if (fscanf(in, "%d %15s", &port, name) != 2)
            die("faultd did not start (set FAULTD)");
        for (int i = 0; i < PORTS; i++)
            if (strcmp(name, names[i]) == 0)
                f->ports[i] = port;
    }
}

void faultd_start(struct faultd *f, const char *bind, const char *cert,
                  const char *key)
{
    int in[2], out[2];
    FILE *ports;

    if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0)
        die("pipe");
    f->pid = fork();
    if (f->pid < 0)
        die("fork");
    if (f->pid == 0) {
        if (dup2(in[0], 0) < 0 || dup2(out[1], 1) < 0)
            die("dup2");
        exec_faultd(bind, cert, key);
    }
    (void)close(in[0]); /* pipes: nothing can be lost */
    (void)close(out[1]);
    f->input = in[1];
    ports = fdopen(out[0], "r");
    if (ports == NULL)
        die("fdopen");
    read_ports(f, ports, cert == NULL ? 2 : 3);
    (void)fclose(ports); /* only read */
}

void faultd_stop(struct faultd *f)
{
    int status;

    (void)close(f->input); /* a pipe */
    /* A test that forks leaves copies of that pipe for a moment. */
    (void)kill(f->pid, SIGTERM); /* it may have ended already */
    while (waitpid(f->pid, &status, 0) < 0)
        if (errno != EINTR)
            die("waitpid");
}

static int connect_to(int port)
{
    struct sockaddr_in to = { .sin_family = AF_INET,
                              .sin_port = htons((uint16_t)port) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&to, sizeof(to)) != 0)
        die("connect to faultd");
    return fd;
}

char *faultd_control(const struct faultd *f, const char *path)
{
    size_t size = 1 << 16, len = 0;
    char *text = malloc(size), *body;
    int fd = connect_to(f->ports[PORT_PLAIN]);
    ssize_t n;

    if (text == NULL
        || dprintf(fd, "GET %s HTTP/1.1\r\nHost: control\r\n"
                   "Connection: close\r\n\r\n", path) < 0)
        die("faultd control");
    while ((n = recv(fd, text + len, size - len - 1, 0)) > 0) {
        len += (size_t)n;
        if (size - len < 4096 && (text = realloc(text, size *= 2)) == NULL)
            die("faultd control");
    }
    (void)close(fd); /* only read */
    text[len] = '\0';
    body = strstr(text, "\r\n\r\n");
    if (n < 0 || body == NULL)
        die("faultd control");
    memmove(text, body + 4, strlen(body + 4) + 1);
    return text;
}

void faultd_reset(const struct faultd *f)
{
    free(faultd_control(f, "/_reset"));
}

long faultd_hits(const struct faultd *f, const char *path)
{
    static const char hex[] = "0123456789ABCDEF";
    char query[2 * URL_BYTES] = "/_hits?path=";
    size_t n = strlen(query);
    char *text;
    long hits;

    for (; *path != '\0' && n + 4 < sizeof(query); path++) {
        unsigned char c = (unsigned char)*path;

        query[n++] = '%';
        query[n++] = hex[c >> 4];
        query[n++] = hex[c & 15];
    }
    query[n] = '\0';
    text = faultd_control(f, query);
    hits = strtol(text, NULL, 10);
    free(text);
    return hits;
}

void faultd_wait_hits(const struct faultd *f, const char *path, long hits)
{
    const struct timespec pause = { 0, 2000000 };

    while (faultd_hits(f, path) < hits)
        (void)nanosleep(&pause, NULL); /* between two looks; the time limit
                                        * of the test decides */
}

long faultd_stat(const struct faultd *f, const char *name)
{
    char *text = faultd_control(f, "/_stats");
    char quoted[64];
    const char *at;
    long value;

    (void)snprintf(quoted, sizeof(quoted), "\"%s\":", name); /* fits */
    at = strstr(text, quoted);
    ck_assert_ptr_nonnull(at);
    value = strtol(at + strlen(quoted), NULL, 10);
    free(text);
    return value;
}

char *faultd_url(const struct faultd *f, int port, const char *host,
                 const char *path, char *text)
{
    int n = snprintf(text, URL_BYTES, "%s://%s:%d%s",
                     port == PORT_TLS ? "https" : "http", host,
                     f->ports[port], path);

    ck_assert_int_lt(n, URL_BYTES);
    return text;
}

/* --- the rules ------------------------------------------------------------ */

/* Remembers the first broken rule. */
static void broken(struct run *run, const struct entry *e, const char *rule)
{
    if (pthread_mutex_lock(&run->lock) != 0)
        abort();
    if (run->broken[0] == '\0')
        (void)snprintf(run->broken, sizeof(run->broken), "%s (%s)", rule,
                       e == NULL ? "run" : e->url); /* may be cut */
    if (pthread_mutex_unlock(&run->lock) != 0)
        abort();
}

static void check_writer(struct run *run, const struct entry *e)
{
    if (!run->has_writer) {
        run->has_writer = true;
        run->writer = pthread_self();
    }
    if (!pthread_equal(run->writer, pthread_self()))
        broken(run, e, "called on another thread than the writer's");
    if (atomic_load(&run->dones) > 0)
        broken(run, e, "called after done");
}

static enum pfetch_reply answer(struct entry *e, enum pfetch_reply reply,
                                struct pfetch_failure *why)
{
    if (why->cls != PFETCH_CLASS_NONE || why->text[0] != '\0')
        broken(e->run, e, "*why was not empty");
    if (reply != PFETCH_GO && e->why_text != NULL)
        pfetch_failure_set(why, e->why_cls, "%s", e->why_text);
    return reply;
}

static void call_hook(struct run *run, struct entry *e, enum event event)
{
    if (run->hook != NULL)
        run->hook(run, e, event);
}

static enum pfetch_reply on_plan(void *self, struct pfetch_job *job,
                                 struct pfetch_failure *why)
{
    struct run *run = self;
    struct entry *e = pfetch_job_request(job)->user;

    if (atomic_flag_test_and_set(&run->planning))
        broken(run, e, "calls of plan overlap");
    if (e->plans++ > 0)
        broken(run, e, "planned twice");
    e->job = job;
    pfetch_job_set_state(job, e);
    call_hook(run, e, ON_PLAN);
    if (e->resume_offset > 0
        && pfetch_job_resume(job, e->resume_offset, e->resume_total,
                             e->resume_etag) != 0)
        broken(run, e, "pfetch_job_resume() refused");
    atomic_flag_clear(&run->planning);
    return answer(e, e->plan_reply, why);
}

static void check_called(struct run *run, struct entry *e,
                         struct pfetch_job *job)
{
    check_writer(run, e);
    if (e->plans != 1 || e->job != job)
        broken(run, e, "a job that was not planned");
    if (e->plan_reply != PFETCH_GO)
        broken(run, e, "a job that plan did not let go");
    if (e->ends > 0 || e->records > 0)
        broken(run, e, "called after end");
}

/* begin or take has said no. */
static bool is_given_up(const struct entry *e)
{
    return (e->begins > 0 && e->begin_reply != PFETCH_GO)
           || (e->fail_take > 0 && e->takes >= e->fail_take
               && e->take_reply != PFETCH_GO);
}

static bool is_spooled(const struct run *run)
{
    return run->handler.serial || run->options.ordered;
}

/* What begin of a spooled body promises. */
static void check_spooled_begin(struct run *run, struct entry *e,
                                const struct pfetch_response *response)
{
    if (run->current != NULL || e->begins > 0)
        broken(run, e, "begin in the middle of a body");
    if (response->record == NULL
        || response->record->status != PFETCH_STATUS_OK
        || response->record->bytes != response->length_bytes)
        broken(run, e, "begin before the verdict is known");
    run->current = e;
}

static void check_spooled_end(struct run *run, struct entry *e,
                              const struct pfetch_record *record)
{
    if (run->current != (e->begins > 0 ? e : NULL))
        broken(run, e, "end in the middle of another body");
    if (e->begins > 0 && record->status != PFETCH_STATUS_OK
        && !is_given_up(e))
        broken(run, e, "a body that failed was begun");
    run->current = NULL;
}

static void check_order(struct run *run, struct entry *e, unsigned *last)
{
    if (run->options.ordered && e->n < *last)
        broken(run, e, "out of order");
    *last = e->n + 1;
}

static enum pfetch_reply on_begin(void *self, struct pfetch_job *job,
                                  const struct pfetch_response *response,
                                  int64_t offset, struct pfetch_failure *why)
{
    struct run *run = self;
    struct entry *e = pfetch_job_state(job);

    check_called(run, e, job);
    if (is_given_up(e))
        broken(run, e, "begin after it was given up");
    if (e->begins == 0 && e->resume_offset > 0)
        e->size = e->resume_offset; /* what it claimed to have */
    if (offset < 0 || offset > e->size)
        broken(run, e, "begin leaves a gap");
    if ((response->http_status == 206) != (offset > 0))
        broken(run, e, "the status of begin does not fit the offset");
    if (response->http_status != 200 && response->http_status != 206)
        broken(run, e, "begin for a status that cannot be accepted");
    if (is_spooled(run))
        check_spooled_begin(run, e, response);
    else if (response->record != NULL)
        broken(run, e, "a record in begin");
    e->begins++;
    e->size = e->last_offset = offset;
    e->declared = response->length_bytes;
    call_hook(run, e, ON_BEGIN);
    return answer(e, e->begin_reply, why);
}

static void compare(struct entry *e, const char *data, size_t size)
{
    static char right[64 * 1024]; /* the writer's only; one run at a time */

    while (size > 0) {
        size_t n = size < sizeof(right) ? size : sizeof(right);

        body_fill(e->compare_hash, e->size, right, n);
        if (memcmp(right, data, n) != 0)
            e->is_wrong = true;
        e->size += (int64_t)n;
        data += n;
        size -= n;
    }
}

static void keep(struct entry *e, const void *data, size_t size)
{
    int64_t needed = e->size + (int64_t)size;

    if (needed > e->capacity) {
        e->capacity = needed * 2;
        e->body = realloc(e->body, (size_t)e->capacity);
        if (e->body == NULL)
            die("realloc");
    }
    memcpy(e->body + e->size, data, size);
    e->size = needed;
}

static enum pfetch_reply on_take(void *self, struct pfetch_job *job,
                                 const void *data, size_t size,
                                 struct pfetch_failure *why)
{
    struct run *run = self;
    struct entry *e = pfetch_job_state(job);

    check_called(run, e, job);
    if (is_given_up(e))
        broken(run, e, "take after it was given up");
    if (e->begins == 0)
        broken(run, e, "take before begin");
    if (size == 0)
        broken(run, e, "take of nothing");
    if (is_spooled(run) && run->current != e)
        broken(run, e, "take in the middle of another body");
    e->takes++;
    if (e->is_compared)
        compare(e, data, size);
    else
        keep(e, data, size);
    call_hook(run, e, ON_TAKE);
    return answer(e, e->fail_take == e->takes ? e->take_reply : PFETCH_GO,
                  why);
}

static enum pfetch_reply on_end(void *self, struct pfetch_job *job,
                                const struct pfetch_record *record,
                                struct pfetch_failure *why)
{
    struct run *run = self;
    struct entry *e = pfetch_job_state(job);
    enum pfetch_reply reply = e->end_reply;

    check_called(run, e, job);
    e->ends++;
    if (is_spooled(run))
        check_spooled_end(run, e, record);
    check_order(run, e, &run->ended);
    if (record->request->user != e)
        broken(run, e, "end with another job's record");
    if (record->status == PFETCH_STATUS_OK) {
        if (e->begins == 0)
            broken(run, e, "ok without begin");
        if (record->bytes != e->size)
            broken(run, e, "ok, but not all bytes were taken");
        if (is_given_up(e))
            broken(run, e, "ok after it was given up");
    }
    call_hook(run, e, ON_END);
    return answer(e, reply, why);
}

static enum pfetch_reply on_done(void *self, struct pfetch_failure *why)
{
    struct run *run = self;

    (void)why;
    check_writer(run, NULL);
    atomic_fetch_add(&run->dones, 1);
    call_hook(run, NULL, ON_DONE);
    return PFETCH_GO;
}

static char *copy(const char *s)
{
    char *t = s == NULL ? NULL : strdup(s);

    if (s != NULL && t == NULL)
        die("strdup");
    return t;
}

static void check_record(struct run *run, struct entry *e,
                         const struct pfetch_record *r)
{
    check_writer(run, e);
    if (e->records++ > 0)
        broken(run, e, "two records");
    check_order(run, e, &run->recorded);
    if (r->request->n != e->n + 1)
        broken(run, e, "the number of the request has changed");
    if ((r->status == PFETCH_STATUS_FAILED) != (r->cls != PFETCH_CLASS_NONE))
        broken(run, e, "a class without failure, or the other way round");
    if (r->status == PFETCH_STATUS_FAILED
        && (r->message == NULL || r->message[0] == '\0'))
        broken(run, e, "a failure without a reason");
    if (r->status == PFETCH_STATUS_NOT_ATTEMPTED && r->attempts > 0)
        broken(run, e, "not attempted, but it was");
    if (run->handler.end == on_end && e->plans > 0
        && e->plan_reply == PFETCH_GO && e->ends != 1)
        broken(run, e, "a record before end");
}

static void on_record(void *user, const struct pfetch_record *r)
{
    struct run *run = user;
    struct entry *e = r->request->user;

    check_record(run, e, r);
    e->status = r->status;
    e->cls = r->cls;
    e->message = copy(r->message);
    e->effective_url = copy(r->effective_url);
    e->path = copy(r->path);
    e->http_status = r->http_status;
    e->attempts = r->attempts;
    e->bytes = r->bytes;
    e->resumed_at = r->resumed_at_bytes;
    e->length_verified = r->length_verified;
    atomic_fetch_add(&run->records, 1);
    call_hook(run, e, ON_RECORD);
}

/* --- runs ----------------------------------------------------------------- */

struct run *run_create(unsigned max)
{
    struct run *run = calloc(1, sizeof(*run));

    if (run == NULL || (run->entries = calloc(max, sizeof(struct entry)))
                           == NULL)
        die("calloc");
    run->max = max;
    atomic_flag_clear(&run->planning);
    if (pthread_mutex_init(&run->lock, NULL) != 0)
        die("mutex");
    run->handler = (struct pfetch_handler){
        .self = run, .plan = on_plan, .begin = on_begin, .take = on_take,
        .end = on_end, .done = on_done,
    };
    pfetch_options_init(&run->options);
    run->options.workers = 4;
    run->options.retries = 1;
    run->options.retry_delay_ms = 5;
    run->options.retry_max_delay_ms = 20;
    run->options.connect_timeout_ms = 5000;
    run->options.stall_timeout_ms = 10000;
    run->options.on_record = on_record;
    run->options.user = run;
    return run;
}

void run_start(struct run *run)
{
    struct pfetch_failure why = { .text = "" };
    int error;

    (void)signal(SIGPIPE, SIG_IGN); /* as pfetch.h asks; cannot fail */
    error = pfetch_create(&run->pf, &run->options, &run->handler, &why);
    ck_assert_msg(error == 0, "pfetch_create: %s: %s", pfetch_strerror(error),
                  why.text);
}

struct entry *run_next(struct run *run, const char *url)
{
    unsigned n = atomic_fetch_add(&run->count, 1);
    struct entry *e;

    if (n >= run->max)
        die("run_next: too many requests");
    e = &run->entries[n];
    e->run = run;
    e->n = n;
    e->url = copy(url);
    e->resume_total = -1;
    return e;
}

int run_put(struct entry *e)
{
    struct pfetch_request request = { .url = e->url, .n = e->n + 1,
                                      .user = e };
    int error = pfetch_add(e->run->pf, &request);

    /* The entry is the engine's now, unless it was refused. */
    if (error != 0)
        e->add_error = error;
    return error;
}

struct entry *run_add(struct run *run, const char *url)
{
    struct entry *e = run_next(run, url);

    (void)run_put(e); /* kept in the entry */
    return e;
}

struct entry *run_add_path(struct run *run, const struct faultd *f,
                           const char *path)
{
    char url[URL_BYTES];

    return run_add(run, faultd_url(f, PORT_PLAIN, "127.0.0.1", path, url));
}

void run_add_good(struct run *run, const struct faultd *f, unsigned n,
                  long size)
{
    static _Atomic unsigned serial;

    for (unsigned i = 0; i < n; i++) {
        unsigned id = atomic_fetch_add(&serial, 1);
        char path[80];

        (void)snprintf(path, sizeof(path), "/size=%ld/good%u",
                       size + (long)(id % 7), id); /* it fits */
        (void)run_add_path(run, f, path);
    }
}

static void check_counters(const struct run *run, unsigned accepted)
{
    const struct pfetch_counters *c = &run->counters;

    ck_assert_uint_eq(c->added, accepted);
    ck_assert_uint_eq(c->ok + c->failed + c->skipped + c->not_attempted,
                      accepted);
    ck_assert_uint_eq(c->running, 0);
    ck_assert_uint_eq(c->delayed, 0);
}

void run_finish(struct run *run)
{
    unsigned accepted = 0, count = atomic_load(&run->count);

    run->end = pfetch_finish(run->pf, &run->why);
    pfetch_get_counters(run->pf, &run->counters);
    pfetch_free(run->pf);
    run->pf = NULL;
    ck_assert_msg(run->broken[0] == '\0', "%s", run->broken);
    for (unsigned i = 0; i < count; i++) {
        const struct entry *e = &run->entries[i];

        ck_assert_msg(e->records == (e->add_error == 0),
                      "%u records, add said %d: %s", e->records,
                      e->add_error, e->url);
        accepted += e->add_error == 0;
    }
    if (run->handler.done == on_done)
        ck_assert_uint_eq(atomic_load(&run->dones), 1);
    check_counters(run, accepted);
}

void run_free(struct run *run)
{
    unsigned count = atomic_load(&run->count);

    for (unsigned i = 0; i < count; i++) {
        struct entry *e = &run->entries[i];

        free(e->url);
        free(e->body);
        free(e->message);
        free(e->effective_url);
        free(e->path);
    }
    if (pthread_mutex_destroy(&run->lock) != 0)
        abort();
    free(run->entries);
    free(run);
}

/* --- expectations --------------------------------------------------------- */

void expect_body(const struct entry *e, const char *seed, int64_t size)
{
    uint64_t hash = body_hash(seed, strlen(seed));
    char *right = malloc((size_t)size + 1);

    ck_assert_msg(e->status == PFETCH_STATUS_OK, "%s: %s: %s: %s", e->url,
                  pfetch_status_name(e->status), pfetch_class_name(e->cls),
                  e->message == NULL ? "" : e->message);
    ck_assert_msg(e->size == size && e->bytes == size,
                  "%s: %" PRId64 " bytes, the record says %" PRId64, e->url,
                  e->size, e->bytes);
    if (right == NULL)
        die("malloc");
    body_fill(hash, 0, right, (size_t)size);
    if (size > 0)
        ck_assert_msg(memcmp(right, e->body, (size_t)size) == 0,
                      "%s: wrong bytes", e->url);
    free(right);
}

void expect_good(const struct run *run)
{
    unsigned count = atomic_load(&run->count);

    for (unsigned i = 0; i < count; i++) {
        const struct entry *e = &run->entries[i];
        const char *seed = strstr(e->url, "/good");
        const char *size = strstr(e->url, "/size=");

        if (seed != NULL && size != NULL)
            expect_body(e, seed + 1, strtol(size + 6, NULL, 10));
    }
}

void expect_failed(const struct entry *e, enum pfetch_class cls)
{
    ck_assert_msg(e->status == PFETCH_STATUS_FAILED && e->cls == cls,
                  "%s: not failed with \"%s\" but %s: %s: %s", e->url,
                  pfetch_class_name(cls), pfetch_status_name(e->status),
                  pfetch_class_name(e->cls),
                  e->message == NULL ? "" : e->message);
}

/* --- gates ---------------------------------------------------------------- */

static void must(int error)
{
    if (error != 0)
        abort();
}

void gate_init(struct gate *gate)
{
    must(pthread_mutex_init(&gate->lock, NULL));
    must(pthread_cond_init(&gate->moved, NULL));
    gate->count = 0;
}

void gate_add(struct gate *gate)
{
    must(pthread_mutex_lock(&gate->lock));
    gate->count++;
    must(pthread_cond_broadcast(&gate->moved));
    must(pthread_mutex_unlock(&gate->lock));
}

void gate_wait(struct gate *gate, unsigned count)
{
    must(pthread_mutex_lock(&gate->lock));
    while (gate->count < count)
        must(pthread_cond_wait(&gate->moved, &gate->lock));
    must(pthread_mutex_unlock(&gate->lock));
}
