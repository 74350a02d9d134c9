"""The recipe `reader`, from SQuAD's JSON to a generator that loads by path."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import generators
from bench.answering import Answers, answered, passage
from bench.answers import answer_measure
from bench.answers.data import silent
from generators.spans import Limits, windows
from qrels.answers import answers_of, gold_answers
from qrels.errors import DataError, UsageError
from qrels.suites import load_suite
from training import reader
from training.cli import main
from training.data.sources import load
from training.gold import answer_places, examples, holds, passages_of, target
from training.log import read_log
from training.reader import OPTIONS, make_examples, make_task

NAMES = ["ann", "bob", "cyd", "dan", "eve", "fay"]
TOWNS = ["oslo", "lima", "cairo", "quito", "delhi", "turin"]
GOODS = ["tea", "salt", "wool", "rope", "soap", "silk"]
TEXT = "{0} lives in {1} by the sea . it rains a lot and it is cold all day . {0} sells old {2} ."
ASKED = {"where lives {0} ?": "{1} by the sea", "what sells {0} ?": "old {2}"}
IMPOSSIBLE = "who hates {0} ?"
OTHER = "{0} is a short name ."


def paragraph(row):
    """A paragraph, its two questions with where their answers are, and one without an answer."""
    text = TEXT.format(*row)
    qas = [
        {
            "id": f"{row[0]}-{number}", "question": question.format(*row),
            "answers": [{"text": gold.format(*row), "answer_start": text.index(gold.format(*row))}],
        }
        for number, (question, gold) in enumerate(ASKED.items())
    ]  # fmt: skip
    none = {"id": f"{row[0]}-n", "question": IMPOSSIBLE.format(*row), "is_impossible": True}
    return {"context": text, "qas": [*qas, {**none, "answers": []}]}


def other(row):
    """A paragraph on the same subject that answers nothing."""
    none = {"id": f"{row[0]}-o", "question": IMPOSSIBLE.format(*row), "is_impossible": True}
    return {"context": OTHER.format(*row), "qas": [{**none, "answers": []}]}


def write_squad(path, *kinds):
    """SQuAD 2.0's format: six articles of a paragraph of each of the kinds."""
    rows = list(zip(NAMES, TOWNS, GOODS, strict=True))
    articles = [{"title": row[0], "paragraphs": [kind(row) for kind in kinds]} for row in rows]
    path.write_text(json.dumps({"data": articles}))
    return path


@pytest.fixture(scope="session")
def squad_file(tmp_path_factory):
    """Six paragraphs, each longer than a window."""
    return write_squad(tmp_path_factory.mktemp("squad") / "small.json", paragraph)


@pytest.fixture
def options(bert_of, squad_file, tmp_path):
    said = f"{TEXT} {' '.join(ASKED)} {IMPOSSIBLE} {OTHER}"
    words = [word for word in said.replace("?", " ? ").split() if "{" not in word]
    return OPTIONS(
        model=str(bert_of([*words, *NAMES, *TOWNS, *GOODS])), data=str(squad_file),
        out=str(tmp_path / "out"), seed=1, num_epochs=30, learning_rate=3e-3, batch_size=9,
        warmup_steps=5, precision="float32", device="cpu", log_every=100, max_length=24, stride=8,
        patience=0, measure_every=1000, save_every=0, negatives=0.0,
    )  # fmt: skip


def run(options, say=lambda _: None):
    reader.main(options, say)
    return Path(options.out)


def read_by(generator, suite):
    """What a generator answers from the paragraphs that the questions are about."""
    docs = passages_of(suite, lambda: None)
    contexts = [[passage(suite.corpus, doc, 0.0) for doc in row] for row in docs]
    return Answers(contexts, generator.generate(suite.queries.texts, contexts))


def test_a_reader_that_knows_its_paragraphs_answers_all_through_the_generator(options, squad_file):
    """The loss falls; loaded by path the generator reaches EM 1.0, with answers in the second
    window of their paragraph and silence where there is none, and cites the paragraph."""
    out = run(replace(options, validate=str(squad_file), test=(str(squad_file),)))
    log = read_log(out / "log.jsonl")
    losses = [row["loss"] for row in log if "loss" in row]
    assert np.mean(losses[-5:]) < 0.1 * np.mean(losses[:5])
    suite = answers_of(load(str(squad_file)))
    said = read_by(generators.create(f'reader?model="{out / "model"}"'), suite)
    assert answer_measure("EM").values(answered(suite, said)).tolist() == [1.0] * 18
    assert [silent(one) for one in said.answers] == [False, False, True] * 6
    assert said.answers[1].text == "old tea"
    assert said.answers[1].citations == ("ann_0",)
    values = [row["value"] for row in log if "value" in row]
    assert values[-1] == 1.0 > values[0]
    card = (out / "model" / "README.md").read_text()
    for part in (suite.name, "| EM, small | ", f"| F1, validation | {values[0]:.4f} | 1.0000 |"):
        assert part in card


def test_of_several_passages_the_one_with_the_answer_is_quoted(options, tmp_path):
    """Trained with passages that hold no answer it quotes the one that does, in any order, and is
    silent where only such passages are given."""
    data = write_squad(tmp_path / "two.json", paragraph, other)
    suite = answers_of(load(str(data)))
    out = run(replace(options, data=str(data), negatives=1.0, negatives_depth=2))
    made = generators.create(f'reader?model="{out / "model"}"')
    rows = [row for row, golds in enumerate(gold_answers(suite.queries)) if golds]
    asked = [suite.queries.texts[row] for row in rows]
    golds = [gold_answers(suite.queries)[row][0] for row in rows]
    pairs = [[passage(suite.corpus, row // 4 * 2 + at, 0.0) for at in (0, 1)] for row in rows]
    for contexts in (pairs, [both[::-1] for both in pairs]):
        said = made.generate(asked, contexts)
        assert [one.text for one in said] == golds
        assert [one.citations for one in said] == [(both[0].doc_id,) for both in pairs]
    assert all(one.abstained for one in made.generate(asked, [both[1:] for both in pairs]))


def test_interrupted_training_goes_on_bit_for_bit(options, goes_on):
    """With dropout, stopped in the middle of an epoch: the same file."""
    goes_on(run, replace(options, num_epochs=2, batch_tokens=120), at=5)


def test_the_loss_is_that_of_the_formula(options):
    """-log of the summed probabilities of all right spans, over the passage and [CLS] alone; how
    much padding a window has changes nothing."""
    task = make_task(options, lambda _: None)
    task.model.eval()
    chosen = task.batches(0)[0]
    inputs = task.collate(chosen).inputs
    with torch.no_grad():
        whole = float(task.loss(inputs).total)
        inputs.spans[0] = torch.tensor([0, 0])
        loss = task.loss(inputs)
        alone = sum(float(task.loss(task.collate([row]).inputs).total) for row in chosen)
        out = task.model(**inputs.windows)
    expected = 0.0
    for row, allowed in enumerate(inputs.allowed.numpy()):
        start, end = (
            np.where(allowed, np.exp(logits[row].double().numpy()), 0)
            for logits in (out.start_logits, out.end_logits)
        )
        right = {tuple(span) for span in inputs.spans[row][inputs.known[row]].tolist()}
        chances = [start[a] / start.sum() * end[b] / end.sum() for a, b in right]
        expected -= np.log(sum(chances))
    assert float(loss.total) == pytest.approx(expected, rel=1e-5)
    assert loss.count == len(chosen)
    assert alone == pytest.approx(whole, rel=1e-5)


def test_several_right_spans_count_together(options):
    """A window with two right spans has a smaller loss than with either of them."""
    task = make_task(options, lambda _: None)
    inputs = task.collate(task.batches(0)[0][:1]).inputs
    first = int(inputs.allowed[0].nonzero()[1])
    one, other = torch.tensor([[[first, first]]]), torch.tensor([[[first + 1, first + 2]]])
    known = torch.ones(1, 1, dtype=torch.bool)
    task.model.eval()
    with torch.no_grad():
        single = [
            float(task.loss(inputs._replace(spans=s, known=known)).total) for s in (one, other)
        ]
        spans = torch.cat([one, other], dim=1)
        both = task.loss(inputs._replace(spans=spans, known=torch.ones(1, 2, dtype=torch.bool)))
    assert np.exp(-float(both.total)) == pytest.approx(np.exp(-np.array(single)).sum(), rel=1e-5)


@pytest.mark.parametrize(
    ("text", "golds", "about", "places"),
    [
        ("In May or in June.", ["June"], {}, [(13, 17)]),
        ("June is June", ["June"], {}, [(0, 4), (8, 12)]),
        ("June is June", ["June"], {"answer_starts": [8]}, [(8, 12)]),
        ("June is June", ["June"], {"answer_starts": [3]}, [(0, 4), (8, 12)]),
        ("in 1973", ["1973", "in 1973"], {}, [(3, 7), (0, 7)]),
        ("cat catalogue", ["cat"], {}, [(0, 3)]),
        ("a catalogue", ["cat"], {}, [(2, 5)]),
        ("cost $12.", [" $12 "], {}, [(5, 8)]),
        ("In May.", ["June", ""], {}, []),
    ],
    ids=["once", "twice", "told", "told-wrong", "several", "words", "part", "sign", "none"],
)
def test_where_answers_stand(text, golds, about, places):
    """Where the data says; else wherever whole words spell them."""
    assert answer_places(text, golds, about) == places


def test_targets_spell_the_answers(options, squad_file):
    """The tokens that a window points at are those of its answer; windows without it point at the
    first token, and every answer is in some window."""
    suite = load(str(squad_file))
    found = make_examples(suite, replace(options, negatives=0.0), lambda _: None)
    tokenizer = tokenizer_of(options.model)
    seen = set()
    pairs = [(one.question, one.passage.text) for one in found]
    for window in windows(tokenizer, pairs, Limits(24, 8)):
        one = found[window.pair]
        for start, end in target(window, one.places):
            if (start, end) == (0, 0):
                continue
            said = tokenizer.decode(window.ids[start : end + 1])
            assert one.passage.text[slice(*one.places[0])] == said
            seen.add(window.pair)
    assert seen == {pair for pair, one in enumerate(found) if one.places}
    assert len(seen) == 12


def tokenizer_of(folder):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder)


def test_an_unanswerable_question_is_read_with_what_it_was_asked_about(options, squad_file):
    """The paragraph that SQuAD has it under; where nothing says so, the first of a ranking."""
    suite = load(str(squad_file))
    assert passages_of(suite, lambda: None) == [[n] for n in range(6) for _ in range(3)]
    bare = [
        {k: v for k, v in about.items() if k != "paragraph"} for about in suite.queries.metadata
    ]
    suite = replace(suite, queries=replace(suite.queries, metadata=bare))
    ranked = np.arange(36).reshape(18, 2)[:, ::-1] % 6
    found = passages_of(suite, lambda: ranked)
    assert found[2] == [ranked[2, 0]]
    assert found[0] == [0]


def test_negatives_hold_no_answer(options, squad_file):
    """As many more examples as the share says, each ranked high and without any gold answer."""
    suite = load(str(squad_file))
    plain = make_examples(suite, replace(options, negatives=0.0), lambda _: None)
    every = make_examples(suite, replace(options, negatives=1.0), lambda _: None)
    assert len(plain) == 18
    assert every[:18] == plain
    assert len(every) == 30  # in the words of the others bm25 finds one paragraph alone
    golds = [golds for golds in gold_answers(suite.queries) if golds]
    for one, known in zip(every[18:], golds, strict=True):
        assert one.places == []
        assert not holds(one.passage.text, known)


def test_a_question_of_unknown_answer_has_no_negative(options, squad_folder, tmp_path):
    """Any passage may hold its answer, so none teaches that there is none."""
    folder = copy_of(squad_folder, tmp_path / "suite", {row: [] for row in range(1, 72)})
    suite = load_suite(folder)
    found = make_examples(suite, replace(options, negatives=1.0), lambda _: None)
    assert [(one.question, bool(one.places)) for one in found] == [
        (suite.queries.texts[0], True),
        (suite.queries.texts[0], False),
    ]


def test_questions_that_teach_nothing_are_left_out_aloud(squad_folder, tmp_path):
    """Without an answer, or with one that stands nowhere in its passage; all of them: an error."""
    folder = copy_of(squad_folder, tmp_path / "suite", {0: [], 1: ["elsewhere"], 2: ["nowhere"]})
    suite, said = load_suite(folder), []
    found = examples(suite, passages_of(suite, lambda: None), said.append)
    assert len(found) == 69
    assert said == [
        "1 of 72 questions have no answer and are left out",
        "2 of 72 questions have no answer that stands in their passage and are left out",
    ]
    folder = copy_of(squad_folder, tmp_path / "none", {row: [] for row in range(72)})
    suite = load_suite(folder)
    with pytest.raises(DataError, match="no question has an answer in its passage"):
        examples(suite, passages_of(suite, lambda: None), said.append)


def copy_of(folder, target_folder, answers):
    """A suite's folder with other answers for some rows."""
    import shutil

    shutil.copytree(folder, target_folder)
    path = target_folder / "queries.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for row, golds in answers.items():
        rows[row]["answers"] = golds
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return target_folder


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (["--measure", "F2"], "unknown measure of answers 'F2'; allowed: "),
        (["--stride", "20"], "stride is 20; expected at most a third of max_length"),
        (["--max-length", "99"], "max_length = 99; the model has positions for 64 tokens"),
        (["--data", ""], "no training data, or twice"),
        (["--model", "nowhere/at/all"], "cannot be loaded"),
    ],
    ids=["measure", "stride", "length", "nothing", "model"],
)
def test_what_is_wrong_is_one_line_and_exit_2(options, written, message, capsys):
    """A mistake is told in a line, before anything is trained."""
    common = ["--model", options.model, "--data", options.data, "--out", options.out]
    given = [*common, "--max-length", "24", "--stride", "8", *written]
    assert main(["reader", *given]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("training: ")
    assert message in error


def test_a_suite_without_answers_cannot_be_measured(options, squad_folder, tmp_path):
    """The line names the suite."""
    folder = copy_of(squad_folder, tmp_path / "none", {row: [] for row in range(72)})
    with pytest.raises(UsageError, match="has no gold answers"):
        run(replace(options, validate=str(folder)))
