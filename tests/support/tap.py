"""tap - a tiny producer of TAP for tests written in Python.

SPDX-License-Identifier: MIT

A test program registers its cases and runs them:

    import os, sys
    sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../support"))
    import tap

    @tap.case
    def an_empty_list_is_no_error(tmp):
        assert tap.run("-i", "/dev/null", cwd=tmp).returncode == 0

    @tap.case(timeout=60)
    def nginx_serves(tmp):
        "a description, when the function's name does not say enough"
        if not shutil.which("nginx"):
            tap.skip("nginx is not installed")

    tap.main()

A case is a function of one argument: the path of a fresh directory that is
removed afterwards (kept, and named, when the case fails and PFETCH_KEEP is
set).  It fails by raising anything, assert included.  A case that runs
longer than its time (30 s, times PFETCH_SLOW) fails by TimeoutError raised
in the middle of it, so that `with` and `finally` still end what it started.
What a case prints comes after its line, as TAP comments.

PFETCH names the program under test.  Arguments of the test program choose
cases by a part of their name.
"""

import contextlib
import inspect
import io
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback

TIMEOUT_S = 30

_here = pathlib.Path(__file__).resolve().parent
SLOW = float(os.environ.get("PFETCH_SLOW", "1"))
_cases = []

# The user's own configuration file must not decide.
os.environ["XDG_CONFIG_HOME"] = "/nonexistent"

PFETCH = os.environ.get(
    "PFETCH", str(_here.parent.parent / "build/src/pfetch/pfetch"))


class Skip(Exception):
    """Raised by skip()."""


def skip(reason):
    """Ends the case that runs: it could not be tried, and this is why."""
    raise Skip(reason)


def case(function=None, *, timeout=TIMEOUT_S):
    """Registers a case; with or without arguments."""
    if function is None:
        return lambda f: case(f, timeout=timeout)
    _cases.append((function, timeout * SLOW))
    return function


def full():
    """True in `make check-full`: long cases are to run."""
    return os.environ.get("PFETCH_FULL", "") not in ("", "0")


def ms(normally):
    """So many milliseconds, more where everything takes longer: for delays
    that must outlast what the program does meanwhile."""
    return int(normally * SLOW)


def run(*arguments, **options):
    """Runs the program under test to its end; both outputs are captured as
    text unless asked otherwise.  Options are those of subprocess.run()."""
    options.setdefault("capture_output", "stdout" not in options
                       and "stderr" not in options)
    options.setdefault("text", True)
    options.setdefault("errors", "replace")
    if "input" not in options:
        options.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.run([PFETCH, *map(str, arguments)], check=False,
                          **options)


def _expire(_signal, _frame):
    raise TimeoutError("the case took longer than its time")


def _terminate(number, _frame):
    sys.exit(128 + number)


def _comment(text):
    for line in text.splitlines():
        print("#", line.encode("ascii", "backslashreplace").decode())


def _describe(function):
    text = (inspect.getdoc(function) or "").split("\n\n")[0]
    text = " ".join(text.split()) or function.__name__.replace("_", " ")
    return text.replace("#", "")


def _run_case(number, function, timeout):
    """Runs one case and prints its line.  False: it failed."""
    tmp = pathlib.Path(tempfile.mkdtemp(prefix="pfetch-test-"))
    said = io.StringIO()
    verdict, note, failed = "ok", "", False
    signal.setitimer(signal.ITIMER_REAL, timeout)
    try:
        with contextlib.redirect_stdout(said):
            function(tmp)
    except Skip as why:
        note = f" # SKIP {why}"
    except Exception:  # a failure of whatever kind is a failure of the case
        verdict, failed = "not ok", True
        said.write("\n" + traceback.format_exc())
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        if not (failed and os.environ.get("PFETCH_KEEP")):
            shutil.rmtree(tmp, ignore_errors=True)
    print(f"{verdict} {number} - {_describe(function)}{note}")
    _comment(said.getvalue())
    if tmp.exists():
        _comment(f"files kept in {tmp}")
    sys.stdout.flush()
    return not failed


def _run_side_by_side(chosen, jobs):
    """As _run_case() for each, in processes of their own, so many at a time;
    what they print comes in the order of the cases."""
    results, files, running = {}, {}, {}
    waiting = list(enumerate(chosen, 1))
    next_shown = 1
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                number, chosen_case = waiting.pop(0)
                files[number] = tempfile.TemporaryFile("w+")
                pid = os.fork()
                if pid == 0:
                    os.dup2(files[number].fileno(), 1)
                    os._exit(0 if _run_case(number, *chosen_case) else 1)
                running[pid] = number
            pid, status = os.waitpid(-1, 0)
            if pid in running:
                results[running.pop(pid)] = status == 0
            while next_shown in results:
                files[next_shown].seek(0)
                print(files[next_shown].read(), end="", flush=True)
                files.pop(next_shown).close()
                next_shown += 1
    finally:
        for pid in running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
    return results.values()


def main(jobs=1):
    """Runs the cases, prints TAP, ends the process.  With jobs, so many cases
    at a time, each in a process of its own."""
    signal.signal(signal.SIGALRM, _expire)
    for number in (signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, _terminate)
    wanted = sys.argv[1:]
    chosen = [c for c in _cases
              if not wanted or any(w in c[0].__name__ for w in wanted)]
    print(f"1..{len(chosen)}", flush=True)
    if jobs > 1:
        results = _run_side_by_side(chosen, jobs)
    else:
        results = [_run_case(i, *c) for i, c in enumerate(chosen, 1)]
    sys.exit(0 if all(results) else 1)
