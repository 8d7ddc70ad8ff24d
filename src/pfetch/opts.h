/* opts.h - what the command line asks for.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PF_OPTS_H
#define PF_OPTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "conffile.h"
#include "msg.h"
#include "pfetch.h"
#include "pfetch_handlers.h"
#include "progress.h"
#include "shard.h"

enum pf_opts_handler {
    PF_OPTS_DIR,
    PF_OPTS_NULL,
    PF_OPTS_EXEC,
    PF_OPTS_EXEC_EACH,
    PF_OPTS_TAR,
    PF_OPTS_WARC,
    PF_OPTS_STDOUT,
    PF_OPTS_STDOUT_JSONL,
    PF_OPTS_STDOUT_FRAMED
};

/* An option that may be given several times. */
struct pf_texts {
    const char **at; /* NULL-terminated; NULL while count is 0 */
    size_t count;
};

/* Strings are borrowed from argv, the configuration file and the environment
 * unless said otherwise. */
struct pf_opts {
    struct pfetch_options engine;
    struct pfetch_dir_options dir;
    struct pf_texts lists;   /* -i; "-" is standard input */
    struct pf_texts sums;    /* --checksums; "-" is standard input */
    struct pf_texts urls;    /* arguments */
    struct pf_texts headers; /* -H */
    bool null_separated;
    bool glob;               /* arguments may be patterns */
    const char *base;        /* of the names in sums; NULL: none */
    struct pf_shard shard;   /* all 0: the whole list */
    const char *config;      /* "": where it usually is; NULL: none */
    struct pf_conffile conffile; /* what was read of it */
    int handler;             /* enum pf_opts_handler */
    const char *archive;     /* FILE of tar: and warc: */
    int64_t tar_split_bytes; /* 0: one file */
    int64_t spool_limit_bytes;
    struct pfetch_exec_options exec; /* command: NULL unless it is one of
                              * those two */
    int name;                /* enum pfetch_dir_name */
    int exist;               /* enum pfetch_dir_exist */
    int64_t grace_ms;
    int64_t deadline_ms;     /* of the whole run; 0: none */
    int64_t max_errors;      /* failed URLs that end the run; 0: no limit */
    bool max_errors_percent; /* max_errors is a share of the finished ones */
    bool fail_early;         /* max_errors is 1 */
    int64_t max_files;       /* successes that end the run; 0: no limit */
    struct pfetch_host_options *hosts; /* heap: engine.hosts, names too */
    const char *results;     /* NULL: none; "-": standard output */
    const char *failed;      /* NULL: none */
    struct pf_texts resume_from;
    int verbosity;           /* enum pf_verbosity */
    int progress;            /* enum pf_progress_mode */
    struct pf_texts resolve; /* --resolve */
    char *proxy;             /* heap: engine.proxy */
    char *credentials;       /* heap: "NAME\0PASSWORD"; NULL: none */
    char *bearer;            /* heap: engine.bearer; NULL: none */
};

/* What is to be done. */
enum pf_opts_action {
    PF_OPTS_RUN,
    PF_OPTS_HELP,
    PF_OPTS_HELP_ALL,
    PF_OPTS_VERSION,
    PF_OPTS_USAGE_ERROR /* `why` says what is wrong; it may quote any bytes of
                         * the command line, which msg.c makes printable */
};

enum { PF_OPTS_WHY_BYTES = 512 };

/* Reads the configuration file, the command line and the environment; fills
 * *opts whatever it returns: pf_opts_free() is always due.  Passwords in argv are overwritten
 * as soon as they are copied.  Uses getopt_long(3): one thread only. */
enum pf_opts_action pf_opts_parse(struct pf_opts *opts, int argc, char **argv,
                                  char why[PF_OPTS_WHY_BYTES]);

/* Frees what pf_opts_parse() made, passwords wiped first. */
void pf_opts_free(struct pf_opts *opts);

/* Whether bodies become files in the output directory. */
bool pf_opts_stores_files(const struct pf_opts *opts);

/* Whether files go to directories below the output directory. */
bool pf_opts_makes_dirs(const struct pf_opts *opts);

/* Prints the help: the options used most, or all. */
void pf_opts_print_help(FILE *out, bool all);

#endif
