"""A file of hub items becomes a suite that can be searched and run."""

import json

import pytest

from bench.cli import main
from qrels.suites import load_suite

MODELS = [
    {
        "model_id": "google-bert/bert-base-uncased", "author": "google-bert", "base_model": [],
        "license": "apache-2.0", "language": ["en"], "tags": ["fill-mask", "license:apache-2.0"],
        "pipeline_tag": "fill-mask", "library_name": "transformers", "downloads": 90, "likes": 5,
        "created_at": "2022-03-02T23:29:04Z",
        "readme": "---\nlicense: mit\n---\n# BERT\n\nMasked language model.\n\n```\ncode\n```",
    },
    {
        "model_id": "org/whisper-it", "license": None, "language": ["it"], "tags": ["audio"],
        "downloads": 7, "created_at": "Tue Jan 25 16:34:18 2022 +0100", "readme": "",
        "description": "Italian speech, masked or not.",
    },
    {"model_id": "org/nothing"},
]  # fmt: skip
DATASETS = [
    {
        "dataset_id": "glue", "license": ["other"], "language": ["en"],
        "task_categories": ["text-classification"], "readme": "# GLUE",
    }
]  # fmt: skip


@pytest.fixture
def make(tool, tmp_path):
    """make(rows) writes them to a file and makes a suite of it; the exit code."""

    def run(rows):
        path = tmp_path / "items.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return tool("hf_suite").main([str(path), "--out", str(tmp_path / "hub")])

    return run


def test_items_are_the_corpus_of_a_suite(make, tmp_path):
    """Every item, with clean text, typed metadata, and the shipped judgements at their level."""
    assert make(MODELS) == 0
    suite, shipped = load_suite(tmp_path / "hub"), load_suite("models")
    assert list(suite.corpus.doc_ids) == [row["model_id"] for row in MODELS]
    assert list(suite.corpus.fields["text"]) == [
        "BERT\nMasked language model.", "Italian speech, masked or not.", "",
    ]  # fmt: skip
    columns = {name: column.values.tolist() for name, column in suite.corpus.metadata.items()}
    assert columns["license"] == ["apache-2.0", None, None]
    assert columns["language"] == [("en",), ("it",), ()]
    assert columns["downloads"][:2] == [90, 7]
    assert [str(value) for value in suite.corpus.metadata["created_at"].values] == [
        "2022-03-02T23:29:04", "2022-01-25T15:34:18", "NaT",
    ]  # fmt: skip
    assert list(suite.queries.query_ids) == list(shipped.queries.query_ids)
    assert suite.rules == shipped.rules


def test_datasets_are_told_by_their_id(make, tmp_path):
    """They have columns, queries and qrels of their own."""
    assert make(DATASETS) == 0
    suite = load_suite(tmp_path / "hub")
    assert suite.corpus.metadata["task_categories"].values.tolist() == [("text-classification",)]
    assert list(suite.queries.query_ids) == list(load_suite("datasets").queries.query_ids)


def test_it_is_searched_under_filters(make, tmp_path, monkeypatch, capsys):
    """`bench index`, then `bench search` with a condition on the metadata."""
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    make(MODELS)
    target = ["--suite", str(tmp_path / "hub"), "--system", "bm25"]
    assert main(["index", *target]) == 0
    capsys.readouterr()
    assert main(["search", "masked speech", *target, "--filter", "language:it"]) == 0
    found = capsys.readouterr().out
    assert "org/whisper-it" in found
    assert "bert-base" not in found


@pytest.mark.parametrize(
    ("rows", "error"),
    [
        ([{"name": "x"}], "items.jsonl:1: no model_id or dataset_id"),
        ([MODELS[0], {"likes": 3}], "items.jsonl:2: "),
        ([MODELS[0], MODELS[0]], "items.jsonl:2: "),
    ],
    ids=["no-ids", "one-without", "twice"],
)
def test_a_wrong_file_is_named(make, capsys, rows, error):
    """With its line, and exit code 2."""
    assert make(rows) == 2
    assert error in capsys.readouterr().err
