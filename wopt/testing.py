"""For authors of plugins: closed-form problems, an exact affine block, and checks, by wopt-testing.

``from wopt.testing import check_component`` takes a name of the package ``wopt_testing``.
"""

from __future__ import annotations

from typing import Any

from wopt.host import host


def __getattr__(name: str) -> Any:
    """Return a name of wopt-testing."""
    if name.startswith("__"):
        raise AttributeError(name)
    return getattr(host().registry.function("testing"), name)


def __dir__() -> list[str]:
    return dir(host().registry.function("testing"))
