#!/usr/bin/env python3
"""chaos - M03: a list in which one line in ten has a fault of any kind.

SPDX-License-Identifier: MIT

Each line's outcome must be that of the truth table.  PFETCH_CHAOS_SEED and
PFETCH_CHAOS_LINES try another list.  In `make check` it is 500 lines and one
seed, in `make check-full` 10,000 and the seeds 1 to 20.
"""

import collections
import os
import random

import harness
from harness import check_same, row, tap
import truth

RETRIES = harness.RETRIES

# What may be wrong, with N for a number of bytes within the body.
FAULTS = [
    "cut=N", "cut=0", "cut=head", "close=before", "reset=before", "reset=N",
    "chunkcut=N", "chunkcut=last", "badchunk=zz", "badchunk=long",
    "badchunk=neg", "badchunk=ext", "status=404", "status=403", "status=410",
    "status=500", "status=204", "status=304", "status=600", "status=000",
    "status=abc", "garbage=http09", "garbage=ssh", "garbage=tls",
    "garbage=random", "length=-5", "length=abc", "length=99999",
    "length=18446744073709551616",
    "length2=3", "chunked/length=3", "unasked206=1", "redirect=loop",
    "redirect=none", "redirect=hops:3", "redirect=hops:21",
    "redirect=ftp:%2F%2F127.0.0.1%2Fx", "redirect=pingpong",
    "redirect=file:%2F%2F%2Fetc%2Fpasswd", "fail=1:500", "fail=2:502",
    "fail=9:500", "fail=1:404", "failcut=1:N", "failcut=2:0",
    "etag=v/failcut=1:N", "etag=v/failcut=2:N", "etag=v/cut=N",
    "etag=v/failcut=1:N/norange", "etag=v/failcut=1:N/wrongrange=start",
    "etag=v/failcut=1:N/wrongrange=total",
    "etag=v/failcut=1:N/wrongrange=etag",
    "etag=v/failcut=1:N/wrongrange=nocr",
    "etag=v/failcut=1:N/wrongrange=multipart",
    "etag=v/failcut=1:N/wrongrange=after",
    "etag=v/failcut=1:N/416=always", "etag=W%2Fv/failcut=1:N",
    "bigheaders=400", "bigheaders=50", "hints=50", "junk=9", "junk=poison",
    "closeidle", "connclose",
    "nextend=close", "nextend=reset", "nextend=junk", "closeevery=2",
    "nolength", "nolength=1.0", "nolength/cut=N", "header=X:a%00b",
    "header=Transfer-Encoding:%20gzip", "header=Content-Encoding:%20gzip",
    "size=0", "chunked=1", "status=407", "status=401", "stall=N",
    "stall=head", "badchunk=trailers",
]
SLOW = {"stall=N", "stall=head", "badchunk=trailers", "hints=endless"}


def make_path(chance, i, with_slow):
    size = chance.choice((1, 10, 999, 5000, 20000, 70000))
    way = chance.choice(("", "", "", "/chunked", "/chunked=100"))
    if chance.random() >= .1:
        return f"/size={size}{way}/c{i}"
    fault = chance.choice(FAULTS)
    if fault in SLOW and not with_slow():
        fault = "cut=0"
    fault = fault.replace("N", str(chance.randrange(1, size + 1)), 1) if (
        "N" in fault) else fault
    if fault.startswith("etag=v/cut") or "length" in fault or "chunk" in fault:
        way = ""
    return f"/size={size}{way}/{fault}/c{i}"


def chaos(batch, seed, lines):
    chance = random.Random(seed)
    slow_left = [2 if lines <= 1000 else 40]
    batch.workers = 16
    batch.memory_mib = 64 + 16

    def with_slow():
        slow_left[0] -= 1
        return slow_left[0] >= 0

    for i in range(lines):
        path = make_path(chance, i, with_slow)
        host = chance.choice(("127.0.0.1", "localhost", "127.0.0.2"))
        expected = batch.expect(path)._replace(attempts=None)
        batch.add(batch.url(path, host=host), expected)
    # Nothing is held back or set aside for long.
    done = batch.run("--stall-timeout", "500ms", strace=lines <= 1000,
                     seconds=20 + lines / 50)
    check(batch, done)
    print(f"seed {seed}, {lines} lines: {done.seconds:.1f} s")
    batch.rerun(done, seconds=20 + lines / 50)


def check(batch, done):
    """By line, and the sums by class."""
    wrong = []
    for n, record in sorted(done.records.items()):
        text, expected = batch.lines[n - 1]
        if (record["status"], record.get("error")) != (
                expected.status, expected.cls):
            wrong.append((text.decode(), expected.cls, record["status"],
                          record.get("error"), record.get("message")))
    for one in wrong[:8]:
        print(one)
    check_same(len(wrong), 0)
    batch.check(done)
    check_same(
        collections.Counter(r.get("error") for r in done.records.values()),
        collections.Counter(e.cls for _, e in batch.lines))


if os.environ.get("PFETCH_CHAOS_SEED"):
    @row("M03", "the seed of PFETCH_CHAOS_SEED", timeout=600)
    def chosen(batch):
        chaos(batch, int(os.environ["PFETCH_CHAOS_SEED"]),
              int(os.environ.get("PFETCH_CHAOS_LINES", "10000")))
else:
    @row("M03", "chaos: 500 lines, every tenth with a fault, seed 1",
         timeout=90)
    def short(batch):
        chaos(batch, 1, 500)

    @row("M03", "the truth table knows every word of faultd")
    def words(batch):
        source = (harness.HERE.parent / "faultd/script.c").read_text()
        import re
        table = source[source.index("directives[] = {"):]
        table = table[:table.index("};")]
        names = set(re.findall(r'(?:CALL|TEXT|FLAG|NUMBER)\((\w+)\)|"(\w+)"',
                               table))
        check_same({a or b for a, b in names}, truth.KNOWN)

    for _seed in range(1, 21):
        @row("M03", f"chaos: 10,000 lines, seed {_seed}", timeout=900)
        def long(batch, seed=_seed):
            if not tap.full():
                tap.skip("long: make check-full")
            chaos(batch, seed, 10000)


if __name__ == "__main__":
    harness.main(2)
