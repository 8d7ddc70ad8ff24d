"""truth - what a URL at faultd must end as, by its words.

SPDX-License-Identifier: MIT

    truth.of("/size=50/cut=5/x")      Truth(cls="short", http=200, ...)
    truth.of("/size=50/x").cls        None: it ends as ok

This is the other half of script.h: that says what the server does, this what
a right client makes of it.  It follows decide.c in the order of things.  It
knows nothing of pfetch but the classes of its records, the statuses it
retries, and limits that are given.
"""

import collections
from urllib.parse import unquote_to_bytes

import faultbody

# cls: class of the failure, None for ok; http: the status told, None for none;
# transient: it is worth another attempt; verified: the body had a length;
# continues: what has arrived may be continued later.
Truth = collections.namedtuple(
    "Truth", "cls http transient size seed verified continues",
    defaults=(None, None, False, 0, b"", True, False))

RETRIED = {408, 429, 500, 502, 503, 504} | set(range(520, 525))
MAX_REDIRS = 20
HEADER_MAX = 300 * 1024
CHUNK_LINE_MAX = 16 * 1024

# Those that change nothing for a right client.
HARMLESS = {
    "reason", "header", "lastmod", "retryafter", "notify", "delay", "drip",
    "closeidle", "closeevery", "connclose", "junk", "latejunk", "nextend",
    "hints", "limit", "needheader", "refuseheader", "norange", "wrongrange",
    "shortrange", "416", "auth"}
KNOWN = HARMLESS | {
    "size", "seed", "status", "etag", "length", "length2", "chunked",
    "nolength", "bigheaders", "slowheaders", "garbage", "cut", "reset",
    "stall", "close", "chunkcut", "badchunk", "unasked206", "redirect",
    "fail", "failreset", "failcut", "newafter"}


class Words(dict):
    """The directives of a path: name -> value, None for a bare one."""

    def __init__(self, path):
        super().__init__()
        for segment in path.split("?")[0].split("/")[1:-1]:
            name, equals, value = segment.partition("=")
            if name in KNOWN or equals:
                self[name] = (unquote_to_bytes(value).decode("latin-1")
                              if equals else None)

    def number(self, name, default=0):
        return int(self[name]) if self.get(name) is not None else default

    def pair(self, name, default="0:0"):
        """N:REST of fail=, failcut= and newafter="""
        count, _, rest = (self.get(name) or default).partition(":")
        return int(count), rest


def path_of(url):
    return "/" + url.split("://", 1)[1].partition("/")[2] if (
        "://" in url) else url


def _status(text):
    """A status line's number as a client reads it, or None."""
    return int(text) if text.isdigit() and len(text) == 3 and (
        100 <= int(text) <= 999) else None


def _refused(status):
    return Truth("proxy" if status == 407 else "http", status,
                 status in RETRIED)


def _redirected(words):
    target = words["redirect"]
    status = _status(words.get("status", "302"))
    if target.startswith("hops:"):
        return None if int(target[5:]) <= MAX_REDIRS else (
            Truth("redirect", status))
    if target in ("loop", "pingpong"):
        return Truth("redirect", status)
    if target == "none":
        return Truth("http", status)
    scheme = target.partition(":")[0].lower()
    if scheme in ("http", "https"):
        raise ValueError("where the redirect leads to decides: " + target)
    return Truth("scheme", status)


def _length(words, size):
    """The length declared: a number, None for none, or a Truth: no number."""
    values = []
    chunked = "chunked" in words or "chunkcut" in words or "badchunk" in words
    if "length" in words:
        values.append(words["length"])
    elif not chunked and "nolength" not in words:
        values.append(str(size))
    if "length2" in words:
        values.append(words["length2"])
    numbers = set()
    for value in ",".join(values).split(",") if values else ():
        value = value.strip()
        if not value.isdigit() or int(value) >= 2 ** 63:
            return Truth("protocol")
        numbers.add(int(value))
    if len(numbers) > 1:
        return Truth("protocol")
    return None if chunked or not numbers else numbers.pop()


def _ending(words):
    """(end, after): how the connection ends, after how much of the body;
    after is negative for the words that mean a place before it."""
    last = None
    for name in words:  # in the order of the path: the later one holds
        if name in ("cut", "reset", "stall", "close"):
            value = words[name]
            after = {"before": -1, "head": -1 if name == "stall" else -2}
            last = (name, after.get(value, value))
        elif name == "chunkcut" and words[name] != "last":
            last = ("cut", words[name])
    return (last[0], int(last[1])) if last else (None, 0)


def _body(words, status, truth):
    """A 200: whether the body arrives, and whole."""
    size = truth.size
    length = _length(words, size)
    if isinstance(length, Truth):
        return length
    end, after = _ending(words)
    arrives = min(size, after) if end else size
    if words.get("badchunk") in ("zz", "long", "neg") and size > 1:
        return Truth("protocol", status)
    if words.get("badchunk") == "trailers":
        return Truth("too-large", status)
    failure = Truth("timeout" if end == "stall" else "short", status, True)
    etag = words.get("etag") or ""
    if arrives > 0 and etag and not etag.startswith("W/"):
        failure = failure._replace(continues=True, http=None)  # 200 or 206
    if words.get("chunkcut") == "last":
        return failure
    closing = length is None and "nolength" in words
    if end and not (closing and end == "cut") and not (
            length is not None and arrives >= length):
        return failure
    if length is not None and length > arrives:
        return failure
    kept = arrives if length is None else min(arrives, length)
    return truth._replace(size=kept, verified=not closing)


def attempt(path, count):
    """What the count-th request for that path is worth, ranges aside."""
    words = Words(path)
    unknown = set(words) - KNOWN
    if unknown:
        return _refused(400)
    fails, status = words.pair("fail")
    if count <= fails:
        return _refused(int(status))
    if count <= words.number("failreset"):
        return Truth("short", None, True)
    if words.get("redirect") is not None:
        truth = _redirected(words)
        if truth is not None:
            return truth
    end, after = _ending(words)
    if end and after < 0:
        return Truth("timeout" if end == "stall" else "short", None, True)
    if "garbage" in words:
        return Truth("protocol")
    if "slowheaders" in words:
        return Truth("timeout")  # that of --timeout, or of its own
    header = words.get("header", "").lower()
    if "\0" in header or header.startswith("transfer-encoding:"):
        return Truth("protocol")
    if words.get("hints") == "endless" or (
            words.number("bigheaders") * 1024 > HEADER_MAX):
        return Truth("too-large")
    status = _status(words.get("status", "200"))
    if status is None:
        return Truth("protocol")
    if "unasked206" in words and words.number("unasked206") < words.number(
            "size", 1000):
        return Truth("protocol", 206)
    if status == 206:
        return Truth("protocol", status)
    if status != 200:
        return _refused(status)
    truth = Truth(None, 200, size=words.number("size", 1000),
                  seed=faultbody.seed_of(path))
    cuts, after = words.pair("failcut")
    if count <= cuts:
        words["cut"] = after
    return _body(words, status, truth)


def _is_reached(words, retries):
    """A strong ETag, and so many bytes at each attempt that the last one gets
    to the end."""
    end, after = _ending(words)
    if not end or after <= 0 or "chunked" in words or "chunkcut" in words or (
            {"norange", "wrongrange", "416", "shortrange"} & set(words)):
        return False
    return after * (retries + 1) >= words.number("size", 1000)


def of(url, retries=4, max_size=0):
    """What the URL ends as with so many retries."""
    path = path_of(url)
    for count in range(1, retries + 2):
        truth = attempt(path, count)
        if not truth.transient:
            break
    words = Words(path)
    if truth.continues and _is_reached(words, retries):
        truth = Truth(None, size=words.number("size", 1000),
                      seed=faultbody.seed_of(path))
    if truth.cls is None and max_size and truth.size > max_size:
        return Truth("too-large", truth.http)
    return truth
