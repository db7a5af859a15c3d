"""The JSON Schema is made from what is installed: its references resolve, and it decides right."""

import json

import pytest

from wopt.config.model import to_table, validate
from wopt.config.schema import schema
from wopt.host import host
from wopt.registry import KINDS

KEYWORDS = {
    "$schema", "$defs", "$ref", "title", "description", "type", "properties", "required", "enum",
    "const", "anyOf", "oneOf", "allOf", "not", "items", "prefixItems", "minItems", "maxItems",
    "additionalProperties", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum",
    "default", "format", "minLength", "maxLength", "pattern", "discriminator", "propertyNames",
}  # fmt: skip
TYPES = {
    "object": dict, "array": list, "string": str, "boolean": bool, "null": type(None),
    "integer": int, "number": (int, float),
}  # fmt: skip


@pytest.fixture(scope="module")
def found():
    return schema()


def nodes(node, named=False):
    """Yield every schema within a schema; the keys of a ``named`` table are names."""
    if not named:
        yield node
    for key, value in node.items():
        if named or key in ("items", "additionalProperties", "not"):
            if isinstance(value, dict):
                yield from nodes(value)
        elif key in ("properties", "$defs"):
            yield from nodes(value, named=True)
        elif key in ("anyOf", "oneOf", "allOf", "prefixItems"):
            for item in value:
                yield from nodes(item)


def fits(value, node, root):
    """Whether a value satisfies a schema (the keywords that wopt uses)."""
    if "$ref" in node and not fits(value, root["$defs"][node["$ref"][8:]], root):
        return False
    if "type" in node:
        ok = isinstance(value, TYPES[node["type"]])
        if not ok or (isinstance(value, bool) and node["type"] in ("integer", "number")):
            return False
    if "enum" in node and value not in node["enum"]:
        return False
    if "const" in node and value != node["const"]:
        return False
    if "anyOf" in node and not any(fits(value, choice, root) for choice in node["anyOf"]):
        return False
    if "not" in node and fits(value, node["not"], root):
        return False
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        for key, sign in (("minimum", 1), ("maximum", -1)):
            if key in node and sign * (value - node[key]) < 0:
                return False
            exclusive = f"exclusive{key.capitalize()}"
            if exclusive in node and sign * (value - node[exclusive]) <= 0:
                return False
    if isinstance(value, list):
        if not node.get("minItems", 0) <= len(value) <= node.get("maxItems", len(value)):
            return False
        if "items" in node and not all(fits(item, node["items"], root) for item in value):
            return False
    if isinstance(value, dict):
        known = node.get("properties", {})
        if any(key not in value for key in node.get("required", [])):
            return False
        if node.get("additionalProperties") is False and set(value) - set(known):
            return False
        return all(fits(value[key], known[key], root) for key in value if key in known)
    return True


def test_every_reference_resolves(found):
    references = [node["$ref"] for node in nodes(found) if "$ref" in node]
    assert len(references) > 10
    for reference in references:
        assert reference.startswith("#/$defs/")
        assert reference.removeprefix("#/$defs/") in found["$defs"]


def test_it_is_json_and_uses_known_keywords_only(found):
    assert json.loads(json.dumps(found)) == found
    used = {key for node in nodes(found) for key in node}
    assert used - KEYWORDS == set()
    assert all(node.get("type", "object") in TYPES for node in nodes(found))


def test_every_installed_component_is_in_it(found):
    for kind in KINDS:
        names = {e.name for e in host().registry.entries(kind) if e.plugin != "session"}
        shorthand = found["$defs"][kind]["anyOf"][0]["enum"]
        assert names <= set(shorthand)
        for name in names:
            assert found["$defs"][f"{kind}.{name}"]["properties"]["name"] == {"const": name}
            assert {"$ref": f"#/$defs/{kind}.{name}"} in found["$defs"][kind]["anyOf"]


def test_the_command_prints_it(command, found):
    answer = command("schema")
    assert answer.status == 0
    assert set(json.loads(answer.out)["$defs"]) >= set(found["$defs"])


def test_it_accepts_what_wopt_accepts(found, certified):
    assert fits(certified, found, found)
    assert fits(to_table(validate(certified)), found, found)
    assert fits({"source": "toy", "scheme": {"name": "jko", "step_size": 0.5}}, found, found)


@pytest.mark.parametrize(
    ("place", "key", "value"),
    [
        ("block", "width", 0),
        ("block", "widht", 5),
        ("block", "name", "odd"),
        ("solver", "learning_rate", "fast"),
        ("scheme", "step_size", -1.0),
        ("scheme", "step_size", []),
        ("stop", "steps", 1.5),
    ],
)
def test_it_refuses_what_wopt_refuses(found, certified, place, key, value):
    certified[place][key] = value
    assert not fits(certified, found, found)


def test_it_refuses_unknown_tables(found, certified):
    assert not fits(certified | {"sovler": {}}, found, found)
    del certified["source"]
    assert not fits(certified, found, found)
