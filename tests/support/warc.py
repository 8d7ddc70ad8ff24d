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
    while data:
        unpacker = zlib.decompressobj(31)
        found = unpacker.decompress(data) + unpacker.flush()
        assert unpacker.eof, "a gzip member is cut off"
        data = unpacker.unused_data
        yield found


def _sha1(data):
    return "sha1:" + base64.b32encode(hashlib.sha1(data).digest()).decode()


def _parse(data):
    """The record that data begins with, and what follows it."""
    head, blank, rest = data.partition(b"\r\n\r\n")
    assert blank, "the fields of a record do not end"
    version, *lines = head.decode("utf-8").split("\r\n")
    assert version == "WARC/1.1", version
    fields = {}
    for line in lines:
        name, colon, value = line.partition(": ")
        assert colon and name and value, line
        assert name.lower() not in fields, f"{name} twice"
        fields[name.lower()] = value
    size = int(fields["content-length"])
    assert len(rest) >= size + 4, "a record is cut off"
    assert rest[size:size + 4] == b"\r\n\r\n", rest[size:size + 4]
    return Record(fields, rest[:size]), rest[size + 4:]


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
        alone = path.suffix == ".gz"
        while piece:
            record, piece = _parse(piece)
            assert not (alone and piece), "two records in a gzip member"
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
