"""The JSON Schema is made from what is installed: its references resolve, and it decides right."""

import json
import re

import pytest
from jsonschema import Draft202012Validator

from wopt.config.model import to_table, validate
from wopt.host import host
from wopt.registry import KINDS
from wopt_options.schema import schema


@pytest.fixture(scope="module")
def found():
    return schema()


def fits(value, schema):
    return Draft202012Validator(schema).is_valid(value)


def test_it_is_a_schema_whose_references_resolve(found):
    assert json.loads(json.dumps(found)) == found
    Draft202012Validator.check_schema(found)
    references = re.findall(r'"\$ref": "#/\$defs/([^"]+)"', json.dumps(found))
    assert len(references) > 10
    assert set(references) <= set(found["$defs"])


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
    assert fits(certified, found)
    assert fits(to_table(validate(certified)), found)
    assert fits({"source": "toy", "scheme": {"name": "jko", "step_size": 0.5}}, found)


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
    assert not fits(certified, found)


def test_it_refuses_unknown_tables(found, certified):
    assert not fits(certified | {"sovler": {}}, found)
    del certified["source"]
    assert not fits(certified, found)
