"""MLflow: its store gets what the log gets, where the package is installed."""

import sys
from dataclasses import replace

import pytest

from qrels.errors import MissingPackageError, UsageError
from training.config import as_table
from training.retriever import OPTIONS
from training.tracking import tracking


def test_without_the_package_the_line_says_what_to_install(monkeypatch):
    """--mlflow without mlflow is one line; without --mlflow nothing is imported."""
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(MissingPackageError, match="pip install mlflow"), tracking("x", "n", {}):
        pass
    with tracking("", "n", {}) as tracker:
        tracker.numbers(1, {"loss": 1.0})


@pytest.mark.filterwarnings("default")  # mlflow's own
def test_the_local_store_gets_options_losses_and_files(
    tmp_path, tiny_model, squad_folder, monkeypatch
):
    """A run in MLflow's file store, read back by its client."""
    mlflow = pytest.importorskip("mlflow", reason="mlflow is not installed")
    from training import retriever

    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")  # newer versions want to be asked
    uri = (tmp_path / "mlruns").as_uri()
    options = OPTIONS(
        model=str(tiny_model), data=str(squad_folder), validate=str(squad_folder), mlflow=uri,
        out=str(tmp_path / "out"), max_steps=4, batch_size=16, log_every=2, negatives=0,
        device="cpu",
    )  # fmt: skip
    retriever.main(options, lambda _: None)
    client = mlflow.MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("retriever")
    [run] = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FINISHED"
    assert run.data.params["seed"] == str(as_table(options)["seed"])
    history = client.get_metric_history(run.info.run_id, "loss")
    assert [point.step for point in history] == [2, 4]
    assert "nDCG_at_10" in run.data.metrics
    names = {item.path for item in client.list_artifacts(run.info.run_id)}
    assert names == {"log.jsonl", "loss.png", "README.md"}
    with pytest.raises(UsageError, match="loss is nan"):
        retriever.main(replace(options, learning_rate=1e30, clip=0.0, out=str(tmp_path / "n")),
                       lambda _: None)  # fmt: skip
    states = {run.info.status for run in client.search_runs([experiment.experiment_id])}
    assert states == {"FINISHED", "FAILED"}
