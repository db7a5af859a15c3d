"""Every script of the gallery runs, and what it draws can be read by everyone."""

import importlib
import re
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

from wopt.host import host

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted((ROOT / "docs" / "gallery").glob("plot_*.py"))
SMALL = [
    (r'("iterations": |iterations=)\d+', r"\g<1>8"),
    (r'("n_train": )\d+_?\d*', r"\g<1>600"),
    (r"(?m)^(steps = )\d+$", r"\g<1>4"),
    (r'("steps": )24', r"\g<1>6"),
    (r"range\(1, 25\)", "range(1, 7)"),
    (r"\(2, 4, 8\)", "(1, 2, 3)"),
    (r"\(0\.5, 0\.25, 0\.125, 0\.0625\)", "(0.5, 0.0625)"),
    (r"n=2000", "n=500"),
    (r"sample\(6000, ", "sample(1500, "),
    (r"(table\.data)\[:, ", r"\g<1>[:60, "),
    (r"table\.target\b", "table.target[:60]"),
]
"""What makes a script quick: a few iterations and steps, some hundred rows."""


@pytest.fixture(scope="module")
def pictures():
    """Return the extension that saves the gallery's pictures."""
    sys.path.insert(0, str(ROOT / "docs" / "_ext"))
    try:
        yield importlib.import_module("wopt_gallery")
    finally:
        sys.path.pop(0)


@pytest.fixture
def drawn(monkeypatch):
    """Draw into memory, and close all figures afterwards."""
    plt.switch_backend("agg")
    monkeypatch.setattr(plt, "show", lambda: None)
    yield lambda: [plt.figure(n) for n in plt.get_fignums()]
    plt.close("all")


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda p: p.stem)
@pytest.mark.filterwarnings("ignore:the fit failed:RuntimeWarning")
@pytest.mark.slow
def test_script(path, drawn, session, pictures):
    text = path.read_text()
    for pattern, small in SMALL:
        text = re.sub(pattern, small, text)
    exec(compile(text, path.name, "exec"), {"__name__": "gallery"})
    assert drawn(), "a page of the gallery draws something"
    for figure in drawn():
        assert len(str(figure.get_label())) > 60, "figure.set_label(...) says what is to be seen"
        for axes in figure.axes:
            assert not nameless(axes), axes.get_title("left") or axes.get_title()


def nameless(axes):
    """Return whether numbers stand along an outer side of axes without saying what they are."""
    if not axes.axison:
        return False
    place = axes.get_subplotspec()
    x, y = place.is_last_row(), place.is_first_col()
    return (x and not axes.get_xlabel()) or (y and not axes.get_ylabel() and not words(axes))


def words(axes):
    """Return whether the y axis has names instead of numbers."""
    shown = [label.get_text() for label in axes.get_yticklabels()]
    return bool(shown) and all(re.search("[a-z]{3}", text) for text in shown)


def test_a_picture_without_names_is_found(drawn):
    _, axes = plt.subplots(1, 2)
    assert nameless(axes[0])
    assert nameless(axes[1])
    axes[0].set(xlabel="t", ylabel="x")
    axes[1].set(xlabel="t")
    assert not nameless(axes[0])
    assert not nameless(axes[1])


def test_the_order_lists_every_script(pictures):
    assert sorted(pictures.ORDER) == [p.stem.removeprefix("plot_") for p in SCRIPTS]
    names = sorted((p.name for p in SCRIPTS), key=pictures.order)
    assert names[0] == "plot_data_to_noise.py"


def test_pages_of_components_lead_to_scripts_that_use_them(pictures):
    uses = importlib.import_module("wopt_uses")
    text = """'A title.'
wopt.solve({"name": "gaussian"}, objective=make({"target": {"name": "samples"}}), block="affine")
wopt.build("source", {"name": "mixture"})
names = ["jko", "explicit"]
axis.plot(x, label="kl")
print("ode")
"""
    known = {("source", "gaussian"), ("target", "samples"), ("block", "affine")}
    known |= {("source", "mixture"), ("", "jko"), ("", "explicit")}
    assert uses.uses(text) == known
    (entry,) = [e for e in host().registry.entries("objective") if e.name == "internal"]
    (line,) = uses.in_gallery(entry)
    assert line.endswith("(/auto_gallery/plot_porous_medium.rst)")
    (unused,) = [e for e in host().registry.entries("objective") if e.name == "barycenter"]
    assert uses.in_gallery(unused) == []
