/* exec.c - the handler that gives each body to one of K processes.
 *
 * SPDX-License-Identifier: MIT
 *
 * Each process runs the same command for as long as the run lasts.  It reads
 * frames (frame.c) from its standard input and answers each with a line, which
 * settles the job: "N ok", or "N fail TEXT", N being the "n" of the header.
 *
 * Two threads.  The writer chooses a process in begin(), writes to it in take()
 * and end(), and starts processes.  The watcher (watch.c) reads answers,
 * settles jobs, notices deaths and ends processes.  So whatever a process does
 * first, read or answer, somebody of ours does the other half: neither side
 * can block the other.
 *
 * Who may have what.  A process has at most two bodies: one that it works on,
 * and one that waits in its pipe, so that it need not wait for us.  The second
 * is sent only if the pipe takes it as it is; a larger one waits for a process
 * that has nothing to do.  Nothing is kept in our memory: a body is written
 * from where the engine has it.  When all have what they may have, begin()
 * waits, and with it the writer, and with that the downloads.
 *
 * The body that is being written is `fed`.  Its process may answer before it
 * has been written whole, and may end: both are noted there, and end() gives
 * the answer.  After end() the job stands in the process's list of jobs, and
 * the watcher settles it.
 *
 * A process is gone when it closes its output, its input, or ends; or answers
 * what is no answer.  Then its input is closed, and it gets a second to end by
 * itself, so that we learn how; then TERM, then KILL, to its group.  Jobs it
 * has not answered fail.  Another one is started when there is something to
 * do for it; but after DEATHS + K deaths in a row without an answer the place is
 * broken, and the run ends.
 *
 * At the end the inputs are closed and all have END_MS to end; after a stop,
 * when the grace time is over, STOP_MS.  Answers count until the last moment.
 * How a process ended that had to be signalled, or whose status is not 0, is
 * why the run ends as broken: it may not have kept what it was given.
 */
#include "config.h"

#include "pfetch_handlers.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "child.h"
#include "exec.h"
#include "frame.h"
#include "watch.h"
#include "words.h"

enum {
    BODIES = 2,              /* that a process has at once */
    PIPE_BYTES = 1024 * 1024, /* asked for; what any user may have */
    PIPE_SPARE_BYTES = 32 * 1024, /* pages of a pipe that are not full */
    LINE_BYTES = 512,        /* of an answer */
    DEATHS = 4,
    LEAVE_MS = 1000,         /* from the end of its output to its own */
    END_MS = 10 * 1000,
    STOP_MS = 1000,          /* with TERM and KILL below the 2 s that the
                              * program gives everybody after the grace */
    JOBS_MAX = 256
};

/* Of a process. */
enum state {
    GONE = 0, /* there is no process */
    UP,
    LEAVING   /* its input is closed, or will be when it is not fed */
};

/* A body that was written whole and is not answered. */
struct given {
    struct pfetch_job *job;
    uint64_t n;
    int64_t bytes;
};

struct process {
    enum state state;       /* lock */
    int in;                 /* lock; the writer's while fed.  -1: closed */
    size_t pipe_bytes;      /* lock */
    struct given given[BODIES]; /* lock; in their order */
    unsigned count;         /* lock */
    const char *closed;     /* lock; what it has closed; NULL: nothing */
    char wrong[LINE_BYTES]; /* lock; what it has answered wrongly; "": nothing */
    bool is_cut;            /* lock; it has got a body that is not whole */

    /* The watcher's, while state is not GONE; else the writer's. */
    struct pf_child child;
    int out;                /* -1: closed */
    char line[LINE_BYTES];  /* an answer that is not complete */
    size_t line_bytes;
};

struct exec {
    /* Read-only. */
    char **words;
    unsigned jobs;
    struct process *processes;

    struct pf_watch watch;  /* its lock guards: */
    struct {
        struct process *process; /* NULL: nothing is fed */
        struct given body;
        bool is_answered;
        enum pfetch_reply reply;
        struct pfetch_failure why;
    } fed;
    unsigned deaths;        /* in a row */
    char last_death[LINE_BYTES];
    char bad_end[LINE_BYTES]; /* of the first that has ended badly when it
                             * should end; "": none */
    const struct pfetch *run; /* by start(), before there is any job: the
                             * writer needs no lock for it, the watcher does */
    bool is_stopped;        /* the run was, and its grace time is over */
    bool is_ending;         /* done() was called */
    bool is_asleep;         /* the watcher sleeps until it is woken */

    /* The writer's. */
    struct pf_json header;  /* of what is fed; size 0: it was written */
    int64_t fed_bytes;      /* written, header included */
    bool is_dropped;        /* the rest of it has nowhere to go */

    struct pollfd *polled;  /* the watcher's */
};

/* The command's name, for messages. */
#define NAME(exec) ((exec)->words[0])

static void free_exec(struct exec *exec)
{
    pf_json_fini(&exec->header);
    free(exec->polled);
    free(exec->processes);
    free(exec->words);
    free(exec);
}

/* --- processes ------------------------------------------------------------- */

/* Its input goes unless the writer is just using it; then the writer closes
 * it, in release_locked(). */
static void close_input_locked(struct exec *exec, struct process *p)
{
    if (exec->fed.process == p || p->in < 0)
        return;
    (void)close(p->in); /* a pipe: what was written is there */
    p->in = -1;
}

/* It gets nothing more.  The watcher sees to it that it ends. */
static void leave_locked(struct exec *exec, struct process *p,
                         const char *closed)
{
    if (p->state != UP)
        return;
    p->state = LEAVING;
    p->closed = closed;
    close_input_locked(exec, p);
}

/* The grace time is over. */
static void stop_locked(struct exec *exec)
{
    exec->is_stopped = true;
    for (unsigned i = 0; i < exec->jobs; i++)
        leave_locked(exec, &exec->processes[i], NULL);
}

/* Starts a process in a place where none is; the writer's, or pfetch_exec_
 * create()'s.  0 or an errno. */
static int start_process(struct exec *exec, struct process *p)
{
    int in[2], out[2], size = 0, error = pf_child_pipe(in);

    if (error != 0)
        return error;
    error = pf_child_pipe(out);
    if (error == 0) {
        error = pf_child_start(&p->child, exec->words, NULL, in[0], out[1]);
        (void)close(out[1]); /* the child has its own */
        if (error != 0)
            (void)close(out[0]);
    }
    (void)close(in[0]);
    if (error != 0) {
        (void)close(in[1]);
        return error;
    }
    (void)fcntl(in[1], F_SETFL, O_NONBLOCK); /* our ends only; pipes can */
    (void)fcntl(out[0], F_SETFL, O_NONBLOCK);
#ifdef F_SETPIPE_SZ
    (void)fcntl(in[1], F_SETPIPE_SZ, PIPE_BYTES); /* or as it was */
    size = fcntl(in[1], F_GETPIPE_SZ);
#endif
    p->out = out[0];
    p->line_bytes = 0;
    pf_watch_lock(&exec->watch);
    p->in = in[1];
    p->pipe_bytes = size > PIPE_SPARE_BYTES
                        ? (size_t)size - PIPE_SPARE_BYTES : 0;
    p->count = 0;
    p->closed = NULL;
    p->wrong[0] = '\0';
    p->is_cut = false;
    p->state = UP;
    pf_watch_unlock(&exec->watch);
    pf_watch_ring(&exec->watch); /* one more to watch */
    return 0;
}

/* --- the watcher: answers -------------------------------------------------- */

struct answer {
    uint64_t n;
    enum pfetch_reply reply;
    const char *text; /* with PFETCH_FAIL */
};

static bool parse_answer(char *line, struct answer *answer)
{
    char *rest;

    if (*line < '0' || *line > '9')
        return false;
    errno = 0;
    answer->n = strtoull(line, &rest, 10);
    if (errno != 0)
        return false;
    if (strcmp(rest, " ok") == 0) {
        answer->reply = PFETCH_GO;
        return true;
    }
    if (strncmp(rest, " fail", 5) != 0
        || (rest[5] != '\0' && rest[5] != ' '))
        return false;
    answer->reply = PFETCH_FAIL;
    answer->text = rest[5] == ' ' && rest[6] != '\0' ? rest + 6
                                                     : "no reason given";
    return true;
}

/* Takes the job that is answered out of the list: *job, or NULL if end() will
 * give the answer.  False: there is none such. */
static bool find_job_locked(struct exec *exec, struct process *p,
                            const struct answer *answer,
                            const struct pfetch_failure *why,
                            struct pfetch_job **job)
{
    for (unsigned i = 0; i < p->count; i++)
        if (p->given[i].n == answer->n) {
            *job = p->given[i].job;
            p->count--;
            memmove(&p->given[i], &p->given[i + 1],
                    (p->count - i) * sizeof(p->given[0]));
            return true;
        }
    if (exec->fed.process != p || exec->fed.is_answered
        || exec->fed.body.n != answer->n)
        return false;
    exec->fed.is_answered = true;
    exec->fed.reply = answer->reply;
    exec->fed.why = *why;
    *job = NULL;
    return true;
}

/* One line, without its end.  False: it is no answer. */
static bool take_answer(struct exec *exec, struct process *p, char *line)
{
    struct pfetch_failure why = { .cls = PFETCH_CLASS_NONE };
    struct pfetch_job *job = NULL;
    struct answer answer;
    bool is_found;

    if (!parse_answer(line, &answer))
        return false;
    if (answer.reply == PFETCH_FAIL)
        pfetch_failure_set(&why, PFETCH_CLASS_HANDLER, "%s: %s", NAME(exec),
                           answer.text);
    pf_watch_lock(&exec->watch);
    is_found = find_job_locked(exec, p, &answer, &why, &job);
    if (is_found) {
        exec->deaths = 0;
        (void)pthread_cond_signal(&exec->watch.changed);
    }
    pf_watch_unlock(&exec->watch);
    if (job != NULL)
        pfetch_settle(job, answer.reply, &why);
    return is_found;
}

/* Control characters are not passed on. */
static void complain(struct exec *exec, struct process *p, const char *line)
{
    pf_watch_lock(&exec->watch);
    (void)snprintf(p->wrong, sizeof(p->wrong), "answered '%.60s', which is "
                   "no answer to what it was given", line);
    for (char *c = p->wrong; *c != '\0'; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
    leave_locked(exec, p, NULL);
    pf_watch_unlock(&exec->watch);
    pf_child_expect_end(&p->child, 0);
}

/* The lines that are complete.  False: one is no answer. */
static bool take_lines(struct exec *exec, struct process *p)
{
    char *line = p->line, *end = p->line + p->line_bytes, *newline;

    while ((newline = memchr(line, '\n', (size_t)(end - line))) != NULL) {
        *newline = '\0';
        if (newline > line && newline[-1] == '\r')
            newline[-1] = '\0';
        if (strlen(line) < (size_t)(newline - line) - 1
            || !take_answer(exec, p, line)) {
            complain(exec, p, line);
            return false;
        }
        line = newline + 1;
    }
    p->line_bytes = (size_t)(end - line);
    memmove(p->line, line, p->line_bytes);
    if (p->line_bytes < sizeof(p->line))
        return true;
    p->line[sizeof(p->line) - 1] = '\0';
    complain(exec, p, p->line);
    return false;
}

static void close_output(struct process *p)
{
    if (p->out >= 0)
        (void)close(p->out); /* only read from */
    p->out = -1;
}

/* Reads what there is. */
static void read_answers(struct exec *exec, struct process *p)
{
    ssize_t got;

    while (p->out >= 0) {
        got = read(p->out, p->line + p->line_bytes,
                   sizeof(p->line) - p->line_bytes);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && errno == EAGAIN)
            return;
        if (got > 0) {
            p->line_bytes += (size_t)got;
            if (!take_lines(exec, p))
                close_output(p);
            continue;
        }
        close_output(p);
        pf_watch_lock(&exec->watch);
        leave_locked(exec, p, "closed its standard output");
        pf_watch_unlock(&exec->watch);
    }
}

/* --- the watcher: deaths --------------------------------------------------- */

/* Why jobs fail that this process has not answered. */
static void explain_locked(const struct exec *exec, const struct process *p,
                           bool was_signalled, const char *death,
                           struct pfetch_failure *why)
{
    if (exec->is_stopped)
        pfetch_failure_set(why, PFETCH_CLASS_STOPPED,
                           "stopped before %.100s had answered", NAME(exec));
    else if (p->wrong[0] != '\0')
        pfetch_failure_set(why, PFETCH_CLASS_HANDLER, "%.100s %s", NAME(exec),
                           p->wrong);
    else
        pfetch_failure_set(why, PFETCH_CLASS_HANDLER,
                           "%.100s %s before it had answered", NAME(exec),
                           was_signalled && p->closed != NULL ? p->closed
                                                              : death);
}

static void note_death_locked(struct exec *exec, const struct process *p,
                              bool was_signalled, int status,
                              const char *death)
{
    if (!exec->is_ending) {
        exec->deaths++;
        (void)snprintf(exec->last_death, sizeof(exec->last_death), "%s",
                       p->wrong[0] != '\0' ? p->wrong : death);
    } else if (exec->bad_end[0] == '\0'
               && (was_signalled || (status != 0 && !p->is_cut))) {
        (void)snprintf(exec->bad_end, sizeof(exec->bad_end), "%s%s", death,
                       was_signalled ? ", because it did not end by itself"
                                     : "");
    }
}

/* A process has ended, or cannot be ended.  Its jobs fail. */
static void bury(struct exec *exec, struct process *p)
{
    bool was_signalled = p->child.signalled != 0;
    struct given left[BODIES];
    struct pfetch_failure why;
    char death[64];
    unsigned count;
    bool owes;
    int status;

    read_answers(exec, p); /* it may have said something before */
    close_output(p);
    pf_watch_lock(&exec->watch);
    owes = p->count > 0
           || (exec->fed.process == p && !exec->fed.is_answered);
    pf_watch_unlock(&exec->watch);
    if (owes)
        pf_child_signal(&p->child, SIGTERM); /* its children may work on it */
    pf_child_reap(&p->child, &status);
    (void)pf_child_describe(status, death, sizeof(death));

    pf_watch_lock(&exec->watch);
    explain_locked(exec, p, was_signalled, death, &why);
    /* Only now: what was fed may have joined them meanwhile. */
    count = p->count;
    memcpy(left, p->given, sizeof(left));
    p->count = 0;
    if (exec->fed.process == p && !exec->fed.is_answered) {
        exec->fed.is_answered = true;
        exec->fed.reply = PFETCH_FAIL;
        exec->fed.why = why;
    }
    note_death_locked(exec, p, was_signalled, status, death);
    p->state = GONE;
    close_input_locked(exec, p);
    (void)pthread_cond_signal(&exec->watch.changed);
    pf_watch_unlock(&exec->watch);
    for (unsigned i = 0; i < count; i++)
        pfetch_settle(left[i].job, PFETCH_FAIL, &why);
}

/* Whether there is something for which a stop makes a difference.  The run is
 * there then. */
static bool is_busy_locked(const struct exec *exec)
{
    for (unsigned i = 0; i < exec->jobs; i++)
        if (exec->processes[i].count > 0)
            return true;
    return exec->is_ending;
}

/* polled: its output, and its end; nothing has happened to one that is gone. */
static void look_at(struct exec *exec, struct process *p,
                    const struct pollfd *polled)
{
    enum state state;
    int64_t ms;

    /* First, since it may be what makes it leave. */
    if (polled[0].revents != 0)
        read_answers(exec, p);
    pf_watch_lock(&exec->watch);
    state = p->state;
    ms = exec->is_stopped ? STOP_MS : exec->is_ending ? END_MS : LEAVE_MS;
    pf_watch_unlock(&exec->watch);
    if (state == GONE)
        return;
    if (state == LEAVING)
        pf_child_expect_end(&p->child, ms); /* from the first time on */
    if (((polled[1].revents != 0 || p->child.exit_fd < 0)
         && pf_child_has_ended(&p->child))
        || !pf_child_press(&p->child))
        bury(exec, p);
}

/* --- the watcher ----------------------------------------------------------- */

static int earlier(int timeout_ms, int other_ms)
{
    return timeout_ms < 0 || (other_ms >= 0 && other_ms < timeout_ms)
               ? other_ms : timeout_ms;
}

/* Fills exec->polled; returns the time for poll(2). */
static int prepare_locked(struct exec *exec)
{
    int timeout_ms = -1;

    exec->polled[0] = (struct pollfd){ .fd = exec->watch.bell[0],
                                       .events = POLLIN };
    for (unsigned i = 0; i < exec->jobs; i++) {
        const struct process *p = &exec->processes[i];
        struct pollfd *polled = &exec->polled[1 + 2 * i];
        bool is_there = p->state != GONE;

        polled[0] = (struct pollfd){ .fd = is_there ? p->out : -1,
                                     .events = POLLIN };
        polled[1] = (struct pollfd){ .fd = is_there ? p->child.exit_fd : -1,
                                     .events = POLLIN };
        if (is_there && (p->count > 0 || exec->is_ending))
            timeout_ms = earlier(timeout_ms, PF_WATCH_LOOK_MS);
        if (p->state == LEAVING)
            timeout_ms = earlier(timeout_ms, pf_child_timeout_ms(&p->child));
    }
    return timeout_ms;
}

static bool is_over_locked(const struct exec *exec)
{
    if (!exec->is_ending)
        return false;
    for (unsigned i = 0; i < exec->jobs; i++)
        if (exec->processes[i].state != GONE)
            return false;
    return true;
}

static void *watch(void *arg)
{
    struct exec *exec = arg;
    nfds_t count = 1 + 2 * (nfds_t)exec->jobs;
    int timeout_ms;

    for (;;) {
        pf_watch_lock(&exec->watch);
        if (!exec->is_stopped && is_busy_locked(exec)
            && pfetch_is_stopped(exec->run))
            stop_locked(exec);
        if (is_over_locked(exec)) {
            pf_watch_unlock(&exec->watch);
            return NULL;
        }
        timeout_ms = prepare_locked(exec);
        exec->is_asleep = timeout_ms < 0;
        pf_watch_unlock(&exec->watch);
        (void)poll(exec->polled, count, timeout_ms); /* all are looked at */
        if (exec->polled[0].revents != 0)
            pf_watch_unring(&exec->watch);
        for (unsigned i = 0; i < exec->jobs; i++)
            look_at(exec, &exec->processes[i], &exec->polled[1 + 2 * i]);
    }
}

/* --- the writer: who gets the next body ------------------------------------ */

static bool fits_locked(const struct process *p, int64_t bytes)
{
    if (p->count + 1 > BODIES)
        return false;
    for (unsigned i = 0; i < p->count; i++)
        bytes += p->given[i].bytes;
    return bytes <= (int64_t)p->pipe_bytes;
}

/* One that has nothing to do; else a place where none is; else one in whose
 * pipe it fits; else NULL. */
static struct process *find_room_locked(const struct exec *exec,
                                        int64_t bytes)
{
    struct process *gone = NULL, *room = NULL;

    for (unsigned i = 0; i < exec->jobs; i++) {
        struct process *p = &exec->processes[i];

        if (p->state == UP && p->count == 0)
            return p;
        if (p->state == GONE)
            gone = p;
        else if (room == NULL && p->state == UP && fits_locked(p, bytes))
            room = p;
    }
    return gone != NULL ? gone : room;
}

static enum pfetch_reply fail_stopped(const struct exec *exec,
                                      struct pfetch_failure *why)
{
    pfetch_failure_set(why, PFETCH_CLASS_STOPPED,
                       "stopped before %.100s had got it", NAME(exec));
    return PFETCH_FAIL;
}

static enum pfetch_reply fail_start(const struct exec *exec, int error,
                                    struct pfetch_failure *why)
{
    pfetch_failure_set(why, PFETCH_CLASS_LOCAL, "cannot start %.100s: %s",
                       NAME(exec), strerror(error));
    return PFETCH_BROKEN;
}

/* Waits until a process may have exec->fed.body, and gives it to it. */
static enum pfetch_reply choose(struct exec *exec, struct pfetch_failure *why)
{
    struct process *p;
    int error;

    pf_watch_lock(&exec->watch);
    for (;;) {
        if (exec->is_stopped || pfetch_is_stopped(exec->run)) {
            stop_locked(exec);
            pf_watch_unlock(&exec->watch);
            pf_watch_ring(&exec->watch);
            return fail_stopped(exec, why);
        }
        if (exec->deaths >= DEATHS + exec->jobs) {
            pfetch_failure_set(why, PFETCH_CLASS_HANDLER, "%.100s %s; the "
                               "last %u have ended without an answer",
                               NAME(exec), exec->last_death, exec->deaths);
            pf_watch_unlock(&exec->watch);
            return PFETCH_BROKEN;
        }
        p = find_room_locked(exec, exec->fed.body.bytes);
        if (p != NULL && p->state == UP)
            break;
        if (p == NULL) {
            pf_watch_wait(&exec->watch);
            continue;
        }
        pf_watch_unlock(&exec->watch);
        error = start_process(exec, p);
        if (error != 0)
            return fail_start(exec, error, why);
        pf_watch_lock(&exec->watch);
    }
    exec->fed.process = p;
    exec->fed.is_answered = false;
    pf_watch_unlock(&exec->watch);
    return PFETCH_GO;
}

/* Nothing is fed any more. */
static void release_locked(struct exec *exec)
{
    struct process *p = exec->fed.process;

    exec->fed.process = NULL;
    if (p->state != UP)
        close_input_locked(exec, p);
}

/* --- the writer: feeding --------------------------------------------------- */

/* The pipe is full. */
static enum pfetch_reply wait_for_reader(struct exec *exec,
                                         struct pfetch_failure *why)
{
    struct pollfd pollfd = { .fd = exec->fed.process->in, .events = POLLOUT };

    if (poll(&pollfd, 1, PF_WATCH_LOOK_MS) > 0)
        return PFETCH_GO;
    if (pfetch_is_stopped(exec->run))
        return fail_stopped(exec, why);
    /* It may have ended and left the pipe to somebody.  The watcher would not
     * look by itself where there is no exit_fd. */
    pf_watch_ring(&exec->watch);
    pf_watch_lock(&exec->watch);
    exec->is_dropped = exec->fed.process->state == GONE;
    pf_watch_unlock(&exec->watch);
    return PFETCH_GO;
}

/* The process has closed its input.  What it has not seen the beginning of
 * may go to another one; else what remains is dropped, and an answer may still
 * come. */
static enum pfetch_reply lose_reader(struct exec *exec,
                                     struct pfetch_failure *why)
{
    pf_watch_lock(&exec->watch);
    leave_locked(exec, exec->fed.process, "closed its standard input");
    exec->is_dropped = exec->fed_bytes > 0;
    if (!exec->is_dropped)
        release_locked(exec);
    pf_watch_unlock(&exec->watch);
    pf_watch_ring(&exec->watch);
    return exec->is_dropped ? PFETCH_GO : choose(exec, why);
}

/* Writes what the header has, and data. */
static enum pfetch_reply feed(struct exec *exec, const void *data,
                              size_t size, struct pfetch_failure *why)
{
    struct iovec parts[2] = {
        { .iov_base = exec->header.text, .iov_len = exec->header.size },
        { .iov_base = (void *)(uintptr_t)data, .iov_len = size },
    };
    enum pfetch_reply reply = PFETCH_GO;

    exec->header.size = 0;
    while (parts[0].iov_len + parts[1].iov_len > 0 && !exec->is_dropped
           && reply == PFETCH_GO) {
        ssize_t n = writev(exec->fed.process->in, parts, 2);

        if (n < 0 && errno == EAGAIN)
            reply = wait_for_reader(exec, why);
        else if (n < 0 && errno != EINTR)
            reply = lose_reader(exec, why);
        if (n > 0)
            exec->fed_bytes += n;
        for (int i = 0; i < 2 && n > 0; i++) {
            size_t part = parts[i].iov_len < (size_t)n ? parts[i].iov_len
                                                       : (size_t)n;

            parts[i].iov_base = (char *)parts[i].iov_base + part;
            parts[i].iov_len -= part;
            n -= (ssize_t)part;
        }
    }
    return reply;
}

/* --- the handler ----------------------------------------------------------- */

static void start(void *self, const struct pfetch *run)
{
    struct exec *exec = self;

    pf_watch_lock(&exec->watch);
    exec->run = run;
    pf_watch_unlock(&exec->watch);
}

static enum pfetch_reply begin(void *self, struct pfetch_job *job,
                               const struct pfetch_response *response,
                               int64_t offset_bytes,
                               struct pfetch_failure *why)
{
    struct exec *exec = self;

    (void)offset_bytes; /* of a spooled body 0: plan() resumes nothing */
    exec->header.size = 0;
    pf_frame_header(&exec->header, response->record, response->length_bytes);
    if (exec->header.failed) {
        pfetch_failure_set(why, PFETCH_CLASS_LOCAL, "out of memory");
        return PFETCH_BROKEN;
    }
    exec->fed_bytes = 0;
    exec->is_dropped = false;
    pf_watch_lock(&exec->watch);
    exec->fed.body = (struct given){
        .job = job,
        .n = pfetch_job_request(job)->n,
        .bytes = (int64_t)exec->header.size + response->length_bytes,
    };
    pf_watch_unlock(&exec->watch);
    return choose(exec, why);
}

static enum pfetch_reply take(void *self, struct pfetch_job *job,
                              const void *data, size_t size,
                              struct pfetch_failure *why)
{
    (void)job;
    return feed(self, data, size, why);
}

/* What was begun will not be finished. */
static void cut(struct exec *exec)
{
    pf_watch_lock(&exec->watch);
    if (exec->fed_bytes > 0) {
        exec->fed.process->is_cut = true;
        leave_locked(exec, exec->fed.process, NULL);
    }
    release_locked(exec);
    pf_watch_unlock(&exec->watch);
    pf_watch_ring(&exec->watch);
}

static enum pfetch_reply conclude(struct exec *exec,
                                  struct pfetch_failure *why)
{
    enum pfetch_reply reply = PFETCH_PENDING;
    bool is_asleep;

    pf_watch_lock(&exec->watch);
    if (exec->fed.is_answered) {
        reply = exec->fed.reply;
        *why = exec->fed.why;
    } else {
        struct process *p = exec->fed.process;

        p->given[p->count++] = exec->fed.body;
    }
    release_locked(exec);
    is_asleep = exec->is_asleep;
    exec->is_asleep = false;
    pf_watch_unlock(&exec->watch);
    /* It sleeps without end while nobody waits for an answer. */
    if (is_asleep)
        pf_watch_ring(&exec->watch);
    return reply;
}

static enum pfetch_reply end(void *self, struct pfetch_job *job,
                             const struct pfetch_record *record,
                             struct pfetch_failure *why)
{
    struct exec *exec = self;
    enum pfetch_reply reply;

    (void)job;
    if (exec->fed.process == NULL)
        return PFETCH_GO; /* it never began */
    if (record->status != PFETCH_STATUS_OK) {
        cut(exec);
        return PFETCH_GO;
    }
    reply = feed(exec, NULL, 0, why); /* of an empty body the header */
    if (reply != PFETCH_GO) {
        if (exec->fed.process != NULL)
            cut(exec);
        return reply;
    }
    return conclude(exec, why);
}

/* Ends all processes and the watcher. */
static void finish(struct exec *exec, bool is_hurried)
{
    pf_watch_lock(&exec->watch);
    exec->is_ending = true;
    exec->is_stopped = exec->is_stopped || is_hurried;
    for (unsigned i = 0; i < exec->jobs; i++)
        leave_locked(exec, &exec->processes[i], NULL);
    pf_watch_unlock(&exec->watch);
    pf_watch_ring(&exec->watch);
    pf_watch_join(&exec->watch);
}

static enum pfetch_reply done(void *self, struct pfetch_failure *why)
{
    struct exec *exec = self;

    finish(exec, false);
    if (exec->bad_end[0] == '\0')
        return PFETCH_GO;
    pfetch_failure_set(why, PFETCH_CLASS_HANDLER, "%.100s %s at the end",
                       NAME(exec), exec->bad_end);
    return PFETCH_BROKEN;
}

/* --- create and free ------------------------------------------------------- */

static void set_defaults(struct pfetch_exec_options *options)
{
    *options = (struct pfetch_exec_options){ .size = sizeof(*options),
                                             .jobs = 1 };
}

void pfetch_exec_options_init_sized(struct pfetch_exec_options *options,
                                    size_t size)
{
    struct pfetch_exec_options defaults;

    set_defaults(&defaults);
    defaults.size = size;
    memset(options, 0, size);
    memcpy(options, &defaults, size < sizeof(defaults) ? size
                                                       : sizeof(defaults));
}

/* Starts the watcher and the processes.  0 or an error; *why says more. */
static int start_all(struct exec *exec, struct pfetch_failure *why)
{
    int error = pf_watch_start(&exec->watch, watch, exec);

    if (error != 0) {
        pfetch_failure_set(why, PFETCH_CLASS_LOCAL,
                           "cannot start a thread: %s", strerror(error));
        return PFETCH_ETHREAD;
    }
    for (unsigned i = 0; error == 0 && i < exec->jobs; i++)
        error = start_process(exec, &exec->processes[i]);
    if (error == 0)
        return 0;
    finish(exec, true);
    (void)fail_start(exec, error, why);
    return PFETCH_EINVAL;
}

/* 0, PFETCH_ENOMEM or PFETCH_EINVAL; *exec is fit for free_exec() after all.
 */
static int init_exec(struct exec *exec, const struct pfetch_exec_options *o,
                     struct pfetch_failure *why)
{
    int error = pf_words_split(&exec->words, o->command, why);

    if (error != 0)
        return error;
    exec->jobs = o->jobs;
    exec->processes = calloc(o->jobs, sizeof(*exec->processes));
    exec->polled = calloc(1 + 2 * (size_t)o->jobs, sizeof(*exec->polled));
    if (exec->processes == NULL || exec->polled == NULL) {
        pfetch_failure_set(why, PFETCH_CLASS_LOCAL, "out of memory");
        return PFETCH_ENOMEM;
    }
    for (unsigned i = 0; i < o->jobs; i++)
        exec->processes[i].in = exec->processes[i].out = -1;
    error = pf_watch_init(&exec->watch);
    if (error == 0)
        return 0;
    pfetch_failure_set(why, PFETCH_CLASS_LOCAL, "cannot make a pipe: %s",
                       strerror(error));
    return PFETCH_EINVAL;
}

bool pf_exec_options_read(struct pfetch_exec_options *to,
                          const struct pfetch_exec_options *from,
                          struct pfetch_failure *why)
{
    const char *bad = NULL;

    set_defaults(to);
    if (from->size <= offsetof(struct pfetch_exec_options, command)
        || from->size > sizeof(*to)) {
        bad = "options.size (use pfetch_exec_options_init())";
    } else {
        memcpy(to, from, from->size);
        if (to->command == NULL)
            bad = "options.command";
        else if (to->jobs < 1 || to->jobs > JOBS_MAX)
            bad = "options.jobs";
    }
    if (bad != NULL)
        pfetch_failure_set(why, PFETCH_CLASS_NONE, "not usable: %s", bad);
    return bad == NULL;
}

int pfetch_exec_create(struct pfetch_handler *handler,
                       const struct pfetch_exec_options *options,
                       struct pfetch_failure *why)
{
    struct pfetch_exec_options o;
    struct exec *exec;
    int error;

    *handler = (struct pfetch_handler){ .self = NULL };
    if (!pf_exec_options_read(&o, options, why))
        return PFETCH_EINVAL;
    exec = calloc(1, sizeof(*exec));
    if (exec == NULL) {
        pfetch_failure_set(why, PFETCH_CLASS_LOCAL, "out of memory");
        return PFETCH_ENOMEM;
    }
    error = init_exec(exec, &o, why);
    if (error != 0) {
        free_exec(exec);
        return error;
    }
    error = start_all(exec, why);
    if (error != 0) {
        pf_watch_fini(&exec->watch);
        free_exec(exec);
        return error;
    }
    *handler = (struct pfetch_handler){
        .self = exec, .start = start, .begin = begin, .take = take,
        .end = end, .done = done, .serial = true,
    };
    return 0;
}

void pfetch_exec_free(struct pfetch_handler *handler)
{
    struct exec *exec = handler->self;

    if (exec == NULL)
        return;
    if (exec->watch.is_started)
        finish(exec, true); /* there was no run */
    pf_watch_fini(&exec->watch);
    free_exec(exec);
    handler->self = NULL;
}
