"""`wopt cite`: declared citations exist, every builtin declares some or none, runs are cited."""

import dataclasses
import json
import re
import sys
from pathlib import Path

import pytest
import torch

import wopt
import wopt_certify.citations
import wopt_posterior.citations
from wopt.citations import bibliography, bibtex, citation_in_words, find_citations
from wopt.errors import PluginError
from wopt.host import host
from wopt.testing import check_component
from wopt_certify.bounds import RULES
from wopt_certify.challenge.challenge import CLOSED
from wopt_certify.results import Certificate
from wopt_certify.two_sample import two_sample
from wopt_report import cite
from wopt_testing.checks import LawError

ENTRIES = [e for e in host().registry.entries() if e.plugin != "session"]
PACKAGES = sorted({"wopt", *(e.path.partition(".")[0] for e in ENTRIES)})


def keys_of(text):
    return re.findall(r"^@\w+\{([^,]+),$", text, re.M)


def test_no_key_means_two_things():
    packages = {package: bibliography(package) for package in PACKAGES}
    keys = [key for entries in packages.values() for key in entries]
    assert len(keys) == len(set(keys)) > 80


def test_every_entry_is_used():
    used = {key for e in ENTRIES for key in host().registry.load(e.kind, e.qualified).cites}
    used |= {key for rule in RULES for key in rule.cites}
    used |= {key for kind in CLOSED for key in kind.cites}
    places = (cite, wopt_certify.citations, wopt_posterior.citations)
    source = "".join(Path(place.__file__).read_text() for place in places)
    for package in PACKAGES:
        for key in bibliography(package):
            assert key in used or f'"{key}"' in source, key


def test_every_key_that_core_uses_exists():
    source = Path(cite.__file__).read_text()
    assert find_citations(re.findall(r'"([a-z]+\d{4})"', source))


def test_an_entry_is_whole():
    for package in PACKAGES:
        for key, entry in bibliography(package).items():
            text = bibtex(key, entry)
            assert keys_of(text) == [key]
            assert text.count("{") == text.count("}")
            assert entry["author"]
            assert str(entry["year"]) in citation_in_words(entry)


def test_without_a_run(command):
    answer = command("cite")
    assert answer.status == 0
    assert keys_of(answer.out) == ["wopt", "cheng2024"]
    assert f"Version {wopt.__version__}" in answer.out


def test_a_run(command, finished, tmp_path):
    out = tmp_path / "run.bib"
    assert command("cite", finished, "-o", out).status == 0
    text = out.read_text()
    keys = keys_of(text)
    assert len(keys) == len(set(keys))
    # The objective, the scheme, the block, the optimiser, a bound, a test.
    assert {"ambrosio2008", "jordan1998", "chen2018", "kingma2015", "otto2000"} <= set(keys)
    assert "% objective kl: ambrosio2008\n" in text
    assert "jordan2024" not in keys  # muon was not used
    assert "% target gaussian: nothing to cite" in text


def test_two_sample_tests_and_challengers_are_cited(command, finished):
    path = finished / "certificate.json"
    made = Certificate.from_dict(json.loads(path.read_text()))
    x = torch.randn(200, 2, generator=torch.Generator().manual_seed(0))
    test = two_sample(x[:100], x[100:])
    path.write_text(json.dumps(dataclasses.replace(made, two_sample=test).to_dict()))
    keys = keys_of(command("cite", finished).out)
    assert {"lopezpaz2017", "gretton2012", "phipson2010", "waudby2024"} <= set(keys)


def test_a_critic_that_was_not_run_is_not_cited(command, zoo):
    keys = keys_of(command("cite", zoo("conditional")).out)
    assert "gelbrich1990" in keys  # of the affine block
    assert "chen2018" not in keys  # of the ode block, which a critic would be


def test_a_run_without_certificate_has_no_bounds(command, finished):
    (finished / "certificate.json").unlink()
    answer = command("cite", finished)
    assert answer.status == 0
    assert "bound" not in answer.out


def test_no_run(command, tmp_path):
    assert command("cite", tmp_path).is_mistake("not a run directory")


def test_a_plugin_brings_its_own(tmp_path, monkeypatch, session):
    package = tmp_path / "wopt_cited"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "rule.py").write_text(
        "import wopt\nclass Rule(wopt.StepSize):\n    '''h = 1.'''\n    cites = ('mine2026',)\n"
        "    def __call__(self, step, previous=None):\n        return 1.0\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    wopt.register("step_size", "cited_rule", "wopt_cited.rule:Rule")
    with pytest.raises(LawError, match=r"cites mine2026.*add a table \[mine2026\]"):
        check_component("step_size", "cited_rule")
    bibliography.cache_clear()
    (package / "citations.toml").write_text('[mine2026]\ntype = "misc"\nyear = 2026\n')
    with pytest.raises(PluginError, match="lacks title"):
        find_citations(["mine2026"], "wopt_cited.rule")
    bibliography.cache_clear()
    (package / "citations.toml").write_text(
        '[mine2026]\ntype = "misc"\ntitle = "Mine"\nauthor = "Doe, Jane"\nyear = 2026\n'
    )
    assert "citations_exist" in check_component("step_size", "cited_rule")
    assert list(find_citations(["mine2026", "cheng2024"], "wopt_cited.rule")) == [
        "mine2026",
        "cheng2024",
    ]
    bibliography.cache_clear()
    for name in [m for m in sys.modules if m.startswith("wopt_cited")]:
        del sys.modules[name]


def test_who_says_nothing_is_told_so(session):
    class Silent(wopt.StepSize):
        """h = 1."""

        def __call__(self, step, previous=None):
            return 1.0

    wopt.register("step_size", "silent", Silent)
    assert any(law.startswith("not cited") for law in check_component("step_size", "silent"))
    config = wopt.RunConfig(
        source={"name": "toy"}, scheme={"name": "jko", "step_size": {"name": "silent"}}
    )
    cited = [cite.cited_component(one) for one in cite.components(config)]
    assert any("silent (declares no sources" in one.what for one in cited)
