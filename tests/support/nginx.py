"""nginx - a real nginx for tests and benchmarks, without root.

SPDX-License-Identifier: MIT

    with Nginx(tls=True) as server:
        (server.root / "a.txt").write_text("hello")
        server.url("a.txt")            # http://127.0.0.1:PORT/a.txt
        server.url("a.txt", tls=True)  # https://127.0.0.1:TLS_PORT/a.txt
        server.ca                      # give it to --cacert

The sockets are bound here, to port 0, and handed to nginx the way it hands
them to its own successor in a binary upgrade (environment variable NGINX): so
the ports are free by construction, and a client may connect from the moment
the object exists.  They are bound to all addresses, so that each of
127.0.0.0/8 is a host of its own; tests use 127.1.x.y.

Everything nginx writes is in one temporary directory, removed at the end.
"""

import ctypes
import os
import pathlib
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import urllib.request

NGINX = shutil.which("nginx", path=os.environ.get("PATH", "")
                     + ":/usr/sbin:/usr/local/sbin")


def available():
    """True when nginx and openssl(1) are installed."""
    return NGINX is not None and shutil.which("openssl") is not None


def hosts(count):
    """count loopback addresses: 127.1.0.1, 127.1.0.2, ..."""
    return [f"127.1.{i // 250}.{i % 250 + 1}" for i in range(count)]


class Authority:
    """A certificate authority of our own, in a directory.  `pem` is its
    certificate; issue() makes one for the names and addresses given."""

    def __init__(self, directory, name="pfetch test CA"):
        self.directory = pathlib.Path(directory)
        self.pem = self.directory / "ca.pem"
        self._key = self.directory / "ca.key"
        self._issued = 0
        _openssl("req", "-x509", "-newkey", "ec", "-pkeyopt",
                 "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
                 "-subj", f"/CN={name}", "-keyout", self._key,
                 "-out", self.pem, "-addext",
                 "basicConstraints=critical,CA:TRUE", "-addext",
                 "keyUsage=critical,keyCertSign,cRLSign")
        self._server_key = self.directory / "server.key"
        self._request = self.directory / "server.csr"
        _openssl("req", "-new", "-newkey", "ec", "-pkeyopt",
                 "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=pfetch",
                 "-keyout", self._server_key, "-out", self._request)

    def issue(self, names):
        """Returns (certificate, key), two paths."""
        self._issued += 1
        out = self.directory / f"server-{self._issued}.pem"
        ext = self.directory / "server.ext"
        alt = ",".join(("IP:" if n.replace(".", "").isdigit() or ":" in n
                        else "DNS:") + n for n in names)
        ext.write_text(f"subjectAltName={alt}\n"
                       "basicConstraints=CA:FALSE\n"
                       "extendedKeyUsage=serverAuth\n"
                       "keyUsage=critical,digitalSignature\n")
        _openssl("x509", "-req", "-in", self._request, "-CA", self.pem,
                 "-CAkey", self._key, "-set_serial", self._issued + 1,
                 "-days", "30", "-extfile", ext, "-out", out)
        return out, self._server_key


def _openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True,
                   stdin=subprocess.DEVNULL, capture_output=True)


def _end_with_parent():
    """Runs in the child: it gets SIGTERM when this process dies, however
    that happens."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM, 0, 0, 0)


class Nginx:
    """One nginx.  Options:

    tls                 listen with TLS as well
    hosts               further addresses for the certificate
    hosts_per_cert      put so many of them into one certificate
    keepalive_requests  close a connection after so many requests
    keepalive_timeout   close a connection idle for so long; "0": at once
    http2               offer HTTP/2 over TLS
    workers             worker processes
    root                serve this directory instead of an own, empty one
    server, http        more directives for each server, for the http block
    access_log          keep one, in server.access_log: per request the
                        number of the connection, the address, status, URI
    """

    def __init__(self, tls=False, hosts=(), hosts_per_cert=10,
                 keepalive_requests=1000000, keepalive_timeout="75s",
                 http2=False, workers=1, root=None, server="", http="",
                 access_log=True):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="pfetch-nginx-"))
        self._process = None
        self._asked = 0
        self._sockets = []
        try:
            self.root = pathlib.Path(root or self.directory / "www")
            self.root.mkdir(exist_ok=True)
            self.access_log = self.directory / "access.log"
            self.port = self._bind("0.0.0.0")
            self._status_port = self._bind("127.0.0.1")
            self.tls_port = self._bind("0.0.0.0") if tls else None
            self.ca = None
            servers = [f"listen 0.0.0.0:{self.port} backlog=4096;"]
            if tls:
                servers += self._tls_servers(hosts, hosts_per_cert, http2)
            files = min(40000, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
            log = (f"access_log {self.access_log} pfetch;" if access_log
                   else "access_log off;")
            blocks = "".join(
                f"server {{ {s} root {self.root}; {server} }}\n"
                for s in servers)
            (self.directory / "nginx.conf").write_text(f"""
{"user root;" if os.geteuid() == 0 else ""}
daemon off;
pid {self.directory}/nginx.pid;
worker_processes {workers};
worker_rlimit_nofile {files};
events {{ worker_connections {files * 3 // 4}; }}
http {{
    client_body_temp_path {self.directory}/tmp-body;
    proxy_temp_path {self.directory}/tmp-proxy;
    fastcgi_temp_path {self.directory}/tmp-fastcgi;
    uwsgi_temp_path {self.directory}/tmp-uwsgi;
    scgi_temp_path {self.directory}/tmp-scgi;
    log_format pfetch '$connection $server_addr $status $request_uri';
    {log}
    default_type application/octet-stream;
    sendfile on;
    tcp_nodelay on;
    keepalive_requests {keepalive_requests};
    keepalive_timeout {keepalive_timeout};
    server_names_hash_max_size 4096;
    {http}
{blocks}
    server {{
        listen 127.0.0.1:{self._status_port};
        access_log off;
        location / {{ stub_status; }}
    }}
}}
""")
            self._start()
        except BaseException:
            self.close()
            raise

    def _bind(self, address):
        """A listening socket on a free port; returns the port."""
        s = socket.socket()
        self._sockets.append(s)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind((address, 0))
        s.listen(4096)
        return s.getsockname()[1]

    def _tls_servers(self, addresses, per_cert, http2):
        """One server for each certificate.  nginx binds only the wildcard
        address and finds the server by the address a client came to."""
        listen = "ssl http2" if http2 else "ssl"
        authority = Authority(self.directory)
        self.ca = authority.pem
        groups = [["127.0.0.1", "localhost"]]
        groups += [list(addresses[i:i + per_cert])
                   for i in range(0, len(addresses), per_cert)]
        servers = []
        for group in groups:
            cert, key = authority.issue(group)
            where = (["0.0.0.0"] if group is groups[0] else group)
            lines = [f"listen {a}:{self.tls_port} {listen}"
                     + (" backlog=4096;" if a == "0.0.0.0" else ";")
                     for a in where]
            servers.append(" ".join(lines) + f" ssl_certificate {cert};"
                           f" ssl_certificate_key {key};"
                           " ssl_session_cache shared:tls:10m;")
        return servers

    def _start(self):
        fds = [s.fileno() for s in self._sockets]
        with open(self.directory / "stderr", "wb") as err:
            self._process = subprocess.Popen(
                [NGINX, "-p", str(self.directory), "-c",
                 str(self.directory / "nginx.conf"), "-e",
                 str(self.directory / "error.log")],
                stdin=subprocess.DEVNULL, stdout=err, stderr=err,
                pass_fds=fds, start_new_session=True,
                preexec_fn=_end_with_parent,
                env={**os.environ, "NGINX": "".join(f"{f};" for f in fds)})
        for s in self._sockets:
            s.close()
        self._sockets = []
        try:
            self._status()
        except OSError as why:
            raise RuntimeError(f"nginx did not start: {why}\n"
                               + self.errors()) from why

    def url(self, path="", host="127.0.0.1", tls=False):
        """The URL of a path below root."""
        scheme, port = ("https", self.tls_port) if tls else ("http", self.port)
        return f"{scheme}://{host}:{port}/{path}"

    def errors(self):
        """What nginx has complained of."""
        text = ""
        for name in ("stderr", "error.log"):
            path = self.directory / name
            text += path.read_text(errors="replace") if path.exists() else ""
        return text

    def _status(self):
        """(connections accepted, requests), our own ones included."""
        self._asked += 1
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"http://127.0.0.1:{self._status_port}/",
                         timeout=20) as answer:
            words = answer.read().split()
        numbers = [int(w) for w in words if w.isdigit()]
        return numbers[1], numbers[3]

    def counts(self):
        """(connections accepted, requests answered) so far."""
        accepted, requests = self._status()
        return accepted - self._asked, requests - self._asked

    def close(self):
        """Ends nginx and removes its directory.  May be called again."""
        for s in self._sockets:
            s.close()
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
            self._process = None
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_exc):
        self.close()
