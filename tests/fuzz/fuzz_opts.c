/* fuzz_opts.c - command lines and configuration files.
 *
 * SPDX-License-Identifier: MIT
 *
 * The first byte says which; the rest is words, divided by NUL, or a file.
 * What is refused is told, what is accepted keeps the bounds that opts.h and
 * pfetch.h name.
 */
#include "config.h"

#include "fuzz.h"
#include "opts.h"

#include <string.h>

enum { WORDS_MAX = 40, SIZE_MAX_BYTES = 4000 };

static void check_refusal(const char *why)
{
    must(why[0] != '\0' && strlen(why) < PF_OPTS_WHY_BYTES);
}

static void check_opts(const struct pf_opts *opts)
{
    const struct pfetch_options *engine = &opts->engine;

    must(engine->workers >= 1 && engine->workers <= 1024);
    must(engine->connect_timeout_ms >= 0 && engine->stall_timeout_ms >= 0 &&
         engine->timeout_ms >= 0);
    must(opts->grace_ms >= 0 && opts->deadline_ms >= 0);
    must(opts->max_files >= 0 && opts->max_errors >= 0);
    must(!opts->max_errors_percent || opts->max_errors <= 100);
    must(opts->shard.count == 0 || (opts->shard.index >= 1 &&
                                    opts->shard.index <= opts->shard.count));
    must(engine->limit_rate_bytes >= 0);
    for (size_t i = 0; i < engine->host_count; i++)
        must(engine->hosts[i].name != NULL);
}

static void parse(int argc, char **argv)
{
    struct pf_opts opts;
    char why[PF_OPTS_WHY_BYTES] = "";
    enum pf_opts_action action = pf_opts_parse(&opts, argc, argv, why);

    if (action == PF_OPTS_USAGE_ERROR)
        check_refusal(why);
    else if (action == PF_OPTS_RUN)
        check_opts(&opts);
    pf_opts_free(&opts);
}

static void parse_words(const uint8_t *data, size_t size)
{
    char copy[SIZE_MAX_BYTES + 1], *argv[WORDS_MAX + 3];
    int argc = 0;

    memcpy(copy, data, size);
    copy[size] = '\0';
    argv[argc++] = (char[]){"pfetch"};
    argv[argc++] = (char[]){"--no-config"};
    for (char *word = copy; word < copy + size && argc < WORDS_MAX;
         word += strlen(word) + 1)
        argv[argc++] = word;
    argv[argc] = NULL;
    parse(argc, argv);
}

static void parse_file(const uint8_t *data, size_t size)
{
    struct fuzz_file file;
    char *argv[] = {(char[]){"pfetch"}, (char[]){"--config"}, NULL, NULL};

    fuzz_file_open(&file, data, size);
    argv[2] = file.name;
    parse(3, argv);
    fuzz_file_close(&file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* Some options read files: none that never ends. */
    if (size == 0 || size > SIZE_MAX_BYTES ||
        memmem(data, size, "dev", 3) != NULL ||
        memmem(data, size, "proc", 4) != NULL)
        return 0;
    if (data[0] % 2 == 0)
        parse_words(data + 1, size - 1);
    else
        parse_file(data + 1, size - 1);
    return 0;
}
