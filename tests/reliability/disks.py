"""A disk of its own for a function: real, small, and gone with the process that has it."""

import ctypes
import json
import os
import sys
import traceback
from pathlib import Path

_NEW_MOUNTS, _NEW_USERS = 0x00020000, 0x10000000
_READ_ONLY, _REMOUNT, _PRIVATE = 1, 32, (1 << 18) | (1 << 14)


class NoDisk(Exception):
    """This system lets nobody mount one here."""


def with_disk(function, place, size="64k", inodes=10_000):
    """Return what a function returns that has a small disk at a place, in a fork.

    Args:
        function: Takes the place; its value goes through JSON.
        place: An empty folder.
        size: Of the disk: a tmpfs in a mount namespace that ends with the fork.
        inodes: Files that it can hold.

    Raises:
        NoDisk: Mounting is not allowed, by root or in a user namespace.
        AssertionError: The function raised.
    """
    receive, send = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        os.close(receive)
        try:
            _own_mounts()
            _mount("tmpfs", place, 0, f"size={size},nr_inodes={inodes}")
            output = {"value": function(Path(place))}
        except NoDisk as error:
            output = {"none": str(error)}
        except BaseException:
            output = {"error": traceback.format_exc()}
        with os.fdopen(send, "w") as out:
            json.dump(output, out)
        os._exit(0)
    os.close(send)
    with os.fdopen(receive) as answer:
        text = answer.read()
    os.waitpid(child, 0)
    output = json.loads(text or '{"error": "it ended without a word"}')
    if "none" in output:
        raise NoDisk(output["none"])
    assert "error" not in output, output["error"]
    return output["value"]


def _mount(kind, place, flags, options=""):
    """Call mount(2)."""
    words = [str(word).encode() for word in (kind, place, kind)]
    if ctypes.CDLL(None, use_errno=True).mount(*words, flags, options.encode()):
        raise NoDisk(os.strerror(ctypes.get_errno()))


def read_only(place):
    """Let nobody write on a disk, not root either."""
    _mount("tmpfs", place, _REMOUNT | _READ_ONLY)


def _own_mounts():
    """Give this process mounts that no other sees."""
    libc = ctypes.CDLL(None, use_errno=True)
    user, group = os.getuid(), os.getgid()
    flags = _NEW_MOUNTS | (_NEW_USERS if user else 0)
    if libc.unshare(flags):
        raise NoDisk(os.strerror(ctypes.get_errno()))
    if user:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {user} 1")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1")
    _mount("none", "/", _PRIVATE)


def fill(place, leave=0):
    """Take all room of a disk but so many bytes; return the file that takes it."""
    about = os.statvfs(place)
    free = about.f_bavail * about.f_frsize - leave
    path = Path(place) / "filler"
    with path.open("wb") as file:
        file.write(bytes(max(free, 0)))
    return path
