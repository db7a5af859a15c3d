"""A flow saved to one file of tensors and JSON, which is loaded without running code."""

from __future__ import annotations

import dataclasses
import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from wopt.component import build, config_of
from wopt.data.columns import Columns
from wopt.data.frames import FrameType
from wopt.data.transform import AffineTransform
from wopt.errors import CapabilityError, ConfigError, DamagedError, WoptError
from wopt.flow.base import DistributionLaw, SourceLaw
from wopt.flow.chain import Chain
from wopt.flow.flow import Flow
from wopt.interfaces.block import FlowBlock, new_block
from wopt.interfaces.target import Law, support_of
from wopt.reading import parsed_json
from wopt.tensors import SCHEMAS, check_tensors, read_tensors, write_tensors
from wopt.typed import of_json

FORMAT = 6
"""Version of the file; readers reject later ones. Version 2 added kinds of columns, 3 masks of
conditions, 4 supports, 5 curves, 6 cells, scales, times, columns that are put back and frames."""

_CONDITIONS = "base.conditions"


@dataclasses.dataclass(frozen=True)
class _About:
    """What a file says of a flow, besides its tensors."""

    names: tuple[str, ...]
    dim: int
    condition: int
    blocks: tuple[dict[str, Any], ...]
    base: dict[str, Any]
    columns: str | None = None
    support: dict[str | int, Any] | None = None
    frame: str | None = None


def save_flow(flow: Flow, path: Path) -> Path:
    """Write a flow to a safetensors file atomically and return its path.

    The file holds the ``state_dict`` and, as JSON, the configuration of the blocks and of the base.
    """
    columns, support = flow.transform.columns, flow.chain.support
    about = {
        "format": FORMAT,
        "wopt-core": version("wopt-core"),
        "names": list(flow.names),
        "dim": flow.dim,
        "condition": flow.condition,
        "blocks": [config_of(block) for block in flow.blocks],
        "base": _table_of(flow),
        "columns": None if columns is None else columns.to_json(),
        "support": None if support is None else support.intervals(),
        "frame": None if flow.frame is None else flow.frame.to_json(),
    }
    tensors: dict[str, torch.Tensor] = {
        f"{_start(flow)}transform.{k}": v for k, v in flow.transform.of_all_columns().items()
    }
    for name, block in _blocks(flow).items():
        block.state_dict(destination=tensors, prefix=name)
    if flow.conditions is not None:
        tensors[_CONDITIONS] = flow.conditions
    write_tensors(path, tensors, {"flow": json.dumps(about)})
    return path


def _start(flow: Flow) -> str:
    """Return how names of tensors begin in a file."""
    return "map." if flow.pulls_back else "map.of."


def _blocks(flow: Flow) -> dict[str, FlowBlock]:
    """Return the blocks by their names in a file."""
    return {f"{_start(flow)}blocks.{k}.": block for k, block in enumerate(flow.blocks)}


def load_flow(path: Path) -> Flow:
    """Read a flow that :func:`save_flow` wrote, to the CPU."""
    tensors, about = _read(path)
    if about.get("format") not in range(1, FORMAT + 1):
        raise ConfigError(
            f"{path}: has format {about.get('format')}, and this wopt-core reads {FORMAT}; install "
            "the version that wrote it"
        )
    try:
        flow = _assemble(path, tensors, of_json(_About, about))
        for name, block in _blocks(flow).items():
            own = [key for key in tensors if key.startswith(name)]
            block.load_state_dict({key.removeprefix(name): tensors.pop(key) for key in own})
        if tensors:
            raise ValueError(f"it has tensors of no part: {', '.join(tensors)}")
    except WoptError:
        raise
    except (AttributeError, KeyError, TypeError, ValueError, RuntimeError) as error:
        text = " ".join(str(error).split())
        raise DamagedError(f"{path}: is damaged: {text}") from None
    return flow.requires_grad_(False).eval()


def _assemble(path: Path, tensors: dict[str, torch.Tensor], about: _About) -> Flow:
    dim, condition = about.dim, about.condition
    prefix = "map.of." if "source" in about.base else "map."
    start = f"{prefix}transform."
    own = {k.removeprefix(start): tensors.pop(k) for k in [*tensors] if k.startswith(start)}
    own = check_tensors(path, own, SCHEMAS["transform"], prefix=start, d=dim)
    transform = AffineTransform.of_columns(**own, condition=condition)
    transform.columns = None if about.columns is None else Columns.from_json(about.columns)
    blocks = []
    for k, table in enumerate(about.blocks):
        block = new_block(build("block", table), dim - condition, condition)
        of_block = f"{prefix}blocks.{k}."
        given = {n.removeprefix(of_block): v for n, v in tensors.items() if n.startswith(of_block)}
        missing = block.state_dict().keys() - given.keys()
        if missing:  # checked here, since a file may declare a million blocks
            raise ValueError(f"block {k} has no {', '.join(sorted(missing))}")
        floats = [v for v in given.values() if v.is_floating_point()]
        blocks.append(block.to(floats[0].dtype) if floats else block)
    support = None
    if about.support is not None:
        support = support_of(about.support, [*map(str, range(dim))])
    base = _base_of(about.base)
    conditions = tensors.pop(_CONDITIONS, None)
    frame = None if about.frame is None else FrameType.from_json(about.frame)
    flow = Flow(Chain(blocks, transform, support), base, about.names, frame, conditions)
    return flow.inverted() if isinstance(base, SourceLaw) else flow


def _table_of(flow: Flow) -> dict[str, Any]:
    base = flow.base
    if isinstance(base, DistributionLaw) or isinstance(base, SourceLaw) == flow.pulls_back:
        raise CapabilityError(
            f"a flow whose base is {type(base).__name__} cannot be saved: no file describes it; "
            "keep flow.state_dict() and make the base anew, or use a target such as gaussian"
        )
    if isinstance(base, SourceLaw):
        return {"source": config_of(base.source), "seed": base.seed}
    return {"target": None if base is None else config_of(base)}


def _base_of(table: dict[str, Any]) -> Law | None:
    if "source" in table:
        return SourceLaw(build("source", table["source"]), int(table["seed"]))
    target: Law | None = None if table["target"] is None else build("target", table["target"])
    return target


def _read(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    try:
        tensors, metadata = read_tensors(path)
    except DamagedError as error:
        raise DamagedError(f"{path}: is not a flow that wopt saved, or damaged ({error})") from None
    if "flow" not in metadata:
        raise ConfigError(f"{path}: is not a flow that wopt saved")
    try:
        about = parsed_json(metadata["flow"])
    except ValueError as error:
        raise DamagedError(f"{path}: is damaged: {error}") from None
    if not isinstance(about, dict):
        raise DamagedError(f"{path}: is damaged: it does not describe a flow")
    return tensors, about
