"""The registry: names, collisions, and what is found only when a component is loaded."""

import pytest

import wopt
from wopt.registry import Registry

GOOD = """
import wopt
class Half(wopt.StepSize):
    def __call__(self, step, previous=None):
        return 0.5
class NoRule:
    pass
def function():
    pass
"""


@pytest.fixture
def registry(module):
    module("registry_good", GOOD)
    made = Registry()
    for plugin in ("one", "two"):
        with made.registering(plugin):
            made.add("step_size", "half", "registry_good:Half", summary=f"of {plugin}")
    with made.registering("one"):
        made.add("step_size", "only", "registry_good:Half")
    return made


def test_a_name_taken_twice_names_both_plugins(registry):
    with pytest.raises(wopt.PluginError) as caught:
        registry.load("step_size", "half")
    for word in ("plugin 'one'", "plugin 'two'", "'one:half' or 'two:half'"):
        assert word in str(caught.value)


def test_a_qualified_name_picks_one(registry):
    assert registry.find("step_size", "two:half").summary == "of two"
    assert registry.load("step_size", "one:half").__name__ == "Half"


def test_one_name_is_listed_once(registry):
    assert registry.names("step_size") == ["half", "only"]
    assert [e.qualified for e in registry.entries("step_size")] == [
        "one:half",
        "two:half",
        "one:only",
    ]


def test_an_unknown_name_answers_with_close_ones(registry):
    with pytest.raises(wopt.PluginError) as caught:
        registry.find("step_size", "hafl")
    for word in ("no step_size named 'hafl'", "known: half, only", "did you mean 'half'?"):
        assert word in str(caught.value)
    assert "failed to load" not in str(caught.value)


def test_an_unknown_name_mentions_failed_plugins(registry):
    registry.failures["broken"] = "ImportError: gone"
    with pytest.raises(wopt.PluginError, match=r"failed to load: broken; `wopt plugins` says why"):
        registry.find("step_size", "quarter")


def test_a_kind_without_components_says_none(registry):
    with pytest.raises(wopt.PluginError, match="no tracker named 'wandb'; known: none"):
        registry.find("tracker", "wandb")


def test_an_unknown_kind(registry):
    with pytest.raises(wopt.PluginError, match=r"'objektive'; kinds: .*did you mean 'objective'"):
        registry.find("objektive", "kl")


@pytest.mark.parametrize("name", ["", "Half", "half-size", "1half", "ha lf", "one:half", "half\n"])
def test_malformed_names_are_refused(registry, name):
    with pytest.raises(wopt.PluginError, match="not a usable name"):
        registry.add("step_size", name, "registry_good:Half")


@pytest.mark.parametrize("path", ["registry_good", "registry_good.Half", "a b:C", ":Half", "m:"])
def test_malformed_paths_are_refused(registry, path):
    with pytest.raises(wopt.PluginError, match="not of the form 'module:Class'"):
        registry.add("step_size", "other", path)


@pytest.mark.parametrize("name", ["NoRule", "function"])
def test_a_wrong_type_is_found_at_load_and_recorded(registry, name):
    with registry.registering("wrong"):
        registry.add("step_size", "odd", f"registry_good:{name}")
    with pytest.raises(wopt.PluginError, match="is not a subclass of StepSize"):
        registry.load("step_size", "odd")
    assert "not a subclass of StepSize" in registry.failures["wrong"]
    assert registry.load("step_size", "only").__name__ == "Half"


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("registry_good:Gone", "AttributeError"),
        ("no_such_module:Gone", "ModuleNotFoundError"),
        ("registry_broken:X", "ZeroDivisionError"),
    ],
)
def test_a_component_that_cannot_be_imported_says_why(registry, module, path, reason):
    module("registry_broken", "1 / 0")
    with registry.registering("late"):
        registry.add("step_size", "late", path)
    with pytest.raises(wopt.PluginError) as caught:
        registry.load("step_size", "late")
    for word in ("step_size 'late' of plugin 'late' cannot be imported", path, reason):
        assert word in str(caught.value)


def test_name_of_finds_a_class_through_its_path(registry):
    half = registry.load("step_size", "only")
    assert registry.name_of("step_size", half) in ("one:half", "only")
    with pytest.raises(wopt.PluginError, match="NoRule is not registered"):
        registry.name_of("step_size", __import__("registry_good").NoRule)


def test_name_of_a_shared_name_is_qualified(module):
    module("registry_good", GOOD)
    module("registry_other", GOOD)
    registry = Registry()
    for plugin, place in (("one", "registry_good"), ("two", "registry_other")):
        with registry.registering(plugin):
            registry.add("step_size", "half", f"{place}:Half")
    other = registry.load("step_size", "two:half")
    assert other is not registry.load("step_size", "one:half")
    assert registry.name_of("step_size", other) == "two:half"


def test_a_session_may_register_again_but_not_a_plugins_name(session):
    class Mine(wopt.StepSize):
        def __call__(self, step, previous=None):
            return 1.0

    wopt.register("step_size", "mine", Mine)
    wopt.register("step_size", "mine", Mine)
    assert isinstance(wopt.build("step_size", "mine"), Mine)
    with pytest.raises(wopt.PluginError, match="'constant'"):
        wopt.register("step_size", "constant", Mine)
