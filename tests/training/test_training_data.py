"""Training data as suites: SQuAD's JSON, pairs, the hub, and the split by article."""

import json
import sys
from types import ModuleType

import numpy as np
import pytest

from qrels.answers import gold_answers, unanswerable
from qrels.errors import DataError, MissingPackageError, UsageError
from qrels.suites import load_suite
from training.cli import main
from training.data.pairs import read_pairs
from training.data.sources import load
from training.data.split import split_by_article, write_suite
from training.data.squad import read_squad
from training.mining import relevant_documents


def squad(**changes):
    """Two articles, one with an impossible question; *changes* are of the first question."""
    first = {
        "id": "a", "question": " Where? ", "answers": [{"text": "Rome", "answer_start": 3}],
        **changes,
    }  # fmt: skip
    none = {"id": "b", "question": "When?", "answers": [], "is_impossible": True}
    more = {"id": "c", "question": "Who?", "answers": [{"text": "Ann", "answer_start": 0}] * 2}
    return {
        "version": "v2.0",
        "data": [
            {"title": "The_City", "paragraphs": [
                {"context": "In Rome.", "qas": [first, none]},
                {"context": "In Bonn.", "qas": []},
            ]},
            {"title": "People", "paragraphs": [{"context": "Ann did.", "qas": [more]}]},
        ],
    }  # fmt: skip


def written(path, table):
    path.write_text(json.dumps(table))
    return path


def test_squads_own_json_is_a_suite(tmp_path):
    """Paragraphs are documents, questions carry answers and their places; impossible ones have
    no relevant paragraph."""
    suite = read_squad(written(tmp_path / "dev-v2.0.json", squad()))
    assert list(suite.corpus.doc_ids) == ["The_City_0", "People_0"]
    assert suite.corpus.fields["title"] == ["The City", "People"]
    assert list(suite.queries.texts) == ["Where?", "When?", "Who?"]
    assert gold_answers(suite.queries) == [("Rome",), (), ("Ann", "Ann")]
    assert unanswerable(suite.queries).tolist() == [False, True, False]
    assert suite.queries.metadata[0]["answer_starts"] == [3]
    assert [set(docs) for docs in relevant_documents(suite)] == [{0}, set(), {1}]
    assert load(str(tmp_path / "dev-v2.0.json")).digest == suite.digest


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (squad(answers=[]), "question 'a' has no answer and is not said to be impossible"),
        (squad(answers=[{"text": "Rome", "answer_start": 4}]), "answer 'Rome' is not at 4"),
        (squad(answers=[{"text": "Rome", "answer_start": -5}]), "answer 'Rome' is not at -5"),
        (squad(answers=[{"text": "", "answer_start": 0}]), "the answer '' is not at 0"),
        (squad(answers=[{"text": "Rome"}]), "question 'a': not SQuAD's format: no 'answer_start'"),
        (squad(id="c"), "a question's id is there twice"),
        ({"data": []}, "holds no question"),
        ({"data": [{"title": "x"}]}, "article 0"),
        ([1], "not SQuAD's format"),
    ],
    ids=["none", "place", "before", "empty", "start", "twice", "nothing", "article", "list"],
)
def test_broken_squad_is_one_line(tmp_path, table, message):
    """A question without its answer is named, with the file."""
    path = written(tmp_path / "s.json", table)
    with pytest.raises(DataError) as caught:
        read_squad(path)
    assert str(path) in str(caught.value)
    assert message in str(caught.value)


def test_a_question_without_an_answer_is_exit_2(tmp_path, capsys):
    """The command line says so in one line."""
    path = written(tmp_path / "s.json", squad(answers=[]))
    assert main(["retriever", "--data", str(path)]) == 2
    assert "question 'a' has no answer" in capsys.readouterr().err


def test_pairs_are_a_suite(tmp_path):
    """Equal passages are one document, equal questions one query, equal lines one judgement."""
    rows = [("q", "p"), ("q", "r"), ("s", "p"), ("q", "p")]
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(json.dumps({"question": a, "passage": b}) + "\n" for a, b in rows))
    suite = load(str(path))
    assert list(suite.queries.texts) == ["q", "s"]
    assert suite.corpus.fields["text"] == ["p", "r"]
    assert [set(docs) for docs in relevant_documents(suite)] == [{0, 1}, {0}]


@pytest.mark.parametrize("row", [{"question": "q"}, {"question": " ", "passage": "p"}, {}])
def test_half_a_pair_is_refused(tmp_path, row):
    """File and line are named."""
    path = tmp_path / "pairs.jsonl"
    path.write_text(json.dumps({"question": "q", "passage": "p"}) + "\n" + json.dumps(row) + "\n")
    with pytest.raises(DataError, match=r"pairs.jsonl:2: (question|passage) = "):
        read_pairs(path)


def test_the_hub_is_asked_by_its_package_alone(monkeypatch):
    """`--dataset-name squad` takes the rows of `datasets`; without it the line says what to do."""
    rows = [
        {"id": "a", "title": "T", "context": "In Rome.", "question": "Where?",
         "answers": {"text": ["Rome"], "answer_start": [3]}},
        {"id": "b", "title": "T", "context": "In Rome.", "question": "When?",
         "answers": {"text": [], "answer_start": []}},
    ]  # fmt: skip
    package = ModuleType("datasets")
    package.load_dataset = lambda name, split: rows if (name, split) == ("squad", "train") else 0
    monkeypatch.setitem(sys.modules, "datasets", package)
    suite = load("", "", "squad")
    assert len(suite.corpus) == 1
    assert unanswerable(suite.queries).tolist() == [False, True]
    package.load_dataset = lambda name, split: [{"id": "a"}]
    with pytest.raises(DataError, match="not SQuAD's columns"):
        load("", "", "squad")
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingPackageError, match="pip install datasets"):
        load("", "", "squad")


def test_a_split_is_by_article_and_loses_no_judgement(squad_folder):
    """Groups, documents and questions are in one part each; every question keeps its paragraph."""
    suite = load_suite(squad_folder)
    parts = split_by_article(suite, 3, 1, 2, seed=4)
    assert list(parts) == ["train", "validate", "test"]
    assert [len(part.queries) for part in parts.values()] == [36, 12, 24]
    for kind in (lambda part: part.corpus.doc_ids, lambda part: part.queries.query_ids):
        every = [name for part in parts.values() for name in kind(part)]
        assert sorted(every) == sorted(kind(suite))
    for part in parts.values():
        for query_id, docs in zip(part.queries.query_ids, relevant_documents(part), strict=True):
            article, paragraph, _ = query_id[1:].split("-")
            assert [part.corpus.doc_ids[doc] for doc in docs] == [f"art_{article}_{paragraph}"]
    again = split_by_article(suite, 3, 1, 2, seed=4)
    assert [part.digest for part in again.values()] == [part.digest for part in parts.values()]
    other = split_by_article(suite, 3, 1, 2, seed=5)
    assert other["train"].digest != parts["train"].digest


def test_the_written_suites_are_read_back_the_same(squad_folder, tmp_path):
    """`bench run --suite FOLDER` takes them: same content, same digest, answers and all."""
    for name, part in split_by_article(load_suite(squad_folder), 3, 1, 2).items():
        write_suite(tmp_path / name, part)
        found = load_suite(tmp_path / name)
        assert (found.name, found.split, found.digest) == (part.name, name, part.digest)
        assert gold_answers(found.queries) == gold_answers(part.queries)
        assert len(load_suite(tmp_path / name, f"{name} answers").queries) == len(part.queries)


def test_fewer_questions_to_test_on_keep_every_passage(squad_folder, tmp_path):
    """The other parts stay whole."""
    sizes = ["--train", "3", "--validate", "1", "--test", "2", "--test-questions", "6"]
    assert main(["split", "--data", str(squad_folder), "--out", str(tmp_path / "o"), *sizes]) == 0
    whole = split_by_article(load_suite(squad_folder), 3, 1, 2)
    found = {name: load_suite(tmp_path / "o" / name) for name in whole}
    assert [found[name].digest == part.digest for name, part in whole.items()] == [1, 1, 0]
    assert found["test"].corpus.doc_ids == whole["test"].corpus.doc_ids
    assert found["test"].queries.query_ids == whole["test"].queries.query_ids[::4]


def test_an_unanswerable_question_stays_in_its_part(tmp_path):
    """A question without a judgement is in the suite that is written, as unanswerable."""
    suite = read_squad(written(tmp_path / "s.json", squad()))
    parts = split_by_article(suite, 1, 0, 1)
    assert list(parts) == ["train", "test"]
    found = []
    for name, part in parts.items():
        write_suite(tmp_path / name, part)
        again = load_suite(tmp_path / name)
        found += list(zip(again.queries.query_ids, unanswerable(again.queries), strict=True))
    assert sorted(found) == [("a", False), ("b", True), ("c", False)]


def test_the_rules_of_a_suite_go_with_its_parts(squad_folder, tmp_path):
    """Fields, weights, metadata columns and rules are those of the suite that was split."""
    folder = tmp_path / "suite"
    (folder / "qrels").mkdir(parents=True)
    for name in ("corpus.jsonl", "queries.jsonl", "qrels/test.tsv"):
        (folder / name).write_bytes((squad_folder / name).read_bytes())
    (folder / "suite.toml").write_text(
        'relevance_level = 1\nexclude_self = true\ndepth = 7\nmeasures = ["RR@5"]\n'
        "[fields]\ntitle = { weight = 2.0 }\ntext = {}\n"
    )
    part = split_by_article(load_suite(folder), 1, 1, 1)["test"]
    write_suite(tmp_path / "part", part)
    found = load_suite(tmp_path / "part")
    assert found.rules == part.rules
    assert found.rules.exclude_self
    assert (found.depth, list(found.measures)) == (7, ["RR@5"])
    assert found.corpus.weights == {"title": 2.0, "text": 1.0}


@pytest.mark.parametrize(
    ("sizes", "column", "error", "message"),
    [
        ((5, 1, 1), "article", UsageError, r"has 6 groups by 'article'; train \+ validate"),
        ((1, 1, 1), "artikel", DataError, "query 'q0-0-0' has no metadata.artikel"),
    ],
    ids=["too-few", "column"],
)
def test_what_cannot_be_split_is_one_line(squad_folder, sizes, column, error, message):
    """Too few groups, or none."""
    with pytest.raises(error, match=message):
        split_by_article(load_suite(squad_folder), *sizes, column=column)


def test_a_document_of_two_groups_is_refused(squad_folder):
    """A paragraph that questions of two articles ask about would be in two parts."""
    suite = load_suite(squad_folder)
    suite.qrels.docs[0] = 23
    with pytest.raises(DataError, match="'art_5_3' is judged for questions of"):
        split_by_article(suite, 1, 1, 1)


def test_the_shared_squad_splits_as_the_issue_says(shared, tmp_path, capsys):
    """36, 4 and 8 articles; no paragraph of one part is in another."""
    folder = shared / "squad-v1.1-dev"
    assert main(["split", "--data", str(folder), "--out", str(tmp_path)]) == 0
    parts = [load_suite(tmp_path / name) for name in ("train", "validate", "test")]
    groups = [{item["article"] for item in part.queries.metadata} for part in parts]
    assert [len(found) for found in groups] == [36, 4, 8]
    assert sum(map(len, groups)) == len(set.union(*groups)) == 48
    assert sum(len(part.queries) for part in parts) == 10_570
    texts = [set(part.corpus.fields["text"]) for part in parts]
    assert not texts[0] & texts[2]
    assert all((np.diff(part.qrels.indptr) == 1).all() for part in parts)
