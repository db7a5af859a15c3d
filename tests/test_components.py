"""One law for all: every registered component, of the core and of every plugin."""

import copy
import pickle
import re

import pytest

import wopt
from wopt.host import host
from wopt.registry import KINDS
from wopt.testing import check_component

ENTRIES = [e for e in host().registry.entries() if e.kind in KINDS and e.plugin != "session"]
each = pytest.mark.parametrize("entry", ENTRIES, ids=lambda e: f"{e.kind}-{e.name}")


@each
def test_every_component_obeys_the_laws_of_its_kind(entry):
    """Documented, described, cited; made from its own configuration; and what its kind says."""
    done = check_component(entry.kind, entry.name)
    assert {"documented", "options_described", "citations_exist"} <= set(done)
    assert "round_trip" in done or done[-1].startswith("not made: ")


@each
def test_every_component_is_shown_and_pickles(entry, command):
    """Its docstring has an example, and keys of `cites` where it names a source of some year."""
    cls = host().registry.load(entry.kind, entry.qualified)
    text = cls.__dict__.get("__doc__") or ""
    assert "Example:" in text
    assert ">>>" in text
    source = re.search(r"Source:(.*?)(\n\n|$)", text, re.S)
    assert cls.cites or not (source and re.search(r"\b(18|19|20)\d\d\b", source[1]))
    answer = command("show", entry.kind, entry.qualified)
    assert (answer.status, entry.name in answer.out) == (0, True)
    assert entry.summary
    try:
        part = wopt.build(entry.kind, {"name": entry.qualified, **cls.example})
    except wopt.ConfigError:
        return  # it needs a file or a function
    if entry.kind == "source":
        pickle.dumps(part.load(0))  # its functions too, so that what was fitted to it pickles
    for again in (pickle.loads(pickle.dumps(part)), copy.deepcopy(part)):
        assert repr(again) == repr(part)
        assert " object at " not in repr(again)
