#!/usr/bin/env python3
"""stdout - handlers that write to standard output, and delivery in order.

SPDX-License-Identifier: MIT
"""

import base64
import http.server
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import threading

import common
import faultbody
import tap
from common import SOON, fetch, server, started

TOP = pathlib.Path(__file__).resolve().parents[2]


def collect(tmp, *more, lines, **options):
    """(status, bytes of standard output, records by n)"""
    with started(tmp, *more, lines=lines, stdout=subprocess.PIPE,
                 **options) as process:
        out = process.stdout.read()
        status = process.wait()
    records = {}
    if (tmp / "results").exists():
        records = common.read_records(tmp / "results")
    return status, out, records


def body(url, size):
    return faultbody.body(faultbody.seed_of(url), size)


# --- bodies -----------------------------------------------------------------------

@tap.case
def bodies_in_order(tmp):
    "--ordered: the bytes of the list, one body after the other"
    sizes = (0, 10, 1000, 20000, 300000)
    with server() as s:
        urls = [s.url(f"/delay=0-50/size={sizes[i % 5]}/o{i}")
                for i in range(400)]
        status, out, records = collect(
            tmp, "--handler", "stdout", "--ordered", "-t", "32",
            "--spool-limit", "1M", lines=urls)
    assert status == 0, status
    expected = b"".join(body(u, sizes[i % 5]) for i, u in enumerate(urls))
    assert out == expected, (len(out), len(expected))
    common.check_same([r["n"] for r in records], list(range(1, 401)))


@tap.case
def bodies_are_never_mixed(tmp):
    "as completed: each body whole, each once, slow and broken ones too"
    with server() as s:
        urls = [s.url(f"/delay=0-20/drip=3000,1/size=20000/m{i}")
                for i in range(60)]
        urls += [s.url(f"/size=20000/etag=v/failcut=1:9000/r{i}")
                 for i in range(20)]
        urls += [s.url(f"/size=20000/cut=5000/c{i}") for i in range(5)]
        status, out, _ = collect(tmp, "--handler", "stdout", "-t", "16",
                                 "--retries", "1", *SOON, lines=urls)
    assert status == 1, status
    found = sorted(out[i:i + 20000] for i in range(0, len(out), 20000))
    assert found == sorted(body(u, 20000) for u in urls[:80])


@tap.case
def failures_keep_their_place(tmp):
    "records of --results are in list order, whatever became of a line"
    with server() as s:
        lines = []
        for i in range(60):
            lines += [s.url(f"/delay=0-30/size=100/a{i}"),
                      s.url(f"/status=404/b{i}"), "no URL",
                      "http://127.0.0.1:1/dead",
                      s.url(f"/fail=1:500/size=100/c{i}")]
        done = fetch(tmp, "--ordered", "-t", "16", "--retries", "1", *SOON,
                     lines=lines)
        records = common.read_records(tmp / "results")
    assert done.status == 1, done.err
    common.check_same([r["n"] for r in records], list(range(1, 301)))
    for i in range(60):
        common.check_good(done, i * 5 + 1, lines[i * 5], 100)


@tap.case
def the_stream_of_a_large_run_takes_little_memory(tmp):
    "200 bodies of 1 MiB in order, 64 at once: below 96 MiB, right bytes"
    size = 1 << 20
    with server() as s:
        urls = [s.url(f"/delay=0-50/size={size}/b{i}") for i in range(200)]
        with open(tmp / "out", "wb") as out:
            status, mib = common.measured(
                tmp, "--handler", "stdout", "--ordered", "-t", "64",
                lines=urls, stdout=out, out="dir")
    assert status == 0, (tmp / "err").read_text()
    with open(tmp / "out", "rb") as out:
        for url in urls:
            assert out.read(size) == body(url, size), url
        assert out.read(1) == b""
    assert mib < 96 or is_instrumented(), f"{mib:.0f} MiB"


def is_instrumented():
    """The program has a sanitizer, which takes memory of its own."""
    program, _ = common.real_program()
    return b"__asan_init" in pathlib.Path(program).read_bytes() or \
        b"__tsan_init" in pathlib.Path(program).read_bytes()


# --- JSON Lines and frames --------------------------------------------------------

@tap.case
def json_lines(tmp):
    "text as text, the rest base64, failures without a body"
    with server() as s:
        urls = [s.url("/size=1000/text"), s.url("/size=0/empty"),
                s.url("/status=404/none"), s.url("/size=5000000/large"),
                s.url("/size=300000/chunked/piece")]
        lines = [urls[0] + "\tid=a \u00fc b", *urls[1:], "no URL"]
        status, out, _ = collect(tmp, "--handler", "stdout:jsonl",
                                 "--ordered", lines=lines)
    assert status == 1, status
    found = [json.loads(line) for line in out.decode().splitlines()]
    common.check_same([r["n"] for r in found], [1, 2, 3, 4, 5])
    assert out.endswith(b"\n") and out.count(b"\n") == 5
    common.check_same(found[0]["body"].encode(), body(urls[0], 1000))
    common.check_same(found[0]["id"], "a \u00fc b")
    common.check_same(found[0]["status"], "ok")
    common.check_same(found[0]["url"], urls[0])
    common.check_same(found[0]["bytes"], 1000)
    common.check_same(found[1]["body"], "")
    common.check_same((found[2]["status"], found[2]["error"],
                       found[2]["http"], "body" in found[2],
                       "body_base64" in found[2]),
                      ("failed", "http", 404, False, False))
    assert base64.b64decode(found[3]["body_base64"], validate=True) == \
        body(urls[3], 5000000)
    assert "body" not in found[3]
    common.check_same(found[4]["body"].encode(), body(urls[4], 300000))


class Files:
    """Serves bytes of the test's own, which faultd cannot."""

    def __init__(self, files):
        class Answer(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                data = files[self.path]
                self.send_response(200)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0),
                                                      Answer)
        self.thread = threading.Thread(target=self.server.serve_forever)

    def __enter__(self):
        self.thread.start()
        return "http://127.0.0.1:%d" % self.server.server_address[1]

    def __exit__(self, *_):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


CONTENTS = {
    "/quotes": b'"\\\x00\x01\x1f\x7f\t\r\n</script>',
    "/utf8": "\u00e4\u20ac\U0001f600\u0085\u2028".encode() * 70000,
    "/latin1": b"caf\xe9",
    "/cut": "\u20ac".encode()[:2],
    "/binary": bytes(range(256)) * 3000,
    "/one": b"\xff",
    "/two": b"\xff\xfe",
    "/empty": b"",
}


@tap.case
def any_bytes_come_through_json(tmp):
    "whatever the bytes are, a line is JSON and gives them back"
    with Files(CONTENTS) as base:
        status, out, _ = collect(
            tmp, "--handler", "stdout:jsonl", "--ordered",
            lines=[base + name for name in CONTENTS])
    assert status == 0, (tmp / "err").read_text()
    lines = out.split(b"\n")
    assert lines.pop() == b""
    for (name, data), line in zip(CONTENTS.items(), lines, strict=True):
        assert not re.search(rb"[\x00-\x1f\x7f]|\xc2[\x80-\x9f]", line), name
        record = json.loads(line)
        try:
            text = data.decode()
        except UnicodeDecodeError:
            assert base64.b64decode(record["body_base64"],
                                    validate=True) == data, name
            assert "body" not in record
        else:
            assert record["body"] == text, name
            assert "body_base64" not in record


def manual_reader():
    """The program in the manual, as it stands there."""
    text = (TOP / "man/pfetch.1").read_text()
    return re.search(r"\.Bd -literal\n(import json\n.*?)\.Ed\n", text,
                     re.S).group(1)


@tap.case
def the_reader_in_the_manual_reads_frames(tmp):
    "the 15 lines of Python in pfetch(1), as they stand"
    source = manual_reader()
    assert len(source.splitlines()) <= 15
    (tmp / "reader.py").write_text(source)
    with server() as s, Files(CONTENTS) as base:
        urls = [s.url("/delay=0-30/size=%d/f%d" % (i * 7001, i))
                for i in range(50)]
        urls += [s.url("/status=404/x"), "http://127.0.0.1:1/dead"]
        urls += [base + name for name in CONTENTS]
        status, out, _ = collect(tmp, "--handler", "stdout:framed", "-t", "8",
                                 "--retries", "0", lines=urls)
    assert status == 1, (tmp / "err").read_text()
    done = subprocess.run([sys.executable, tmp / "reader.py"], input=out,
                          capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    found = {}
    for line in done.stdout.decode().splitlines():
        n, status, url, length = line.split()
        found[int(n)] = (status, url, int(length))
    lengths = [i * 7001 for i in range(50)] + [0, 0]
    lengths += [len(data) for data in CONTENTS.values()]
    statuses = ["ok"] * 50 + ["failed"] * 2 + ["ok"] * len(CONTENTS)
    common.check_same(found, {
        i + 1: (statuses[i], urls[i], lengths[i]) for i in range(len(urls))})
    # And what it says of a stream that is cut off.
    done = subprocess.run([sys.executable, tmp / "reader.py"],
                          input=b'{"length":5,"n":1}\n1234',
                          capture_output=True, check=False)
    assert b"in the middle of a body" in done.stderr, done
    assert done.returncode == 1, done


@tap.case
def frames_have_the_bytes(tmp):
    "each body of a framed stream is right"
    with server() as s:
        urls = [s.url("/delay=0-30/size=%d/g%d" % (i * 9001, i))
                for i in range(60)]
        status, out, _ = collect(tmp, "--handler", "stdout:framed", "-t",
                                 "16", "--spool-limit", "100k", lines=urls)
    assert status == 0
    seen = set()
    while out:
        header, out = out.split(b"\n", 1)
        assert re.match(rb'\{"length":[0-9]+,', header), header
        record = json.loads(header)
        data, out = out[:record["length"]], out[record["length"]:]
        assert data == body(record["url"], record["bytes"])
        seen.add(record["n"])
    common.check_same(seen, set(range(1, 61)))


# --- trouble ----------------------------------------------------------------------

@tap.case
def one_stream_for_one_thing(tmp):
    "--results - and a stdout handler are a usage error"
    for handler in ("stdout", "stdout:jsonl", "stdout:framed"):
        done = fetch(tmp, "--handler", handler, "--results", "-",
                     "http://127.0.0.1:1/x", results=None)
        assert done.status == 2, done
        assert "standard output" in done.err, done.err
    done = fetch(tmp, "--handler", "stdout:xml", "http://127.0.0.1:1/x")
    assert done.status == 2, done
    done = fetch(tmp, "--spool-limit", "x", "http://127.0.0.1:1/x")
    assert done.status == 2, done


@tap.case
def a_reader_that_goes_away(tmp):
    "EPIPE is a local failure: status 3, said in a line"
    with server() as s:
        urls = [s.url(f"/size=100000/p{i}") for i in range(500)]
        with started(tmp, "--handler", "stdout", lines=urls,
                     stdout=subprocess.PIPE) as process:
            process.stdout.read(1000)
            process.stdout.close()
            status = process.wait(30)
    assert status == 3, status
    err = (tmp / "err").read_text()
    assert "standard output: Broken pipe" in err, err
    records = common.by_n(common.read_records(tmp / "results"))
    # Each line read has a record; one more may stand for those not read.
    assert [r for r in records.values() if r.get("error") == "local"]


@tap.case
def a_standard_output_that_cannot_be_written(tmp):
    "closed, or full: status 3"
    with server() as s:
        url = s.url("/size=1000/x")
        with open("/dev/full", "wb") as full:
            with started(tmp, "--handler", "stdout", lines=[url],
                         stdout=full) as process:
                assert process.wait(30) == 3
        done = subprocess.run(
            ["sh", "-c", 'exec "$0" "$@" >&-', tap.PFETCH, "-q", "--handler",
             "stdout", url], capture_output=True, text=True, check=False)
        assert done.returncode == 3, done
        assert "standard output" in done.stderr, done.stderr


@tap.case
def a_reader_that_does_not_read(tmp):
    "INT, and --deadline, end the run in bounded time all the same"
    with server() as s:
        urls = [s.url(f"/size=1000000/p{i}") for i in range(100)]
        for handler in ("stdout", "stdout:jsonl", "stdout:framed"):
            with started(tmp, "--handler", handler, "--grace", "100ms",
                         lines=urls, stdout=subprocess.PIPE) as process:
                s.wait(lambda stats: stats["requests"] > 5)
                process.send_signal(signal.SIGINT)
                assert process.wait(30) == -signal.SIGINT
            with started(tmp, "--handler", handler, "--deadline", "300ms",
                         lines=urls, stdout=subprocess.PIPE) as process:
                assert process.wait(30) == 4
            s.reset()


@tap.case
def the_spool_directory(tmp):
    "TMPDIR is where bodies go that memory has no room for"
    with server() as s:
        urls = [s.url(f"/size=100000/s{i}") for i in range(5)]
        for limit, status in (("1M", 0), ("10k", 3)):
            environment = dict(os.environ, TMPDIR=str(tmp / "nowhere"))
            with started(tmp, "--handler", "stdout", "--spool-limit", limit,
                         lines=urls, env=environment) as process:
                assert process.wait(30) == status
        assert "nowhere" in (tmp / "err").read_text()
        with tempfile.TemporaryDirectory(dir=tmp) as directory:
            environment = dict(os.environ, TMPDIR=directory)
            with started(tmp, "--handler", "stdout", "--spool-limit", "0",
                         lines=urls, env=environment) as process:
                assert process.wait(30) == 0
            common.check_same(os.listdir(directory), [])


tap.main()
