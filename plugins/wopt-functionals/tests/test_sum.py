"""Sums for files, interactions' options, and runs from a configuration."""

import pytest
import torch

import wopt
from wopt import Capability, Particles
from wopt.config.model import validate
from wopt.runs.preparation import prepare
from wopt.train.steps import iterate
from wopt_functionals import MMD, Entropy, Interaction, Part, Potential, SumOfParts
from wopt_options.schema import schema

PARTS = [
    {"objective": "entropy"},
    {"weight": 0.5, "objective": {"name": "interaction", "strength": 3.0}},
]


@pytest.fixture
def particles():
    x = torch.randn(30, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return Particles.start(x, log_density=-x.square().sum(1))


def test_a_sum_is_the_sum_that_python_makes(particles):
    made = wopt.build("objective", {"name": "sum", "parts": PARTS})
    written = Entropy() + 0.5 * Interaction(strength=3.0)
    assert isinstance(made, wopt.Sum)
    assert torch.equal(made.energy(particles), written.energy(particles))
    assert torch.equal(made.contributions(particles), written.contributions(particles))
    assert made.terms(particles).keys() == {"entropy", "interaction"}
    assert made.needs == Capability.LOG_DET
    assert made.convexity == written.convexity == 0.0
    explicit, rest = made.split()
    assert float(explicit.energy(particles)) == 0.5 * float(
        Interaction(strength=3.0).energy(particles)
    )
    assert isinstance(rest, Entropy)


def test_negative_weights_make_a_difference_of_functionals():
    made = SumOfParts(
        parts=[Part(objective=Potential()), Part(objective=Interaction(), weight=-0.2)]
    )
    rest, c = made.difference()
    assert isinstance(rest, Potential)
    assert made.convexity is None
    assert c.needs == Capability.NOTHING


def test_all_parts_of_a_sum_are_drawn(particles):
    made = SumOfParts(parts=[Part(objective=MMD(samples=20)), Part(objective=MMD(samples=30))])
    drawn, values = (
        made.at(5),
        [part.objective.at(5).energy(particles) for part in made.options["parts"]],
    )
    assert float(drawn.energy(particles)) == pytest.approx(float(sum(values)), rel=1e-6)
    assert not torch.equal(made.energy(particles), drawn.energy(particles))
    assert {"mmd", "mmd_1"} == made.terms(particles).keys()


def test_a_sum_takes_sums():
    table = {"name": "sum", "parts": [{"objective": {"name": "sum", "parts": PARTS}, "weight": 2}]}
    made = wopt.build("objective", table)
    assert made.needs == Capability.LOG_DET
    assert wopt.config_of(made)["parts"][0]["objective"]["parts"][1]["weight"] == 0.5


@pytest.mark.parametrize(
    ("parts", "word"),
    [
        ([], "at least 1"),
        ([{"objective": "entropi"}], "entropy"),
        ([{"objective": "entropy", "wieght": 2}], "weight"),
        ([{"weight": 1.0}], "objective"),
    ],
)
def test_mistakes_in_parts_are_explained(parts, word):
    with pytest.raises(wopt.ConfigError, match=word):
        wopt.build("objective", {"name": "sum", "parts": parts})


def test_mistakes_in_options_are_explained():
    with pytest.raises(wopt.ConfigError, match="infinite at 0"):
        Interaction(kernel="log", estimator="v")
    with pytest.raises(wopt.ConfigError, match="infinite at 0"):
        Interaction(kernel="power", power=-1.0, estimator="v")
    with pytest.raises(wopt.ConfigError, match="constant"):
        Interaction(kernel="power", power=0.0)
    with pytest.raises(wopt.ConfigError, match="quadratic, power"):
        Interaction(kernel="cubic")
    for name, option in (("internal", "m"), ("renyi_entropy", "alpha")):
        with pytest.raises(wopt.ConfigError, match="entropy"):
            wopt.build("objective", {"name": name, option: 1})
    with pytest.raises(wopt.ConfigError, match="Python function"):
        wopt.build("objective", {"name": "f_divergence", "f": "s*log(s)"})
    with pytest.raises(wopt.CapabilityError, match="LOG_DET"):
        Entropy().energy(Particles(torch.zeros(3, 1)))


def test_what_is_needed_is_checked_before_work_and_alternatives_are_named():
    data = Particles.start(torch.randn(50, 2, generator=torch.Generator().manual_seed(0)))
    with pytest.raises(wopt.CapabilityError) as caught:
        wopt.solve(data, objective="chi2")
    message = str(caught.value)
    assert "LOG_DENSITY" in message
    for name in ("entropy", "mmd", "ksd", "energy_distance", "sliced_wasserstein"):
        assert name in message
    assert "renyi" not in message
    assert "internal" not in message


@pytest.mark.parametrize(
    ("kernel", "strength", "power", "expected"),
    [
        ("quadratic", 2.0, 1.0, (0.0, 0.0)),
        ("quadratic", -2.0, 1.0, (-2.0, None)),
        ("power", 1.0, 1.5, (0.0, 0.0)),
        ("power", 1.0, 0.5, (None, 0.0)),
        ("power", -1.0, 1.0, (None, None)),
        ("log", 1.0, 1.0, (None, None)),
        ("attraction_repulsion", 3.0, 1.0, (-3.0, None)),
    ],
)
def test_stated_convexity_holds_along_lines_of_particles(kernel, strength, power, expected):
    g = Interaction(kernel=kernel, strength=strength, power=power)
    assert (g.convexity, g.minimum) == expected
    if g.convexity is None:
        return
    rng = torch.Generator().manual_seed(0)
    for _ in range(20):
        x, y = (torch.randn(8, 2, dtype=torch.float64, generator=rng) for _ in range(2))
        middle = g.energy(Particles((x + y) / 2))
        ends = (g.energy(Particles(x)) + g.energy(Particles(y))) / 2
        gap = (x - y).square().sum(1).mean()
        assert float(middle - ends + g.convexity * gap / 8) < 1e-12


def test_stated_convexity_of_the_gaussian_mmd():
    from wopt.testing import NormalTarget

    g = MMD(NormalTarget([0.0], [[0.01]]), bandwidth=0.7, samples=50)
    draw, least = torch.Generator().manual_seed(0), 0.0
    for _ in range(200):
        x, v = (torch.randn(3, 1, dtype=torch.float64, generator=draw) for _ in range(2))
        h = 1e-3
        energies = [float(g.energy(Particles(x + t * v))) for t in (-h, 0.0, h)]
        curvature = (energies[0] - 2 * energies[1] + energies[2]) / h**2
        least = min(least, curvature / float(v.square().mean()))
    assert g.convexity < least < 0.2 * g.convexity


def test_the_schema_of_all_objectives_can_be_made():
    definitions = schema()["$defs"]
    assert "objective.sum" in definitions
    assert definitions["objective.mmd"]["properties"]["kernel"]["enum"][0] == "gaussian"


def test_noise_to_samples_runs_from_a_configuration():
    table = {
        "source": {"name": "gaussian", "dim": 2, "n_train": 300, "n_valid": 200, "n_test": 200},
        "objective": {
            "name": "sum",
            "parts": [
                {
                    "objective": {
                        "name": "energy_distance",
                        "samples": 200,
                        "target": {
                            "name": "samples",
                            "source": {"name": "toy", "shape": "moons", "preprocess": "none"},
                        },
                    }
                },
                {"weight": 0.01, "objective": "entropy"},
            ],
        },
        "scheme": {"name": "jko", "step_size": [2.0, 4.0]},
        "block": {"name": "ode", "width": 16},
        "solver": {"iterations": 50, "batch_size": 150, "learning_rate": 0.02},
        "stop": {"steps": 2},
    }
    config = validate(table)
    prepared = prepare(config, config.source.load(0))
    problem = prepared.problem
    records = [r for _, r in iterate(problem, problem.begin(prepared.train, prepared.valid))]
    assert len(records) == 2
    assert records[-1].terms["energy_distance"] < 0.5 * _start_distance(table)


def _start_distance(table):
    objective = wopt.build("objective", table["objective"]["parts"][0]["objective"])
    x = wopt.build("source", table["source"]).load(0).valid
    return float(objective.energy(Particles(x)))
