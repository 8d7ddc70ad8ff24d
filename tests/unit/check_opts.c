/* check_opts.c - the command line: what it stores, what it refuses, and that
 * a password does not stay in argv.
 *
 * SPDX-License-Identifier: MIT
 */
#include "config.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "opts.h"
#include "suite.h"

enum { ARGUMENTS_MAX = 16 };

/* A command line that may be written to, as a real one. */
struct command {
    int argc;
    char *argv[ARGUMENTS_MAX + 2];
    struct pf_opts opts;
    enum pf_opts_action action;
    char why[PF_OPTS_WHY_BYTES];
};

/* Parses "pfetch" and the arguments, a NULL-terminated array. */
static void parse(struct command *command, const char *const *arguments)
{
    memset(command, 0, sizeof(*command));
    command->argv[command->argc++] = strdup("pfetch");
    for (int i = 0; arguments[i] != NULL; i++) {
        ck_assert_int_lt(i, ARGUMENTS_MAX);
        command->argv[command->argc++] = strdup(arguments[i]);
    }
    command->action = pf_opts_parse(&command->opts, command->argc,
                                    command->argv, command->why);
}

static void drop(struct command *command)
{
    pf_opts_free(&command->opts);
    for (int i = 0; i < command->argc; i++)
        free(command->argv[i]);
}

#define PARSE(command, ...) \
    parse(command, (const char *const[]){__VA_ARGS__, NULL})

/* The environment of the machine must not decide. */
static void clear_environment(void)
{
    static const char *const names[] = {"CURL_CA_BUNDLE", "SSL_CERT_DIR",
                                        "SSL_CERT_FILE",  "no_proxy",
                                        "NO_PROXY",       NULL};

    for (int i = 0; names[i] != NULL; i++)
        ck_assert_int_eq(unsetenv(names[i]), 0);
    ck_assert_int_eq(setenv("XDG_CONFIG_HOME", "/nonexistent", 1), 0);
}

START_TEST(defaults_are_those_of_the_help)
{
    struct command c;

    PARSE(&c, "http://h/");
    ck_assert_int_eq(c.action, PF_OPTS_RUN);
    ck_assert_uint_eq(c.opts.engine.workers, 16);
    ck_assert_uint_eq(c.opts.engine.max_idle, 1024);
    ck_assert_uint_eq(c.opts.engine.retries, 4);
    ck_assert_int_eq(c.opts.engine.connect_timeout_ms, 15000);
    ck_assert_int_eq(c.opts.engine.stall_timeout_ms, 60000);
    ck_assert_uint_eq(c.opts.engine.max_redirs, 20);
    ck_assert_int_eq(c.opts.engine.http_version, 11);
    ck_assert_int_eq(c.opts.grace_ms, 2000);
    ck_assert_str_eq(c.opts.dir.dir, ".");
    ck_assert(c.opts.dir.remote_time);
    ck_assert(!c.opts.engine.insecure);
    ck_assert(!c.opts.engine.dry_run);
    ck_assert_int_eq(c.opts.handler, PF_OPTS_DIR);
    ck_assert_int_eq(c.opts.verbosity, PF_NORMAL);
    ck_assert_ptr_null(c.opts.results);
    ck_assert_ptr_null(c.opts.engine.headers);
    ck_assert_ptr_null(c.opts.engine.cacert);
    ck_assert_uint_eq(c.opts.urls.count, 1);
    ck_assert_str_eq(c.opts.urls.at[0], "http://h/");
    ck_assert_ptr_null(c.opts.urls.at[1]);
    ck_assert(c.opts.glob);
    ck_assert_ptr_null(c.opts.base);
    ck_assert_uint_eq(c.opts.shard.count, 0);
    drop(&c);
}
END_TEST

START_TEST(values_reach_their_fields)
{
    struct command c;

    PARSE(&c, "-i", "a", "-t", "1024", "--input-file=-", "-o", "out",
          "--stall-timeout", "5m", "--grace=500ms", "--max-size", "2G",
          "--retry-delay=1h", "-x", "http://p:1", "--name=hash");
    ck_assert_msg(c.action == PF_OPTS_RUN, "%s", c.why);
    ck_assert_uint_eq(c.opts.lists.count, 2);
    ck_assert_str_eq(c.opts.lists.at[0], "a");
    ck_assert_str_eq(c.opts.lists.at[1], "-");
    ck_assert_uint_eq(c.opts.engine.workers, 1024);
    ck_assert_str_eq(c.opts.dir.dir, "out");
    ck_assert_int_eq(c.opts.engine.stall_timeout_ms, 300000);
    ck_assert_int_eq(c.opts.grace_ms, 500);
    ck_assert_int_eq(c.opts.engine.max_size_bytes, INT64_C(2) << 30);
    ck_assert_int_eq(c.opts.engine.retry_delay_ms, 3600000);
    ck_assert_str_eq(c.opts.engine.proxy, "http://p:1");
    ck_assert_int_eq(c.opts.dir.name, PFETCH_DIR_NAME_HASH);
    drop(&c);
}
END_TEST

START_TEST(headers_are_collected)
{
    struct command c;

    PARSE(&c, "-H", "A: 1", "-HX-B:", "u");
    ck_assert_msg(c.action == PF_OPTS_RUN, "%s", c.why);
    ck_assert_str_eq(c.opts.engine.headers[0], "A: 1");
    ck_assert_str_eq(c.opts.engine.headers[1], "X-B:");
    ck_assert_ptr_null(c.opts.engine.headers[2]);
    drop(&c);
}
END_TEST

START_TEST(switches_have_both_forms)
{
    struct command c;

    PARSE(&c, "u");
    ck_assert(c.opts.dir.resume);
    ck_assert_ptr_null(c.opts.engine.checksum);
    drop(&c);
    PARSE(&c, "--no-resume", "--checksum", "sha1", "--no-remote-time", "-k", "-0", "--dry-run", "--no-insecure",
          "--allow-downgrade", "u");
    ck_assert_msg(c.action == PF_OPTS_RUN, "%s", c.why);
    ck_assert(!c.opts.dir.remote_time);
    ck_assert(!c.opts.dir.resume);
    ck_assert_str_eq(c.opts.engine.checksum, "sha1");
    ck_assert(!c.opts.engine.insecure);
    ck_assert(c.opts.null_separated);
    ck_assert(c.opts.engine.dry_run);
    ck_assert(c.opts.dir.dry_run);
    ck_assert(c.opts.engine.allow_downgrade);
    drop(&c);
}
END_TEST

START_TEST(two_dashes_end_options)
{
    struct command c;

    PARSE(&c, "u", "-q", "--", "-t", "--foo");
    ck_assert_int_eq(c.action, PF_OPTS_RUN);
    ck_assert_int_eq(c.opts.verbosity, PF_QUIET);
    ck_assert_uint_eq(c.opts.urls.count, 3);
    ck_assert_str_eq(c.opts.urls.at[1], "-t");
    ck_assert_str_eq(c.opts.urls.at[2], "--foo");
    drop(&c);
}
END_TEST

static const struct good {
    const char *option, *value;
    int64_t ms_or_bytes;
} goods[] = {
    {"--grace", "10", 10000},
    {"--grace", "10s", 10000},
    {"--grace", "500ms", 500},
    {"--grace", "5m", 300000},
    {"--grace", "1h", 3600000},
    {"--grace", "24h", 86400000},
    {"--grace", "0", 0},
    {"--grace", "007", 7000},
    {"--max-size", "4096", 4096},
    {"--max-size", "0", 0},
    {"--max-size", "64k", 65536},
    {"--max-size", "64K", 65536},
    {"--max-size", "10M", 10485760},
    {"--max-size", "10m", 10485760},
    {"--max-size", "2G", INT64_C(2147483648)},
    {"--max-size", "1T", INT64_C(1099511627776)},
    {"--max-size", "9223372036854775807", INT64_MAX},
    {"--max-size", "8388607T", INT64_C(8388607) << 40},
};

START_TEST(durations_and_sizes)
{
    const struct good *good = &goods[_i];
    struct command c;

    PARSE(&c, good->option, good->value, "u");
    ck_assert_msg(c.action == PF_OPTS_RUN, "%s", c.why);
    ck_assert_int_eq(strcmp(good->option, "--grace") == 0
                         ? c.opts.grace_ms
                         : c.opts.engine.max_size_bytes,
                     good->ms_or_bytes);
    drop(&c);
}
END_TEST

/* Each is refused, with one line that names the option. */
static const struct bad {
    const char *option, *value;
} bads[] = {
    {"--threads", "0"},
    {"--threads", "1025"},
    {"--threads", "16x"},
    {"--threads", ""},
    {"--threads", " 16"},
    {"--threads", "16 "},
    {"--threads", "+16"},
    {"--threads", "-1"},
    {"--threads", "1.5"},
    {"--threads", "0x10"},
    {"--threads", "1e2"},
    {"--threads", "99999999999"},
    {"--threads", "99999999999999999999999999"},
    {"--threads", "4294967297"},
    {"--retries", "1001"},
    {"--max-idle", "65537"},
    {"--max-redirs", "-1"},
    {"--grace", ""},
    {"--grace", "s"},
    {"--grace", "1.5s"},
    {"--grace", "-1s"},
    {"--grace", "10 s"},
    {"--grace", "10S"},
    {"--grace", "10d"},
    {"--grace", "25h"},
    {"--grace", "9223372036854775807h"},
    {"--connect-timeout", "0"},
    {"--max-size", "k"},
    {"--max-size", "10kB"},
    {"--max-size", "10kk"},
    {"--max-size", "-1"},
    {"--max-size", "9223372036854775808"},
    {"--max-size", "8388608T"},
    {"--handler", "stdout:xml"},
    {"--handler", ""},
    {"--name", "base"},
    {"--name", "BASENAME"},
    {"--exist", "updated"},
    {"--checksum", "sha3"},
    {"--checksum", "md5:"},
    {"--checksum", ""},
    {"--http-version", "3"},
    {"--http-version", "1"},
    {"--retry-http", "5xx"},
    {"--retry-http", "500,"},
    {"--retry-http", ",500"},
    {"--retry-http", "504-500"},
    {"--retry-http", "99"},
    {"--retry-http", "1000"},
    {"--retry-http", "500-"},
    {"--retry-http", "500 501"},
    {"--output-dir", ""},
    {"--results", ""},
    {"--header", "NoColon"},
    {"--header", ": value"},
    {"--header", "A B: value"},
    {"--header", "A: b\nC: d"},
    {"--header", "A: b\rC: d"},
    {"--header", "A: \x7f"},
    {"--user-agent", "a\nb"},
    {"--user", "nocolon"},
    {"--user", "a:b\nc"},
    {"--user-file", "/nonexistent/file"},
    {"--user-file", "/"},
    {"--shard", ""},
    {"--shard", "0/4"},
    {"--shard", "5/4"},
    {"--shard", "auto"},
    {"--config", ""},
};

START_TEST(bad_values_are_usage_errors)
{
    const struct bad *bad = &bads[_i];
    struct command c;

    PARSE(&c, bad->option, bad->value, "http://h/");
    ck_assert_msg(c.action == PF_OPTS_USAGE_ERROR, "%s '%s' was accepted",
                  bad->option, bad->value);
    ck_assert_msg(strncmp(c.why, bad->option, strlen(bad->option)) == 0,
                  "'%s' does not name %s", c.why, bad->option);
    ck_assert_ptr_null(strchr(c.why, '\n'));
    drop(&c);
}
END_TEST

static void expect_usage_error(const char *const *arguments,
                               const char *why)
{
    struct command c;

    parse(&c, arguments);
    ck_assert_int_eq(c.action, PF_OPTS_USAGE_ERROR);
    ck_assert_str_eq(c.why, why);
    drop(&c);
}

#define REFUSE(why, ...) \
    expect_usage_error((const char *const[]){__VA_ARGS__, NULL}, why)

START_TEST(bad_command_lines_are_usage_errors)
{
    REFUSE("no list and no URL given (-i - reads standard input)", "-q");
    REFUSE("unknown or ambiguous option '--frobnicate'", "--frobnicate",
           "u");
    REFUSE("unknown or ambiguous option '--usr'", "--usr=me:canary", "u");
    REFUSE("unknown or ambiguous option '--no-threads'", "--no-threads");
    REFUSE("unknown option '-S'", "-S", "u");
    REFUSE("unknown option '-Z' (downloads are parallel anyway; how many: "
           "-t N)", "-Z", "u");
    REFUSE("unknown option '-P' (a directory: -o DIR; downloads at once: "
           "-t N)", "-qP", "dir", "u");
    REFUSE("--threads needs a value", "-t");
    REFUSE("--threads needs a value", "--threads");
    REFUSE("--null takes no value", "--null=1", "u");
    REFUSE("--no-null takes no value", "--no-null=1", "u");
    REFUSE("standard input can be read as a list only once", "-i", "-",
           "-i", "-");
    REFUSE("standard input can be read as a list only once", "-i", "-",
           "--checksums", "-", "--base", "http://h/");
    REFUSE("--checksums needs --base: where its files are", "--checksums",
           "x");
    REFUSE("--base is for the names in --checksums", "--base", "http://h/",
           "-i", "x");
    REFUSE("--base: a query or fragment cannot be followed by a name",
           "--checksums", "x", "--base", "http://h/?a");
    REFUSE("--base: a query or fragment cannot be followed by a name",
           "--checksums", "x", "--base", "http://h/#a");
    REFUSE("--base: not a URL that begins with http:// or https://",
           "--checksums", "x", "--base", "h/");
    REFUSE("http://h/[3-1]: position 11: the range goes backwards",
           "http://h/", "http://h/[3-1]");
    REFUSE("http://***@h/{a: position 17: '}' is missing",
           "http://u:secr@h/{a");
    REFUSE("--dry-run and --results - both write to standard output",
           "--dry-run", "--results", "-", "u");
}
END_TEST

START_TEST(patterns_may_be_switched_off)
{
    struct command c;

    PARSE(&c, "http://h/[3-1]", "--no-glob");
    ck_assert_msg(c.action == PF_OPTS_RUN, "%s", c.why);
    ck_assert(!c.opts.glob);
    drop(&c);
}
END_TEST

START_TEST(what_goes_in)
{
    struct command c;

    PARSE(&c, "--checksums", "a", "--checksums=-", "--base=https://h/d",
          "--shard", "3/4");
    ck_assert_msg(c.action == PF_OPTS_RUN, "%s", c.why);
    ck_assert_uint_eq(c.opts.sums.count, 2);
    ck_assert_str_eq(c.opts.sums.at[0], "a");
    ck_assert_str_eq(c.opts.base, "https://h/d");
    ck_assert_uint_eq(c.opts.shard.index, 3);
    ck_assert_uint_eq(c.opts.shard.count, 4);
    drop(&c);
}
END_TEST

/* --- the configuration file ----------------------------------------------- */

static char config[64];

static void write_config(const char *text)
{
    (void)strcpy(config, "check_opts.XXXXXX");
    int fd = mkstemp(config);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    ck_assert_int_eq(close(fd), 0);
}

START_TEST(the_command_line_wins_over_the_file)
{
    struct command c;

    write_config("# comment\nthreads 7\n--retries=2\nheader X-A: 1\n"
                 "no-remote-time\ninsecure\nuser = me:secret\n"
                 "input-file a\nname hash\ngrace 5s\nquiet\n");
    PARSE(&c, "-i", "b", "-t", "9", "--config", config, "-H", "X-B: 2",
          "--no-insecure", "-v", "u");
    ck_assert_msg(c.action == PF_OPTS_RUN, "%s", c.why);
    ck_assert_uint_eq(c.opts.engine.workers, 9);
    ck_assert_uint_eq(c.opts.engine.retries, 2);
    ck_assert_str_eq(c.opts.engine.headers[0], "X-A: 1");
    ck_assert_str_eq(c.opts.engine.headers[1], "X-B: 2");
    ck_assert(!c.opts.dir.remote_time);
    ck_assert(!c.opts.engine.insecure);
    ck_assert_str_eq(c.opts.engine.username, "me");
    ck_assert_str_eq(c.opts.engine.password, "secret");
    ck_assert_str_eq(c.opts.lists.at[0], "a");
    ck_assert_str_eq(c.opts.lists.at[1], "b");
    ck_assert_int_eq(c.opts.dir.name, PFETCH_DIR_NAME_HASH);
    ck_assert_int_eq(c.opts.grace_ms, 5000);
    ck_assert_int_eq(c.opts.verbosity, PF_VERBOSE);
    drop(&c);
    PARSE(&c, "--config", config, "--no-config", "u");
    ck_assert_uint_eq(c.opts.engine.workers, 16);
    drop(&c);
    PARSE(&c, "--no-config", "--config", config, "u");
    ck_assert_uint_eq(c.opts.engine.workers, 7);
    drop(&c);
    ck_assert_int_eq(unlink(config), 0);
}
END_TEST

static void refuse_config(const char *text, const char *why)
{
    char expected[PF_OPTS_WHY_BYTES];
    struct command c;

    write_config(text);
    PARSE(&c, "--config", config, "u");
    (void)snprintf(expected, sizeof(expected), "%s:%s", config, why);
    ck_assert_int_eq(c.action, PF_OPTS_USAGE_ERROR);
    ck_assert_str_eq(c.why, expected);
    drop(&c);
    ck_assert_int_eq(unlink(config), 0);
}

START_TEST(faults_of_the_file_have_a_line)
{
    refuse_config("\n\nthreads 0\n",
                  "3: --threads: '0' is not a whole number from 1 to 1024");
    refuse_config("frobnicate canary", "1: no long option 'frobnicate'");
    refuse_config("-t 4", "1: no long option '-t'");
    refuse_config("thread 4", "1: no long option 'thread'");
    refuse_config("no-threads", "1: no long option 'no-threads'");
    refuse_config("http://h/", "1: no long option 'http'");
    refuse_config("threads", "1: --threads: needs a value");
    refuse_config("insecure no",
                  "1: --insecure: takes no value; its opposite is "
                  "no-insecure");
    refuse_config("no-insecure =", "1: --insecure: takes no value; its "
                                   "opposite is no-insecure");
    refuse_config("quiet 1", "1: --quiet: takes no value");
    refuse_config("#\nhelp\n", "2: --help: this makes no sense in a "
                               "configuration file");
    refuse_config("version", "1: --version: this makes no sense in a "
                             "configuration file");
    refuse_config("config x", "1: --config: this makes no sense in a "
                              "configuration file");
    refuse_config("no-config", "1: --config: this makes no sense in a "
                               "configuration file");
}
END_TEST

START_TEST(the_file_is_found_where_it_usually_is)
{
    char directory[] = "/tmp/check_opts.XXXXXX", path[128], file[160];
    struct command c;

    ck_assert_ptr_nonnull(mkdtemp(directory));
    ck_assert_int_eq(setenv("XDG_CONFIG_HOME", directory, 1), 0);
    PARSE(&c, "u"); /* it need not be there */
    ck_assert_int_eq(c.action, PF_OPTS_RUN);
    drop(&c);
    (void)snprintf(path, sizeof(path), "%s/pfetch", directory);
    (void)snprintf(file, sizeof(file), "%s/config", path);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    FILE *out = fopen(file, "w");
    ck_assert_ptr_nonnull(out);
    ck_assert_int_ge(fputs("threads 3\n", out), 0);
    ck_assert_int_eq(fclose(out), 0);
    PARSE(&c, "u");
    ck_assert_uint_eq(c.opts.engine.workers, 3);
    drop(&c);
    PARSE(&c, "--no-config", "u");
    ck_assert_uint_eq(c.opts.engine.workers, 16);
    drop(&c);
    ck_assert_int_eq(unlink(file), 0);
    ck_assert_int_eq(mkdir(file, 0700), 0); /* something else in its place */
    PARSE(&c, "u");
    ck_assert_int_eq(c.action, PF_OPTS_USAGE_ERROR);
    ck_assert_ptr_nonnull(strstr(c.why, file));
    drop(&c);
    PARSE(&c, "--config", "/nonexistent", "u"); /* one that is named must */
    ck_assert_int_eq(c.action, PF_OPTS_USAGE_ERROR);
    ck_assert_ptr_nonnull(strstr(c.why, "/nonexistent: cannot read"));
    drop(&c);
    PARSE(&c, "--config", "/nonexistent", "--help"); /* help is given first */
    ck_assert_int_eq(c.action, PF_OPTS_HELP);
    drop(&c);
    ck_assert_int_eq(rmdir(file), 0);
    ck_assert_int_eq(rmdir(path), 0);
    ck_assert_int_eq(rmdir(directory), 0);
}
END_TEST

START_TEST(help_and_version_end_parsing)
{
    struct command c;

    PARSE(&c, "-h", "--frobnicate");
    ck_assert_int_eq(c.action, PF_OPTS_HELP);
    drop(&c);
    PARSE(&c, "--help", "all");
    ck_assert_int_eq(c.action, PF_OPTS_HELP_ALL);
    drop(&c);
    PARSE(&c, "-V");
    ck_assert_int_eq(c.action, PF_OPTS_VERSION);
    drop(&c);
}
END_TEST

/* No argument holds the text. */
static void expect_wiped(const struct command *c, const char *secret)
{
    for (int i = 0; i < c->argc; i++)
        ck_assert_msg(strstr(c->argv[i], secret) == NULL, "still there: %s",
                      c->argv[i]);
    ck_assert_ptr_null(strstr(c->why, secret));
}

START_TEST(password_does_not_stay_in_argv)
{
    struct command c;

    PARSE(&c, "-u", "me:can:ary", "u");
    ck_assert_int_eq(c.action, PF_OPTS_RUN);
    ck_assert_str_eq(c.opts.engine.username, "me");
    ck_assert_str_eq(c.opts.engine.password, "can:ary");
    expect_wiped(&c, "can");
    expect_wiped(&c, "ary");
    drop(&c);

    PARSE(&c, "--user=me:canary", "-uyou:", "u");
    ck_assert_str_eq(c.opts.engine.username, "you");
    ck_assert_str_eq(c.opts.engine.password, "");
    expect_wiped(&c, "canary");
    drop(&c);
}
END_TEST

START_TEST(password_is_wiped_and_unsaid_in_errors)
{
    struct command c;

    PARSE(&c, "-u", "canary", "u");
    ck_assert_int_eq(c.action, PF_OPTS_USAGE_ERROR);
    expect_wiped(&c, "canary");
    drop(&c);
    PARSE(&c, "-u", "me:canary\n", "u");
    ck_assert_int_eq(c.action, PF_OPTS_USAGE_ERROR);
    expect_wiped(&c, "canary");
    drop(&c);
    PARSE(&c, "-H", "Authorization canary", "u");
    ck_assert_int_eq(c.action, PF_OPTS_USAGE_ERROR);
    ck_assert_ptr_null(strstr(c.why, "canary"));
    drop(&c);
}
END_TEST

/* Makes a file with that text; its name is written to `name`. */
static void make_file(char *name, const char *text, size_t size)
{
    int fd = mkstemp(name);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, size), (ssize_t)size);
    ck_assert_int_eq(close(fd), 0);
}

START_TEST(user_file_gives_its_first_line)
{
    char name[] = "check_opts.XXXXXX";
    struct command c;

    make_file(name, "me:secret word\r\nmore\n", 22);
    PARSE(&c, "--user-file", name, "u");
    ck_assert_msg(c.action == PF_OPTS_RUN, "%s", c.why);
    ck_assert_str_eq(c.opts.engine.username, "me");
    ck_assert_str_eq(c.opts.engine.password, "secret word");
    drop(&c);
    ck_assert_int_eq(unlink(name), 0);
}
END_TEST

START_TEST(user_file_without_end_is_refused)
{
    struct command c;

    PARSE(&c, "--user-file", "/dev/zero", "u");
    ck_assert_int_eq(c.action, PF_OPTS_USAGE_ERROR); /* no ':' in it */
    drop(&c);

    char name[] = "check_opts.XXXXXX";
    char text[8192];
    memset(text, ':', sizeof(text));
    make_file(name, text, sizeof(text));
    PARSE(&c, "--user-file", name, "u");
    ck_assert_int_eq(c.action, PF_OPTS_USAGE_ERROR);
    ck_assert_ptr_nonnull(strstr(c.why, "too long"));
    drop(&c);
    ck_assert_int_eq(unlink(name), 0);
}
END_TEST

START_TEST(certificates_of_the_environment)
{
    struct command c;

    setenv("SSL_CERT_FILE", "file", 1);
    setenv("SSL_CERT_DIR", "dir", 1);
    PARSE(&c, "u");
    ck_assert_str_eq(c.opts.engine.cacert, "file");
    ck_assert_str_eq(c.opts.engine.capath, "dir");
    ck_assert(c.opts.engine.ca_is_default);
    drop(&c);

    setenv("CURL_CA_BUNDLE", "bundle", 1);
    PARSE(&c, "u");
    ck_assert_str_eq(c.opts.engine.cacert, "bundle");
    ck_assert_ptr_null(c.opts.engine.capath);
    drop(&c);

    PARSE(&c, "--capath", "mine", "u");
    ck_assert_ptr_null(c.opts.engine.cacert);
    ck_assert_str_eq(c.opts.engine.capath, "mine");
    ck_assert(!c.opts.engine.ca_is_default);
    drop(&c);

    setenv("CURL_CA_BUNDLE", "", 1); /* empty is not set */
    unsetenv("SSL_CERT_DIR");
    PARSE(&c, "u");
    ck_assert_str_eq(c.opts.engine.cacert, "file");
    drop(&c);
}
END_TEST

START_TEST(no_proxy_goes_with_a_proxy_only)
{
    struct command c;

    setenv("NO_PROXY", "upper", 1);
    PARSE(&c, "u");
    ck_assert_ptr_null(c.opts.engine.noproxy);
    drop(&c);
    PARSE(&c, "-x", "p", "u");
    ck_assert_str_eq(c.opts.engine.noproxy, "upper");
    drop(&c);
    setenv("no_proxy", "lower", 1);
    PARSE(&c, "-x", "p", "u");
    ck_assert_str_eq(c.opts.engine.noproxy, "lower");
    drop(&c);
    PARSE(&c, "-x", "p", "--noproxy", "", "u");
    ck_assert_str_eq(c.opts.engine.noproxy, "");
    drop(&c);
}
END_TEST

/* The help as a string; the caller frees it. */
static char *print_help(bool all)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    ck_assert_ptr_nonnull(out);
    pf_opts_print_help(out, all);
    ck_assert_int_eq(fclose(out), 0);
    return text;
}

START_TEST(help_fits_and_names_the_options)
{
    static const char *const names[] = {
        "--input-file", "--null",         "--threads",  "--no-remote-time",
        "--user-file",  "--http-version", "--results",  "--max-retry-after",
        "--capath",     "--dry-run",      "--version",  NULL};
    char *all = print_help(true);
    char *brief = print_help(false);

    for (int i = 0; names[i] != NULL; i++)
        ck_assert_msg(strstr(all, names[i]) != NULL, "no %s", names[i]);
    ck_assert_ptr_nonnull(strstr(brief, "Examples:"));
    ck_assert_ptr_null(strstr(brief, "--capath"));
    for (char *line = strtok(all, "\n"); line; line = strtok(NULL, "\n"))
        ck_assert_msg(strlen(line) < 80, "too long: %s", line);
    free(all);
    free(brief);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("opts");
    TCase *tcase = tcase_create("opts");

    tcase_add_checked_fixture(tcase, clear_environment, NULL);
    tcase_add_test(tcase, defaults_are_those_of_the_help);
    tcase_add_test(tcase, values_reach_their_fields);
    tcase_add_test(tcase, headers_are_collected);
    tcase_add_test(tcase, switches_have_both_forms);
    tcase_add_test(tcase, two_dashes_end_options);
    tcase_add_loop_test(tcase, durations_and_sizes, 0,
                        sizeof(goods) / sizeof(goods[0]));
    tcase_add_loop_test(tcase, bad_values_are_usage_errors, 0,
                        sizeof(bads) / sizeof(bads[0]));
    tcase_add_test(tcase, bad_command_lines_are_usage_errors);
    tcase_add_test(tcase, patterns_may_be_switched_off);
    tcase_add_test(tcase, what_goes_in);
    tcase_add_test(tcase, the_command_line_wins_over_the_file);
    tcase_add_test(tcase, faults_of_the_file_have_a_line);
    tcase_add_test(tcase, the_file_is_found_where_it_usually_is);
    tcase_add_test(tcase, help_and_version_end_parsing);
    tcase_add_test(tcase, password_does_not_stay_in_argv);
    tcase_add_test(tcase, password_is_wiped_and_unsaid_in_errors);
    tcase_add_test(tcase, user_file_gives_its_first_line);
    tcase_add_test(tcase, user_file_without_end_is_refused);
    tcase_add_test(tcase, certificates_of_the_environment);
    tcase_add_test(tcase, no_proxy_goes_with_a_proxy_only);
    tcase_add_test(tcase, help_fits_and_names_the_options);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return suite_run(make_suite());
}
