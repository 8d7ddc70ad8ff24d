#!/usr/bin/env python3
"""input - what goes in: patterns, shards, compressed lists, checksum files,
the configuration file.

SPDX-License-Identifier: MIT
"""

import contextlib
import gzip
import hashlib
import json
import os
import subprocess

import common
from common import (NAME, check_failed, check_file, check_good, check_same,
                    fetch, started, tap, tree, until)
import faultbody


def nothing_asked(server):
    check_same(server.stats()["requests"], 0)


def check_usage(done, *texts):
    """A usage error: one line with these texts, and where to find help."""
    check_same(done.status, 2)
    lines = done.err.splitlines()
    check_same(len(lines), 2)
    for text in texts:
        assert text in lines[0], lines[0]
    check_same(lines[1], f"Try '{NAME} --help'")


def planned(*arguments, **options):
    """The URLs and paths that --dry-run names."""
    done = tap.run("--dry-run", *arguments, **options)
    assert done.returncode == 0, done.stderr
    return [line.split("\t") for line in done.stdout.splitlines()]


# --- patterns -------------------------------------------------------------------

@tap.case
def patterns_are_fetched(tmp):
    "ranges, sets and several of them; each URL has a record, in order"
    with common.server() as server:
        done = fetch(tmp, server.url("/size=10/[08-10].bin"),
                     server.url("/size=10/{a,b}[x-y]"), server.url("/plain"))
        check_same(done.status, 0)
        check_same([r["path"] for _, r in sorted(done.records.items())],
                   ["08.bin", "09.bin", "10.bin", "ax", "ay", "bx", "by",
                    "plain"])
        check_good(done, 3, server.url("/size=10/10.bin"), 10)
        check_good(done, 6, server.url("/size=10/bx"), 10)
        assert all("line" not in r for r in done.records.values())
        check_same(server.stats()["requests"], 8)


@tap.case
def every_kind_of_pattern(_tmp):
    check_same([url for url, _ in planned(
        "http://[::1]/{a,b}", "http://h/[0-100:50]", "http://h/[0fe-0ff:x]",
        "http://h/[a-c]", "http://h/\\[1-2\\]",
        "http://{x,y}.example/[1-1]")],
        ["http://[::1]/a", "http://[::1]/b", "http://h/0", "http://h/50",
         "http://h/100", "http://h/0fe", "http://h/0ff", "http://h/a",
         "http://h/b", "http://h/c", "http://h/[1-2]",
         "http://x.example/1", "http://y.example/1"])


@tap.case
def patterns_in_lists_mean_nothing(tmp):
    "nor do they with --no-glob"
    with common.server() as server:
        url = server.url("/[1-2]{a,b}")
        done = fetch(tmp, "--no-glob", url, lines=[url + "x"])
        check_same(done.status, 0)
        check_same(server.stats()["requests"], 2)
        check_same([done.records[n]["url"] for n in (1, 2)], [url, url + "x"])


@tap.case
def faults_of_patterns(tmp):
    "status 2 and the position, before any request"
    with common.server() as server:
        good = server.url("/a")
        for bad, what in (("/[1-", "no range"), ("/[9-1]", "backwards"),
                          ("/{a,b", "'}' is missing"), ("/a]", "no '['"),
                          ("/[0-999999999][0-999999999][0-99]", "counted"),
                          ("/[1-99999999999999999999]", "too large")):
            done = fetch(tmp, good, server.url(bad))
            check_usage(done, what, "position ")
        done = fetch(tmp, good, "http://u:secret@h/[1]")
        check_usage(done, "http://***@h/[1]: position 19: no range",
                    "--no-glob")
        nothing_asked(server)
        assert not (tmp / "out").exists()


@tap.case(timeout=60)
def thousands_of_a_pattern(tmp):
    "4,096 files; a pattern of 10^18 costs no memory and can be stopped"
    with common.server() as server:
        status, few = common.measured(
            tmp, server.url("/size=4/[000-FFF:x]"), "-q")
        check_same(status, 0)
        check_same(tree(tmp / "out"), [f"{i:03X}" for i in range(4096)])
        check_same(server.stats()["requests"], 4096)
        status, many = common.measured(
            tmp, server.url("/size=4/[0-999999999999999999]"), "--handler",
            "null", "--max-files", "20000", "-q")
        check_same(status, 0)
        print(f"{few:.1f} and {many:.1f} MiB")
        assert many < few + 24 or "PFETCH_SLOW" in os.environ, (few, many)


# --- shards ---------------------------------------------------------------------

def shard_list(server):
    """Lines for 40 hosts, many ports, some that are no URL."""
    lines = []
    for i in range(400):
        host = f"127.1.0.{i % 40 + 1}"
        lines.append(server.url(f"/size=10/s{i}", host=host))
        if i % 20 == 0:
            lines += ["# a comment", f"no URL {i}", ""]
    return lines


@tap.case(timeout=60)
def shards_partition_a_list(tmp):
    "four shards fetch every line once, each host from one of them"
    with common.server(bind="0.0.0.0") as server:
        lines = shard_list(server)
        whole = fetch(tmp, "--dry-run", lines=lines)
        check_same(len(whole.records), 420)
        seen, hosts = {}, {}
        for shard in range(1, 5):
            done = fetch(tmp, "--shard", f"{shard}/4", lines=lines,
                         results=f"results{shard}")
            assert done.status in (0, 1), done.err
            assert done.records, f"shard {shard} is empty"
            for n, record in done.records.items():
                assert n not in seen, f"line {n} in two shards"
                seen[n] = record
                if record["status"] == "ok":
                    host = record["url"].split("/")[2].split(":")[0]
                    check_same(hosts.setdefault(host, shard), shard)
        check_same(sorted(seen), sorted(whole.records))
        for n, record in seen.items():  # numbered as in one run
            check_same((record["url"], record["line"]),
                       (whole.records[n]["url"], whole.records[n]["line"]))
        check_same(len(hosts), 40)
        check_same(server.stats()["requests"], 400)
        check_same(len(tree(tmp / "out")), 400)
        again = fetch(tmp, lines=lines)  # a run of all finds all
        check_same(server.stats()["requests"], 400)
        check_same(sum(r["status"] == "skipped"
                       for r in again.records.values()), 400)


@tap.case
def shards_count_all_lines(tmp):
    "--name number is that of the whole list, patterns and all"
    with common.server(bind="0.0.0.0") as server:
        pattern = server.url("/size=10/x", host="127.1.0.[1-20]")
        for shard in ("1/3", "2/3", "3/3"):
            done = fetch(tmp, "--shard", shard, "--name", "number", pattern)
            check_same(done.status, 0)
            for n, record in done.records.items():
                check_same(record["path"], str(n))
                assert f"//127.1.0.{n}:" in record["url"], record
        check_same(sorted(map(int, tree(tmp / "out"))), list(range(1, 21)))


@tap.case
def shards_of_the_environment(tmp):
    "--shard auto: Slurm, Kubernetes, or a usage error"
    lines = [f"http://h{i}.example/x{i}" for i in range(50)]
    common.write_list(tmp / "list", lines)

    def take(*arguments, **variables):
        environment = {k: v for k, v in os.environ.items()
                       if not k.startswith("SLURM_")}
        return planned("-i", tmp / "list", *arguments,
                       env={**environment, **variables})

    expected = {i: take("--shard", f"{i}/3") for i in (1, 2, 3)}
    check_same(sorted(sum(expected.values(), [])), sorted(take()))
    for i in (1, 2, 3):
        check_same(take("--shard", "auto", SLURM_ARRAY_TASK_ID=str(8 + 2 * i),
                        SLURM_ARRAY_TASK_MIN="10", SLURM_ARRAY_TASK_STEP="2",
                        SLURM_ARRAY_TASK_COUNT="3"), expected[i])
        check_same(take("--shard", "auto/3", JOB_COMPLETION_INDEX=str(i - 1)),
                   expected[i])
    done = fetch(tmp, "--shard", "auto", lines=lines,
                 env={**os.environ, "JOB_COMPLETION_INDEX": "0"})
    check_usage(done, "--shard: ", "auto/N")


# --- compressed lists -----------------------------------------------------------

@contextlib.contextmanager
def pipe_with(data):
    """The read end of a pipe that holds data and then ends."""
    assert len(data) < 60000, "more than a pipe holds"
    out, into = os.pipe()
    os.write(into, data)
    os.close(into)
    yield out
    os.close(out)


def need_zlib(tmp):
    (tmp / "probe").write_bytes(gzip.compress(b"\n"))
    done = tap.run("--dry-run", "-i", tmp / "probe")
    if "without zlib" in done.stderr:
        check_same(done.returncode, 3)
        tap.skip("compiled without zlib")


@tap.case
def gzip_lists(tmp):
    "from a file and a pipe; members, a byte order mark, NUL-separated"
    need_zlib(tmp)
    with common.server() as server:
        urls = [server.url(f"/size=10/g{i}") for i in range(2000)]
        text = "\n".join(urls).encode()
        packed = (gzip.compress(b"\xef\xbb\xbf" + text[:5000])
                  + gzip.compress(b"") + gzip.compress(text[5000:]))
        (tmp / "list.gz").write_bytes(packed)
        done = fetch(tmp, "-i", tmp / "list.gz")
        check_same(done.status, 0)
        check_same([done.records[n + 1]["url"] for n in range(2000)], urls)
        check_same([done.records[n]["line"] for n in (1, 2000)], [1, 2000])
        check_good(done, 2000, urls[-1], 10)
        with started(tmp, "-i", "-", stdin=subprocess.PIPE) as process:
            for i in range(0, len(packed), 1000):
                process.stdin.write(packed[i:i + 1000])
                process.stdin.flush()
            process.stdin.close()
            check_same(process.wait(20), 0)
        records = common.by_n(common.read_records(tmp / "results"))
        check_same(len(records), 2000)
        assert all(r["status"] == "skipped" for r in records.values())
        with pipe_with(gzip.compress("\0".join(urls[:3]).encode())) as pipe:
            done = fetch(tmp, "-0", "-i", "-", stdin=pipe)
        check_same(len(done.records), 3)
        (tmp / "plain").write_text(urls[0] + "x\n")  # the next one is not
        done = fetch(tmp, "-i", tmp / "list.gz", "-i", tmp / "plain")
        check_same((done.status, len(done.records)), (0, 2001))


@tap.case
def gzip_is_read_while_it_is_written(tmp):
    "the first URL is fetched before the compressed list ends"
    need_zlib(tmp)
    with common.server() as server:
        first = gzip.compress(server.url("/one\n").encode())
        second = gzip.compress(server.url("/two\n").encode())
        with started(tmp, "-i", "-", stdin=subprocess.PIPE) as process:
            process.stdin.write(first)
            process.stdin.flush()
            until((tmp / "out/one").exists, "the first file")
            assert process.poll() is None, "it did not wait for the rest"
            process.stdin.write(second)
            process.stdin.close()
            check_same(process.wait(20), 0)
        check_same(tree(tmp / "out"), ["one", "two"])


@tap.case
def gzip_that_is_damaged(tmp):
    "cut off, or with a wrong byte: status 3, what was read has its records"
    need_zlib(tmp)
    with common.server() as server:
        urls = [server.url(f"/size=10/d{i}") for i in range(1000)]
        packed = gzip.compress("\n".join(urls).encode())
        wrong = bytearray(packed)
        wrong[-5] ^= 1
        for data, what in ((packed[:-1], "cut off"),
                           (packed[:len(packed) // 2], "cut off"),
                           (packed[:12], "cut off"),
                           (bytes(wrong), "damaged"),
                           (packed + b"http://h/\n", "damaged")):
            (tmp / "list").write_bytes(data)
            for source in (tmp / "list", "-"):
                with pipe_with(data) as pipe:
                    done = fetch(tmp, "-i", source, results=None, stdin=pipe)
                check_same(done.status, 3)
                assert (f"{source}: cannot read the list further: {what}"
                        in done.err), done.err
        done = fetch(tmp, "-i", tmp / "list", results="last")
        with open(tmp / "last") as text:
            records = [json.loads(line) for line in text]
        # The last line has no end: what follows could belong to it.
        check_same(len(records), 1000)
        check_same([records[-1][key] for key in
                    ("status", "list", "from_line")],
                   ["not-attempted", str(tmp / "list"), 1000])


@tap.case
def gzip_needs_bounded_memory(tmp):
    "100 MB of comments in 100 KB"
    need_zlib(tmp)
    with common.server() as server:
        text = (b"#" * 99 + b"\n") * 1000
        packed = gzip.compress(text) * 1000 + gzip.compress(
            server.url("/end").encode())
        (tmp / "list").write_bytes(packed)
        status, mib = common.measured(tmp, "-i", tmp / "list")
        check_same(status, 0)
        print(f"{mib:.1f} MiB")
        assert mib < 40 or "PFETCH_SLOW" in os.environ, mib
        check_same(tree(tmp / "out"), ["end"])


# --- checksum files -------------------------------------------------------------

def digest_of(url, size, algorithm="sha256"):
    body = faultbody.body(faultbody.seed_of(url), size)
    return hashlib.new(algorithm, body).hexdigest()


@tap.case
def checksum_files_name_what_to_fetch(tmp):
    "GNU and BSD lines, four digests, several files; names become URLs"
    with common.server() as server:
        names = ["a.bin", "b c.bin", "d/e.bin", "f%g.bin"]
        paths = ["a.bin", "b%20c.bin", "d/e.bin", "f%25g.bin"]
        urls = [server.url("/size=10/" + path) for path in paths]
        sums = [digest_of(url, 10, algorithm) for url, algorithm in
                zip(urls, ("sha256", "sha512", "sha1", "md5"))]
        (tmp / "SUMS").write_text(
            f"# made by hand\n\n{sums[0]}  {names[0]}\n"
            f"SHA512 ({names[1]}) = {sums[1]}\n")
        (tmp / "MORE").write_text(f"{sums[2]} *./{names[2]}\r\n"
                                  f"{sums[3]}  {names[3]}")
        done = fetch(tmp, "--checksums", tmp / "SUMS", "--checksums",
                     tmp / "MORE", "--base", server.url("/size=10"))
        check_same(done.status, 0)
        check_same([(done.records[n]["url"], done.records[n]["line"])
                    for n in (1, 2, 3, 4)],
                   list(zip(urls, (3, 4, 1, 2))))
        check_same(done.records[1]["list"], str(tmp / "SUMS"))
        check_same(server.stats()["requests"], 4)


@tap.case
def checksum_files_fail_line_by_line(tmp):
    "what is no line of a checksum file fails with its number"
    with common.server() as server:
        good = digest_of(server.url("/size=10/a"), 10)
        done = fetch(tmp, "--checksums", "-", "--base",
                     server.url("/size=10/"), input=(
                         f"{good}  a\nhttp://h/x\n{good}  ../b\n"
                         f"{good[:-1]}  c\n<html>\n"))
        check_same(done.status, 1)
        check_same(done.records[1]["status"], "ok")
        for n in (2, 3, 4, 5):
            check_failed(done.records[n], "url")
            check_same((done.records[n]["list"], done.records[n]["line"]),
                       ("-", n))
        check_same(server.stats()["requests"], 1)


@tap.case
def checksum_files_need_a_base(tmp):
    with common.server() as server:
        (tmp / "SUMS").write_text("")
        check_usage(fetch(tmp, "--checksums", tmp / "SUMS"), "--base")
        check_usage(fetch(tmp, "--base", server.url("/"), server.url("/a")),
                    "--checksums")
        check_usage(fetch(tmp, "--checksums", tmp / "SUMS", "--base",
                          "ftp://h/"), "--base: ", "http://")
        done = fetch(tmp, "--checksums", tmp / "none", "--base",
                     server.url("/"))
        check_same(done.status, 2)
        assert "none: cannot open the list" in done.err, done.err
        nothing_asked(server)


# --- the configuration file -----------------------------------------------------

def with_config(tmp, text):
    """An environment whose configuration file is that."""
    (tmp / "config/pfetch").mkdir(parents=True, exist_ok=True)
    (tmp / "config/pfetch/config").write_text(text)
    return {**os.environ, "XDG_CONFIG_HOME": str(tmp / "config")}


@tap.case
def options_of_the_configuration_file(tmp):
    "they hold unless the command line says else"
    with common.server() as server:
        url = server.url("/a")
        env = with_config(tmp, "# mine\n--user-agent = me, myself\n"
                               "name=number\nquiet\n")
        done = fetch(tmp, url, env=env)
        check_same((done.status, done.err), (0, ""))
        check_same(tree(done.path), ["1"])
        check_same(server.log()[-1]["User-Agent"], "me, myself")
        done = fetch(tmp, "--name", "basename", url, env=env, out="out2")
        check_same(tree(done.path), ["a"])
        done = fetch(tmp, "--no-config", url, env=env, out="out3")
        check_same(tree(done.path), ["a"])
        assert "1 file" in done.err, done.err
        (tmp / "other").write_text("name hash\n")
        done = fetch(tmp, "--config", tmp / "other", url, env=env,
                     out="out4")
        check_same([len(name) for name in tree(done.path)], [32])


@tap.case
def faults_of_the_configuration_file(tmp):
    "status 2, with file and line, before any request"
    with common.server() as server:
        url = server.url("/a")
        file = tmp / "config/pfetch/config"
        for text, line, what in (("\nthreads 0\n", 2, "--threads: '0'"),
                                 ("frobnicate\n", 1, "no long option"),
                                 ("#\n#\nheader", 3, "needs a value"),
                                 ("config x", 1, "makes no sense")):
            done = fetch(tmp, url, env=with_config(tmp, text))
            check_usage(done, f"{file}:{line}: ", what)
        done = fetch(tmp, "--config", tmp / "none", url)
        check_usage(done, f"{tmp / 'none'}: cannot read the configuration")
        nothing_asked(server)


# --- first mistakes -------------------------------------------------------------

@tap.case
def a_url_is_no_list(tmp):
    "-i URL says what to do instead"
    with common.server() as server:
        done = fetch(tmp, "-i", server.url("/list"))
        check_same(done.status, 2)
        assert "fetch it without -i, or pipe it in" in done.err, done.err
        nothing_asked(server)


@tap.case
def a_page_is_no_list(tmp):
    "HTML: one hint, beside what is wrong with each line"
    done = fetch(tmp, lines=["<!DOCTYPE html>", "<html>", "<p>", "</html>"])
    check_same(done.status, 1)
    check_same(done.err.count("looks like HTML"), 1)
    check_failed(done.records[1], "url")
    for n in (2, 3, 4):
        check_failed(done.records[n], "scheme")


@tap.case
def a_list_without_its_option(tmp):
    "a file as an argument: status 2, nothing requested, what to say instead"
    with common.server() as server:
        common.write_list(tmp / "list.txt", [server.url("/size=1/a")])
        done = fetch(tmp, server.url("/size=1/b"), tmp / "list.txt")
        check_same(done.status, 2)
        assert "list.txt: this is a file, not a URL" in done.err, done.err
        assert "-i FILE" in done.err, done.err
        check_same(server.stats()["requests"], 0)


@tap.case
def a_report_given_as_a_list(tmp):
    "the first line says what it is"
    done = fetch(tmp, lines=['{"schema":1,"n":1,"url":"http://h/"}'])
    check_same(done.status, 1)
    assert "this looks like records; --resume-from" in done.err, done.err


@tap.case
def what_no_other_run_makes_good(tmp):
    "only lines that are wrong: no advice to run the same command again"
    done = fetch(tmp, lines=["example.org/x", "ftp://h/y"])
    check_same(done.status, 1)
    assert "run the same command" not in done.err, done.err
    with common.server() as server:
        for path in ("/status=404/a",  # what a server does may change
                     "/status=302/header=Location:ftp%3A%2F%2Fh%2Fx/a"):
            done = fetch(tmp, lines=["example.org/x", server.url(path)])
            assert "run the same command again" in done.err, done.err


@tap.case
def an_output_directory_that_is_a_file(tmp):
    "status 3, and what -o is for"
    (tmp / "out").write_text("mine")
    done = fetch(tmp, lines=["http://127.0.0.1:1/a"])
    check_same(done.status, 3)
    assert "a file of that name, and no directory" in done.err, done.err
    check_same((tmp / "out").read_text(), "mine")


tap.main()
