"""scikit-learn's bundled sets."""

import typing

import pytest
import torch

import wopt
from wopt.component import options_model
from wopt_measures import SklearnSource

SETS = typing.get_args(options_model(SklearnSource).model_fields["dataset"].annotation)


@pytest.mark.parametrize("name", SETS)
def test_every_set_runs(name):
    source = SklearnSource(name, dequantise=1.0 if name == "digits" else 0.0)
    source.check()
    data = source.load(seed=0)
    assert len(data.names) == data.dim
    assert torch.isfinite(data.transform.move(data.test)).all()


def test_columns():
    source = SklearnSource("iris", columns=["petal width (cm)", 0])
    assert source.load(0).names == ("petal width (cm)", "sepal length (cm)")
    with pytest.raises(wopt.DataError, match=r"iris has no column 'petal width'; .*did you mean"):
        SklearnSource("iris", columns=["petal width"]).check()
    with pytest.raises(wopt.ConfigError, match=r"dataset.*'iris'"):
        SklearnSource("irs")
