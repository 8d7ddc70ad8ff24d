#!/usr/bin/env python3
"""continued - area B: what a run has left is continued, or begun anew.

SPDX-License-Identifier: MIT

The first run breaks off in the middle of one body, the second finds what it
has left.  Whatever that is, and whatever the server says then: the file is
the one that the server has at that time, and nothing is left over.
"""

import contextlib
import os

import harness
from harness import BAD, Expected, check_same, row, tap
import common

SIZE = 300000
CUT = 200000
PART = ".x.part"


def need_attributes(batch):
    probe = batch.tmp / "probe"
    probe.write_text("")
    try:
        os.setxattr(probe, "user.pfetch-test", b"x")
    except OSError:
        tap.skip("this file system keeps no user attributes")


def break_off(batch, words, left=True):
    """The first run: the body of line 10 is cut off."""
    need_attributes(batch)
    path = f"/size={SIZE}/failcut=1:{CUT}/{words}/x"
    batch.good(9, plain=True)
    batch.add(batch.url(path), Expected("failed", "short", attempts=1,
                                        continues=left))
    batch.good(10, plain=True)
    done = batch.run("--retries", "0")
    batch.check(done)
    check_same((batch.out / PART).exists(), left)
    if left:
        check_same((batch.out / PART).stat().st_size, CUT)
    return path


def go_on(batch, path, seed=b"x", resumed=None, requests=None, options=(),
          size=SIZE):
    """The second run: line 10 is ok, the others are there."""
    before = len(batch.server.log())
    batch.lines = [
        (text, Expected("skipped") if n != BAD else Expected(
            "ok", size=size, seed=seed, path="x"))
        for n, (text, _) in enumerate(batch.lines, 1)]
    done = batch.run("--retries", str(harness.RETRIES), *options)
    batch.check(done)
    record = done.records[BAD]
    check_same(record.get("resumed_at"), resumed)
    asked = batch.server.log()[before:]
    if requests is not None:
        check_same([(a.get("Range"), a.get("If-Range")) for a in asked],
                   requests)
    check_same([p for p in common.tree(batch.out) if harness.is_part(p)], [])
    return done, asked


REST = (f"bytes={CUT}-", '"v"')


@row("B01", "cut off with a strong ETag: the rest only, once")
def the_rest(batch):
    path = break_off(batch, "etag=v")
    done, _ = go_on(batch, path, resumed=CUT, requests=[REST])
    batch.rerun(done)


@row("B01", "KILL in the middle of a large body", timeout=90)
def killed(batch):
    need_attributes(batch)
    size = 3_000_000
    batch.around(batch.url(f"/etag=v/size={size}/drip=100000,30/x"),
                 Expected("ok", size=size, seed=b"x", path="x"))
    with batch.running(strace=False) as run:
        common.until(lambda: (batch.out / PART).exists() and (
            batch.out / PART).stat().st_size > size / 3, "a third of it")
        run.kill()
    kept = (batch.out / PART).stat().st_size
    batch.server.wait(lambda s: s["requests_active"] == 0)
    before = len(batch.server.log())
    done = batch.run(seconds=15)
    check_same(done.status, 0)
    asked = [a for a in batch.server.log()[before:]
             if a["path"].endswith("/x")]
    check_same(len(asked), 1)
    check_same(asked[0].get("If-Range"), '"v"')
    start = int(asked[0]["Range"][6:-1])
    assert 0 < start <= kept, (start, kept)
    check_same(done.records[BAD]["resumed_at"], start)
    batch.check_file("x", Expected("ok", size=size, seed=b"x"))
    batch.rerun(done)


@row("B02", "another file on the server: from its beginning, nothing mixed")
def replaced(batch):
    path = break_off(batch, "etag=v/newafter=1:w")
    done, _ = go_on(batch, path, seed=b"w")
    # It is this URL's file; that the server has had another is past.
    assert done.records[BAD]["etag"] == '"w"'


@row("B02", "the same ETag for another file: the length tells")
def same_etag(batch):
    path = break_off(batch, "etag=v/wrongrange=total")
    go_on(batch, path)


for _words in ("norange", "wrongrange=start", "wrongrange=after",
               "wrongrange=nocr", "wrongrange=multipart",
               "wrongrange=total", "wrongrange=etag", "416=always"):
    @row("B03" if _words == "norange" else "B07",
         f"the server answers with {_words}: begun anew")
    def other_answer(batch, words=_words):
        path = break_off(batch, "etag=v/" + words)
        done, _ = go_on(batch, path)
        batch.rerun(done)


@row("B07", "a 206 that is shorter than asked for: the rest of the rest")
def short_answers(batch):
    path = break_off(batch, "etag=v/shortrange=40000")
    go_on(batch, path, resumed=CUT + 2 * 40000)


for _words in ("lastmod=Sun,%2006%20Nov%201994%2008:49:37%20GMT",
               "etag=W%2Fv", "retryafter=1", "header=ETag:%20v",
               "header=ETag:%20%22v%22x"):
    @row("B08", f"no strong validator ({_words}): nothing left, begun anew")
    def no_validator(batch, words=_words):
        path = break_off(batch, words, left=False)
        go_on(batch, path, requests=[(None, None)])


@row("B08", "the whole file was there but for the last byte; and not one byte")
def edges(batch):
    need_attributes(batch)
    batch.good(4, plain=True)
    for name, cut in (("a", SIZE - 1), ("b", 0), ("c", 1)):
        batch.add(batch.url(f"/etag=v/size={SIZE}/failcut=1:{cut}/{name}"),
                  Expected("failed", "short"))
    batch.check(batch.run("--retries", "0"))
    batch.lines = [(t, Expected("skipped") if e.status == "ok" else Expected(
        "ok", size=SIZE, seed=t[-1:])) for t, e in batch.lines]
    done = batch.run()
    batch.check(done)
    check_same([done.records[n].get("resumed_at") for n in (5, 6, 7)],
               [SIZE - 1, None, 1])


@row("B09", "the part is corrupt: a checksum in the line tells, and mends it")
def corrupt(batch):
    """Without a checksum that cannot be seen (CAVEATS)."""
    need_attributes(batch)
    digest = harness.digest_of(b"x", SIZE)
    batch.good(9, plain=True)
    batch.add(batch.url(f"/etag=v/size={SIZE}/failcut=1:{CUT}/x")
              + f"\tchecksum=sha256:{digest}", Expected(
                  "failed", "short", continues=True))
    batch.good(4, plain=True)
    batch.check(batch.run("--retries", "0"))
    with open(batch.out / PART, "r+b") as part:
        part.seek(1000)
        part.write(b"\0" * 20)
    done = batch.run()
    record = done.records[BAD]
    if record["status"] == "ok":
        batch.check_file("x", Expected("ok", size=SIZE, seed=b"x"))
    else:
        common.check_failed(record, "checksum")
        assert not (batch.out / "x").exists()
        again = batch.run()
        check_same(again.status, 0)
        batch.check_file("x", Expected("ok", size=SIZE, seed=b"x"))


@row("B09", "the part is shorter, longer, empty: never a wrong file")
def other_sizes(batch):
    need_attributes(batch)
    for name in "abcd":
        batch.add(batch.url(f"/etag=v/size={SIZE}/failcut=1:{CUT}/{name}"),
                  Expected("failed", "short", continues=True))
    batch.check(batch.run("--retries", "0"))
    for name, size in (("a", CUT - 1), ("b", 0), ("d", 1)):
        os.truncate(batch.out / f".{name}.part", size)
    with open(batch.out / ".c.part", "ab") as part:
        part.write(b"more than was ever recorded" * 10000)
    batch.lines = [(t, Expected("ok", size=SIZE, seed=t[-1:]))
                   for t, _ in batch.lines]
    done = batch.run()
    # What was put in behind what is known cannot be told from a body that a
    # killed run has written; but it cannot be longer than the whole.
    batch.check(done)


@row("B10", "a part of another URL with that name is not continued")
def another_url(batch):
    path = break_off(batch, "etag=v")
    batch.lines[BAD - 1] = (batch.url(f"/d/etag=v/seed=y/size={SIZE}/x"
                                      ).encode(), None)
    done, asked = go_on(batch, path, seed=b"y")
    check_same([a.get("Range") for a in asked], [None])
    del done


@row("B11", "the state is cut at every length, or garbage, or of the future",
     timeout=120)
def broken_state(batch):
    need_attributes(batch)
    batch.add(batch.url("/etag=v/size=900/failcut=1:500/s"),
              Expected("failed", "short", continues=True))
    batch.check(batch.run("--retries", "0"))
    place = batch.out / ".s.part"
    name = os.listxattr(place)[0]
    length = len(os.getxattr(place, name))
    place.unlink()
    batch.lines = []
    count = length + 8
    batch.workers = 16
    for i in range(count):
        batch.add(batch.url(f"/etag=v/size=900/failcut=1:500/s{i}"),
                  Expected("failed", "short", continues=True))
    batch.check(batch.run("--retries", "0", seconds=15))
    for i in range(count):
        place = batch.out / f".s{i}.part"
        value = os.getxattr(place, name)
        if i <= length:
            value = value[:i]
        else:
            value = [b"\0" * 40, b"\xff" * 200, b"2" + value[1:],
                     value + b" and more", value.replace(b" ", b"\t"),
                     value.replace(b"1", b"-"), os.urandom(60)][
                         i - length - 1]
        with contextlib.suppress(OSError):
            os.setxattr(place, name, value)
    batch.lines = [(t, Expected("ok", size=900,
                                seed=t.rpartition(b"/")[2]))
                   for t, _ in batch.lines]
    done = batch.run(seconds=15)
    batch.check(done)
    batch.rerun(done, seconds=15)


for _what, _spoil in (
        ("has mode 000", lambda p: p.chmod(0)),
        ("is a directory", lambda p: (p.unlink(), p.mkdir())),
        ("is a link", lambda p: (p.rename(p.with_name("else")),
                                 p.symlink_to("else"))),
        ("is a FIFO", lambda p: (p.unlink(), os.mkfifo(p))),
        ("has a second name", lambda p: os.link(p, p.with_name("second"))),
        ("belongs to somebody else", lambda p: os.chown(p, 12345, -1))):
    @row("B12", f"the part {_what}: not used, not harmed")
    def spoilt(batch, spoil=_spoil):
        break_off(batch, "etag=v")
        if spoil.__code__.co_names == ("os", "chown"):
            harness.need_root()
        spoil(batch.out / PART)
        kinds = {p.name: (p.lstat().st_mode, p.lstat().st_size)
                 for p in batch.out.iterdir()}
        done = batch.run()
        batch.check_text(done)
        batch.check_places(done)
        record = done.records[BAD]
        if record["status"] == "ok":
            place = batch.out / record["path"]
            batch.mode = place.stat().st_mode & 0o7777  # that of the part
            batch.check_file(record["path"], Expected("ok", size=SIZE,
                                                      seed=b"x"))
        else:
            common.check_failed(record, "local")
        for name in ("else", "second"):
            if name in kinds:
                check_same((batch.out / name).stat().st_size, CUT)
        if PART in kinds and not os.path.stat.S_ISREG(kinds[PART][0]):
            check_same((batch.out / PART).lstat().st_mode, kinds[PART][0])


if __name__ == "__main__":
    harness.main()
