#!/usr/bin/env python3
"""polite - limits and rates, hosts that fail or ask to slow down, early ends.

SPDX-License-Identifier: MIT

The sizes that were promised are in long_polite; both use scenes.
"""

import email.utils
import time
import urllib.parse

import common
from common import check_failed, check_same, fetch, tap
import scenes
from scenes import check_near, fetch_unread, server, starts, statuses


# --- limits ------------------------------------------------------------------

@tap.case
def two_for_each_of_eight_hosts(tmp):
    "--per-host 2, 8 hosts, 16 workers: never above 2 a host, all workers busy"
    scenes.per_host(tmp, 20)


@tap.case
def two_for_one_host(tmp):
    "--per-host 2, one host, 16 workers: 2 at once; without it 16"
    with server() as s:
        lines = [s.url(f"/delay=30/q{i}") for i in range(48)]
        for options, expected in ((("--per-host", "2"), 2), ((), 16)):
            done = fetch(tmp, "-t", "16", *options, lines=lines,
                         out=f"out{expected}")
            scenes.check_all_ok(done, 48)
            check_same(s.stats()["requests_active_max"], expected)
            s.reset()


@tap.case
def one_host_whatever_the_port(tmp):
    "--per-host goes by the host name: two ports of it share the limit"
    with server() as one, server() as two:
        lines = [s.url(f"/delay=20/w{i}") for i in range(15)
                 for s in (one, two)]
        done = fetch(tmp, "--per-host", "1", lines=lines)
        scenes.check_all_ok(done, 30)
        times = sorted(starts(one.log(), "127.0.0.1")
                       + starts(two.log(), "127.0.0.1"))
        # One after the other: 20 ms between any two, however the ports mix.
        check_same(len(times), 30)
        gaps = [b - a for a, b in zip(times, times[1:])]
        assert min(gaps) >= 0.018, sorted(gaps)[:5]


@tap.case
def so_many_a_second(tmp):
    "--rate 50/s, 100 URLs: 2 s within 10 %"
    scenes.rate(tmp, 100, 0.10)


@tap.case
def so_many_a_second_of_each_host(tmp):
    "--host-rate 20/s on 4 hosts: each has it for itself, within 10 %"
    scenes.host_rate(tmp, 20, 30, 0.10)


@tap.case
def bytes_a_second(tmp):
    "--limit-rate 2M, 3 MiB, with 2 and with 64 workers: 1.5 s within 15 %"
    scenes.limit_rate(tmp, 2, 3, 2, 0.15)
    scenes.limit_rate(tmp, 64, 3, 2, 0.15)


@tap.case(timeout=60)
def limit_rate_and_timeout(tmp):
    "what waits for its bytes' turn beyond --timeout is given up in time"
    with scenes.server() as server:
        done = common.fetch(tmp, "-t", "16", "--limit-rate", "4k", "--timeout",
                            "2s", "--retries", "0",
                            lines=[server.url(f"/size=65536/g{i}")
                                   for i in range(16)])
        common.check_same(done.status, 1)
        for record in done.records.values():
            common.check_failed(record, "timeout")
        assert done.seconds < 8 * tap.SLOW, done.seconds


@tap.case
def exceptions_for_hosts(tmp):
    "--host: one at a time, another slower, a third without limit, the rest"
    with server() as s:
        lines = []
        for i in range(20):
            lines += [s.url(f"/limit=1/delay=10/a{i}", host="localhost"),
                      s.url(f"/size=10/b{i}", host="127.1.0.2"),
                      s.url(f"/size=10/c{i}", host="127.1.0.3"),
                      s.url(f"/limit=2/delay=10/d{i}", host="127.1.0.4")]
        done = fetch(tmp, "-t", "12", "--per-host", "2", "--host-rate",
                     "40/s", "--retries", "0",
                     "--host", "LocalHost=per-host=1,rate=0",
                     "--host", "127.1.0.2=rate=20/s",
                     "--host", "127.1.0.3=per-host=0,rate=0", lines=lines)
        scenes.check_all_ok(done, 80)
        log = s.log()
        for host, expected in (("127.1.0.2", 19 / 20), ("127.1.0.4", 19 / 40)):
            times = starts(log, host)
            check_near(times[-1] - times[0], expected, 0.15, host)
        for host in ("localhost", "127.1.0.3"):
            times = starts(log, host)
            assert times[-1] - times[0] < 0.4 * tap.SLOW, (host, times[-1] - times[0])


# --- one host does not block the others --------------------------------------

@tap.case
def unavailable_twice(tmp):
    "503 twice then 200 on each URL of a host: all ok, the others not slowed"
    scenes.unavailable_twice(tmp, 20, 150, 15)


@tap.case
def too_many_requests(tmp):
    "429 with Retry-After above 5 at a time: all ok, few 429 after the first"
    scenes.too_many(tmp, 100, 16, 1)


@tap.case
def dead_beside_good(tmp):
    "a port that refuses and a name that is none: one record each, soon"
    scenes.dead_beside_good(tmp, 600, 100, 200, ("--retry-delay", "100ms"))


@tap.case
def a_port_beside_a_port(tmp):
    "a port that refuses does not hold back a good one of the same host"
    scenes.port_beside_port(tmp, 160)


@tap.case
def a_host_that_comes_back(tmp):
    "its server starts late: set aside, probed, back, all ok"
    scenes.comes_back(tmp, 40)


@tap.case
def most_hosts_stalled(tmp):
    "15 of 16 hosts never answer, --per-host 1: the 16th is not held up"
    scenes.most_stalled(tmp, 30, 2)


# --- Retry-After -------------------------------------------------------------

def second_after(tmp, s, path, *options):
    """Seconds between the two requests for a path that fails once."""
    done = fetch(tmp, *common.SOON, *options, lines=[s.url(path)])
    scenes.check_all_ok(done, 1)
    check_same(done.records[1]["attempts"], 2)
    first, second = starts(s.log(), "127.0.0.1")
    s.reset()
    return second - first


@tap.case
def retry_after_a_date(tmp):
    "Retry-After as a date: not before it, and not long after"
    with server() as s:
        to_wall = time.time() - time.monotonic()
        date = int(time.time()) + 2
        quoted = urllib.parse.quote(email.utils.formatdate(date, usegmt=True),
                                    safe="")
        lines = [s.url(f"/fail=1:{status}/retryafter={quoted}/date{status}",
                       host=host)
                 for status, host in ((503, "127.1.0.1"), (429, "127.1.0.2"))]
        scenes.check_all_ok(fetch(tmp, *common.SOON, lines=lines), 2)
        for host in ("127.1.0.1", "127.1.0.2"):
            _, second = starts(s.log(), host)
            late = second + to_wall - date
            print(f"{late:.2f} s after the date")
            assert -0.01 <= late <= 1 + 0.1 * tap.SLOW, late


@tap.case
def retry_after_in_seconds(tmp):
    "Retry-After in seconds is a floor; 0 and nonsense are none"
    with server() as s:
        found = second_after(tmp, s, "/fail=1:429/retryafter=1/s")
        assert 0.99 <= found <= 1.5, found
        for i, text in enumerate(("0", "-5", "soon", "1x", "")):
            found = second_after(tmp, s,
                                 f"/fail=1:503/retryafter={text}/n{i}")
            assert found < 0.5 * tap.SLOW, (text, found)


@tap.case
def the_whole_host_waits(tmp):
    "503 with Retry-After holds back all of its host, once, and no other"
    with server() as s:
        lines = [s.url("/fail=1:503/retryafter=1/first", host="127.1.0.1")]
        lines += [s.url(f"/w{i}", host=f"127.1.0.{i % 2 + 1}")
                  for i in range(20)]
        done = fetch(tmp, "-t", "1", *common.SOON, lines=lines)
        scenes.check_all_ok(done, 21)
        first, second, *_ = starts(s.log(), "127.1.0.1")
        assert 0.99 <= second - first <= 1.5, second - first
        times = starts(s.log(), "127.1.0.2")
        assert times[-1] - first < 0.5 * tap.SLOW, times[-1] - first
        # Answers that were on their way make no further hold, which would
        # begin later.
        lines = [s.url(f"/fail=1:503/retryafter=1/delay={50 + 100 * i}/e{i}",
                       host="127.1.0.3") for i in range(8)]
        done = fetch(tmp, "-t", "8", *common.SOON, lines=lines, out="out2")
        scenes.check_all_ok(done, 8)
        first, second = starts(s.log(), "127.1.0.3", "/e0")
        assert 1.04 <= second - first <= 1.45, second - first


@tap.case
def retry_after_is_capped(tmp):
    "Retry-After: 99999, and more than any number, up to --max-retry-after"
    with server() as s:
        for i, text in enumerate(("99999", "9" * 40)):
            found = second_after(tmp, s,
                                 f"/fail=1:503/retryafter={text}/c{i}",
                                 "--max-retry-after", "700ms")
            assert 0.69 <= found <= 1.3, (text, found)


# --- ends --------------------------------------------------------------------

@tap.case
def timeout_of_one_url(tmp):
    "--timeout 1s: stalled, dripping, retrying, told to wait: ends in 2 s"
    paths = ("/stall=head/a", "/stall=10/b", "/size=100000/drip=10,100/c",
             "/status=500/d", "/status=503/e", "/status=503/retryafter=30/f",
             "/failreset=1000/g")
    with server(mute=True) as s, scenes.closed_port("127.1.0.99") as port:
        lines = [s.url(path, host=f"127.1.0.{i + 1}")
                 for i, path in enumerate(paths)]
        lines += [f"http://127.1.0.99:{port}/h",
                  s.mute_url(host="127.1.0.98"), s.url("/fine")]
        done = fetch(tmp, "--timeout", "1s", "--retries", "1000",
                     "--retry-delay", "200ms", "--retry-max-delay", "200ms",
                     lines=lines)
        for n, r in sorted(done.records.items()):
            print(n, r.get("error"), r.get("message"), r["attempts"],
                  r["ms"]["total"])
        check_same(done.status, 1)
        check_same(statuses(done), {"ok": 1, "failed": len(lines) - 1})
        common.check_good(done, len(lines), lines[-1])
        assert 0.9 < done.seconds < 2.3 * tap.SLOW, done.seconds
        for n in (1, 2, 3):
            check_failed(done.records[n], "timeout")
        # Told to wait for longer than there is: it is not asked again.
        check_same(done.records[6]["attempts"], 1)
        check_failed(done.records[6], "http", 503)
        for n in (4, 7, 8):
            assert done.records[n]["attempts"] > 1, done.records[n]
        for record in done.records.values():
            assert record["ms"]["total"] < 2100, record


@tap.case
def the_first_error(tmp):
    "--fail-early: status 4, the rest not attempted, within 2 s"
    with server() as s:
        lines = [s.url("/ok"), s.url("/delay=300/status=404/bad")]
        lines += [s.url(f"/stall=100/w{i}") for i in range(60)]
        for option in (("--fail-early",), ("--max-errors", "1")):
            done = fetch_unread(tmp, "-t", "8", *option, lines=lines,
                                out=option[0])
            found = scenes.check_stopped(done, 62, 4, ok=1, failed=1)
            check_failed(done.records[2], "http", 404)
            # It, and what the workers were at, is not "not attempted".
            assert found["failed"] <= 1 + 8, found
            assert done.seconds < 2 * tap.SLOW, done.seconds
            assert f"stopped by {option[0]}" in done.err, done.err


@tap.case
def so_many_errors(tmp):
    "--max-errors 3: two are let pass, the third ends it"
    with server() as s:
        bad = [s.url(f"/status=404/x{i}") for i in range(5)]
        good = [s.url(f"/y{i}") for i in range(20)]
        slow = [s.url(f"/delay=1000/z{i}") for i in range(20)]
        done = fetch(tmp, "-t", "1", "--max-errors", "3",
                     lines=bad[:2] + good)
        check_same(done.status, 1)
        check_same(statuses(done), {"ok": 20, "failed": 2})
        done = fetch_unread(tmp, "-t", "1", "--max-errors", "3", out="out2",
                            lines=bad[:2] + good[:5] + bad[2:3] + slow)
        assert done.seconds < 2 * tap.SLOW, done.seconds
        scenes.check_stopped(done, 28, 4, ok=5, failed=3)
        for n in (1, 2, 8):
            check_failed(done.records[n], "http", 404)
        assert "stopped by --max-errors" in done.err, done.err


@tap.case
def a_share_of_errors(tmp):
    "--max-errors 5%: judged from the 100th on; fewer are let pass"
    scenes.max_errors_share(tmp, 400)
    with server() as s:
        lines = [s.url(f"/status=404/x{i}" if i in (0, 1, 2, 150) else
                       f"/ok{i}") for i in range(200)]
        done = fetch(tmp, "-t", "1", "--max-errors", "5%", lines=lines,
                     out="out2")
        check_same(done.status, 1)
        check_same(statuses(done), {"ok": 196, "failed": 4})


@tap.case
def a_deadline(tmp):
    "--deadline 1s: what is done stays, status 4, within 2 s more"
    with server() as s:
        lines = [s.url("/quick")]
        lines += [s.url(f"/size=5000/stall=100/w{i}") for i in range(40)]
        done = fetch_unread(tmp, "-t", "4", "--deadline", "1s",
                            lines=lines)
        scenes.check_stopped(done, 41, 4, ok=1, failed=0)
        assert 1 <= done.seconds < 3 * tap.SLOW, done.seconds
        assert "stopped by --deadline" in done.err, done.err
        common.check_good(done, 1, lines[0])
        # One that is not reached changes nothing.
        done = fetch(tmp, "--deadline", "1m", lines=lines[:1], out="out2")
        scenes.check_all_ok(done, 1)
        assert done.seconds < 1 * tap.SLOW, done.seconds


@tap.case
def a_deadline_with_delayed_jobs(tmp):
    "--deadline ends what waits for a retry or for a host set aside, too"
    with server() as s, scenes.closed_port("127.1.0.9") as port:
        lines = [s.url(f"/status=503/retryafter=60/u{i}") for i in range(10)]
        lines += [f"http://127.1.0.9:{port}/v{i}" for i in range(20)]
        done = fetch_unread(tmp, "--deadline", "1s", "--retry-delay", "30s",
                            lines=lines)
        print(statuses(done), f"{done.seconds:.2f} s")
        check_same(done.status, 4)
        assert 1 <= done.seconds < 2 * tap.SLOW, done.seconds
        check_same(set(statuses(done)) - {"failed", "not-attempted"}, set())


@tap.case
def so_many_files(tmp):
    "--max-files 1: the first that answers; status 0, within 2 s"
    with server() as s:
        lines = [s.url("/stall=head/a"), s.url("/delay=300/b"),
                 s.url("/stall=100/c")]
        lines += [s.url(f"/stall=head/d{i}") for i in range(30)]
        done = fetch_unread(tmp, "-t", "4", "--max-files", "1",
                            lines=lines)
        scenes.check_stopped(done, 33, 0, ok=1, failed=0)
        common.check_good(done, 2, lines[1])
        assert done.seconds < 2.3 * tap.SLOW, done.seconds
        done = fetch_unread(tmp, "-t", "1", "--max-files", "3", out="out2",
                            lines=[s.url("/status=404/x")]
                            + [s.url(f"/delay=30/f{i}")
                               for i in range(50)])
        found = scenes.check_stopped(done, 51, 0, failed=1)
        # The next one may be complete before the third is known to be.
        assert 3 <= found["ok"] <= 4, found
        # As many as there are is as many as were asked for.
        done = fetch(tmp, "--max-files", "3", out="out3",
                     lines=[s.url(f"/g{i}") for i in range(3)])
        scenes.check_all_ok(done, 3)
        # Fewer is none of it: the failures say how the run ended.
        done = fetch(tmp, "--max-files", "3", out="out4",
                     lines=[s.url(f"/g{i}") for i in range(2)]
                     + [s.url("/status=404/x")])
        check_same(done.status, 1)


# --- usage and reports -------------------------------------------------------

WRONG = (
    ("--per-host", ("", "x", "-1", "1025", "2x", "99999999999999999999")),
    ("--rate", ("", "x", "-1", "5/h", "5/", "1e3", "/s", "5/s5", "nan",
                "9999999/s", "0.0000001")),
    ("--host-rate", ("", "x", "-1", "5 /s", "inf")),
    ("--host", ("", "a:80=per-host=1", "a", "a=", "=per-host=1", "a=per-host", "a=per-host=x",
                "a=per-host=1,", "a=per-host=9999", "a=rate=x", "a=speed=1",
                "a=rate=1,,per-host=1", "a=per-host=-1")),
    ("--limit-rate", ("", "x", "-1", "10MM", "1.5M", "9999999999G")),
    ("--max-errors", ("", "0", "-1", "x", "5%%", "101%", "0%", "%", "5.5%")),
    ("--max-files", ("", "x", "-1", "1x")),
    ("--deadline", ("", "x", "-1", "5d", "1.5.5", "99999999999h")),
    ("--timeout", ("", "x", "-1", "5d", "99999999999h")),
    ("--max-retry-after", ("", "x", "-1", "99999h")),
    ("--grace", ("", "x", "-1", "99h")),
)


@tap.case
def wrong_values(tmp):
    "a wrong value of each option: status 2, one line, nothing requested"
    with server() as s:
        accepted = []
        for option, values in WRONG:
            for value in values:
                done = tap.run(f"{option}={value}", "-o", tmp / "out",
                               s.url("/x"))
                lines = done.stderr.splitlines()
                if (done.returncode != 2 or len(lines) != 2
                        or option not in lines[0]
                        or "--help" not in lines[1]):
                    accepted.append((option, value, done.returncode,
                                     done.stderr))
            done = tap.run(option)  # and without any
            if done.returncode != 2:
                accepted.append((option, None, done.returncode, done.stderr))
        done = tap.run("--fail-early=1", s.url("/x"))
        check_same(done.returncode, 2)
        check_same(accepted, [])
        check_same(s.stats()["requests"], 0)
        assert not (tmp / "out").exists()


@tap.case
def right_values(tmp):
    "the forms that are documented are accepted"
    with server() as s:
        for i, options in enumerate((
                ("--per-host=1024", "--rate=50", "--host-rate=0.5/s",
                 "--limit-rate=2G"),
                ("--rate=600/m", "--host=a.example=per-host=0,rate=30/m",
                 "--host=b.example=rate=2", "--max-errors=100%"),
                ("--per-host=0", "--rate=0", "--limit-rate=0",
                 "--deadline=0", "--timeout=0", "--max-files=0"),
                ("--deadline=1h", "--timeout=5m", "--max-errors=7",
                 "--max-retry-after=0", "--fail-early", "--grace=0"))):
            done = fetch(tmp, *options, lines=[s.url("/x")], out=f"out{i}")
            scenes.check_all_ok(done, 1)


@tap.case
def attempts_are_counted(tmp):
    "records and closing words agree with what the server has seen"
    with server() as s:
        paths = ("/a", "/fail=1:500/b", "/fail=2:503/c", "/status=500/d",
                 "/status=404/e", "/failreset=1/f", "/fail=1:429/g")
        lines = [s.url(path, host=f"127.1.0.{i + 1}")
                 for i, path in enumerate(paths)]
        done = fetch(tmp, "--retries", "2", *common.SOON, lines=lines)
        check_same(done.status, 1)
        check_same([done.records[n]["attempts"] for n in range(1, 8)],
                   [1, 2, 3, 3, 1, 2, 2])
        for n, path in enumerate(paths, 1):
            check_same(done.records[n]["attempts"], s.hits(path))
        check_same(statuses(done), {"ok": 5, "failed": 2})
        assert "5 files, " in done.err and ", 2 failed" in done.err, done.err
        check_same(done.err.count("asks to slow down"), 2)


tap.main()
