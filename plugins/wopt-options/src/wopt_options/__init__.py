"""Every option that is installed: written with comments, as JSON Schema, or shown one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wopt.lazy import exports

if TYPE_CHECKING:
    from wopt_options.schema import installed_components as installed_components
    from wopt_options.schema import template as template

__getattr__, __dir__ = exports(__name__, __file__)
