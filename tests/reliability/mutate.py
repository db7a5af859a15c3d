"""Damage for files: bytes, values of documents, tensors, and things that are no files."""

import json
import math
import os
import struct
import tomllib

import tomli_w

STRANGE = [
    None, True, False, 0, -1, 1, 2**31, 2**62, -(2**62), 1e308, -1e308, 1e-320, -0.0, "", "x",
    "\x1b]0;owned\x07", "two\nlines", "[/bold]", "<script>alert(1)</script>", "../../outside",
    "\u202egnp.exe", [], {}, [[]], [None], {"name": "x"}, ["a", 1], "nan", 10**18, "é" * 300,
    "$\\frac{1$",
]  # fmt: skip
WIDTHS = {"F16": 2, "F32": 4, "F64": 8, "I32": 4, "I64": 8, "U8": 1, "BOOL": 1, "BF16": 2, "C64": 8}
RAW = ["NaN", "Infinity", "-Infinity", "1e999", "9" * 400, '"\\ud800"', "[" * 3000 + "]" * 3000]


def damage(path, draw, outside):
    """Change a file in a random way; return in words how."""
    ways = [bytes_of, bytes_of, no_file]
    structured = {
        ".json": document, ".jsonl": document, ".toml": toml, ".safetensors": tensors,
        ".npy": header,
    }  # fmt: skip
    if path.suffix in structured:
        ways += [structured[path.suffix]] * 6
    way = draw.choice(ways)
    return f"{path.name}: {way.__name__}: {way(path, draw, outside)}"


def bytes_of(path, draw, _):
    """Cut, flip, blank, repeat or insert bytes."""
    data = bytearray(path.read_bytes())
    what = draw.choice(["cut", "flip", "blank", "repeat", "insert", "empty"])
    at = draw.randrange(len(data) + 1)
    if what == "cut":
        data = data[:at]
    elif what == "flip":
        for _k in range(draw.choice([1, 1, 4, 40])):
            if data:
                data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    elif what == "blank":
        data[at : at + 64] = bytes(len(data[at : at + 64]))
    elif what == "repeat":
        data[at:at] = data[at : at + draw.randrange(200)]
    elif what == "insert":
        data[at:at] = bytes(draw.randrange(256) for _k in range(draw.randrange(1, 20)))
    else:
        data = bytearray()
    path.write_bytes(bytes(data))
    return what


def no_file(path, draw, outside):
    """Put a link, a pipe, a folder, a huge or no file in its place."""
    what = draw.choice(["link", "dangling", "pipe", "folder", "huge", "gone", "hard link"])
    path.unlink()
    if what == "link":
        path.symlink_to(outside / "precious.txt")
    elif what == "dangling":
        path.symlink_to(outside / "new.txt")
    elif what == "pipe":
        os.mkfifo(path)
    elif what == "folder":
        path.mkdir()
    elif what == "huge":
        with path.open("wb") as file:
            file.truncate(2**42)
    elif what == "hard link":
        os.link(outside / "precious.txt", path)
    return what


def strange(value, draw):
    """Return a value with one part of it changed."""
    if isinstance(value, dict) and value and draw.random() < 0.9:
        key = draw.choice(list(value))
        what = draw.random()
        if what < 0.1:
            return {k: v for k, v in value.items() if k != key}
        if what < 0.15:
            return value | {str(draw.choice(STRANGE)): draw.choice(STRANGE)}
        return value | {key: strange(value[key], draw)}
    if isinstance(value, list) and value and draw.random() < 0.9:
        at = draw.randrange(len(value))
        if draw.random() < 0.15:
            return value[:at] + value[at + draw.choice([0, 1]) :] + value[:at]
        return [*value[:at], strange(value[at], draw), *value[at + 1 :]]
    if isinstance(value, (int, float)) and not isinstance(value, bool) and draw.random() < 0.5:
        return draw.choice([-value, value * 1e9, value + 1, value / 7, 0])
    return draw.choice(STRANGE)


def document(path, draw, _):
    """Change values of JSON, in a document or a line."""
    lines = path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]
    if not lines:
        return "nothing there"
    at = draw.randrange(len(lines))
    value = json.loads(lines[at])
    for _k in range(draw.choice([1, 1, 1, 3])):
        value = strange(value, draw)
    lines[at] = json.dumps(value)
    if draw.random() < 0.15:  # what json.dumps would not write
        lines[at] = lines[at].replace(draw.choice([": 0", ": 1", ": 2", ": null"]),
                                      ": " + draw.choice(RAW), 1)  # fmt: skip
    path.write_text("\n".join(lines) + "\n")
    return lines[at][:60]


def toml(path, draw, _):
    """Change values of a configuration."""
    table = tomllib.loads(path.read_text())
    for _k in range(draw.choice([1, 1, 2])):
        table = strange(table, draw)
    try:
        path.write_text(tomli_w.dumps(table))
    except (TypeError, AttributeError):  # TOML has no null
        path.write_text(draw.choice(["x = " + "[" * 5000, "a." * 5000 + "b = 1", "seed = = 1"]))
    return path.read_text()[:30]


def tensors(path, draw, _):
    """Change the header of a file of tensors, its documents, or values."""
    data = path.read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    head, rest = json.loads(data[8 : 8 + size]), bytearray(data[8 + size :])
    names = [name for name in head if name != "__metadata__"]
    about = head.get("__metadata__", {})
    what = draw.choice(["about", "about", "dtype", "shape", "name", "values", "head", "text"])
    one = draw.choice(names)
    if what == "about" and about:
        key = draw.choice(list(about))
        try:
            about[key] = json.dumps(strange(json.loads(about[key]), draw))
        except ValueError:
            about[key] = str(draw.choice(STRANGE))
        if draw.random() < 0.1:
            about[key] = draw.choice(RAW)
    elif what == "dtype":
        head[one]["dtype"] = draw.choice(list(WIDTHS))
        if draw.random() < 0.7:  # with as many bytes
            begin, end = head[one]["data_offsets"]
            head[one]["shape"] = [(end - begin) // WIDTHS[head[one]["dtype"]]]
    elif what == "shape":
        shape = head[one]["shape"]
        total = math.prod(shape)
        head[one]["shape"] = draw.choice(
            [[total], [total, 1], [1, total], shape[::-1], [2**40], []]
        )
    elif what == "name":
        head[draw.choice(["x", "valid.points", *names])] = head.pop(one)
    elif what == "values":
        begin, end = head[one]["data_offsets"]
        kinds = {"F32": "<f", "F64": "<d", "I64": "<q"}
        form = kinds.get(head[one]["dtype"])
        if form and end > begin:
            width = struct.calcsize(form)
            at = begin + width * draw.randrange((end - begin) // width)
            odd = (
                [0, -1, 10**9, 2**62]
                if form == "<q"
                else [0.0, float("nan"), float("inf"), 1e30, -1e30]
            )
            rest[at : at + width] = struct.pack(form, draw.choice(odd))
    elif what == "head":
        head = strange(head, draw)
    text = json.dumps(head).encode()
    if what == "text":
        text = draw.choice(
            [b"[" * 5000, b"{", text.replace(b"[", b"[1208925819614629174706176,", 1)]
        )
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(rest))
    return f"{what} {one}"


def header(path, draw, _):
    """Let an array say another shape."""
    data = path.read_bytes()
    path.write_bytes(
        data.replace(b"(2000, ", draw.choice([b"(2**80, ", b"(-1, ", b"(9" + b"9" * 24 + b","]), 1)
    )
    return "shape"
