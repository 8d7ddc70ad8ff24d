/* pfetch.h - download lists of URLs in parallel, each result handed to a
 * data handler as it arrives.
 *
 * SPDX-License-Identifier: MIT
 *
 * The life of a downloader:
 *
 *     struct pfetch_options options;
 *     struct pfetch *pf;
 *     pfetch_options_init(&options);
 *     options.workers = 32;
 *     if (pfetch_create(&pf, &options, &handler, &why) == 0) {
 *         while (next URL)
 *             if (pfetch_add(pf, &request) != 0)
 *                 break;
 *         pfetch_finish(pf, &why);
 *         pfetch_free(pf);
 *     }
 *
 * Inside: pfetch_add() puts a job into the URL queue; N worker threads fetch;
 * one writer thread calls the handler and then options.on_record, once for
 * each request that was accepted.  Several downloaders may live in one
 * process.
 *
 * The library never prints, never exits, never reads the environment (libcurl
 * does, for the proxy variables, unless options.proxy is set; and handlers that
 * start processes do, for these) and installs no signal handler; its threads
 * block all signals.  THE CALLER IGNORES SIGPIPE:
 * a connection closed by a server would otherwise kill the process
 * (libcurl-thread(3)).  Call curl_global_init() or pfetch_global_init()
 * before other threads start.
 *
 * All times are in the unit their name ends with: _ms or _us; sizes are in
 * _bytes.  Strings are NUL-terminated; a NULL string means "not known" or
 * "not set".
 *
 * Fields may be added to the end of a struct in a later version.  Those that
 * the caller fills or owns are therefore passed with the size that they have
 * for the caller: by the small inline functions below, which are what a C or
 * C++ program calls.  Other languages call the functions whose names end with
 * _sized.  A size below the library's is an older caller's, and what it does
 * not know has its default; a larger one is refused.  Structs that a callback
 * gets may be longer than the caller knows.
 */
#ifndef PFETCH_H
#define PFETCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a function returns: 0, or one of these. */
enum pfetch_error {
    PFETCH_OK = 0,
    PFETCH_ENOMEM = -1,   /* out of memory */
    PFETCH_EINVAL = -2,   /* an option or argument is out of its range */
    PFETCH_ESTOPPED = -3, /* stopped or finished: nothing more is accepted */
    PFETCH_ETHREAD = -4,  /* not a single worker thread could be started */
    PFETCH_ECURL = -5,    /* libcurl is too old or could not be set up */
    PFETCH_ETRUST = -6,   /* the certificates named could not be loaded */
    PFETCH_EAGAIN = -7    /* pfetch_try_add(): it would have to wait */
};

/* A short English text for an error.  Never NULL; static.  Any thread. */
const char *pfetch_strerror(int error);

/* Why a URL failed.  A closed list: programs match on the names. */
enum pfetch_class {
    PFETCH_CLASS_NONE = 0,
    PFETCH_CLASS_URL,
    PFETCH_CLASS_SCHEME,
    PFETCH_CLASS_NAME,
    PFETCH_CLASS_EXISTS,
    PFETCH_CLASS_DNS,
    PFETCH_CLASS_CONNECT,
    PFETCH_CLASS_TLS,
    PFETCH_CLASS_PROXY,
    PFETCH_CLASS_TIMEOUT,
    PFETCH_CLASS_SHORT,
    PFETCH_CLASS_PROTOCOL,
    PFETCH_CLASS_REDIRECT,
    PFETCH_CLASS_HTTP,
    PFETCH_CLASS_TOO_LARGE,
    PFETCH_CLASS_CHECKSUM,
    PFETCH_CLASS_SIZE,
    PFETCH_CLASS_HANDLER,
    PFETCH_CLASS_LOCAL,
    PFETCH_CLASS_HOST_DOWN,
    PFETCH_CLASS_STOPPED,
    PFETCH_CLASS_COUNT
};

/* The name of a class as it stands in a record ("too-large"); "" for
 * PFETCH_CLASS_NONE and for values out of range.  Static.  Any thread. */
const char *pfetch_class_name(enum pfetch_class cls);

enum { PFETCH_TEXT_BYTES = 256 };

/* A reason: its class, and one line of text for a person. */
struct pfetch_failure {
    enum pfetch_class cls;
    char text[PFETCH_TEXT_BYTES]; /* always NUL-terminated */
};

/* Fills *why; a text too long is cut.  why may be NULL.  Any thread. */
void pfetch_failure_set(struct pfetch_failure *why, enum pfetch_class cls,
                        const char *format, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 3, 4)))
#endif
    ;

/* --- requests and records ------------------------------------------------ */

/* What the caller wants fetched.  pfetch_add() copies it, strings included;
 * the pointer `user` is copied as it is. */
struct pfetch_request {
    const char *url;  /* as given; may carry user:password@ */
    const char *list; /* name of the list it stands in, or NULL */
    const char *id;   /* the caller's own word for it, or NULL */
    const char *text; /* the line as it stood in its list, or NULL; the
                       * caller's alone, for its reports */
    const char *out;  /* path the caller wants, for the handler; or NULL */
    const char *checksum; /* "ALGO:HEX" that the body must have, or NULL;
                       * see pfetch_checksum_check() */
    int64_t size_bytes; /* length that the body must have, if has_size */
    bool has_size;
    uint64_t n;       /* number of the request over all lists, from 1 */
    uint64_t line;    /* line within its list, from 1; 0: not from a list */
    void *user;
};

/* Whether text is "ALGO:HEX": sha256, sha512, sha1 or md5, a colon, and as
 * many hexadecimal digits as that digest has.  Any thread. */
bool pfetch_checksum_check(const char *text);

/* Whether text is the name of one of these algorithms alone.  Any thread. */
bool pfetch_checksum_is_algo(const char *text);

enum pfetch_status {
    PFETCH_STATUS_OK = 0,        /* complete, accepted, committed */
    PFETCH_STATUS_FAILED,        /* see cls and message */
    PFETCH_STATUS_SKIPPED,       /* nothing to do; message says why */
    PFETCH_STATUS_NOT_ATTEMPTED, /* the run ended before its turn */
    PFETCH_STATUS_PLANNED        /* options.dry_run: this would be fetched */
};

/* "ok", "failed", "skipped", "not-attempted", "planned".  Static. */
const char *pfetch_status_name(enum pfetch_status status);

/* The final word on one request.  All pointers are borrowed until the call
 * they were passed to returns.  Numbers that are not known are -1. */
struct pfetch_record {
    const struct pfetch_request *request;
    enum pfetch_status status;
    enum pfetch_class cls;     /* PFETCH_CLASS_NONE unless failed */
    const char *message;       /* one line; NULL if there is nothing to say */
    const char *path;          /* what the handler called it; NULL: nothing
                                * of this request is there */
    const char *effective_url; /* after redirects, without credentials */
    int64_t bytes;             /* body bytes accepted, all attempts joined;
                                * -1: none were, as with options.head */
    const char *checksum;      /* of a body that has come whole, "ALGO:hex";
                                * NULL: none was asked for */
    int http_status;           /* of the last response; 0: none came */
    unsigned attempts;         /* transfers begun, redirect hops not counted */
    int64_t resumed_at_bytes;  /* offset the last transfer continued from */
    const char *etag;
    const char *last_modified;
    const char *content_type;
    const char *remote_ip;
    const char *http_version; /* "1.0", "1.1", "2" */
    bool length_verified;     /* the server declared the length, and it held */
    bool reused;              /* the last transfer used a kept connection */
    int64_t start_unix_ms;    /* when the first attempt began, UTC */
    int64_t queue_us;         /* from pfetch_add() to the first attempt */
    int64_t dns_us;           /* of the last transfer, from its beginning: */
    int64_t connect_us;
    int64_t tls_us;
    int64_t first_byte_us;
    int64_t total_us; /* from the first attempt to the verdict */
    int64_t length_bytes; /* with options.head: of the body that was not
                           * asked for, as declared */
};

/* --- the data handler ---------------------------------------------------- */

/* One request on its way through the engine.  Opaque; a handler gets it with
 * each call and may keep the pointer until its end() has returned (or, after
 * PFETCH_PENDING, until pfetch_settle() has been called). */
struct pfetch_job;

/* What was asked.  Borrowed, valid as long as the job. */
const struct pfetch_request *pfetch_job_request(const struct pfetch_job *job);

/* The URL without credentials and fragment, as it goes to the server of the
 * list (before redirects).  Borrowed, valid as long as the job. */
const char *pfetch_job_url(const struct pfetch_job *job);

/* The handler's own pointer on the job, NULL at first.  Set it in plan(),
 * begin(), take() or end(); free what it points to in end(), which always
 * comes for a job that plan() let go. */
void pfetch_job_set_state(struct pfetch_job *job, void *state);
void *pfetch_job_state(const struct pfetch_job *job);

/* The path the record will name.  Copied.  To be called inside plan(),
 * begin() or end(), or between PFETCH_PENDING and pfetch_settle().  0 or
 * PFETCH_ENOMEM (the old path stays). */
int pfetch_job_set_path(struct pfetch_job *job, const char *path);

/* NULL if none was set.  Borrowed until the next pfetch_job_set_path(). */
const char *pfetch_job_path(const struct pfetch_job *job);

/* For plan(): ask the server for the rest only, from this offset on, if its
 * validator (a strong ETag, quotes included; RFC 9110 section 13.1.5) still
 * holds.  Whatever the server answers, begin() says where the body starts.
 * total_bytes is the length the whole had, -1 if that is not known.
 * The validator is copied.  0, PFETCH_ENOMEM, or PFETCH_EINVAL for an offset
 * below 1 or a validator that is weak or not a quoted string. */
int pfetch_job_resume(struct pfetch_job *job, int64_t offset_bytes,
                      int64_t total_bytes, const char *validator);

/* For plan(): fetch it only if it is no longer what the handler has; its
 * validator, an ETag (a weak one too) or a Last-Modified date, as the server
 * sent it.  If the server says so, the job ends as PFETCH_STATUS_SKIPPED, "not
 * modified", without a begin().  Copied.  0, PFETCH_ENOMEM, or PFETCH_EINVAL
 * for what cannot be a validator. */
int pfetch_job_if_changed(struct pfetch_job *job, const char *validator);

/* For resume(): whether the body has a digest, and a way to take the next
 * `size` bytes of what is there already into it.  0, or PFETCH_ESTOPPED: the
 * run is ending, do not go on. */
bool pfetch_job_has_digest(const struct pfetch_job *job);
int pfetch_job_digest(struct pfetch_job *job, const void *data, size_t size);

/* The headers of the transfer that brought a body, for a handler that asks
 * for them.  Texts are not NUL-terminated; borrowed as the response is. */
struct pfetch_exchange {
    const char *request;  /* as it was sent, the blank line included; values
                           * of fields that may be secret are "***" */
    size_t request_bytes;
    const char *header;   /* as it came: the status line, the fields, the
                           * blank line */
    size_t header_bytes;
    int64_t start_unix_ms; /* when that transfer began, UTC */
    bool is_unpacked;     /* options.compressed: the body is not as the header
                           * says (Content-Encoding, Content-Length) */
};

/* What is known of a response when its body begins.  Strings are borrowed
 * until begin() returns. */
struct pfetch_response {
    int http_status;            /* 200, or 206 for a continued body */
    int64_t length_bytes;       /* of the whole body; -1: not declared; of a
                                 * spooled body what it has, and never -1 */
    const char *etag;           /* NULL: none */
    const char *last_modified;  /* as sent; NULL: none */
    int64_t last_modified_unix; /* seconds; -1: none or not a date */
    const char *content_type;
    const char *content_disposition; /* as sent; NULL: none */
    bool is_complete;           /* the body has come and is accepted: its takes,
                                 * if any, and end follow at once, with no call
                                 * about another job between them.  Always so
                                 * for spooled bodies, else often for short
                                 * ones */
    const struct pfetch_record *record; /* of a spooled body: what end() will
                                 * get when all is taken; else NULL */
    const struct pfetch_exchange *exchange; /* NULL: the handler did not ask */
};

/* What a handler answers. */
enum pfetch_reply {
    PFETCH_GO = 0,  /* plan: fetch it; begin, take: go on; end: it is done */
    PFETCH_SKIP,    /* plan only: nothing to do; *why may hold a text */
    PFETCH_PENDING, /* end only: pfetch_settle() will say */
    PFETCH_FAIL,    /* this URL has failed; *why says how */
    PFETCH_BROKEN   /* the place is unusable: this URL has failed and the run
                     * stops with PFETCH_END_LOCAL; *why says how */
};

/* Where bodies go.  begin, take, end, idle and done run on the writer thread,
 * one at a time, under no lock; plan runs on the thread that calls
 * pfetch_add() (calls of plan never overlap); resume on a worker.  plan and the
 * others may run at the same
 * time: what they share is the handler's to guard.  A callback may take its
 * time: downloads then wait, and that time is not charged to any server.
 * `self` is passed to each.  A callback that is NULL is not called and
 * counts as PFETCH_GO.  `why` is empty on entry, and read after PFETCH_FAIL,
 * PFETCH_BROKEN and PFETCH_SKIP; its class may be left PFETCH_CLASS_NONE,
 * which means PFETCH_CLASS_HANDLER.
 *
 * For a job that plan() let go (PFETCH_GO) there follow: begin and any number
 * of take, none or several times, and end, once.  For other jobs nothing
 * follows.
 *
 * Bodies that arrive at the same time come mixed: take of one job between two
 * takes of another.  A handler that cannot have that says `serial`, and its
 * bodies are spooled: each is kept, in memory or in a temporary file (see
 * options.spool_limit_bytes), until it is complete and accepted.  Then begin,
 * all its takes and end follow each other, with no call about another job
 * between them; the length is known in begin, a body of up to
 * PFETCH_SPOOL_PIECE_BYTES comes in exactly one take, and nothing is ever
 * retracted.  A job that fails, then, has an end and no begin.  The same
 * holds for every handler with options.ordered. */
enum { PFETCH_SPOOL_PIECE_BYTES = 256 * 1024 };

struct pfetch; /* a downloader; see below */

struct pfetch_handler {
    void *self;

    /* The downloader is there: run, for pfetch_is_stopped(), is valid until
     * done() has returned or pfetch_free() is called.  By pfetch_create(),
     * last: a downloader that cannot be created is never seen.  Before any
     * callback about a job, but idle() may come before. */
    void (*start)(void *self, const struct pfetch *run);

    /* Decide what must follow the order of the list: the name, and whether
     * it is there already.  Called in the order of pfetch_add(). */
    enum pfetch_reply (*plan)(void *self, struct pfetch_job *job,
                              struct pfetch_failure *why);

    /* The rest of what plan() has found will be asked for now
     * (pfetch_job_resume()).  PFETCH_GO: it is still there, and nobody else
     * will change it.  If pfetch_job_has_digest(), the bytes before the offset
     * have been given to pfetch_job_digest(), all and in order.  With any other
     * answer, *why not being read, the body is asked for from byte 0.
     * ON A WORKER THREAD: several of these may run at once, for different
     * jobs, beside all other callbacks; but nothing else of this job does.
     * Once, before its first begin.  It may take its time: only this download
     * waits.  NULL counts as PFETCH_GO, unless the body has a digest. */
    enum pfetch_reply (*resume)(void *self, struct pfetch_job *job,
                                struct pfetch_failure *why);

    /* A body begins at offset_bytes; what came before that offset in earlier
     * attempts is kept, the rest is to be dropped.  Called again when an
     * attempt is begun anew.  Only for responses that can still be accepted:
     * never for an error page or a redirect. */
    enum pfetch_reply (*begin)(void *self, struct pfetch_job *job,
                               const struct pfetch_response *response,
                               int64_t offset_bytes,
                               struct pfetch_failure *why);

    /* The next size bytes (never 0).  data is borrowed until return. */
    enum pfetch_reply (*take)(void *self, struct pfetch_job *job,
                              const void *data, size_t size,
                              struct pfetch_failure *why);

    /* The verdict is known.  record->status is PFETCH_STATUS_OK: commit (a
     * begin has come, even for an empty body); else discard, or keep what can
     * be continued by a later run.  A commit that
     * fails makes the URL fail.  The answer to a discard is ignored, but for
     * PFETCH_PENDING and PFETCH_BROKEN. */
    enum pfetch_reply (*end)(void *self, struct pfetch_job *job,
                             const struct pfetch_record *record,
                             struct pfetch_failure *why);

    /* Nothing more waits for the handler just now: a good moment for what is
     * better done for many jobs at once, such as settling those that are
     * pending.  The writer sleeps after it, so it comes at least once after
     * the last end that answered PFETCH_PENDING. */
    void (*idle)(void *self);

    /* After the last end, once, when the run is over in whatever way; not if
     * pfetch_free() is all that follows pfetch_create(): the handler may be
     * given to another downloader then.  Only PFETCH_GO and PFETCH_BROKEN make
     * sense as an answer. */
    enum pfetch_reply (*done)(void *self, struct pfetch_failure *why);

    bool serial; /* takes one body at a time, whole ones: see above */

    /* Wants pfetch_response.exchange.  A body that breaks off is then not
     * continued but fetched anew, so that it belongs to one exchange. */
    bool exchange;
};

/* Whether the run has been stopped and its grace time is over.  A callback
 * that waits for somebody else, such as the reader of a pipe, gives up then.
 * Any thread; never blocks. */
bool pfetch_is_stopped(const struct pfetch *run);

/* Settles a job whose end() answered PFETCH_PENDING: reply is PFETCH_GO,
 * PFETCH_FAIL or PFETCH_BROKEN, *why (copied; may be NULL with PFETCH_GO) the
 * reason.  From any thread, once; never blocks.  It may even come before
 * end() has returned PFETCH_PENDING.  The job is not to be touched
 * afterwards.  pfetch_finish() waits until every pending job is settled, after
 * a stop too: a handler that answers PFETCH_PENDING settles in bounded time. */
void pfetch_settle(struct pfetch_job *job, enum pfetch_reply reply,
                   const struct pfetch_failure *why);

/* --- options ------------------------------------------------------------- */

/* What holds for one host instead of the common options.  Stands in an array:
 * its fields are final. */
struct pfetch_host_options {
    const char *name; /* the host name, whatever the port; compared without
                       * regard to case */
    int per_host;     /* transfers at once; 0: no limit; -1: as the others */
    double rate;      /* requests started per second; 0: no limit; below 0: as
                       * the others */
    const char *username; /* Basic authentication with its origins, instead of
                       * options.username; NULL: as the others */
    const char *password;
};

/* Everything is copied by pfetch_create().  pfetch_options_init() fills in
 * the defaults named here. */
struct pfetch_options {
    size_t size;                /* set by pfetch_options_init() */

    /* Concurrency. */
    unsigned workers;           /* 16; 1 to 1024 */
    unsigned per_host;          /* 0: no limit; else transfers at once to one
                                 * host name */
    double rate, host_rate;     /* 0: no limit; requests started per second,
                                 * in all and to one host name */
    int64_t limit_rate_bytes;   /* 0: no limit; body bytes per second, in all */
    const struct pfetch_host_options *hosts; /* exceptions; NULL: none */
    size_t host_count;
    unsigned max_idle;          /* 1024: idle connections kept, 0 to 65536 */
    size_t queue_jobs;          /* 32768: jobs not finished, at most */
    size_t queue_bytes;         /* 16 MiB: text of those requests, at most */
    size_t pool_bytes;          /* 16 MiB: body bytes on the way to the
                                 * handler, beside one small block a worker */

    /* Retries: at most `retries` further attempts, after a delay drawn
     * between 0 and min(retry_max_delay_ms, retry_delay_ms * 2^(k-1)) before
     * the k-th of them. */
    unsigned retries;           /* 4 */
    const char *retry_http;     /* "408,429,500,502,503,504,520-524" */
    int64_t retry_delay_ms;     /* 1000 */
    int64_t retry_max_delay_ms; /* 60000 */
    int64_t max_retry_after_ms; /* 300000: a Retry-After is obeyed up to it */

    /* Limits of one transfer. */
    int64_t connect_timeout_ms; /* 15000: name, connection and TLS together */
    int64_t stall_timeout_ms;   /* 60000: no byte received; 0: none */
    int64_t timeout_ms;         /* 0: none; for one URL with all its attempts,
                                 * from the first one on, time spent waiting
                                 * for the handler not counted */
    int64_t max_size_bytes;     /* 0: no limit; else a longer body fails */
    const char *checksum;       /* NULL; else "sha256", "sha512", "sha1" or
                                 * "md5": the digest of every body goes into
                                 * its record.  A request with a checksum of its
                                 * own gets that one's instead */
    unsigned max_redirs;        /* 20 */
    bool allow_downgrade;       /* false: https to http redirects fail */
    bool require_length;        /* true: a body whose end cannot be verified
                                 * (neither length nor chunked) fails */

    /* HTTP.  headers, username and password go to each origin named by a
     * request, and after a redirect only to that same origin. */
    const char *const *headers; /* NULL-terminated list of "Name: value" */
    const char *user_agent;     /* "pfetch/VERSION" */
    const char *referer;        /* the Referer header; NULL: none */
    const char *username;       /* Basic authentication, if not NULL */
    const char *password;
    const char *bearer;         /* Authorization: Bearer, if not NULL; not with
                                 * a URL or a host that has a user name of its
                                 * own */
    bool netrc;                 /* true: user names of hosts from a netrc file
                                 * (CURLOPT_NETRC(3)), where nothing else
                                 * gives one */
    const char *netrc_file;     /* NULL: .netrc in the home directory */
    const char *cookie_file;    /* Netscape format; sent, never changed by what
                                 * servers set; NULL: no cookies */
    bool compressed;            /* true: compressed bodies are asked for and
                                 * stored unpacked; their length is not
                                 * verified beyond what the coding does, and
                                 * none of them is continued */
    const char *proxy;          /* as CURLOPT_PROXY(3) */
    const char *noproxy;        /* as CURLOPT_NOPROXY(3) */
    int http_version;           /* 11; 2: HTTP/2 over TLS where offered */
    int ip_version;             /* 0: any; 4, 6 */
    const char *interface;      /* as CURLOPT_INTERFACE(3); NULL: any */
    const char *const *resolve; /* NULL-terminated list of
                                 * "HOST:PORT:ADDRESS", as CURLOPT_RESOLVE(3) */
    bool deny_private;          /* true: no connection to an address that is
                                 * not public (loopback, private, link-local:
                                 * RFC 6890), whatever name led to it */

    /* TLS.  Certificates are verified against these files only, or, when
     * both are NULL, against what libcurl was built to trust. */
    const char *cacert;         /* a PEM file */
    const char *capath;         /* a directory made by openssl-rehash(1) */
    bool ca_is_default;         /* true: they are places to look in, of which
                                 * one is enough, and are read when the first
                                 * https URL comes.  false: each must have
                                 * certificates, and is read at once */
    bool insecure;              /* true: verify nothing */
    int tls_min;                /* 12: TLS 1.2 or later; 10, 11, 13 */
    const char *cert;           /* our own certificate, a PEM file; NULL: none */
    const char *key;            /* its key, a PEM file; NULL: in cert */

    /* Do everything but fetch: plan() is asked, and each job it lets go ends
     * as PFETCH_STATUS_PLANNED. */
    bool dry_run;

    /* Called on the writer thread, under no lock, once for each accepted
     * request, after the handler's end.  May call pfetch_stop().  May block:
     * downloads then wait. */
    void (*on_record)(void *user, const struct pfetch_record *record);

    /* Called on the writer thread, under no lock, when no record is about to
     * come: after the last of several, and now and then without any.  What is
     * better done once for many records can be done here.  May be NULL. */
    void (*on_idle)(void *user);

    /* Called once, at once, when the run begins to end for a local reason
     * (PFETCH_END_LOCAL), so that a caller who waits for the next URL may stop
     * waiting.  Any thread of the engine, or the one that adds; under no
     * lock; must not block.  *why is borrowed until return.  May be NULL. */
    void (*on_broken)(void *user, const struct pfetch_failure *why);

    /* One line a person should know while the run goes on: a host has asked
     * to slow down, does not answer, is back.  Any worker thread, several at
     * once; under no lock; text is borrowed until return.  May be NULL. */
    void (*on_notice)(void *user, const char *text);
    void *user;

    /* Order, and bodies that have to wait for their turn. */
    bool ordered;               /* false; true: the handler (and on_record)
                                 * gets the results in the order of
                                 * pfetch_add(); every body is spooled.  At
                                 * most max(256, 4 * workers) requests are
                                 * begun from the oldest one on whose record is
                                 * not out yet */
    size_t spool_limit_bytes;   /* 32 MiB: memory for spooled bodies in all;
                                 * the rest waits in one temporary file */
    const char *spool_dir;      /* "/tmp": where that is made, without a name */

    /* Ask for status and header only (HEAD).  Every body is empty then, and
     * pfetch_record.length_bytes is what the server declared. */
    bool head;                  /* false */
};

void pfetch_options_init_sized(struct pfetch_options *options, size_t size);

static inline void pfetch_options_init(struct pfetch_options *options)
{
    pfetch_options_init_sized(options, sizeof(*options));
}

/* --- the downloader ------------------------------------------------------ */

/* curl_global_init(), for callers that do not otherwise know libcurl.  Call
 * it once, before other threads are started; pfetch_create() calls it too.
 * 0 or PFETCH_ECURL. */
int pfetch_global_init(void);

/* Starts a downloader: its workers and its writer.  handler is copied (the
 * struct, not what self points to); NULL drops every body.  On success *pf
 * is the caller's, to be given to pfetch_free().  On failure *pf is NULL,
 * nothing runs, and *why (may be NULL) says more: PFETCH_EINVAL,
 * PFETCH_ENOMEM, PFETCH_ETHREAD, PFETCH_ECURL, PFETCH_ETRUST.  When only some
 * of the workers could be started it succeeds with those: see
 * pfetch_counters.workers. */
int pfetch_create_sized(struct pfetch **pf,
                        const struct pfetch_options *options,
                        const struct pfetch_handler *handler,
                        size_t handler_size, struct pfetch_failure *why);

static inline int pfetch_create(struct pfetch **pf,
                                const struct pfetch_options *options,
                                const struct pfetch_handler *handler,
                                struct pfetch_failure *why)
{
    return pfetch_create_sized(pf, options, handler, sizeof(*handler), why);
}

/* Hands over a request; it is copied.  Blocks while the bounded number of
 * unfinished jobs is reached, of which one host may have three quarters; woken
 * by a job that ends and by pfetch_stop().
 * Returns 0: exactly one record will follow, also for a URL that is no URL.
 * PFETCH_ESTOPPED, PFETCH_ENOMEM, PFETCH_EINVAL (a request of a later version):
 * the request was not accepted and no record follows.  Any thread, but not from a callback; calls are put in an order
 * among themselves. */
int pfetch_add_sized(struct pfetch *pf, const struct pfetch_request *request,
                     size_t size);

static inline int pfetch_add(struct pfetch *pf,
                             const struct pfetch_request *request)
{
    return pfetch_add_sized(pf, request, sizeof(*request));
}

/* As pfetch_add(), but never waits for a place, nor for another thread that
 * adds: PFETCH_EAGAIN then, nothing was accepted, and a later call may do
 * better, after a record at the latest.  plan() is called here, too. */
int pfetch_try_add_sized(struct pfetch *pf,
                         const struct pfetch_request *request, size_t size);

static inline int pfetch_try_add(struct pfetch *pf,
                                 const struct pfetch_request *request)
{
    return pfetch_try_add_sized(pf, request, sizeof(*request));
}

/* Like pfetch_add() for a request that cannot be fetched because the caller
 * found it wrong: it gets a record with status failed and this reason (class
 * url, if why names none), and the handler never sees it.  request->url may be
 * NULL. */
int pfetch_reject_sized(struct pfetch *pf,
                        const struct pfetch_request *request, size_t size,
                        const struct pfetch_failure *why);

static inline int pfetch_reject(struct pfetch *pf,
                                const struct pfetch_request *request,
                                const struct pfetch_failure *why)
{
    return pfetch_reject_sized(pf, request, sizeof(*request), why);
}

/* Like pfetch_add() for a request of which the caller knows that there is
 * nothing to do: its record has status skipped and this text, and the handler
 * never sees it.  Where names must come out as if it had been fetched, its
 * handler has to know instead (pfetch_dir_options.is_done). */
int pfetch_skip_sized(struct pfetch *pf, const struct pfetch_request *request,
                      size_t size, const char *text);

static inline int pfetch_skip(struct pfetch *pf,
                              const struct pfetch_request *request,
                              const char *text)
{
    return pfetch_skip_sized(pf, request, sizeof(*request), text);
}

/* Ends early: no transfer starts from now on, those running are aborted after
 * grace_ms (0: at once; PFETCH_GRACE_FOREVER: never).  Called again, the
 * shorter time counts.  Jobs never begun end as not-attempted, the others as
 * failed, class stopped.  Any thread, callbacks included; never blocks; not
 * from a signal handler. */
#define PFETCH_GRACE_FOREVER INT64_MAX
void pfetch_stop(struct pfetch *pf, int64_t grace_ms);

/* How the run ended. */
enum pfetch_end {
    PFETCH_END_COMPLETE = 0, /* every request accepted was brought to its end */
    PFETCH_END_STOPPED,      /* pfetch_stop() was called */
    PFETCH_END_LOCAL         /* this machine or the handler gave up */
};

/* Accepts no more requests, waits until the last record has been delivered
 * and the handler's done has returned, and joins all threads.  Blocks; ends
 * early through pfetch_stop() from another thread: then within the grace
 * time, 1 s, and as long as the handler needs for what it is doing.
 * *why (may be NULL) is set with PFETCH_END_LOCAL.  Once; not from a callback. */
enum pfetch_end pfetch_finish(struct pfetch *pf, struct pfetch_failure *why);

/* Frees a downloader, after pfetch_stop(pf, 0) and pfetch_finish() where the
 * caller did not finish.  NULL is allowed.  Not from a callback. */
void pfetch_free(struct pfetch *pf);

/* A snapshot; each number is exact for some moment, the whole is not. */
struct pfetch_counters {
    unsigned workers;          /* started */
    uint64_t added;            /* requests accepted */
    uint64_t ok;               /* records so far, by status */
    uint64_t failed;
    uint64_t skipped;          /* planned ones included */
    uint64_t not_attempted;
    uint64_t running;          /* transfers going on */
    uint64_t delayed;          /* jobs waiting for a retry */
    uint64_t retries;          /* attempts after a first one */
    uint64_t redirects;        /* hops */
    uint64_t holds;            /* times a host was held back: 429, 503 */
    uint64_t hosts_down;       /* origins given up */
    uint64_t body_bytes;       /* body bytes received and kept */
    uint64_t connections_opened;
    uint64_t connections_reused;    /* transfers on a kept connection */
    uint64_t connections_discarded; /* kept ones found closed or dirty */
    uint64_t hosts_held;       /* held back now: 429, 503 */
};

/* Any thread, at any time between create and free; never blocks for long. */
void pfetch_get_counters_sized(const struct pfetch *pf,
                               struct pfetch_counters *counters, size_t size);

static inline void pfetch_get_counters(const struct pfetch *pf,
                                       struct pfetch_counters *counters)
{
    pfetch_get_counters_sized(pf, counters, sizeof(*counters));
}

/* A transfer that is going on. */
struct pfetch_transfer {
    char url[256];      /* of the list, masked as by pfetch_redact() */
    int64_t elapsed_us; /* since the first attempt at it began */
    int64_t bytes;      /* of its body, in this attempt */
};

/* Fills transfers with the `count` that began first, the oldest first, and
 * returns how many there are of them.  A snapshot like the counters.  Any
 * thread, at any time between create and free; never blocks for long: it looks
 * at every worker, so ask a few times a second at most. */
size_t pfetch_get_transfers_sized(const struct pfetch *pf,
                                  struct pfetch_transfer *transfers,
                                  size_t count, size_t size);

static inline size_t pfetch_get_transfers(const struct pfetch *pf,
                                          struct pfetch_transfer *transfers,
                                          size_t count)
{
    return pfetch_get_transfers_sized(pf, transfers, count,
                                      sizeof(*transfers));
}

/* --- helpers ------------------------------------------------------------- */

/* "0.1.0"; and one line about libcurl: its version, TLS library, features.
 * The first is static, the second is written to text and returned. */
const char *pfetch_version(void);
const char *pfetch_curl_version(char *text, size_t size);

/* Writes url to text with what must not be shown masked: the user part of
 * the URL becomes "***", bytes that are not printable ASCII become %XX.  Cut
 * to size, always terminated.  Returns text.  Any thread. */
char *pfetch_redact(const char *url, char *text, size_t size);

/* Writes the host name of url to text, in lower case: what per_host, host_rate
 * and hosts[] go by, whatever the port.  An IPv6 address stands in brackets.
 * Returns its length; or PFETCH_EINVAL: pfetch_add() would refuse this URL,
 * too, or text is too small; or PFETCH_ENOMEM.  With both *why (may be NULL)
 * says more.  Any thread. */
int pfetch_url_host(const char *url, char *text, size_t size,
                    struct pfetch_failure *why);

#ifdef __cplusplus
}
#endif
#endif
