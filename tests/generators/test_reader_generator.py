"""The span reader: which span, of which passage, from which window, and when none."""

import pickle
import shutil
from itertools import pairwise

import numpy as np
import pytest

import generators
from generators.base import Answer, Generator, Passage
from generators.reader import Reader, answer
from generators.spans import Limits, Span, Window, best_span, best_spans, windows
from qrels.errors import DataError, UsageError

WORDS = [f"w{number}" for number in range(40)]
SPECIAL = {
    "pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]",
}  # fmt: skip
QUESTION = "w1 w2 w3"
SHORT = Passage("short", "w4, w5 w6. w7!", "w9 w9 w9")
LONG = Passage("long", " ".join(f"w{number * 7 % 40}" for number in range(90)))
OTHER = Passage("other", "w8 w20 w31")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A random BERT that reads spans, with large weights, so that no two spans are alike."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertForQuestionAnswering, PreTrainedTokenizerFast

    place = tmp_path_factory.mktemp("reader") / "model"
    vocabulary = {word: i for i, word in enumerate([*SPECIAL.values(), ".", ",", "!", *WORDS])}
    torch.manual_seed(2)
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=64, initializer_range=0.5,
    )  # fmt: skip
    BertForQuestionAnswering(config).save_pretrained(place)
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    made = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
        **SPECIAL,
    )
    made.save_pretrained(place)
    return str(place)


@pytest.fixture(scope="module")
def tokenizer(folder):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder)


def all_spans(folder, question, text, longest):
    """Every span of a text that fits one window with its margin over null, by plain loops."""
    import torch
    from transformers import AutoModelForQuestionAnswering, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForQuestionAnswering.from_pretrained(folder).eval()
    given = tokenizer(question, text, return_tensors="pt", return_offsets_mapping=True)
    places = given.pop("offset_mapping")[0].tolist()
    with torch.no_grad():
        out = model(**given)
    starts, ends = (part[0].tolist() for part in (out.start_logits, out.end_logits))
    own = [at for at, part in enumerate(given.sequence_ids(0)) if part == 1]
    return {
        text[places[a][0] : places[b][1]]: starts[a] + ends[b] - starts[0] - ends[0]
        for a in own
        for b in own
        if a <= b < a + longest
    }


def test_the_answer_is_the_best_of_all_spans(folder):
    """Of both passages the span furthest above its own null span, as every span tried one by one
    says; its passage is cited, whichever comes first."""
    spans = {p.doc_id: all_spans(folder, QUESTION, p.text, 3) for p in (SHORT, OTHER)}
    best = max((value, text, name) for name, some in spans.items() for text, value in some.items())
    for passages in ([SHORT, OTHER], [OTHER, SHORT]):
        (said,) = Reader(folder, threshold=100, max_answer=3).generate([QUESTION], [passages])
        assert said == Answer(best[1], (best[2],))


def test_it_abstains_where_null_wins_by_more_than_the_threshold(folder):
    """A threshold at the best margin answers, the next below it is silent."""
    best = max(all_spans(folder, QUESTION, SHORT.text, 30).values())
    for threshold, silent in ((-best + 1e-3, False), (-best - 1e-3, True)):
        (said,) = Reader(folder, threshold=threshold).generate([QUESTION], [[SHORT]])
        assert said.abstained is silent
        assert (said.text == "") is silent
        assert said.citations == (() if silent else ("short",))


def test_without_a_word_to_quote_it_abstains(folder):
    """No passage, or passages without a token."""
    reader = Reader(folder, threshold=1000)
    silent = Answer("", abstained=True)
    assert reader.generate([QUESTION], [[]]) == [silent]
    assert reader.generate([QUESTION], [[Passage("e", " \n "), Passage("f", "")]]) == [silent]
    assert reader.generate([], []) == []


def test_questions_are_answered_alike_together_and_alone(folder):
    """Batches of any size give what one question at a time gives, in order."""
    questions = [QUESTION, "w9", "w30 w31 w32 w33", "w5 w5"]
    contexts = [[SHORT, LONG], [LONG, OTHER], [], [OTHER]]
    pairs = list(zip(questions, contexts, strict=True))
    for tokens in (1, 100, 16384):
        reader = Reader(folder, threshold=1000, batch_tokens=tokens)
        alone = [reader.generate([q], [passages])[0] for q, passages in pairs]
        assert reader.generate(questions, contexts) == alone
    assert [bool(one.text) for one in alone] == [True, True, False, True]


def test_a_title_is_not_read(folder):
    """It changes nothing."""
    reader = Reader(folder, threshold=1000)
    bare = Passage(SHORT.doc_id, SHORT.text)
    assert reader.generate([QUESTION], [[bare]]) == reader.generate([QUESTION], [[SHORT]])


def test_windows_cover_a_passage_and_share_their_stride(tokenizer):
    """Each token is in a window, neighbours share so many tokens, places are the text's own."""
    limits = Limits(max_length=30, stride=5)
    rows = windows(tokenizer, [("w1", SHORT.text), (QUESTION, LONG.text), ("w1", "")], limits)
    assert [row.pair for row in rows] == [0, 1, 1, 1, 1, 1]
    for row in rows:
        text = (SHORT, LONG)[row.pair].text
        own = row.ids[row.first : row.first + len(row.places)]
        assert [text[a:b] for a, b in row.places] == tokenizer.convert_ids_to_tokens(own.tolist())
        assert row.types[row.first] == 1
        assert len(row.ids) <= 30
    parts = [[int(start) for start, _ in row.places] for row in rows[1:]]
    assert sorted({start for part in parts for start in part}) == starts_of(LONG.text)
    for before, after in pairwise(parts):
        assert before[-5:] == after[:5]


def starts_of(text):
    return [at for at, one in enumerate(text) if one == "w"]


def test_a_long_question_leaves_room_for_the_passage(tokenizer, folder):
    """It keeps its first tokens, a third of a window; a short one keeps all."""
    question = " ".join(["w1", "w2"] * 100)
    rows = windows(tokenizer, [(question, LONG.text), ("w9", "w8")], Limits(30, 10))
    assert rows[0].first == 1 + 10 + 1
    assert rows[-1].first == 1 + 1 + 1
    assert Reader(folder, threshold=1000).generate([question], [[LONG]])[0].text in LONG.text


def test_the_best_window_of_a_long_passage_wins(tokenizer, folder):
    """The best span of a passage is the best of those of its windows, each against its own null."""
    model = Reader(folder)._loaded.model
    limits = Limits(max_length=30, stride=5)
    (found,) = best_spans(model, tokenizer, [(QUESTION, LONG.text)], limits)
    rows = windows(tokenizer, [(QUESTION, LONG.text)], limits)
    texts = [LONG.text[row.places[0, 0] : row.places[-1, 1]] for row in rows]
    each = [best_spans(model, tokenizer, [(QUESTION, text)], limits)[0] for text in texts]
    best = max(each, key=lambda span: span.margin)
    assert found.margin == pytest.approx(best.margin, abs=1e-5)
    text = texts[each.index(best)]
    assert LONG.text[found.start : found.end] == text[best.start : best.end]


@pytest.mark.parametrize(
    ("starts", "ends", "longest", "span"),
    [
        ([0, 9, 1, 5, 2], [0, 9, 1, 2, 8], 3, (13.0, 1, 3)),
        ([0, 9, 1, 5, 2], [0, 9, 1, 2, 8], 1, (10.0, 2, 3)),
        ([1, 9, 5, 0, 0], [3, 9, 0, 0, 9], 2, (5.0, 1, 3)),
        ([0, 9, 0, 0, 5], [0, 9, 5, 0, 0], 3, (5.0, 0, 1)),
        ([0, 9, 0, 0, 0], [0, 9, 0, 0, 0], 3, (0.0, 0, 1)),
    ],
    ids=["two", "one", "too-far", "never-backwards", "first-of-equals"],
)
def test_the_best_span_of_a_window(starts, ends, longest, span):
    """Hand-worked logits of [CLS] q p p p: no longer than allowed, in order, never the question."""
    ids = np.arange(5, dtype=np.int32)
    row = Window(0, ids, ids, 2, np.array([[0, 1], [1, 2], [2, 3]], np.int32))
    logits = [np.array(part, np.float32) for part in (starts, ends)]
    assert best_span(row, *logits, longest) == Span(*span)


def test_of_equal_spans_the_better_passage_is_cited():
    """The first one, as passages come best first; white space around a span is no answer."""
    read = [(SHORT, Span(2.0, 0, 2)), (OTHER, Span(2.0, 0, 2)), (LONG, None)]
    assert answer(read, 0.0) == Answer("w4", ("short",))
    assert answer([(Passage("x", "  "), Span(2.0, 0, 2))], 0.0) == Answer("", abstained=True)


def test_it_is_a_generator_of_the_registry(folder):
    """Made by name with parameters of a spec; it needs passages; its constructor loads nothing."""
    made = generators.create('reader?model="nowhere/at/all"&threshold=1.5&max_length=256')
    assert isinstance(made, Generator)
    assert (made.threshold, made.max_length) == (1.5, 256)
    assert made.needs_passages


def test_it_travels_to_another_process_without_its_model(folder):
    """Loaded and pickled it answers the same; closed it loads again."""
    made = Reader(folder, threshold=1000)
    expected = made.generate([QUESTION], [[SHORT]])
    sent = pickle.dumps(made)
    assert len(sent) < 1000
    assert pickle.loads(sent).generate([QUESTION], [[SHORT]]) == expected
    made.close()
    made.load()
    assert made.generate([QUESTION], [[SHORT]]) == expected


def test_its_digest_says_what_decides_the_answers(folder, tmp_path):
    """It changes with parameters and weights, not with where the folder is."""
    moved = tmp_path / "model"
    shutil.copytree(folder, moved)
    assert Reader(folder).digest == Reader(str(moved)).digest
    assert Reader(folder).digest != Reader(folder, threshold=1.0).digest
    weights = moved / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\0")
    assert Reader(folder).digest != Reader(str(moved)).digest
    assert Reader(folder).describe()["source"] == "folder"


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"threshold": "low"}, "reader: threshold is 'low'; expected a number"),
        ({"threshold": float("nan")}, "reader: threshold is nan; expected a number"),
        ({"max_length": 8}, "max_length is 8; expected at least 16"),
        ({"max_answer": 0}, "max_answer is 0; expected at least 1"),
        ({"stride": 200}, "stride is 200; expected at most a third of max_length, which is 384"),
        ({"stride": -1}, "stride is -1; expected at least 0"),
        ({"dtype": "int8"}, "unknown dtype 'int8'"),
    ],
    ids=["text", "nan", "window", "answer", "stride", "negative", "dtype"],
)
def test_a_wrong_parameter_is_told_in_a_line(params, message, folder):
    """The name, the value and what is allowed."""
    with pytest.raises(UsageError) as caught:
        Reader(folder, **params).generate(["q"], [[SHORT]])
    assert str(caught.value).startswith(message)


def test_a_model_without_a_trained_head_is_refused(folder, tmp_path):
    """The weights of an encoder alone would point anywhere."""
    from transformers import AutoModel, AutoTokenizer

    AutoModel.from_pretrained(folder).save_pretrained(tmp_path / "bare")
    AutoTokenizer.from_pretrained(folder).save_pretrained(tmp_path / "bare")
    with pytest.raises(DataError, match="lacks the weights qa_outputs"):
        Reader(str(tmp_path / "bare")).load()


def test_a_pickled_weight_file_is_not_read(folder, tmp_path):
    """Without safetensors there is no model."""
    import torch
    from safetensors.torch import load_file

    moved = tmp_path / "model"
    shutil.copytree(folder, moved)
    torch.save(load_file(moved / "model.safetensors"), moved / "pytorch_model.bin")
    (moved / "model.safetensors").unlink()
    with pytest.raises(DataError, match="cannot be loaded"):
        Reader(str(moved)).load()
