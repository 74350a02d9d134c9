"""Tiny models with tokenizers trained on the spot, and corpora for rerankers."""

import numpy as np
import pytest

from qrels.data import Column, Corpus, Run
from qrels.ranking import check_run

WORDS = [f"w{number}" for number in range(25)]
SPECIAL = {
    "unk_token": "[UNK]", "pad_token": "[PAD]", "bos_token": "[BOS]", "eos_token": "[EOS]",
    "cls_token": "[CLS]", "sep_token": "[SEP]",
}  # fmt: skip
PATTERNS = {  # what the tokenizer puts around a text and around a pair
    "bert": ("[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1"),
    "gpt2": ("$A", "$A $B"),
    "llama": ("[BOS] $A [EOS]", "[BOS] $A $B [EOS]"),
    "lfm2": ("[BOS] $A", "[BOS] $A $B"),
}


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """No test reads or writes the user's cache."""
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))


def make_tokenizer(texts, kind):
    """A tokenizer of whole words, or for "bytes" of byte pairs, trained on *texts*."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    special = list(SPECIAL.values())
    if kind == "bytes":
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(
            vocab_size=500, special_tokens=special, initial_alphabet=alphabet, show_progress=False
        )
    else:
        tokenizer = Tokenizer(models.WordLevel(unk_token="[UNK]"))
        tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        trainer = trainers.WordLevelTrainer(special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    single, pair = PATTERNS.get(kind, PATTERNS["gpt2"])
    ids = [(token, tokenizer.token_to_id(token)) for token in special]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=single, pair=pair, special_tokens=ids
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **SPECIAL)


def _config(kind, size):
    import transformers

    shape = {
        "vocab_size": size, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
        "intermediate_size": 32, "max_position_embeddings": 64, "initializer_range": 0.3,
    }  # fmt: skip
    causal = {**shape, "num_key_value_heads": 1, "bos_token_id": 2, "eos_token_id": 3}
    return {
        "bert": lambda: transformers.BertConfig(**shape, num_labels=1),
        "gpt2": lambda: transformers.GPT2Config(
            vocab_size=size, n_embd=16, n_layer=2, n_head=2, n_positions=64,
            initializer_range=0.3, bos_token_id=2, eos_token_id=3,
        ),
        "llama": lambda: transformers.LlamaConfig(**causal),
        "lfm2": lambda: transformers.Lfm2Config(
            **causal, layer_types=["conv", "full_attention"], block_multiple_of=16
        ),
    }[kind]()  # fmt: skip


@pytest.fixture(scope="session")
def tokenizer_of():
    return make_tokenizer


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory):
    """tiny_model(kind) saves a seeded random model of a few thousand weights; its folder."""
    import torch
    import transformers

    classes = {
        "bert": "BertForSequenceClassification",
        "gpt2": "GPT2LMHeadModel",
        "llama": "LlamaForCausalLM",
        "lfm2": "Lfm2ForCausalLM",
    }
    saved = {}

    def make(kind):
        if kind not in saved:
            folder = tmp_path_factory.mktemp(kind)
            tokenizer = make_tokenizer([" ".join([*WORDS, "Yes", "No", "?", ":"])], kind)
            torch.manual_seed(1)
            model = getattr(transformers, classes[kind])(_config(kind, len(tokenizer)))
            model.save_pretrained(folder)
            tokenizer.save_pretrained(folder)
            saved[kind] = folder
        return saved[kind]

    return make


def make_corpus(n_docs=30):
    """Random texts, ids in no order, some texts equal, some empty, columns with gaps."""
    rng = np.random.default_rng(n_docs)
    texts = [" ".join(rng.choice(WORDS, rng.integers(1, 12))) for _ in range(n_docs)]
    titles = [" ".join(rng.choice(WORDS, 2)) for _ in range(n_docs)]
    for copy in range(4, n_docs, 5):
        texts[copy], titles[copy] = texts[copy - 1], titles[copy - 1]
    for empty in range(11, n_docs, 13):
        texts[empty], titles[empty] = "", ""
    days = rng.integers(0, 2000, n_docs)
    dates = np.datetime64("2020-01-01", "s") + days.astype("timedelta64[D]")
    dates[3] = np.datetime64("NaT")
    counts = rng.integers(0, 10_000, n_docs).astype(np.float64)
    counts[5] = np.nan
    metadata = {
        "downloads": Column("int", counts),
        "likes": Column("int", counts[::-1].copy()),
        "created_at": Column("date", dates),
    }
    ids = [f"id-{number}" for number in rng.permutation(n_docs)]
    return Corpus(ids, {"title": titles, "text": texts}, metadata)


@pytest.fixture(scope="session")
def corpus_of():
    return make_corpus


@pytest.fixture(scope="session")
def words():
    return WORDS


@pytest.fixture(scope="session")
def first_stage():
    """A run from lists of positions, with falling scores and -1 where a list is short."""

    def make(*lists, depth=None):
        depth = max(map(len, lists)) if depth is None else depth
        docs = np.full((len(lists), depth), -1, np.int32)
        scores = np.full((len(lists), depth), -np.inf, np.float32)
        for row, found in enumerate(lists):
            docs[row, : len(found)] = found
            scores[row, : len(found)] = 10.0 - np.arange(len(found))
        return Run(docs, scores)

    return make


@pytest.fixture(scope="session")
def checked():
    """Rerank and hold the answer to the protocol: shape, types, order, ties, the documents."""

    def rerank(reranker, queries, run, corpus, k):
        docs, scores = reranker.rerank(queries, run, corpus, k)
        assert (docs.dtype, scores.dtype) == (np.int32, np.float32)
        shape = (len(queries), min(k, run.docs.shape[1]))
        found = check_run(docs, scores, shape, corpus.tie_order, "it")
        assert np.array_equal(found.docs, docs), "equal scores out of the one order"
        assert np.array_equal(np.sort(docs, axis=1), np.sort(run.docs[:, :k], axis=1))
        absent = docs == -1
        assert np.array_equal(absent, np.sort(absent, axis=1)), "padding comes last"
        assert (scores[absent] == -np.inf).all()
        return found

    return rerank
