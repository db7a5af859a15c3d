"""Tables of options, made from the models that validate them."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from pydantic import BaseModel

LIMITS = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}


def option_table(model: type[BaseModel], without: Collection[str] = ()) -> str:
    """Return a Markdown table of a model's options: type, default, meaning."""
    schema = model.model_json_schema()
    known = schema.get("$defs", {})
    rows = []
    for name, body in schema.get("properties", {}).items():
        if name in without:
            continue
        default = "required" if name in schema.get("required", []) else shown(body.get("default"))
        text = str(body.get("description", ""))
        cells = [f"`{name}`", kind_of(body, known), default, text]
        rows.append(
            "| " + " | ".join(c.replace("|", "\\|").replace("\n", " ") for c in cells) + " |"
        )
    if not rows:
        return "None."
    return "\n".join(["| option | type | default | meaning |", "|---|---|---|---|", *rows])


def shown(value: Any) -> str:
    """Return a default as a configuration file would write it."""
    if value is None:
        return "not set"
    if isinstance(value, dict):
        return f"`{value['name']}`" if set(value) == {"name"} else f"`{json.dumps(value)}`"
    return f"`{json.dumps(value)}`"


def kind_of(body: dict[str, Any], known: dict[str, Any]) -> str:
    """Return the type of an option in words."""
    if "x-wopt-kind" in body:
        return (
            f"[{body['x-wopt-kind'].replace('_', ' ')}](/reference/{body['x-wopt-kind']}/index.md)"
        )
    if "$ref" in body:
        return kind_of(known.get(body["$ref"].rpartition("/")[2], {}), {})
    if "enum" in body:
        return ", ".join(f"`{value}`" for value in body["enum"])
    if "const" in body:
        return f"`{body['const']}`"
    if "anyOf" in body:
        kinds = [kind_of(choice, known) for choice in body["anyOf"] if choice.get("type") != "null"]
        return " or ".join(dict.fromkeys(kinds))
    if body.get("type") == "array":
        inner = kind_of(body["items"], known) if body.get("items") else "values"
        return f"list of {inner}"
    limits = [f"{sign} {body[key]}" for key, sign in LIMITS.items() if key in body]
    return " ".join(
        [{"object": "table"}.get(body.get("type", ""), body.get("type", "any")), *limits]
    )
