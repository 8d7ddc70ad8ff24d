#!/usr/bin/env python3
"""resume - what a run leaves that was cut off, and what the next one makes of
it.

SPDX-License-Identifier: MIT
"""

import http.server
import os
import signal
import threading

import common
from common import check_failed, check_same, fetch, started, tap, tree
import cuts

SIZE = 300000
CUT = 100000
ONCE = ("--retries", "0")


def break_off(tmp, server, path, *options):
    """A first run, without retries, that fails; answers its record."""
    done = fetch(tmp, *ONCE, *options, lines=[server.url(path)])
    check_same(done.status, 1)
    check_failed(done.records[1], "short")
    return done.records[1]


def check_rerun(tmp, server, path, seed, size=SIZE, resumed=None, requests=1):
    """The next run has that body, in so many requests, and leaves nothing
    else; and the one after that asks for nothing."""
    before = len(server.log())
    done = fetch(tmp, *ONCE, lines=[server.url(path)])
    check_same(done.status, 0)
    name = path.rsplit("/", 1)[1]
    check_same(tree(tmp / "out"), [name])
    common.check_file(tmp / "out" / name, "/" + seed, size)
    check_same(done.records[1].get("resumed_at"), resumed)
    check_same(done.records[1]["bytes"], size)
    log = server.log()[before:]
    check_same(len(log), requests)
    again = fetch(tmp, *ONCE, lines=[server.url(path)])
    check_same(again.records[1]["status"], "skipped")
    check_same(len(server.log()) - before, requests)
    return log


@tap.case
def the_missing_part_only(tmp):
    "20 MB cut at 60 %: the next run asks for the other 40 %, once"
    common.need_attributes(tmp)
    size, cut = 20000000, 12000000
    with common.server() as server:
        path = f"/size={size}/etag=v/failcut=1:{cut}/big"
        break_off(tmp, server, path)
        check_same(tree(tmp / "out"), [".big.part"])
        check_same((tmp / "out/.big.part").stat().st_size, cut)
        log = check_rerun(tmp, server, path, "big", size, resumed=cut)
        check_same(log[0]["Range"], f"bytes={cut}-")
        check_same(log[0]["If-Range"], '"v"')


@tap.case
def the_file_is_another_one(tmp):
    "replaced on the server meanwhile: fetched whole, new content"
    common.need_attributes(tmp)
    with common.server() as server:
        path = f"/size={SIZE}/etag=v/failcut=1:{CUT}/newafter=1:new/x"
        break_off(tmp, server, path)
        check_same(tree(tmp / "out"), [".x.part"])
        check_rerun(tmp, server, path, "new")


@tap.case(timeout=60)
def other_answers(tmp):
    "every other answer than the rest begins anew, and nothing is mixed"
    common.need_attributes(tmp)
    for words, requests in (("norange", 1), ("416=always", 2),
                            ("wrongrange=start", 2), ("wrongrange=after", 2),
                            ("wrongrange=total", 2), ("wrongrange=etag", 2),
                            ("wrongrange=nocr", 2),
                            ("wrongrange=multipart", 2)):
        with common.server() as server:
            path = f"/size={SIZE}/etag=v/failcut=1:{CUT}/{words}/x"
            out = tmp / words
            out.mkdir()
            break_off(out, server, path)
            check_same(tree(out / "out"), [".x.part"])
            check_rerun(out, server, path, "x", requests=requests)


@tap.case
def unknown_length(tmp):
    "a chunked body is continued, too"
    common.need_attributes(tmp)
    with common.server() as server:
        path = f"/size={SIZE}/etag=v/chunked/failcut=1:{CUT}/x"
        break_off(tmp, server, path)
        check_same(tree(tmp / "out"), [".x.part"])
        size = (tmp / "out/.x.part").stat().st_size
        assert 0 < size <= CUT, size
        check_rerun(tmp, server, path, "x", resumed=size)


@tap.case
def nothing_to_continue_by(tmp):
    "no strong ETag, or no byte: nothing is left"
    with common.server() as server:
        for words in ("", "/etag=W%2Fv", "/lastmod=Sun, 06 Nov 1994 08:49:37"
                      " GMT"):
            path = f"/size={SIZE}{words}/failcut=1:{CUT}/x"
            break_off(tmp, server, path.replace(" ", "%20"))
            check_same(tree(tmp / "out"), [])
        break_off(tmp, server, f"/size={SIZE}/etag=v/failcut=1:0/y")
        check_same(tree(tmp / "out"), [])


class Terse(http.server.BaseHTTPRequestHandler):
    """Breaks off; the rest comes with what RFC 9110 section 15.3.7 wants."""
    protocol_version = "HTTP/1.1"
    body = bytes(range(250)) * 800

    def do_GET(self):
        cut, size = len(self.body) // 2, len(self.body)
        rest = self.headers.get("Range")
        begin = int(rest[len("bytes="):-1]) if rest else 0
        self.send_response(206 if rest else 200)
        self.send_header("ETag", '"v"')
        self.send_header("Content-Length", str(size - begin))
        if rest:
            self.send_header("Content-Range", f"bytes {begin}-{size - 1}/{size}")
        else:
            self.send_header("Last-Modified", "Tue, 01 Jan 2019 00:00:00 GMT")
            self.send_header("Content-Disposition", "attachment; filename=sent")
        self.end_headers()
        self.wfile.write(self.body[begin:] if rest else self.body[:cut])
        self.close_connection = True

    def log_message(self, *_):
        pass


@tap.case
def a_terse_rest(tmp):
    "name and time are those of the first answer, --ordered as well"
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Terse)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for order in ("--no-ordered", "--ordered"):
        done = fetch(tmp, *common.SOON, "--content-disposition", order,
                     lines=[f"http://127.0.0.1:{server.server_port}/asked"],
                     out=order, results="results" + order)
        check_same(done.status, 0)
        check_same(done.records[1]["resumed_at"], len(Terse.body) // 2)
        check_same(tree(done.path), ["sent"])
        check_same((done.path / "sent").read_bytes(), Terse.body)
        check_same(int((done.path / "sent").stat().st_mtime), 1546300800)
    server.shutdown()


@tap.case
def no_resume(tmp):
    "--no-resume leaves nothing, and writes over what is there"
    common.need_attributes(tmp)
    with common.server() as server:
        path = f"/size={SIZE}/etag=v/failcut=1:{CUT}/x"
        break_off(tmp, server, path, "--no-resume")
        check_same(tree(tmp / "out"), [])
        path = f"/size={SIZE}/etag=v/failcut=1:{CUT}/y"
        break_off(tmp, server, path)
        check_same(tree(tmp / "out"), [".y.part"])
        done = fetch(tmp, "--no-resume", *ONCE, lines=[server.url(path)])
        check_same(done.status, 0)
        check_same(tree(tmp / "out"), ["y"])
        assert "resumed_at" not in done.records[1], done.records
        assert "Range" not in server.log()[-1], server.log()[-1]


@tap.case
def of_another_url(tmp):
    "a part of another URL with the same name is not continued"
    common.need_attributes(tmp)
    with common.server() as server:
        break_off(tmp, server, f"/size={SIZE}/etag=v/failcut=1:{CUT}/x")
        check_same(tree(tmp / "out"), [".x.part"])
        check_rerun(tmp, server, f"/size={SIZE}/etag=v/seed=other/x", "other")


@tap.case
def broken_state(tmp):
    "an attribute that is cut short, garbage or newer: fetched whole"
    common.need_attributes(tmp)
    with common.server() as server:
        path = f"/size={SIZE}/etag=v/failcut=1:{CUT}/x"
        break_off(tmp, server, path)
        part = tmp / "out/.x.part"
        good = os.getxattr(part, "user.pfetch")
        held = part.read_bytes()
        for bad in (b"", good[:20], good[:-1], good[:-4], b"2" + good[1:],
                    bytes(range(256)), good.replace(b" ", b"\n")):
            part.write_bytes(held)
            os.setxattr(part, "user.pfetch", bad)
            check_rerun(tmp, server, path, "x")
            (tmp / "out/x").unlink()


@tap.case
def somebody_elses_part(tmp):
    "a .NAME.part that is not ours is neither used nor removed"
    common.need_attributes(tmp)
    (tmp / "out").mkdir()
    (tmp / "out/.x.part").write_text("of the user")
    (tmp / "out/.d.part").mkdir()
    (tmp / "target").write_text("outside")
    (tmp / "out/.l.part").symlink_to("../target")
    with common.server() as server:
        done = fetch(tmp, *ONCE, lines=[server.url(f"/etag=v/{name}")
                                        for name in "xdl"])
        check_same(done.status, 1)
        common.check_good(done, 1, "/x")
        check_failed(done.records[2], "local")
        check_failed(done.records[3], "local")
    check_same((tmp / "out/.x.part").read_text(), "of the user")
    check_same((tmp / "target").read_text(), "outside")
    check_same(tree(tmp / "out"), [".l.part", ".x.part", "x"])


def cut_by(tmp, number, status):
    """A large body that is cut off by a signal, and the run after that."""
    common.need_attributes(tmp)
    size = 2000000
    with common.server() as server:
        path = f"/size={size}/etag=v/stall={size - 500000}/big"
        part = tmp / "out/.big.part"
        with started(tmp, "--grace", "0", lines=[server.url(path)],
                     preexec_fn=cuts.heed_int) as run:
            common.until(lambda: part.exists()
                         and part.stat().st_size > 1000000, "a million bytes")
            run.send_signal(number)
            check_same(run.wait(20), status)
        there = part.stat().st_size
        check_same(tree(tmp / "out"), [".big.part"])
        server.wait(lambda s: s["requests_active"] == 0)
        done = fetch(tmp, *ONCE, lines=[server.url(path)])
        check_same(done.status, 0)
        check_same(server.log()[-1]["Range"], f"bytes={there}-")
        check_same(tree(tmp / "out"), ["big"])
        common.check_file(tmp / "out/big", "/big", size)


@tap.case
def killed(tmp):
    "SIGKILL in the middle of a large body: it is continued"
    cut_by(tmp, signal.SIGKILL, -signal.SIGKILL)


@tap.case
def interrupted(tmp):
    "INT in the middle of a large body: it is continued"
    cut_by(tmp, signal.SIGINT, -signal.SIGINT)


@tap.case
def two_runs_at_once(tmp):
    "two runs find the same part: one continues it, the other does without"
    common.need_attributes(tmp)
    with common.server() as server:
        path = f"/size={SIZE}/etag=v/failcut=1:{CUT}/delay=300/x"
        break_off(tmp, server, path)
        with started(tmp, results="results1",
                     lines=[server.url(path)]) as one, \
             started(tmp, results="results2",
                     lines=[server.url(path)]) as two:
            check_same((one.wait(20), two.wait(20)), (0, 0))
        check_same(tree(tmp / "out"), ["x"])
        common.check_file(tmp / "out/x", "/x", SIZE)


# --- update ---------------------------------------------------------------------

UPDATE = ("--exist", "update")


@tap.case
def update(tmp):
    "--exist update: 304 is skipped, 200 replaces"
    common.need_attributes(tmp)
    date = "Sun,%2006%20Nov%201994%2008:49:37%20GMT"
    with common.server() as server:
        paths = ["/etag=v/newafter=2:w/size=500/x", f"/lastmod={date}/y",
                 "/etag=W%2Fv/z", "/seed=same/n"]
        lines = [server.url(p) for p in paths]
        check_same(fetch(tmp, *UPDATE, lines=lines).status, 0)
        os.link(tmp / "out/x", tmp / "old")
        done = fetch(tmp, *UPDATE, lines=lines)
        check_same(done.status, 0)
        for n in (1, 2, 3):
            record = done.records[n]
            check_same((record["status"], record["http"], record["message"],
                        record["path"]),
                       ("skipped", 304, "not modified", "xyz"[n - 1]))
        # It has nothing to be asked by.
        check_same(done.records[4]["status"], "ok")
        log = {e["path"].rsplit("/", 1)[1]: e for e in server.log()}
        check_same(log["x"]["If-None-Match"], '"v"')
        check_same(log["y"]["If-Modified-Since"],
                   "Sun, 06 Nov 1994 08:49:37 GMT")
        check_same(log["z"]["If-None-Match"], 'W/"v"')
        # The third time x is another file.
        done = fetch(tmp, *UPDATE, lines=lines)
        check_same(done.records[1]["status"], "ok")
        check_same(tree(tmp / "out"), ["n", "x", "y", "z"])
        common.check_file(tmp / "out/x", "/w", 500)
        common.check_file(tmp / "old", "/x", 500)
        done = fetch(tmp, *UPDATE, lines=lines)
        check_same(done.records[1].get("message"), "not modified")
        # Without update, nothing is asked.
        before = server.stats()["requests"]
        done = fetch(tmp, lines=lines)
        check_same([r["status"] for r in done.records.values()],
                   ["skipped"] * 4)
        check_same(server.stats()["requests"], before)


@tap.case
def update_of_foreign_files(tmp):
    "--exist update leaves other files alone"
    common.need_attributes(tmp)
    (tmp / "out").mkdir()
    (tmp / "out/x").write_text("foreign")
    with common.server() as server:
        lines = [server.url("/etag=v/x")]
        check_same(fetch(tmp, *UPDATE, lines=lines).records[1]["path"], "x.1")
        done = fetch(tmp, *UPDATE, lines=lines)
        check_same(done.records[1]["status"], "skipped")
        check_same(done.records[1]["path"], "x.1")
        check_same((tmp / "out/x").read_text(), "foreign")


@tap.case
def unasked_304(tmp):
    "a 304 that was not asked for is a failure"
    with common.server() as server:
        done = fetch(tmp, *UPDATE, lines=[server.url("/status=304/x")])
        check_same(done.status, 1)
        check_failed(done.records[1], "http", 304)
        check_same(tree(tmp / "out"), [])


@tap.case
def update_that_breaks_off(tmp):
    "the new body is continued; the old file stays until it is there"
    common.need_attributes(tmp)
    with common.server() as server:
        path = f"/size={SIZE}/etag=v/x"
        check_same(fetch(tmp, lines=[server.url(path)]).status, 0)
        # The next two see another file at the same address.
        part = tmp / "out/.x.part"
        held = (tmp / "out/x").read_bytes()
        mark = os.getxattr(tmp / "out/x", "user.pfetch")
        os.setxattr(tmp / "out/x", "user.pfetch", mark.replace(b"v", b"u"))
        part.write_bytes(held[:CUT])
        os.setxattr(part, "user.pfetch", mark)
        done = fetch(tmp, *UPDATE, lines=[server.url(path)])
        check_same(done.status, 0)
        log = server.log()[-1]
        check_same((log["If-None-Match"], log["If-Range"], log["Range"]),
                   ('"u"', '"v"', f"bytes={CUT}-"))
        check_same(done.records[1]["resumed_at"], CUT)
        check_same(tree(tmp / "out"), ["x"])
        common.check_file(tmp / "out/x", "/x", SIZE)
        check_same(os.getxattr(tmp / "out/x", "user.pfetch"), mark)


# --- until it is done -----------------------------------------------------------

@tap.case(timeout=120)
def killed_again_and_again(tmp):
    "SIGKILL at 8 moments of 80 files, each time continued"
    cuts.cut_short(tmp, signal.SIGKILL, files=80, largest=1 << 20, times=8,
                   rate="500k")


@tap.case(timeout=120)
def interrupted_again_and_again(tmp):
    "INT at 4 moments of 80 files, each time continued"
    cuts.cut_short(tmp, signal.SIGINT, files=80, largest=1 << 20, times=4,
                   rate="500k")


tap.main()
