#!/usr/bin/env python3
"""rows - the table of the matrix: which test has which row.

SPDX-License-Identifier: MIT

Run as a test it sees that each row of matrix.py has a test, here or
elsewhere, or a reason; that what is named exists; and that HACKING.md has the
table that this makes.  With --table it prints it, with --write it writes it
there.
"""

import importlib
import os
import pathlib
import sys

import harness
from harness import tap
import matrix

HERE = pathlib.Path(__file__).resolve().parent
AREAS = ("framing", "bodies", "redirects", "filenames", "continued",
         "storage", "interrupts", "limits", "network", "inputs", "chaos",
         "torture")
HACKING = HERE.parent.parent / "HACKING.md"
BEGIN = "<!-- Made by tests/faults/rows.py --write, from here -->\n"
END = "<!-- to here -->\n"
PEERS = ("curl -Z", "wget2", "aria2c")
HEAD = """\
| row | | what happens | pfetch | cases | where | """ + " | ".join(PEERS) + """ |
|---|---|---|---|---|---|---|---|---|
"""


_found = {}


def collect():
    """{id: {file: number of cases}}"""
    for area in AREAS:
        harness.ALL.clear()
        if area not in sys.modules:
            importlib.import_module(area)
        for a_row in harness.ALL:
            for one in a_row.id.split():
                files = _found.setdefault(one, {})
                files[area + ".py"] = files.get(area + ".py", 0) + 1
    return _found


def peers():
    """{id: ["right of asked" for each peer]}, from what peers.py has found: a
    cell with a text is a fault."""
    cells = {}
    for line in (HERE / "PEERS.md").read_text().splitlines():
        parts = [part.strip() for part in line.split("|")[1:-1]]
        if len(parts) == 4 + len(PEERS) and parts[0] in matrix.ROWS:
            cells.setdefault(parts[0], []).append(parts[4:])
    return {one: [f"{sum(not c[i] for c in asked)} of {len(asked)}"
                  for i in range(len(PEERS))] for one, asked in cells.items()}


def table():
    found, others = collect(), peers()
    lines = []
    for one, (priority, what) in sorted(matrix.ROWS.items()):
        files = found.get(one, {})
        where = [f"`{name}`" for name in files]
        where += [f"`{path}`" + (f" {case.replace('_', ' ')}" if case else "")
                  for path, case in matrix.ELSEWHERE.get(one, ())]
        holds = "holds" if where else "open"
        if not where:
            where = [matrix.OPEN.get(one, "no reason")]
        count = sum(files.values())
        text = what.replace("|", "\\|").replace("<", "\\<")
        lines.append(f"| {one} | {priority} | {text} | {holds} | "
                     f"{count or ''} | {', '.join(where)} | "
                     + " | ".join(others.get(one, [""] * len(PEERS))) + " |")
    return HEAD + "\n".join(lines) + "\n"


def written():
    """HACKING.md in three parts; the second is the table."""
    before, _, rest = HACKING.read_text().partition(BEGIN)
    there, _, after = rest.partition(END)
    return before, there, after


@tap.case
def each_row_has_a_test_or_a_reason(tmp):
    found = collect()
    unknown = set(found) - set(matrix.ROWS)
    assert not unknown, f"rows that are not in matrix.py: {unknown}"
    missing = [one for one in matrix.ROWS if one not in found
               and one not in matrix.ELSEWHERE and one not in matrix.OPEN]
    assert not missing, f"rows without a test: {missing}"
    stale = [one for one in matrix.OPEN if one in found
             or one in matrix.ELSEWHERE]
    assert not stale, f"rows that are not open any more: {stale}"


@tap.case
def tests_elsewhere_exist(tmp):
    for one, places in matrix.ELSEWHERE.items():
        for path, case in places:
            if path.startswith("../.ci") and not (
                    HERE.parent / path).exists():
                continue  # an archive has none
            text = (HERE.parent / path).read_text()
            assert case in text, f"{one}: no {case} in {path}"


@tap.case
def the_table_is_not_stale(tmp):
    assert written()[1] == table(), "run tests/faults/rows.py --write"



@tap.case
def the_harness_sees_what_it_should(tmp):
    """One after the other is broken, by hand, after a good run."""
    with harness.Server() as server:
        batch = harness.Batch(tmp, server)
        batch.good(8)
        done = batch.run()
        batch.check(done)
        first = batch.out / done.records[1]["path"]
        data = first.read_bytes()
        secret = harness.SECRETS["header"]

        def fails(invariant, broken, **more):
            try:
                batch.check(broken, **more)
            except AssertionError as error:
                assert invariant in str(error), (invariant, error)
                return
            raise AssertionError(f"{invariant} was not seen")

        def without(n):
            return {k: r for k, r in done.records.items() if k != n}

        fails("I1", done._replace(records=without(3)))
        fails("'failed'", done._replace(records={
            **done.records, 2: {**done.records[2], "status": "failed"}}))
        first.write_bytes(data[:-1] + b"x")
        fails("I2", done)
        first.write_bytes(data)
        first.chmod(0o600)
        fails("I2", done)
        first.chmod(0o644)
        (batch.out / ".stray.part").write_text("")
        fails("I2", done)
        (batch.out / ".stray.part").unlink()
        for line in ('1 openat(AT_FDCWD</>, "/etc/x", O_WRONLY) = -1 EACCES',
                     f'1 unlinkat(5<{batch.out}>, "../list", 0) = 0',
                     f'1 renameat2(5<{batch.out}>, "a", 6<{tmp}>, "b") = 0',
                     '1 mkdir("/tmp/elsewhere", 0777) = 0'):
            fails("I3", done._replace(trace=line + "\n"))
        fails("I4", done._replace(err=secret.encode()))
        (batch.out / secret).write_text("")
        fails("I4", done)
        (batch.out / secret).unlink()
        fails("I4", done._replace(
            cmdline=harness.SECRETS["password by file"].encode()))
        fails("I5", done._replace(status=1))
        fails("I7", done._replace(err=b"\x1b[31m"))
        fails("I7", done._replace(err=b"\xc2\x9b"))
        fails("I8", done._replace(err=b"ERROR: AddressSanitizer: x"))
        if done.report:
            for at, value in ((1, "9"), (2, "2"), (3, "999999")):
                report = list(done.report)
                report[at] = value
                if at == 3 and ("PFETCH_SLOW" in os.environ
                                or harness.is_sanitized()):
                    continue
                fails("I9", done._replace(report=report))
        batch.check(done)
        try:
            batch.rerun(done, lines=batch.lines + [
                (batch.url("/nonsense=1/y").encode(),
                 harness.Expected("ok"))])
        except AssertionError as error:
            assert "I10" in str(error), error
        else:
            raise AssertionError("I10 was not seen")


if __name__ == "__main__":
    # The areas register cases of their own, which are not run here.
    own = list(tap._cases)
    if sys.argv[1:] == ["--table"]:
        print(table(), end="")
    elif sys.argv[1:] == ["--write"]:
        before, _, after = written()
        HACKING.write_text(before + BEGIN + table() + END + after)
    else:
        collect()
        tap._cases[:] = own
        tap.main()
