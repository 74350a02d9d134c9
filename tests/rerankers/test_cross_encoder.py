"""The cross-encoder against sentence-transformers itself."""

import numpy as np
import pytest

from qrels.errors import DataError, UsageError
from rerankers.cross_encoder import CrossEncoder

QUERIES = ["w1 w2 w3", "w9"]


def test_scores_are_the_librarys_logits(tiny_model, corpus_of, first_stage):
    """Each score is what predict gives for the pair with the identity as activation."""
    import sentence_transformers
    import torch

    folder, corpus = str(tiny_model("bert")), corpus_of()
    library = sentence_transformers.CrossEncoder(folder, device="cpu", local_files_only=True)
    texts = corpus.joined(["text"])
    run = first_stage([0, 1, 2, 9], [11, 5, 6, 7])
    docs, scores = CrossEncoder(folder, fields=["text"]).rerank(QUERIES, run, corpus, 4)
    for query, found, values in zip(QUERIES, docs, scores, strict=True):
        pairs = [(query, texts[doc]) for doc in found]
        expected = library.predict(
            pairs, activation_fn=torch.nn.Identity(), show_progress_bar=False
        )
        np.testing.assert_allclose(values, expected, atol=1e-5)
        assert np.ptp(expected) > 0.01


def test_max_length_cuts_the_pair(tiny_model, corpus_of, first_stage):
    """With few tokens a pair, long texts that begin alike score alike."""
    corpus = corpus_of()
    corpus = type(corpus)(["a", "b"], {"text": ["w1 w2 w3 w4 w5 w6", "w1 w2 w3 w9 w9 w9"]})
    folder, run = str(tiny_model("bert")), first_stage([0, 1])
    short = CrossEncoder(folder, max_length=7).rerank(["w1"], run, corpus, 2).scores
    whole = CrossEncoder(folder).rerank(["w1"], run, corpus, 2).scores
    assert abs(short[0, 0] - short[0, 1]) < 1e-6
    assert abs(whole[0, 0] - whole[0, 1]) > 1e-3


def change_config(folder, target, **values):
    """A copy of a model with another configuration and without the weights it then lacks."""
    from transformers import AutoConfig, AutoModel, AutoTokenizer, BertForSequenceClassification

    config = AutoConfig.from_pretrained(folder)
    bare = values.pop("bare", False)
    for name, value in values.items():
        setattr(config, name, value)
    model = AutoModel.from_config(config) if bare else BertForSequenceClassification(config)
    model.save_pretrained(target)
    AutoTokenizer.from_pretrained(folder).save_pretrained(target)
    return str(target)


REFUSED = {
    "several-labels": ({"num_labels": 3}, "gives 3 labels; expected 1"),
    "no-head": ({"bare": True}, "is BertModel: it has no trained scoring head"),
}


@pytest.mark.parametrize(("changes", "message"), REFUSED.values(), ids=REFUSED)
def test_a_model_that_cannot_score_is_refused(
    changes, message, tiny_model, tmp_path, corpus_of, first_stage
):
    """Several labels have no one score, and an untrained head would give random ones."""
    folder = change_config(tiny_model("bert"), tmp_path / "model", **changes)
    with pytest.raises(UsageError, match=message):
        CrossEncoder(folder).rerank(["w1"], first_stage([0]), corpus_of(), 1)


def test_a_pickled_weight_file_is_not_read(tiny_model, tmp_path, corpus_of, first_stage):
    """Without safetensors there is no model, however good pytorch_model.bin may be."""
    import shutil

    import torch
    from safetensors.torch import load_file

    folder = tmp_path / "model"
    shutil.copytree(tiny_model("bert"), folder)
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(DataError, match="cannot be loaded"):
        CrossEncoder(str(folder)).rerank(["w1"], first_stage([0]), corpus_of(), 1)


WRONG = {
    "dtype": ({"dtype": "int8"}, "unknown dtype 'int8'"),
    "batch-size": ({"batch_size": 0}, "batch_size is 0; expected at least 1"),
}


@pytest.mark.parametrize(("parameters", "message"), WRONG.values(), ids=WRONG)
def test_wrong_parameters_are_named(parameters, message, tiny_model, corpus_of, first_stage):
    """A parameter that is not allowed is a UsageError."""
    reranker = CrossEncoder(str(tiny_model("bert")), **parameters)
    with pytest.raises(UsageError, match=message):
        reranker.rerank(["w1"], first_stage([0]), corpus_of(), 1)


def test_half_precision_is_near_full(tiny_model, corpus_of, first_stage):
    """bfloat16 gives scores near those of float32, still as float32."""
    corpus, run, folder = corpus_of(), first_stage([0, 1, 2, 5]), str(tiny_model("bert"))
    full = CrossEncoder(folder).rerank(["w1"], run, corpus, 4)
    half = CrossEncoder(folder, dtype="bfloat16").rerank(["w1"], run, corpus, 4)
    assert half.scores.dtype == np.float32
    np.testing.assert_allclose(np.sort(half.scores), np.sort(full.scores), atol=0.1)
    assert not np.array_equal(half.scores, full.scores)
