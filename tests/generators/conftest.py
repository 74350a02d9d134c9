"""Tiny language models of real architectures that have learnt twenty answers by heart."""

import pytest

from generators.base import Passage

TOWNS = [
    "Oslo", "Lima", "Cairo", "Quito", "Delhi", "Turin", "Sofia", "Dakar", "Perth", "Osaka",
    "Leeds", "Malmo", "Bergen", "Porto", "Tunis", "Lagos", "Accra", "Hanoi", "Seoul", "Kyoto",
]  # fmt: skip
NAMES = [
    "Ada", "Bea", "Cyd", "Dan", "Eve", "Fay", "Gus", "Hal", "Ida", "Jan",
    "Kai", "Leo", "Mia", "Ned", "Oda", "Pia", "Quin", "Ray", "Sue", "Tom",
]  # fmt: skip
QUESTIONS = [f"Where does {name} live?" for name in NAMES]
ANSWERS = [f"{town} by the sea" for town in TOWNS]
CONTEXTS = [
    [
        Passage(f"{name}-1", f"{name} lives in {town} by the sea.", name),
        Passage(f"{name}-2", f"{name} likes {'tea and ' * (number % 4)}rain."),
    ]
    for number, (name, town) in enumerate(zip(NAMES, TOWNS, strict=True))
]
CHAT = (
    "{% for m in messages %}<{{ m['role'] }}> {{ m['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)
SPECIAL = {"pad_token": "[PAD]", "bos_token": "[BOS]", "eos_token": "[EOS]"}


@pytest.fixture(autouse=True)
def offline(tmp_path, monkeypatch):
    """No test asks the hub, or reads or writes the user's cache."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))


def make_tokenizer(kind):
    """Byte pairs trained on all that is said; GPT-2's without padding, LFM2's with a chat."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    from generators.prompts import SYSTEM, TEMPLATES

    texts = [*QUESTIONS, *ANSWERS, *TEMPLATES.values(), SYSTEM, "title: context: question:"]
    texts += [passage.text for passages in CONTEXTS for passage in passages]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        texts * 3,
        trainers.BpeTrainer(
            vocab_size=600, special_tokens=list(SPECIAL.values()), show_progress=False,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        ),
    )  # fmt: skip
    pattern = {"llama": "[BOS] $A", "lfm2": "[BOS] $A", "t5": "$A [EOS]"}.get(kind, "$A")
    ids = [(token, tokenizer.token_to_id(token)) for token in SPECIAL.values()]
    tokenizer.post_processor = processors.TemplateProcessing(single=pattern, special_tokens=ids)
    special = {k: v for k, v in SPECIAL.items() if kind != "gpt2" or k != "pad_token"}
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, chat_template=CHAT if kind == "lfm2" else None, **special
    )


def make_model(kind, size):
    import torch
    import transformers

    torch.manual_seed(3)
    shared = {"vocab_size": size, "bos_token_id": 1, "eos_token_id": 2}
    shape = {
        "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2,
        "num_key_value_heads": 1, "intermediate_size": 128, "max_position_embeddings": 256,
        "initializer_range": 0.1,
    }  # fmt: skip
    made = {
        "gpt2": lambda: transformers.GPT2LMHeadModel(
            transformers.GPT2Config(
                n_embd=64, n_layer=2, n_head=2, n_positions=256, initializer_range=0.1,
                resid_pdrop=0, embd_pdrop=0, attn_pdrop=0, **shared,
            )
        ),
        "llama": lambda: transformers.LlamaForCausalLM(
            transformers.LlamaConfig(pad_token_id=0, **shape, **shared)
        ),
        "lfm2": lambda: transformers.Lfm2ForCausalLM(
            transformers.Lfm2Config(
                layer_types=["conv", "full_attention"], block_multiple_of=16, pad_token_id=0,
                **shape, **shared,
            )
        ),
        "t5": lambda: transformers.T5ForConditionalGeneration(
            transformers.T5Config(
                vocab_size=size, d_model=64, d_kv=32, d_ff=128, num_layers=2, num_heads=2,
                dropout_rate=0.0, pad_token_id=0, eos_token_id=2, decoder_start_token_id=0,
            )
        ),
    }  # fmt: skip
    return made[kind]()


def causal_loss(tokenizer, kind):
    """The loss of the answers after their prompts, all in one batch padded on the right."""
    import torch

    from generators.prompts import messages, prompt

    rows, labels = [], []
    for question, passages, answer in zip(QUESTIONS, CONTEXTS, ANSWERS, strict=True):
        text = prompt(question, passages, "numpy-rag")
        if kind == "lfm2":
            said = messages(question, passages)
            text = tokenizer.apply_chat_template(said, tokenize=False, add_generation_prompt=True)
        begin = [1] if kind == "llama" else []
        asked = begin + tokenizer(text, add_special_tokens=False)["input_ids"]
        told = tokenizer(f" {answer} [1]", add_special_tokens=False)["input_ids"] + [2]
        rows.append(torch.tensor(asked + told))
        labels.append(torch.tensor([-100] * len(asked) + told))
    pad = torch.nn.utils.rnn.pad_sequence
    ids, wanted = pad(rows, True, 0), pad(labels, True, -100)
    return lambda model: model(input_ids=ids, labels=wanted).loss


def encoder_loss(tokenizer, kind):
    """The loss of the answers after all passages in one text, or each encoded by itself."""
    from transformers.modeling_outputs import BaseModelOutput

    def context(passage):
        title = f"title: {passage.title} " if passage.title else ""
        return f"{title}context: {passage.text}"

    def joined(passages):
        parts = [part for p in passages for part in (p.title, p.text) if part]
        return ["context: " + "\n".join(parts)]

    texts = [
        f"question: {question} {part}"
        for question, passages in zip(QUESTIONS, CONTEXTS, strict=True)
        for part in (map(context, passages) if kind == "fid" else joined(passages))
    ]
    given = tokenizer(texts, padding=True, return_tensors="pt", return_token_type_ids=False)
    told = tokenizer(ANSWERS, padding=True, return_tensors="pt")["input_ids"]
    told[told == 0] = -100

    def loss(model):
        states = model.encoder(**given).last_hidden_state
        states = BaseModelOutput(last_hidden_state=states.reshape(len(QUESTIONS), -1, 64))
        mask = given["attention_mask"].reshape(len(QUESTIONS), -1)
        return model(encoder_outputs=states, attention_mask=mask, labels=told).loss

    return loss


def trained(kind, folder):
    """A model that has learnt the answers, saved with its tokenizer."""
    import torch

    shape = "t5" if kind == "fid" else kind
    tokenizer = make_tokenizer(shape)
    model = make_model(shape, len(tokenizer)).train()
    loss = (encoder_loss if shape == "t5" else causal_loss)(tokenizer, kind)
    steps = torch.optim.AdamW(model.parameters(), lr=4e-3, weight_decay=0.0)
    for _ in range(300):
        now = loss(model)
        steps.zero_grad()
        now.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        steps.step()
        if now.item() < 0.01:
            break
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="session")
def learnt(tmp_path_factory):
    """learnt(kind): the folder of a model that knows the twenty answers, trained once."""
    saved = {}

    def folder(kind):
        if kind not in saved:
            saved[kind] = trained(kind, tmp_path_factory.mktemp(kind))
        return saved[kind]

    return folder


@pytest.fixture(scope="session")
def lesson():
    """Questions, contexts, answers."""
    return QUESTIONS, CONTEXTS, ANSWERS
