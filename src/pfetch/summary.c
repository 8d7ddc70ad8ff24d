/* summary.c - what a person is told about URLs.
 *
 * SPDX-License-Identifier: MIT
 *
 * A list of a million URLs may fail a million times: only the first failures
 * get a line each, unless every URL has one (-v).  The tables of reasons and
 * hosts have a fixed size; whatever finds no place is counted as "others".
 */
#include "config.h"

#include "summary.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "figures.h"
#include "msg.h"

enum {
    LINES_SAID_MAX = 20, /* failures with a line of their own */
    TABLE_LINES = 5,     /* entries shown of a table */
    URL_SHOWN_BYTES = 1024,
    TEXT_BYTES = 512
};

/* --- tallies -------------------------------------------------------------- */

static void tally(struct pf_tally *tally, const char *name)
{
    for (size_t i = 0; i < tally->used; i++) {
        if (strcmp(tally->entries[i].name, name) == 0) {
            tally->entries[i].count++;
            return;
        }
    }
    if (tally->used == PF_TALLY_ENTRIES) {
        tally->others++;
        return;
    }
    struct pf_tally_entry *entry = &tally->entries[tally->used++];
    (void)snprintf(entry->name, sizeof(entry->name), "%s", name);
    entry->count = 1;
}

/* The entry with the highest count that is not in `shown` yet; NULL: all
 * are. */
static const struct pf_tally_entry *find_next(const struct pf_tally *tally,
                                              bool *shown)
{
    size_t best = tally->used;

    for (size_t i = 0; i < tally->used; i++)
        if (!shown[i] && (best == tally->used || tally->entries[i].count >
                                                  tally->entries[best].count))
            best = i;
    if (best == tally->used)
        return NULL;
    shown[best] = true;
    return &tally->entries[best];
}

/* "pfetch: TITLE: 12 a, 3 b, 1 others". */
static void say_tally(const struct pf_tally *tally, const char *title)
{
    char text[TABLE_LINES * (PF_TALLY_NAME_BYTES + PF_FIGURE_BYTES) + 64];
    char figure[PF_FIGURE_BYTES];
    bool shown[PF_TALLY_ENTRIES] = {false};
    uint64_t others = tally->others;
    const struct pf_tally_entry *entry;
    int used = 0;

    for (int i = 0; (entry = find_next(tally, shown)) != NULL; i++) {
        if (i < TABLE_LINES)
            used += snprintf(text + used, sizeof(text) - (size_t)used,
                             "%s%s %s", used > 0 ? ", " : "",
                             pf_figure_count(entry->count, figure),
                             entry->name);
        else
            others += entry->count;
    }
    if (others > 0)
        (void)snprintf(text + used, sizeof(text) - (size_t)used,
                       ", %s others", pf_figure_count(others, figure));
    if (used > 0)
        pf_msg_note("%s: %s", title, text);
}

/* The host of a URL in lower case, without user and port; "no host" where
 * there is none. */
static void find_host(const char *url, char *host, size_t size)
{
    const char *begin = url != NULL ? strstr(url, "://") : NULL;

    (void)snprintf(host, size, "no host");
    if (begin == NULL)
        return;
    begin += 3;
    const char *end = begin + strcspn(begin, "/?#\\");
    const char *at = memrchr(begin, '@', (size_t)(end - begin));
    if (at != NULL)
        begin = at + 1;
    const char *stop = memchr(begin, *begin == '[' ? ']' : ':',
                              (size_t)(end - begin));
    if (stop != NULL)
        end = stop + (*begin == '[');
    size_t length = (size_t)(end - begin);
    if (length == 0 || length >= size)
        return;
    for (size_t i = 0; i < length; i++)
        host[i] = begin[i] >= 'A' && begin[i] <= 'Z' ? begin[i] + 'a' - 'A'
                                                     : begin[i];
    host[length] = '\0';
}

static void tally_failure(struct pf_summary *summary,
                          const struct pfetch_record *record)
{
    const char *url = record->effective_url != NULL ? record->effective_url
                                                    : record->request->url;
    char text[PF_TALLY_NAME_BYTES];

    if (record->cls == PFETCH_CLASS_HTTP && record->http_status > 0)
        (void)snprintf(text, sizeof(text), "http %d", record->http_status);
    else
        (void)snprintf(text, sizeof(text), "%s",
                       pfetch_class_name(record->cls));
    tally(&summary->reasons, text);
    find_host(url, text, sizeof(text));
    tally(&summary->hosts, text);
}

/* --- a line for a URL ----------------------------------------------------- */

/* "list.txt:7: http://h/x", the URL masked; "argument: ..." for an
 * argument. */
static const char *name_request(const struct pfetch_request *request,
                                char *text, size_t size)
{
    char url[URL_SHOWN_BYTES] = "(no URL)";

    if (request->url != NULL)
        (void)pfetch_redact(request->url, url, sizeof(url));
    if (request->list == NULL)
        (void)snprintf(text, size, "argument: %s", url);
    else
        (void)snprintf(text, size, "%.300s:%" PRIu64 ": %s", request->list,
                       request->line, url);
    return text;
}

static void say_failure(struct pf_summary *summary,
                        const struct pfetch_record *record, bool verbose)
{
    char name[URL_SHOWN_BYTES + TEXT_BYTES];

    if (!verbose && summary->lines_said >= LINES_SAID_MAX)
        return;
    pf_msg_note("%s: %s: %s",
                name_request(record->request, name, sizeof(name)),
                pfetch_class_name(record->cls),
                record->message != NULL ? record->message : "failed");
    if (!verbose && ++summary->lines_said == LINES_SAID_MAX)
        pf_msg_note("further failures are told only in the summary and by "
                    "--results");
}

/* Appends "NAME 1.2 ms" for a time that is known. */
static int add_time(char *text, size_t size, int used, const char *name,
                    int64_t us)
{
    if (us < 0 || used < 0 || (size_t)used >= size)
        return used;
    return used + snprintf(text + used, size - (size_t)used, ", %s %.1f ms",
                           name, (double)us / 1000);
}

/* -v: the line of a URL that did not fail. */
static void say_detail(const struct pfetch_record *record)
{
    char name[URL_SHOWN_BYTES + TEXT_BYTES];
    char times[256] = "";
    char size[PF_FIGURE_BYTES];
    int used = 0;

    (void)name_request(record->request, name, sizeof(name));
    if (record->status != PFETCH_STATUS_OK) {
        pf_msg_detail("%s: %s%s%s", name, pfetch_status_name(record->status),
                      record->message != NULL ? ": " : "",
                      record->message != NULL ? record->message : "");
        return;
    }
    used = add_time(times, sizeof(times), used, "total", record->total_us);
    used = add_time(times, sizeof(times), used, "queue", record->queue_us);
    used = add_time(times, sizeof(times), used, "dns", record->dns_us);
    used = add_time(times, sizeof(times), used, "connect",
                    record->connect_us);
    used = add_time(times, sizeof(times), used, "tls", record->tls_us);
    (void)add_time(times, sizeof(times), used, "first byte",
                   record->first_byte_us);
    pf_msg_detail("%s: ok: http %d, %s%s%s%s", name, record->http_status,
                  pf_figure_size(record->bytes > 0 ? (uint64_t)record->bytes
                                                   : 0,
                                 size),
                  times, record->path != NULL ? ", " : "",
                  record->path != NULL ? record->path : "");
}

/* No run can make it good: the line has to be corrected.  After an attempt it
 * is the fault of a server, as where that redirects to. */
static bool is_lists_fault(const struct pfetch_record *record)
{
    return record->attempts == 0 && (record->cls == PFETCH_CLASS_URL ||
                                     record->cls == PFETCH_CLASS_SCHEME ||
                                     record->cls == PFETCH_CLASS_NAME);
}

void pf_summary_add(struct pf_summary *summary,
                    const struct pfetch_record *record, bool verbose)
{
    switch (record->status) {
    case PFETCH_STATUS_OK:
        summary->ok++;
        summary->bytes += record->bytes > 0 ? (uint64_t)record->bytes : 0;
        break;
    case PFETCH_STATUS_PLANNED:
        summary->planned++;
        break;
    case PFETCH_STATUS_SKIPPED:
        summary->skipped++;
        break;
    case PFETCH_STATUS_NOT_ATTEMPTED:
        summary->not_attempted++;
        break;
    case PFETCH_STATUS_FAILED:
        summary->failed++;
        if (record->cls == PFETCH_CLASS_STOPPED)
            summary->cut_off++;
        else
            tally_failure(summary, record);
        summary->wrong += is_lists_fault(record);
        if (record->cls != PFETCH_CLASS_STOPPED || verbose)
            say_failure(summary, record, verbose);
        return;
    }
    if (verbose)
        say_detail(record);
}

/* --- the closing words ---------------------------------------------------- */

/* A sentence that grows; what does not fit is left out. */
struct sentence {
    char text[TEXT_BYTES];
    size_t used;
};

static void add(struct sentence *sentence, const char *format, ...)
    PF_PRINTF(2, 3);

static void add(struct sentence *sentence, const char *format, ...)
{
    size_t room = sizeof(sentence->text) - sentence->used;
    va_list arguments;

    va_start(arguments, format);
    int length = vsnprintf(sentence->text + sentence->used, room, format,
                           arguments);
    va_end(arguments);
    sentence->used += (size_t)length < room ? (size_t)length : room - 1;
}

/* ", 2 failed"; nothing for 0. */
static void add_count(struct sentence *sentence, uint64_t count,
                      const char *what)
{
    char figure[PF_FIGURE_BYTES];

    if (count > 0)
        add(sentence, ", %s %s", pf_figure_count(count, figure), what);
}

/* Where the lines are that are not ok. */
static void add_failed(struct sentence *sentence,
                       const struct pf_ending *ending)
{
    char figure[PF_FIGURE_BYTES];

    if (ending->failed == NULL || ending->failed_lines == 0)
        return;
    add(sentence, "; the %s line%s not ok %s in %.150s%s",
        pf_figure_count(ending->failed_lines, figure),
        ending->failed_lines == 1 ? "" : "s",
        ending->failed_lines == 1 ? "is" : "are", ending->failed,
        ending->unread ? ", those not read are not" : "");
}

static void add_work(struct sentence *sentence,
                     const struct pf_summary *summary,
                     const struct pf_ending *ending)
{
    uint64_t count = ending->dry_run ? summary->planned : summary->ok;
    double seconds = (double)ending->elapsed_ms / 1000;
    char files[PF_FIGURE_BYTES], size[PF_FIGURE_BYTES];

    add(sentence, "%s %s%s", pf_figure_count(count, files), ending->noun,
        count == 1 ? "" : "s");
    if (ending->dry_run) {
        add(sentence, " would be fetched");
        return;
    }
    add(sentence, ", %s in %.2f s", pf_figure_size(summary->bytes, size),
        seconds);
    if (count > 0 && seconds > 0)
        add(sentence, " (%s %ss/s, %s/s)",
            pf_figure_rate((double)count / seconds, files), ending->noun,
            pf_figure_size((uint64_t)((double)summary->bytes / seconds),
                           size));
}

void pf_summary_say(const struct pf_summary *summary,
                    const struct pf_ending *ending)
{
    struct sentence sentence = {.used = 0};
    bool left = !ending->enough &&
                (ending->unread || summary->not_attempted > 0 ||
                 summary->failed > summary->wrong);

    add_work(&sentence, summary, ending);
    add_count(&sentence, summary->failed - summary->cut_off, "failed");
    add_count(&sentence, summary->cut_off, "cut off");
    add_count(&sentence, summary->skipped, "skipped");
    add_count(&sentence, summary->not_attempted, "not attempted");
    add_count(&sentence, ending->holds,
              ending->holds == 1 ? "hold asked for by a host"
                                 : "holds asked for by hosts");
    add_count(&sentence, ending->hosts_down,
              ending->hosts_down == 1 ? "host given up" : "hosts given up");
    if (ending->stopped_by != NULL)
        add(&sentence, "; stopped by %s", ending->stopped_by);
    if (ending->unread)
        add(&sentence, "%s the lists were not read to their end",
            ending->stopped_by != NULL ? "," : ";");
    add_failed(&sentence, ending);
    pf_msg_note("%s", sentence.text);
    say_tally(&summary->reasons, "failed, by reason");
    say_tally(&summary->hosts, "failed, by host");
    if (left && !ending->dry_run && ending->repeatable)
        pf_msg_note("run the same command again to try what is missing");
    else if (left && !ending->dry_run && ending->failed == NULL)
        pf_msg_note("the same command would begin anew; --failed FILE writes "
                    "down what is missing, --resume-from skips what is done");
}
