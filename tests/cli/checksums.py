#!/usr/bin/env python3
"""checksums - what the list says of a body: checksum= and size=; --checksum.

SPDX-License-Identifier: MIT
"""

import hashlib
import os

import common
from common import (SOON, check_failed, check_good, check_same, faultbody,
                    fetch, tap, tree)

ALGOS = ("sha256", "sha512", "sha1", "md5")
SIZE = 300000
CUT = 100000


def digest(algo, path, size=1000):
    """ALGO:HEX of faultd's body for that path."""
    data = faultbody.body(faultbody.seed_of(path), size)
    return algo + ":" + hashlib.new(algo, data).hexdigest()


def field(checksum):
    return "\tchecksum=" + checksum


def wrong(checksum):
    """The same with the last digit another one."""
    return checksum[:-1] + ("0" if checksum[-1] != "0" else "1")


@tap.case
def right_and_wrong(tmp):
    "right ones are ok, wrong ones fail, are not retried and leave nothing"
    with common.server() as server:
        lines, upper = [], []
        for algo in ALGOS:
            good = digest(algo, "/" + algo, SIZE)
            url = server.url(f"/size={SIZE}/etag=v/{algo}")
            lines.append(url + field(good))
            upper.append(url + field(algo + ":"
                                     + good.split(":")[1].upper()))
            lines.append(server.url(f"/size={SIZE}/etag=v/seed={algo}/bad-"
                                    + algo) + field(wrong(good)))
        done = fetch(tmp, *SOON, lines=lines)
        check_same(done.status, 1)
        for i, algo in enumerate(ALGOS):
            check_good(done, 2 * i + 1, "/" + algo, SIZE)
            for n in (2 * i + 1, 2 * i + 2):
                check_same(done.records[n]["checksum"],
                           digest(algo, "/" + algo, SIZE))
            record = done.records[2 * i + 2]
            check_failed(record, "checksum", 200)
            check_same(record["attempts"], 1)
            assert record["checksum"] in record["message"], record
        check_same(tree(tmp / "out"), sorted(ALGOS))
        check_same(server.stats()["requests"], 8)
        again = fetch(tmp, lines=upper)
        check_same({r["status"] for r in again.records.values()}, {"skipped"})


@tap.case
def malformed(tmp):
    "a checksum that is none fails its line, without a request"
    with common.server() as server:
        lines = [server.url(f"/x{i}") + field(text) for i, text in enumerate(
            ("md5:0", "md5:", "sha3:" + 64 * "0", "md5", "md5:" + 32 * "g",
             "md5:" + 33 * "0"))]
        done = fetch(tmp, lines=lines + [server.url("/good")])
        check_same(done.status, 1)
        for n in range(1, len(lines) + 1):
            check_failed(done.records[n], "url")
        check_good(done, len(lines) + 1, "/good")
        check_same(server.stats()["requests"], 1)


@tap.case
def odd_bodies(tmp):
    "empty, chunked, without length, of exactly one block, after a redirect"
    with common.server() as server:
        paths = [("/size=0/empty", 0), ("/size=50000/chunked/c", 50000),
                 ("/size=50000/nolength/n", 50000), ("/size=16384/b", 16384),
                 ("/size=1048576/large", 1 << 20), ("/size=1/one", 1),
                 ("/size=700/redirect=hops:3/r", 700)]
        done = fetch(tmp, lines=[server.url(p) + field(
            digest("sha256", p, size)) for p, size in paths])
        check_same(done.status, 0)
        for n, (path, size) in enumerate(paths, 1):
            check_good(done, n, path, size)


@tap.case
def continued_within_a_run(tmp):
    "a digest goes on where a body does, and begins anew where it does"
    with common.server() as server:
        words = [("", "x"), ("/norange", "x"), ("/wrongrange=start", "x"),
                 ("/newafter=1:new", "new"), ("/shortrange=60000", "x"),
                 ("/chunked", "x")]
        lines, expected = [], []
        for i, (word, seed) in enumerate(words):
            lines.append(server.url(f"/size={SIZE}/etag=v/seed=x{word}"
                                    f"/failcut=2:{CUT}/f{i}")
                         + field(digest("sha256", "/" + seed, SIZE)))
            expected.append(seed)
        # No ETag: each attempt begins anew.
        lines.append(server.url(f"/size={SIZE}/failcut=2:{CUT}/x")
                     + field(digest("md5", "/x", SIZE)))
        expected.append("x")
        done = fetch(tmp, *SOON, "--retries", "9", lines=lines)
        for n, seed in enumerate(expected, 1):
            check_good(done, n, "/" + seed, SIZE)
        assert done.records[1]["resumed_at"] > 0, done.records[1]
        check_same(done.status, 0)


@tap.case
def continued_by_a_later_run(tmp):
    "what an earlier run has left is part of the digest"
    common.need_attributes(tmp)
    with common.server() as server:
        url = server.url(f"/size={SIZE}/etag=v/failcut=1:{CUT}/x")
        line = url + field(digest("sha256", "/x", SIZE))
        check_same(fetch(tmp, "--retries", "0", lines=[line]).status, 1)
        check_same(tree(tmp / "out"), [".x.part"])
        done = fetch(tmp, "--retries", "0", lines=[line])
        check_same(done.status, 0)
        check_same(done.records[1]["resumed_at"], CUT)
        check_good(done, 1, "/x", SIZE)


@tap.case
def damaged_part(tmp):
    "a part that holds other bytes than it should: fetched once more, whole"
    common.need_attributes(tmp)
    with common.server() as server:
        path = f"/size={SIZE}/etag=v/failcut=1:{CUT}/x"
        line = server.url(path) + field(digest("sha256", "/x", SIZE))
        check_same(fetch(tmp, "--retries", "0", lines=[line]).status, 1)
        with open(tmp / "out/.x.part", "r+b") as part:
            part.seek(500)
            part.write(bytes(20))
        done = fetch(tmp, "--retries", "0", lines=[line])
        check_same(done.status, 0)
        check_good(done, 1, "/x", SIZE)
        assert "resumed_at" not in done.records[1], done.records[1]
        check_same(server.hits(path), 3)
        check_same(tree(tmp / "out"), ["x"])


@tap.case
def sizes(tmp):
    "size= right and wrong; what is declared wrong is not read to its end"
    with common.server() as server:
        lines = [server.url("/a") + "\tsize=1000",
                 server.url("/nolength/b") + "\tsize=1000",
                 server.url("/size=0/z") + "\tsize=0",
                 server.url("/c") + "\tsize=999",
                 server.url("/d") + "\tsize=1001",
                 server.url("/nolength/e") + "\tsize=999",
                 server.url("/nolength/f") + "\tsize=1001",
                 server.url("/chunked/g") + "\tsize=1001",
                 server.url("/size=0/h") + "\tsize=5",
                 # These never end: only who does not wait for that is done.
                 server.url("/size=90000/stall=9000/etag=v/i") + "\tsize=5",
                 server.url("/size=90000/stall=9000/nolength/etag=v/j")
                 + "\tsize=5000"]
        done = fetch(tmp, *SOON, "--stall-timeout", "10s", lines=lines)
        check_same(done.status, 1)
        check_good(done, 1, "/a")
        check_good(done, 2, "/b")
        check_good(done, 3, "/z", 0)
        for n in range(4, 12):
            check_failed(done.records[n], "size")
            check_same(done.records[n]["attempts"], 1)
        check_same(tree(tmp / "out"), ["a", "b", "z"])
        for bad in ("x", "-1", "", "9" * 30, "1k"):
            done = fetch(tmp, lines=[server.url("/k") + "\tsize=" + bad])
            check_failed(done.records[1], "url")


@tap.case
def they_decide_what_is_complete(tmp):
    "--exist auto: the file that is there must be as the list says"
    common.need_attributes(tmp)
    with common.server() as server:
        url = server.url("/x")
        good = digest("sha1", "/x")

        def status(line):
            before = server.hits("/x")
            record = fetch(tmp, lines=[line]).records[1]
            path = record.get("path")
            check_same(server.hits("/x") - before,
                       0 if record["status"] == "skipped" else 1)
            if path not in (None, "x"):
                (tmp / "out" / path).unlink()
            return record["status"], path

        check_same(status(url), ("ok", "x"))
        check_same(status(url + field(good)), ("skipped", "x"))
        check_same(status(url + "\tsize=1000" + field(good)),
                   ("skipped", "x"))
        check_same(status(url + field(wrong(good))), ("failed", None))
        check_same(status(url + "\tsize=1001"), ("failed", None))
        # The same bytes from elsewhere.
        (tmp / "out/x").write_bytes((tmp / "out/x").read_bytes())
        os.removexattr(tmp / "out/x", "user.pfetch")
        check_same(status(url + field(good)), ("skipped", "x"))
        check_same(status(url + "\tsize=1000"), ("skipped", "x"))
        check_same(status(url), ("ok", "x.1"))
        # Other bytes.
        (tmp / "out/x").write_bytes(b"y" * 1000)
        check_same(status(url + field(good)), ("ok", "x.1"))
        check_same((tmp / "out/x").read_bytes(), b"y" * 1000)


@tap.case
def option(tmp):
    "--checksum puts digests into records; a line's own algorithm counts first"
    with common.server() as server:
        for algo in ALGOS:
            lines = [server.url("/a"), server.url("/size=0/b"),
                     server.url("/status=404/c"),
                     server.url("/d") + field(digest("md5", "/d"))]
            done = fetch(tmp, "--checksum", algo, lines=lines, out=algo)
            check_same(done.records[1]["checksum"], digest(algo, "/a"))
            check_same(done.records[2]["checksum"], digest(algo, "/b", 0))
            assert "checksum" not in done.records[3], done.records[3]
            check_same(done.records[4]["checksum"], digest("md5", "/d"))
        done = fetch(tmp, "--checksum", "sha1", "--handler", "null",
                     lines=[server.url("/size=3000000/a")])
        check_same(done.records[1]["checksum"],
                   digest("sha1", "/a", 3000000))
        done = fetch(tmp, lines=[server.url("/e")])
        assert "checksum" not in done.records[1], done.records[1]
        for bad in ("sha3", "SHA256", "", "md5:"):
            done = fetch(tmp, "--checksum", bad, server.url("/e"))
            check_same(done.status, 2)


tap.main()
