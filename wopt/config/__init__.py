"""Configuration: one TOML file is one run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wopt.lazy import exports

if TYPE_CHECKING:
    from wopt.config.model import RunConfig as RunConfig
    from wopt.config.model import validate as validate
    from wopt.config.read import override as override
    from wopt.config.read import read_toml as read_toml

__getattr__, __dir__ = exports(__name__, __file__)
