"""``wopt plugins`` in a fresh process: the contract's keys, and nothing heavy imported."""

import json
import subprocess
import sys
import time

import pytest

HEAVY = ("torch", "pydantic", "numpy", "pandas", "matplotlib", "sklearn", "scipy", "rich")
PROBE = """
import sys
sys.argv = ["wopt", "plugins", *{words}]
from wopt.cli.main import main
try:
    main()
except SystemExit as ended:
    assert not ended.code, ended.code
print([name for name in {heavy} if name in sys.modules], file=sys.stderr)
"""


def probe(*words):
    code = PROBE.format(words=list(words), heavy=HEAVY)
    began = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout, done.stderr.strip(), time.perf_counter() - began


@pytest.fixture(scope="module")
def as_json():
    return probe("--json")


def test_the_keys_of_the_contract(as_json):
    rows = json.loads(as_json[0])
    for row in rows:
        assert set(row) >= {"name", "distribution", "version", "status", "error", "components"}
        assert row["status"] in ("ok", "failed")
        assert (row["error"] is None) == (row["status"] == "ok")
        for component in row["components"]:
            assert set(component) >= {"kind", "name", "summary"}
            assert component["summary"]
    jko = next(row for row in rows if row["name"] == "jko")
    assert jko["distribution"] == "wopt-jko"
    assert {("objective", "kl"), ("scheme", "jko"), ("block", "ode")} <= {
        (c["kind"], c["name"]) for c in jko["components"]
    }


def test_it_imports_nothing_heavy(as_json):
    assert as_json[1] == "[]"


def test_it_answers_quickly(as_json):
    # Well under a second on an idle machine; the limit leaves room for a loaded one.
    assert as_json[2] < 3


def test_the_text_names_every_component():
    text, loaded, _ = probe("--kind", "scheme")
    assert loaded == "[]"
    assert "wopt-jko" in text
    assert "jko" in text
    assert "gaussian" not in text
