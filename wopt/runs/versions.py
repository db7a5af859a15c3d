"""The versions of the software of a run."""

from __future__ import annotations

import platform
from importlib.metadata import version

import torch

from wopt.host import host

__all__ = ["versions"]


def versions() -> dict[str, str]:
    """Return the versions of Python, torch, the core and the plugins."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "wopt-core": version("wopt-core"),
        **host().versions(),
    }
