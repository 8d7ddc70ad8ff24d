#!/usr/bin/env python3
"""recipes - the commands that README.md and the manual tell people to copy.

SPDX-License-Identifier: MIT

Each case runs the command of a recipe as it stands there, with a list of its
own, and looks at what it was written for.
"""

import hashlib
import json
import shutil
import signal
import subprocess

import common
from common import (SOON, check_failed, check_file, check_same, fetch,
                    started, tap, tree, write_list)
import scenes


def run(tmp, *arguments, **options):
    """Runs pfetch in tmp, as a user would there; its exit status."""
    done = tap.run(*arguments, cwd=tmp, **options)
    assert "Try '" not in done.stderr, done.stderr  # no usage error
    return done


@tap.case
def one_directory_per_host(tmp):
    "1,000 URLs, --name path: a directory for each host, each file in its own"
    hosts = scenes.hosts(10)
    with scenes.server() as s:
        urls = [s.url(f"/size=100/seed={i}-{k}/page{k}", host=host)
                for i, host in enumerate(hosts) for k in range(100)]
        write_list(tmp / "list.txt", urls)
        done = run(tmp, "-i", "list.txt", "-o", "files", "--name", "path")
        check_same(done.returncode, 0)
        port = s.ports["plain"]
        found = tree(tmp / "files")
        check_same(found, sorted(
            f"{host}:{port}/size=100/seed={i}-{k}/page{k}"
            for i, host in enumerate(hosts) for k in range(100)))
        check_same(sorted(p.name for p in (tmp / "files").iterdir()),
                   sorted(f"{host}:{port}" for host in hosts))
        for i, host in ((0, hosts[0]), (9, hosts[9])):
            for k in (0, 99):
                check_file(tmp / f"files/{host}:{port}/size=100/"
                           f"seed={i}-{k}/page{k}", f"/{i}-{k}", 100)
        check_same(s.stats()["requests"], 1000)


@tap.case
def only_what_failed(tmp):
    "--failed, and that list again: only those lines are asked for"
    with common.server() as s:
        good = [f"/size=500/g{i}" for i in range(20)]
        bad = [f"/fail=1:500/size=500/b{i}" for i in range(5)]
        never = "/status=404/never"
        write_list(tmp / "list.txt", [s.url(p) for p in
                                      good + bad + [never]])
        done = run(tmp, "-i", "list.txt", "-o", "files", "--failed",
                   "failed.txt", "--retries", "0")
        check_same(done.returncode, 1)
        check_same(sorted((tmp / "failed.txt").read_text().splitlines()),
                   sorted(s.url(p) for p in bad + [never]))
        before = s.stats()["requests"]
        done = run(tmp, "-i", "failed.txt", "-o", "files", "--failed",
                   "still.txt")
        check_same(done.returncode, 1)
        check_same(s.stats()["requests"] - before, 6)
        check_same((tmp / "still.txt").read_text(), s.url(never) + "\n")
        check_same(tree(tmp / "files"),
                   sorted(p.rsplit("/", 1)[1] for p in good + bad))
        for i in range(5):
            check_file(tmp / f"files/b{i}", f"/b{i}", 500)


@tap.case
def a_rerun_gets_the_rest(tmp):
    "the same command again instead: files that are there are not asked for"
    common.need_attributes(tmp)
    with common.server() as s:
        good = [f"/size=500/g{i}" for i in range(20)]
        once = [f"/fail=1:500/size=500/b{i}" for i in range(5)]
        write_list(tmp / "list.txt", [s.url(p) for p in good + once])
        check_same(run(tmp, "-i", "list.txt", "-o", "files", "--retries",
                       "0").returncode, 1)
        check_same(run(tmp, "-i", "list.txt", "-o", "files").returncode, 0)
        check_same([s.hits(p) for p in good + once], [1] * 20 + [2] * 5)


@tap.case
def two_at_a_time_from_one_host(tmp):
    "--host HOST=per-host=2 with 32 workers: 2 at once there, the rest not held"
    with scenes.server() as other, common.server() as slow:
        lines = [slow.url(f"/delay=30/size=10/s{i}") for i in range(30)]
        lines += [other.url(f"/delay=100/size=10/o{i}", host="127.1.0.2")
                  for i in range(16)]
        write_list(tmp / "list.txt", lines)
        done = run(tmp, "-t", "32", "--host", "127.0.0.1=per-host=2",
                   "-i", "list.txt", "-o", "files")
        check_same(done.returncode, 0)
        check_same(slow.stats()["requests_active_max"], 2)
        assert other.stats()["requests_active_max"] > 2, other.stats()
        check_same(len(tree(tmp / "files")), 46)


@tap.case
def the_sums_of_a_release(tmp):
    "--checksums: what is right is there, and sha256sum -c agrees"
    common.need_nginx()
    common.need_program("sha256sum")
    with common.nginx.Nginx() as server:
        pub = server.root / "pub"
        (pub / "sub").mkdir(parents=True)
        sums = []
        for i in range(12):
            name = f"sub/f {i}.bin" if i % 3 == 0 else f"f{i}.bin"
            body = bytes(str(i), "ascii") * 10000
            (pub / name).write_bytes(body)
            sums.append(f"{hashlib.sha256(body).hexdigest()}  {name}")
        write_list(tmp / "SHA256SUMS", sums)
        command = ("--checksums", "SHA256SUMS", "--base",
                   server.url("pub"), "-o", "pub")
        check_same(run(tmp, *command).returncode, 0)
        subprocess.run(["sha256sum", "--quiet", "--strict", "-c",
                        "../SHA256SUMS"], cwd=tmp / "pub", check=True)

        # One that is wrong fails alone, and leaves nothing behind.
        (pub / "f1.bin").write_bytes(b"changed")
        shutil.rmtree(tmp / "pub")
        done = run(tmp, *command, "--results", "results.jsonl")
        check_same(done.returncode, 1)
        check_same(len(tree(tmp / "pub")), 11)
        records = common.by_n(common.read_records(tmp / "results.jsonl"))
        check_failed(records[2], "checksum")
        assert not (tmp / "pub/f1.bin").exists()


@tap.case(timeout=60)
def stop_and_continue(tmp):
    "INT in the middle; the same command asks only for the rest of the body"
    common.need_attributes(tmp)
    with common.server() as s:
        size = 200000
        big = f"/size={size}/etag=v/drip=10000,{tap.ms(500)}/big"
        small = [f"/size=100/s{i}" for i in range(10)]
        lines = [s.url(p) for p in small + [big]]
        with started(tmp, lines=lines, out="files") as process:
            part = tmp / "files/.big.part"
            common.until(lambda: part.exists() and part.stat().st_size > 0
                         and len(tree(tmp / "files")) == 11,
                         "the small files, and the beginning of the big one")
            process.send_signal(signal.SIGINT)
            check_same(process.wait(20), -signal.SIGINT)
        kept = part.stat().st_size
        assert 0 < kept < size, kept
        assert not (tmp / "files/big").exists()
        s.heal()
        before = len(s.log())
        done = fetch(tmp, lines=lines, out="files")
        check_same(done.status, 0)
        log = s.log()[before:]
        check_same(len(log), 1)
        check_same(log[0]["Range"], f"bytes={kept}-")
        check_same(done.records[11].get("resumed_at"), kept)
        check_file(tmp / "files/big", "/big", size)
        check_same(tree(tmp / "files"),
                   sorted(["big"] + [f"s{i}" for i in range(10)]))


@tap.case
def results_to_a_script(tmp):
    "--results - into a filter: one line each, status, URL and path or reason"
    common.need_program("jq")
    with common.server() as s:
        good, bad = s.url("/size=7/ok"), s.url("/status=404/no")
        write_list(tmp / "list.txt", [good + "\tid=A1", bad + "\tid=B2"])
        command = (f"'{tap.PFETCH}' -q -i list.txt -o files --results - |"
                   " jq -r '[.id, .status, .path // .message] | @tsv'")
        done = subprocess.run(["sh", "-c", command], cwd=tmp, check=True,
                              capture_output=True, text=True)
        check_same(sorted(done.stdout.splitlines()),
                   ["A1\tok\tok", "B2\tfailed\t404 Not Found"])
        check_same(done.stderr, "")


@tap.case
def checking_links(tmp):
    "--head --results: a record for each, nothing stored, no body asked for"
    with common.server() as s:
        lines = [s.url("/size=70/a"), s.url("/status=404/b"),
                 s.url("/redirect=%2Fsize=70%2Fa/c")]
        write_list(tmp / "list.txt", lines)
        done = run(tmp, "-i", "list.txt", "--head", "--results",
                   "links.jsonl", *SOON)
        check_same(done.returncode, 1)
        records = common.by_n(common.read_records(tmp / "links.jsonl"))
        check_same([records[n]["status"] for n in (1, 2, 3)],
                   ["ok", "failed", "ok"])
        check_same(records[1]["length"], 70)
        check_same(records[2]["http"], 404)
        check_same(tree(tmp), ["links.jsonl", "list.txt"])
        check_same({entry["method"] for entry in s.log()}, {"HEAD"})


@tap.case
def a_python_program_gets_the_bodies(tmp):
    "--handler stdout:jsonl: what a program reads is what was sent"
    with common.server() as s:
        urls = [s.url(f"/size={i}/j{i}") for i in range(20)]
        write_list(tmp / "list.txt", urls)
        done = run(tmp, "--handler", "stdout:jsonl", "--ordered", "-q",
                   "-i", "list.txt")
        check_same(done.returncode, 0)
        records = [json.loads(line) for line in done.stdout.splitlines()]
        check_same([r["url"] for r in records], urls)
        check_same([r["bytes"] for r in records], list(range(20)))


tap.main()
