#!/usr/bin/env python3
"""filenames - area D: names, what is in the way, and where files go.

SPDX-License-Identifier: MIT
"""

import os
import re
import shutil
import subprocess
import threading
import unicodedata

import harness
from harness import BAD, Expected, Row, check_same, row, tap
import common
from common import until

WILD = (
    "/..%2f..%2fevil", "/%2e%2e", "/%2e%2e%2fx", "/a%00b", "/..", "/.", "//",
    "/a/../../b", "/%5c..%5cx", "/.%2e", "/%2E%2E%5Cx", "/..;/x", "/%2f",
    "/%2fetc%2fpasswd", "/..%c0%afx", "/%252e%252e%252fx", "/a/b/%2e%2e",
    "/.bashrc", "/.ssh", "/-rf", "/--help", "/~root", "/CON", "/a.", "/a%20",
    "/a:b", "/*?%22<>", "/%2e", "/.x.part", "/.part", "/index.html",
    "/a%1b%5b31mX", "/%c2%9b31m", "/%e2%80%ae", "/%e2%80%a8", "/%ff%fe",
    "/%7f", "/%e2%81%a6x", "/%ef%bb%bfx", "/%ed%a0%80", "/%f4%90%80%80",
    "/%c3%a9", "/e%cc%81", "/%0a", "/%0d%0a", "/x%e2%80%8b",
    "", "/", "?q=1", "#frag", "/t/", "/?", "/?q=..%2f", "/?/../../x",
    "/a?b#c", "/;x", "/%20", "/%09")


def check_name(path):
    """What P-NAME promises for each component."""
    for part in path.split("/"):
        data = os.fsencode(part)
        text = data.decode("utf-8")
        assert 1 <= len(data) <= 255, path
        assert text[0] not in ".-", path
        for char in text:
            assert unicodedata.category(char) not in (
                "Cc", "Cf", "Cs", "Zl", "Zp"), (path, char)


def check_wild(batch, *options, timeouts=10):
    """Whatever the names: one decent file each, inside, and found again."""
    done = batch.run(*options, seconds=timeouts)
    batch.check_text(done)
    batch.check_memory(done)
    batch.check_places(done)
    check_same(sorted(done.records), list(range(1, len(batch.lines) + 1)))
    paths = []
    for record in done.records.values():
        if record["status"] == "failed":
            assert record["error"] in ("http", "name"), record
        elif record["status"] == "ok":
            check_name(record["path"])
            assert (batch.out / record["path"]).is_file(), record
            paths.append(record["path"])
    check_same(sorted(paths), common.tree(batch.out))
    check_same(len(paths), len(set(paths)))
    again = batch.run(*options, seconds=timeouts)
    for n, record in done.records.items():
        if record["status"] == "ok":
            check_same((again.records[n]["status"],
                        again.records[n]["path"]),
                       ("skipped", record["path"]))
    batch.check_text(again)
    return done


for _mode in ("basename", "path", "hash", "number"):
    @row("D01 D03 D04", f"names that try to leave, to hide, to confuse: {_mode}")
    def wild(batch, mode=_mode):
        (batch.tmp / "evil").write_text("keep")
        for path in WILD:
            batch.add(batch.url(path), Expected("any"))
        if mode == "number":  # which cannot tell whose file it is by URL
            batch.lines = batch.lines[:20]
        done = check_wild(batch, "--name", mode)
        check_same((batch.tmp / "evil").read_text(), "keep")
        assert sum(r["status"] == "ok"
                   for r in done.records.values()) >= len(batch.lines) * .8


@row("D02", "what the manual says of a few names")
def well_known(batch):
    for path, name in (("/.bashrc", "%2Ebashrc"), ("/-rf", "%2Drf"),
                       ("/--help", "%2D-help"), ("/~root", "~root"),
                       ("/CON", "CON"), ("/a:b", "a:b"), ("/a.", "a."),
                       ("/a%1b%5b31mX", "a%1B[31mX"),
                       ("/%e2%80%ae", "%E2%80%AE"), ("/%ff", "%FF"),
                       ("/%c3%a9", "\u00e9"), ("/t/", "index.html"),
                       ("/a%20b?c=d#e", "a b?c=d")):
        batch.add(batch.url(path), Expected(
            "ok", size=1000, seed=harness.faultbody.seed_of(path),
            path=name))
    done = batch.run()
    batch.check(done)
    batch.rerun(done)
    assert not [e for e in batch.server.log() if "#" in e["path"]]


@row("D05", "1,000 equal names, 16 workers, distinct bodies", timeout=90)
def equal_names(batch):
    batch.workers = 16
    for i in range(1000):
        batch.add(batch.url(f"/seed=s{i}/size={i % 50 * 10}/a.txt"),
                  Expected("ok", size=i % 50 * 10, seed=b"s%d" % i,
                           path="a.txt" if i == 0 else f"a.{i}.txt"))
    done = batch.run(seconds=20)
    batch.check(done)
    batch.rerun(done, seconds=20)
    # Backwards, and some of them alone: each finds its own file.
    for part in (batch.lines[::-1], batch.lines[500:510]):
        batch.lines = part
        batch.server.reset()
        again = batch.run(seconds=20)
        check_same(again.status, 0)
        for n, record in again.records.items():
            check_same((record["status"], record["path"]),
                       ("skipped", part[n - 1][1].path))
        check_same(batch.server.stats()["requests"], 0)


@row("D06", "one URL 1,000 times")
def one_url(batch):
    batch.add(batch.url("/size=30000/x"),
              Expected("ok", size=30000, seed=b"x", path="x"))
    for _ in range(999):
        batch.add(batch.lines[0][0], Expected("skipped"))
    done = batch.run(seconds=20)
    batch.check(done)
    check_same(batch.server.hits("/size=30000/x"), 1)
    batch.rerun(done)


@row("D09", "a file of another of that name: untouched; each mode")
def taken(batch):
    batch.out.mkdir()
    (batch.out / "x").write_text("mine")
    (batch.out / "x").chmod(0o600)
    batch.known = {"x"}
    batch.around(batch.url("/x"), Expected("ok", size=1000, seed=b"x",
                                           path="x.1"))
    done = batch.run()
    batch.check(done)
    batch.rerun(done)
    batch.server.reset()
    check_same((batch.out / "x").read_text(), "mine")
    shutil.rmtree(batch.out)
    batch.out.mkdir()
    (batch.out / "x").write_text("mine")
    batch.lines[BAD - 1] = (batch.lines[BAD - 1][0],
                            Expected("failed", "exists"))
    batch.check(batch.run("--exist", "error"))
    batch.known = frozenset()
    batch.lines[BAD - 1] = (batch.lines[BAD - 1][0], Expected("skipped"))
    for name in set(common.tree(batch.out)) - {"x"}:
        (batch.out / name).unlink()
    batch.server.reset()
    batch.check(batch.run("--exist", "skip"))
    check_same((batch.out / "x").read_text(), "mine")


@row("D09", "another process takes names at random moments, 500 times",
     timeout=90)
def race(batch):
    """Whatever it makes stays as it is, and no file of ours is lost."""
    for i in range(500):
        batch.add(batch.url(f"/size=2000/r{i}"), Expected(
            "ok", size=2000, seed=b"r%d" % i))
    batch.out.mkdir()
    over = threading.Event()
    made = []

    def intrude():
        # As soon as a temporary file is there, its final name is taken.
        while not over.is_set():
            for name in os.listdir(batch.out):
                found = re.fullmatch(r"\.(r\d+)\.part", name)
                if found and len(made) < 400:
                    try:
                        fd = os.open(batch.out / found[1],
                                     os.O_WRONLY | os.O_CREAT | os.O_EXCL)
                    except FileExistsError:
                        continue
                    os.write(fd, b"intruder")
                    os.close(fd)
                    made.append(found[1])

    intruder = threading.Thread(target=intrude)
    intruder.start()
    try:
        done = batch.run(seconds=30, strace=False)
    finally:
        over.set()
        intruder.join()
    print(f"{len(made)} names were taken")
    batch.known = set(made)
    batch.check(done, ok=500)
    for name in made:
        check_same((batch.out / name).read_bytes(), b"intruder")
    batch.rerun(done, seconds=30)


@row("D10", "names of 254, 255, 256, 300, 4,096 bytes; 255 of 3 bytes each")
def long_names(batch):
    for i, name in enumerate(
            ["n" * size for size in (239, 240, 241, 254, 255, 256, 300, 4096)]
            + ["%e2%82%ac" * 255, "%e2%82%ac" * 84, "m" * 300 + ".tar.gz",
               "m" * 300 + ".tar.gz2", "e." + "x" * 300, "." + "x" * 300,
               "%ff" * 255, "%1b" * 100, "?" + "q" * 300]):
        for directory in ("", "/other"):
            batch.add(batch.url(f"{directory}/{name}"), Expected("any"))
    done = check_wild(batch)
    check_same({r["status"] for r in done.records.values()}, {"ok"})


@row("D14", "a directory, links, a FIFO under the name: left alone")
def in_the_way(batch):
    out = batch.out
    out.mkdir()
    (batch.tmp / "outside").write_text("keep")
    (out / "dir").mkdir()
    (out / "dir/full").write_text("")
    (out / "dangling").symlink_to(batch.tmp / "nowhere")
    (out / "link").symlink_to(batch.tmp / "outside")
    os.link(batch.tmp / "outside", out / "hard")
    os.mkfifo(out / "fifo")
    names = ["dir", "dangling", "link", "hard", "fifo"]
    batch.known = {"dir/full", *names}
    for name in names:
        batch.add(batch.url("/" + name), Expected(
            "ok", size=1000, seed=name.encode(), path=name + ".1"))
    done = batch.run()
    batch.check(done)
    check_same((batch.tmp / "outside").read_text(), "keep")
    assert not (batch.tmp / "nowhere").exists()
    batch.rerun(done)


@row("D14", "things under the temporary name: a link, a directory, a FIFO, "
     "another's file")
def under_the_temporary_name(batch):
    out = batch.out
    out.mkdir()
    (batch.tmp / "outside").write_text("keep")
    (out / ".a.part").symlink_to(batch.tmp / "outside")
    (out / ".b.part").mkdir()
    os.mkfifo(out / ".c.part")
    (out / ".d.part").symlink_to(batch.tmp / "nowhere")
    os.link(batch.tmp / "outside", out / ".e.part")
    (out / ".f.part").write_bytes(b"garbage" * 9000)
    for name in "abcdef":
        batch.add(batch.url("/" + name), Expected("any"))
    done = batch.run()
    batch.check_text(done)
    batch.check_places(done)
    check_same(sorted(done.records), [1, 2, 3, 4, 5, 6])
    for n, name in enumerate("abcdef", 1):
        record = done.records[n]
        if record["status"] == "ok":
            common.check_file(out / record["path"], "/" + name)
        else:
            common.check_failed(record, "local")
    check_same(done.records[6]["status"], "ok")
    check_same((batch.tmp / "outside").read_text(), "keep")
    assert not (batch.tmp / "nowhere").exists()
    assert (out / ".b.part").is_dir() and (out / ".a.part").is_symlink()


for _what, _make in (
        ("a file", lambda out: out.write_text("keep")),
        ("a link to nothing", lambda out: out.symlink_to("nowhere")),
        ("a FIFO", os.mkfifo),
        ("below a file", None)):
    @row("D14", f"the output directory is {_what}: 3, and no request")
    def no_directory(batch, make=_make):
        if make:
            make(batch.out)
        else:
            batch.out.write_text("")
            batch.out = batch.out / "below"
        batch.good(3)
        done = batch.run()
        check_same(done.status, 3)
        batch.check_text(done)
        batch.check_places(done)
        check_same(batch.server.stats()["requests"], 0)
        check_same(len(done.err.splitlines()), 1)


@row("D14", "the output directory is a link to one: used")
def linked_directory(batch):
    (batch.tmp / "real").mkdir()
    batch.out.symlink_to(batch.tmp / "real")
    batch.good(harness.LINES)
    batch.check(batch.run())


for _umask in (0o077, 0o000, 0o022, 0o027):
    @row("D15", f"umask {_umask:03o}, a directory with setgid")
    def umasks(batch, umask=_umask):
        batch.mode = 0o666 & ~umask
        batch.out.mkdir()
        batch.out.chmod(0o2755)
        batch.good(harness.LINES)
        done = batch.run(limits=lambda: os.umask(umask))
        batch.check(done)
        wanted = batch.out.stat().st_gid
        for name in common.tree(batch.out):
            check_same((batch.out / name).stat().st_gid, wanted)


@row("D15", "the temporary file has no more permissions than the final one")
def temporary_modes(batch):
    batch.add(batch.url("/size=900000/drip=90000,50/x"), Expected("any"))
    with batch.running(limits=lambda: os.umask(0o077)) as run:
        part = batch.out / ".x.part"
        until(part.exists, "the temporary file")
        check_same(part.stat().st_mode & 0o777, 0o600)
        check_same(run.finish().status, 0)


@row("D17", "the output directory is removed in the middle: 3, no busy loop")
def removed_directory(batch):
    batch.good(5, size=10)
    for i in range(20):
        batch.add(batch.url(f"/size=9000/drip=1000,100/s{i}"),
                  Expected("any"))
    with batch.running() as run:
        batch.server.wait(lambda s: s["requests"] >= 8)
        shutil.rmtree(batch.out, ignore_errors=True)
        shutil.rmtree(batch.out, ignore_errors=True)
        done = run.finish(5)
    batch.check_text(done)
    batch.check_memory(done)
    check_same(done.status, 3)
    for record in done.records.values():
        assert record.get("error") in (None, "local", "stopped"), record
    said = [t for t in done.err.splitlines()
            if t.startswith(f"{common.NAME}: stopped: ".encode())]
    check_same(len(said), 1)
    assert not batch.out.exists()


@row("D18", "-o /dev/null, -o '', -o -: as documented")
def odd_directories(batch):
    for out, status in (("/dev/null", 3), ("", 2), ("/dev/stdout", 3)):
        done = tap.run("-o", out, batch.url("/x"), cwd=batch.tmp)
        check_same((out, done.returncode), (out, status))
    check_same(batch.server.stats()["requests"], 0)
    done = tap.run("-o", "-", batch.url("/x"), cwd=batch.tmp)
    check_same(done.returncode, 0)
    assert (batch.tmp / "-" / "x").is_file()  # a directory like any other


@row("D12", "a file system that ignores case: no body is lost", timeout=60)
def ignores_case(batch):
    harness.need_root()
    if not shutil.which("lowntfs-3g") or not os.path.exists("/dev/fuse"):
        tap.skip("lowntfs-3g or /dev/fuse is not there")
    harness.need_spaces()
    image = batch.tmp / "image"
    with open(image, "wb") as out:
        out.truncate(8 << 20)
    subprocess.run(["mkntfs", "-F", "-q", "-Q", image], check=True,
                   capture_output=True)
    batch.out.mkdir()
    mounted = subprocess.run(["lowntfs-3g", "-o", "ignore_case", image,
                              batch.out], capture_output=True, check=False)
    if mounted.returncode != 0:
        tap.skip("lowntfs-3g cannot mount here")
    try:
        for name in ("Readme", "README", "readme", "%c3%a9", "e%cc%81"):
            batch.add(batch.url(f"/{name}"), Expected("any"))
        done = batch.run(strace=False)
        found = {}
        for n, record in done.records.items():
            if record["status"] == "ok":
                data = (batch.out / record["path"]).read_bytes()
                seed = harness.faultbody.seed_of(
                    batch.lines[n - 1][0].decode())
                check_same(data, harness.faultbody.body(seed, 1000))
                found[record["path"].lower()] = n
            else:
                common.check_failed(record, "exists")
        print({n: r.get("path") for n, r in done.records.items()})
        assert done.status in (0, 1), done.err
    finally:
        subprocess.run(["umount", "-l", batch.out], check=True)


if __name__ == "__main__":
    harness.enter_spaces()
    harness.main()
