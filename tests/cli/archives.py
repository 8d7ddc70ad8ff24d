#!/usr/bin/env python3
"""archives - --handler tar:FILE and warc:FILE, and --head.

SPDX-License-Identifier: MIT
"""

import functools
import glob
import hashlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tarfile
import time

import common
import faultbody
import nginx
import warc
from common import check_failed, check_same, fetch, tap, until
from disk import enter_mounts, small_disk

DATE = "Sun, 06 Nov 1994 08:49:37 GMT"
DATE_UNIX = 784111777
PACKED = ("a.tar", "a.tar.gz", "a.tgz", "a.tar.zst")


def need_tar(tmp, name="a.tar"):
    """Skips where the archive cannot be made by this build."""
    done = tap.run("--handler", f"tar:{tmp / 'probe'}-{name}", "--dry-run",
                   "http://127.0.0.1:1/x")
    if "compiled without" in done.stderr:
        tap.skip(done.stderr.splitlines()[0])
    assert done.returncode == 0, done.stderr
    assert not list(tmp.glob("probe*")), "--dry-run has made a file"


def need_warc(tmp, name):
    done = tap.run("--handler", f"warc:{tmp / 'probe'}-{name}", "--dry-run",
                   "http://127.0.0.1:1/x")
    if "compiled without" in done.stderr:
        tap.skip(done.stderr.splitlines()[0])
    assert done.returncode == 0, done.stderr


def urls_of(server, count, more=""):
    """Bodies of 0 bytes to 80 KB, and every 25th of more than one piece; all
    kinds of framing."""
    kinds = ("", f"/lastmod={DATE.replace(' ', '%20')}", "/chunked",
             "/nolength")
    return [server.url(f"/size={i * 997 % 80000 if i % 25 else i % 100 * 9000}"
                       f"{kinds[i % 4]}{more}/f{i}") for i in range(count)]


def body_of(record):
    return faultbody.body(faultbody.seed_of(record["url"]), record["bytes"])


def is_ok(record):
    return record["status"] == "ok"


# --- reading tar files -------------------------------------------------------

def run_quietly(*command, **options):
    """Runs a program that must have nothing to say."""
    environment = dict(os.environ, LC_ALL="C.UTF-8")
    done = subprocess.run([str(c) for c in command], capture_output=True,
                          check=False, env=environment, **options)
    assert done.returncode == 0 and not done.stderr, (command, done)
    return done.stdout


def unpack(program, archive, target):
    target.mkdir()
    run_quietly(program, "-x", "-f", archive, "-C", target)
    return {name: (target / name).read_bytes()
            for name in common.tree(target)}


def check_members(tmp, archives, records):
    """The archives hold what the records call ok, and nothing else, for each
    program that reads tar."""
    records = [r for r in records if is_ok(r)]
    expected = {r["path"]: body_of(r) for r in records}
    check_same(len(expected), len(records))
    programs = [p for p in ("tar", "bsdtar") if shutil.which(p)]
    for program in programs:
        found = {}
        for i, archive in enumerate(archives):
            found.update(unpack(program, archive, tmp / f"{program}{i}"))
        assert found == expected, (
            program, sorted(set(found) ^ set(expected)),
            [n for n in found if found[n] != expected.get(n)])
        for i in range(len(archives)):
            shutil.rmtree(tmp / f"{program}{i}")
    assert programs, "no tar(1) at all"


def needs(*programs):
    """For a case: skips it where one of the programs is missing."""
    def wrap(function):
        @functools.wraps(function)
        def inner(tmp):
            common.need_program(*programs)
            function(tmp)
        return inner
    return wrap


def check_tar(tmp, server, name, count):
    need_tar(tmp, name)
    done = fetch(tmp, "--handler", f"tar:{tmp / name}",
                 lines=urls_of(server, count), timeout=600)
    check_same(done.status, 0)
    check_same(len(done.records), count)
    assert all(is_ok(r) for r in done.records.values())
    check_same([r["path"] for _, r in sorted(done.records.items())],
               [f"f{i}" for i in range(count)])
    check_members(tmp, [tmp / name], done.records.values())
    assert not (tmp / "out").exists(), "the output directory was made"


def add_tar_case(name):
    def run(tmp):
        with common.server() as server:
            check_tar(tmp, server, name, 100)
    run.__name__ = "tar_" + name.replace(".", "_")
    run.__doc__ = f"100 URLs into {name}: each member is the body"
    tap.case(needs("tar", "zstd")(run) if "zst" in name
             else needs("tar")(run))


for _name in PACKED:
    add_tar_case(_name)


# --- tar: members ------------------------------------------------------------

@tap.case
def members_are_plain_files_of_root(tmp):
    "mode, owner, and the time of Last-Modified or of arrival"
    need_tar(tmp)
    before = int(time.time())
    with common.server() as server:
        done = fetch(tmp, "--handler", f"tar:{tmp / 'a.tar'}", lines=[
            server.url(f"/lastmod={DATE.replace(' ', '%20')}/dated"),
            server.url("/now")])
        check_same(done.status, 0)
        with tarfile.open(tmp / "a.tar") as archive:
            members = {m.name: m for m in archive}
        for member in members.values():
            assert member.isreg() and member.mode == 0o644, member.mode
            check_same((member.uid, member.gid, member.uname, member.gname),
                       (0, 0, "root", "root"))
        check_same(members["dated"].mtime, DATE_UNIX)
        assert before <= members["now"].mtime <= time.time(), members
        done = fetch(tmp, "--no-remote-time", "--handler",
                     f"tar:{tmp / 'b.tar'}", lines=[
                         server.url(f"/lastmod={DATE.replace(' ', '%20')}"
                                    "/dated")])
        with tarfile.open(tmp / "b.tar") as archive:
            assert archive.getmember("dated").mtime >= before


@tap.case
def members_are_named_as_files_are(tmp):
    "numbers, long and UTF-8 names, directories; the same URL once"
    need_tar(tmp)
    with common.server() as server:
        lines = [server.url("/seed=1/same.bin"), server.url("/seed=2/same.bin"),
                 server.url("/seed=3/" + "n" * 220),
                 server.url("/seed=4/%E2%82%AC%C3%A4"),
                 server.url("/seed=1/same.bin"), server.url("/..%2Fup")]
        for options in ((), ("--name", "path"), ("--name", "hash")):
            for part in ("a.tar", "out"):
                shutil.rmtree(tmp / part, ignore_errors=True)
            (tmp / "a.tar").unlink(missing_ok=True)
            plain = fetch(tmp, *options, lines=lines)
            done = fetch(tmp, *options, "--handler", f"tar:{tmp / 'a.tar'}",
                         lines=lines)
            check_same((done.status, plain.status), (0, 0))
            check_same({n: (r["status"], r.get("path"))
                        for n, r in done.records.items()},
                       {n: (r["status"], r.get("path"))
                        for n, r in plain.records.items()})
            check_same(done.records[5]["status"], "skipped")
            check_members(tmp, [tmp / "a.tar"], done.records.values())


@tap.case
def a_list_without_a_success(tmp):
    "an empty archive, which is an archive"
    need_tar(tmp)
    with common.server() as server:
        done = fetch(tmp, "--handler", f"tar:{tmp / 'a.tar'}",
                     lines=[server.url("/status=404/x")])
        check_same(done.status, 1)
        check_failed(done.records[1], "http", 404)
        check_same(run_quietly("tar", "-tf", tmp / "a.tar"), b"")


# --- tar: shards -------------------------------------------------------------

@tap.case
def shards(tmp):
    "--tar-split: numbered, none too long, no member split, all there"
    need_tar(tmp)
    with common.server() as server:
        urls = [server.url(f"/size={20000 + 100 * i}/f{i}") for i in range(60)]
        urls.append(server.url("/size=400000/large"))
        done = fetch(tmp, "--handler", f"tar:{tmp / 'shard.tar'}",
                     "--tar-split", "200k", lines=urls)
        check_same(done.status, 0)
        found = sorted(tmp.glob("shard*"))
        check_same([p.name for p in found],
                   [f"shard-{i:06}.tar" for i in range(len(found))])
        assert len(found) > 6, found
        for path in found:
            with tarfile.open(path) as archive:
                members = len(archive.getmembers())
            assert path.stat().st_size <= 200 * 1024 or members == 1, path
            assert members > 0, path
        check_members(tmp, found, done.records.values())
        # Another run does not find out in the middle that one is there.
        found[0].unlink()
        requests = server.stats()["requests"]
        done = fetch(tmp, "--handler", f"tar:{tmp / 'shard.tar'}",
                     "--tar-split", "200k", lines=urls)
        check_same(done.status, 3)
        assert "shard-0000" in done.err and "exists" in done.err, done.err
        check_same(server.stats()["requests"], requests)
        assert not found[0].exists()


@tap.case
def shards_of_members_from_the_future(tmp):
    "a time that needs a header of its own counts, too"
    need_tar(tmp)
    late = "/lastmod=" + "Sun, 01 Jan 2040 00:00:00 GMT".replace(" ", "%20")
    with common.server() as server:
        urls = [server.url(f"/size=512{late}/f{i}") for i in range(4)]
        done = fetch(tmp, "--handler", f"tar:{tmp / 'shard.tar'}",
                     "--tar-split", "4096", lines=urls)
        check_same(done.status, 0)
        names = []
        for path in tmp.glob("shard*"):
            assert path.stat().st_size <= 4096, (path, path.stat())
            with tarfile.open(path) as archive:
                names += archive.getnames()
        check_same(sorted(names), [f"f{i}" for i in range(4)])


@tap.case
def shards_that_are_compressed(tmp):
    "the number stands before .tar.gz; one that is not reached is not made"
    need_tar(tmp, "a.tar.gz")
    with common.server() as server:
        urls = [server.url(f"/size=30000/f{i}") for i in range(10)]
        done = fetch(tmp, "--handler", f"tar:{tmp / 's.tar.gz'}",
                     "--tar-split", "100k", lines=urls)
        check_same(done.status, 0)
        found = sorted(tmp.glob("s-*"))
        check_same([p.name for p in found],
                   [f"s-00000{i}.tar.gz" for i in range(4)])
        check_members(tmp, found, done.records.values())


# --- standard output ---------------------------------------------------------

@tap.case
def tar_to_standard_output(tmp):
    "nothing but the archive; not together with other data"
    need_tar(tmp)
    with common.server() as server:
        urls = urls_of(server, 30)
        with open(tmp / "a.tar", "wb") as out:
            done = fetch(tmp, "--handler", "tar:-", lines=urls, stdout=out)
        check_same(done.status, 0)
        check_members(tmp, [tmp / "a.tar"], done.records.values())
        done = tap.run("--handler", "tar:-", "--results", "-", *urls)
        check_same((done.returncode, done.stdout), (2, ""))
        assert "standard output" in done.stderr, done.stderr


@tap.case
def tar_into_a_pipe_that_closes(tmp):
    "a local failure that ends the run"
    need_tar(tmp)
    with common.server() as server:
        read, write = os.pipe()
        os.close(read)
        done = fetch(tmp, "--handler", "tar:-", lines=urls_of(server, 30),
                     stdout=write)
        os.close(write)
        check_same(done.status, 3)
        assert not any(is_ok(r) for r in done.records.values())


# --- files that cannot be made -----------------------------------------------

@tap.case
def an_archive_that_exists(tmp):
    "is not touched: status 3, no request"
    need_tar(tmp)
    with common.server() as server:
        for spec in ("tar", "warc"):
            kept = tmp / f"kept.{spec}"
            kept.write_text("mine")
            for more in ((), ("--dry-run",)):
                done = tap.run("--handler", f"{spec}:{kept}", *more,
                               server.url("/x"))
                check_same(done.returncode, 3)
                assert "File exists" in done.stderr, done.stderr
            check_same(kept.read_text(), "mine")
            link = tmp / f"link.{spec}"
            link.symlink_to(tmp / "nowhere")
            check_same(tap.run("--handler", f"{spec}:{link}",
                               server.url("/x")).returncode, 3)
            done = tap.run("--handler", f"{spec}:{tmp}/none/x",
                           server.url("/x"))
            check_same(done.returncode, 3)
        assert not (tmp / "nowhere").exists()
        check_same(server.stats()["requests"], 0)


@tap.case
def a_run_that_never_was(tmp):
    "leaves no empty archive, which would be in the way of the next run"
    need_tar(tmp)
    for spec in ("tar", "warc"):
        path = tmp / f"a.{spec}"
        done = tap.run("--handler", f"{spec}:{path}", "--results",
                       tmp / "none/results", "http://127.0.0.1:1/x")
        check_same(done.returncode, 3)
        assert not path.exists(), spec


@tap.case
def what_cannot_be_asked_for(tmp):
    "usage errors, before any request"
    for options, word in (
            (("--handler", "tar:"), "FILE"),
            (("--handler", "warc:"), "FILE"),
            (("--handler", "warc:-"), "standard output"),
            (("--handler", "warc:a.warc.zst"), ".gz"),
            (("--handler", "rar:x"), "none of"),
            (("--tar-split", "1M"), "tar:"),
            (("--tar-split", "1M", "--handler", "warc:x"), "tar:"),
            (("--head", "--handler", "tar:x"), "--head"),
            (("--head", "--handler", "stdout"), "--head")):
        done = tap.run(*options, "http://127.0.0.1:1/x", cwd=tmp)
        check_same((options, done.returncode), (options, 2))
        assert word in done.stderr, (options, done.stderr)
    need_tar(tmp)
    for options, word in (
            (("--handler", "tar:a.tar.xz"), ".zst"),
            (("--handler", "tar:-", "--tar-split", "1M"), "split")):
        done = tap.run(*options, "http://127.0.0.1:1/x", cwd=tmp)
        check_same((options, done.returncode), (options, 2))
        assert word in done.stderr, (options, done.stderr)
    check_same(common.tree(tmp), [])


# --- runs that end in the middle ---------------------------------------------

def records_so_far(path):
    """How many whole records there are."""
    return path.read_bytes().count(b"\n") if path.exists() else 0


def interrupt(tmp, spec, number, finished=30, hanging=20):
    """A run that gets a signal when so many lines are done and the others
    never will; its records."""
    with common.server() as server:
        lines = urls_of(server, finished)
        lines += [server.url(f"/size=90000/stall=80000/h{i}")
                  for i in range(hanging)]
        with common.started(tmp, "-t", "8", "--grace", "0", "--handler", spec,
                            lines=lines) as process:
            until(lambda: records_so_far(tmp / "results") == finished,
                  "the records of those that end")
            process.send_signal(number)
            check_same(process.wait(20), -number)
    records = [r for r in common.read_records(tmp / "results")
               if "from_line" not in r]
    check_same(sum(is_ok(r) for r in records), finished)
    return records


@tap.case
def a_reader_of_the_archive_that_does_not_read(tmp):
    "tar:- ends in time when it is stopped, and each line has its record"
    need_tar(tmp)
    with common.server() as server:
        lines = [server.url(f"/size=1000000/p{i}") for i in range(20)]
        with common.started(tmp, "--handler", "tar:-", "--grace", "100ms",
                            lines=lines, stdout=subprocess.PIPE) as process:
            server.wait(lambda stats: stats["requests"] > 5)
            process.send_signal(signal.SIGTERM)
            check_same(process.wait(4 * tap.SLOW), -signal.SIGTERM)
        assert "by TERM" in (tmp / "err").read_text()
    records = common.by_n(common.read_records(tmp / "results"))
    assert "ok" not in {r["status"] for r in records.values()}
    failed = [r for r in records.values() if r["status"] == "failed"]
    for record in failed:
        check_failed(record, "stopped")


def add_interrupted_tar(name, number):
    def run(tmp):
        need_tar(tmp, name)
        records = interrupt(tmp, f"tar:{tmp / name}", number)
        check_members(tmp, [tmp / name], records)
    word = signal.Signals(number).name
    run.__name__ = f"{word}_{name.replace('.', '_')}"
    run.__doc__ = f"{word} in the middle: {name} has all that was complete"
    tap.case(needs("tar", "zstd")(run) if "zst" in name
             else needs("tar")(run))


for _name in PACKED:
    for _number in (signal.SIGINT, signal.SIGKILL):
        add_interrupted_tar(_name, _number)


@tap.case
def sigint_warc(tmp):
    "SIGINT in the middle: the web archive has all that was complete"
    records = interrupt(tmp, f"warc:{tmp / 'a.warc'}", signal.SIGINT)
    check_warc(tmp / "a.warc", records)


@tap.case
def sigint_warc_gz(tmp):
    "the same, compressed"
    need_warc(tmp, "a.warc.gz")
    records = interrupt(tmp, f"warc:{tmp / 'a.warc.gz'}", signal.SIGINT)
    check_warc(tmp / "a.warc.gz", records)
    check_foreign(tmp / "a.warc.gz", records)


def check_full_disk(tmp, spec, name):
    """Fills a disk; the records, and where the archive is."""
    # faultd's bodies are easily compressed.
    is_packed = name.endswith(("gz", "zst"))
    with small_disk(tmp, "32k" if is_packed else "512k") as disk, \
            common.server() as server:
        for size in (3000, 70000, 400000):
            path = disk / name
            done = fetch(tmp, "-t", "4", "--handler", f"{spec}:{path}", lines=[
                server.url(f"/size={size}/f{i}")
                for i in range(6000000 // size)])
            check_same(done.status, 3)
            assert "No space left" in done.err, done.err
            for record in done.records.values():
                if record["status"] == "failed":
                    assert record["error"] in ("local", "stopped"), record
            yield path, done.records.values()
            path.unlink()


def add_full_disk(name):
    def run(tmp):
        need_tar(tmp, name)
        for path, records in check_full_disk(tmp, "tar", name):
            check_members(tmp, [path], records)
    run.__name__ = "full_" + name.replace(".", "_")
    run.__doc__ = f"a full disk: status 3, {name} has all that was complete"
    tap.case(timeout=90)(needs("tar", "zstd")(run) if "zst" in name
                         else needs("tar")(run))


for _name in ("a.tar", "a.tar.gz", "a.tar.zst"):
    add_full_disk(_name)


@tap.case(timeout=90)
def full_warc(tmp):
    "a full disk: status 3, the web archive has all that was complete"
    for path, records in check_full_disk(tmp, "warc", "a.warc"):
        check_warc(path, records)


@tap.case(timeout=90)
def full_warc_gz(tmp):
    "the same, compressed"
    need_warc(tmp, "a.warc.gz")
    for path, records in check_full_disk(tmp, "warc", "a.warc.gz"):
        check_warc(path, records)


# --- warc --------------------------------------------------------------------

def check_warc(path, records):
    """The archive holds what the records call ok, and nothing else."""
    responses = {r.fields["warc-record-id"][1:-1]: r for r in warc.read(path)
                 if r.type == "response"}
    expected = {r["path"]: r for r in records if is_ok(r)}
    check_same(sorted(responses), sorted(expected))
    for name, record in expected.items():
        response = responses[name]
        check_same(response.fields["warc-target-uri"],
                   record["effective_url"])
        assert response.http[2] == body_of(record), record
    return responses


# What warcio says of each response: its target, status, and the SHA-1 of
# the payload; the digests it computes itself must be those in the record.
FOREIGN = """
import { WARCParser } from "@@/dist/index.js";
import fs from "node:fs";
import crypto from "node:crypto";
const parser = new WARCParser(fs.createReadStream(process.argv[2]));
for await (const record of parser) {
    const payload = await record.readFully(true);
    if (record.warcType !== "response") continue;
    const sum = crypto.createHash("sha1").update(payload).digest("hex");
    console.log(JSON.stringify([record.warcTargetURI,
                                record.httpHeaders.statusCode, sum]));
}
"""


def find_warcio():
    """The directory of npm's warcio, or None: $PFETCH_WARCIO, or where npm
    puts what is installed globally."""
    places = [os.environ.get("PFETCH_WARCIO", "")]
    if shutil.which("npm"):
        root = subprocess.run(["npm", "root", "-g"], capture_output=True,
                              text=True, check=False).stdout.strip()
        places.append(root + "/warcio")
    places += glob.glob("/usr/*/node_modules/warcio")
    for place in places:
        if place and (pathlib.Path(place) / "dist/index.js").exists():
            return place
    return None


def check_foreign(path, records):
    """The same by a reader that is not ours; False: there is none."""
    place = find_warcio()
    if not place or not shutil.which("node"):
        return False
    script = path.parent / "foreign.mjs"
    script.write_text(FOREIGN.replace("@@", place))
    done = subprocess.run(["node", script, path], capture_output=True,
                          text=True, check=False, timeout=600)
    assert done.returncode == 0 and not done.stderr, done
    found = sorted(json.loads(line) for line in done.stdout.splitlines())
    expected = sorted([r["effective_url"], 200,
                       hashlib.sha1(body_of(r)).hexdigest()]
                      for r in records if is_ok(r))
    assert found == expected, (len(found), len(expected))
    return True


@tap.case
def warc_100(tmp):
    "100 URLs: each record as the standard says, each body the right one"
    with common.server() as server:
        done = fetch(tmp, "--handler", f"warc:{tmp / 'a.warc'}",
                     lines=urls_of(server, 100))
        check_same(done.status, 0)
        responses = check_warc(tmp / "a.warc", done.records.values())
        for response in responses.values():
            check_same(response.fields["warc-ip-address"], "127.0.0.1")
        # In UTC, and of the time of this run.
        dates = sorted(r.fields["warc-date"] for r in responses.values())
        starts = sorted(r["start"] for r in done.records.values())
        assert dates[0] >= starts[0], (dates[0], starts[0])
        assert dates[-1] <= time.strftime("%Y-%m-%dT%H:%M:%SZ",
                                          time.gmtime(time.time() + 1))
        assert not (tmp / "out").exists()


@tap.case
def warc_gz_100(tmp):
    "the same, each record a gzip member"
    need_warc(tmp, "a.warc.gz")
    with common.server() as server:
        done = fetch(tmp, "--handler", f"warc:{tmp / 'a.warc.gz'}",
                     lines=urls_of(server, 100))
        check_same(done.status, 0)
        check_warc(tmp / "a.warc.gz", done.records.values())


@tap.case(timeout=60)
def warc_by_a_foreign_reader(tmp):
    "warcio of npm reads the same bodies from both kinds of file"
    with common.server() as server:
        for name in ("a.warc", "a.warc.gz"):
            need_warc(tmp, name)
            done = fetch(tmp, "--handler", f"warc:{tmp / name}",
                         lines=urls_of(server, 60))
            check_same(done.status, 0)
            if not check_foreign(tmp / name, done.records.values()):
                tap.skip("warcio of npm is not installed")


def exchange_of(path, record):
    """The request and the response of a record."""
    found = {r.type: r for r in warc.read(path)
             if record["path"] in r.fields["warc-record-id"]
             or record["path"] in r.fields.get("warc-concurrent-to", "")}
    return found["request"], found["response"]


@tap.case
def warc_headers(tmp):
    "as they were sent and came, but for secrets and the transfer coding"
    path = tmp / "a.warc"
    with common.server() as server:
        plain = "/header=X-Odd:%20%20a%20%20b/etag=q/size=30/plain"
        chunked = "/auth=u:pw/chunked/size=30/chunked"
        url = server.url(chunked).replace("//", "//u:pw@", 1)
        done = fetch(tmp, "--handler", f"warc:{path}", "-A", "me",
                     "-H", "X-Key: hidden", "-H", "Cookie: hidden",
                     "-H", "Accept-Language: de",
                     lines=[server.url(plain), url])
        check_same(done.status, 0)
        for secret in (b"hidden", b"pw@", b"dTpwdw"):
            assert secret not in path.read_bytes(), secret
        request, response = exchange_of(path, done.records[1])
        first, fields, _ = request.http
        check_same(first, f"GET {plain} HTTP/1.1")
        fields = dict(fields)
        check_same(fields["User-Agent"], "me")
        check_same(fields["Accept-Language"], "de")
        check_same((fields["X-Key"], fields["Cookie"]), ("***", "***"))
        assert b"\r\nX-Odd:  a  b\r\n" in response.block, response.block
        check_same(dict(response.http[1])["ETag"], '"q"')
        request, response = exchange_of(path, done.records[2])
        check_same(dict(request.http[1])["Authorization"], "***")
        check_same(response.fields["warc-target-uri"], server.url(chunked))
        fields = dict(response.http[1])
        check_same(fields["X-Crawler-Transfer-Encoding"], "chunked")
        check_same(fields["Content-Length"], "30")


@tap.case
def warc_of_what_is_unpacked(tmp):
    "--compressed: what the header says is true of the body that is stored"
    common.need_nginx()
    path, text = tmp / "a.warc", b"much of the same, " * 300
    with nginx.Nginx(server="gzip on; gzip_types *; gzip_min_length 1;") as s:
        (s.root / "a").write_bytes(text)
        done = fetch(tmp, "--compressed", "--handler", f"warc:{path}",
                     lines=[s.url("a")])
        check_same(done.status, 0)
        _, fields, body = exchange_of(path, done.records[1])[1].http
        fields = dict(fields)
        check_same(body, text)
        check_same(fields["Content-Length"], str(len(text)))
        check_same(fields["X-Crawler-Content-Encoding"], "gzip")
        assert "Content-Encoding" not in fields, fields


@tap.case
def warc_of_the_last_transfer(tmp):
    "a redirect's target; one that broke off is fetched anew, as one answer"
    path = tmp / "a.warc"
    with common.server() as server:
        broken = server.url("/size=50000/etag=v/failcut=1:20000/broken")
        done = fetch(tmp, *common.SOON, "--handler", f"warc:{path}", lines=[
            server.url("/redirect=%2Fsize=70%2Ftarget/x"), broken,
            server.url("/status=404/gone")])
        check_same(done.status, 1)
        responses = warc.read(path)
        check_same(sorted(r.fields["warc-target-uri"] for r in responses
                          if r.type == "response"),
                   sorted([server.url("/size=70/target"), broken]))
        _, response = exchange_of(path, done.records[2])
        assert response.http[0].startswith("HTTP/1.1 200"), response.http[0]
        assert "resumed_at" not in done.records[2]
        check_same(response.http[2], faultbody.body("broken", 50000))


# --- --head ------------------------------------------------------------------

@tap.case
def head(tmp):
    "records without files: status, length, headers; HEAD and nothing else"
    with common.server() as server:
        lines = [server.url("/size=5000/etag=e/f0"),
                 server.url("/size=5000/chunked/f1"),
                 server.url("/status=404/f2"),
                 server.url("/redirect=%2Fsize=77%2Ftarget/f3"),
                 server.url("/fail=1:503/retryafter=0/size=8/f4"),
                 server.url("/size=5000/f0") + "?again"]
        done = fetch(tmp, *common.SOON, "--head", "--max-size", "100",
                     lines=lines)
        check_same(done.status, 1)
        check_failed(done.records[3], "http", 404)
        check_same([done.records[n].get("length") for n in (1, 2, 4, 5, 6)],
                   [5000, None, 77, 8, 5000])
        for n in (1, 2, 4, 5, 6):
            check_same(done.records[n]["status"], "ok")
            assert not {"bytes", "path"} & set(done.records[n])
        check_same(done.records[1]["etag"], '"e"')
        check_same(done.records[5]["attempts"], 2)
        assert not (tmp / "out").exists()
        check_same({r["method"] for r in server.log()}, {"HEAD"})
        # Nothing was wrong with the connections.
        assert server.stats()["connections_accepted"] <= 16


@tap.case
def head_is_no_earlier_run(tmp):
    "--resume-from its report: what it has asked about is yet to be fetched"
    with common.server() as server:
        lines = [server.url("/size=10/a"), server.url("/size=10/chunked/b")]
        done = fetch(tmp, "--head", lines=lines)
        check_same(done.status, 0)
        (tmp / "asked").write_text("".join(
            json.dumps(done.records[n]) + "\n" for n in (1, 2)))
        done = fetch(tmp, "--handler", "null", "--resume-from",
                     tmp / "asked", lines=lines)
        check_same([(done.records[n]["status"], done.records[n].get("bytes"))
                    for n in (1, 2)], [("ok", 10), ("ok", 10)])


@tap.case
def head_refused(tmp):
    "405 to HEAD is what is recorded"
    common.need_nginx()
    with nginx.Nginx(server='location / { if ($request_method = HEAD) '
                            '{ return 405; } return 200 "x"; }') as server:
        done = fetch(tmp, "--head", lines=[server.url("x")])
        check_same(done.status, 1)
        check_failed(done.records[1], "http", 405)
        check_same(done.records[1]["attempts"], 1)


# --- the sizes that were promised --------------------------------------------

def long_case(timeout):
    """A case of `make check-full` only."""
    if tap.full():
        return tap.case(timeout=timeout)
    return lambda function: function


def add_long(name):
    def run(tmp):
        with common.server() as server:
            if name.endswith((".warc", ".warc.gz")):
                need_warc(tmp, name)
                done = fetch(tmp, "--handler", f"warc:{tmp / name}",
                             lines=urls_of(server, 10000), timeout=600)
                check_same(done.status, 0)
                check_warc(tmp / name, done.records.values())
                assert check_foreign(tmp / name, done.records.values()) or (
                    not find_warcio())
            else:
                check_tar(tmp, server, name, 10000)
    run.__name__ = "long_" + name.replace(".", "_")
    run.__doc__ = f"10,000 URLs into {name}"
    long_case(900)(run)


for _name in ("b.tar", "b.tar.gz", "b.tar.zst", "b.warc", "b.warc.gz"):
    add_long(_name)


@long_case(900)
def long_interrupted(tmp):
    "10,000 URLs, SIGINT in the middle: tar and warc have what was complete"
    need_tar(tmp, "a.tar.gz")
    for spec, name in (("tar", "a.tar"), ("tar", "a.tar.gz"),
                       ("warc", "a.warc.gz")):
        with common.server() as server:
            # The second half takes its time, so that the signal meets it.
            lines = urls_of(server, 5000) + urls_of(server, 5000, "/delay=50")
            with common.started(tmp, "--handler", f"{spec}:{tmp / name}",
                                lines=lines) as process:
                until(lambda: records_so_far(tmp / "results") > 3000,
                      "the middle", 120)
                process.send_signal(signal.SIGINT)
                check_same(process.wait(20), -signal.SIGINT)
        records = [r for r in common.read_records(tmp / "results")
                   if "from_line" not in r]
        assert 3000 < sum(is_ok(r) for r in records) < 10000
        if spec == "tar":
            check_members(tmp, [tmp / name], records)
        else:
            check_warc(tmp / name, records)


@long_case(1800)
def long_head(tmp):
    "--head on 1,000,000 URLs: records only, memory flat"
    common.need_nginx()
    count = int(os.environ.get("PFETCH_STDIN_LINES", "1000000"))
    peaks = {}
    with nginx.Nginx(access_log=False,
                     server='location / { return 200 "12345"; }') as server:
        for lines in (count // 10, count):
            def feed(stream, lines=lines):
                for i in range(0, lines, 1000):
                    stream.write("".join(
                        server.url(f"some/path/file{n}.html\n")
                        for n in range(i, min(lines, i + 1000))).encode())

            start = time.monotonic()
            status, peaks[lines] = common.measured(tmp, "-i", "-", "--head",
                                                   feed=feed)
            assert status == 0, (tmp / "err").read_text()
            print(f"{lines}: {time.monotonic() - start:.1f} s, "
                  f"{peaks[lines]:.1f} MiB")
            with open(tmp / "results", "rb") as results:
                check_same(sum(b'"length":5' in r and b'"ok"' in r
                               for r in results), lines)
            (tmp / "results").unlink()
    assert peaks[count] < peaks[count // 10] + 8, peaks
    assert peaks[count] < 64, peaks


enter_mounts()
tap.main()
