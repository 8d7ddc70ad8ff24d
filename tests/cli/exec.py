#!/usr/bin/env python3
"""exec - bodies to processes that go on running, and a process for each file.

SPDX-License-Identifier: MIT
"""

import contextlib
import hashlib
import json
import os
import pathlib
import re
import shlex
import signal
import subprocess
import sys

import common
from common import (check_failed, check_same, fetch, started, tap, tree,
                    until)

TOP = pathlib.Path(__file__).resolve().parent.parent.parent

# What the readers below begin with.  LOG is a file to which lines are
# appended, whole ones.
PRELUDE = """
import hashlib, json, os, signal, sys, time
LOG = sys.argv[1]

def note(*words):
    fd = os.open(LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(fd, (" ".join(map(str, words)) + "\\n").encode())
    os.close(fd)

def frames():
    for line in sys.stdin.buffer:
        header = json.loads(line)
        yield header["n"], header, sys.stdin.buffer.read(header["length"])

def answer(n, verdict="ok"):
    print(n, verdict, flush=True)

def wait_for(path):
    while not os.path.exists(path):
        time.sleep(0.01)
"""


def reader(tmp, text, name="reader"):
    """--handler for a reader with that text."""
    script = tmp / (name + ".py")
    script.write_text(PRELUDE + text)
    return ("--handler", "exec:" + shlex.join(
        [sys.executable, "-S", str(script), str(tmp / "log")]))


def logged(tmp):
    """The lines of the log, divided into words."""
    path = tmp / "log"
    return [line.split() for line in path.read_text().splitlines()
            ] if path.exists() else []


def numbered(server, count, directives="/size=1000"):
    return [server.url(f"{directives}/f{i}") for i in range(count)]


def ended(process, timeout=20):
    return process.wait(timeout)


def check_each_once(done, count):
    """A record for each line; answers {status: number}."""
    check_same(sorted(done.records), list(range(1, count + 1)))
    found = {}
    for record in done.records.values():
        found[record["status"]] = found.get(record["status"], 0) + 1
    return found


def is_gone(pid):
    try:
        with open(f"/proc/{pid}/stat") as text:
            return text.read().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


# --- what it is for -------------------------------------------------------------

@tap.case
def the_reader_of_the_manual(tmp):
    "runs as it stands there"
    manual = (TOP / "man/pfetch.1").read_text()
    text = re.search(r"^\.Sh COMMANDS$.*?^\.Bd -literal$\n(.*?)^\.Ed$",
                     manual, re.M | re.S).group(1)
    assert len(text.splitlines()) <= 15, text
    (tmp / "reader.py").write_text(text.replace(r"\e", "\\"))
    with common.server() as server:
        done = fetch(tmp, "--handler", "exec:python3 reader.py",
                     "--handler-jobs", "3", lines=numbered(server, 200),
                     cwd=tmp)
        check_same(done.status, 0)
        check_same(check_each_once(done, 200), {"ok": 200})
        check_same(len(done.err.splitlines()), 201)  # one for each, one more
        check_same(tree(tmp / "out") if done.path.exists() else [], [])


@tap.case(timeout=90)
def each_body_comes_once_and_whole(tmp):
    "bodies of all sizes, four processes: what they get is what was sent"
    sizes = [0, 1, 1000, 65536, 300000, 3000000]
    with common.server() as server:
        lines = [server.url(f"/size={sizes[i % 6]}/f{i}") for i in range(240)]
        done = fetch(tmp, *reader(tmp, """
for n, header, body in frames():
    note(os.getpid(), n, hashlib.sha256(body).hexdigest(), header["status"])
    answer(n)
"""), "--handler-jobs", "4", lines=lines)
    check_same(done.status, 0)
    got = logged(tmp)
    check_same(sorted(int(n) for _, n, _, _ in got), list(range(1, 241)))
    check_same(len({pid for pid, _, _, _ in got}), 4)
    for _, n, digest, status in got:
        i = int(n) - 1
        body = common.faultbody.body(f"f{i}".encode(), sizes[i % 6])
        check_same((digest, status), (hashlib.sha256(body).hexdigest(), "ok"))


@tap.case
def an_answer_settles(tmp):
    "fail TEXT: class handler, with the text; what failed before is not sent"
    with common.server() as server:
        lines = numbered(server, 6) + [server.url("/status=404/gone")]
        done = fetch(tmp, *reader(tmp, """
for n, header, body in frames():
    note(n)
    answer(n, "fail no good: \\x01 \\xe9" if n == 3 else
           "fail" if n == 4 else "ok")
"""), lines=lines)
        check_same(done.status, 1)
        check_same(check_each_once(done, 7), {"ok": 4, "failed": 3})
        check_failed(done.records[3], "handler")
        assert "no good: %01 " in done.records[3]["message"], done.records[3]
        check_failed(done.records[4], "handler")
        check_failed(done.records[7], "http", 404)
        check_same(sorted(int(n) for n, in logged(tmp)), list(range(1, 7)))
        assert "\x01" not in done.err


@tap.case
def several_are_worked_on_at_once(tmp):
    "K processes have a body each before the first is answered"
    with common.server() as server:
        done = fetch(tmp, *reader(tmp, """
for n, header, body in frames():
    note(n)
    while len(open(LOG).readlines()) < 3:
        time.sleep(0.01)
    answer(n)
"""), "--handler-jobs", "3", lines=numbered(server, 3))
        check_same(done.status, 0)


@tap.case
def a_body_too_large_for_a_pipe(tmp):
    "waits for a process that has nothing to do, not for one that works"
    with common.server() as server:
        done = fetch(tmp, *reader(tmp, """
for n, header, body in frames():
    note(n)
    try:
        os.close(os.open(LOG + ".first", os.O_CREAT | os.O_EXCL))
        while len(open(LOG).readlines()) < 8:
            time.sleep(0.01)
    except FileExistsError:
        time.sleep(0.05)  # so long that a second body could come
    answer(n)
"""), "--handler-jobs", "2", lines=numbered(server, 8, "/size=3000000"))
        check_same(done.status, 0)


@tap.case
def in_the_order_of_the_list(tmp):
    "--ordered: one process gets them so"
    with common.server() as server:
        done = fetch(tmp, "--ordered", *reader(tmp, """
for n, header, body in frames():
    note(n)
    answer(n)
"""), lines=numbered(server, 100, "/delay=0-30"))
        check_same(done.status, 0)
        check_same([int(n) for n, in logged(tmp)], list(range(1, 101)))


@tap.case(timeout=60)
def a_reader_that_is_slow(tmp):
    "downloads wait for it, memory does not grow; then all is delivered"
    count, size = 3000, 100000
    with common.server() as server:
        gate = tmp / "gate"
        handler = reader(tmp, f"""
for n, header, body in frames():
    wait_for({str(gate)!r})
    answer(n)
""")
        last = [-1, 0]

        def stuck():
            now = server.stats()["requests"]
            last[1] = last[1] + 1 if now == last[0] and now > 0 else 0
            last[0] = now
            return last[1] > 50

        def peak(pid):
            with open(f"/proc/{pid}/status") as text:
                return int(re.search(r"VmHWM:\s+(\d+)", text.read())[1]) / 1024

        program, environment = common.real_program()
        with started(tmp, *handler, "--handler-jobs", "2",
                     lines=numbered(server, count, f"/size={size}"),
                     command=(program,), env=environment) as process:
            until(stuck, "downloads that wait", 40)
            # 16 MiB on their way, and what workers hold.
            assert last[0] < 600, last
            before = peak(process.pid)
            gate.touch()
            check_same(ended(process, 50), 0)
        assert before < 160, before
        records = common.by_n(common.read_records(tmp / "results"))
        check_same({r["status"] for r in records.values()}, {"ok"})
        check_same(len(records), count)


@tap.case
def what_a_process_gets(tmp):
    "three descriptors, no blocked signal, a group of its own, our stderr"
    script = tmp / "look.sh"
    script.write_text("""
ls -l /proc/self/fd > "$1/fds"
grep -E 'Sig(Blk|Ign)' /proc/self/status > "$1/signals"
echo $$ $(cut -d' ' -f5 /proc/$$/stat) > "$1/group"
echo "said by the command" >&2
exec cat > /dev/null
""")
    handler = f"exec:sh '{script}' \"{tmp}\""
    with common.server() as server, open(tmp / "open", "w") as extra:
        process = subprocess.run(
            [tap.PFETCH, "--handler", handler, server.url("/a")],
            pass_fds=(extra.fileno(),), capture_output=True, text=True,
            stdin=subprocess.DEVNULL, check=False)
        check_same(process.returncode, 1)
        assert "said by the command" in process.stderr, process.stderr
    fds = [line for line in (tmp / "fds").read_text().splitlines()
           if "->" in line and "/proc/" not in line]
    check_same(len(fds), 3)
    masks = dict(line.split() for line in
                 (tmp / "signals").read_text().splitlines())
    check_same(int(masks["SigBlk:"], 16), 0)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        check_same(int(masks["SigIgn:"], 16) >> (number - 1) & 1, 0)
    pid, group = (tmp / "group").read_text().split()
    check_same(pid, group)


# --- what can go wrong ----------------------------------------------------------

@tap.case
def commands_that_cannot_be(tmp):
    "a mistake is status 2, a command that is not there 3: before any request"
    with common.server() as server:
        for handler, status, said in (
                ("exec:no-such-command", 3, "cannot start no-such-command"),
                (f"exec:{tmp}", 3, "cannot start"),
                ("exec-each:no-such-command {}", 3, "cannot start"),
                ("exec:cat 'x", 2, "not closed"),
                ("exec:", 2, "exec:COMMAND"),
                ("exec:a\\", 2, "backslash"),
                ("exec-each:  ", 2, "empty"),
                ("exec-each:sh -c 'cat {}'", 2, "PFETCH_PATH"),
                ("exec", 2, "exec:COMMAND"),
                ("exec-every:x", 2, "exec-each:COMMAND")):
            done = fetch(tmp, "--handler", handler, server.url("/a"))
            check_same((handler, done.status), (handler, status))
            assert said in done.err, done.err
        for jobs in ("0", "257", "x"):
            done = fetch(tmp, "--handler", "exec:cat", "--handler-jobs", jobs,
                         server.url("/a"))
            check_same(done.status, 2)
        check_same(server.stats()["requests"], 0)


@tap.case(timeout=60)
def a_reader_that_is_killed(tmp):
    "its jobs fail and say why, another takes over, nothing is lost"
    with common.server() as server:
        done = fetch(tmp, *reader(tmp, """
for n, header, body in frames():
    note("got", n)
    if n in (100, 200):
        os.kill(os.getpid(), signal.SIGKILL)
    answer(n)
"""), "--handler-jobs", "2", lines=numbered(server, 400))
        check_same(done.status, 1)
        found = check_each_once(done, 400)
        assert 2 <= found["failed"] <= 4, found
        for n, record in done.records.items():
            if record["status"] == "failed":
                check_failed(record, "handler")
                assert "was killed by signal 9 (KILL)" in record["message"]
            else:
                assert n not in (100, 200)
        got = [int(n) for _, n in logged(tmp)]
        check_same(len(got), len(set(got)))
        ok = {n for n, r in done.records.items() if r["status"] == "ok"}
        assert ok <= set(got), ok - set(got)


@tap.case
def a_command_that_ends_at_once(tmp):
    "a few fail; then the run ends as broken, and each line has its record"
    with common.server() as server:
        for command in ("false", "true"):
            done = fetch(tmp, "--handler", "exec:" + command, "-t", "2",
                         lines=numbered(server, 2000))
            check_same(done.status, 3)
            assert "have ended without an answer" in done.err, done.err
            assert command + " ended with status" in done.err, done.err
            records = [r for r in done.records.values()
                       if r["status"] == "ok"]
            check_same(records, [])
            assert server.stats()["requests"] < 1900


@tap.case
def a_command_that_says_something_else(tmp):
    "what it says is told; a number it was not given, a line without end"
    with common.server() as server:
        for text, said in (
                ('print("hello\\x1b", flush=True)', "answered 'hello?'"),
                ('answer(99)', "answered '99 ok'"),
                ('answer(n); answer(n)', None),
                ('answer(n, "fine")', "answered '1 fine'"),
                ('answer("-1")', "answered '-1 ok'"),
                ('sys.stdout.write("x" * 9999); sys.stdout.flush()',
                 "answered 'xxx")):
            done = fetch(tmp, *reader(tmp, f"""
for n, header, body in frames():
    {text}
    time.sleep(1000)
"""), lines=numbered(server, 1))
            if said is None:
                # The second is one too many, but the first counts.
                check_same(done.records[1]["status"], "ok")
                continue
            check_same(done.status, 1)
            check_failed(done.records[1], "handler")
            assert said in done.records[1]["message"], done.records[1]


@tap.case
def a_reader_that_answers_early(tmp):
    "before it has read the body; and one that never reads it but ends"
    with common.server() as server:
        early = """
line = sys.stdin.buffer.readline()
while line:
    header = json.loads(line)
    answer(header["n"], "ok" if header["n"] < 3 else "fail too large")
    %s
    sys.stdin.buffer.read(header["length"])
    line = sys.stdin.buffer.readline()
"""
        for middle in ("pass", "sys.exit(0)"):
            done = fetch(tmp, *reader(tmp, early % middle), "-t", "1",
                         lines=numbered(server, 3, "/size=5000000"))
            check_same(done.status, 1)
            check_same(check_each_once(done, 3), {"ok": 2, "failed": 1})
            assert "too large" in done.records[3]["message"]


@tap.case
def a_reader_that_closes_its_output(tmp):
    "what it has not answered fails; it is ended, another is started"
    with common.server() as server:
        done = fetch(tmp, *reader(tmp, """
signal.signal(signal.SIGTERM, lambda *_: (note("term"), os._exit(0)))
for n, header, body in frames():
    if n == 2:
        os.close(1)
        time.sleep(1000)
    answer(n)
"""), "-t", "1", lines=numbered(server, 5))
        check_same(done.status, 1)
        check_failed(done.records[2], "handler")
        assert "closed its standard output" in done.records[2]["message"]
        check_same(done.records[5]["status"], "ok")
        check_same(logged(tmp), [["term"]])


@tap.case
def a_reader_that_closes_its_input(tmp):
    "in the middle of a body: that fails, the others do not"
    with common.server() as server:
        done = fetch(tmp, *reader(tmp, """
line = sys.stdin.buffer.readline()
while line:
    header = json.loads(line)
    if header["n"] == 2:
        os.close(0)
        time.sleep(1000)
    sys.stdin.buffer.read(header["length"])
    answer(header["n"])
    line = sys.stdin.buffer.readline()
"""), "-t", "1", lines=numbered(server, 4, "/size=5000000"))
        check_same(done.status, 1)
        check_same(check_each_once(done, 4), {"ok": 3, "failed": 1})
        assert ("closed its standard input" in done.records[2]["message"]
                ), done.records[2]


@tap.case
def a_reader_that_leaves_a_child(tmp):
    "the child has the pipes open, but is no reader: it is ended with it"
    with common.server() as server:
        done = fetch(tmp, *reader(tmp, """
for n, header, body in frames():
    if n == 2:
        child = os.fork()
        if child == 0:
            time.sleep(1000)
        note(child)
        os._exit(7)
    answer(n)
"""), "-t", "1", lines=numbered(server, 6))
        check_same(done.status, 1)
        check_failed(done.records[2], "handler")
        assert "ended with status 7" in done.records[2]["message"]
        check_same(done.records[6]["status"], "ok")
        (child,), = logged(tmp)
        until(lambda: is_gone(child), "the end of the child")


@tap.case
def a_large_body_for_a_child(tmp):
    "the reader ends while it is fed, and somebody keeps the pipe open"
    with common.server() as server:
        done = fetch(tmp, *reader(tmp, """
sys.stdin.buffer.readline()
if os.fork() == 0:
    time.sleep(1000)
os._exit(7)
"""), lines=numbered(server, 1, "/size=5000000"))
        check_same(done.status, 1)
        check_failed(done.records[1], "handler")
        assert "ended with status 7" in done.records[1]["message"]


@tap.case(timeout=60)
def a_reader_that_does_not_end(tmp):
    "it has 10 s, then TERM, then KILL; the run says so: status 3"
    with common.server() as server:
        done = fetch(tmp, *reader(tmp, """
signal.signal(signal.SIGTERM, lambda *_: note("term"))
for n, header, body in frames():
    answer(n)
note("end")
while True:
    time.sleep(1000)
"""), lines=numbered(server, 3))
        check_same(done.status, 3)
        check_same(check_each_once(done, 3), {"ok": 3})
        check_same(logged(tmp), [["end"], ["term"]])
        assert "was killed by signal 9 (KILL)" in done.err, done.err
        assert 9 < done.seconds < 40, done.seconds


@tap.case
def a_reader_that_fails_at_the_end(tmp):
    "it may not have kept what it got: status 3, though all were answered"
    with common.server() as server:
        done = fetch(tmp, *reader(tmp, """
for n, header, body in frames():
    answer(n)
sys.exit(5)
"""), lines=numbered(server, 3))
        check_same(done.status, 3)
        check_same(check_each_once(done, 3), {"ok": 3})
        assert "ended with status 5 at the end" in done.err, done.err


# --- stops ----------------------------------------------------------------------

def check_stopped(tmp, handler, lines, is_busy, *options):
    """INT when is_busy() holds: by the signal within 4 s, records for all
    that was read, and no process left.  Answers the records."""
    with started(tmp, *handler, *options, lines=lines) as process:
        until(is_busy, "work")
        process.send_signal(signal.SIGINT)
        start = common.time.monotonic()
        status = ended(process)
        seconds = common.time.monotonic() - start
    check_same(status, -signal.SIGINT)
    assert seconds < 4, seconds
    for words in logged(tmp):
        if words[0] == "pid":
            until(lambda pid=words[1]: is_gone(pid), "the end of a process")
    records = common.read_records(tmp / "results")
    lines = common.by_n([r for r in records if "from_line" not in r])
    for record in lines.values():
        if record["status"] == "failed":
            check_failed(record, "stopped")
    return lines


@tap.case
def interrupted_while_readers_do_not_read(tmp):
    "they ignore TERM, too"
    with common.server() as server:
        records = check_stopped(tmp, reader(tmp, """
signal.signal(signal.SIGTERM, signal.SIG_IGN)
note("pid", os.getpid())
time.sleep(1000)
"""), numbered(server, 500), lambda: len(logged(tmp)) == 2
            and server.stats()["requests"] >= 20, "--handler-jobs", "2")
        assert "ok" not in {r["status"] for r in records.values()}


@tap.case
def interrupted_while_a_large_body_is_fed(tmp):
    "the reader has begun to read it"
    with common.server() as server:
        check_stopped(tmp, reader(tmp, """
sys.stdin.buffer.readline()
note("pid", os.getpid())
time.sleep(1000)
"""), numbered(server, 20, "/size=5000000"), lambda: logged(tmp))


@tap.case(timeout=60)
def interrupted_in_the_middle(tmp):
    "what is ok was answered, what was answered is ok"
    with common.server() as server:
        records = check_stopped(tmp, reader(tmp, """
note("pid", os.getpid())
for n, header, body in frames():
    note("ok", n)
    answer(n)
"""), numbered(server, 20000, "/delay=0-20"),
            lambda: len(logged(tmp)) > 200, "--handler-jobs", "3",
            "--grace", "500ms")
        ok = {n for n, r in records.items() if r["status"] == "ok"}
        check_same(ok, {int(n) for word, n in logged(tmp) if word == "ok"})


@tap.case
def a_reader_that_closes_its_output_while_idle(tmp):
    "the run neither hangs nor loses what comes for it afterwards"
    with common.server() as server:
        with started(tmp, *reader(tmp, """
note("up")
os.close(1)
time.sleep(1000)
"""), "-i", "-", stdin=subprocess.PIPE) as process:
            until(lambda: logged(tmp), "the reader")
            process.stdin.write((server.url("/a") + "\n").encode())
            process.stdin.close()
            check_same(ended(process), 1)
        (record,) = common.read_records(tmp / "results")
        check_failed(record, "handler")


@tap.case
def stopped_when_all_is_answered(tmp):
    "TERM while the list says no more, to a reader that does not end by itself"
    os.mkfifo(tmp / "fifo")
    with common.server() as server:
        with started(tmp, *reader(tmp, """
signal.signal(signal.SIGTERM, signal.SIG_IGN)
note("pid", os.getpid())
for n, header, body in frames():
    answer(n)
time.sleep(1000)
"""), "--grace", "200ms", "-i", tmp / "fifo") as process:
            with open(tmp / "fifo", "w") as fifo:
                print(server.url("/a"), file=fifo, flush=True)
                results = tmp / "results"
                until(lambda: results.exists() and results.stat().st_size,
                      "the record")
                process.send_signal(signal.SIGTERM)
                check_same(ended(process, 6 * tap.SLOW), -signal.SIGTERM)
        for _, pid in logged(tmp):
            until(lambda pid=pid: is_gone(pid), "the end of the reader")
        assert "1 URL" in (tmp / "err").read_text()


# --- a process for each file ----------------------------------------------------

def each(tmp, text, arguments="{}", name="each"):
    """--handler for a script that is run for each file."""
    script = tmp / (name + ".py")
    script.write_text(PRELUDE + text)
    return ("--handler", "exec-each:" + shlex.join(
        [sys.executable, "-S", str(script), str(tmp / "log")])
        + " " + arguments)


@tap.case
def a_command_for_each_file(tmp):
    "with its path, wherever {} stands, and what is known in its environment"
    with common.server() as server:
        names = ["a.bin", "b%20'c%22;$x.bin"]
        lines = [server.url(f"/size={i + 5}/{n}")
                 for i, n in enumerate(names)] + [server.url("/status=404/d")]
        done = fetch(tmp, *each(tmp, """
env = {k: v for k, v in os.environ.items() if k.startswith("PFETCH_")}
size = os.path.getsize(sys.argv[2])
note(json.dumps([sys.argv[2:], env, size, sys.stdin.read()]))
""", "{} --file={} x{}{}"), lines=lines,
            env={**os.environ, "PFETCH_STATUS": "not ours"})
        check_same(done.status, 1)
        check_same(check_each_once(done, 3), {"ok": 2, "failed": 1})
        calls = [json.loads(" ".join(words)) for words in logged(tmp)]
        check_same(len(calls), 2)
        for words, env, size, read in calls:
            n = int(env["PFETCH_N"])
            path = str(done.path / done.records[n]["path"])
            check_same(words, [path, "--file=" + path, "x" + path + path])
            check_same(env, {
                "PFETCH_URL": lines[n - 1], "PFETCH_PATH": path,
                "PFETCH_STATUS": "ok", "PFETCH_HTTP_STATUS": "200",
                "PFETCH_BYTES": str(n + 4), "PFETCH_N": str(n)})
            check_same((size, read), (n + 4, ""))


@tap.case
def a_command_without_braces(tmp):
    "the path is its last word; relative like -o; credentials stay out"
    with common.server() as server:
        url = server.url("/a").replace("://", "://me:secret@")
        text = "note(json.dumps([sys.argv[2:], os.environ['PFETCH_URL']]))"
        for out, path in (("sub", "sub/a"), ("-x", "./-x/a"), (".", "./a")):
            (tmp / "log").unlink(missing_ok=True)
            done = tap.run(*each(tmp, text, "one"), "-o", out, url, cwd=tmp)
            check_same(done.returncode, 0)
            (call,), = [[json.loads(" ".join(w))] for w in logged(tmp)]
            check_same(call, [["one", path], server.url("/a")])


@tap.case
def a_command_that_fails(tmp):
    "class handler; the file stays; a rerun finds it and runs nothing"
    with common.server() as server:
        handler = each(tmp, """
note(os.environ["PFETCH_N"])
if sys.argv[2].endswith("f1"):
    sys.exit(9)
if sys.argv[2].endswith("f2"):
    os.kill(os.getpid(), 9)
""")
        done = fetch(tmp, *handler, lines=numbered(server, 4))
        check_same(done.status, 1)
        check_same(check_each_once(done, 4), {"ok": 2, "failed": 2})
        check_failed(done.records[2], "handler")
        assert "ended with status 9" in done.records[2]["message"]
        assert "killed by signal 9 (KILL)" in done.records[3]["message"]
        check_same(tree(done.path), ["f0", "f1", "f2", "f3"])
        done = fetch(tmp, *handler, lines=numbered(server, 4))
        check_same(check_each_once(done, 4), {"skipped": 4})
        check_same(len(logged(tmp)), 4)


@tap.case
def a_command_for_a_continued_file(tmp):
    "what an earlier run has left is continued; then the command has it whole"
    common.need_attributes(tmp)
    size, cut = 300000, 120000
    with common.server() as server:
        handler = each(tmp, "note(os.path.getsize(sys.argv[2]))")
        lines = [server.url(f"/size={size}/etag=v/failcut=1:{cut}/big")]
        done = fetch(tmp, *handler, "--retries", "0", lines=lines)
        check_same(done.status, 1)
        check_same(tree(done.path), [".big.part"])
        done = fetch(tmp, *handler, "--retries", "0", lines=lines)
        check_same((done.status, done.err.count("error")), (0, 0))
        check_same(done.records[1]["resumed_at"], cut)
        common.check_file(done.path / "big", "/big", size)
        check_same(logged(tmp), [[str(size)]])


@tap.case
def the_file_as_the_command(tmp):
    "{} may be the command; one that cannot be run fails by itself"
    with common.server() as server:
        done = fetch(tmp, "--handler", "exec-each:{}",
                     lines=numbered(server, 3))
        check_same(done.status, 1)
        check_same(check_each_once(done, 3), {"failed": 3})
        check_failed(done.records[1], "local")


@tap.case
def a_command_that_cannot_be_started_any_more(tmp):
    "the file goes with it, so that the next run fetches it and runs it"
    with common.server() as server:
        command = tmp / "command"
        text = f'#!/bin/sh\necho "$1" >>{tmp}/log\n'
        command.write_text(text + f"rm {command}\n")
        command.chmod(0o755)
        run = ("--handler", f"exec-each:{command}", "--handler-jobs", "1")
        done = fetch(tmp, *run, lines=numbered(server, 2))
        check_same(done.status, 3)
        check_same(len(logged(tmp)), 1)
        check_same([str(done.path / name) for name in tree(done.path)],
                   logged(tmp)[0])
        command.write_text(text)
        command.chmod(0o755)
        done = fetch(tmp, *run, lines=numbered(server, 2))
        check_same(done.status, 0)
        check_same(sorted(logged(tmp)),
                   [[str(done.path / f"f{i}")] for i in range(2)])


@tap.case
def started_by_one_who_ignores_his_children(tmp):
    "SIGCHLD ignored, as some supervisors hand on: ends are still known"
    with common.server() as server:
        for command, status in (("true", 0), ("false", 1)):
            done = fetch(tmp, "--handler", f"exec-each:{command}",
                         lines=numbered(server, 2), out=command,
                         preexec_fn=lambda: signal.signal(signal.SIGCHLD,
                                                          signal.SIG_IGN))
            check_same(done.status, status)


@tap.case
def so_many_at_once(tmp):
    "--handler-jobs of them, and no more"
    with common.server() as server:
        done = fetch(tmp, *each(tmp, """
note("begin")
while sum("begin" in l for l in open(LOG)) < 3:
    time.sleep(0.01)
note("end")
"""), "--handler-jobs", "3", lines=numbered(server, 40))
        check_same(done.status, 0)
        running = most = 0
        for word, in logged(tmp):
            running += 1 if word == "begin" else -1
            most = max(most, running)
        check_same(most, 3)


@tap.case
def interrupted_while_commands_run(tmp):
    "they are ended; files whose command was not started are dropped"
    with common.server() as server:
        with started(tmp, *each(tmp, """
signal.signal(signal.SIGTERM, signal.SIG_IGN)
note("pid", os.getpid(), os.environ["PFETCH_N"])
time.sleep(1000)
"""), "--handler-jobs", "2", "--grace", "200ms",
                     lines=numbered(server, 30)) as process:
            until(lambda: len(logged(tmp)) == 2, "two commands")
            process.send_signal(signal.SIGINT)
            check_same(ended(process, 4), -signal.SIGINT)
        for _, pid, _ in logged(tmp):
            until(lambda pid=pid: is_gone(pid), "the end of a command")
        run = {int(n) for _, _, n in logged(tmp)}
        check_same(tree(tmp / "out"), sorted(f"f{n - 1}" for n in run))
        for record in common.read_records(tmp / "results"):
            assert record["status"] != "ok", record
            if record["status"] == "failed":
                check_failed(record, "stopped")


@tap.case
def a_dry_run_starts_nothing(tmp):
    "but exec-each: still prints which URL gets which name"
    with common.server() as server:
        for handler, said in ((reader(tmp, "note('started')"), 0),
                              (each(tmp, "note('started')"), 1)):
            done = fetch(tmp, "--dry-run", *handler, server.url("/a"))
            check_same(done.status, 0)
            check_same(done.out.count("\t"), said)
        check_same(logged(tmp), [])
        check_same(server.stats()["requests"], 0)


tap.main()
