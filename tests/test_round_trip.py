"""build(config_of(c)) gives back every registered component, by name from the registry."""

from pathlib import Path

import numpy as np
import pytest

import wopt
from wopt.component import Spec, options_model
from wopt.host import host

ENTRIES = [e for e in host().registry.entries() if e.plugin != "session"]

ROWS = "rows.npy"

# What a component without usable defaults needs; keys are (kind, name).
NEEDED = {
    ("source", "anndata"): {"path": "/cells.h5ad"},
    ("source", "array"): {"path": ROWS},
    ("source", "picture"): {"path": ROWS},
    ("source", "mixture"): {"means": [[0.0], [1.0]]},
    ("target", "mixture"): {"means": [[0.0], [1.0]]},
    ("step_size", "sequence"): {"values": [1.0, 2.0]},
}


def options(entry, cls):
    """Return options that make the component, or skip one that no table can make."""
    given = dict(NEEDED.get((entry.kind, entry.name), {}))
    if given.get("path") == ROWS:  # written in full, so that a run goes on from anywhere
        given["path"] = str(Path(ROWS).resolve())
    given |= cls.example
    fields = options_model(cls).model_fields
    lacking = [n for n, f in fields.items() if f.is_required() and n not in given]
    if lacking:
        pytest.skip(f"needs {lacking}; its own plugin's tests make it")
    return given


def _nested(value):
    return isinstance(value, dict) or (isinstance(value, list) and any(map(_nested, value)))


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda e: f"{e.kind}-{e.name}")
def test_round_trip(entry, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("rows.npy", np.zeros((3, 2)))
    cls = host().registry.load(entry.kind, entry.qualified)
    given = options(entry, cls)
    try:
        made = wopt.build(entry.kind, {"name": entry.name, **given})
    except wopt.ConfigError as error:
        assert "Python function" in str(error), error  # noqa: PT017
        pytest.skip("a file cannot hold a function")
    table = wopt.config_of(made)
    again = wopt.build(entry.kind, table)
    assert wopt.config_of(again) == table
    assert table["name"] == entry.name
    for name, value in given.items():
        if not _nested(value) and name != "solvers":  # components come back with all options
            assert table[name] == value
    if isinstance(made, Spec):
        assert again.cls is made.cls is cls
        assert wopt.config_of(made.build(dim=2)) == table
    else:
        assert type(again) is type(made) is cls
