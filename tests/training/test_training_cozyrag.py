"""The recipe `cozyrag`: two models learn by turns, and are saved as folders that load by path."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import encoders
import generators
from bench.answering import Answers as Said
from bench.answering import answered, passages
from bench.answers import answer_measure
from bench.config import parse_system
from bench.runner import measure_run
from bench.system import search_suite
from generators.context import Context
from qrels.answers import answers_of
from qrels.errors import DataError, UsageError
from qrels.suites import load_suite
from training import cozyrag
from training.causal import IGNORED, answer_logits, load_parts, prompts_of
from training.cli import main
from training.cozyrag import OPTIONS, make_task
from training.log import read_log
from training.retriever import load_model, ranked

KEEPERS = 16
ALIASES = [f"k{n}" for n in range(KEEPERS)]
NAMES = [f"n{n}" for n in range(KEEPERS)]
PLACES = [f"p{n}" for n in range(KEEPERS)]
OTHERS = ["who", "keeps", "and", "lives", "by", "the", "h0", "h1", "h2", "h3", "a", "b", "c", "d"]
PROMPT = ["Q", ":", "Context", "A", "[", "]", "1", "2", "3", ".", "I", "don", "'", "t", "know"]
SPECIAL = {"pad_token": "[PAD]", "unk_token": "[UNK]", "eos_token": "[EOS]"}


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    """No test asks the hub."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture(scope="module")
def encoder(bert_of, tmp_path_factory):
    """A random bi-encoder that knows the words; questions share none with their passages."""
    from sentence_transformers import SentenceTransformer

    folder = tmp_path_factory.mktemp("encoder") / "model"
    bert = bert_of([*ALIASES, *NAMES, *PLACES, *OTHERS])
    made = SentenceTransformer(str(bert), device="cpu", local_files_only=True)  # the mean of it
    made.save_pretrained(str(folder), create_model_card=False)
    return folder


@pytest.fixture(scope="module")
def generator(tmp_path_factory):
    """A random GPT-2 with a word a token."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("generator") / "model"
    words = [*SPECIAL.values(), *ALIASES, *NAMES, *PLACES, *OTHERS, *PROMPT]
    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, "[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **SPECIAL).save_pretrained(folder)
    torch.manual_seed(3)
    GPT2LMHeadModel(
        GPT2Config(
            vocab_size=len(words), n_embd=48, n_layer=2, n_head=2, n_positions=96, bos_token_id=2,
            eos_token_id=2, initializer_range=0.1, resid_pdrop=0.05, embd_pdrop=0, attn_pdrop=0,
        )
    ).save_pretrained(folder)  # fmt: skip
    return folder


def write(folder, rows, passages):
    """A suite: rows of question, answers and the number of the passage, or None."""
    (folder / "qrels").mkdir(parents=True)
    corpus = [{"_id": f"d{n}", "text": text} for n, text in enumerate(passages)]
    queries = [
        {"_id": f"q{n}", "text": question, **({"answers": answers} if answers else
         {"metadata": {"unanswerable": True, "split": "test"}})}
        for n, (question, answers, _) in enumerate(rows)
    ]  # fmt: skip
    for name, lines in {"corpus": corpus, "queries": queries}.items():
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (folder / f"{name}.jsonl").write_text(text)
    judged = [f"q{n}\td{doc}\t1" for n, (_, _, doc) in enumerate(rows) if doc is not None]
    text = "\n".join(["query-id\tcorpus-id\tscore", *judged]) + "\n"
    (folder / "qrels" / "test.tsv").write_text(text)
    return folder


@pytest.fixture(scope="module")
def keepers(tmp_path_factory):
    """Who keeps what: learnable, and without a word in common with its passage."""
    rows = [(f"who keeps {k}", [f"{NAMES[n]} h{n % 4}"], n) for n, k in enumerate(ALIASES)]
    texts = [f"{p} {NAMES[n]} lives by the h{n % 4} ." for n, p in enumerate(PLACES)]
    return write(tmp_path_factory.mktemp("suite") / "keepers", rows, texts)


@pytest.fixture
def options(encoder, generator, keepers, tmp_path):
    return OPTIONS(
        model=str(encoder), generator=str(generator), data=str(keepers), out=str(tmp_path / "out"),
        learning_rate=4e-3, warmup_steps=4, batch_size=8, precision="float32", device="cpu",
        negatives=0, passages=3, sentences=2, context_encoder="hashing", max_new_tokens=6,
        num_epochs=4, log_every=50, patience=0, max_length=32, least=2,
    )  # fmt: skip


def run(options, say=lambda _: None):
    cozyrag.main(options, say)
    return Path(options.out)


def losses(out, part):
    """The losses of the steps of which *part* is logged."""
    return [row["loss"] for row in read_log(out / "log.jsonl") if part in row.get("parts", {})]


def test_both_models_learn_and_load_by_path(options, keepers):
    """Loss falls, retrieval rises from chance, EM by the real `causal` reaches 1.0: in the log
    while training, and measured once more from the saved folders as a system of the harness."""
    lines = []
    options = replace(options, num_epochs=60, validate=str(keepers), test=(str(keepers),),
                      measure_every=40, answer_measure="EM", samples=2)  # fmt: skip
    out = run(options, lines.append)
    for part in ("accuracy", "cross-entropy"):
        found = losses(out, part)
        assert np.mean(found[-4:]) < 0.3 * np.mean(found[:4]), part
    rows = [row for row in read_log(out / "log.jsonl") if "measures" in row]
    first, last = rows[0]["measures"], rows[-1]["measures"]
    assert first["EM"] == 0
    assert first["nDCG@10"] < 0.5, "chance among 16 is .28"
    assert last["EM"] == 1.0
    assert last["nDCG@10"] > 0.95
    assert last["keywords"] == last["short"] == 0
    suite = answers_of(load_suite(keepers))
    spec = parse_system(f'dense?encoder="{out / "model" / "encoder"}"')
    found = search_suite(load_suite(keepers), spec)
    assert measure_run(load_suite(keepers), found)["nDCG@10"].mean() > 0.95
    made = generators.create(
        "causal",
        {"model": str(out / "model" / "generator"), "template": "cozyrag", "max_new_tokens": 6},
    )
    context = Context(passages=3, sentences=2, encoder="hashing")
    given = context.select(suite.queries.texts, passages(suite.corpus, found, 14))
    said = made.generate(suite.queries.texts, given)
    assert answer_measure("EM").values(answered(suite, Said(given, said))).mean() == 1.0
    assert encoders.load(str(out / "model" / "encoder")).dimension == 32
    card = (out / "model" / "README.md").read_text()
    for part in (suite.digest, "EM, validation | 0.0000 | 1.0000", "keywords, keepers", "causal?"):
        assert part in card
    assert any("EM 1.0000" in line for line in lines)


def test_answers_are_in_the_log_after_each_measuring(options, keepers):
    """So many questions with answer and gold answer, and means of everything that is measured."""
    out = run(replace(options, num_epochs=2, validate=str(keepers), validate_questions=6))
    rows = read_log(out / "log.jsonl")
    for number in {row["step"] for row in rows if "value" in row}:
        asked = [row for row in rows if row["step"] == number and "question" in row]
        assert len(asked) == 5
        assert all(row["question"].startswith("who keeps k") and row["gold"] for row in asked)
        (about,) = [row["measures"] for row in rows if row["step"] == number and "measures" in row]
        assert set(about) == {"EM", "F1", "nDCG@10", "repeats", "keywords", "short"}


def test_the_two_learn_by_turns(options):
    """In the retriever's epochs the generator keeps its weights, and the other way round."""
    task = make_task(replace(options, dropout=0.0), lambda _: None)
    for epoch, name, other in ((0, "encoder", "generator"), (1, "generator", "encoder")):
        task.model.zero_grad(set_to_none=True)
        for lesson in task.batches(epoch):
            task.loss(task.collate(lesson).inputs).total.backward()
        learnt = {
            part: any(each.grad is not None for each in task.model[part].parameters())
            for part in (name, other)
        }
        assert learnt == {name: True, other: False}


@pytest.mark.parametrize("number", [1, 3, 7], ids=["retriever", "generator", "second turn"])
def test_interrupted_training_goes_on_bit_for_bit(options, keepers, goes_on, number):
    """Stopped in the middle of either one's epoch, with dropout and validation: the same files,
    though the passages that the generator learns from are found anew."""
    goes_on(run, replace(options, validate=str(keepers)), at=number)


def test_killed_training_goes_on_bit_for_bit(options, tmp_path):
    """The same after SIGKILL, of a real process in the middle of a generator's epoch."""
    import subprocess
    import sys

    options = replace(options, num_epochs=2, save_every=1)
    whole = run(replace(options, out=str(tmp_path / "whole")))
    config = tmp_path / "config.toml"
    kept = {name: getattr(options, name) for name in vars(options)}
    config.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in kept.items()))
    script = (
        "import os, signal, sys, torch\n"
        "torch.set_num_threads(1)\n"
        "from training import cli, step\n"
        "real = step.backward\n"
        "def dying(work, rows):\n"
        "    found = real(work, rows)\n"
        "    if work.progress.step == 3:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return found\n"
        "step.backward = dying\n"
        f"cli.main(['cozyrag', '--config', {str(config)!r}])\n"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=root, capture_output=True, timeout=300
    )
    assert done.returncode == -9, done.stderr
    assert (Path(options.out) / "checkpoints" / "step-00000003").is_dir()
    out = run(options)
    for part in ("encoder", "generator"):
        name = f"model/{part}/model.safetensors"
        assert (out / name).read_bytes() == (whole / name).read_bytes()


def test_argmax_penalties_teach_nothing_and_expected_ones_do(options, tmp_path):
    """With argmax the loss is another and the weights are those without penalties, to the bit;
    with expected penalties they are others."""
    options = replace(options, num_epochs=2, weight_keywords=1.0)
    files, last = {}, {}
    for mode in ("none", "argmax", "expected"):
        out = run(replace(options, penalties=mode, out=str(tmp_path / mode)))
        files[mode] = (out / "model" / "generator" / "model.safetensors").read_bytes()
        last[mode] = losses(out, "cross-entropy")[-1]
    assert files["argmax"] == files["none"] != files["expected"]
    assert last["argmax"] > last["none"] + 0.1


def test_the_penalties_gradient_reaches_the_model(options):
    """Of the loss with each penalty alone at weight 1 less the loss without: not zero where it is
    expected, zero where it is taken from the argmax."""
    base = dict.fromkeys(("weight_repeats", "weight_keywords", "weight_short"), 0.0)

    def gradient(**changes):
        made = make_task(replace(options, **base | changes), lambda _: None)
        made.model.eval()
        (lesson, *_) = made.batches(1)
        made.loss(made.collate(lesson).inputs).total.backward()
        return torch.cat([p.grad.flatten() for p in made.model["generator"].parameters()])

    plain = gradient(penalties="none")
    for name in base:
        extra = gradient(ngram=1, **{name: 1.0}) - plain
        assert float(extra.norm()) > 1e-3 * float(plain.norm()), name
        assert torch.equal(gradient(ngram=1, penalties="argmax", **{name: 1.0}), plain)


AMBIGUOUS = {
    "repeats": [["a a a a"]] * 3 + [["a b c d"]] * 2,
    "keywords": [["a b"]] * 3 + [["a who"]] * 2,
    "short": [["a"]] * 3 + [["a b c d"]] * 2,
}
"""Gold answers to one question, of which cross-entropy alone learns the usual one."""


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_each_penalty_moves_what_it_is_meant_to_move(name, options, tmp_path, generator, encoder):
    """The answers that are generated repeat less, say the question's word, or are longer, than
    those of the same training without the penalty, or with it taken from the argmax."""
    rows = [("who keeps k1", golds, 0) for golds in AMBIGUOUS[name]]
    suite = write(tmp_path / "suite", rows, ["p1 lives", "p2 lives"])
    options = replace(
        options, data=str(suite), validate=str(suite), num_epochs=40, batch_size=5, least=4,
        ngram=1, passages=1, keywords_of="question" if name == "keywords" else "answer",
        weight_repeats=0.0, weight_keywords=0.0, weight_short=0.0, answer_measure="Abstained",
        measure_every=1000, schedule="constant",
    )  # fmt: skip
    values = {}
    for mode in ("none", "argmax", "expected"):
        out = run(replace(options, penalties=mode, out=str(tmp_path / mode),
                          **{f"weight_{name}": 8.0}))  # fmt: skip
        (*_, last) = (r["measures"] for r in read_log(out / "log.jsonl") if "measures" in r)
        values[mode] = last[name]
    assert values["argmax"] == values["none"]
    assert values["expected"] < values["none"] - 0.2


def test_the_loss_is_that_of_the_answers_tokens_alone(options):
    """Cross-entropy worked out from the whole text, row by row, without padding; and from all
    logits where a model cannot be asked for some."""
    task = make_task(replace(options, penalties="none"), lambda _: None)
    task.model.eval()
    (lesson, *_) = task.batches(1)
    batch = task.collate(lesson)
    total = 0.0
    with torch.no_grad():
        for ids, mask, target in zip(*(batch.inputs[i] for i in (0, 1, 4)), strict=True):
            row, target = ids[mask.bool()], target[target != IGNORED]
            logits = task.model["generator"](input_ids=row[None]).logits[0].double()
            assert torch.equal(row[-len(target) :], target)
            chances = logits.log_softmax(1)[-len(target) - 1 : -1]
            total -= float(chances.gather(1, target[:, None]).sum())
        loss = task.loss(batch.inputs)
        assert float(loss.total) == pytest.approx(total, rel=1e-5)
        assert loss.count == int((batch.inputs.targets != IGNORED).sum())
        real = task.model["generator"]

        class Whole(torch.nn.Module):
            def forward(self, input_ids, attention_mask, use_cache):
                return real(input_ids=input_ids, attention_mask=attention_mask)

        found = [answer_logits(model, batch.inputs) for model in (real, Whole())]
        mask = batch.inputs.targets != IGNORED
        assert torch.allclose(found[0][mask], found[1][mask], atol=1e-5)


def test_what_is_learnt_from_is_the_prompt_that_is_given_later(options):
    """Token for token: the ranking's passages, their best sentences, the template."""
    parts = parts_of(replace(options, gold_context=False))
    learnt = prompts_of(parts, 1, parts.rows)
    suite = parts.suite
    run = ranked(parts.encoder, suite, parts.options)
    given = parts.context.select(suite.queries.texts, passages(suite.corpus, run, 14))
    said = parts.generator.generate(suite.queries.texts, given)
    texts = [parts.tokenizer(one.prompt, add_special_tokens=False)["input_ids"] for one in said]
    assert learnt == texts
    assert said[0].prompt.startswith("Q: who keeps k0\nContext: [1] ")


def test_a_relevant_passage_is_among_those_that_are_learnt_from(options):
    """It takes the last place where retrieval missed it; and only if that is wanted."""
    shares = []
    for wanted in (True, False):
        parts = parts_of(replace(options, passages=2, sentences=0, gold_context=wanted))
        prompts = parts.tokenizer.batch_decode(prompts_of(parts, 1, parts.rows))
        shares.append(np.mean([PLACES[n] in text.split() for n, text in enumerate(prompts)]))
    assert shares[0] == 1.0
    assert shares[1] < 0.5


def test_unanswerable_questions_teach_to_say_so(options, tmp_path):
    """The answer is one that the generator takes for an abstention; a question without any
    answer is left out aloud."""
    rows = [("who keeps k1", ["n1 h1", "n2", "n2"], 0), ("who keeps k2", [], None)]
    rows.append(("who keeps k3", [" "], 0))
    suite = write(tmp_path / "suite", rows, ["p1 n1 lives by the h1", "p2 a b"])
    lines = []
    made = replace(options, data=str(suite))
    make_task(made, lines.append)
    parts = parts_of(made)
    said = [parts.tokenizer.decode(row.target) for row in parts.rows]
    assert said == ["n2 [EOS]", "I don ' t know [EOS]"]
    assert "1 of 3 questions have an empty answer and are left out" in lines


def test_batches_by_tokens_stay_within_them(options):
    """Prompts are not known beforehand: the longest that they can be is counted."""
    options = replace(options, batch_tokens=250, context_tokens=20)
    task = make_task(options, lambda _: None)
    lessons = task.batches(1)
    assert sorted(row for lesson in lessons for row in lesson.rows) == list(range(KEEPERS))
    assert max(map(len, lessons)) > 1
    for lesson in lessons:
        assert task.collate(lesson).tokens <= 250
    with pytest.raises(UsageError, match=r"batch_tokens = 25; the longest row has \d+ tokens"):
        make_task(replace(options, batch_tokens=25), lambda _: None).batches(1)


@pytest.mark.parametrize(
    "changes",
    [{"checkpointing": True}, {"precision": "bf16"}, {"accumulate": 2}, {"keywords_of": "both"}],
    ids=["checkpointing", "bf16", "accumulate", "keywords"],
)
def test_every_way_of_computing_learns(options, changes):
    """Activations computed twice, 16 bits, batches added up, other keywords."""
    out = run(replace(options, num_epochs=12, **changes))
    found = losses(out, "cross-entropy")
    assert found[-1] < 0.7 * found[0]


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (["--generator", "nowhere/at/all"], "generator 'nowhere/at/all' cannot be loaded"),
        (["--generator", "gpt/none"], "huggingface-cli download gpt/none"),
        (["--penalties", "soft"], "expected one of expected, argmax, none"),
        (["--template", "cosyrag"], "did you mean 'cozyrag'?"),
        (["--answer-measure", "EN"], "unknown measure of answers 'EN'"),
        (["--context-encoder", "minilmm"], "unknown encoder"),
        (["--max-new-tokens", "96"], "96 positions"),
    ],
    ids=["folder", "hub", "penalties", "template", "measure", "encoder", "positions"],
)
def test_what_is_wrong_is_one_line_and_exit_2(options, written, message, capsys):
    """A mistake is told in a line that says what to do."""
    config = Path(options.out).parent / "config.toml"
    kept = {name: getattr(options, name) for name in vars(options)}
    config.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in kept.items()))
    assert main(["cozyrag", "--config", str(config), *written]) == 2
    assert message in capsys.readouterr().err.splitlines()[-1]


def test_data_without_answers_is_refused(options, tmp_path):
    """A suite without gold answers, and one whose answers are all empty."""
    suite = write(tmp_path / "empty", [("who keeps k1", [" "], 0)] * 4, ["p1", "p2"])
    with pytest.raises(DataError, match="no question has an answer to learn"):
        make_task(replace(options, data=str(suite)), lambda _: None)
    text = (suite / "queries.jsonl").read_text().replace('"answers": [" "]', '"metadata": {}')
    (suite / "queries.jsonl").write_text(text)
    with pytest.raises(UsageError, match="has no gold answers"):
        make_task(replace(options, data=str(suite)), lambda _: None)


def parts_of(options):
    """Both models over the data, as the recipe loads them."""
    encoder = load_model(Path(options.model), options)
    return load_parts(answers_of(load_suite(options.data)), encoder, options)
