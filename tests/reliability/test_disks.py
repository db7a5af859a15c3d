"""Disks that are full and disks that may not be written, real ones: one message, nothing half."""

import copy
import shutil
from pathlib import Path

import kills
import pytest
from damaged import called
from disks import NoDisk, fill, read_only, with_disk
from zoo import DATA

from wopt.config.model import validate
from wopt.runs.execute import run_config

TOLD = "what was there before is untouched"


@pytest.fixture
def on_disk(tmp_path):
    """Return a function that calls another with a small disk of its own."""
    place = tmp_path / "disk"
    place.mkdir()

    def call(function, size="8m"):
        try:
            return with_disk(function, place, size)
        except NoDisk as error:
            pytest.skip(f"no disk can be mounted here, neither by root nor by a user: {error}")

    return call


def table(**more):
    """Return the configuration of a run that is the same whenever it is made."""
    certify = {**kills.CERTIFY, "challenge": False, "budget": 0}
    solver = {"iterations": 5, "batch_size": 50}
    made = copy.deepcopy(DATA) | {"solver": solver, "certify": certify} | more
    made["certify"]["budget"] = 0
    return made


def contents(folder):
    """Return what is in a folder, but for its log: of a file its bytes."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*") if path.name != "log.txt"
    }  # fmt: skip


def refused(words, why):
    """Call a command that cannot write, and check that it says so in one line."""
    status, _, said, _ = called(words, 60)
    assert status == 1, (words, status, said)
    assert why in said, (words, said)
    assert said.startswith("error: ")
    assert said.count("\n") == 1, said


def accepted(words):
    """Call a command that can write."""
    status, _, said, _ = called(words, 60)
    assert status == 0, (words, said)


def filled(place, config, whole, leave):
    """Make a run on a disk of so little room, then give it room; what differs at the end."""
    out = place / "run"
    filler = fill(place, leave)
    refused(["run", config, "--out", out, "-q"], "the disk is full")
    before = contents(out)
    for path in out.rglob("*"):
        assert not path.name.startswith("."), "a file is half written"
    log = out / "log.txt"
    assert not log.exists() or log.read_text().endswith("\n") or not log.stat().st_size
    again = ["resume", out] if (out / "config.toml").exists() else ["run", config, "--out", out]
    refused(again, "the disk is full")
    assert before.keys() <= contents(out).keys(), "something was lost"
    filler.unlink()
    accepted([*again, "-q"])
    differing = kills.differing(out, whole)
    shutil.rmtree(out)
    return differing


def test_a_run_goes_on_when_a_full_disk_has_room_again(on_disk, tmp_path):
    made = table(certify={"enabled": False}, stop={"steps": 1})
    run_config(validate(copy.deepcopy(made)), tmp_path / "whole", report=False)
    config = kills.write(tmp_path / "c.toml", made)
    assert on_disk(lambda place: filled(place, config, tmp_path / "whole", 5 * 4096)) == []


@pytest.mark.soak
def test_full_at_every_page(on_disk, tmp_path):
    """In the middle of each file that a run writes, and of each rewriting."""
    run_config(validate(table()), tmp_path / "whole")
    config = kills.write(tmp_path / "c.toml", table())
    pages = [*range(26), 30, 40, 60, 120, 200]
    for page in pages:
        differing = on_disk(
            lambda place, room=4096 * page: filled(place, config, tmp_path / "whole", room)
        )
        assert differing == [], page


def writers(finished, place, elsewhere):
    """Return the commands that write beside a run or in it."""
    rows = elsewhere / "rows.csv"
    rows.write_text("x0,x1\n0.5,1\n")
    return [
        ["resume", finished], ["certify", finished], ["certify", finished, "--again"],
        ["sample", finished, "-n", "2000", "-o", place / "s.npy"],
        ["sample", finished, "-n", "2000", "-o", place / "s.csv"],
        ["sample", finished, "-n", "2000", "-o", place / "s.parquet"],
        ["score", finished, rows, "-o", place / "l.npy"],
        ["doctor", finished, "--rescue", place / "m.wopt"],
        ["cite", finished, "-o", place / "c.bib"], ["init", place / "c.toml"],
        ["report", finished], ["compare", finished, finished, "-o", place / "p.html"],
    ]  # fmt: skip


def readers(finished, elsewhere):
    """Return the commands that only read a run."""
    return [
        ["doctor", finished], ["cite", finished],
        ["sample", finished, "-n", "3", "-o", elsewhere / "s.csv"],
        ["score", finished, elsewhere / "rows.csv", "-o", elsewhere / "l.csv"],
    ]  # fmt: skip


def beside(place, original, elsewhere, why, spoil, verbs=None):
    """Call commands on a run on a disk that was spoilt; nothing changes but the log."""
    finished = Path(shutil.copytree(original, place / "run"))
    spoil(place)
    before = contents(place)
    for words in writers(finished, place, elsewhere):
        if verbs is not None and words[0] not in verbs:
            continue
        refused(words, why)
        assert contents(place) == before, words
    for words in readers(finished, elsewhere):
        accepted(words)
    return True


QUICK = ("resume", "certify", "sample", "score", "doctor", "cite", "init")
"""All but the pages, which take a second each."""
LARGE = ("resume", "certify", "sample", "report", "compare")
"""What does not fit in a page."""


@pytest.mark.parametrize(
    ("why", "spoil"), [("the disk is full", fill), ("its disk is read-only", read_only)]
)
def test_nothing_is_half_written(on_disk, finished_run, tmp_path, why, spoil):
    at = on_disk(lambda place: beside(place, finished_run, tmp_path, why, spoil, QUICK))
    assert at


def almost_full(place):
    """Leave a page, so that a command begins to write."""
    fill(place, 4096)


@pytest.mark.soak
@pytest.mark.parametrize(
    ("why", "spoil", "verbs"),
    [("the disk is full", almost_full, LARGE), ("its disk is read-only", read_only, None)],
)
def test_no_page_is_half_written(on_disk, finished_run, tmp_path, why, spoil, verbs):
    assert on_disk(lambda place: beside(place, finished_run, tmp_path, why, spoil, verbs))
