import sys
from pathlib import Path

import pytest

# --import-mode=importlib leaves sys.path alone, and these tests share these modules.
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def stranger(finished, tmp_path):
    """Return a run directory as from a stranger, beside a file that nobody may touch."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious.txt").write_text("precious")
    return finished, outside / "precious.txt"


@pytest.fixture(autouse=True)
def _with_pictures(pictures):
    """Draw pages as they are: strange data and damaged files must not break a picture."""
