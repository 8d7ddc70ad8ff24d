#!/usr/bin/env python3
"""rows - the table of the matrix: which test has which row.

SPDX-License-Identifier: MIT

Run as a test it sees that each row of matrix.py has a test, here or
elsewhere, or a reason; that what is named exists; and that README.md has the
table that this makes.  With --table it prints that file, with --write it
writes it.
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
HEAD = """\
# The matrix of faults

One fault in a batch of good lines, and then everything that must hold after
any run: `harness.py` says what. `../faultd/script.h` has the words of the fault
server, `../faultd/truth.py` what each URL must end as, `preload.c` what stands
between the program and the C library. A row is a line of data or a function in
the file of its area; it is tried by its id:

    make -C build/tests check TESTS=faults/framing.py
    PFETCH=build/src/pfetch/pfetch tests/faults/framing.py A05
    PFETCH_CHAOS_SEED=7 PFETCH_CHAOS_LINES=3000 ... tests/faults/chaos.py

Each listed test runs in `make check` or, where it is marked by
`tap.full()`, in `make check-full`; rows that need root, name spaces, mounts or
strace are skipped with their reason where those are missing.

`rows.py --write` makes this file; as a test it sees that nothing is stale.

| row | | what happens | cases | where |
|---|---|---|---|---|
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


def table():
    found = collect()
    lines = []
    for one, (priority, what) in sorted(matrix.ROWS.items()):
        files = found.get(one, {})
        where = [f"`{name}`" for name in files]
        where += [f"`{path}`" + (f" {case.replace('_', ' ')}" if case else "")
                  for path, case in matrix.ELSEWHERE.get(one, ())]
        if not where:
            where = ["open: " + matrix.OPEN.get(one, "no reason")]
        count = sum(files.values())
        text = what.replace("|", "\\|").replace("<", "\\<")
        lines.append(f"| {one} | {priority} | {text} | {count or ''} | "
                     + ", ".join(where) + " |")
    return HEAD + "\n".join(lines) + "\n"


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
    assert (HERE / "README.md").read_text() == table(), (
        "run tests/faults/rows.py --write")


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
        (HERE / "README.md").write_text(table())
    else:
        collect()
        tap._cases[:] = own
        tap.main()
