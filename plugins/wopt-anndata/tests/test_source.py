"""AnnData files: embeddings, times, conditions, and every message."""

import numpy as np
import pytest
import torch
from click.testing import CliRunner

import wopt
from wopt.cli.sample import sample_command as sample
from wopt.cli.score import score_command as score
from wopt.testing import check_component, check_source
from wopt_anndata import AnnDataSource


def read(path):
    import anndata  # which takes a second

    return anndata.read_h5ad(path)


def rows_of(data):
    return torch.cat([data.train, data.valid, data.test])


def test_an_embedding(cells):
    source = AnnDataSource(cells)
    source.check()
    data = source.load(seed=0)
    assert data.names == ("pca1", "pca2", "pca3")
    truth = read(cells).obsm["X_pca"]
    assert np.array_equal(np.sort(rows_of(data).numpy(), axis=0), np.sort(truth, axis=0))
    check_source(source)
    assert wopt.build("source", wopt.config_of(source)).load(0).names == data.names


def test_it_is_checked_without_a_file():
    assert "needs path" in check_component("source", "anndata")[-1]


def test_one_time_by_at_and_by_where(cells):
    by_at = AnnDataSource(cells, dims=2, time="day", at=1).load(seed=0)
    by_where = AnnDataSource(cells, dims=2, where="day == 1").load(seed=0)
    assert by_at.names == ("pca1", "pca2")
    assert len(rows_of(by_at)) == 100
    assert torch.equal(by_at.train, by_where.train)


def test_time_and_kind_as_conditions(cells):
    data = AnnDataSource(cells, time="day", context=["kind"]).load(seed=0)
    assert data.names == ("pca1", "pca2", "pca3", "kind", "day")
    assert data.condition == 2
    assert data.transform.columns.columns[3].categories == ("a", "b")
    # Rows keep their day: the embedding was shifted by it.
    rows = rows_of(data)
    for day in (0.0, 1.0, 2.0):
        part = rows[rows[:, 4] == day]
        assert len(part) == 100
        assert float((part[:, 0].mean() - day).abs()) < 0.4  # four standard errors


def test_the_matrix_itself_and_categories_in_where(cells):
    data = AnnDataSource(cells, obsm="X", where='kind == "a"').load(seed=0)
    assert data.names == ("gene1", "gene2")
    kinds = read(cells).obs["kind"]
    assert len(rows_of(data)) == int((kinds == "a").sum())


def test_mistakes(cells, tmp_path):
    (tmp_path / "bad.h5ad").write_bytes(b"no")
    for options, message in [
        ({"path": tmp_path / "cels.h5ad"}, "does not exist; did you mean 'cells.h5ad'"),
        ({"path": tmp_path / "bad.h5ad"}, "cannot be read as an AnnData file"),
        ({"obsm": "X_pcs"}, "no embedding 'X_pcs'.*did you mean 'X_pca'"),
        ({"dims": 9}, "has 3 columns, fewer than dims = 9"),
        ({"context": ["kindd"]}, "no column 'kindd'"),
        ({"time": "dya"}, "no column 'dya'.*did you mean 'day'"),
        ({"time": "day", "at": 7}, "no row of 300 satisfies"),
    ]:
        source = AnnDataSource(**{"path": cells} | options)
        with pytest.raises(wopt.DataError, match=message):
            source.check() or source.load(0)
    with pytest.raises(wopt.ConfigError, match="`at` says which rows"):
        AnnDataSource(cells, at=1)


def test_score_and_conditions_take_such_a_file(cells, tmp_path):
    """What a model was trained on can be scored, and be the conditions of samples."""
    about = {
        "source": {"name": "anndata", "path": str(cells), "context": ["kind"]},
        "block": "affine", "stop": {"steps": 1}, "solver": {"iterations": 5},
        "certify": {"enabled": False},
    }  # fmt: skip
    wopt.run(about, tmp_path / "run")
    out = tmp_path / "out.csv"
    run = str(tmp_path / "run")
    for words in ([score, run, str(cells)], [sample, run, "--conditions", str(cells)]):
        answer = CliRunner().invoke(words[0], [*words[1:], "-o", str(out)], standalone_mode=False)
        assert answer.exception is None
        assert len(out.read_text().splitlines()) == 301
