"""Options of a run's execution: threads, memory, precision."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field

from wopt.component import Component, fields
from wopt.errors import ConfigError
from wopt.mapped import bytes_of
from wopt.precision import Precision


def _amount(text: str | None) -> str | None:
    try:
        if text is not None:
            bytes_of(text)
    except ConfigError as error:
        raise ValueError(str(error)) from None
    return text


@fields
class Running(Component):
    """Execution of a run, by one process or by those that ``torchrun`` starts.

    The same number of processes gives the same bits on CPUs of one kind; others agree to rounding.

    With ``precision`` the nets of blocks that provide ROUNDED multiply rounded matrices while they
    are trained by adam or muon; log-dets, and maps that are not being trained, stay in float32, and
    the guard, likelihoods and the certificate use maps audited in float64.

    Example:
        >>> Running(memory="2GB").hold
        'all'
    """

    renamed: ClassVar[dict[str, tuple[str, dict[Any, Any]]]] = {"shards": ("", {})}

    threads: Annotated[
        int | None,
        Field(
            ge=1,
            description="threads that train on the CPU, where one process makes the run; by "
            "default the number that the user has set (OMP_NUM_THREADS), else the one that is "
            "found at the start by measuring; the run directory records it, and a resumed run "
            "uses it again",
        ),
    ] = None
    memory: Annotated[
        str | None,
        Field(
            description='budget for particles and data, such as "2GB": tensors above a sixteenth '
            "of it are in mapped files of the run directory, and tables above that are streamed "
            "from .npy and .parquet files; by default everything is in memory"
        ),
        AfterValidator(_amount),
    ] = None
    hold: Annotated[
        Literal["all", "shard"],
        Field(
            description="what each process holds in memory: all training particles, or its "
            "own, from which batches are then sent; for scheme jko, and blocks that do not "
            "look at all particles"
        ),
    ] = "all"
    precision: Annotated[
        Precision | None,
        Field(
            description="to what nets round the matrices that they multiply in training: tf32 (10 "
            "bits, on CUDA devices) or bf16 (7 bits, on all); log-dets stay in float32, and audits "
            "are then in float64; by default nothing is rounded"
        ),
    ] = None
    compile: Annotated[
        bool,
        Field(
            description="whether torch.compile makes the code of maps in training, by adam or "
            "muon: it takes a minute or so for each kind of block, and pays in long runs"
        ),
    ] = False
    timeout: Annotated[
        float,
        Field(
            gt=0,
            description="seconds after which a process that does not answer ends the others; more "
            "than any step of one process alone, such as writing a checkpoint, may take",
        ),
    ] = 120.0
