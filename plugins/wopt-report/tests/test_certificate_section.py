"""What a report shows of evidence: challengers, samplers, two-sample tests, losses, advice."""

import dataclasses
import json

import pytest
import report_parts as parts

from wopt.errors import RunError
from wopt.report import advice
from wopt_certify.compare.pairs import PairwiseComparison
from wopt_certify.results import Certificate
from wopt_report import read_plotted_run, render


def shown(folder, certificate=None, losses=(), **options) -> parts.Page:
    parts.write_run(folder, steps=1, **options)  # of one step there are no curves to draw
    if certificate is not None:
        (folder / "certificate.json").write_text(json.dumps(certificate))
    if losses:
        (folder / "losses.jsonl").write_text("".join(json.dumps(one) + "\n" for one in losses))
    return parts.Page(render(folder))


def test_the_ladder_and_what_differs(tmp_path):
    page = shown(tmp_path, parts.CERTIFICATE)
    for value in (0.5, 0.03, 4.25, 0.28125, 1.25):
        assert f'<data value="{value}">' in page.source
    for words in ("closed <forms>", "col<0>", "too few samples", "3 samples were not finite"):
        assert words in page.text, words
    assert "accuracy 0.750" in page.text


def test_columns_are_shown_only_where_laws_differ(tmp_path):
    found = Certificate.from_dict(parts.CERTIFICATE)
    alike = dataclasses.replace(found.two_sample, p_value=0.5)
    page = shown(tmp_path, dataclasses.replace(found, two_sample=alike).to_dict())
    assert "No difference was found" in page.text
    assert 'id="differing"' not in page.source
    assert 'id="regions"' not in page.source


def test_a_sampler_with_its_doubts_first(tmp_path):
    result = parts.RESULT | {"model": "push_forward", "sampler": parts.SAMPLER}
    page = shown(tmp_path, result=result)
    section = page.source[page.source.index('id="sampler"') :]
    places = [
        section.index(words)
        for words in ("k-hat 1.05 is above 0.7", "(4, -4)", "log Z", "Mode weights", "Moments of")
    ]
    assert places == sorted(places)
    for value in (-0.13, 0.0625, 12.5, 1.05, 0.03125, 0.75, 0.9375, 25.0):
        assert f'<data value="{value}">' in section, value
    assert "trusted up to 0.7" in page.text
    assert "a mode <was> lost" in page.text
    assert "a mode where the model has no draw changes neither" in page.text
    assert "Do not use means or log Z" in page.text


def test_a_reliable_sampler(tmp_path):
    good = parts.SAMPLER | {"reliable": True, "doubts": [], "lost_modes": [], "mode_weights": None}
    page = shown(tmp_path, result=parts.RESULT | {"model": "push_forward", "sampler": good})
    assert "Nothing speaks against its weights" in page.text
    assert "Do not use" not in page.text


def test_a_sampler_beside_what_is_known(tmp_path):
    truth = {
        "log_z": 0.0, "log_z_error": 0.00390625, "elbo_error": 0.5, "energy_distance": 0.01171875,
        "energy_distance_weighted": None, "energy_distance_exact": 0.001, "mode_error": 0.28125,
        "mode_error_weighted": 0.02, "draws": 5000,
    }  # fmt: skip
    corrected = {
        "steps": 4, "rate": 0.2, "proposals": 2.0736, "draws": 5000, "elbo": -0.0078125,
        "elbo_error": 0.001, "log_z_error": 0.0078125,
    }  # fmt: skip
    known = parts.SAMPLER | {"truth": truth, "corrected": corrected, "figures": {"accuracy": 0.875}}
    page = shown(tmp_path, result=parts.RESULT | {"model": "push_forward", "sampler": known})
    section = page.source[page.source.index('id="sampler"') :]
    for value in (0.00390625, 0.5, 0.01171875, 0.28125, -0.0078125, 0.0078125, 0.875):
        assert f'<data value="{value}">' in section, value
    assert "that of exact draws is 0.001" in page.text
    assert "after 4 steps of rejection, 2.1 draws for one" in page.text
    assert "energy distance by weights" not in page.text  # not known


def test_a_damaged_sampler_is_said_to_be_so(tmp_path):
    parts.write_run(tmp_path, result=parts.RESULT | {"sampler": {"means": 3}})
    with pytest.raises(RunError, match="sampler"):
        render(tmp_path)


def test_losses_by_iteration(tmp_path):
    line = {"what": "training", "iterations": [1, 50, 100], "losses": [3.0, 1.0, None]}
    page = shown(tmp_path, losses=[{"step": 1, **line}, {"step": 2, **line}])
    assert "losses" in page.charts
    assert "over 200 iterations of 2 trainings" in page.source
    nothing = {"step": 1, "what": "training", "iterations": [1, 2], "losses": [None, None]}
    assert "losses" not in shown(tmp_path, losses=[nothing]).charts
    (tmp_path / "losses.jsonl").write_text('{"step": 1, "what": "x", "iterations": [1]}\n')
    with pytest.raises(RunError, match=r"losses\.jsonl"):
        render(tmp_path)


def test_what_to_do_next(tmp_path):
    assert advice(read_plotted_run(parts.write_run(tmp_path))) == []
    run = dataclasses.replace(
        read_plotted_run(tmp_path), certificate=Certificate.from_dict(parts.CERTIFICATE)
    )
    first, second = advice(run)  # a gain and a difference; never more than two
    assert "at least 0.02 nats" in first
    assert "samples more like the data" in second
    failed = dataclasses.replace(run, result=dataclasses.replace(run.result, status="failed"))
    assert "rejected for good" in advice(failed)[0]
    stopped = dataclasses.replace(run, result=dataclasses.replace(run.result, status="stopped"))
    assert f"wopt resume {tmp_path.name}" in advice(stopped)[0]
    page = shown(tmp_path, parts.CERTIFICATE)
    assert "<code>stop.challenge = 0.01</code>" in page.source


def test_nobody_challenges_alone():
    assert PairwiseComparison().least(0) is None
    assert not PairwiseComparison().some
    assert PairwiseComparison(((None, parts.SIDE), (None, None))).least(0) == 0.02
