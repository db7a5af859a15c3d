import base64
import io
import json
import re
import shutil

import matplotlib.image
import pytest
import report_parts as parts
import torch

from wopt_report import collect, render

CURVES = {"progress": 2, "diagnostics": 3}


def page_of(folder, data=None, **options) -> parts.Page:
    tensors = None if data is None else collect(parts.flow(data), data, seed=0)
    return parts.Page(render(parts.write_run(folder, tensors=tensors, **options)))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"d": 1}, {"columns": 1}),
        (None, {"columns": 2, "pairs": 2, "density": 3}),
        ({"d": 5}, {"columns": 5, "pairs": 6}),
        ({"d": 4, "n": 600, "images": lambda x: x.reshape(-1, 2, 2)}, {"images": 2}),
    ],
)
def test_every_picture_is_there_and_shows_something(tmp_path, plane, options, expected):
    if options is None:
        page = parts.Page(plane / "report.html")
    else:
        page = page_of(tmp_path, parts.dataset(**options))
    assert {key: len(charts) for key, charts in page.charts.items()} == expected | CURVES
    for key in expected:
        marks = [drawn for kind, drawn in page.marks[key] if kind not in ("axis", "grid")]
        assert len(marks) >= len(page.charts[key])
        assert all(len(drawn) > 40 for drawn in marks if drawn.startswith(("M", "data:")))


def test_a_column_is_drawn_by_its_kind(tmp_path):
    """Categories have a bar each, and the column that differs most is first."""
    rng = torch.Generator().manual_seed(0)
    code = torch.randint(3, (400,), generator=rng).double()
    real = torch.stack([torch.randn(400, generator=rng).double(), code], 1)
    made = torch.stack([real[:, 0], torch.where(code == 2, 0.0, code) + 0.3], 1)
    grids = {"kind": {"width": 1.0, "origin": 0.0, "names": ["red", "blue", "green"]}}
    labels = {"columns": ["size", "kind"], "coordinates": ["size", "kind"], "grids": grids}
    labels["dates"] = {"size": 86_400}
    text = torch.tensor(list(json.dumps(labels).encode()), dtype=torch.uint8)
    tensors = {"real": real.float(), "generated": made.float(), "labels": text}
    page = parts.Page(render(parts.write_run(tmp_path, tensors=tensors, steps=1)))
    figure = page.source.split('id="figure-columns"')[1].split("</figure>")[0]
    assert figure.index("<h3>kind") < figure.index("<h3>size")
    first = figure.split("<svg")[1]
    assert all(f">{name}</text>" in first for name in ("red", "blue", "green"))
    assert "1970-01-01" in figure.split("<svg")[2]
    bars = re.findall(r'class="bars"[^>]* d="([^"]*)"', first)
    heights = [
        [float(a) - float(b) for a, b in re.findall(r"M\S+ (\S+?)V(\S+?)H", d)] for d in bars
    ]
    shares = [float((code == k).double().mean()) for k in range(3)]
    highest = max(heights[1])  # red and green together
    assert highest / heights[0][1] == pytest.approx((shares[0] + shares[2]) / shares[1], rel=0.02)
    assert heights[1][2] == pytest.approx(0, abs=0.1)


def test_numbers_are_those_of_the_files(tmp_path):
    page = page_of(tmp_path)
    for key in ("nll_test", "entropy", "likelihood_error", "inversion_error", "parameters"):
        assert page.cards[key].value == parts.RESULT[key]
    for key in ("steps", "seconds", "cpu_seconds"):
        assert page.cards[key].value == parts.RESULT[key]
    assert page.cards["kl"].value == parts.RESULT["nll_test"] - parts.RESULT["entropy"]
    assert page.cards["gain"].value == parts.RESULT["nll_gaussian"] - parts.RESULT["nll_test"]
    assert page.cards["nll_test"].text.split()[:2] == ["2.791", "nats"]
    assert "Better than a Gaussian" in page.text
    keys = (
        "step", "step_size", "energy", "energy_change", "w2_step", "decrease", "decrease_error",
        "residual", "nll_valid", "likelihood_error", "inversion_error", "seconds",
    )  # fmt: skip
    expected = [[parts.record(k)[key] for key in keys] for k in (1, 2)]
    assert page.rows[1:] == expected
    assert "seen by affine fields, a lower bound" in page.text
    assert "grid made finer: the likelihood <b>was</b> off" in page.text
    assert "a<b>.csv" in page.text


def test_a_likelihood_below_the_floor_is_marked(tmp_path):
    page = page_of(tmp_path, result=parts.RESULT | {"nll_test": 2.4}, steps=1)
    assert page.cards["kl"].value < 0
    assert "below zero" in page.cards["kl"].text
    assert 'class="card warn" id="card-kl"' in page.source


def test_the_page_needs_nothing_but_itself(plane):
    page = parts.Page(plane / "report.html")
    assert all(link.startswith("data:image/") for link in page.links)
    assert "http:" not in page.source
    assert "https:" not in page.source
    assert "@import" not in page.source
    assert "url(" not in page.source
    assert not {"script", "link", "iframe", "object", "a"} & set(page.tags)
    assert "default-src 'none'" in page.source


def test_what_comes_from_files_is_escaped(tmp_path):
    reason = '<script>alert(1)</script> "&'
    data = parts.dataset(d=1)
    config = 'seed = 0\n[source]\nname = "<img src=x onerror=alert(1)>"\n'
    result = parts.RESULT | {"status": "failed", "reason": reason, "versions": {"<i>x": "<u>"}}
    page = page_of(tmp_path, data, result=result, config=config)
    assert reason in page.text
    assert "<img src=x onerror=alert(1)>" in page.text
    assert not {"script", "i", "u"} & set(page.tags)
    assert 'class="badge failed"' in page.source


def test_an_interrupted_run_has_a_page(tmp_path):
    page = page_of(tmp_path, result=None, steps=1)
    assert "interrupted after step 1" in page.text
    assert 'class="badge open"' in page.source
    assert page.cards["nll_valid"].value == 3.0
    assert page.charts == {}  # what one step says is in the table


def test_a_run_of_which_nothing_is_left_but_its_configuration(tmp_path):
    (tmp_path / "config.toml").write_text('objective = "kl"\n')
    page = parts.Page(render(tmp_path))
    assert page.charts == {}
    assert page.cards == {}
    assert "unfinished" in page.text


def test_nulls_and_missing_numbers_are_left_out(tmp_path):
    kept = ("status", "reason", "steps", "versions")
    result = dict.fromkeys(parts.RESULT) | {key: parts.RESULT[key] for key in kept}
    result |= {"status": "stopped", "model": "push_forward"}
    folder = parts.write_run(tmp_path, result=result, steps=0)
    optional = ("residual", "nll_valid", "likelihood_error", "inversion_error")
    record = parts.record(1, energy=None, **dict.fromkeys(optional))
    (folder / "steps.jsonl").write_text(json.dumps(record) + "\n")
    page = parts.Page(render(folder))
    assert "nll_test" not in page.cards
    assert page.rows[1:] == [[1.0, 0.5, -3.0, 0.7, -0.25, 0.0125, 1.25]]


def test_a_certificate_is_shown(tmp_path):
    folder = parts.write_run(tmp_path)
    (folder / "certificate.json").write_text(json.dumps(parts.CERTIFICATE))
    page = parts.Page(render(folder))
    for words in (
        "is at least 0.02 (95%, no assumption)",
        "bound given the eps seen",
        "Theorem Q",
        "refuted",
        "resolution 0.1",
        "kl0 is not known",
        "a note",
    ):
        assert words in page.text, words
    assert "certificate" in page.charts
    assert "optimal map" not in page.text  # this one has no such measurements


def test_many_blocks_and_wild_values(tmp_path):
    paths = torch.randn(31, 200, 4).cumsum(0)
    paths[-1, 0] = torch.nan
    generated = torch.randn(200, 4)
    generated[0, 0] = torch.inf
    tensors = {"paths": paths, "generated": generated, "real": torch.ones(200, 4)}
    folder = parts.write_run(tmp_path, tensors=tensors, steps=30)
    page = parts.Page(render(folder))
    assert set(page.charts) == {"columns", "pairs"} | set(CURVES)
    assert len(page.rows) == 31


def test_a_density_with_holes(tmp_path):
    density = torch.full((200, 200), -torch.inf)
    density[50:100, 50:100] = 0
    density[0, 0] = torch.nan
    extent = torch.tensor([0.0, 1.0, 0.0, 50.0])
    tensors = {"grid_log_density": density, "grid_extent": extent}
    page = parts.Page(render(parts.write_run(tmp_path, tensors=tensors)))
    ((_, uri),) = [mark for mark in page.marks["density"] if mark[0] == "image"]
    seen = matplotlib.image.imread(io.BytesIO(base64.b64decode(uri.partition(",")[2])))
    assert seen.std() > 0.1
    assert (seen[50:100, 50:100].mean(), seen[-40:, -40:].mean()) != (0, 0)


def test_the_page_is_the_same_each_time(plane, tmp_path):
    again = shutil.copytree(plane, tmp_path / plane.name)
    (again / "report.html").unlink()
    assert render(again).read_bytes() == (plane / "report.html").read_bytes()
    assert sorted(p.name for p in again.iterdir()) == sorted(
        ["config.toml", "figures.safetensors", "report.html", "result.json", "steps.jsonl"]
    )
