"""faultd - starts the fault server and asks it what happened.

SPDX-License-Identifier: MIT

    with faultd.Faultd() as server:
        url = server.url("/size=5000/cut=700/x.bin")
        ...
        assert server.hits("/size=5000/cut=700/x.bin") == 1

tests/faultd/script.h documents the paths, faultbody.py the bodies.  With
cert=(CERT, KEY) there is a TLS port too.  The binary is $FAULTD, else
tests/faultd/faultd (or faultd) under $builddir, else under the build directory
./build of the source tree.
"""

import http.client
import json
import os
import pathlib
import subprocess
import time
from urllib.parse import quote

_root = pathlib.Path(__file__).resolve().parent.parent.parent


def binary():
    """Path of the faultd program."""
    if os.environ.get("FAULTD"):
        return os.environ["FAULTD"]
    places = [pathlib.Path(base) / place
              for base in (os.environ.get("builddir", "."), _root / "build",
                           _root)
              for place in ("tests/faultd/faultd", "faultd/faultd", "faultd",
                            "tests/faultd")]
    for place in places:
        if place.is_file() and os.access(place, os.X_OK):
            return str(place)
    raise FileNotFoundError("faultd: set FAULTD to the program")


class Faultd:
    """One running server; a context manager."""

    def __init__(self, cert=None, bind="127.0.0.1", options=(), mute=False):
        self.command = [binary(), "--bind", bind] + list(options)
        if cert:
            self.command += ["--tls-cert", cert[0], "--tls-key", cert[1]]
        if mute:
            self.command.append("--mute")
        self.expected = 1 + bool(cert) + bool(mute)
        self.control_host = "127.0.0.1" if bind == "0.0.0.0" else bind
        self.ports = {}
        self.process = None

    def __enter__(self):
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True)
        for _ in range(self.expected):
            line = self.process.stdout.readline().split()
            if len(line) != 2:
                self.process.kill()
                self._end(None)
                raise RuntimeError("faultd did not start")
            self.ports[line[1]] = int(line[0])
        return self

    def __exit__(self, kind, *_):
        status = self._end(10)
        if status != 0 and kind is None:
            raise RuntimeError("faultd ended with %d" % status)

    def _end(self, timeout):
        """Ends the program by the end of its input; answers its status."""
        self.process.stdin.close()
        try:
            return self.process.wait(timeout)
        finally:
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()

    def url(self, path, tls=False, host="127.0.0.1"):
        return "%s://%s:%d%s" % ("https" if tls else "http", host,
                                 self.ports["tls" if tls else "plain"], path)

    def mute_url(self, path="/x", tls=False, host="127.0.0.1"):
        """A URL at the port that accepts and never says anything."""
        return "%s://%s:%d%s" % ("https" if tls else "http", host,
                                 self.ports["mute"], path)

    def control(self, path):
        """The text that a control URL answers."""
        connection = http.client.HTTPConnection(
            self.control_host, self.ports["plain"], timeout=30)
        try:
            connection.request("GET", path)
            return connection.getresponse().read().decode("ascii")
        finally:
            connection.close()

    def stats(self):
        """All counters; status_counts has strings as keys."""
        return json.loads(self.control("/_stats"))

    def hits(self, path):
        """Number of requests for exactly that path."""
        return int(self.control("/_hits?path=" + quote(path, safe="")))

    def log(self, n=4096):
        """The last n requests, oldest first, as dictionaries."""
        return [json.loads(line) for line in
                self.control("/_log?last=%d" % n).splitlines()]

    def reset(self):
        self.control("/_reset")

    def heal(self):
        """From now on, until reset(), nothing is wrong with any answer."""
        self.control("/_heal")

    def wait(self, condition, timeout=20):
        """Waits until condition(stats) holds; answers those statistics."""
        deadline = time.monotonic() + timeout
        while True:
            stats = self.stats()
            if condition(stats):
                return stats
            if time.monotonic() > deadline:
                raise TimeoutError("faultd: still %r" % stats)
            time.sleep(0.01)  # between two looks; the deadline decides
