#!/usr/bin/env python3
"""inputs - areas L and J: lists, and what is written about them.

SPDX-License-Identifier: MIT
"""

import json
import os
import random
import subprocess
import threading

import harness
from harness import Expected, Row, check_same, row, tap
import common

BOM = "\ufeff"


def listed(batch, data, *options, seconds=20, **more):
    batch.list.write_bytes(data)
    return batch.run(*options, keep_list=True, seconds=seconds, **more)


def fine(batch, name):
    return Expected("ok", size=1000, seed=name.encode(), path=name)


@row("L01", "CRLF, BOM, blanks, TABs, comments, no last newline")
def odd_but_legal(batch):
    text = (BOM + batch.url("/a") + "\r\n\r\n  # no\r\n \t "
            + batch.url("/b") + " \t\r\n#" + batch.url("/no") + "\n\n\n"
            + batch.url("/c"))
    batch.lines = [(n.encode(), fine(batch, n)) for n in "abc"]
    batch.is_numbered = False
    done = listed(batch, text.encode())
    batch.check(done)
    check_same([r["line"] for _, r in sorted(done.records.items())],
               [1, 4, 8])


@row("L01", "UTF-16, both ways, with and without a mark: one failure a line")
def utf16(batch):
    text = "".join(f"{batch.url('/x')}{i}\n" for i in range(4))
    for coding in ("utf-16-le", "utf-16-be"):
        for mark in (BOM, ""):
            batch.lines = [(b"", Expected("failed", None))] * 4
            done = listed(batch, (mark + text).encode(coding))
            batch.check_text(done)
            check_same(done.status, 1)
            assert done.records, done.err
            for record in done.records.values():
                common.check_failed(record, record["error"])
                assert record["error"] in ("url", "scheme"), record
    check_same(batch.server.stats()["requests"], 0)


@row("L02", "1,000,000 lines that are answered by 404 or fail at once",
     timeout=900)
def a_million(batch):
    """In `make check` 50,000; memory does not grow with them."""
    count = 1_000_000 if tap.full() else 50_000
    with open(batch.list, "w") as out:
        for i in range(count):
            out.write(batch.url(f"/status=404/x{i}") + "\n" if i % 100 == 0
                      else f"ftp://h/a/path/to/some/file{i}\n")
    made = [a for a in batch.arguments() if a != "-v"] + ["-q"]
    done = batch.run(arguments=made, keep_list=True, seconds=count / 1500,
                     strace=False)
    check_same(done.status, 1)
    check_same(sorted(done.records), list(range(1, count + 1)))
    batch.check_memory(done)


@row("L03", "a line of 1 MB between good ones; 100 MB without a newline",
     timeout=90)
def long_lines(batch):
    batch.around(b"http://127.0.0.1:9/" + b"x" * 1_000_000,
                 Expected("failed", "url"))
    batch.add(b"y" * (100_000_000 if tap.full() else 20_000_000),
              Expected("failed", None))
    batch.lines[-1] = (batch.lines[-1][0], Expected("failed", "url"))
    done = batch.run(seconds=20)
    batch.check(done)
    assert all(len(json.dumps(r)) < 300000 for r in done.records.values())


@row("L04", "standard input, slowly; a FIFO; /dev/stdin")
def slow_input(batch):
    def write_slowly(stream, names):
        with stream:
            for name in names:
                for part in (batch.url("/")[:9], batch.url("/" + name)[9:],
                             "\n"):
                    stream.write(part.encode())
                    stream.flush()
                    threading.Event().wait(.02)

    for i, source in enumerate(("-", "/dev/stdin", "fifo")):
        names = [f"{i}{c}" for c in "abc"]
        batch.lines = [(n.encode(), fine(batch, n)) for n in names]
        made = batch.arguments()
        place = made.index("-i") + 1
        made[place] = source
        read = write = None
        if source == "fifo":
            made[place] = batch.tmp / "fifo"
            os.mkfifo(made[place])
        else:
            read, write = os.pipe()
        run = batch.start(arguments=made, keep_list=True,
                          stdin=read if read else subprocess.DEVNULL)
        if read:
            os.close(read)
        write_slowly(open(write if write else made[place], "wb"), names)
        done = run.finish()
        batch.known = set(common.tree(batch.out)) - set(names)
        batch.check(done)


@row("L05", "a list that is missing, a directory, unreadable: 2, one line")
def unreadable(batch):
    for path in (batch.tmp / "missing", batch.tmp, "/dev/null/x", ""):
        made = batch.arguments()
        made[made.index("-i") + 1] = path
        done = batch.run(arguments=made, keep_list=True)
        check_same((str(path), done.status), (str(path), 2))
        batch.check_text(done)
        assert not batch.out.exists()
    check_same(batch.server.stats()["requests"], 0)


@row("L06", "schemes and hosts of all kinds")
def schemes(batch):
    port = batch.server.ports["plain"]
    for text, cls in (
            ("www.example.test/x", "scheme"), ("http:/h", None),
            ("http:///h", "url"), ("ftp://h/x", "scheme"),
            ("file:///etc/passwd", "scheme"), ("javascript:1", "scheme"),
            ("//h/x", "scheme"), ("http://", "url"), ("http://:80/", "url"),
            ("http://h:0/x", None), ("http://h:65536/x", "url"),
            ("http://h:-1/x", "url"), ("http://h:80x/", "url"),
            ("http://[::1/x", "url"), ("http://[::zz]/x", "url"),
            ("http://a b/x", "url"), ("http://h\\x/", None),
            ("htt\u0440://h/", "scheme"), ("http://xn--/", None),
            ("http://%00/x", "url"), ("http://h%0a/x", "url"),
            ("http://256.256.256.256/", None), ("HTTP", "scheme"),
            ("http:h/x", None), ("http//h/x", "scheme")):
        batch.add(text, Expected("failed", cls))
    for text in (f"HTTP://127.0.0.1:{port}/A", f"http://LOCALHOST:{port}/B",
                 f"http://user@127.0.0.1:{port}/C",
                 f"http://u;x:p%40q@127.0.0.1:{port}/D"):
        batch.add(text, fine(batch, text[-1]))
    done = batch.run("--connect-timeout", "1s", "--retries", "0", seconds=15)
    batch.check_text(done)
    check_same(sorted(done.records), list(range(1, len(batch.lines) + 1)))
    for n, record in done.records.items():
        text, expected = batch.lines[n - 1]
        check_same((text, record["status"]), (text, expected.status))
        if expected.cls:
            check_same((text, record["error"]), (text, expected.cls))
    check_same(done.status, 1)


@row("L08", "the list in the output directory, under the name of an output")
def own_list(batch):
    batch.out.mkdir()
    batch.list = batch.out / "list"
    for mode in ("auto", "overwrite", "error", "skip"):
        batch.lines = [(batch.url("/list").encode(), Expected("any")),
                       (batch.url("/other").encode(), Expected("any"))]
        batch.server.reset()
        done = batch.run("--exist", mode)
        batch.check_text(done)
        batch.check_places(done)
        check_same(batch.list.read_bytes(),
                   b"".join(t + b"\n" for t, _ in batch.lines))
        check_same(len(done.records), 2)
    check_same(tap.run("-i", "/dev/null", "-o", batch.out).returncode, 0)


@row("L09", "the list grows, and is cut off, while it is read")
def changing_list(batch):
    for i in range(300):
        batch.add(batch.url(f"/delay=5/x{i}"), fine(batch, f"x{i}"))
    batch.write_list()
    with batch.running(keep_list=True) as run:
        batch.server.wait(lambda s: s["requests"] >= 20)
        with open(batch.list, "ab") as out:
            out.write(batch.url("/added\n").encode())
        batch.server.wait(lambda s: s["requests"] >= 60)
        os.truncate(batch.list, 20)
        done = run.finish(15)
    batch.check_text(done)
    assert done.status in (0, 1), done.err[-500:]
    for n, record in done.records.items():
        if record["status"] == "ok" and n <= 300:
            batch.check_file(record["path"], batch.lines[n - 1][1])


@row("L11", "out= that tries to leave, to collide, to hide")
def own_names(batch):
    cases = ["../x", "/etc/x", "a/../../x", "..", ".", "", "a//b", "a/./b",
             "a/", "-x", ".x", "a\\..\\b", "x" * 300, "b" * 5000, "c\x7f",
             "ok1", "ok1", "d/ok2", "d/ok2/below", "d"]
    for name in cases:
        batch.add(batch.url(f"/f{len(batch.lines)}") + "\tout=" + name,
                  Expected("any"))
    done = batch.run()
    batch.check_text(done)
    batch.check_places(done)
    check_same(sorted(done.records), list(range(1, len(cases) + 1)))
    check_same(done.records[cases.index("ok1") + 1]["path"], "ok1")
    for n, record in done.records.items():
        if record["status"] == "ok":
            assert cases[n - 1].startswith((
                "ok", "d", "b", "x", "a\\")), record
            place = (batch.out / record["path"]).resolve()
            assert batch.out.resolve() in place.parents, record
        else:
            assert record["error"] in ("name", "url", "exists"), record


@row("L12", "lines of noise: each has one record, none crashes", timeout=300)
def noise(batch):
    count = 10000 if tap.full() else 1500
    chance = random.Random(6)
    seeds = [batch.url("/x").encode(), b"http://[::1]:80/", b"https://u:p@h/",
             b"#", b"\t", b"id=", b"out=", b"checksum=sha256:", b"size=",
             b"http://", b"\xef\xbb\xbf", b"\xff\xfe", b"%", b"?", b"[0-9]",
             b"{a,b}", b"\\", b"..", b"\r", b"\x00", b"\xc3", b"\x1b[31m"]
    total = 0
    data = b""
    for _ in range(count):
        line = b"".join(chance.choice(seeds)
                        for _ in range(chance.randrange(1, 7)))
        if chance.random() < .5 and line:
            at = chance.randrange(len(line))
            line = line[:at] + bytes([chance.randrange(256)]) + line[at:]
        line = line.replace(b"\n", b"")
        data += line + b"\n"
        blank = line.strip(b" \t\r\n")
        if total == 0 and blank.startswith(b"\xef\xbb\xbf"):
            blank = blank[3:].strip(b" \t\r")
        total += 1
    batch.workers = 16
    done = listed(batch, data, "--retries", "0", "--connect-timeout",
                  "300ms", "--stall-timeout", "300ms", seconds=60,
                  strace=False)
    batch.check_text(done)
    batch.check_memory(done)
    assert done.status in (0, 1), done.err[-500:]
    numbers = sorted(done.records)
    check_same(numbers, list(range(1, len(numbers) + 1)))
    assert len(numbers) > count / 2
    for record in done.records.values():
        assert record["line"] <= total


# --- records ---------------------------------------------------------------------

@row("J01", "quotes, backslashes, invalid UTF-8, 60 KB in URL and reason")
def odd_records(batch):
    for i, path in enumerate((
            '/"q"/a', "/\\b", "/%22", "/\u00fc\u2028", "/'", "/</script>",
            "/" + "z" * 60000, "/a%ff", "/reason=%22%5c%0bx/status=404/r",
            "/reason=" + "R" * 5000 + "/status=404/s", "/etag=%22%5c/e",
            "/lastmod=%ff%fe%22/l", "/header=Content-Type:%20%22%ff%5c/t",
            "/retryafter=%ff/status=404/u")):
        batch.add(batch.url(path), Expected("any"))
    batch.add(batch.url("/\ud800x").encode("utf-8", "surrogatepass"),
              Expected("any"))
    batch.add(batch.url("/x").encode() + b"\xff\xfe", Expected("any"))
    done = batch.run()
    batch.check_text(done)
    batch.check_places(done)
    check_same(sorted(done.records), list(range(1, len(batch.lines) + 1)))


@row("J02", "records to /dev/full: 3, reported, no further tries")
def full_report(batch):
    if not os.path.exists("/dev/full"):
        tap.skip("no /dev/full")
    batch.good(harness.LINES)
    batch.results = type(batch.results)("/dev/full")
    run = None
    made = batch.arguments()
    batch.write_list()
    batch.results = batch.tmp / "none"
    batch.allowed.add("/dev/full")
    run = batch.start(arguments=made)
    done = run.finish(4)
    check_same(done.status, 3)
    batch.check_text(done)
    check_same(done.err.count(b"No space left"), 1)
    check_same([p for p in common.tree(batch.out) if harness.is_part(p)], [])


@row("J03", "standard error is a file, TERM=dumb, NO_COLOR: plain, and little")
def plain_messages(batch):
    for i in range(12):
        batch.add(batch.url(f"/size=9000/drip=900,100/x{i}"), Expected(
            "ok", size=9000, seed=b"x%d" % i))
    made = [a for a in batch.arguments() if a != "-v"]
    done = batch.run(arguments=made,
                     environment={"TERM": "dumb", "NO_COLOR": "1"})
    batch.check(done)
    assert len(done.err.splitlines()) <= 3 + done.seconds, done.err


@row("J05", "the report is removed, and emptied, while it is written")
def changing_report(batch):
    for i in range(200):
        batch.add(batch.url(f"/size=10/delay=5/x{i}"), Expected("any"))
    with batch.running() as run:
        batch.server.wait(lambda s: s["requests"] >= 30)
        os.truncate(batch.results, 0)
        batch.server.wait(lambda s: s["requests"] >= 60)
        batch.results.unlink()
        check_same(run.process.wait(15), 0)
    check_same(len(common.tree(batch.out)), 200)


@row("J06", "many records at once, 64 workers: none torn, none lost",
     timeout=300)
def many_records(batch):
    count = 100000 if tap.full() else 5000
    batch.workers = 64
    for i in range(count):
        batch.add(batch.url(f"/size=0/x{i}"), Expected("any"))
    made = batch.arguments("--handler", "null")
    done = batch.run(arguments=[a for a in made if a != "-v"] + ["-q"],
                     seconds=5 + count / 500, strace=False)
    check_same(done.status, 0)
    check_same(sorted(done.records), list(range(1, count + 1)))
    batch.check_memory(done)


for _evil in ("%1b]52;c;eA==%07", "%1b[2J", "%c2%9b31m", "%e2%80%ae",
              "%7f%08", "a%0bb"):
    harness.add([
        Row("J07", f"a reason phrase with {_evil}, -v",
            f"/status=404/reason={_evil}/x", "http", 404, 1),
        Row("J07", f"an ETag and a date with {_evil}, -v",
            f"/etag={_evil}/lastmod={_evil}/x", "ok")])


@row("J07", "a Location with control bytes that fails, -v")
def evil_location(batch):
    for i, evil in enumerate(("%1b]52;c;eA==%07", "%c2%9b31m", "%e2%80%ae")):
        batch.add(batch.url(f"/redirect=ftp:%2F%2Fh%2F{evil}/x{i}"),
                  Expected("any"))
        batch.add(batch.url(f"/redirect=http:%2F%2F{evil}%2F/y{i}"),
                  Expected("any"))
    done = batch.run()
    batch.check_text(done)
    check_same(done.status, 1)
    check_same(len(done.records), len(batch.lines))


if __name__ == "__main__":
    harness.main()
