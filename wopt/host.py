"""The plugin host: finds plugins, isolates broken ones, and records what each registered."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import importlib.metadata
import os
import sys
import traceback
from collections.abc import Iterable
from typing import Any

import pluggy

from wopt import hooks
from wopt.clock import Stopwatch
from wopt.errors import PluginError
from wopt.plugin import API_VERSION, GROUP, Hooks
from wopt.reading import message_of
from wopt.registry import Registration, Registry


@dataclasses.dataclass
class PluginInfo:
    """Description of one plugin.

    Attributes:
        name: Name of its entry point.
        distribution: The pip package that provides it.
        version: Version of that package.
        status: ``"ok"`` or ``"failed"``.
        error: Reason of a failure, in one line.
        traceback: Traceback of a failure, for ``wopt doctor``.
        components: Components that it registered.
        seconds: Wall-clock time of its import, s.
    """

    name: str
    distribution: str
    version: str
    status: str = "ok"
    error: str | None = None
    traceback: str | None = None
    components: list[Registration] = dataclasses.field(default_factory=list)
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return the row for ``wopt plugins --json``."""
        return {
            "name": self.name,
            "distribution": self.distribution,
            "version": self.version,
            "status": self.status,
            "error": self.error,
            "components": [
                {"kind": e.kind, "name": e.name, "summary": e.summary} for e in self.components
            ],
        }


class Host:
    """Loads plugins one by one; a failing plugin is rolled back and listed, and the others load.

    pluggy's own loop ends at the first plugin that fails to import and silently skips a second
    entry point of the same name.
    """

    def __init__(self, entry_points: Iterable[importlib.metadata.EntryPoint] | None = None) -> None:
        self.registry = Registry()
        self.plugins: list[PluginInfo] = []
        self._strict = os.environ.get("WOPT_STRICT_PLUGINS", "") not in ("", "0")
        self._manager = pluggy.PluginManager("wopt")
        self._manager.add_hookspecs(Hooks)
        if entry_points is None:
            entry_points = importlib.metadata.entry_points(group=GROUP)
        with self.registry.registering("core"):
            hooks.wopt_register(self.registry)
        wanted = os.environ.get("WOPT_PLUGINS")
        seen: set[tuple[str, str, str]] = set()
        for point in sorted(entry_points, key=lambda p: (_distribution(p)[0], p.name)):
            identity = (_distribution(point)[0], point.name, point.value)
            allowed = wanted is None or point.name in {w.strip() for w in wanted.split(",")}
            # An editable install can be listed twice by importlib.metadata.
            if allowed and identity not in seen:
                seen.add(identity)
                self._load(point)

    def _load(self, point: importlib.metadata.EntryPoint) -> None:
        info = PluginInfo(point.name, *_distribution(point))
        self.plugins.append(info)
        self.registry.distributions.setdefault(info.name, f"{info.distribution!r} {info.version}")
        module: Any = None
        watch = Stopwatch()
        try:
            self._check_free(info)
            with contextlib.redirect_stdout(sys.stderr):  # stdout is reserved for `--json`
                module = point.load()
            info.seconds = watch.wall
            _check_api(module)
            with self.registry.registering(point.name):
                self._manager.register(module, name=point.name)
                self._manager.check_pending()
                others = [p for p in self._manager.get_plugins() if p is not module]
                hook = self._manager.subset_hook_caller("wopt_register", remove_plugins=others)
                hook(registry=self.registry)
            info.components = [e for e in self.registry.entries() if e.plugin == point.name]
        except KeyboardInterrupt:
            raise
        # A plugin must not be able to end the host, whatever it does at import.
        except BaseException as error:
            if module is not None and self._manager.is_registered(module):
                self._manager.unregister(module)
            info.status = "failed"
            info.error = _one_line(error)
            info.traceback = traceback.format_exc()
            self.registry.failures[point.name] = info.error
            if self._strict:
                raise

    def _check_free(self, info: PluginInfo) -> None:
        for other in self.plugins[:-1]:
            if other.name == info.name:
                raise PluginError(
                    f"two plugins are called {info.name!r}: one of distribution "
                    f"{other.distribution!r}, one of {info.distribution!r}; the second is left out"
                )

    def versions(self) -> dict[str, str]:
        """Return the version of every distribution whose plugin loaded."""
        return {p.distribution: p.version for p in self.plugins if p.status == "ok"}


@functools.cache
def host() -> Host:
    """Return the process's plugin host, which loads plugins on the first call."""
    return Host()


def register(kind: str, name: str, component: type | str, *, summary: str = "") -> None:
    """Register a component for this session only, as in a notebook.

    Registering the same name again replaces it, so that a notebook cell can be run twice. A name of
    a plugin's component is rejected.

    Example:
        >>> import wopt
        >>> class Half(wopt.StepSize):
        ...     def __call__(self, step, previous=None):
        ...         return 0.5
        >>> wopt.register("step_size", "half", Half)
        >>> wopt.build("step_size", "half")(0)
        0.5
    """
    host().registry.add(kind, name, component, summary=summary)


def _distribution(point: importlib.metadata.EntryPoint) -> tuple[str, str]:
    try:
        known = (point.dist.name, point.dist.version) if point.dist else (None, None)
    except Exception:  # an installation that lacks its METADATA
        known = (None, None)
    return known[0] or "unknown", known[1] or "unknown"


def _check_api(module: Any) -> None:
    needs = getattr(module, "WOPT_API", API_VERSION)
    if not (isinstance(needs, tuple) and len(needs) == 2 and all(type(n) is int for n in needs)):
        raise PluginError(
            f"WOPT_API is {needs!r}; write a pair of integers, as in WOPT_API = (1, 0)"
        )
    if needs[0] != API_VERSION[0] or needs[1] > API_VERSION[1]:
        raise PluginError(
            f"needs plugin API {needs[0]}.{needs[1]}, this wopt has "
            f"{API_VERSION[0]}.{API_VERSION[1]}; install matching versions of both"
        )


def _one_line(error: BaseException) -> str:
    text = message_of(error)
    return text if isinstance(error, PluginError) else f"{type(error).__name__}: {text}"
