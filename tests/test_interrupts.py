"""Ctrl-C where Python would drop it."""

import subprocess
import sys

LOST = """
import os, signal, time, weakref
from wopt.cli.main import quit_while_importing

class Thing: pass

def collected(_):
    os.kill(os.getpid(), signal.SIGINT)
    sum(range(1000))  # in which the exception comes, and cannot leave

try:
    with quit_while_importing():
        thing = Thing()
        watched = weakref.ref(thing, collected)
        del thing
        time.sleep(20)
    print("went on")
except KeyboardInterrupt:
    print("interrupted")
"""


def test_it_comes_again_where_a_callback_of_the_garbage_drops_it():
    done = subprocess.run([sys.executable, "-c", LOST], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("interrupted\n", "")
