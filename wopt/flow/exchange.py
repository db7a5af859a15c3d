"""Conversion of flows to those of other libraries, by plugins."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from wopt.distributions import how_to_get
from wopt.errors import PluginError
from wopt.host import host

if TYPE_CHECKING:
    from wopt.flow.flow import Flow

__all__ = ["as_zuko"]

_BLOCK, _PACKAGE = "zuko", "wopt-zuko"


def as_zuko(flow: Flow) -> Any:
    """Return a flow of zuko, see :meth:`Flow.to_zuko <wopt.flow.flow.Flow.to_zuko>`.

    The core imports no plugin: the converter is found beside the registered block ``zuko``.

    Raises:
        PluginError: The plugin is missing or does not load; the message says how to get it.
    """
    entries = [e for e in host().registry.entries("block") if e.name == _BLOCK]
    if not entries:
        why = how_to_get("block", _BLOCK) or "it is not installed"
        raise PluginError(f"Flow.to_zuko needs {_PACKAGE}: pip install {_PACKAGE} ({why})")
    package = entries[0].path.partition(".")[0]
    try:
        module = importlib.import_module(package)
        convert = module.to_zuko
    except (ImportError, AttributeError) as error:
        raise PluginError(
            f"Flow.to_zuko needs {_PACKAGE}, and {package} cannot be used "
            f"({error}): pip install --upgrade {_PACKAGE}"
        ) from error
    return convert(flow)
