/* dir.c - the handler that writes one file a URL into a directory.
 *
 * SPDX-License-Identifier: MIT
 *
 * plan (adding thread) decides the name and whether the file is there
 * (naming.c).  begin creates the temporary file (part.c), take writes to it,
 * end marks it as complete (filestate.c) and gives it its name without
 * replacing anything, or removes it; all three on the writer thread.  Nothing
 * is left open or lying about between an end and the next begin, so there is
 * nothing to do when the run is over.
 *
 * Whenever begin, take or end fails the temporary file is removed at once, so
 * that its space is free again.
 *
 * A small body costs: openat, fcntl, fstat and fstatat (create, lock, check),
 * write, fsetxattr, futimens, fcntl and close (errors that close tells),
 * renameat2, close; and one fstatat in plan, unless the directory was empty
 * at the start.  All are relative to an open directory.
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
#include "filestate.h"
#include "naming.h"
#include "part.h"
#include "place.h"

struct dir {
    int root; /* the directory; -1: missing, dry run.  Read-only */
    bool remote_time;           /* read-only */
    bool (*is_kept)(void *user, uint64_t dev, uint64_t ino); /* read-only */
    void *user;                 /* read-only: is_kept's */
    struct pf_filestate state;  /* any thread */
    struct pf_naming naming;    /* adding thread, but for pf_naming_look()
                                 * and pf_naming_next() */
    struct pf_digest digest;    /* writer thread only, as all below */
    struct pf_walk walk;
    enum pf_publish_way way;
};

/* The state of a job: from plan to end. */
struct file {
    uint8_t hash[PF_URL_HASH_BYTES]; /* of the URL */
    struct pf_part part;
    int64_t modified_unix; /* Last-Modified; -1: none */
    char *sent_name; /* by the server, made safe; NULL: none that counts */
};

/* --- plan --------------------------------------------------------------- */

static enum pfetch_reply plan(void *self, struct pfetch_job *job,
                              struct pfetch_failure *why)
{
    struct dir *dir = self;
    uint8_t hash[PF_URL_HASH_BYTES];
    enum pfetch_reply reply = pf_naming_plan(&dir->naming, job, hash, why);

    if (reply != PFETCH_GO)
        return reply;
    struct file *file = malloc(sizeof *file);
    if (file == NULL) {
        pfetch_failure_set(why, PFETCH_CLASS_LOCAL, "out of memory");
        return PFETCH_BROKEN;
    }
    memcpy(file->hash, hash, sizeof hash);
    pf_part_init(&file->part);
    file->modified_unix = -1;
    file->sent_name = NULL;
    pfetch_job_set_state(job, file);
    return PFETCH_GO;
}

/* --- begin and take ----------------------------------------------------- */

/* Opens the temporary file, and the directories to it.  0 or an errno. */
static int open_part(struct dir *dir, struct file *file, const char *path)
{
    int parent = pf_walk_open(&dir->walk, path, true);

    if (parent < 0)
        return errno;
    int error = pf_part_open(&file->part, parent, pf_outname_last(path));
    if (error != ENOENT || parent == dir->root)
        return error;
    /* The directory kept open was removed: make it anew, once. */
    pf_walk_close(&dir->walk);
    parent = pf_walk_open(&dir->walk, path, true);
    return parent < 0 ? errno
                      : pf_part_open(&file->part, parent,
                                     pf_outname_last(path));
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

    if (file->part.fd < 0) {
        int error = open_part(dir, file, path);

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
    int error = pf_part_write(&file->part, data, size);

    if (error == 0)
        return PFETCH_GO;
    return fail_part(dir, file, pfetch_job_path(job), error, "write", why);
}

/* --- end ---------------------------------------------------------------- */

/* Everything that can be done before the file has its name.  0 or an errno. */
static int complete_part(struct dir *dir, struct file *file,
                         const struct pfetch_record *record)
{
    int error = pf_filestate_write(&dir->state, file->part.fd, file->hash,
                                   file->part.written_bytes, record->etag,
                                   record->last_modified);

    if (error != 0)
        return error;
    if (dir->remote_time && file->modified_unix != -1)
        pf_part_set_time(&file->part, file->modified_unix);
    return pf_part_flush(&file->part);
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
    int error = pf_part_replace(&file->part, parent, name, name);

    if (error == EISDIR || error == ENOTEMPTY || error == EEXIST)
        return fail_exists(dir, file, path, "is a directory", why);
    if (error != 0)
        return fail_part(dir, file, path, error, "rename", why);
    pf_part_close(&file->part);
    return PFETCH_GO;
}

/* Whether the file that has the name is this URL's complete one.  A name that
 * a server has sent is trusted by no means. */
static bool is_done(const struct dir *dir, const struct file *file,
                    int parent, const char *name, bool renamed)
{
    return (!renamed || atomic_load(&dir->state.usable))
           && pf_naming_look(&dir->naming, parent, name, file->hash)
                  == PF_FOUND_OWN;
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
                   || (renamed
                       && dir->naming.exist != PFETCH_DIR_EXIST_ERROR);
    for (;;) {
        const char *final = pf_outname_last(path);
        int error = pf_part_publish(&file->part, parent, name, final,
                                    &dir->way);

        if (error != 0 && error != EEXIST)
            return fail_part(dir, file, first_path, error, "rename", why);
        if (error == EEXIST && !numbers) {
            drop_part(dir, file, first_path);
            return fail_exists(dir, file, path,
                               renamed ? "is there already"
                                       : "has been created by another process",
                               why);
        }
        bool done = error == 0 || is_done(dir, file, parent, final, renamed);
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

/* Leaves the temporary file neither open nor there, whatever it answers. */
static enum pfetch_reply commit(struct dir *dir, struct pfetch_job *job,
                                struct file *file,
                                const struct pfetch_record *record,
                                struct pfetch_failure *why)
{
    char path[PF_PATH_SIZE]; /* the job's may change on the way */

    memcpy(path, pfetch_job_path(job), strlen(pfetch_job_path(job)) + 1);
    if (file->part.fd < 0) {
        pfetch_failure_set(why, PFETCH_CLASS_LOCAL, "%.200s was not begun",
                           path);
        return PFETCH_FAIL;
    }
    int error = complete_part(dir, file, record);
    if (error != 0)
        return fail_part(dir, file, path, error, "write", why);
    int parent = pf_walk_open(&dir->walk, path, false);
    if (parent < 0)
        return fail_part(dir, file, path, errno, "rename", why);
    return publish(dir, job, file, path, parent, why);
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
    else
        drop_part(dir, file, pfetch_job_path(job));
    pfetch_job_set_state(job, NULL);
    free(file->sent_name);
    free(file);
    return reply;
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
    };
}

static void free_dir(struct dir *dir)
{
    pf_walk_close(&dir->walk);
    pf_digest_fini(&dir->digest);
    pf_naming_fini(&dir->naming);
    if (dir->root >= 0)
        (void)close(dir->root); /* a directory: nothing was written */
    free(dir);
}

/* Sets up what needs the directory open.  0 or PFETCH_ENOMEM; dir is fit for
 * free_dir() after both. */
static int init_dir(struct dir *dir, const struct pfetch_dir_options *options)
{
    dir->remote_time = options->remote_time;
    dir->is_kept = options->is_kept;
    dir->user = options->user;
    dir->way = PF_PUBLISH_NOREPLACE;
    pf_walk_init(&dir->walk, dir->root);
    pf_filestate_init(&dir->state, dir->root, options->on_notice,
                      options->user);
    int digest = pf_digest_init(&dir->digest);
    int naming = pf_naming_init(&dir->naming, options, dir->root,
                                &dir->state);
    return digest != 0 ? digest : naming;
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
    if (options->size != sizeof *options || options->dir == NULL)
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
    if (init_dir(dir, options) != 0) {
        free_dir(dir);
        pfetch_failure_set(why, PFETCH_CLASS_LOCAL, "out of memory");
        return PFETCH_ENOMEM;
    }
    handler->self = dir;
    handler->plan = plan;
    handler->begin = begin;
    handler->take = take;
    handler->end = end;
    return 0;
}

void pfetch_dir_free(struct pfetch_handler *handler)
{
    if (handler->self != NULL)
        free_dir(handler->self);
    *handler = (struct pfetch_handler){ .self = NULL };
}
