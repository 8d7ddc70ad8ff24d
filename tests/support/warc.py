"""warc - reads a web archive as strictly as the standard (ISO 28500) is.

SPDX-License-Identifier: MIT

    for record in warc.read(path):
        record.type, record.fields, record.block
        record.http          (first line, [(name, value)], body), if it is one

Anything that is not as it should be raises AssertionError.  In a .gz file each
record must be a gzip member of its own.
"""

import base64
import hashlib
import re
import uuid
import zlib


class Record:
    """One record."""

    def __init__(self, fields, block):
        self.fields = fields
        self.block = block
        self.type = fields["warc-type"]

    @property
    def http(self):
        head, blank, body = self.block.partition(b"\r\n\r\n")
        assert blank, "no end of the header"
        first, *lines = head.decode("latin-1").split("\r\n")
        fields = []
        for line in lines:
            name, colon, value = line.partition(":")
            assert colon and re.fullmatch(r"[!-9;-~]+", name), line
            fields.append((name, value.strip()))
        return first, fields, body


def _members(data):
    """The gzip members of a file, unpacked."""
    at = 0
    while at < len(data):
        unpacker, found = zlib.decompressobj(31), b""
        while not unpacker.eof:
            # What is given and not used is copied: not all of it each time.
            piece = data[at:at + 65536]
            assert piece, "a gzip member is cut off"
            found += unpacker.decompress(piece)
            at += len(piece) - len(unpacker.unused_data)
        yield found


def _sha1(data):
    return "sha1:" + base64.b32encode(hashlib.sha1(data).digest()).decode()


def _parse(data, start):
    """The record that begins at that offset, and where the next one does."""
    end = data.find(b"\r\n\r\n", start)
    assert end >= 0, "the fields of a record do not end"
    version, *lines = data[start:end].decode("utf-8").split("\r\n")
    assert version == "WARC/1.1", version
    fields = {}
    for line in lines:
        name, colon, value = line.partition(": ")
        assert colon and name and value, line
        assert name.lower() not in fields, f"{name} twice"
        fields[name.lower()] = value
    block = end + 4
    end = block + int(fields["content-length"])
    assert len(data) >= end + 4, "a record is cut off"
    assert data[end:end + 4] == b"\r\n\r\n", data[end:end + 4]
    return Record(fields, data[block:end]), end + 4


def _check(record, ids):
    fields = record.fields
    kind, name = re.fullmatch(r"<(urn:uuid:)([0-9a-f-]{36})>",
                              fields["warc-record-id"]).groups()
    assert kind and uuid.UUID(name).version == 4
    assert name not in ids, "an id twice"
    ids.add(name)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z",
                        fields["warc-date"]), fields["warc-date"]
    if "warc-block-digest" in fields:
        assert fields["warc-block-digest"] == _sha1(record.block), fields
    if "warc-payload-digest" in fields:
        assert fields["warc-payload-digest"] == _sha1(record.http[2]), fields
    if record.type in ("request", "response"):
        assert fields["content-type"] == (
            f"application/http;msgtype={record.type}")
        assert "warc-block-digest" in fields, fields
    if record.type == "response":
        check_response(record)


def check_response(record):
    """What the header says of the body is true of what is there."""
    first, fields, body = record.http
    assert re.match(r"HTTP/1\.[01] \d{3}( |$)", first), first
    names = [name.lower() for name, _ in fields]
    assert "transfer-encoding" not in names, fields
    lengths = [v for n, v in fields if n.lower() == "content-length"]
    assert lengths == [str(len(body))], (lengths, len(body))
    assert "warc-payload-digest" in record.fields, record.fields


def read(path):
    """All records of a file, checked."""
    data = path.read_bytes()
    pieces = _members(data) if path.suffix == ".gz" else [data]
    records, ids = [], set()
    for piece in pieces:
        at = 0
        while at < len(piece):
            record, at = _parse(piece, at)
            assert path.suffix != ".gz" or at == len(piece), (
                "two records in a gzip member")
            _check(record, ids)
            records.append(record)
    assert records and records[0].type == "warcinfo", "no warcinfo at first"
    assert records[0].fields["warc-filename"] == path.name
    info = records[0].fields["warc-record-id"]
    responses = {r.fields["warc-record-id"]: r for r in records
                 if r.type == "response"}
    for record in records[1:]:
        assert record.fields["warc-warcinfo-id"] == info
    for record in records:
        if record.type == "request":
            other = responses[record.fields["warc-concurrent-to"]]
            for name in ("warc-target-uri", "warc-date"):
                assert record.fields[name] == other.fields[name]
    assert len(records) == 1 + 2 * len(responses), len(records)
    return records
