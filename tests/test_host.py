"""The plugin host: whatever one plugin does, the others work, and it is listed with its reason."""

import pytest

from wopt.host import Host
from wopt.plugin import API_VERSION

HOOKS = """
import wopt
{extra}
@wopt.hookimpl
def wopt_register(registry):
    registry.add("target", "{name}", "some.where:Target", summary="a target")
    {body}
"""


def hooks(name="mark", extra="", body="pass"):
    return HOOKS.format(name=name, extra=extra, body=body)


@pytest.fixture
def point(module):
    """Return a function that makes an entry point with its module."""
    from importlib.metadata import EntryPoint

    def make(name, text):
        return EntryPoint(name, module(f"host_{name}", text), "wopt")

    return make


@pytest.fixture
def beside_a_good_one(point):
    """Return a function that loads a plugin between two good ones and returns its info."""

    def load(text):
        points = [
            point("aaa", hooks("first")),
            point("bad", text),
            point("zzz", hooks("last")),
        ]
        found = Host(points)
        assert [p.name for p in found.plugins] == ["aaa", "bad", "zzz"]
        assert [p.status for p in found.plugins if p.name != "bad"] == ["ok", "ok"]
        assert {"first", "last"} <= set(found.registry.names("target"))
        info = found.plugins[1]
        assert (info.status == "failed") == ("bad" in found.registry.failures)
        if info.status == "failed":
            assert found.registry.names("target") == ["first", "last"]
            assert info.components == []
            assert info.to_dict()["components"] == []
            assert "\n" not in info.error
        return info

    return load


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import no_such_module_at_all", "ModuleNotFoundError: No module named"),
        ("raise RuntimeError('the moon\\nis full')", "RuntimeError: the moon is full"),
        ("raise ValueError", "ValueError: no message"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("def broken(:", "SyntaxError"),
        (hooks(extra=f"WOPT_API = ({API_VERSION[0]}, {API_VERSION[1] + 1})"), "needs plugin API"),
        (hooks(extra=f"WOPT_API = ({API_VERSION[0] + 1}, 0)"), "needs plugin API"),
        (hooks(extra="WOPT_API = 1"), "WOPT_API"),
        (hooks(extra="WOPT_API = '1.0'"), "WOPT_API"),
        (hooks().replace("wopt_register", "wopt_registre"), "wopt_registre"),
        (hooks().replace("(registry)", "(regsitry)"), "regsitry"),
        (hooks(body="registry.add('objektive', 'x', 'a:B')"), "did you mean 'objective'"),
        (hooks(body="registry.add('target', 'mark', 'a:B')"), "registers the target 'mark' twice"),
        (hooks(body="registry.add('target', 'Bad', 'a:B')"), "not a usable name"),
        (hooks(body="raise KeyError('late')"), "KeyError"),
        (hooks(body="raise SystemExit"), "SystemExit"),
    ],
)  # fmt: skip
def test_a_broken_plugin_is_rolled_back_and_listed(beside_a_good_one, text, reason):
    info = beside_a_good_one(text)
    assert info.status == "failed"
    assert reason in info.error
    assert info.traceback
    assert info.to_dict()["error"] == info.error


@pytest.mark.parametrize("api", [API_VERSION, (API_VERSION[0], 0)])
def test_this_api_and_older_minor_ones_are_welcome(beside_a_good_one, api):
    info = beside_a_good_one(hooks(extra=f"WOPT_API = {api}"))
    assert (info.status, info.error) == ("ok", None)
    assert [c.name for c in info.components] == ["mark"]


def test_a_module_without_hooks_brings_nothing(beside_a_good_one):
    info = beside_a_good_one("x = 1")
    assert (info.status, info.components) == ("ok", [])


def test_two_plugins_of_one_name(point):
    first, second = point("same", hooks("one")), point("sam2", hooks("two"))
    second = type(first)("same", second.value, "wopt")
    found = Host([first, second])
    assert [p.status for p in found.plugins] == ["ok", "failed"]
    assert "two plugins are called 'same'" in found.plugins[1].error
    assert found.registry.names("target") == ["one"]


def test_the_same_entry_point_listed_twice_counts_once(point):
    once = point("once", hooks())
    assert [p.name for p in Host([once, once]).plugins] == ["once"]


def test_one_module_under_two_names(point):
    first = point("first", hooks("one"))
    found = Host([first, type(first)("second", first.value, "wopt")])
    assert [p.status for p in found.plugins] == ["ok", "failed"]
    assert found.registry.names("target") == ["one"]


@pytest.mark.parametrize(
    ("wish", "loaded"),
    [("one", ["one"]), (" one , two ", ["one", "two"]), ("", []), ("three", [])],
)
def test_wopt_plugins_restricts_what_is_loaded(point, monkeypatch, wish, loaded):
    points = [point("one", hooks("a")), point("two", hooks("b")), point("bad", "1/0")]
    monkeypatch.setenv("WOPT_PLUGINS", wish)
    assert [p.name for p in Host(points).plugins] == loaded


def test_strict_plugins_raise(point, monkeypatch):
    bad = point("bad", "1/0")
    monkeypatch.setenv("WOPT_STRICT_PLUGINS", "0")
    assert Host([bad]).plugins[0].status == "failed"
    monkeypatch.setenv("WOPT_STRICT_PLUGINS", "1")
    with pytest.raises(ZeroDivisionError):
        Host([bad])


def test_an_error_that_cannot_say_anything_is_told(beside_a_good_one):
    text = """
class Mute(Exception):
    def __str__(self):
        raise RuntimeError("mute")

raise Mute
"""
    assert beside_a_good_one(text).error == "Mute: no message"


def test_an_installation_without_metadata_breaks_nothing(tmp_path, monkeypatch, command):
    from wopt.host import host

    folder = tmp_path / "wopt_odd-1.0.dist-info"
    folder.mkdir()
    (folder / "entry_points.txt").write_text("[wopt]\nodd = wopt_odd.hooks\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    host.cache_clear()
    try:
        found = command("plugins")
    finally:
        host.cache_clear()
    assert found.status == 0
    assert "odd  unknown unknown  failed" in found.out


def test_what_a_plugin_prints_is_not_the_commands(beside_a_good_one, capsys):
    assert beside_a_good_one(hooks(extra="print('hello')")).status == "ok"
    assert capsys.readouterr().out == ""  # it may be JSON
