"""Parts that do not fit are told before any work; checks cost nothing where nothing is missing."""

import pytest

import wopt
from wopt import Capability
from wopt.testing import AffineBlock
from wopt.train import check


class Sealed(wopt.Target):
    """Provides a potential only."""

    provides = Capability.POTENTIAL

    def potential(self, x):
        return x.square().sum(1) / 2


def needy(needs):
    """Return an objective of that target, which needs more."""
    made = wopt.build("objective", "entropy")
    made.needs, made.target = needs, Sealed()
    return made


def blind():
    """Return a block that knows no log-det."""
    block = AffineBlock(2)
    block.provides = Capability.INVERSE
    return block


@pytest.mark.parametrize(
    ("objective", "block", "scheme", "words"),
    [
        (
            needy(Capability.LOG_DENSITY),
            "affine",
            "jko",
            "needs LOG_DENSITY.*by samples only.*fit: kl",
        ),
        (needy(Capability.TARGET_SAMPLES), "affine", "jko", "TARGET_SAMPLES, and target Sealed"),
        (needy(Capability.TARGET_SAMPLES), blind(), "jko", "needs TARGET_SAMPLES"),
        ("kl", blind(), "jko", "KL needs LOG_DET, and block AffineBlock does not give it"),
        ("kl", "affine", {"name": "jko", "transport": "action"}, "ACTION, and block Affine does"),
    ],
)
def test_parts_that_do_not_fit(monkeypatch, objective, block, scheme, words):
    monkeypatch.setattr(check, "_fitting", lambda provided: "objectives that fit: kl")
    parts = [
        wopt.build(kind, part) for kind, part in (("objective", objective), ("scheme", scheme))
    ]
    block = wopt.build("block", block)
    with pytest.raises(wopt.CapabilityError, match=words):
        check.check_parts(*parts, block, log_density=False)


def test_advice_is_looked_for_only_where_something_is_missing(monkeypatch):
    """It imports every objective, with POT and scikit-learn: more than a short run takes."""
    asked = []
    monkeypatch.setattr(check, "_fitting", lambda provided: asked.append(provided) or "none fits")
    scheme, block = wopt.build("scheme", "jko"), wopt.build("block", "affine")
    check.check_parts(wopt.build("objective", "kl"), scheme, block, log_density=False)
    assert asked == []
    with pytest.raises(wopt.CapabilityError, match="none fits"):
        check.check_parts(needy(Capability.LOG_DENSITY), scheme, block, log_density=False)
    assert len(asked) == 1
