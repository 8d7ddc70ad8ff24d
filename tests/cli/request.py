#!/usr/bin/env python3
"""request - what a request carries, where it may go, and who it says we are.

SPDX-License-Identifier: MIT
"""

import gzip
import os

import common
from common import check_failed, check_good, check_same, fetch, tap, tree
import certs
import nginx

CANARY = "canary-4711"


def log_line(server, path):
    found = [entry for entry in server.log() if entry["path"] == path]
    check_same(len(found), 1)
    return found[0]


@tap.case
def referer_is_sent(tmp):
    with common.server() as server:
        url = server.url("/needheader=Referer:http:%2F%2Fr.example%2F/a")
        check_same(fetch(tmp, "-e", "http://r.example/",
                         lines=[url]).status, 0)
        check_same(fetch(tmp, lines=[url], out="o2", results="r2").status, 1)


@tap.case
def bearer_goes_to_the_origin_of_the_list_only(tmp):
    "from the command line and from a file; nowhere else, and shown nowhere"
    (tmp / "token").write_text(CANARY + "\nsecond line\n")
    need = f"/needheader=Authorization:Bearer%20{CANARY}/a"
    with common.server() as server, common.server() as other:
        away = other.url("/refuseheader=Authorization/b")
        lines = [server.url("/redirect=" + away.replace("/", "%2F") + "/x"),
                 server.url("/refuseheader=Authorization/c")]
        for i, options in enumerate((("--bearer", CANARY),
                                     ("--bearer-file", tmp / "token"))):
            check_same(fetch(tmp, *options, lines=[server.url(need)],
                             out=f"n{i}", results=None).status, 0)
            done = fetch(tmp, *options, "-v", lines=lines, out=f"o{i}",
                         results=f"r{i}")
            check_same(done.status, 1)
            check_good(done, 1, "/b")
            check_failed(done.records[2], "http", 400)
            assert CANARY not in done.err + (tmp / f"r{i}").read_text()


@tap.case
def a_bearer_is_wiped_from_the_list_of_processes(tmp):
    with common.server() as server:
        with common.started(tmp, "--bearer", CANARY, "--host",
                            f"h=user=me:{CANARY}",
                            lines=[server.url("/delay=1500/a")]) as process:
            server.wait(lambda s: s["requests_active"] == 1)
            with open(f"/proc/{process.pid}/cmdline", "rb") as text:
                assert CANARY.encode() not in text.read()
            check_same(process.wait(20), 0)


@tap.case
def bad_tokens_and_pairs_are_usage_errors(tmp):
    (tmp / "empty").write_text("\n")
    for options in (("--bearer", ""), ("--bearer", "a b"),
                    ("--bearer-file", tmp / "none"),
                    ("--bearer-file", tmp / "empty"),
                    ("--bearer", "x", "-u", "a:b"),
                    ("--load-cookies", tmp / "none"),
                    ("--cert", tmp / "none"), ("--key", tmp / "empty"),
                    (f"--netrc={tmp}/none",), ("--resolve", "a:b"),
                    ("--resolve", "a:0:1.2.3.4"), ("--tls-min", "1.4"),
                    ("--deny-private", "-x", "http://p.example"),
                    ("--host", f"h=user={CANARY}"),
                    ("--host", f"h=usr=me:{CANARY}"),
                    ("--host", f"=user=me:{CANARY}"),
                    ("--host", f"h,user=me:{CANARY}")):
        done = fetch(tmp, *options, lines=["http://127.0.0.1:9/"])
        check_same((options, done.status), (options, 2))
        assert CANARY not in done.err, done.err


@tap.case
def a_user_for_one_host(tmp):
    "--host HOST=user=: that host gets it, the others what -u says"
    with common.server(bind="0.0.0.0") as server:
        def url(host, pair):
            return server.url(f"/auth={pair}/{host}", host=host)

        done = fetch(tmp, "-u", "all:one", "--host",
                     "127.0.0.2=per-host=2,user=me:two,three",
                     lines=[url("127.0.0.1", "all:one"),
                            url("127.0.0.2", "me:two,three"),
                            url("127.0.0.3", "all:one")])
        check_same(done.status, 0)


@tap.case
def a_bearer_is_not_for_whom_has_a_user(tmp):
    "--host HOST=user= and a user part of a URL are sent instead"
    with common.server(bind="0.0.0.0") as server:
        own = server.url("/auth=a:b/x", host="127.0.0.3")
        done = fetch(tmp, "--bearer", "t", "--host", "127.0.0.2=user=me:two",
                     lines=[server.url("/needheader=Authorization:Bearer%20t/"
                                       "y"),
                            server.url("/auth=me:two/z", host="127.0.0.2"),
                            own.replace("//", "//a:b@")])
        check_same(done.status, 0)


@tap.case
def the_command_line_says_who_asks(tmp):
    "-u or --bearer there stand instead of either in the configuration file"
    with common.server() as server:
        bearer = server.url("/needheader=Authorization:Bearer%20t/x")
        pair = server.url("/auth=a:b/x")
        for i, (line, option, value, url) in enumerate((
                ("user c:d", "--bearer", "t", bearer),
                ("bearer u", "-u", "a:b", pair),
                ("bearer u", "--bearer", "t", bearer),
                ("user c:d", "-u", "a:b", pair))):
            (tmp / "config").write_text(line + "\n")
            check_same(fetch(tmp, "--config", tmp / "config", option, value,
                             lines=[url], out=f"o{i}", results=None).status,
                       0)
        (tmp / "config").write_text("user c:d\nbearer u\n")
        check_same(fetch(tmp, "--config", tmp / "config",
                         lines=[pair], results=None).status, 2)
        (tmp / "config").write_text(f"user:me:{CANARY}\n")
        done = fetch(tmp, "--config", tmp / "config", lines=[pair],
                     results=None)
        check_same(done.status, 2)
        assert CANARY not in done.err, done.err


@tap.case
def headers_without_a_value(tmp):
    "'Name;' is sent empty; 'Name:' leaves out what would be sent by itself"
    with common.server() as server:
        for i, (header, path, status) in enumerate((
                ("X-Foo;", "/refuseheader=X-Foo/a", 1),
                ("X-Foo:", "/refuseheader=X-Foo/a", 0),
                ("Accept:", "/refuseheader=Accept/a", 0))):
            check_same((header, fetch(tmp, "-H", header,
                                      lines=[server.url(path)], out=f"o{i}",
                                      results=None).status),
                       (header, status))


@tap.case
def netrc_is_used_only_when_asked_for(tmp):
    (tmp / "netrc").write_text("machine 127.0.0.1 login me password sesame\n")
    home = tmp / "home"
    home.mkdir()
    (home / ".netrc").write_text((tmp / "netrc").read_text())
    with common.server() as server:
        def run(*options):
            return fetch(tmp, *options, lines=[server.url("/auth=me:sesame/a")],
                         out="o" + str(len(options)), results=None,
                         env={**os.environ, "HOME": str(home)}).status

        check_same(run(), 1)
        check_same(run("--netrc"), 0)
        check_same(run(f"--netrc={tmp}/netrc", "-v"), 0)


@tap.case
def cookies_are_sent_and_never_learned(tmp):
    "those of the file, for its hosts; what servers set does not stay"
    (tmp / "jar").write_text("# Netscape HTTP Cookie File\n"
                             "127.0.0.1\tFALSE\t/\tFALSE\t0\tmine\t1\n")
    with common.server(bind="0.0.0.0") as server:
        sets = "/header=Set-Cookie:theirs=2"
        lines = [server.url(f"{sets}/needheader=Cookie:mine=1/a{i}")
                 for i in range(6)]
        lines.append(server.url(f"{sets}/refuseheader=Cookie/b",
                                host="127.0.0.2"))
        lines.append(server.url("/refuseheader=Cookie/c", host="127.0.0.2"))
        done = fetch(tmp, "-t", "1", "--load-cookies", tmp / "jar",
                     lines=lines)
        check_same(done.status, 0)
        done = fetch(tmp, "-t", "1", out="without", results=None, lines=[
            server.url(f"{sets}/refuseheader=Cookie/a{i}") for i in range(4)])
        check_same(done.status, 0)
        check_same((tmp / "jar").read_text().count("\n"), 2)


@tap.case
def bodies_without_a_length(tmp):
    "--require-length: they fail, and those with one or with chunks do not"
    with common.server() as server:
        lines = [server.url(path) for path in
                 ("/size=500/a", "/nolength/size=500/b",
                  "/chunked/size=500/c")]
        check_same(fetch(tmp, lines=lines, results=None, out="all").status, 0)
        done = fetch(tmp, "--require-length", lines=lines)
        check_same(done.status, 1)
        check_good(done, 1, "/size=500/a", 500)
        check_failed(done.records[2], "short", 200)
        check_same(done.records[2]["attempts"], 1)
        check_good(done, 3, "/chunked/size=500/c", 500)
        check_same(tree(done.path), ["a", "c"])


@tap.case
def compressed_bodies(tmp):
    "asked for: stored unpacked; not asked for: stored as sent"
    common.need_nginx()
    text = b"".join(b"line %d of a text\n" % i for i in range(20000))
    packed = gzip.compress(text)
    config = "gzip on; gzip_types *; gzip_min_length 1;"
    with nginx.Nginx(server=config) as server:
        (server.root / "t.txt").write_bytes(text)
        (server.root / "t.gz").write_bytes(packed)
        lines = [server.url("t.txt"), server.url("t.gz")]
        done = fetch(tmp, "--compressed", lines=lines)
        check_same(done.status, 0)
        for name, data in (("t.txt", text), ("t.gz", packed)):
            check_same((done.path / name).read_bytes(), data)
        check_same(done.records[1]["bytes"], len(text))
        assert done.records[1]["length_verified"]
        done = fetch(tmp, "--compressed", "--max-size", "100k", lines=lines,
                     out="small", results="small-results")
        check_failed(done.records[1], "too-large")
        check_same(tree(done.path), ["t.gz"])
        done = fetch(tmp, lines=lines, out="plain", results="plain-results")
        check_same(done.status, 0)
        check_same((done.path / "t.txt").read_bytes(), text)


@tap.case
def a_compressed_body_that_is_broken(tmp):
    "no file, class protocol or short, whatever the length says"
    with common.server() as server:
        lines = [server.url("/header=Content-Encoding:gzip/size=900/a"),
                 server.url("/header=Content-Encoding:gzip/size=900/cut=20/b")]
        done = fetch(tmp, "--compressed", "--retries", "0", lines=lines)
        check_same(done.status, 1)
        check_failed(done.records[1], "protocol")
        assert done.records[2]["error"] in ("protocol", "short")
        check_same(tree(done.path), [])


@tap.case
def resolve_and_families(tmp):
    "--resolve names the address; -4 and -6 the family; --interface ours"
    with common.server() as server:
        url = f"http://nowhere.invalid:{server.ports['plain']}/a"
        done = fetch(tmp, "--resolve", url.split("/")[2] + ":127.0.0.1",
                     lines=[url])
        check_same(done.status, 0)
        check_same(done.records[1]["remote_ip"], "127.0.0.1")
        url = server.url("/b")
        check_same(fetch(tmp, "-4", "--interface", "127.0.0.9", lines=[url],
                         out="o2", results=None).status, 0)
        done = fetch(tmp, "-6", "--retries", "0", lines=[url], out="o3",
                     results="r3")
        check_same(done.status, 1)
        done = fetch(tmp, "--interface", "nonesuch0", lines=[url], out="o4",
                     results="r4")
        check_same(done.status, 3)
        check_failed(done.records[1], "local")


@tap.case
def private_addresses_are_denied(tmp):
    "by name, by number, in every spelling, and after a redirect"
    with common.server() as server:
        port = server.ports["plain"]
        hosts = ("127.0.0.1", "localhost", "0x7f.1", "2130706433",
                 "[::ffff:127.0.0.1]", "[::1]", "10.255.255.1",
                 "169.254.169.254")
        done = fetch(tmp, "--deny-private", "--connect-timeout", "5s",
                     lines=[f"http://{host}:{port}/{i}"
                            for i, host in enumerate(hosts)])
        check_same(done.status, 1)
        for n in range(1, len(hosts) + 1):
            check_failed(done.records[n], "connect")
            assert "not public" in done.records[n]["message"], done.records[n]
            check_same(done.records[n]["attempts"], 1)
        check_same(server.stats()["requests"], 0)


@tap.case
def a_certificate_of_our_own(tmp):
    "a server that asks for one gets it; without it the answer is a refusal"
    common.need_nginx()
    made = certs.make(tmp / "certs")
    config = (f"ssl_client_certificate {made.ca}; "
              "ssl_verify_client on;")
    with nginx.Nginx(tls=True, server=config) as server:
        (server.root / "a").write_text("for friends")
        url = server.url("a", tls=True)
        done = fetch(tmp, "--cacert", server.ca, "--cert", made.client[0],
                     "--key", made.client[1], lines=[url])
        check_same(done.status, 0)
        done = fetch(tmp, "--cacert", server.ca, lines=[url], out="o2",
                     results="r2")
        check_failed(done.records[1], "http", 400)
        # A key that does not fit is trouble here, not at the server.
        done = fetch(tmp, "--cacert", server.ca, "--cert", made.client[0],
                     "--key", made.good[1], lines=[url], out="o3",
                     results="r3")
        check_same(done.status, 3)


@tap.case
def the_oldest_version_of_tls(tmp):
    "--tls-min 1.3 refuses a server that has 1.2 only"
    common.need_nginx()
    with nginx.Nginx(tls=True, http="ssl_protocols TLSv1.2;") as server:
        (server.root / "a").write_text("old")
        url = server.url("a", tls=True)
        done = fetch(tmp, "--cacert", server.ca, lines=[url])
        check_same(done.status, 0)
        done = fetch(tmp, "--cacert", server.ca, "--tls-min", "1.3",
                     "--retries", "0", lines=[url], out="o2", results="r2")
        check_failed(done.records[1], "tls")


tap.main()
