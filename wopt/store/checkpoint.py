"""Checkpoints: blocks and the state for resume, and how they are read back."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import torch
from torch import Tensor

from wopt.component import config_of
from wopt.config.model import RunConfig
from wopt.data.columns import Columns
from wopt.data.table_transform import TableTransform
from wopt.data.transform import AffineTransform
from wopt.errors import RunError
from wopt.interfaces.block import FlowBlock, new_block
from wopt.particles import Particles
from wopt.store.directory import RunDirectory, read_tensors, write_tensors
from wopt.store.pieces import count_pieces, drop_pieces, read_pieces, write_pieces
from wopt.train.problem import State, Trace

__all__ = [
    "load_blocks",
    "load_state",
    "load_transform",
    "save_state",
    "save_transform",
]

_OF_PARTICLES = ("points", "weights", "log_det", "log_density_start")


def save_state(run: RunDirectory, state: State, config: RunConfig) -> None:
    """Write the newest blocks, the records and, last, the state, which makes the step count.

    A run that is killed in between resumes from the step before. Blocks that were refined together
    are kept aside until the state says that they count. Training particles are written as they were
    before the newest block, which carries them when they are read back; at the start, where the
    source has them, not at all. With ``run.shards``, or where they are many, they are in files of
    their own, ``state/003-00001-of-00004.safetensors``, with an index ``state/003.json``.
    """
    refined = _write_blocks(run, state, config)
    run.write_steps(state.records)
    splits = {"train": state.train, "valid": state.valid}
    begun = None
    if state.start is not None and state.train.before is state.start[0]:
        begun = _mark(splits.pop("train").before)
    index = None
    if "train" in splits:
        rows = _tensors(state.train)
        count = count_pieces(rows, config.run.shards)
        if count > 1:
            index = write_pieces(run.pieces, f"{state.step:03d}", rows, count)
            del splits["train"]
    tensors = {
        f"{split}.{name}": value
        for split, trace in splits.items()
        for name, value in _tensors(trace).items()
    }
    if state.chains is not None:
        tensors["chains"] = state.chains.cpu().contiguous()
    metadata = {
        "ahead": state.train.ahead is not None,
        "begun": begun,
        "pieces": index,
        "step": state.step,
        "step_size": state.step_size,
        "energy": state.energy,
        "plan": dict(state.plan),
        "refined": refined,
    }
    write_tensors(run.state, tensors, {"state": json.dumps(metadata)})
    drop_pieces(run.pieces, index)
    if refined:
        _settle(run, metadata, config)


def _write_blocks(run: RunDirectory, state: State, config: RunConfig) -> bool:
    """Write the newest block; or all, aside, if they were refined, and return whether they were."""
    refined = bool(state.records) and state.records[-1].refined > 0
    if refined:
        tensors = {
            f"{step}.{name}": value
            for step, block in enumerate(state.blocks, 1)
            for name, value in block.state().items()
        }
        write_tensors(run.refined, tensors, {"step": str(state.step)})
    elif state.block is not None:
        _write_block(run, state.step, state.block.state(), config)
    return refined


def load_state(
    run: RunDirectory,
    config: RunConfig,
    dim: int,
    condition: int = 0,
    start: tuple[Particles, Particles] | None = None,
) -> State:
    """Read the state of the last finished step.

    Args:
        run: The run directory.
        config: Its configuration.
        dim: The dimension d.
        condition: How many of the columns are conditions.
        start: The particles before the first step, which refinement and the first step need.

    Raises:
        RunError: A file is missing or damaged, or the source has other rows now.
    """
    tensors, known = _known(run)
    chains = tensors.pop("chains", None)
    step = known["step"]
    blocks = tuple(load_blocks(run, config, dim, condition))
    ahead = blocks[-1] if known.get("ahead") else None  # older runs have no such key
    if known.get("pieces"):
        rows = read_pieces(run.pieces, known["pieces"])
        tensors |= {f"train.{name}": value for name, value in rows.items()}
    try:
        valid = _trace(tensors, "valid", config, condition)
        if known.get("begun"):
            train = Trace(_begun(run, start, known["begun"]))
        else:
            train = _trace(tensors, "train", config, condition)
    except (KeyError, ValueError, TypeError) as error:
        raise RunError(f"{run.state}: is damaged: {error!r}") from None
    return State(
        step,
        dataclasses.replace(train, ahead=ahead),
        valid,
        known["step_size"],
        known["energy"],
        blocks,
        tuple(run.read_steps(step)),
        dict(known["plan"]),
        start,
        None if chains is None else chains.to(train.before.points),
    )


def load_blocks(
    run: RunDirectory, config: RunConfig, dim: int, condition: int = 0
) -> list[FlowBlock]:
    """Read the blocks of all finished steps.

    Raises:
        RunError: A file is missing or damaged.
    """
    _, known = _known(run)
    _settle(run, known, config)
    count = known["step"]
    return [load_block(run, config, step, dim, condition) for step in range(1, count + 1)]


def _known(run: RunDirectory) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the tensors of the state and what is beside them."""
    tensors, metadata = read_tensors(run.state)
    try:
        known = json.loads(metadata["state"])
        return tensors, {**known, "step": int(known["step"])}
    except (KeyError, ValueError, TypeError) as error:
        raise RunError(f"{run.state}: is damaged: {error!r}") from None


def load_block(
    run: RunDirectory, config: RunConfig, step: int, dim: int, condition: int = 0
) -> FlowBlock:
    """Read the block of one step.

    Raises:
        RunError: The file is missing, damaged, or of another block than the configuration's.
    """
    tensors, _ = read_tensors(run.block(step))
    block = new_block(config.block_spec(step - 1), dim, condition)
    block.to(device=config.device, dtype=getattr(torch, config.dtype))
    try:
        block.load_state_dict(tensors)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise RunError(
            f"{run.block(step)}: does not fit the block in {run.config.name}: {reason}"
        ) from None
    block.freeze()
    return block


def _write_block(
    run: RunDirectory, step: int, tensors: dict[str, Tensor], config: RunConfig
) -> None:
    about = {"block": json.dumps(config_of(config.block_spec(step - 1)))}
    write_tensors(run.block(step), tensors, about)


def _settle(run: RunDirectory, state: dict[str, Any], config: RunConfig) -> None:
    """Let refined blocks that were kept aside take their places, or drop what does not count."""
    if not run.refined.exists():
        return
    tensors, metadata = read_tensors(run.refined)
    if state.get("refined") and metadata.get("step") == str(state["step"]):
        for step in range(1, int(state["step"]) + 1):
            own = {k.split(".", 1)[1]: v for k, v in tensors.items() if k.startswith(f"{step}.")}
            _write_block(run, step, own, config)
    run.refined.unlink()


def save_transform(
    run: RunDirectory,
    transform: AffineTransform,
    names: tuple[str, ...],
    conditions: Tensor | None = None,
) -> None:
    """Write the preprocessing, so that sampling and scoring need no data.

    Args:
        run: The run directory.
        transform: The preprocessing.
        names: The columns' names.
        conditions: Of training rows, in the flow's coordinates, if the flow is conditional.
    """
    tensors = {
        "shift": transform.shift,
        "matrix": transform.matrix,
        "inverse_matrix": transform.inverse_matrix,
    }
    if conditions is not None:
        tensors["conditions"] = conditions
    metadata = {"names": json.dumps(names)}
    if transform.columns is not None:
        metadata["columns"] = transform.columns.to_json()
    write_tensors(run.transform, tensors, metadata)


def load_transform(
    run: RunDirectory,
) -> tuple[AffineTransform, tuple[str, ...], Tensor | None]:
    """Read the preprocessing, the columns' names, and the conditions if there are any.

    Raises:
        RunError: The file is missing or damaged.
    """
    tensors, metadata = read_tensors(run.transform)
    try:
        conditions = tensors.pop("conditions", None)
        width = 0 if conditions is None else conditions.shape[1]
        transform = AffineTransform(**tensors, condition=width)
        if "columns" in metadata:
            transform = TableTransform(transform, Columns.from_json(metadata["columns"]))
        return transform, tuple(json.loads(metadata["names"])), conditions
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(f"{run.transform}: is damaged: {error!r}") from None


def _mark(particles: Particles) -> list[float]:
    """Return numbers that tell these particles at the start from others."""
    points = particles.points
    return [len(points), *points[:: max(1, len(points) // 1000)].double().sum(0).tolist()]


def _begun(
    run: RunDirectory, start: tuple[Particles, Particles] | None, mark: list[float]
) -> Particles:
    """Return the training particles of a run that stands at its start, or one block after it."""
    if start is None or _mark(start[0]) != mark:
        raise RunError(
            f"{run.path}: its source does not give the rows any more with which the run began; "
            "bring them back, or make the run anew"
        )
    return start[0]


def _tensors(trace: Trace) -> dict[str, Tensor]:
    tensors = {name: getattr(trace.before, name) for name in _OF_PARTICLES}
    tensors |= {"previous": trace.previous, "gradient": trace.gradient}
    return {name: value for name, value in tensors.items() if value is not None}


def _trace(tensors: dict[str, Tensor], split: str, config: RunConfig, condition: int) -> Trace:
    on_device = {
        name.removeprefix(f"{split}."): value.to(config.device)
        for name, value in tensors.items()
        if name.startswith(f"{split}.")
    }
    known = {name: on_device.get(name) for name in _OF_PARTICLES[1:]}
    particles = Particles(on_device["points"], **known, condition=condition)
    return Trace(particles, on_device.get("previous"), on_device.get("gradient"))
