#!/usr/bin/env python3
"""faults - one fault beside nineteen good lines.

SPDX-License-Identifier: MIT

Every fault is one line in the middle of good ones.  Whatever it is, each line
has exactly one record, the good files are right to the byte, the bad one
leaves nothing behind, and the exit status is 1.
"""

import socket

import common
from common import SOON, check_failed, check_same, fetch, tap, tree
import certs

GOOD = 19
BAD = 10  # the line with the fault


def beside_good(tmp, server, bad, *options, tls=False):
    """Runs with `bad` as line 10 of 20; checks all that holds for every
    fault, and answers what was done and the bad line's record."""
    sizes = {}
    lines = []
    for n in range(1, GOOD + 2):
        if n == BAD:
            lines.append(bad)
            continue
        sizes[n] = (n * 7919) % 40000
        framing = ("", "/chunked", "/nolength")[n % 3]
        lines.append(server.url(f"/size={sizes[n]}{framing}/good{n}.bin",
                                tls=tls))
    done = fetch(tmp, "-t", "4", *SOON, *options, lines=lines)
    check_same(done.status, 1)
    check_same(sorted(done.records), list(range(1, GOOD + 2)))
    for n, size in sizes.items():
        common.check_good(done, n, lines[n - 1], size)
        check_same(done.records[n]["length_verified"], n % 3 != 2)
    check_same(tree(done.path), sorted(f"good{n}.bin" for n in sizes))
    record = done.records[BAD]
    check_same(record["status"], "failed")
    assert f"{GOOD} files" in done.err and "1 failed" in done.err, done.err
    assert "list:10: " in done.err, done.err
    return done, record


# The path, the class, the status, the number of attempts with 2 retries; None:
# more than one if the connection was a kept one.
FAULTS = {
    "cut_length": ("/size=5000/cut=700/x", "short", 200, 3),
    "cut_at_once": ("/size=5000/cut=0/x", "short", 200, 3),
    "cut_last_byte": ("/size=5000/cut=4999/x", "short", 200, 3),
    "cut_chunked": ("/chunked/size=9000/chunkcut=4500/x", "short", 200, 3),
    "cut_last_chunk": ("/chunked/size=9000/chunkcut=last/x", "short", 200,
                       3),
    "cut_head": ("/cut=head/x", "short", None, 3),
    "closed_before": ("/close=before/x", "short", None, 3),
    "reset_in_body": ("/size=500000/reset=1000/x", "short", None, 3),
    "reset_before": ("/reset=before/x", "short", None, 3),
    "redirect_loop": ("/redirect=loop/x", "redirect", 302, 1),
    "redirect_to_file": ("/redirect=file:%2F%2F%2Fetc%2Fpasswd/x", "scheme",
                         302, 1),
    "redirect_to_ftp": ("/redirect=ftp:%2F%2F127.0.0.1%2Fx/x", "scheme",
                        302, 1),
    "redirect_without_location": ("/redirect=none/x", "http", 302, 1),
    "status_404": ("/status=404/x", "http", 404, 1),
    "status_500": ("/status=500/x", "http", 500, 3),
    "status_204": ("/status=204/size=0/x", "http", 204, 1),
    "status_304": ("/status=304/size=0/x", "http", 304, 1),
    "status_999": ("/status=999/x", "http", 999, 1),
    "unasked_206": ("/unasked206=100/x", "protocol", 206, 1),
    "two_lengths": ("/length2=5/x", "protocol", None, 1),
    "length_garbage": ("/length=abc/x", "protocol", None, 1),
    "length_negative": ("/length=-5/x", "protocol", None, 1),
    "length_too_long": ("/size=100/length=200/x", "short", 200, 3),
    "bad_chunk": ("/chunked/badchunk=zz/x", "protocol", None, 1),
    "bad_chunk_long": ("/chunked/badchunk=long/x", "protocol", None, 1),
    "bad_chunk_negative": ("/chunked/badchunk=neg/x", "protocol", None, 1),
    "http_0_9": ("/garbage=http09/x", "protocol", None, None),
    "ssh": ("/garbage=ssh/x", "protocol", None, None),
    "random": ("/garbage=random/x", "protocol", None, None),
    "content_encoding": ("/header=Content-Encoding:gzip/status=404/x",
                         "http", 404, 1),
}


def add_fault(name, path, cls, status, attempts):
    def test(tmp):
        with common.server() as server:
            _, record = beside_good(tmp, server, server.url(path),
                                    "--retries", "2")
            check_failed(record, cls, status)
            if attempts is not None:
                check_same(record["attempts"], attempts)

    test.__name__ = name
    tap.case(test)


for _name, _fault in FAULTS.items():
    add_fault(_name, *_fault)


@tap.case
def stalls(tmp):
    "in the body, twice; from the beginning"
    with common.server(mute=True) as server:
        for retries, url in ((1, server.url("/size=5000/stall=100/x")),
                             (0, server.mute_url())):
            _, record = beside_good(tmp, server, url, "--stall-timeout",
                                    "300ms", "--retries", retries)
            check_failed(record, "timeout")
            check_same(record["attempts"], retries + 1)
            for path in tree(tmp / "out"):
                (tmp / "out" / path).unlink()


@tap.case
def a_refused_connection(tmp):
    with socket.socket() as bound, common.server() as server:
        bound.bind(("127.0.0.1", 0))  # and nobody listens
        port = bound.getsockname()[1]
        _, record = beside_good(tmp, server, f"http://127.0.0.1:{port}/x",
                                "--retries", "1")
        check_failed(record, "connect")
        check_same(record["attempts"], 2)
        assert "http" not in record, record


@tap.case
def a_name_that_does_not_resolve(tmp):
    with common.server() as server:
        _, record = beside_good(tmp, server, "http://no-such.invalid/x")
        check_failed(record, "dns")


def need_certs(tmp):
    if not certs.available():
        tap.skip("openssl is not installed")
    return certs.make(tmp / "certs")


@tap.case
def certificates(tmp):
    "for another name, expired, by itself, by an unknown authority"
    made = need_certs(tmp)
    with common.server(cert=made.good) as server:
        for cert in (made.other, made.expired, made.self_signed):
            with common.server(cert=cert) as liar:
                url = liar.url("/x", tls=True)
                _, record = beside_good(tmp, server, url, "--cacert",
                                        made.ca, tls=True)
                check_failed(record, "tls")
                check_same(record["attempts"], 1)
                check_same(liar.stats()["requests"], 0)
            for path in tree(tmp / "out"):
                (tmp / "out" / path).unlink()
        # The authority is unknown where it is not named.
        _, record = beside_good(tmp, server, server.url("/x", tls=True))
        check_failed(record, "tls")


@tap.case
def a_certificate_is_checked_again_with_k(tmp):
    "-k believes anybody; nothing else does"
    made = need_certs(tmp)
    with common.server(cert=made.other) as server:
        url = server.url("/x", tls=True)
        check_same(fetch(tmp, "-k", url).status, 0)
        check_failed(fetch(tmp, "--cacert", made.ca, url,
                           out="o2").records[1], "tls")


@tap.case
def certificates_that_cannot_be_loaded(tmp):
    "--cacert: missing, no certificate in it: nothing is asked"
    with common.server() as server:
        (tmp / "junk").write_text("no certificate\n")
        for bad in (tmp / "missing", tmp / "junk", "/dev/null"):
            done = fetch(tmp, "--cacert", bad, server.url("/a"))
            # cli.md: usage means that a value is wrong; local trouble else.
            assert done.status in (2, 3), done
            assert str(bad) in done.err, done.err
        check_same(server.stats()["requests"], 0)


@tap.case
def many_faults_together(tmp):
    "all of them in one run, four workers: one record each, right classes"
    with common.server() as server:
        faults = list(FAULTS.values()) * 3
        lines = []
        for i, (path, _, _, _) in enumerate(faults):
            lines.append(server.url(f"{path}{i}"))
            lines.append(server.url(f"/size={i * 100}/good{i}"))
        done = fetch(tmp, "-t", "4", "--retries", "2", *SOON, lines=lines)
        check_same(done.status, 1)
        check_same(sorted(done.records), list(range(1, len(lines) + 1)))
        for i, (path, cls, _, _) in enumerate(faults):
            check_same((path, done.records[2 * i + 1].get("error")),
                       (path, cls))
            common.check_good(done, 2 * i + 2, f"/good{i}", i * 100)
        check_same(tree(done.path),
                   sorted(f"good{i}" for i in range(len(faults))))


@tap.case
def answers_nobody_asked_for(tmp):
    "junk and whole responses after a body never become another URL's file"
    with common.server() as server:
        lines = []
        for i in range(60):
            junk = ("/junk=poison", "/junk=50", "/latejunk=poison,5",
                    "/closeidle", "/closeevery=2", "/connclose")[i % 6]
            lines.append(server.url(f"{junk}/size={i * 50}/f{i}"))
        done = fetch(tmp, "-t", "2", *SOON, lines=lines)
        check_same(done.status, 0)
        for i in range(60):
            common.check_good(done, i + 1, f"/f{i}", i * 50)


@tap.case
def a_body_continued_within_a_run(tmp):
    "cut off once, with an ETag: the rest is asked for; the file is whole"
    with common.server() as server:
        size = 300000
        paths = [f"/etag=v1/size={size}/failcut=2:100000/a",
                 f"/etag=v1/size={size}/failcut=1:70000/norange/b",
                 f"/etag=v1/size={size}/failcut=1:7/wrongrange=start/c",
                 f"/etag=v1/size={size}/failcut=1:70000/wrongrange=etag/d",
                 f"/etag=v1/size={size}/failcut=1:70000/newafter=1:e2/e",
                 f"/etag=v1/size={size}/failcut=1:70000/416=always/f",
                 f"/etag=v1/size={size}/failcut=1:70000/wrongrange=total/g",
                 f"/etag=v1/size={size}/failcut=1:70000/shortrange=999/h"]
        done = fetch(tmp, "--retries", "8", *SOON,
                     lines=[server.url(p) for p in paths])
        for n, path in enumerate(paths, 1):
            record = done.records[n]
            if record["status"] == "failed":
                print(path, record)
                assert not (done.path / path[-1]).exists()
                continue
            seed = "/e2" if path.endswith("/e") else path
            common.check_good(done, n, seed, size)
        check_same([done.records[n]["status"] for n in (1, 2, 5)],
                   ["ok"] * 3)
        assert done.records[1]["resumed_at"] >= 100000, done.records[1]


tap.main()
