"""ROUGE and BLEU are the libraries' own numbers."""

import sys

import numpy as np
import pytest

from bench.answers import answer_measure
from bench.answers.library import corpus_bleu
from qrels.errors import MissingPackageError

ROUGE = {"ROUGE-1": "rouge1", "ROUGE-2": "rouge2", "ROUGE-L": "rougeL"}
SAID = [
    "the cat sat on the mat", "A cat is on a mat.", "mat", "x y z", "", "cat cat cat cat cat",
    "Trafalgar, 21 October 1805; Nelson's ships", "the cat sat on the mat and then it slept",
]  # fmt: skip
GOLD = ["the cat was sitting on the mat", "cats and mats", "Nelson's ships at Trafalgar in 1805"]


@pytest.fixture
def pairs(answered):
    """Every answer against one gold answer, two and three."""
    golds = [GOLD[:n] for n in (1, 2, 3)]
    return answered([text for text in SAID for _ in golds], golds * len(SAID))


@pytest.mark.parametrize("name", ROUGE)
def test_rouge_is_that_of_rouge_score(name, pairs):
    """Each value is the library's F of the best gold answer."""
    scoring = pytest.importorskip("rouge_score.rouge_scorer")
    scorer = scoring.RougeScorer([ROUGE[name]])
    expected = [
        scorer.score_multi(golds, said.text)[ROUGE[name]].fmeasure
        for said, golds in zip(pairs.answers, pairs.golds, strict=True)
    ]
    assert answer_measure(name).values(pairs).tolist() == expected
    assert len(set(expected)) > 3


def test_rouge_of_a_case_worked_by_hand(answered):
    """x b c against x c d e: 2 words of 3 and 4 shared; no pair; x c in order."""
    pytest.importorskip("rouge_score")
    found = answered(["x b c"], [["x c d e"]])
    values = [answer_measure(name).values(found)[0] for name in ROUGE]
    assert values == pytest.approx([4 / 7, 0, 4 / 7])


def test_bleu_is_that_of_sacrebleu(pairs):
    """Each value is the library's sentence BLEU over all gold answers, by 100."""
    library = pytest.importorskip("sacrebleu")
    expected = [
        library.sentence_bleu(said.text, list(golds)).score / 100 if said.text else 0.0
        for said, golds in zip(pairs.answers, pairs.golds, strict=True)
    ]
    assert answer_measure("BLEU").values(pairs).tolist() == pytest.approx(expected, abs=1e-15)
    assert len(set(expected)) > 3


def test_corpus_bleu_is_that_of_sacrebleu(answered):
    """One text of all answers, over questions with differing numbers of gold answers."""
    library = pytest.importorskip("sacrebleu")
    golds = [GOLD[:2], GOLD[1:2], []]
    found = answered(["the cat was sitting on a mat", "cats and mats", "x"], golds, [0, 0, 1])
    columns = [[GOLD[0], GOLD[1]], [GOLD[1], None]]
    expected = library.corpus_bleu([said.text for said in found.answers[:2]], columns).score
    assert corpus_bleu(found) == pytest.approx(expected / 100)
    assert 0.3 < expected / 100 < 1


def test_corpus_bleu_needs_a_gold_answer(answered):
    """Without one there is nothing to compare with."""
    assert corpus_bleu(answered(["x"], [[]], [1])) is None


@pytest.mark.parametrize("name", [*ROUGE, "BLEU"])
def test_unanswerable_questions_have_the_rule_of_squad(name, answered):
    """Silence scores 1 there and 0 elsewhere."""
    pytest.importorskip("rouge_score")
    pytest.importorskip("sacrebleu")
    found = answered(["", "x", ""], [[], [], ["x"]], [1, 1, 0])
    assert np.array_equal(answer_measure(name).values(found), [1, 0, 0])


@pytest.mark.parametrize(
    ("name", "module", "package"),
    [("ROUGE-1", "rouge_score", "rouge-score"), ("BLEU", "sacrebleu", "sacrebleu")],
)
def test_a_missing_library_is_one_line(name, module, package, answered, monkeypatch):
    """It says what to install."""
    for loaded in [one for one in sys.modules if one.partition(".")[0] == module]:
        monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingPackageError, match=rf"needs {package}: pip install"):
        answer_measure(name).values(answered(["x"], [["x"]]))
