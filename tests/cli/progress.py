#!/usr/bin/env python3
"""progress - the line that says how far a run is, on a terminal and elsewhere.

SPDX-License-Identifier: MIT

A pseudo-terminal stands for the terminal.  Screen plays what was written to it,
as far as pfetch uses it, so that what a person would see can be looked at.
"""

import contextlib
import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import threading

import common
from common import arguments, check_same, fetch, tap, until

SIZE = 40000


class Screen:
    """What stands on a terminal after these bytes, line by line."""

    def __init__(self, data):
        self.lines, self.row, self.column = [""], 0, 0
        for part in re.findall(r"\033\[[0-9]*[A-Za-z]|\r|\n|[^\033\r\n]+",
                               data.decode("ascii")):
            self.play(part)
        self.said = [line.rstrip() for line in self.lines]

    def play(self, part):
        """One sequence, or text."""
        if part == "\r":
            self.column = 0
        elif part == "\n":
            self.row += 1
            if self.row == len(self.lines):
                self.lines.append("")
        elif part == "\033[K":
            self.lines[self.row] = self.lines[self.row][:self.column]
        elif part == "\033[J":
            self.lines[self.row] = self.lines[self.row][:self.column]
            del self.lines[self.row + 1:]
        elif re.fullmatch(r"\033\[\d+A", part):
            self.row -= int(part[2:-1])
        else:
            assert part[0] != "\033", f"unexpected {part!r}"
            line = self.lines[self.row].ljust(self.column)
            self.lines[self.row] = (line[:self.column] + part
                                    + line[self.column + len(part):])
            self.column += len(part)


def frames(data):
    """The lines of each status that was drawn."""
    return [part.replace("\033[K", "").split("\r\n")
            for part in re.findall(r"\r((?:[ -~]*\033\[K(?:\r\n)?)+)\033\[J",
                                   data.decode("ascii"))]


class Terminal:
    """A pseudo-terminal with a pfetch on it, its output gathered."""

    def __init__(self, columns, rows=24):
        self.master, self.slave = pty.openpty()
        self.resize(columns, rows)
        self.data = b""
        self.reader = None

    def resize(self, columns, rows=24):
        """As a person who pulls at the window's corner."""
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ,
                    struct.pack("HHHH", rows, columns, 0, 0))

    def gather(self):
        """Reads until nobody has the terminal open any more."""
        with contextlib.suppress(OSError):
            while True:
                more = os.read(self.master, 65536)
                if not more:
                    return
                self.data += more

    @contextlib.contextmanager
    def running(self, tmp, *more, lines=None, term="xterm", **environment):
        """A pfetch whose messages go here; at the end all has been read."""
        # The script that libtool makes would set COLUMNS.
        program, env = common.real_program()
        env.update(environment, TERM=term or "")
        if term is None:
            del env["TERM"]
        process = subprocess.Popen(
            [program, *arguments(tmp, more, lines)], env=env,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=self.slave)
        self.reader = threading.Thread(target=self.gather, daemon=True)
        self.reader.start()
        try:
            yield process
            process.wait()
        finally:
            process.kill()
            process.wait()
            os.close(self.slave)
            self.reader.join()
            os.close(self.master)


def slow(server, count, ms=1500):
    """Lines of which each takes so long."""
    return [server.url(f"/size={SIZE}/drip=4000,{tap.ms(ms) // 10}/f{i}")
            for i in range(count)]


def shown(tmp, server, columns, *more, lines=None, count=8, **options):
    """What a run of about 1.5 s writes to a terminal of that width."""
    terminal = Terminal(columns)
    with terminal.running(tmp, *more, lines=lines or slow(server, count),
                          **options) as process:
        check_same(process.wait(), 0)
    return terminal.data


@tap.case
def a_bar_of_any_width(tmp):
    "80, 40, 20 and 2 columns: what is drawn fits, and nothing stays"
    with common.server() as server:
        for columns in (80, 40, 20, 2):
            data = shown(tmp, server, columns, "--exist", "overwrite")
            drawn = frames(data)
            assert drawn, data
            for frame in drawn:
                check_same(len(frame), 1)
                assert len(frame[0]) < columns, frame
            if columns >= 20:
                assert any(re.match(r"\d/8  \d+%", f[0]) for f in drawn), drawn
            screen = Screen(data).said
            assert re.match("pfetch: 8 files,", screen[0]), screen
            assert not any("%" in line for line in screen), screen


@tap.case
def a_terminal_that_does_not_know_its_width(tmp):
    "0 columns are 80; COLUMNS says it better"
    with common.server() as server:
        drawn = frames(shown(tmp, server, 0, "--exist", "overwrite"))
        assert any(40 < len(frame[0]) < 80 for frame in drawn), drawn
        drawn = frames(shown(tmp, server, 80, "--exist", "overwrite",
                             COLUMNS="30"))
        assert drawn and all(len(frame[0]) < 30 for frame in drawn), drawn
        drawn = frames(shown(tmp, server, 80, "--exist", "overwrite",
                             COLUMNS="wide"))
        assert any(len(frame[0]) > 30 for frame in drawn), drawn


@tap.case
def a_window_that_is_resized(tmp):
    "the next drawing fits"
    with common.server() as server:
        terminal = Terminal(80)
        with terminal.running(tmp, lines=slow(server, 4, 4000)) as process:
            until(lambda: frames(terminal.data), "a drawing")
            terminal.resize(30)
            process.send_signal(signal.SIGWINCH)
            at = len(terminal.data)
            until(lambda: len(frames(terminal.data[at:])) > 2, "more of them")
            assert len(frames(terminal.data[at:])[-1][0]) < 30, terminal.data
            process.terminate()


@tap.case
def without_colours_and_without_a_clever_terminal(tmp):
    "no colour ever; TERM=dumb, none, and a pipe: no escape sequence"
    with common.server() as server:
        data = shown(tmp, server, 80, "--exist", "overwrite", NO_COLOR="1")
        assert frames(data) and b"m" not in re.findall(
            rb"\033\[[0-9;]*([a-zA-Z])", data), data
        for term in ("dumb", "", None):
            data = shown(tmp, server, 80, "--exist", "overwrite",
                         "--progress", "bar", term=term)
            assert b"\033" not in data and b"8 files" in data, data
        done = fetch(tmp, "--progress", "bar", "--exist", "overwrite",
                     lines=slow(server, 4), env={**os.environ,
                                                 "TERM": "xterm"})
        assert "\033" not in done.err and "\r" not in done.err


@tap.case
def a_line_now_and_then(tmp):
    "without a terminal: the first after five seconds; with -q none"
    with common.server() as server:
        lines = slow(server, 3, 6500)
        done = fetch(tmp, lines=lines)
        said = [line for line in done.err.splitlines() if "done of" in line]
        assert said and re.match(r"pfetch: 0 done of 3, 0 failed, 3 running",
                                 said[0]), done.err
        assert len(said) <= tap.SLOW, said
        done = fetch(tmp, "-q", "--exist", "overwrite", lines=lines)
        check_same(done.err, "")


@tap.case
def for_a_program(tmp):
    "--progress json: an object a second"
    with common.server() as server:
        done = fetch(tmp, "--progress", "json", "-q",
                     lines=slow(server, 3, 2600))
        objects = [json.loads(line) for line in done.err.splitlines()]
        assert objects, "there was none"
        for one in objects:
            check_same((one["schema"], one["total"], one["read"],
                        one["failed"]), (1, 3, 3, 0))
            assert one["elapsed_ms"] > 0 and one["done"] <= 3
        assert objects[0]["bytes"] > 0 and objects[0]["running"] == 3


@tap.case
def not_at_all(tmp):
    "--progress none; -q; data on a terminal"
    with common.server() as server:
        for more in (("--progress", "none"), ("-q",)):
            data = shown(tmp, server, 80, *more, "--exist", "overwrite")
            assert not frames(data), data
        terminal = Terminal(80)
        process = subprocess.Popen(
            [tap.PFETCH, *arguments(tmp, ("--handler", "stdout"),
                                    slow(server, 2))],
            env={**os.environ, "TERM": "xterm"}, stdin=subprocess.DEVNULL,
            stdout=terminal.slave, stderr=terminal.slave)
        os.close(terminal.slave)
        terminal.gather()
        os.close(terminal.master)
        check_same(process.wait(), 0)
        assert b"\033[K" not in terminal.data


@tap.case
def what_fails_and_what_waits(tmp):
    "failed and retrying are in the line; messages stay whole above it"
    with common.server() as server:
        lines = slow(server, 6, 2500)
        lines += [server.url(f"/status=404/g{i}") for i in range(3)]
        lines += [server.url(f"/fail=1:500/retryafter={tap.ms(2000) // 1000}"
                             f"/size=10/h{i}")
                  for i in range(2)]
        terminal = Terminal(120)
        with terminal.running(tmp, lines=lines) as process:
            until(lambda: any("3 failed" in f[0] and "2 retrying" in f[0]
                              for f in frames(terminal.data)), "both")
            check_same(process.wait(), 1)
        screen = Screen(terminal.data).said
        assert not any("\033" in line or "left" in line for line in screen)
        said = [line for line in screen if "404 Not Found" in line]
        check_same(len(said), 3)
        for line in said:
            assert re.fullmatch(r"pfetch: \S+:\d+: \S+: http: 404 Not Found",
                                line), line


@tap.case
def the_oldest_transfers(tmp):
    "--progress full: below the bar, the oldest first; wiped as a whole"
    with common.server() as server:
        lines = slow(server, 3, 2500)
        data = shown(tmp, server, 60, "--progress", "full", lines=lines)
        drawn = [frame for frame in frames(data) if len(frame) == 4]
        assert drawn, data
        for line in drawn[-1][1:]:
            assert len(line) < 60 and "http://127.0.0.1" in line, line
        screen = Screen(data).said
        assert not any("http" in line for line in screen), screen
        assert screen[0].startswith("pfetch: 3 files"), screen


@tap.case
def a_small_screen(tmp):
    "--progress full: never more lines than there are"
    with common.server() as server:
        terminal = Terminal(60, rows=4)
        with terminal.running(tmp, "--progress", "full",
                              lines=slow(server, 9)) as process:
            check_same(process.wait(), 0)
        drawn = frames(terminal.data)
        check_same(max(len(frame) for frame in drawn), 3)


@tap.case
def the_last_ones(tmp):
    "when nothing ends any more, the line says what is waited for"
    with common.server() as server:
        lines = [server.url(f"/size=9/f{i}") for i in range(5)]
        lines.append(server.url(
            f"/size={SIZE}/drip=1000,{tap.ms(100)}/slow"))
        data = shown(tmp, server, 100, lines=lines)
        said = {frame[0] for frame in frames(data)}
        assert any(re.match(r"waiting for 1: \d+ s http\S+/slow$", line)
                   for line in said), said


@tap.case
def a_list_that_comes_through_a_pipe(tmp):
    "its total is known at its end, not before"
    with common.server() as server:
        lines = slow(server, 4, 3000)
        fifo = tmp / "fifo"
        os.mkfifo(fifo)
        terminal = Terminal(80)
        with terminal.running(tmp, "-i", fifo) as process:
            with open(fifo, "w") as feed:
                feed.write("\n".join(lines) + "\n")
                feed.flush()
                until(lambda: any("0 done" in frame[0] for frame in
                                  frames(terminal.data)), "the number read")
                assert not any("%" in frame[0]
                               for frame in frames(terminal.data))
            until(lambda: any("/4  " in frame[0]
                              for frame in frames(terminal.data)), "the total")
            check_same(process.wait(), 0)


@tap.case
def nothing_stays_after_an_interrupt(tmp):
    "INT, and INT twice: the line is gone"
    with common.server() as server:
        for times in (1, 2):
            terminal = Terminal(80)
            with terminal.running(tmp, "--exist", "overwrite", "--grace",
                                  "30s" if times == 2 else "0",
                                  lines=slow(server, 4, 60000)) as process:
                until(lambda: frames(terminal.data), "a drawing")
                process.send_signal(signal.SIGINT)
                if times == 2:
                    # Within 100 ms the second counts as the first once more.
                    until(lambda: process.poll() is not None
                          or process.send_signal(signal.SIGINT), "the end")
                check_same(process.wait(), -signal.SIGINT)
            screen = Screen(terminal.data).said
            assert not any("busy" in line or "%" in line
                           for line in screen), screen


@tap.case
def a_terminal_that_takes_nothing(tmp):
    "stopped by Ctrl-S: the run ends all the same"
    with common.server() as server:
        terminal = Terminal(80)
        with terminal.running(tmp, "-q", "--progress", "full",
                              lines=slow(server, 4, 3000)) as process:
            until(lambda: frames(terminal.data), "a drawing")
            termios.tcflow(terminal.slave, termios.TCOOFF)
            check_same(process.wait(20 * tap.SLOW), 0)
            termios.tcflow(terminal.slave, termios.TCOON)
        check_same(len(common.tree(tmp / "out")), 4)


tap.main(jobs=4)
