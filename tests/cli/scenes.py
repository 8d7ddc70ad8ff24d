"""scenes - what polite and long_polite try, in sizes they choose; no test.

SPDX-License-Identifier: MIT

Each scene starts its servers, runs pfetch and checks what came of it.  Hosts
are addresses of the loopback network, all of them one server: faultd on
0.0.0.0, whose log says when each request came and for which host.
"""

import contextlib
import random
import socket

import common
from common import check_same, fetch, tap


# Under sanitizers and valgrind everything takes longer.
SLOW = tap.SLOW


def server(**options):
    """A fault server on every loopback address."""
    return common.server(bind="0.0.0.0", **options)


def hosts(count):
    return [f"127.1.0.{i + 1}" for i in range(count)]


@contextlib.contextmanager
def closed_port(address=""):
    """A port that refuses: bound, so that nobody else gets it, but nobody
    listens.  Below those that the system deals out for connections: such a
    one could be connected to itself."""
    with socket.socket() as bound:
        while True:
            port = random.randrange(20000, 30000)
            with contextlib.suppress(OSError):
                bound.bind((address, port))
                break
        yield port


def outcomes(tmp, count):
    """The records of count lines by n; each has its own, or is part of the
    rest that was not read, which then counts as not-attempted."""
    records = common.read_records(tmp / "results")
    rest = [r for r in records if "from_line" in r]
    found = common.by_n([r for r in records if "from_line" not in r])
    assert len(rest) <= 1 and rest == records[len(records) - len(rest):], rest
    for r in rest:
        check_same(r["status"], "not-attempted")
        for n in range(r["from_line"], count + 1):
            assert n not in found, found[n]
            found[n] = r
    check_same(sorted(found), list(range(1, count + 1)))
    return found


def fetch_unread(tmp, *more, lines, **options):
    """common.fetch(), where lines may be left unread."""
    (tmp / "results").unlink(missing_ok=True)
    done = fetch(tmp, "--results", tmp / "results", *more, lines=lines,
                 results=None, **options)
    return done._replace(records=outcomes(tmp, len(lines)))


def statuses(done):
    """{status: how many}"""
    found = {}
    for record in done.records.values():
        found[record["status"]] = found.get(record["status"], 0) + 1
    return found


def check_all_ok(done, count):
    assert done.status == 0, done.err[-2000:]
    check_same(statuses(done), {"ok": count})


def starts(log, host, part=""):
    """When the requests of that host came, in seconds, in order."""
    return sorted(entry["ms"] / 1000 for entry in log
                  if entry["Host"].split(":")[0] == host
                  and part in entry["path"])


def check_near(found, expected, share, what):
    """Within the share, and 0.1 s for starts that come late (the credit of a
    rate).  Where all is slow only the lower bound means something."""
    print(f"{what}: {found:.3f}, expected {expected:.3f}")
    slack = expected * share + 0.1
    assert expected - slack <= found, f"{what}: {found}, {expected}"
    assert found <= expected + slack or SLOW > 1, f"{what}: {found}, {expected}"


def check_spread(times, rate, what, slack=6):
    """No second has more starts than the rate allows, but for a few that
    came late."""
    for i, first in enumerate(times):
        within = sum(first <= t < first + 1 for t in times[i:])
        assert within <= rate + slack, f"{what}: {within} in one second"


# --- limits ------------------------------------------------------------------

def per_host(tmp, each):
    """8 hosts with a limit of 2 and 16 workers: never more than 2 at a host,
    which would be answered with 429, and every worker busy."""
    names = hosts(8)
    with server() as s:
        lines = [s.url(f"/limit=2/delay=10-90/p{i}", host=names[i % 8])
                 for i in range(each * 8)]
        # In random order: taken as they come, they would be too many.
        random.Random(1).shuffle(lines)
        done = fetch(tmp, "-t", "16", "--per-host", "2", "--retries", "0",
                     lines=lines, timeout=120)
        check_all_ok(done, len(lines))
        stats = s.stats()
        check_same(stats["status_counts"], {"200": len(lines)})
        check_same(stats["requests_active_max"], 16)


def rate(tmp, count, share):
    """--rate 50/s, count URLs."""
    with server() as s:
        lines = [s.url(f"/size=10/r{i}") for i in range(count)]
        done = fetch(tmp, "--rate", "50/s", lines=lines)
        check_all_ok(done, count)
        times = starts(s.log(), "127.0.0.1")
        check_same(len(times), count)
        check_near(times[-1] - times[0], (count - 1) / 50, share, "seconds")
        check_spread(times, 50, "--rate")


def host_rate(tmp, per_s, each, share):
    """--host-rate on 4 hosts: each of them has it for itself."""
    names = hosts(4)
    with server() as s:
        lines = [s.url(f"/size=10/h{i}", host=name)
                 for i in range(each) for name in names]
        done = fetch(tmp, "--host-rate", f"{per_s}/s", lines=lines)
        check_all_ok(done, len(lines))
        log = s.log()
        for name in names:
            times = starts(log, name)
            check_same(len(times), each)
            check_near(times[-1] - times[0], (each - 1) / per_s, share,
                       f"seconds of {name}")
            check_spread(times, per_s, name)


def limit_rate(tmp, workers, mib, mib_per_s, share):
    """--limit-rate with that many workers, measured over the whole run."""
    with server() as s:
        files = max(workers, 16)
        size = mib * 2**20 // files
        lines = [s.url(f"/size={size}/l{i}") for i in range(files)]
        done = fetch(tmp, "-t", workers, "--limit-rate", f"{mib_per_s}M",
                     "--handler", "null", lines=lines, timeout=120)
        check_all_ok(done, files)
        check_same(sum(r["bytes"] for r in done.records.values()),
                   size * files)
        check_near(done.seconds, mib / mib_per_s, share,
                   f"seconds, {workers} workers")


# --- one host does not block the others --------------------------------------

def good_alone(tmp, s, good, options):
    """Seconds that the good URLs take at their server when they are alone."""
    done = fetch(tmp, *options, lines=good, out="alone", results="alone.json",
                 timeout=120)
    check_all_ok(done, len(good))
    times = starts(s.log(), "127.1.0.2", "/good")
    s.reset()
    return times[-1] - times[0]


def unavailable_twice(tmp, bad_count, good_count, limit_s):
    """503 twice, then 200, on every URL of one host beside good ones of
    another: all ok, the good ones as fast as alone."""
    options = ("-t", "8", "--retry-delay", "100ms", "--retry-max-delay", "1s")
    with server() as s:
        bad = [s.url(f"/fail=2:503/bad{i}", host="127.1.0.1")
               for i in range(bad_count)]
        good = [s.url(f"/delay=20/good{i}", host="127.1.0.2")
                for i in range(good_count)]
        alone_s = good_alone(tmp, s, good, options)
        done = fetch(tmp, *options, lines=bad + good, timeout=120)
        check_all_ok(done, bad_count + good_count)
        times = starts(s.log(), "127.1.0.2", "/good")
        beside_s = times[-1] - times[0]
        print(f"good ones: {beside_s:.2f} s, alone {alone_s:.2f} s; "
              f"all {done.seconds:.2f} s")
        assert beside_s <= alone_s * 1.3 + 0.3 * SLOW, (beside_s, alone_s)
        assert done.seconds < limit_s, done.seconds
        check_same({done.records[n]["attempts"]
                    for n in range(1, bad_count + 1)}, {3})
        check_same(s.stats()["status_counts"],
                   {"200": bad_count + good_count, "503": 2 * bad_count})
        check_same(done.err.count("127.1.0.1 asks to slow down"), 1)
        assert "127.1.0.2 asks" not in done.err, done.err


def too_many(tmp, count, workers, after_s, timeout=120):
    """A server that allows 5 at a time and answers 429 with Retry-After: all
    ok, and few 429 after the first burst."""
    with server() as s:
        lines = [s.url(f"/limit=5/retryafter={after_s}/delay=20/m{i}")
                 for i in range(count)]
        done = fetch(tmp, "-t", workers, lines=lines, timeout=timeout)
        stats = s.stats()
        print(f"{stats['status_counts']} in {done.seconds:.1f} s")
        check_all_ok(done, count)
        counts = stats["status_counts"]
        check_same(counts["200"], count)
        assert counts["429"] > 0, counts
        after = counts["429"] - workers
        assert after <= 0.05 * stats["requests"], counts
        check_same(done.err.count("asks to slow down"), 1)


def dead_beside_good(tmp, ports, names, good_count, options=()):
    """URLs of a port that refuses, of a name that is none, and good ones."""
    with server() as s, closed_port("127.1.0.1") as port:
        dead = [f"http://127.1.0.1:{port}/d{i}" for i in range(ports)]
        none = [f"http://no-such.invalid/n{i}" for i in range(names)]
        good = [s.url(f"/good{i}", host="127.1.0.2")
                for i in range(good_count)]
        lines = dead + none + good
        # Mixed, the same in every run.
        random.Random(3).shuffle(lines)
        done = fetch(tmp, *options, lines=lines, timeout=120)
        print(f"{done.seconds:.2f} s")
        check_same(done.status, 1)
        check_same(sorted(done.records), list(range(1, len(lines) + 1)))
        assert done.seconds < 30, done.seconds
        counts = {}
        for n, record in done.records.items():
            kind = ("good" if "/good" in lines[n - 1] else
                    "none" if "invalid" in lines[n - 1] else "dead")
            key = (kind, record.get("error"))
            counts[key] = counts.get(key, 0) + 1
            if kind != "good":
                check_same(record["status"], "failed")
                assert record["message"], record
        print(counts)
        check_same(counts.pop(("good", None)), good_count)
        # Those that were tried to their end, and the probe, which was.
        assert 1 <= counts.pop(("dead", "connect")) <= 32, counts
        assert 1 <= counts.pop(("none", "dns")) <= 32, counts
        check_same(set(counts), {("dead", "host-down"), ("none", "host-down")})
        for name in (f"127.1.0.1:{port}", "no-such.invalid:80"):
            check_same(done.err.count(f"http://{name} is set aside:"), 1)
            check_same(done.err.count(f"http://{name} is given up:"), 1)
        assert f"{ports + names:,} failed" in done.err, done.err[-500:]


def port_beside_port(tmp, good_count):
    """A port that refuses and a good one of the same host name: the good one
    is as fast as alone, the other given up."""
    options = ("-t", "16", "--retry-delay", "100ms")
    with server() as s, closed_port("127.1.0.2") as port:
        dead = [f"http://127.1.0.2:{port}/d{i}" for i in range(good_count)]
        good = [s.url(f"/delay=50/good{i}", host="127.1.0.2")
                for i in range(good_count)]
        alone_s = good_alone(tmp, s, good, options)
        lines = [line for pair in zip(dead, good) for line in pair]
        done = fetch(tmp, *options, lines=lines)
        check_same(done.status, 1)
        check_same(statuses(done), {"ok": good_count, "failed": good_count})
        assert all(done.records[n]["error"] in ("connect", "host-down")
                   for n in range(1, 2 * good_count, 2))
        times = starts(s.log(), "127.1.0.2", "/good")
        beside_s = times[-1] - times[0]
        print(f"good ones: {beside_s:.2f} s, alone {alone_s:.2f} s")
        assert beside_s <= alone_s * 1.3 + 0.3 * SLOW, (beside_s, alone_s)


def comes_back(tmp, count):
    """A host whose server starts late: set aside, probed, back, all ok."""
    with contextlib.ExitStack() as stack:
        with closed_port() as port:
            lines = [f"http://127.0.0.1:{port}/b{i}" for i in range(count)]
            process = stack.enter_context(common.started(
                tmp, "--retry-delay", "200ms", lines=lines))
            common.until(lambda: "set aside" in (tmp / "err").read_text(),
                         "set aside")
        s = stack.enter_context(server(options=("--port", str(port))))
        check_same(process.wait(20), 0)
        check_same(s.stats()["status_counts"], {"200": count})
    check_same({r["status"] for r in outcomes(tmp, count).values()}, {"ok"})
    said = (tmp / "err").read_text()
    check_same(said.count("is set aside"), 1)
    check_same(said.count("is back"), 1)
    assert "given up" not in said, said


def most_stalled(tmp, each, limit_s):
    """15 of 16 hosts never answer, one transfer a host: the 16th host's URLs
    come one after the other without a pause."""
    names = hosts(16)
    with server() as s:
        lines = [s.url(f"/stall=head/s{i}", host=name)
                 for name in names[:15] for i in range(each)]
        good = [s.url(f"/good{i}", host=names[15]) for i in range(each)]
        lines += good
        random.Random(5).shuffle(lines)
        with common.started(tmp, "-t", "16", "--per-host", "1", "--grace",
                            "0", lines=lines) as process:
            s.wait(lambda st: st["status_counts"].get("200", 0) >= each, 60)
            common.until(lambda: len(common.tree(tmp / "out")) >= each,
                         "the files")
            process.terminate()
            check_same(process.wait(20), -15)
        times = starts(s.log(), names[15])
        check_same(len(times), each)
        print(f"{each} of the 16th host: {times[-1] - times[0]:.2f} s")
        assert times[-1] - times[0] < limit_s, times[-1] - times[0]
        found = outcomes(tmp, len(lines))
        check_same(sum(r["status"] == "ok" for r in found.values()), each)
        check_same({found[n]["status"] for n, line in enumerate(lines, 1)
                    if "/good" in line}, {"ok"})
        for name in names[:15]:
            check_same(len(starts(s.log(), name)), 1)


# --- ends --------------------------------------------------------------------

def check_stopped(done, count, status, ok=None, failed=None):
    """The run has ended early with that status, and every line is told of."""
    found = statuses(done)
    print(f"{found} in {done.seconds:.2f} s")
    assert done.status == status, (done.status, done.err[-1000:])
    check_same(sum(found.values()), count)
    assert found.get("not-attempted", 0) > 0, found
    own = [r for r in done.records.values()
           if r["status"] == "failed" and r["error"] != "stopped"]
    if ok is not None:
        check_same(found.get("ok", 0), ok)
    if failed is not None:
        check_same(len(own), failed)
    return found


def max_errors_share(tmp, count):
    """--max-errors 5%: judged from the 100th on, so 5 % of the first 100 may
    fail; ends soon after it is too much."""
    with server() as s:
        lines = [s.url(f"/status=404/delay=10/x{i}" if i % 10 == 9
                       else f"/delay=10/ok{i}") for i in range(count)]
        done = fetch_unread(tmp, "-t", "4", "--max-errors", "5%",
                            lines=lines, timeout=120)
        check_stopped(done, count, 4)
        finished = [r for r in done.records.values()
                    if r["status"] in ("ok", "failed")
                    and r.get("error") != "stopped"]
        # What the workers were at may become complete before they know.
        print(f"{len(finished)} finished")
        # (how many depends on how far the writer is behind them).
        assert 100 <= len(finished) <= 400, len(finished)
        assert "stopped by --max-errors" in done.err, done.err
