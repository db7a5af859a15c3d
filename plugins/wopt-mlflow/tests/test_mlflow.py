"""A run's options and records arrive at a real MLflow server with a SQLite store."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

pytest.importorskip("mlflow")
pytest.importorskip("mlflow.server")

import wopt
from wopt.config.model import validate
from wopt.host import host
from wopt.runs.execute import run_config
from wopt_mlflow import MLflow

TABLE = {
    "seed": 4,
    "source": {"name": "toy", "shape": "moons", "n_train": 100, "n_valid": 100, "n_test": 50},
    "block": {"name": "affine"},
    "solver": {"optimiser": "lbfgs"},
    "stop": {"steps": 2},
    "certify": {"enabled": False},
}


@pytest.fixture
def registered():
    """Register the tracker where this plugin is not installed."""
    registry = host().registry
    before = dict(registry._entries)
    if "mlflow" not in registry.names("tracker"):
        wopt.register("tracker", "mlflow", MLflow)
    yield
    registry._entries = before


@pytest.fixture
def server(tmp_path):
    """Start a server of its own and return its address."""
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
def test_a_run_arrives(registered, server, tmp_path):
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


@pytest.mark.filterwarnings("ignore")
def test_a_server_that_is_gone_does_not_end_a_run(registered, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    tracker = {"name": "mlflow", "uri": "http://127.0.0.1:9"}
    result = run_config(validate(TABLE | {"tracker": tracker}), tmp_path / "run")
    assert result.status == "done"
    assert "the tracker failed at start" in (tmp_path / "run/log.txt").read_text()
