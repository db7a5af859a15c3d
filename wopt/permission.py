"""Permissions that the user, not a file, gives: to run code, use other data, call trackers."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from wopt.errors import ConfigError

__all__ = [
    "allow_changed_data", "allow_code", "allow_tracker", "changed_data_allowed", "check_code",
    "tracker_allowed",
]  # fmt: skip


class _Permission:
    """Permissions of this process.

    Attributes:
        code: Run files that configurations name.
        changed: Run such files also if they differ from those that a run recorded.
        data: Continue runs with other data than they were made from.
        tracker: Let continued runs use the tracker that their directory names.
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

    A configuration, and so a run directory, may name a Python file (target ``python``). Loading it
    would run its author's code, so it needs permission, here or by ``--allow-code`` on the command
    line. Read the file first.

    Args:
        changed: Whether to allow a file whose hash differs from the recorded one, so that the model
            belongs to another target (``--allow-changed-code``).

    Example:
        >>> with allow_code():
        ...     check_code("model.py", "abc", None)
    """
    with _allowing(code=True, changed=_PERMISSION.changed or changed):
        yield


@contextlib.contextmanager
def allow_changed_data() -> Iterator[None]:
    """Let runs continue with other data than they were made from, until the block ends.

    A run directory records the hash of its data. Other data are rejected by default, since they
    could contain training rows among the test rows; this block, or ``--allow-changed-data``, allows
    them. The log and certificates record it.

    Example:
        >>> with allow_changed_data():
        ...     changed_data_allowed()
        True
    """
    with _allowing(data=True):
        yield


@contextlib.contextmanager
def allow_tracker() -> Iterator[None]:
    """Let continued runs use the tracker that their directory names, until the block ends.

    A tracker writes or sends records to where its options say, and the directory may come from
    somebody else. Read its ``config.toml`` first.

    Example:
        >>> with allow_tracker():
        ...     tracker_allowed()
        True
    """
    with _allowing(tracker=True):
        yield


def tracker_allowed() -> bool:
    """Return whether trackers that a run directory names are used."""
    return _PERMISSION.tracker


def changed_data_allowed() -> bool:
    """Return whether other data are allowed."""
    return _PERMISSION.data


def check_code(path: str, sha256: str, recorded: str | None) -> None:
    """Raise unless the file may be run.

    Args:
        path: Path of the file.
        sha256: Hash of its bytes.
        recorded: The hash in the configuration, if it has one.

    Raises:
        ConfigError: Code is not allowed, or the file has changed since it was recorded.

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
