/* main.c - the story of a run.
 *
 * SPDX-License-Identifier: MIT
 *
 * Options are read; lists and the report are opened; the handler and the
 * downloader are created; lists are read and handed over line by line; the
 * downloader finishes; what happened is said, and told by the exit status.
 *
 * Threads: main reads the lists.  The engine's writer thread calls
 * take_record().  The signal thread and the progress thread have files of
 * their own.  `struct run` lies on main's stack; each field says who uses
 * it.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "input.h"
#include "descriptors.h"
#include "failed.h"
#include "msg.h"
#include "opts.h"
#include "pfetch.h"
#include "pfetch_handlers.h"
#include "progress.h"
#include "report.h"
#include "resume.h"
#include "signals.h"
#include "summary.h"

enum exit_status {
    EXIT_OK = 0,
    EXIT_FAILED = 1,  /* every line was attempted, at least one failed */
    EXIT_USAGE = 2,   /* nothing was requested */
    EXIT_LOCAL = 3,   /* something here, not at a server */
    EXIT_STOPPED = 4  /* early, with work left */
};

/* Descriptors for a process of exec:, its two pipes and its end. */
enum { EXEC_FILES = 3 };
enum { UNSYNCED_MAX = 256 };

struct run {
    /* Set before the downloader is created, then read-only. */
    struct pf_opts opts;
    struct pfetch_handler handler;
    void (*free_handler)(struct pfetch_handler *handler); /* NULL: needs none */
    int64_t start_ms;

    /* Set before the first request is handed over, then read-only. */
    struct pf_input_options lists; /* before the options are freed */
    struct pf_input *input;
    struct pfetch *pf;
    unsigned workers_asked;

    /* The writer thread's, from the first request until pfetch_finish() has
     * returned; then main's. */
    struct pf_report report;
    struct pf_report plan; /* standard output of --dry-run */
    struct pf_failed failed;
    struct pf_summary summary;
    unsigned unsynced; /* records that are not forced to the disk yet */
    bool local; /* a report could not be written */
    const char *limit; /* the option that has ended the run; NULL: none */

    /* Main only. */
    struct pf_signals signals;
    struct pf_progress progress;
    struct pf_resume *resume; /* NULL: not asked for */
    struct pf_line last; /* the line that was read last */
    uint64_t n;          /* of the last line that was accepted */
    bool unread;         /* lists were not read to their end */
    bool broken;         /* the run ended for a local reason */
};

/* --- called by the engine ------------------------------------------------- */

static void lose_report(struct run *run, const struct pfetch_failure *why)
{
    run->local = true;
    pf_msg_error("%s", why->text);
    if (run->pf != NULL)
        pfetch_stop(run->pf, 0);
    pf_input_stop(run->input);
}

/* The option whose limit is reached now, or NULL. */
static const char *find_limit(const struct run *run)
{
    const struct pf_opts *opts = &run->opts;
    uint64_t ok = run->summary.ok;
    uint64_t failed = run->summary.failed - run->summary.cut_off;
    uint64_t errors = (uint64_t)opts->max_errors;

    if (opts->max_files > 0 && ok >= (uint64_t)opts->max_files)
        return "--max-files";
    if (opts->fail_early && failed > 0)
        return "--fail-early";
    if (errors == 0 || failed == 0)
        return NULL;
    if (!opts->max_errors_percent)
        return failed >= errors ? "--max-errors" : NULL;
    /* A share says something from the 100th on only. */
    return ok + failed >= 100 && failed * 100 >= errors * (ok + failed)
               ? "--max-errors" : NULL;
}

/* --durable: what the records written so far say is true after a power
 * failure, and now they are there after it, too.  On the writer thread, in a
 * pause (options.on_idle); and after many records. */
static void sync_report(void *user)
{
    struct run *run = user;
    struct pfetch_failure why;

    if (run->unsynced > 0 && pf_outfile_sync(&run->report.out, &why) != 0)
        lose_report(run, &why);
    run->unsynced = 0;
}

/* options.on_record: on the writer thread. */
static void take_record(void *user, const struct pfetch_record *record)
{
    struct run *run = user;
    struct pfetch_failure why;

    pf_summary_add(&run->summary, record,
                   run->opts.verbosity == PF_VERBOSE);
    if (pf_report_plan(&run->plan, record, &why) != 0)
        lose_report(run, &why);
    if (pf_report_record(&run->report, record, &why) != 0)
        lose_report(run, &why);
    if (pf_failed_record(&run->failed, record, &why) != 0)
        lose_report(run, &why);
    if (run->opts.dir.durable && ++run->unsynced >= UNSYNCED_MAX)
        sync_report(run);
    if (run->limit == NULL && (run->limit = find_limit(run)) != NULL) {
        pfetch_stop(run->pf, 0);
        pf_input_stop(run->input);
    }
}

/* options.on_broken: main may be waiting for a line that never comes. */
static void take_broken(void *user, const struct pfetch_failure *why)
{
    struct run *run = user;

    (void)why; /* pfetch_finish() tells it again */
    pf_input_stop(run->input);
}

/* is_kept of the dir handler: the lists and what is written about them may
 * lie in the output directory. */
static bool is_kept(void *user, uint64_t dev, uint64_t ino)
{
    const struct run *run = user;

    if (pf_input_reads(run->input, (dev_t)dev, (ino_t)ino))
        return true;
    return pf_outfile_is(&run->report.out, (dev_t)dev, (ino_t)ino) ||
           pf_outfile_is(&run->failed.out, (dev_t)dev, (ino_t)ino);
}

/* is_done of the dir handler: on main, in pfetch_add(). */
static bool is_done(void *user, const struct pfetch_request *request,
                    const char *path, int64_t size_bytes)
{
    const struct run *run = user;

    return pf_resume_has(run->resume, request, path, size_bytes);
}

/* on_notice of the dir handler and of the downloader: on any thread. */
static void take_notice(void *user, const char *text)
{
    (void)user;
    pf_msg_note("%s", text);
}

/* --- before the first request --------------------------------------------- */

/* Were a standard stream closed, the next file opened would take its place,
 * and messages would be written into it.  A stream that was closed becomes
 * one that fails when it is used: open in the wrong direction. */
static void keep_standard_streams(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
            (void)open("/dev/null",
                       fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

/* What is said on standard output and ends there. */
static int print(enum pf_opts_action action)
{
    char curl[256];

    if (action == PF_OPTS_VERSION)
        printf("pfetch %s\n%s\n", pfetch_version(),
               pfetch_curl_version(curl, sizeof(curl)));
    else
        pf_opts_print_help(stdout, action == PF_OPTS_HELP_ALL);
    if (fflush(stdout) == 0 && !ferror(stdout))
        return EXIT_OK;
    pf_msg_error("standard output: %s", strerror(errno));
    return EXIT_LOCAL;
}

/* Lists are opened first: one that is not there must cost nothing. */
static int open_lists(struct run *run)
{
    const struct pf_opts *opts = &run->opts;
    run->lists = (struct pf_input_options){
        .urls = opts->urls.at,
        .lists = opts->lists.at,
        .sums = opts->sums.at,
        .base = opts->base,
        .glob = opts->glob,
        .null_separated = opts->null_separated,
        .shard = opts->shard,
    };
    struct pfetch_failure why;

    if (opts->shard.count > 0)
        pf_msg_detail("shard %u of %u", opts->shard.index,
                      opts->shard.count);
    if (pf_input_create(&run->input, &run->lists, &why) != 0) {
        pf_msg_error("%s", why.text);
        return EXIT_USAGE;
    }
    if (opts->failed == NULL || pf_input_keep_text(run->input) == 0)
        return EXIT_OK;
    pf_msg_error("%s", pfetch_strerror(PFETCH_ENOMEM));
    return EXIT_LOCAL;
}

/* Reads what earlier runs have done.  A report of this run that is not there
 * yet says nothing: so the first run and those that go on with it are the
 * same command. */
static int load_resume(struct run *run)
{
    const struct pf_opts *opts = &run->opts;
    struct pfetch_failure why;

    if (opts->resume_from.count == 0)
        return EXIT_OK;
    run->resume = pf_resume_create(opts->engine.head ? PF_RESUME_HEAD
                                   : pf_opts_stores_files(opts)
                                       ? PF_RESUME_PATH
                                       : PF_RESUME_BODY);
    if (run->resume == NULL) {
        pf_msg_error("%s", pfetch_strerror(PFETCH_ENOMEM));
        return EXIT_LOCAL;
    }
    for (size_t i = 0; i < opts->resume_from.count; i++) {
        const char *file = opts->resume_from.at[i];
        bool own = opts->results != NULL && strcmp(file, opts->results) == 0;

        if (own && access(file, F_OK) != 0 && errno == ENOENT)
            continue;
        if (pf_resume_load(run->resume, file, &why) != 0) {
            pf_msg_error("%s", why.text);
            return why.cls == PFETCH_CLASS_LOCAL ? EXIT_LOCAL : EXIT_USAGE;
        }
    }
    if (pf_resume_ignored(run->resume) > 0)
        pf_msg_note("--resume-from: lines ignored that are no whole records: "
                    "%" PRIu64, pf_resume_ignored(run->resume));
    return EXIT_OK;
}

/* Whether bodies, or a plan, go to standard output. */
static bool has_bodies_on_stdout(const struct pf_opts *opts)
{
    return opts->handler >= PF_OPTS_STDOUT || opts->engine.dry_run ||
           (opts->archive != NULL && strcmp(opts->archive, "-") == 0);
}

static bool has_data_on_stdout(const struct pf_opts *opts)
{
    return has_bodies_on_stdout(opts) ||
           (opts->results != NULL && strcmp(opts->results, "-") == 0);
}

/* Whether bodies, or a plan, go to that file. */
static bool is_output(const struct pf_opts *opts, const struct stat *file)
{
    struct stat output;

    if (has_bodies_on_stdout(opts) ? fstat(STDOUT_FILENO, &output) != 0
                  : opts->archive == NULL || stat(opts->archive, &output) != 0)
        return false;
    return file->st_dev == output.st_dev && file->st_ino == output.st_ino;
}

/* Whether a report would be written into the output of the handler or, since
 * what --failed names is emptied, in place of what --resume-from has read. */
static bool find_clash(const struct pf_opts *opts)
{
    const char *const reports[] = {opts->results, opts->failed};
    struct stat report, read;

    for (size_t i = 0; i < 2; i++) {
        if (reports[i] == NULL || stat(reports[i], &report) != 0 ||
            !S_ISREG(report.st_mode))
            continue;
        if (is_output(opts, &report)) {
            pf_msg_error("%s: what --handler writes goes to this file",
                         reports[i]);
            return true;
        }
        for (size_t j = 0; i == 1 && j < opts->resume_from.count; j++)
            if (stat(opts->resume_from.at[j], &read) == 0 &&
                read.st_dev == report.st_dev && read.st_ino == report.st_ino) {
                pf_msg_error("%s: --resume-from needs this file, and --failed "
                             "would empty it", reports[i]);
                return true;
            }
    }
    return false;
}

/* After the output directory is there: a report may lie in it.  What --failed
 * names is emptied last, when nothing else can go wrong with these. */
static int open_reports(struct run *run)
{
    const struct pf_opts *opts = &run->opts;
    struct pfetch_failure why;

    if (find_clash(opts))
        return EXIT_USAGE;
    if ((opts->results != NULL &&
         (pf_report_open(&run->report, opts->results, run->input, &why) !=
              0 ||
          (opts->dir.durable && strcmp(opts->results, "-") != 0 &&
           pf_outfile_sync_name(&run->report.out, &why) != 0))) ||
        (opts->engine.dry_run &&
         pf_report_open(&run->plan, "-", run->input, &why) != 0) ||
        (opts->failed != NULL && !opts->engine.dry_run &&
         (pf_failed_open(&run->failed, opts->failed, opts->null_separated,
                         run->input, &run->report.out, &why) != 0 ||
          pf_failed_begin(&run->failed, &why) != 0))) {
        pf_msg_error("%s", why.text);
        return why.cls == PFETCH_CLASS_LOCAL ? EXIT_LOCAL : EXIT_USAGE;
    }
    return EXIT_OK;
}

/* As many workers, idle connections and unfinished jobs as the descriptors
 * allow. */
static void fit_limits(struct run *run)
{
    struct pfetch_options *engine = &run->opts.engine;
    unsigned asked = engine->workers;
    unsigned others = pf_input_lists(run->input);

    if (pf_opts_makes_dirs(&run->opts))
        others += PFETCH_DIR_DESCRIPTORS;
    if (run->opts.exec.command != NULL)
        others += run->opts.exec.jobs * EXEC_FILES;
    if (run->opts.dir.durable)
        others += run->opts.dir.group_files;
    unsigned long long limit = pf_descriptors_raise(
        others, &engine->workers, &engine->max_idle, &engine->queue_jobs);

    if (engine->workers < asked)
        pf_msg_note("%u of %u workers: no more than %llu files may be open "
                    "(see ulimit -n)",
                    engine->workers, asked, limit);
    run->workers_asked = engine->workers;
}

static int create_stdout(struct run *run, enum pfetch_stdout_format format)
{
    struct pfetch_stdout_options options;
    struct pfetch_failure why;

    pfetch_stdout_options_init(&options);
    options.format = format;
    run->free_handler = pfetch_stdout_free;
    if (pfetch_stdout_create(&run->handler, &options, &why) == 0)
        return EXIT_OK;
    pf_msg_error("%s", why.text);
    return EXIT_LOCAL;
}

static int create_exec(struct run *run)
{
    struct pf_opts *opts = &run->opts;
    struct pfetch_failure why;
    int error;

    if (opts->handler == PF_OPTS_EXEC && opts->engine.dry_run) {
        pfetch_null_create(&run->handler); /* nothing is to be run */
        return EXIT_OK;
    }
    if (opts->handler == PF_OPTS_EXEC) {
        run->free_handler = pfetch_exec_free;
        error = pfetch_exec_create(&run->handler, &opts->exec, &why);
    } else {
        run->free_handler = pfetch_exec_each_free;
        error = pfetch_exec_each_create(&run->handler, &opts->exec,
                                        &opts->dir, &why);
    }
    if (error == 0)
        return EXIT_OK;
    if (why.cls != PFETCH_CLASS_NONE) {
        pf_msg_error("%s", why.text);
        return EXIT_LOCAL;
    }
    pf_msg_error("--handler: %s", why.text);
    return EXIT_USAGE;
}

/* 0, or what is said about an archive that cannot be made. */
static int conclude_archive(int error, const struct pfetch_failure *why)
{
    if (error == 0)
        return EXIT_OK;
    if (error == PFETCH_EINVAL && why->cls != PFETCH_CLASS_LOCAL) {
        pf_msg_usage(why->text);
        return EXIT_USAGE;
    }
    pf_msg_error("%s", why->text);
    return EXIT_LOCAL;
}

static int create_tar(struct run *run)
{
    struct pfetch_tar_options options;
    struct pfetch_failure why;

    run->free_handler = pfetch_tar_free;
    pfetch_tar_options_init(&options);
    options.file = run->opts.archive;
    options.names = &run->opts.dir;
    options.split_bytes = run->opts.tar_split_bytes;
    int error = pfetch_tar_create(&run->handler, &options, &why);
    return conclude_archive(error, &why);
}

static int create_warc(struct run *run)
{
    struct pfetch_warc_options options;
    struct pfetch_failure why;

    run->free_handler = pfetch_warc_free;
    pfetch_warc_options_init(&options);
    options.file = run->opts.archive;
    options.dry_run = run->opts.engine.dry_run;
    int error = pfetch_warc_create(&run->handler, &options, &why);
    return conclude_archive(error, &why);
}

static int create_handler(struct run *run)
{
    struct pfetch_failure why;

    run->opts.dir.group_files =
        pf_descriptors_spare(run->opts.dir.group_files);
    run->opts.dir.on_notice = take_notice;
    run->opts.dir.is_kept = is_kept;
    if (run->resume != NULL)
        run->opts.dir.is_done = is_done;
    run->opts.dir.user = run;
    switch (run->opts.handler) {
    case PF_OPTS_NULL:
        pfetch_null_create(&run->handler);
        return EXIT_OK;
    case PF_OPTS_TAR:
        return create_tar(run);
    case PF_OPTS_WARC:
        return create_warc(run);
    case PF_OPTS_STDOUT:
        return create_stdout(run, PFETCH_STDOUT_BODIES);
    case PF_OPTS_STDOUT_JSONL:
        return create_stdout(run, PFETCH_STDOUT_JSONL);
    case PF_OPTS_STDOUT_FRAMED:
        return create_stdout(run, PFETCH_STDOUT_FRAMED);
    case PF_OPTS_EXEC:
    case PF_OPTS_EXEC_EACH:
        return create_exec(run);
    default: /* dir */
        break;
    }
    run->free_handler = pfetch_dir_free;
    int error = pfetch_dir_create(&run->handler, &run->opts.dir, &why);
    if (error == 0)
        return EXIT_OK;
    pf_msg_error("%s", error == PFETCH_EINVAL ? why.text
                                              : pfetch_strerror(error));
    return EXIT_LOCAL;
}

/* *workers: those that could be started. */
static int create_downloader(struct run *run, unsigned *workers)
{
    struct pfetch_options *engine = &run->opts.engine;
    struct pfetch_failure why = {.text = ""};
    struct pfetch_counters counters;

    engine->on_record = take_record;
    if (run->opts.dir.durable)
        engine->on_idle = sync_report;
    engine->on_broken = take_broken;
    engine->on_notice = take_notice;
    engine->user = run;
    int error = pfetch_create(&run->pf, engine, &run->handler, &why);
    if (error != 0) {
        pf_msg_error("%s", why.text[0] != '\0' ? why.text
                                               : pfetch_strerror(error));
        /* What was asked for is wrong, or something is missing here. */
        return error == PFETCH_EINVAL ? EXIT_USAGE : EXIT_LOCAL;
    }
    pfetch_get_counters(run->pf, &counters);
    *workers = counters.workers;
    return EXIT_OK;
}

/* 0, or an errno value: then neither runs. */
static int start_threads(struct run *run)
{
    int error = pf_progress_start(
        &run->progress, run->pf, &run->lists,
        (enum pf_progress_mode)run->opts.progress,
        run->opts.verbosity == PF_QUIET ||
            (isatty(STDOUT_FILENO) && has_data_on_stdout(&run->opts)));

    if (error != 0)
        return error;
    error = pf_signals_start(&run->signals, run->pf, run->input,
                             &run->progress, run->opts.grace_ms,
                             run->opts.deadline_ms > 0
                                 ? run->start_ms + run->opts.deadline_ms
                                 : -1);
    if (error != 0)
        pf_progress_join(&run->progress);
    return error;
}

/* Starts the downloader and the program's own threads.  Where there cannot
 * be as many threads as that takes, half of the workers that could be started
 * make room: for our threads, and for those in which libcurl resolves names,
 * one for each worker. */
static int start(struct run *run)
{
    unsigned *asked = &run->opts.engine.workers;

    for (;;) {
        unsigned workers;
        int status = create_downloader(run, &workers);

        if (status != EXIT_OK)
            return status;
        int error = run->opts.engine.dry_run || workers == *asked
                        ? start_threads(run)
                        : EAGAIN;
        if (error == 0)
            break;
        pfetch_free(run->pf);
        run->pf = NULL;
        if (workers <= 1) {
            pf_msg_error("cannot start a thread: %s", strerror(error));
            return EXIT_LOCAL;
        }
        *asked = workers / 2;
    }
    if (*asked < run->workers_asked)
        pf_msg_note("%u of %u workers: no more threads could be started",
                    *asked, run->workers_asked);
    return EXIT_OK;
}

/* --- the run -------------------------------------------------------------- */

/* Whether an earlier run has done what no file can tell: where there are
 * files, their handler asks is_done(). */
static bool is_done_elsewhere(const struct run *run,
                              const struct pfetch_request *request)
{
    return run->resume != NULL && !pf_opts_stores_files(&run->opts) &&
           pf_resume_has(run->resume, request, "", -1);
}

/* Hands over what was read.  False: no more is accepted. */
static bool hand_over(struct run *run, enum pf_input_result result,
                      const struct pfetch_failure *why)
{
    const struct pf_line *line = &run->last;
    struct pfetch_request request = {.url = line->url,
                                     .list = line->list,
                                     .id = line->id,
                                     .text = run->opts.failed != NULL
                                                 ? line->text : NULL,
                                     .out = line->out,
                                     .checksum = line->checksum,
                                     .size_bytes = line->size_bytes,
                                     .has_size = line->size_bytes >= 0,
                                     .n = line->n,
                                     .line = line->line};
    int error;

    if (result != PF_INPUT_LINE)
        error = pfetch_reject(run->pf, &request, why);
    else if (is_done_elsewhere(run, &request))
        error = pfetch_skip(run->pf, &request, "ok in an earlier run");
    else
        error = pfetch_add(run->pf, &request);
    if (error == 0) {
        run->n = line->n;
        return true;
    }
    if (error != PFETCH_ESTOPPED) {
        run->broken = true;
        pf_msg_error("stopped: %s", pfetch_strerror(error));
        pfetch_stop(run->pf, 0);
    }
    return false;
}

/* Reads the lists to their end, or until the run stops. */
static void feed(struct run *run)
{
    struct pfetch_failure why;
    enum pf_input_result result;

    do
        result = pf_input_next(run->input, &run->last, &why);
    while ((result == PF_INPUT_LINE || result == PF_INPUT_BAD_LINE) &&
           hand_over(run, result, &why));
    run->unread = result != PF_INPUT_END;
    if (!run->unread)
        pf_progress_all_read(&run->progress);
    if (result == PF_INPUT_FAILED) {
        run->broken = true;
        pf_msg_error("%s", why.text);
    }
}

/* Waits for the last record, and ends the threads. */
static void finish(struct run *run)
{
    struct pfetch_failure why;

    if (pfetch_finish(run->pf, &why) == PFETCH_END_LOCAL) {
        run->broken = true;
        pf_msg_error("stopped: %s; when that is put right, run %s", why.text,
                     run->opts.archive == NULL
                         ? "the same command again to continue"
                         : "it again, into another archive");
    }
    if (run->unread &&
        pf_report_unread(&run->report, run->n + 1, &run->last, &why) != 0)
        lose_report(run, &why);
    pf_progress_join(&run->progress);
    pf_signals_join(&run->signals);
}

/* What has ended the run early, or NULL. */
static const char *name_stop(const struct run *run)
{
    const struct pf_signals *signals = &run->signals;

    if (signals->fatal != 0)
        return signals->fatal == SIGINT ? "INT" : "TERM";
    if (signals->hangup)
        return "HUP";
    return signals->expired ? "--deadline" : run->limit;
}

/* --max-files was reached. */
static bool is_enough(const struct run *run)
{
    return run->opts.max_files > 0 &&
           run->summary.ok >= (uint64_t)run->opts.max_files;
}

/* The last words, and the exit status. */
static int conclude(struct run *run)
{
    const struct pf_summary *summary = &run->summary;
    struct pf_ending ending = {
        .noun = pf_opts_stores_files(&run->opts) ||
                        run->opts.handler == PF_OPTS_TAR
                    ? "file" : "URL",
        .dry_run = run->opts.engine.dry_run,
        .elapsed_ms = pf_clock_ms() - run->start_ms,
        .stopped_by = name_stop(run),
        .unread = run->unread,
        .enough = is_enough(run),
        .repeatable = pf_opts_stores_files(&run->opts),
    };
    struct pfetch_counters counters = {0};
    struct pfetch_failure why;

    if (run->opts.dir.durable &&
        pf_outfile_sync(&run->report.out, &why) != 0)
        lose_report(run, &why);
    if (pf_report_close(&run->report, &why) != 0 ||
        pf_report_close(&run->plan, &why) != 0 ||
        pf_failed_close(&run->failed, &why) != 0)
        lose_report(run, &why);
    pfetch_get_counters(run->pf, &counters);
    ending.holds = counters.holds;
    ending.hosts_down = counters.hosts_down;
    ending.failed = run->opts.failed;
    ending.failed_lines = run->failed.lines;
    pf_summary_say(summary, &ending);
    if (run->broken || run->local)
        return EXIT_LOCAL;
    if (ending.enough)
        return EXIT_OK;
    if (run->unread || summary->not_attempted > 0 || summary->cut_off > 0)
        return EXIT_STOPPED;
    return summary->failed > 0 ? EXIT_FAILED : EXIT_OK;
}

/* Everything that is read and written.  Signals still have their usual effect:
 * nothing is lost, and a FIFO that nobody reads holds nobody up. */
static int open_all(struct run *run)
{
    int status = open_lists(run);

    if (status == EXIT_OK)
        status = load_resume(run);
    if (status == EXIT_OK)
        status = create_handler(run);
    return status == EXIT_OK ? open_reports(run) : status;
}

/* Everything between the options and the exit status. */
static int fetch(struct run *run)
{
    int status = open_all(run);

    if (status != EXIT_OK)
        return status;
    fit_limits(run);
    pf_signals_block(&run->signals);
    status = start(run);
    if (status == EXIT_OK) {
        feed(run);
        finish(run);
    }
    pf_signals_join(&run->signals);
    if (status == EXIT_OK)
        status = conclude(run);
    pfetch_free(run->pf);
    run->pf = NULL;
    return status;
}

static void free_run(struct run *run)
{
    struct pfetch_failure why; /* conclude() has closed what matters */

    if (run->free_handler != NULL)
        run->free_handler(&run->handler);
    (void)pf_report_close(&run->report, &why);
    (void)pf_report_close(&run->plan, &why);
    (void)pf_failed_close(&run->failed, &why);
    pf_resume_free(run->resume);
    pf_input_free(run->input);
    pf_opts_free(&run->opts);
}

int main(int argc, char **argv)
{
    struct run run;
    char why[PF_OPTS_WHY_BYTES];
    int status;

    memset(&run, 0, sizeof(run));
    run.report.out.fd = run.plan.out.fd = run.failed.out.fd = -1;
    run.start_ms = pf_clock_ms();
    keep_standard_streams();
    (void)setlocale(LC_CTYPE, ""); /* else: only ASCII is printed as it is */
    /* A closed connection or pipe, and a file beyond the size limit, are
     * errors to be reported.  Both signals exist. */
    (void)signal(SIGCHLD, SIG_DFL); /* ignored, it hides how children end */
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN);
    pf_msg_init(argv[0], PF_NORMAL);

    enum pf_opts_action action = pf_opts_parse(&run.opts, argc, argv, why);
    if (action == PF_OPTS_RUN) {
        pf_msg_init(argv[0], (enum pf_verbosity)run.opts.verbosity);
        status = fetch(&run);
    } else if (action == PF_OPTS_USAGE_ERROR) {
        pf_msg_usage(why);
        status = EXIT_USAGE;
    } else {
        status = print(action);
    }
    free_run(&run);
    if (run.signals.fatal != 0)
        pf_signals_die(run.signals.fatal);
    return status;
}
