/* naming.c - which name a line of the list gets.
 *
 * SPDX-License-Identifier: MIT
 *
 * A line whose URL had a line before is skipped, unless out= differs or names
 * have the number of the line.  The base of a name comes from the URL
 * (outname.h), in one of the directories of a fan-out, or is what out= says.  Candidates are the base, if no line of this run
 * has it, and then the base with the numbers 1, 2, ..., those passed over
 * which a line of this run has.  The first candidate that suits is taken: with
 * --exist auto that is one where nothing stands, or this URL's own file, and
 * then there is nothing to fetch.
 *
 * So the same list finds its files by one look-up a line.  When the list has
 * changed (only the failed lines, another shard), this URL's file may have
 * another number than the list gives it now.  Therefore the first time that a
 * candidate is not simply this URL's own file, the directory is read once, and
 * for each file with a number in its name and our attribute the number is
 * kept under the hash of its URL (14 bytes for each such file).  A name that
 * is another's is not reserved: its own line may be yet to come.
 *
 * With names from headers (--content-disposition) such a file may have any
 * name; then the names themselves are kept, and every mode of --exist is told
 * of that file instead of what stands at the candidate.
 *
 * The numbers tried are remembered with the base: at the entry it has in the
 * table if a line of this run has it, else in an entry of its own once that
 * saves more than a few look-ups.
 *
 * A name can be needed as a file and as a directory.  The directories are in
 * the table too, an entry for each; the line that comes later fails.  So does
 * one whose out= an earlier line has: only names that we have made are
 * numbered when they meet in the list.
 *
 * With --name number no two names are equal and none is kept, until a line has
 * out=.  That line must not name what an earlier number may have got, and so
 * fails if its name begins with a number that is not greater than theirs.
 */
#include "config.h"

#include "naming.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    LAST_NUMBER = INT32_MAX,
    OWN_ROOM = 4096, /* bytes of names, at first */
    STEPS_WORTH_AN_ENTRY = 8
};

/* The number of a directory's key in the table. */
enum pf_dir_value {
    DIR_NEEDED = 1, /* by a line of this run */
    DIR_READ = 2    /* needed, and searched for files of earlier runs */
};

/* A line on its way to a name. */
struct line {
    struct pfetch_job *job;
    const char *url;
    const char *given; /* out=, or NULL */
    uint8_t hash[PF_DIGEST_BYTES]; /* of the URL */
    uint64_t seen_key; /* finds the same line again; 0: never the same */
    char base[PF_PATH_SIZE];
    uint64_t base_key;
    uint32_t number; /* of the candidate; 0: the base itself */
    char path[PF_PATH_SIZE]; /* the candidate */
    uint64_t path_key;
};

/* Opens a directory to list it, by closedir(); NULL: it cannot be listed. */
static DIR *open_list(int dir)
{
    int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = fd >= 0 ? fdopendir(fd) : NULL;

    if (list == NULL && fd >= 0)
        (void)close(fd); /* nothing was written */
    return list;
}

static bool is_empty_dir(int dir)
{
    DIR *list = open_list(dir);
    const struct dirent *entry;

    if (list == NULL)
        return false;
    do
        entry = readdir(list);
    while (entry != NULL && (strcmp(entry->d_name, ".") == 0
                             || strcmp(entry->d_name, "..") == 0));
    (void)closedir(list); /* nothing was written */
    return entry == NULL;
}

static const char *template_of(const struct pfetch_dir_options *options)
{
    static const char *const modes[] = {
        [PFETCH_DIR_NAME_BASENAME] = "{base}",
        [PFETCH_DIR_NAME_PATH] = "{host}/{path}",
        [PFETCH_DIR_NAME_HASH] = "{hash}",
        [PFETCH_DIR_NAME_NUMBER] = "{n}",
    };

    return options->name_template != NULL ? options->name_template
                                          : modes[options->name];
}

int pf_naming_init(struct pf_naming *naming,
                   const struct pfetch_dir_options *options, int root,
                   struct pf_filestate *state)
{
    naming->template = strdup(template_of(options));
    naming->exist = options->exist;
    naming->fan_out = options->fan_out;
    naming->is_done = options->is_done;
    naming->user = options->user;
    naming->root = root;
    naming->was_empty = root < 0 || is_empty_dir(root);
    naming->state = state;
    naming->known_dirs[0] = '\0';
    naming->last_unkept = 0;
    naming->by_header = options->content_disposition;
    naming->own_names = NULL;
    naming->own_size = naming->own_room = 0;
    naming->names = pf_nametable_create();
    pf_walk_init(&naming->walk, root);
    if (pf_digest_init(&naming->digest) != 0 || naming->names == NULL
        || naming->template == NULL)
        return PFETCH_ENOMEM;
    naming->counts = pf_outname_has_number(naming->template);
    atomic_init(&naming->keeps_names, naming->by_header
                                          || strcmp(naming->template, "{n}")
                                                 != 0);
    atomic_init(&naming->has_dirs, false);
    return 0;
}

void pf_naming_fini(struct pf_naming *naming)
{
    pf_walk_close(&naming->walk);
    pf_digest_fini(&naming->digest);
    pf_nametable_free(naming->names);
    naming->names = NULL;
    free(naming->template);
    naming->template = NULL;
    free(naming->own_names);
    naming->own_names = NULL;
}

/* --- names and keys ----------------------------------------------------- */

/* The name of a line before it is numbered, unless out= gives it. */
static int make_base(const struct pf_naming *naming, struct pf_digest *digest,
                     const struct pfetch_job *job,
                     const uint8_t hash[PF_URL_HASH_BYTES],
                     char base[PF_PATH_SIZE])
{
    size_t len = 0;

    if (naming->fan_out > 0) {
        pf_outname_fan_out(hash, naming->fan_out, base);
        len = strlen(base);
    }
    return pf_outname_expand(digest, naming->template, pfetch_job_url(job),
                             pfetch_job_request(job)->n, base + len);
}

/* The key of the first len bytes of a path. */
static int make_key(struct pf_digest *digest, enum pf_space space,
                    const char *path, size_t len, uint64_t *key)
{
    uint8_t sum[PF_DIGEST_BYTES];

    if (pf_digest_sum(digest, (char)space, path, len, sum) != 0)
        return PFETCH_ENOMEM;
    *key = pf_nametable_key(space, sum);
    return 0;
}

static int set_candidate(struct pf_naming *naming, struct line *line,
                         uint32_t number)
{
    line->number = number;
    if (number == 0)
        memcpy(line->path, line->base, strlen(line->base) + 1);
    else if (pf_outname_number(&naming->digest, line->base, number, line->url,
                               line->path) != 0)
        return PFETCH_ENOMEM;
    if (!naming->keeps_names)
        return 0;
    return make_key(&naming->digest, PF_SPACE_NAME, line->path,
                    strlen(line->path), &line->path_key);
}

/* Whether a line of this run needs the path as a directory.  1, 0 or
 * PFETCH_ENOMEM. */
static int is_dir_of_run(struct pf_naming *naming, struct pf_digest *digest,
                         const char *path)
{
    uint64_t key;

    if (!naming->has_dirs)
        return 0;
    if (make_key(digest, PF_SPACE_DIR, path, strlen(path), &key) != 0)
        return PFETCH_ENOMEM;
    return pf_nametable_get(naming->names, key) != 0;
}

/* Whether a line of this run has the candidate.  1, 0 or PFETCH_ENOMEM. */
static int is_taken(struct pf_naming *naming, const struct line *line)
{
    if (!naming->keeps_names)
        return 0;
    if (pf_nametable_taken(naming->names, line->path_key, NULL))
        return 1;
    return is_dir_of_run(naming, &naming->digest, line->path);
}

/* --- what is there ------------------------------------------------------ */

enum pf_found pf_naming_look(const struct pf_naming *naming, int dir,
                             const char *name,
                             const uint8_t hash[PF_URL_HASH_BYTES],
                             const struct pfetch_request *request)
{
    uint8_t there[PF_URL_HASH_BYTES];
    int64_t size_bytes;
    struct stat st;

    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? PF_FOUND_NOTHING : PF_FOUND_ERROR;
    if (S_ISDIR(st.st_mode))
        return PF_FOUND_DIR;
    if (!S_ISREG(st.st_mode))
        return PF_FOUND_OTHER;
    bool is_marked = pf_filestate_read(naming->state, dir, name, there,
                                       &size_bytes);
    if (is_marked && memcmp(there, hash, PF_URL_HASH_BYTES) != 0)
        return PF_FOUND_OTHER;
    /* One that was cut short since is not this URL's complete file. */
    bool is_own = is_marked && size_bytes == st.st_size;
    /* What the list says of the file decides, whoever has put it there. */
    if ((request->has_size && request->size_bytes != st.st_size)
        || (request->checksum != NULL
            && !pf_digest_matches(request->checksum, dir, name)))
        return is_own ? PF_FOUND_STALE : PF_FOUND_OTHER;
    if (is_own || request->checksum != NULL
        || (request->has_size && !is_marked))
        return PF_FOUND_OWN;
    /* Where files cannot say whose they are, the name has to do. */
    return atomic_load(&naming->state->usable) ? PF_FOUND_OTHER
                                               : PF_FOUND_OWN;
}

static enum pf_found look_at(struct pf_naming *naming,
                             const struct line *line)
{
    int dir;

    /* What others put there during the run is met when the file gets its
     * name, which replaces nothing. */
    if (naming->was_empty)
        return PF_FOUND_NOTHING;
    dir = pf_walk_open(&naming->walk, line->path, false);
    if (dir < 0)
        return errno == ENOENT ? PF_FOUND_NOTHING : PF_FOUND_ERROR;
    return pf_naming_look(naming, dir, pf_outname_last(line->path),
                          line->hash, pfetch_job_request(line->job));
}

/* Keeps a name, and answers where: not 0.  0: it cannot be one of ours, or
 * there is no memory. */
static uint32_t keep_own_name(struct pf_naming *naming, const char *name)
{
    size_t size = strlen(name) + 1;
    size_t at = naming->own_size;

    if (pf_outname_check(name) != NULL || at + size >= UINT32_MAX)
        return 0;
    if (at + size > naming->own_room) {
        size_t room = naming->own_room + naming->own_room / 2 + OWN_ROOM;
        char *larger = realloc(naming->own_names, room);

        if (larger == NULL)
            return 0;
        naming->own_names = larger;
        naming->own_room = room;
    }
    memcpy(naming->own_names + at, name, size);
    naming->own_size += size;
    return (uint32_t)at + 1;
}

/* Keeps this file of an earlier run for its URL, unless a smaller one is
 * known: the order of the directory is no matter.  False: no memory. */
static bool keep_own(struct pf_naming *naming, const char *name,
                     const uint8_t hash[PF_URL_HASH_BYTES])
{
    uint64_t key = pf_nametable_key(PF_SPACE_OWN, hash);
    uint32_t known = pf_nametable_get(naming->names, key);
    uint32_t value;

    if (naming->by_header) {
        if (known != 0 && strcmp(naming->own_names + known - 1, name) <= 0)
            return true;
        value = keep_own_name(naming, name);
    } else {
        value = pf_outname_number_of(name);
        if (known != 0 && known <= value)
            return true;
    }
    return value == 0 || pf_nametable_put(naming->names, key, value) == 0;
}

/* Keeps the number of each file of an earlier run that has one.  What cannot
 * be read is left out: the worst that follows is that a URL is fetched once
 * more, under a new name. */
static void read_dir(struct pf_naming *naming, int dir)
{
    DIR *list = open_list(dir);
    const struct dirent *entry;

    if (list == NULL)
        return;
    while ((entry = readdir(list)) != NULL) {
        uint8_t hash[PF_URL_HASH_BYTES];
        int64_t size_bytes;

        if ((!naming->by_header && pf_outname_number_of(entry->d_name) == 0)
            || (entry->d_type != DT_REG && entry->d_type != DT_UNKNOWN)
            || !pf_filestate_read(naming->state, dir, entry->d_name, hash,
                                  &size_bytes))
            continue;
        if (!keep_own(naming, entry->d_name, hash))
            break;
    }
    (void)closedir(list); /* nothing was written */
}

/* Reads the directory of the line, once in a run.  0 or PFETCH_ENOMEM. */
static int read_dir_once(struct pf_naming *naming, const struct line *line)
{
    size_t len = (size_t)(pf_outname_last(line->base) - line->base);
    uint64_t key;

    if (make_key(&naming->digest, PF_SPACE_DIR, line->base,
                 len > 0 ? len - 1 : 0, &key) != 0)
        return PFETCH_ENOMEM;
    if (pf_nametable_get(naming->names, key) == DIR_READ)
        return 0;
    if (pf_nametable_put(naming->names, key, DIR_READ) != 0)
        return PFETCH_ENOMEM;
    int dir = pf_walk_open(&naming->walk, line->base, false);
    if (dir >= 0)
        read_dir(naming, dir);
    return 0;
}

/* Makes a name in the directory of the line the candidate. */
static int set_own_name(struct pf_naming *naming, struct line *line,
                        const char *name)
{
    size_t len = (size_t)(pf_outname_last(line->base) - line->base);

    /* What out= says is no server's business: a number is all it gets. */
    if (line->given != NULL)
        return set_candidate(naming, line, pf_outname_number_of(name));
    line->number = UINT32_MAX; /* none that the list gives */
    memcpy(line->path, line->base, len);
    memcpy(line->path + len, name, strlen(name) + 1);
    return make_key(&naming->digest, PF_SPACE_NAME, line->path,
                    strlen(line->path), &line->path_key);
}

/* Makes this URL's file of an earlier run the candidate, if there is one
 * under a number that the list does not give it now.  1, 0 (the candidate is
 * what it was) or PFETCH_ENOMEM. */
static int find_own(struct pf_naming *naming, struct line *line)
{
    uint32_t number = line->number;

    if (naming->was_empty || !naming->keeps_names
        || !atomic_load(&naming->state->usable))
        return 0;
    if (read_dir_once(naming, line) != 0)
        return PFETCH_ENOMEM;
    uint32_t own = pf_nametable_get(
        naming->names, pf_nametable_key(PF_SPACE_OWN, line->hash));
    if (own == 0)
        return 0;
    if ((naming->by_header
             ? set_own_name(naming, line, naming->own_names + own - 1)
             : set_candidate(naming, line, own)) != 0)
        return PFETCH_ENOMEM;
    int taken = is_taken(naming, line);
    if (taken < 0)
        return PFETCH_ENOMEM;
    if (taken == 0 && look_at(naming, line) == PF_FOUND_OWN)
        return 1;
    return set_candidate(naming, line, number) != 0 ? PFETCH_ENOMEM : 0;
}

/* --- decisions ---------------------------------------------------------- */

static enum pfetch_reply out_of_memory(struct pfetch_failure *why)
{
    pfetch_failure_set(why, PFETCH_CLASS_LOCAL, "out of memory");
    return PFETCH_BROKEN;
}

static enum pfetch_reply already_there(struct pfetch_failure *why)
{
    pfetch_failure_set(why, PFETCH_CLASS_NONE, "already there");
    return PFETCH_SKIP;
}

/* The candidate is this URL's file.  One that the list says is right needs no
 * look at the server. */
static enum pfetch_reply own_there(struct pf_naming *naming,
                                   const struct line *line,
                                   enum pf_found found,
                                   struct pfetch_failure *why)
{
    const struct pfetch_request *request = pfetch_job_request(line->job);

    if (naming->exist != PFETCH_DIR_EXIST_UPDATE
        || !atomic_load(&naming->state->usable)
        || (found == PF_FOUND_OWN && request->checksum != NULL))
        return already_there(why);
    naming->own = found;
    return PFETCH_GO;
}

/* The candidate is another's: *again, unless this URL's own file is found. */
static enum pfetch_reply judge_auto(struct pf_naming *naming,
                                    struct line *line, enum pf_found found,
                                    bool *again, struct pfetch_failure *why)
{
    if (found == PF_FOUND_OWN
        || (found == PF_FOUND_STALE
            && naming->exist == PFETCH_DIR_EXIST_UPDATE))
        return own_there(naming, line, found, why);
    int own = find_own(naming, line);
    if (own < 0)
        return out_of_memory(why);
    if (own > 0)
        return own_there(naming, line, PF_FOUND_OWN, why);
    *again = found != PF_FOUND_NOTHING;
    return PFETCH_GO;
}

/* Whether an earlier run is known to have made the candidate's file. */
static bool is_recorded(struct pf_naming *naming, const struct line *line)
{
    struct stat st;

    if (naming->is_done == NULL || naming->was_empty)
        return false;
    int dir = pf_walk_open(&naming->walk, line->path, false);
    return dir >= 0
           && fstatat(dir, pf_outname_last(line->path), &st,
                      AT_SYMLINK_NOFOLLOW) == 0
           && S_ISREG(st.st_mode)
           && naming->is_done(naming->user, pfetch_job_request(line->job),
                              line->path, st.st_size);
}

/* What becomes of a line for which no other of this run has the candidate.
 * *again: another number is to be tried. */
static enum pfetch_reply judge(struct pf_naming *naming, struct line *line,
                               bool *again, struct pfetch_failure *why)
{
    if (is_recorded(naming, line)) {
        pfetch_failure_set(why, PFETCH_CLASS_NONE, "ok in an earlier run");
        return PFETCH_SKIP;
    }
    enum pf_found found = look_at(naming, line);
    if (found == PF_FOUND_ERROR)
        return pf_place_failure(naming->root, errno, "look at", line->path,
                                why);
    if (naming->by_header && line->given == NULL && found != PF_FOUND_OWN) {
        int own = find_own(naming, line);

        if (own < 0)
            return out_of_memory(why);
        if (own > 0)
            found = PF_FOUND_OWN;
    }
    if (naming->exist == PFETCH_DIR_EXIST_AUTO
        || naming->exist == PFETCH_DIR_EXIST_UPDATE)
        return judge_auto(naming, line, found, again, why);
    if (found == PF_FOUND_NOTHING)
        return PFETCH_GO;
    if (naming->exist == PFETCH_DIR_EXIST_SKIP)
        return already_there(why);
    if (naming->exist == PFETCH_DIR_EXIST_OVERWRITE && found != PF_FOUND_DIR)
        return PFETCH_GO;
    pfetch_failure_set(why, PFETCH_CLASS_EXISTS, "%.200s %s", line->path,
                       found == PF_FOUND_DIR ? "is a directory"
                                             : "is there already");
    return PFETCH_FAIL;
}

/* Takes the candidate.  1; 0: the writer thread was quicker; PFETCH_ENOMEM.
 * number is the one the list has come to: a file of an earlier run that was
 * found under another does not move it. */
static int claim_candidate(struct pf_naming *naming, const struct line *line,
                           uint32_t number, unsigned steps)
{
    if (!naming->keeps_names) {
        naming->last_unkept = pfetch_job_request(line->job)->n;
        return 1;
    }
    int claimed = pf_nametable_claim(naming->names, line->path_key);
    if (claimed == 1 && number > 0 && number == line->number
        && pf_nametable_set_next(naming->names, line->base_key, number + 1,
                                 steps > STEPS_WORTH_AN_ENTRY) != 0)
        return PFETCH_ENOMEM;
    return claimed;
}

static enum pfetch_reply choose_name(struct pf_naming *naming,
                                     struct line *line,
                                     struct pfetch_failure *why)
{
    uint32_t next = 0;
    uint32_t number = 0;

    if (set_candidate(naming, line, 0) != 0)
        return out_of_memory(why);
    line->base_key = line->path_key;
    if (naming->keeps_names
        && pf_nametable_taken(naming->names, line->base_key, &next))
        number = next > 0 ? next : 1;
    for (unsigned steps = 0; number < LAST_NUMBER; steps++) {
        bool again = false;

        if (set_candidate(naming, line, number) != 0)
            return out_of_memory(why);
        int taken = is_taken(naming, line);
        if (taken == 0) {
            enum pfetch_reply reply = judge(naming, line, &again, why);

            if (reply == PFETCH_BROKEN)
                return reply;
            int claimed = again ? 0 : claim_candidate(naming, line, number,
                                                      steps);
            if (claimed == 1)
                return reply;
            taken = claimed;
        }
        if (taken < 0)
            return out_of_memory(why);
        number = number > 0 ? number + 1 : next > 0 ? next : 1;
    }
    pfetch_failure_set(why, PFETCH_CLASS_NAME, "no number is left for %.150s",
                       line->base);
    return PFETCH_FAIL;
}

/* --- directories -------------------------------------------------------- */

static enum pfetch_reply clash(const char *path, size_t len,
                               struct pfetch_failure *why)
{
    pfetch_failure_set(why, PFETCH_CLASS_NAME,
                       "%.*s is needed as a file and as a directory",
                       (int)(len < 200 ? len : 200), path);
    return PFETCH_FAIL;
}

/* Fails a line that needs a file as a directory, or the reverse. */
static enum pfetch_reply check_dirs(struct pf_naming *naming,
                                    const struct line *line,
                                    struct pfetch_failure *why)
{
    const char *path = line->base;
    uint64_t key;

    int is_dir = is_dir_of_run(naming, &naming->digest, path);
    if (is_dir < 0)
        return out_of_memory(why);
    if (is_dir > 0)
        return clash(path, strlen(path), why);
    size_t known = strlen(naming->known_dirs);
    for (const char *slash = strchr(path, '/'); slash != NULL;
         slash = strchr(slash + 1, '/')) {
        size_t len = (size_t)(slash - path);

        /* No line gets a name that is known to be a directory. */
        if (len < known && strncmp(path, naming->known_dirs, len + 1) == 0)
            continue;
        if (make_key(&naming->digest, PF_SPACE_NAME, path, len, &key) != 0)
            return out_of_memory(why);
        if (pf_nametable_taken(naming->names, key, NULL))
            return clash(path, len, why);
    }
    return PFETCH_GO;
}

/* Reserves the directories of a line that has got its name. */
static int keep_dirs(struct pf_naming *naming, const struct line *line)
{
    const char *path = line->path;
    size_t dirs_len = (size_t)(pf_outname_last(path) - path);
    uint64_t key;

    if (strncmp(path, naming->known_dirs, dirs_len) == 0
        && naming->known_dirs[dirs_len] == '\0')
        return 0;
    for (const char *slash = strchr(path, '/'); slash != NULL;
         slash = strchr(slash + 1, '/')) {
        if (make_key(&naming->digest, PF_SPACE_DIR, path,
                     (size_t)(slash - path), &key) != 0)
            return PFETCH_ENOMEM;
        if (pf_nametable_get(naming->names, key) == 0
            && pf_nametable_put(naming->names, key, DIR_NEEDED) != 0)
            return PFETCH_ENOMEM;
    }
    memcpy(naming->known_dirs, path, dirs_len);
    naming->known_dirs[dirs_len] = '\0';
    return 0;
}

/* --- plan --------------------------------------------------------------- */

static enum pfetch_reply same_url(uint32_t n, struct pfetch_failure *why)
{
    if (n == UINT32_MAX)
        pfetch_failure_set(why, PFETCH_CLASS_NONE,
                           "same URL as an earlier line");
    else
        pfetch_failure_set(why, PFETCH_CLASS_NONE, "same URL as line %u",
                           (unsigned)n);
    return PFETCH_SKIP;
}

/* The line of a request as the table keeps it: its line in its list, as an
 * editor shows it, or its number if it is in no list; beyond 2^32 - 2 the
 * table only says that there was one. */
static uint32_t short_number(const struct pfetch_request *request)
{
    uint64_t n = request->line > 0 ? request->line : request->n;

    return n < UINT32_MAX && n > 0 ? (uint32_t)n : UINT32_MAX;
}

static enum pfetch_reply refuse(struct pfetch_failure *why,
                                const struct line *line, const char *reason)
{
    pfetch_failure_set(why, PFETCH_CLASS_NAME, "out=%.120s: %s", line->given,
                       reason);
    return PFETCH_FAIL;
}

/* Whether an earlier line may have this name although it is not kept: its
 * last component begins with the number of one. */
static bool may_be_unkept(const struct pf_naming *naming, const char *path)
{
    const char *name = pf_outname_last(path);
    uint64_t n = 0;

    if (*name < '1' || *name > '9' || (naming->fan_out > 0) != (name > path))
        return false;
    for (; *name >= '0' && *name <= '9'; name++) {
        if (n > naming->last_unkept)
            return false;
        n = n * 10 + (uint64_t)(*name - '0');
    }
    return (*name == '\0' || *name == '.') && n <= naming->last_unkept;
}

/* The base of a line with out=, if no earlier line has that name. */
static enum pfetch_reply take_given(struct pf_naming *naming,
                                    struct line *line,
                                    struct pfetch_failure *why)
{
    uint64_t key;

    memcpy(line->base, line->given, strlen(line->given) + 1);
    if (make_key(&naming->digest, PF_SPACE_NAME, line->base,
                 strlen(line->base), &key) != 0)
        return out_of_memory(why);
    if (pf_nametable_taken(naming->names, key, NULL))
        return refuse(why, line, "an earlier line has that name");
    if (may_be_unkept(naming, line->base))
        return refuse(why, line, "an earlier line may have that number as "
                                 "its name");
    naming->keeps_names = true;
    return PFETCH_GO;
}

/* Two lines are the same if they ask for one URL under one name. */
static int set_seen_key(struct pf_naming *naming, struct line *line)
{
    uint8_t sum[PF_DIGEST_BYTES];

    line->seen_key = 0;
    if (line->given == NULL) {
        if (!naming->counts)
            line->seen_key = pf_nametable_key(PF_SPACE_URL, line->hash);
        return 0;
    }
    if (pf_digest_sum(&naming->digest, (char)PF_SPACE_URL, line->given,
                      strlen(line->given), sum) != 0)
        return PFETCH_ENOMEM;
    for (size_t i = 0; i < sizeof sum; i++)
        sum[i] ^= line->hash[i];
    line->seen_key = pf_nametable_key(PF_SPACE_URL, sum);
    return 0;
}

/* The base of a line, if it may have one. */
static enum pfetch_reply find_base(struct pf_naming *naming,
                                   struct line *line,
                                   struct pfetch_failure *why)
{
    enum pfetch_reply reply = PFETCH_GO;
    uint32_t n = 0;

    if (set_seen_key(naming, line) != 0)
        return out_of_memory(why);
    if (line->seen_key != 0)
        n = pf_nametable_get(naming->names, line->seen_key);
    if (n != 0)
        return same_url(n, why);
    if (line->given != NULL)
        reply = take_given(naming, line, why);
    else if (make_base(naming, &naming->digest, line->job, line->hash,
                       line->base) != 0)
        return out_of_memory(why);
    if (reply != PFETCH_GO)
        return reply;
    if (!naming->has_dirs && strchr(line->base, '/') != NULL)
        naming->has_dirs = true;
    return naming->has_dirs ? check_dirs(naming, line, why) : PFETCH_GO;
}

static enum pfetch_reply plan_line(struct pf_naming *naming,
                                   struct line *line,
                                   struct pfetch_failure *why)
{
    enum pfetch_reply reply = find_base(naming, line, why);

    if (reply != PFETCH_GO)
        return reply;
    reply = choose_name(naming, line, why);
    if (reply == PFETCH_BROKEN)
        return reply;
    if (line->seen_key != 0
        && pf_nametable_put(naming->names, line->seen_key,
                            short_number(pfetch_job_request(line->job)))
               != 0)
        return out_of_memory(why);
    if (reply == PFETCH_FAIL)
        return reply;
    if ((naming->has_dirs && keep_dirs(naming, line) != 0)
        || pfetch_job_set_path(line->job, line->path) != 0)
        return out_of_memory(why);
    return reply;
}

enum pfetch_reply pf_naming_plan(struct pf_naming *naming,
                                 struct pfetch_job *job,
                                 uint8_t hash[PF_URL_HASH_BYTES],
                                 struct pfetch_failure *why)
{
    struct line line;

    line.job = job;
    line.url = pfetch_job_url(job);
    line.given = pfetch_job_request(job)->out;
    line.path_key = 0;
    naming->own = PF_FOUND_NOTHING;
    if (line.given != NULL) {
        const char *wrong = pf_outname_check(line.given);

        if (wrong != NULL)
            return refuse(why, &line, wrong);
    }
    if (pf_digest_sum(&naming->digest, 0, line.url, strlen(line.url),
                      line.hash) != 0)
        return out_of_memory(why);
    memcpy(hash, line.hash, PF_URL_HASH_BYTES);
    return plan_line(naming, &line, why);
}

/* --- for the writer ----------------------------------------------------- */

/* The name of a job before it is numbered; name is the one that the server has
 * sent, or NULL. */
static int find_job_base(const struct pf_naming *naming,
                         struct pf_digest *digest,
                         const struct pfetch_job *job, const char *name,
                         char base[PF_PATH_SIZE])
{
    const char *given = pfetch_job_request(job)->out;
    const char *url = pfetch_job_url(job);
    uint8_t hash[PF_DIGEST_BYTES];

    if (given != NULL)
        memcpy(base, given, strlen(given) + 1);
    else if (pf_digest_sum(digest, 0, url, strlen(url), hash) != 0
             || make_base(naming, digest, job, hash, base) != 0)
        return PFETCH_ENOMEM;
    if (name != NULL)
        memcpy(base + (pf_outname_last(base) - base), name,
               strlen(name) + 1);
    return 0;
}

/* Takes a path for the writer thread.  1, 0 (it is taken), PFETCH_ENOMEM. */
static int claim_path(struct pf_naming *naming, struct pf_digest *digest,
                      const char *path)
{
    int is_dir = is_dir_of_run(naming, digest, path);
    uint64_t key;

    if (is_dir < 0
        || make_key(digest, PF_SPACE_NAME, path, strlen(path), &key) != 0)
        return PFETCH_ENOMEM;
    return is_dir ? 0 : pf_nametable_claim(naming->names, key);
}

int pf_naming_next(struct pf_naming *naming, struct pf_digest *digest,
                   const struct pfetch_job *job, const char *name,
                   uint32_t *number, char path[PF_PATH_SIZE])
{
    struct pf_nametable *names = naming->names;
    char base[PF_PATH_SIZE];
    uint64_t base_key;
    uint32_t next = 0;

    if (find_job_base(naming, digest, job, name, base) != 0
        || make_key(digest, PF_SPACE_NAME, base, strlen(base), &base_key) != 0)
        return PFETCH_ENOMEM;
    for (;;) {
        if (naming->keeps_names)
            (void)pf_nametable_taken(names, base_key, &next); /* it is */
        *number = next > *number ? next : *number + 1;
        if (pf_outname_number(digest, base, *number, pfetch_job_url(job), path)
            != 0)
            return PFETCH_ENOMEM;
        if (!naming->keeps_names)
            return 0;
        int claimed = claim_path(naming, digest, path);
        if (claimed == 1)
            return pf_nametable_set_next(names, base_key, *number + 1, false);
        if (claimed < 0)
            return claimed;
    }
}

/* Whether a path has a file name already: as it is, or with a number.  1, 0
 * or PFETCH_ENOMEM. */
static int has_name(struct pf_digest *digest, const char *path,
                    const char *name, const char *url)
{
    const char *last = pf_outname_last(path);
    uint32_t number = pf_outname_number_of(last);
    char numbered[PF_PATH_SIZE];

    if (strcmp(last, name) == 0)
        return 1;
    if (number == 0)
        return 0;
    if (pf_outname_number(digest, name, number, url, numbered) != 0)
        return PFETCH_ENOMEM;
    return strcmp(last, numbered) == 0;
}

int pf_naming_rename(struct pf_naming *naming, struct pf_digest *digest,
                     const struct pfetch_job *job, const char *name,
                     uint32_t *number, char path[PF_PATH_SIZE])
{
    int has = has_name(digest, path, name, pfetch_job_url(job));

    *number = 0;
    if (has != 0)
        return has > 0 ? 0 : has;
    memcpy(path + (pf_outname_last(path) - path), name, strlen(name) + 1);
    int claimed = claim_path(naming, digest, path);
    if (claimed != 0)
        return claimed > 0 ? 0 : claimed;
    return pf_naming_next(naming, digest, job, name, number, path);
}
