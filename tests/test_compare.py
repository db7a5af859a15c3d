"""`wopt compare`: runs side by side, in the terminal and on a page."""

import json
import re
import shutil

from wopt.report.compare import COLUMNS


def two(finished_run, folder):
    """Return two copies of a run, one of which says that its seed is another."""
    first, second = folder / "one", folder / "two"
    for path in (first, second):
        shutil.copytree(finished_run, path)
    text = (second / "config.toml").read_text()
    (second / "config.toml").write_text(text.replace("seed = 3", "seed = 4"))
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
    assert "<th>KL at least</th>" in text
    assert "certified bound" not in text + answer.out
    head = next(line for line in answer.out.splitlines() if "KL at least" in line)
    assert all(heading in head for _, heading in COLUMNS)
    assert set(re.findall(r'<figure id="figure-(\w+)">', text)) == {"step", "cpu"}
    assert re.findall(r'<th scope="row">(\w+)</th>', text) == ["seed"]
    assert not re.search(r'(src|href)="https?:', text)


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
    assert command("compare", first, tmp_path / "none").is_mistake("no run directory")
    (second / "result.json").write_text("{")
    assert command("compare", first, second, "-o", tmp_path / "p.html").is_mistake(
        "result.json", "damaged", status=1
    )
    assert not (tmp_path / "p.html").exists()
