"""Measurements in a file, one a line, as JSON: what the options of several benchmarks share."""

import argparse
import json
from pathlib import Path


def parser_of(script, text):
    """Return a parser with ``--out``, beside the script by default, and ``--table``."""
    parser = argparse.ArgumentParser(description=text.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(script).with_suffix(".jsonl"))
    parser.add_argument("--table", action="store_true", help="print what is there")
    return parser


def read(path):
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def store(path, measured):
    """Print each measurement as soon as it is made, and append it to a file."""
    for one in measured:
        print(json.dumps(one), flush=True)
        with path.open("a") as file:
            file.write(json.dumps(one) + "\n")
