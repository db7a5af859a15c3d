import sys
from pathlib import Path

import pytest
from zoo import drawn

# --import-mode=importlib leaves sys.path alone, and these tests share `report_parts`.
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def plane(tmp_path_factory):
    """Return the directory of a run in the plane with its page, which no test changes."""
    import report_parts as parts

    from wopt_report import collect, render

    data = parts.dataset(d=2, known=True)
    tensors = collect(parts.flow(data), data, seed=0)
    folder = parts.write_run(tmp_path_factory.mktemp("plane"), tensors=tensors)
    with drawn():
        return render(folder).parent


@pytest.fixture(autouse=True)
def _with_pictures(pictures):
    """Look at pages as they are."""
