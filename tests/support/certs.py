"""certs - a certificate authority and server certificates for tests.

SPDX-License-Identifier: MIT

    made = certs.make(directory, names=["www.test", "127.1.0.1"])
    made.ca                    the CA's certificate, to be trusted
    made.good                  (cert, key): 127.0.0.1, localhost and `names`
    made.other                 for other.invalid, by the same CA
    made.expired               as good, but its time is over
    made.self_signed           as good, but by itself
    made.client                a client certificate by the same CA

Needs the openssl(1) program, 1.1.1 or later: certs.available() says.
Run as a program it makes them in the directory named, with the other
arguments as names.
"""

import collections
import ipaddress
import os
import shutil
import subprocess
import sys

Certs = collections.namedtuple(
    "Certs", "ca good other expired self_signed client")

# `openssl ca` is the only command that sets both dates in every version.
_CONFIG = """
[ca]
default_ca = test
[test]
dir = {directory}
database = {directory}/index.txt
new_certs_dir = {directory}
rand_serial = yes
default_md = sha256
policy = any
unique_subject = no
certificate = {directory}/ca.crt
private_key = {directory}/ca.key
[any]
commonName = supplied
[req]
distinguished_name = dn
[dn]
[v3_ca]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
"""

_LEAF = """
[leaf]
basicConstraints = CA:FALSE
keyUsage = critical, digitalSignature
subjectAltName = {names}
"""


def available():
    return shutil.which("openssl") is not None


def _openssl(*arguments):
    done = subprocess.run(("openssl",) + arguments, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError("openssl %s: %s" % (arguments[0], done.stderr))


def _alt_name(name):
    try:
        return "IP:%s" % ipaddress.ip_address(name)
    except ValueError:
        return "DNS:" + name


class _Maker:
    def __init__(self, directory):
        self.directory = os.path.abspath(directory)
        os.makedirs(self.directory, exist_ok=True)
        self.config = self.path("openssl.cnf")
        with open(self.config, "w") as out:
            out.write(_CONFIG.format(directory=self.directory))
        with open(self.path("index.txt"), "w"):
            pass

    def path(self, name):
        return os.path.join(self.directory, name)

    def key(self, name):
        key = self.path(name + ".key")
        _openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout",
                 "-out", key)
        return key

    def ca(self):
        cert = self.path("ca.crt")
        _openssl("req", "-x509", "-new", "-key", self.key("ca"), "-sha256",
                 "-subj", "/CN=faultd test CA", "-days", "3650",
                 "-config", self.config, "-extensions", "v3_ca", "-out", cert)
        return cert

    def extensions(self, name, names):
        path = self.path(name + ".ext")
        with open(path, "w") as out:
            out.write(_CONFIG.format(directory=self.directory))
            out.write(_LEAF.format(names=",".join(map(_alt_name, names))))
        return path

    def signed(self, name, names, start="20200101000000Z",
               end="20491231235959Z"):
        key, request = self.key(name), self.path(name + ".csr")
        cert = self.path(name + ".crt")
        _openssl("req", "-new", "-key", key, "-subj", "/CN=" + name,
                 "-config", self.config, "-out", request)
        _openssl("ca", "-batch", "-notext", "-config", self.config,
                 "-extfile", self.extensions(name, names),
                 "-extensions", "leaf", "-startdate", start, "-enddate", end,
                 "-in", request, "-out", cert)
        return cert, key

    def self_signed(self, name, names):
        key, cert = self.key(name), self.path(name + ".crt")
        _openssl("req", "-x509", "-new", "-key", key, "-sha256",
                 "-subj", "/CN=" + name, "-days", "3650",
                 "-config", self.extensions(name, names),
                 "-extensions", "leaf", "-out", cert)
        return cert, key


def make(directory, names=()):
    """Makes all of them in directory and answers their paths."""
    maker = _Maker(directory)
    all_names = ["127.0.0.1", "localhost"] + list(names)
    return Certs(
        ca=maker.ca(),
        good=maker.signed("good", all_names),
        other=maker.signed("other", ["other.invalid"]),
        expired=maker.signed("expired", all_names, end="20210101000000Z"),
        self_signed=maker.self_signed("self-signed", all_names),
        client=maker.signed("client", ["client.invalid"]))


if __name__ == "__main__":
    print(make(sys.argv[1], sys.argv[2:]))
