"""``wopt.sample`` without options against the moments that Inference Gym stores of long HMC runs.

    pip install --no-deps inference-gym==0.0.5
    python benchmarks/gym_posteriors.py [--budget 60] [--seeds 0] [--out FILE] [TARGET ...]
    python benchmarks/gym_posteriors.py --table [--out FILE]

The densities are written here in torch, centred as there; of the package only its files of data
and of ground truth (means, deviations, standard errors) are read. *Mean off* is the largest error
of a mean in posterior deviations, *sd off* the largest relative error of a deviation. The errors
of the ground truth itself are up to 0.01 deviations. See docs/posteriors.md.
"""

import importlib.util
import itertools
import math
import runpy
from pathlib import Path

import numpy as np
import torch
from lines import parser_of, read, store

import wopt
from wopt.clock import Stopwatch

WRONG = 0.2
"""Error of a moment, in deviations, above which draws count as wrong in the table."""


def normal(x, mean, sd):
    return -(((x - mean) / sd) ** 2) / 2 - torch.log(torch.as_tensor(sd)) - math.log(math.tau) / 2


def log_normal(x, mean, sd):
    return normal(x.log(), mean, sd) - x.log()


def file(*parts):
    found = importlib.util.find_spec("inference_gym")
    if found is None:
        raise SystemExit("it is not installed: pip install --no-deps inference-gym==0.0.5")
    return runpy.run_path(str(Path(found.origin).parent.joinpath(*parts).with_suffix(".py")))


def data(name):
    arrays = {k: v for k, v in file("internal", "datasets", name).items() if k.isupper()}
    return {k: torch.as_tensor(np.asarray(v, dtype=float)) for k, v in arrays.items()}


def eight_schools(_):
    y = torch.tensor([28.0, 8, -3, 7, -1, 1, 18, 12]).double()
    sigma = torch.tensor([15.0, 10, 16, 11, 9, 11, 10, 18]).double()

    def log_prob(x):
        mean, log_sd, effects = x[:, :1], x[:, 1:2], x[:, 2:]
        prior = normal(mean, 0.0, 10.0) + normal(log_sd, 5.0, 1.0)
        return prior[:, 0] + (normal(effects, mean, log_sd.exp()) + normal(y, effects, sigma)).sum(
            1
        )

    return log_prob, ("avg_effect", "log_stddev", "school_effects"), 10, None


def brownian(of):
    y = of["OBSERVED_LOC"]
    seen = ~y.isnan()

    def steps(x, walk, noise):
        before = torch.cat([torch.zeros_like(x[:, :1]), x[:, :-1]], 1)
        return normal(x, before, walk).sum(1) + normal(y[seen], x[:, seen], noise).sum(1)

    return steps


def brownian_known(of):
    steps = brownian(of)
    scales = of["INNOVATION_NOISE"], of["OBSERVATION_NOISE"]
    return lambda x: steps(x, *scales), ("",), 30, None


def brownian_unknown(of):
    steps = brownian(of)

    def log_prob(x):
        return log_normal(x[:, :2], 0.0, 2.0).sum(1) + steps(x[:, 2:], x[:, :1], x[:, 1:2])

    names = ("innovation_noise_scale", "observation_noise_scale", "locs")
    return log_prob, names, 32, {"0": "positive", "1": "positive"}


def lorenz(of):
    y = of["OBSERVED_VALUES"]
    seen, h = ~y.isnan(), float(of["STEP_SIZE"])

    def steps(x, walk, noise):
        x = x.reshape(len(x), 30, 3)
        a, b, c = x[:, :-1].unbind(2)
        slope = torch.stack([10 * (b - a), a * (28 - c) - b, a * b - 8 / 3 * c], 2)
        start = normal(x[:, 0], 0.0, 1.0).sum(1)
        walked = normal(x[:, 1:], x[:, :-1] + h * slope, math.sqrt(h) * walk).sum((1, 2))
        return start + walked + normal(y[seen], x[:, seen, 0], noise).sum(1)

    return steps


def lorenz_known(of):
    steps = lorenz(of)
    return lambda x: steps(x, of["INNOVATION_SCALE"], of["OBSERVATION_SCALE"]), ("",), 90, None


def lorenz_unknown(of):
    steps = lorenz(of)

    def log_prob(x):
        rest = steps(x[:, 2:], x[:, :1, None], x[:, 1:2])
        return log_normal(x[:, :2], -1.0, 1.0).sum(1) + rest

    names = ("innovation_scale", "observation_scale", "latents")
    return log_prob, names, 92, {"0": "positive", "1": "positive"}


def cox_process(of):
    count, extent = of["COUNTS"], of["EXTENTS"]
    away = torch.cdist(of["LOCATIONS"], of["LOCATIONS"])
    mean = (count.log() - extent.log()).mean()

    def log_prob(x):
        amplitude, length, u = x[:, :1, None] + 0.001, x[:, 1:2, None] + 0.001, x[:, 2:]
        r = math.sqrt(3) * away / length
        kernel = amplitude**2 * (1 + r) * (-r).exp() + 1e-6 * torch.eye(100).double()
        factor = torch.linalg.cholesky_ex(kernel)[0]
        white = torch.linalg.solve_triangular(factor, (u - mean)[:, :, None], upper=False)
        field = -white[:, :, 0].square().sum(1) / 2 - factor.diagonal(0, 1, 2).log().sum(1)
        poisson = (count * (extent.log() + u) - extent * u.exp()).sum(1)
        prior = log_normal(x[:, 0], -1.0, 0.5) + log_normal(x[:, 1], -1.0, 1.0)
        return prior + field + poisson

    names = ("amplitude", "length_scale", "log_intensity")
    return log_prob, names, 102, {"0": "positive", "1": "positive"}


MIDDLE = "brownian_motion_missing_middle_observations"
TARGETS = {
    "eight_schools": (eight_schools, None),
    MIDDLE: (brownian_known, MIDDLE),
    "brownian_motion_unknown_scales_missing_middle_observations": (brownian_unknown, MIDDLE),
    "convection_lorenz_bridge": (lorenz_known, "convection_lorenz_bridge"),
    "convection_lorenz_bridge_unknown_scales": (lorenz_unknown, "convection_lorenz_bridge"),
    "synthetic_log_gaussian_cox_process": (cox_process, "synthetic_log_gaussian_cox_process"),
}


def truth(name, variables):
    """Return means and deviations, shape ``(d,)``, of the variables in their order."""
    of = file("targets", "ground_truth", name)
    keys = ["_".join(filter(None, ("IDENTITY", v.upper()))) for v in variables]
    moments = ("MEAN", "STANDARD_DEVIATION")
    return [
        torch.as_tensor(np.concatenate([np.ravel(of[f"{k}_{m}"]) for k in keys])) for m in moments
    ]


def measure(name, budget, seed):
    make, source = TARGETS[name]
    log_prob, variables, dim, support = make(None if source is None else data(source))
    mean, sd = truth(name, variables)
    watch = Stopwatch()
    found = wopt.sample(log_prob, dim, support=support, budget=budget, seed=seed)
    return {
        "target": name, "d": dim, "budget": budget, "seed": seed, "cpu": round(watch.cpu, 1),
        "mean_off": round(float(((found.means - mean) / sd).abs().max()), 3),
        "sd_off": round(float((found.sds / sd - 1).abs().max()), 3),
        "ess": round(float(found.report.ess / len(found.draws)), 3), "k_hat": round(found.k_hat, 2),
        "reliable": found.reliable, "warnings": [text[:80] for text in found.report.warnings],
    }  # fmt: skip


def table(lines):
    print("| target | d | seed | CPU s | mean off, sd | sd off | ESS/S | reliable | |")
    print("|---|---|---|---|---|---|---|---|---|")
    for one in lines:
        wrong = max(one["mean_off"], one["sd_off"]) > WRONG
        judged = "wrong" if wrong else "right"
        said = "yes" if one["reliable"] else "no"
        cells = [one["target"].replace("_", " "), one["d"], one["seed"], f"{one['cpu']:.0f}",
                 one["mean_off"], one["sd_off"], one["ess"], said, judged]  # fmt: skip
        print("| " + " | ".join(map(str, cells)) + " |")


def main():
    torch.set_num_threads(1)
    parser = parser_of(__file__, __doc__)
    parser.add_argument("targets", nargs="*", default=list(TARGETS), metavar="TARGET")
    parser.add_argument("--budget", type=float, default=60.0, help="CPU seconds of wopt.sample")
    parser.add_argument("--seeds", nargs="*", type=int, default=[0])
    given = parser.parse_args()
    if given.table:
        table(read(given.out))
        return
    jobs = itertools.product(given.seeds, given.targets)
    store(given.out, (measure(name, given.budget, seed) for seed, name in jobs))


if __name__ == "__main__":
    main()
