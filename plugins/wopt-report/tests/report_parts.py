"""What the tests of the report share: small flows, datasets by hand, a reader of pages."""

import dataclasses
import html.parser
import json
import math
from pathlib import Path

import safetensors.torch
import torch

import wopt
from wopt.flow import Flow
from wopt.store.result import GapKind
from wopt_certify.bounds import Entry, Floor, Label, StepBounds
from wopt_certify.effort import Effort
from wopt_certify.estimate import Estimate, MethodEstimate
from wopt_certify.gap import EscalationStep, Gap, LowerSide
from wopt_certify.replay import RoundTrip
from wopt_certify.results import (
    Certificate,
    Energy,
    Final,
    Resolution,
    Statement,
    StepCertificate,
)
from wopt_certify.start import Smoothing, Start
from wopt_certify.two_sample import (
    ClassifierTest,
    ColumnDifference,
    MMDTest,
    Region,
    TwoSampleReport,
)
from wopt_jko import ODEBlock

FLAGS = wopt.Capability.POTENTIAL | wopt.Capability.TARGET_SAMPLES | wopt.Capability.NORMALISED


class Normal(wopt.Target):
    """The standard normal law, announcing as much of itself as a test wants."""

    def __init__(self, provides: wopt.Capability = FLAGS) -> None:
        self.provides = provides

    def potential(self, x):
        return x.square().sum(1) / 2 + x.shape[1] / 2 * math.log(2 * math.pi)

    def sample(self, n, dim, generator):
        return torch.randn(n, dim, generator=generator, dtype=torch.float64)


def dataset(d: int = 2, n: int = 300, *, preprocess="whiten", images=None, known=False):
    rng = torch.Generator().manual_seed(1)
    x = torch.randn(n, d, generator=rng, dtype=torch.float64)
    x[:, 0] = x[:, 0].sign() * 2 + 0.4 * x[:, 0]
    names = tuple(f"col<{j}>" for j in range(d))
    third = n // 3
    return wopt.Dataset(
        x[:third],
        x[third : 2 * third],
        x[2 * third :],
        wopt.AffineTransform.fit(x[:third], preprocess, names),
        names,
        log_density=(lambda y: -y.square().sum(1) / 2 - math.log(2 * math.pi)) if known else None,
        images=images,
    )


def flow(data, blocks: int = 2, target=None, start=None) -> Flow:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        made = [ODEBlock(data.dim, width=8, sharpness=1.0, steps=2) for _ in range(blocks)]
        for block in made:
            for weight in block.parameters():
                weight.data += 0.2 * torch.randn_like(weight)
    chain = wopt.Chain(made, data.transform)
    if start is not None:
        return Flow(wopt.Inverse(chain), start)
    return Flow(chain, Normal() if target is None else target)


def estimate(value: float) -> Estimate:
    return Estimate(value, 0.01, 0.0, value + 0.02)


SIDE = LowerSide(
    0.05, 0.01, 0.02, 0.95, "autoregressive", 100,
    (
        EscalationStep("closed <forms>", 0.5, 0.03, 0.01),
        EscalationStep("200 iterations", 4.25, 0.05, 0.01),
    ),
)  # fmt: skip

BOUNDS = {
    "theorem_q": Entry(0.125, Label.GIVEN_SEEN),
    "theorem_p": Entry(None, reason="kl0 is not known"),
    "a_priori": Entry(0.01, Label.GIVEN_SEEN, refuted=Floor(0.02, "the lower side")),
}

GAP = Gap.between(GapKind.KL_DATA_MODEL, BOUNDS, needs="eps is as seen", lower=SIDE)

CERTIFICATE = Certificate(
    gap=GAP,
    resolution=(Resolution(0.1, 0.02, 0.04),),
    particles=100,
    origin="test rows",
    level=0.95,
    convexity=1.0,
    smoothness=None,
    base="previous",
    effort=Effort(100, 10, 0),
    start=Start(2.0, None, 2.0),
    steps=(
        StepCertificate(
            step=1,
            step_size=0.5,
            effective_step_size=0.5,
            gap=estimate(0.05),
            energy=Energy(1.0, 0.1),
            residual=MethodEstimate(**vars(estimate(0.0)), by="critic"),
            residuals={"affine": estimate(0.0), "critic": estimate(0.1)},
            movement=estimate(0.3),
            gradient=MethodEstimate(**vars(estimate(0.3)), by="critic"),
            inversion_error=1e-6,
            transport=None,
            not_optimal="",
            bounds=StepBounds(BOUNDS, {"theorem_q": Entry(0.5, Label.GIVEN_SEEN)}),
        ),
    ),
    final=Final(),
    round_trip=RoundTrip(estimate(1e-6), estimate(1e-6), None),
    smoothing=Smoothing(0.1, 0.25, 0.25),
    statement=Statement(GAP.text),
    notes=("a note",),
    challengers=SIDE,
    two_sample=TwoSampleReport(
        ClassifierTest(0.75, 0.01, 0.125, 0.01, 0.002, 500),
        MMDTest(3.0, 0.5, 0.003, 500),
        0.004,
        0.95,
        (ColumnDifference("col<0>", 0.28125, 0.001, 0.5, 1.25),),
        (Region("rows", 0.18, 0.02, 0.01, (1.0, 2.0), (("col<0>", 1.5),)),),
        3,
    ),
).to_dict()

SAMPLER = {
    "elbo": -0.58, "eubo": None, "log_z": -0.13, "log_z_error": 0.0625, "ess": 12.5,
    "k_hat": 1.05, "k_hat_threshold": 0.7, "reliable": False, "draws": 10000,
    "doubts": ["k-hat 1.05 is above 0.7", "a mode <was> lost"],
    "means": [0.5, -1.0], "means_error": [0.03125, 0.1], "sds": [1.0, 2.0],
    "sds_error": [0.1, 0.2],
    "mode_weights": [{"target": 0.75, "model": 0.9375, "model_error": 0.01}],
    "lost_modes": [
        {"location": [4.0, -4.0], "log_density": -1.0, "share": 0.25, "model_share": 0.001}
    ],
}  # fmt: skip


def record(step: int, **changes) -> dict:
    found = {
        "step": step,
        "step_size": 0.5 * step,
        "energy": 3.0 / step,
        "energy_change": -3.0 / step,
        "w2_step": 0.7,
        "decrease": -0.25,
        "decrease_error": 0.0125,
        "residual": 0.0,
        "nll_valid": 2.0 + 1 / step,
        "likelihood_error": 1.5e-4,
        "inversion_error": 2.5e-6,
        "retries": 1,
        "attempts": [
            {
                "attempt": 1,
                "action": "grid made finer",
                "reason": "the likelihood <b>was</b> off",
                "step_size": 1.0,
                "next_step_size": 1.0,
            }
        ],
        "terms": {"kl": 3.0 / step},
        "loss": 0.5,
        "iterations": 100,
        "seconds": 1.25,
        "cpu_seconds": 2.5,
        "stop": None,
    }
    return found | changes


RESULT = {
    "status": "done",
    "reason": "2 steps are made",
    "steps": 2,
    "nll_test": 2.7912345,
    "nll_gaussian": 3.788,
    "entropy": 2.489,
    "likelihood_error": 0.00123,
    "inversion_error": 4.5e-6,
    "parameters": 49450,
    "seconds": 48.4,
    "cpu_seconds": 45.7,
    "versions": {"wopt-core": "0.1.0", "torch": "2.13.0"},
    "model": "pull_back",
}

CONFIG = """
seed = 0
model = "pull_back"
[source]
name = "array"
path = "a<b>.csv"
[objective]
name = "kl"
[objective.target]
name = "gaussian"
[scheme]
name = "jko"
step_size = 0.5
[guard]
likelihood_tolerance = 0.02
[versions]
wopt-core = "0.1.0"
"""


def write_run(folder: Path, *, tensors=None, result=RESULT, steps=2, config=CONFIG) -> Path:
    (folder / "config.toml").write_text(config)
    lines = [json.dumps(record(k)) + "\n" for k in range(1, steps + 1)]
    (folder / "steps.jsonl").write_text("".join(lines))
    if result is not None:
        (folder / "result.json").write_text(json.dumps(result))
    if tensors is not None:
        safetensors.torch.save_file(tensors, folder / "figures.safetensors")
    return folder


@dataclasses.dataclass
class Card:
    value: float
    text: str = ""


class Page(html.parser.HTMLParser):
    """What a test wants to know of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.source = path.read_text(encoding="utf-8")
        self.tags: list[str] = []
        self.links: list[str] = []
        self.charts: dict[str, list[str]] = {}
        self.marks: dict[str, list[tuple[str, str]]] = {}
        self.cards: dict[str, Card] = {}
        self.rows: list[list[float | None]] = []
        self.text = ""
        self._open: list[tuple[str, str]] = []
        self.feed(self.source)
        self.close()
        assert not self._open, f"never closed: {self._open}"

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.tags.append(tag)
        self.links += [v for k, v in attrs if k in ("src", "href", "srcset", "action")]
        if tag not in ("meta", "img", "link"):
            self._open.append((tag, given.get("id") or ""))
        key = self._inside("figure-")
        if key and tag == "svg":
            self.charts.setdefault(key, []).append(given.get("aria-label") or "")
            # The first panel says what the whole picture shows.
            assert bool(self.charts[key][-1]) == (len(self.charts[key]) == 1)
        if key and tag in ("path", "polyline", "image"):
            drawn = given.get("d") or given.get("points") or given.get("href")
            self.marks.setdefault(key, []).append((given.get("class") or tag, drawn))
        if tag == "data" and self._inside("card-"):
            self.cards[self._inside("card-")] = Card(float(given["value"]))
        if tag == "tr" and self._inside("steps"):
            self.rows.append([])
        if tag == "data" and self._inside("steps"):
            self.rows[-1].append(float(given["value"]))

    def handle_endtag(self, tag):
        opened, _ = self._open.pop()
        assert opened == tag, f"<{opened}> is closed by </{tag}>"

    def handle_data(self, data):
        if self._open and self._open[-1][0] != "style":
            self.text += data
        if self._inside("card-"):
            card = self._inside("card-")
            if card in self.cards:
                self.cards[card].text += data

    def _inside(self, prefix: str) -> str:
        found = [name for _, name in self._open if name.startswith(prefix)]
        return found[-1].removeprefix(prefix) or prefix if found else ""
