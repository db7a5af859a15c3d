"""What the tests share: the blocks with the options under test."""

import pytest
from block_tables import ZUKO


@pytest.fixture(params=ZUKO)
def table(request):
    """Return the table of each block under test."""
    return dict(ZUKO[request.param])
