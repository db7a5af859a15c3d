"""``wopt show``."""

from __future__ import annotations

import inspect
from typing import Any

import click


@click.command("show")
@click.argument("kind")
@click.argument("name")
def show_command(kind: str, name: str) -> None:
    """Show the component NAME of a KIND: its description, options, needs and what it provides."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from wopt.capabilities import Capability
    from wopt.citations import citation_in_words, find_citations
    from wopt.component import options_model
    from wopt.host import host

    registry = host().registry
    cls: Any = registry.load(kind, name)
    entry = registry.find(kind, name)
    console = Console(highlight=False)
    console.print(f"[bold]{kind} {entry.name}[/]  plugin {entry.plugin}, {escape(entry.path)}")
    console.print(
        inspect.cleandoc(cls.__doc__ or "").split("\n\nArgs:")[0], markup=False, soft_wrap=True
    )
    for attribute in ("needs", "provides"):
        value = getattr(cls, attribute, None)
        if isinstance(value, Capability) and value:
            console.print(f"{attribute}: {value.describe()}")
    for key, cited in find_citations(cls.cites or (), cls.__module__).items():
        console.print(f"cites {key}: {citation_in_words(cited)}", markup=False, soft_wrap=True)
    table = Table("option", "type", "default", "meaning")
    schema = options_model(cls).model_json_schema()
    for option, body in schema.get("properties", {}).items():
        required = option in schema.get("required", [])
        default = "(required)" if required else str(body.get("default", ""))
        table.add_row(
            option, escape(_type(body)), escape(default), escape(str(body.get("description", "")))
        )
    if table.row_count:
        console.print(table)


def _type(body: dict[str, Any]) -> str:
    if "x-wopt-kind" in body:
        return f"a {body['x-wopt-kind']}"
    if "enum" in body:
        return " | ".join(str(v) for v in body["enum"])
    if "anyOf" in body:
        return " | ".join(_type(choice) for choice in body["anyOf"])
    if body.get("type") == "array":
        return f"list of {_type(body['items'])}" if "items" in body else "list"
    limits = [
        f"{sign} {body[key]}"
        for key, sign in (
            ("minimum", ">="),
            ("exclusiveMinimum", ">"),
            ("maximum", "<="),
            ("exclusiveMaximum", "<"),
        )
        if key in body
    ]
    return " ".join([str(body.get("type", "any")), *limits])
