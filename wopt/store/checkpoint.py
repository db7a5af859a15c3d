"""Checkpoints: writing and reading blocks and the state for resume."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import torch
from torch import Tensor

from wopt.component import config_of
from wopt.config.model import RunConfig
from wopt.data.columns import Columns
from wopt.data.transform import AffineTransform
from wopt.errors import DamagedError, RunError
from wopt.interfaces.block import FlowBlock, new_block
from wopt.parallel import SOLO
from wopt.particles import Particles, split_conditions
from wopt.reading import parsed_json, printable
from wopt.runtime import ALONE, Runtime
from wopt.sharded import ShardedParticles, held, own_rows
from wopt.store.directory import RunDirectory
from wopt.store.documents import Kept, check_transform, parsed, same_kinds
from wopt.store.pieces import (
    count_pieces,
    drop_pieces,
    read_pieces,
    write_index,
    write_pieces,
)
from wopt.tensors import SCHEMAS, check_tensors, read_tensors, write_tensors
from wopt.train.problem import ParticleHistory, State
from wopt.typed import of_json


def save_state(run: RunDirectory, state: State, config: RunConfig) -> None:
    """Write the newest blocks, the records and, last, the state, which completes the step.

    A run that is killed in between resumes from the step before. Refined blocks are kept aside
    until the state includes them. Training particles, shape ``(n, d)``, are written as they were
    before the newest block, which is applied when they are read back; those of the start that the
    source gives again are not written, and many are in files of their own with an index.
    """
    refined = _write_blocks(run, state, config)
    run.write_steps(state.records)
    splits = {"train": state.train, "valid": state.valid}
    begun = None
    if state.start is not None and state.train.before is state.start[0]:
        begun = splits.pop("train").before.checksum()
    index = None
    if "train" in splits:
        index = _write_rows(run, state)
        if index is not None:
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
        settle(run, config)
    if config.scheme.replaces:
        run.block(state.step - 1).unlink(missing_ok=True)


def _write_rows(run: RunDirectory, state: State) -> str | None:
    """Write the training particles in files of their own; ``None`` where one file holds all."""
    name, rows, before = f"{state.step:03d}", _tensors(state.train), state.train.before
    if isinstance(before, ShardedParticles):  # written by save_share
        return write_index(run.pieces, name, rows, before.total, before.team)
    about = run.pieces, name, rows, len(before)
    if count_pieces(*about[2:]) == 1:
        return None
    write_pieces(*about)
    return write_index(*about)


def save_share(run: RunDirectory, state: State) -> None:
    """Write this process's training particles, before the first process saves the state.

    All processes call it together; where each holds all particles it does nothing.
    """
    before = state.train.before
    begun = state.start is not None and before is state.start[0]
    if begun or not isinstance(before, ShardedParticles):
        return
    name, rows, total, of = f"{state.step:03d}", _tensors(state.train), before.total, before.team
    of.together(lambda: write_pieces(run.pieces, name, rows, total, of))


def _write_blocks(run: RunDirectory, state: State, config: RunConfig) -> bool:
    """Write the newest block, or all aside if they were refined; return whether they were."""
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
    runtime: Runtime = ALONE,
    *,
    lenient: bool = False,
) -> State:
    """Read the state of the last finished step.

    Args:
        run: The run directory.
        config: The run's configuration.
        dim: The dimension d.
        condition: Number k of conditions.
        start: The particles before the first step, which refinement and the first step need.
        runtime: What computes the run.
        lenient: Whether a missing start is accepted: for looking at a run, not for resuming it.
    """
    tensors, known = _known(run)
    chains = check_tensors(run.state, tensors, SCHEMAS["state"]).get("chains")
    blocks = tuple(load_blocks(run, config, dim, condition))
    ahead = blocks[-1] if known.ahead and blocks else None
    of, total = (runtime.team if config.run.hold == "shard" else SOLO), 0
    if known.pieces is not None:
        rows, total = read_pieces(run.pieces, known.pieces, of, runtime.memory)
        tensors |= {f"train.{name}": value for name, value in rows.items()}
    valid = _trace(run, tensors, "valid", config, dim, condition)
    if known.begun and lenient and start is None:
        train = valid
    elif known.begun:
        train = ParticleHistory(_begun(run, start, list(known.begun)))
    else:
        train = _trace(run, tensors, "train", config, dim, condition)
        part = own_rows(train.before, of, total) if total and of.size > 1 else train.before
        train = dataclasses.replace(train, before=held(part, of))
    return State(
        known.step,
        dataclasses.replace(train, ahead=ahead, runtime=runtime),
        dataclasses.replace(valid, runtime=runtime),
        known.step_size,
        known.energy,
        blocks,
        tuple(run.read_steps(known.step)),
        dict(known.plan),
        start,
        None if chains is None else chains.to(train.before.points),
    )


def load_blocks(
    run: RunDirectory, config: RunConfig, dim: int, condition: int = 0
) -> list[FlowBlock]:
    """Read the blocks of all finished steps; nothing is written."""
    known = _known(run)[1]
    refined = _refined(run, known)
    blocks = []
    for step in kept_steps(config, known.step):
        if refined is None:
            blocks.append(load_block(run, config, step, dim, condition))
        else:
            tensors = _with_prefix(refined, f"{step}.")
            blocks.append(_block(run, run.refined, tensors, config, step, dim, condition))
    return blocks


def kept_steps(config: RunConfig, steps: int) -> range:
    """Return the steps whose maps make up the model after ``steps`` steps."""
    return range(max(1, steps) if config.scheme.replaces else 1, steps + 1)


def known_steps(run: RunDirectory) -> int:
    """Return the number of finished steps of a run."""
    return _known(run)[1].step


def _known(run: RunDirectory) -> tuple[dict[str, Tensor], Kept]:
    """Return the tensors of the state and its metadata."""
    tensors, metadata = read_tensors(run.state)
    try:
        return tensors, parsed(metadata["state"], Kept)
    except (KeyError, RunError) as error:
        text = printable(str(error), one_line=True)[:200]
        raise DamagedError(f"{run.state}: is damaged: {text}") from None


def load_block(
    run: RunDirectory, config: RunConfig, step: int, dim: int, condition: int = 0
) -> FlowBlock:
    """Read the block of one step."""
    at = run.block(step)
    return _block(run, at, read_tensors(at)[0], config, step, dim, condition)


def _block(
    run: RunDirectory,
    at: Path,
    tensors: dict[str, Tensor],
    config: RunConfig,
    step: int,
    dim: int,
    condition: int,
) -> FlowBlock:
    block = new_block(config.block_spec(step - 1), dim, condition)
    block.to(device=config.device, dtype=getattr(torch, config.dtype))
    try:
        same_kinds(block.state_dict(), tensors)
        block.load_state_dict(tensors)
    except (RuntimeError, ValueError) as error:
        reason = printable(" ".join(str(error).split()))
        raise DamagedError(f"{at}: does not fit the block in {run.config.name}: {reason}") from None
    block.freeze()
    return block


def _write_block(
    run: RunDirectory, step: int, tensors: dict[str, Tensor], config: RunConfig
) -> None:
    about = {"block": json.dumps(config_of(config.block_spec(step - 1)))}
    write_tensors(run.block(step), tensors, about)


def settle(run: RunDirectory, config: RunConfig) -> None:
    """Move refined blocks that were kept aside to their places, or delete them if unused.

    Only the holder of the lock may call it; others read them where they are.
    """
    if not run.refined.exists():
        return
    known = _known(run)[1]
    tensors = _refined(run, known)
    if tensors is not None:
        for step in range(1, known.step + 1):
            _write_block(run, step, _with_prefix(tensors, f"{step}."), config)
    run.refined.unlink()


def _refined(run: RunDirectory, known: Kept) -> dict[str, Tensor] | None:
    """Return the refined blocks that were kept aside, if the state includes them."""
    if not known.refined or not run.refined.exists():
        return None
    tensors, metadata = read_tensors(run.refined)
    return tensors if metadata.get("step") == str(known.step) else None


def _with_prefix(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


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
        names: Names of the columns, conditions last.
        conditions: Conditions of training rows, shape ``(n, k)``, in the flow's coordinates, if the
            flow is conditional.
    """
    tensors = transform.of_all_columns()
    if conditions is not None:
        tensors["conditions"] = conditions
    metadata = {"names": json.dumps(names)}
    if transform.columns is not None:
        metadata["columns"] = transform.columns.to_json()
    write_tensors(run.transform, tensors, metadata)


def load_transform(
    run: RunDirectory,
) -> tuple[AffineTransform, tuple[str, ...], Tensor | None]:
    """Read the preprocessing, the columns' names, and the conditions ``(n, k)``, if any."""
    tensors, metadata = read_tensors(run.transform)
    try:
        names = of_json(tuple[str, ...], parsed_json(metadata["names"]))
        tensors = check_tensors(run.transform, tensors, SCHEMAS["transform"], d=len(names))
        columns = Columns.from_json(metadata["columns"]) if "columns" in metadata else None
        check_transform(tensors, names, columns)
        conditions = tensors.pop("conditions", None)
        width = 0 if conditions is None else conditions.shape[1]
        transform = AffineTransform.of_columns(**tensors, condition=width)
        transform.columns = columns
        return transform, names, conditions
    except (KeyError, ValueError) as error:
        text = printable(f"{error}", one_line=True)[:200]
        raise DamagedError(f"{run.transform}: is damaged: {text}") from None


def _begun(
    run: RunDirectory, start: tuple[Particles, Particles] | None, mark: list[float]
) -> Particles:
    """Return the start's training particles, for a run at its start or one block later."""
    if start is None or start[0].checksum() != mark:
        raise DamagedError(
            f"{run.path}: its source no longer gives the rows with which the run began; "
            "restore them, or start the run again"
        )
    return start[0]


def _tensors(trace: ParticleHistory) -> dict[str, Tensor]:
    at, context = trace.before, trace.before.context
    rows = {"points": at.points, "previous": trace.previous, "gradient": trace.gradient}
    if context is not None:  # which files hold as the last columns
        rows = {k: None if x is None else torch.cat([x, context], 1) for k, x in rows.items()}
    rows |= {
        "weights": at.weights,
        "log_det": at.log_det,
        "log_density_start": at.log_density_start,
    }
    return {name: value for name, value in rows.items() if value is not None}


def _trace(
    run: RunDirectory, tensors: dict[str, Tensor], part: str, config: RunConfig, d: int, k: int
) -> ParticleHistory:
    prefix, dtype = f"{part}.", getattr(torch, config.dtype)
    own = _with_prefix(tensors, prefix)
    own = check_tensors(run.state, own, SCHEMAS["particles"], prefix=prefix, dtype=dtype, d=d + k)
    at = {name: value.to(config.device) for name, value in own.items()}
    past = {name: at.pop(name)[:, :d] for name in ("previous", "gradient") if name in at}
    points, *context = split_conditions(at.pop("points"), k)
    particles = Particles(points, context=context[0] if context else None, **at)
    return ParticleHistory(particles, past.get("previous"), past.get("gradient"))
