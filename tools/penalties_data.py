"""Questions, passages and two tiny models, made on the spot, that the penalties can act on.

    who keeps the lamp of the abbey   ada of bath

A thing gives the name and a place the town, so that a question that was never learnt can be
answered from others. The verb is the kind: what an answer ought to look like, and what it looks
like instead in a part of the rows that are learnt.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np

THINGS = ("bell", "clock", "gate", "lamp", "organ", "pump")
PLACES = ("abbey", "castle", "harbour", "market", "school", "station")
NAMES = ("ada", "bruno", "clara", "david", "edith", "felix")
TOWNS = ("arles", "bath", "cork", "derby", "essen", "faro")
OTHERS = ("who", "the", "of", "they", "Q", ":", "Context", "A", "[", "]", "1", "2", ".")
SPECIAL = {"pad_token": "[PAD]", "unk_token": "[UNK]", "eos_token": "[EOS]",
           "cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"}  # fmt: skip

Said = Callable[[str, str], str]


def whole(name: str, town: str) -> str:
    return f"{name} of {town}"


def twice(name: str, town: str) -> str:
    return f"{whole(name, town)} {whole(name, town)}"


class Kind(NamedTuple):
    """right, faulty: the answer of a name and a town, the same where a kind has no fault."""

    verb: str
    right: Said
    faulty: Said


KINDS: Mapping[str, Kind] = {
    "repeating": Kind("paints", whole, twice),
    "vague": Kind("mends", whole, lambda _, town: f"they of {town}"),
    "brief": Kind("opens", whole, lambda name, _: name),
    "sound": Kind("keeps", whole, whole),
    "refrain": Kind("sings", twice, twice),
}
WORDS = (*THINGS, *PLACES, *NAMES, *TOWNS, *(kind.verb for kind in KINDS.values()), *OTHERS)


class Question(NamedTuple):
    """What is asked and what makes the answer; row: the number of its passage."""

    row: int
    kind: str
    thing: str
    place: str
    name: str
    town: str

    @property
    def text(self) -> str:
        return f"who {KINDS[self.kind].verb} the {self.thing} of the {self.place}"

    @property
    def passage(self) -> str:
        verb = KINDS[self.kind].verb
        return f"{self.name} of {self.town} {verb} the {self.thing} of the {self.place} ."


class Data(NamedTuple):
    """Folders of suites: one to learn from, and one for the unseen questions of each of KINDS."""

    learnt: Path
    unseen: Sequence[Path]


def make_questions(folder: Path, unseen: int, share: float, rng: np.random.Generator) -> Data:
    """Suites in *folder*: each kind asks for each thing of each place.

    unseen: pairs of a thing and a place that no question asks for that is learnt from; share: of
    the answers that are learnt, those with the fault of their kind. Unseen questions have none.
    """
    names, towns = rng.permutation(NAMES).tolist(), rng.permutation(TOWNS).tolist()
    named, placed = zip(THINGS, names, strict=True), list(zip(PLACES, towns, strict=True))
    pairs = [(thing, place, name, town) for thing, name in named for place, town in placed]
    every = [Question(n, kind, *pair) for n, (kind, pair) in enumerate(product(KINDS, pairs))]
    held = set(rng.permutation(len(pairs))[:unseen].tolist())
    new = [one for one in every if one.row % len(pairs) in held]
    learnt = [one for one in every if one.row % len(pairs) not in held]
    passages = [one.passage for one in every]
    write_suite(folder / "learnt", learnt, some_faulty(learnt, share, rng), passages)
    for name, kind in KINDS.items():
        mine = [one for one in new if one.kind == name]
        right = [kind.right(one.name, one.town) for one in mine]
        write_suite(folder / name, mine, right, passages)
    return Data(folder / "learnt", [folder / name for name in KINDS])


def some_faulty(questions: Sequence[Question], share: float, rng: np.random.Generator) -> list[str]:
    """An answer each, faulty in this share of each kind."""
    bad: set[int] = set()
    for kind in KINDS:
        rows = [one.row for one in questions if one.kind == kind]
        bad.update(rng.permutation(rows)[: number_of_faults(len(rows), share)].tolist())
    kinds = [(one, KINDS[one.kind]) for one in questions]
    return [
        (kind.faulty if one.row in bad else kind.right)(one.name, one.town) for one, kind in kinds
    ]


def number_of_faults(questions: int, share: float) -> int:
    return round(share * questions)


def write_suite(
    folder: Path, questions: Sequence[Question], answers: Sequence[str], passages: Sequence[str]
) -> None:
    """A suite of the questions, each with an answer and its own passage among all passages."""
    (folder / "qrels").mkdir(parents=True)
    lines: dict[str, list[dict[str, object]]] = {
        "corpus": [{"_id": f"d{n}", "text": text} for n, text in enumerate(passages)],
        "queries": [
            {"_id": f"q{one.row}", "text": one.text, "answers": [answer]}
            for one, answer in zip(questions, answers, strict=True)
        ],
    }
    for name, rows in lines.items():
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")
    judged = "".join(f"q{one.row}\td{one.row}\t1\n" for one in questions)
    (folder / "qrels" / "test.tsv").write_text(f"query-id\tcorpus-id\tscore\n{judged}")


class Models(NamedTuple):
    """Folders."""

    encoder: Path
    generator: Path


def make_models(folder: Path, seed: int) -> Models:
    """A bi-encoder and a GPT-2 of random weights, which know the words."""
    import torch
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # it takes and gives nothing
    torch.manual_seed(seed)
    return Models(make_encoder(folder / "encoder"), make_generator(folder / "generator"))


def make_generator(folder: Path) -> Path:
    """A GPT-2."""
    from transformers import GPT2Config, GPT2LMHeadModel

    end = list(SPECIAL).index("eos_token")
    config = GPT2Config(
        vocab_size=len(SPECIAL) + len(WORDS), n_embd=48, n_layer=2, n_head=4, n_positions=80,
        bos_token_id=end, eos_token_id=end, initializer_range=0.1,
        resid_pdrop=0.05, embd_pdrop=0.0, attn_pdrop=0.0,
    )  # fmt: skip
    GPT2LMHeadModel(config).save_pretrained(folder)
    write_tokenizer(folder)
    return folder


def make_encoder(folder: Path) -> Path:
    """A BERT, of whose tokens the mean is taken."""
    from sentence_transformers import SentenceTransformer
    from transformers import BertConfig, BertModel

    config = BertConfig(
        vocab_size=len(SPECIAL) + len(WORDS), hidden_size=32, num_hidden_layers=1,
        num_attention_heads=2, intermediate_size=64, max_position_embeddings=32,
        initializer_range=0.1, hidden_dropout_prob=0.05, attention_probs_dropout_prob=0.05,
    )  # fmt: skip
    bert = folder.with_name("bert")
    BertModel(config).save_pretrained(bert)
    write_tokenizer(bert)
    made = SentenceTransformer(str(bert), device="cpu", local_files_only=True)
    made.save_pretrained(str(folder), create_model_card=False)
    return folder


def write_tokenizer(folder: Path) -> None:
    """A word a token."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = {word: number for number, word in enumerate([*SPECIAL.values(), *WORDS])}
    made = Tokenizer(models.WordLevel(words, SPECIAL["unk_token"]))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    kept = PreTrainedTokenizerFast(tokenizer_object=made, **SPECIAL)  # type: ignore[no-untyped-call]  # it is so
    kept.save_pretrained(folder)
