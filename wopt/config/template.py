"""Commented configurations to begin with: every option with its meaning and default."""

from __future__ import annotations

import typing
from collections.abc import Sequence
from typing import Any

import tomli_w
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from wopt.component import Component, options_model
from wopt.config.model import RunConfig
from wopt.host import host
from wopt.registry import KINDS

__all__ = ["template"]

_TABLES = (
    "source",
    "objective",
    "scheme",
    "block",
    "solver",
    "guard",
    "stop",
    "certify",
    "refine",
    "run",
    "snapshots",
)


def template(
    names: dict[str, str],
    values: dict[str, dict[str, Any]] | None = None,
    about: Sequence[str] = (),
) -> str:
    """Return a commented TOML configuration.

    Args:
        names: The component to use by kind; where a kind is missing, the usual one.
        values: Options of the source, objective, ... that are not the defaults.
        about: Lines to begin with, as comments.

    Raises:
        PluginError: A name is unknown.
    """
    lines = [
        "# A wopt run. Every option is shown with its default; delete what you do not need.",
        *(f"# {line}" for line in about),
        "",
    ]
    for name, field in RunConfig.model_fields.items():
        if name not in (*_TABLES, "tracker", "exact", "versions"):
            lines += _option(name, field)
    for table in _TABLES:
        field = RunConfig.model_fields[table]
        named = bool(getattr(field.annotation, "kind", ""))
        cls = None if named else _class_of(field)
        if cls is None and not named:
            continue
        lines += ["", f"# {field.description}"]
        if cls is None:
            lines += _component(table, table, names, (values or {}).get(table, {}))
        else:
            lines += [f"[{table}]"]
            nested: list[str] = []
            for option, inner in options_model(cls).model_fields.items():
                if isinstance(inner.default, dict):  # a component, whose table goes last
                    own = tomli_w.dumps(inner.default).strip()
                    nested += ["", *_comment(inner), f"[{table}.{option}]", own]
                else:
                    lines += _option(option, inner)
            lines += nested
    return "\n".join(lines) + "\n"


def _class_of(field: FieldInfo) -> type[Component] | None:
    """Return the component of a table without a name; ``None`` where no plugin brings it."""
    if isinstance(field.annotation, type):
        return field.annotation
    made = field.get_default(call_default_factory=True)
    return None if made is None else type(made)


def _component(
    path: str, kind: str, names: dict[str, str], values: dict[str, Any] | None = None
) -> list[str]:
    registry = host().registry
    usual = RunConfig.model_fields[kind].default if kind in RunConfig.model_fields else {}
    name = names.get(kind) or (usual.get("name") if isinstance(usual, dict) else None)
    cls: type[Component] = registry.load(kind, name or registry.names(kind)[0])
    others = [n for n in registry.names(kind) if n != registry.name_of(kind, cls)]
    summary = registry.find(kind, registry.name_of(kind, cls)).summary
    lines = [f"# {summary}" + (f"; also: {', '.join(others)}" if others else "")]
    lines += [f"[{path}]", f'name = "{registry.name_of(kind, cls)}"']
    nested: list[str] = []
    for option, field in options_model(cls).model_fields.items():
        default = field.default
        if values and option in values:
            lines += [*_comment(field), tomli_w.dumps({option: values[option]}).strip()]
        elif isinstance(default, dict) and "name" in default and option in KINDS:
            if option == "step_size":  # a number is enough
                lines += [*_comment(field), "step_size = 1.0"]
            else:
                nested += ["", f"# {field.description}"]
                nested += _component(f"{path}.{option}", option, {**names, option: default["name"]})
        else:
            lines += _option(option, field)
    return lines + nested


def _option(name: str, field: FieldInfo) -> list[str]:
    default: Any = field.get_default(call_default_factory=True)
    if default is PydanticUndefined:
        return [*_comment(field, "required"), f'{name} = "FILL-IN"']
    if default is None:
        return [*_comment(field, "not set"), f"# {name} = "]
    return [*_comment(field), tomli_w.dumps({name: default}).strip()]


def _words(annotation: Any) -> list[str]:
    """Return the words that an option may be, if it is a choice among words."""
    if typing.get_origin(annotation) is typing.Literal:
        return [word for word in typing.get_args(annotation) if isinstance(word, str)]
    return [word for part in typing.get_args(annotation) for word in _words(part)]


def _comment(field: FieldInfo, note: str = "") -> list[str]:
    text = field.description or ""
    words = list(dict.fromkeys(_words(field.annotation)))
    if any(word not in text for word in words):
        text += f"; one of {', '.join(words)}"
    return [f"# {text}" + (f" ({note})" if note and text else note)] if text or note else []
