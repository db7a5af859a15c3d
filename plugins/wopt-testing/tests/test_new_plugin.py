"""`wopt new-plugin` writes packages whose components obey the laws of their kind."""

import importlib
import sys

import pytest

import wopt
from wopt.errors import ConfigError
from wopt.host import host
from wopt.registry import KINDS, Registry
from wopt.testing import check_component
from wopt_testing.new_plugin import make_plugin


@pytest.fixture(params=list(KINDS))
def package(request, tmp_path, monkeypatch):
    name = f"fresh_{request.param}"
    make_plugin(name, request.param, tmp_path / name)
    monkeypatch.syspath_prepend(tmp_path / name / "src")
    yield request.param, name
    for module in [m for m in sys.modules if m.startswith(f"wopt_{name}")]:
        del sys.modules[module]


def test_it_registers_and_obeys_the_laws(package):
    kind, name = package
    hooks = importlib.import_module(f"wopt_{name}.hooks")
    registry = Registry()
    hooks.wopt_register(registry)
    (entry,) = registry.entries()
    assert (entry.kind, entry.name) == (kind, name)
    wopt.register(kind, name, registry.load(kind, name))
    try:
        assert "documented" in check_component(kind, name)
    finally:
        host().registry._entries.pop((kind, name, "session"))


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [("Bad-Name", "block", "cannot be a plugin name"), ("class", "block", "cannot be"),
     ("fine", "blok", "kinds: objective")],
)  # fmt: skip
def test_what_cannot_be_made(tmp_path, name, kind, message):
    with pytest.raises(ConfigError, match=message):
        make_plugin(name, kind, tmp_path / "p")
    assert not (tmp_path / "p").exists()


def test_a_full_folder_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(ConfigError, match="there already"):
        make_plugin("fine", "block", tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]
