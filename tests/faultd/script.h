/*
 * script.h - the misbehaviour that a URL asks for.
 *
 * A path is segments divided by "/".  The last one is free: it is the file's
 * name.  Every other one is a directive, NAME=VALUE or a bare NAME, VALUE being
 * percent-decoded; a "/" inside a VALUE is written %2F and a "?" %3F.  A
 * segment without "=" that is no directive's name is a plain directory and
 * means nothing.  Any other segment is answered with 400 and the reason.
 * Where two directives set the same thing the later one holds.
 *
 * What is sent
 *   size=N            bytes of the file (default 1000)
 *   seed=TEXT         what the bytes are made of, see body.h (default: the last
 *                     segment, percent-decoded)
 *   status=TEXT       status instead of 200, as it stands: 404, 999, abc
 *   reason=TEXT       reason phrase
 *   header=NAME:VALUE one more header, up to 16 times, any decoded bytes
 *   etag=TEXT         ETag: "TEXT"; W/TEXT for a weak one, W/"TEXT"
 *   lastmod=TEXT      Last-Modified: TEXT
 *   retryafter=TEXT   Retry-After: TEXT, in answers of status 300 and above
 *   length=TEXT       Content-Length: TEXT instead of the truth; the
 *                     connection is closed, unannounced, after the body
 *   length2=TEXT      a second Content-Length
 *   chunked[=N]       chunked, N bytes a chunk (default 4096); with length=
 *                     both headers are sent
 *   nolength[=1.0]    no length, the end of the connection ends the body; 1.0:
 *                     HTTP/1.0 in the status line
 *   bigheaders=N      N more header lines of 1 KiB
 *   hints=N|endless   so many 103 Early Hints before the answer
 *   slowheaders=MS    header lines one every MS, without end
 *   garbage=http09|ssh|tls|random
 *                     this instead of an HTTP response, then FIN (or stall=N)
 *
 * When, and how far
 *   delay=MS          before the answer
 *   delay=A-B         A + FNV-1a-64(seed) % (B - A + 1) ms
 *   drip=BYTES,MS     so many bytes of body, then a pause of MS, and so on
 *   cut=N             after N bytes of body FIN (with TLS no close_notify)
 *   cut=head          FIN in the middle of the headers
 *   notify            the FIN of a cut= comes after a TLS close_notify
 *   reset=N           after N bytes of body RST
 *   stall=N           after N bytes of body nothing more; the connection stays
 *   close=before, reset=before, stall=head
 *                     the same before any byte of the response
 *   chunkcut=N        chunked, FIN after N bytes of body
 *   chunkcut=last     chunked, FIN after "0 CR LF": the last CR LF is missing
 *   badchunk=zz|long|neg
 *                     chunked, half the body, then a chunk size that is none:
 *                     "zz", 17 hex digits, "-5"
 *   badchunk=ext      chunked, half of it in a chunk with a 1 MiB extension:
 *                     legal
 *   badchunk=trailers chunked, then trailer lines without end
 *
 * The connection
 *   connclose         Connection: close, and it is
 *   closeidle         closed after the response, unannounced
 *   closeevery=N      likewise after every N-th response of a connection
 *   junk=N            N bytes that nobody asked for, directly after the body
 *   junk=poison       a complete response that nobody asked for
 *   nextend=close|reset|junk
 *                     FIN or RST, before any byte, or 100 bytes of junk and
 *                     FIN, to the next request on the connection, which is
 *                     not counted
 *   latejunk=N|poison,MS
 *                     the same after MS of idleness (not when a request comes)
 *
 * Ranges and conditions.  A Range is honoured when If-Range is absent or is the
 * strong etag or the lastmod; If-None-Match and If-Modified-Since are compared
 * as text.
 *   norange           Range is ignored
 *   wrongrange=start  starts at half the asked offset, and says so
 *   wrongrange=after  starts 10 bytes after the asked offset, and says so
 *   wrongrange=total  the total is 1000 too large
 *   wrongrange=etag   another ETag in the 206
 *   wrongrange=nocr   no Content-Range
 *   wrongrange=multipart
 *                     multipart/byteranges
 *   shortrange=N      a 206 has at most N bytes, and says so
 *   416=always        416 to every Range
 *   unasked206[=K]    206 from offset K (default 0) when no Range was sent
 *
 * Redirects (status 302 unless status=)
 *   redirect=URL      Location: URL
 *   redirect=loop     to itself
 *   redirect=hops:N   to the same path with N - 1; with N = 0 the file
 *   redirect=pingpong to the same path at the other host: 127.0.0.1 when it is
 *                     asked for at localhost, else localhost
 *   redirect=none     no Location
 *
 * By count: requests for this exact path, with its query, since the start or
 * the last /_reset
 *   fail=N:STATUS     the first N get STATUS, in a sound response
 *   failreset=N       the first N get RST before any byte
 *   failcut=N:BYTES   the first N are cut= after BYTES
 *   newafter=N:TEXT   after the first N the file is another one: seed and etag
 *                     are TEXT
 *   limit=N           at most N requests at once whose Host is the same and
 *                     whose path is the same up to here; else 429
 *
 * By request: sound responses
 *   auth=USER:PASS    401 unless Basic credentials match
 *   needheader=NAME:VALUE
 *                     403 unless present with that value (up to 8 times)
 *   refuseheader=NAME 400 if present (up to 8 times)
 *
 * After the control request /_heal nothing is wrong any more: what counts then is
 * size, seed, etag and lastmod only, until /_reset.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef FAULTD_SCRIPT_H
#define FAULTD_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SCRIPT_HEADERS = 16, SCRIPT_CHECKS = 8 };

/* Decoded bytes, NUL added, but NUL may occur inside too. */
struct text {
    const char *data;
    size_t len;
};

enum script_end { END_NORMAL, END_FIN, END_RESET, END_STALL };

/* Values of end_after below 0. */
enum { AFTER_NOTHING = -1, AFTER_HALF_HEAD = -2 };

enum script_framing { FRAME_LENGTH, FRAME_CHUNKED, FRAME_CLOSE };

enum chunk_fault {
    CHUNK_SOUND,
    CHUNK_CUT_LAST,
    CHUNK_ZZ,
    CHUNK_LONG,
    CHUNK_NEG,
    CHUNK_EXT,
    CHUNK_TRAILERS,
};

enum range_fault {
    RANGE_SOUND,
    RANGE_START,
    RANGE_AFTER,
    RANGE_TOTAL,
    RANGE_ETAG,
    RANGE_NO_HEADER,
    RANGE_MULTIPART,
};

enum garbage {
    GARBAGE_NONE,
    GARBAGE_HTTP09,
    GARBAGE_SSH,
    GARBAGE_TLS,
    GARBAGE_RANDOM,
};

/* A number of bytes, or this. */
enum { JUNK_POISON = -1, HINTS_ENDLESS = -1 };

struct script {
    char *buffer; /* holds all texts below */
    bool bad;     /* then complaint says why, and nothing else counts */
    char complaint[200];

    struct text seed;
    int64_t size;
    bool size_set;
    const char *status; /* NULL: not given; so are all texts */
    const char *reason;
    struct text headers[SCRIPT_HEADERS];
    size_t header_count;
    const char *etag;
    const char *lastmod;
    const char *retryafter;
    const char *length;
    const char *length2;
    enum script_framing framing;
    int64_t chunk_bytes;
    enum chunk_fault chunk_fault;
    bool http10;
    int64_t bigheaders;
    int64_t hints;
    int64_t slowheaders_ms; /* 0: not given */
    enum garbage garbage;

    int64_t delay_min_ms, delay_max_ms;
    int64_t drip_bytes, drip_ms; /* bytes 0: not given */
    enum script_end end;
    int64_t end_after; /* bytes of body, or one of AFTER_ */
    bool notify;

    bool connclose;
    bool closeidle;
    int64_t closeevery; /* 0: not given */
    int64_t junk;
    int64_t latejunk, latejunk_ms;
    enum script_end next_end; /* END_NORMAL: not given */
    bool next_junk;

    bool norange;
    enum range_fault range_fault;
    int64_t shortrange; /* 0: not given */
    bool always416;
    int64_t unasked206; /* -1: not given */

    const char *redirect;

    int64_t fail_count;
    const char *fail_status;
    int64_t failreset_count;
    int64_t failcut_count, failcut_bytes;
    int64_t newafter_count; /* counts when newafter is given */
    struct text newafter;
    int64_t limit;       /* -1: not given */
    size_t limit_prefix; /* length of the path up to and with limit= */

    const char *auth;
    const char *need[SCRIPT_CHECKS];
    size_t need_count;
    const char *refuse[SCRIPT_CHECKS];
    size_t refuse_count;
};

/* Reads a path into script; what is wrong with it is said by script->bad. */
void script_parse(struct script *script, const char *path);
void script_free(struct script *script);

/* Takes out everything that is a fault or a condition. */
void script_heal(struct script *script);

/* Percent-decodes in place; what is no escape stays as it is. */
struct text script_decode(char *text);

/* The delay before the answer, in ms. */
int64_t script_delay_ms(const struct script *script);

#endif
