#!/usr/bin/env python3
"""storage - area E: space, inodes, quotas, errors and slowness of the disk.

SPDX-License-Identifier: MIT
"""

import contextlib
import errno
import os
import random
import shutil
import signal
import subprocess
import time

import harness
from harness import Expected, check_same, row, tap
import common

PLACE = ("local", "stopped")  # classes when the place is unusable


@contextlib.contextmanager
def mounted(batch, options, kind="tmpfs", what="none"):
    harness.need_spaces()
    batch.out.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", kind, "-o", options, what, batch.out],
                   check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", batch.out], check=True)


def remount(batch, options):
    subprocess.run(["mount", "-o", "remount," + options, batch.out],
                   check=True)


def free_bytes(batch):
    status = os.statvfs(batch.out)
    return status.f_bavail * status.f_bsize


def check_place(batch, done, text, ok=None):
    """LOCAL: one clear message, records for all, 3, and nothing partial."""
    count = batch.check(done, status=3, early=PLACE)
    said = [t for t in done.err.splitlines()
            if t.startswith(f"{common.NAME}: stopped: ".encode())]
    check_same(len(said), 1)
    assert text in said[0], said
    assert ok is None or count >= ok, (count, ok)
    assert done.seconds < 5 * harness.SLOW, done.seconds
    return count


def many(batch, count, size, *more):
    for i in range(count):
        batch.add(batch.url(f"/size={size}{''.join(more)}/f{i}"), Expected(
            "ok", size=size, seed=b"f%d" % i, path=f"f{i}"))


for _framing in ("", "/chunked", "/etag=v"):
    @row("E01", "no space: 1 MiB for 20 x 200 KB, 8 workers " + _framing[1:])
    def no_space(batch, framing=_framing):
        with mounted(batch, "size=1m"):
            before = free_bytes(batch)
            batch.workers = 8
            many(batch, 20, 200000, framing)
            done = batch.run(seconds=5)
            count = check_place(batch, done, b"No space left", ok=2)
            used = count * -(-200000 // 4096) * 4096
            # What can be continued stays.
            used += sum((batch.out / name).stat().st_blocks * 512
                        for name in common.tree(batch.out)
                        if harness.is_part(name))
            assert free_bytes(batch) >= before - used - 8192 * count
            batch.rerun(done, prepare=lambda: remount(batch, "size=16m"))


@row("E01", "no space for the first body; for one in the middle of a batch")
def no_space_at_all(batch):
    with mounted(batch, "size=1m"):
        before = free_bytes(batch)
        batch.around(batch.url("/size=3000000/chunked/x"),
                     Expected("failed", "local", 200))
        done = batch.run()
        check_place(batch, done, b"No space left")
        assert (batch.out / ".x.part").exists() is False
        del before
        batch.rerun(done, prepare=lambda: remount(batch, "size=16m"))


@row("E01 A22", "a body declared to be longer than the whole disk fails alone")
def longer_than_the_disk(batch):
    with mounted(batch, "size=2m"):
        batch.around(batch.url("/size=3000000/x"),
                     Expected("failed", "too-large", 200, 1))
        done = batch.run()
        batch.check(done)


@row("E01", "no space while both queues are full of small bodies")
def no_space_small(batch):
    with mounted(batch, "size=256k"):
        batch.workers = 16
        many(batch, 5000, 3000)
        done = batch.run(seconds=10, strace=False)
        check_place(batch, done, b"No space left", ok=10)
        assert batch.server.stats()["requests"] < 2500, "it went on"
        batch.rerun(done, seconds=30,
                    prepare=lambda: remount(batch, "size=64m"))


@row("E02", "no inodes")
def no_inodes(batch):
    with mounted(batch, "size=8m,nr_inodes=12"):
        many(batch, 30, 100)
        done = batch.run()
        check_place(batch, done, b"No space left", ok=3)
        batch.rerun(done,
                    prepare=lambda: remount(batch, "nr_inodes=1000"))


@row("E03", "a quota of 500 KB for an unprivileged user")
def quota(batch):
    harness.need_spaces()
    for name in ("mkfs.ext4", "setquota", "quotaon", "setpriv"):
        if not shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin"):
            tap.skip(f"{name} is not installed")
    image = batch.tmp / "image"
    with open(image, "wb") as out:
        out.truncate(16 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-O", "quota", image], check=True)
    batch.out.mkdir()
    if subprocess.run(["mount", "-o", "loop,usrquota", image, batch.out],
                      capture_output=True, check=False).returncode:
        tap.skip("no loop device can be mounted")
    try:
        shutil.rmtree(batch.out / "lost+found")
        os.chown(batch.out, 65534, 65534)
        for command in (["quotaon", batch.out],
                        ["setquota", "-u", "65534", "500", "500", "0", "0",
                         batch.out]):
            done = subprocess.run(command, capture_output=True, check=False)
            if command[0] == "setquota" and done.returncode:
                tap.skip("quotas do not work here")

        def become_nobody():
            os.setgid(65534)
            os.setuid(65534)

        for path in (batch.tmp, *batch.tmp.iterdir()):
            with contextlib.suppress(OSError):
                os.chown(path, 65534, -1)
        many(batch, 20, 100000)
        batch.write_list()
        done = batch.run(limits=become_nobody, keep_list=True, strace=False)
        check_place(batch, done, b"quota", ok=1)
    finally:
        subprocess.run(["umount", "-l", batch.out], check=True)


@row("E04", "remounted read-only in the middle")
def read_only(batch):
    with mounted(batch, "size=16m"):
        many(batch, 4, 10)
        many(batch, 20, 9001, "/drip=900,100")
        for i, (text, expected) in enumerate(batch.lines[4:], 4):
            batch.lines[i] = (text.replace(b"/f", b"/s"), expected._replace(
                seed=expected.seed.replace(b"f", b"s"),
                path=expected.path.replace("f", "s")))
        with batch.running() as run:
            common.until(lambda: sum(
                not harness.is_part(name) for name in common.tree(batch.out))
                >= 4, "the first files")
            batch.server.wait(lambda s: s["requests_active"] >= 4)
            remount(batch, "ro")  # no body is long enough to be open
            done = run.finish(8)
        check_place(batch, done, b"Read-only file system", ok=4)
        batch.rerun(done, prepare=lambda: remount(batch, "rw"))


@row("E05", "no permission any more in the middle; what is done stays")
def no_permission(batch):
    common.need_permissions(batch.tmp)
    batch.parts_stay = True
    many(batch, 4, 10)
    for i in range(20):
        batch.add(batch.url(f"/size=90/delay=300/s{i}"), Expected(
            "ok", size=90, seed=b"s%d" % i))
    with batch.running(limits=common.drop_privileges, strace=False) as run:
        common.until(lambda: batch.out.exists() and sum(
            not harness.is_part(name) for name in common.tree(batch.out))
            >= 4, "the first files")
        batch.out.chmod(0o555)
        done = run.finish(8)
    check_place(batch, done, b"Permission denied", ok=4)
    batch.rerun(done, prepare=lambda: batch.out.chmod(0o755))


def inject(batch, call, error, when="2", **more):
    batch.around(batch.url("/size=70000/x"),
                 Expected("ok", size=70000, seed=b"x"))
    return batch.run(
        inject=(f"inject={call}:error={error}:when={when}",), **more)


@row("E08", "write: EINTR each third time, EINTR and short counts are unseen")
def interrupted_writes(batch):
    harness.need_strace()
    batch.around(batch.url("/size=700000/x"),
                 Expected("ok", size=700000, seed=b"x"))
    # Of pwrite() and writev() nothing is used for bodies.
    done = batch.run(inject=("inject=write:error=EINTR:when=2+3",))
    batch.check(done)
    batch.rerun(done)


@row("E08", "write: every one is short, by all but one byte")
def short_writes(batch):
    harness.need_preload()
    batch.lines = []
    batch.good(8, size=300)
    batch.add(batch.url("/size=20000/x"),
              Expected("ok", size=20000, seed=b"x"))
    done = batch.run(preload={"FAULTS_WRITE": "short"}, strace=False,
                     seconds=20)
    batch.check(done)
    batch.rerun(done)


for _error, _text in (("EIO", b"Input/output error"),
                      ("ENOSPC", b"No space left"),
                      ("EDQUOT", b"quota")):
    @row("E08", f"write of a body: {_error}: the run stops")
    def failing_write(batch, error=_error, text=_text):
        harness.need_strace()
        # Records and messages are written, too: so none of them.
        batch.good(harness.LINES)
        made = [a for a in batch.arguments() if a != "-v"] + ["-q"]
        at = made.index("--results")
        del made[at:at + 2]
        run = batch.start(arguments=made, inject=(
            f"inject=write:error={error}:when=3+",))
        done = run.finish()
        check_same(done.status, 3)
        assert b"stopped: " not in done.err or text in done.err, done.err
        for name in common.tree(batch.out):
            if name == ".good4.bin.part":
                continue  # which has an ETag, and can be continued
            expected = [e for _, e in batch.lines if e.path == name]
            assert expected, name
            batch.check_file(name, expected[0])
        batch.rerun(done._replace(records={}))


@row("E08", "write of a body: EFBIG: that URL fails, the others do not")
def file_limit(batch):
    import resource
    batch.around(batch.url("/size=90000/x"), Expected("failed", "local"))
    done = batch.run(limits=harness.limit(resource.RLIMIT_FSIZE, 60000))
    batch.check(done)
    batch.rerun(done)


def check_one_failed(batch, done):
    """One line has failed here, whichever; that depends on timing."""
    failed = [n for n, r in done.records.items() if r["status"] == "failed"]
    check_same(len(failed), 1)
    common.check_failed(done.records[failed[0]], "local")
    batch.lines[failed[0] - 1] = (batch.lines[failed[0] - 1][0],
                                  Expected("failed", "local"))
    batch.check(done)


RENAME = "renameat2"
for _error, _whole in (("EIO", True), ("ENOSPC", True), ("EXDEV", False),
                       ("EPERM", False), ("EDQUOT", True), ("EROFS", True),
                       ("ENOMEM", True)):
    @row("E10", f"rename: {_error}: no file, no temporary file")
    def failing_rename(batch, error=_error, whole=_whole):
        harness.need_strace()
        done = inject(batch, RENAME, error)
        if whole:
            batch.check(done, status=3, early=PLACE)
        else:
            check_one_failed(batch, done)
        batch.rerun(done)


for _error, _whole in (("EIO", True), ("ENOSPC", True), ("EDQUOT", True),
                       ("EROFS", True), ("ENOMEM", True), ("EMLINK", False)):
    @row("E10", f"linkat of a file without a name: {_error}: no file")
    def failing_naming(batch, error=_error, whole=_whole):
        harness.need_strace()
        batch.good(harness.LINES)
        done = batch.run(inject=(f"inject=linkat:error={error}:when=4",))
        if whole:
            batch.check(done, status=3, early=PLACE)
        else:
            check_one_failed(batch, done)
        batch.rerun(done)


for _call, _errors in (("openat-unnamed", ("EOPNOTSUPP", "EISDIR")),
                       ("linkat", ("EPERM", "ENOENT", "EOPNOTSUPP"))):
    for _error in _errors:
        @row("E10", f"{_call}: {_error}: all have a temporary name")
        def no_unnamed_files(batch, call=_call, error=_error):
            harness.need_preload()
            batch.good(harness.LINES)
            done = batch.run(preload={
                "FAULTS_CALL": call, "FAULTS_AT": "0",
                "FAULTS_ERRNO": str(getattr(errno, error))})
            batch.check(done)
            batch.rerun(done)


for _error in ("EINVAL", "ENOSYS"):
    @row("E10", f"renameat2: {_error}: hard links do as well")
    def no_renameat2(batch, error=_error):
        harness.need_strace()
        done = inject(batch, RENAME, error, "1+")
        batch.check(done)
        batch.rerun(done)


@row("E10", "neither renameat2 nor hard links: renamed after a look")
def no_links(batch):
    harness.need_strace()
    batch.out.mkdir()
    (batch.out / "x").write_text("mine")
    batch.known = {"x"}
    batch.around(batch.url("/x"), Expected("ok", size=1000, seed=b"x",
                                           path="x.1"))
    done = batch.run(inject=("inject=renameat2:error=ENOSYS",
                             "inject=linkat:error=EPERM"))
    batch.check(done)
    check_same((batch.out / "x").read_text(), "mine")


@row("E10", "linkat: EIO where renameat2 is not there")
def failing_link(batch):
    harness.need_strace()
    batch.good(harness.LINES)
    done = batch.run(inject=("inject=renameat2:error=ENOSYS",
                             "inject=linkat:error=EIO:when=3+"))
    batch.check(done, status=3, early=PLACE)
    batch.rerun(done)


for _call, _error, _status in (
        ("fsetxattr", "ENOSPC", None), ("fsetxattr", "EIO", 3),
        ("fsetxattr", "EOPNOTSUPP", 0), ("fsetxattr", "EPERM", 0),
        ("fsetxattr", "E2BIG", None), ("utimensat", "EPERM", 0),
        ("ftruncate", "EIO", 0), ("fcntl", "ENOLCK", None),
        ("mkdir", "ENOSPC", 3), ("unlinkat", "EIO", 0)):
    @row("E10", f"{_call}: {_error}")
    def failing_call(batch, call=_call, error=_error, status=_status):
        """Whatever it leads to: no wrong ok, and a rerun that mends it."""
        harness.need_strace()
        batch.good(harness.LINES)
        done = batch.run(inject=(f"inject={call}:error={error}:when=2",)
                         if call != "mkdir" else
                         (f"inject={call}:error={error}",))
        batch.check_text(done)
        assert status is None or done.status == status, (
            done.status, done.err[-900:])
        assert done.status in (0, 1, 3), done.status
        for n, record in done.records.items():
            if record["status"] == "ok":
                batch.check_file(record["path"], batch.lines[n - 1][1])
            elif record["status"] == "failed":
                assert record["error"] in PLACE, record
        left = [p for p in common.tree(batch.out) if harness.is_part(p)
                and p != ".good4.bin.part"] if batch.out.exists() else []
        assert not left, left
        if error not in ("EOPNOTSUPP", "EPERM") or call != "fsetxattr":
            batch.rerun(done)
        else:  # files without an attribute are nobody's
            check_same(done.err.count(b"names are trusted"), 1)


@row("E17", "a slow disk: 16 fast downloads, each write takes 30 ms",
     timeout=90)
def slow_disk(batch):
    """Whoever waits for the disk is not stalled, and memory stays bounded."""
    harness.need_preload()
    batch.workers = 16
    many(batch, 16, 1_000_000)
    done = batch.run("--stall-timeout", "500ms", "--timeout", "1s",
                     preload={"FAULTS_WRITE": "30"}, strace=False,
                     seconds=45)
    batch.check(done)
    assert all(r["attempts"] == 1 for r in done.records.values())
    assert done.seconds > 1.5, f"not slow at all: {done.seconds}"


for _date, _sane in (
        ("Mon, 01 Jan 1900 00:00:00 GMT", None), # some file systems know it
        ("Wed, 31 Dec 1969 23:59:59 GMT", None),
        ("Thu, 01 Jan 1970 00:00:00 GMT", None),
        ("Mon, 08 Feb 2106 06:28:16 GMT", None),
        ("Fri, 31 Dec 9999 23:59:59 GMT", None),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 784111777), ("garbage", False),
        ("0", False), ("-1", False), ("99999999999999999999", False)):
    @row("E18", f"Last-Modified: {_date}")
    def times(batch, date=_date, sane=_sane):
        before = time.time() - 60
        batch.around(batch.url("/lastmod=%s/x" % date.replace(" ", "%20")),
                     Expected("ok", size=1000, seed=b"x"))
        done = batch.run()
        batch.check(done)
        found = (batch.out / "x").stat().st_mtime
        print(date, found)
        if sane:
            check_same(int(found), sane)
        elif sane is False:
            assert before < found < time.time() + 60, found
        batch.rerun(done)


# --- a loss of power: what was not forced is gone ------------------------------

def now_forced(batch):
    """({inode: size}, {inode of a directory: {name: inode}}): all that is
    there."""
    sizes, names = {}, {}
    for place in (batch.tmp, batch.out):
        if place.exists():
            names[place.stat().st_ino] = {
                path.name: path.stat().st_ino for path in place.iterdir()}
            sizes.update((path.stat().st_ino, path.stat().st_size)
                         for path in place.iterdir() if path.is_file())
    return sizes, names


def add_forced(sizes, names, log):
    """What preload.c has noted until the process ended."""
    reading = None
    for line in log.read_text().splitlines(True) if log.exists() else ():
        if not line.endswith("\n"):
            break
        word, inode, *rest = line[:-1].split(" ", 2)
        if word == "file":
            sizes[int(inode)] = int(rest[0])
        elif word == "begin":
            reading = {}
        elif word == "name":
            reading[rest[0]] = int(inode)
        else:
            names[int(inode)] = reading


def lose_power(batch, sizes, names):
    """Leaves of the output directory and the report what was forced: names as
    they were when their directory was, files as long as when they were."""
    kept = batch.tmp / "kept"
    kept.mkdir()
    out = batch.out.stat().st_ino if batch.out.exists() else None
    now = {path.stat().st_ino: path for path in batch.out.iterdir()
           } if out else {}
    if batch.out.name in names.get(batch.tmp.stat().st_ino, {}):
        for name, inode in names.get(out, {}).items():
            path = now.pop(inode, None)
            if name not in (".", "..") and path is not None:
                os.truncate(path, sizes.get(inode, 0))
                path.rename(kept / name)
    if out:
        shutil.rmtree(batch.out)
    if names.get(out) is not None:
        kept.rename(batch.out)
    else:
        kept.rmdir()
    if batch.results.exists():
        here = names.get(batch.results.parent.stat().st_ino, {})
        if batch.results.name in here:
            os.truncate(batch.results,
                        sizes.get(batch.results.stat().st_ino, 0))
        else:
            batch.results.unlink()


@row("E13", "power is lost at random moments, --durable: what is recorded ok "
     "is there, and the same command again completes it", timeout=120)
def power_is_lost(batch):
    harness.need_preload()
    chance = random.Random(13)
    batch.workers = 8
    many(batch, 1000, 1000)
    recorded = 0
    for i in range(20 if tap.full() else 8):
        log = batch.tmp / f"forced{i}"
        if i % 3 == 0:
            shutil.rmtree(batch.out, ignore_errors=True)
        batch.results.unlink(missing_ok=True)
        sizes, names = now_forced(batch)
        with batch.running("--durable", strace=False,
                           preload={"FAULTS_FORCED": str(log)}) as run:
            missing = len(batch.lines) - (len(common.tree(batch.out))
                                          if batch.out.exists() else 0)
            wanted = chance.randrange(1, max(2, missing * 9 // 10))
            while run.process.poll() is None and (
                    not log.exists()
                    or log.read_text().count("file ") < wanted):
                time.sleep(.001)  # between two looks
            run.kill()
        check_same(run.process.returncode, -signal.SIGKILL)
        add_forced(sizes, names, log)
        lose_power(batch, sizes, names)
        for record in common.read_records(batch.results) if (
                batch.results.exists()) else ():
            name = record["path"]
            assert record["status"] in ("ok", "skipped"), record
            batch.check_file(name, Expected("ok", size=1000,
                                            seed=name.encode()))
            recorded += 1
    print(f"{recorded} records were left")
    assert recorded > 100, recorded
    done = batch.run("--durable", strace=False)
    check_same(done.status, 0)
    check_same(common.tree(batch.out), sorted(e.path for _, e in batch.lines))
    for _, expected in batch.lines:
        batch.check_file(expected.path, expected)


@row("E14", "the same without --durable: files that are missing, empty or "
     "half are no successes, with and without --resume-from")
def power_is_lost_without_durable(batch):
    many(batch, 60, 1000)
    earlier = batch.tmp / "earlier"
    for more in ((), ("--resume-from", earlier)):
        shutil.rmtree(batch.out, ignore_errors=True)
        check_same(batch.run().status, 0)
        shutil.copy(batch.results, earlier)
        for i, (_, expected) in enumerate(batch.lines):
            path = batch.out / expected.path
            if i % 3 == 0:
                path.unlink()
            elif i % 3 == 1:
                os.truncate(path, i % 2 * 500)
        batch.server.reset()
        done = batch.run(*more)
        check_same(done.status, 0)
        check_same(batch.server.stats()["requests"], 40)
        for n, (_, expected) in enumerate(batch.lines, 1):
            # A file that is not as it was left is not written to.
            batch.check_file(done.records[n]["path"], expected)


if __name__ == "__main__":
    harness.enter_spaces()
    harness.main()
