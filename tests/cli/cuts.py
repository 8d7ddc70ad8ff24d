"""cuts - a run that is cut short again and again; what resume and long_resume
try, in sizes they choose; no test.

SPDX-License-Identifier: MIT
"""

import os
import random
import signal
import subprocess
import sys

import common
from common import check_same, fetch, started, tap, tree

sys.path.insert(0, str(common.HERE.parent / "support"))
import nginx  # noqa: E402  (found by the line above)

THREADS = 16


def make_files(root, count, largest, chance):
    """count files of 1 KB to largest bytes, small ones being more; {name:
    content}."""
    made = {}
    for i in range(count):
        size = int(1024 * (largest / 1024) ** chance.random())
        made[f"f{i:04}"] = chance.randbytes(size)
        (root / f"f{i:04}").write_bytes(made[f"f{i:04}"])
    return made


def finals(out):
    """The files that are complete; for a look while they become more."""
    try:
        return [name for name in os.listdir(out) if not name.startswith(".")]
    except FileNotFoundError:
        return []


def check_finals(out, made):
    """What has a final name is complete, whenever one looks."""
    for name in finals(out):
        found = (out / name).read_bytes()
        assert found == made[name], f"{name}: {len(found)} bytes"


def cut_short(tmp, number, files, largest, times, rate):
    """A run over files that nginx has is ended by that signal so many times,
    each time when a random number of further files is there and then a random
    moment later; and then it runs to its end.  No file is ever wrong, nothing
    but the files is left, and what is complete is not asked for again.  nginx
    sends each file at that rate, so that most moments are in the middle."""
    common.need_nginx()
    common.need_attributes(tmp)
    seed = int(os.environ.get("PFETCH_SEED") or random.randrange(1 << 30))
    print(f"PFETCH_SEED={seed}")
    chance = random.Random(seed)
    out = tmp / "out"
    hits = 0
    with nginx.Nginx(server=f"limit_rate {rate};") as server:
        made = make_files(server.root, files, largest, chance)
        lines = [server.url(name) for name in made]
        for left in range(times, 0, -1):
            have = len(finals(out))
            before = server.counts()[1]
            target = have + chance.randint(0, 2 * (files - have) // (left + 2))
            with started(tmp, "-t", THREADS, "--grace", "0", results=None,
                         lines=lines, preexec_fn=heed_int) as run:
                common.until(lambda: run.poll() is not None
                             or len(finals(out)) >= target, "the next files",
                             60)
                hits += cut_after(run, number, chance.random() * 0.02)
            check_same((tmp / "err").read_text().count("local"), 0)
            check_finals(out, made)
            asked = server.counts()[1] - before
            assert asked <= files - have, (asked, files, have)
        # Every file not ok yet, and each that was cut off, is asked for once.
        have = len(finals(out))
        before = server.counts()[1]
        done = fetch(tmp, "-t", THREADS, lines=lines)
        check_same(done.status, 0)
        check_same(server.counts()[1] - before, files - have)
        check_same(tree(out), sorted(made))
        check_finals(out, made)
        resumed = sum("resumed_at" in r for r in done.records.values())
        print(f"cut off {hits} times; {files - have} of {files} files were left for "
              f"the last run, {resumed} of them were continued")
        print(f"{server.counts()[1]} requests in all")
        assert hits >= times // 2, hits


def heed_int():
    """In the child: INT is ignored in what a script runs in the background,
    and pfetch keeps to that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def cut_after(run, number, seconds):
    """The signal, a moment later: this moment is what is tried.  False: the
    run was quicker."""
    try:
        run.wait(seconds)
    except subprocess.TimeoutExpired:  # it still runs, as it should
        run.send_signal(number)
    status = run.wait(30)
    assert status in (0, -number), status
    return status != 0
