"""What the tests share: the blocks with the options under test."""

import pytest
from block_tables import OWN, WITH_LOG_DET


@pytest.fixture(params=OWN)
def any_table(request):
    """Return the table of each block under test."""
    return dict(OWN[request.param])


@pytest.fixture(params=WITH_LOG_DET)
def table(request):
    """Return the table of each block that has a log-det."""
    return dict(WITH_LOG_DET[request.param])
