#!/usr/bin/env python3
"""redirects - area C: redirects and secrets.

SPDX-License-Identifier: MIT
"""

import os
import pathlib
import socket

import harness
from harness import BAD, Expected, Row, Server, check_same, row
import common

harness.add([
    Row("C01", "to itself", "/redirect=loop/x", "redirect", 302, 1,
        seconds=3),
    Row("C01", "two hosts that send to each other", "/redirect=pingpong/x",
        "redirect", 302, 1, seconds=3),
    Row("C01", "20 hops", "/redirect=hops:20/x", "ok", attempts=1),
    Row("C01", "21 hops", "/redirect=hops:21/x", "redirect", 302, 1),
    Row("C01", "1,000 hops", "/redirect=hops:1000/x", "redirect", 302, 1),
    Row("C01", "a 3xx without Location", "/redirect=none/x", "http", 302, 1),
    Row("C01", "308 to itself", "/status=308/redirect=loop/x", "redirect",
        308, 1),
] + [
    Row("C02", f"to {target}", "/redirect=%s/x" % target.replace("/", "%2F"),
        "scheme", 302, 1)
    for target in ("file:///etc/hostname", "ftp://127.0.0.1/x",
                   "gopher://127.0.0.1:9/_x", "dict://127.0.0.1:9/d:x",
                   "scp://127.0.0.1/x", "data:,x", "javascript:alert(1)",
                   "FILE:///etc/passwd", "ldap://127.0.0.1/", "smb://h/x")
] + [
    Row("C09", f"401 {scheme}: no prompt, no answer to it",
        f"/status=401/header=WWW-Authenticate:%20{scheme}/x", "http", 401, 1)
    for scheme in ("NTLM", "Negotiate", "Digest%20realm=%22a%22,nonce=%22b%22",
                   "Basic%20realm=%22a%22", "Bearer")
] + [
    Row("C09", "407 from a server that is no proxy",
        "/status=407/header=Proxy-Authenticate:%20Basic%20realm=%22a%22/x",
        "proxy", 407, 1),
] + [
    Row("C14", f"Content-Disposition: {name}",
        "/header=Content-Disposition:%20attachment%3B%20filename="
        + name + "/x", "ok")
    for name in ("%22..%2F..%2Fevil%22", ".bashrc", "%2Fetc%2Fpasswd",
                 "a" * 300, "%22a%3Bb%22", "*=UTF-8''%25e2%2580%25ae")
])


@row("C02", "no connection is made for a forbidden scheme")
def no_connection(batch):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        batch.good(5)
        for i, scheme in enumerate(("ftp", "gopher", "dict", "telnet",
                                    "imap", "ws")):
            target = f"{scheme}:%2F%2F127.0.0.1:{port}%2Fx"
            batch.bad(f"/redirect={target}/x{i}", "scheme", 302)
        batch.good(5)
        done = batch.run()
        batch.check(done)
        listener.settimeout(0)
        try:
            listener.accept()
            raise AssertionError("somebody has connected")
        except BlockingIOError:
            pass
    batch.rerun(done)


def to(url):
    return "/redirect=" + url.replace("%", "%25").replace("/", "%2F").replace(
        "?", "%3F")


def origins(batch, targets, home=None, tls=False):
    """Redirects from home to each target: no secret arrives there, but at
    home all of them do."""
    home = home or batch.url
    batch.good(5)
    for i, target in enumerate(targets):
        batch.add(home(to(target + f"/y{i}") + f"/x{i}"),
                  Expected("ok", size=1000, seed=f"y{i}".encode()))
    batch.good(5)
    done = batch.run()
    batch.check(done)
    return done


def no_secrets_in(log, part="/y"):
    entries = [e for e in log if e["path"].rpartition("/")[2].startswith(
        part[1:])]
    assert entries, "nothing was asked"
    for entry in entries:
        for name in ("Authorization", "Cookie", "Referer"):
            assert name not in entry, entry
        assert "cAnary" not in str(entry), entry


REFUSE = "/refuseheader=Authorization/refuseheader=X-Canary"


@row("C03", "a secret header and password: another host, another port")
def other_origins(batch):
    with Server() as other:
        origins(batch, [batch.url(REFUSE, host="localhost"),
                        other.url(REFUSE),
                        other.url(REFUSE, host="localhost")])
        no_secrets_in(batch.server.log() + other.log())
        harness.check_same(other.stats()["requests"], 2)


@row("C03", "back home after a foreign hop: nothing is sent any more, "
     "or only at home")
def there_and_back(batch):
    home = batch.url("/needheader=X-Canary:" + harness.hidden(
        harness.SECRETS["header"]) + "/y")
    away = batch.url(to(home) + "/z", host="localhost")
    batch.around(batch.url(to(away) + "/x"),
                 Expected("ok", size=1000, seed=b"y"))
    batch.check(batch.run())


@row("C04", "a user part in a line: only there, and to no later line")
def user_of_a_line(batch):
    auth = "%s:%s" % (harness.SECRETS["user in a URL"],
                      harness.SECRETS["password in a URL"])
    path = "/auth=" + harness.hidden(auth)
    batch.workers = 1
    for i in range(4):
        batch.add(batch.url(f"{path}/a{i}").replace("://", f"://{auth}@"),
                  Expected("ok", size=1000, seed=f"a{i}".encode()))
        batch.add(batch.url(f"{REFUSE.replace('X-Canary', 'Range')}/b{i}",
                            host="127.0.0.1"),
                  Expected("failed", "http", 400))
        batch.add(batch.url(f"/auth={harness.USER}:" + harness.hidden(
            harness.SECRETS["password by file"]) + f"/c{i}",
            host="localhost"),
            Expected("ok", size=1000, seed=f"c{i}".encode()))
    batch.check(batch.run())
    # Without -u no Authorization at all goes to the line after.
    batch.lines = [
        (text, Expected("ok", size=1000, seed=text.rpartition(b"/")[2]))
        for text, _ in batch.lines[:2]]
    made = batch.arguments()
    at = made.index("--user-file")
    del made[at:at + 2]
    del made[made.index("-H"):made.index("-H") + 2]
    import shutil
    shutil.rmtree(batch.out)
    batch.check(batch.run(arguments=made))


@row("C04", "a user part that a redirect brings: sent to nobody, not shown")
def user_of_a_redirect(batch):
    batch.secrets["redirected"] = "cAnaryredirected"
    target = batch.url("/refuseheader=Authorization/y", host="localhost"
                       ).replace("://", "://u:cAnaryredirected@")
    encoded = "".join(f"%{b:02x}" for b in target.encode())
    batch.around(batch.url(f"/redirect={encoded}/x"),
                 Expected("ok", size=1000, seed=b"y"))
    batch.check(batch.run())


@row("C06", "a user part in a Location that fails is not told either")
def failing_location(batch):
    batch.secrets["redirected"] = "cAnaryredirected"
    batch.good(5)
    for i, target in enumerate((
            "http://cAnaryredirected:cAnaryredirected@127.0.0.1:1/",
            "http://u:cAnaryredirected@[::1/", "ftp://u:cAnaryredirected@h/",
            "http://u:cAnaryredirected@127.0.0.1:99999/",
            "//u:cAnaryredirected@127.0.0.1:1/x",
            "u:cAnaryredirected@h/x", "http:///u:cAnaryredirected@/x")):
        encoded = "".join(f"%{b:02x}" for b in target.encode())
        batch.add(batch.url(f"/redirect={encoded}/x{i}"), Expected("any"))
    batch.good(5)
    done = batch.run()
    batch.check_text(done)
    batch.check_places(done)
    check_same(len(done.records), len(batch.lines))
    check_same(done.status, 1)


@row("C07", "https to http: refused; with --allow-downgrade without secrets",
     tls=True)
def downgrade(batch):
    plain = batch.server.url(REFUSE + "/y")
    batch.around(batch.url(to(plain) + "/x"),
                 Expected("failed", "redirect", 302, 1))
    done = batch.run()
    batch.check(done)
    check_same([e for e in batch.server.log() if not e["tls"]], [])
    batch.lines[BAD - 1] = (batch.lines[BAD - 1][0],
                            Expected("ok", size=1000, seed=b"y"))
    again = batch.run("--allow-downgrade")
    check_same(again.records[BAD]["status"], "ok")
    check_same(again.status, 0)
    no_secrets_in(batch.server.log())


@row("C11", "http://h in the list, then https://h on another port", tls=True)
def scheme_and_port(batch):
    auth = "%s:%s" % (harness.SECRETS["user in a URL"],
                      harness.SECRETS["password in a URL"])
    batch.workers = 1
    made = batch.arguments()
    at = made.index("--user-file")
    del made[at:at + 2]
    path = "/auth=" + harness.hidden(auth)
    batch.add(batch.server.url(f"{path}/a").replace("://", f"://{auth}@"),
              Expected("ok", size=1000, seed=b"a"))
    batch.add(batch.url("/refuseheader=Authorization/b"),
              Expected("ok", size=1000, seed=b"b"))
    target = to(batch.url(REFUSE + "/c"))
    batch.add(batch.server.url(target + "/x").replace("://", f"://{auth}@"),
              Expected("ok", size=1000, seed=b"c"))
    batch.check(batch.run(arguments=made))


@row("C08", "~/.netrc, ~/.curlrc and HTTP_PROXY are not used", tls=True)
def environment(batch):
    home = batch.tmp / "home"
    home.mkdir()
    (home / ".netrc").write_text("default login netrc password cAnarynetrc\n")
    (home / ".netrc").chmod(0o600)
    (home / ".curlrc").write_text("output = evil\n")
    batch.secrets["netrc"] = "cAnarynetrc"
    batch.good(5)
    for i in range(4):
        batch.add(batch.url(f"/refuseheader=Authorization/a{i}"),
                  Expected("ok", size=1000, seed=b"a%d" % i))
    made = batch.arguments()
    at = made.index("--user-file")
    del made[at:at + 2]
    batch.lines = [line for line in batch.lines if b"/auth=" not in line[0]]
    done = batch.run(arguments=made, environment={
        "HOME": str(home), "HTTP_PROXY": "http://127.0.0.1:1",
        "ALL_PROXY": ""})
    batch.check(done)


@row("C08", "SSLKEYLOGFILE: as the manual says, and nothing else", tls=True)
def key_log(batch):
    keys = batch.tmp / "keys"
    batch.good(5)
    batch.allowed.add(str(keys))
    batch.descriptors = 1  # libcurl keeps it open
    done = batch.run(environment={"SSLKEYLOGFILE": str(keys)})
    batch.check(done)
    manual = harness.HERE.parent.parent / "man/pfetch.1"
    assert "SSLKEYLOGFILE" in manual.read_text()


@row("C10", "raw CR, LF, TAB, blank in a line; encoded ones are sent encoded")
def injected(batch):
    batch.good(5)
    for raw in (b"\r", b"\n", b" ", b"\t", b"\x0b", b"\x00"):
        if raw == b"\n":
            continue  # ends the line; see -0 below
        batch.add(batch.url("/a").encode() + raw + b"X-Evil: 1",
                  Expected("failed", "url"))
    for i, code in enumerate(("%0d%0aX-Evil:%201", "%0aX-Evil:1",
                              "%00", "%20HTTP%2f1.1%0d%0a")):
        path = f"/refuseheader=X-Evil/e{i}{code}"
        batch.add(batch.url(path), Expected(
            "ok", size=1000, seed=harness.faultbody.seed_of(path)))
    batch.good(5)
    done = batch.run()
    batch.check(done)
    paths = [e["path"] for e in batch.server.log()]
    assert "/refuseheader=X-Evil/e0%0d%0aX-Evil:%201" in paths, paths
    (batch.tmp / "nul").write_bytes(batch.url("/b\nX-Evil: 1").encode()
                                    + b"\0" + batch.url("/c").encode())
    batch.lines = [(b"", Expected("failed", "url")),
                   (b"/c", Expected("ok", size=1000, seed=b"c"))]
    batch.known = set(common.tree(batch.out))
    made = batch.arguments("-0")
    made[made.index("-i") + 1] = batch.tmp / "nul"
    again = batch.run(arguments=made, keep_list=True)
    check_same([(r["status"], r.get("error")) for r in
                (again.records[1], again.records[2])],
               [("failed", "url"), ("ok", None)])


@row("C12", "Set-Cookie, then the same and another host: no Cookie is sent")
def cookies(batch):
    batch.workers = 1
    batch.good(2)
    for i in range(4):
        batch.bad("/header=Set-Cookie:%20a=cAnarycookie%3B%20Path=%2F/"
                  f"refuseheader=Cookie/x{i}")
        batch.good(1)
        name = f"z{i}"
        batch.add(batch.url(f"/refuseheader=Cookie/{name}",
                            host="localhost"),
                  Expected("ok", size=1000, seed=name.encode()))
    done = batch.run()
    batch.check(done)
    assert not [e for e in batch.server.log() if "Cookie" in e]


if __name__ == "__main__":
    harness.main()
