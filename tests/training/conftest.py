"""A tiny bi-encoder and suites whose questions it can learn, made on the spot."""

import json
from dataclasses import replace

import numpy as np
import pytest

WORDS = [f"w{number}" for number in range(60)]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """No test reads or writes the user's cache, or is one of several processes."""
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("WORLD_SIZE", raising=False)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory):
    """A sentence-transformers folder with a random BERT of 16 dimensions, with dropout."""
    import torch
    from safetensors.torch import save_file
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel

    folder = tmp_path_factory.mktemp("tiny") / "model"
    (folder / "pool").mkdir(parents=True)
    torch.manual_seed(3)
    vocabulary = {word: i for i, word in enumerate([*SPECIAL, *WORDS])}
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=64, architectures=["BertModel"],
    )  # fmt: skip
    config.save_pretrained(folder)
    weights = {name: value.contiguous() for name, value in BertModel(config).state_dict().items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    special = {f"{token[1:-1].lower()}_token": token for token in SPECIAL}
    modules = [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "pool", "type": "sentence_transformers.models.Pooling"},
    ]
    files = {
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 64, **special
        },
        "modules.json": modules,
        "pool/config.json": {"word_embedding_dimension": 16, "pooling_mode_mean_tokens": True},
    }  # fmt: skip
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content))
    return folder


@pytest.fixture(scope="session")
def squad_folder(tmp_path_factory):
    """A folder in the layout of the shared SQuAD: 6 articles of 4 paragraphs of 3 questions."""
    return write_squad(tmp_path_factory.mktemp("squad") / "squad", articles=6)


def write_squad(folder, articles):
    """Questions name two words of their paragraph; every paragraph has words of its own."""
    rng = np.random.default_rng(5)
    (folder / "qrels").mkdir(parents=True)
    corpus, queries, qrels = [], [], ["query-id\tcorpus-id\tscore"]
    for article in range(articles):
        for paragraph in range(4):
            doc_id = f"art_{article}_{paragraph}"
            words = rng.choice(WORDS, 10, replace=False)
            text = " ".join(words)
            corpus.append({"_id": doc_id, "title": f"art {article}", "text": text})
            for number in range(3):
                query_id = f"q{article}-{paragraph}-{number}"
                asked = rng.choice(words, 2, replace=False)
                row = {"_id": query_id, "text": " ".join(asked), "answers": [str(words[number])]}
                queries.append({**row, "metadata": {"article": f"art_{article}"}})
                qrels.append(f"{query_id}\t{doc_id}\t1")
    lines = {"corpus.jsonl": corpus, "queries.jsonl": queries}
    for name, rows in lines.items():
        (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "qrels" / "test.tsv").write_text("\n".join(qrels) + "\n")
    return folder


@pytest.fixture(scope="session")
def bert_of(tmp_path_factory):
    """bert_of(words) saves a random BERT of 32 dimensions that knows these words; its folder."""
    return lambda words: write_bert(tmp_path_factory.mktemp("bert") / "model", words)


def write_bert(folder, words):
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    torch.manual_seed(3)
    vocabulary = {word: i for i, word in enumerate(dict.fromkeys([*SPECIAL, *words]))}
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=64, max_position_embeddings=64, hidden_dropout_prob=0.05,
        attention_probs_dropout_prob=0.05, initializer_range=0.1,
    )  # fmt: skip
    BertModel(config).save_pretrained(folder)
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    special = {f"{token[1:-1].lower()}_token": token for token in SPECIAL}
    made = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
        **special,
    )
    made.save_pretrained(folder)
    return folder


@pytest.fixture
def goes_on(monkeypatch):
    """goes_on(run, options, at) trains whole, and again with Ctrl-C in the step after *at* steps
    and once more; weights, losses and measures must be the same to the last bit."""
    from training import step
    from training.log import read_log

    real = step.backward

    def told(out):
        return [{key: row.get(key) for key in ("step", "loss", "value")} for row in read_log(out)]

    def check(run, options, at):
        def interrupted(work, rows):
            found = real(work, rows)
            if work.progress.step == at:
                raise KeyboardInterrupt
            return found

        whole = run(replace(options, out=f"{options.out}-whole"))
        with monkeypatch.context() as patch:
            patch.setattr(step, "backward", interrupted)
            with pytest.raises(KeyboardInterrupt):
                run(options)
        out = run(options)
        names = [path.relative_to(whole) for path in (whole / "model").rglob("*.safetensors")]
        assert names
        for name in names:
            assert (out / name).read_bytes() == (whole / name).read_bytes()
        assert told(out / "log.jsonl") == told(whole / "log.jsonl")

    return check
