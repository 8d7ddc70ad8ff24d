/* pfetch_handlers.h - the data handlers that come with libpfetch.
 *
 * SPDX-License-Identifier: MIT
 *
 * Each is made by a create function, which fills a struct pfetch_handler for
 * pfetch_create(), and freed by its free function after pfetch_free().  They
 * are written against pfetch.h alone, as a handler of yours would be.
 */
#ifndef PFETCH_HANDLERS_H
#define PFETCH_HANDLERS_H

#include "pfetch.h"

#ifdef __cplusplus
extern "C" {
#endif

/* --- null: every body is dropped ------------------------------------------ */

void pfetch_null_create(struct pfetch_handler *handler);

/* --- stdout: bodies into one descriptor ------------------------------------ */

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

/* --- dir: one file a URL in a directory ----------------------------------- */

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

    /* Whether a file is one that must not be replaced, whatever `exist` says:
     * a list that is being read, a report being written.  dev and ino are
     * stat(2)'s.  Writer thread.  May be NULL: there is none. */
    bool (*is_kept)(void *user, uint64_t dev, uint64_t ino);

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

#ifdef __cplusplus
}
#endif
#endif
