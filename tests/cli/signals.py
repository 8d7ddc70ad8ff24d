#!/usr/bin/env python3
"""signals - how a run is ended early, and what is there then.

SPDX-License-Identifier: MIT
"""

import contextlib
import os
import signal
import subprocess
import threading
import time

import common
from common import check_failed, check_same, fetch, started, tap, tree, until

WORKERS = 16
LINES = 60
SIZE = 40000


def slow_lines(server, drip=(1000, 75)):
    """By default each takes 3 s, which is more than the grace time, but every
    fourth is quick."""
    slow = f"/drip={drip[0]},{tap.ms(drip[1])}"
    return [server.url(f"/size={SIZE}{'' if i % 4 == 3 else slow}/f{i}")
            for i in range(LINES)]


def ended(process, timeout=15):
    """(status, seconds) of a process that is about to end."""
    start = time.monotonic()
    return process.wait(timeout), time.monotonic() - start


def check_records(tmp, count):
    """Exactly one outcome for each of count lines: its own record, or the
    one record for those not read.  Answers the lines' own records."""
    records = common.read_records(tmp / "results")
    rest = [r for r in records if "from_line" in r]
    lines = common.by_n([r for r in records if "from_line" not in r])
    assert len(rest) <= 1, rest
    if rest:
        check_same(rest[0]["status"], "not-attempted")
        check_same(records[-1], rest[0])
    read = rest[0]["from_line"] - 1 if rest else count
    check_same(sorted(lines), list(range(1, read + 1)))
    for record in lines.values():
        if record["status"] == "failed":
            check_failed(record, "stopped")
    return lines


def check_files(tmp, lines):
    """What is ok is there and whole, and nothing else is."""
    ok = {r["path"]: r for r in lines.values() if r["status"] == "ok"}
    check_same(tree(tmp / "out"), sorted(ok))
    for path, record in ok.items():
        common.check_file(tmp / "out" / path, record["url"], SIZE)
    return len(ok)


def check_rerun(tmp, server, lines):
    """The same command again gets the rest, and only that."""
    finals = [n for n in tree(tmp / "out") if not n.startswith(".")]
    server.wait(lambda s: s["requests_active"] == 0)
    server.reset()
    done = fetch(tmp, "-t", LINES, lines=lines)
    check_same(done.status, 0)
    check_same(server.stats()["requests"], LINES - len(finals))
    check_same(tree(tmp / "out"), sorted(f"f{i}" for i in range(LINES)))
    for i in range(LINES):
        common.check_file(tmp / "out" / f"f{i}", f"/f{i}", SIZE)


@contextlib.contextmanager
def in_the_middle(tmp, server, lines, *options, **more):
    """A run with some files done and all workers busy."""
    with started(tmp, *options, lines=lines, **more) as process:
        until(lambda: (tmp / "out").exists() and any(
            not name.startswith(".") for name in tree(tmp / "out")),
            "the first file")
        server.wait(lambda s: s["requests_active"] >= WORKERS)
        yield process


@tap.case(timeout=60)
def interrupted(tmp):
    "INT in the middle of 16 slow downloads, and the same command again"
    with common.server() as server:
        lines = slow_lines(server)
        with in_the_middle(tmp, server, lines) as process:
            process.send_signal(signal.SIGINT)
            status, seconds = ended(process)
        check_same(status, -signal.SIGINT)
        assert seconds < 4 * tap.SLOW, seconds
        done = check_records(tmp, LINES)
        count = check_files(tmp, done)
        assert 0 < count < LINES, count
        assert any(r["status"] == "failed" for r in done.values())
        assert any(r["status"] == "not-attempted" for r in done.values())
        said = (tmp / "err").read_text()
        assert "stopped by INT" in said, said
        assert "Traceback" not in said
        check_rerun(tmp, server, lines)


@tap.case
def terminated_without_grace(tmp):
    "TERM with --grace 0: at once, by the signal"
    with common.server() as server:
        lines = slow_lines(server)
        with in_the_middle(tmp, server, lines, "--grace", "0") as process:
            process.send_signal(signal.SIGTERM)
            status, seconds = ended(process)
        check_same(status, -signal.SIGTERM)
        assert seconds < 2 * tap.SLOW, seconds
        check_files(tmp, check_records(tmp, LINES))


@tap.case
def grace_lets_downloads_end(tmp):
    "what ends within --grace is ok"
    with common.server() as server:
        lines = [server.url(f"/size={SIZE}/drip=10000,{tap.ms(200)}/f{i}")
                 for i in range(LINES)]
        with started(tmp, "--grace", "10s", lines=lines) as process:
            server.wait(lambda s: s["requests_active"] == WORKERS)
            process.send_signal(signal.SIGTERM)
            status, seconds = ended(process)
        check_same(status, -signal.SIGTERM)
        assert seconds < 5 * tap.SLOW, seconds
        done = check_records(tmp, LINES)
        check_same(check_files(tmp, done), WORKERS)
        check_same(server.stats()["requests"], WORKERS)


@tap.case
def interrupted_twice(tmp):
    "the second INT ends it at once, whatever --grace says"
    with common.server() as server:
        lines = slow_lines(server, (100, 100))
        with in_the_middle(tmp, server, lines, "--grace",
                           "1h") as process:
            process.send_signal(signal.SIGINT)
            # It has been taken when no new download starts any more: a
            # fast one ends, and nothing follows.
            until(lambda: not signal_pending(process.pid, signal.SIGINT),
                  "the first signal to be taken")
            taken = time.monotonic()
            assert process.poll() is None
            # Right after the first it would count as the first once more.
            until(lambda: time.monotonic() > taken + 0.15, "a tenth of a second")
            process.send_signal(signal.SIGINT)
            status, seconds = ended(process)
        check_same(status, -signal.SIGINT)
        assert seconds < 1 * tap.SLOW, seconds


@tap.case
def sent_to_the_process_and_to_its_group(tmp):
    "as timeout(1) does it: one signal, and every line has its record"
    with common.server() as server:
        lines = slow_lines(server)
        with in_the_middle(tmp, server, lines, "--failed", tmp / "failed",
                           start_new_session=True) as process:
            process.send_signal(signal.SIGTERM)
            until(lambda: not signal_pending(process.pid, signal.SIGTERM),
                  "the first signal to be taken")
            os.killpg(process.pid, signal.SIGTERM)
            status, _ = ended(process)
        check_same(status, -signal.SIGTERM)
        done = check_records(tmp, LINES)
        missing = sum(r["status"] != "ok" for r in done.values())
        check_same(len((tmp / "failed").read_text().splitlines()), missing)
        assert "stopped by TERM" in (tmp / "err").read_text()


def signal_pending(pid, number):
    """The signal waits to be taken by that process."""
    with open(f"/proc/{pid}/status") as text:
        for line in text:
            if line.startswith("ShdPnd:"):
                return int(line.split()[1], 16) >> (number - 1) & 1
    raise AssertionError("/proc has no ShdPnd")


@tap.case
def hung_up(tmp):
    "HUP: running downloads end by themselves; work is left: status 4"
    with common.server() as server:
        lines = [server.url(f"/size={SIZE}/drip=10000,{tap.ms(200)}/f{i}")
                 for i in range(LINES)]
        with started(tmp, lines=lines) as process:
            server.wait(lambda s: s["requests_active"] == WORKERS)
            process.send_signal(signal.SIGHUP)
            status, _ = ended(process)
        check_same(status, 4)
        done = check_records(tmp, LINES)
        check_same(check_files(tmp, done), WORKERS)
        check_same(server.stats()["requests"], WORKERS)
        assert not [r for r in done.values() if r["status"] == "failed"]
        assert "stopped by HUP" in (tmp / "err").read_text()


@tap.case
def hung_up_with_nothing_left(tmp):
    "HUP while the last ones run: they end, status 0"
    with common.server() as server:
        lines = [server.url(f"/size={SIZE}/drip=10000,{tap.ms(200)}/f{i}")
                 for i in range(4)]
        with started(tmp, lines=lines) as process:
            server.wait(lambda s: s["requests_active"] == 4)
            process.send_signal(signal.SIGHUP)
            check_same(ended(process)[0], 0)
        check_same(check_files(tmp, check_records(tmp, 4)), 4)


@tap.case
def hung_up_under_nohup(tmp):
    "a HUP that was ignored at the start stays so"
    with common.server() as server:
        lines = [server.url(f"/size={SIZE}/drip=10000,{tap.ms(100)}/f{i}")
                 for i in range(24)]

        def ignore():
            signal.signal(signal.SIGHUP, signal.SIG_IGN)

        with started(tmp, lines=lines, preexec_fn=ignore) as process:
            server.wait(lambda s: s["requests_active"] == WORKERS)
            process.send_signal(signal.SIGHUP)
            check_same(ended(process)[0], 0)
        check_same(check_files(tmp, check_records(tmp, 24)), 24)


@tap.case
def an_ignored_int_stays_ignored(tmp):
    "as for a command in the background of a script"
    with common.server() as server:
        lines = [server.url(f"/size={SIZE}/drip=10000,{tap.ms(100)}/f{i}")
                 for i in range(4)]

        def ignore():
            signal.signal(signal.SIGINT, signal.SIG_IGN)

        with started(tmp, lines=lines, preexec_fn=ignore) as process:
            server.wait(lambda s: s["requests_active"] == 4)
            process.send_signal(signal.SIGINT)
            check_same(ended(process)[0], 0)


@tap.case
def asked_for_a_status_line(tmp):
    "USR1 prints one, also with -q; the run goes on"
    with common.server() as server:
        for options in ((), ("-q",)):
            with started(tmp, *options, server.url(
                    f"/size={SIZE}/drip=4000,{tap.ms(40)}/f{len(options)}")
                    ) as process:
                server.wait(lambda s: s["requests_active"] == 1)
                process.send_signal(signal.SIGUSR1)
                said = until(lambda: (tmp / "err").read_text(),
                             "a status line")
                assert "1 running" in said, said
                check_same(ended(process)[0], 0)
            server.reset()


@tap.case
def many_signals_usr1(tmp):
    "a thousand USR1 do no harm"
    with common.server() as server:
        with started(tmp, "-q", server.url(
                f"/size={SIZE}/drip=4000,50/f0")) as process:
            server.wait(lambda s: s["requests_active"] == 1)
            for _ in range(1000):
                process.send_signal(signal.SIGUSR1)
            check_same(ended(process)[0], 0)
        common.check_file(tmp / "out/f0", "/f0", SIZE)


@tap.case
def interrupted_while_it_waits_for_a_list(tmp):
    "INT while stdin says nothing, and while nobody writes to a FIFO"
    os.mkfifo(tmp / "fifo")
    with common.server() as server:
        for options in (("-i", "-"), ("-i", tmp / "fifo")):
            server.reset()
            name = f"/f{len(str(options[1]))}"
            with started(tmp, server.url(name), *options,
                         stdin=subprocess.PIPE) as process:
                until((tmp / "out" / name[1:]).exists, "the first file")
                until(lambda: (tmp / "results").stat().st_size,
                      "its record")
                process.send_signal(signal.SIGINT)
                status, seconds = ended(process)
            check_same(status, -signal.SIGINT)
            assert seconds < 2 * tap.SLOW, seconds
            records = common.read_records(tmp / "results")
            check_same([(r["status"], r.get("from_line")) for r in records],
                       [("ok", None), ("not-attempted", 2)])


@tap.case
def interrupted_with_a_full_queue(tmp):
    "INT while the reader waits, because more than enough is read"
    with common.server() as server:
        lines = [server.url(f"/stall=head/f{i}") for i in range(40000)]
        with started(tmp, "--grace", "100ms", lines=lines) as process:
            server.wait(lambda s: s["requests_active"] == WORKERS)
            process.send_signal(signal.SIGINT)
            status, seconds = ended(process)
        check_same(status, -signal.SIGINT)
        assert seconds < 4 * tap.SLOW, seconds
        done = check_records(tmp, 40000)
        assert not any(r["status"] == "ok" for r in done.values())
        check_same(tree(tmp / "out"), [])


@tap.case
def interrupted_while_retries_wait(tmp):
    "INT when all that is left waits for its next attempt"
    with common.server() as server:
        lines = [server.url(f"/status=500/retryafter=200/f{i}")
                 for i in range(20)]
        with started(tmp, lines=lines) as process:
            server.wait(lambda s: s["requests"] == 20
                        and s["requests_active"] == 0)
            process.send_signal(signal.SIGINT)
            status, seconds = ended(process)
        check_same(status, -signal.SIGINT)
        assert seconds < 4 * tap.SLOW, seconds
        check_same(len(check_records(tmp, 20)), 20)


@tap.case
def interrupted_while_it_connects(tmp):
    "INT in the middle of a handshake that never ends"
    with common.server(mute=True) as server:
        url = server.mute_url().replace("http:", "https:")
        with started(tmp, "-k", "--grace", "100ms", url) as process:
            until(lambda: established(server.ports["mute"]), "a connection")
            process.send_signal(signal.SIGINT)
            status, seconds = ended(process)
        check_same(status, -signal.SIGINT)
        assert seconds < 4 * tap.SLOW, seconds
        check_same(len(check_records(tmp, 1)), 1)


def established(port):
    """Somebody is connected to the port of 127.0.0.1."""
    with open("/proc/net/tcp") as table:
        return any(line.split()[2].endswith(":%04X" % port)
                   and line.split()[3] == "01" for line in table
                   if "local_address" not in line)


@tap.case
def interrupted_while_records_block(tmp):
    "INT although nobody reads --results -: it still ends"
    with common.server() as server:
        lines = [server.url(f"/size=10/f{i}") for i in range(3000)]
        common.write_list(tmp / "list", lines)
        with started(tmp, "--handler", "null", "--results", "-", "-i",
                     tmp / "list", "--grace", "200ms", results=None,
                     stdout=subprocess.PIPE) as process:
            process.stdout.read(1)
            last = [-1]

            def stuck():
                before, last[0] = last[0], server.stats()["requests"]
                return before == last[0]

            until(stuck, "a full pipe")
            process.send_signal(signal.SIGINT)
            status, seconds = ended(process)
        check_same(status, -signal.SIGINT)
        assert seconds < 4 * tap.SLOW, seconds


@tap.case(timeout=60)
def killed(tmp):
    "KILL in the middle, and the same command again: all right, nothing over"
    with common.server() as server:
        lines = slow_lines(server, (1000, 20))
        with in_the_middle(tmp, server, lines) as process:
            def has_temporary():
                """Looks while nothing moves, and leaves it so if there is
                one."""
                process.send_signal(signal.SIGSTOP)
                os.waitid(os.P_PID, process.pid,
                          os.WSTOPPED | os.WEXITED | os.WNOWAIT)
                if any(n.startswith(".") for n in tree(tmp / "out")):
                    return True
                process.send_signal(signal.SIGCONT)
                return False

            until(has_temporary, "a temporary file")
            process.kill()
            check_same(process.wait(), -signal.SIGKILL)
        there = tree(tmp / "out")
        assert any(name.startswith(".") for name in there), there
        finals = [name for name in there if not name.startswith(".")]
        for name in finals:
            common.check_file(tmp / "out" / name, "/" + name, SIZE)
        with open(tmp / "results", "rb") as text:
            recorded = text.read().count(b'"status":"ok"')
        assert recorded <= len(finals) <= recorded + WORKERS
        check_rerun(tmp, server, lines)


@tap.case(timeout=60)
def killed_at_any_moment(tmp):
    "twenty times, at other moments; a final name is always a whole file"
    with common.server() as server:
        lines = [server.url(f"/size={SIZE}/drip=8000,{tap.ms(3)}/f{i}")
                 for i in range(200)]
        for i in range(20):
            with started(tmp, "-t", "8", lines=lines) as process:
                # The moment depends on how much work is done.
                goal = server.stats()["requests"] + 1 + (i * 7) % 10
                with contextlib.suppress(TimeoutError):
                    server.wait(lambda s: s["requests"] >= goal
                                or process.poll() is not None)
                process.kill()
            for name in tree(tmp / "out") if (tmp / "out").exists() else ():
                if not name.startswith("."):
                    common.check_file(tmp / "out" / name, "/" + name, SIZE)
        done = fetch(tmp, "-t", "8", lines=lines)
        check_same(done.status, 0)
        check_same(tree(tmp / "out"), sorted(f"f{i}" for i in range(200)))


@tap.case
def interrupted_at_any_moment(tmp):
    "thirty times, from the first moment on: by the signal or finished"
    with common.server() as server:
        lines = [server.url(f"/f{i}") for i in range(50)]
        statuses = set()
        for i in range(30):
            with started(tmp, lines=lines, out=f"out{i % 3}") as process:
                timer = threading.Event()
                timer.wait(i * 0.003)  # the moment is what is tried here
                process.send_signal(signal.SIGINT)
                status, seconds = ended(process)
            statuses.add(status)
            assert status in (0, -signal.SIGINT, 130), status
            assert seconds < 4 * tap.SLOW, seconds
        assert -signal.SIGINT in statuses, statuses
        for i in range(3):
            for name in tree(tmp / f"out{i}") if (
                    tmp / f"out{i}").exists() else ():
                common.check_file(tmp / f"out{i}" / name, "/" + name)


tap.main()
