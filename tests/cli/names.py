#!/usr/bin/env python3
"""names - which file a URL gets, and that every run finds it again.

SPDX-License-Identifier: MIT
"""

import json
import os
import shutil
import subprocess

import common
from common import (SOON, check_failed, check_good, check_name, check_same,
                    fetch, need_attributes, tap, tree)


@tap.case
def three_equal_names(tmp):
    "a line that failed at first gets its own name later, alone or with all"
    need_attributes(tmp)
    with common.server() as server:
        lines = [server.url("/d1/a.txt"), server.url("/fail=1:404/d2/a.txt"),
                 server.url("/d3/a.txt")]
        for line, size in zip((0, 1, 2), (10, 20, 30)):
            lines[line] = lines[line].replace("/a.txt",
                                              f"/size={size}/a.txt")
        done = fetch(tmp, lines=lines)
        check_same(done.status, 1)
        check_good(done, 1, lines[0], 10)
        check_failed(done.records[2], "http", 404)
        check_good(done, 3, lines[2], 30)
        check_same([done.records[n]["path"] for n in (1, 3)],
                   ["a.txt", "a.2.txt"])
        check_same(tree(done.path), ["a.2.txt", "a.txt"])

        done = fetch(tmp, lines=lines[1:2])  # the failed line alone
        check_same(done.status, 0)
        check_same(done.records[1]["path"], "a.1.txt")
        check_good(done, 1, lines[1], 20)

        server.reset()
        done = fetch(tmp, lines=lines[2:])  # only the third: has its file
        check_same(done.status, 0)
        check_same((done.records[1]["status"], done.records[1]["path"]),
                   ("skipped", "a.2.txt"))
        done = fetch(tmp, lines=lines)
        check_same(done.status, 0)
        check_same([(done.records[n]["status"], done.records[n]["path"])
                    for n in (1, 2, 3)],
                   [("skipped", "a.txt"), ("skipped", "a.1.txt"),
                    ("skipped", "a.2.txt")])
        check_same(server.stats()["requests"], 0)
        for name, size in (("a.txt", 10), ("a.1.txt", 20), ("a.2.txt", 30)):
            check_same((done.path / name).stat().st_size, size)


@tap.case
def any_order_finds_its_files(tmp):
    "a hundred equal names, then the list backwards, halves, each one alone"
    need_attributes(tmp)
    with common.server() as server:
        lines = [server.url(f"/seed={i}/x.bin") for i in range(100)]
        done = fetch(tmp, lines=lines)
        check_same(done.status, 0)
        expected = {lines[n - 1]: r["path"]
                    for n, r in done.records.items()}
        check_same(expected[lines[0]], "x.bin")
        check_same(expected[lines[99]], "x.99.bin")
        for i, line in enumerate(lines):
            common.check_file(done.path / expected[line], f"/seed={i}/x")
        server.reset()
        for part in (lines[::-1], lines[50:], lines[1::2], lines[77:78]):
            done = fetch(tmp, lines=part)
            check_same(done.status, 0)
            for n, record in done.records.items():
                check_same((record["status"], record["path"]),
                           ("skipped", expected[part[n - 1]]))
        check_same(server.stats()["requests"], 0)
        check_same(len(tree(done.path)), 100)


@tap.case
def names_do_not_depend_on_timing(tmp):
    "slow first lines keep their names"
    with common.server() as server:
        lines = [server.url(f"/delay={300 - 30 * i}/seed={i}/x")
                 for i in range(10)]
        done = fetch(tmp, "-t", "10", lines=lines)
        check_same(done.status, 0)
        check_same([done.records[n]["path"] for n in range(1, 11)],
                   ["x"] + [f"x.{i}" for i in range(1, 10)])
        for i in range(10):
            common.check_file(done.path / done.records[i + 1]["path"],
                              f"/seed={i}/x")


@tap.case
def a_number_that_is_a_name_already(tmp):
    "a line whose own name is a.1.txt after two lines a.txt, and before"
    with common.server() as server:
        for out, names in (("one", ("a.txt", "a.txt", "a.1.txt", "a.txt")),
                           ("two", ("a.1.txt", "a.txt", "a.txt"))):
            lines = [server.url(f"/seed={i}/{name}")
                     for i, name in enumerate(names)]
            done = fetch(tmp, lines=lines, out=out)
            check_same(done.status, 0)
            check_same(len(tree(done.path)), len(lines))
            for i in range(len(lines)):
                common.check_file(done.path / done.records[i + 1]["path"],
                                  f"/seed={i}/x")
            paths = {n: r["path"] for n, r in done.records.items()}
            done = fetch(tmp, lines=lines, out=out)
            check_same([(r["status"], r["path"])
                        for _, r in sorted(done.records.items())],
                       [("skipped", paths[n]) for n in sorted(paths)])


@tap.case
def the_same_url_twice(tmp):
    "the later line is skipped, and says which line has it"
    with common.server() as server:
        lines = [server.url("/a"), server.url("/b"), server.url("/a"),
                 server.url("/a#part")]
        done = fetch(tmp, lines=lines)
        check_same([done.records[n]["status"] for n in (1, 2, 3)],
                   ["ok", "ok", "skipped"])
        assert "line 1" in done.records[3]["message"], done.records[3]
        check_same(done.records[4]["status"], "skipped")
        check_same(server.hits("/a"), 1)
        check_same(tree(done.path), ["a", "b"])
        done = fetch(tmp, "--name", "number", lines=lines, out="numbered")
        check_same(tree(done.path), ["1", "2", "3", "4"])


@tap.case
def the_same_url_twice_and_it_fails(tmp):
    "a line skipped for one that failed is no success"
    with common.server() as server:
        url = server.url("/status=404/a")
        done = fetch(tmp, lines=[url, url])
        check_same(done.status, 1)
        check_failed(done.records[1], "http", 404)
        assert done.records[2]["status"] in ("skipped", "failed")


WILD = [
    "/..%2f..%2fevil", "/%2e%2e", "/%2e", "/.bashrc", "/-rf", "/--exec=x",
    "/%1b[31mred", "/a%00b", "/a%0ab", "/%7f", "/a%2fb", "/..%5cevil",
    "/x%e2%80%aegpj.exe", "/x%e2%80%8by", "/bad%ff%fe", "/ov%c0%afer",
    "/caf%c3%a9", "/con%3fquery", "/q?a=/../../../evil", "/q?a=%1b",
    "/%252e%252e%252f", "/.x.part", "/%2e%2e%2f", "/index.html", "/",
    "/a/..", "/a/.", "/a//", "/~", "/*", "/%20", "/%20.", "/a%", "/a%zz",
    "/" + "l" * 300, "/" + "l" * 300 + ".tar.gz", "/" + "%c3%a9" * 200,
    "/" + "e" * 20 + "." + "x" * 300, "/?" + "q" * 400,
    "/" + "m" * 254, "/" + "m" * 255, "/" + "m" * 241, "/" + "m" * 240,
]


@tap.case(timeout=60)
def names_that_try_to_escape(tmp):
    "every name is a decent one, inside, its own, and found again"
    with common.server() as server:
        (tmp / "evil").write_text("keep")
        (tmp / "o").mkdir()
        lines = [server.url(path) for path in WILD]
        for mode in ("basename", "path"):
            done = fetch(tmp, "--name", mode, lines=lines, out="o/" + mode)
            paths = []
            for n, record in done.records.items():
                if record["status"] == "failed":
                    # faultd refuses a script that it does not understand,
                    # a file and a directory cannot have one name.
                    assert record["error"] in ("http", "name"), record
                    continue
                if "same URL" in record.get("message", ""):
                    continue  # as /a/.. is /
                check_same(record["status"], "ok")
                check_name(record["path"])
                paths.append(record["path"])
                assert (done.path / record["path"]).is_file(), record
            check_same(sorted(paths), sorted(set(paths)))
            check_same(tree(done.path), sorted(paths))
            assert len(paths) >= len(WILD) - 4, len(paths)
            before = {n: r["path"] for n, r in done.records.items()
                      if r["status"] == "ok"}
            done = fetch(tmp, "--name", mode, lines=lines, out="o/" + mode)
            for n, path in before.items():
                check_same((done.records[n]["status"],
                            done.records[n]["path"]), ("skipped", path))
        check_same(sorted(p.name for p in tmp.iterdir()),
                   ["evil", "list", "o", "results"])
        check_same((tmp / "evil").read_text(), "keep")


@tap.case
def well_known_names(tmp):
    "what cli.md says of a few names"
    with common.server() as server:
        wanted = {"/.bashrc": "%2Ebashrc", "/-rf": "%2Drf",
                  "/%1bx": "%1Bx", "/..%2f..%2fevil": "%2E.%2F..%2Fevil",
                  "/": "index.html", "/a%20b?c=d": "a b?c=d",
                  "/caf%c3%a9": "caf\u00e9", "/x%ff": "x%FF"}
        done = fetch(tmp, lines=[server.url(path) for path in wanted])
        check_same(done.status, 0)
        check_same([done.records[n]["path"]
                    for n in range(1, len(wanted) + 1)],
                   list(wanted.values()))


@tap.case
def long_names_are_told_apart(tmp):
    "names cut to the same beginning carry a hash, and keep the extension"
    with common.server() as server:
        start = "/" + "n" * 260
        lines = [server.url(f"{start}{i}.tar.gz") for i in range(5)]
        lines.append(server.url(f"/other/{start[1:]}0.tar.gz"))
        done = fetch(tmp, lines=lines)
        check_same(done.status, 0)
        paths = {r["path"] for r in done.records.values()}
        check_same(len(paths), 6)
        assert all(p.endswith(".gz") and len(p) <= 249 for p in paths), paths
        check_same(sorted(paths), tree(done.path))


@tap.case
def redirects_do_not_change_a_name(tmp):
    with common.server() as server:
        target = server.url("/header=Content-Disposition:attachment%3B%20"
                            "filename=evil/other.bin")
        url = server.url("/redirect=" + target.replace("%", "%25").replace(
            "/", "%2F") + "/mine.bin")
        done = fetch(tmp, lines=[url])
        check_same(done.status, 0)
        check_same(tree(done.path), ["mine.bin"])
        common.check_file(done.path / "mine.bin", target)


@tap.case
def a_file_where_a_directory_is_needed(tmp):
    "--name path: the later line fails, class name; or exists"
    with common.server() as server:
        host = "127.0.0.1:%d" % server.ports["plain"]
        done = fetch(tmp, "--name", "path", lines=[
            server.url("/a"), server.url("/a/b"), server.url("/c/d"),
            server.url("/c")])
        check_same(done.status, 1)
        check_failed(done.records[2], "name")
        check_failed(done.records[4], "name")
        check_same(tree(done.path), [f"{host}/a", f"{host}/c/d"])
        done = fetch(tmp, "--name", "path", lines=[server.url("/a/b")])
        check_same(done.status, 1)
        check_failed(done.records[1], "exists")
        check_same(tree(done.path), [f"{host}/a", f"{host}/c/d"])


@tap.case
def a_link_to_a_directory_is_not_followed(tmp):
    "--name path through a symbolic link: nothing appears behind it"
    with common.server() as server:
        host = "127.0.0.1:%d" % server.ports["plain"]
        (tmp / "elsewhere").mkdir()
        (tmp / "out").mkdir()
        (tmp / "out" / host).symlink_to(tmp / "elsewhere")
        done = fetch(tmp, "--name", "path", lines=[server.url("/a")])
        check_same(done.status, 1)
        check_failed(done.records[1], "exists")
        check_same(tree(tmp / "elsewhere"), [])


@tap.case
def overwrite_spares_the_list_and_the_report(tmp):
    "whatever their names, they are files of this run"
    with common.server() as server:
        (tmp / "out").mkdir()
        lines = [server.url("/list"), server.url("/results"),
                 server.url("/other")]
        (tmp / "out/list").write_text("\n".join(lines) + "\n")
        done = subprocess.run(
            [tap.PFETCH, "-i", "out/list", "-o", "out", "--exist",
             "overwrite", "--results", "out/results"], cwd=tmp,
            capture_output=True, text=True, timeout=60)
        assert done.returncode == 1, done
        check_same((tmp / "out/list").read_text().split(), lines)
        records = [json.loads(line) for line
                   in (tmp / "out/results").read_text().splitlines()]
        check_same(sorted(r["status"] for r in records),
                   ["failed", "failed", "ok"])
        check_same({r.get("error") for r in records}, {"exists", None})


@tap.case
def a_file_says_whose_it_is(tmp):
    "the attribute holds a hash, and neither URL nor password"
    need_attributes(tmp)
    with common.server() as server:
        host = server.url("").split("//")[1]
        done = fetch(tmp, "--name", "basename",
                     f"http://me:s3cret@{host}/etag=v1/a")
        check_same(done.status, 0)
        value = os.getxattr(done.path / "a", "user.pfetch")
        assert b"s3cret" not in value and b"127.0.0.1" not in value, value
        assert value.startswith(b"1 "), value
        # Without the user part it is the same file.
        done = fetch(tmp, server.url("/etag=v1/a"))
        check_same(done.records[1]["status"], "skipped")


@tap.case
def a_partial_file_that_somebody_left(tmp):
    "garbage under the temporary name never gets into a file"
    with common.server() as server:
        (tmp / "out").mkdir()
        (tmp / "out/.a.part").write_bytes(b"garbage" * 1000)
        (tmp / "out/.b.part").symlink_to(tmp / "outside")
        (tmp / "outside").write_text("keep")
        done = fetch(tmp, *SOON, lines=[server.url("/a"), server.url("/b"),
                                        server.url("/c")])
        check_good(done, 1, "/a")
        check_good(done, 3, "/c")
        if done.records[2]["status"] == "ok":
            check_good(done, 2, "/b")
        else:
            check_failed(done.records[2], "local")
        check_same((tmp / "outside").read_text(), "keep")
        check_same((done.path / ".a.part").read_bytes(), b"garbage" * 1000)


def run_together(tmp, lists, *more):
    """A pfetch for each list, all at once, into tmp/out; what each of them
    recorded, by n."""
    running = []
    for i, lines in enumerate(lists):
        common.write_list(tmp / f"list{i}", lines)
        running.append(subprocess.Popen(
            [tap.PFETCH, "-t", "8", "-i", tmp / f"list{i}", "-o", tmp / "out",
             "--results", tmp / f"results{i}", *more],
            stderr=subprocess.PIPE, text=True))
    found = []
    for i, process in enumerate(running):
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        found.append(common.by_n(common.read_records(tmp / f"results{i}")))
    return found


@tap.case(timeout=90)
def two_programs_with_overlapping_lists(tmp):
    "and equal names of different URLs: every file whole, none lost"
    need_attributes(tmp)
    with common.server() as server:
        urls = [server.url(f"/size=3000/seed={i}/drip=1000,2/n{i % 25}.bin")
                for i in range(150)]
        for more in ([], ["--name", "sub/{stem}{ext}"], ["--fan-out", "3"],
                     ["--content-disposition"]):
            shutil.rmtree(tmp / "out", ignore_errors=True)
            for i in range(2):
                (tmp / f"results{i}").unlink(missing_ok=True)
            lists = [urls[:100], urls[:49:-1]]  # 50 to 99 are in both
            found = run_together(tmp, lists, *more)
            have = {}
            for lines, records in zip(lists, found):
                check_same(len(records), len(lines))
                for n, record in records.items():
                    assert record["status"] in ("ok", "skipped"), record
                    common.check_file(tmp / "out" / record["path"],
                                      lines[n - 1], 3000)
                    have.setdefault(lines[n - 1], set()).add(record["path"])
            check_same(len(have), 150)
            # No file belongs to two URLs, and nothing else is there.
            every = [path for paths in have.values() for path in paths]
            check_same(len(every), len(set(every)))
            check_same(tree(tmp / "out"), sorted(every))


@tap.case(timeout=90)
def four_programs_with_lists_of_their_own(tmp):
    "each line has one file, with the names of the others'"
    need_attributes(tmp)
    with common.server() as server:
        lists = [[server.url(f"/size=2000/seed={i}-{j}/f{i}.bin")
                  for i in range(60)] for j in range(4)]
        found = run_together(tmp, lists)
        every = []
        for lines, records in zip(lists, found):
            for n, record in records.items():
                check_same(record["status"], "ok")
                common.check_file(tmp / "out" / record["path"], lines[n - 1],
                                  2000)
                every.append(record["path"])
        check_same(len(set(every)), 240)
        check_same(tree(tmp / "out"), sorted(every))
        # All of them again, one after the other: nothing is fetched.
        server.reset()
        for lines, records in zip(lists, found):
            done = fetch(tmp, lines=lines)
            check_same({n: (r["status"], r["path"])
                        for n, r in done.records.items()},
                       {n: ("skipped", r["path"])
                        for n, r in records.items()})
        check_same(server.stats()["requests"], 0)


@tap.case
def lengths_around_the_limit(tmp):
    "254, 255, 256, 300, 4096 bytes, three-byte characters; numbered, with -t"
    with common.server() as server:
        names = ["m" * 254, "m" * 255, "m" * 256, "m" * 300, "m" * 4096,
                 "%e4%b8%ad" * 255, "m" * 240, "m" * 241, "m" * 236 + ".txt",
                 "m" * 237 + ".txt", "m" * 4000 + ".tar.gz"]
        lines = [server.url(f"/seed={i}{j}/{name}")
                 for i, name in enumerate(names) for j in range(3)]
        done = fetch(tmp, lines=lines)
        check_same(done.status, 0)
        paths = [done.records[n]["path"] for n in sorted(done.records)]
        check_same(len(set(paths)), len(lines))
        check_same(tree(done.path), sorted(paths))
        for n, path in enumerate(paths):
            check_name(path)
            assert len(os.fsencode(path)) <= 240, path
            common.check_file(done.path / path, lines[n])
        again = fetch(tmp, lines=lines, out="again")
        check_same([again.records[n]["path"] for n in sorted(again.records)],
                   paths)


@tap.case
def names_of_temporary_files(tmp):
    "URLs that end as our own files are called: their files are others"
    with common.server() as server:
        names = [".a.part", ".a.1234.part", "a.part", "a", ".a.part.part",
                 "a.1.part", "%2ea.part"]
        lines = [server.url(f"/seed={i}/{name}")
                 for i, name in enumerate(names)]
        done = fetch(tmp, lines=lines)
        check_same(done.status, 0)
        check_same([done.records[n]["path"] for n in range(1, 8)],
                   ["%2Ea.part", "%2Ea.1234.part", "a.part", "a",
                    "%2Ea.part.part", "a.1.part", "%2Ea.1.part"])
        for n, line in enumerate(lines):
            check_good(done, n + 1, line)
        check_same(len(tree(done.path)), 7)


@tap.case
def names_that_a_file_system_takes_for_one(tmp):
    "no case (ntfs-3g): all bodies are kept under names of their own, or fail"
    common.need_program("lowntfs-3g", "mkfs.ntfs")
    if os.geteuid() != 0 or not os.path.exists("/dev/fuse"):
        tap.skip("needs root and /dev/fuse")
    with open(tmp / "image", "wb") as image:
        image.truncate(16 << 20)
    (tmp / "out").mkdir()
    subprocess.run(["mkfs.ntfs", "-F", "-Q", "-q", tmp / "image"],
                   check=True, capture_output=True)
    mounted = subprocess.run(
        ["lowntfs-3g", "-o", "ignore_case,streams_interface=xattr",
         tmp / "image", tmp / "out"], capture_output=True, check=False)
    if mounted.returncode != 0:
        tap.skip("lowntfs-3g cannot mount here")
    try:
        with common.server() as server:
            names = ["Readme", "README", "readme", "caf%c3%a9",
                     "cafe%cc%81", "CAF%C3%89"]
            lines = [server.url(f"/seed={i}/{name}")
                     for i, name in enumerate(names)]
            for threads in ("1", "8"):
                done = fetch(tmp, "-t", threads, *SOON, lines=lines,
                             out=f"out/{threads}")
                good = [r for r in done.records.values()
                        if r["status"] == "ok"]
                assert len(good) >= (6 if threads == "1" else 4), done.err
                for n, record in done.records.items():
                    if record["status"] == "ok":
                        check_good(done, n, lines[n - 1])
                    else:
                        assert record["error"] in ("exists", "local"), record
                check_same(len([p for p in tree(done.path)
                                if not p.startswith(".")]), len(good))
    finally:
        subprocess.run(["umount", tmp / "out"], check=False)


tap.main()
