/* pfetch_handlers.h - the data handlers that come with libpfetch.
 *
 * SPDX-License-Identifier: MIT
 *
 * Each is made by a create function, which fills a struct pfetch_handler for
 * pfetch_create(), and freed by its free function after pfetch_free().  They
 * are written against pfetch.h alone, as a handler of yours would be.  One that
 * wraps another passes on all its callbacks, idle and resume too: a durable dir
 * handler settles its jobs there.
 */
#ifndef PFETCH_HANDLERS_H
#define PFETCH_HANDLERS_H

#include "pfetch.h"

#ifdef __cplusplus
extern "C" {
#endif

/* --- null: every body is dropped ----------------------------------------- */

void pfetch_null_create(struct pfetch_handler *handler);

/* --- stdout: bodies into one descriptor ---------------------------------- */

enum pfetch_stdout_format {
    PFETCH_STDOUT_BODIES = 0, /* one body after the other, nothing between */
    PFETCH_STDOUT_JSONL,      /* one JSON object a line: the record, and the
                               * body as "body" if it is UTF-8 of at most 4 MiB,
                               * else as "body_base64" */
    PFETCH_STDOUT_FRAMED      /* a header line, a JSON object that begins with
                               * {"length":N, and N bytes of body */
};

struct pfetch_stdout_options {
    size_t size;              /* set by pfetch_stdout_options_init() */
    int fd;                   /* 1; stays the caller's, and open until
                               * pfetch_stdout_free() */
    const char *name;         /* "standard output": for messages; borrowed */
    enum pfetch_stdout_format format; /* PFETCH_STDOUT_BODIES */
};

void pfetch_stdout_options_init_sized(struct pfetch_stdout_options *options,
                                      size_t size);

static inline void pfetch_stdout_options_init(
    struct pfetch_stdout_options *options)
{
    pfetch_stdout_options_init_sized(options, sizeof(*options));
}

/* A serial handler: each body comes whole.  URLs that failed have a line or a
 * frame without a body, but nothing among bare bodies; those that plan()
 * or the engine turned away before (no URL, skipped) have none.  A write that
 * fails, EPIPE too, ends the run (PFETCH_BROKEN, class local).  While nobody
 * reads, the writer waits, and so do the downloads; once the run has been
 * stopped and its grace time is over a reader has 100 ms to read on, else the
 * output ends where it is.  0, PFETCH_ENOMEM or PFETCH_EINVAL. */
int pfetch_stdout_create(struct pfetch_handler *handler,
                         const struct pfetch_stdout_options *options,
                         struct pfetch_failure *why);

/* After pfetch_free().  A handler whose self is NULL is allowed. */
void pfetch_stdout_free(struct pfetch_handler *handler);

/* --- dir: one file a URL in a directory ---------------------------------- */

/* How a URL becomes a file name, before equal names are numbered. */
enum pfetch_dir_name {
    PFETCH_DIR_NAME_BASENAME = 0, /* last path segment and query */
    PFETCH_DIR_NAME_PATH,         /* host/path as directories */
    PFETCH_DIR_NAME_HASH,         /* 32 hex digits of the SHA-256 of the URL */
    PFETCH_DIR_NAME_NUMBER        /* request->n in decimal */
};

/* Or by a template: text, '/' for directories, and the words
 *
 *     {host}  host[:port]
 *     {path}  the path of the URL as directories, to its {base}
 *     {base}  the last path segment and query, as with BASENAME
 *     {stem}  the last path segment without its extension and the query
 *     {ext}   the extension, with its dot; ".{ext}" is the same
 *     {n}     request->n
 *     {hash}  as with HASH
 *
 * Braces themselves are "{{" and "}}".  False if text is no template, or no
 * relative path of decent names: *why says how.  Any thread. */
bool pfetch_dir_template_check(const char *text, struct pfetch_failure *why);

/* What to do when the final name is taken before the run. */
enum pfetch_dir_exist {
    PFETCH_DIR_EXIST_AUTO = 0,  /* this URL's complete file: skip; another's:
                                 * leave it alone, use the next number */
    PFETCH_DIR_EXIST_SKIP,      /* any file of that name counts as done */
    PFETCH_DIR_EXIST_OVERWRITE, /* replace it, by rename, when complete */
    PFETCH_DIR_EXIST_ERROR,     /* the URL fails, class exists */
    PFETCH_DIR_EXIST_UPDATE     /* as AUTO, but this URL's file is asked for
                                 * again if it has changed, and replaced.
                                 * Where there are no user attributes, what
                                 * is there counts as complete */
};

struct pfetch_dir_options {
    size_t size;                /* sizeof, set by pfetch_dir_options_init() */
    const char *dir;            /* "." */
    enum pfetch_dir_name name;  /* PFETCH_DIR_NAME_BASENAME */
    const char *name_template;  /* NULL; else instead of name */
    unsigned fan_out;           /* 0; else files go to as many directories (up
                                 * to 65536), "00" to "ff" for 256, by the
                                 * SHA-256 of their URL.  A request with
                                 * `out` does not */
    bool content_disposition;   /* false; true: the name comes from that
                                 * header, if there is one and the request
                                 * has no `out`, made safe, in the directory
                                 * of the planned name.  It is numbered where
                                 * it is taken, whatever `exist` says, in the
                                 * order in which bodies end */
    enum pfetch_dir_exist exist; /* PFETCH_DIR_EXIST_AUTO */
    bool remote_time;           /* true: mtime from Last-Modified */
    bool resume;                /* true: a body that breaks off and has a
                                 * strong ETag is kept, and continued by a
                                 * later run */
    bool dry_run;               /* false; true: nothing is created, and a
                                 * directory that is missing counts as empty */

    /* With durable, end() answers PFETCH_PENDING, and a job is settled when
     * its data, its name and the names of its directories have been forced to
     * stable storage (fsync(2)): of several files together, when that many
     * wait, or 64 MiB, or when there is a pause.  Each that waits is open.  A
     * file that cannot be forced is dropped, and its URL fails.  Files that
     * were there before are not forced. */
    bool durable;               /* false */
    unsigned group_files;       /* 64; at least 1 */

    /* Whether a file is one that must not be replaced, whatever `exist` says:
     * a list that is being read, a report being written.  dev and ino are
     * stat(2)'s.  Writer thread.  May be NULL: there is none. */
    bool (*is_kept)(void *user, uint64_t dev, uint64_t ino);

    /* To be left free in the file system of the directory: when less is, the
     * run ends (PFETCH_BROKEN).  Looked at before the first request, and again
     * after every 16 MiB or 4096 files, so it holds to about that.  A body
     * that is declared to be longer than what may be used ends the run when
     * it begins, and not when the disk is full. */
    int64_t reserve_bytes;      /* 0 */

    /* Whether the caller knows from elsewhere (records of an earlier run) that
     * a request is done, if a regular file of that size stands under that
     * path.  Then it is skipped, and the path is taken.  Asked for each path
     * that plan() considers, on the adding thread.  May be NULL. */
    bool (*is_done)(void *user, const struct pfetch_request *request,
                    const char *path, int64_t size_bytes);

    /* Called at most a few times in a run, on any thread of the engine or
     * the one that adds, with one line a person should know ("no user
     * attributes here: ...").  May be NULL. */
    void (*on_notice)(void *user, const char *text);
    void *user;
};

/* Descriptors that the handler may keep open for directories below its own,
 * beside one for each body it is being given. */
enum { PFETCH_DIR_DESCRIPTORS = 64 };

void pfetch_dir_options_init(struct pfetch_dir_options *options);

/* Opens the directory, creating it (0777 & ~umask; its parents must exist)
 * if it is missing.  Everything later is relative to what was opened here.
 * options are copied.  0; PFETCH_ENOMEM; PFETCH_EINVAL with *why of class
 * local: the directory cannot be made, opened or is none, or an option is
 * wrong.
 *
 * A request's `out` is the path of its file in the directory, made of decent
 * names; else it fails, class name.  So it does if an earlier request has that
 * path.  Two requests for one URL are the same if `out` is; the later one is
 * skipped, unless names contain request->n. */
int pfetch_dir_create(struct pfetch_handler *handler,
                      const struct pfetch_dir_options *options,
                      struct pfetch_failure *why);

/* Frees what pfetch_dir_create() made; after pfetch_free().  A handler whose
 * self is NULL is allowed. */
void pfetch_dir_free(struct pfetch_handler *handler);

/* --- exec: bodies to processes that go on running --------------------------- */

struct pfetch_exec_options {
    size_t size;         /* set by pfetch_exec_options_init() */
    const char *command; /* must be set: divided into words as a shell does
                          * (quotes and backslashes, nothing else); the first
                          * is found by PATH */
    unsigned jobs;       /* 1: processes at once, 1 to 256 */
};

void pfetch_exec_options_init_sized(struct pfetch_exec_options *options,
                                    size_t size);

static inline void pfetch_exec_options_init(
    struct pfetch_exec_options *options)
{
    pfetch_exec_options_init_sized(options, sizeof(*options));
}

/* A serial handler.  It runs the command `jobs` times, at once, in process
 * groups of their own, with our standard error.  Each process gets frames, as
 * of PFETCH_STDOUT_FRAMED, on its standard input, but of accepted bodies only,
 * and must answer each on its standard output with a line of at most 500
 * bytes, flushed: "N ok" or "N fail TEXT", where N is the header's "n" (so
 * requests need numbers that differ).  The answer settles the job; fail is
 * class handler.  At most two bodies are with one process, the second waiting
 * in its pipe; while all have what they can have, downloads wait.
 *
 * A process that ends, closes its input or output or says anything else fails
 * what it has not answered, class handler, and is started again; 4 + jobs of
 * them in a row without an answer end the run (PFETCH_BROKEN).  At the end the
 * inputs are closed, and processes have 10 s to end; when the grace time of a
 * stop is over, 1 s.  Then they get TERM, 500 ms later KILL.  One that had to
 * get these, or ends with another status than 0 then, makes the run end as
 * broken.
 *
 * The processes get our environment, which must not be changed while they may
 * be started.  THE CALLER DOES NOT IGNORE SIGCHLD: nobody would learn how they
 * have ended (waitpid(2)).
 *
 * 0; PFETCH_ENOMEM; PFETCH_EINVAL or PFETCH_ETHREAD: *why has the class local
 * if something cannot be started here, none if an option is not usable.  The
 * processes run from here on. */
int pfetch_exec_create(struct pfetch_handler *handler,
                       const struct pfetch_exec_options *options,
                       struct pfetch_failure *why);

/* After pfetch_free(); ends the processes if there was no run.  A handler
 * whose self is NULL is allowed. */
void pfetch_exec_free(struct pfetch_handler *handler);

/* --- exec_each: a process for each file ------------------------------------ */

/* Files are written as by the dir handler.  When one is complete and has its
 * name, the command is run once, `jobs` of them at a time: "{}" in its words
 * becomes the path (dir, "/" and the path of the record); without any "{}" the
 * path is one more word at the end.  It has no input, our standard output and
 * error, a process group of its own, and in its environment
 *
 *   PFETCH_URL          without credentials
 *   PFETCH_PATH         what "{}" stands for
 *   PFETCH_STATUS       "ok"
 *   PFETCH_HTTP_STATUS  PFETCH_BYTES  PFETCH_N   numbers
 *
 * A status other than 0 fails the job, class handler; the file stays.  When
 * the command cannot be started the file goes, and the run ends as broken.  It is
 * not run for files that were there before, nor for what has failed.  Once the
 * grace time of a stop is over no more are started, and the files they would
 * have been for are dropped; those running have 1 s, then TERM, 500 ms later
 * KILL.
 *
 * Environment and SIGCHLD as for pfetch_exec_create().
 *
 * A word with "{}" behind one such as -c is refused, because a file name could
 * then be code (`wc -c -- {}` is not); so is dir->durable.  Errors as
 * pfetch_exec_create() and pfetch_dir_create(). */
int pfetch_exec_each_create(struct pfetch_handler *handler,
                            const struct pfetch_exec_options *options,
                            const struct pfetch_dir_options *dir,
                            struct pfetch_failure *why);

/* As pfetch_exec_free(). */
void pfetch_exec_each_free(struct pfetch_handler *handler);

/* --- tar: members of an archive ------------------------------------------ */

struct pfetch_tar_options {
    size_t size;                /* set by pfetch_tar_options_init() */
    const char *file;           /* NULL, to be set; "-": standard output */
    const struct pfetch_dir_options *names; /* NULL: the defaults.  Names,
                                 * times and dry_run are as for a directory in
                                 * which nothing is yet; the rest is not
                                 * looked at */
    int64_t split_bytes;        /* 0: one file.  Else NAME.tar becomes
                                 * NAME-000000.tar, NAME-000001.tar, ..., none
                                 * longer than this before it is compressed,
                                 * but for one with a single member */
};

void pfetch_tar_options_init_sized(struct pfetch_tar_options *options,
                                   size_t size);

static inline void pfetch_tar_options_init(struct pfetch_tar_options *options)
{
    pfetch_tar_options_init_sized(options, sizeof(*options));
}

/* A serial handler: each body is a member (ustar, or pax where that has no
 * room for it), in the order in which they come.  By its name the file is
 * compressed with gzip (.tar.gz, .tgz) or zstd (.tar.zst, .tzst).
 *
 * The file is made here, and must not exist.  At every moment, even if the
 * process is killed or the disk is full, it is a complete archive of the
 * members whose records said ok.  (If the process is killed while it adds one,
 * a compressed one may have bytes behind its end, at which some readers grumble
 * once they have read everything.)  A file that cannot be written ends the run
 * (PFETCH_BROKEN, class local).  If the run never came about, because
 * pfetch_create() failed, the file is removed by pfetch_tar_free().
 *
 * Standard output has its end when the run has; where the run breaks, it is
 * cut short.
 *
 * 0; PFETCH_ENOMEM; PFETCH_EINVAL with *why of class local: the file cannot be
 * made; of class none: this cannot be done at all (a compression that is not
 * there, standard output to be split, a library compiled without
 * libarchive). */
int pfetch_tar_create(struct pfetch_handler *handler,
                      const struct pfetch_tar_options *options,
                      struct pfetch_failure *why);

/* After pfetch_free().  A handler whose self is NULL is allowed. */
void pfetch_tar_free(struct pfetch_handler *handler);

/* --- warc: a web archive ------------------------------------------------- */

struct pfetch_warc_options {
    size_t size;                /* set by pfetch_warc_options_init() */
    const char *file;           /* NULL, to be set */
    bool dry_run;               /* false; true: nothing is created */
};

void pfetch_warc_options_init_sized(struct pfetch_warc_options *options,
                                    size_t size);

static inline void pfetch_warc_options_init(
    struct pfetch_warc_options *options)
{
    pfetch_warc_options_init_sized(options, sizeof(*options));
}

/* A serial handler: WARC 1.1 (ISO 28500), a warcinfo record, and a request and
 * a response record for each URL whose body was accepted.  A file whose name
 * ends with .gz has one gzip member for each record.  The record of a URL has
 * the WARC-Record-ID of its response as path.
 *
 * Not recorded: redirects on the way (the target is the URL that answered in
 * the end), answers that were not accepted, attempts before the last.  In
 * request records the values of fields that may be secrets are "***".  The
 * body is stored as it came, but without transfer coding: the field
 * Transfer-Encoding has the name X-Crawler-Transfer-Encoding then, and
 * Content-Length is what is there.  HTTP/2 is written down as HTTP/1.1.
 *
 * The file is made here, and must not exist; what could not be completed is
 * cut off.  Otherwise as pfetch_tar_create(). */
int pfetch_warc_create(struct pfetch_handler *handler,
                       const struct pfetch_warc_options *options,
                       struct pfetch_failure *why);

/* After pfetch_free().  A handler whose self is NULL is allowed. */
void pfetch_warc_free(struct pfetch_handler *handler);

#ifdef __cplusplus
}
#endif
#endif
