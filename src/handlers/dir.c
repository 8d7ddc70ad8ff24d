/* dir.c - the handler that writes one file a URL into a directory.
 *
 * SPDX-License-Identifier: MIT
 *
 * plan (adding thread) decides the name and whether the file is there
 * (naming.c), whole or in part.  begin creates the temporary file (part.c) and
 * marks it (filestate.c), take writes to it, end gives it its name without
 * replacing anything, or removes it; all three on the writer thread.  Nothing
 * is left open between an end and the next begin, so there is nothing to do
 * when the run is over.  Where files are to be durable, end leaves the complete
 * file to durable.c, which forces several to the disk at once and then has them
 * named.
 *
 * What a failed transfer leaves is kept if a later run can continue it: then
 * plan finds it by its mark, and asks for the rest.  Many jobs may wait with
 * such a plan, so nothing is opened until a worker is about to send the
 * request: resume then locks the file and looks whether it still is what plan
 * has seen.  Another process may have been quicker; then the body is fetched
 * whole, into a file without a name.  The worker reads what is there, too, if
 * the body has a digest: many bodies are read at once, and neither the list
 * nor the writer waits.
 *
 * Whenever begin, take or end fails the temporary file is removed at once, so
 * that its space is free again.
 *
 * A small body costs: openat, fsetxattr, write, futimens, fcntl and close
 * (errors that close tells), linkat, close; and, unless the directory was empty
 * at the start, two fstatat in plan.  All are relative to an open directory.
 * Others, of which something may stay, have a temporary name: then fcntl, fstat
 * and fstatat (lock and check) are added, and renameat2 takes the place of
 * linkat.  Where a body is known to be complete the name would tell nobody
 * anything.
 */
#include "config.h"

#include "pfetch_handlers.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disposition.h"
#include "durable.h"
#include "filestate.h"
#include "naming.h"
#include "part.h"
#include "place.h"
#include "room.h"

enum { READ_BYTES = 256 * 1024 };

struct dir {
    int root; /* the directory; -1: missing, dry run.  Read-only */
    bool remote_time, resume;   /* read-only */
    bool (*is_kept)(void *user, uint64_t dev, uint64_t ino); /* read-only */
    void *user;                 /* read-only: is_kept's */
    struct pf_filestate state;  /* any thread */
    struct pf_naming naming;    /* adding thread, but for pf_naming_look()
                                 * and pf_naming_next() */
    struct pf_digest digest;    /* writer thread only, as all below */
    struct pf_walk walk;
    struct pf_part_ways ways;
    struct pf_durable durable;
    struct pf_room room;
    bool has_looked; /* for room, before the run; adding thread only */
};

/* The state of a job: from plan to end. */
struct file {
    uint8_t hash[PF_URL_HASH_BYTES]; /* of the URL */
    struct pf_part part;
    int64_t modified_unix; /* Last-Modified; -1: none */
    char *sent_name; /* by the server, made safe; NULL: none that counts */
    int64_t marked_bytes;  /* the length that the part's mark says */
    bool is_update;        /* replace this URL's own file */
    bool is_temp_free;     /* nothing had its temporary name */
    struct pf_filemark *found; /* heap: of a part to be continued; NULL */
    int64_t found_bytes;       /* how much of it is there */
};

static void free_file(struct file *file)
{
    free(file->found);
    free(file->sent_name);
    free(file);
}

/* --- plan --------------------------------------------------------------- */

static enum pfetch_reply out_of_memory(struct pfetch_failure *why)
{
    pfetch_failure_set(why, PFETCH_CLASS_LOCAL, "out of memory");
    return PFETCH_BROKEN;
}

/* This URL's own file is there: it is asked for only if it has changed. */
static enum pfetch_reply plan_update(struct dir *dir, struct pfetch_job *job,
                                     const struct file *file,
                                     struct pfetch_failure *why)
{
    const char *path = pfetch_job_path(job);
    int parent = pf_walk_open(&dir->naming.walk, path, false);
    struct pf_filemark mark;

    /* A file that only the list's size= says is right has no validator, and
     * is not ours to replace. */
    if (parent < 0
        || !pf_filestate_get(&dir->state, parent, pf_outname_last(path),
                             &mark)
        || memcmp(mark.hash, file->hash, sizeof file->hash) != 0) {
        pfetch_failure_set(why, PFETCH_CLASS_NONE, "already there");
        return PFETCH_SKIP;
    }
    /* Without a validator, or one that is none, it is fetched anew. */
    if (dir->naming.own == PF_FOUND_OWN && mark.validator[0] != '\0'
        && pfetch_job_if_changed(job, mark.validator) == PFETCH_ENOMEM)
        return out_of_memory(why);
    return PFETCH_GO;
}

/* Looks for a temporary file that an earlier run has left.  One that is
 * another URL's, or has no strong validator, is no matter here. */
static enum pfetch_reply find_part(struct dir *dir, struct pfetch_job *job,
                                   struct file *file,
                                   struct pfetch_failure *why)
{
    const char *path = pfetch_job_path(job);
    int parent = pf_walk_open(&dir->naming.walk, path, false);
    char temp[PF_TEMP_SIZE];
    struct pf_filemark mark;
    int64_t there = 0;
    int error = parent < 0 ? errno
                           : pf_part_find(parent, pf_outname_last(path), temp,
                                          &there);

    file->is_temp_free = error == ENOENT;
    if (error != 0
        || !pf_filestate_get(&dir->state, parent, temp, &mark)
        || !pf_filemark_is_continuable(&mark, file->hash, there))
        return PFETCH_GO;
    file->found = malloc(sizeof *file->found);
    if (file->found == NULL)
        return out_of_memory(why);
    *file->found = mark;
    file->found_bytes = there;
    if (pfetch_job_resume(job, there, mark.size_bytes, mark.validator)
        == PFETCH_ENOMEM)
        return out_of_memory(why);
    return PFETCH_GO;
}

static enum pfetch_reply plan(void *self, struct pfetch_job *job,
                              struct pfetch_failure *why)
{
    struct dir *dir = self;
    uint8_t hash[PF_URL_HASH_BYTES];
    enum pfetch_reply reply = pf_naming_plan(&dir->naming, job, hash, why);

    if (reply == PFETCH_GO && !dir->has_looked) {
        dir->has_looked = true;
        reply = pf_room_look(&dir->room, why);
    }
    if (reply != PFETCH_GO)
        return reply;
    struct file *file = malloc(sizeof *file);
    if (file == NULL)
        return out_of_memory(why);
    *file = (struct file){ .modified_unix = -1, .marked_bytes = -1 };
    memcpy(file->hash, hash, sizeof hash);
    pf_part_init(&file->part);
    file->is_update = dir->naming.own != PF_FOUND_NOTHING;
    file->is_temp_free = dir->naming.was_empty;
    if (file->is_update)
        reply = plan_update(dir, job, file, why);
    if (reply == PFETCH_GO && dir->resume && !dir->naming.was_empty)
        reply = find_part(dir, job, file, why);
    if (reply == PFETCH_GO)
        pfetch_job_set_state(job, file);
    else
        free_file(file);
    return reply;
}

/* --- resume (on a worker) ----------------------------------------------- */

static bool is_same_mark(const struct pf_filemark *a,
                         const struct pf_filemark *b)
{
    return memcmp(a->hash, b->hash, sizeof a->hash) == 0
           && a->size_bytes == b->size_bytes
           && strcmp(a->validator, b->validator) == 0;
}

/* Gives what is there to the job's digest.  0, or an error of whatever kind. */
static int digest_part(struct pfetch_job *job, const struct file *file)
{
    char *data = malloc(READ_BYTES);
    int error = data != NULL ? 0 : ENOMEM;
    size_t got = 0;

    for (int64_t at = 0; error == 0 && at < file->found_bytes;
         at += (int64_t)got) {
        int64_t left = file->found_bytes - at;

        error = pf_part_read(&file->part, at, data,
                             left < READ_BYTES ? (size_t)left : READ_BYTES,
                             &got);
        if (error == 0)
            error = got > 0 ? pfetch_job_digest(job, data, got) : EIO;
    }
    free(data);
    return error;
}

static enum pfetch_reply resume(void *self, struct pfetch_job *job,
                                struct pfetch_failure *why)
{
    struct dir *dir = self;
    struct file *file = pfetch_job_state(job);
    const char *path = pfetch_job_path(job);
    struct pf_filemark mark;
    struct pf_walk walk; /* dir's belongs to the writer */
    int error = EBUSY;

    (void)why; /* whatever it is, there is a way: from the beginning */
    pf_walk_init(&walk, dir->root);
    int parent = pf_walk_open(&walk, path, false);
    if (parent >= 0)
        error = pf_part_reopen(&file->part, parent, pf_outname_last(path));
    pf_walk_close(&walk);
    if (error != 0)
        return PFETCH_FAIL;
    if (file->part.written_bytes >= file->found_bytes
        && pf_filestate_get_open(&dir->state, file->part.fd, &mark)
        && is_same_mark(&mark, file->found)
        && (!pfetch_job_has_digest(job) || digest_part(job, file) == 0)) {
        file->marked_bytes = mark.size_bytes;
        return PFETCH_GO;
    }
    pf_part_close(&file->part);
    return PFETCH_FAIL;
}

/* --- begin and take ----------------------------------------------------- */

/* Opens the temporary file in an open directory.  0 or an errno. */
static int open_part_in(struct dir *dir, struct file *file, int parent,
                        const char *path, bool is_complete)
{
    /* Only a name can replace a name, or what was left behind.  And what a
     * crash makes of a rename after fsync(2) is better known than what it makes
     * of a first name after it. */
    bool is_unnamed = is_complete && file->is_temp_free && !file->is_update
                      && dir->naming.exist != PFETCH_DIR_EXIST_OVERWRITE
                      && dir->durable.max == 0;

    if (is_unnamed
        && pf_part_open_unnamed(&file->part, parent, pf_outname_last(path),
                                &dir->ways) == 0)
        return 0;
    return pf_part_open(&file->part, parent, pf_outname_last(path),
                        !atomic_load(&dir->state.usable), &dir->ways);
}

/* Opens the temporary file, and the directories to it.  0 or an errno. */
static int open_part(struct dir *dir, struct file *file, const char *path,
                     bool is_complete)
{
    int parent = pf_walk_open(&dir->walk, path, true);

    if (parent < 0)
        return errno;
    int error = open_part_in(dir, file, parent, path, is_complete);
    if (error != ENOENT || parent == dir->root)
        return error;
    /* The directory kept open was removed: make it anew, once. */
    pf_walk_close(&dir->walk);
    parent = pf_walk_open(&dir->walk, path, true);
    return parent < 0 ? errno
                      : open_part_in(dir, file, parent, path, is_complete);
}

/* Removes the temporary file of a job, wherever it stands with it. */
static void drop_part(struct dir *dir, struct file *file, const char *path)
{
    if (file->part.fd >= 0)
        pf_part_discard(&file->part, pf_walk_open(&dir->walk, path, false),
                        pf_outname_last(path));
}

static enum pfetch_reply fail_part(struct dir *dir, struct file *file,
                                   const char *path, int error,
                                   const char *doing,
                                   struct pfetch_failure *why)
{
    drop_part(dir, file, path);
    return pf_place_failure(dir->root, error, doing, path, why);
}

/* Keeps the name that the server sends.  0 or an errno. */
static int keep_sent_name(struct dir *dir, const struct pfetch_job *job,
                          struct file *file,
                          const struct pfetch_response *response)
{
    char text[PF_DISPOSITION_SIZE];
    char name[PF_NAME_SIZE];

    if (!dir->naming.by_header || pfetch_job_request(job)->out != NULL)
        return 0;
    /* The answer to a continued request may be silent about it. */
    if (response->http_status == 200) {
        free(file->sent_name);
        file->sent_name = NULL;
    }
    if (response->content_disposition == NULL
        || !pf_disposition_name(response->content_disposition, text))
        return 0;
    if (pf_outname_text(&dir->digest, text, pfetch_job_url(job), name) != 0)
        return ENOMEM;
    free(file->sent_name);
    file->sent_name = strdup(name);
    return file->sent_name != NULL ? 0 : ENOMEM;
}

static enum pfetch_reply begin(void *self, struct pfetch_job *job,
                               const struct pfetch_response *response,
                               int64_t offset_bytes,
                               struct pfetch_failure *why)
{
    struct dir *dir = self;
    struct file *file = pfetch_job_state(job);
    const char *path = pfetch_job_path(job);
    int64_t length = response->length_bytes;
    enum pfetch_reply reply =
        pf_room_begin(&dir->room, path,
                       length < 0 ? -1 : length - offset_bytes, why);

    if (reply != PFETCH_GO) {
        drop_part(dir, file, path);
        return reply;
    }
    if (file->part.fd < 0) {
        int error = open_part(dir, file, path, response->is_complete);

        if (error == EEXIST) {
            pfetch_failure_set(why, PFETCH_CLASS_LOCAL,
                               "the temporary file of %.120s cannot be used: "
                               "something else has its name", path);
            return PFETCH_FAIL;
        }
        if (error != 0)
            return fail_part(dir, file, path, error, "create", why);
    }
    int error = pf_part_restart(&file->part, offset_bytes);
    if (error != 0)
        return fail_part(dir, file, path, error, "continue", why);
    /* What it says must never be more than what it holds: the old bytes are
     * gone by now, and the new ones are yet to come. */
    if (offset_bytes == 0) {
        error = pf_filestate_write(&dir->state, file->part.fd, file->hash,
                                   response->length_bytes, response->etag,
                                   response->last_modified);
        if (error != 0)
            return fail_part(dir, file, path, error, "write", why);
        file->marked_bytes = response->length_bytes;
    }
    /* The answer to a continued request may be silent about it. */
    if (offset_bytes == 0 || response->last_modified_unix != -1)
        file->modified_unix = response->last_modified_unix;
    error = keep_sent_name(dir, job, file, response);
    if (error != 0)
        return fail_part(dir, file, path, error, "name", why);
    return PFETCH_GO;
}

static enum pfetch_reply take(void *self, struct pfetch_job *job,
                              const void *data, size_t size,
                              struct pfetch_failure *why)
{
    struct dir *dir = self;
    struct file *file = pfetch_job_state(job);
    int64_t before = file->part.written_bytes;
    enum pfetch_reply reply =
        pf_room_write(&dir->room, (int64_t)size, why);

    if (reply != PFETCH_GO) {
        drop_part(dir, file, pfetch_job_path(job));
        return reply;
    }
    int error = pf_part_write(&file->part, data, size);

    if (error == 0 && dir->durable.max > 0)
        pf_durable_wrote(file->part.fd, before, file->part.written_bytes);
    if (error == 0)
        return PFETCH_GO;
    return fail_part(dir, file, pfetch_job_path(job), error, "write", why);
}

/* --- end ---------------------------------------------------------------- */

/* Everything that can be done before the file has its name.  0 or an errno. */
static int complete_part(struct dir *dir, struct file *file,
                         const struct pfetch_record *record)
{
    if (file->marked_bytes != file->part.written_bytes) {
        int error = pf_filestate_write(&dir->state, file->part.fd, file->hash,
                                       file->part.written_bytes, record->etag,
                                       record->last_modified);

        if (error != 0)
            return error;
    }
    if (dir->remote_time && file->modified_unix != -1)
        pf_part_set_time(&file->part, file->modified_unix);
    /* Else name_durable() does it: it may take as long as fsync(2). */
    return dir->durable.max > 0 ? 0 : pf_part_flush(&file->part);
}

static enum pfetch_reply fail_exists(struct dir *dir, struct file *file,
                                     const char *path, const char *what,
                                     struct pfetch_failure *why)
{
    drop_part(dir, file, path);
    pfetch_failure_set(why, PFETCH_CLASS_EXISTS, "%.200s %s", path, what);
    return PFETCH_FAIL;
}

static bool is_kept(const struct dir *dir, int parent, const char *name)
{
    struct stat st;

    return dir->is_kept != NULL
           && fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) == 0
           && dir->is_kept(dir->user, st.st_dev, st.st_ino);
}

static enum pfetch_reply replace(struct dir *dir, struct file *file,
                                 const char *path, int parent,
                                 struct pfetch_failure *why)
{
    const char *name = pf_outname_last(path);

    if (is_kept(dir, parent, name))
        return fail_exists(dir, file, path, "is a file of this run", why);
    int error = pf_part_replace(&file->part, parent, name, name,
                                &dir->ways);

    if (error == EISDIR || error == ENOTEMPTY || error == EEXIST)
        return fail_exists(dir, file, path, "is a directory", why);
    if (error != 0)
        return fail_part(dir, file, path, error, "rename", why);
    pf_part_close(&file->part);
    return PFETCH_GO;
}

/* Whether the file that has the name is this URL's complete one.  A name that
 * a server has sent is trusted by no means. */
static bool is_done(const struct dir *dir, const struct pfetch_job *job,
                    const struct file *file, int parent, const char *name,
                    bool renamed)
{
    return (!renamed || atomic_load(&dir->state.usable))
           && pf_naming_look(&dir->naming, parent, name, file->hash,
                             pfetch_job_request(job)) == PF_FOUND_OWN;
}

/* Gives the file its name.  Another process may have taken that since plan:
 * with this URL's complete file, then all is done; or with something else,
 * then further numbers are tried.  So they are for a name that the server has
 * sent: nothing is replaced under that. */
static enum pfetch_reply publish(struct dir *dir, struct pfetch_job *job,
                                 struct file *file, const char *first_path,
                                 int parent, struct pfetch_failure *why)
{
    const char *name = pf_outname_last(first_path);
    char path[PF_PATH_SIZE];
    uint32_t number = 0;

    memcpy(path, first_path, strlen(first_path) + 1);
    if (file->sent_name != NULL
        && pf_naming_rename(&dir->naming, &dir->digest, job, file->sent_name,
                            &number, path) != 0)
        return fail_part(dir, file, first_path, ENOMEM, "name", why);
    bool renamed = strcmp(path, first_path) != 0;
    if (dir->naming.exist == PFETCH_DIR_EXIST_OVERWRITE && !renamed)
        return replace(dir, file, first_path, parent, why);
    bool numbers = dir->naming.exist == PFETCH_DIR_EXIST_AUTO
                   || dir->naming.exist == PFETCH_DIR_EXIST_UPDATE
                   || (renamed
                       && dir->naming.exist != PFETCH_DIR_EXIST_ERROR);
    for (;;) {
        const char *final = pf_outname_last(path);
        int error = pf_part_publish(&file->part, parent, name, final,
                                    &dir->ways);

        if (error != 0 && error != EEXIST)
            return fail_part(dir, file, first_path, error, "rename", why);
        if (error == EEXIST && !numbers) {
            drop_part(dir, file, first_path);
            return fail_exists(dir, file, path,
                               renamed ? "is there already"
                                       : "has been created by another process",
                               why);
        }
        bool done = error == 0
                    || is_done(dir, job, file, parent, final, renamed);
        if (done && error == EEXIST && dir->durable.max > 0) {
            int other = pf_durable_sync_other(parent, final);

            if (other != 0)
                return fail_part(dir, file, first_path, other, "sync", why);
        }
        if (done && (renamed || number > 0)
            && pfetch_job_set_path(job, path) != 0)
            return fail_part(dir, file, first_path, ENOMEM, "name", why);
        if (error == 0)
            pf_part_close(&file->part);
        else if (done)
            drop_part(dir, file, first_path);
        if (done)
            return PFETCH_GO;
        if (pf_naming_next(&dir->naming, &dir->digest, job,
                           renamed ? file->sent_name : NULL, &number, path)
            != 0)
            return fail_part(dir, file, first_path, ENOMEM, "name", why);
    }
}

/* Whether what is to be updated is still this URL's.  Between this look and
 * the rename it may change, as with any rename. */
static bool is_still_own(struct dir *dir, const struct file *file, int parent,
                         const char *name)
{
    struct pf_filemark mark;

    return pf_filestate_get(&dir->state, parent, name, &mark)
           && memcmp(mark.hash, file->hash, sizeof file->hash) == 0;
}

/* Leaves the temporary file neither open nor there, whatever it answers. */
static enum pfetch_reply name_file(struct dir *dir, struct pfetch_job *job,
                                   struct file *file,
                                   struct pfetch_failure *why)
{
    char path[PF_PATH_SIZE]; /* the job's may change on the way */

    memcpy(path, pfetch_job_path(job), strlen(pfetch_job_path(job)) + 1);
    int parent = pf_walk_open(&dir->walk, path, false);
    if (parent < 0)
        return fail_part(dir, file, path, errno, "rename", why);
    if (file->is_update
        && is_still_own(dir, file, parent, pf_outname_last(path)))
        return replace(dir, file, path, parent, why);
    return publish(dir, job, file, path, parent, why);
}

/* A pf_durable_name_fn. */
static enum pfetch_reply name_durable(void *self, struct pfetch_job *job,
                                      int error, struct pfetch_failure *why)
{
    struct dir *dir = self;
    struct file *file = pfetch_job_state(job);
    enum pfetch_reply reply;

    if (error == 0)
        error = pf_part_flush(&file->part);
    if (error == 0)
        reply = name_file(dir, job, file, why);
    else
        reply = fail_part(dir, file, pfetch_job_path(job), error, "sync",
                          why);
    pfetch_job_set_state(job, NULL);
    free_file(file);
    return reply;
}

/* Leaves the temporary file neither open nor there, whatever it answers, but
 * for PFETCH_PENDING. */
static enum pfetch_reply commit(struct dir *dir, struct pfetch_job *job,
                                struct file *file,
                                const struct pfetch_record *record,
                                struct pfetch_failure *why)
{
    const char *path = pfetch_job_path(job);

    if (file->part.fd < 0) {
        pfetch_failure_set(why, PFETCH_CLASS_LOCAL, "%.200s was not begun",
                           path);
        return PFETCH_FAIL;
    }
    int error = complete_part(dir, file, record);
    if (error != 0)
        return fail_part(dir, file, path, error, "write", why);
    if (dir->durable.max > 0)
        return pf_durable_add(&dir->durable, job, file->part.fd,
                              file->part.written_bytes);
    return name_file(dir, job, file, why);
}

/* Whether the failure leaves hope that the rest can be had another time. */
static bool may_be_continued(const struct pfetch_record *record)
{
    if (record->status != PFETCH_STATUS_FAILED)
        return false;
    switch (record->cls) {
    case PFETCH_CLASS_DNS:
    case PFETCH_CLASS_CONNECT:
    case PFETCH_CLASS_TLS:
    case PFETCH_CLASS_PROXY:
    case PFETCH_CLASS_TIMEOUT:
    case PFETCH_CLASS_SHORT:
    case PFETCH_CLASS_HOST_DOWN:
    case PFETCH_CLASS_STOPPED:
        return true;
    case PFETCH_CLASS_HTTP:
        return record->http_status != 404 && record->http_status != 410;
    default: /* what has come is not wanted, or this machine has failed */
        return false;
    }
}

/* Lets the temporary file stay, closed, if a later run can continue it. */
static bool keep_part(struct dir *dir, struct file *file,
                      const struct pfetch_record *record)
{
    struct pf_filemark mark;

    if (!dir->resume || !may_be_continued(record)
        || !pf_part_can_stay(&file->part)
        || !pf_filestate_get_open(&dir->state, file->part.fd, &mark)
        || !pf_filemark_is_continuable(&mark, file->hash,
                                       file->part.written_bytes)
        || pf_part_flush(&file->part) != 0)
        return false;
    pf_part_close(&file->part);
    return true;
}

static enum pfetch_reply end(void *self, struct pfetch_job *job,
                             const struct pfetch_record *record,
                             struct pfetch_failure *why)
{
    struct dir *dir = self;
    struct file *file = pfetch_job_state(job);
    enum pfetch_reply reply = PFETCH_GO;

    if (record->status == PFETCH_STATUS_OK)
        reply = commit(dir, job, file, record, why);
    else if (!keep_part(dir, file, record))
        drop_part(dir, file, pfetch_job_path(job));
    if (reply == PFETCH_PENDING)
        return reply; /* name_durable() ends it, or has ended it */
    pfetch_job_set_state(job, NULL);
    free_file(file);
    return reply;
}

static void idle(void *self)
{
    struct dir *dir = self;

    pf_durable_flush(&dir->durable);
}

/* --- create and free ---------------------------------------------------- */

void pfetch_dir_options_init(struct pfetch_dir_options *options)
{
    *options = (struct pfetch_dir_options){
        .size = sizeof *options,
        .dir = ".",
        .name = PFETCH_DIR_NAME_BASENAME,
        .exist = PFETCH_DIR_EXIST_AUTO,
        .remote_time = true,
        .resume = true,
        .group_files = 64,
    };
}

static void free_dir(struct dir *dir)
{
    pf_durable_fini(&dir->durable);
    pf_walk_close(&dir->walk);
    pf_digest_fini(&dir->digest);
    pf_naming_fini(&dir->naming);
    if (dir->root >= 0)
        (void)close(dir->root); /* a directory: nothing was written */
    free(dir);
}

/* Sets up what needs the directory open.  0, PFETCH_ENOMEM, or PFETCH_EINVAL
 * with *why set; dir is fit for free_dir() after all of them. */
static int init_dir(struct dir *dir, const struct pfetch_dir_options *options,
                    struct pfetch_failure *why)
{
    dir->remote_time = options->remote_time;
    dir->resume = options->resume;
    dir->is_kept = options->is_kept;
    dir->user = options->user;
    pf_walk_init(&dir->walk, dir->root);
    pf_room_init(&dir->room, dir->root,
                  options->dry_run ? 0 : options->reserve_bytes);
    pf_filestate_init(&dir->state, dir->root, options->on_notice,
                      options->user);
    int digest = pf_digest_init(&dir->digest);
    int naming = pf_naming_init(&dir->naming, options, dir->root,
                                &dir->state);
    if (digest != 0 || naming != 0)
        return PFETCH_ENOMEM;
    if (!options->durable || options->dry_run)
        return 0;
    return pf_durable_init(&dir->durable, dir->root, options->group_files,
                           name_durable, dir, why);
}

bool pfetch_dir_template_check(const char *text, struct pfetch_failure *why)
{
    const char *wrong = pf_outname_check_template(text);

    if (wrong != NULL)
        pfetch_failure_set(why, PFETCH_CLASS_LOCAL,
                           "'%.100s' cannot be a template of names: %s", text,
                           wrong);
    return wrong == NULL;
}

static bool check_options(const struct pfetch_dir_options *options,
                          struct pfetch_failure *why)
{
    if (options->size != sizeof *options || options->dir == NULL
        || options->group_files == 0 || options->reserve_bytes < 0)
        pfetch_failure_set(why, PFETCH_CLASS_LOCAL,
                           "the options were not made by "
                           "pfetch_dir_options_init()");
    else if (options->fan_out > PF_FAN_OUT_MAX)
        pfetch_failure_set(why, PFETCH_CLASS_LOCAL,
                           "more than %d directories", PF_FAN_OUT_MAX);
    else
        return options->name_template == NULL
               || pfetch_dir_template_check(options->name_template, why);
    return false;
}

int pfetch_dir_create(struct pfetch_handler *handler,
                      const struct pfetch_dir_options *options,
                      struct pfetch_failure *why)
{
    *handler = (struct pfetch_handler){ .self = NULL };
    if (!check_options(options, why))
        return PFETCH_EINVAL;
    struct dir *dir = calloc(1, sizeof *dir);
    if (dir == NULL) {
        pfetch_failure_set(why, PFETCH_CLASS_LOCAL, "out of memory");
        return PFETCH_ENOMEM;
    }
    dir->root = pf_place_open(options->dir, !options->dry_run, why);
    if (dir->root < 0 && !(options->dry_run && errno == ENOENT)) {
        free(dir);
        return PFETCH_EINVAL;
    }
    int error = init_dir(dir, options, why);
    if (error != 0) {
        free_dir(dir);
        if (error == PFETCH_ENOMEM)
            pfetch_failure_set(why, PFETCH_CLASS_LOCAL, "out of memory");
        return error;
    }
    handler->self = dir;
    handler->plan = plan;
    handler->resume = resume;
    handler->begin = begin;
    handler->take = take;
    handler->end = end;
    handler->idle = dir->durable.max > 0 ? idle : NULL;
    return 0;
}

void pfetch_dir_free(struct pfetch_handler *handler)
{
    if (handler->self != NULL)
        free_dir(handler->self);
    *handler = (struct pfetch_handler){ .self = NULL };
}
