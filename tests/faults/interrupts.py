#!/usr/bin/env python3
"""interrupts - area F: signals, the environment, how it was started.

SPDX-License-Identifier: MIT
"""

import contextlib
import fcntl
import os
import pty
import random
import shutil
import signal
import struct
import subprocess
import termios
import threading
import time

import harness
from harness import Expected, check_same, row, tap
import common

CUT = ("stopped",)


def slow(batch, count=24, quick=4, size=40000, drip="2000,75"):
    """Lines that take a while, and some before that do not."""
    for i in range(count):
        name = f"q{i}" if i < quick else f"s{i}"
        way = "" if i < quick else f"/drip={drip}"
        batch.add(batch.url(f"/size={size}{way}/{name}"), Expected(
            "ok", size=size, seed=name.encode(), path=name))


@contextlib.contextmanager
def in_the_middle(batch, *options, quick=4, **more):
    with batch.running(*options, **more) as run:
        common.until(lambda: batch.out.exists() and sum(
            not harness.is_part(p) for p in common.tree(batch.out))
            >= quick, "the first files")
        batch.server.wait(lambda s: s["requests_active"] >= batch.workers)
        yield run


for _name in ("INT", "TERM"):
    @row("F01" if _name == "INT" else "F02",
         f"{_name} with all 16 workers busy: by the signal, in time, and "
         "the same command goes on")
    def interrupted(batch, name=_name):
        number = getattr(signal, "SIG" + name)
        batch.workers = 16
        slow(batch, 30, drip="500,75")
        with in_the_middle(batch, "--grace", "300ms") as run:
            start = time.monotonic()
            run.process.send_signal(number)
            done = run.finish(4)
            took = time.monotonic() - start
        assert took < 4 * harness.SLOW, took
        count = batch.check(done, status=-number, early=CUT)
        assert 4 <= count < 30, count
        assert f"stopped by {name}".encode() in done.err, done.err
        batch.rerun(done)


@row("F02", "HUP: those that run end, 4; under nohup it goes on")
def hung_up(batch):
    slow(batch, 16, drip="10000,100")
    with in_the_middle(batch) as run:
        run.process.send_signal(signal.SIGHUP)
        done = run.finish()
    batch.check(done, status=4, early=CUT)
    assert not [r for r in done.records.values() if r["status"] == "failed"]
    batch.rerun(done)
    shutil.rmtree(batch.out)
    batch.server.reset()
    with in_the_middle(batch, limits=lambda: signal.signal(
            signal.SIGHUP, signal.SIG_IGN)) as run:
        run.process.send_signal(signal.SIGHUP)
        batch.check(run.finish(), status=0)


@row("F02", "QUIT: ended at once by the signal, and nothing is torn")
def quit_(batch):
    slow(batch)
    with in_the_middle(batch, limits=harness.limit(
            harness.resource.RLIMIT_CORE, 0)) as run:
        run.process.send_signal(signal.SIGQUIT)
        done = run.finish(3)
    check_same(done.status, -signal.SIGQUIT)
    for record in done.records.values():
        if record["status"] == "ok":
            batch.check_file(record["path"],
                             batch.lines[record["n"] - 1][1])
    batch.rerun(done)


@row("F03", "a second INT while no name resolves: at once")
def interrupted_twice(batch):
    harness.need_preload()
    for i in range(10):
        batch.add(f"http://slow.dns.test/x{i}", Expected("any"))
    with batch.running("--grace", "1h", preload={"FAULTS_DNS": "1"},
                       strace=False) as run:
        common.until(lambda: len(os.listdir(
            f"/proc/{run.process.pid}/task")) >= 3 + 2 * batch.workers,
            "the threads that resolve")
        run.process.send_signal(signal.SIGINT)
        common.until(lambda: not pending(run.process.pid, signal.SIGINT),
                     "the first signal to be taken")
        taken = time.monotonic()
        assert run.process.poll() is None
        # Right after the first it would count as the first once more.
        common.until(lambda: time.monotonic() > taken + .15,
                     "a tenth of a second")
        start = time.monotonic()
        run.process.send_signal(signal.SIGINT)
        check_same(run.process.wait(10), -signal.SIGINT)
        assert time.monotonic() - start < .5 * harness.SLOW


def pending(pid, number):
    with open(f"/proc/{pid}/status") as text:
        for line in text:
            if line.startswith("ShdPnd:"):
                return int(line.split()[1], 16) >> (number - 1) & 1
    return False


@row("K07", "INT while a name resolves, in a handshake, on a full queue")
def cancelled_anywhere(batch):
    harness.need_preload()
    lines = [f"http://slow.dns.test/x{i}" for i in range(2)]
    lines += [batch.server.mute_url(f"/h{i}").replace("http:", "https:")
              for i in range(2)]
    lines += [batch.server.mute_url(f"/m{i}") for i in range(2)]
    lines += [batch.url(f"/size=90000000/b{i}") for i in range(2)]
    for line in lines:
        batch.add(line, Expected("failed", "stopped"))
    batch.workers = 8
    batch.memory_mib = 160
    with batch.running("-k", "--grace", "200ms", strace=False, preload={
            "FAULTS_DNS": "1", "FAULTS_WRITE": "20"}) as run:
        batch.server.wait(lambda s: s["requests_active"] >= 2)
        common.until(lambda: common.tree(batch.out), "a body")
        start = time.monotonic()
        run.process.send_signal(signal.SIGINT)
        done = run.finish(4)
        assert time.monotonic() - start < 4 * harness.SLOW
    batch.check(done, status=-signal.SIGINT, early=CUT)


@row("F04", "KILL at many random moments, and the same command again",
     timeout=200)
def killed(batch):
    times = 100 if tap.full() else 15
    chance = random.Random(4)
    batch.workers = 8
    for i in range(60):
        batch.add(batch.url(f"/size=30000/drip=10000,3/f{i}"), Expected(
            "ok", size=30000, seed=b"f%d" % i, path=f"f{i}"))
    for _ in range(times):
        with batch.running(strace=False) as run:
            # The moment is what is tried here.
            threading.Event().wait(chance.random() * .15)
            run.kill()
        for name in common.tree(batch.out) if batch.out.exists() else ():
            if harness.is_part(name):
                assert name[1:-5] in {e.path for _, e in batch.lines}, name
            else:
                batch.check_file(name, Expected("ok", size=30000,
                                                seed=name.encode()))
        if batch.out.exists() and chance.random() < .4:
            shutil.rmtree(batch.out)
    done = batch.run(seconds=20)
    check_same(done.status, 0)
    check_same(common.tree(batch.out), sorted(e.path for _, e in batch.lines))
    batch.rerun(done)


@row("F05", "--results - into head -n 1: 3, and what is there is whole")
def closed_pipe(batch):
    for i in range(2000):
        batch.add(batch.url(f"/size=100/f{i}"), Expected(
            "ok", size=100, seed=b"f%d" % i, path=f"f{i}"))
    made = batch.arguments()
    made[made.index("--results") + 1] = "-"
    read, write = os.pipe()
    run = batch.start(arguments=made, stdout=write)
    os.close(write)
    with open(read, "rb") as pipe:
        assert pipe.readline().startswith(b'{"schema":1')
    done = run.finish()
    check_same(done.status, 3)
    batch.check_text(done)
    for name in common.tree(batch.out):
        batch.check_file(name, Expected("ok", size=100,
                                        seed=name.encode()))
    batch.rerun(done)


@row("F05", "connections reset by the server: no SIGPIPE", tls=True)
def no_sigpipe(batch):
    for i in range(40):
        word = ("nextend=reset", "nextend=close", "reset=0", "close=before",
                "closeidle")[i % 5]
        batch.bad(f"/size=10/{word}/x{i}")
    done = batch.run()
    batch.check(done)
    batch.rerun(done)


@row("F07", "stopped for 2 s with a stall time of 1 s: all ok, perhaps again")
def stopped_and_continued(batch):
    slow(batch, 12, drip="4000,100")
    with in_the_middle(batch, "--stall-timeout", "1s", strace=False) as run:
        run.process.send_signal(signal.SIGSTOP)
        threading.Event().wait(2)
        run.process.send_signal(signal.SIGCONT)
        done = run.finish(10)
    batch.check(done)


for _env in ({"LC_ALL": "C.UTF-8"}, {"LC_ALL": "tr_TR.UTF-8"},
             {"LC_ALL": "de_DE.UTF-8"}, {"LC_ALL": "zz_ZZ"},
             {"TZ": ":/etc/passwd"}, {"TZ": "Nowhere/Odd+99"}, {"TERM": ""},
             {"TERM": "dumb", "COLUMNS": "0"}, {"COLUMNS": "99999999999"},
             {"HOME": ""}, {"TMPDIR": "/nonexistent"}):
    @row("F09", "environment " + " ".join(f"{k}={v}"
                                          for k, v in _env.items()))
    def environments(batch, env=_env):
        batch.around(batch.url("/size=70000/%c4%b1%c4%b0/%c4%b0I.html"),
                     Expected("ok", size=70000, path="\u0130I.html",
                              seed="\u0130I.html".encode()))
        done = batch.run(environment=env)
        batch.check(done)
        batch.rerun(done)


@row("F09", "an empty environment")
def no_environment(batch):
    batch.good(5)
    batch.write_list()
    path, env = harness.program()
    kept = {k: v for k, v in env.items() if k == "LD_LIBRARY_PATH"}
    done = subprocess.run([path, *map(str, batch.arguments())], env=kept,
                          capture_output=True, check=False, timeout=20)
    check_same(done.returncode, 0)


@row("F10", "the clock jumps: an hour on, an hour back, to 2040")
def clock(batch):
    library = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"
    if not os.path.exists(library):
        tap.skip("libfaketime is not installed")
    path, env = harness.program()
    if subprocess.run([path, "--version"], capture_output=True, check=False,
                      env={**env, "LD_PRELOAD": library}).returncode != 0:
        tap.skip("this build cannot be run with libfaketime")
    for jump in ("+3600", "-3600", "+500000000"):
        with open(batch.tmp / "clock", "w") as out:
            out.write("+0")
        batch.lines = []
        shutil.rmtree(batch.out, ignore_errors=True)
        slow(batch, 8, drip="4000,100")
        with in_the_middle(batch, strace=False, environment={
                "LD_PRELOAD": library, "FAKETIME_NO_CACHE": "1",
                "DONT_FAKE_MONOTONIC": "1", "FAKETIME_TIMESTAMP_FILE":
                str(batch.tmp / "clock")}) as run:
            with open(batch.tmp / "clock", "w") as out:
                out.write(jump)
            done = run.finish(10)
        check_same(done.status, 0)
        assert b"-" not in done.err.splitlines()[-1], done.err


@row("F11", "the exit statuses: all ok, one 404, nothing to do, comments only")
def statuses(batch):
    batch.good(4)
    batch.check(batch.run(), status=0)
    for content in (b"", b"\n \n", b"# a\n#b"):
        batch.list.write_bytes(content)
        done = batch.run(keep_list=True)
        check_same((done.status, done.records), (0, {}))
        batch.check_text(done)
        check_same(len(done.err.splitlines()), 1)
    batch.bad("/status=404/x")
    shutil.rmtree(batch.out)
    batch.check(batch.run(), status=1)


@row("F13", "started with INT and CHLD ignored, all signals blocked, nice")
def odd_parent(batch):
    slow(batch, 12, drip="5000,100")

    def odd():
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM,
                                                  signal.SIGUSR1})
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        os.nice(5)

    with in_the_middle(batch, "--grace", "0", limits=odd,
                       strace=False) as run:
        run.process.send_signal(signal.SIGINT)
        run.process.send_signal(signal.SIGTERM)
        done = run.finish(4)
    batch.check(done, status=-signal.SIGTERM, early=CUT)


@row("F14", "a terminal of 0 and 1 columns, resized; in the background")
def terminal(batch):
    slow(batch, 10, drip="4000,100")
    batch.write_list()
    path, env = harness.program()
    env["TERM"] = "xterm"
    for rows, columns in ((0, 0), (1, 1), (24, 80), (65535, 65535)):
        shutil.rmtree(batch.out, ignore_errors=True)
        batch.server.reset()
        parent, child = pty.openpty()
        fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack(
            "HHHH", rows, columns, 0, 0))
        said = []
        process = subprocess.Popen([path, *map(str, batch.arguments())],
                                   stdin=child, stdout=child, stderr=child,
                                   env=env, start_new_session=True)
        os.close(child)

        def read():
            with contextlib.suppress(OSError):
                while piece := os.read(parent, 65536):
                    said.append(piece)

        reader = threading.Thread(target=read)
        reader.start()
        batch.server.wait(lambda s: s["requests_active"] >= batch.workers)
        for width in (1, 0, 7):
            fcntl.ioctl(parent, termios.TIOCSWINSZ,
                        struct.pack("HHHH", 1, width, 0, 0))
            process.send_signal(signal.SIGWINCH)
        check_same(process.wait(15), 0)
        reader.join()
        os.close(parent)
        text = b"".join(said).replace(b"\r\n", b"\n")
        assert b"cAnaryurlpass" not in text
        check_same(common.tree(batch.out),
                   sorted(e.path for _, e in batch.lines))


@row("K09", "in a session of its own; as PID 1 of a container; no /proc")
def odd_places(batch):
    batch.good(6)
    done = batch.run(start_new_session=True)
    batch.check(done)
    harness.need_spaces()
    shutil.rmtree(batch.out)
    path, env = harness.program()
    made = subprocess.run(
        ["unshare", "-p", "-f", "--mount-proc", path,
         *map(str, batch.arguments())], env=env, capture_output=True,
        check=False, timeout=20)
    if b"unshare" in made.stderr:
        tap.skip("unshare -p does not work here")
    check_same(made.returncode, 0)
    if harness.is_sanitized():
        return  # which wants /proc
    shutil.rmtree(batch.out)
    made = subprocess.run(
        ["unshare", "-m", "sh", "-c", 'umount -l /proc; exec "$@"', "sh",
         path, *map(str, batch.arguments())], env=env, capture_output=True,
        check=False, timeout=20)
    check_same(made.returncode, 0)
    assert b"/proc is not there" in made.stderr, made.stderr


if __name__ == "__main__":
    harness.enter_spaces()
    harness.main()
