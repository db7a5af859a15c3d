"""What the tests of the core and of every plugin share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from wopt_posterior.diagnostics import invariance


@pytest.fixture(scope="session", autouse=True)
def few_steps() -> Iterator[None]:
    """Reports of samplers walk less far than the 3 seconds that they may take."""
    before, invariance._STEPS = invariance._STEPS, 256
    yield
    invariance._STEPS = before
