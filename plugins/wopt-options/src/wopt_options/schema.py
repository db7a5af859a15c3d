"""The JSON Schema of all installed options, and commented configurations to begin with."""

from __future__ import annotations

import json
import typing
from collections.abc import Sequence
from typing import Any

import click
import tomli_w
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from wopt.component import Component, options_model
from wopt.config import RunConfig
from wopt.errors import WoptError
from wopt.host import host
from wopt.registry import KINDS, Kind


@click.command("schema")
def schema_command() -> None:
    """Print the JSON Schema of configurations with all installed components."""
    click.echo(json.dumps(schema(), indent=2))


def installed_components(kind: str) -> dict[str, type[Component]]:
    """Return the components of a kind that can be imported, by the name a file would use."""
    registry, components = host().registry, {}
    for entry in registry.entries(kind):
        try:
            cls = registry.load(kind, entry.qualified)
            components[registry.name_of(kind, cls)] = cls
        except WoptError:  # `wopt plugins` lists it as failed
            continue
    return components


def schema() -> dict[str, Any]:
    """Return a JSON Schema (2020-12) of configurations, made from the live registry."""
    definitions: dict[str, Any] = {}
    for kind in KINDS.values():
        choices = []
        for name, cls in installed_components(kind.name).items():
            key = f"{kind.name}.{name}"
            definitions[key] = _component(kind, name, cls, definitions)
            choices.append({"$ref": f"#/$defs/{key}"})
        definitions[kind.name] = {"anyOf": [*_shorthands(kind), *choices]}
    body = _resolve(RunConfig.model_json_schema(), definitions)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "wopt configuration",
        **{k: v for k, v in body.items() if k not in ("$defs", "title")},
        "$defs": definitions,
    }


def _component(
    kind: Kind, name: str, cls: type[Component], definitions: dict[str, Any]
) -> dict[str, Any]:
    body = _resolve(options_model(cls).model_json_schema(), definitions)
    body.pop("$defs", None)
    body["title"] = name
    body["description"] = (cls.__doc__ or "").strip().split("\n")[0]
    body["properties"] = {"name": {"const": name}, **body.get("properties", {})}
    named = [] if name == kind.default else ["name"]
    body["required"] = [*named, *body.get("required", [])]
    return body


def _shorthands(kind: Kind) -> list[dict[str, Any]]:
    schemas: list[dict[str, Any]] = [{"enum": list(installed_components(kind.name))}]
    if kind.number:
        schemas.append({"type": "number", "exclusiveMinimum": 0})
    if kind.sequence:
        schemas.append({"type": "array", "items": {"type": "number"}, "minItems": 1})
    return schemas


def _resolve(node: Any, definitions: dict[str, Any]) -> Any:
    """Turn the markers of components into references, and lift nested definitions."""
    if isinstance(node, list):
        return [_resolve(item, definitions) for item in node]
    if not isinstance(node, dict):
        return node
    for name, body in node.get("$defs", {}).items():
        definitions.setdefault(name, _resolve(body, definitions))
    if "x-wopt-kind" in node:
        rest = {k: v for k, v in node.items() if k != "x-wopt-kind"}
        return {**rest, "$ref": f"#/$defs/{node['x-wopt-kind']}"}
    return {k: _resolve(v, definitions) for k, v in node.items() if k != "$defs"}


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
            lines += _commented(table, table, names, (values or {}).get(table, {}))
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


def _commented(
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
                nested += _commented(f"{path}.{option}", option, {**names, option: default["name"]})
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
