"""Limits, parameters and faults of the generators that run a model here."""

import inspect
import pickle
import shutil
from pathlib import Path

import pytest

from encoders.base import device_scope
from generators import GENERATORS, create
from generators.base import Generator, Passage
from generators.fitting import batches, shortened
from qrels.errors import BenchError, DataError, MissingPackageError, UsageError


def words(passages):
    return sum(len(passage.text.split()) for passage in passages)


def word_ends(text):
    return [place for place in range(1, len(text) + 1) if text[place : place + 1] in ("", " ")]


@pytest.mark.parametrize(
    ("limit", "expected"),
    [(9, ["a b c", "d e"]), (4, ["a b c", "d"]), (3, ["a b c"]), (1, ["a"]), (0, [])],
)
def test_passages_lose_their_end(limit, expected):
    """The last passage is cut first, and goes where nothing of it is left."""
    passages = [Passage("x", "a b c"), Passage("y", "d e")]
    found = shortened(passages, words, limit, word_ends)
    assert [passage.text for passage in found] == expected


@pytest.mark.parametrize(
    ("shapes", "extra", "limit", "expected"),
    [
        ([], 1, 5, []),
        ([(1, 2), (1, 4), (1, 3)], 1, 10, [[1, 2], [0]]),
        ([(1, 9), (1, 1)], 0, 5, [[0], [1]]),
        ([(1, 2)] * 3, 0, 6, [[0, 1, 2]]),
        ([(1, 9), (3, 2)], 0, 53, [[1], [0]]),
        ([(1, 9), (3, 2)], 0, 54, [[1, 0]]),
        ([(1, 9), (3, 2), (2, 1)], 0, 12, [[1, 2], [0]]),
    ],
    ids=["none", "extra", "single", "full", "padded-beyond", "padded", "next-group"],
)
def test_batches_stay_within_their_tokens(shapes, extra, limit, expected):
    """A group padded to its most texts and longest text is within the limit, save one alone."""
    assert batches(shapes, extra, limit) == expected


@pytest.mark.parametrize("name", ["causal", "seq2seq", "fusion-in-decoder"])
def test_constructors_only_store(name):
    """What is given is kept under its own name, nothing else happens, and it can be pickled."""
    found = create(name, {"model": "no/such", "max_new_tokens": 7})
    stored = vars(found)
    assert isinstance(found, Generator)
    assert set(stored) == set(inspect.signature(GENERATORS.load(name)).parameters)
    assert (stored["model"], stored["max_new_tokens"]) == ("no/such", 7)
    assert vars(pickle.loads(pickle.dumps(found))) == stored


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"max_new_tokens": 0}, "max_new_tokens is 0; expected at least 1"),
        ({"batch_tokens": 0}, "batch_tokens is 0; expected at least 1"),
        ({"do_sample": True, "temperature": 0}, "temperature is 0"),
        ({"do_sample": True, "top_p": 1.5}, "top_p 1.5"),
        ({"quantise": "int4"}, "unknown quantise 'int4'"),
        ({"quantise": "int8", "dtype": "float16"}, "dtype is 'float16' with quantise"),
        ({"dtype": "float8"}, "unknown dtype 'float8'"),
        ({"stop": "x"}, "stop is 'x'; expected a list"),
        ({"template": "chat"}, "has no chat template"),
        ({"template": "{context}"}, "expected {context} and {question}"),
        ({"max_new_tokens": 256}, "has 256 positions for prompt and answer"),
        ({"max_new_tokens": 250}, "tokens without any passage; allowed: 6"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_parameter_out_of_range_is_one_line(params, message, learnt):
    """The line names parameter, value and what is allowed."""
    with pytest.raises(UsageError) as error:
        create("causal", {"model": learnt("gpt2"), **params}).generate(["Where?"], [[]])
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_missing_weights_say_what_to_download():
    """A hub id that cannot be had is one line with the command and the parameter."""
    with pytest.raises(DataError) as error:
        create("causal", {"model": "gpt2"}).generate(["q"], [[]])
    assert "huggingface-cli download gpt2 --local-dir FOLDER" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_folder_that_is_not_there_is_named():
    """A path is not taken for a hub id."""
    with pytest.raises(DataError, match=r"'/no/such/folder' cannot be loaded: .*no such folder$"):
        create("causal", {"model": "/no/such/folder"}).load()


def test_a_half_downloaded_model_is_one_line(learnt, tmp_path):
    """Weights that were cut off are a DataError with the folder's name."""
    copy = Path(shutil.copytree(learnt("gpt2"), tmp_path / "copy"))
    weights = (copy / "model.safetensors").read_bytes()
    (copy / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    with pytest.raises(DataError, match=r"copy' cannot be loaded: .*not fully covered"):
        create("causal", {"model": str(copy)}).load()


def test_a_model_of_another_task_is_refused(learnt):
    """T5 is no causal model, and the line says so."""
    with pytest.raises(DataError, match="cannot be loaded"):
        create("causal", {"model": learnt("t5")}).generate(["q"], [[]])


def test_the_context_is_cut_to_the_models_positions_and_the_question_never(learnt, lesson):
    """The prompt fits however much is found, and still holds the question and what came first."""
    questions, contexts, _ = lesson
    long = [contexts[0][0], *(Passage(str(n), "rain and tea " * 30) for n in range(9))]
    generator = create("causal", {"model": learnt("gpt2"), "max_new_tokens": 12})
    [answer] = generator.generate(questions[:1], [long])
    assert answer.prompt_tokens == 256 - 12
    assert contexts[0][0].text in answer.prompt
    assert answer.prompt.endswith(f"{questions[0]}\n\nANSWER:")


def test_the_context_is_cut_to_its_own_budget(learnt, lesson):
    """context_tokens bounds the passages together, markers included."""
    questions, contexts, _ = lesson
    params = {"model": learnt("gpt2"), "max_new_tokens": 12, "template": "{question}|{context}"}
    sizes = [
        create("causal", {**params, "context_tokens": limit})
        .generate(questions[:1], [contexts[0] * 5])[0]
        .prompt_tokens
        for limit in (0, 10, 20)
    ]
    assert [size - sizes[0] for size in sizes] == [0, 10, 20]


def test_an_encoder_decoder_reads_at_most_max_length(learnt, lesson):
    """The joined text is cut; fused passages are cut each by itself."""
    questions, _, _ = lesson
    passages = [Passage("x", "rain and tea " * 50)] * 3
    for kind, name, tokens in (("t5", "seq2seq", 40), ("fid", "fusion-in-decoder", 120)):
        generator = create(name, {"model": learnt(kind), "max_length": 40, "max_new_tokens": 4})
        [answer] = generator.generate(questions[:1], [passages])
        assert answer.prompt_tokens == tokens
        assert answer.prompt.startswith(f"question: {questions[0]}")
    with pytest.raises(UsageError, match=r"allowed: 40 \(max_length"):
        generator.generate(["why " * 50], [passages])


def test_stop_strings_end_an_answer(learnt, lesson):
    """Decoding ends at the stop, the answer before it, for each row of a batch by itself."""
    questions, contexts, answers = lesson
    params = {"model": learnt("llama"), "max_new_tokens": 12}
    whole = create("causal", params).generate(questions, contexts)
    found = create("causal", {**params, "stop": [" sea"]}).generate(questions, contexts)
    assert [answer.text for answer in found] == [text.removesuffix(" sea") for text in answers]
    assert all(short.tokens < long.tokens for short, long in zip(found, whole, strict=True))


def test_sampling_depends_on_prompt_and_seed_alone(learnt, lesson):
    """The same seed gives the same answers in any batch; another seed gives others."""
    questions, contexts, answers = lesson
    params = {
        "model": learnt("gpt2"), "max_new_tokens": 12, "do_sample": True, "temperature": 3.0,
    }  # fmt: skip
    found = create("causal", params).generate(questions, contexts)
    generator = create("causal", {**params, "batch_tokens": 1})
    assert generator.generate(questions, contexts) == found
    assert create("causal", {**params, "seed": 1}).generate(questions, contexts) != found
    nearly_greedy = create("causal", {**params, "top_p": 1e-6}).generate(questions, contexts)
    assert [answer.text for answer in nearly_greedy] == answers


def test_draws_follow_the_softmax_within_the_top_p():
    """Frequencies of 4,000 rows agree with the probabilities, tokens outside never come."""
    import torch

    from generators.decoding import Sampling

    probabilities = torch.tensor([0.4, 0.1, 0.3, 0.2])
    logits = probabilities.log().repeat(4000, 1) * 2.0  # the temperature undoes it
    for top_p, expected in ((1.0, [0.4, 0.1, 0.3, 0.2]), (0.65, [4 / 7, 0, 3 / 7, 0])):
        drawn = Sampling(range(4000), 2.0, top_p)(None, logits).argmax(1)
        shares = torch.bincount(drawn, minlength=4) / 4000
        assert shares.tolist() == pytest.approx(expected, abs=0.03)
        assert (shares[torch.tensor(expected) == 0] == 0).all()


@pytest.mark.parametrize("kind", ["gpt2", "llama", "t5"])
def test_eight_bits_keep_the_answers(kind, learnt, lesson):
    """Linear layers are replaced, and what was learnt by heart is still known."""
    questions, contexts, answers = lesson
    name = "seq2seq" if kind == "t5" else "causal"
    params = {"model": learnt(kind), "max_new_tokens": 12, "quantise": "int8"}
    generator = create(name, params)
    found = [answer.text for answer in generator.generate(questions, contexts)]
    assert sum(map(str.__eq__, found, answers)) >= 18
    layers = [type(layer).__name__ for layer in generator._loaded.model.modules()]
    assert layers.count("Int8") >= 8
    assert layers.count("Linear") + layers.count("Conv1D") <= 1  # the head


def test_an_encoder_with_positions_reads_no_more_than_it_has(learnt, tmp_path):
    """BART has learnt positions: a limit of its own, below max_length."""
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(learnt("t5"))
    shape = dict.fromkeys(("encoder_layers", "decoder_layers"), 1)
    config = transformers.BartConfig(
        vocab_size=len(tokenizer), d_model=16, encoder_attention_heads=2, encoder_ffn_dim=16,
        decoder_attention_heads=2, decoder_ffn_dim=16, max_position_embeddings=32,
        pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=2, **shape,
    )  # fmt: skip
    transformers.BartForConditionalGeneration(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    for name, tokens in (("seq2seq", 32), ("fusion-in-decoder", 64)):
        generator = create(name, {"model": str(tmp_path), "max_new_tokens": 3})
        [answer] = generator.generate(["Where?"], [[Passage("x", "rain and tea " * 30)] * 2])
        assert answer.prompt_tokens == tokens


@pytest.mark.parametrize("kind", ["gpt2", "t5"])
def test_a_model_without_generation_settings_decodes_the_same(kind, learnt, lesson, tmp_path):
    """Old checkpoints have no generation_config.json: the model's configuration says enough."""
    questions, contexts, answers = lesson
    copy = Path(shutil.copytree(learnt(kind), tmp_path / "copy"))
    (copy / "generation_config.json").unlink()
    name = "seq2seq" if kind == "t5" else "causal"
    generator = create(name, {"model": str(copy), "max_new_tokens": 12})
    assert [answer.text for answer in generator.generate(questions, contexts)] == answers


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_models_load_in_half_precision(dtype, learnt, lesson):
    """The weights have the type asked for, and answers come."""
    questions, contexts, answers = lesson
    generator = create("causal", {"model": learnt("gpt2"), "max_new_tokens": 12, "dtype": dtype})
    found = [answer.text for answer in generator.generate(questions[:2], contexts[:2])]
    assert str(generator._loaded.model.dtype) == f"torch.{dtype}"
    assert found == answers[:2]


def test_eight_bits_on_cuda_need_bitsandbytes(monkeypatch, learnt):
    """Without the package one line says how to install it."""
    monkeypatch.setattr("generators.int8.find_spec", lambda name: None)
    generator = create("causal", {"model": learnt("gpt2"), "quantise": "int8"})
    with device_scope("cuda"), pytest.raises(MissingPackageError, match="pip install bitsandbytes"):
        generator.load()


def test_special_tokens_in_a_text_do_not_speak_for_the_model(learnt):
    """A passage or question that spells one out is broken up."""
    generator = create("causal", {"model": learnt("llama"), "max_new_tokens": 1})
    [answer] = generator.generate(["Why [EOS]?"], [[Passage("x", "a [BOS] b", "[PAD]")]])
    for token in ("[EOS]", "[BOS]", "[PAD]"):
        assert token not in answer.prompt


def test_a_chat_without_system_turns_takes_the_line_into_the_users(learnt, lesson):
    """A template that refuses the role still sees what the system line says."""
    from generators.causal import with_system
    from generators.prompts import SYSTEM

    generator = create("causal", {"model": learnt("lfm2")})
    tokenizer = generator._loaded.tokenizer
    refusing = (
        "{% for m in messages %}{% if m['role'] == 'system' %}"
        "{{ raise_exception('no system') }}{% endif %}<{{ m['role'] }}>{{ m['content'] }}"
        "{% endfor %}"
    )
    tokenizer.chat_template = refusing
    assert with_system(tokenizer, "hello") == f"<user>{SYSTEM}\n\nhello"
    tokenizer.chat_template = "{% for %}"
    with pytest.raises(DataError, match=r"the chat template of .*: Expected an expression"):
        with_system(tokenizer, "hello")


def test_close_and_pickle_leave_the_model_behind(learnt, lesson):
    """A closed generator loads again on use, and gives the same answers."""
    questions, contexts, _ = lesson
    generator = create("causal", {"model": learnt("gpt2"), "max_new_tokens": 12})
    first = generator.generate(questions, contexts)
    assert "_loaded" not in vars(pickle.loads(pickle.dumps(generator)))
    generator.close()
    assert "_loaded" not in vars(generator)
    assert generator.generate(questions, contexts) == first
    assert generator.generate([], []) == []


def test_the_digest_follows_parameters_and_files(learnt, tmp_path):
    """Another seed or other files make another digest; the record has no path of ours."""
    folder = learnt("gpt2")
    digest = create("causal", {"model": folder}).digest
    assert digest == create("causal", {"model": folder}).digest
    assert digest != create("causal", {"model": folder, "seed": 1}).digest
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    (copy / "config.json").write_text((copy / "config.json").read_text() + "\n")
    generator = create("causal", {"model": str(copy)})
    assert generator.digest != digest
    about = generator.describe()
    assert (about["model"], about["source"]) == ("copy", "folder")
    assert str(tmp_path) not in str(about)
    hub = create("causal", {"model": "org/name", "revision": "a" * 40})
    assert (hub.describe()["model"], hub.describe()["content"]) == ("org/name", "a" * 40)


def test_an_unknown_parameter_is_named():
    """A mistyped parameter gets the closest one."""
    with pytest.raises(BenchError, match="did you mean 'max_new_tokens'"):
        create("causal?model=gpt2&max_new_token=3")
