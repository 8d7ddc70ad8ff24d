#!/usr/bin/env python3
"""Proves with raw sockets that faultd misbehaves as script.h says.

FAULTD names the program.  Prints TAP.

SPDX-License-Identifier: MIT
"""

import base64
import json
import os
import re
import resource
import signal
import socket
import ssl
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "../support"))
import certs  # noqa: E402
import tap  # noqa: E402
from faultbody import body, delay_ms, seed_of  # noqa: E402
from faultd import Faultd  # noqa: E402

CHECK_SECONDS = 20


class Client:
    """A raw connection that can speak just enough HTTP."""

    def __init__(self, server, port="plain", context=None):
        self.socket = socket.create_connection(
            ("127.0.0.1", server.ports[port]), timeout=CHECK_SECONDS)
        if context:
            self.socket = context.wrap_socket(self.socket,
                                              server_hostname="127.0.0.1")
        self.got = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def ask(self, path, *fields, method="GET", version="HTTP/1.1",
            host="test"):
        lines = ["%s %s %s" % (method, path, version), "Host: " + host]
        self.socket.sendall(
            ("\r\n".join(lines + list(fields)) + "\r\n\r\n").encode("latin-1"))

    def until(self, mark):
        """Reads to and with mark."""
        while mark not in self.got:
            self.more()
        text, _, self.got = self.got.partition(mark)
        return text + mark

    def exactly(self, size):
        while len(self.got) < size:
            self.more()
        text, self.got = self.got[:size], self.got[size:]
        return text

    def more(self):
        data = self.socket.recv(65536)
        if not data:
            raise EOFError("FIN after %r" % self.got[-200:])
        self.got += data

    def head(self):
        """Status line and fields of the next response head."""
        lines = self.until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        fields = [tuple(line.split(": ", 1)) for line in lines[1:] if line]
        return lines[0], dict(fields)

    def response(self):
        """Status, fields and body of a response with a length."""
        line, fields = self.head()
        size = int(fields.get("Content-Length", 0))
        return int(line.split()[1]), fields, self.exactly(size)

    def get(self, path, *fields, **options):
        self.ask(path, *fields, **options)
        return self.response()

    def rest(self):
        """All bytes to the end, and how it ends: "fin" or "rst"."""
        try:
            while True:
                self.more()
        except EOFError:
            return self.got, "fin"
        except ConnectionResetError:
            return self.got, "rst"

    def is_silent(self, seconds=0.2):
        """Nothing comes for a while, and the connection is not closed."""
        self.socket.settimeout(seconds)
        try:
            self.more()
        except socket.timeout:
            return not self.got
        finally:
            self.socket.settimeout(CHECK_SECONDS)
        return False


def fetch(server, path, *fields, **options):
    """One request on its own connection: everything, and how it ends."""
    with Client(server) as client:
        client.ask(path, *fields, **options)
        return client.rest()


def get(server, path, *fields, **options):
    with Client(server) as client:
        return client.get(path, *fields, **options)


def body_after(text):
    return text.partition(b"\r\n\r\n")[2]


def reject(data):
    """The exception that says data is not all of a chunked body."""
    try:
        unchunk(data)
    except ValueError as error:
        return error
    raise AssertionError("a sound chunked body")


def unchunk(data):
    out = b""
    while True:
        line, mark, data = data.partition(b"\r\n")
        size = line.split(b";")[0]
        if not mark or not re.fullmatch(rb"[0-9a-fA-F]{1,16}", size):
            raise ValueError("chunk size %r" % line[:40])
        n = int(size, 16)
        if n == 0:
            if data != b"\r\n":
                raise ValueError("trailer %r" % data[:40])
            return out
        if data[n:n + 2] != b"\r\n":
            raise ValueError("short chunk")
        out, data = out + data[:n], data[n + 2:]


@tap.case
def bodies_are_what_faultbody_says(tmp):
    with Faultd() as server, Client(server) as client:
        for path in ("/size=0/a", "/size=1/a", "/size=31/b.bin",
                     "/size=100001/c%20d.bin", "/seed=x%2Fy/size=77/e",
                     "/dir/size=33/f?size=2", "/"):
            size = int((re.findall("size=([0-9]+)/", path) or [1000])[0])
            status, _, data = client.get(path)
            assert (status, data) == (200, body(seed_of(path), size)), path
        assert body("s", 100)[37:] == body("s", 100, 37)
        status, _, data = client.get("http://other.test/size=9/g")
        assert (status, data) == (200, body("g", 9))
        client.ask("/size=9/g", method="HEAD")
        assert client.head()[1]["Content-Length"] == "9"
        assert client.get("/size=2/h")[2] == body("h", 2)


@tap.case
def a_bad_directive_is_refused(tmp):
    with Faultd() as server, Client(server) as client:
        for path in ("/siez=5/x", "/size=5x/x", "/size=/x", "/size/x",
                     "/delay=9-3/x", "/garbage=foo/x", "/chunked=0/x"):
            status, _, data = client.get(path)
            assert status == 400 and b"bad directive" in data, path


@tap.case
def endings(tmp):
    with Faultd() as server:
        text, end = fetch(server, "/size=5000/cut=700/x")
        assert end == "fin" and b"Content-Length: 5000\r\n" in text
        assert body_after(text) == body("x", 700)
        text, end = fetch(server, "/size=5000000/reset=300000/x")
        assert end == "rst" and body_after(text) == body("x", 300000)
        assert fetch(server, "/reset=before/x") == (b"", "rst")
        assert fetch(server, "/close=before/x") == (b"", "fin")
        text, end = fetch(server, "/cut=head/x")
        assert end == "fin" and b"\r\n\r\n" not in text and text
        assert server.stats()["status_counts"] == {"200": 3}


@tap.case
def stalls(tmp):
    with Faultd() as server:
        with Client(server) as client:
            client.ask("/stall=head/x")
            assert client.is_silent()
            assert server.stats()["requests_active"] == 1
        with Client(server) as client:
            client.ask("/size=100/stall=40/x")
            client.head()
            assert client.exactly(40) == body("x", 40)
            assert client.is_silent()
        with Client(server) as client:
            client.ask("/stall=0/x")
            client.head()
            assert client.is_silent()
        # The server notices that its clients have gone.
        server.wait(lambda stats: stats["connections_open"] == 0 and
                    stats["requests_active"] == 0)


@tap.case
def time_passes(tmp):
    with Faultd() as server, Client(server) as client:
        start = time.monotonic()
        client.get("/delay=150/x")
        assert time.monotonic() - start >= 0.15
        wanted = delay_ms(50, 250, "seed7")
        start = time.monotonic()
        client.get("/delay=50-250/seed7")
        assert time.monotonic() - start >= wanted / 1000
        start = time.monotonic()
        assert client.get("/size=500/drip=100,40/x")[2] == body("x", 500)
        assert time.monotonic() - start >= 0.16
        client.ask("/slowheaders=10/x")
        for i in range(5):
            client.until(b"X-Slow-%d: more\r\n" % i)


@tap.case
def chunked_bodies(tmp):
    with Faultd() as server:
        text, _ = fetch(server, "/size=9999/chunked=1000/connclose/x")
        assert b"Transfer-Encoding: chunked" in text
        assert b"Content-Length" not in text
        assert unchunk(body_after(text)) == body("x", 9999)
        text, end = fetch(server, "/size=10/chunkcut=last/x")
        assert end == "fin" and body_after(text).endswith(b"\r\n0\r\n")
        text, end = fetch(server, "/size=9000/chunkcut=5000/x")
        assert end == "fin" and body("x", 5000)[4096:] in text
        assert "short chunk" in str(reject(body_after(text)))
        for kind, mark in (("zz", "zz"), ("long", "F" * 17), ("neg", "-5")):
            text, _ = fetch(server, "/size=100/badchunk=%s/x" % kind)
            assert mark in str(reject(body_after(text))), kind
        text, _ = fetch(server, "/size=100/badchunk=ext/connclose/x")
        assert len(text) > 2**20 and unchunk(body_after(text)) == \
            body("x", 100)
        with Client(server) as client:
            client.ask("/badchunk=trailers/x")
            client.until(b"0\r\n" + b"X-Trailer: more\r\n" * 100)
        text, _ = fetch(server, "/size=9/chunked/length=3/x")
        assert b"Content-Length: 3\r\n" in text and b"chunked" in text


@tap.case
def lengths(tmp):
    with Faultd() as server:
        text, end = fetch(server, "/size=50/nolength/x")
        assert text.startswith(b"HTTP/1.1 200") and b"Length" not in text
        assert (body_after(text), end) == (body("x", 50), "fin")
        assert fetch(server, "/nolength=1.0/x")[0].startswith(b"HTTP/1.0 200")
        text, _ = fetch(server, "/size=9/length=-1/length2=5%2C%205/x")
        assert b"\r\nContent-Length: -1\r\n" in text
        assert b"\r\nContent-Length: 5, 5\r\n" in text
        assert body_after(text) == body("x", 9)
        text, _ = fetch(server, "/status=204/connclose/x")
        assert b"Length" not in text and body_after(text) == b""


@tap.case
def junk_on_a_kept_connection(tmp):
    with Faultd() as server:
        with Client(server) as client:
            client.ask("/size=5/junk=6/x")
            client.head()
            assert client.exactly(5) == body("x", 5)
            assert client.got == b"JUNKJU"  # came in the same segment
        with Client(server) as client:
            assert client.get("/size=5/junk=poison/x")[0] == 200
            assert client.response()[2] == b"POISON"
            assert client.get("/size=3/y")[2] == body("y", 3)
        with Client(server) as client:
            client.get("/size=5/latejunk=4,60/x")
            assert not client.got
            assert client.exactly(4) == b"JUNK"
            client.get("/size=5/latejunk=4,60000/x")
            assert client.get("/size=3/y")[2] == body("y", 3)


@tap.case
def connections_that_are_closed(tmp):
    with Faultd() as server:
        with Client(server) as client:
            assert "Connection" not in client.get("/closeidle/x")[1]
            assert client.rest() == (b"", "fin")
        with Client(server) as client:
            for _ in range(3):
                assert "Connection" not in client.get("/closeevery=3/x")[1]
            assert client.rest() == (b"", "fin")
        with Client(server) as client:
            assert client.get("/connclose/x")[1]["Connection"] == "close"
            assert client.rest() == (b"", "fin")
        with Client(server) as client:
            client.get("/x", "Connection: close")
            assert client.rest() == (b"", "fin")


@tap.case
def the_next_request_ends_a_connection(tmp):
    with Faultd() as server:
        for word, end in (("close", "fin"), ("reset", "rst")):
            with Client(server) as client:
                assert client.get("/size=7/nextend=%s/x" % word)[2] == \
                    body("x", 7)
                assert client.is_silent()
                client.ask("/y")
                assert client.rest() == (b"", end), word
        with Client(server) as client:
            client.get("/size=7/nextend=junk/x")
            assert client.is_silent()
            client.ask("/y")
            junk, end = client.rest()
            assert (len(junk), end) == (100, "fin")
        assert server.hits("/y") == 0


@tap.case
def everything_heals(tmp):
    with Faultd() as server:
        paths = ("/size=99/etag=v/header=X-A:%20b/cut=5/x", "/size=0/reset=0/x",
                 "/status=404/x", "/redirect=loop/x", "/fail=9:500/x",
                 "/garbage=ssh/x", "/chunked/badchunk=zz/x", "/auth=a:b/x",
                 "/delay=99999999/x", "/stall=head/x", "/length=abc/x")
        server.heal()
        with Client(server) as client:
            for path in paths:
                size = int((re.findall("size=([0-9]+)/", path) or [1000])[0])
                status, fields, data = client.get(path)
                assert (status, data) == (200, body("x", size)), path
            assert client.get(paths[0])[1]["ETag"] == '"v"'
            assert "X-A" not in client.get(paths[0])[1]
            assert client.get("/nonsense=1/x")[0] == 400
        server.reset()
        assert get(server, "/status=404/x")[0] == 404


@tap.case
def redirects(tmp):
    with Faultd() as server, Client(server) as client:
        status, fields, _ = client.get("/redirect=http:%2F%2Fh%2Fa%3Fb=1/x")
        assert (status, fields["Location"]) == (302, "http://h/a?b=1")
        path = "/status=301/redirect=loop/x?q"
        status, fields, _ = client.get(path)
        assert (status, fields["Location"]) == (301, path)
        path, hops = "/size=7/redirect=hops:12/x", 0
        while True:
            status, fields, data = client.get(path)
            if status == 200:
                break
            path, hops = fields["Location"], hops + 1
        assert hops == 12 and data == body("x", 7)
        for host, other in (("localhost:7", "127.0.0.1:7"),
                            ("127.0.0.1:7", "localhost:7")):
            location = client.get("/redirect=pingpong/p?q",
                                  host=host)[1]["Location"]
            assert location == "http://%s/redirect=pingpong/p?q" % other
        status, fields, _ = client.get("/redirect=none/x")
        assert status == 302 and "Location" not in fields


@tap.case
def faults_by_count(tmp):
    with Faultd() as server:
        path = "/fail=2:503/retryafter=1/x"
        answers = [get(server, path)[:2] for _ in range(3)]
        assert [status for status, _ in answers] == [503, 503, 200]
        assert [f.get("Retry-After") for _, f in answers] == ["1", "1", None]
        assert server.hits(path) == 3 and server.hits("/x") == 0
        path = "/failreset=1/x"
        assert fetch(server, path) == (b"", "rst")
        assert get(server, path)[0] == 200
        path = "/size=99/failcut=1:9/x"
        assert body_after(fetch(server, path)[0]) == body("x", 9)
        assert get(server, path)[2] == body("x", 99)
        path = "/size=99/etag=A/newafter=1:B/x"
        assert get(server, path)[1]["ETag"] == '"A"'
        status, fields, data = get(server, path, "Range: bytes=9-",
                                   'If-Range: "A"')
        assert (status, fields["ETag"], data) == (200, '"B"', body("B", 99))
        server.reset()
        assert get(server, path)[1]["ETag"] == '"A"'


@tap.case
def sound_ranges(tmp):
    with Faultd() as server, Client(server) as client:
        path = "/size=100/etag=v/lastmod=then/x"
        for asked, first, end in (("60-", 60, 100), ("60-69", 60, 70),
                                  ("-5", 95, 100), ("60-999", 60, 100)):
            status, fields, data = client.get(path, "Range: bytes=" + asked)
            assert status == 206 and data == body("x", end, first), asked
            assert fields["Content-Range"] == \
                "bytes %d-%d/100" % (first, end - 1)
        status, fields, _ = client.get(path, "Range: bytes=100-")
        assert (status, fields["Content-Range"]) == (416, "bytes */100")
        for value, status in (('"v"', 206), ("then", 206), ('"w"', 200),
                              ("v", 200)):
            assert client.get(path, "Range: bytes=9-",
                              "If-Range: " + value)[0] == status, value
        assert client.get("/etag=W%2Fv/x")[1]["ETag"] == 'W/"v"'
        assert client.get("/etag=W%2Fv/x", "Range: bytes=9-",
                          'If-Range: W/"v"')[0] == 200
        assert client.get("/norange/x", "Range: bytes=9-")[0] == 200
        client.ask(path, 'If-None-Match: "v"')
        assert " 304 " in client.head()[0]
        assert client.get(path, 'If-None-Match: "w"')[0] == 200


@tap.case
def wrong_ranges(tmp):
    def ask(directive):
        status, fields, data = client.get(
            "/size=100/etag=v/%s/x" % directive, "Range: bytes=60-",
            'If-Range: "v"')
        return (status, fields.get("Content-Range"),
                fields["ETag"] if data else None, data)

    with Faultd() as server, Client(server) as client:
        tail = body("x", 100, 60)
        assert ask("wrongrange=start") == \
            (206, "bytes 30-99/100", '"v"', body("x", 100, 30))
        assert ask("wrongrange=after") == \
            (206, "bytes 70-99/100", '"v"', body("x", 100, 70))
        assert ask("wrongrange=total") == (206, "bytes 60-99/1100", '"v"',
                                           tail)
        assert ask("wrongrange=etag") == (206, "bytes 60-99/100",
                                          '"v-other"', tail)
        assert ask("wrongrange=nocr") == (206, None, '"v"', tail)
        assert ask("shortrange=15") == (206, "bytes 60-74/100", '"v"',
                                        tail[:15])
        assert ask("416=always")[:2] == (416, "bytes */100")
        status, content_range, _, data = ask("wrongrange=multipart")
        assert status == 206 and content_range is None
        assert data.startswith(b"--FAULTD\r\n") and tail in data
        assert client.get("/size=9/unasked206=4/x")[::2] == \
            (206, body("x", 9, 4))


@tap.case
def heads(tmp):
    with Faultd() as server, Client(server) as client:
        _, fields, _ = client.get("/header=X-A:%20b%2Fc/header=X-D:%20e/x")
        assert (fields["X-A"], fields["X-D"]) == ("b/c", "e")
        client.ask("/header=X-N:%00z/x")
        assert b"\r\nX-N:\0z\r\n" in client.until(b"\r\n\r\n")
        client.exactly(1000)
        client.ask("/bigheaders=300/size=1/x")
        assert 300 * 1024 <= len(client.until(b"\r\n\r\n")) < 301 * 1024
        client.exactly(1)
        client.ask("/hints=20/size=1/x")
        for _ in range(20):
            assert client.head()[0] == "HTTP/1.1 103 Early Hints"
        assert client.response()[0] == 200
        client.ask("/status=abc/reason=No%20way/x")
        assert client.head()[0] == "HTTP/1.1 abc No way"
        for word, start in (("http09", b"<html>"), ("ssh", b"SSH-2.0-"),
                            ("tls", b"\x15\x03"), ("random", b"")):
            text, end = fetch(server, "/garbage=%s/x" % word)
            assert text and text.startswith(start) and end == "fin"
            assert not text.startswith(b"HTTP/")


@tap.case
def checks_of_the_request(tmp):
    with Faultd() as server, Client(server) as client:
        for plain in ("user:pass", "u:", "ab:cd", "a:\u00e9"):
            good = base64.b64encode(plain.encode()).decode()
            bad = base64.b64encode(plain.encode()[:-1] + b"!").decode()
            path = "/auth=%s/x" % plain.replace("\u00e9", "%C3%A9")
            status, fields, _ = client.get(path)
            assert status == 401
            assert fields["WWW-Authenticate"].startswith("Basic ")
            assert client.get(path, "Authorization: Basic " + bad)[0] == 401
            assert client.get(path, "Authorization: Basic " + good)[0] == 200
        path = "/needheader=Referer:http:%2F%2Fr%2F/x"
        assert client.get(path)[0] == 403
        assert client.get(path, "referer: http://r/")[0] == 200
        path = "/refuseheader=Cookie/x"
        assert client.get(path)[0] == 200
        assert client.get(path, "Cookie: a=b")[0] == 400


@tap.case
def places_under_a_limit(tmp):
    with Faultd() as server:
        with Client(server) as first, Client(server) as second:
            first.ask("/limit=1/retryafter=7/stall=head/a")
            server.wait(lambda stats: stats["requests_active"] == 1)
            status, fields, _ = second.get("/limit=1/retryafter=7/b")
            assert (status, fields["Retry-After"]) == (429, "7")
            assert second.get("/g2/limit=1/b")[0] == 200
        server.wait(lambda stats: stats["requests_active"] == 0)
        with Client(server) as client:
            # A place is free again before its response is complete.
            for n in range(300):
                assert client.get("/limit=1/size=20000/%d" % n)[0] == 200
                assert get(server, "/limit=1/closeidle/c%d" % n)[0] == 200


@tap.case
def what_is_remembered(tmp):
    with Faultd() as server:
        with Client(server) as client:
            for path in ("/a", "/b?q=%20", "/status=404/c"):
                client.get(path, "Range: bytes=3-", 'Cookie: "\\\u00e9"')
            stats = server.stats()
        assert stats["status_counts"] == {"206": 2, "404": 1}
        assert (stats["requests"], stats["requests_active_max"]) == (3, 1)
        assert stats["connections_accepted"] == 1
        log = server.log(2)
        assert [line["path"] for line in log] == ["/b?q=%20", "/status=404/c"]
        assert log[0]["Cookie"] == '"\\\u00e9"' and log[0]["Host"] == "test"
        assert log[0]["connection"] == log[1]["connection"]
        assert "Authorization" not in log[0] and log[0]["tls"] is False
        assert server.hits("/b?q=%20") == 1
        server.reset()
        assert server.log() == [] and server.hits("/a") == 0
        assert server.stats()["requests"] == 0
        for n in range(5000):
            if n % 1000 == 0:
                client = Client(server)
            client.get("/size=0/%d" % n)
        assert len(server.log(9999)) == 4096
        assert server.log(1)[0]["path"] == "/size=0/4999"


@tap.case
def tls(tmp):
    if not certs.available():
        tap.skip("openssl(1) is not installed")
    made = certs.make(tmp)
    context = ssl.create_default_context(cafile=made.ca)
    with Faultd(cert=made.good) as server:
        with Client(server, "tls", context) as client:
            assert client.get("/size=50000/x")[2] == body("x", 50000)
        with Client(server, "tls", context) as client:
            client.ask("/size=500/cut=60/notify/x")
            assert body_after(client.rest()[0]) == body("x", 60)
        for path in ("/size=500/cut=60/x", "/close=before/x"):
            with Client(server, "tls", context) as client:
                client.socket.suppress_ragged_eofs = False
                client.ask(path)
                try:
                    client.rest()
                    raise AssertionError("close_notify")
                except ssl.SSLEOFError:
                    pass
        stats = server.stats()
        assert stats["tls_handshakes"] == stats["connections_accepted"] == 4
    for cert, reason in ((made.other, "mismatch"), (made.expired, "expired"),
                         (made.self_signed, "self")):
        with Faultd(cert=cert) as server:
            try:
                Client(server, "tls", context)
                raise AssertionError("accepted")
            except ssl.SSLCertVerificationError as error:
                assert reason in str(error), error
    context.load_cert_chain(*made.client)
    with Faultd(cert=made.good, options=["--tls-client-ca", made.ca,
                                         "--tls-max", "1.2"]) as server:
        with Client(server, "tls", context) as client:
            assert client.socket.version() == "TLSv1.2"
            assert client.get("/size=5/x")[2] == body("x", 5)


@tap.case
def a_mute_port(tmp):
    with Faultd(mute=True) as server:
        with Client(server, "mute") as client:
            client.ask("/x")
            assert client.is_silent()
            assert server.stats()["connections_open"] == 1


@tap.case(timeout=60)
def many_connections_at_once(tmp):
    count = 1100
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count + 100:
        tap.skip("only %d descriptors" % hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with Faultd() as server:
        clients = [Client(server) for _ in range(count)]
        for n, client in enumerate(clients):
            client.ask("/size=64/stall=32/%d" % n)
        for n, client in enumerate(clients):
            client.head()
            assert client.exactly(32) == body(str(n), 32)
        stats = server.stats()
        assert stats["requests_active_max"] == count
        assert stats["connections_open_max"] == count
        for client in clients:
            client.socket.close()
        server.wait(lambda stats: stats["connections_open"] == 0)


@tap.case
def every_way_to_stop(tmp):
    def end_of_input(server):
        server.process.stdin.close()

    def terminate(server):
        server.process.send_signal(signal.SIGTERM)

    def control(server):
        assert json.loads(server.control("/_stop")) == {}

    for stop in (end_of_input, terminate, control):
        with Faultd(mute=True) as server:
            clients = [Client(server) for _ in range(4)]
            clients.append(Client(server, "mute"))
            for client, path in zip(clients, (
                    "/stall=head/x", "/delay=600000/x",
                    "/drip=1,600000/x", "/nolength/size=99999999999/x")):
                client.ask(path)
            server.wait(lambda stats: stats["requests_active"] == 4)
            stop(server)
            assert server.process.wait(CHECK_SECONDS) == 0, stop.__name__
            for client in clients:
                client.socket.close()


@tap.case
def many_threads_and_requests(tmp):
    failures = []

    def work(server, number):
        try:
            with Client(server) as client:
                for n in range(200):
                    path = "/size=%d/%d-%d" % (n, number, n)
                    assert client.get(path)[2] == body(seed_of(path), n)
        except BaseException as error:  # told by the main thread
            failures.append(error)

    with Faultd() as server:
        threads = [threading.Thread(target=work, args=(server, number))
                   for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failures, failures
        assert server.stats()["requests"] == 1600


tap.main()
