#!/usr/bin/env python3
"""long_exec - 100,000 bodies through four processes.

SPDX-License-Identifier: MIT
"""

import hashlib
import shlex
import sys

import common
from common import check_same, tap

COUNT = 100_000

READER = """
import hashlib, json, os, signal, sys
log = open(f"{sys.argv[1]}/got.{os.getpid()}", "wb", buffering=0)
fatal = sys.argv[2]
for line in sys.stdin.buffer:
    header = json.loads(line)
    body = sys.stdin.buffer.read(header["length"])
    log.write(b"%d %s\\n" % (header["n"],
                             hashlib.md5(body).hexdigest().encode()))
    if str(header["n"]) == fatal:
        os.kill(os.getpid(), signal.SIGKILL)
    print(header["n"], "ok", flush=True)
"""


def deliver(tmp, fatal):
    """(status, peak MiB, records, {n: digest}) of all bodies, one reader being
    killed when it gets number `fatal`."""
    (tmp / "reader.py").write_text(READER)
    with common.server() as server:
        status, peak = common.measured(
            tmp, "--handler", "exec:" + shlex.join(
                [sys.executable, "-S", str(tmp / "reader.py"), str(tmp),
                 str(fatal)]), "--handler-jobs", "4",
            lines=[server.url(f"/size=1000/f{i}") for i in range(COUNT)])
    got = {}
    for path in tmp.glob("got.*"):
        for line in path.read_text().splitlines():
            n, digest = line.split()
            assert int(n) not in got, f"{n} came twice"
            got[int(n)] = digest
    records = common.by_n(common.read_records(tmp / "results"))
    check_same(len(records), COUNT)
    return status, peak, records, got


def check_bodies(got):
    """Every digest is that of the right body."""
    for n, digest in got.items():
        body = common.faultbody.body(f"f{n - 1}".encode(), 1000)
        check_same(digest, hashlib.md5(body).hexdigest())


@tap.case(timeout=600)
def all_are_delivered_exactly_once(tmp):
    status, peak, records, got = deliver(tmp, 0)
    check_same(status, 0)
    check_same({r["status"] for r in records.values()}, {"ok"})
    check_same(sorted(got), list(range(1, COUNT + 1)))
    check_bodies(got)
    assert peak < 96, peak


@tap.case(timeout=600)
def a_reader_is_killed_in_the_middle(tmp):
    "what is not reported as failed was delivered"
    status, _, records, got = deliver(tmp, COUNT // 2)
    check_same(status, 1)
    failed = {n for n, r in records.items() if r["status"] == "failed"}
    assert COUNT // 2 in failed and len(failed) <= 2, failed
    for n in failed:
        common.check_failed(records[n], "handler")
    check_same(set(range(1, COUNT + 1)) - failed - set(got), set())
    check_bodies(got)


tap.main()
