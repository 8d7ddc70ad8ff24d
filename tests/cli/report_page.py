#!/usr/bin/env python3
"""report_page - the page that pfetch-report makes of records.

SPDX-License-Identifier: MIT

PFETCH_REPORT names the script, else that of the build directory is taken.
"""

import html.parser
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time
import xml.etree.ElementTree as ET

import common
from common import check_same, fetch, tap

TOP = pathlib.Path(__file__).resolve().parents[2]
REPORT = os.environ.get("PFETCH_REPORT",
                        str(TOP / "build/scripts/pfetch-report"))
NAME = os.path.basename(REPORT)
VOID = {"meta", "br", "link", "img", "input", "hr"}
# What HTML lets one leave out.
OPTIONAL = {"tr", "td", "th", "tbody", "thead"}


# --- running, and reading a page --------------------------------------------------

def need_tools():
    for tool in ("jq", "gnuplot"):
        if not shutil.which(tool):
            tap.skip(f"{tool} is not installed")


def report(*arguments, **options):
    """Runs the script to its end."""
    options.setdefault("stdin", subprocess.DEVNULL)
    if "input" in options:
        del options["stdin"]
    return subprocess.run([REPORT, *map(str, arguments)], check=False,
                          capture_output=True, text=True, **options)


class Page(html.parser.HTMLParser):
    """A page: its text, elements, attributes; each SVG as it stands."""

    def __init__(self, source):
        super().__init__()
        self.source = source
        self.open, self.tags, self.attributes = [], [], []
        self.words = []
        self.feed(source)
        self.close()
        left = [tag for tag in self.open if tag not in OPTIONAL]
        assert not left, f"never closed: {left}"
        self.text = re.sub(r"\s+", " ", "".join(self.words))

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *attribute) for attribute in attrs]
        if tag not in VOID:
            self.open.append(tag)
        if tag in ("td", "th", "tr", "p", "br"):
            self.words.append(" ")

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *attribute) for attribute in attrs]

    def handle_endtag(self, tag):
        while self.open and self.open[-1] != tag and \
                self.open[-1] in OPTIONAL:
            self.open.pop()
        assert self.open and self.open[-1] == tag, (tag, self.open)
        self.open.pop()

    def handle_data(self, data):
        if "style" not in self.open:
            self.words.append(data)

    def svgs(self):
        """Each as a tree; it fails if one is not well-formed."""
        return [ET.fromstring(text) for text in
                re.findall(r"<svg\b.*?</svg>", self.source, re.S)]

    def rows(self, table):
        """The texts of the cells of a table, by its class."""
        body = re.search(rf'<table class="{table}">.*?<tbody>(.*?)</tbody>',
                         self.source, re.S)
        return [[re.sub(r"<[^>]*>", " ", cell).replace("&nbsp;", " ").strip()
                 for cell in re.split(r"<t[dh][^>]*>", row)[1:]]
                for row in body.group(1).split("<tr>")[1:]] if body else []


def page_of(tmp, *arguments):
    """The page of records, which must be made without a word."""
    done = report("-o", tmp / "page.html", *arguments)
    check_same((done.returncode, done.stdout, done.stderr), (0, "", ""))
    return Page((tmp / "page.html").read_text(encoding="utf-8"))


def record(n, status="ok", **more):
    """A record as pfetch writes it."""
    made = {"schema": 1, "n": n, "list": "list", "line": n,
            "url": f"http://h.example/{n}", "status": status}
    if status == "ok":
        made.update(bytes=1000, http=200)
    if status in ("ok", "failed"):
        made.update(attempts=1, start="2026-01-31T12:00:%02d.000Z" % (n % 60),
                    ms={"queue": 1.0, "total": 10.0 * n})
    made.update(more)
    return made


def write(path, records):
    path.write_text("".join(r if isinstance(r, str)
                            else json.dumps(r, separators=(",", ":")) + "\n"
                            for r in records))
    return path


# --- pages ------------------------------------------------------------------------

@tap.case(timeout=60)
def a_run_with_failures(tmp):
    "counts, reasons, hosts, retries; text of URLs never becomes markup"
    need_tools()
    with common.server(bind="0.0.0.0") as server:
        evil = "<script>alert(1)</script>&amp;'\""
        lines = [server.url(f"/size=2048/{n}") for n in range(20)]
        lines += [server.url(f"/status=404/{n}", host="127.0.0.2")
                  for n in range(3)]
        lines += [server.url("/status=404/x?" + evil),
                  server.url("/fail=1:503/y"), "no <b>url</b>"]
        done = fetch(tmp, *common.SOON, lines=lines)
        check_same(done.status, 1)
    page = page_of(tmp, tmp / "results", "--title", "A <i>title</i> \\n")
    assert "26 lines: 21 ok, 5 failed, 0 skipped; " in page.text, page.text
    assert "1 retry of 1 URL." in page.text, page.text
    check_same([row[:2] for row in page.rows("reasons")],
               [["http 404", "4"], ["url", "1"]])
    check_same([row[:4] for row in page.rows("hosts")],
               [["127.0.0.2", "3", "3", "100 %"], ["(no URL)", "1", "1", "100 %"],
                ["127.0.0.1", "1", "22", "4.55 %"]])
    check_same(len(page.rows("slowest")), 20)
    for tag in ("script", "b.url", "i.title"):
        assert tag not in page.tags
    assert "<script" not in page.source
    assert "A <i>title</i> \\n" in page.text, page.text[:200]
    assert "no <b>url</b>" in page.text, page.text
    check_same(len(page.svgs()), 4)


@tap.case
def the_page_stands_alone(tmp):
    "no script, no address, no other file; SVG well-formed, no name twice"
    need_tools()
    page = page_of(tmp, write(tmp / "r", [record(n) for n in range(1, 50)]))
    for tag, name, value in page.attributes:
        assert name not in ("href", "src", "xlink:href", "srcset", "data") \
            and not name.startswith("on"), (tag, name, value)
        assert "url(" not in (value or ""), (tag, name, value)
    assert not {"script", "link", "img", "iframe", "object"} & set(page.tags)
    assert "@import" not in page.source and "url(" not in page.source
    names = [value for _, name, value in page.attributes if name == "id"]
    check_same(len(names), len(set(names)))
    for svg in page.svgs():
        assert svg.get("viewBox") and svg.get("aria-label"), svg.attrib
    check_same([svg.get("aria-label") for svg in page.svgs()],
               ["Lines finished", "Throughput", "Workers busy", "Latency"])


@tap.case
def the_figures_are_right(tmp):
    "sums, times, percentiles"
    need_tools()
    records = [record(n, start="2024-02-29T23:59:59.500Z",
                      ms={"total": float(n)}) for n in range(1, 1001)]
    page = page_of(tmp, write(tmp / "r", records))
    assert ("1,000 lines: 1,000 ok, 0 failed, 0 skipped; 977 KiB, from "
            "2024-02-29 23:59:59 to 2024-03-01 00:00:00 UTC, 1.00 s "
            "(1000 files/s, 977 KiB/s).") in page.text, page.text[:300]
    row = page.rows("latency")[0]
    check_same(row[:3] + row[-1:], ["total", "1,000", "1.00 ms", "1.00 s"])
    for found, expected in zip(row[3:7], (500, 900, 990, 999)):
        value = float(found.split()[0]) * (1000 if found.endswith(" s") else 1)
        assert abs(value - expected) < .005 * expected + .5, row
    check_same([r[0] for r in page.rows("slowest")][:2], ["1.00 s", "999 ms"])


@tap.case
def lines_that_are_no_records(tmp):
    "counted and named; a torn end does not take the next file along"
    need_tools()
    deep = "[" * 20000 + "\n"
    write(tmp / "a", [record(1), "\n", '{"schema":1,"n":2,\n', deep,
                      '{"schema":1,"n":3,"status":"ok","url":["x"]}\n',
                      '{"schema":1,"n":4,"status":"ok","ms":7}\n',
                      '{"schema":2,"n":4,"status":"ok"}\n', "17\n",
                      record(5, "failed", error="dns",
                             message="\0\t\\n\u202e"),
                      '{"schema":1,"n":6,"stat'])
    write(tmp / "b<", [record(7)])
    page = page_of(tmp, tmp / "a", tmp / "b<")
    assert "3 lines: 2 ok, 1 failed" in page.text, page.text
    assert "7 lines of the input are no record" in page.text, page.text
    for line in (3, 4, 5, 6, 7, 8, 10):
        assert f"{tmp}/a:{line}" in page.text, (line, page.text)
    assert f"{tmp}/a:2," not in page.text and "b<" not in page.text


@tap.case
def runs_that_continued_each_other(tmp):
    "the last record of a line counts; what was ok stays so"
    need_tools()
    unread = {"schema": 1, "n": 5, "list": "list", "status": "not-attempted",
              "from_line": 5}
    first = [record(1), record(2, "failed", error="timeout"),
             record(3, "failed", error="dns"), record(4, "not-attempted"),
             unread]
    write(tmp / "r", first)
    page = page_of(tmp, tmp / "r")
    assert "4 lines: 1 ok, 2 failed, 0 skipped, 1 not-attempted" \
        in page.text, page.text
    assert "from line 5 of the input on (list) is not counted" in page.text
    write(tmp / "r", first + [record(1, "skipped"), record(2), record(3, "failed",
                              error="tls"), record(4), record(5)])
    page = page_of(tmp, tmp / "r")
    assert "5 lines: 4 ok, 1 failed, 0 skipped; 3.91 KiB" in page.text, \
        page.text
    assert "4 of 9 records are of a line that has an earlier one" in page.text, page.text
    assert "is not counted" not in page.text, page.text
    check_same([r[:2] for r in page.rows("reasons")], [["tls", "1"]])


@tap.case
def pauses_are_cut_out(tmp):
    "a day between two runs does not flatten both; times and rates neither"
    need_tools()
    days = ["2026-01-%02dT12:00:%02d.000Z" % (day, second)
            for day in (1, 2, 4) for second in range(20)]
    records = [record(n, start=start, ms={"total": 1000.0})
               for n, start in enumerate(days, 1)]
    page = page_of(tmp, write(tmp / "r", reversed(records)))
    assert ("from 2026-01-01 12:00:00 to 2026-01-04 12:00:20 UTC, 1 min 0 s "
            "and 2 pauses, 3 d 0 h, not counted (1.00 files/s") in page.text, \
        page.text[:300]
    assert "since the first start, without pauses" in page.text
    # A minute is no pause where all lasts an hour.
    records = [record(n, start="2026-01-01T%02d:%02d:00.000Z" %
                      (n // 60, n % 60), ms={"total": 1000.0})
               for n in range(0, 180, 2)]
    page = page_of(tmp, write(tmp / "r", records))
    assert "pause" not in page.text, page.text[:300]


@tap.case
def nothing_to_draw(tmp):
    "an empty file, and records without times: a page all the same"
    need_tools()
    page = page_of(tmp, write(tmp / "r", []))
    assert "0 lines: 0 ok" in page.text and "no records" in page.text
    check_same(page.svgs(), [])
    page = page_of(tmp, write(tmp / "r", [record(1, "skipped")]))
    assert "1 line: 0 ok, 0 failed, 1 skipped" in page.text, page.text
    page = page_of(tmp, write(tmp / "r", [record(
        1, "failed", error="dns", ms={"total": 0.0})]))
    assert "1 line: 0 ok, 1 failed" in page.text, page.text
    check_same(len(page.svgs()), 4)


# --- input and output -------------------------------------------------------------

@tap.case
def standard_input_and_output(tmp):
    need_tools()
    write(tmp / "r", [record(1), record(2)])
    from_file = report(tmp / "r", "--title=x")
    from_pipe = report("-", "-o", "-", "--title", "x",
                       input=(tmp / "r").read_text())
    check_same((from_file.returncode, from_pipe.returncode), (0, 0))
    check_same(from_file.stdout, from_pipe.stdout)
    assert "2 lines: 2 ok" in Page(from_pipe.stdout).text
    with open("/dev/full", "w") as full:
        done = subprocess.run([REPORT, tmp / "r"], stdout=full, check=False,
                              stderr=subprocess.PIPE, text=True)
    check_same(done.returncode, 3)
    assert "cannot write to standard output" in done.stderr, done.stderr


@tap.case
def a_page_is_whole_or_not_there(tmp):
    "replaced at once, with the permissions of any new file; or left alone"
    need_tools()
    write(tmp / "-r =1", [record(1)])
    (tmp / "page").write_text("old")
    os.umask(0o027)
    done = report("-opage", "--", "-r =1", cwd=tmp)
    check_same((done.returncode, done.stderr), (0, ""))
    check_same((tmp / "page").stat().st_mode & 0o7777, 0o640)
    assert (tmp / "page").read_text().endswith("</html>\n")
    check_same(sorted(p.name for p in tmp.iterdir()), ["-r =1", "page"])
    # A gnuplot that fails, and one that is ended.
    (tmp / "bin").mkdir()
    for text, status in (("exit 1", 3), ("kill -TERM $PPID; sleep 1", 143)):
        (tmp / "bin/gnuplot").write_text(f"#!/bin/sh\n{text}\n")
        (tmp / "bin/gnuplot").chmod(0o755)
        (tmp / "page").write_text("old")
        (tmp / "tmp").mkdir(exist_ok=True)
        done = report("-o", "page", "./-r =1", cwd=tmp,
                      env=dict(os.environ, TMPDIR=str(tmp / "tmp"),
                               PATH=f"{tmp}/bin:{os.environ['PATH']}"))
        assert done.returncode in (status, -signal.SIGTERM), done
        check_same((tmp / "page").read_text(), "old")
        check_same(list((tmp / "tmp").iterdir()), [])


# --- what can be wrong ------------------------------------------------------------

@tap.case
def a_missing_program(tmp):
    "status 3, with what to install"
    (tmp / "bin").mkdir()
    for tool in ("awk", "sed", "sort", "cat", "mktemp", "rm", "sh", "ls",
                 "cut", "grep", "touch", "chmod", "mv", "tail"):
        (tmp / "bin" / tool).symlink_to(shutil.which(tool))
    write(tmp / "r", [record(1)])
    for missing, package in (("jq", "jq"), ("gnuplot", "gnuplot-nox")):
        done = report(tmp / "r", "-o", tmp / "page",
                      env={"PATH": str(tmp / "bin")})
        check_same((done.returncode, done.stdout), (3, ""))
        assert done.stderr.startswith(f"{NAME}: {missing} is missing: ") and \
            package in done.stderr, done.stderr
        assert not (tmp / "page").exists()
        (tmp / "bin" / missing).write_text("#!/bin/sh\nexit 1\n")
        (tmp / "bin" / missing).chmod(0o755)
    done = report(tmp / "r", "-o", tmp / "page", env={"PATH": str(tmp / "bin")})
    check_same(done.returncode, 3)
    assert "jq failed" in done.stderr, done.stderr


@tap.case
def usage(tmp):
    "status 2, nothing written; --help and --version"
    write(tmp / "r", [record(1)])
    for wrong in ([], ["-o"], ["-o", tmp / "p"], ["--frobnicate", tmp / "r"],
                  [tmp / "none"], [tmp], [tmp / "r", "-o", tmp],
                  [tmp / "r", "-o", tmp / "r"], [tmp / "r", "--output="]):
        done = report(*wrong)
        check_same((wrong, done.returncode, done.stdout), (wrong, 2, ""))
        said = done.stderr.splitlines()
        assert said[0].startswith(NAME + ": "), said
        check_same(said[1:], [f"Try '{NAME} --help'"])
    check_same(len((tmp / "r").read_text().splitlines()), 1)
    check_same([p.name for p in tmp.iterdir()], ["r"])
    done = report("--help")
    check_same((done.returncode, done.stderr), (0, ""))
    assert done.stdout.startswith(f"Usage: {NAME} "), done.stdout
    version = tap.run("--version").stdout.split()[1]
    check_same(report("--version").stdout, f"{NAME} {version}\n")


@tap.case(timeout=120)
def many_records(tmp):
    "100,000 of them, in bounded time"
    need_tools()
    if not tap.full():
        tap.skip("only in check-full")
    write(tmp / "r", (record(n, url=f"http://h{n % 999}.example/{n}")
                      for n in range(1, 100001)))
    begun = time.monotonic()
    page = page_of(tmp, tmp / "r")
    assert "100,000 lines: 100,000 ok" in page.text
    assert time.monotonic() - begun < 60 * tap.SLOW


tap.main()
