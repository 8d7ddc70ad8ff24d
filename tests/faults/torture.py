#!/usr/bin/env python3
"""torture - E15, E16: one call of our own code fails, each in turn.

SPDX-License-Identifier: MIT

A list of a few lines is fetched again and again; each time another
allocation, or another system call, fails (preload.c).  Whatever becomes of
it: no crash, no hang, no ok that is none, no temporary file, and a status
that says what happened.  `make check` tries some of them, `make check-full`
all.
"""

import errno
import shutil

import harness
from harness import Expected, row, tap
import common

STATUSES = (0, 1, 2, 3)


def lines(batch):
    """A bit of everything, quickly."""
    for path in ("/size=20000/a", "/etag=v/size=3000/chunked/b",
                 "/status=404/c", "/size=9000/failcut=1:99/d",
                 "/etag=v/size=9000/failcut=1:5000/e", "/redirect=hops:1/f",
                 "/d/a", "/size=0/g", "/etag=v/size=90000/failcut=1:40000/norange/h",
                 "/lastmod=Sun,%2006%20Nov%201994%2008:49:37%20GMT/a",
                 "/size=90000/cut=70000/i"):
        batch.bad(path)
    batch.add("nonsense", Expected("failed", "scheme"))
    batch.workers = 2


def one(batch, preload, what, options=()):
    """One run; its result.  All that must hold is looked at."""
    shutil.rmtree(batch.out, ignore_errors=True)
    batch.server.reset()
    done = batch.run(*options, preload=preload, strace=False, seconds=10)
    said = f"{what}: status {done.status}: " + done.err.decode(
        errors="replace")[-1500:]
    assert done.status in STATUSES, said
    batch.check_text(done)
    ok = {}
    for n, record in done.records.items():
        expected = batch.lines[n - 1][1]
        if record["status"] == "ok":
            assert expected.status == "ok", (said, record)
            batch.check_file(record["path"], expected._replace(
                path=None))
            ok[record["path"]] = n
    if done.status in (0, 1):
        assert len(done.records) == len(batch.lines) or (
            done.rest is not None), (said, done.records)
    assert done.status != 0, said  # one line is nonsense, one a 404
    for name in common.tree(batch.out) if batch.out.exists() else ():
        if harness.is_part(name):
            if done.status != 0 and b"/etag=" in b"".join(
                    text for text, _ in batch.lines
                    if text.endswith(f"/{name[1:-5]}".encode())):
                continue  # it can be continued
            # Neither removed nor, if its name could not be checked, touched.
            assert what.split()[0] in ("fstat", "fstatat", "unlinkat"), said
            continue
        # A file whose record could not be written is whole, too.
        data = (batch.out / name).read_bytes()
        bodies = [harness.faultbody.body(e.seed, e.size)
                  for _, e in batch.lines if e.status == "ok"]
        assert data in bodies, (said, name, len(data))
    if done.report and done.status != 2:
        before, after, threads = map(int, done.report[:3])
        assert after == before, f"{said}\nI9: {before}, {after} descriptors"
        assert threads == 1, f"{said}\nI9: {threads} threads"
    return done


def each(batch, preload_of, count_at, step, what, options=()):
    """k = 1.. until there are no more such calls."""
    harness.need_preload()
    lines(batch)
    k, statuses, tried = 1, {}, 0
    while True:
        done = one(batch, preload_of(k), f"{what} {k}", options)
        statuses[done.status] = statuses.get(done.status, 0) + 1
        tried += 1
        if not done.report or int(done.report[count_at]) < k:
            break
        k += step
    print(f"{what}: {tried} runs up to {k}: {statuses}")
    if tried == 1 and k == 1:
        tap.skip("the run makes no such call")


def step(coarse):
    return 1 if tap.full() else coarse


@row("E15", "the k-th allocation of our own code fails", timeout=900)
def allocations(batch):
    each(batch, lambda k: {"FAULTS_MALLOC": str(k)}, 4, step(9),
         "allocation")


@row("E15", "the k-th allocation of the report's library fails", timeout=900)
def allocations_of_jansson(batch):
    each(batch, lambda k: {"FAULTS_MALLOC": str(k),
                           "FAULTS_OBJECTS": "libpfetch:libjansson"},
         4, step(61), "allocation with libjansson")


CALLS = {"openat": errno.EIO, "open": errno.EMFILE, "write": errno.EIO,
         "read": errno.EIO, "close": errno.EIO, "renameat2": errno.EIO,
         "openat-unnamed": errno.EIO, "linkat": errno.EIO,
         "fsetxattr": errno.EIO, "fcntl": errno.ENOLCK,
         "ftruncate": errno.EIO, "lseek": errno.EIO, "mkdir": errno.ENOSPC,
         "fstat": errno.EIO, "fstatat": errno.EIO, "unlinkat": errno.EIO,
         "lgetxattr": errno.EIO, "futimens": errno.EIO,
         "curl_share_init": errno.ENOMEM, "curl_easy_init": errno.ENOMEM,
         "pipe2": errno.EMFILE, "fsync": errno.EIO, "sync_file_range": errno.EIO}

for _call, _errno in CALLS.items():
    @row("E16", f"the k-th {_call} of our own code: "
         f"{errno.errorcode[_errno]}", timeout=600)
    def calls(batch, call=_call, number=_errno):
        each(batch, lambda k: {"FAULTS_CALL": call, "FAULTS_AT": str(k),
                               "FAULTS_ERRNO": str(number)}, 5,
             step(3), call,
             ("--durable",) if "sync" in call else ())


@row("E16", "no thread from the k-th on; only the k-th", timeout=300)
def threads(batch):
    harness.need_preload()
    lines(batch)
    statuses = {}
    for k in [*range(1, 7), *range(-1, -7, -1)][::step(2)]:
        done = one(batch, {"FAULTS_THREADS": str(k)}, f"thread {k}")
        statuses[k] = done.status
    print(statuses)


if __name__ == "__main__":
    harness.main()
