"""Configuration: one TOML file is one run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wopt.lazy import exports

if TYPE_CHECKING:
    from wopt.config.model import RunConfig, validate
    from wopt.config.read import override, read_toml

__all__ = [
    "RunConfig",
    "override",
    "read_toml",
    "validate",
]

__getattr__, __dir__ = exports(
    __name__,
    {
        "RunConfig": "wopt.config.model",
        "override": "wopt.config.read",
        "read_toml": "wopt.config.read",
        "validate": "wopt.config.model",
    },
)
