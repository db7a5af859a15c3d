"""Names for authors of plugins: the hook marker, the hook's specification, the API version.

This module does not import torch, so that listing plugins stays fast.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from wopt.registry import Registry

API_VERSION = (1, 1)
"""(major, minor) of the plugin interface; a plugin may state the one it needs as ``WOPT_API``."""

GROUP = "wopt"
"""The entry-point group in which plugins announce their hooks module."""

hookimpl = pluggy.HookimplMarker("wopt")
hookspec = pluggy.HookspecMarker("wopt")


class Hooks:
    """The hooks that wopt calls."""

    @hookspec
    def wopt_register(self, registry: Registry) -> None:
        """Name your components: ``registry.add(kind, name, "module:Class", summary=...)``.

        Give paths, not classes, so that a component is imported only when a run uses it. A plugin
        can also add commands (``registry.add_command``), functions that wopt calls at certain
        points, such as sections of the report (``registry.add_function``), and names of the package
        ``wopt`` itself (``registry.add_name``).
        """
