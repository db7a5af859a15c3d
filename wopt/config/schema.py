"""The JSON Schema of all installed options."""

from __future__ import annotations

from typing import Any

from wopt.component import Component, options_model
from wopt.config.model import RunConfig
from wopt.errors import WoptError
from wopt.host import host
from wopt.registry import KINDS, Kind

__all__ = ["installed_components", "schema"]


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
    """Return a JSON Schema (2020-12) of configurations, made from the live registry.

    Example:
        >>> schema()["$schema"]
        'https://json-schema.org/draft/2020-12/schema'
    """
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
