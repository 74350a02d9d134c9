"""DPR's two encoders, with tiny models of its architecture."""

import numpy as np
import pytest

import encoders
from encoders.dpr import DPR
from qrels.errors import DataError
from retrievers import create

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "red", "blue", "cat", "dog", "what", "is"]
TEXTS = ["red cat", "blue dog is red", "", "cat " * 40]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Folders of a question and a context encoder, random weights."""
    import torch
    from transformers import BertTokenizerFast, DPRConfig, DPRContextEncoder, DPRQuestionEncoder

    found = {}
    for seed, (name, kind) in enumerate(
        {"question": DPRQuestionEncoder, "context": DPRContextEncoder}.items()
    ):
        folder = tmp_path_factory.mktemp(name)
        (folder / "vocab.txt").write_text("\n".join(WORDS), encoding="utf-8")
        BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
        torch.manual_seed(seed)
        config = DPRConfig(
            vocab_size=len(WORDS), hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
            intermediate_size=32, max_position_embeddings=32,
        )  # fmt: skip
        kind(config).eval().save_pretrained(folder)
        found[name] = str(folder)
    return found


def test_vectors_are_the_models_own(models):
    """Each side is its model's pooler output, one text at a time or in batches."""
    import torch
    from transformers import AutoTokenizer, DPRContextEncoder, DPRQuestionEncoder

    encoder = DPR(**models, max_length=32, batch_size=3)
    for side, name, kind in (
        ("query", "question", DPRQuestionEncoder), ("passage", "context", DPRContextEncoder),
    ):  # fmt: skip
        tokenizer = AutoTokenizer.from_pretrained(models[name])
        model = kind.from_pretrained(models[name]).eval()
        found = encoder.encode(TEXTS, side)
        assert found.dtype == np.float32
        for row, text in zip(found, TEXTS, strict=True):
            batch = tokenizer(text, return_tensors="pt", truncation=True, max_length=32)
            with torch.no_grad():
                expected = model(**batch).pooler_output[0].numpy()
            np.testing.assert_allclose(row, expected, atol=1e-6)


def test_the_two_sides_differ(models):
    """A text is not its own best question: the encoders are two."""
    encoder = DPR(**models, max_length=32)
    assert not np.allclose(encoder.encode(["red"], "query"), encoder.encode(["red"], "passage"))
    assert encoder.dimension == 16
    assert encoder.encode([], "query").shape == (0, 16)


def test_it_searches_by_name(models, toy_corpus):
    """`dpr?question=...&context=...` serves a retriever, and its digest tells models apart."""
    spec = f"dpr?question={models['question']}&context={models['context']}&max_length=32"
    retriever = create("dense", {"encoder": spec, "similarity": "dot"})
    retriever.index(toy_corpus)
    assert retriever.search(["red cat"], 3).docs.shape == (1, 3)
    swapped = f"dpr?question={models['context']}&context={models['question']}&max_length=32"
    assert encoders.load(spec).digest != encoders.load(swapped).digest
    assert models["question"] not in str(encoders.load(spec).describe())


def test_a_missing_model_is_one_line(tmp_path):
    """It says which."""
    with pytest.raises(DataError, match="no-such-folder"):
        DPR(question=str(tmp_path / "no-such-folder"), context=str(tmp_path)).encode(["a"], "query")
