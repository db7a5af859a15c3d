"""A run's options and records arrive at a real MLflow server with a SQLite store."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

import wopt
from wopt.config.model import validate
from wopt.runs.execute import run_config

TABLE = {
    "seed": 4,
    "source": {"name": "toy", "shape": "moons", "n_train": 100, "n_valid": 100, "n_test": 50},
    "block": {"name": "affine"},
    "solver": {"optimiser": "lbfgs"},
    "stop": {"steps": 2},
    "certify": {"enabled": False},
}


@pytest.fixture
def mlflow():
    """Import MLflow, which takes seconds, where a test begins that needs it."""
    return pytest.importorskip("mlflow")


@pytest.fixture
def server(tmp_path):
    """Start a server of its own and return its address."""
    pytest.importorskip("mlflow.server")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [
        *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)),
        *("--backend-store-uri", f"sqlite:///{tmp_path / 'mlflow.db'}", "--workers", "1"),
        *("--default-artifact-root", str(tmp_path / "artifacts")),
    ]
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONWARNINGS"}
    with (tmp_path / "server.txt").open("w") as log:
        process = subprocess.Popen(
            words, stdout=log, stderr=log, env=environment, start_new_session=True
        )
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            if process.poll() is not None:
                pytest.fail((tmp_path / "server.txt").read_text())
            try:
                with urllib.request.urlopen(f"{address}/health", timeout=5):
                    break
            except OSError:
                time.sleep(0.5)
        yield address
    finally:
        os.killpg(process.pid, 15)
        process.wait(60)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_run_arrives(server, tmp_path):
    from mlflow.tracking import MlflowClient

    tracker = {"name": "mlflow", "uri": server, "experiment": "cells", "run": "one"}
    result = run_config(validate(TABLE | {"tracker": tracker}), tmp_path / "run")
    client = MlflowClient(server)
    experiment = client.get_experiment_by_name("cells").experiment_id
    (found,) = client.search_runs([experiment])
    assert (found.info.run_name, found.info.status) == ("one", "FINISHED")
    assert found.data.params["block.name"] == "affine"
    assert found.data.tags["wopt.seed"] == "4"
    lines = [json.loads(x) for x in (tmp_path / "run/steps.jsonl").read_text().splitlines()]
    energies = client.get_metric_history(found.info.run_id, "energy")
    assert [(m.step, m.value) for m in energies] == [(r["step"], r["energy"]) for r in lines]
    assert found.data.metrics["result/nll_test"] == result.nll_test


@pytest.mark.parametrize(
    ("said", "error", "told"),
    [
        ("Model registry is unavailable; got unsupported URI 'sqlite:///a.db'", wopt.ConfigError,
         "pip install mlflow; or name a server"),
        ("no such host", None, "no such host"),
    ],
)  # fmt: skip
def test_a_store_that_cannot_be_opened_names_the_package_that_can(
    monkeypatch, mlflow, said, error, told
):
    import wopt_mlflow.tracker as tracker

    def refuse(uri):
        raise mlflow.exceptions.MlflowException(said)

    monkeypatch.setattr(tracker, "_client_of", refuse)
    with pytest.raises(error or mlflow.exceptions.MlflowException, match=told):
        tracker.MLflow().start({})
