"""The log in an MLflow tracking store as well, where `--mlflow URI` names one."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from qrels.errors import MissingPackageError, UsageError


class Tracker(Protocol):
    """Takes numbers by name, and files."""

    def numbers(self, step: int, values: Mapping[str, float]) -> None: ...

    def file(self, path: Path) -> None: ...


class Nowhere:
    """Tracks nothing."""

    def numbers(self, step: int, values: Mapping[str, float]) -> None:
        pass

    def file(self, path: Path) -> None:
        pass


class MLflow:
    """A run of MLflow, by its client: no global state of the library is touched."""

    def __init__(self, client: Any, run_id: str) -> None:  # mlflow.MlflowClient
        self.client = client
        self.run_id = run_id

    def numbers(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self.client.log_metric(self.run_id, name, value, step=step)

    def file(self, path: Path) -> None:
        self.client.log_artifact(self.run_id, str(path))


@contextmanager
def tracking(uri: str, name: str, options: Mapping[str, Any]) -> Iterator[Tracker]:
    """A run called *name* in the store at *uri*, finished or failed as the block ends."""
    if not uri:
        yield Nowhere()
        return
    try:
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException
    except ModuleNotFoundError as error:
        raise MissingPackageError("--mlflow needs `pip install mlflow`") from error
    try:
        client = MlflowClient(tracking_uri=uri)
        found = client.get_experiment_by_name(name)
        experiment = found.experiment_id if found else client.create_experiment(name)
        run_id = client.create_run(experiment).info.run_id
        for key, value in options.items():
            client.log_param(run_id, key, value)
    except MlflowException as error:
        raise UsageError(f"mlflow {uri!r}: {str(error).splitlines()[0]}") from error
    try:
        yield MLflow(client, run_id)
    except BaseException:
        client.set_terminated(run_id, "FAILED")
        raise
    client.set_terminated(run_id, "FINISHED")
