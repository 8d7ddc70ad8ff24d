#!/usr/bin/env python3
"""limits - areas G and K: descriptors, threads, memory, stacks; shutdown.

SPDX-License-Identifier: MIT
"""

import os
import resource
import shutil
import subprocess
import threading

import harness
from harness import Expected, check_same, limit, row, tap
import common

RL = resource


def plain(batch, count, size=3000, way="", **more):
    for i in range(count):
        batch.add(batch.url(f"/size={size}{way}/f{i}", **more), Expected(
            "ok", size=size, seed=b"f%d" % i, path=f"f{i}"))


for _count in ("0", "-1", "16x", "99999999999", "1025", "", "+1", "1e3"):
    @row("G01", f"-t {_count or 'nothing'}: 2, one line, no request")
    def wrong_threads(batch, count=_count):
        done = tap.run("-t", count, "-o", batch.out, batch.url("/x"))
        check_same(done.returncode, 2)
        check_same(len(done.stderr.splitlines()), 2)
        check_same(batch.server.stats()["requests"], 0)


for _count in (1, 2, 64, 1000):
    @row("G01", f"-t {_count}: as many as lines, fewer, more")
    def threads(batch, count=_count):
        batch.workers = count
        batch.good(harness.LINES)
        done = batch.run(strace=count < 100)
        batch.check(done)
        batch.rerun(done)


for _files in (20, 32, 64):
    @row("G02", f"ulimit -n {_files}, -t 100: fewer workers, all ok")
    def descriptors(batch, files=_files):
        batch.workers = 100
        for i in range(150):
            batch.add(batch.url(f"/size=300/f{i}",
                                host=f"127.2.0.{i % 50 + 1}"),
                      Expected("ok", size=300, seed=b"f%d" % i))
        done = batch.run(limits=limit(RL.RLIMIT_NOFILE, files),
                         strace=False, seconds=20)
        if done.status == 3 and files < 32:
            batch.check_text(done)  # says so, and stops
            check_same(len(done.err.splitlines()) < 6, True)
            return
        batch.check(done)
        check_same(done.err.count(b"of 100 workers"), 1)


@row("G02", "so few descriptors that nothing can start: 3 and one message")
def no_descriptors(batch):
    batch.good(4)
    batch.write_list()
    statuses = []
    for files in range(3, 16):
        shutil.rmtree(batch.out, ignore_errors=True)
        path, env = harness.program()
        done = subprocess.run([path, *map(str, batch.arguments(
            "--connect-timeout", "1s"))], env=env,
                              preexec_fn=limit(RL.RLIMIT_NOFILE, files),
                              capture_output=True, check=False, timeout=40)
        statuses.append(done.returncode)
        assert done.returncode in (0, 1, 2, 3, 127), (files, done)
        assert done.returncode != 1 or b"connect" not in done.stderr, done
    print(statuses)


@row("G04", "only 5 threads may be started, -t 16: it does with fewer")
def few_threads(batch):
    harness.need_root()
    if not shutil.which("setpriv") or not shutil.which("prlimit"):
        tap.skip("setpriv or prlimit is not installed")
    batch.workers = 16
    plain(batch, 60)
    path, env = harness.program()
    for place in (batch.tmp, *batch.tmp.iterdir()):
        os.chown(place, 54321, -1)
    batch.write_list()
    results = {}
    for count in (1, 2, 3, 4, 5, 6, 8, 12):
        shutil.rmtree(batch.out, ignore_errors=True)
        batch.results.unlink(missing_ok=True)
        batch.server.reset()
        done = subprocess.run(
            ["setpriv", "--reuid=54321", "--clear-groups", "prlimit",
             f"--nproc={count}", path, *map(str, batch.arguments())],
            # The leak checker of the address sanitizer starts a thread.
            env={**env, "ASAN_OPTIONS": "detect_leaks=0"},
            capture_output=True, check=False, timeout=40)
        if b"setpriv" in done.stderr or done.returncode in (126, 127):
            tap.skip("another user cannot run it here: "
                     + done.stderr.decode()[:80])
        results[count] = done.returncode
        assert done.returncode in (0, 3), (count, done)
        if done.returncode == 0:
            check_same(len(common.tree(batch.out)), 60)
    print(results)
    check_same((results[1], results[12]), (3, 0))


@row("G06", "64 workers, 64 large bodies, a slow writer: memory is bounded",
     timeout=90)
def back_pressure(batch):
    harness.need_preload()
    batch.workers = 64
    plain(batch, 64, 8_000_000 if tap.full() else 1_000_000)
    batch.memory_mib = 96
    done = batch.run(preload={"FAULTS_WRITE": "5"}, strace=False,
                     seconds=60)
    batch.check(done)


@row("G07", "ulimit -v of all sizes: a message and 3, or it works")
def address_space(batch):
    batch.good(6)
    batch.write_list()
    path, env = harness.program()
    if harness.is_sanitized():
        tap.skip("a sanitizer wants address space")
    statuses = {}
    for mib in (8, 16, 24, 32, 40, 48, 64, 96, 128, 256, 512):
        shutil.rmtree(batch.out, ignore_errors=True)
        done = subprocess.run(
            [path, *map(str, batch.arguments())], env=env,
            preexec_fn=limit(RL.RLIMIT_AS, mib << 20), capture_output=True,
            check=False, timeout=40)
        statuses[mib] = done.returncode
        # 127 is the loader's.
        assert done.returncode in (0, 2, 3, 127) or done.returncode == 1 and (
            b"memory" in done.stderr), (mib, done)
    print(statuses)


@row("G08", "ulimit -s 64 and unlimited, 1,000 workers")
def stacks(batch):
    batch.workers = 1000
    plain(batch, 200)
    for size in (256 << 10, RL.RLIM_INFINITY):
        shutil.rmtree(batch.out, ignore_errors=True)
        done = batch.run(limits=limit(RL.RLIMIT_STACK, size), strace=False,
                         seconds=20)
        batch.check(done)


@row("G09", "all servers stall: next to no processor time", timeout=60)
def idle(batch):
    batch.workers = 16
    for i in range(16):
        batch.add(batch.url(f"/stall=head/x{i}"), Expected("any"))
    with batch.running("--grace", "0", strace=False) as run:
        batch.server.wait(lambda s: s["requests_active"] == 16)

        def ticks():
            with open(f"/proc/{run.process.pid}/stat") as text:
                fields = text.read().rpartition(")")[2].split()
            return int(fields[11]) + int(fields[12])

        before = ticks()
        threading.Event().wait(3)
        used = (ticks() - before) / os.sysconf("SC_CLK_TCK")
        run.process.terminate()
        run.process.wait(10)
    assert used <= .03 * 3 * harness.SLOW, used


# --- shutdown --------------------------------------------------------------------

@row("K01", "all queues are full and the disk fails: 3, no deadlock")
def disk_fails_late(batch):
    harness.need_preload()
    batch.workers = 16
    plain(batch, 3000, 20000)
    done = batch.run(preload={"FAULTS_CALL": "renameat2", "FAULTS_AT": "40",
                              "FAULTS_ERRNO": "5"}, strace=False, seconds=8)
    batch.check(done, status=3, early=("local", "stopped"))
    batch.rerun(done, seconds=40)


for _jobs in ("1", "2", "17", "1000000"):
    for _workers in (1, 64):
        @row("K06", f"{_workers} workers, few descriptors, {_jobs} idle")
        def queues(batch, jobs=_jobs, workers=_workers):
            batch.workers = workers
            plain(batch, 100)
            done = batch.run("--max-idle", min(int(jobs), 65536),
                             "--per-host", jobs if int(jobs) < 1000 else 0,
                             strace=False)
            batch.check(done)


@row("K06", "no line, one line, more workers than lines, 64 workers")
def few_lines(batch):
    batch.workers = 64
    for count in (0, 1, 3):
        batch.lines = []
        shutil.rmtree(batch.out, ignore_errors=True)
        plain(batch, count)
        batch.check(batch.run(strace=False))


@row("M02", "many distinct host names: memory does not grow with them",
     timeout=300)
def many_names(batch):
    harness.need_preload()
    count = 10000 if tap.full() else 1000
    port = batch.server.ports["plain"]
    for i in range(count):
        batch.add(f"http://h{i}.dns.test:{port}/size=10/f{i}", Expected(
            "ok", size=10, seed=b"f%d" % i, path=f"f{i}"))
    batch.workers = 16
    done = batch.run(preload={"FAULTS_DNS": "1"}, strace=False,
                     seconds=10 + count / 100)
    batch.check(done)
    print(f"{count} names, {done.report} KiB")


if __name__ == "__main__":
    harness.main()
