#!/usr/bin/env python3
"""framing - area A: answers that are not what they say.

SPDX-License-Identifier: MIT
"""

import harness
from harness import Row, row

harness.add([
    Row("A01", "5 of 50 bytes, FIN", "/size=50/cut=5/x", "short", 200),
    Row("A01", "nothing of 50 bytes", "/size=50/cut=0/x", "short", 200),
    Row("A01", "all but the last byte", "/size=50/cut=49/x", "short", 200),
    Row("A01", "RST in the body", "/size=500000/reset=1000/x", "short", 200),
    Row("A01", "FIN in the header", "/cut=head/x", "short"),
    Row("A01", "FIN instead of an answer", "/close=before/x", "short"),
    Row("A01", "RST instead of an answer", "/reset=before/x", "short"),
    Row("A01", "cut once, whole then", "/size=50000/failcut=1:5/x", "ok",
        attempts=2),
    Row("A01", "cut twice with a strong ETag: continued",
        "/etag=v/size=50000/failcut=2:20000/x", "ok"),
    Row("A01", "cut each time with a strong ETag", "/etag=v/size=50/cut=5/x",
        "short"),
    Row("A03", "no length, HTTP/1.1", "/size=5000/nolength/x", "ok"),
    Row("A03", "no length, HTTP/1.0", "/size=5000/nolength=1.0/x", "ok"),
    Row("A03", "no length and cut: cannot be told",
        "/size=5000/nolength/cut=77/x", "ok", heal=None),
    Row("A03", "no length, RST", "/size=500000/nolength/reset=77/x", "short",
        200),
    Row("A04", "chunked, cut before the last chunk",
        "/size=9000/chunkcut=4500/x", "short", 200),
    Row("A04", "chunked, the last CR LF is missing",
        "/size=9000/chunkcut=last/x", "short", 200),
    Row("A04", "chunked, cut between two chunks",
        "/size=9000/chunked=1000/chunkcut=3000/x", "short", 200),
    Row("A05", "chunk size zz", "/badchunk=zz/x", "protocol"),
    Row("A05", "chunk size of 17 digits", "/badchunk=long/x", "protocol"),
    Row("A05", "chunk size -5", "/badchunk=neg/x", "protocol"),
    Row("A05", "a chunk extension of 1 MiB", "/badchunk=ext/x", "ok"),
    Row("A05", "trailers without end", "/badchunk=trailers/x", "too-large",
        options=("--timeout", "6s")),
    Row("A07", "204", "/status=204/x", "http", 204),
    Row("A07", "205", "/status=205/size=0/x", "http", 205),
    Row("A07", "304 that nobody asked for", "/status=304/x", "http", 304),
    Row("A07", "201 with a body", "/status=201/x", "http", 201),
    Row("A07", "203 with a body", "/status=203/x", "http", 203),
    Row("A07", "300 without Location", "/status=300/x", "http", 300),
    Row("A07", "600", "/status=600/x", "http", 600),
    Row("A07", "999", "/status=999/x", "http", 999),
    Row("A07", "000", "/status=000/x", "protocol"),
    Row("A07", "status abc", "/status=abc/x", "protocol"),
    Row("A07", "status 20", "/status=20/x", "protocol"),
    Row("A07", "status 2000", "/status=2000/x", "protocol"),
    Row("A07", "206 that nobody asked for", "/unasked206=100/x", "protocol",
        206),
    Row("A07", "206 from the start that nobody asked for", "/unasked206/x",
        "protocol", 206),
    Row("A08", "200 with Content-Length 0", "/size=0/x", "ok"),
    Row("A08", "chunked without a byte", "/size=0/chunked/x", "ok"),
    Row("A08", "no length and no byte", "/size=0/nolength/x", "ok"),
    Row("A09", "HTTP/0.9", "/garbage=http09/x", "protocol"),
    Row("A09", "an SSH banner", "/garbage=ssh/x", "protocol"),
    Row("A09", "a TLS alert", "/garbage=tls/x", "protocol"),
    Row("A09", "random bytes", "/garbage=random/x", "protocol"),
    Row("A10", "NUL in a header", "/header=X-A:b%00c/x", "protocol"),
    Row("A10", "Content-Length: -5", "/length=-5/x", "protocol"),
    Row("A10", "Content-Length: 5, 5", "/size=5/length=5,%205/x", "ok"),
    Row("A10", "Content-Length: +5", "/size=5/length=%2B5/x", "protocol"),
    Row("A10", "Content-Length: 0x5", "/size=5/length=0x5/x", "protocol"),
    Row("A10", "Content-Length without a value", "/length=/x", "protocol"),
    Row("A10", "Content-Length: 5 5", "/size=5/length=5%205/x", "protocol"),
    Row("A11", "two lengths, the second is right", "/length=5/length2=1000/x",
        "protocol"),
    Row("A11", "two lengths, the first is right", "/length2=5/x",
        "protocol"),
    Row("A11", "the same length twice", "/length2=1000/x", "ok"),
    Row("A11", "Content-Length 3 beside chunked", "/chunked/length=3/x",
        "ok"),
    Row("A12", "100,000 header lines of 1 KiB", "/bigheaders=100000/x",
        "too-large"),
    Row("A12", "200 header lines of 1 KiB", "/bigheaders=200/x", "ok"),
    Row("A12", "a header line every 0.1 s, without end",
        "/slowheaders=100/x", "timeout", options=("--timeout", "2s")),
    Row("A13", "1,000 x 103, then 200", "/hints=1000/x", "ok"),
    Row("A13", "103 without end", "/hints=endless/x", "too-large"),
    Row("A21", "closed after the answer, unannounced", "/closeidle/x", "ok",
        attempts=1),
    Row("A21", "FIN to the next request on the connection",
        "/nextend=close/x", "ok", attempts=1),
    Row("A21", "RST to the next request on the connection",
        "/nextend=reset/x", "ok", attempts=1),
    Row("A21", "bytes of the last answer instead of the next one",
        "/nextend=junk/x", "ok", attempts=1),
    Row("A22", "Content-Length 2^63", "/length=9223372036854775808/x",
        "protocol"),
    Row("A22", "Content-Length 2^64", "/length=18446744073709551616/x",
        "protocol"),
    Row("A22", "Content-Length 10^30", f"/length=1{'0' * 30}/x", "protocol"),
    Row("A24", "416 with a body of 100 MB", "/status=416/size=100000000/x",
        "http", 416, heal=None),
    Row("A24", "500 with a body of 100 MB", "/status=500/size=100000000/x",
        "http", 500, heal=None),
    Row("A24", "404 with an endless body", "/status=404/nolength/"
        "size=999999999999/x", "http", 404, heal=None),
])


@row("A02", "5 bytes and junk behind them: the next answer is its own")
def junk_behind_a_body(batch):
    batch.workers = 1
    for junk in ("junk=7", "junk=poison", "junk=100000"):
        batch.bad(f"/size=5/{junk}/{junk}.a")
        batch.good(2)
    done = batch.run()
    batch.check(done)
    log = batch.server.log()
    for before, after in zip(log, log[1:]):
        if "/junk=" in before["path"] and "good" not in before["path"]:
            assert before["connection"] != after["connection"], before
    batch.rerun(done)


@row("A02", "a whole answer that comes while the connection is idle")
def junk_while_idle(batch):
    """Hosts take turns: the second line gives the junk time to arrive.  What
    arrives after the request is sent cannot be told from its answer."""
    batch.workers = 1
    for i in range(3):
        batch.bad(f"/size=5/latejunk=poison,20/a{i}")
        batch.add(batch.url(f"/delay=300/b{i}", host="localhost"),
                  batch.expect(f"/delay=300/b{i}"))
    done = batch.run()
    batch.check(done)
    log = [e for e in batch.server.log() if "/latejunk=" in e["path"]]
    harness.check_same(len({e["connection"] for e in log}), 3)
    batch.rerun(done)


@row("A03", "--require-length makes it a failure")
def required_length(batch):
    batch.around(batch.url("/size=500/nolength/x"),
                 harness.Expected("failed", "short"))
    batch.lines = [(t, e) for t, e in batch.lines if e.verified is not False]
    batch.check(batch.run("--require-length"))


if __name__ == "__main__":
    harness.main()
