"""Where training data comes from: one name, whatever it is."""

from pathlib import Path

from qrels.data import Suite
from qrels.errors import UsageError
from qrels.suites import load_suite
from training.data.hub import read_hub
from training.data.pairs import read_pairs
from training.data.squad import read_squad

READERS = {".json": read_squad, ".jsonl": read_pairs}


def load(source: str, split: str = "", dataset_name: str = "") -> Suite:
    """The suite at *source*, or of a data set of the hub.

    source: a suite's name or folder; a .json file of SQuAD's format; a .jsonl file of pairs.
    split: of a suite or data set; by default the suite's own, or "train".
    """
    if bool(source) == bool(dataset_name):
        raise UsageError("no training data, or twice; give --data or --dataset-name, one of them")
    if dataset_name:
        return read_hub(dataset_name, split or "train")
    path = Path(source)
    if (read := READERS.get(Path(path.name.removesuffix(".gz")).suffix)) is not None:
        return read(path)
    return load_suite(source, split or None)
