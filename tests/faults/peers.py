#!/usr/bin/env python3
"""peers - the rows of the matrix that are a line of data, for pfetch and for
what people use instead.

SPDX-License-Identifier: MIT

    PFETCH=build/src/pfetch/pfetch FAULTD=build/tests/faultd/faultd \\
        tests/faults/peers.py [--write] [ROW...]

No test: it measures others.  The faulty URL stands among 19 good ones; each
tool gets the list with a directory of its own, as many retries and the same
patience, and these questions are asked of what it leaves:

    good     are the other 19 there, byte by byte
    file     has the faulty one no file under its name that holds anything but
             its body (where it cannot be had, none at all)
    status   is the exit status 0 if and only if all was had
    time     did it end within 45 s

Rows whose answer is pfetch's own choice are left out: statuses below 400 that
bring no body, limits, names that a server sends.  --write writes PEERS.md.
"""

import argparse
import collections
import concurrent.futures
import contextlib
import importlib
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile

import harness
import common

HERE = pathlib.Path(__file__).resolve().parent
AREAS = ("framing", "bodies", "redirects", "network")
PATIENCE_S = 3  # with a server that is silent
BOUND_S = 45
RETRIES = 2
Outcome = collections.namedtuple("Outcome", "good file marked status")


def rows():
    found = []
    for area in AREAS:
        harness.ALL.clear()
        importlib.import_module(area)
        found += [r for r in harness.ALL if isinstance(r, harness.Row)]
    return found


def is_choice(expected):
    """Whether others may see it another way."""
    if expected.status != "failed":
        return False
    return expected.cls in ("too-large", "proxy") or (
        expected.cls == "http" and expected.http < 400)


# --- the tools ------------------------------------------------------------------

def pfetch(urls, tmp, out):
    common.write_list(tmp / "list", urls)
    return [harness.program()[0], "--no-config", "-q", "-t", "4", "--retries",
            RETRIES, "--retry-delay", "10ms", "--stall-timeout",
            f"{PATIENCE_S}s", "--timeout", "8s", "-o", out, "-i",
            tmp / "list"]


def curl(urls, tmp, out):
    (tmp / "config").write_text("".join(
        f'url = "{url}"\noutput = "{url.rsplit("/", 1)[1]}"\n'
        for url in urls))
    return ["curl", "-q", "-sS", "--parallel", "--parallel-max", "4",
            "--fail", "--remove-on-error", "--location", "--max-redirs", "20",
            "--retry", RETRIES, "--retry-all-errors", "--connect-timeout", PATIENCE_S,
            "--speed-limit", "1", "--speed-time", PATIENCE_S, "--max-time",
            "8", "--create-dirs", "--output-dir", out, "-K", tmp / "config"]


def wget2(urls, tmp, out):
    common.write_list(tmp / "list", urls)
    return ["wget2", "--no-config", "-q", "--max-threads=4",
            f"--tries={RETRIES + 1}", f"--timeout={PATIENCE_S}",
            "--waitretry=1", "--max-redirect=20", "-P", out, "-i", tmp / "list"]


def aria2c(urls, tmp, out):
    common.write_list(tmp / "list", urls)
    return ["aria2c", "--no-conf", "-q", "-j4", f"--max-tries={RETRIES + 1}",
            "--retry-wait=1", f"--timeout={PATIENCE_S}", f"--connect-timeout={PATIENCE_S}",
            "--file-allocation=none", "-d", out, "-i", tmp / "list"]


TOOLS = {"pfetch": pfetch, "curl -Z": curl, "wget2": wget2, "aria2c": aria2c}


# --- a turn ---------------------------------------------------------------------

def run(command, tmp, seconds):
    """The exit status; None: it had to be killed."""
    environment = {**harness.program()[1], "HOME": str(tmp), "LC_ALL": "C"}
    with subprocess.Popen(
            [str(c) for c in command], cwd=tmp, env=environment,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True) as process:
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return None


def body_of(expected):
    return harness.faultbody.body(expected.seed, expected.size)


def read(path):
    try:
        return path.read_bytes()
    except OSError:
        return None


def take_turn(tool, a_row):
    """What becomes of the row with this tool."""
    with tempfile.TemporaryDirectory(prefix="pfetch-peers-") as place, \
            harness.Server(bind="0.0.0.0", mute=True) as server:
        tmp = pathlib.Path(place)
        batch = harness.Batch(tmp, server)
        expected = harness.expected_of(batch, a_row)
        batch.good(harness.BAD - 1, plain=True)
        batch.add(batch.url(a_row.path), expected)
        batch.good(harness.LINES - harness.BAD, plain=True)
        out = tmp / "out"
        status = run(TOOLS[tool]([t.decode() for t, _ in batch.lines], tmp,
                                 out), tmp, BOUND_S)
        good = sum(read(out / e.path) == body_of(e)
                   for _, e in batch.lines if e.path is not None)
        name = batch.lines[harness.BAD - 1][0].decode().split(
            "?")[0].rsplit("/", 1)[1]
        there = read(out / name)
        wanted = body_of(expected) if expected.status == "ok" else None
        return Outcome(good, "right" if there == wanted
                       else "none" if there is None else len(there),
                       (out / (name + ".aria2")).exists(), status)


def words_for(outcome, expected):
    """What is wrong with it; "": nothing."""
    wrong = []
    if outcome.good < harness.LINES - 1:
        wrong.append(f"{harness.LINES - 1 - outcome.good} good ones lost")
    if outcome.file == "none":
        wrong.append("not stored")
    elif outcome.file != "right":
        wrong.append(f"stores {outcome.file} bytes as x"
                     + (" beside x.aria2" if outcome.marked else "")
                     if expected.status == "failed"
                     else f"stores {outcome.file} wrong bytes")
    if outcome.status is None:
        wrong.append("does not end")
    elif (outcome.status == 0) != (expected.status == "ok"):
        wrong.append(f"status {outcome.status}")
    return ", ".join(wrong)


# --- the table ------------------------------------------------------------------

def cell(text):
    return text.replace("|", "\\|").replace("<", "\\<")


def version(tool):
    command = tool.split()[0]
    said = subprocess.run(
        [harness.program()[0] if command == "pfetch" else command,
         "--version"], capture_output=True, text=True, check=True,
        env=harness.program()[1]).stdout.split("\n", 1)[0]
    return next(word for word in said.split() if word[0].isdigit())


HEAD = """\
# The same faults, other tools

Made by `peers.py --write`, which says what is asked, and measured with
{versions}.
Each line is a row of the matrix (HACKING.md) in a batch of 20 URLs. Empty: all is
right. "stores N bytes as x": a URL that cannot be had leaves a file under its final
name, which looks like a download.

| row | what happens | must | {tools} |
|---|---|---|{rule}|
"""


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("row", nargs="*")
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    tools = [t for t in TOOLS if t == "pfetch" or shutil.which(t.split()[0])]
    chosen = []
    for a_row in rows():
        with contextlib.suppress(KeyError, ValueError):
            expected = harness.Batch.expect(
                harness.Batch.__new__(harness.Batch), a_row.path)
            if not is_choice(expected) and a_row.id != "C14" and (
                    not arguments.row or a_row.id in arguments.row):
                chosen.append((a_row, expected))
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        turns = [[pool.submit(take_turn, tool, a_row) for tool in tools]
                 for a_row, _ in chosen]
    lines, right = [], collections.Counter()
    for (a_row, expected), row_turns in zip(chosen, turns):
        answers = [words_for(t.result(), expected) for t in row_turns]
        right.update(t for t, a in zip(tools, answers) if not a)
        must = "be stored" if expected.status == "ok" else "fail"
        lines.append(f"| {a_row.id} | {cell(a_row.what)} | {must} | "
                     + " | ".join(answers) + " |")
    lines.append(f"| | **all right, of {len(chosen)}** | | "
                 + " | ".join(f"**{right[t]}**" for t in tools) + " |")
    text = HEAD.format(
        versions=", ".join(f"{t} {version(t)}" for t in tools),
        tools=" | ".join(tools), rule="|".join("---" for _ in tools)
    ) + "\n".join(lines) + "\n"
    if arguments.write:
        (HERE / "PEERS.md").write_text(text)
    else:
        print(text, end="")


main()
