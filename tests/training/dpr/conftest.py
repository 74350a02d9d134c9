"""A tiny DPR, a tiny T5 that can read, and suites whose answers only their passages tell."""

import json
from itertools import permutations
from types import SimpleNamespace

import pytest

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
WORDS = [f"w{number}" for number in range(48)]
FORM = ["question:", "context:", "title:"]
PASSAGES = 8


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    """No test asks the hub."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """Folders: question, context and generator; suites: train and validate, of other questions."""
    import torch
    import transformers

    root = tmp_path_factory.mktemp("tiny-dpr")
    size = len([*SPECIAL, *WORDS, *FORM])
    kinds = (
        ("question", transformers.DPRQuestionEncoder),
        ("context", transformers.DPRContextEncoder),
    )
    for seed, (name, kind) in enumerate(kinds):
        torch.manual_seed(seed)
        config = transformers.DPRConfig(
            vocab_size=size, hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
            intermediate_size=64, max_position_embeddings=64, initializer_range=0.2,
        )  # fmt: skip
        kind(config).save_pretrained(root / name)
        make_tokenizer("[CLS] $A [SEP]").save_pretrained(root / name)
    torch.manual_seed(3)
    config = transformers.T5Config(
        vocab_size=size, d_model=32, d_kv=16, d_ff=64, num_layers=2, num_heads=2,
        pad_token_id=0, eos_token_id=3, decoder_start_token_id=0,
    )  # fmt: skip
    tokenizer = make_tokenizer("$A [SEP]")
    learnt_to_read(transformers.T5ForConditionalGeneration(config), tokenizer).save_pretrained(
        root / "generator"
    )
    tokenizer.save_pretrained(root / "generator")
    for name in ("train", "validate"):
        write_suite(root / name, name)
    names = ("question", "context", "generator", "train", "validate")
    return SimpleNamespace(**{name: str(root / name) for name in names})


def make_tokenizer(pattern):
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: i for i, word in enumerate([*SPECIAL, *WORDS, *FORM])}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made.post_processor = processors.TemplateProcessing(
        single=pattern, special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    special = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token"), SPECIAL, strict=True))
    return PreTrainedTokenizerFast(tokenizer_object=made, eos_token="[SEP]", **special)


def learnt_to_read(model, tokenizer):
    """Train T5 to say the last word of whatever passage it is given, as a large one could."""
    import torch

    steps = torch.optim.AdamW(model.eval().parameters(), lr=5e-3)
    random = torch.Generator().manual_seed(1)
    for _ in range(200):
        rows = torch.randint(0, 40, (32, 7), generator=random)
        rows[:, 6] = rows[:, 6] % PASSAGES + 40
        texts = [
            "question: w{} w{} context: w{} w{} w{} w{} w{}".format(*row) for row in rows.tolist()
        ]
        given = tokenizer(texts, return_tensors="pt", return_token_type_ids=False)
        told = tokenizer([f"w{row[6]}" for row in rows.tolist()], return_tensors="pt")["input_ids"]
        loss = model(**given, labels=told).loss
        steps.zero_grad()
        loss.backward()
        steps.step()
        if loss.item() < 0.1:
            return model
    raise AssertionError("the tiny T5 has not learnt to read")


def write_suite(folder, name):
    """Passages of four words and an answer; a question is two of the four words."""
    (folder / "qrels").mkdir(parents=True)
    corpus, queries, qrels = [], [], ["query-id\tcorpus-id\tscore"]
    for passage in range(PASSAGES):
        words = [f"w{4 * passage + number}" for number in range(4)]
        answer = f"w{40 + passage}"
        corpus.append({"_id": f"d{passage}", "text": " ".join([*words, answer])})
        for number, pair in enumerate(permutations(words, 2)):
            if (number % 3 == 0) == (name == "validate"):
                row = {"_id": f"q{passage}-{number}", "text": " ".join(pair), "answers": [answer]}
                queries.append(row)
                qrels.append(f"{row['_id']}\td{passage}\t1")
    for file, rows in {"corpus.jsonl": corpus, "queries.jsonl": queries}.items():
        (folder / file).write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "qrels" / "test.tsv").write_text("\n".join(qrels) + "\n")
