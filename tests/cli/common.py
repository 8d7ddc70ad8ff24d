"""common - what the tests of the program share; no test itself.

SPDX-License-Identifier: MIT

    done = common.fetch(tmp, "-t", "4", lines=[server.url("/a.bin")])
    done.status            exit status, negative for a signal
    done.out, done.err     both outputs, text
    done.records           the records of --results, by n
    done.path              the output directory, tmp/out

The variables that would change what pfetch does (proxies, certificates,
language) are taken out of the environment when this is imported.
"""

import collections
import contextlib
import ctypes
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time
import unicodedata

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))
import faultbody  # noqa: E402  (found by the line above)
import faultd  # noqa: E402
import nginx  # noqa: E402
import tap  # noqa: E402

for _name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
    os.environ.pop(_name, None)
    os.environ.pop(_name.upper(), None)
for _name in ("CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"):
    os.environ.pop(_name, None)
os.environ["LC_ALL"] = "C"

NAME = os.path.basename(tap.PFETCH)
SOON = ("--retry-delay", "10ms", "--retry-max-delay", "20ms")

Done = collections.namedtuple("Done", "status out err records path seconds")


# --- running --------------------------------------------------------------------

def write_list(path, lines):
    """A list with these lines, str or bytes; a newline after each."""
    with open(path, "wb") as out:
        for line in lines:
            out.write(line if isinstance(line, bytes) else line.encode())
            out.write(b"\n")
    return path


def read_records(path):
    """The objects of a --results file, in their order; each line must be one
    object with schema 1, in ASCII."""
    found = []
    with open(path, encoding="ascii") as text:
        for line in text:
            assert line.endswith("\n"), f"torn record {line!r}"
            found.append(json.loads(line))
            assert found[-1]["schema"] == 1, line
    return found


def by_n(records):
    """{n: record}; no n may come twice."""
    found = {}
    for record in records:
        assert record["n"] not in found, f"two records for {record['n']}"
        found[record["n"]] = record
    return found


def arguments(tmp, more, lines=None, out="out", results="results"):
    """The arguments for a run: a list made from lines, an output directory
    and a results file in tmp."""
    made = ["-o", str(tmp / out)]
    if lines is not None:
        made += ["-i", str(write_list(tmp / "list", lines))]
    if results:
        (tmp / results).unlink(missing_ok=True)
        made += ["--results", str(tmp / results)]
    return made + [str(a) for a in more]


def fetch(tmp, *more, lines=None, out="out", results="results", **options):
    """Runs pfetch to its end."""
    start = time.monotonic()
    done = tap.run(*arguments(tmp, more, lines, out, results), **options)
    seconds = time.monotonic() - start
    records = {}
    if results and (tmp / results).exists():
        records = by_n(read_records(tmp / results))
    return Done(done.returncode, done.stdout, done.stderr, records,
                tmp / out, seconds)


@contextlib.contextmanager
def started(tmp, *more, lines=None, out="out", results="results",
            command=(tap.PFETCH,), **options):
    """A pfetch that runs; killed at the end if it still does.  Its messages
    go to tmp/err."""
    options.setdefault("stdin", subprocess.DEVNULL)
    options.setdefault("stdout", subprocess.DEVNULL)
    with open(tmp / "err", "w") as err:
        options.setdefault("stderr", err)
        process = subprocess.Popen(
            [*command, *arguments(tmp, more, lines, out, results)],
            **options)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()


# Linux counts the memory of the process that forks for the one it executes,
# so a small process has to stand between us and pfetch.  That dies with us,
# and pfetch with it.
_MEASURE = """
import ctypes, json, os, sys
die_with_parent = lambda: ctypes.CDLL(None).prctl(1, 9, 0, 0, 0)
die_with_parent()
child = os.fork()
if child == 0:
    die_with_parent()
    os.execv(sys.argv[2], sys.argv[2:])
os.close(0)
_, status, usage = os.wait4(child, 0)
with open(sys.argv[1], "w") as out:
    json.dump([os.waitstatus_to_exitcode(status), usage.ru_maxrss], out)
"""


def measured(tmp, *more, feed=None, **options):
    """Runs pfetch as started() does; (exit status, peak memory in MiB).
    feed(stream) writes the list to standard input, if it is given."""
    if feed:
        options["stdin"] = subprocess.PIPE
    command = (sys.executable, "-S", "-c", _MEASURE, str(tmp / "usage"),
               tap.PFETCH)
    with started(tmp, *more, command=command, **options) as process:
        if feed:
            feed(process.stdin)
            process.stdin.close()
        process.wait()
    status, kib = json.loads((tmp / "usage").read_text())
    return status, kib / 1024


def until(condition, what, timeout=20):
    """Waits until condition() holds; answers what it answers."""
    deadline = time.monotonic() + timeout
    while True:
        answer = condition()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"never came: {what}"
        time.sleep(0.01)  # between two looks; the deadline decides


def real_program():
    """(program, environment): the program itself, where PFETCH is the script
    that libtool makes around it in the build directory."""
    path = pathlib.Path(tap.PFETCH)
    inner = path.parent / ".libs" / path.name
    environment = dict(os.environ)
    if not inner.exists():
        return str(path), environment
    libs = str(path.parent.parent / ".libs")
    old = environment.get("LD_LIBRARY_PATH")
    environment["LD_LIBRARY_PATH"] = libs + (":" + old if old else "")
    return str(inner), environment


def drop_privileges():
    """For preexec_fn: root without the power to ignore permissions."""
    if os.geteuid() != 0:
        return
    pr_capbset_drop = 24
    for capability in (1, 2):  # DAC_OVERRIDE, DAC_READ_SEARCH
        if ctypes.CDLL(None).prctl(pr_capbset_drop, capability, 0, 0, 0):
            raise OSError("prctl")


def need_permissions(tmp):
    """Skips the case where permissions mean nothing to us."""
    probe = tmp / "probe"
    probe.write_text("x")
    probe.chmod(0)
    try:
        done = subprocess.run(["cat", probe], preexec_fn=drop_privileges,
                              capture_output=True, check=False)
    except subprocess.SubprocessError:
        tap.skip("capabilities cannot be dropped here")
    finally:
        probe.unlink()
    if done.returncode == 0:
        tap.skip("everything is readable here")


def need_nginx():
    """Skips the case where there is no real server."""
    if not nginx.available():
        tap.skip("nginx or openssl is not installed")


def need_attributes(tmp):
    """Skips the case where files cannot say whose they are."""
    probe = tmp / "probe"
    probe.write_text("")
    try:
        os.setxattr(probe, "user.test", b"1")
    except OSError:
        tap.skip("no user attributes here")
    finally:
        probe.unlink()


# --- looking at what came out -----------------------------------------------------

def tree(directory):
    """The relative names of everything but directories below it."""
    directory = pathlib.Path(directory)
    return sorted(str(p.relative_to(directory))
                  for p in directory.rglob("*") if not p.is_dir())


def check_file(path, url, size=1000):
    """The file holds faultd's body of that URL and nothing else."""
    expected = faultbody.body(faultbody.seed_of(url), size)
    found = pathlib.Path(path).read_bytes()
    assert found == expected, (
        f"{path}: {len(found)} bytes, {len(expected)} expected; "
        f"begins with {found[:32]!r}")


def check_name(path):
    """What P-NAME promises for each component."""
    for part in path.split("/"):
        data = os.fsencode(part)
        text = data.decode("utf-8")  # or it fails
        assert 1 <= len(data) <= 255, path
        assert text[0] not in ".-", path
        for char in text:
            category = unicodedata.category(char)
            assert category not in ("Cc", "Cf", "Zl", "Zp"), (path, char)


def check_good(done, n, url, size=1000):
    """Line n is ok, and its file right."""
    record = done.records[n]
    assert record["status"] == "ok", record
    assert record["bytes"] == size, record
    check_file(done.path / record["path"], url, size)


def check_failed(record, cls, http=None):
    """The record is a failure of that class (and status)."""
    assert record["status"] == "failed", record
    assert record.get("error") == cls, record
    assert record.get("message"), record
    if http is not None:
        assert record.get("http") == http, record


def check_same(found, expected):
    """found == expected, or an error that shows both."""
    assert found == expected, f"\nfound    {found!r}\nexpected {expected!r}"


def need_program(*names):
    """Skips the case when one of the programs is missing."""
    for name in names:
        if not shutil.which(name):
            tap.skip(f"{name} is not installed")


def server(**options):
    """A fault server; see support/faultd.py."""
    return faultd.Faultd(**options)
