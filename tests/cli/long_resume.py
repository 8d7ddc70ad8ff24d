#!/usr/bin/env python3
"""long_resume - runs that are cut short, in the sizes promised; minutes,
in `make check-full`.

SPDX-License-Identifier: MIT
"""

import signal

import common
from common import check_failed, check_same, fetch, tap, tree
import cuts


@tap.case(timeout=900)
def killed(tmp):
    "2,000 files of 1 KB to 5 MB, SIGKILL at 50 moments"
    cuts.cut_short(tmp, signal.SIGKILL, 2000, 5 << 20, 50, "4m")


@tap.case(timeout=900)
def interrupted(tmp):
    "2,000 files of 1 KB to 5 MB, INT at 50 moments"
    cuts.cut_short(tmp, signal.SIGINT, 2000, 5 << 20, 50, "4m")


def gigabyte(tmp, words):
    """1 GiB, cut at 60 %: two runs; answers (what the second says, the last
    request)."""
    common.need_attributes(tmp)
    size, cut = 1 << 30, (1 << 30) * 6 // 10
    with common.server() as server:
        lines = [server.url(f"/size={size}/etag=v/failcut=1:{cut}{words}/x")]
        done = fetch(tmp, "--retries", "0", lines=lines)
        check_failed(done.records[1], "short")
        check_same(tree(tmp / "out"), [".x.part"])
        check_same((tmp / "out/.x.part").stat().st_size, cut)
        done = fetch(tmp, "--retries", "0", "--checksum", "md5", lines=lines)
        check_same(done.status, 0)
        check_same(tree(tmp / "out"), ["x"])
        check_same(server.log()[-1]["Range"], f"bytes={cut}-")
        again = fetch(tmp, "--exist", "overwrite", "--checksum", "md5",
                      lines=lines)
        check_same(again.records[1]["checksum"], done.records[1]["checksum"])
        return done.records[1], cut


@tap.case(timeout=900)
def gigabyte_continued(tmp):
    "1 GiB cut at 60 %: the next run asks for the missing 40 % only"
    record, cut = gigabyte(tmp, "")
    check_same(record["resumed_at"], cut)


@tap.case(timeout=900)
def gigabyte_replaced(tmp):
    "1 GiB cut at 60 % and replaced on the server: fetched whole"
    record, _ = gigabyte(tmp, "/newafter=1:new")
    assert "resumed_at" not in record, record


tap.main()
