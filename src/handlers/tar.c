/* tar.c - the handler that writes bodies into a tar file, or into several.
 *
 * SPDX-License-Identifier: MIT
 *
 * A serial handler: whole bodies come one after another, their length first,
 * so each becomes a member as it is taken, and end() commits it (volume.h).
 * What an archive is at any moment, then, is all members whose records say ok,
 * and its end.  Names are planned as the dir handler plans them, in a place
 * where nothing is there yet (naming.h).
 *
 * libarchive makes the members: ustar where that has room for the name, the
 * length and the time, pax where not.  It sees neither the file nor its end,
 * because it can take nothing back and cannot say what would make a whole
 * compressed file of what is there; so one writer of libarchive serves all
 * shards, and what it writes when it is freed is dropped.
 */
#include "config.h"

#include "pfetch_handlers.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef HAVE_LIBARCHIVE

#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <locale.h>
#include <stdio.h>
#include <time.h>

#include "filestate.h"
#include "naming.h"
#include "volume.h"

enum {
    BLOCK_BYTES = 512,
    USTAR_NAME_BYTES = 100,
    SHARD_DIGITS = 6
};

#define USTAR_LENGTH_BYTES ((int64_t)1 << 33) /* beyond what it can say */

struct tar {
    /* Read-only: */
    char *file;
    size_t stem_bytes;     /* of file: what stands before the shard's number */
    enum pf_pack_kind kind;
    int64_t split_bytes;   /* 0: one file */
    bool remote_time;
    bool is_dry;           /* nothing is created */
    struct pf_filestate state;
    struct pf_naming naming; /* adding thread only */

    /* Writer thread only: */
    struct archive *format;
    struct archive_entry *entry;
    locale_t utf8;         /* in which names are text; 0: there is none */
    char *shard_name;      /* of the volume; file where nothing is split */
    struct pf_volume volume;
    uint64_t shard;        /* number of the next one */
    uint64_t members;      /* of this shard */
    int64_t bytes;         /* of this shard, before compression */
    bool is_in_member;     /* one was begun */
    int error;             /* why libarchive could not go on; 0: see there */
    bool is_muted;         /* what libarchive writes is dropped */
    bool is_done;
};

/* --- names of files ------------------------------------------------------ */

static const struct {
    const char *suffix;
    enum pf_pack_kind kind;
} suffixes[] = {
    { ".tar", PF_PACK_PLAIN },
    { ".tar.gz", PF_PACK_GZIP },
    { ".tgz", PF_PACK_GZIP },
    { ".tar.zst", PF_PACK_ZSTD },
    { ".tzst", PF_PACK_ZSTD },
    /* What tar(1) would compress, too, and others would not expect to be
     * plain. */
    { ".gz", PF_PACK_GZIP },
    { ".zst", PF_PACK_ZSTD },
};

static const char *const unknown[] = {
    ".xz", ".txz", ".bz2", ".tbz", ".tbz2", ".lz", ".lz4", ".lzma", ".lzo",
    ".br", ".Z", ".zip", ".7z",
};

static bool ends_with(const char *text, const char *suffix)
{
    size_t size = strlen(text), suffix_size = strlen(suffix);

    return size > suffix_size
           && strcmp(text + size - suffix_size, suffix) == 0;
}

/* How a file of this name is compressed.  0, or PFETCH_EINVAL with *why. */
static int read_name(struct tar *tar, struct pfetch_failure *why)
{
    tar->stem_bytes = strlen(tar->file);
    tar->kind = PF_PACK_PLAIN;
    for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
        if (ends_with(tar->file, unknown[i])) {
            pfetch_failure_set(why, PFETCH_CLASS_NONE,
                               "%.150s: compression by %s is not supported, "
                               "but .gz and .zst are", tar->file, unknown[i]);
            return PFETCH_EINVAL;
        }
    for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++)
        if (ends_with(tar->file, suffixes[i].suffix)) {
            tar->stem_bytes -= strlen(suffixes[i].suffix);
            tar->kind = suffixes[i].kind;
            break;
        }
    if (pf_pack_has(tar->kind))
        return 0;
    pfetch_failure_set(why, PFETCH_CLASS_NONE, "%.150s: compiled without %s",
                       tar->file,
                       tar->kind == PF_PACK_GZIP ? "zlib" : "libzstd");
    return PFETCH_EINVAL;
}

static void name_shard(struct tar *tar)
{
    if (tar->split_bytes == 0)
        return; /* it has the name already */
    (void)sprintf(tar->shard_name, "%.*s-%0*" PRIu64 "%s",
                  (int)tar->stem_bytes, tar->file, SHARD_DIGITS, tar->shard,
                  tar->file + tar->stem_bytes);
}

/* Whether name is that of a shard, whatever its number. */
static bool is_shard(const struct tar *tar, const char *stem, size_t stem_bytes,
                     const char *name)
{
    const char *rest = name + stem_bytes + 1;
    size_t digits;

    if (strncmp(name, stem, stem_bytes) != 0 || name[stem_bytes] != '-')
        return false;
    digits = strspn(rest, "0123456789");
    return digits >= SHARD_DIGITS
           && strcmp(rest + digits, tar->file + tar->stem_bytes) == 0;
}

/* A shard of another run would be met in the middle of this one.  One that
 * cannot be found out about is. */
static bool find_old_shard(const struct tar *tar, char *found, size_t size)
{
    const char *slash = strrchr(tar->file, '/');
    const char *stem = slash == NULL ? tar->file : slash + 1;
    size_t stem_bytes = tar->stem_bytes - (size_t)(stem - tar->file);
    char *dir = strndup(tar->file, (size_t)(stem - tar->file));
    DIR *list = dir == NULL ? NULL : opendir(*dir == '\0' ? "." : dir);
    const struct dirent *entry;

    free(dir);
    if (list == NULL)
        return false;
    do
        entry = readdir(list);
    while (entry != NULL && !is_shard(tar, stem, stem_bytes, entry->d_name));
    if (entry != NULL)
        (void)snprintf(found, size, "%.*s%.150s", (int)(stem - tar->file),
                       tar->file, entry->d_name);
    (void)closedir(list); /* nothing was written */
    return entry != NULL;
}

/* --- libarchive ---------------------------------------------------------- */

static la_ssize_t take_bytes(struct archive *format, void *user,
                             const void *data, size_t size)
{
    struct tar *tar = user;

    if (!tar->is_muted)
        tar->error = pf_volume_write(&tar->volume, data, size);
    if (tar->error == 0) {
        tar->bytes += (int64_t)size;
        return (la_ssize_t)size;
    }
    archive_set_error(format, tar->error, "%s", strerror(tar->error));
    return ARCHIVE_FATAL;
}

static int open_format(struct tar *tar)
{
    tar->format = archive_write_new();
    tar->entry = archive_entry_new();
    if (tar->format == NULL || tar->entry == NULL)
        return PFETCH_ENOMEM;
    /* Each call comes through at once. */
    if (archive_write_set_format_pax_restricted(tar->format) != ARCHIVE_OK
        || archive_write_set_bytes_per_block(tar->format, 0) != ARCHIVE_OK
        || archive_write_open(tar->format, tar, NULL, take_bytes, NULL)
               != ARCHIVE_OK)
        return PFETCH_ENOMEM;
    /* libarchive takes names for text of the locale, ours are UTF-8. */
    tar->utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    return 0;
}

/* A member that was begun cannot be taken back, so the run has to end. */
static enum pfetch_reply fail_format(struct tar *tar, const char *path,
                                     struct pfetch_failure *why)
{
    const char *text = archive_error_string(tar->format);

    pf_volume_abort(&tar->volume);
    if (tar->error != 0)
        return pf_volume_failure(tar->shard_name, "write", tar->error, why);
    pfetch_failure_set(why, PFETCH_CLASS_LOCAL, "cannot add %.100s to %.80s: "
                       "%.60s", path, tar->shard_name,
                       text == NULL ? "?" : text);
    return PFETCH_BROKEN;
}

static int write_header(struct tar *tar, const char *path, int64_t length,
                        time_t mtime)
{
    struct archive_entry *entry = archive_entry_clear(tar->entry);
    locale_t before = (locale_t)0;
    int result;

    archive_entry_set_pathname(entry, path);
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0644);
    archive_entry_set_uid(entry, 0);
    archive_entry_set_gid(entry, 0);
    archive_entry_set_uname(entry, "root");
    archive_entry_set_gname(entry, "root");
    archive_entry_set_size(entry, length);
    archive_entry_set_mtime(entry, mtime, 0);
    if (tar->utf8 != (locale_t)0)
        before = uselocale(tar->utf8);
    result = archive_write_header(tar->format, entry);
    if (tar->utf8 != (locale_t)0)
        (void)uselocale(before); /* it was valid */
    return result < ARCHIVE_WARN ? -1 : 0;
}

/* --- shards -------------------------------------------------------------- */

static int open_shard(struct tar *tar)
{
    static const unsigned char end[PF_VOLUME_END_BYTES]; /* two blocks of 0 */

    name_shard(tar);
    tar->shard++;
    tar->members = 0;
    tar->bytes = sizeof(end);
    return pf_volume_open(&tar->volume, tar->shard_name, tar->kind, end,
                          sizeof(end));
}

static int64_t round_up(int64_t bytes)
{
    return (bytes + BLOCK_BYTES - 1) / BLOCK_BYTES * BLOCK_BYTES;
}

/* What a member takes at most: one whose name, length or time does not fit
 * into ustar has a pax header with records for them.  (The format has room for
 * later times; libarchive uses 31 bits of it.) */
static int64_t member_bytes(const char *path, int64_t length, time_t mtime)
{
    int64_t name_bytes = (int64_t)strlen(path);
    int64_t bytes = BLOCK_BYTES + round_up(length);
    bool is_plain = name_bytes <= USTAR_NAME_BYTES
                    && length < USTAR_LENGTH_BYTES
                    && mtime >= 0 && mtime < INT32_MAX;

    for (const char *c = path; *c != '\0'; c++)
        is_plain = is_plain && (unsigned char)*c < 0x80;
    return is_plain ? bytes
                    : bytes + BLOCK_BYTES + round_up(2 * name_bytes + 200);
}

/* Ends the shard if the member would make it too long.  0 or an errno. */
static int make_room(struct tar *tar, const char *path, int64_t length,
                     time_t mtime)
{
    int error;

    if (tar->split_bytes == 0 || tar->members == 0
        || tar->bytes + member_bytes(path, length, mtime) <= tar->split_bytes)
        return 0;
    error = pf_volume_close(&tar->volume);
    return error != 0 ? error : open_shard(tar);
}

/* --- the handler --------------------------------------------------------- */

static void start(void *self, const struct pfetch *run)
{
    struct tar *tar = self;

    pf_volume_start(&tar->volume, run);
}

static enum pfetch_reply plan(void *self, struct pfetch_job *job,
                              struct pfetch_failure *why)
{
    struct tar *tar = self;
    uint8_t hash[PF_URL_HASH_BYTES]; /* nobody asks for it later */

    return pf_naming_plan(&tar->naming, job, hash, why);
}

static enum pfetch_reply begin(void *self, struct pfetch_job *job,
                               const struct pfetch_response *response,
                               int64_t offset, struct pfetch_failure *why)
{
    struct tar *tar = self;
    const char *path = pfetch_job_path(job);
    bool is_dated = tar->remote_time && response->last_modified_unix != -1;
    time_t mtime = is_dated ? (time_t)response->last_modified_unix
                            : time(NULL);
    int error = make_room(tar, path, response->length_bytes, mtime);

    (void)offset; /* 0: plan() asks for the whole */
    if (error != 0)
        return pf_volume_failure(tar->shard_name, "create", error, why);
    tar->is_in_member = true;
    if (write_header(tar, path, response->length_bytes, mtime) != 0)
        return fail_format(tar, path, why);
    return PFETCH_GO;
}

static enum pfetch_reply take(void *self, struct pfetch_job *job,
                              const void *data, size_t size,
                              struct pfetch_failure *why)
{
    struct tar *tar = self;

    if (archive_write_data(tar->format, data, size) == (la_ssize_t)size)
        return PFETCH_GO;
    return fail_format(tar, pfetch_job_path(job), why);
}

static enum pfetch_reply end(void *self, struct pfetch_job *job,
                             const struct pfetch_record *record,
                             struct pfetch_failure *why)
{
    struct tar *tar = self;

    if (record->status != PFETCH_STATUS_OK) {
        /* Bodies are whole before they come: this run has broken. */
        if (tar->is_in_member)
            pf_volume_abort(&tar->volume);
        return PFETCH_GO;
    }
    tar->is_in_member = false;
    if (archive_write_finish_entry(tar->format) != ARCHIVE_OK)
        return fail_format(tar, pfetch_job_path(job), why);
    tar->error = pf_volume_commit(&tar->volume);
    if (tar->error != 0)
        return fail_format(tar, pfetch_job_path(job), why);
    tar->members++;
    return PFETCH_GO;
}

static enum pfetch_reply done(void *self, struct pfetch_failure *why)
{
    struct tar *tar = self;
    int error;

    tar->is_done = true;
    error = pf_volume_close(&tar->volume);
    return error == 0 ? PFETCH_GO
                      : pf_volume_failure(tar->shard_name, "write", error,
                                          why);
}

/* --- create and free ----------------------------------------------------- */

static void free_tar(struct tar *tar)
{
    /* An archive of a run that never came about would be in the way of the
     * next one. */
    if (!tar->is_done)
        pf_volume_remove(&tar->volume);
    tar->is_muted = true;
    (void)archive_write_free(tar->format); /* nothing is written any more */
    archive_entry_free(tar->entry);
    if (tar->utf8 != (locale_t)0)
        freelocale(tar->utf8);
    pf_naming_fini(&tar->naming);
    free(tar->shard_name);
    free(tar->file);
    free(tar);
}

/* What can be found out before a file is made. */
static int check_options(const struct tar *tar, struct pfetch_failure *why)
{
    bool is_stream = strcmp(tar->file, "-") == 0;
    char found[512];

    if (is_stream && tar->split_bytes > 0) {
        pfetch_failure_set(why, PFETCH_CLASS_NONE,
                           "standard output cannot be split");
        return PFETCH_EINVAL;
    }
    if (is_stream && isatty(STDOUT_FILENO)) {
        pfetch_failure_set(why, PFETCH_CLASS_NONE,
                           "an archive is not written to a terminal");
        return PFETCH_EINVAL;
    }
    if (tar->split_bytes > 0 && find_old_shard(tar, found, sizeof(found))) {
        (void)pf_volume_failure(found, "create", EEXIST, why);
        return PFETCH_EINVAL;
    }
    return 0;
}

static int open_first(struct tar *tar, struct pfetch_failure *why)
{
    bool is_stream = strcmp(tar->file, "-") == 0;
    int error;

    name_shard(tar);
    if (!tar->is_dry)
        error = open_shard(tar);
    else
        error = !is_stream && access(tar->shard_name, F_OK) == 0 ? EEXIST : 0;
    if (error == 0)
        return 0;
    (void)pf_volume_failure(tar->shard_name, "create", error, why);
    return PFETCH_EINVAL;
}

/* 0 or what pfetch_tar_create() returns; tar is fit for free_tar(). */
static int init_tar(struct tar *tar, const struct pfetch_tar_options *options,
                    struct pfetch_failure *why)
{
    const struct pfetch_dir_options *names = options->names;
    struct pfetch_dir_options defaults;
    int error;

    if (names == NULL) {
        pfetch_dir_options_init(&defaults);
        names = &defaults;
    }
    tar->split_bytes = options->split_bytes;
    tar->remote_time = names->remote_time;
    tar->is_dry = names->dry_run;
    pf_volume_init(&tar->volume);
    pf_filestate_init(&tar->state, -1, NULL, NULL);
    if (pf_naming_init(&tar->naming, names, -1, &tar->state) != 0)
        return PFETCH_ENOMEM;
    tar->naming.exist = PFETCH_DIR_EXIST_AUTO;
    tar->file = strdup(options->file);
    /* Room for any number. */
    tar->shard_name = malloc(strlen(options->file) + 32);
    if (tar->file == NULL || tar->shard_name == NULL)
        return PFETCH_ENOMEM;
    memcpy(tar->shard_name, tar->file, strlen(tar->file) + 1);
    if (open_format(tar) != 0)
        return PFETCH_ENOMEM;
    error = read_name(tar, why);
    if (error == 0)
        error = check_options(tar, why);
    return error != 0 ? error : open_first(tar, why);
}

static int create(struct pfetch_handler *handler,
                  const struct pfetch_tar_options *options,
                  struct pfetch_failure *why)
{
    struct tar *tar = calloc(1, sizeof(*tar));
    int error = tar == NULL ? PFETCH_ENOMEM : init_tar(tar, options, why);

    if (error == PFETCH_ENOMEM)
        pfetch_failure_set(why, PFETCH_CLASS_LOCAL, "out of memory");
    if (error != 0) {
        if (tar != NULL)
            free_tar(tar);
        return error;
    }
    *handler = (struct pfetch_handler){
        .self = tar, .start = start, .plan = plan, .begin = begin,
        .take = take, .end = end, .done = done, .serial = true,
    };
    return 0;
}

#else

struct tar {
    int unused;
};

static void free_tar(struct tar *tar)
{
    (void)tar; /* there is none */
}

static int create(struct pfetch_handler *handler,
                  const struct pfetch_tar_options *options,
                  struct pfetch_failure *why)
{
    (void)handler;
    (void)options;
    pfetch_failure_set(why, PFETCH_CLASS_NONE, "tar: compiled without libarchive");
    return PFETCH_EINVAL;
}

#endif

void pfetch_tar_options_init_sized(struct pfetch_tar_options *options,
                                   size_t size)
{
    memset(options, 0, size);
    options->size = size;
}

int pfetch_tar_create(struct pfetch_handler *handler,
                      const struct pfetch_tar_options *options,
                      struct pfetch_failure *why)
{
    *handler = (struct pfetch_handler){ .self = NULL };
    if (options->size != sizeof(*options) || options->file == NULL
        || *options->file == '\0' || options->split_bytes < 0) {
        pfetch_failure_set(why, PFETCH_CLASS_NONE, "not usable: the options "
                           "(see pfetch_tar_options_init())");
        return PFETCH_EINVAL;
    }
    return create(handler, options, why);
}

void pfetch_tar_free(struct pfetch_handler *handler)
{
    if (handler->self != NULL)
        free_tar(handler->self);
    *handler = (struct pfetch_handler){ .self = NULL };
}
