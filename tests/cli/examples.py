#!/usr/bin/env python3
"""examples - the programs in tests/examples, built as their readers would.

SPDX-License-Identifier: MIT

Against the library of the build directory; with PFETCH_INSTALLED=1 against
the one that pkg-config finds, which .ci/run uses.  The compiler is $CC, with
$PF_CFLAGS (sanitizers) if that is set.
"""

import os
import pathlib
import re
import shutil
import subprocess

from common import check_same, server, tap

TOP = pathlib.Path(__file__).resolve().parents[2]
EXAMPLES = TOP / "tests/examples"
BUILD = pathlib.Path(os.environ.get("builddir", TOP / "build/tests")).parent
INSTALLED = os.environ.get("PFETCH_INSTALLED") == "1"
LIBS = BUILD / "src/.libs"
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]


def compiler(source):
    """The words of the compiler for a source, or None."""
    words = os.environ.get("CC", "cc").split()
    if source.suffix == ".cc":
        words = ["clang++" if "clang" in words[0] else "g++"]
    return words if shutil.which(words[0]) else None


def flags():
    """(for the compiler, for the linker, environment of the program)"""
    environment = dict(os.environ)
    if INSTALLED:
        found = [subprocess.run(["pkg-config", what, "libpfetch"],
                                capture_output=True, text=True, check=True)
                 .stdout.split() for what in ("--cflags", "--libs")]
        return found[0], found[1], environment
    if not (LIBS / "libpfetch.so").exists():
        tap.skip("no shared library was built")
    old = environment.get("LD_LIBRARY_PATH")
    environment["LD_LIBRARY_PATH"] = str(LIBS) + (":" + old if old else "")
    more = os.environ.get("PF_CFLAGS", "").split()
    return (["-I", str(TOP / "src/include"), *more],
            ["-L", str(LIBS), "-lpfetch", *more], environment)


def build(tmp, name):
    """Compiles an example; what runs it."""
    source = EXAMPLES / name
    words = compiler(source)
    if not words:
        tap.skip(f"no compiler for {name}")
    to_compile, to_link, environment = flags()
    standard = "-std=c++17" if source.suffix == ".cc" else "-std=c11"
    program = tmp / source.stem
    done = subprocess.run(
        [*words, standard, "-O1", *WARNINGS,
         *to_compile, "-o", program, source, *to_link],
        capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

    def run(*arguments, **options):
        return subprocess.run([program, *arguments], env=environment,
                              capture_output=True, text=True, check=False,
                              timeout=120, **options)
    return run


@tap.case
def the_classic(tmp):
    "download: bodies as they come, a retry, a password, a failure"
    run = build(tmp, "download.c")
    with server() as s:
        urls = [s.url(f"/auth=me:secret/delay=0-30/size={i}/d{i}")
                for i in range(1, 60)]
        urls += [s.url("/fail=2:500/size=700/again"), s.url("/status=404/no")]
        done = run("me", "secret", input="\n".join(urls) + "\n")
    assert done.returncode == 0, done
    lines = [f"{u}: {i + 1} bytes" for i, u in enumerate(urls[:59])]
    lines += [f"{urls[59]}: 700 bytes", f"{urls[60]}: failed: 404 Not Found"]
    check_same(sorted(done.stdout.splitlines()), sorted(lines))
    check_same(done.stderr.splitlines(), [f"{i} done" for i in range(1, 62)])
    # "about 40 lines", without comments and what is between.
    code = re.sub(r"/\*.*?\*/", "", (EXAMPLES / "download.c").read_text(),
                  flags=re.S)
    main = code[code.index("int main"):]
    assert len([x for x in main.splitlines() if x.strip()]) <= 40


@tap.case
def stop_at_the_first_failure(tmp):
    "first_failure: says it, and ends before the rest"
    run = build(tmp, "first_failure.c")
    with server() as s:
        bad = s.url("/status=404/bad")
        done = run(bad, *[s.url(f"/delay=100/size=10/f{i}")
                          for i in range(1000)])
    assert done.returncode == 1, done
    first, *counts = done.stdout.splitlines()
    check_same(first, f"{bad}: http: 404 Not Found")
    numbers = dict(line.split() for line in counts)
    assert int(numbers["failed"]) >= 1
    assert int(numbers["not-attempted"]) + int(numbers["ok"]) > 0
    assert int(numbers["ok"]) < 900, counts


@tap.case
def in_the_order_of_the_list(tmp):
    "in_order: as given, failures in their place"
    run = build(tmp, "in_order.c")
    with server() as s:
        urls = [s.url("/status=404/x") if i % 7 == 3 else
                s.url(f"/delay=0-50/size={i}/o{i}") for i in range(200)]
        done = run(*urls)
    assert done.returncode == 0, done
    check_same(done.stdout.splitlines(),
               [f"{i + 1} {u} {'failed' if i % 7 == 3 else i}"
                for i, u in enumerate(urls)])


@tap.case
def two_at_once(tmp):
    "two: each gets every second one"
    run = build(tmp, "two.c")
    with server() as s:
        urls = [s.url("/status=404/x") if i in (10, 20, 30, 31) else
                s.url(f"/delay=0-10/size=100/t{i}") for i in range(301)]
        done = run(*urls)
    assert done.returncode == 0, done
    check_same(done.stdout.splitlines(),
               ["1: 148 ok, 3 failed", "2: 149 ok, 1 failed"])


@tap.case
def a_handler_in_cplusplus(tmp):
    "handler: a class, C++17, bodies of several pieces"
    run = build(tmp, "handler.cc")
    with server() as s:
        urls = [s.url(f"/delay=0-20/size={i * 30001}/c{i}")
                for i in range(30)]
        done = run(*urls, s.url("/status=404/none"))
    assert done.returncode == 0, done
    check_same(sorted(done.stdout.splitlines()),
               sorted(f"{u} {i * 30001}" for i, u in enumerate(urls)))


@tap.case
def the_headers_compile_as_c_and_as_cplusplus(tmp):
    "each public header alone, as C11, C17 and C++17, without a warning"
    to_compile, _, _ = flags()
    for header in ("pfetch.h", "pfetch_handlers.h"):
        for name, standards in (("h.c", ("c11", "c17")),
                                ("h.cc", ("c++17", "c++20"))):
            source = tmp / name
            source.write_text(f"#include <{header}>\n"
                              "int main(void) { return 0; }\n")
            words = compiler(source)
            if not words:
                continue
            for standard in standards:
                done = subprocess.run(
                    [*words, f"-std={standard}", *WARNINGS, *to_compile,
                     "-fsyntax-only", source],
                    capture_output=True, text=True, check=False)
                assert done.returncode == 0, done.stderr


tap.main()
