"""Ways of spoiling bytes, JSON, names, records, archives and answers; each a function of a random generator alone."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import random
import struct
import tarfile
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

DEEP = "\x01deep\x01"
"""Stands for 3,000 levels of lists in a JSON value, which json could not write."""
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2**31, 2**63, 10**400, 1e308, -1e308, 0.5),
    *(float("nan"), float("inf"), float("-inf"), "", "x", "0", "nan", "\ud800", "\x00", "é" * 300, "x" * 300),
    *([], {}, [[]], [None], {"x": None}, {"": {}}, ["x"] * 40, [1, 2, 3, 4], DEEP),
)

WORDS = ("", "x", "-1", "0", "1e400", "nan", "inf", "9" * 30, "1.5", "é", "\x00", '"', "1;2")


def hostile_names(outside: str) -> tuple[str, ...]:
    """Names that no file below a folder has; some lead to the folder `outside`."""
    return (
        *("..", ".", "", "/", "../escaped", "a/../../escaped", "..\\escaped", "C:\\escaped", "~/escaped", "$HOME/escaped"),
        *(
            f"{outside}/escaped",
            f"//{outside}/escaped",
            f"file://{outside}/escaped",
            "../secret.jpg",
            "../../secret.jpg",
            f"{outside}/secret.jpg",
        ),
        *("n" * 256, "é" * 200, "n/" * 3000, "a\x00b", "a\nb", "\ud800", "\udcff", " ", "-", "con", "%2e%2e/escaped"),
        *("COCO_train2014_../../secret.jpg", "COCO_train2014_000000000009.jpg/", "COCO_train2014_000000000009_.jpg"),
    )


def spoiled_bytes(body: bytes, choose: random.Random) -> tuple[bytes, str]:
    """The body with one or some bytes flipped, lost, doubled or replaced, and what was done."""
    at = choose.randrange(len(body) + 1)
    end = min(len(body), at + choose.choice((1, 4, 64, 1024)))
    ways: dict[str, Callable[[], bytes]] = {
        "flip": lambda: _flipped(body, choose, 1),
        "flips": lambda: _flipped(body, choose, 16),
        "cut": lambda: body[:at],
        "headless": lambda: body[at:],
        "hole": lambda: body[:at] + body[end:],
        "double": lambda: body[:end] + body[at:],
        "zeros": lambda: body[:at] + bytes(end - at) + body[end:],
        "noise": lambda: body[:at] + choose.randbytes(end - at) + body[end:],
        "trailing": lambda: body + choose.randbytes(100),
        "twice": lambda: body + body,
        "empty": lambda: b"",
    }
    way = choose.choice(list(ways))
    return ways[way](), f"{way} at {at}"


def _flipped(body: bytes, choose: random.Random, count: int) -> bytes:
    changed = bytearray(body)
    for _ in range(count if body else 0):
        changed[choose.randrange(len(body))] ^= 1 << choose.randrange(8)
    return bytes(changed)


def spoiled_json(value: Any, choose: random.Random, names: tuple[str, ...]) -> tuple[bytes, str]:
    """The text of a JSON value of which one to three places were changed, or of which the text itself was spoiled."""
    told = []
    for _ in range(choose.choice((1, 1, 1, 2, 3))):
        value, what = _changed(value, choose, names)
        told.append(what)
    text = json.dumps(value).replace(json.dumps(DEEP), "[" * 3000 + "]" * 3000).encode()
    if choose.random() < 0.2:
        text, what = spoiled_bytes(text, choose)
        told.append(what)
    return text, "; ".join(told)


def _changed(value: Any, choose: random.Random, names: tuple[str, ...]) -> tuple[Any, str]:
    value = json.loads(json.dumps(value))
    places = list(_places(value))
    if not places:
        return choose.choice(VALUES), "the whole"
    holder, key, path = choose.choice(places)
    way = choose.choice(("value", "value", "value", "name", "remove", "swap", "wrap", "double", "rename"))
    if way == "value":
        holder[key] = choose.choice(VALUES)
    elif way == "name":
        holder[key] = choose.choice(names)
    elif way == "remove":
        del holder[key]
    elif way == "swap":
        other, other_key, other_path = choose.choice(places)
        holder[key], other[other_key] = _copy(other[other_key]), _copy(holder[key])
        path = f"{path} with {other_path}"
    elif way == "wrap":
        holder[key] = choose.choice(([holder[key]], {"x": holder[key]}, str(holder[key])))
    elif way == "double" and isinstance(holder, list):
        holder.append(_copy(holder[key]))
    elif isinstance(holder, dict):
        holder[choose.choice((*names, "x", key.upper()))] = holder.pop(key)
    return value, f"{way} {path}"


def spoiled_words(text: str, separator: str, choose: random.Random, names: tuple[str, ...]) -> tuple[bytes, str]:
    """A table of words of which one is another, lost or doubled, or a line is doubled, empty or in another place."""
    lines = text.split("\n")
    at, other = choose.randrange(len(lines)), choose.randrange(len(lines))
    words = lines[at].split(separator)
    word = choose.randrange(len(words))
    way = choose.choice(("value", "value", "value", "lost", "doubled", "twice", "empty", "swapped"))
    if way == "value":
        words[word] = choose.choice((*WORDS, *names))
    elif way == "lost":
        del words[word]
    elif way == "doubled":
        words.append(words[word])
    lines[at] = separator.join(words)
    if way in ("twice", "empty"):
        lines.insert(at, lines[at] if way == "twice" else "")
    elif way == "swapped":
        lines[at], lines[other] = lines[other], lines[at]
    return "\n".join(lines).encode("utf-8", "surrogatepass"), f"{way} in line {at + 1}"


def _copy(value: Any) -> Any:
    return json.loads(json.dumps(value))


def _places(value: Any, path: str = "$", depth: int = 0) -> Any:
    """Every (holder, key, path) of a JSON value."""
    if depth > 20:
        return
    for key in list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield value, key, f"{path}.{key}"
        yield from _places(value[key], f"{path}.{key}", depth + 1)


def spoiled_part(body: bytes, choose: random.Random, names: tuple[str, ...]) -> tuple[bytes, str]:
    """A part of records with a column lost, renamed, of another type or with other values; or spoiled bytes."""
    if choose.random() < 0.35:
        return spoiled_bytes(body, choose)
    table = pq.read_table(io.BytesIO(body))
    name = choose.choice(table.column_names)
    at = table.column_names.index(name)
    values = table[name].to_pylist()
    way = choose.choice(("drop", "rename", "value", "value", "value", "type", "double rows", "no rows", "shuffle", "null"))
    if way == "drop":
        table = table.drop_columns([name])
    elif way == "rename":
        table = table.rename_columns([f"{each}_" if each == name else each for each in table.column_names])
    elif way == "double rows":
        table = pa.concat_tables([table, table])
    elif way == "no rows":
        table = table.slice(0, 0)
    elif way == "shuffle":
        table = table.set_column(at, name, pa.array(choose.sample(values, len(values)), table.schema.field(name).type))
    elif way == "null":
        table = table.set_column(at, name, pa.nulls(len(values), table.schema.field(name).type))
    else:
        table, way = _revalued(table, at, values, way == "type", choose, names)
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue(), f"{way} {name}"


def _revalued(
    table: pa.Table, at: int, values: list[Any], all_rows: bool, choose: random.Random, names: tuple[str, ...]
) -> tuple[pa.Table, str]:
    """One row, or all with another type, of a column replaced; unchanged where pyarrow has no such type."""
    field = table.schema.field(at)
    new = choose.choice((*VALUES[:-1], *names))
    row = choose.randrange(max(1, len(values)))
    nested = [new] * 3 if isinstance(values[0] if values else None, list) and choose.random() < 0.7 else new
    changed = [nested if all_rows or i == row else old for i, old in enumerate(values)]
    for kind in (None,) if all_rows else (field.type, None):
        try:
            spoiled = table.set_column(at, field.name, pa.array(changed, kind))
            pq.write_table(spoiled, io.BytesIO())
            return spoiled, f"{new!r:.40} in"
        except (pa.ArrowException, OverflowError, TypeError, ValueError, UnicodeEncodeError):
            continue
    return table.drop_columns([field.name]), "drop"


def spoiled_tar(members: dict[str, bytes], choose: random.Random, names: tuple[str, ...]) -> tuple[bytes, str]:
    """A tar archive, plain or compressed, in which a member has a name, kind, size or target that it should not have."""
    buffer, told = io.BytesIO(), []
    victim = choose.randrange(len(members))
    with tarfile.open(fileobj=buffer, mode="w", format=choose.choice((tarfile.PAX_FORMAT, tarfile.GNU_FORMAT))) as archive:
        for number, (name, body) in enumerate(members.items()):
            info = tarfile.TarInfo(name)
            info.size = len(body)
            if number == victim:
                way = choose.choice(("name", "kind", "double", "link", "sparse", "header", "below"))
                told.append(f"{way} {name}")
                if way == "name":
                    info.name = choose.choice([name for name in names if "\ud800" not in name])
                elif way == "kind":
                    info.type = choose.choice(
                        (b"1", b"2", b"3", b"4", b"5", b"6", b"7", b"L", b"K", b"x", b"g", b"S", b"V")
                    )
                elif way == "double":
                    archive.addfile(info, io.BytesIO(body))
                elif way == "link":
                    info.type, info.linkname = choose.choice((b"1", b"2")), choose.choice(("..", ".", *members))
                elif way == "sparse":
                    size = str(choose.choice((10**12, 10**30, -1, 0, "x")))
                    info.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": size}
                elif way == "below":
                    info.name = f"{choose.choice(list(members))}/{name}"
                else:
                    archive.fileobj.write(_header(info, choose))  # pyright: ignore[reportOptionalMemberAccess]
            archive.addfile(info, io.BytesIO(body))
    pack = choose.choice((bytes, zipped_up, bz2.compress, lzma.compress))
    return pack(buffer.getvalue()), "; ".join(told)


def zipped_up(body: bytes) -> bytes:
    """The body compressed by gzip, without the time of day."""
    return gzip.compress(body, mtime=0)


def _header(info: tarfile.TarInfo, choose: random.Random) -> bytes:
    """A header with noise in one of its fields and a right checksum."""
    block = bytearray(info.tobuf(tarfile.USTAR_FORMAT))
    start, length = choose.choice(((0, 100), (100, 8), (124, 12), (136, 12), (156, 1), (157, 100), (257, 8), (345, 155)))
    block[start : start + length] = choose.choice(
        (choose.randbytes(length), b"\x80" + b"\xff" * (length - 1), bytes(length))
    )
    block[148:156] = b" " * 8
    block[148:156] = f"{sum(block[:512]):06o}\0 ".encode()
    return bytes(block)


def spoiled_zip(body: bytes, choose: random.Random) -> tuple[bytes, str]:
    """A zip archive with another number in a field of a header."""
    signature = choose.choice((b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"))
    places = [at for at in range(len(body)) if body.startswith(signature, at)]
    at = choose.choice(places) + choose.randrange(4, 30, 2)
    number = choose.choice((0, 1, 9, 12, 14, 0x20, 0x41, 99, 0x7FFF, 0xFFFF))
    changed = body[:at] + struct.pack("<H", number) + body[at + 2 :]
    return changed[: len(body)], f"{number} at {at}"


def spoiled_answer(body: bytes, choose: random.Random) -> tuple[bytes, str]:
    """The bytes of an HTTP answer with headers that are wrong, missing, doubled or noise, or with a spoiled body."""
    lengths = (len(body), len(body) + 1, len(body) - 1, 0, -1, 10**15, 10**400, "abc", "", "1, 2", "+7", "0x1f", "٣")
    ranges = ("bytes 0-", "bytes 5-9/10", "bytes 0-9/5", "nonsense", f"bytes 0-{len(body) - 1}/{len(body)}", "bytes 0-9/*")
    places = ("/", "//", "http://[", "file:///etc/hostname", "ftp://127.0.0.1/x", "data:,x", "http://127.0.0.1:1/", "\x7f")
    status = choose.choice(
        ("200 OK",) * 6 + ("206 Partial Content", "204 x", "302 x", "308 x", "416 x", "500 x", "999 x", "abc")
    )
    lines = [f"Content-Length: {choose.choice(lengths)}" for _ in range(choose.choice((0, 1, 1, 1, 2)))]
    lines += choose.sample(
        (
            *(
                "Content-Type: text/html",
                "Content-Type: \xff/\xff; charset=\xff",
                "Transfer-Encoding: chunked",
                "ETag: \xff",
            ),
            *("Content-Encoding: gzip", "Connection: keep-alive", "no colon here", ": no name", "X: " + "y" * 70_000),
            *(f"Content-Range: {choose.choice(ranges)}", f"Location: {choose.choice(places)}", "Last-Modified: \x01"),
        ),
        choose.choice((0, 0, 1, 1, 2, 3)),
    )
    head = "\r\n".join((f"HTTP/1.1 {status}", *lines, "", "")).encode("utf-8")
    told = f"{status}; {'; '.join(lines):.200}"
    if choose.random() < 0.4:
        body, what = spoiled_bytes(body, choose)
        told += f"; body: {what}"
    if choose.random() < 0.2:
        head, what = spoiled_bytes(head, choose)
        told += f"; head: {what}"
    return head + body, told
