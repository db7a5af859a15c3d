"""`wopt compare`: runs side by side, in the terminal and on a page."""

import json
import re
import shutil

import pytest

from wopt.config.model import validate
from wopt.runs.execute import run_config
from wopt.runs.loading import load_run
from wopt.seeds import derive
from wopt_certify.compare.page import COLUMNS
from wopt_certify.compare.pairs import pairwise_comparison


def two(finished_run, folder):
    """Return two copies of a run, one of which says that its seed is another."""
    first, second = folder / "one", folder / "two"
    for path in (first, second):
        shutil.copytree(finished_run, path)
    text = (second / "config.toml").read_text()
    (second / "config.toml").write_text(text.replace("seed = 3", "seed = 4"))
    (second / "data.json").unlink()  # by which these would be other data
    return first, second


def test_the_page_shows_both(finished_run, tmp_path, command):
    first, second = two(finished_run, tmp_path)
    page = tmp_path / "page.html"
    answer = command("compare", first, second, "-o", page)
    assert answer.status == 0, answer.err
    assert "one" in answer.out
    assert "seed  one: 3, two: 4" in answer.out
    text = page.read_text()
    result = json.loads((first / "result.json").read_text())
    # once for either run
    assert text.count(f'<data value="{result["nll_test"]}">') == 2
    assert '<th scope="col">KL at least</th>' in text
    assert "certified bound" not in text + answer.out
    head = next(line for line in answer.out.splitlines() if "KL at least" in line)
    assert all(heading in head for _, heading in COLUMNS)
    assert set(re.findall(r'<figure id="figure-(\w+)">', text)) == {"step", "cpu"}
    assert re.findall(r'<th scope="row">(\w+)</th>', text) == ["seed"]
    assert not re.search(r'(src|href)="https?:', text)
    assert "have other test rows" in text
    assert 'id="duels"' not in text


@pytest.fixture(scope="module")
def poor_and_good(tmp_path_factory):
    """Return a run that is hardly trained, and one of the same rows that is."""
    folder, found = tmp_path_factory.mktemp("duel"), []
    for name, iterations in (("poor", 1), ("good", 150)):
        table = {
            "source": {
                "name": "toy", "shape": "moons", "preprocess": "none",
                "n_train": 300, "n_valid": 200, "n_test": 1000,
            },
            "scheme": {"name": "jko", "step_size": 10.0},
            "block": {"name": "affine"},
            "solver": {"iterations": iterations, "learning_rate": 0.05},
            "stop": {"steps": 1},
            "certify": {"enabled": False},
        }  # fmt: skip
        run_config(validate(table), folder / name, report=False)
        found.append(folder / name)
    return found


def test_every_run_challenges_every_other(poor_and_good, tmp_path, command):
    page = tmp_path / "page.html"
    found = pairwise_comparison(poor_and_good, ["poor", "good"])
    poor, good = found.sides[0][1], found.sides[1][0]
    assert (found.rows, found.level, found.reasons) == (1000, 0.95, ())
    assert found.sides[0][0] is found.sides[1][1] is None
    logs = []
    for path in poor_and_good:
        one = load_run(path)
        rows = one.config.source.load(derive(one.config.seed, "source")).test
        logs.append(one.flow.log_prob(rows, audit=True).double())
    gain = float((logs[1] - logs[0]).mean())
    assert gain > 0.3
    # Mixed with the poor model, the good one gains no less than alone, up to what mixing costs.
    assert gain - 0.05 < poor.value
    assert poor.low > 0.5 * gain
    assert good.low == 0.0
    answer = command("compare", *poor_and_good, "-o", page)
    assert answer.status == 0, answer.err
    assert "poor is beaten by good" in answer.out
    assert "good is beaten" not in answer.out
    text = page.read_text()
    assert text.count(f'<data value="{poor.low}">') == 2  # the table's column and the matrix
    assert "neither was trained on" in text


def test_what_has_no_density_challenges_nobody(poor_and_good, tmp_path):
    other = shutil.copytree(poor_and_good[0], tmp_path / "other")
    text = (other / "config.toml").read_text()
    (other / "config.toml").write_text(text.replace("pull_back", "push_forward"))
    found = pairwise_comparison([*poor_and_good, other], ["poor", "good", "other"])
    assert found.sides[2] == (None, None, None)
    assert found.sides[0][2] is None
    assert found.sides[0][1] is not None
    assert found.level == pytest.approx(0.975)  # for two rivals together
    assert "the density of other challenges none" in found.reasons[0]


def test_a_run_without_a_result_has_dashes(finished_run, tmp_path, command):
    first, second = two(finished_run, tmp_path)
    (second / "result.json").unlink()
    (second / "steps.jsonl").write_text("")
    page = tmp_path / "page.html"
    assert command("compare", first, second, "-o", page).status == 0
    assert "<td>–</td>" in page.read_text()


def test_mistakes(finished_run, tmp_path, command):
    first, second = two(finished_run, tmp_path)
    assert command("compare", first).is_mistake("two or more run directories")
    assert command("compare", first, tmp_path / "none").is_mistake("not a run directory")
    (second / "result.json").write_text("{")
    assert command("compare", first, second, "-o", tmp_path / "p.html").is_mistake(
        "result.json", "damaged"
    )
    assert not (tmp_path / "p.html").exists()
