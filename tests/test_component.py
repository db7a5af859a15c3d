"""A component's constructor is its configuration: options, messages with their place."""

import typing
from typing import Annotated

import pytest
from pydantic import Field

import wopt
from wopt.component import Spec, options_model
from wopt.config.model import to_table, validate
from wopt.registry import KINDS
from wopt_options.schema import installed_components


class Dial(wopt.Component):
    """A component without a kind."""

    def __init__(
        self,
        rate: Annotated[float, Field(gt=0, description="rate")],
        mode: Annotated[str, Field(description="mode")] = "fast",
    ):
        self.rate, self.mode = rate, mode


class Louder(Dial):
    """A subclass whose constructor calls its parent's."""

    def __init__(self, volume: Annotated[int, Field(ge=1, description="volume")] = 3):
        super().__init__(rate=float(volume))
        self.volume = volume


class Inherits(Dial):
    """A subclass that has its parent's constructor."""


def test_the_constructor_validates_and_converts():
    dial = Dial("0.5", mode="slow")
    assert (dial.rate, dial.mode) == (0.5, "slow")
    assert dial.options == {"rate": 0.5, "mode": "slow"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"rate": -1}, ["Dial: rate:", "greater than 0", "got -1"]),
        ({"rate": "quick"}, ["Dial: rate:", "number", "got 'quick'"]),
        ({}, ["Dial: rate: is required"]),
        ({"rate": 1, "mod": "x"}, ["Dial: mod: unknown option", "did you mean 'mode'"]),
        ({"rate": 1, "zzz": 1}, ["Dial: zzz: unknown option", "known: rate, mode"]),
    ],
)
def test_a_mistake_is_named_with_its_place(arguments, words):
    with pytest.raises(wopt.ConfigError) as caught:
        Dial(**arguments)
    for word in words:
        assert word in str(caught.value)


def test_every_mistake_is_told_at_once():
    with pytest.raises(wopt.ConfigError) as caught:
        Dial(rate=-1, mode=3)
    assert len(str(caught.value).splitlines()) == 2


def test_too_many_positional_arguments():
    with pytest.raises(wopt.ConfigError, match="Dial: too many positional"):
        Dial(1.0, "fast", 3)


def test_an_argument_given_twice_is_refused():
    with pytest.raises(wopt.ConfigError, match="rate"):
        Dial(1.0, rate=2.0)


def test_a_subclass_has_options_of_its_own():
    loud = Louder(volume=7)
    assert (loud.rate, loud.options) == (7.0, {"volume": 7})
    with pytest.raises(wopt.ConfigError, match="Louder: rate: unknown option"):
        Louder(rate=1.0)


def test_a_subclass_may_inherit_the_constructor():
    assert Inherits(2).options == {"rate": 2.0, "mode": "fast"}
    with pytest.raises(wopt.ConfigError, match="Inherits: rate"):
        Inherits(-2)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"objective": {"name": "kl", "target": {"name": "gaussian", "scale": -1}}},
         ["objective.target.scale", "positive", "-1"]),
        ({"objective": {"name": "kl", "target": {"name": "gaussian", "scal": 1}}},
         ["objective.target.scal: unknown option", "did you mean 'scale'"]),
        ({"objective": {"name": "kl", "target": "gausian"}},
         ["objective.target: no target named 'gausian'", "did you mean 'gaussian'"]),
        ({"objective": {"target": "gaussian"}}, ["objective: the table of an objective needs"]),
        ({"objective": 5}, ["objective: expected an objective"]),
        ({"scheme": {"name": "jko", "step_size": -2}}, ["scheme.step_size", "greater than 0"]),
        ({"scheme": {"name": "jko", "step_size": [1, -2]}}, ["scheme.step_size", "values.1"]),
        ({"scheme": {"name": "jko", "transport": "truck"}}, ["scheme.transport", "'truck'"]),
        ({"block": {"name": "ode", "width": 0}}, ["block.width", "greater than or equal to 1"]),
        ({"solver": {"iteration": 5}}, ["solver.iteration: unknown", "'iterations'"]),
        ({"solver": 5}, ["solver: expected a solver: an instance, a name"]),
        ({"stop": {"steps": 0}}, ["stop.steps", "greater than or equal to 1"]),
        ({"guard": {"retries": -1}}, ["guard.retries"]),
        ({"sed": 1}, ["sed: unknown option", "did you mean 'seed'"]),
        ({"seed": -1}, ["seed", "greater than or equal to 0"]),
        ({"seed": 1.5}, ["seed", "integer"]),
        ({"dtype": "float16"}, ["dtype", "float32"]),
        ({"device": "abacus"}, ["device: ", "device 'abacus' cannot be used"]),
        ({"model": "push"}, ["model", "push_forward"]),
    ],
)  # fmt: skip
def test_a_configuration_names_the_place_of_a_mistake(table, words):
    with pytest.raises(wopt.ConfigError) as caught:
        validate({"source": "toy"} | table, "file.toml")
    for line in str(caught.value).splitlines():
        assert line.startswith("file.toml: ")
    for word in words:
        assert word in str(caught.value)


def test_a_missing_table_is_named():
    with pytest.raises(wopt.ConfigError, match=r"file\.toml: source: is required"):
        validate({}, "file.toml")


@pytest.mark.parametrize(
    ("given", "values"),
    [
        (0.25, [0.25, 0.25, 0.25]),
        (2, [2.0, 2.0, 2.0]),
        ([1, 4], [1.0, 4.0, 4.0]),
        ("geometric", [0.25, 0.35, 0.49]),
        ({"name": "geometric", "initial": 1.0, "ratio": 3.0}, [1.0, 3.0, 9.0]),
    ],
)
def test_shorthands_of_a_step_size(given, values):
    rule = wopt.build("step_size", given)
    assert [rule(n) for n in range(3)] == pytest.approx(values)
    again = wopt.build("step_size", wopt.config_of(rule))
    assert type(again) is type(rule)
    assert [again(n) for n in range(3)] == [rule(n) for n in range(3)]
    scheme = validate({"source": "toy", "scheme": {"name": "jko", "step_size": given}}).scheme
    assert [scheme.step_size(n) for n in range(3)] == pytest.approx(values)


@pytest.mark.parametrize("given", [True, None, [], "0.5", {"value": 1.0}, 0, float("nan")])
def test_what_is_no_step_size(given):
    with pytest.raises(wopt.ConfigError, match="step_size"):
        wopt.build("step_size", given)


def test_only_step_sizes_may_be_numbers():
    with pytest.raises(wopt.ConfigError, match="target: expected a target"):
        wopt.build("target", 0.5)


def test_build_takes_an_instance_a_class_and_a_table():
    target = wopt.build("target", "gaussian")
    assert wopt.build("target", target) is target
    assert type(wopt.build("target", type(target))) is type(target)
    kl = wopt.build("objective", {"name": "kl", "target": target})
    assert kl.target is target


def test_a_block_waits_for_its_dimension():
    spec = wopt.build("block", {"name": "ode", "width": 5})
    assert isinstance(spec, Spec)
    block = spec.build(dim=3)
    assert {tuple(p.shape) for p in block.parameters()} >= {(5, 3), (5, 5), (3, 5)}
    assert wopt.config_of(block) == wopt.config_of(spec)
    assert wopt.config_of(block)["width"] == 5
    assert "dim" not in wopt.config_of(block)


def test_dim_is_no_option_of_a_block():
    with pytest.raises(wopt.ConfigError, match="block: dim: unknown option"):
        wopt.build("block", {"name": "ode", "dim": 3})


def test_config_of_an_unregistered_class_says_how_to_register_it():
    class Mine(wopt.StepSize):
        def __call__(self, step, previous=None):
            return 1.0

    with pytest.raises(wopt.PluginError, match=r"wopt\.register\('step_size', 'its_name', Mine\)"):
        wopt.config_of(Mine())


def test_a_resolved_configuration_validates_to_itself(tiny):
    table = to_table(validate(tiny))
    assert to_table(validate(table)) == table
    assert table["objective"]["target"]["name"] == "gaussian"
    assert table["scheme"]["step_size"] == {"name": "sequence", "values": [0.5, 1.0]}


def test_none_is_always_the_default():
    """TOML has no None, so an option that takes it must have it as default to be written back."""
    settings = [wopt.Guard, wopt.Stop]
    components = [cls for kind in KINDS for cls in installed_components(kind).values()]
    for cls in [*settings, *components]:
        for name, field in options_model(cls).model_fields.items():
            takes_none = type(None) in typing.get_args(field.annotation)
            assert not takes_none or field.default is None, f"{cls.__name__}.{name}"


def test_an_option_that_is_gone_is_read_and_told():
    with pytest.warns(FutureWarning, match="Running: shards is not an option any more"):
        assert wopt.RunConfig(source="toy", run={"shards": 4}).run.hold == "all"
