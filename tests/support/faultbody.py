"""The bytes faultd serves (tests/faultd/body.h defines them).

SPDX-License-Identifier: MIT
"""

from urllib.parse import unquote_to_bytes


def fnv1a(seed):
    """FNV-1a, 64 bits, of a str or bytes."""
    value = 0xCBF29CE484222325
    for byte in seed.encode() if isinstance(seed, str) else seed:
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return value


def body(seed, size, start=0):
    """Bytes [start, size) of the body made from that seed."""
    prefix = b"%016x " % fnv1a(seed)
    first = start - start % 32
    lines = b"".join([b"%b%014d\n" % (prefix, offset % 10**14)
                      for offset in range(first, size, 32)])
    return lines[start - first:size - first] if size > start else b""


def seed_of(url):
    """The seed of a URL or path: seed=, else the last path segment."""
    path = url.split("?")[0].split("#")[0]
    if "://" in path:
        path = "/" + path.split("://", 1)[1].partition("/")[2]
    segments = path.split("/")[1:]
    for segment in reversed(segments[:-1]):
        if segment.startswith("seed="):
            return unquote_to_bytes(segment[5:])
    return unquote_to_bytes(segments[-1])


def delay_ms(low, high, seed):
    """What delay=LOW-HIGH means for that seed."""
    return low + fnv1a(seed) % (high - low + 1)
