"""Yes against No: a model trained here, padding, and what is refused."""

import numpy as np
import pytest

from bench.judge import judge
from bench.metrics.measures import ndcg
from encoders.language import fill
from qrels.data import Corpus, Qrels, Run
from qrels.errors import DataError, UsageError
from rerankers.llm import LLMYesNo, answer_tokens, next_logits

TEMPLATE = "{document} ? {query}"
WORDS = [f"w{number}" for number in range(12)]
N_DOCS = 24


def train(folder, make_tokenizer, answers):
    """Save a GPT-2 that says answers[True] where the item holds the query's word, else the other.

    400 steps of 64 random items of four words: two to three seconds on one core.
    """
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    tokenizer = make_tokenizer([" ".join([*WORDS, "Yes", "No", "?"])], "gpt2")
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=len(tokenizer), n_embd=64, n_layer=1, n_head=4, n_positions=16,
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, initializer_range=0.2,
        bos_token_id=2, eos_token_id=3,
    )  # fmt: skip
    model = GPT2LMHeadModel(config)
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.0)
    rng = np.random.default_rng(0)
    for _ in range(400):
        items = [rng.permutation(WORDS)[:4].tolist() for _ in range(64)]
        topics = [rng.choice(item if rng.random() < 0.4 else WORDS) for item in items]
        prompts = [
            fill(TEMPLATE, {"query": topic, "document": " ".join(item)})
            for topic, item in zip(topics, items, strict=True)
        ]
        ids = torch.tensor(tokenizer(prompts)["input_ids"])
        said = [answers[topic in item] for topic, item in zip(topics, items, strict=True)]
        target = torch.tensor(tokenizer.convert_tokens_to_ids(said))
        loss = torch.nn.functional.cross_entropy(model(input_ids=ids).logits[:, -1], target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def trained(tmp_path_factory, tokenizer_of):
    return train(tmp_path_factory.mktemp("yes"), tokenizer_of, {True: "Yes", False: "No"})


@pytest.fixture(scope="module")
def trained_otherwise(tmp_path_factory, tokenizer_of):
    return train(tmp_path_factory.mktemp("no"), tokenizer_of, {True: "No", False: "Yes"})


@pytest.fixture(scope="module")
def items():
    """Items of four words; those that hold a topic's word are relevant to it."""
    rng = np.random.default_rng(99)
    texts = [" ".join(rng.permutation(WORDS)[:4]) for _ in range(N_DOCS)]
    return Corpus([f"d{n:02}" for n in range(N_DOCS)], {"text": texts})


@pytest.fixture(scope="module")
def all_items():
    """Every item for every topic, in the same order."""
    docs = np.tile(np.arange(N_DOCS, dtype=np.int32), (len(WORDS), 1))
    return Run(docs, np.tile(-np.arange(N_DOCS, dtype=np.float32), (len(WORDS), 1)))


def relevance(items):
    """bool (n_topics, n_docs)."""
    return np.array([[word in text.split() for text in items.fields["text"]] for word in WORDS])


def mean_ndcg(run, items):
    relevant = relevance(items)
    qrels = Qrels(
        np.append(0, np.cumsum(relevant.sum(axis=1))),
        np.nonzero(relevant)[1].astype(np.int32),
        np.ones(int(relevant.sum()), np.int16),
    )
    return ndcg(judge(run, qrels)).mean()


def test_a_model_that_says_yes_to_the_query_ranks_perfectly(trained, items, all_items):
    """Trained to say Yes exactly when the item holds the query's word, its nDCG is 1."""
    assert mean_ndcg(all_items, items) < 0.75
    run = LLMYesNo(trained, TEMPLATE).rerank(WORDS, all_items, items, N_DOCS)
    assert mean_ndcg(run, items) == 1
    said_yes = np.take_along_axis(relevance(items), run.docs, axis=1)
    assert np.array_equal(run.scores > 0, said_yes), "it filters as well as it ranks"


def test_with_the_labels_swapped_the_order_is_reversed(trained_otherwise, items, all_items):
    """Trained to say No there, every item that holds the word comes below all others."""
    run = LLMYesNo(trained_otherwise, TEMPLATE).rerank(WORDS, all_items, items, N_DOCS)
    upside_down = Run(run.docs[:, ::-1].copy(), -run.scores[:, ::-1])
    assert mean_ndcg(upside_down, items) == 1
    assert mean_ndcg(run, items) < 0.75


def test_with_the_answers_swapped_scores_change_sign(trained, items, all_items):
    """yes="No" and no="Yes" give minus the log-odds, so the opposite order."""
    plain = LLMYesNo(trained, TEMPLATE).rerank(WORDS, all_items, items, N_DOCS)
    swapped = LLMYesNo(trained, TEMPLATE, yes="No", no="Yes")
    run = swapped.rerank(WORDS, all_items, items, N_DOCS)
    assert np.array_equal(run.scores, -plain.scores[:, ::-1])


def test_the_query_decides(trained, items, first_stage):
    """The same two items for another query come in another order."""
    texts = items.fields["text"]
    first, second = set(texts[0].split()), set(texts[1].split())
    queries = [min(first - second), min(second - first)]
    run = LLMYesNo(trained, TEMPLATE).rerank(queries, first_stage([0, 1], [0, 1]), items, 2)
    assert run.docs.tolist() == [[0, 1], [1, 0]]


@pytest.mark.parametrize("kind", ["gpt2", "llama", "lfm2"])
def test_padding_changes_no_score(kind, tiny_model):
    """Prompts of all lengths in one batch score as each alone, whatever the architecture."""
    reranker = LLMYesNo(str(tiny_model(kind)), TEMPLATE, batch_size=16)
    words = [f"w{number}" for number in range(20)]
    pairs = [("w1 w2", " ".join(words[:length])) for length in (9, 1, 20, 0, 5, 5, 13)]
    together = reranker._scores(pairs)
    alone = np.concatenate([reranker._scores([pair]) for pair in pairs])
    np.testing.assert_allclose(together, alone, rtol=1e-5, atol=1e-5)
    assert np.ptp(alone) > 0.01


def test_the_score_is_the_log_odds_of_the_answers(tiny_model):
    """It is log P(Yes) - log P(No) after the last token of the prompt, by a plain forward pass."""
    import torch

    reranker = LLMYesNo(str(tiny_model("gpt2")), TEMPLATE)
    model, prompts, yes, no = reranker._loaded
    ids = torch.tensor([prompts.tokens("w3", "w1 w2")])
    with torch.inference_mode():
        chances = torch.log_softmax(model(input_ids=ids).logits[0, -1], dim=0)
    expected = float(chances[yes[0]] - chances[no[0]])
    assert reranker._scores([("w3", "w1 w2")])[0] == pytest.approx(expected, abs=1e-5)


def test_a_model_that_cannot_keep_few_logits_scores_the_same(tiny_model):
    """Where forward takes no logits_to_keep, the logits of every token are made."""
    model = LLMYesNo(str(tiny_model("llama")))._loaded.model

    class Plain:
        device = model.device

        def forward(self, input_ids, attention_mask):
            return model(input_ids=input_ids, attention_mask=attention_mask)

        __call__ = forward

    tokens = [[6, 7, 8], [9], [10, 11]]
    expected = next_logits(model, tokens).numpy()
    np.testing.assert_allclose(next_logits(Plain(), tokens).numpy(), expected, atol=1e-6)


ANSWERS = {  # vocabulary, answer, the tokens that spell it
    "both-cases": (["Yes", "yes", "no"], "Yes", {"Yes", "yes"}),
    "as-written": (["YES", "yes"], " YES ", {"YES", "yes"}),
    "capitalised": (["True", "x"], "true", {"True"}),
}


@pytest.mark.parametrize(("words", "answer", "expected"), ANSWERS.values(), ids=ANSWERS)
def test_an_answer_is_all_its_spellings_of_one_token(words, answer, expected, tokenizer_of):
    """As written, in lower case and capitalised; never the unknown token."""
    tokenizer = tokenizer_of([" ".join(words)], "gpt2")
    found = answer_tokens(tokenizer, answer)
    assert set(tokenizer.convert_ids_to_tokens(found)) == expected


def test_a_space_before_an_answer_is_another_spelling(tokenizer_of):
    """Where a tokenizer has tokens with and without the space, both count."""
    tokenizer = tokenizer_of(["Yes Yes Yes No No"] * 9 + ["Yes"] * 9, "bytes")
    found = tokenizer.convert_ids_to_tokens(answer_tokens(tokenizer, "Yes"))
    assert set(found) == {"Yes", "ĠYes"}


REFUSED = {
    "no-token": ({"yes": "certainly"}, "the answer 'certainly' is no single token"),
    "empty": ({"no": "  "}, "the answer '  ' is no single token"),
    "same": ({"no": "Yes"}, "yes='Yes' and no='Yes' share a token"),
    "template": ({"template": "{query}?"}, "expected {query} and {document} in it, once each"),
    "chat": ({"chat": True}, "has no chat template"),
    "dtype": ({"dtype": "float8"}, "unknown dtype 'float8'"),
    "batch-size": ({"batch_size": 0}, "batch_size is 0"),
    "no-room": ({"max_length": 4}, "the prompt of query 'w1' has .* allowed: 4"),
}


@pytest.mark.parametrize(("parameters", "message"), REFUSED.values(), ids=REFUSED)
def test_wrong_parameters_are_named(parameters, message, tiny_model, corpus_of, first_stage):
    """What cannot be asked of a model is a UsageError that says why."""
    reranker = LLMYesNo(str(tiny_model("gpt2")), **parameters)
    with pytest.raises(UsageError, match=message):
        reranker.rerank(["w1"], first_stage([0]), corpus_of(), 1)


def test_a_model_without_a_language_head_is_refused(tiny_model, tmp_path, corpus_of, first_stage):
    """Weights that the files lack would be random: a DataError."""
    from transformers import AutoConfig, AutoTokenizer, LlamaModel

    source = tiny_model("llama")
    LlamaModel(AutoConfig.from_pretrained(source)).save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(source).save_pretrained(tmp_path)
    with pytest.raises(DataError, match=r"lacks the weights lm_head.weight"):
        LLMYesNo(str(tmp_path)).rerank(["w1"], first_stage([0]), corpus_of(), 1)


def test_a_model_that_is_not_there_is_named(tmp_path, corpus_of, first_stage):
    """A folder without a model is a DataError with its name."""
    with pytest.raises(DataError, match=r"reranker model '.*' cannot be loaded"):
        LLMYesNo(str(tmp_path)).rerank(["w1"], first_stage([0]), corpus_of(), 1)
