/* support.h - what the pipeline tests have in common.
 *
 * SPDX-License-Identifier: MIT
 *
 * A test starts faultd, makes a run, adds URLs, finishes it, and looks at
 * the entries: one for each request that was accepted.  The run's handler
 * keeps the bodies and checks the call protocol that pfetch.h promises; what
 * it finds broken is remembered, and reported by run_finish(), on the thread
 * of the test.
 */
#ifndef PIPELINE_SUPPORT_H
#define PIPELINE_SUPPORT_H

#include "pfetch.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

/* --- faultd --------------------------------------------------------------- */

enum { PORT_PLAIN, PORT_TLS, PORT_MUTE, PORTS };

struct faultd {
    pid_t pid;
    int input;        /* its standard input: it ends when this does */
    int ports[PORTS]; /* PORT_TLS: 0 without a certificate */
};

/* Starts the program that $FAULTD names.  cert and key may be NULL: no TLS
 * then.  bind is an address, "0.0.0.0" for all.  Ends the test program on
 * failure. */
void faultd_start(struct faultd *f, const char *bind, const char *cert,
                  const char *key);
void faultd_stop(struct faultd *f);

/* The text of a control URL (tests/faultd/control.h); the caller frees it. */
char *faultd_control(const struct faultd *f, const char *path);

/* Forgets what was counted: each test begins with that. */
void faultd_reset(const struct faultd *f);

/* Requests for exactly that path. */
long faultd_hits(const struct faultd *f, const char *path);

/* Waits until faultd has counted that many requests for the path. */
void faultd_wait_hits(const struct faultd *f, const char *path, long hits);

/* A number out of /_stats. */
long faultd_stat(const struct faultd *f, const char *name);

enum { URL_BYTES = 4096 };

/* Writes the URL of a path at one of its ports to text (URL_BYTES). */
char *faultd_url(const struct faultd *f, int port, const char *host,
                 const char *path, char *text);

/* --- runs ----------------------------------------------------------------- */

struct run;
struct entry;

enum event { ON_PLAN, ON_BEGIN, ON_TAKE, ON_END, ON_RECORD, ON_DONE };

/* Called for each of the handler's calls, before the entry's reply is given
 * (entry is NULL for ON_DONE).  Its own thread: the caller's for ON_PLAN, the
 * writer's otherwise. */
typedef void hook_fn(struct run *run, struct entry *entry, enum event event);

/* What became of one request. */
struct entry {
    struct run *run;
    unsigned n;               /* from 0; request.n - 1 */
    char *url;

    /* To be set by the test in run_next(), before it is added. */
    enum pfetch_reply plan_reply, begin_reply, take_reply, end_reply;
    const char *why_text;     /* said with each reply but PFETCH_GO */
    enum pfetch_class why_cls;
    unsigned fail_take;       /* which call of take gets take_reply; from 1 */
    int64_t resume_offset;    /* > 0: plan() asks for the rest */
    int64_t resume_total;
    const char *resume_etag;
    bool is_compared;         /* do not keep bytes: compare them at once with
                               * the body of compare_hash */
    uint64_t compare_hash;
    void *user;

    /* What happened. */
    struct pfetch_job *job;   /* while the handler owns it */
    int add_error;
    unsigned plans, begins, takes, ends, records;
    int64_t last_offset;      /* of the last begin */
    int64_t declared;         /* length_bytes of the last begin */
    char *body;
    int64_t size;             /* bytes taken, or to be kept by an offset */
    int64_t capacity;
    bool is_wrong;            /* compared bytes were not right */

    enum pfetch_status status;
    enum pfetch_class cls;
    char *message, *effective_url, *path;
    int http_status;
    unsigned attempts;
    int64_t bytes, resumed_at;
    bool length_verified;
};

struct run {
    struct pfetch_options options; /* to be changed before run_start() */
    struct pfetch_handler handler; /* so is this */
    hook_fn *hook;                 /* may be NULL */
    void *user;

    struct pfetch *pf;
    struct entry *entries;
    unsigned max;
    _Atomic unsigned count;        /* entries given out */
    enum pfetch_end end;
    struct pfetch_failure why;
    struct pfetch_counters counters; /* at the end */

    pthread_t writer;              /* writer thread only, after the first */
    bool has_writer;
    atomic_flag planning;
    unsigned owed;                 /* writer only: ends said, no record yet */
    struct entry *current;         /* writer only: spooled, between begin and
                                    * end */
    unsigned ended, recorded;      /* writer only: ordered, the number of the
                                    * last one plus 1 */
    _Atomic unsigned records;
    _Atomic unsigned dones;
    pthread_mutex_t lock;          /* guards broken */
    char broken[200];              /* the first broken rule; "": none */
};

/* A run of at most max requests: 4 workers, quick retries, one of them. */
struct run *run_create(unsigned max);
void run_start(struct run *run);

/* The entry of the next request, for what a test wants to set there. */
struct entry *run_next(struct run *run, const char *url);
/* pfetch_add() of it; the result is kept, too. */
int run_put(struct entry *entry);

/* Both, with nothing set. */
struct entry *run_add(struct run *run, const char *url);
struct entry *run_add_path(struct run *run, const struct faultd *f,
                           const char *path);

/* n URLs of bodies of about size bytes; expect_good() for them. */
void run_add_good(struct run *run, const struct faultd *f, unsigned n,
                  long size);

/* pfetch_finish(), pfetch_free(), and the rules: one record for each request
 * accepted, end and done once, counters that agree. */
void run_finish(struct run *run);
void run_free(struct run *run);

/* Asserts about an entry. */
void expect_body(const struct entry *entry, const char *seed, int64_t size);
void expect_good(const struct run *run); /* those of run_add_good() */
void expect_failed(const struct entry *entry, enum pfetch_class cls);

/* --- a gate --------------------------------------------------------------- */

/* Threads wait at it until it has been passed so many times. */
struct gate {
    pthread_mutex_t lock;  /* guards count */
    pthread_cond_t moved;  /* broadcast when count rises */
    unsigned count;
};

void gate_init(struct gate *gate);
void gate_add(struct gate *gate);
void gate_wait(struct gate *gate, unsigned count);

int64_t now_ms(void);

/* True under valgrind ($PFETCH_SLOW says so) or a sanitizer: loads are made
 * smaller then, and time limits longer. */
bool is_slow(void);

/* True when $PFETCH_FULL asks for the whole load. */
bool is_full(void);

#endif
