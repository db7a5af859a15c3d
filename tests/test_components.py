"""One law for all: every registered component, of the core and of every plugin."""

import subprocess
import sys

import pytest

from wopt.host import host
from wopt.registry import KINDS
from wopt.testing import check_component

ENTRIES = [(e.kind, e.name) for e in host().registry.entries() if e.kind in KINDS]


@pytest.mark.parametrize(("kind", "name"), ENTRIES, ids=lambda word: word)
def test_every_component_obeys_the_laws_of_its_kind(kind, name):
    """Documented, described, cited; made from its own configuration; and what its kind says."""
    done = check_component(kind, name)
    assert {"documented", "options_described", "citations_exist"} <= set(done)
    assert "round_trip" in done or done[-1].startswith("not made: ")


def test_finding_plugins_imports_no_torch():
    code = (
        "import sys; from importlib.metadata import entry_points;"
        "[entry.load() for entry in entry_points(group='wopt')]; print('torch' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"
