#!/usr/bin/env python3
"""basic - the options of the program, one by one.

SPDX-License-Identifier: MIT
"""

import base64
import hashlib
import os
import shutil
import subprocess

import common
from common import (NAME, SOON, check_failed, check_good, check_same, fetch,
                    started, tap, tree, until)
import certs
import nginx


def need_certs(tmp):
    if not certs.available():
        tap.skip("openssl is not installed")
    return certs.make(tmp / "certs")


def check_nothing_asked(server):
    check_same(server.stats()["requests"], 0)


# --- lists ----------------------------------------------------------------------

@tap.case
def a_list_from_a_file(tmp):
    with common.server() as server:
        urls = [server.url(f"/size={size}/f{size}.bin")
                for size in (0, 1, 1000, 16384, 300000)]
        done = fetch(tmp, lines=urls)
        check_same(done.status, 0)
        check_same(sorted(done.records), [1, 2, 3, 4, 5])
        for n, size in enumerate((0, 1, 1000, 16384, 300000), 1):
            check_good(done, n, urls[n - 1], size)
            record = done.records[n]
            check_same((record["list"], record["line"], record["url"],
                        record["http"], record["attempts"],
                        record["length_verified"], record["path"]),
                       (str(tmp / "list"), n, urls[n - 1], 200, 1, True,
                        f"f{size}.bin"))
            assert record["ms"]["total"] > 0, record
        check_same(len(tree(done.path)), 5)
        assert "5 files" in done.err, done.err
        check_same(done.out, "")


@tap.case
def a_list_is_read_while_it_is_written(tmp):
    "stdin: the first URL is fetched before the list ends"
    with common.server() as server:
        with started(tmp, "-i", "-", stdin=subprocess.PIPE) as process:
            process.stdin.write(server.url("/one.bin\n").encode())
            process.stdin.flush()
            server.wait(lambda s: s["requests"] == 1)
            until((tmp / "out/one.bin").exists, "the first file")
            until(lambda: (tmp / "results").stat().st_size, "its record")
            assert process.poll() is None, "it did not wait for the rest"
            process.stdin.write(server.url("/two.bin").encode())
            process.stdin.close()
            check_same(process.wait(20), 0)
        check_same(tree(tmp / "out"), ["one.bin", "two.bin"])
        records = common.by_n(common.read_records(tmp / "results"))
        check_same([(records[n]["list"], records[n]["line"])
                    for n in (1, 2)], [("-", 1), ("-", 2)])


@tap.case
def several_lists_and_arguments(tmp):
    "arguments come first, then the lists in their order; n counts on"
    with common.server() as server:
        first = common.write_list(
            tmp / "first", ["# a comment", server.url("/c"), "",
                            server.url("/d")])
        second = common.write_list(tmp / "second", [server.url("/e")])
        done = fetch(tmp, server.url("/a"), "-i", first, "-i", second,
                     server.url("/b"))
        check_same(done.status, 0)
        check_same([(r["path"], r.get("list"), r.get("line"))
                    for _, r in sorted(done.records.items())],
                   [("a", None, None), ("b", None, None),
                    ("c", str(first), 2), ("d", str(first), 4),
                    ("e", str(second), 1)])
        check_same(tree(done.path), list("abcde"))


@tap.case
def null_separated_lists(tmp):
    with common.server() as server:
        text = "\0".join([server.url("/a"), server.url("/b\nc"), "",
                          server.url("/d")])
        done = fetch(tmp, "-0", "-i", "-", input=text)
        check_same(done.status, 1)
        check_same(tree(done.path), ["a", "d"])
        check_failed(done.records[2], "url")
        check_same([done.records[n]["line"] for n in (1, 2, 3)], [1, 2, 4])


@tap.case
def odd_but_legal_lists(tmp):
    "CRLF, BOM, blanks, comments and no last newline are accepted"
    with common.server() as server:
        text = (b"\xef\xbb\xbf" + server.url("/a").encode() + b"\r\n"
                b"\r\n"
                b"  # blanks before a comment\r\n"
                b" \t " + server.url("/b").encode() + b" \t\r\n"
                b"#" + server.url("/no").encode() + b"\n"
                b"\n\n" + server.url("/c").encode())
        (tmp / "odd").write_bytes(text)
        done = fetch(tmp, "-i", tmp / "odd")
        check_same(done.status, 0)
        check_same(tree(done.path), ["a", "b", "c"])
        check_same([done.records[n]["line"] for n in (1, 2, 3)], [1, 4, 8])
        check_same(server.stats()["requests"], 3)


BAD_LINES = [
    ("url", b"http://127.0.0.1:9/" + b"x" * 1000000),
    ("url", b"http://127.0.0.1:9/a\x01b"),
    ("url", b"http://127.0.0.1:9/a\x7fb"),
    ("url", b"http://127.0.0.1:9/a\x1b[31mb"),
    ("url", b"http://127.0.0.1:9/a\x00b"),
    ("url", b"http://127.0.0.1:9/a\rb"),
    ("url", b"http://127.0.0.1:9/a\tcolour=red"),
    ("url", b"http://127.0.0.1:9/a\tno field"),
    ("url", b"http://127.0.0.1:9/a\tid=1\tid=2"),
    ("url", b"http://127.0.0.1:9/a b"),
    ("url", b"http:///nohost"),
    ("url", b"http://127.0.0.1:99999/x"),
    ("url", b"http://127.0.0.1:9x/x"),
    ("url", b"http://[::1/x"),
    ("scheme", b"ftp://127.0.0.1:9/x"),
    ("scheme", b"file:///etc/passwd"),
    ("scheme", b"www.example.invalid/x"),
    ("scheme", b"\xff\xff\xff"),
    ("scheme", b"\x80"),
]


@tap.case
def bad_lines_fail_alone(tmp):
    "each bad line fails with its number; the good ones between are fetched"
    with common.server() as server:
        lines = []
        for i, (_, bad) in enumerate(BAD_LINES):
            lines += [bad, server.url(f"/good{i}")]
        done = fetch(tmp, lines=lines)
        check_same(done.status, 1)
        check_same(sorted(done.records), list(range(1, len(lines) + 1)))
        for i, (cls, bad) in enumerate(BAD_LINES):
            record = done.records[2 * i + 1]
            check_same(record["line"], 2 * i + 1)
            check_failed(record, cls)
            assert record.get("attempts", 0) == 0, record
            check_good(done, 2 * i + 2, f"/good{i}")
        check_same(tree(done.path),
                   sorted(f"good{i}" for i in range(len(BAD_LINES))))
        assert "\x1b" not in done.err and "\x00" not in done.err
        check_same(server.stats()["requests"], len(BAD_LINES))


@tap.case
def a_long_line_at_the_limit(tmp):
    "64 KiB are a line, one byte more is none; also as the last line"
    with common.server() as server:
        start = server.url("/x?")
        fits = start + "q" * (65536 - len(start))
        done = fetch(tmp, "--handler", "null", "--retries", "0",
                     lines=[fits + "q", fits, fits + "qq"])
        check_failed(done.records[1], "url")
        check_failed(done.records[3], "url")
        # faultd may refuse so long a request line: it was sent, at least.
        check_same(done.records[2]["attempts"], 1)


@tap.case
def utf16_fails_line_by_line(tmp):
    with common.server() as server:
        text = "\ufeff" + "".join(f"{server.url('/x')}{i}\r\n"
                                  for i in range(3))
        for order in ("utf-16-le", "utf-16-be"):
            (tmp / "wide").write_bytes(text.encode(order))
            done = fetch(tmp, "-i", tmp / "wide", server.url(f"/{order}"))
            check_same(done.status, 1)
            check_same(sorted(done.records), [1, 2, 3, 4])
            for n in (2, 3, 4):
                check_failed(done.records[n], "url")
                assert "UTF-16" in done.records[n]["message"]
            assert done.records[1]["status"] == "ok"
        check_same(server.stats()["requests"], 2)


@tap.case
def an_id_comes_back(tmp):
    with common.server() as server:
        done = fetch(tmp, lines=[server.url("/a") + "\tid=x y=z\u00fc",
                                 server.url("/b") + " \tid=",
                                 server.url("/c"),
                                 server.url("/status=404/d") + "\tid=D"])
        check_same([done.records[n].get("id") for n in (1, 2, 3, 4)],
                   ["x y=z\u00fc", "", None, "D"])
        check_same(tree(done.path), ["a", "b", "c"])


@tap.case
def an_empty_list_is_no_error(tmp):
    for content in (b"", b"\n\n", b"# nothing\n", b"\xef\xbb\xbf"):
        (tmp / "empty").write_bytes(content)
        done = fetch(tmp, "-i", tmp / "empty")
        check_same((done.status, done.records), (0, {}))
    check_same(fetch(tmp, "-i", "/dev/null").status, 0)


@tap.case
def lists_that_cannot_be_read(tmp):
    "missing, a directory, no permission: status 2, and nothing is asked"
    with common.server() as server:
        for bad in (tmp / "missing", tmp, tmp / "file/below"):
            (tmp / "file").write_text("")
            done = fetch(tmp, "-i", bad, server.url("/a"))
            check_same(done.status, 2)
            assert str(bad) in done.err and len(done.err.splitlines()) == 1
            assert not done.path.exists(), "the directory was made"
        check_same(tap.run("-i", "-", "-o", tmp / "out", server.url("/a"),
                           stdin=os.open(tmp, os.O_RDONLY)).returncode, 2)
        check_nothing_asked(server)


@tap.case
def a_list_without_permission(tmp):
    common.need_permissions(tmp)
    with common.server() as server:
        secret = common.write_list(tmp / "secret", [server.url("/b")])
        secret.chmod(0)
        done = fetch(tmp, "-i", secret, server.url("/a"),
                     preexec_fn=common.drop_privileges)
        check_same(done.status, 2)
        check_nothing_asked(server)


@tap.case
def a_read_error_is_not_the_end(tmp):
    "a list that cannot be read further: status 3, and the good lines count"
    done = fetch(tmp, "-i", "/proc/self/mem")
    check_same(done.status, 3)
    assert "Input/output error" in done.err, done.err
    check_same([(r["status"], r["from_line"])
                for r in common.read_records(tmp / "results")],
               [("not-attempted", 1)])


# --- the command line --------------------------------------------------------------

USAGE_ERRORS = [
    ["-t", "0"], ["-t", "16x"], ["-t", "1025"], ["-t", "99999999999"],
    ["-t", "99999999999999999999999"], ["-t", ""], ["-t", "-1"],
    ["-t", "+1"], ["-t", " 1"], ["-t", "0x10"], ["-t", "1.5"],
    ["--threads="], ["--threads"],
    ["--max-idle", "65537"], ["--max-idle", "-1"], ["--max-idle", "x"],
    ["--grace", "-1s"], ["--grace", "25h"], ["--grace", "x"],
    ["--retries", "1001"], ["--retries", "-1"], ["--retries", "1k"],
    ["--retry-http", "99"], ["--retry-http", "1000"],
    ["--retry-http", "504-500"], ["--retry-http", "5xx"],
    ["--retry-http", "500,"], ["--retry-http", ",500"],
    ["--retry-http", "500 501"], ["--retry-http", "200"],
    ["--retry-http", "399-401"],
    ["--retry-delay", "1.5s"], ["--retry-delay", "10x"],
    ["--retry-delay", "99999999999h"], ["--retry-delay", "s"],
    ["--retry-max-delay", "-1"], ["--max-retry-after", "8000000s"],
    ["--connect-timeout", "0"], ["--connect-timeout", "100000h"],
    ["--stall-timeout", "1 s"], ["--stall-timeout", "25h"],
    ["--max-size", "1X"], ["--max-size", "-1"],
    ["--max-size", "99999999T"], ["--max-size", "1kk"],
    ["--max-size", "9223372036854775808"],
    ["--max-redirs", "1001"], ["--max-redirs", "-1"],
    ["--name", "foo"], ["--name", ""], ["--exist", "foo"],
    ["--handler", "foo"], ["--http-version", "3"], ["--http-version", "1"],
    ["-H", "no colon"], ["-H", "bad name: x"], ["-H", ": x"],
    ["-H", "A: b\r\nC: d"], ["-H", "A: b\nC: d"], ["-H", ""],
    ["-A", "a\nb"], ["-u", "nocolon"], ["-u", "a:b\nc"],
    ["--user-file", "/nonexistent"], ["--user-file", "/"],
    ["-o", ""], ["--results", ""], ["--cacert", ""],
    ["--unknown"], ["-Z"], ["--re"], ["--quiet=1"], ["--no-quiet"],
    ["--no-threads"], ["--dry-run=yes"], ["-i", "-", "-i", "-"],
    ["--dry-run", "--results", "-"],
]


@tap.case(timeout=60)
def usage_errors(tmp):
    "every wrong value: one line and a hint, status 2, nothing asked or made"
    with common.server() as server:
        surprises = []
        for wrong in USAGE_ERRORS:
            done = tap.run("-o", tmp / "out", server.url("/x"), *wrong,
                           cwd=tmp)
            lines = done.stderr.splitlines()
            if (done.returncode != 2 or done.stdout or len(lines) != 2
                    or not lines[0].startswith(f"{NAME}: ")
                    or lines[1] != f"Try '{NAME} --help'"
                    or (tmp / "out").exists()):
                surprises.append((wrong, done.returncode, done.stderr))
                shutil.rmtree(tmp / "out", ignore_errors=True)
        check_same(surprises, [])
        check_nothing_asked(server)


@tap.case
def nothing_to_do_is_a_usage_error(tmp):
    done = tap.run(cwd=tmp)
    check_same(done.returncode, 2)
    assert f"Try '{NAME} --help'" in done.stderr, done.stderr
    check_same(tree(tmp), [])


@tap.case
def a_secret_in_a_wrong_option_is_not_repeated(tmp):
    for wrong in (["-u", "s3cret"], ["--user=s3cret\n:x"],
                  ["--usr=s3cret"], ["-H", "s3cret"],
                  ["-H", "Authorization: s3cret\n"]):
        done = tap.run("http://127.0.0.1:9/", *wrong, cwd=tmp)
        check_same(done.returncode, 2)
        assert "s3cret" not in done.stderr + done.stdout, done.stderr


@tap.case
def ranges_that_are_right(tmp):
    "the ends of each range are accepted"
    (tmp / "empty").write_text("")
    for right in (["-t", "1"], ["-t", "1024"], ["--max-idle", "0"],
                  ["--max-idle", "65536"], ["--grace", "0"],
                  ["--grace", "24h"], ["--retries", "0"],
                  ["--retries", "1000"], ["--retry-http", "400"],
                  ["--retry-http", "400-999,500"],
                  ["--connect-timeout", "1ms"], ["--stall-timeout", "0"],
                  ["--max-size", "0"], ["--max-size", "8388607T"],
                  ["--max-redirs", "1000"], ["--retry-delay", "0"],
                  ["--max-retry-after", "168h"], ["--no-dry-run"],
                  ["--no-remote-time"], ["--no-insecure"], ["--no-null"]):
        done = tap.run("-i", tmp / "empty", "-o", tmp / "out", *right)
        assert done.returncode == 0, f"{right}: {done.stderr}"


@tap.case
def help_and_version(tmp):
    "on standard output, status 0; a full disk under it is status 3"
    texts = [tap.run(*o) for o in (["-h"], ["--help"], ["--help", "all"],
                                   ["-V"], ["--version"])]
    for done in texts:
        check_same((done.returncode, done.stderr), (0, ""))
    check_same(texts[0].stdout, texts[1].stdout)
    check_same(texts[3].stdout, texts[4].stdout)
    short, full, version = (texts[i].stdout for i in (0, 2, 3))
    assert short.startswith(f"Usage: {NAME} ") and len(full) > len(short)
    assert len(short.splitlines()) < 60, "no page any more"
    assert short.index("\nExamples:") < short.index("\nInput:") \
        < short.index("\nOutput:") < short.index("\nReports:"), short
    assert "--max-redirs" in full and "--max-redirs" not in short
    assert version.startswith("pfetch ") and "libcurl/" in version
    assert all(len(line) < 80 for line in full.splitlines())
    check_same(tree(tmp), [])
    if os.path.exists("/dev/full"):
        for option in ("--help", "-V"):
            with open("/dev/full", "w") as out:
                done = tap.run(option, stdout=out, stderr=subprocess.PIPE)
            check_same(done.returncode, 3)
            assert "No space left" in done.stderr, done.stderr


@tap.case
def called_by_another_name(tmp):
    program, environment = common.real_program()
    (tmp / "my-get").symlink_to(program)
    done = subprocess.run([tmp / "my-get", "-t", "0"], env=environment,
                          capture_output=True, text=True, check=False)
    check_same(done.returncode, 2)
    lines = done.stderr.splitlines()
    assert lines[0].startswith("my-get: "), lines
    check_same(lines[1], "Try 'my-get --help'")
    done = subprocess.run([tmp / "my-get", "--help"], env=environment,
                          capture_output=True, text=True, check=False)
    assert done.stdout.startswith("Usage: my-get "), done.stdout


@tap.case
def short_options_run_together(tmp):
    with common.server() as server:
        done = tap.run("-qt4", "-o" + str(tmp / "out"), "--",
                       server.url("/a"), "-t")
        check_same(done.returncode, 1)  # -t is no URL
        check_same(tree(tmp / "out"), ["a"])


@tap.case
def dry_run(tmp):
    "URL, TAB, path in list order; nothing is asked, nothing made"
    with common.server() as server:
        host = server.url("").split("//")[1]
        lines = [server.url("/d/a.txt"), server.url("/e/a.txt"),
                 f"http://me:s3cret@{host}/b", server.url("/c/")]
        done = tap.run("--dry-run", "-o", tmp / "out", "-i",
                       common.write_list(tmp / "list", lines))
        check_same(done.returncode, 0)
        check_same(done.stdout.splitlines(),
                   [f"{lines[0]}\ta.txt", f"{lines[1]}\ta.1.txt",
                    f"http://***@{host}/b\tb", f"{lines[3]}\tindex.html"])
        assert "s3cret" not in done.stderr
        assert not (tmp / "out").exists()
        check_nothing_asked(server)
        done = fetch(tmp, "--dry-run", lines=lines + ["nonsense"])
        check_same(done.status, 1)
        check_same([done.records[n]["status"] for n in range(1, 6)],
                   ["planned"] * 4 + ["failed"])
        check_same(server.stats()["connections_accepted"], 0)


@tap.case
def dry_run_says_what_a_run_does(tmp):
    "the names planned are the names made, also beside files of other runs"
    with common.server() as server:
        fetch(tmp, lines=[server.url("/0/a.txt")])
        (tmp / "out/b").write_text("mine")
        lines = [server.url(f"/{i}/{name}")
                 for i in range(3) for name in ("a.txt", "b", "c?d=e")]
        planned = tap.run("--dry-run", "-o", tmp / "out", "-i",
                          common.write_list(tmp / "list", lines))
        names = [line.split("\t")[1]
                 for line in planned.stdout.splitlines()]
        done = fetch(tmp, lines=lines)
        check_same(done.status, 0)
        check_same(names, [done.records[n]["path"] for n in range(1, 10)])
        check_same(done.records[1]["status"], "skipped")
        check_same(len(tree(done.path)), 10)


@tap.case
def dry_run_into_a_closed_pipe(tmp):
    read, write = os.pipe()
    os.close(read)
    lines = [f"http://127.0.0.1:9/{i}" for i in range(1000)]
    done = tap.run("--dry-run", "-o", tmp / "out", "-i",
                   common.write_list(tmp / "list", lines), stdout=write,
                   stderr=subprocess.PIPE)
    os.close(write)
    check_same(done.returncode, 3)
    assert "standard output" in done.stderr, done.stderr


# --- names and what is there ---------------------------------------------------------

@tap.case
def name_modes(tmp):
    with common.server() as server:
        lines = [server.url("/d/e/a.txt"), server.url("/d/b?x=1&y=2")]
        host = "127.0.0.1:%d" % server.ports["plain"]
        for mode, names in (
                ("basename", ["a.txt", "b?x=1&y=2"]),
                ("path", [f"{host}/d/e/a.txt", f"{host}/d/b?x=1&y=2"]),
                ("hash", [hashlib.sha256(u.encode()).hexdigest()[:32]
                          for u in lines]),
                ("number", ["1", "2"])):
            done = fetch(tmp, "--name", mode, lines=lines, out=mode)
            check_same((mode, done.status), (mode, 0))
            check_same([done.records[n]["path"] for n in (1, 2)], names)
            for n in (1, 2):
                check_good(done, n, lines[n - 1])
            check_same(tree(done.path), sorted(names))


@tap.case
def exist_modes(tmp):
    with common.server() as server:
        def run(mode, *more):
            out = tmp / "out"
            out.mkdir(exist_ok=True)
            (out / "a").write_text("mine")
            server.reset()
            done = fetch(tmp, "--exist", mode, *more,
                         lines=[server.url("/a"), server.url("/b")])
            return done, done.records[1]

        done, record = run("auto")
        check_same((done.status, record["status"], record["path"]),
                   (0, "ok", "a.1"))
        check_same((tmp / "out/a").read_text(), "mine")
        done, record = run("auto")
        check_same((done.status, record["status"], record["path"]),
                   (0, "skipped", "a.1"))
        check_nothing_asked(server)
        done, record = run("skip")
        check_same((done.status, record["status"], record["path"]),
                   (0, "skipped", "a"))
        check_nothing_asked(server)
        done, record = run("error")
        check_same(done.status, 1)
        check_failed(record, "exists")
        check_same((tmp / "out/a").read_text(), "mine")
        done, record = run("overwrite")
        check_same((done.status, record["path"]), (0, "a"))
        check_good(done, 1, "/a")
        check_same(tree(tmp / "out"), ["a", "a.1", "b"])


@tap.case
def things_in_the_way_are_left_alone(tmp):
    "a directory, links, a FIFO under the name: not touched, not followed"
    with common.server() as server:
        out = tmp / "out"
        out.mkdir()
        (tmp / "outside").write_text("keep")
        (out / "dir").mkdir()
        (out / "dangling").symlink_to(tmp / "nowhere")
        (out / "link").symlink_to(tmp / "outside")
        os.link(tmp / "outside", out / "hard")
        os.mkfifo(out / "fifo")
        names = ["dir", "dangling", "link", "hard", "fifo"]
        lines = [server.url("/" + name) for name in names]
        done = fetch(tmp, lines=lines)
        check_same(done.status, 0)
        for n, name in enumerate(names, 1):
            check_same(done.records[n]["path"], name + ".1")
            check_good(done, n, "/" + name)
        done = fetch(tmp, "--exist", "error", lines=lines)
        for n in range(1, 6):
            check_failed(done.records[n], "exists")
        done = fetch(tmp, "--exist", "overwrite", lines=lines)
        check_failed(done.records[1], "exists")
        for n in range(2, 6):
            check_good(done, n, lines[n - 1])
            assert not (out / names[n - 1]).is_symlink()
        check_same((tmp / "outside").read_text(), "keep")
        assert not (tmp / "nowhere").exists()


@tap.case
def times_of_files(tmp):
    date = "Sun, 06 Nov 1994 08:49:37 GMT"
    with common.server() as server:
        url = server.url("/lastmod=" + date.replace(" ", "%20") + "/a")
        done = fetch(tmp, url, out="with")
        check_same(done.records[1]["last_modified"], date)
        check_same(int((done.path / "a").stat().st_mtime), 784111777)
        done = fetch(tmp, "--no-remote-time", url, out="without")
        assert (done.path / "a").stat().st_mtime > 1600000000


# --- requests ------------------------------------------------------------------------

@tap.case
def headers_and_user_agent(tmp):
    with common.server() as server:
        needs = ("/needheader=X-One:1/needheader=X-Two:two%20words"
                 "/refuseheader=Accept-Encoding/refuseheader=Referer")
        done = fetch(tmp, "-H", "X-One: 1", "-H", "X-Two: two words", "-A",
                     "me/1.0", server.url(needs + "/a"))
        check_same(done.status, 0)
        check_failed(fetch(tmp, "-H", "X-One: 1",
                           server.url(needs + "/b")).records[1], "http", 403)
        agents = [request["User-Agent"] for request in server.log()]
        check_same(agents[0], "me/1.0")
        assert agents[1].startswith("pfetch/"), agents


SECRET = "gT7pass"


def check_no_secret(tmp, done, *secrets):
    secrets += (base64.b64encode(b"me:" + SECRET.encode()).decode(),)
    texts = [done.out, done.err, (tmp / "results").read_text()]
    for path in tree(tmp / "out"):
        texts.append(path)
        try:
            texts += [os.getxattr(tmp / "out" / path, name).decode("latin1")
                      for name in os.listxattr(tmp / "out" / path)]
        except OSError:
            pass  # a file system without them shows nothing either
    for text in texts:
        for secret in secrets:
            assert secret not in text, f"{secret} in {text!r}"


@tap.case
def credentials(tmp):
    "-u, --user-file and user:password@host; never in an output"
    with common.server() as server:
        path = f"/auth=me:{SECRET}"
        (tmp / "user").write_text(f"me:{SECRET}\r\nnext line\n")
        done = fetch(tmp, "-v", "-u", f"me:{SECRET}", server.url(path + "/a"),
                     server.url(path + "/status=500/e"), *SOON)
        check_same(done.records[1]["status"], "ok")
        check_same(done.records[2]["http"], 500)
        done = fetch(tmp, "-v", "--user-file", tmp / "user",
                     server.url(path + "/b"))
        check_same(done.status, 0)
        host = server.url("").split("//")[1]
        path = f"/auth=me:{SECRET}".replace(SECRET, "%67T7pass")
        done = fetch(tmp, "-v", f"http://me:{SECRET}@{host}{path}/c",
                     f"http://me:{SECRET}@{host}/status=404/d",
                     f"http://me:{SECRET}@{host}:x/e",
                     f"ftp://me:{SECRET}@{host}/f")
        check_same([done.records[n]["status"] for n in (1, 2, 3, 4)],
                   ["ok", "failed", "failed", "failed"])
        check_no_secret(tmp, done, SECRET)
        check_same(tree(tmp / "out"), ["a", "b", "c"])


@tap.case
def a_password_is_not_in_the_process_list(tmp):
    with common.server() as server:
        with started(tmp, "-u", f"me:{SECRET}",
                     server.url("/delay=20000/a")) as process:
            server.wait(lambda s: s["requests_active"] == 1)
            with open(f"/proc/{process.pid}/cmdline", "rb") as text:
                line = text.read()
            assert b"delay=20000" in line, line
            assert SECRET.encode() not in line, line


@tap.case
def credentials_stay_with_their_origin(tmp):
    "after a redirect to another origin neither -u nor -H is sent"
    with common.server() as other, common.server() as server:
        target = other.url(
            "/refuseheader=Authorization/refuseheader=X-Key/a")
        path = "/redirect=" + target.replace("/", "%2F") + "/x"
        host = server.url("").split("//")[1]
        for n, (options, url) in enumerate([
                (("-u", f"me:{SECRET}", "-H", "X-Key: k"), server.url(path)),
                (("-H", "X-Key: k"), f"http://me:{SECRET}@{host}{path}")]):
            done = fetch(tmp, *options, url, out=f"out{n}")
            check_same(done.records[1]["status"], "ok")
            check_same(done.records[1]["effective_url"], target)
        same = "/redirect=" + (f"/auth=me:{SECRET}/needheader=X-Key:k/b"
                               ).replace("/", "%2F") + "/y"
        done = fetch(tmp, "-u", f"me:{SECRET}", "-H", "X-Key: k",
                     server.url(same))
        check_same(done.status, 0)


@tap.case
def proxy(tmp):
    "-x and http_proxy: absolute form; --noproxy and no_proxy around it"
    with common.server() as server:
        url = "http://nowhere.invalid/size=77/a"
        done = fetch(tmp, "-x", server.url(""), url, out="one")
        check_same(done.status, 0)
        check_good(done, 1, url, 77)
        check_same(server.stats()["requests"], 1)
        environment = dict(os.environ, http_proxy=server.url(""))
        done = fetch(tmp, url, out="two", env=environment)
        check_same(done.status, 0)
        check_same(server.stats()["requests"], 2)
        direct = server.url("/b")
        for options, more in ((("--noproxy", "127.0.0.1"), {}),
                              ((), {"no_proxy": "127.0.0.1"})):
            done = fetch(tmp, "-x", "http://127.0.0.1:1", *options, direct,
                         out="three%d" % len(options),
                         env=dict(os.environ, **more))
            check_same(done.status, 0)
        done = fetch(tmp, "-x", "http://127.0.0.1:1", "--retries", "0",
                     direct, out="four")
        check_failed(done.records[1], "proxy")


@tap.case
def a_password_of_a_proxy_is_not_shown(tmp):
    "in no message and no record, whatever is wrong with the proxy"
    for proxy_url in (f"http://me:{SECRET}@127.0.0.1:1",
                      f"http://me:{SECRET}@127.0.0.1:99999",
                      f"nonsense://me:{SECRET}@127.0.0.1:1",
                      f"http://me:{SECRET}@no-such.invalid:1"):
        done = fetch(tmp, "-v", "--retries", "0", "-x", proxy_url,
                     "http://127.0.0.1:1/a")
        assert done.status in (1, 2), done
        assert SECRET not in done.err, done.err
        assert SECRET not in repr(done.records), done.records


@tap.case
def max_size(tmp):
    with common.server() as server:
        done = fetch(tmp, "--max-size", "1k", *SOON, lines=[
            server.url("/size=1024/fits"),
            server.url("/size=1025/declared"),
            server.url("/size=1025/chunked/chunked-1"),
            server.url("/size=1024/chunked/chunked-0"),
            server.url("/size=1025/nolength/closed"),
            server.url("/size=9000000/chunked/big")])
        check_same(done.status, 1)
        for n in (1, 4):
            check_good(done, n, ["/fits", 0, 0, "/chunked-0"][n - 1], 1024)
        for n in (2, 3, 5, 6):
            check_failed(done.records[n], "too-large")
            check_same(done.records[n]["attempts"], 1)
        check_same(tree(done.path), ["chunked-0", "fits"])


@tap.case
def retries(tmp):
    with common.server() as server:
        done = fetch(tmp, *SOON, lines=[
            server.url("/fail=2:500/a"), server.url("/fail=5:500/b"),
            server.url("/failcut=2:0/c"), server.url("/failcut=3:500/d"),
            server.url("/fail=4:503/e"), server.url("/status=404/f"),
            server.url("/status=500/g"), server.url("/fail=1:418/h")])
        check_same(done.status, 1)
        check_same([done.records[n]["attempts"] for n in range(1, 9)],
                   [3, 5, 3, 4, 5, 1, 5, 1])
        for n in (1, 3, 4, 5):
            check_good(done, n, "/" + " abcde"[n])
        for n, status in ((2, 500), (6, 404), (7, 500), (8, 418)):
            check_failed(done.records[n], "http", status)
        check_same(server.hits("/status=500/g"), 5)
        # Alone, because what fails on a kept connection before any byte may
        # be sent again at once, as part of the same attempt.
        done = fetch(tmp, *SOON, server.url("/failreset=2/r"))
        check_same((done.status, done.records[1]["attempts"]), (0, 3))
        done = fetch(tmp, *SOON, "--retries", "0",
                     server.url("/fail=1:500/i"))
        check_same(done.records[1]["attempts"], 1)
        done = fetch(tmp, *SOON, "--retry-http", "418", "--retries", "1",
                     server.url("/fail=1:418/j"),
                     server.url("/fail=1:500/k"))
        check_same([done.records[n]["status"] for n in (1, 2)],
                   ["ok", "failed"])
        done = fetch(tmp, "--retry-http", "", server.url("/fail=1:503/l"))
        check_same(done.records[1]["attempts"], 1)


@tap.case
def retry_delays(tmp):
    "Retry-After is a least delay, up to --max-retry-after"
    with common.server() as server:
        done = fetch(tmp, *SOON, server.url("/fail=1:429/retryafter=1/a"))
        check_same(done.status, 0)
        assert done.seconds > 0.99, done.seconds
        done = fetch(tmp, *SOON, "--max-retry-after", "0",
                     server.url("/fail=1:429/retryafter=30/b"))
        check_same(done.status, 0)
        assert done.seconds < 10, done.seconds
        done = fetch(tmp, "--retry-delay", "0", "--retries", "50",
                     server.url("/fail=50:500/c"))
        check_same((done.status, done.records[1]["attempts"]), (0, 51))
        assert done.seconds < 10, done.seconds


@tap.case
def connect_timeout(tmp):
    "a port that accepts and never shakes hands"
    with common.server(mute=True) as server:
        url = server.mute_url().replace("http:", "https:")
        done = fetch(tmp, "--connect-timeout", "300ms", "--retries", "1",
                     "--retry-delay", "0", "-k", url)
        check_failed(done.records[1], done.records[1]["error"])
        assert done.records[1]["error"] in ("tls", "connect"), done.records
        check_same(done.records[1]["attempts"], 2)
        assert 0.6 <= done.seconds < 8, done.seconds


@tap.case
def stall_timeout(tmp):
    "no byte for so long: before the answer, in its head, in its body"
    with common.server(mute=True) as server:
        lines = [server.mute_url(), server.url("/stall=head/a"),
                 server.url("/stall=300/b"),
                 server.url("/chunked/stall=300/c"),
                 server.url("/delay=10000/d"),
                 server.url("/size=60/drip=3,100/e")]
        done = fetch(tmp, "--stall-timeout", "500ms", "--retries", "0",
                     lines=lines)
        for n in range(1, 6):
            check_failed(done.records[n], "timeout")
            assert 450 < done.records[n]["ms"]["total"] < 6000
        check_good(done, 6, "/e", 60)  # slow, but never silent
        assert done.records[6]["ms"]["total"] > 1500
        check_same(tree(done.path), ["e"])


@tap.case
def redirect_limits(tmp):
    with common.server() as server:
        def hops(limit, count):
            done = fetch(tmp, "--max-redirs", limit,
                         server.url(f"/redirect=hops:{count}/r{limit}"))
            return done.records[1]

        check_same(hops(3, 3)["status"], "ok")
        check_failed(hops(2, 3), "redirect")
        check_failed(hops(0, 1), "redirect")
        record = fetch(tmp, server.url("/redirect=hops:20/x")).records[1]
        check_same((record["status"], record["path"], record["attempts"]),
                   ("ok", "x", 1))
        check_same(record["effective_url"],
                   server.url("/redirect=hops:0/x"))
        server.reset()
        record = fetch(tmp, server.url("/redirect=hops:21/y")).records[1]
        check_failed(record, "redirect")
        check_same(server.stats()["requests"], 21)


@tap.case
def downgrades(tmp):
    made = need_certs(tmp)
    with common.server(cert=made.good) as server:
        path = "/redirect=" + server.url("/a").replace("/", "%2F") + "/x"
        url = server.url(path, tls=True)
        done = fetch(tmp, "--cacert", made.ca, url)
        check_failed(done.records[1], "redirect")
        check_same(server.hits("/a"), 0)
        done = fetch(tmp, "--cacert", made.ca, "--allow-downgrade", url)
        check_same(done.records[1]["status"], "ok")
        check_same(done.records[1]["effective_url"], server.url("/a"))


@tap.case
def http_version_2(tmp):
    common.need_nginx()
    version = subprocess.run([nginx.NGINX, "-V"], capture_output=True,
                             text=True, check=True).stderr
    if "http_v2" not in version or "HTTP2" not in tap.run("-V").stdout:
        tap.skip("nginx or libcurl has no HTTP/2")
    with nginx.Nginx(tls=True, http2=True) as server:
        urls = []
        for i in range(20):
            (server.root / f"f{i}").write_bytes(b"%d" % i * 5000)
            urls.append(server.url(f"f{i}", tls=True))
        for version, expected in (("2", "2"), ("1.1", "1.1")):
            done = fetch(tmp, "-t", "4", "--cacert", server.ca,
                         "--http-version", version, lines=urls,
                         out="out" + version)
            check_same(done.status, 0)
            for n, record in done.records.items():
                check_same(record["http_version"], expected)
                check_same((done.path / f"f{n - 1}").read_bytes(),
                           b"%d" % (n - 1) * 5000)


@tap.case
def idle_connections(tmp):
    "kept by default, dropped with --max-idle 0"
    with common.server(bind="0.0.0.0") as server:
        urls = [server.url(f"/f{i}", host=f"127.0.1.{i % 10}")
                for i in range(60)]
        counts = {}
        for idle in ("1024", "0"):
            server.reset()
            done = fetch(tmp, "-t", "2", "--max-idle", idle, "--handler",
                         "null", lines=urls)
            check_same(done.status, 0)
            counts[idle] = server.stats()["connections_accepted"]
        assert counts["1024"] <= 20, counts
        check_same(counts["0"], 60)


# --- reports -------------------------------------------------------------------------

@tap.case
def quiet_and_verbose(tmp):
    with common.server() as server:
        lines = [server.url("/a"), server.url("/status=404/b")]
        done = fetch(tmp, "-q", lines=lines)
        check_same((done.status, done.err), (1, ""))
        (tmp / "list").unlink()
        done = fetch(tmp, "-q", "-i", tmp / "list")
        check_same(done.status, 2)
        assert done.err, "an error of the run is said even so"
        done = fetch(tmp, "-v", lines=[server.url("/c"), lines[1]])
        text = done.err.splitlines()
        (ok,) = [t for t in text if "/c: ok" in t]
        assert "list:1: " in ok and "total " in ok and " ms" in ok, ok
        (bad,) = [t for t in text if "404" in t and "list:2: " in t]
        assert all(t.startswith(f"{NAME}: ") for t in text), text
        assert any("1 file" in t and "1 failed" in t for t in text), text


@tap.case
def results_are_appended(tmp):
    with common.server() as server:
        results = tmp / "log"
        results.write_text("torn by a crash")
        for i in range(2):
            done = tap.run("-o", tmp / "out", "--results", results,
                           server.url(f"/f{i}"), server.url(f"/g{i}"))
            check_same(done.returncode, 0)
        lines = results.read_text().splitlines()
        check_same(lines[0], "torn by a crash")
        (tmp / "rest").write_text("\n".join(lines[1:]) + "\n")
        check_same(sorted(r["path"] for r in
                          common.read_records(tmp / "rest")),
                   ["f0", "f1", "g0", "g1"])


@tap.case
def results_on_standard_output(tmp):
    with common.server() as server:
        done = tap.run("-v", "-o", tmp / "out", "--results", "-",
                       server.url("/a"), server.url("/b"))
        check_same(done.returncode, 0)
        (tmp / "got").write_text(done.stdout)
        check_same(sorted(common.by_n(common.read_records(tmp / "got"))),
                   [1, 2])


@tap.case
def results_that_cannot_be_written(tmp):
    "status 3, 2 for a list; if that is known at the start nothing is asked"
    with common.server() as server:
        for bad in (tmp, tmp / "no/such/file"):
            done = tap.run("-o", tmp / "out", "--results", bad,
                           server.url("/a"))
            check_same(done.returncode, 3)
        check_nothing_asked(server)
        common.write_list(tmp / "l", [server.url("/a")])
        done = tap.run("-o", tmp / "out", "--results", tmp / "l", "-i",
                       tmp / "l")
        check_same(done.returncode, 2)
        check_same((tmp / "l").read_text(), server.url("/a\n"))
        if os.path.exists("/dev/full"):
            done = tap.run("-o", tmp / "out", "--results", "/dev/full",
                           server.url("/b"))
            check_same(done.returncode, 3)
            said = [t for t in done.stderr.splitlines()
                    if "No space left" in t]
            check_same(len(said), 1)


@tap.case
def an_output_directory_is_made(tmp):
    "but not its parents"
    with common.server() as server:
        check_same(fetch(tmp, server.url("/a"), out="new").status, 0)
        check_same(tree(tmp / "new"), ["a"])
        check_same(fetch(tmp, server.url("/a"), out="no/such").status, 3)
        assert not (tmp / "no").exists()


@tap.case
def a_slow_reader_of_messages_stops_nobody(tmp):
    "standard error is closed: the download goes on"
    with common.server() as server:
        read, write = os.pipe()
        os.close(read)
        done = tap.run("-v", "-o", tmp / "out", server.url("/a"),
                       server.url("/status=404/b"), stderr=write,
                       stdout=subprocess.PIPE)
        os.close(write)
        check_same(done.returncode, 1)
        check_same(tree(tmp / "out"), ["a"])


@tap.case
def closed_standard_streams(tmp):
    "no file of the run takes the number of a closed stream"
    with common.server() as server:
        def close_all():
            for fd in (0, 1, 2):
                os.close(fd)

        done = subprocess.run([tap.PFETCH, "-v", "-o", tmp / "out",
                               server.url("/a"), server.url("/status=404/b"),
                               "--results", tmp / "results"],
                              preexec_fn=close_all, check=False)
        check_same(done.returncode, 1)
        check_same(tree(tmp / "out"), ["a"])
        check_same((tmp / "out/a").stat().st_size, 1000)
        check_same(len(common.read_records(tmp / "results")), 2)


tap.main()
