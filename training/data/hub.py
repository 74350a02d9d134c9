"""A SQuAD-format data set of the hub, by the package `datasets`, for those who are online."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from qrels.data import Suite
from qrels.errors import DataError, MissingPackageError
from training.data.squad import Question, suite_of


def read_hub(name: str, split: str = "train") -> Suite:
    """The suite in one split of `datasets.load_dataset(name)`, "squad" or "squad_v2" say.

    Its rows must have SQuAD's columns: id, title, context, question, answers. MissingPackageError
    where `datasets` is not installed, DataError where the data cannot be had.
    """
    try:
        from datasets import load_dataset
    except ModuleNotFoundError as error:
        raise MissingPackageError("--dataset-name needs `pip install datasets`") from error
    try:
        rows = load_dataset(name, split=split)
    except (OSError, ValueError, RuntimeError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise DataError(f"data set {name!r}, split {split!r}: {reason}") from error
    return suite_of(questions(rows, name), name.rpartition("/")[2], f"data set {name!r}")


def questions(rows: Iterable[Mapping[str, Any]], name: str) -> Iterator[Question]:
    """The rows as questions; one without an answer is an impossible one, as SQuAD 2.0 has it."""
    for row in rows:
        try:
            answers = row["answers"]
            yield Question(
                row["id"],
                row["title"],
                row["context"],
                row["question"].strip(),
                list(answers["text"]),
                list(answers["answer_start"]),
                not answers["text"],
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise DataError(f"data set {name!r}: not SQuAD's columns: {error}") from error
