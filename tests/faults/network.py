#!/usr/bin/env python3
"""network - area H: connecting, stalling, names, TLS, retries, proxies.

SPDX-License-Identifier: MIT
"""

import contextlib
import shutil
import socket
import subprocess

import harness
from harness import BAD, Expected, Row, Server, check_same, row, tap
import common
import scenes

DNS = {"FAULTS_DNS": "1"}
STALL = ("--stall-timeout", "400ms")

harness.add([
    Row("H02", "headers, then silence", "/stall=0/x", "timeout", 200,
        options=STALL, seconds=9),
    Row("H02", "half the body, then silence", "/size=9000/stall=4500/x",
        "timeout", 200, options=STALL, seconds=9),
    Row("H02", "silence instead of an answer", "/stall=head/x", "timeout",
        options=STALL, seconds=9),
    Row("H02", "chunked, then silence", "/chunked/size=9000/stall=4500/x",
        "timeout", 200, options=STALL, seconds=9),
    Row("H08", "503 twice, then 200", "/fail=2:503/x", "ok", attempts=3),
    Row("H08", "500 for ever", "/status=500/x", "http", 500, 3),
    Row("H08", "429 with Retry-After: 1, then 200",
        "/fail=1:429/retryafter=1/x", "ok", attempts=2),
    Row("H08", "503 with Retry-After: garbage, then 200",
        "/fail=1:503/retryafter=%1b[31m/x", "ok", attempts=2),
    Row("H08", "500 with Retry-After in 1994, then 200",
        "/fail=1:500/retryafter=Sun,%2006%20Nov%201994%2008:49:37%20GMT/x",
        "ok", attempts=2),
    Row("H08", "502, 504, 408, 520 are retried", "/fail=1:520/x", "ok",
        attempts=2),
] + [
    Row("H09", f"{status} is not retried", f"/status={status}/x", "http",
        status, 1) for status in (400, 401, 403, 404, 405, 410, 418, 451,
                                  501, 505)
])


@row("H01", "a port that refuses")
def refused(batch):
    with scenes.closed_port("127.0.0.1") as port:
        batch.around(f"http://127.0.0.1:{port}/x",
                     Expected("failed", "connect", None, 3))
        done = batch.run()
        batch.check(done)
    with Server(options=("--port", str(port))):
        lines = batch.lines
        again = batch.run()
        batch.check_text(again)
        check_same(again.status, 0)
        check_same([r["status"] for n, r in sorted(again.records.items())
                    if n != BAD], ["skipped"] * (len(lines) - 1))
        batch.check_file("x", Expected("ok", size=1000, seed=b"x"))


@contextlib.contextmanager
def deaf_port():
    """A port whose queue is full, so that nobody answers."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        yield port


@row("H01", "a host that never accepts is set aside, also by --timeout")
def never_accepted_in_time(batch):
    with deaf_port() as port:
        for i in range(40):
            batch.add(f"http://127.0.0.1:{port}/{i}",
                      Expected("failed", "timeout"))
        done = batch.run("--timeout", "500ms", "--retries", "0")
        said = done.err.decode()
        assert f"127.0.0.1:{port} is set aside" in said, said


@row("H01", "no local port is free: not the server's fault")
def no_local_port(batch):
    harness.need_strace()
    for i in range(20):
        batch.add(batch.url(f"/a{i}"), Expected("failed", "local"))
    done = batch.run(inject=("inject=connect:error=EADDRNOTAVAIL",))
    batch.check(done, status=1)
    assert b"set aside" not in done.err and b"given up" not in done.err
    assert "local port" in done.records[1]["message"], done.records[1]


@row("H01", "no local port is free for a moment: all is fetched")
def no_local_port_for_a_moment(batch):
    harness.need_strace()
    batch.good(harness.LINES)
    done = batch.run(inject=("inject=connect:error=EADDRNOTAVAIL:when=2",))
    batch.check(done)


@row("H08", "a redirect to a URL of 20,000 bytes")
def long_target(batch):
    target = batch.url("/" + "b" * 20000)
    batch.around(batch.url("/redirect=" + target.replace("/", "%2F") + "/x"),
                 Expected("failed", "redirect", 302))
    done = batch.run()
    batch.check(done)


@row("H01", "a port whose queue is full: nobody accepts")
def never_accepted(batch):
    with deaf_port() as port:
        batch.around(f"http://127.0.0.1:{port}/x",
                     Expected("failed", "connect"))
        done = batch.run("--connect-timeout", "500ms", "--retries", "0",
                         "--stall-timeout", "500ms")
        lines = [(t, e) for i, (t, e) in enumerate(batch.lines, 1)
                 if i != BAD]
        record = done.records[BAD]
        assert record["error"] in ("connect", "timeout"), record
        assert record["ms"]["total"] < 3000 * harness.SLOW, record
        check_same(done.status, 1)
        batch.rerun(done, lines=lines)


@row("H01", "a route that swallows everything", timeout=60)
def black_hole(batch):
    harness.need_root()
    if not shutil.which("ip"):
        tap.skip("ip(8) is not installed")
    path, env = harness.program()
    common.write_list(batch.list, ["http://10.1.2.3/x"])
    for kind, bound in (("blackhole", 2), ("unreachable", 2), (None, 2)):
        setup = f"ip route add {kind} 10.1.2.3/32" if kind else (
            "ip link add v0 type veth peer name v1 && ip addr add "
            "10.1.2.1/24 dev v0 && ip link set v0 up")
        done = subprocess.run(
            ["unshare", "-n", "sh", "-c", f'ip link set lo up; {setup} || '
             'exit 77; exec "$@"', "sh", path, *map(str, batch.arguments(
                 "--connect-timeout", "1s", "--retries", "1"))],
            env=env, capture_output=True, check=False, timeout=20)
        if done.returncode in (77, 126) or b"unshare" in done.stderr:
            tap.skip("no network name space can be set up")
        check_same((kind, done.returncode), (kind, 1))
        record = common.read_records(batch.results)[-1]
        common.check_failed(record, "connect")
        assert record["ms"]["total"] < bound * 2000, record


for _host, _cls, _attempts in (
        ("none", "dns", 2), ("again", "dns", 2), ("again1", None, 2),
        ("many", None, 1), ("dead6", None, 1),
        ("dead", "connect", 3), ("ttl0", None, 1),
        ("l" * 64, "dns", None), ("l." * 130 + "x", None, None)):
    @row("H03" if "dead" not in _host else "H05",
         f"a name that is {_host[:20]}")
    def names(batch, host=_host, cls=_cls, attempts=_attempts):
        harness.need_preload()
        port = batch.server.ports["plain"]
        url = f"http://{host}.dns.test:{port}/x"
        expected = Expected("failed", cls, None, attempts) if cls else (
            Expected("ok", size=1000, seed=b"x", attempts=attempts))
        if host.startswith("l"):
            expected = Expected("any")
        batch.around(url, expected)
        done = batch.run(preload=DNS, strace=False)
        if expected.status == "any":  # what it is called is libcurl's choice
            record = done.records[BAD]
            assert record["status"] == "ok" or (
                record["error"] in ("dns", "url", "connect")), record
            batch.check_text(done)
            check_same(len(done.records), len(batch.lines))
        else:
            batch.check(done)
        if cls is None and host.startswith("dead6"):
            assert done.records[BAD]["ms"]["total"] < 1500 * harness.SLOW


@row("H03", "a name server that never answers: bounded by the connect time")
def dead_dns(batch):
    harness.need_preload()
    batch.around("http://slow.dns.test/x", Expected("failed", "dns"))
    batch.descriptors = 2  # theirs
    done = batch.run("--connect-timeout", "500ms", preload=DNS,
                     strace=False)
    # A thread of the resolver cannot be ended: it ends with the program.
    if done.report:
        done = done._replace(report=done.report[:2] + ["1"]
                             + done.report[3:])
    batch.check(done)
    assert done.records[BAD]["ms"]["total"] < 3000 * harness.SLOW


for _kind in ("other", "expired", "self_signed", "client"):
    @row("H06", f"a certificate that is {_kind}", tls=True)
    def certificates(batch, kind=_kind):
        with Server(cert=getattr(batch.certs, kind)) as liar:
            batch.around(liar.url("/x", tls=True),
                         Expected("failed", "tls", None, 1))
            done = batch.run()
            batch.check(done)
            check_same(liar.stats()["requests"], 0)
        lines = [l for i, l in enumerate(batch.lines, 1) if i != BAD]
        batch.rerun(done, lines=lines)


@row("H06", "TLS on a plain port, plain on a TLS port, silence in a handshake,"
     " a client certificate wanted", tls=True)
def tls_mismatch(batch):
    plain = batch.server.ports["plain"]
    tls = batch.server.ports["tls"]
    with Server(cert=batch.certs.good, options=[
            "--tls-client-ca", batch.certs.ca]) as strict:
        batch.good(6)
        for url, cls in (
                (f"https://127.0.0.1:{plain}/a", ("tls",)),
                (f"http://127.0.0.1:{tls}/b", ("protocol", "short")),
                (batch.server.mute_url("/c", tls=True), ("tls", "connect")),
                (strict.url("/d", tls=True), ("tls", "short", "protocol"))):
            batch.add(url, Expected("failed", cls))
        batch.good(6)
        done = batch.run("--connect-timeout", "700ms", seconds=15)
        for n, record in done.records.items():
            expected = batch.lines[n - 1][1]
            check_same(record["status"], expected.status)
            if expected.status == "failed":
                assert record["error"] in expected.cls, record
        batch.check_text(done)
        check_same(done.status, 1)
        check_same(strict.stats()["requests"], 0)


@row("H07", "certificates missing, unreadable, empty: one message and 3",
     tls=True)
def no_trust(batch):
    (batch.tmp / "empty").write_text("")
    (batch.tmp / "garbage").write_text("-----BEGIN CERTIFICATE-----\nxx\n")
    batch.good(8)
    for bad in ("missing", "empty", "garbage"):
        batch.tls_ca = batch.tmp / bad
        done = batch.run()
        check_same((bad, done.status), (bad, 3))
        batch.check_text(done)
        check_same(batch.server.stats()["requests"], 0)
        check_same(len(done.err.splitlines()), 1)


@row("H10", "20 lines of one host that answers 503 for ever, 16 workers")
def no_hammering(batch):
    batch.workers = 16
    for i in range(20):
        batch.bad(f"/status=503/x{i}", "http", 503, 3)
    done = batch.run(seconds=20)
    batch.check(done)
    check_same(batch.server.stats()["requests"], 60)
    batch.rerun(done)


@row("H12", "a proxy that is dead, that wants a password, that closes CONNECT;"
     " no_proxy; no direct fallback", tls=True)
def proxies(batch):
    plain = batch.server.url("")
    with scenes.closed_port("127.0.0.1") as port, Server(mute=True) as other:
        for options, url, cls in (
                (("-x", f"http://127.0.0.1:{port}"),
                 batch.server.url("/a"), "proxy"),
                (("-x", plain), "http://h.invalid/status=407/b", "proxy"),
                (("-x", plain), batch.url("/c"), "proxy"),
                (("-x", other.mute_url("")), batch.url("/m"), "proxy"),
                (("-x", f"http://u:cAnaryproxy@127.0.0.1:{port}"),
                 batch.server.url("/d"), "proxy")):
            batch.secrets["proxy"] = "cAnaryproxy"
            other.reset()
            batch.lines = [(url.encode(), Expected("failed", cls))]
            done = batch.run("--retries", "0", "--connect-timeout",
                             "500ms", *options)
            batch.check_text(done)
            record = done.records[1]
            check_same(record["status"], "failed")
            check_same((url, record["error"]), (url, cls))
            check_same(other.stats()["requests"], 0)
        batch.lines = []
        for i in range(3):
            batch.add(batch.server.url(f"/e{i}"), Expected(
                "ok", size=1000, seed=b"e%d" % i))
        done = batch.run("-x", f"http://127.0.0.1:{port}", "--noproxy",
                         "127.0.0.1")
        batch.check(done)


@row("H17", "the last line stalls: the program ends with it")
def tail(batch):
    batch.good(19)
    batch.bad("/size=9000/stall=4500/x", "timeout")
    done = batch.run("--stall-timeout", "500ms", seconds=8)
    batch.check(done)


@row("H18", "the server is restarted in the middle", timeout=60)
def restarted(batch):
    for i in range(60):
        batch.add(batch.url(f"/delay=40/x{i}"), Expected(
            "ok", size=1000, seed=b"x%d" % i))
    port = batch.server.ports["plain"]
    batch.server.wait(lambda s: True)
    with batch.running("--retries", "8", "--retry-delay", "300ms",
                       "--retry-max-delay", "1s", strace=False) as run:
        batch.server.wait(lambda s: s["requests"] >= 12)
        batch.server.process.stdin.close()
        batch.server.process.wait(10)
        with Server(bind="0.0.0.0", options=("--port", str(port))) as again:
            done = run.finish(20)
            batch.check(done)
            del again
    # So that the server can be closed once more.
    batch.server.process = subprocess.Popen(
        ["true"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)


if __name__ == "__main__":
    harness.main()
