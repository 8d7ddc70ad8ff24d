#!/usr/bin/env python3
"""many - thousands of URLs from a real nginx: every byte, few connections.

SPDX-License-Identifier: MIT
"""

import os
import pathlib
import random

import common
from common import check_same, tap, tree
import nginx

BUNDLE = "/etc/ssl/certs/ca-certificates.crt"


def content(i):
    """1 KB that no other file has."""
    return (b"%08d\n" % i) * 113 + b"end of " + b"%08d" % i


def make_files(server, count):
    for i in range(count):
        (server.root / f"f{i}").write_bytes(content(i))


def check_files(directory, count):
    """f0 ... are there, right, and nothing else is."""
    found = tree(directory)
    check_same(len(found), count)
    for i in range(count):
        data = (pathlib.Path(directory) / f"f{i}").read_bytes()
        assert data == content(i), f"f{i}: {len(data)} bytes, {data[:40]!r}"


def spread(server, hosts, count):
    """count URLs at random over the hosts; the same in every run."""
    chance = random.Random(2)
    return [server.url(f"f{i}", tls=True, host=chance.choice(hosts))
            for i in range(count)]


@tap.case(timeout=60)
def one_host(tmp):
    "10,000 URLs of 1 KB, 16 workers: at most 16 connections"
    common.need_nginx()
    with nginx.Nginx() as server:
        make_files(server, 10000)
        common.write_list(tmp / "list",
                          [server.url(f"f{i}") for i in range(10000)])
        status, mib = common.measured(tmp, "-t", "16", "-i", tmp / "list")
        said = (tmp / "err").read_text()
        assert status == 0 and "10,000 files" in said, (status, said)
        connections, requests = server.counts()
        print(f"{connections} connections, {requests} requests, "
              f"{mib:.0f} MiB")
        check_same(requests, 10000)
        assert connections <= 16, connections
        check_files(tmp / "out", 10000)
        records = common.by_n(common.read_records(tmp / "results"))
        check_same(sorted(records), list(range(1, 10001)))
        assert all(r["status"] == "ok" and r["path"] == f"f{n - 1}"
                   for n, r in records.items())


@tap.case(timeout=60)
def many_hosts(tmp):
    """2,000 URLs over 100 addresses, TLS verified: few connections

    One for each host, and some more near the end, when the workers are more
    than the hosts that are left."""
    common.need_nginx()
    hosts = nginx.hosts(100)
    with nginx.Nginx(tls=True, hosts=hosts) as server:
        make_files(server, 2000)
        common.write_list(tmp / "list", spread(server, hosts, 2000))
        trusts = {"own": server.ca}
        if os.path.exists(BUNDLE):
            trusts["bundle"] = tmp / "bundle.pem"
            trusts["bundle"].write_bytes(
                pathlib.Path(BUNDLE).read_bytes() + server.ca.read_bytes())
        before = 0
        for name, ca in trusts.items():
            status, mib = common.measured(tmp, "-i", tmp / "list",
                                          "--cacert", ca, out=name)
            assert status == 0, (tmp / "err").read_text()
            total, _ = server.counts()
            print(f"{name}: {total - before} connections, {mib:.0f} MiB")
            assert 100 <= total - before <= 200, total - before
            before = total
            # Sanitizers keep what is freed for a while.
            assert mib <= 128 or "PFETCH_SLOW" in os.environ, mib
            check_files(tmp / name, 2000)
        if len(trusts) == 1:
            print(f"not tried: no {BUNDLE}")


@tap.case(timeout=60)
def servers_that_close(tmp):
    "a connection is closed after every third answer: no error, no wrong byte"
    common.need_nginx()
    with nginx.Nginx(keepalive_requests=3) as server:
        make_files(server, 2000)
        common.write_list(tmp / "list",
                          [server.url(f"f{i}") for i in range(2000)])
        status, _ = common.measured(tmp, "-t", "64", "-i", tmp / "list",
                                    "--retries", "0")
        check_same(status, 0)
        check_files(tmp / "out", 2000)
        connections, requests = server.counts()
        check_same(requests, 2000)
        assert connections >= 660, connections


@tap.case(timeout=60)
def every_size(tmp):
    "bodies of 0 to 300 bytes and around the sizes of buffers"
    with common.server() as server:
        sizes = list(range(300))
        for power in (10, 12, 13, 14, 15, 16, 17, 18, 20):
            sizes += [2 ** power - 1, 2 ** power, 2 ** power + 1]
        lines = []
        for size in sizes:
            for way in ("", "/chunked=1000", "/nolength"):
                lines.append(server.url(f"/size={size}{way}/s{len(lines)}"))
        done = common.fetch(tmp, "-t", "8", lines=lines)
        check_same(done.status, 0)
        for i, line in enumerate(lines):
            common.check_good(done, i + 1, line, sizes[i // 3])


tap.main()
