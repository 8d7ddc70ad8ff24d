/* opts.c - the command line.
 *
 * SPDX-License-Identifier: MIT
 *
 * One const table says everything about an option: how it is spelled, what
 * it takes, where the value goes, in which range, and what --help says.  The
 * array for getopt_long(3) and the help are made from it.  A switch --x also
 * has a form --no-x.
 *
 * The command line is gone through twice: first for --config and what ends
 * parsing (--help), then, when the configuration file has been read, for all
 * the rest, which so wins over the file.
 *
 * Every value is checked whole and in range here, so that a mistake ends the
 * program before anything is opened or requested.
 */
#include "config.h"

#include "opts.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pattern.h"

enum kind {
    KIND_SWITCH,   /* bool; --no-NAME clears it */
    KIND_SET,      /* int; becomes .min */
    KIND_UNSIGNED, /* unsigned, .min to .max */
    KIND_DURATION, /* int64_t, ms, .min to .max */
    KIND_SIZE,     /* int64_t, bytes, .min to .max */
    KIND_CHOICE,   /* int, one of .choices */
    KIND_TEXT,     /* const char *, not empty */
    KIND_TEXTS,    /* struct pf_texts, appended to */
    KIND_CHECKED,  /* const char *, after .check agreed */
    KIND_STORE,    /* .store does it */
    KIND_ACTION    /* enum pf_opts_action in .min: ends parsing */
};

enum group {
    GROUP_INPUT,
    GROUP_OUTPUT,
    GROUP_CONCURRENCY,
    GROUP_RETRIES,
    GROUP_END,
    GROUP_HTTP,
    GROUP_TLS,
    GROUP_REPORTS,
    GROUP_COUNT
};

static const char *const group_titles[GROUP_COUNT] = {
    [GROUP_INPUT] = "Input",
    [GROUP_OUTPUT] = "Output",
    [GROUP_CONCURRENCY] = "Concurrency",
    [GROUP_RETRIES] = "Retries",
    [GROUP_END] = "Early end",
    [GROUP_HTTP] = "HTTP",
    [GROUP_TLS] = "TLS",
    [GROUP_REPORTS] = "Reports",
};

struct choice {
    const char *name; /* NULL ends the list */
    int value;
};

struct parser;

struct option_spec {
    const char *name;     /* without the dashes */
    char letter;          /* 0: none */
    enum kind kind;
    enum group group;
    bool common;          /* shown by the short help */
    bool can_be_none;     /* KIND_TEXT: --no-NAME makes it NULL */
    bool early;           /* read before the configuration file */
    const char *argument; /* as the help shows it; NULL: takes none */
    bool optional;        /* the argument may be left out: --name[=ARG] */
    const char *preset;   /* the default as the help shows it; or NULL */
    size_t offset;        /* of the field in struct pf_opts */
    int64_t min, max;
    const struct choice *choices;
    bool (*check)(struct parser *parser, const char *value);
    bool (*store)(struct parser *parser, char *value);
    const char *help;
};

/* One run of pf_opts_parse(). */
struct parser {
    struct pf_opts *opts;
    const struct option_spec *spec; /* the option being read */
    char *why;
    bool is_file;       /* it is in the configuration file */
    bool is_files_user; /* so was the one that says who asks */
};

#define FIELD(field) offsetof(struct pf_opts, field)
#define DAYS_MS(days) ((int64_t)(days)*24 * 3600 * 1000)

static bool store_handler(struct parser *parser, char *value);
static bool store_name(struct parser *parser, char *value);
static bool store_shard(struct parser *parser, char *value);
static bool check_base(struct parser *parser, const char *value);
static bool store_rate(struct parser *parser, char *value);
static bool store_host(struct parser *parser, char *value);
static bool store_max_errors(struct parser *parser, char *value);
static bool store_max_files(struct parser *parser, char *value);
static bool store_header(struct parser *parser, char *value);
static bool store_user(struct parser *parser, char *value);
static bool store_proxy(struct parser *parser, char *value);
static bool store_user_file(struct parser *parser, char *value);
static bool store_bearer(struct parser *parser, char *value);
static bool store_bearer_file(struct parser *parser, char *value);
static bool store_netrc(struct parser *parser, char *value);
static bool store_resolve(struct parser *parser, char *value);
static bool check_readable(struct parser *parser, const char *value);
static bool check_plain(struct parser *parser, const char *value);
static bool check_statuses(struct parser *parser, const char *value);
static bool check_algo(struct parser *parser, const char *value);

static const struct choice progresses[] = {
    {"auto", PF_PROGRESS_AUTO},
    {"bar", PF_PROGRESS_BAR},
    {"full", PF_PROGRESS_FULL},
    {"plain", PF_PROGRESS_PLAIN},
    {"json", PF_PROGRESS_JSON},
    {"none", PF_PROGRESS_NONE},
    {NULL, 0},
};

static const struct choice handlers[] = {
    {"dir", PF_OPTS_DIR},
    {"null", PF_OPTS_NULL},
    {"stdout", PF_OPTS_STDOUT},
    {"stdout:jsonl", PF_OPTS_STDOUT_JSONL},
    {"stdout:framed", PF_OPTS_STDOUT_FRAMED},
    {NULL, 0}};

static const struct choice names[] = {
    {"basename", PFETCH_DIR_NAME_BASENAME},
    {"path", PFETCH_DIR_NAME_PATH},
    {"hash", PFETCH_DIR_NAME_HASH},
    {"number", PFETCH_DIR_NAME_NUMBER},
    {NULL, 0}};

static const struct choice exists[] = {
    {"auto", PFETCH_DIR_EXIST_AUTO},
    {"skip", PFETCH_DIR_EXIST_SKIP},
    {"overwrite", PFETCH_DIR_EXIST_OVERWRITE},
    {"update", PFETCH_DIR_EXIST_UPDATE},
    {"error", PFETCH_DIR_EXIST_ERROR},
    {NULL, 0}};

static const struct choice http_versions[] = {
    {"1.1", 11}, {"2", 2}, {NULL, 0}};

static const struct choice tls_versions[] = {
    {"1.0", 10}, {"1.1", 11}, {"1.2", 12}, {"1.3", 13}, {NULL, 0}};

static const struct option_spec specs[] = {
    {.name = "input-file", .letter = 'i', .kind = KIND_TEXTS,
     .group = GROUP_INPUT, .common = true, .argument = "FILE",
     .offset = FIELD(lists),
     .help = "list of URLs, one a line; - is standard input; may be given "
             "several times"},
    {.name = "null", .letter = '0', .kind = KIND_SWITCH,
     .group = GROUP_INPUT, .offset = FIELD(null_separated),
     .help = "lines of lists end with NUL instead of newline"},
    {.name = "checksums", .kind = KIND_TEXTS, .group = GROUP_INPUT,
     .argument = "FILE", .offset = FIELD(sums),
     .help = "a list as sha256sum writes it, with --base; - is standard "
             "input; may be given several times"},
    {.name = "base", .kind = KIND_CHECKED, .group = GROUP_INPUT,
     .argument = "URL", .offset = FIELD(base), .check = check_base,
     .help = "where the files of --checksums are"},
    {.name = "glob", .kind = KIND_SWITCH, .group = GROUP_INPUT,
     .preset = "on", .offset = FIELD(glob),
     .help = "[0-99], [00-FF:x], [a-z] and {a,b} in arguments stand for many "
             "URLs"},
    {.name = "shard", .kind = KIND_STORE, .group = GROUP_INPUT,
     .argument = "I/N", .store = store_shard,
     .help = "only the lines of shard I of N, by host name; auto, auto/N: as "
             "Slurm or Kubernetes says"},
    {.name = "config", .kind = KIND_TEXT, .group = GROUP_INPUT,
     .argument = "FILE", .can_be_none = true, .early = true,
     .preset = "$XDG_CONFIG_HOME/pfetch/config", .offset = FIELD(config),
     .help = "options, one a line, that hold unless the command line says "
             "else; --no-config: none"},
    {.name = "dry-run", .kind = KIND_SWITCH, .group = GROUP_INPUT,
     .common = true, .offset = FIELD(engine.dry_run),
     .help = "print URL, TAB and path for each line, request nothing"},

    {.name = "output-dir", .letter = 'o', .kind = KIND_TEXT,
     .group = GROUP_OUTPUT, .common = true, .argument = "DIR",
     .preset = ".", .offset = FIELD(dir.dir),
     .help = "where files go; created if missing"},
    {.name = "handler", .kind = KIND_STORE, .group = GROUP_OUTPUT,
     .argument = "SPEC", .preset = "dir", .offset = FIELD(handler),
     .choices = handlers, .store = store_handler,
     .help = "dir: one file a URL; null: drop what comes; stdout: bodies to "
             "standard output; stdout:jsonl, stdout:framed: with their "
             "records; exec:COMMAND: to processes that answer; "
             "exec-each:COMMAND: files, and a process for each; tar:FILE, "
             "warc:FILE: into an archive"},
    {.name = "handler-jobs", .kind = KIND_UNSIGNED, .group = GROUP_OUTPUT,
     .argument = "N", .preset = "1", .offset = FIELD(exec.jobs), .min = 1,
     .max = 256,
     .help = "processes at once that exec: and exec-each: run"},
    {.name = "tar-split", .kind = KIND_SIZE, .group = GROUP_OUTPUT,
     .argument = "SIZE", .preset = "0, one file",
     .offset = FIELD(tar_split_bytes), .min = 0, .max = (int64_t)1 << 50,
     .help = "with --handler tar:NAME.tar: write NAME-000000.tar and so on, "
             "of this size at most"},
    {.name = "ordered", .kind = KIND_SWITCH, .group = GROUP_OUTPUT,
     .offset = FIELD(engine.ordered),
     .help = "results in the order of the list"},
    {.name = "spool-limit", .kind = KIND_SIZE, .group = GROUP_OUTPUT,
     .argument = "BYTES", .preset = "32M",
     .offset = FIELD(spool_limit_bytes), .min = 0, .max = (int64_t)1 << 50,
     .help = "memory for bodies that wait for their turn; beyond it they go "
             "to a temporary file in $TMPDIR"},
    {.name = "name", .kind = KIND_STORE, .group = GROUP_OUTPUT,
     .common = true, .argument = "MODE", .preset = "basename",
     .offset = FIELD(name), .choices = names, .store = store_name,
     .help = "how files are named: basename, path (host/path as "
             "directories), hash, number (of the line), or a template of "
             "{host} {path} {base} {stem} {ext} {n} {hash}"},
    {.name = "fan-out", .kind = KIND_UNSIGNED, .group = GROUP_OUTPUT,
     .argument = "N", .preset = "0, none", .offset = FIELD(dir.fan_out),
     .min = 0, .max = 65536,
     .help = "spread files over N sub-directories, by hash of the URL"},
    {.name = "exist", .kind = KIND_CHOICE, .group = GROUP_OUTPUT,
     .common = true, .argument = "MODE", .preset = "auto",
     .offset = FIELD(exist), .choices = exists,
     .help = "when the name is taken: auto (skip this URL's complete file, "
             "number others), skip, overwrite, update (this URL's, if it has "
             "changed) or error"},
    {.name = "remote-time", .kind = KIND_SWITCH, .group = GROUP_OUTPUT,
     .preset = "on", .offset = FIELD(dir.remote_time),
     .help = "take the modification time from Last-Modified"},
    {.name = "resume", .kind = KIND_SWITCH, .group = GROUP_OUTPUT,
     .preset = "on", .offset = FIELD(dir.resume),
     .help = "keep what a broken download leaves, and continue it in a later "
             "run"},
    {.name = "checksum", .kind = KIND_CHECKED, .group = GROUP_OUTPUT,
     .argument = "ALGO", .offset = FIELD(engine.checksum),
     .check = check_algo,
     .help = "digest of each body, for its record: sha256, sha512, sha1 or "
             "md5"},
    {.name = "disk-reserve", .kind = KIND_SIZE, .group = GROUP_OUTPUT,
     .argument = "BYTES", .preset = "0", .offset = FIELD(dir.reserve_bytes),
     .min = 0, .max = (int64_t)1 << 60,
     .help = "end the run when less than this would be free on the disk: "
             "status 3"},
    {.name = "durable", .kind = KIND_SWITCH, .group = GROUP_OUTPUT,
     .offset = FIELD(dir.durable),
     .help = "a record says ok only when data and name are forced to the "
             "disk, and is then forced itself"},

    {.name = "threads", .letter = 't', .kind = KIND_UNSIGNED,
     .group = GROUP_CONCURRENCY, .common = true, .argument = "N",
     .preset = "16", .offset = FIELD(engine.workers), .min = 1, .max = 1024,
     .help = "workers, 1 to 1024: as many downloads at once"},
    {.name = "per-host", .kind = KIND_UNSIGNED, .group = GROUP_CONCURRENCY,
     .common = true, .argument = "N", .preset = "0, no limit but -t",
     .offset = FIELD(engine.per_host), .min = 0, .max = 1024,
     .help = "downloads at once from one host name, whatever the port"},
    {.name = "rate", .kind = KIND_STORE, .group = GROUP_CONCURRENCY,
     .argument = "N/s", .offset = FIELD(engine.rate), .store = store_rate,
     .help = "requests started per second (/m: per minute), in all"},
    {.name = "host-rate", .kind = KIND_STORE, .group = GROUP_CONCURRENCY,
     .argument = "N/s", .offset = FIELD(engine.host_rate),
     .store = store_rate,
     .help = "requests started per second at each host name"},
    {.name = "host", .kind = KIND_STORE, .group = GROUP_CONCURRENCY,
     .argument = "HOST=KEY=V,...", .store = store_host,
     .help = "for one host name: per-host=N, rate=N/s, and as the last "
             "user=NAME:PASSWORD; may be given several times"},
    {.name = "limit-rate", .kind = KIND_SIZE, .group = GROUP_CONCURRENCY,
     .argument = "BYTES", .preset = "0, no limit",
     .offset = FIELD(engine.limit_rate_bytes), .min = 0,
     .max = (int64_t)1 << 50, .help = "bytes per second, in all"},
    {.name = "max-idle", .kind = KIND_UNSIGNED, .group = GROUP_CONCURRENCY,
     .argument = "N", .preset = "1024", .offset = FIELD(engine.max_idle),
     .min = 0, .max = 65536,
     .help = "idle connections kept, as far as descriptors allow"},
    {.name = "grace", .kind = KIND_DURATION, .group = GROUP_CONCURRENCY,
     .argument = "D", .preset = "2s", .offset = FIELD(grace_ms),
     .min = 0, .max = DAYS_MS(1),
     .help = "after INT or TERM, what running downloads get to end"},

    {.name = "retries", .kind = KIND_UNSIGNED, .group = GROUP_RETRIES,
     .common = true, .argument = "N", .preset = "4",
     .offset = FIELD(engine.retries), .min = 0, .max = 1000,
     .help = "further attempts after the first"},
    {.name = "retry-http", .kind = KIND_CHECKED, .group = GROUP_RETRIES,
     .argument = "LIST", .preset = "408,429,500,502,503,504,520-524",
     .offset = FIELD(engine.retry_http), .check = check_statuses,
     .help = "HTTP statuses worth another attempt"},
    {.name = "retry-delay", .kind = KIND_DURATION, .group = GROUP_RETRIES,
     .argument = "D", .preset = "1s",
     .offset = FIELD(engine.retry_delay_ms), .min = 0, .max = DAYS_MS(1),
     .help = "delay before the first retry; doubles with each one"},
    {.name = "retry-max-delay", .kind = KIND_DURATION,
     .group = GROUP_RETRIES, .argument = "D", .preset = "60s",
     .offset = FIELD(engine.retry_max_delay_ms), .min = 0,
     .max = DAYS_MS(1), .help = "longest delay before a retry"},
    {.name = "max-retry-after", .kind = KIND_DURATION,
     .group = GROUP_RETRIES, .argument = "D", .preset = "300s",
     .offset = FIELD(engine.max_retry_after_ms), .min = 0,
     .max = DAYS_MS(7),
     .help = "a server's Retry-After is obeyed up to this"},

    {.name = "max-errors", .kind = KIND_STORE, .group = GROUP_END,
     .argument = "N|N%", .store = store_max_errors,
     .help = "stop the run after so many failed URLs, or that share of the "
             "finished ones (judged from the 100th on): status 4"},
    {.name = "fail-early", .kind = KIND_SWITCH, .group = GROUP_END,
     .offset = FIELD(fail_early), .help = "the same as --max-errors 1"},
    {.name = "max-files", .kind = KIND_STORE, .group = GROUP_END,
     .argument = "N", .preset = "0, no limit", .store = store_max_files,
     .help = "stop after so many successes: status 0"},
    {.name = "deadline", .kind = KIND_DURATION, .group = GROUP_END,
     .argument = "D", .preset = "0, none", .offset = FIELD(deadline_ms),
     .min = 0, .max = DAYS_MS(365),
     .help = "stop the whole run after so long: status 4"},

    {.name = "timeout", .kind = KIND_DURATION, .group = GROUP_HTTP,
     .argument = "D", .preset = "0, none",
     .offset = FIELD(engine.timeout_ms), .min = 0, .max = DAYS_MS(365),
     .help = "for one URL with all its attempts"},
    {.name = "connect-timeout", .kind = KIND_DURATION, .group = GROUP_HTTP,
     .argument = "D", .preset = "15s",
     .offset = FIELD(engine.connect_timeout_ms), .min = 1,
     .max = DAYS_MS(1),
     .help = "for name, connection and TLS together"},
    {.name = "stall-timeout", .kind = KIND_DURATION, .group = GROUP_HTTP,
     .argument = "D", .preset = "60s",
     .offset = FIELD(engine.stall_timeout_ms), .min = 0, .max = DAYS_MS(1),
     .help = "give up an attempt that receives nothing for so long; 0: "
             "never"},
    {.name = "max-size", .kind = KIND_SIZE, .group = GROUP_HTTP,
     .argument = "BYTES", .preset = "0, no limit",
     .offset = FIELD(engine.max_size_bytes), .min = 0, .max = INT64_MAX,
     .help = "a longer body fails"},
    {.name = "max-redirs", .kind = KIND_UNSIGNED, .group = GROUP_HTTP,
     .argument = "N", .preset = "20", .offset = FIELD(engine.max_redirs),
     .min = 0, .max = 1000, .help = "redirects followed for one URL"},
    {.name = "allow-downgrade", .kind = KIND_SWITCH, .group = GROUP_HTTP,
     .offset = FIELD(engine.allow_downgrade),
     .help = "follow redirects from https to http"},
    {.name = "require-length", .kind = KIND_SWITCH, .group = GROUP_HTTP,
     .offset = FIELD(engine.require_length),
     .help = "a body fails whose end cannot be verified, because the server "
             "declares no length"},
    {.name = "content-disposition", .kind = KIND_SWITCH,
     .group = GROUP_HTTP, .offset = FIELD(dir.content_disposition),
     .help = "name files as the server says, made safe and numbered"},
    {.name = "head", .kind = KIND_SWITCH, .group = GROUP_HTTP,
     .offset = FIELD(engine.head),
     .help = "ask for status and headers only: no files"},
    {.name = "header", .letter = 'H', .kind = KIND_STORE,
     .group = GROUP_HTTP, .common = true, .argument = "LINE",
     .store = store_header,
     .help = "send this header, \"Name: value\"; may be given several "
             "times"},
    {.name = "user-agent", .letter = 'A', .kind = KIND_CHECKED,
     .group = GROUP_HTTP, .argument = "TEXT", .preset = "pfetch/VERSION",
     .offset = FIELD(engine.user_agent), .check = check_plain,
     .help = "how to introduce ourselves"},
    {.name = "referer", .letter = 'e', .kind = KIND_CHECKED,
     .group = GROUP_HTTP, .argument = "URL",
     .offset = FIELD(engine.referer), .check = check_plain,
     .help = "send this Referer header"},
    {.name = "compressed", .kind = KIND_SWITCH, .group = GROUP_HTTP,
     .offset = FIELD(engine.compressed),
     .help = "ask for compressed bodies and store them unpacked"},
    {.name = "user", .letter = 'u', .kind = KIND_STORE, .group = GROUP_HTTP,
     .argument = "NAME:PASSWORD", .store = store_user,
     .help = "Basic authentication with each origin of the list"},
    {.name = "user-file", .kind = KIND_STORE, .group = GROUP_HTTP,
     .argument = "FILE", .store = store_user_file,
     .help = "read NAME:PASSWORD from the first line of FILE"},
    {.name = "bearer", .kind = KIND_STORE, .group = GROUP_HTTP,
     .argument = "TOKEN", .store = store_bearer,
     .help = "send \"Authorization: Bearer TOKEN\" to each origin of the "
             "list"},
    {.name = "bearer-file", .kind = KIND_STORE, .group = GROUP_HTTP,
     .argument = "FILE", .store = store_bearer_file,
     .help = "read TOKEN from the first line of FILE"},
    {.name = "netrc", .kind = KIND_STORE, .group = GROUP_HTTP,
     .argument = "FILE", .optional = true, .store = store_netrc,
     .help = "take names and passwords of hosts from ~/.netrc, or FILE"},
    {.name = "load-cookies", .kind = KIND_CHECKED, .group = GROUP_HTTP,
     .argument = "FILE", .offset = FIELD(engine.cookie_file),
     .check = check_readable,
     .help = "send the cookies in FILE (Netscape format); what servers set "
             "is ignored"},
    {.name = "proxy", .letter = 'x', .kind = KIND_STORE,
     .group = GROUP_HTTP, .argument = "URL", .store = store_proxy,
     .help = "proxy to use instead of those of the environment"},
    {.name = "noproxy", .kind = KIND_CHECKED, .group = GROUP_HTTP,
     .argument = "LIST", .offset = FIELD(engine.noproxy),
     .check = check_plain,
     .help = "hosts to reach without the proxy, separated by commas"},
    {.name = "http-version", .kind = KIND_CHOICE, .group = GROUP_HTTP,
     .argument = "VERSION", .preset = "1.1",
     .offset = FIELD(engine.http_version), .choices = http_versions,
     .help = "1.1, or 2 over TLS where offered"},
    {.name = "resolve", .kind = KIND_STORE, .group = GROUP_HTTP,
     .argument = "HOST:PORT:ADDRESS", .store = store_resolve,
     .help = "use this address for that host and port; may be given several "
             "times"},
    {.name = "ipv4", .letter = '4', .kind = KIND_SET, .group = GROUP_HTTP,
     .offset = FIELD(engine.ip_version), .min = 4,
     .help = "use IPv4 addresses only"},
    {.name = "ipv6", .letter = '6', .kind = KIND_SET, .group = GROUP_HTTP,
     .offset = FIELD(engine.ip_version), .min = 6,
     .help = "use IPv6 addresses only"},
    {.name = "interface", .kind = KIND_CHECKED, .group = GROUP_HTTP,
     .argument = "NAME", .offset = FIELD(engine.interface),
     .check = check_plain,
     .help = "connect from this interface or address"},
    {.name = "deny-private", .kind = KIND_SWITCH, .group = GROUP_HTTP,
     .offset = FIELD(engine.deny_private),
     .help = "connect to public addresses only, and to no proxy"},

    {.name = "cacert", .kind = KIND_TEXT, .group = GROUP_TLS,
     .argument = "FILE", .offset = FIELD(engine.cacert),
     .help = "certificates to trust, in PEM"},
    {.name = "capath", .kind = KIND_TEXT, .group = GROUP_TLS,
     .argument = "DIR", .offset = FIELD(engine.capath),
     .help = "directory of certificates, made by openssl-rehash(1)"},
    {.name = "insecure", .letter = 'k', .kind = KIND_SWITCH,
     .group = GROUP_TLS, .offset = FIELD(engine.insecure),
     .help = "do not verify certificates"},
    {.name = "tls-min", .kind = KIND_CHOICE, .group = GROUP_TLS,
     .argument = "VERSION", .preset = "1.2",
     .offset = FIELD(engine.tls_min), .choices = tls_versions,
     .help = "oldest TLS version: 1.0, 1.1, 1.2 or 1.3"},
    {.name = "cert", .letter = 'E', .kind = KIND_CHECKED,
     .group = GROUP_TLS, .argument = "FILE", .offset = FIELD(engine.cert),
     .check = check_readable,
     .help = "our own certificate, in PEM, for servers that ask for one"},
    {.name = "key", .kind = KIND_CHECKED, .group = GROUP_TLS,
     .argument = "FILE", .offset = FIELD(engine.key),
     .check = check_readable,
     .help = "its key, in PEM, unless that is in the same file"},

    {.name = "results", .kind = KIND_TEXT, .group = GROUP_REPORTS,
     .common = true, .argument = "FILE", .offset = FIELD(results),
     .help = "append one JSON record for each line read; - is standard "
             "output"},
    {.name = "failed", .kind = KIND_TEXT, .group = GROUP_REPORTS,
     .common = true, .argument = "FILE", .offset = FIELD(failed),
     .help = "write the lines that were read but are not ok, a list for -i"},
    {.name = "resume-from", .kind = KIND_TEXTS, .group = GROUP_REPORTS,
     .argument = "FILE", .offset = FIELD(resume_from),
     .help = "skip what an earlier --results FILE records as ok and whose "
             "file still has its size; may be given several times"},
    {.name = "progress", .kind = KIND_CHOICE, .group = GROUP_REPORTS,
     .common = true, .argument = "MODE", .preset = "auto",
     .offset = FIELD(progress), .choices = progresses,
     .help = "auto (bar on a terminal, else plain), bar, full (bar and the "
             "oldest transfers), plain (a line now and then), json (each "
             "second) or none"},
    {.name = "quiet", .letter = 'q', .kind = KIND_SET,
     .group = GROUP_REPORTS, .common = true, .offset = FIELD(verbosity),
     .min = PF_QUIET, .help = "say only what is wrong with the run"},
    {.name = "verbose", .letter = 'v', .kind = KIND_SET,
     .group = GROUP_REPORTS, .common = true, .offset = FIELD(verbosity),
     .min = PF_VERBOSE, .help = "say one line for each URL, with timings"},
    {.name = "help", .letter = 'h', .kind = KIND_ACTION,
     .group = GROUP_REPORTS, .common = true, .min = PF_OPTS_HELP,
     .help = "show the options used most; --help all shows all"},
    {.name = "version", .letter = 'V', .kind = KIND_ACTION,
     .group = GROUP_REPORTS, .common = true, .min = PF_OPTS_VERSION,
     .help = "show the version, and that of libcurl"},
};

enum {
    SPEC_COUNT = sizeof(specs) / sizeof(specs[0]),
    FIRST_LONG = 256, /* val of --name: this plus its index, no letter */
    FIRST_NO = 512,   /* val of --no-name */
    CREDENTIAL_BYTES = 4096
};

/* --- complaints ----------------------------------------------------------- */

static bool complain(struct parser *parser, const char *format, ...)
    PF_PRINTF(2, 3);

/* Says what is wrong with the value of the option being read.  Returns
 * false, for the caller to return.  The value must not be named where it may
 * be a secret. */
static bool complain(struct parser *parser, const char *format, ...)
{
    va_list arguments;
    int used = snprintf(parser->why, PF_OPTS_WHY_BYTES,
                        "--%s: ", parser->spec->name);

    va_start(arguments, format);
    (void)vsnprintf(parser->why + used, PF_OPTS_WHY_BYTES - (size_t)used,
                    format, arguments);
    va_end(arguments);
    return false;
}

/* --- values --------------------------------------------------------------- */

/* Reads the digits text begins with.  Returns what follows them; NULL if
 * there are none or the number is too large. */
static const char *scan_number(const char *text, int64_t *number)
{
    int64_t value = 0;

    if (*text < '0' || *text > '9')
        return NULL;
    for (; *text >= '0' && *text <= '9'; text++) {
        int digit = *text - '0';

        if (value > (INT64_MAX - digit) / 10)
            return NULL;
        value = value * 10 + digit;
    }
    *number = value;
    return text;
}

struct unit {
    const char *name; /* NULL ends the list */
    int64_t factor;
};

/* Reads a whole number followed by one of the units; "" in the list stands
 * for none. */
static bool parse_with_unit(const char *text, const struct unit *units,
                            int64_t *result)
{
    int64_t number;
    const char *rest = scan_number(text, &number);

    if (rest == NULL)
        return false;
    for (; units->name != NULL; units++) {
        if (strcmp(rest, units->name) != 0)
            continue;
        if (number > INT64_MAX / units->factor)
            return false;
        *result = number * units->factor;
        return true;
    }
    return false;
}

static bool store_unsigned(struct parser *parser, const char *value)
{
    static const struct unit none[] = {{"", 1}, {NULL, 0}};
    const struct option_spec *spec = parser->spec;
    int64_t number;

    if (!parse_with_unit(value, none, &number) || number < spec->min ||
        number > spec->max)
        return complain(parser,
                        "'%.100s' is not a whole number from %" PRId64
                        " to %" PRId64,
                        value, spec->min, spec->max);
    *(unsigned *)((char *)parser->opts + spec->offset) = (unsigned)number;
    return true;
}

static bool store_duration(struct parser *parser, const char *value)
{
    static const struct unit units[] = {
        {"", 1000},     {"ms", 1},         {"s", 1000}, {"m", 60 * 1000},
        {"h", 3600000}, {NULL, 0}};
    const struct option_spec *spec = parser->spec;
    int64_t ms;

    if (!parse_with_unit(value, units, &ms))
        return complain(parser,
                        "'%.100s' is not a duration such as 10, 500ms, 10s, "
                        "5m or 1h",
                        value);
    if (ms < spec->min || ms > spec->max)
        return complain(parser, "'%.100s' is not from %" PRId64 "ms to %"
                        PRId64 "h", value, spec->min, spec->max / 3600000);
    *(int64_t *)((char *)parser->opts + spec->offset) = ms;
    return true;
}

static bool store_size(struct parser *parser, const char *value)
{
    static const struct unit units[] = {
        {"", 1},
        {"k", 1 << 10}, {"K", 1 << 10},
        {"m", 1 << 20}, {"M", 1 << 20},
        {"g", 1 << 30}, {"G", 1 << 30},
        {"t", INT64_C(1) << 40}, {"T", INT64_C(1) << 40},
        {NULL, 0}};
    int64_t bytes;

    if (!parse_with_unit(value, units, &bytes) || bytes < parser->spec->min ||
        bytes > parser->spec->max)
        return complain(parser,
                        "'%.100s' is not a size such as 4096, 64k, 10M or 2G",
                        value);
    *(int64_t *)((char *)parser->opts + parser->spec->offset) = bytes;
    return true;
}

static bool store_choice(struct parser *parser, const char *value)
{
    const struct choice *choice = parser->spec->choices;
    char all[128] = "";
    size_t used = 0;

    for (; choice->name != NULL; choice++) {
        if (strcmp(value, choice->name) == 0) {
            *(int *)((char *)parser->opts + parser->spec->offset) =
                choice->value;
            return true;
        }
        used += (size_t)snprintf(all + used, sizeof(all) - used, "%s%s",
                                 used > 0 ? ", " : "", choice->name);
    }
    return complain(parser, "'%.100s' is none of %s", value, all);
}

/* One of the modes, or a template. */
static bool store_name(struct parser *parser, char *value)
{
    struct pfetch_failure why;

    parser->opts->dir.name_template = NULL;
    if (strpbrk(value, "{}/") == NULL) /* a constant is a misspelled mode */
        return store_choice(parser, value);
    if (!pfetch_dir_template_check(value, &why))
        return complain(parser, "%s", why.text);
    parser->opts->dir.name_template = value;
    return true;
}

/* One of the words, or a kind with what it is for: the file of an archive, a
 * command. */
static bool store_handler(struct parser *parser, char *value)
{
    static const struct {
        const char *name, *needs;
        enum pf_opts_handler handler;
    } kinds[] = {{"exec:", "COMMAND", PF_OPTS_EXEC},
                 {"exec-each:", "COMMAND", PF_OPTS_EXEC_EACH},
                 {"tar:", "FILE", PF_OPTS_TAR},
                 {"warc:", "FILE", PF_OPTS_WARC}};
    struct pf_opts *opts = parser->opts;

    opts->exec.command = opts->archive = NULL;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        size_t length = strlen(kinds[i].name);

        /* "tar" alone is as incomplete as "tar:" */
        if (strncmp(value, kinds[i].name, length - 1) != 0 ||
            (value[length - 1] != ':' && value[length - 1] != '\0'))
            continue;
        if (value[length - 1] == '\0' || value[length] == '\0')
            return complain(parser, "'%.100s' lacks what it is for: %s%s",
                            value, kinds[i].name, kinds[i].needs);
        opts->handler = (int)kinds[i].handler;
        if (strcmp(kinds[i].needs, "FILE") == 0)
            opts->archive = value + length;
        else
            opts->exec.command = value + length;
        return true;
    }
    for (const struct choice *c = handlers; c->name != NULL; c++)
        if (strcmp(value, c->name) == 0)
            return store_choice(parser, value);
    return complain(parser, "'%.100s' is none of dir, null, stdout, "
                    "stdout:jsonl, stdout:framed, exec:COMMAND, "
                    "exec-each:COMMAND, tar:FILE, warc:FILE", value);
}

static bool store_text(struct parser *parser, const char *value)
{
    if (*value == '\0')
        return complain(parser, "the value is empty");
    *(const char **)((char *)parser->opts + parser->spec->offset) = value;
    return true;
}

static bool store_checked(struct parser *parser, const char *value)
{
    if (!parser->spec->check(parser, value))
        return false;
    *(const char **)((char *)parser->opts + parser->spec->offset) = value;
    return true;
}

static bool append_text(struct parser *parser, struct pf_texts *texts,
                        const char *value)
{
    const char **grown =
        realloc(texts->at, (texts->count + 2) * sizeof(*grown));

    if (grown == NULL)
        return complain(parser, "out of memory");
    grown[texts->count++] = value;
    grown[texts->count] = NULL;
    texts->at = grown;
    return true;
}

/* Control bytes in what goes into a request could end a header and begin
 * another one. */
static bool has_control_byte(const char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return true;
    return false;
}

static bool check_plain(struct parser *parser, const char *value)
{
    if (has_control_byte(value))
        return complain(parser, "the value holds a control byte");
    return true;
}

static bool check_algo(struct parser *parser, const char *value)
{
    if (pfetch_checksum_is_algo(value))
        return true;
    return complain(parser, "'%.60s' is none of sha256, sha512, sha1, md5",
                    value);
}

/* "408,429,500-504": statuses and ranges of them. */
static bool check_statuses(struct parser *parser, const char *value)
{
    const char *rest = value;

    while (*rest != '\0') {
        int64_t first, last;

        rest = scan_number(rest, &first);
        last = first;
        if (rest != NULL && *rest == '-')
            rest = scan_number(rest + 1, &last);
        if (rest == NULL || first < 400 || last > 999 || first > last ||
            (*rest != '\0' && *rest != ',') ||
            (*rest == ',' && rest[1] == '\0'))
            return complain(parser,
                            "'%.100s' is not a list of statuses from 400 on, "
                            "such as 429,500-504",
                            value);
        if (*rest == ',')
            rest++;
    }
    return true;
}

/* A URL that a name may be appended to. */
static bool check_base(struct parser *parser, const char *value)
{
    struct pfetch_failure why;
    char host[1024];

    if (pfetch_url_host(value, host, sizeof(host), &why) < 0)
        return complain(parser, "%s", why.text);
    if (strpbrk(value, "?#") != NULL)
        return complain(parser, "a query or fragment cannot be followed by "
                                "a name");
    return true;
}

static bool store_shard(struct parser *parser, char *value)
{
    char why[PF_SHARD_WHY_BYTES];

    return pf_shard_parse(&parser->opts->shard, value, why) ||
           complain(parser, "%s", why);
}

/* "50", "50/s", "0.5/s", "30/m": requests per second.  0 is no limit. */
static bool scan_rate(const char *text, size_t size, double *rate)
{
    char copy[32];
    char *rest;

    if (size == 0 || size >= sizeof(copy) || text[0] < '0' || text[0] > '9')
        return false;
    memcpy(copy, text, size);
    copy[size] = '\0';
    if (strspn(copy, "0123456789./sm") != size)
        return false;
    *rate = strtod(copy, &rest); /* LC_NUMERIC stays "C" */
    if (strcmp(rest, "/m") == 0)
        *rate /= 60;
    else if (*rest != '\0' && strcmp(rest, "/s") != 0)
        return false;
    return *rate == 0 || (*rate >= 1e-6 && *rate <= 1e6);
}

static bool store_rate(struct parser *parser, char *value)
{
    void *field = (char *)parser->opts + parser->spec->offset;

    if (scan_rate(value, strlen(value), field))
        return true;
    return complain(parser, "'%.100s' is not a rate such as 50/s", value);
}

/* One KEY=V of --host. */
static bool store_host_key(struct pfetch_host_options *host, const char *text,
                           size_t size)
{
    const char *equals = memchr(text, '=', size);
    const char *value = equals == NULL ? text + size : equals + 1;
    size_t value_size = (size_t)(text + size - value);
    int64_t number;
    const char *rest;

    if (equals == NULL)
        return false;
    if (equals - text == 8 && memcmp(text, "per-host", 8) == 0) {
        rest = scan_number(value, &number);
        host->per_host = rest == value + value_size && number <= 1024
                             ? (int)number : -1;
        return host->per_host >= 0;
    }
    return equals - text == 4 && memcmp(text, "rate", 4) == 0
           && scan_rate(value, value_size, &host->rate);
}

/* "NAME:PASSWORD", which lies in argv and is overwritten there. */
static bool store_host_user(struct parser *parser,
                            struct pfetch_host_options *host, char *value)
{
    char *colon = strchr(value, ':');
    bool is_plain = !has_control_byte(value);

    if (colon != NULL && is_plain) {
        host->username = strndup(value, (size_t)(colon - value));
        host->password = strdup(colon + 1);
    }
    memset(colon != NULL ? colon + 1 : value, '*',
           strlen(colon != NULL ? colon + 1 : value));
    if (colon == NULL || !is_plain)
        return complain(parser, "user= is not NAME:PASSWORD");
    return (host->username != NULL && host->password != NULL)
           || complain(parser, "out of memory");
}

static bool store_host(struct parser *parser, char *value)
{
    struct pf_opts *opts = parser->opts;
    size_t n = opts->engine.host_count, name = strcspn(value, "=");
    struct pfetch_host_options *hosts =
        realloc(opts->hosts, (n + 1) * sizeof(*hosts));
    struct pfetch_host_options *host;
    char *at = value + name;

    if (hosts == NULL)
        return complain(parser, "out of memory");
    opts->hosts = hosts;
    host = &hosts[n];
    *host = (struct pfetch_host_options){.per_host = -1, .rate = -1};
    host->name = strndup(value, name);
    if (host->name == NULL)
        return complain(parser, "out of memory");
    opts->engine.hosts = hosts;
    opts->engine.host_count = n + 1;
    if (name == 0 || *at != '=')
        return complain(parser, "'%.*s' is not followed by KEY=VALUE,...",
                        (int)strcspn(value, ":="), value);
    if (*value != '[' && memchr(value, ':', name) != NULL)
        return complain(parser, "'%.*s' has a port: limits go by host name, "
                        "whatever the port", (int)name, value);
    while (*at != '\0') {
        size_t size = strcspn(++at, ",");

        if (strncmp(at, "user=", 5) == 0) /* may hold anything: the last */
            return store_host_user(parser, host, at + 5);
        if (!store_host_key(host, at, size)) /* maybe a mistyped user= */
            return complain(parser,
                            "'%.*s' does not begin one of per-host=N, "
                            "rate=N/s, user=NAME:PASSWORD",
                            (int)strcspn(at, "=:,"), at);
        at += size;
    }
    return true;
}

/* "20", "5%" */
static bool store_max_errors(struct parser *parser, char *value)
{
    struct pf_opts *opts = parser->opts;
    int64_t number;
    const char *rest = scan_number(value, &number);
    bool percent = rest != NULL && strcmp(rest, "%") == 0;

    if (rest == NULL || (*rest != '\0' && !percent) || number < 1
        || (percent && number > 100))
        return complain(parser, "'%.100s' is not a number or a share such as "
                        "5%%", value);
    opts->max_errors = number;
    opts->max_errors_percent = percent;
    return true;
}

static bool store_max_files(struct parser *parser, char *value)
{
    const char *rest = scan_number(value, &parser->opts->max_files);

    if (rest != NULL && *rest == '\0')
        return true;
    return complain(parser, "'%.100s' is not a whole number", value);
}

/* A header's value may be a secret: it is not repeated in messages. */
static bool store_header(struct parser *parser, char *value)
{
    static const char token[] = "!#$%&'*+-.^_`|~0123456789"
                                "abcdefghijklmnopqrstuvwxyz"
                                "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    size_t length = strspn(value, token);

    if (has_control_byte(value))
        return complain(parser, "the header holds a control byte");
    if (length > 0 && strcmp(value + length, ";") == 0) /* one without value */
        return append_text(parser, &parser->opts->headers, value);
    if (strchr(value, ':') == NULL)
        return complain(parser, "the header has no ':'");
    if (length == 0 || value[length] != ':')
        return complain(parser, "what stands before ':' is no header name");
    return append_text(parser, &parser->opts->headers, value);
}

static void forget_credentials(struct pf_opts *opts)
{
    if (opts->credentials == NULL)
        return;
    const char *password = opts->engine.password;
    explicit_bzero(opts->credentials,
                   (size_t)(password - opts->credentials) + strlen(password));
    free(opts->credentials);
    opts->credentials = NULL;
    opts->engine.username = NULL;
    opts->engine.password = NULL;
}

static void forget_bearer(struct pf_opts *opts)
{
    if (opts->bearer != NULL)
        explicit_bzero(opts->bearer, strlen(opts->bearer));
    free(opts->bearer);
    opts->bearer = NULL;
    opts->engine.bearer = NULL;
}

/* Who asks is said once more: on the command line, that is instead of what
 * the configuration file says, in whichever of the two ways. */
static void note_identity(struct parser *parser)
{
    if (parser->is_files_user && !parser->is_file) {
        forget_credentials(parser->opts);
        forget_bearer(parser->opts);
    }
    parser->is_files_user = parser->is_file;
}

/* Keeps a copy of "NAME:PASSWORD". */
static bool keep_credentials(struct parser *parser, const char *value)
{
    struct pf_opts *opts = parser->opts;
    const char *colon = strchr(value, ':');

    if (colon == NULL)
        return complain(parser, "the value has no ':' (NAME:PASSWORD)");
    if (has_control_byte(value))
        return complain(parser, "the value holds a control byte");
    note_identity(parser);
    forget_credentials(opts);
    opts->credentials = strdup(value);
    if (opts->credentials == NULL)
        return complain(parser, "out of memory");
    opts->credentials[colon - value] = '\0';
    opts->engine.username = opts->credentials;
    opts->engine.password = opts->credentials + (colon - value) + 1;
    return true;
}

/* value lies in argv, which every user of the machine can read: whatever may
 * be a password is overwritten there. */
static bool store_user(struct parser *parser, char *value)
{
    bool kept = keep_credentials(parser, value);
    char *colon = strchr(value, ':');
    char *secret = colon != NULL ? colon + 1 : value;

    memset(secret, '*', strlen(secret));
    return kept;
}

static bool keep_bearer(struct parser *parser, const char *value)
{
    struct pf_opts *opts = parser->opts;

    if (*value == '\0' || has_control_byte(value)
        || strchr(value, ' ') != NULL)
        return complain(parser, "the value is no token");
    note_identity(parser);
    forget_bearer(opts);
    opts->bearer = strdup(value);
    opts->engine.bearer = opts->bearer;
    return opts->bearer != NULL || complain(parser, "out of memory");
}

static bool store_bearer(struct parser *parser, char *value)
{
    bool kept = keep_bearer(parser, value);

    memset(value, '*', strlen(value));
    return kept;
}

/* As store_user(): the user part of a proxy may hold a password. */
static bool store_proxy(struct parser *parser, char *value)
{
    struct pf_opts *opts = parser->opts;
    char *at = strrchr(value, '@'), *user = strstr(value, "://");

    if (has_control_byte(value))
        return complain(parser, "the value holds a control byte");
    free(opts->proxy);
    opts->proxy = strdup(value);
    opts->engine.proxy = opts->proxy;
    user = user == NULL ? value : user + 3;
    if (at != NULL && at > user)
        memset(user, '*', (size_t)(at - user));
    return opts->proxy != NULL || complain(parser, "out of memory");
}

/* Reads the beginning of a file, at most size - 1 bytes, as a string.  The
 * number of bytes read; -1 with errno set. */
static ssize_t read_beginning(const char *file, char *text, size_t size)
{
    size_t used = 0;
    ssize_t got = 0;
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY);

    if (fd < 0)
        return -1;
    while (used < size - 1) {
        got = read(fd, text + used, size - 1 - used);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        used += (size_t)got;
    }
    int why = errno;
    (void)close(fd); /* only read from: nothing can be lost */
    errno = why;
    text[used] = '\0';
    return got < 0 ? -1 : (ssize_t)used;
}

/* Gives the first line of a file, a secret, to one that keeps it. */
static bool store_first_line(struct parser *parser, const char *file,
                             bool (*keep)(struct parser *, const char *))
{
    char text[CREDENTIAL_BYTES];
    ssize_t size = read_beginning(file, text, sizeof(text));
    bool kept;

    if (size < 0)
        return complain(parser, "cannot read '%.200s': %s", file,
                        strerror(errno));
    text[strcspn(text, "\r\n")] = '\0';
    if (strlen(text) == sizeof(text) - 1)
        kept = complain(parser, "the first line is too long");
    else
        kept = keep(parser, text);
    explicit_bzero(text, sizeof(text));
    return kept;
}

static bool store_user_file(struct parser *parser, char *value)
{
    return store_first_line(parser, value, keep_credentials);
}

static bool store_bearer_file(struct parser *parser, char *value)
{
    return store_first_line(parser, value, keep_bearer);
}

/* libcurl takes some files that it cannot read for empty ones. */
static bool check_readable(struct parser *parser, const char *value)
{
    char text[2];

    if (read_beginning(value, text, sizeof(text)) >= 0)
        return true;
    return complain(parser, "cannot read '%.200s': %s", value,
                    strerror(errno));
}

static bool store_netrc(struct parser *parser, char *value)
{
    parser->opts->engine.netrc = true;
    parser->opts->engine.netrc_file = value;
    return value == NULL || check_readable(parser, value);
}

/* "HOST:PORT:ADDRESS[,ADDRESS]..." */
static bool store_resolve(struct parser *parser, char *value)
{
    const char *port = strchr(value, ':'), *rest = NULL;
    int64_t number;

    if (port != NULL && port > value)
        rest = scan_number(port + 1, &number);
    if (rest == NULL || *rest != ':' || rest[1] == '\0' || number < 1
        || number > 65535 || has_control_byte(value))
        return complain(parser, "'%.100s' is not HOST:PORT:ADDRESS", value);
    return append_text(parser, &parser->opts->resolve, value);
}

/* Stores the value of parser->spec; value is NULL if it takes none. */
static bool store(struct parser *parser, char *value, bool on)
{
    const struct option_spec *spec = parser->spec;
    char *field = (char *)parser->opts + spec->offset;

    switch (spec->kind) {
    case KIND_SWITCH:
        *(bool *)field = on;
        return true;
    case KIND_SET:
        *(int *)(void *)field = (int)spec->min;
        return true;
    case KIND_UNSIGNED:
        return store_unsigned(parser, value);
    case KIND_DURATION:
        return store_duration(parser, value);
    case KIND_SIZE:
        return store_size(parser, value);
    case KIND_CHOICE:
        return store_choice(parser, value);
    case KIND_TEXT:
        if (!on)
            *(const char **)(void *)field = NULL;
        return !on || store_text(parser, value);
    case KIND_TEXTS:
        return append_text(parser, (struct pf_texts *)(void *)field, value);
    case KIND_CHECKED:
        return store_checked(parser, value);
    case KIND_STORE:
        return spec->store(parser, value);
    case KIND_ACTION:
        break; /* ended parsing before this */
    }
    return false;
}

/* --- getopt_long ---------------------------------------------------------- */

static bool has_no_form(const struct option_spec *spec)
{
    return spec->kind == KIND_SWITCH || spec->can_be_none;
}

/* What getopt_long() is given, made from specs[]. */
struct getopt_tables {
    struct option longs[2 * SPEC_COUNT + 1];
    char no_names[SPEC_COUNT][32];
    char letters[2 * SPEC_COUNT + 2];
};

static void make_getopt_tables(struct getopt_tables *tables)
{
    struct option *option = tables->longs;
    char *letter = tables->letters;

    *letter++ = ':'; /* tell a missing value from an unknown option */
    for (int i = 0; i < SPEC_COUNT; i++) {
        const struct option_spec *spec = &specs[i];
        bool takes = spec->argument != NULL;

        *option++ = (struct option){
            spec->name,
            spec->optional ? optional_argument
            : takes        ? required_argument
                           : no_argument,
            NULL, FIRST_LONG + i};
        if (has_no_form(spec)) {
            (void)snprintf(tables->no_names[i], sizeof(tables->no_names[i]),
                           "no-%s", spec->name);
            *option++ = (struct option){tables->no_names[i], no_argument,
                                        NULL, FIRST_NO + i};
        }
        if (spec->letter != 0) {
            *letter++ = spec->letter;
            if (takes)
                *letter++ = ':';
        }
    }
    *option = (struct option){NULL, 0, NULL, 0};
    *letter = '\0';
}

/* The option that getopt_long() means by val; NULL if there is none. */
static const struct option_spec *find_spec(int val)
{
    if (val >= FIRST_LONG)
        return &specs[(val - FIRST_LONG) % (FIRST_NO - FIRST_LONG)];
    for (int i = 0; i < SPEC_COUNT; i++)
        if (specs[i].letter != 0 && specs[i].letter == val)
            return &specs[i];
    return NULL;
}

/* Letters that mean something in programs for the same job, and how that is
 * said here. */
static const char *find_habit(int letter)
{
    static const struct {
        char letter;
        const char *here;
    } habits[] = {
        {'c', "what is there is continued anyway"},
        {'C', "what is there is continued anyway"},
        {'f', "a status that is an error fails anyway"},
        {'j', "downloads at once: -t N"},
        {'L', "redirects are followed anyway"},
        {'N', "only what has changed: --exist update"},
        {'O', "a name for a file: out=NAME in a line of the list; a directory: "
              "-o DIR"},
        {'P', "a directory: -o DIR; downloads at once: -t N"},
        {'r', "recursion: not here; --name path makes directories"},
        {'T', "a time limit: --stall-timeout, --timeout"},
        {'w', "a pause between requests: --rate, --host-rate"},
        {'Z', "downloads are parallel anyway; how many: -t N"},
    };

    for (size_t i = 0; i < sizeof(habits) / sizeof(habits[0]); i++)
        if (habits[i].letter == letter)
            return habits[i].here;
    return NULL;
}

/* After getopt_long() answered ':' or '?'.  An unknown option is named
 * without what follows a '=': it may be a secret with its name misspelled. */
static void explain_getopt(int answer, char *const *argv, char *why)
{
    const struct option_spec *spec = find_spec(optopt);
    const char *habit = spec == NULL ? find_habit(optopt) : NULL;

    if (answer == ':' && spec != NULL)
        (void)snprintf(why, PF_OPTS_WHY_BYTES, "--%s needs a value",
                       spec->name);
    else if (spec != NULL)
        (void)snprintf(why, PF_OPTS_WHY_BYTES, "--%s%s takes no value",
                       optopt >= FIRST_NO ? "no-" : "", spec->name);
    else if (optopt != 0)
        (void)snprintf(why, PF_OPTS_WHY_BYTES, "unknown option '-%c'%s%s%s",
                       optopt, habit != NULL ? " (" : "",
                       habit != NULL ? habit : "", habit != NULL ? ")" : "");
    else
        (void)snprintf(why, PF_OPTS_WHY_BYTES,
                       "unknown or ambiguous option '%.*s'",
                       (int)strcspn(argv[optind - 1], "="), argv[optind - 1]);
}

/* early: only what comes before the configuration file; else the others. */
static enum pf_opts_action parse_options(struct parser *parser, int argc,
                                         char **argv, bool early)
{
    struct getopt_tables tables;
    int val;

    make_getopt_tables(&tables);
    opterr = 0;
    optind = 0; /* begin anew, also in a second call */
    while ((val = getopt_long(argc, argv, tables.letters, tables.longs,
                              NULL)) != -1) {
        if (val == '?' || val == ':') {
            explain_getopt(val, argv, parser->why);
            return PF_OPTS_USAGE_ERROR;
        }
        parser->spec = find_spec(val);
        if (parser->spec->kind == KIND_ACTION) {
            if (parser->spec->min == PF_OPTS_HELP && optind < argc &&
                strcmp(argv[optind], "all") == 0)
                return PF_OPTS_HELP_ALL;
            return (enum pf_opts_action)parser->spec->min;
        }
        if (parser->spec->early == early &&
            !store(parser, optarg, val < FIRST_NO))
            return PF_OPTS_USAGE_ERROR;
    }
    return PF_OPTS_RUN;
}

/* --- the configuration file ----------------------------------------------- */

/* The option of that name; *on: not its --no- form. */
static const struct option_spec *find_name(const char *name, bool *on)
{
    for (int i = 0; i < SPEC_COUNT; i++) {
        *on = strcmp(specs[i].name, name) == 0;
        if (*on || (has_no_form(&specs[i]) && strncmp(name, "no-", 3) == 0 &&
                    strcmp(specs[i].name, name + 3) == 0))
            return &specs[i];
    }
    return NULL;
}

/* What is wrong goes into `why`, without its place. */
static bool take_entry(struct parser *parser,
                       const struct pf_conffile_entry *entry)
{
    bool on;

    parser->spec = find_name(entry->name, &on);
    if (parser->spec == NULL) {
        /* Not its value, which may be a secret. */
        (void)snprintf(parser->why, PF_OPTS_WHY_BYTES,
                       "no long option '%.*s'",
                       (int)strcspn(entry->name, ":"), entry->name);
        return false;
    }
    if (parser->spec->kind == KIND_ACTION || parser->spec->early)
        return complain(parser, "this makes no sense in a configuration "
                                "file");
    bool takes = on && parser->spec->argument != NULL;
    if (takes && entry->value == NULL)
        return complain(parser, "needs a value");
    if (!takes && entry->value != NULL)
        return complain(parser, "takes no value%s%s",
                        has_no_form(parser->spec) ? "; its opposite is no-"
                                                  : "",
                        has_no_form(parser->spec) ? parser->spec->name : "");
    return store(parser, entry->value, on);
}

static bool take_file(struct parser *parser, const char *name)
{
    struct pf_conffile *file = &parser->opts->conffile;
    struct pf_conffile_entry entry;
    char why[PF_OPTS_WHY_BYTES];

    parser->is_file = true;
    while (pf_conffile_next(file, &entry))
        if (!take_entry(parser, &entry)) {
            (void)memcpy(why, parser->why, sizeof(why));
            (void)snprintf(parser->why, PF_OPTS_WHY_BYTES, "%.200s:%u: %.290s",
                           name, file->line, why);
            return false;
        }
    parser->is_file = false;
    return true;
}

static bool read_config(struct parser *parser)
{
    const char *name = parser->opts->config;
    char usual[PF_CONFFILE_NAME_BYTES];

    if (name == NULL)
        return true;
    bool named = *name != '\0';
    if (!named && !pf_conffile_default(usual))
        return true;
    name = named ? name : usual;
    int error = pf_conffile_read(&parser->opts->conffile, name);
    if (!named && (error == ENOENT || error == ENOTDIR))
        return true;
    if (error == 0)
        return take_file(parser, name);
    (void)snprintf(parser->why, PF_OPTS_WHY_BYTES,
                   "%.200s: cannot read the configuration: %s", name,
                   error == EILSEQ ? "it holds a NUL byte"
                                   : strerror(error));
    return false;
}

/* --- the whole ------------------------------------------------------------ */

static void set_defaults(struct pf_opts *opts)
{
    memset(opts, 0, sizeof(*opts));
    pfetch_options_init(&opts->engine);
    pfetch_dir_options_init(&opts->dir);
    pfetch_exec_options_init(&opts->exec);
    opts->handler = PF_OPTS_DIR;
    opts->name = PFETCH_DIR_NAME_BASENAME;
    opts->exist = PFETCH_DIR_EXIST_AUTO;
    opts->spool_limit_bytes = (int64_t)opts->engine.spool_limit_bytes;
    opts->grace_ms = 2000;
    opts->verbosity = PF_NORMAL;
    opts->glob = true;
    opts->config = "";
}

/* A variable that is set and not empty, or NULL. */
static const char *environment(const char *name)
{
    const char *value = getenv(name);

    return value != NULL && *value != '\0' ? value : NULL;
}

/* What the environment says where the command line is silent, in curl's
 * order.  libcurl reads the proxy variables by itself, but no_proxy only
 * together with them. */
static void apply_environment(struct pf_opts *opts)
{
    struct pfetch_options *engine = &opts->engine;
    const char *directory = environment("TMPDIR");

    if (directory != NULL)
        engine->spool_dir = directory;
    if (engine->cacert == NULL && engine->capath == NULL) {
        engine->ca_is_default = true;
        engine->cacert = environment("CURL_CA_BUNDLE");
        if (engine->cacert == NULL) {
            engine->capath = environment("SSL_CERT_DIR");
            engine->cacert = environment("SSL_CERT_FILE");
        }
    }
    if (engine->proxy != NULL && engine->noproxy == NULL) {
        engine->noproxy = environment("no_proxy");
        if (engine->noproxy == NULL)
            engine->noproxy = environment("NO_PROXY");
    }
}

/* How often standard input is named. */
static size_t count_stdin(const struct pf_texts *lists)
{
    size_t count = 0;

    for (size_t i = 0; i < lists->count; i++)
        count += strcmp(lists->at[i], "-") == 0;
    return count;
}

/* Patterns are expanded when their turn comes; what is wrong with one is said
 * before anything is requested. */
static bool check_patterns(struct parser *parser)
{
    const struct pf_texts *urls = &parser->opts->urls;

    for (size_t i = 0; parser->opts->glob && i < urls->count; i++) {
        struct pf_pattern_fault fault;
        struct pf_pattern *pattern;
        char shown[200];

        if (!pf_pattern_is(urls->at[i]))
            continue;
        if (pf_pattern_create(&pattern, urls->at[i], &fault) != 0) {
            (void)snprintf(parser->why, PF_OPTS_WHY_BYTES,
                           "%s: position %zu: %s",
                           pfetch_redact(urls->at[i], shown, sizeof(shown)),
                           fault.position, fault.what);
            return false;
        }
        pf_pattern_free(pattern);
    }
    return true;
}

bool pf_opts_stores_files(const struct pf_opts *opts)
{
    return opts->handler == PF_OPTS_DIR || opts->handler == PF_OPTS_EXEC_EACH;
}

/* What no single option can tell.  Returns what is wrong, or NULL. */
static const char *check_together(const struct pf_opts *opts)
{
    if (opts->sums.count > 0 && opts->base == NULL)
        return "--checksums needs --base: where its files are";
    if (opts->sums.count == 0 && opts->base != NULL)
        return "--base is for the names in --checksums";
    if (opts->lists.count + opts->sums.count + opts->urls.count == 0)
        return "no list and no URL given (-i - reads standard input)";
    if (count_stdin(&opts->lists) + count_stdin(&opts->sums) > 1)
        return "standard input can be read as a list only once";
    if (opts->credentials != NULL && opts->bearer != NULL)
        return "--user and --bearer both say who asks";
    if (opts->dir.reserve_bytes > 0 && !pf_opts_stores_files(opts))
        return "--disk-reserve is for handlers that store files";
    if (opts->dir.content_disposition && !pf_opts_stores_files(opts))
        return "--content-disposition is for handlers that store files";
    if (opts->engine.deny_private && opts->engine.proxy != NULL)
        return "--deny-private cannot see what a proxy connects to";
    if (opts->engine.key != NULL && opts->engine.cert == NULL)
        return "--key without --cert";
    if (opts->dir.durable && opts->handler != PF_OPTS_DIR)
        return "--durable is for --handler dir";
    if (opts->engine.dry_run && opts->results != NULL &&
        strcmp(opts->results, "-") == 0)
        return "--dry-run and --results - both write to standard output";
    if (opts->engine.head && opts->handler != PF_OPTS_DIR &&
        opts->handler != PF_OPTS_NULL)
        return "--head brings no bodies that --handler could take";
    if (opts->tar_split_bytes > 0 && opts->handler != PF_OPTS_TAR)
        return "--tar-split is of use with --handler tar:FILE only";
    if (opts->handler == PF_OPTS_TAR && opts->results != NULL &&
        strcmp(opts->archive, "-") == 0 && strcmp(opts->results, "-") == 0)
        return "--handler tar:- and --results - both write to standard "
               "output";
    if (opts->handler >= PF_OPTS_STDOUT && opts->results != NULL &&
        strcmp(opts->results, "-") == 0)
        return "--handler stdout and --results - both write to standard "
               "output";
    if (opts->failed != NULL && strcmp(opts->failed, "-") == 0)
        return "--failed needs the name of a file: its lines are not masked";
    return NULL;
}

enum pf_opts_action pf_opts_parse(struct pf_opts *opts, int argc, char **argv,
                                  char why[PF_OPTS_WHY_BYTES])
{
    static const struct option_spec url_argument = {.name = "URL"};
    struct parser parser = {.opts = opts, .why = why};

    why[0] = '\0';
    set_defaults(opts);
    enum pf_opts_action action = parse_options(&parser, argc, argv, true);
    if (action != PF_OPTS_RUN)
        return action;
    if (!read_config(&parser))
        return PF_OPTS_USAGE_ERROR;
    action = parse_options(&parser, argc, argv, false);
    if (action != PF_OPTS_RUN)
        return action;
    parser.spec = &url_argument;
    for (int i = optind; i < argc; i++)
        if (!append_text(&parser, &opts->urls, argv[i]))
            return PF_OPTS_USAGE_ERROR;
    if (!check_patterns(&parser))
        return PF_OPTS_USAGE_ERROR;
    const char *wrong = check_together(opts);
    if (wrong != NULL) {
        (void)snprintf(why, PF_OPTS_WHY_BYTES, "%s", wrong);
        return PF_OPTS_USAGE_ERROR;
    }
    apply_environment(opts);
    opts->engine.headers = opts->headers.at;
    opts->engine.resolve = opts->resolve.at;
    opts->engine.spool_limit_bytes = (size_t)opts->spool_limit_bytes;
    if (opts->engine.head)
        opts->handler = PF_OPTS_NULL;
    opts->dir.name = (enum pfetch_dir_name)opts->name;
    opts->dir.exist = (enum pfetch_dir_exist)opts->exist;
    opts->dir.dry_run = opts->engine.dry_run;
    return PF_OPTS_RUN;
}

void pf_opts_free(struct pf_opts *opts)
{
    forget_credentials(opts);
    forget_bearer(opts);
    free(opts->proxy);
    for (size_t n = 0; n < opts->engine.host_count; n++) {
        struct pfetch_host_options *host = &opts->hosts[n];

        if (host->password != NULL)
            explicit_bzero((void *)(uintptr_t)host->password,
                           strlen(host->password));
        free((void *)(uintptr_t)host->name);
        free((void *)(uintptr_t)host->username);
        free((void *)(uintptr_t)host->password);
    }
    free(opts->hosts);
    free(opts->resolve.at);
    free(opts->resume_from.at);
    free(opts->lists.at);
    free(opts->sums.at);
    free(opts->urls.at);
    free(opts->headers.at);
    opts->lists = opts->sums = opts->urls = opts->headers = opts->resolve =
        opts->resume_from = (struct pf_texts){NULL, 0};
    opts->engine.headers = NULL;
    pf_conffile_free(&opts->conffile);
}

bool pf_opts_makes_dirs(const struct pf_opts *opts)
{
    const char *template = opts->dir.name_template;

    if (!pf_opts_stores_files(opts))
        return false;
    return opts->dir.fan_out > 0
           || (template == NULL ? opts->name == PFETCH_DIR_NAME_PATH
                                : strchr(template, '/') != NULL
                                      || strstr(template, "{path}") != NULL);
}

/* --- help ----------------------------------------------------------------- */

enum { HELP_COLUMN = 28, HELP_WIDTH = 79 };

/* Prints text in words from HELP_COLUMN on; the line has `column` columns
 * already. */
static void print_wrapped(FILE *out, int column, const char *text)
{
    while (*text != '\0') {
        int length = (int)strcspn(text, " ");

        if (column > HELP_COLUMN && column + 1 + length > HELP_WIDTH) {
            fputc('\n', out);
            column = 0;
        }
        if (column < HELP_COLUMN) {
            fprintf(out, "%*s", HELP_COLUMN - column, "");
            column = HELP_COLUMN;
        } else if (column > HELP_COLUMN) {
            fputc(' ', out);
            column++;
        }
        fprintf(out, "%.*s", length, text);
        column += length;
        text += length;
        text += strspn(text, " ");
    }
    fputc('\n', out);
}

static void print_option(FILE *out, const struct option_spec *spec)
{
    char left[80];
    char right[512];
    char letter[8] = "    ";
    bool switched_on = spec->kind == KIND_SWITCH && spec->preset != NULL;

    if (spec->letter != 0)
        (void)snprintf(letter, sizeof(letter), "-%c, ", spec->letter);
    int column = snprintf(left, sizeof(left), "  %s--%s%s%s%s", letter,
                          spec->name,
                          spec->optional           ? "[="
                          : spec->argument != NULL ? " "
                                                   : "",
                          spec->argument != NULL ? spec->argument : "",
                          spec->optional ? "]"
                          : switched_on  ? ","
                                         : "");
    fputs(left, out);
    if (switched_on) {
        fprintf(out, "\n      --no-%s", spec->name);
        column = 6 + 5 + (int)strlen(spec->name);
    }
    if (column > HELP_COLUMN - 2) {
        fputc('\n', out);
        column = 0;
    }
    (void)snprintf(right, sizeof(right), "%s%s%s%s", spec->help,
                   spec->preset != NULL ? " (default: " : "",
                   spec->preset != NULL ? spec->preset : "",
                   spec->preset != NULL ? ")" : "");
    print_wrapped(out, column, right);
}

static void print_options(FILE *out, bool all)
{
    for (int group = 0; group < GROUP_COUNT; group++) {
        bool has_title = false;

        for (int i = 0; i < SPEC_COUNT; i++) {
            if (specs[i].group != (enum group)group ||
                !(all || specs[i].common))
                continue;
            if (!has_title)
                fprintf(out, "\n%s:\n", group_titles[group]);
            has_title = true;
            print_option(out, &specs[i]);
        }
    }
}

void pf_opts_print_help(FILE *out, bool all)
{
    char name[256];

    (void)pf_msg_escape(pf_msg_program(), name, sizeof(name));
    fprintf(out,
            "Usage: %s [OPTION]... [-i LIST]... [URL]...\n"
            "Download lists of URLs in parallel.\n\n"
            "Examples:\n"
            "  %s -i list.txt -o files            the URLs in list.txt\n"
            "  %s -t 64 -i list.txt -o files      64 at once\n"
            "  make-urls | %s -i - --results log  from a pipe, with records\n"
            "  %s https://example.org/a.tar.gz    one URL, to this "
            "directory\n"
            "Run the same command again to fetch what is missing.\n",
            name, name, name, name, name);
    print_options(out, all);
    if (all)
        fputs("\nEach option without a value has a --no- form, but for -4, "
              "-6 and the last four.\n"
              "Durations: 10, 10s, 500ms, 5m, 1h.  Sizes: 4096, 64k, 10M, "
              "2G.\n"
              "A line of a list is a URL, which may be followed by fields, "
              "each after a TAB:\n"
              "out=NAME, checksum=ALGO:HEX (sha256, sha512, sha1 or md5), "
              "size=BYTES and\n"
              "id=TEXT.  Lists may be compressed by gzip.\n"
              "Exit status: 0 all done, 1 some URLs failed, 2 usage, 3 "
              "local trouble,\n"
              "4 stopped early with work left; INT and TERM: by the "
              "signal.\n",
              out);
    else
        fprintf(out, "\n%s --help all lists every option.\n", name);
}
