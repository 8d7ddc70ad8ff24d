/* statusline.c - how far a run is, in one line.
 *
 * SPDX-License-Identifier: MIT
 *
 * The bar's line is made of parts.  Each has its place in the line and its
 * rank: parts are let in by rank as long as they fit, and drawn by place.
 * The bar comes last and takes the room that is left, so that it grows and
 * shrinks instead of the line.
 */
#include "config.h"

#include "statusline.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "figures.h"
#include "msg.h"

enum {
    GAP = 2,      /* columns between parts */
    BAR_MIN = 10, /* columns, the brackets included */
    BAR_MAX = 32,
    PART_BYTES = 80
};

/* By place in the line. */
enum part {
    PART_DONE,
    PART_PERCENT,
    PART_BAR,
    PART_FAILED,
    PART_RETRYING,
    PART_HELD,
    PART_BYTES_DONE,
    PART_SPEED,
    PART_RATE,
    PART_BUSY,
    PART_ELAPSED,
    PART_LEFT,
    PART_COUNT
};

static const enum part by_rank[] = {
    PART_DONE, PART_PERCENT, PART_FAILED, PART_LEFT, PART_RATE, PART_SPEED,
    PART_BAR, PART_RETRYING, PART_HELD, PART_BYTES_DONE, PART_ELAPSED,
    PART_BUSY,
};

struct parts {
    char text[PART_COUNT][PART_BYTES]; /* empty: nothing to say */
};

static void set(struct parts *parts, enum part part, const char *format, ...)
    PF_PRINTF(3, 4);

static void set(struct parts *parts, enum part part, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(parts->text[part], PART_BYTES, format, arguments);
    va_end(arguments);
}

/* "0:42", "1:02:03", "3 d 4 h". */
static const char *clock_time(int64_t ms, char text[PF_FIGURE_BYTES])
{
    int64_t s = ms / 1000;

    if (s < 3600)
        (void)snprintf(text, PF_FIGURE_BYTES, "%" PRId64 ":%02" PRId64,
                       s / 60, s % 60);
    else if (s < 24 * 3600)
        (void)snprintf(text, PF_FIGURE_BYTES,
                       "%" PRId64 ":%02" PRId64 ":%02" PRId64, s / 3600,
                       s / 60 % 60, s % 60);
    else
        (void)snprintf(text, PF_FIGURE_BYTES, "%" PRId64 " d %" PRId64 " h",
                       s / (24 * 3600), s / 3600 % 24);
    return text;
}

/* In hundredths of a percent; a list that has grown since it was counted is
 * not more than complete. */
static uint64_t share(const struct pf_status *status)
{
    if (status->total == 0 || status->done >= status->total)
        return 10000;
    return (uint64_t)((double)status->done / (double)status->total * 10000);
}

int64_t pf_statusline_left_ms(const struct pf_status *status)
{
    enum { YEAR_S = 365 * 24 * 3600 };

    if (!status->total_known || status->files_per_s <= 0)
        return -1;
    if (status->done >= status->total)
        return 0;
    double s = (double)(status->total - status->done) / status->files_per_s;
    return s > YEAR_S ? -1 : (int64_t)(s * 1000);
}

static void fill(struct parts *parts, const struct pf_status *status)
{
    char one[PF_FIGURE_BYTES], two[PF_FIGURE_BYTES];
    int64_t left_ms = pf_statusline_left_ms(status);

    memset(parts, 0, sizeof(*parts));
    (void)pf_figure_count(status->done, one);
    if (status->total_known) {
        set(parts, PART_DONE, "%s/%s", one,
            pf_figure_count(status->total, two));
        set(parts, PART_PERCENT, "%u%%", (unsigned)(share(status) / 100));
    } else {
        set(parts, PART_DONE, "%s done", one);
    }
    if (status->failed > 0)
        set(parts, PART_FAILED, "%s failed",
            pf_figure_count(status->failed, one));
    if (status->delayed > 0)
        set(parts, PART_RETRYING, "%s retrying",
            pf_figure_count(status->delayed, one));
    if (status->held > 0)
        set(parts, PART_HELD, "%s host%s held",
            pf_figure_count(status->held, one),
            status->held == 1 ? "" : "s");
    set(parts, PART_BYTES_DONE, "%s", pf_figure_size(status->bytes, one));
    set(parts, PART_SPEED, "%s/s",
        pf_figure_size((uint64_t)status->bytes_per_s, one));
    set(parts, PART_RATE, "%s/s", pf_figure_rate(status->files_per_s, one));
    set(parts, PART_BUSY, "%s busy", pf_figure_count(status->running, one));
    set(parts, PART_ELAPSED, "%s", clock_time(status->elapsed_ms, one));
    if (left_ms >= 0)
        set(parts, PART_LEFT, "%s left", clock_time(left_ms, one));
}

/* "[=====>    ]" of that many columns. */
static void draw_bar(char *text, size_t width, uint64_t hundredths)
{
    size_t inside = width - 2;
    size_t filled = (size_t)(hundredths * inside / 10000);

    text[0] = '[';
    memset(text + 1, ' ', inside);
    memset(text + 1, '=', filled);
    if (filled < inside)
        text[1 + filled] = '>';
    text[width - 1] = ']';
    text[width] = '\0';
}

/* Leaves in *parts what fits into that many columns; returns how many are
 * taken. */
static size_t choose(struct parts *parts, bool has_bar, size_t room)
{
    bool is_in[PART_COUNT] = {false};
    size_t used = 0;

    for (size_t i = 0; i < sizeof(by_rank) / sizeof(by_rank[0]); i++) {
        enum part part = by_rank[i];
        size_t width = part == PART_BAR ? (has_bar ? BAR_MIN : 0)
                                        : strlen(parts->text[part]);
        size_t gap = used > 0 ? GAP : 0;

        if (width == 0 || used + gap + width > room)
            continue;
        is_in[part] = true;
        used += gap + width;
    }
    for (size_t part = 0; part < PART_COUNT; part++)
        if (!is_in[part])
            parts->text[part][0] = '\0';
    if (is_in[PART_BAR]) /* its place is taken; drawn when its width is known */
        (void)snprintf(parts->text[PART_BAR], PART_BYTES, "[");
    return used;
}

size_t pf_statusline_bar(const struct pf_status *status, unsigned columns,
                         char text[PF_STATUSLINE_BYTES])
{
    struct parts parts;
    size_t room = columns > 0 ? columns - 1 : 0;
    size_t used = 0;

    if (room > PF_STATUSLINE_BYTES - 1)
        room = PF_STATUSLINE_BYTES - 1;
    fill(&parts, status);
    size_t taken = choose(&parts, status->total_known, room);
    if (parts.text[PART_BAR][0] != '\0') {
        size_t width = BAR_MIN + (room - taken);

        draw_bar(parts.text[PART_BAR], width < BAR_MAX ? width : BAR_MAX,
                 share(status));
    }
    text[0] = '\0';
    for (size_t part = 0; part < PART_COUNT; part++) {
        if (parts.text[part][0] == '\0')
            continue;
        used += (size_t)snprintf(text + used, PF_STATUSLINE_BYTES - used,
                                 "%*s%s", used > 0 ? GAP : 0, "",
                                 parts.text[part]);
    }
    return used;
}

size_t pf_statusline_plain(const struct pf_status *status,
                           char text[PF_STATUSLINE_BYTES])
{
    char done[PF_FIGURE_BYTES], total[PF_FIGURE_BYTES];
    char failed[PF_FIGURE_BYTES], size[PF_FIGURE_BYTES];
    char rate[PF_FIGURE_BYTES], speed[PF_FIGURE_BYTES];
    char elapsed[PF_FIGURE_BYTES], left[PF_FIGURE_BYTES];
    int64_t left_ms = pf_statusline_left_ms(status);

    int length = snprintf(
        text, PF_STATUSLINE_BYTES,
        "%s done of %s%s, %s failed, %" PRIu64 " running, %" PRIu64
        " delayed, %" PRIu64 " hosts held, %s (%s/s, %s/s), %s%s%s%s",
        pf_figure_count(status->done, done),
        pf_figure_count(status->total_known ? status->total : status->added,
                        total),
        status->total_known ? "" : " read",
        pf_figure_count(status->failed, failed), status->running,
        status->delayed, status->held, pf_figure_size(status->bytes, size),
        pf_figure_rate(status->files_per_s, rate),
        pf_figure_size((uint64_t)status->bytes_per_s, speed),
        clock_time(status->elapsed_ms, elapsed), left_ms < 0 ? "" : ", ",
        left_ms < 0 ? "" : clock_time(left_ms, left),
        left_ms < 0 ? "" : " left");
    return (size_t)length;
}

size_t pf_statusline_json(const struct pf_status *status,
                          char text[PF_STATUSLINE_BYTES])
{
    char total[40] = "", left[40] = "";
    int64_t left_ms = pf_statusline_left_ms(status);

    if (status->total_known)
        (void)snprintf(total, sizeof(total), "\"total\":%" PRIu64 ",",
                       status->total);
    if (left_ms >= 0)
        (void)snprintf(left, sizeof(left), ",\"left_ms\":%" PRId64, left_ms);
    int length = snprintf(
        text, PF_STATUSLINE_BYTES,
        "{\"schema\":1,\"done\":%" PRIu64 ",%s\"read\":%" PRIu64
        ",\"failed\":%" PRIu64 ",\"running\":%" PRIu64 ",\"delayed\":%" PRIu64
        ",\"hosts_held\":%" PRIu64 ",\"bytes\":%" PRIu64
        ",\"per_s\":%.1f,\"bytes_per_s\":%.0f,\"elapsed_ms\":%" PRId64
        "%s}",
        status->done, total, status->added, status->failed, status->running,
        status->delayed, status->held, status->bytes, status->files_per_s,
        status->bytes_per_s, status->elapsed_ms, left);
    return (size_t)length;
}
