#!/usr/bin/env python3
"""bodies - area A: bodies that are too long, too large, or coded.

SPDX-License-Identifier: MIT
"""

import gzip
import hashlib
import os
import resource
import signal
import subprocess

import harness
from harness import Expected, row, tap
import common
import nginx

ENDLESS = 10 ** 15


def too_large(batch, path, limit, *options):
    """The bad line stops at the limit, and less than that is on the disk."""
    batch.around(batch.url(path), Expected("failed", "too-large", 200, 1))
    # Were more written than that, it would be a local failure.
    done = batch.run("--max-size", limit, *options, limits=harness.limit(
        resource.RLIMIT_FSIZE, 2 ** 20 + 2 ** 16))
    batch.check(done)
    return done


@row("A15", "an endless body without a length, --max-size 1M")
def endless(batch):
    too_large(batch, f"/nolength/size={ENDLESS}/x", "1M")


@row("A15", "an endless chunked body, --max-size 1M")
def endless_chunked(batch):
    too_large(batch, f"/chunked/size={ENDLESS}/x", "1M")


@row("A15", "a declared length over --max-size: nothing is stored")
def declared(batch):
    too_large(batch, f"/size={ENDLESS}/x", "1M")


@row("A15", "one byte more than --max-size; as much is ok")
def one_more(batch):
    batch.bad("/size=40001/chunked/a", max_size=40001)
    too_large(batch, "/size=40002/chunked/x", "40001")


@row("A15", "over --max-size at the second attempt only")
def too_large_later(batch):
    batch.around(batch.url("/etag=v/size=90000/failcut=1:100/x"),
                 Expected("failed", "too-large"))
    batch.check(batch.run("--max-size", "50000"))


@row("A22", "Content-Length 2^63 - 1, then 1 MB and FIN: that URL alone fails")
def absurd_length(batch):
    batch.around(batch.url("/size=1000000/length=9223372036854775807/x"),
                 # No status: the connection may end before its first bytes are
                 # looked at, and then an attempt without answer is the last.
                 Expected("failed", "too-large"))
    done = batch.run()
    batch.check(done)
    batch.rerun(done)


@row("A16", "nginx sends Content-Encoding: gzip that nobody asked for; a bomb")
def coded(batch):
    common.need_nginx()
    bomb = gzip.compress(b"\0" * 50_000_000, 9)
    with nginx.Nginx(server="location ~ gz$ { default_type text/plain; "
                     "add_header Content-Encoding gzip; }") as real:
        (real.root / "x.tar.gz").write_bytes(gzip.compress(os.urandom(9999)))
        (real.root / "bomb.gz").write_bytes(bomb)
        batch.good(9)
        for name in ("x.tar.gz", "bomb.gz"):
            batch.add(real.url(name), Expected("other"))
        batch.good(9)
        batch.write_list()
        done = batch.run(keep_list=True)
        for n, name in ((10, "x.tar.gz"), (11, "bomb.gz")):
            assert done.records[n]["status"] == "ok", done.records[n]
            assert (harness.digest(batch.out / name)
                    == harness.digest(real.root / name)), name
        batch.check_memory(done)
        batch.check_text(done)
        harness.check_same(done.status, 0)


for _coding in ("gzip", "deflate", "br", "x-unknown", "gzip,%20gzip"):
    harness.add([harness.Row(
        "A16", f"Content-Encoding: {_coding} with a body that is not",
        f"/header=Content-Encoding:%20{_coding}/x", "ok")])
harness.add([harness.Row(
    "A16", "Transfer-Encoding: gzip, chunked",
    "/chunked/header=Transfer-Encoding:%20gzip/x", "protocol"), harness.Row(
    "A16", "Transfer-Encoding: gzip", "/header=Transfer-Encoding:%20gzip/x",
    "protocol")])


@row("A19", "HTTP/2: nginx is reloaded in the middle, 16 workers",
     timeout=90, server=False)
def reloaded(batch):
    common.need_nginx()
    version = subprocess.run([nginx.NGINX, "-V"], capture_output=True,
                             text=True, check=True).stderr
    if "http_v2" not in version or "HTTP2" not in tap.run("-V").stdout:
        tap.skip("nginx or libcurl has no HTTP/2")
    # Without a grace time, an old worker would end its transfers.
    with nginx.Nginx(tls=True, http2=True,
                     http="limit_rate 100k;") as real:
        files = {}
        for i in range(64):
            files[f"f{i}"] = os.urandom(30000 + i)
            (real.root / f"f{i}").write_bytes(files[f"f{i}"])
        common.write_list(batch.list, [real.url(n, tls=True) for n in files])
        run = batch.start("--cacert", real.ca, "--http-version", "2", "-t",
                          "16", "--retries", "8", keep_list=True)
        common.until(lambda: batch.out.exists() and
                     len(common.tree(batch.out)) > 4, "some files")
        children = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(real._process.pid)],
            capture_output=True, text=True, check=False).stdout.split()
        real._process.send_signal(signal.SIGHUP)
        for pid in children:
            os.kill(int(pid), signal.SIGKILL)
        done = run.finish(30)
        harness.check_same(done.status, 0)
        for name, data in files.items():
            assert (batch.out / name).read_bytes() == data, name


@row("A23", "5 GiB from nginx, and continued beyond 4 GiB", timeout=300,
     server=False)
def huge(batch):
    if not tap.full():
        tap.skip("long: make check-full")
    common.need_nginx()
    free = os.statvfs(batch.tmp)
    if free.f_bavail * free.f_bsize < 6 * 2 ** 30:
        tap.skip("no 6 GiB free")
    size = 5 * 2 ** 30
    with nginx.Nginx() as real:
        marks = {0: b"start", 2 ** 32 - 3: b"around", size - 5: b"the end"[:5]}
        with open(real.root / "big", "wb") as out:
            out.truncate(size)
            for at, mark in marks.items():
                out.seek(at)
                out.write(mark)
        common.write_list(batch.list, [real.url("big")])
        done = batch.run(keep_list=True, seconds=200)
        harness.check_same(done.status, 0)
        harness.check_same(done.records[1]["bytes"], size)
        batch.check_memory(done)
        with open(batch.out / "big", "rb") as data:
            for at, mark in marks.items():
                data.seek(at)
                harness.check_same(data.read(len(mark)), mark)
        zeros = hashlib.sha256()
        with open(real.root / "big", "rb") as data:
            while piece := data.read(1 << 20):
                zeros.update(piece)
        harness.check_same(harness.digest(batch.out / "big"),
                           zeros.hexdigest())


if __name__ == "__main__":
    harness.main()
