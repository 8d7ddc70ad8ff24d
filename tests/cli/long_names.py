#!/usr/bin/env python3
"""long_names - names at scale; minutes, in `make check-full`.

SPDX-License-Identifier: MIT
"""

import os
import shutil
import time

import common
from common import check_same, fetch, need_attributes, tap, tree

FILES = int(os.environ.get("PFETCH_FAN_OUT_FILES", "65536"))
EQUAL = int(os.environ.get("PFETCH_EQUAL_LINES", "100000"))
LINES = int(os.environ.get("PFETCH_NAME_LINES", "1000000"))


@tap.case(timeout=900)
def a_fan_out_of_256(tmp):
    "65,536 files: each its own, spread evenly, and no slower than without"
    with common.server() as server:
        lines = [server.url(f"/size=64/seed={i}/{i:05X}")
                 for i in range(FILES)]
        seconds = {}
        for fan_out in ("0", "256"):
            done = fetch(tmp, "-q", "--fan-out", fan_out, lines=lines)
            check_same(done.status, 0)
            seconds[fan_out] = done.seconds
            print(f"--fan-out {fan_out}: {done.seconds:.1f} s")
            check_same(len(done.records), FILES)
            for n, record in done.records.items():
                check_same(record["status"], "ok")
                common.check_file(done.path / record["path"], lines[n - 1],
                                  64)
            check_same(len(tree(done.path)), FILES)
            if fan_out == "256":
                counts = [len(os.listdir(entry.path))
                          for entry in os.scandir(done.path)]
                check_same(len(counts), 256)
                mean = FILES / 256
                assert max(counts) < mean + 7 * mean ** 0.5, max(counts)
                server.reset()
                done = fetch(tmp, "-q", "--fan-out", "256", lines=lines)
                check_same({r["status"] for r in done.records.values()},
                           {"skipped"})
                check_same(server.stats()["requests"], 0)
            shutil.rmtree(done.path)
        assert seconds["256"] < 2 * seconds["0"] + 5, seconds


@tap.case(timeout=1200)
def equal_names(tmp):
    "100,000 lines, 1,000 names: 100,000 files, the same in another directory"
    need_attributes(tmp)
    with common.server() as server:
        lines = [server.url(f"/size=32/seed={i}/n{i * 7919 % 1000}.txt")
                 for i in range(EQUAL)]
        seen = []
        for out, threads in (("one", "16"), ("two", "3")):
            done = fetch(tmp, "-q", "-t", threads, lines=lines, out=out)
            check_same(done.status, 0)
            seen.append([done.records[n]["path"]
                         for n in range(1, EQUAL + 1)])
            check_same(len(set(seen[-1])), EQUAL)
            print(f"{out}: {done.seconds:.1f} s")
        check_same(seen[0] == seen[1], True)
        check_same(sorted(seen[0]), tree(tmp / "one"))
        for line, path in zip(lines, seen[0]):
            common.check_file(tmp / "one" / path, line, 32)
        # The second half alone finds its files under the numbers they have.
        server.reset()
        done = fetch(tmp, "-q", lines=lines[EQUAL // 2:], out="one")
        check_same([done.records[n]["path"]
                    for n in range(1, EQUAL - EQUAL // 2 + 1)]
                   == seen[0][EQUAL // 2:], True)
        check_same(server.stats()["requests"], 0)


def plan(tmp, count, names, *more):
    """Peak MiB and seconds of a dry run over so many lines."""
    def feed(stream):
        for i in range(count):
            stream.write(b"http://h/%d/name%d.bin\n" % (i, i % names))

    start = time.monotonic()
    status, peak = common.measured(tmp, "-q", "--dry-run", "-i", "-", *more,
                                   feed=feed, results=None)
    check_same(status, 0)
    return peak, time.monotonic() - start


@tap.case(timeout=600)
def memory_of_names(tmp):
    "1,000,000 lines: 32 bytes a line at most, and time that grows with them"
    base, _ = plan(tmp, LINES, LINES, "--name", "number")
    for names in (LINES, 1000, 1):
        _, few = plan(tmp, LINES // 10, max(1, names // 10))
        peak, all_of_them = plan(tmp, LINES, names)
        print(f"{LINES} lines, {names} names: {peak - base:.1f} MiB more "
              f"than none kept, {few:.1f} s for a tenth, "
              f"{all_of_them:.1f} s")
        assert (peak - base) * (1 << 20) < 32 * LINES + (1 << 20)
        assert all_of_them < 30 * few + 5, "more than linear"


tap.main()
