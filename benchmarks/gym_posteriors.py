"""``wopt.sample`` without options, and NUTS, against moments that others store of long chains.

    pip install --no-deps inference-gym==0.0.5
    python benchmarks/gym_posteriors.py [--budget 60] [--seeds 0] [--nuts] [--out FILE] [TARGET ...]
    python benchmarks/gym_posteriors.py --table [--out FILE]

The densities are written here in torch, centred as there; of inference-gym only its files of data
and of ground truth (means, deviations, standard errors) are read. ``kidscore_*`` are regressions
of posteriordb on its data (../shared/data, or WOPT_DATA), with the means and mean squares of its
reference draws. *Mean off* is the largest error of a mean in posterior deviations, *sd off* the
largest relative error of a deviation. The errors of the ground truth itself are up to 0.01
deviations. With ``--nuts`` the chains of nuts.py, in free coordinates, have as many CPU seconds,
in place of wopt. See docs/posteriors.md.
"""

import functools
import importlib.util
import itertools
import json
import math
import os
import runpy
import zipfile
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


KIDS = Path(os.environ.get("WOPT_DATA", "../shared/data")) / "posteriors" / "data__kidiq.json.zip"
STORED = {  # means and mean squares of 10,000 draws: posteriordb, BSD-3
    "kidscore_momhs": (
        [77.5146147, 11.8131711, 19.8659904],
        [6012.6610, 144.8276, 395.1092],
    ),
    "kidscore_momhsiq": (
        [25.7941146, 5.98743192, 0.562993792, 18.1391941],
        [699.6797861, 40.7595917, 0.3206177, 329.412899],
    ),
    "kidscore_interaction": (
        [-11.3586496, 51.0327638, 0.967412588, -0.481586249, 17.9810890],
        [316.3596329, 2836.8287884, 0.9576741, 0.257933, 323.6965617],
    ),
}


def kidscore(name):
    """Return a regression of children's scores on 1, the mother's school, IQ, and their product."""
    with zipfile.ZipFile(KIDS) as archive:
        of = json.loads(archive.read(archive.namelist()[0]))
    score, school, iq = (torch.tensor(of[k]).double() for k in ("kid_score", "mom_hs", "mom_iq"))
    dim = len(STORED[name][0])
    rows = torch.stack([torch.ones_like(iq), school, iq, school * iq])[: dim - 1]

    def log_prob(x):
        fit = normal(score, x[:, :-1] @ rows, x[:, -1:]).sum(1)
        return fit - torch.log1p((x[:, -1] / 2.5).square())  # Cauchy, up to a constant

    return log_prob, None, dim, {str(dim - 1): "positive"}


MIDDLE = "brownian_motion_missing_middle_observations"
TARGETS = {
    "eight_schools": (eight_schools, None),
    MIDDLE: (brownian_known, MIDDLE),
    "brownian_motion_unknown_scales_missing_middle_observations": (brownian_unknown, MIDDLE),
    "convection_lorenz_bridge": (lorenz_known, "convection_lorenz_bridge"),
    "convection_lorenz_bridge_unknown_scales": (lorenz_unknown, "convection_lorenz_bridge"),
    "synthetic_log_gaussian_cox_process": (cox_process, "synthetic_log_gaussian_cox_process"),
    **{name: (functools.partial(lambda name, _: kidscore(name), name), None) for name in STORED},
}


def truth(name, variables):
    """Return means and deviations, shape ``(d,)``, of the variables in their order."""
    if name in STORED:
        mean, square = map(torch.tensor, STORED[name])
        return mean, (square - mean.square()).sqrt()
    of = file("targets", "ground_truth", name)
    keys = ["_".join(filter(None, ("IDENTITY", v.upper()))) for v in variables]
    moments = ("MEAN", "STANDARD_DEVIATION")
    return [
        torch.as_tensor(np.concatenate([np.ravel(of[f"{k}_{m}"]) for k in keys])) for m in moments
    ]


def by_nuts(log_prob, dim, support, budget, seed):
    """Return means, deviations and what is stored of chains in free coordinates."""
    from nuts import model_of, sampled

    positive = torch.tensor([str(k) in (support or {}) for k in range(dim)])
    own = lambda u: torch.where(positive, u.exp(), u)  # noqa: E731
    free = model_of(lambda u: log_prob(own(u)) + u[:, positive].sum(1), own, dim)
    x, _, _ = sampled(free, budget, seed, draws=10**5)
    x = torch.from_numpy(x) if len(x) else torch.zeros(0, dim)
    return x.mean(0), x.std(0), {"by": "NUTS", "draws": len(x)}


def by_wopt(log_prob, dim, support, budget, seed):
    found = wopt.sample(log_prob, dim, support=support, budget=budget, seed=seed)
    made = {"ess": round(float(found.report.ess / len(found.draws)), 3)}
    made |= {"k_hat": round(found.k_hat, 2), "reliable": found.reliable}
    warnings = [text[:80] for text in found.report.warnings]
    return found.means, found.sds, {"by": "wopt"} | made | {"warnings": warnings}


def measure(name, budget, seed, sampler):
    make, source = TARGETS[name]
    log_prob, variables, dim, support = make(None if source is None else data(source))
    mean, sd = truth(name, variables)
    watch = Stopwatch()
    means, sds, made = sampler(log_prob, dim, support, budget, seed)
    return {
        "target": name, "d": dim, "budget": budget, "seed": seed, "cpu": round(watch.cpu, 1),
        "mean_off": round(float(((means - mean) / sd).abs().max()), 3),
        "sd_off": round(float((sds / sd - 1).abs().max()), 3),
    } | made  # fmt: skip


def table(lines):
    print("| target | d | by | CPU s | mean off, sd | sd off | ESS/S | reliable | |")
    print("|---|---|---|---|---|---|---|---|---|")
    for one in sorted(lines, key=lambda one: list(TARGETS).index(one["target"])):
        off = max(one["mean_off"], one["sd_off"])
        judged = "no draw in time" if math.isnan(off) else "wrong" if off > WRONG else "right"
        said = {True: "yes", False: "no", None: ""}[one.get("reliable")]
        cells = [one["target"].replace("_", " "), one["d"], one.get("by", "wopt"),
                 f"{one['cpu']:.0f}", one["mean_off"], one["sd_off"], one.get("ess", ""), said,
                 judged]  # fmt: skip
        print("| " + " | ".join(map(str, cells)) + " |")


def main():
    torch.set_num_threads(1)
    parser = parser_of(__file__, __doc__)
    parser.add_argument("targets", nargs="*", default=list(TARGETS), metavar="TARGET")
    parser.add_argument("--budget", type=float, default=60.0, help="CPU seconds of each")
    parser.add_argument("--seeds", nargs="*", type=int, default=[0])
    parser.add_argument("--nuts", action="store_true", help="nutpie's chains instead of wopt")
    given = parser.parse_args()
    if given.table:
        table(read(given.out))
        return
    jobs = itertools.product(given.seeds, given.targets)
    sampler = by_nuts if given.nuts else by_wopt
    store(given.out, (measure(name, given.budget, seed, sampler) for seed, name in jobs))


if __name__ == "__main__":
    main()
