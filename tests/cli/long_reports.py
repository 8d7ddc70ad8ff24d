#!/usr/bin/env python3
"""long_reports - a million lines, 1 % of which fail: check-full.

SPDX-License-Identifier: MIT
"""

import os
import time

import common
from common import check_same, tap
import nginx

LINES = int(os.environ.get("PFETCH_REPORT_LINES", "1000000"))


def measured(tmp, what, server, *more, **options):
    """(exit status, requests it took); says how long and how much memory."""
    before = server.counts()[1]
    start = time.monotonic()
    status, mib = common.measured(tmp, *more, **options)
    requests = server.counts()[1] - before
    print(f"{what}: {time.monotonic() - start:.1f} s, {requests} requests, "
          f"{mib:.1f} MiB")
    # Lists that are not that long need no more than for shorter ones.
    assert mib < 96, mib
    return status, requests


@tap.case(timeout=7200)
def a_million_lines_of_which_some_fail(tmp):
    "--failed has just those; -i of it fetches them; --resume-from the rest"
    common.need_nginx()
    with nginx.Nginx(access_log=False, server="""
            location / { return 200 "x"; }
            location ~ bad { return 404; }""") as server:
        bad = set()
        with open(tmp / "list", "w") as out:
            for n in range(LINES):
                kind = "bad" if n % 100 == 42 else "good"
                line = server.url(f"some/{kind}/path/to/file{n}") + f"\tid={n}"
                if kind == "bad":
                    bad.add(line)
                out.write(line + "\n")
        status, requests = measured(
            tmp, "all", server, "-q", "-i", tmp / "list", "--failed",
            tmp / "failed")
        check_same((status, requests), (1, LINES))
        found = (tmp / "failed").read_text().splitlines()
        check_same(len(found), len(bad))
        assert set(found) == bad
        (tmp / "results").rename(tmp / "first")

        status, requests = measured(
            tmp, "--resume-from", server, "-q", "-i", tmp / "list", "--exist",
            "overwrite", "--resume-from", tmp / "first", "--failed",
            tmp / "again", results=None)
        check_same((status, requests), (1, len(bad)))
        assert set((tmp / "again").read_text().splitlines()) == bad

        status, requests = measured(
            tmp, "-i failed", server, "-q", "-i", tmp / "failed")
        check_same((status, requests), (1, len(bad)))


tap.main()
