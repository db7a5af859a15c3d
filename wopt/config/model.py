"""The configuration of a run as one validated model, and its shorthands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, cast

import torch
from pydantic import AfterValidator, Field, ValidationError, model_validator
from pydantic_core import PydanticSerializationError

from wopt.component import Options, Spec, build, custom_error, describe, name_of, named
from wopt.config.running import Running
from wopt.errors import ConfigError, UserError
from wopt.host import host
from wopt.interfaces.block import FlowBlock
from wopt.interfaces.exact import ExactSolution
from wopt.interfaces.measurement import Measurement
from wopt.interfaces.objective import Objective
from wopt.interfaces.scheme import ProximalScheme
from wopt.interfaces.solver import Solver
from wopt.interfaces.source import Source
from wopt.interfaces.tracker import Tracker
from wopt.plan.budget import Planning
from wopt.train.guard import Guard
from wopt.train.options import Refinement, Snapshots
from wopt.train.stop import Stop


def written_out(table: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration with shorthands written out.

    ``[target]`` is the target of the objective ``kl``, and ``python = "FILE.py:FUNCTION"`` in it is
    the target ``python`` with that ``log_prob``. A target whose dimension is known, by ``dim``,
    ``names`` or itself, is reached from N(0, I) if there is no ``[source]``.

    Example:
        >>> full = written_out({"target": {"python": "my_model.py:log_prob", "dim": 3}})
        >>> full["objective"]["target"]
        {'name': 'python', 'log_prob': 'my_model.py:log_prob', 'dim': 3}
        >>> full["source"]
        {'name': 'gaussian', 'dim': 3}
        >>> written_out({"target": {"name": "circle"}})["source"]["dim"]
        2
    """
    full = dict(table)
    if "target" in full:
        full["objective"] = _with_target(full.get("objective", "kl"), full.pop("target"))
    objective = full.get("objective")
    target = objective.get("target") if isinstance(objective, Mapping) else None
    if "source" not in full and target is not None:
        dim = _dim_of(target)
        if isinstance(dim, int):
            full["source"] = {"name": "gaussian", "dim": dim}
    return full


def _dim_of(target: Any) -> Any:
    """Return the dimension of a target, ``None`` if it is unknown."""
    if isinstance(target, Mapping):
        given = target.get("dim", len(target.get("names") or ()) or None)
        if given is not None:
            return given
        try:
            target = build("target", target)
        except UserError:  # validation reports it, with its place
            return None
    return getattr(target, "dim", None)


def _with_target(objective: Any, target: Any) -> dict[str, Any]:
    table = {"name": objective} if isinstance(objective, str) else dict(objective)
    if "target" in table:
        raise ConfigError("the target is given twice: in [target] and in [objective.target]")
    if isinstance(target, Mapping) and "python" in target:
        rest = {key: value for key, value in target.items() if key != "python"}
        target = {"name": "python", "log_prob": target["python"], **rest}
    return {**table, "target": target}


def _usable_device(name: str) -> str:
    try:
        torch.empty(0, device=name)
    # The type of torch's error for a missing device depends on the device.
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"device {name!r} cannot be used here: {reason}") from None
    return name


def _makes_certificates(chosen: Measurement | None) -> Measurement | None:
    if chosen is not None and name_of(chosen) != "certificate":
        raise ValueError(
            f"the measurement {name_of(chosen)!r} makes no certificate; ask for it by "
            f'measurements = ["{name_of(chosen)}"]'
        )
    return chosen


def _certificate() -> Measurement | None:
    """Return the measurement that makes certificates; ``None`` where it is not installed."""
    known = "certificate" in host().registry.names("measurement")
    return cast("Measurement", build("measurement", "certificate")) if known else None


class RunConfig(Options):
    """The configuration of a run. Any component may be given as a bare name.

    Example:
        >>> config = validate({"source": {"name": "toy", "shape": "moons"}, "seed": 3})
        >>> config.seed, type(config.scheme).__name__
        (3, 'JKO')
    """

    source: Annotated[Source, Field(description="the data, or where initial samples come from")]
    objective: Annotated[Objective, Field(description="what to minimise")] = named("kl")
    scheme: Annotated[ProximalScheme, Field(description="how a step is made")] = named("jko")
    block: Annotated[FlowBlock, Field(description="which family of maps the steps choose from")] = (
        named("ode")
    )
    blocks: Annotated[
        list[FlowBlock] | None,
        Field(
            min_length=1,
            description="one block for each step, instead of `block`; the last is used for all "
            "later steps",
        ),
    ] = None
    solver: Annotated[Solver, Field(description="how each subproblem is minimised")] = named("adam")
    guard: Annotated[Guard, Field(description="when a finished step is accepted")] = Field(
        default_factory=Guard
    )
    stop: Annotated[Stop, Field(description="when the run stops")] = Field(default_factory=Stop)
    refine: Annotated[
        Refinement, Field(description="joint training of all blocks after the steps")
    ] = Field(default_factory=Refinement)
    snapshots: Annotated[
        Snapshots, Field(description="when the particles of an evolution are kept")
    ] = Field(default_factory=Snapshots)
    exact: Annotated[
        ExactSolution | None,
        Field(description="the exact solution with which an evolution is compared"),
    ] = None
    plan: Annotated[
        Planning | None,
        Field(description="choose every option that is not given here, within a time budget"),
    ] = None
    certify: Annotated[
        Measurement | None,
        AfterValidator(_makes_certificates),
        Field(description="how the certificate is measured; needs wopt-certify"),
    ] = Field(default_factory=_certificate)
    measurements: Annotated[
        list[Measurement] | None,
        Field(description="what else is measured of the run at its end, by name"),
    ] = None
    run: Annotated[
        Running, Field(description="how the run is carried out: threads, memory, processes")
    ] = Field(default_factory=Running)
    tracker: Annotated[
        Tracker | None,
        Field(description="where records of steps are sent beside the run directory"),
    ] = None
    seed: Annotated[int, Field(ge=0, lt=2**63, description="seed of the random numbers")] = 0
    device: Annotated[
        str,
        AfterValidator(_usable_device),
        Field(description="where to compute: cpu, cuda, cuda:1, mps, ..."),
    ] = "cpu"
    dtype: Annotated[
        Literal["float32", "float64"], Field(description="precision of particles and maps")
    ] = "float32"
    smooth_time: Annotated[
        float,
        Field(
            ge=0,
            le=20,
            description="time for which an Ornstein-Uhlenbeck process smooths the data, in the "
            "flow's coordinates, so that data without a density have one, and of which exp(-time) "
            "is left; 0: none",
        ),
    ] = 0.0
    model: Annotated[
        Literal["auto", "pull_back", "push_forward"],
        Field(
            description="which law is sampled and scored: the target pulled back to the data "
            "(pull_back), the initial law pushed forward to the target (push_forward), or what "
            "suits source and target (auto)"
        ),
    ] = "auto"
    versions: Annotated[
        dict[str, str], Field(description="versions of the packages that wrote this file; not read")
    ] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _written_out(cls, data: Any) -> Any:
        try:
            return written_out(data) if isinstance(data, dict) else data
        except ConfigError as error:
            raise custom_error(str(error)) from None

    @property
    def block_specs(self) -> list[Spec]:
        """Blocks of the first steps, to be built when the dimension is known."""
        # The field has the type of the interface for the schema, and holds specifications.
        return cast(Any, self.blocks or [self.block])

    def block_spec(self, step: int) -> Spec:
        """Return the specification of the block of a step: 0, 1, ..."""
        return self.block_specs[min(step, len(self.block_specs) - 1)]


_INSIDE = {"step_size": "scheme", "iterations": "solver"}
"""Sections of options that users may write at the top."""


def validate(table: dict[str, Any], where: str = "") -> RunConfig:
    """Return the validated configuration.

    Args:
        table: Table as read from TOML.
        where: The file, for messages.
    """
    try:
        return RunConfig.model_validate(table)
    except ValidationError as error:
        text = describe(error, prefix=(where,) if where else ())
        hints = [f"\n`{key}` belongs to [{at}]" for key, at in _INSIDE.items() if key in table]
        raise ConfigError(text + "".join(hints)) from None


def to_table(config: RunConfig) -> dict[str, Any]:
    """Return the resolved table: every option with its value."""
    try:
        return config.model_dump(mode="json", exclude_none=True)
    except PydanticSerializationError as error:
        raise error.__cause__ or error from None


def readable_table(config: RunConfig) -> dict[str, Any]:
    """Return the table of :func:`to_table`, with only the name of parts that files cannot hold."""
    table: dict[str, Any] = {}
    for name in RunConfig.model_fields:
        try:
            table |= config.model_dump(mode="json", exclude_none=True, include={name})
        except PydanticSerializationError:
            part = getattr(config, name)
            parts = [_name(each) for each in (part if isinstance(part, list) else [part])]
            table[name] = parts if isinstance(part, list) else parts[0]
    return table


def _name(part: Any) -> dict[str, str]:
    return {"name": part.cls.__name__ if isinstance(part, Spec) else name_of(part)}


def check_precision(config: RunConfig) -> None:
    """Raise unless ``run.precision`` and ``run.compile`` fit the other options."""
    precision, kind = config.run.precision, config.device.split(":")[0]
    if precision is None:
        return
    note = f'run.precision = "{precision}"'
    if config.dtype != "float32":
        raise ConfigError(f'{note} is of nets in float32, not dtype = "{config.dtype}"')
    if precision == "tf32" and kind != "cuda":
        raise ConfigError(
            f'{note} is a format of CUDA devices, and device = "{config.device}" has none; leave '
            'it out, or use "bf16"'
        )
    if kind == "mps":
        raise ConfigError(f'{note} audits in float64, which device = "mps" does not have')
    for solver in config.solver.each:
        if not solver.on_batches:
            raise ConfigError(
                f"{note} rounds gradients, which the solver {name_of(solver)} does not bear; use "
                "adam or muon"
            )
