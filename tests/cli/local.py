#!/usr/bin/env python3
"""local - trouble on this machine: status 3, and no server is blamed.

SPDX-License-Identifier: MIT
"""

import os
import resource
import shutil
import subprocess
import sys

import common
from common import (check_failed, check_good, check_same, fetch, tap,
                    tree)
from disk import INSIDE, enter_mounts, small_disk


def need_root():
    if os.geteuid() != 0:
        tap.skip("needs root")


def free_bytes(disk):
    status = os.statvfs(disk)
    return status.f_bavail * status.f_bsize


def check_each_line(tmp, done_status, results, count):
    """One record for each line read; and one for the rest, if lines were not
    read.  Answers the records of lines."""
    records = common.read_records(results)
    rest = [r for r in records if "from_line" in r]
    lines = common.by_n([r for r in records if "from_line" not in r])
    assert len(rest) <= 1, rest
    read = rest[0]["from_line"] - 1 if rest else count
    check_same(sorted(lines), list(range(1, read + 1)))
    for record in lines.values():
        if record["status"] == "failed":
            assert record["error"] in ("local", "stopped"), record
    check_same(done_status, 3)
    return lines


def check_disk_full(tmp, server, disk, urls, *options):
    before = free_bytes(disk)
    common.write_list(tmp / "list", urls)
    done = tap.run("-i", tmp / "list", "-o", disk, "--results",
                   tmp / "results", *options)
    lines = check_each_line(tmp, done.returncode, tmp / "results",
                            len(urls))
    said = [t for t in done.stderr.splitlines()
            if "stopped: " in t and "No space left" in t]
    check_same(len(said), 1)
    ok = {r["path"]: r for r in lines.values() if r["status"] == "ok"}
    check_same(tree(disk), sorted(ok))
    for path, record in ok.items():
        common.check_file(disk / path, record["url"], record["bytes"])
    used = sum(-(-r["bytes"] // 4096) * 4096 for r in ok.values())
    # A page for each name and for its attribute is more than they need.
    assert free_bytes(disk) >= before - used - 8192 * len(ok), (
        free_bytes(disk), before, used)
    return lines


@tap.case
def a_report_in_the_output_directory(tmp):
    "--results DIR/FILE at the first run: the directory is made before"
    with common.server() as server:
        done = tap.run("-q", "-o", "new", "--results", "new/r.jsonl",
                       server.url("/a"), cwd=tmp)
        assert done.returncode == 0, done
        assert (tmp / "new/a").is_file() and (tmp / "new/r.jsonl").is_file()


@tap.case
def a_full_disk(tmp):
    "the run stops at once: records, space, one message; then it goes on"
    with small_disk(tmp) as disk, common.server() as server:
        urls = [server.url(f"/size=100000/f{i}") for i in range(200)]
        lines = check_disk_full(tmp, server, disk, urls, "-t", "4")
        assert sum(r["status"] == "ok" for r in lines.values()) >= 4
        assert server.stats()["requests"] < 60, "it went on"
        # Put right, the same command finishes.
        subprocess.run(["mount", "-o", "remount,size=64m", disk], check=True)
        done = tap.run("-i", tmp / "list", "-o", disk)
        check_same(done.returncode, 0)
        check_same(len(tree(disk)), 200)
        for i, url in enumerate(urls):
            common.check_file(disk / f"f{i}", url, 100000)


@tap.case
def a_full_disk_while_the_list_still_comes(tmp):
    "lines not read: one not-attempted record stands for them"
    with small_disk(tmp) as disk, common.server() as server:
        read, write = os.pipe()
        os.set_inheritable(write, False)
        process = subprocess.Popen(
            [tap.PFETCH, "-i", "-", "-o", disk, "--results",
             tmp / "results"], stdin=read, stderr=subprocess.PIPE,
            text=True)
        os.close(read)
        os.write(write, server.url("/size=2000000/chunked/big\n").encode())
        check_same(process.wait(15), 3)  # although the list has no end yet
        process.stderr.close()
        os.close(write)
        records = common.read_records(tmp / "results")
        check_same([r.get("from_line") for r in records], [None, 2])
        check_failed(records[0], "local")
        check_same(records[1]["status"], "not-attempted")
        check_same(tree(disk), [])


@tap.case
def a_disk_too_full_for_one_file(tmp):
    "a body larger than the disk, its length not declared: no .part is left"
    with small_disk(tmp) as disk, common.server() as server:
        before = free_bytes(disk)
        check_disk_full(tmp, server, disk,
                        [server.url("/size=3000000/chunked/x")])
        check_same(free_bytes(disk), before)


@tap.case
def a_body_that_is_declared_too_long(tmp):
    "found when it begins: nothing of it is written, the others stay"
    with small_disk(tmp, "4m") as disk, common.server() as server:
        done = fetch(tmp, "-t", "1", out="disk", lines=[
            server.url("/size=1000000/a"),
            server.url("/size=4000000/drip=1000,1000/big")])
        check_same(done.status, 3)
        check_same(tree(disk), ["a"])
        check_failed(done.records[2], "local")
        said = done.records[2]["message"]
        assert "No space left on device: it needs 4000000 bytes" in said
        check_same(done.err.count("stopped: cannot store big: "), 1)


@tap.case
def a_part_of_the_disk_is_left_free(tmp):
    "--disk-reserve: before the first request, by length, and while it runs"
    with small_disk(tmp, "64m") as disk, common.server() as server:
        one = [server.url("/a")]
        done = fetch(tmp, "--disk-reserve", "65m", out="disk", lines=one)
        check_same(done.status, 3)
        assert "are to be left free" in done.err, done.err
        check_same(server.stats()["requests"], 0)

        done = fetch(tmp, "--disk-reserve", "40m", out="disk", lines=one +
                     [server.url("/size=30000000/drip=1000,1000/b")])
        check_same(done.status, 3)
        assert "cannot store b: No space left" in done.err, done.err
        check_same(tree(disk), ["a"])

        # Length unknown: chunked.
        lines = [server.url(f"/size=3000000/chunked=60000/f{i}")
                 for i in range(30)]
        done = fetch(tmp, "-t", "2", "--disk-reserve", "30m", out="disk",
                     lines=lines)
        check_same(done.status, 3)
        assert "are to be left free" in done.err, done.err
        assert free_bytes(disk) >= 30 << 20, free_bytes(disk)
        ok = [r for r in done.records.values() if r["status"] == "ok"]
        assert len(ok) >= 5, done.records
        check_same(tree(disk), sorted(["a"] + [r["path"] for r in ok]))

        # Where nothing is to be stored no space is needed.
        done = fetch(tmp, "--disk-reserve", "65m", out="disk", lines=one)
        check_same(done.status, 0)


@tap.case
def small_files_are_not_counted_by_system_calls(tmp):
    "one statfs for thousands of files"
    common.need_program("strace")
    with common.server() as server:
        common.write_list(tmp / "list", (server.url(f"/size=10/f{i}")
                                         for i in range(1000)))
        program, environment = common.real_program()
        done = subprocess.run(
            ["strace", "-f", "-o", tmp / "trace", "-e", "trace=fstatfs",
             program, "-i", tmp / "list", "-o", tmp / "out"],
            env=environment, capture_output=True, text=True, check=False)
        if "ptrace" in done.stderr:
            tap.skip("strace may not trace here")
        check_same(done.returncode, 0)
        calls = (tmp / "trace").read_text().count("fstatfs(")
        check_same(calls, 1)


@tap.case
def trouble_of_the_disk(tmp):
    "quota, I/O error while writing: status 3, no server is blamed"
    common.need_program("strace")
    program, environment = common.real_program()
    for error, text in (("EDQUOT", "quota exceeded"),
                        ("EIO", "Input/output error")):
        with common.server() as server:
            done = subprocess.run(
                ["strace", "-f", "-o", tmp / "trace", "-P",
                 tmp / f"{error}/.f5.part", "-e", "trace=write", "-e",
                 f"inject=write:error={error}", program, "-t", "2",
                 "--results", tmp / f"r{error}", "-o", tmp / error,
                 *(server.url(f"/size=200000/f{i}")
                   for i in range(500))],
                env=environment, capture_output=True, text=True, check=False)
            if "ptrace" in done.stderr:
                tap.skip("strace may not trace here")
            lines = check_each_line(tmp, done.returncode,
                                    tmp / f"r{error}", 500)
            check_failed(lines[6], "local")
            assert text in done.stderr, done.stderr
            assert server.stats()["requests"] < 400, "it went on"
            ok = [r["path"] for r in lines.values() if r["status"] == "ok"]
            check_same(tree(tmp / error), sorted(ok))


@tap.case
def no_inodes_left(tmp):
    with small_disk(tmp, "8m", ",nr_inodes=20") as disk:
        with common.server() as server:
            urls = [server.url(f"/size=10/f{i}") for i in range(100)]
            lines = check_disk_full(tmp, server, disk, urls, "-t", "2")
            assert sum(r["status"] == "ok" for r in lines.values()) >= 10


@tap.case
def a_read_only_file_system(tmp):
    with small_disk(tmp) as disk, common.server() as server:
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        done = tap.run(server.url("/a"), "-o", disk)
        check_same(done.returncode, 3)
        assert "Read-only" in done.stderr, done.stderr
        check_same(server.stats()["requests"], 0)


@tap.case
def the_report_on_a_full_disk(tmp):
    "the report cannot be written further: status 3, no record is torn"
    with small_disk(tmp, "64k") as disk, common.server() as server:
        urls = [server.url(f"/size=10/f{i}") for i in range(20000)]
        common.write_list(tmp / "list", urls)
        done = tap.run("-i", tmp / "list", "-o", tmp / "out", "--results",
                       disk / "results")
        check_same(done.returncode, 3)
        assert "No space left" in done.stderr, done.stderr
        assert server.stats()["requests"] < 10000, "it went on"
        assert not [p for p in tree(tmp / "out") if p.startswith(".")]


@tap.case
def no_permission_to_write(tmp):
    "the output directory is read-only for us"
    common.need_permissions(tmp)
    with common.server() as server:
        (tmp / "out").mkdir()
        (tmp / "out").chmod(0o555)
        done = fetch(tmp, lines=[server.url(f"/f{i}") for i in range(20)],
                     preexec_fn=common.drop_privileges)
        assert done.status in (1, 3), done
        assert all(r["error"] in ("local", "stopped")
                   for r in done.records.values()
                   if r["status"] == "failed"), done.records
        assert not any(r["status"] == "ok" for r in done.records.values())
        check_same(tree(tmp / "out"), [])
        assert "Permission denied" in done.err, done.err


@tap.case
def the_output_directory_is_none(tmp):
    "a file, a directory without permission, a path through a file: status 3"
    with common.server() as server:
        (tmp / "file").write_text("keep")
        for out in ("file", "file/below"):
            done = fetch(tmp, server.url("/a"), out=out)
            check_same(done.status, 3)
            assert str(tmp / out) in done.err, done.err
        check_same((tmp / "file").read_text(), "keep")
        check_same(server.stats()["requests"], 0)


@tap.case
def a_directory_that_cannot_be_entered(tmp):
    common.need_permissions(tmp)
    with common.server() as server:
        (tmp / "closed").mkdir(mode=0)
        for out in ("closed", "closed/below"):
            done = fetch(tmp, server.url("/a"), out=out,
                         preexec_fn=common.drop_privileges)
            check_same(done.status, 3)
        check_same(server.stats()["requests"], 0)


@tap.case
def the_directory_goes_away(tmp):
    "renamed: files follow it; removed: local trouble, and nothing hangs"
    with common.server() as server:
        lines = [server.url(f"/delay={tap.ms(400)}/f{i}") for i in range(4)]
        with common.started(tmp, lines=lines) as process:
            server.wait(lambda s: s["requests_active"] == 4)
            (tmp / "out").rename(tmp / "moved")
            check_same(process.wait(20), 0)
        check_same(tree(tmp / "moved"), [f"f{i}" for i in range(4)])
        server.reset()
        with common.started(tmp, lines=lines) as process:
            server.wait(lambda s: s["requests_active"] == 4)
            shutil.rmtree(tmp / "out")
            check_same(process.wait(20), 3)
        check_same(len(common.by_n(common.read_records(tmp / "results"))),
                   4)


@tap.case
def few_descriptors(tmp):
    "ulimit -n 64, -t 100: fewer workers, one message, everything fetched"
    with common.server() as server:
        def limit():
            resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))

        lines = [server.url(f"/size=3000/f{i}") for i in range(300)]
        done = fetch(tmp, "-t", "100", lines=lines, preexec_fn=limit)
        check_same(done.status, 0)
        for n, line in enumerate(lines, 1):
            check_good(done, n, line, 3000)
        said = [t for t in done.err.splitlines() if "of 100 workers" in t]
        check_same(len(said), 1)
        assert server.stats()["requests_active_max"] < 64


@tap.case
def few_descriptors_and_many_hosts(tmp):
    "idle connections give way"
    with common.server(bind="0.0.0.0") as server:
        def limit():
            resource.setrlimit(resource.RLIMIT_NOFILE, (48, 48))

        lines = [server.url(f"/f{i}", host=f"127.2.0.{i % 200 + 1}")
                 for i in range(400)]
        done = fetch(tmp, lines=lines, preexec_fn=limit)
        check_same(done.status, 0)
        check_same(len(tree(done.path)), 400)


@tap.case
def the_soft_limit_is_raised(tmp):
    "soft 64, hard more: all workers, no message"
    with common.server() as server:
        def limit():
            resource.setrlimit(resource.RLIMIT_NOFILE, (64, 4096))

        lines = [server.url(f"/delay={tap.ms(500)}/f{i}") for i in range(100)]
        done = fetch(tmp, "-t", "100", lines=lines, preexec_fn=limit)
        check_same(done.status, 0)
        assert "workers" not in done.err, done.err
        check_same(server.stats()["requests_active_max"], 100)


def starve(process):
    """No more descriptors for a running pfetch; answers how to undo it."""
    limits = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (3, limits[1]))
    return lambda: resource.prlimit(process.pid, resource.RLIMIT_NOFILE,
                                    limits)


@tap.case
def descriptors_that_come_back(tmp):
    "transfers are held back, with one message, and no server is blamed"
    with common.server() as server:
        names = [f"/delay={5 if i > 3 else 2000}/connclose/f{i}"
                 for i in range(60)]
        common.write_list(tmp / "list", [
            server.url(n, host="localhost" if i % 2 else "127.0.0.1")
            for i, n in enumerate(names)])
        with common.started(tmp, "-t", "4", "--handler", "null", "-i",
                            tmp / "list") as process:
            server.wait(lambda s: s["requests_active"] == 4)
            feed = starve(process)
            common.until(lambda: "nothing new starts"
                         in (tmp / "err").read_text(), "the message")
            begun = server.stats()["requests"]
            feed()
            check_same(process.wait(30), 0)
        check_same(begun, 4)
        said = (tmp / "err").read_text()
        check_same(said.count("nothing new starts"), 1)
        records = common.by_n(common.read_records(tmp / "results"))
        check_same(len(records), 60)
        for record in records.values():
            check_same((record["status"], record["attempts"]), ("ok", 1))
        for name in names:
            check_same(server.hits(name), 1)


@tap.case
def descriptors_gone_for_good(tmp):
    "status 3, class local, and one record each"
    with common.server() as server:
        common.write_list(tmp / "list", [
            server.url(f"/delay={5 if i > 3 else 2000}/connclose/f{i}")
            for i in range(200)])
        # The leak checker of the address sanitizer opens files at the end.
        with common.started(tmp, "-t", "4", "--handler", "null",
                            "--connect-timeout", "1s", "-i", tmp / "list",
                            env={**os.environ, "ASAN_OPTIONS": ":".join(
                                (os.environ.get("ASAN_OPTIONS", ""),
                                 "detect_leaks=0"))}) as process:
            server.wait(lambda s: s["requests_active"] == 4)
            starve(process)
            check_same(process.wait(30), 3)
        said = (tmp / "err").read_text()
        assert "Too many open files" in said, said
        records = common.by_n(common.read_records(tmp / "results"))
        check_same(len(records), 200)
        classes = {r.get("error") for r in records.values()
                   if r["status"] == "failed"}
        # What was connecting when the run ended was stopped.
        assert "local" in classes and classes <= {"local", "stopped"}, classes
        assert any(r["status"] == "not-attempted" for r in records.values())


@tap.case
def a_file_size_limit(tmp):
    "ulimit -f: that URL fails, class local; the others do not"
    with common.server() as server:
        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (50000, 50000))

        done = fetch(tmp, lines=[server.url("/size=40000/a"),
                                 server.url("/size=90000/b"),
                                 server.url("/size=40000/c")],
                     preexec_fn=limit)
        check_same(done.status, 1)
        check_good(done, 1, "/a", 40000)
        check_failed(done.records[2], "local")
        check_good(done, 3, "/c", 40000)
        check_same(tree(done.path), ["a", "c"])


@tap.case
def standard_output_closed_early(tmp):
    "--results - into head -n 1: status 3, and what is there is whole"
    with common.server() as server:
        lines = [server.url(f"/size=100/f{i}") for i in range(3000)]
        common.write_list(tmp / "list", lines)
        with common.started(tmp, "--results", "-", "-i", tmp / "list",
                            results=None,
                            stdout=subprocess.PIPE) as process:
            first = process.stdout.readline()
            process.stdout.close()
            status = process.wait(20)
        assert first.startswith(b'{"schema":1'), first
        check_same(status, 3)
        said = (tmp / "err").read_text()
        assert "standard output" in said, said
        for path in tree(tmp / "out"):
            assert not path.startswith("."), path
            common.check_file(tmp / "out" / path, "/" + path, 100)


@tap.case
def a_reader_of_records_that_is_slow(tmp):
    "nothing is lost when --results - goes to a pipe that is full for a while"
    with common.server() as server:
        lines = [server.url(f"/size=10/f{i}") for i in range(1500)]
        common.write_list(tmp / "list", lines)
        with common.started(tmp, "--results", "-", "-i", tmp / "list",
                            results=None,
                            stdout=subprocess.PIPE) as process:
            # Reading begins when the program has got stuck on the pipe: no
            # request comes any more, although lines are left.
            seen = [-1]

            def stuck():
                now = server.stats()["requests"]
                same = now == seen[0] and now > 0
                seen[0] = now
                return same

            common.until(stuck, "a full pipe")
            (tmp / "got").write_bytes(process.stdout.read())
            check_same(process.wait(20), 0)
        records = common.by_n(common.read_records(tmp / "got"))
        check_same(sorted(records), list(range(1, 1501)))


@tap.case
def two_programs_in_one_directory(tmp):
    "the same list twice at once: every file whole, nothing left over"
    with common.server() as server:
        lines = [server.url(f"/size=20000/drip=2000,5/f{i}")
                 for i in range(40)]
        common.write_list(tmp / "list", lines)
        many = [subprocess.Popen(
            [tap.PFETCH, "-i", tmp / "list", "-o", tmp / "out", "--results",
             tmp / f"results{i}"], stderr=subprocess.PIPE, text=True)
            for i in range(3)]
        for process in many:
            _, err = process.communicate(timeout=25)
            assert process.returncode == 0, err
        for i in range(3):
            records = common.by_n(common.read_records(tmp / f"results{i}"))
            check_same(len(records), 40)
            for record in records.values():
                common.check_file(tmp / "out" / record["path"],
                                  record["url"], 20000)
        assert not [p for p in tree(tmp / "out") if p.startswith(".")]


@tap.case
def a_file_system_without_attributes(tmp):
    "one message; a rerun trusts names"
    if not os.environ.get(INSIDE):
        tap.skip("needs root and unshare(1) with permission to mount")
    disk = tmp / "disk"
    disk.mkdir()
    made = subprocess.run(["mount", "-t", "ramfs", "none", disk],
                          check=False, capture_output=True)
    if made.returncode != 0:
        tap.skip("ramfs cannot be mounted")
    try:
        try:
            (disk / "probe").write_text("")
            os.setxattr(disk / "probe", "user.x", b"x")
            tap.skip("ramfs has user attributes here")
        except OSError:
            (disk / "probe").unlink()
        with common.server() as server:
            lines = [server.url(f"/d{i}/a") for i in range(3)]
            common.write_list(tmp / "list", lines)
            for expected in (3, 3):
                done = tap.run("-i", tmp / "list", "-o", disk)
                check_same(done.returncode, 0)
                check_same(server.stats()["requests"], expected)
                said = [t for t in done.stderr.splitlines()
                        if "attribute" in t]
                check_same(len(said), 1)
            check_same(tree(disk), ["a", "a.1", "a.2"])
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


enter_mounts()
tap.main()
