"""Commands in a process of their own: what they import, and what is set before torch is."""

import json
import os
import subprocess
import sys
import time

import pytest

import wopt

HEAVY = ("torch", "pydantic", "numpy", "pandas", "matplotlib", "sklearn", "scipy", "rich")
PROBE = """
import sys
sys.argv = ["wopt", "plugins", "--json"]
from wopt.cli.main import main
try:
    main()
except SystemExit as ended:
    assert not ended.code, ended.code
print([name for name in {heavy} if name in sys.modules], file=sys.stderr)
"""
REFUSED = """
import sys
sys.argv = ["wopt", "run", {path!r}]
from wopt.cli.main import main
try:
    main()
except SystemExit as ended:
    print(ended.code, "torch" in sys.modules)
"""
POLICY = "import os, wopt.cli.main; print(os.environ['OMP_WAIT_POLICY'])"
COMPLETE = (
    "import sys; sys.argv[0] = 'wopt'; from wopt.cli.commands import cli; cli(prog_name='wopt')"
)
LOST = """
import os, signal, time, weakref
from wopt.cli.main import quit_while_importing
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have it ignored

class Thing: pass

def collected(_):
    os.kill(os.getpid(), signal.SIGINT)
    sum(range(1000))  # in which the exception comes, and cannot leave

try:
    with quit_while_importing():
        thing = Thing()
        watched = weakref.ref(thing, collected)
        del thing
        time.sleep(20)
    print("went on")
except KeyboardInterrupt:
    print("interrupted")
"""


def printed(code, **environment):
    """Return what a new process prints to its two streams."""
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | environment, capture_output=True, text=True,
        check=True, timeout=60,
    )  # fmt: skip
    return done.stdout, done.stderr


def test_plugins_are_listed_quickly_by_the_keys_of_the_contract():
    began = time.perf_counter()
    listed, loaded = printed(PROBE.format(heavy=HEAVY))
    # Well under a second on an idle machine; the limit leaves room for a loaded one.
    assert time.perf_counter() - began < 5
    assert loaded.strip() == "[]"
    rows = json.loads(listed)
    for row in rows:
        assert set(row) >= {"name", "distribution", "version", "status", "error", "components"}
        assert row["status"] in ("ok", "failed")
        assert (row["error"] is None) == (row["status"] == "ok")
        for component in row["components"]:
            assert set(component) >= {"kind", "name", "summary"}
            assert component["summary"]
    jko = next(row for row in rows if row["name"] == "jko")
    assert jko["distribution"] == "wopt-jko"
    found = {(c["kind"], c["name"]) for c in jko["components"]}
    assert {("objective", "kl"), ("scheme", "jko"), ("block", "ode")} <= found


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("none.csv", "a,b\n", "has no rows"),
        ("twice.csv", "a,a\n1,2\n", "several columns are named a"),
        ("class.csv", "a,b\n1,x\n1,x\n", "2 rows split by [0.8, 0.1, 0.1] leave a part empty"),
        ("constant.csv", "a,b\n" + 99 * "1,x\n", "left to be modelled: column 'a' does not vary"),
        ("names.csv", "".join(f"name {k}\n" for k in range(99)), "98 distinct texts in 98 rows"),
        ("table.xlsx", "a,b\n", "a table is a file .npy, .npz, .csv, .parquet"),
    ],
)
def test_a_refusal_does_not_wait_for_torch(tmp_path, name, text, why):
    (tmp_path / name).write_text(text)
    out, err = printed(REFUSED.format(path=str(tmp_path / name)))
    assert out == "2 False\n"
    assert why in err


def test_a_reader_that_leaves_is_no_error():
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer) as gone:
        words = [sys.executable, "-m", "wopt", "plugins"]
        done = subprocess.run(words, stdout=gone, stderr=subprocess.PIPE, check=True)
    assert not done.stderr


def test_the_text_names_every_component_of_a_kind(command):
    text = command("plugins", "--kind", "scheme").out
    assert "wopt-jko" in text
    assert "bdf2" in text
    assert "gaussian" not in text


def test_python_m_wopt_is_the_command():
    words = [sys.executable, "-m", "wopt", "--version"]
    answer = subprocess.run(words, capture_output=True, text=True, check=True)
    assert wopt.__version__ in answer.stdout


def test_the_old_name_of_capabilities_still_works():
    with pytest.warns(DeprecationWarning, match="Capability"):
        assert wopt.Need is wopt.Capability


@pytest.mark.parametrize(
    ("words", "index", "wanted"),
    [("wopt ci", 1, "plain,cite"), ("wopt run --q", 2, "plain,--quiet")],
)
def test_the_shell_completes_commands_and_options(words, index, wanted):
    """By click: the line that the documentation gives makes a shell ask this."""
    about = {"COMP_WORDS": words, "COMP_CWORD": str(index), "_WOPT_COMPLETE": "bash_complete"}
    assert printed(COMPLETE, **about)[0].split() == [wanted]


@pytest.mark.parametrize("own", ["", "active"])
def test_threads_wait_passively_unless_the_user_says_otherwise(own, monkeypatch):
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    about = {"OMP_WAIT_POLICY": own} if own else {}
    assert printed(POLICY, **about)[0].strip() == (own or "passive")


def test_ctrl_c_comes_again_where_a_callback_of_the_garbage_drops_it():
    assert printed(LOST) == ("interrupted\n", "")
