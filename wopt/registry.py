"""The registry of components by name, which imports none of them."""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import importlib
import re
from collections.abc import Iterator
from typing import Any

from wopt.distributions import how_to_get
from wopt.errors import PluginError


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of component.

    Attributes:
        name: Word used in configurations and commands.
        interface: Import path of the base class.
        number: Name and option of the component that a bare number denotes.
        sequence: Name and option of the component that a bare list denotes.
        default: Name of the component that a table without a name denotes.
    """

    name: str
    interface: str
    number: tuple[str, str] | None = None
    sequence: tuple[str, str] | None = None
    default: str | None = None


KINDS = {
    kind.name: kind
    for kind in (
        Kind("objective", "wopt.interfaces.objective:Objective"),
        Kind("scheme", "wopt.interfaces.scheme:ProximalScheme"),
        Kind("block", "wopt.interfaces.block:FlowBlock"),
        Kind("target", "wopt.interfaces.target:Target"),
        Kind("source", "wopt.interfaces.source:Source"),
        Kind(
            "step_size",
            "wopt.interfaces.scheme:StepSize",
            number=("constant", "value"),
            sequence=("sequence", "values"),
        ),
        Kind("exact", "wopt.interfaces.exact:ExactSolution"),
        Kind("tracker", "wopt.interfaces.tracker:Tracker"),
        Kind("solver", "wopt.interfaces.solver:Solver", default="adam"),
        Kind("measurement", "wopt.interfaces.measurement:Measurement", default="certificate"),
        Kind("candidate", "wopt.interfaces.candidate:Candidate"),
    )
}
"""Every kind of component, by name."""

POINTS = {
    "advice": "(run) -> Iterator[str]: what to do next, for the head of the report",
    "chains": "object with forward_of(problem, state, attempt) and look(problem, step, blocks, "
    "moved, at): chains of the target beside training",
    "citations": "(directory, config) -> Iterator[Cited]: what a run used besides its components",
    "page": "(run) -> str | None: a section of the report, as HTML",
    "pictures": "(run) -> list[Picture]: pictures of the report",
    "summary": "(result) -> list[tuple[str, str]]: rows of the table at the end of a run",
    "report": "package with collect(flow, dataset, seed, target, truth) -> dict[str, Tensor], "
    "render(directory) -> Path, of_solution(solution, path, certificate) -> Path, "
    "read_figures(path), read_snapshot(path): the page",
    "planner": "(config, table, where) -> Prepared | None: a run whose options it chooses",
    "testing": "package with check_component(kind, name) -> list[str]: the names of wopt.testing",
    "times": "(run, directory, out, number, times, seed, velocities) -> int: particles at times",
    "weights": "(run, directory, x, log_density, quiet) -> Tensor (n, 2): importance weights",
    "zuko": "(flow) -> zuko.lazy.Flow: the flow in zuko's terms",
}
"""Points at which a plugin can add a function, by name, with its arguments and result."""

_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclasses.dataclass(frozen=True)
class Registration:
    """One registered component, or one command: its kind, name, import path and plugin.

    Attributes:
        cls: The class, if it was registered itself.
        reads: Of a command: whether it reads configurations, and so takes the options that allow
            their code.
    """

    kind: str
    name: str
    path: str
    summary: str
    plugin: str
    cls: type | None = None
    reads: bool = False

    @property
    def qualified(self) -> str:
        """The name with the plugin's, which is unique."""
        return f"{self.plugin}:{self.name}"


def close_matches(name: str, known: list[str]) -> str:
    """Return ``"; did you mean 'x'?"`` or an empty string."""
    close = difflib.get_close_matches(name, known, n=2, cutoff=0.5)
    return f"; did you mean {' or '.join(repr(c) for c in close)}?" if close else ""


def _check_kind(kind: str) -> None:
    if kind not in KINDS:
        raise PluginError(
            f"no kind of component is called {kind!r}; kinds: {', '.join(KINDS)}"
            f"{close_matches(kind, list(KINDS))}"
        )


class Registry:
    """Components by kind and name.

    Example:
        >>> registry = Registry()
        >>> registry.add("scheme", "mine", "my_package.scheme:Mine", summary="a scheme")
        >>> [entry.qualified for entry in registry.entries("scheme")]
        ['session:mine']
    """

    def __init__(self) -> None:
        self._entries: dict[tuple[str, str, str], Registration] = {}
        self._functions: dict[tuple[str, str], tuple[int, str]] = {}
        self._names: dict[str, str] = {}
        self.commands: dict[str, Registration] = {}
        """Subcommands of plugins, by name."""
        self._plugin = "session"
        self.failures: dict[str, str] = {}
        self.distributions: dict[str, str] = {}
        """The pip package and version of each plugin, by its name."""

    @contextlib.contextmanager
    def registering(self, plugin: str) -> Iterator[None]:
        """Attribute components added inside to ``plugin``; undo all of it on an error."""
        tables = ("_entries", "_functions", "_names", "commands")
        before, previous = {name: dict(getattr(self, name)) for name in tables}, self._plugin
        self._plugin = plugin
        try:
            yield
        except BaseException:
            self.__dict__.update(before)
            raise
        finally:
            self._plugin = previous

    def add(self, kind: str, name: str, component: str | type, *, summary: str = "") -> None:
        """Register a component under a name.

        Args:
            kind: One of :data:`KINDS`.
            name: Lower case, digits and underscores.
            component: ``"module:Class"``, imported only when used; or the class itself, as in a
                notebook.
            summary: One line for listings.
        """
        _check_kind(kind)
        if not _NAME.fullmatch(name):
            raise PluginError(
                f"{kind} {name!r} is not a usable name: write lower case letters, digits and "
                "underscores, beginning with a letter"
            )
        if isinstance(component, str):
            cls, path = None, component
        else:
            cls, path = component, f"{component.__module__}:{component.__qualname__}"
        if not re.fullmatch(r"[\w.-]+:[\w.<>]+", path):
            raise PluginError(f"{kind} {name!r}: {path!r} is not of the form 'module:Class'")
        key = (kind, name, self._plugin)
        if self._plugin == "session":  # a notebook cell may be run twice
            holders = [p for k, n, p in self._entries if (k, n) == (kind, name) and p != "session"]
            if holders:
                raise PluginError(
                    f"the {kind} {name!r} is registered by plugin {holders[0]!r}; choose another "
                    "name"
                )
        elif key in self._entries:
            raise PluginError(f"plugin {self._plugin!r} registers the {kind} {name!r} twice")
        self._entries[key] = Registration(kind, name, path, summary, self._plugin, cls)

    def add_command(self, name: str, path: str, *, summary: str, reads: bool = False) -> None:
        """Register a subcommand of ``wopt``.

        Args:
            name: The word on the command line.
            path: ``"module:function"`` of a click command.
            summary: One line for ``wopt --help``.
            reads: Whether it reads configurations or run directories.
        """
        if name in self.commands:
            raise PluginError(f"plugin {self.commands[name].plugin!r} brings `wopt {name}` too")
        about = "command", name, path, summary, self._plugin
        self.commands[name] = Registration(*about, reads=reads)

    def add_function(self, point: str, path: str, *, rank: int = 1) -> None:
        """Add a function at one of :data:`POINTS`, one a plugin.

        Args:
            point: Name of the point.
            path: ``"module:function"``, imported when it is called.
            rank: Its place among others; negative for a place before the core's own output.
        """
        if point not in POINTS:
            raise PluginError(f"no point is called {point!r}; points: {', '.join(POINTS)}")
        self._functions[point, self._plugin] = rank, path

    def add_name(self, name: str, path: str) -> None:
        """Add an attribute to the package ``wopt``."""
        self._names[name] = path

    def functions(self, point: str, *, first: bool | None = None) -> list[Any]:
        """Return the functions at a point, in the order of their ranks."""
        found = [ranked for (at, _), ranked in self._functions.items() if at == point]
        chosen = [one for one in found if first is None or (one[0] < 0) == first]
        return [resolve(path) for _, path in sorted(chosen)]

    def function(self, point: str) -> Any:
        """Return the one function that serves a point."""
        found = self.functions(point)
        if not found:
            get = how_to_get("function", point) or "no plugin that is installed brings it"
            raise PluginError(f"this needs a plugin ({POINTS[point].split(': ')[-1]}); {get}")
        return found[0]

    def public(self, name: str) -> Any:
        """Return a plugin's attribute of ``wopt``; ``None`` if there is none."""
        return resolve(self._names[name]) if name in self._names else None

    def entries(self, kind: str | None = None) -> list[Registration]:
        """Return the registered components, sorted by kind and name."""
        entries = [e for e in self._entries.values() if kind in (None, e.kind)]
        return sorted(entries, key=lambda e: (list(KINDS).index(e.kind), e.name))

    def names(self, kind: str) -> list[str]:
        """Return the registered names of one kind."""
        return sorted({entry.name for entry in self.entries(kind)})

    def find(self, kind: str, name: str) -> Registration:
        """Return the entry for ``name`` or ``plugin:name``.

        Raises:
            PluginError: The name is unknown (the message lists close matches and failed plugins),
                or two plugins use it (the message names both and how to pick one).
        """
        _check_kind(kind)
        matches = [e for e in self.entries(kind) if name in (e.name, e.qualified)]
        if len(matches) == 1:
            return matches[0]
        if matches:
            plugins = " and ".join(f"plugin {e.plugin!r} ({e.path})" for e in matches)
            choices = " or ".join(repr(e.qualified) for e in matches)
            raise PluginError(f"the {kind} {name!r} is registered by {plugins}; write {choices}")
        known = self.names(kind)
        message = f"no {kind} named {name!r}; known: {', '.join(known) or 'none'}"
        get = how_to_get(kind, name)
        message += f"; {get}" if get else close_matches(name, known)
        if self.failures:
            message += f" (plugins that failed to load: {', '.join(sorted(self.failures))}; "
            message += "`wopt plugins` says why)"
        raise PluginError(message)

    def load(self, kind: str, name: str) -> type:
        """Import the component called ``name`` and check that it is of its kind."""
        entry = self.find(kind, name)
        brought = self.distributions.get(entry.plugin, "")
        cls = entry.cls if entry.cls is not None else _import(entry, brought)
        interface = resolve(KINDS[kind].interface)
        if not (isinstance(cls, type) and issubclass(cls, interface)):
            self.failures[entry.plugin] = (
                f"{entry.path} is registered as {kind} {entry.name!r} but is not a subclass of "
                f"{interface.__name__}"
            )
            raise PluginError(self.failures[entry.plugin])
        return cls

    def name_of(self, kind: str, cls: type) -> str:
        """Return the name of a class in configurations."""
        for entry in self.entries(kind):
            # A path may lead through a re-export; importing decides, but only for a likely one.
            if entry.cls is cls or (
                entry.cls is None
                and entry.path.rpartition(":")[2] == cls.__qualname__
                and _import(entry) is cls
            ):
                shared = [e for e in self.entries(kind) if e.name == entry.name]
                return entry.name if len(shared) == 1 else entry.qualified
        raise PluginError(
            f"{cls.__name__} is not registered as a {kind}, so no configuration can name it; "
            f"register it: wopt.register({kind!r}, 'its_name', {cls.__name__})"
        )


def resolve(path: str) -> Any:
    """Return what ``"module:name"`` names."""
    module, _, attribute = path.partition(":")
    resolved: Any = importlib.import_module(module)
    for part in filter(None, attribute.split(".")):
        resolved = getattr(resolved, part)
    return resolved


def _import(entry: Registration, distribution: str = "") -> type:
    try:
        return resolve(entry.path)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a module may do anything when it is imported
        brought = f" (distribution {distribution})" if distribution else ""
        raise PluginError(
            f"{entry.kind} {entry.name!r} of plugin {entry.plugin!r}{brought} cannot be imported "
            f"from {entry.path!r}: {type(error).__name__}: {error}"
        ) from error
