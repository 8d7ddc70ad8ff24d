#!/usr/bin/env python3
"""templates - names that the user or the server gives.

SPDX-License-Identifier: MIT

out=, --name TEMPLATE, --fan-out and --content-disposition, alone and
together.
"""

import hashlib
import os
import re
import urllib.parse

import common
from common import (check_failed, check_good, check_name, check_same, fetch,
                    need_attributes, tap, tree)


def paths(done):
    return [done.records[n].get("path") for n in sorted(done.records)]


def statuses(done):
    return [done.records[n]["status"] for n in sorted(done.records)]


# --- out= -------------------------------------------------------------------------

@tap.case
def out_is_obeyed(tmp):
    "in sub-directories too, with every way of naming, and found again"
    need_attributes(tmp)
    with common.server() as server:
        lines = [server.url("/a") + "\tout=x/y/z.bin",
                 server.url("/b"),
                 server.url("/c") + "\tid=5\tout=c c.bin",
                 server.url("/d") + "\tout=x/d"]
        for i, more in enumerate(([], ["--name", "path"],
                                  ["--name", "number"],
                                  ["--name", "{n}-{base}"],
                                  ["--fan-out", "16"])):
            done = fetch(tmp, *more, lines=lines, out=f"o{i}")
            check_same(done.status, 0)
            check_same([p for n, p in enumerate(paths(done)) if n != 1],
                       ["x/y/z.bin", "c c.bin", "x/d"])
            for n, url in ((1, "/a"), (3, "/c"), (4, "/d")):
                check_good(done, n, url)
            check_same(tree(done.path), sorted(paths(done)))
            server.reset()
            done = fetch(tmp, *more, lines=lines, out=f"o{i}")
            check_same(statuses(done), ["skipped"] * 4)
            check_same(server.stats()["requests"], 0)


@tap.case
def out_that_is_refused(tmp):
    "class name; the other lines are fetched, and nothing is outside"
    wrong = ["../x", "/abs", "a/../b", "a//b", "", ".", "..", "./x", "x/",
             "a/..", ".hidden", ".x.part", "d/.x.1.part", "-x", "a/-x",
             "l" * 241, "d/" + "l" * 300, "a/" * 1000 + "x",
             "\u202ex", "a\u200bb", "x\u0085"]
    with common.server() as server:
        (tmp / "out").mkdir()
        lines = []
        for i, name in enumerate(wrong):
            lines += [server.url(f"/bad{i}") + "\tout=" + name,
                      server.url(f"/good{i}")]
        done = fetch(tmp, lines=lines, out="out/deep")
        check_same(done.status, 1)
        for i in range(len(wrong)):
            check_failed(done.records[2 * i + 1], "name")
            check_good(done, 2 * i + 2, f"/good{i}")
        check_same(tree(done.path),
                   sorted(f"good{i}" for i in range(len(wrong))))
        check_same(sorted(p.name for p in (tmp / "out").iterdir()), ["deep"])
        check_same(sorted(p.name for p in tmp.iterdir()),
                   ["list", "out", "results"])
        # Not UTF-8: the list is written as bytes.
        (tmp / "list").write_bytes(server.url("/b").encode()
                                   + b"\tout=\xff\n")
        done = fetch(tmp, "-i", str(tmp / "list"))
        check_failed(done.records[1], "name")


@tap.case
def out_that_meets_another_name(tmp):
    "the later line fails, whichever of them is the given one"
    with common.server() as server:
        def url(n, path="/x"):
            return server.url(f"/seed={n}{path}")
        lines = [url(1) + "\tout=a",
                 url(2) + "\tout=a",      # equal out=
                 url(3, "/b"),
                 url(4) + "\tout=b",      # a name already given
                 url(5) + "\tout=c.txt",
                 url(6, "/c.txt"),        # our own name: numbered
                 url(7) + "\tout=c.1.txt",
                 url(8) + "\tout=d/e",
                 url(9) + "\tout=d",      # d is a directory
                 url(10, "/d"),           # the same
                 url(11) + "\tout=a/f"]   # a is a file
        done = fetch(tmp, lines=lines)
        check_same(done.status, 1)
        check_same(paths(done), ["a", None, "b", None, "c.txt", "c.1.txt",
                                 None, "d/e", None, None, None])
        for n in (2, 4, 7, 9, 10, 11):
            check_failed(done.records[n], "name")
        for n in (1, 3, 5, 6, 8):
            check_good(done, n, f"/seed={n}/x")
        check_same(tree(done.path), ["a", "b", "c.1.txt", "c.txt", "d/e"])


@tap.case
def out_and_numbers(tmp):
    "--name number: neither gets the file of the other, --exist overwrite too"
    with common.server() as server:
        lines = [server.url("/a"),
                 server.url("/b") + "\tout=1",    # line 1 has it
                 server.url("/c") + "\tout=5",
                 server.url("/d"),
                 server.url("/e"),                # 5 is taken
                 server.url("/f") + "\tout=4",
                 server.url("/g") + "\tout=100",
                 server.url("/h") + "\tout=d/1"]
        for out in ("auto", "overwrite"):
            done = fetch(tmp, "--name", "number", "--exist", out,
                         lines=lines, out=out)
            check_same(paths(done), ["1", None, "5", "4", "5.1", None, "100",
                                     "d/1"])
            check_failed(done.records[2], "name")
            check_failed(done.records[6], "name")
            for n, url in ((1, "/a"), (3, "/c"), (4, "/d"), (5, "/e"),
                           (7, "/g"), (8, "/h")):
                check_good(done, n, url)


@tap.case
def one_url_under_several_names(tmp):
    "out= that differs is another line; a line that stands there twice is not"
    with common.server() as server:
        url = server.url("/a")
        lines = [url, url + "\tout=b", url + "\tout=c", url,
                 url + "\tout=b", url + "\tout=a"]
        done = fetch(tmp, lines=lines)
        check_same(statuses(done), ["ok", "ok", "ok", "skipped", "skipped",
                                    "failed"])
        assert "line 1" in done.records[4]["message"], done.records[4]
        assert "line 2" in done.records[5]["message"], done.records[5]
        check_failed(done.records[6], "name")
        check_same(tree(done.path), ["a", "b", "c"])
        check_same(server.hits("/a"), 3)


@tap.case
def out_where_something_is(tmp):
    "another's file is left alone and the next number used; --exist says else"
    need_attributes(tmp)
    with common.server() as server:
        line = server.url("/a") + "\tout=d/x.txt"
        for mode, path in (("auto", "d/x.1.txt"), ("skip", "d/x.txt"),
                           ("overwrite", "d/x.txt"), ("error", None)):
            (tmp / mode / "d").mkdir(parents=True)
            (tmp / mode / "d/x.txt").write_text("keep")
            done = fetch(tmp, "--exist", mode, lines=[line], out=mode)
            check_same(done.records[1].get("path"), path)
            kept = (tmp / mode / "d/x.txt").read_text() == "keep"
            check_same(kept, mode != "overwrite")
        done = fetch(tmp, lines=[line], out="auto")
        check_same((done.records[1]["status"], done.records[1]["path"]),
                   ("skipped", "d/x.1.txt"))


# --- templates --------------------------------------------------------------------

@tap.case
def words_of_a_template(tmp):
    with common.server() as server:
        host = "127.0.0.1:%d" % server.ports["plain"]
        url = server.url("/dir/sub/file.tar.gz?q=1")
        digest = hashlib.sha256(url.encode()).hexdigest()[:32]
        for i, (template, path) in enumerate((
                ("{host}/{path}", host + "/dir/sub/file.tar.gz?q=1"),
                ("{path}", "dir/sub/file.tar.gz?q=1"),
                ("{n}-{base}", "1-file.tar.gz?q=1"),
                ("{stem}{ext}", "file.tar.gz"),
                ("{stem}_{n}.{ext}", "file.tar_1.gz"),
                ("{hash}{ext}", digest + ".gz"),
                ("x{{{n}}}", "x{1}"),
                ("a/b/{base}", "a/b/file.tar.gz?q=1"))):
            done = fetch(tmp, "--name", template, url, out=f"o{i}")
            check_same(done.status, 0)
            check_same(paths(done), [path])
            check_same(tree(done.path), [path])
            check_good(done, 1, "/file.tar.gz?q=1")


@tap.case
def templates_that_are_none(tmp):
    "usage errors, before anything is made or asked for"
    with common.server() as server:
        for template in ("", "{", "}", "{n", "{nn}", "{}", "/{base}", "../{n}",
                         "a/../{n}", "{n}/", "a//{n}", "./{n}", "-{n}",
                         "{n}}", "{HOST}", "basenam", "..", "{n}\x1b"):
            done = fetch(tmp, "--name", template, server.url("/a"))
            check_same((template, done.status), (template, 2))
            assert "--name" in done.err, done.err
            assert "\x1b" not in done.err
        assert not (tmp / "out").exists()
        check_same(server.stats()["requests"], 0)


@tap.case
def templates_and_equal_names(tmp):
    "numbered in list order, found again, also in other order; --exist"
    need_attributes(tmp)
    with common.server() as server:
        lines = [server.url(f"/seed={i}/d{i}/name.bin") for i in range(40)]
        done = fetch(tmp, "--name", "all/{stem}.dat", lines=lines)
        check_same(done.status, 0)
        check_same(paths(done), ["all/name.dat"] + [f"all/name.{i}.dat"
                                                   for i in range(1, 40)])
        for i in range(40):
            check_good(done, i + 1, f"/seed={i}/x")
        server.reset()
        before = paths(done)
        done = fetch(tmp, "--name", "all/{stem}.dat", lines=lines[::-1])
        check_same(paths(done), before[::-1])
        check_same(statuses(done), ["skipped"] * 40)
        check_same(server.stats()["requests"], 0)
        done = fetch(tmp, "--name", "all/{stem}.dat", "--exist", "error",
                     lines=lines[:1])
        check_failed(done.records[1], "exists")


@tap.case
def templates_with_a_number(tmp):
    "{n} gives each line a file of its own"
    with common.server() as server:
        lines = [server.url("/a"), server.url("/b"), server.url("/a")]
        done = fetch(tmp, "--name", "{n}{base}", lines=lines)
        check_same(paths(done), ["1a", "2b", "3a"])
        check_same(statuses(done), ["ok"] * 3)


@tap.case
def templates_that_get_wild_urls(tmp):
    "every component is a decent one, inside"
    wild = ["/..%2f..%2fevil", "/%2e%2e", "/.bashrc", "/-rf", "/%1b[31mred",
            "/a%00b", "/x%e2%80%aegpj.exe", "/bad%ff%fe", "/" + "l" * 300,
            "/" + "%c3%a9" * 200 + ".tar.gz", "/q?a=/../../x", "/",
            "/" + "%e4%b8%ad" * 255, "/" + "m" * 4096, "/" + "d/" * 200 + "x",
            "/x." + "e" * 15, "/x." + "e" * 300, "/.x.part"]
    with common.server() as server:
        lines = [server.url(path) for path in wild]
        for i, template in enumerate(("{stem}{ext}", "{path}-{n}.{ext}",
                                      "{ext}/{stem}/{base}", "{n}/{path}",
                                      "{stem}{stem}{ext}{base}")):
            done = fetch(tmp, "--name", template, "--fan-out", "4",
                         lines=lines, out=f"o/{i}" if i else "o")
            found = []
            for n, record in done.records.items():
                if record["status"] != "ok":
                    assert record["error"] in ("http", "name"), record
                    continue
                check_name(record["path"])
                found.append(record["path"])
            assert len(found) >= len(wild) - 3, done.records
            check_same(tree(done.path), sorted(found))
            if i == 0:
                for name in tree(done.path):
                    (done.path / name).unlink()


# --- fan-out ------------------------------------------------------------------------

@tap.case
def fan_out_spreads(tmp):
    "hexadecimal directories of one width, by the URL alone, found again"
    need_attributes(tmp)
    with common.server() as server:
        lines = [server.url(f"/size=20/seed={i}/f") for i in range(300)]
        lines += [server.url("/size=20/own") + "\tout=given/x"]
        seen = []
        for out, threads in (("one", "1"), ("two", "16")):
            done = fetch(tmp, "--fan-out", "20", "-t", threads, lines=lines,
                         out=out)
            check_same(done.status, 0)
            seen.append(paths(done))
            check_same(tree(done.path), sorted(paths(done)))
        check_same(seen[0], seen[1])
        check_same(seen[0].pop(), "given/x")
        used = {path.split("/")[0] for path in seen[0]}
        assert used <= {f"{i:02x}" for i in range(20)}, used
        assert len(used) == 20, used
        for line, path in zip(lines, seen[0]):
            digest = hashlib.sha256(line.encode()).digest()
            number = int.from_bytes(digest[:4], "big") * 20 >> 32
            check_same(path.split("/")[0], f"{number:02x}")
        server.reset()
        done = fetch(tmp, "--fan-out", "20", lines=lines[::-1], out="two")
        check_same(set(statuses(done)), {"skipped"})
        check_same(paths(done)[1:], seen[0][::-1])
        check_same(server.stats()["requests"], 0)


@tap.case
def fan_out_with_every_name(tmp):
    with common.server() as server:
        host = "127.0.0.1:%d" % server.ports["plain"]
        url = server.url("/d/a.txt")
        digest = hashlib.sha256(url.encode()).hexdigest()
        for mode, rest in (("basename", "a.txt"), ("hash", digest[:32]),
                           ("number", "1"), ("path", host + "/d/a.txt"),
                           ("{n}/{base}", "1/a.txt")):
            done = fetch(tmp, "--fan-out", "256", "--name", mode, url,
                         out=mode.replace("/", "_"))
            check_same(paths(done), [digest[:2] + "/" + rest])
        done = fetch(tmp, "--fan-out", "65536", url, out="many")
        check_same(paths(done), [digest[:4] + "/a.txt"])
        for wrong in ("-1", "65537", "x", "16x"):
            check_same(fetch(tmp, "--fan-out", wrong, url).status, 2)


# --- Content-Disposition --------------------------------------------------------------

def sent(server, value, rest="/planned.bin"):
    """A URL whose answer has that Content-Disposition."""
    value = urllib.parse.quote(value, safe="")
    return server.url(f"/header=Content-Disposition:{value}{rest}")


SENT = [
    ('attachment; filename="report.pdf"', "report.pdf"),
    ("attachment; filename=plain.txt", "plain.txt"),
    ("attachment; filename=x; filename*=UTF-8''%e2%82%ac%20rates", "\u20ac rates"),
    ("attachment; filename*=iso-8859-1''caf%e9", "caf\u00e9"),
    ('attachment; filename="../../evil"', "evil"),
    ('attachment; filename="..\\\\..\\\\evil2"', "evil2"),
    ('attachment; filename="/etc/passwd"', "passwd"),
    ('attachment; filename=".bashrc"', "%2Ebashrc"),
    ('attachment; filename=".x.part"', "%2Ex.part"),
    ('attachment; filename="-rf"', "%2Drf"),
    ('attachment; filename="a;b"', "a;b"),
    ('attachment; filename="a\x1b[31m"', "a%1B[31m"),
    ("attachment; filename*=UTF-8''a%00b", "planned.bin"),
    ("attachment; filename*=UTF-8''%e2%80%aeb", "%E2%80%AEb"),
    ("attachment", "planned.bin"),
    ('attachment; filename=""', "planned.bin"),
    ('attachment; filename=".."', "planned.bin"),
    ('attachment; filename="' + "x" * 2000 + '"', "planned.bin"),
]


@tap.case
def disposition_names_the_file(tmp):
    "through the safe function; what is none leaves the planned name"
    with common.server() as server:
        for i, (value, name) in enumerate(SENT):
            url = sent(server, value)
            done = fetch(tmp, "--content-disposition", url, out=f"o{i}")
            check_same((value, done.status, paths(done)), (value, 0, [name]))
            check_name(name)
            check_same(tree(done.path), [name])
            common.check_file(done.path / name, "/planned.bin")
            done = fetch(tmp, url, out=f"p{i}")  # not without the option
            check_same(paths(done), ["planned.bin"])
        long = 'attachment; filename="' + "n" * 300 + '.tar.gz"'
        done = fetch(tmp, "--content-disposition", sent(server, long))
        name = paths(done)[0]
        check_name(name)
        assert re.fullmatch(r"n+~[0-9a-f]{16}\.gz", name), name
        # NUL is no header.
        done = fetch(tmp, "--retries", "0", "--content-disposition",
                     sent(server, 'attachment; filename="a\0b"'), out="nul")
        check_failed(done.records[1], "protocol")


@tap.case
def disposition_never_overwrites(tmp):
    "equal names are numbered, others' files left alone, whatever --exist"
    need_attributes(tmp)
    with common.server() as server:
        lines = [sent(server, "attachment; filename=same.txt", f"/seed={i}/p")
                 for i in range(20)]
        lines.append(server.url("/seed=20/same.txt"))
        for mode in ("auto", "overwrite", "skip"):
            (tmp / mode).mkdir()
            (tmp / mode / "same.txt").write_text("keep")
            done = fetch(tmp, "--content-disposition", "--exist", mode,
                         lines=lines[:20], out=mode)
            check_same(done.status, 0)
            check_same((tmp / mode / "same.txt").read_text(), "keep")
            check_same(sorted(paths(done)),
                       sorted(f"same.{i}.txt" for i in range(1, 21)))
            for i in range(20):
                check_good(done, i + 1, f"/seed={i}/p")
            check_same(len(tree(done.path)), 21)
        (tmp / "error").mkdir()
        (tmp / "error/same.txt").write_text("keep")
        done = fetch(tmp, "--content-disposition", "--exist", "error",
                     lines=lines[:1], out="error")
        check_failed(done.records[1], "exists")
        check_same((tmp / "error/same.txt").read_text(), "keep")
        check_same(tree(done.path), ["same.txt"])
        # A line that has the name by the list keeps it, if it is read before
        # an answer brings the same.
        done = fetch(tmp, "--content-disposition",
                     lines=[lines[20], *lines[:20]], out="mixed")
        check_same(done.status, 0)
        check_same(done.records[1]["path"], "same.txt")
        check_good(done, 1, "/seed=20/p")
        for i in range(20):
            check_good(done, i + 2, f"/seed={i}/p")
        check_same(len(tree(done.path)), 21)


@tap.case
def disposition_is_found_again(tmp):
    "the same command twice fetches nothing twice"
    need_attributes(tmp)
    with common.server() as server:
        lines = [sent(server, f"attachment; filename=n{i % 5}.txt",
                      f"/seed={i}/download") for i in range(25)]
        lines.append(server.url("/plain"))
        for more in ([], ["--fan-out", "4"], ["--name", "path"],
                     ["--name", "number"]):
            out = "o" + "".join(more)
            done = fetch(tmp, "--content-disposition", *more, lines=lines,
                         out=out)
            check_same(done.status, 0)
            before = paths(done)
            check_same(tree(done.path), sorted(before))
            server.reset()
            for mode in ("auto", "skip"):
                done = fetch(tmp, "--content-disposition", "--exist", mode,
                             *more, lines=lines[::-1] if not more else lines,
                             out=out)
                check_same(done.status, 0)
                check_same(set(statuses(done)), {"skipped"})
                check_same(paths(done),
                           before[::-1] if not more else before)
            check_same(server.stats()["requests"], 0)
            check_same(tree(done.path), sorted(before))
            done = fetch(tmp, "--content-disposition", "--exist", "overwrite",
                         *more, lines=lines, out=out)
            check_same(paths(done), before)
            check_same(tree(done.path), sorted(before))


@tap.case
def disposition_and_out(tmp):
    "what the user says counts"
    with common.server() as server:
        line = sent(server, "attachment; filename=a") + "\tout=b"
        done = fetch(tmp, "--content-disposition", lines=[line])
        check_same(tree(done.path), ["b"])


@tap.case
def disposition_without_attributes(tmp):
    "no file is trusted by its name: numbered again"
    with common.server() as server:
        url = sent(server, "attachment; filename=a")
        done = fetch(tmp, "--content-disposition", url)
        check_same(tree(done.path), ["a"])
        try:
            os.removexattr(done.path / "a", "user.pfetch")
        except OSError:
            pass
        done = fetch(tmp, "--content-disposition", url)
        check_same(tree(done.path), ["a", "a.1"])


tap.main()
