"""What is missing is named with the package that brings it; a stranger called wopt is noticed."""

import importlib.metadata
import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest

import wopt
import wopt.cli.commands  # its host is not one that a test puts in place
from wopt import distributions
from wopt.host import Host, host

ROOT = Path(wopt.__file__).parent.parent


def packages():
    return {p.parent.name for p in ROOT.glob("plugins/*/pyproject.toml")}


@pytest.mark.skipif(not packages(), reason="wopt is not installed from its repository")
def test_the_extra_all_brings_every_plugin():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    assert packages() <= set(extras["all"]) == set(distributions.SHIPPED)


def test_the_table_of_packages_is_complete():
    """A new component of a plugin of this project belongs into wopt/distributions.py."""
    for plugin in host().plugins:
        if plugin.distribution in distributions.SHIPPED:
            found: dict[str, set[str]] = {}
            for entry in plugin.components:
                found.setdefault(entry.kind, set()).add(entry.name)
            for command in host().registry.commands.values():
                if command.plugin == plugin.name:
                    found.setdefault("command", set()).add(command.name)
            table = distributions.SHIPPED[plugin.distribution]
            known = {
                k: set(v.split())
                for k, v in table.items()
                if k not in ("function", "name", "table")
            }
            assert known == found, plugin.distribution


def test_the_table_of_packages_names_functions_and_attributes():
    """A point that one function serves, and a name of wopt, are known by their package."""
    tables = distributions.SHIPPED.values()
    for point in " ".join(table.get("function", "") for table in tables).split():
        assert host().registry.function(point) is not None
    for name in " ".join(table.get("name", "") for table in tables).split():
        assert host().registry.public(name) is getattr(wopt, name)


@pytest.fixture
def bare(monkeypatch):
    """A core to which no plugin is installed."""

    def none(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", none)
    monkeypatch.delenv("WOPT_PLUGINS", raising=False)
    empty = Host([])
    for place in ("wopt.host.host", "wopt.component.host"):
        monkeypatch.setattr(place, lambda: empty)
    return empty


def test_a_run_without_plugins_says_what_to_install(bare, command, config, tiny):
    answer = command("run", config(tiny))
    answer.is_mistake("no block named 'ode'", "pip install wopt-jko", "wopt-core[all]")


def test_doctor_without_plugins(bare, command, monkeypatch):
    monkeypatch.setattr("wopt.cli.doctor.version", lambda _: "1.0")
    answer = command("doctor")
    assert answer.status == 1
    assert "not installed: wopt-zuko (block coupling maf naf spline zuko)" in answer.out
    assert "the default block 'ode' is missing" in answer.out
    assert "pip install wopt-measures" in answer.out


def test_what_is_left_out_by_a_variable_is_not_to_be_installed(monkeypatch):
    monkeypatch.setenv("WOPT_PLUGINS", "")
    with pytest.raises(wopt.PluginError, match="is installed and left out by WOPT_PLUGINS"):
        Host().registry.find("block", "ode")


def test_a_stranger_called_wopt(monkeypatch, command):
    real = importlib.metadata.distribution

    def one(name):
        return SimpleNamespace(version="0.0.9") if name == "wopt" else real(name)

    assert distributions.foreign() is None
    monkeypatch.setattr(importlib.metadata, "distribution", one)
    answer = command("doctor")
    assert answer.status == 1
    assert "the package 'wopt' 0.0.9 is installed, which is another project" in answer.out
