"""What pages are made of: files that ship with this package."""

from __future__ import annotations

import importlib.resources

__all__ = ["resource"]


def resource(name: str) -> str:
    """Return the text of a template or stylesheet of this package."""
    return importlib.resources.files("wopt.report").joinpath(name).read_text(encoding="utf-8")
