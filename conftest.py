"""What the tests of the core and of every plugin share."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ.setdefault("WOPT_STRICT", "1")  # before any class of a component is defined

from wopt_posterior.diagnostics import measure as diagnostics

# --import-mode=importlib leaves sys.path alone, and the tests of plugins share the zoo too.
sys.path.insert(0, str(Path(__file__).parent / "tests"))
from zoo import Zoo, drawn, plain

pytest_plugins = ["shared_fixtures"]


@pytest.fixture(scope="session", autouse=True)
def small_references() -> Iterator[None]:
    """Reports of samplers take one pass where they could take three seconds."""
    before, diagnostics._SECONDS = diagnostics._SECONDS, 0.0
    yield
    diagnostics._SECONDS = before


@pytest.fixture(scope="session", autouse=True)
def plain_pages() -> Iterator[None]:
    """Leave pictures out of pages: they take two of the three seconds of a tiny run."""
    with plain():
        yield


@pytest.fixture
def pictures() -> Iterator[None]:
    """Draw the pictures of pages, for tests that look at them."""
    with drawn():
        yield


@pytest.fixture(scope="session")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Zoo:
    """Return the finished runs of ``tests/zoo.py``, which all workers share."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "zoo"
    folder.mkdir(exist_ok=True)
    return Zoo(folder)
