"""A store that the small package cannot open is told of, with what to install."""

import pytest

pytest.importorskip("mlflow")

from mlflow.exceptions import MlflowException

import wopt
import wopt_mlflow.tracker as tracker


def test_a_file_without_all_of_mlflow_names_the_package(monkeypatch):
    def refuse(uri):
        raise MlflowException("Model registry is unavailable; got unsupported URI 'sqlite:///a.db'")

    monkeypatch.setattr(tracker, "_client_of", refuse)
    with pytest.raises(wopt.ConfigError, match=r"pip install mlflow; or name a server"):
        tracker.MLflow().start({})


def test_other_errors_of_mlflow_are_its_own(monkeypatch):
    def refuse(uri):
        raise MlflowException("no such host")

    monkeypatch.setattr(tracker, "_client_of", refuse)
    with pytest.raises(MlflowException, match="no such host"):
        tracker.MLflow().start({})
