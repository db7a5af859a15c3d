"""`make evidence`: catalogues are sound, runs are stored once, the page is made of these."""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "docs" / "_ext"))
sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks" / "evidence"))
sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import catalogue
import page as pages
import picture
import runner

DOCS = Path(__file__).parents[1] / "docs"
GROUPS = catalogue.groups()

CATALOGUE = """
title = "Normal laws"
[[row]]
problem = "a plane"
config = "plane.toml"
set = ["source.dim=2", "certify.draws=100{seed}"]
seeds = [3, 4]
why = "Because."
[[row.measure]]
name = "NLL"
value = "result.json:kl"
better = "lower"
published = [{who = "Them", value = 9.5, note = "by hand", source = "a paper"}]
rivals = [{who = "KL left", value = "steps.jsonl:-1.loss"}]
"""
CONFIG = """
[source]
name = "gaussian"
n_train = 200
[block]
name = "affine"
[solver]
iterations = 2
[stop]
steps = 1
[certify]
enabled = false
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "normal.catalogue.toml").write_text(CATALOGUE)
    (tmp_path / "plane.toml").write_text(CONFIG)
    return tmp_path


def line(job, **changes):
    """Return a stored run, made by hand."""
    values = {"NLL": 2.0 + job.seed / 10, "NLL: KL left": 1.0}
    given = {"group": job.group, "problem": job.row.problem, "seed": job.seed, "digest": job.digest}
    rest = {"status": "done", "why": "", "cpu_seconds": 3.0, "wopt": "0", "machine": "m"}
    return {"format": runner.FORMAT, **given, "values": values, **rest, **changes}


def test_the_page_is_what_the_results_make():
    """Else: `make evidence ARGS=--page`."""
    text = (DOCS / "evidence.md").read_text()
    assert f"results of format {runner.FORMAT};" in text
    assert text == pages.page(GROUPS, runner.read())


def test_the_pictures_are_of_these_results():
    for group in GROUPS:
        path = DOCS / "images" / f"evidence-{catalogue.slug(group.name)}.svg"
        shown = picture.panels(group, runner.read())
        assert path.exists() == bool(shown), path
        assert not shown or picture.stamp(shown) in path.read_text(), path


def test_results_have_one_format_and_a_line_a_run():
    text = runner.RESULTS.read_text() if runner.RESULTS.exists() else ""
    keys = [runner.key_of(one) for one in runner.read()]
    assert len(keys) == len(text.splitlines()), "lines of another format"
    assert len(set(keys)) == len(keys)


def test_a_run_that_fails_is_told(folder):
    found = catalogue.groups(folder)
    job = next(catalogue.jobs(found, folder))
    failed = line(job, status="failed", why="exit status 2: no source named 'nonsense'", values={})
    assert runner.needed([job], [failed]) == []
    assert runner.needed([job], [failed], failed=True) == [job]
    text = pages.part(found[0], [failed], folder)
    assert "seed 3 **failed**" in text
    assert "nonsense" in text
    assert "| a plane | NLL | - |" in text


def test_what_a_page_says(folder):
    """Two runs by hand: NLL 2.3 and 2.4, published 9.5, a rival's 1.0 of the same run."""
    found = catalogue.groups(folder)
    lines = [line(job) for job in catalogue.jobs(found, folder)]
    text = pages.part(found[0], lines, folder)
    assert "| Normal laws | 1 | 2 | 2 | 1 | 0 | 1 |" in pages.page(found, lines, folder)
    assert "field-normal.inc" in pages.page(found, lines, folder)
    assert (
        "| a plane | NLL | 2.35 +- 0.07 | 9.5 Them (by hand); 1 KL left | than 1 of 2 |  | 2 | 3 |"
    ) in text
    assert "*Published: Them: a paper.*" in text
    assert "not run yet: seed 4" in pages.part(found[0], lines[:1], folder)
    assert "not run yet: seeds 3, 4" in pages.part(found[0], [lines[0] | {"digest": "old"}], folder)
    path = picture.draw(found[0], lines, folder, folder)
    assert picture.stamp(picture.panels(found[0], lines, folder)) in path.read_text()
    assert picture.draw(found[0], [], folder, folder) is None
    assert not plt.get_fignums()


def test_rivals_of_the_same_run_are_compared_by_seed(folder):
    """Both vary by 1, their difference by 0.02 and is 0.1: no level."""
    (group,) = catalogue.groups(folder)
    lines = [line(job) for job in catalogue.jobs([group], folder)]
    for one, value, rival in zip(lines, (2.0, 3.0), (2.11, 3.09), strict=True):
        one["values"] = {"NLL": value, "NLL: KL left": rival}
    measure = group.row[0].measure[0].model_copy(update={"published": ()})
    found = pages.figures(measure, lines)
    assert [one.error for one in found.others] == [pytest.approx(0.01)]
    assert pages.verdict(measure, found) == "yes"


@pytest.mark.parametrize(
    ("values", "others", "better", "said"),
    [
        ((1.0, 1.2), (2.0, 3.0), "lower", "yes"),
        ((1.0, 1.2), (2.0, 3.0), "higher", "no"),
        ((1.0, 1.2), (1.15,), "lower", "level"),  # the standard error of the mean is 0.1
        ((1.0, 1.2), (1.15, 3.0, 0.5), "lower", "than 1 of 3, level with 1"),
        ((1.0,), (1.01,), "lower", "yes"),
        ((), (1.01,), "lower", ""),
    ],
)
def test_better(values, others, better, said):
    measure = catalogue.Measure(name="m", value="a:b", better=better)
    others = tuple(pages.Beside("who", v, error=pages.error_of(values)) for v in others)
    assert pages.verdict(measure, pages.Figures(values, others)) == said


def test_figures_of_other_data_are_shown_and_not_compared():
    measure = catalogue.Measure(name="m", value="a:b", better="lower")
    other = pages.Beside("Them", 9.0, "other rows", comparable=False)
    assert str(other) == "9 Them (other rows; not comparable)"
    assert pages.verdict(measure, pages.Figures((1.0,), (other,))) == "not comparable"
    both = (other, pages.Beside("We", 0.5))
    assert pages.verdict(measure, pages.Figures((1.0,), both)) == "no"


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name)
def test_a_catalogue_has_words_without_measured_numbers(group):
    assert group.title
    assert len(group.text) > 60
    for row in group.row:
        assert len(row.why) > 20
        assert row.measure
