"""Which scripts of the gallery use which component, so that its page can lead to them."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from wopt.host import host
from wopt.registry import KINDS, Registration

__all__ = ["Use", "in_gallery", "scripts_by_component", "title_of", "uses"]

Use = tuple[str, str]
"""A kind, or "" where the script does not say, and a name."""

_KIND_OF_FIRST = {"solve": "source"}
"""What the first argument of a function of wopt is."""

_KIND_OF_KEY = {**{kind: kind for kind in KINDS}, "optimiser": "solver"}
"""What an option of this name chooses."""


def uses(source: str) -> set[Use]:
    """Return the components that a script names.

    Args:
        source: Its text. Names stand where they do in a configuration, as ``block="affine"`` or
            ``{"name": "affine"}``; in a list or a table of choices the kind is not known.

    Example:
        >>> text = 'wopt.fit(x, block="affine", scheme={"name": "jko", "step_size": 1.0})'
        >>> sorted(uses(text))
        [('block', 'affine'), ('scheme', 'jko')]
    """
    return {use for use in _walk(ast.parse(source), "") if use[1].isidentifier()}


def _walk(node: ast.AST, kind: str) -> Iterator[Use]:
    """Yield what stands in a node of which it is known that it chooses a kind, or is not (`""`)."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield kind, node.value
    elif isinstance(node, ast.Dict):
        for key, value in zip(node.keys, node.values, strict=True):
            name = key.value if isinstance(key, ast.Constant) else None
            inner = kind if name == "name" else _KIND_OF_KEY.get(str(name), "")
            if not isinstance(value, ast.Constant) or name == "name" or inner or _free(name):
                yield from _walk(value, inner)
    elif isinstance(node, ast.Call):
        yield from _call(node)
    else:
        for child in ast.iter_child_nodes(node):
            if not isinstance(child, ast.Expr | ast.JoinedStr):
                yield from _walk(child, "")
            elif isinstance(child, ast.Expr) and not isinstance(child.value, ast.Constant):
                yield from _walk(child.value, "")


def _call(node: ast.Call) -> Iterator[Use]:
    """Yield what a call names: by its keywords, by its first arguments."""
    function = node.func.attr if isinstance(node.func, ast.Attribute) else ""
    kind = _KIND_OF_FIRST.get(function, "")
    first = node.args[0] if node.args else None
    if function == "build" and isinstance(first, ast.Constant):
        kind = str(first.value)
    for argument in node.args[1:] if function == "build" else node.args:
        if not isinstance(argument, ast.Constant) or kind:
            yield from _walk(argument, kind)
    for keyword in node.keywords:
        if keyword.arg in _KIND_OF_KEY:
            yield from _walk(keyword.value, _KIND_OF_KEY[keyword.arg])
        elif not isinstance(keyword.value, ast.Constant):
            yield from _walk(keyword.value, "")
    yield from _walk(node.func, "")


def _free(name: object) -> bool:
    """Return whether a key is a label of the script's own and not an option: it has spaces."""
    return isinstance(name, str) and not name.isidentifier()


def title_of(source: str) -> str:
    """Return the title of a script: the first line of its docstring."""
    heading = (ast.get_docstring(ast.parse(source)) or "").partition("\n\n")[0]
    return re.sub(r"\s+", " ", heading).strip("= ")


def scripts_by_component(folder: Path, kinds: Mapping[str, set[str]]) -> dict[Use, list[Path]]:
    """Return the scripts that use each component.

    Args:
        folder: With scripts ``plot_*.py``.
        kinds: Of every name, those under which it is registered.
    """
    made: dict[Use, list[Path]] = {}
    for path in sorted(folder.glob("plot_*.py")):
        for kind, name in sorted(uses(path.read_text())):
            known = kinds.get(name, set())
            chosen = kind if kind in known else next(iter(known)) if len(known) == 1 else ""
            if chosen and (not kind or kind == chosen):
                scripts = made.setdefault((chosen, name), [])
                if path not in scripts:
                    scripts.append(path)
    return made


def in_gallery(entry: Registration) -> list[str]:
    """Return lines of Markdown that lead to the scripts which use a component; none if none do."""
    scripts = _of_this_gallery().get((entry.kind, entry.name), [])
    return [f"- [{title_of(path.read_text())}](/auto_gallery/{path.stem}.rst)" for path in scripts]


@functools.cache
def _of_this_gallery() -> dict[Use, list[Path]]:
    kinds: dict[str, set[str]] = {}
    for entry in host().registry.entries():
        kinds.setdefault(entry.name, set()).add(entry.kind)
    return scripts_by_component(Path(__file__).parents[1] / "gallery", kinds)
