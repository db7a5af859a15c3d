"""The command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wopt.lazy import exports

if TYPE_CHECKING:
    from wopt.cli.common import warn_of_plugins as warn_of_plugins
    from wopt.cli.output import json_option as json_option
    from wopt.cli.output import listener_for as listener_for
    from wopt.cli.output import print_json as print_json
    from wopt.cli.output import quiet_option as quiet_option

__getattr__, __dir__ = exports(__name__, __file__)
