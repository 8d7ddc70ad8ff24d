#!/usr/bin/env python3
"""reports - records, lines that failed, and what an earlier run has done.

SPDX-License-Identifier: MIT
"""

import json
import os
import re
import resource
import subprocess

import common
from common import check_good, check_same, fetch, tap, tree


# --- --failed -------------------------------------------------------------------

@tap.case
def failed_lines_are_a_list(tmp):
    "with their fields, unmasked, private; a second run fetches just those"
    with common.server() as server:
        host = server.url("").split("//")[1]
        bad = [server.url("/fail=1:404/a") + "\tid=one",
               f"http://me:secret@{host}/fail=1:404/b\tid=two\tout=sub/b",
               server.url("/fail=1:404/c")]
        lines = [server.url("/x"), bad[0], "", "# comment",
                 "  " + bad[1] + " ", server.url("/y"), bad[2] + "\r",
                 server.url("/x")]
        failed = tmp / "failed"
        done = fetch(tmp, "--failed", failed, lines=lines)
        check_same(done.status, 1)
        check_same(sorted(failed.read_text().splitlines()), sorted(bad))
        check_same(failed.stat().st_mode & 0o7777, 0o600)
        assert f"; the 3 lines not ok are in {failed}" in done.err, done.err
        assert "secret" not in done.err, done.err
        before = server.stats()["requests"]
        again = fetch(tmp, "-i", failed, "--failed", tmp / "still")
        check_same(again.status, 0)
        check_same(server.stats()["requests"], before + 3)
        check_same({r["status"] for r in again.records.values()}, {"ok"})
        check_same(sorted(r.get("id") for r in again.records.values()
                          if "id" in r), ["one", "two"])
        check_same((tmp / "still").read_bytes(), b"")
        assert "lines not ok" not in again.err, again.err


@tap.case
def failed_lines_with_nul_ends(tmp):
    with common.server() as server:
        urls = [server.url(f"/fail=1:404/{n}") for n in "abc"]
        (tmp / "list").write_bytes("\0".join(urls).encode())
        done = fetch(tmp, "-0", "-t", "1", "-i", tmp / "list", "--failed",
                     tmp / "failed")
        check_same(done.status, 1)
        check_same((tmp / "failed").read_bytes(),
                   "".join(u + "\0" for u in urls).encode())
        done = fetch(tmp, "-0", "-i", tmp / "failed")
        check_same(done.status, 0)


@tap.case
def failed_arguments_and_bad_lines(tmp):
    "arguments too; what cannot be repeated is a comment"
    with common.server() as server:
        argument = server.url("/status=404/x")
        lines = [b"not a url", b"http://h/\x01", b"http://h/a\0b",
                 b"http://h/" + b"x" * 70000,
                 server.url("/ok").encode() + b"\tfoo=bar"]
        done = fetch(tmp, "-t", "1", argument, "--failed", tmp / "failed",
                     lines=lines)
        check_same(done.status, 1)
        found = sorted((tmp / "failed").read_bytes().splitlines())
        comments = [line for line in found if line.startswith(b"#")]
        check_same([line for line in found if line not in comments],
                   sorted([argument.encode(), lines[0], lines[1],
                           lines[4]]))
        check_same(len(comments), 2)
        for comment, n in zip(sorted(comments), (3, 4)):
            assert f"/list:{n}: ".encode() in comment, comment


@tap.case
def failed_is_no_list(tmp):
    "-i FILE --failed FILE: status 2, no request, the list is untouched"
    with common.server() as server:
        lines = [server.url("/a")]
        common.write_list(tmp / "list", lines)
        os.link(tmp / "list", tmp / "other")
        for name in ("list", "other"):
            done = fetch(tmp, "--failed", tmp / name, lines=lines)
            check_same(done.status, 2)
            assert "is a list" in done.err, done.err
        done = fetch(tmp, "--failed", tmp / "results", lines=lines)
        check_same(done.status, 2)
        assert "same file" in done.err, done.err
        done = fetch(tmp, "--failed", "-", lines=lines)
        check_same(done.status, 2)
        check_same((tmp / "list").read_text().split(), lines)
        check_same(server.stats()["requests"], 0)


@tap.case
def reports_are_not_what_the_handler_writes(tmp):
    "an archive or standard output that is a report, too: status 2"
    with common.server() as server:
        lines = [server.url("/a"), server.url("/status=404/b")]
        for handler in (f"tar:{tmp}/x.tar", f"warc:{tmp}/x.warc", "stdout",
                        "tar:-"):
            name = tmp / ("out.txt" if handler in ("stdout", "tar:-")
                          else handler.partition(":")[2])
            for option in ("--results", "--failed"):
                with open(tmp / "out.txt", "ab") as output:
                    done = fetch(tmp, "--handler", handler, option, name,
                                 lines=lines, results=None, stdout=output,
                                 stderr=subprocess.PIPE)
                check_same((handler, option, done.status),
                           (handler, option, 2))
                assert "goes to this file" in done.err, done.err
                assert not name.exists() or name.stat().st_size == 0
        check_same(server.log(), [])


@tap.case
def failed_does_not_empty_what_resume_reads(tmp):
    "--resume-from FILE --failed FILE: status 2, the file is untouched"
    (tmp / "r").write_text('{"status":"ok"}\n')
    done = fetch(tmp, "--resume-from", tmp / "r", "--failed", f"{tmp}/./r",
                 lines=["http://127.0.0.1:9/"])
    check_same(done.status, 2)
    check_same((tmp / "r").read_text(), '{"status":"ok"}\n')


@tap.case
def results_on_standard_output_is_no_list(tmp):
    "> LIST or >> LIST with --results -: status 2"
    common.write_list(tmp / "list", ["http://127.0.0.1:9/"])
    with open(tmp / "list", "ab") as output:
        done = fetch(tmp, "--results", "-", "-i", tmp / "list", results=None,
                     stdout=output, stderr=subprocess.PIPE)
    check_same(done.status, 2)
    assert "is a list" in done.err, done.err


@tap.case
def a_torn_line_on_standard_output(tmp):
    "--results - >> FILE: the record has a line of its own"
    (tmp / "r").write_text('{"torn')
    with common.server() as server, open(tmp / "r", "ab") as output:
        check_same(fetch(tmp, "--results", "-", lines=[server.url("/a")],
                         results=None, stdout=output,
                         stderr=subprocess.PIPE).status, 0)
    lines = (tmp / "r").read_text().splitlines()
    check_same(len(lines), 2)
    check_same(json.loads(lines[1])["status"], "ok")


@tap.case
def failed_after_an_early_end(tmp):
    "cut off and not attempted lines are in it; lines not read are not"
    with common.server() as server:
        lines = [server.url("/status=404/a")] + [
            server.url(f"/delay=60000/f{i}") for i in range(10)]
        done = fetch(tmp, "--fail-early", "-t", "4", "--failed",
                     tmp / "failed", "--grace", "0", lines=lines)
        check_same(done.status, 4)
        read = sum(1 for n, r in done.records.items()
                   if "from_line" not in r)
        found = (tmp / "failed").read_text().splitlines()
        check_same(sorted(found), sorted(lines[:read]))
        assert ("those not read" in done.err) == (read < 11), done.err

        read_end, write_end = os.pipe()
        with common.started(tmp, "-i", "-", "--failed", tmp / "failed",
                            "--fail-early", stdin=read_end) as process:
            os.close(read_end)
            os.write(write_end, (lines[0] + "\n").encode())
            check_same(process.wait(20), 4)
            os.close(write_end)
        check_same((tmp / "failed").read_text(), lines[0] + "\n")
        assert "those not read are not" in (tmp / "err").read_text()


@tap.case
def failed_survives_overwrite(tmp):
    "a URL of its name does not replace it"
    with common.server() as server:
        (tmp / "out").mkdir()
        url = server.url("/failed")
        done = fetch(tmp, "--exist", "overwrite", "--failed",
                     tmp / "out/failed", lines=[url])
        check_same(done.status, 1)
        check_same((tmp / "out/failed").read_text(), url + "\n")


@tap.case
def failed_on_a_full_disk(tmp):
    "status 3, and the run stops"
    with common.server() as server:
        lines = [server.url(f"/status=404/f{i}") for i in range(2000)]
        done = fetch(tmp, "--failed", "/dev/full", lines=lines)
        check_same(done.status, 3)
        assert "/dev/full: cannot write: No space left" in done.err, done.err
        assert server.stats()["requests"] < 1500, "it went on"


# --- --results ------------------------------------------------------------------

@tap.case
def results_on_a_full_disk(tmp):
    "/dev/full: status 3, one message, the run stops"
    with common.server() as server:
        lines = [server.url(f"/f{i}") for i in range(2000)]
        common.write_list(tmp / "list", lines)
        done = tap.run("-i", tmp / "list", "-o", tmp / "out", "--results",
                       "/dev/full")
        check_same(done.returncode, 3)
        check_same(done.stderr.count("/dev/full: cannot write"), 1)
        assert server.stats()["requests"] < 1500, "it went on"


@tap.case
def results_beyond_the_file_size_limit(tmp):
    "ulimit -f: status 3; the next run mends the torn line and goes on"
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))

    with common.server() as server:
        lines = [server.url(f"/size=10/f{i}") for i in range(500)]
        common.write_list(tmp / "list", lines)
        options = ("-i", tmp / "list", "-o", tmp / "out", "--results",
                   tmp / "r")
        done = tap.run(*options, preexec_fn=limit)
        check_same(done.returncode, 3)
        assert "File too large" in done.stderr, done.stderr
        torn = (tmp / "r").read_text().split("\n")
        assert torn[-1], "no line is torn: nothing to be tested"
        done = tap.run(*options)
        check_same(done.returncode, 0)
        text = (tmp / "r").read_text()
        assert text.endswith("\n")
        (tmp / "r").write_text(
            "".join(line + "\n" for line in text.splitlines()
                    if line != torn[-1]))
        records = common.read_records(tmp / "r")
        check_same({r["url"] for r in records if r["status"] in
                    ("ok", "skipped")}, set(lines))


@tap.case
def an_error_of_the_disk_under_results(tmp):
    "EIO on the report: status 3, and no server is blamed"
    common.need_program("strace")
    with common.server() as server:
        lines = [server.url(f"/f{i}") for i in range(200)]
        common.write_list(tmp / "list", lines)
        (tmp / "r").write_text("")
        program, environment = common.real_program()
        done = subprocess.run(
            ["strace", "-f", "-o", tmp / "trace", "-P", tmp / "r", "-e",
             "trace=write", "-e", "inject=write:error=EIO:when=5+", program,
             "-i", tmp / "list", "-o", tmp / "out", "--results", tmp / "r"],
            env=environment, capture_output=True, text=True, check=False)
        if "ptrace" in done.stderr:
            tap.skip("strace may not trace here")
        check_same(done.returncode, 3)
        assert f"{tmp}/r: cannot write: Input/output error" in done.stderr, \
            done.stderr
        check_same(len(common.read_records(tmp / "r")), 4)


@tap.case
def many_write_to_one_report(tmp):
    "four processes append to one file: no line is torn or mixed"
    with common.server() as server:
        many = []
        for shard in range(4):
            lines = [server.url(f"/size=10/{'x' * (i % 97)}/{shard}-{i}")
                     for i in range(300)]
            common.write_list(tmp / f"list{shard}", lines)
            many.append(subprocess.Popen(
                [tap.PFETCH, "-q", "-i", tmp / f"list{shard}", "-o",
                 tmp / "out", "--results", tmp / "r"],
                stderr=subprocess.PIPE, text=True))
        for process in many:
            _, err = process.communicate(timeout=60)
            check_same((process.returncode, err), (0, ""))
        records = common.read_records(tmp / "r")
        check_same(len(records), 1200)
        check_same(len({r["url"] for r in records}), 1200)


# --- --resume-from --------------------------------------------------------------

def statuses(done):
    return [done.records[n]["status"] for n in sorted(done.records)]


@tap.case
def resume_skips_what_is_recorded(tmp):
    "and only that: other sizes, new lines and failures are fetched"
    with common.server() as server:
        lines = [server.url(f"/size=500/{'fail=1:404/' * (i == 3)}d{i}/f")
                 for i in range(6)]
        r, again = tmp / "r", ("--exist", "overwrite", "--resume-from",
                               tmp / "r")
        done = fetch(tmp, lines=lines, results="r")
        check_same(done.status, 1)
        # f.3 has failed, f.4 is cut short, f.5 is gone.
        (tmp / "out/f.4").write_bytes(b"x" * 499)
        (tmp / "out/f.5").unlink()
        before = server.stats()["requests"]
        done = fetch(tmp, *again, lines=lines)
        check_same(done.status, 0)
        check_same(statuses(done), ["skipped"] * 3 + ["ok"] * 3)
        check_same(server.stats()["requests"], before + 3)
        check_same([done.records[n]["path"] for n in range(1, 7)],
                   ["f", "f.1", "f.2", "f.3", "f.4", "f.5"])
        check_same(done.records[1]["message"], "ok in an earlier run")
        check_same(done.err.count("3 skipped"), 1)
        # Without the option all six are fetched: it is what skipped them.
        done = fetch(tmp, "--exist", "overwrite", lines=lines)
        check_same(statuses(done), ["ok"] * 6)
        # The first report and the second one, which was appended to.
        with open(r, "ab") as out:
            out.write((tmp / "results").read_bytes())
        before = server.stats()["requests"]
        done = fetch(tmp, *again, lines=lines)
        check_same((done.status, statuses(done)), (0, ["skipped"] * 6))
        check_same(server.stats()["requests"], before)
        # In another order they have other names, under which they are not
        # recorded; the last one has its old one.
        changed = [server.url("/size=500/new/f"), lines[2], lines[1],
                   lines[3]]
        done = fetch(tmp, *again, lines=changed)
        check_same(statuses(done), ["ok", "ok", "ok", "skipped"])


@tap.case
def resume_is_the_same_command_each_time(tmp):
    "--results r --resume-from r: killed, it goes on; 3 exist modes"
    with common.server() as server:
        for mode in ("overwrite", "auto", "error"):
            lines = [server.url(f"/size=1000/drip=500,3/{mode}/f{i}")
                     for i in range(60)]
            out, r = tmp / mode, tmp / f"r-{mode}"
            common.write_list(tmp / "list", lines)
            command = ["-i", tmp / "list", "-o", out, "--results", r,
                       "--resume-from", r, "--exist", mode]
            with common.started(tmp, *command, results=None,
                                out=mode) as process:
                common.until(lambda: r.exists()
                             and r.read_bytes().count(b"\n") >= 20,
                             "20 records")
                process.kill()
            recorded = sum(x["status"] == "ok" for x in
                           map(json.loads, r.read_text().splitlines()))
            with open(r, "ab") as torn:
                torn.write(b'{"schema":1,"n":')
            server.reset()
            done = tap.run(*command)
            said = done.stderr
            if mode == "error":  # files without a record
                assert done.returncode in (0, 1), done
            else:
                check_same(done.returncode, 0)
            assert server.stats()["requests"] <= 60 - recorded
            check_same(said.count("lines ignored"), 1)
            assert "no whole records: 1" in said, said
            for i, line in enumerate(lines):
                common.check_file(out / f"f{i}", line)


@tap.case
def resume_needs_its_file(tmp):
    "missing: status 2, unless it is that of --results"
    with common.server() as server:
        url = server.url("/a")
        done = fetch(tmp, "--resume-from", tmp / "none", url)
        check_same(done.status, 2)
        assert "none: cannot open" in done.err, done.err
        done = fetch(tmp, "--resume-from", tmp, url)
        check_same(done.status, 2)
        check_same(server.stats()["requests"], 0)
        done = fetch(tmp, "--resume-from", tmp / "results", url)
        check_same(done.status, 0)


@tap.case
def resume_without_files(tmp):
    "--handler null: the URL alone counts, in several reports"
    with common.server() as server:
        lines = [server.url(f"/f{i}") for i in range(20)]
        check_same(fetch(tmp, "--handler", "null", lines=lines[:8],
                         results="r1").status, 0)
        check_same(fetch(tmp, lines=lines[8:15], results="r2").status, 0)
        server.reset()
        done = fetch(tmp, "--handler", "null", "--resume-from", tmp / "r1",
                     "--resume-from", tmp / "r2", lines=lines)
        check_same(statuses(done), ["skipped"] * 15 + ["ok"] * 5)
        check_same(server.stats()["requests"], 5)


@tap.case
def resume_of_head(tmp):
    "--head: what has answered is not asked again, though it has no bytes"
    with common.server() as server:
        lines = [server.url("/a"), server.url("/status=404/b")]
        fetch(tmp, "--head", lines=lines, results="r1")
        fetch(tmp, "--head", "--resume-from", tmp / "r1", lines=lines)
        check_same(sorted(e["path"] for e in server.log()),
                   ["/a", "/status=404/b", "/status=404/b"])


@tap.case
def resume_goes_by_path_with_exec_each(tmp):
    "a file of that name that is somebody else's is not what was recorded"
    with common.server() as server:
        url = server.url("/size=10/a")
        command = ("--handler", "exec-each:true", "--exist", "overwrite")
        check_same(fetch(tmp, *command, lines=[url + "\tout=one"]).status, 0)
        (tmp / "out/two").write_text("0123456789")
        done = fetch(tmp, *command, "--resume-from", tmp / "results",
                     lines=[url + "\tout=two"], results="r2")
        check_same(done.records[1]["status"], "ok")


@tap.case
def resume_and_equal_urls(tmp):
    "user parts make no difference; a skipped line does not free its name"
    with common.server() as server:
        host = server.url("").split("//")[1]
        lines = [f"http://a:secret@{host}/x/f", server.url("/y/f")]
        check_same(fetch(tmp, lines=lines, results="r").status, 0)
        assert "secret" not in (tmp / "r").read_text()
        server.reset()
        lines[0] = lines[0].replace("secret", "other")
        lines.append(server.url("/z/f"))
        done = fetch(tmp, "--exist", "overwrite", "--resume-from", tmp / "r",
                     lines=lines)
        check_same(statuses(done), ["skipped", "skipped", "ok"])
        check_same(done.records[3]["path"], "f.2")


# --- --durable ------------------------------------------------------------------

CALLS = ("openat,open,creat,write,fsync,fdatasync,sync_file_range,rename,"
         "renameat,renameat2,link,linkat,mkdir,mkdirat")


def traced(tmp, *more, inject=(), paths=()):
    """Runs pfetch under strace; (finished process, its calls as (name,
    text))."""
    common.need_program("strace")
    program, environment = common.real_program()
    options = [f"--inject={i}" for i in inject]
    options += [o for path in paths for o in ("-P", path)]
    done = subprocess.run(
        ["strace", "-f", "-y", "-o", tmp / "trace", "-e", f"trace={CALLS}",
         *options, program, *map(str, more)],
        env=environment, stdin=subprocess.DEVNULL, capture_output=True,
        text=True, check=False)
    if "ptrace" in done.stderr or "Operation not permitted" in done.stderr:
        tap.skip("strace may not trace here")
    calls, open_calls = [], {}
    for line in (tmp / "trace").read_text(errors="replace").splitlines():
        pid, text = line.split(None, 1)
        if text.endswith("<unfinished ...>"):
            open_calls[pid] = text[:-len("<unfinished ...>")]
            continue
        resumed = re.match(r"<\.\.\. \w+ resumed>(.*)", text)
        if resumed:
            text = open_calls.pop(pid) + resumed.group(1)
        if "(" in text:
            calls.append((text.split("(")[0], text))
    return done, calls


def at(calls, *words, after=-1):
    """The first call behind `after` whose text has all these words."""
    for i, (_, text) in enumerate(calls):
        if i > after and all(word in text for word in words):
            return i
    raise AssertionError(f"no call with {words} behind {after}")


def last(calls, *words):
    return max((i for i, (_, text) in enumerate(calls)
                if all(word in text for word in words)), default=-1)


@tap.case(timeout=60)
def durable_is_in_the_right_order(tmp):
    "write, fsync the file, rename, fsync directories, record, fsync report"
    with common.server() as server:
        lines = [server.url(f"/size=5000/d{n % 3}/f{n}") for n in range(40)]
        common.write_list(tmp / "list", lines)
        done, calls = traced(
            tmp, "--durable", "--name", "path", "-i", tmp / "list", "-o",
            tmp / "out", "--results", tmp / "r")
        check_same(done.returncode, 0)
        records = common.by_n(common.read_records(tmp / "r"))
        check_same(len(records), 40)
        host = server.url("").split("//")[1]
        for n, record in records.items():
            path = record["path"]
            folder, name = path.rsplit("/", 1)
            part = f"/{folder}/.{name}.part>"
            written = last(calls, "write(", part)
            synced = at(calls, "fsync(", part)
            named = at(calls, "rename", f'"{name}"', f"/{folder}>")
            told = at(calls, "write(", f"{tmp}/r>", f'\\"n\\":{n},')
            assert -1 < written < synced < named < told, (n, calls)
            inner = at(calls, f"<{tmp}/out/{folder}>)", "fsync(",
                       after=named)
            outer = at(calls, f"<{tmp}/out/{host}>)", "fsync(", after=named)
            root = at(calls, f"<{tmp}/out>)", "fsync(", after=named)
            assert max(inner, outer, root) < told, (n, calls)
            at(calls, f"{tmp}/r>)", "fsync(", after=told)
        # The names of the output directory and of the report.
        first = at(calls, "write(", f"{tmp}/r>")
        assert at(calls, "fsync(", f"<{tmp}>") < first, calls
        syncs = sum(name == "fsync" and f"{tmp}/r>" in text
                    for name, text in calls)
        print(f"{syncs} times the report was forced")


@tap.case
def without_durable_nothing_is_forced(tmp):
    with common.server() as server:
        done, calls = traced(tmp, server.url("/a"), "-o", tmp / "out",
                             "--results", tmp / "r")
        check_same(done.returncode, 0)
        check_same([c for c in calls if "sync" in c[0]], [])


@tap.case
def a_file_that_cannot_be_forced(tmp):
    """EIO by fsync, or by waiting for write-back before: the line fails,
    once, no file is left, the run stops"""
    for inject, syncs in (("fsync:error=EIO:when=1", 1),
                          ("sync_file_range:error=EIO:when=2", 0)):
        with common.server() as server:
            done, calls = traced(
                tmp, "--durable", server.url("/a"), "-o", tmp / "out",
                "--results", tmp / "r", "--retries", "2",
                paths=[tmp / "out/.a.part"], inject=[inject])
            check_same(done.returncode, 3)
            check_same(sum(c[0] == "fsync" for c in calls), syncs)
            record = common.read_records(tmp / "r")[0]
            common.check_failed(record, "local")
            assert "sync a: Input/output error" in record["message"], record
            check_same(tree(tmp / "out"), [])
            (tmp / "r").unlink()


@tap.case
def a_directory_that_cannot_be_forced(tmp):
    "no record says ok, and the run stops"
    with common.server() as server:
        (tmp / "out").mkdir()
        done, _ = traced(
            tmp, "--durable", server.url("/a"), "-o", tmp / "out",
            "--results", tmp / "r", paths=[tmp / "out"],
            inject=["fsync:error=EIO:when=1"])
        check_same(done.returncode, 3)
        common.check_failed(common.read_records(tmp / "r")[0], "local")
        assert "sync the directory of a: Input/output" in done.stderr, \
            done.stderr
        again = fetch(tmp, server.url("/a"))
        check_same(again.status, 0)
        check_same(tree(tmp / "out"), ["a"])


@tap.case
def a_report_that_cannot_be_forced(tmp):
    "status 3"
    with common.server() as server:
        (tmp / "r").write_text("")
        done, _ = traced(
            tmp, "--durable", server.url("/a"), "-o", tmp / "out",
            "--results", tmp / "r", paths=[tmp / "r"],
            inject=["fsync:error=EIO:when=1"])
        check_same(done.returncode, 3)
        assert f"{tmp}/r: cannot write: Input/output error" in done.stderr, \
            done.stderr


@tap.case
def durable_gets_everything(tmp):
    "many files, failures between, equal names; few descriptors; a stop"
    def limit():
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))

    with common.server() as server:
        lines = [server.url(f"/size=2000/{'status=404/' * (n % 5 == 4)}"
                            f"d{n}/f{n % 50}") for n in range(500)]
        done = fetch(tmp, "--durable", lines=lines, preexec_fn=limit)
        check_same(done.status, 1)
        check_same(len(done.records), 500)
        for n, line in enumerate(lines, 1):
            if n % 5 == 0:
                common.check_failed(done.records[n], "http", 404)
            else:
                check_good(done, n, line, 2000)
        check_same(len(tree(done.path)), 400)
        done = fetch(tmp, "--durable", "--max-files", "7", lines=lines,
                     out="other")
        check_same(done.status, 0)
        ok = [r for r in done.records.values() if r["status"] == "ok"]
        check_same(tree(done.path), sorted(r["path"] for r in ok))


tap.main()
