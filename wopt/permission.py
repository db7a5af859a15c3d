"""Permission for code that a configuration names, and for other data: a person's, not a file's."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from wopt.errors import ConfigError

__all__ = [
    "allow_changed_data", "allow_code", "allow_tracker", "changed_data_allowed", "check_code",
    "tracker_allowed",
]  # fmt: skip


class _Permission:
    """What this process may run.

    Attributes:
        code: The files that configurations name.
        changed: Also such that are not what a run recorded.
        data: Whether runs go on with other data than they were made from.
        tracker: Whether runs that go on tell the tracker that their directory names.
    """

    code = False
    changed = False
    data = False
    tracker = False


_PERMISSION = _Permission()


@contextlib.contextmanager
def _allowing(**what: bool) -> Iterator[None]:
    """Set permissions by name until the block ends."""
    before = {name: getattr(_PERMISSION, name) for name in what}
    vars(_PERMISSION).update(what)
    try:
        yield
    finally:
        vars(_PERMISSION).update(before)


@contextlib.contextmanager
def allow_code(*, changed: bool = False) -> Iterator[None]:
    """Allow the code that configurations name to run, in this process, until the block ends.

    A configuration, and so a run directory, may name a Python file (target ``python``). Whoever
    loads it would run what its author wrote, so nothing is run until it is allowed here, or on
    the command line by ``--allow-code``. Read the file first.

    Args:
        changed: Also where the file is not the one whose hash the run recorded: what was trained
            then is loaded beside another target (``--allow-changed-code``).

    Example:
        >>> with allow_code():
        ...     check_code("model.py", "abc", None)
    """
    with _allowing(code=True, changed=_PERMISSION.changed or changed):
        yield


@contextlib.contextmanager
def allow_changed_data() -> Iterator[None]:
    """Let runs go on with other data than they were made from, until the block ends.

    A run directory knows its data by their hash. Others are refused, since rows that the model was
    trained on could then judge it; here and by ``--allow-changed-data`` one says that they are
    meant. The log, and a certificate that is made of them, say so.

    Example:
        >>> with allow_changed_data():
        ...     changed_data_allowed()
        True
    """
    with _allowing(data=True):
        yield


@contextlib.contextmanager
def allow_tracker() -> Iterator[None]:
    """Let runs that go on tell the tracker that their directory names, until the block ends.

    A tracker writes where its options say, or sends records there, and the directory may be
    somebody else's. Read its ``config.toml`` first.

    Example:
        >>> with allow_tracker():
        ...     tracker_allowed()
        True
    """
    with _allowing(tracker=True):
        yield


def tracker_allowed() -> bool:
    """Return whether trackers that a run directory names are told.

    Example:
        >>> tracker_allowed()
        False
    """
    return _PERMISSION.tracker


def changed_data_allowed() -> bool:
    """Return whether other data are allowed.

    Example:
        >>> changed_data_allowed()
        False
    """
    return _PERMISSION.data


def check_code(path: str, sha256: str, recorded: str | None) -> None:
    """Raise unless the file may be run.

    Args:
        path: Of the file.
        sha256: Of its bytes.
        recorded: The hash that the configuration holds, if it holds one.

    Raises:
        ConfigError: It is not allowed, or it has changed since the configuration was resolved.

    Example:
        >>> check_code("model.py", "abcdef", None)
        Traceback (most recent call last):
        ...
        wopt.errors.ConfigError: this configuration runs the code in model.py (sha256 abcdef); \
read that file, then allow it with --allow-code (in Python: with wopt.allow_code():)
    """
    if not _PERMISSION.code:
        raise ConfigError(
            f"this configuration runs the code in {path} (sha256 {sha256[:12]}); read that file, "
            "then allow it with --allow-code (in Python: with wopt.allow_code():)"
        )
    if recorded is not None and recorded != sha256 and not _PERMISSION.changed:
        raise ConfigError(
            f"{path} has changed: the run recorded sha256 {recorded[:12]}, and it is "
            f"{sha256[:12]} now, so the run's model and figures belong to another target. Restore "
            "the file, or allow the changed one with --allow-changed-code (in Python: "
            "wopt.allow_code(changed=True))"
        )
