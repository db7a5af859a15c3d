"""Shared fixtures."""

import numpy as np
import pandas as pd
import pytest


@pytest.fixture
def cells(tmp_path):
    """Return the place of a small file: 300 cells at three days, in three dimensions."""
    import anndata

    draw = np.random.default_rng(0)
    day = np.repeat([0.0, 1.0, 2.0], 100)
    obs = pd.DataFrame(
        {"day": day, "kind": pd.Categorical(np.where(draw.random(300) < 0.4, "a", "b"))},
        index=[f"cell{j}" for j in range(300)],
    )
    rows = draw.normal(size=(300, 3)) + day[:, None]
    matrix = draw.normal(size=(300, 2)).astype("float32")
    var = pd.DataFrame(index=["gene1", "gene2"])
    path = tmp_path / "cells.h5ad"
    anndata.AnnData(X=matrix, obs=obs, var=var, obsm={"X_pca": rows}).write_h5ad(path)
    return path
