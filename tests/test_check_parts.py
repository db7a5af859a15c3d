"""Checks of parts cost nothing where nothing is missing."""

import pytest

import wopt
from wopt.train import check


def test_advice_is_looked_for_only_where_something_is_missing(monkeypatch):
    """It imports every objective, with POT and scikit-learn: more than a short run takes."""
    asked = []
    monkeypatch.setattr(check, "_fitting", lambda provided: asked.append(provided) or "none fits")
    scheme, block = wopt.build("scheme", "jko"), wopt.build("block", "affine")
    kl = wopt.build("objective", "kl")
    check.check_parts(kl, scheme, block, log_density=False)
    assert asked == []
    needy = wopt.build("objective", {"name": "entropy"})
    needy.needs = wopt.Capability.LOG_DENSITY
    with pytest.raises(wopt.CapabilityError, match="none fits"):
        check.check_parts(needy, scheme, block, log_density=False)
    assert len(asked) == 1
