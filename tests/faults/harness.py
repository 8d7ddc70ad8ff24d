"""harness - one fault in a batch of good lines, and every invariant.

SPDX-License-Identifier: MIT

A row of the matrix is a case of a test program: the faulty line stands in the
middle of 19 good ones, and whatever becomes of it, check() looks at all that
must hold after any run:

    I1   each line read has one record; the rest, if any, one more
    I2   each file that is recorded as ok has the digest that faultd's body
         has, and its mode; nothing else is in the output directory
    I3   nothing is opened for writing, created, renamed or removed outside
         it, but what options name (strace)
    I4   no secret is in any output, attribute, name or command line
    I5   the exit status
    I6   the time, with where each thread was when it is over
    I7   no control byte on standard error; records are ASCII, line by line
    I8   nothing from a sanitizer
    I9   memory; descriptors and threads at the end as at the start
    I10  the same command, when the fault is gone, ends with 0, fetches what
         is missing and nothing else

Rows are data where they can be:

    ROWS = [Row("A01", "5 of 50 bytes, FIN", "/size=50/cut=5/x", "short")]
    harness.add(globals())

and functions where they do more:

    @row("F01", "INT with all workers busy")
    def interrupted(batch): ...

What cannot be had (strace, the library of preload.c under a sanitizer) is
left out and said once, as a comment.
"""

import collections
import contextlib
import ctypes
import hashlib
import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "cli"), str(HERE.parent / "faultd")]
import common  # noqa: E402
from common import check_same, tap  # noqa: E402
import faultbody  # noqa: E402
import truth as truths  # noqa: E402

SLOW = float(os.environ.get("PFETCH_SLOW", "1"))
LINES = 20
BAD = 10      # the line with the fault
WORKERS = 4
RETRIES = 2
MANY = 400    # more lines than this are not traced: it takes too long
INSIDE = "PFETCH_FAULTS_INSIDE"  # set: we have name spaces of our own

# Secrets, one for each way in.  Query strings are none (cli.md).
USER = "cAnaryuser"
SECRETS = {"password by file": "cAnaryfilepass",
           "password in a URL": "cAnaryurlpass",
           "user in a URL": "cAnaryurluser",
           "header": "cAnaryheader"}

# priority: of the matrix, or that of a neighbour of a row
Row = collections.namedtuple(
    "Row", "id what path cls http attempts options heal seconds",
    defaults=(None, None, (), "server", 20))
Function = collections.namedtuple("Function", "id what function")


def program():
    """(path, environment) of the program itself, not of a script around it."""
    return common.real_program()


# --- what can be had here -------------------------------------------------------

_can = {}


def _once(name, probe):
    """probe() answers why something cannot be had, "" if it can."""
    if name not in _can:
        _can[name] = probe()
    return _can[name]


def is_sanitized():
    with open(program()[0], "rb") as text:
        data = text.read()
    return b"__asan_init" in data or b"__tsan_init" in data


def no_strace():
    """Why there is no strace, or ""."""
    def probe():
        if not shutil.which("strace"):
            return "strace is not installed"
        if is_sanitized():
            return "strace does not go with a sanitizer"
        done = subprocess.run(
            ["strace", "-D", "-f", "-qq", "--seccomp-bpf", "-e",
             "trace=openat", "-o", "/dev/null", "true"],
            capture_output=True, check=False)
        return "" if done.returncode == 0 and not done.stderr else (
            "strace may not trace here")
    return _once("strace", probe)


def preload_path():
    built = pathlib.Path(os.environ.get("builddir", HERE.parent.parent
                                        / "build/tests"))
    return built / "faults/.libs/preload.so"


def no_preload():
    """Why preload.c cannot be used, or ""."""
    def probe():
        if is_sanitized():
            return "a sanitizer does not share malloc"
        if not preload_path().exists():
            return "faults/preload.so is not built"
        return ""
    return _once("preload", probe)


def need_strace():
    if no_strace():
        tap.skip(no_strace())


def need_preload():
    if no_preload():
        tap.skip(no_preload())


def need_root():
    if os.geteuid() != 0:
        tap.skip("needs root")


def enter_spaces(flags="-m"):
    """Runs this program again in name spaces of its own (m: mounts, n: net),
    where that is allowed."""
    if os.geteuid() != 0 or os.environ.get(INSIDE) or not shutil.which(
            "unshare"):
        return
    probe = subprocess.run(
        ["unshare", flags, "sh", "-c", "mount -t tmpfs none /mnt"],
        capture_output=True, check=False)
    if probe.returncode == 0:
        os.environ[INSIDE] = flags
        os.execvp("unshare", ["unshare", flags, sys.executable,
                              str(pathlib.Path(sys.argv[0]).resolve()),
                              *sys.argv[1:]])


def need_spaces():
    if not os.environ.get(INSIDE):
        tap.skip("needs root and unshare(1) with permission to mount")


def slowness():
    """How much slower than the machine this was written on, which needs 15 ms
    for this, the machine is now: all bounds of time are so much longer."""
    path, env = program()
    took = []
    for _ in range(5):
        start = time.monotonic()
        subprocess.run([path, "--help"], env=env, capture_output=True,
                       check=False)
        took.append(time.monotonic() - start)
    return sorted(took)[2] / .03


# --- one run --------------------------------------------------------------------

Result = collections.namedtuple(
    "Result", "status err out records rest seconds report trace cmdline "
              "seen_kib")


class Run:
    """A pfetch that runs, watched.  finish() waits for it."""

    def __init__(self, batch, arguments, environment=None, limits=None,
                 inject=(), stdout=subprocess.PIPE, stdin=subprocess.DEVNULL,
                 strace=True, preload=None, program_of=None, **options):
        self.batch = batch
        path, env = program()
        env.update(environment or {})
        self.number = batch.runs
        batch.runs += 1
        base = batch.tmp / f"run{self.number}"
        self.report = base.with_suffix(".report")
        self.trace = base.with_suffix(".trace") if (
            strace and not no_strace() and len(batch.lines) <= MANY) else None
        self.err = base.with_suffix(".err")
        command = [path, *map(str, arguments)]
        wanted = {"FAULTS_REPORT": str(self.report), **(preload or {})}
        self.is_preloaded = not no_preload()
        if self.is_preloaded:
            wanted["LD_PRELOAD"] = str(preload_path())
        elif preload:
            tap.skip(no_preload())
        if self.trace:
            more = [word for what in inject for word in ("-e", what)]
            # strace itself is to live without the library.
            given = [word for name, value in wanted.items()
                     for word in ("-E", f"{name}={value}")]
            command = ["strace", "-D", "-f", "-y", "-s", "4096", "-o",
                       str(self.trace),
                       *(["--seccomp-bpf"] if not inject else []),
                       "-e", "trace=" + ",".join(CHANGING) + "".join(
                           "," + i.split("=", 1)[1].split(":")[0]
                           for i in inject),
                       "-e", "signal=none", *more, *given, *command]
        else:
            if inject:
                tap.skip(no_strace())
            if self.is_preloaded:
                env.update(wanted)
        self.stdout = open(base.with_suffix(".out"), "wb") if (
            stdout == subprocess.PIPE) else None
        self.start = time.monotonic()
        with open(self.err, "wb") as err:
            self.process = subprocess.Popen(
                command, env=env, stdin=stdin, stderr=err,
                stdout=self.stdout or stdout, preexec_fn=limits, **options)
        self.cmdline = b""
        self.peak_kib = 0
        self._over = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()

    def _watch(self):
        """What other users of the machine could see."""
        place = f"/proc/{self.process.pid}"
        real = os.path.basename(program()[0]).encode()
        while not self._over.wait(0.02):
            with contextlib.suppress(OSError, ValueError, TypeError):
                with open(place + "/cmdline", "rb") as text:
                    line = text.read()
                if os.path.basename(line.split(b"\0")[0]) == real:
                    self.cmdline = line
                with open(place + "/status") as text:
                    said = text.read()
                found = re.search(r"VmHWM:\s*(\d+)", said)
                if self.cmdline and found:
                    self.peak_kib = max(self.peak_kib, int(found[1]))

    def where(self):
        """What each thread of it is doing: for a run that does not end."""
        if shutil.which("gdb") and not self.trace:
            done = subprocess.run(
                ["gdb", "-p", str(self.process.pid), "-batch", "-ex",
                 "thread apply all bt 12"], capture_output=True, text=True,
                stdin=subprocess.DEVNULL, check=False)
            return done.stdout[-8000:]
        said = []
        for task in pathlib.Path(f"/proc/{self.process.pid}/task").glob("*"):
            with contextlib.suppress(OSError):
                said.append(" ".join((task / name).read_text().strip()
                                     for name in ("comm", "wchan",
                                                  "syscall")))
        return "\n".join(said)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._over.set()
        self._watcher.join()

    def finish(self, seconds=20):
        """Waits at most so long (I6), and answers what came out."""
        bound = seconds * SLOW + (2 if self.trace else 0)
        try:
            self.process.wait(bound)
        except subprocess.TimeoutExpired:
            print(self.where())
            self.kill()
            raise AssertionError(
                f"I6: still there after {bound} s; it said:\n"
                + self.err.read_text(errors="replace")[-2000:]) from None
        took = time.monotonic() - self.start
        self._over.set()
        self._watcher.join()
        if self.stdout:
            self.stdout.close()
        return self._result(took)

    def _result(self, took):
        records, rest = [], None
        if self.batch.results.exists():
            records = common.read_records(self.batch.results)
        whole = [r for r in records if "from_line" not in r]
        rests = [r for r in records if "from_line" in r]
        assert len(rests) <= 1, f"I1: {rests}"
        if rests:
            rest = rests[0]
            assert records[-1] is rest, "I1: a record after the rest"
            assert rest["status"] == "not-attempted", rest
        out = self.err.with_suffix(".out")
        return Result(
            self.process.returncode, self.err.read_bytes(),
            out.read_bytes() if out.exists() else b"", common.by_n(whole),
            rest, took,
            self.report.read_text().split() if self.report.exists() else None,
            self.trace and self._read_trace(), self.cmdline, self.peak_kib)

    def _is_traced(self):
        """The tracer, whose command line names the trace, is there."""
        for place in pathlib.Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if str(self.trace).encode() in (
                        place / "cmdline").read_bytes().split(b"\0") and (
                            place / "stat").read_text().rpartition(
                                ")")[2].split()[0] != "Z":
                    return True
        return False

    def _read_trace(self):
        """The tracer outlives the program for a moment."""
        ends = re.compile(rb"^%d \+\+\+ exited" % self.process.pid, re.M)
        common.until(
            lambda: ends.search(self.trace.read_bytes())
            or not self._is_traced(), "the end of the trace")
        return self.trace.read_text(errors="surrogateescape")


# --- I3 -------------------------------------------------------------------------

CHANGING = ("open", "openat", "openat2", "creat", "rename", "renameat",
            "renameat2", "link", "linkat", "unlink", "unlinkat", "rmdir",
            "mkdir", "mkdirat", "symlink", "symlinkat", "mknod", "mknodat",
            "truncate", "chmod", "fchmodat", "chown", "lchown", "fchownat",
            "setxattr", "lsetxattr", "removexattr", "lremovexattr")
CALL = re.compile(r"^\d+ +(\w+)\((.*)\) += (-?\d+|\?)")
ARGUMENT = re.compile(
    r'(?:(AT_FDCWD|-?\d+)(?:<((?:[^>\\]|\\.)*)>(?:\(deleted\))?)?, )?"((?:[^"\\]|\\.)*)"')


def unescape(text):
    return text.encode("latin-1", "surrogateescape").decode(
        "unicode_escape", "surrogateescape")


def changed_paths(trace, cwd):
    """(call, path) of everything that was opened for writing, made, renamed
    or removed."""
    for line in trace.splitlines():
        found = CALL.match(line)
        if not found or found[1] not in CHANGING:
            continue
        name, arguments, answer = found.groups()
        if name.startswith("open") and not re.search(
                r"O_WRONLY|O_RDWR|O_CREAT|O_TRUNC|O_TMPFILE",
                ARGUMENT.sub("", arguments)):
            continue
        if answer.startswith("-"):
            # It did not happen; but outside it may not even be tried.
            pass
        for at, place, path in ARGUMENT.findall(arguments):
            base = cwd if at in ("", "AT_FDCWD") else unescape(
                place.removesuffix(" (deleted)"))
            yield line, os.path.normpath(os.path.join(base, unescape(path)))


# --- a batch --------------------------------------------------------------------

Expected = collections.namedtuple(
    "Expected", "status cls http attempts size seed verified continues path",
    defaults=(None, None, None, None, None, None, False, None))


class Batch:
    """Lines, what each must end as, and the runs over them."""

    def __init__(self, tmp, server, tls_ca=None):
        self.tmp, self.server, self.tls_ca = tmp, server, tls_ca
        self.out = tmp / "out"
        self.results = tmp / "results"
        self.list = tmp / "list"
        self.runs = 0
        self.lines = []      # (text, Expected), text as bytes
        self.allowed = {"/dev/null", "/dev/tty"}  # for I3
        self.secrets = dict(SECRETS)
        self.mode = 0o644
        self.workers = WORKERS
        self.memory_mib = None
        self.descriptors = 0  # so many more may be open at the end
        (tmp / "user").write_text(f"{USER}:{SECRETS['password by file']}\n")

    # -- lines

    def add(self, text, expected):
        self.lines.append((text if isinstance(text, bytes)
                           else text.encode(), expected))

    def url(self, path, **more):
        return self.server.url(path, tls=self.tls_ca is not None, **more)

    def good(self, count=1, size=None, plain=False):
        """Good lines, of all the kinds that there are, or plain ones."""
        for _ in range(count):
            i = len(self.lines) + 1
            n = (i * 7919) % 40000 if size is None else size
            name = f"good{i}.bin"
            way = ("", "/chunked", "/nolength", "/redirect=hops:2",
                   "/etag=e", "/closeidle", "/junk=poison",
                   f"/auth={USER}:{hidden(SECRETS['password by file'])}",
                   "/nextend=reset", "/failcut=1:9", "/connclose",
                   "/fail=1:503", "/lastmod=Sun, 06 Nov 1994 08:49:37 GMT"
                   .replace(" ", "%20"))[i % 13]
            if plain:
                way = ""
            url = self.url(f"/size={n}{way}/{name}")
            if i == 5:
                url = url.replace("://", "://%s:%s@" % (
                    SECRETS["user in a URL"], SECRETS["password in a URL"]))
            self.add(url, Expected("ok", size=n, seed=name.encode(),
                                   verified="nolength" not in way,
                                   path=name))

    def expect(self, path, cls="truth", http=None, attempts=None, **options):
        """What the truth table says of a path; and that it says the same as
        the row, where that says something."""
        truth = truths.of(path, retries=RETRIES, **options)
        if cls != "truth":
            check_same(("truth table", truth.cls), ("truth table", cls))
            if http is not None:
                check_same(("truth table", truth.http),
                           ("truth table", http))
        if truth.cls is None:
            return Expected("ok", size=truth.size, seed=truth.seed,
                            verified=truth.verified, attempts=attempts)
        return Expected("failed", truth.cls, truth.http,
                        attempts or (RETRIES + 1 if truth.transient else
                                     None), continues=truth.continues)

    def bad(self, path, cls="truth", http=None, attempts=None, **options):
        """One line at the server, with what the truth table says."""
        self.add(self.url(path), self.expect(path, cls, http, attempts,
                                             **options))

    def around(self, text, expected, lines=LINES):
        """One line in the middle of good ones."""
        self.good(BAD - 1)
        self.add(text, expected)
        self.good(lines - BAD)

    # -- runs

    def write_list(self, lines=None):
        common.write_list(self.list, [t for t, _ in lines or self.lines])

    def arguments(self, *more):
        made = ["-v", "-t", self.workers, "--retries", RETRIES,
                "--retry-delay", "10ms", "--retry-max-delay", "20ms",
                "--user-file", self.tmp / "user", "-H",
                "X-Canary: " + SECRETS["header"], "-o", self.out, "-i",
                self.list, "--results", self.results]
        if self.tls_ca:
            made += ["--cacert", self.tls_ca]
        return made + list(more)

    def start(self, *more, arguments=None, keep_list=False, **options):
        if not keep_list:
            self.write_list()
        self.results.unlink(missing_ok=True)
        return Run(self, arguments or self.arguments(*more), **options)

    @contextlib.contextmanager
    def running(self, *more, **options):
        run = self.start(*more, **options)
        try:
            yield run
        finally:
            if run.process.poll() is None:
                run.kill()

    def run(self, *more, seconds=20, **options):
        return self.start(*more, **options).finish(seconds)

    # -- invariants

    def check(self, done, status=None, ok=None, early=False):
        """All that holds after a run.  With early it ended before its time:
        a line that was not reached is not-attempted, one that was cut off has
        the class in early.  Answers how many are ok."""
        self.check_text(done)
        self.check_memory(done)
        self.check_places(done)
        count = self.check_records(done, early)
        self.check_files(done)
        if status is None:
            status = 1 if any(e.status == "failed"
                              for _, e in self.lines) else 0
        assert done.status == status, (
            f"I5: {done.status}, not {status}: "
            + done.err.decode(errors="replace")[-2000:])
        if ok is not None:
            check_same(("ok", count), ("ok", ok))
        return count

    def check_text(self, done):
        """I4, I7, I8"""
        text = done.err
        for bad in re.findall(rb"[\x00-\x09\x0b-\x1f\x7f]|\xc2[\x80-\x9f]",
                              text):
            raise AssertionError(f"I7: byte {bad!r} in {text!r}")
        for word in (b"Sanitizer", b"runtime error:", b"Assertion"):
            assert word not in text, f"I8: {text.decode(errors='replace')}"
        seen = [text, done.out, self.results.read_bytes()
                if self.results.exists() else b""]
        for path in sorted(self.out.rglob("*")) if self.out.exists() else ():
            seen.append(os.fsencode(path.relative_to(self.out)))
            with contextlib.suppress(OSError):
                for name in os.listxattr(path, follow_symlinks=False):
                    seen.append(os.getxattr(path, name,
                                            follow_symlinks=False))
        for what, secret in self.secrets.items():
            for shape in _shapes(secret):
                for place in seen:
                    at = place.find(shape)
                    assert at < 0, (
                        f"I4: {what}: {place[max(0, at - 99):at + 99]!r}")
        filed = self.secrets.get("password by file", "")
        assert not filed or filed.encode() not in done.cmdline, "I4: cmdline"

    def check_memory(self, done):
        """I9"""
        peak = done.seen_kib / 1024
        if done.report:
            before, after, threads, peak_kib = map(int, done.report[:4])
            peak = peak_kib / 1024
            check_same(("I9: descriptors", after),
                       ("I9: descriptors", before + self.descriptors))
            check_same(("I9: threads", threads), ("I9: threads", 1))
        bound = self.memory_mib or 64 + self.workers
        if "PFETCH_SLOW" not in os.environ and not is_sanitized():
            assert peak <= bound, f"I9: {peak:.0f} MiB, not {bound}"

    def check_places(self, done):
        """I3"""
        if done.trace is None:
            return
        allowed = self.allowed | {str(self.results)}
        inside = str(self.out.resolve())
        if self.out.is_symlink():
            allowed.add(str(self.out))  # mkdir() says that it is there
        for line, path in changed_paths(done.trace, os.getcwd()):
            if path == inside or path.startswith(inside + "/"):
                continue
            if path in allowed or path.startswith(str(self.tmp / "run")) or (
                    re.fullmatch(r"/proc/self/(task/\d+/comm|fd/\d+)",
                                 path)):
                continue
            if path.endswith(".gcda"):
                continue  # of a build that counts which lines are reached
            raise AssertionError(f"I3: {path}: {line}")

    def check_records(self, done, early=False):
        """I1, and each outcome is the one expected.  How many are ok."""
        read = done.rest["from_line"] - 1 if done.rest else len(self.lines)
        assert early or not done.rest, f"I1: {done.rest}"
        assert sorted(done.records) == list(range(1, read + 1)), (
            f"I1: {sorted(done.records)} of {read}; it said: "
            + done.err.decode(errors="replace")[-2000:])
        count = 0
        for n, record in done.records.items():
            text, expected = self.lines[n - 1]
            count += record["status"] == "ok"
            if early and record["status"] == "not-attempted":
                continue
            if early and record["status"] == "failed" and (
                    record["error"] in early):
                continue
            self.check_record(n, record, expected)
        return count

    def check_record(self, n, record, expected):
        said = f"line {n}: {self.lines[n - 1][0][:200]!r}: {record}"
        assert record["status"] == expected.status, said
        assert record["line"] == n or not self.is_numbered, said
        if expected.status == "failed":
            assert record["error"] == expected.cls, (
                f"{expected.cls} expected; {said}")
            assert record["message"], said
            assert expected.http is None or (
                record.get("http") == expected.http), said
        if expected.attempts is not None:
            assert record["attempts"] == expected.attempts, (
                f"{expected.attempts} attempts expected; {said}")
        if expected.status == "ok":
            assert record["bytes"] == expected.size, (expected, said)
            if expected.verified is not None:
                assert record["length_verified"] == expected.verified, said
            if expected.path is not None:
                assert record["path"] == expected.path, said

    def check_files(self, done):
        """I2: what is ok is there and right, and nothing else is."""
        there = set(common.tree(self.out)) if self.out.exists() else set()
        if not self.has_files:
            assert not there, there
            return
        for n, record in done.records.items():
            expected = self.lines[n - 1][1]
            if record["status"] == "ok":
                self.check_file(record["path"], expected)
            if record["status"] in ("ok", "skipped") and "path" in record:
                there.discard(record["path"])
            if self.may_stay(n, record):
                there.discard(part_of(expected.path or self.name_of(n)))
        if self.parts_stay:
            there = {name for name in there if not is_part(name)}
        there -= self.known
        assert not there, f"I2: {sorted(there)}"

    def name_of(self, n):
        """The name that a URL of faultd gets."""
        return self.lines[n - 1][0].decode("latin-1").split("\t")[
            0].rpartition("/")[2]

    def may_stay(self, n, record):
        """A line without success may leave what can be continued."""
        return record["status"] == "failed" and record["error"] in (
            "short", "timeout", "stopped", "http", "local") and (
                b"/etag=" in self.lines[n - 1][0])

    parts_stay = False   # the directory does not let them be removed
    has_files = True
    is_numbered = True   # the n-th line of the list is record n
    known = frozenset()  # names in the output directory that are not ours

    def check_file(self, path, expected):
        place = self.out / path
        status = place.lstat()
        assert status.st_mode & 0o7777 == self.mode, (
            f"I2: {path} has mode {status.st_mode:o}")
        check_same(("I2", path, digest(place)),
                   ("I2", path, digest_of(expected.seed, expected.size)))

    # -- I10

    def rerun(self, done, *more, lines=None, healed=True, seconds=20,
              prepare=None):
        """The fault is gone: all is ok, and what was ok is not asked for."""
        if prepare:
            prepare()
        self.server.wait(lambda s: s["requests_active"] == 0)
        self.server.reset()
        if healed:
            self.server.heal()
        # Finals of a run that was cut off may be there without a record.
        there = {n for n, r in done.records.items()
                 if r["status"] in ("ok", "skipped")}
        last = self.lines
        if lines is not None:
            self.lines = lines
            there = {n for n in there if last[n - 1] in lines}
        again = self.run(*more, seconds=seconds)
        self.check_text(again)
        self.check_memory(again)
        self.check_places(again)
        assert again.status == 0, (
            f"I10: {again.status}: "
            + again.err.decode(errors="replace")[-2000:])
        check_same(sorted(again.records),
                   list(range(1, len(self.lines) + 1)))
        missing = 0
        for n, record in again.records.items():
            assert record["status"] in ("ok", "skipped"), f"I10: {record}"
            missing += record["status"] == "ok"
            if record["status"] == "ok":
                size = truths.Words(truths.path_of(
                    self.lines[n - 1][0].decode())).number("size", 1000)
                self.check_file(record["path"], Expected(
                    "ok", size=size, seed=faultbody.seed_of(
                        self.lines[n - 1][0].decode("latin-1"))))
        asked = self.server.stats()["requests"]
        assert asked == missing, f"I10: {asked} requests, {missing} missing"
        assert missing <= len(self.lines) - len(there), (
            f"I10: {missing} fetched, {len(there)} of {len(self.lines)} "
            "were there")
        left = [p for p in common.tree(self.out) if is_part(p)]
        assert not left, f"I10: {left}"
        return again


def part_of(path):
    head, _, name = path.rpartition("/")
    return (head + "/" if head else "") + f".{name}.part"


def is_part(path):
    name = path.rpartition("/")[2]
    return name.startswith(".") and name.endswith(".part")


def _shapes(secret):
    """A secret as it is, and in base64 as Basic has it."""
    import base64
    shapes = {secret.encode()}
    for before in ("", USER + ":", SECRETS["user in a URL"] + ":"):
        code = base64.b64encode((before + secret).encode()).rstrip(b"=")
        shapes.add(code[:-1])  # the last digit depends on what follows
    return shapes


def hidden(secret):
    """Percent-encoded, for a word of the fault server."""
    return "".join("%%%02x" % byte for byte in secret.encode())


def digest(path):
    sha = hashlib.sha256()
    with open(path, "rb") as data:
        while piece := data.read(1 << 20):
            sha.update(piece)
    return sha.hexdigest()


_digests = {}


def digest_of(seed, size):
    """What the server publishes: the digest of its body."""
    if (seed, size) not in _digests:
        _digests[seed, size] = hashlib.sha256(
            faultbody.body(seed, size)).hexdigest()
    return _digests[seed, size]


class Server(common.faultd.Faultd):
    """A fault server that knows whether it has been healed."""

    healed = False

    def heal(self):
        super().heal()
        self.healed = True

    def reset(self):
        super().reset()
        self.healed = False


# --- rows as cases --------------------------------------------------------------

ALL = []  # rows and functions of the test program


def expected_of(batch, a_row):
    cls = a_row.cls
    if cls == "ok":
        cls = None
    return batch.expect(a_row.path, cls, a_row.http, a_row.attempts)


def run_row(tmp, a_row):
    """What every row of data does."""
    with Server(bind="0.0.0.0", mute=True) as server:
        batch = Batch(tmp, server)
        expected = expected_of(batch, a_row)
        batch.around(batch.url(a_row.path), expected)
        done = batch.run(*a_row.options, seconds=a_row.seconds)
        batch.check(done)
        if a_row.heal == "server":
            batch.rerun(done, *a_row.options)
        elif a_row.heal == "line":
            batch.rerun(done, *a_row.options, lines=[
                line for i, line in enumerate(batch.lines, 1) if i != BAD])


def add(rows, jobs_timeout=60):
    """Makes a case of each row of data."""
    for a_row in rows:
        def test(tmp, a_row=a_row):
            run_row(tmp, a_row)

        test.__name__ = f"{a_row.id}_{a_row.what}"
        test.__doc__ = f"{a_row.id} {a_row.what}"
        tap.case(test, timeout=jobs_timeout)
        ALL.append(a_row)


def row(id_, what, timeout=60, tls=False, server=True):
    """Makes a case of a function of a Batch."""
    def register(function):
        def test(tmp):
            with contextlib.ExitStack() as stack:
                made = None
                if tls:
                    import certs
                    if not certs.available():
                        tap.skip("openssl is not installed")
                    made = certs.make(tmp / "certs")
                started = stack.enter_context(Server(
                    bind="0.0.0.0", mute=True,
                    cert=made.good if made else None)) if server else None
                batch = Batch(tmp, started, made.ca if made else None)
                batch.certs = made
                function(batch)

        test.__name__ = "_".join([*id_.split(), function.__name__])
        test.__doc__ = f"{id_} {what}"
        tap.case(test, timeout=timeout)
        ALL.append(Function(id_, what, function))
        return function
    return register


def limit(what, value):
    """For limits=: a resource limit of the program."""
    return lambda: resource.setrlimit(what, (value, value))


def main(jobs=6):
    """Runs the cases of the test program."""
    global SLOW
    SLOW = max(SLOW, min(10, slowness()))
    for why in (no_strace(), no_preload()):
        if why:
            print("#", why)
    tap.main(jobs=jobs)
