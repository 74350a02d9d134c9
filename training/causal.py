"""A causal language model that learns to answer, and answers as the generator `causal` does.

The model is the one in a `generators.causal.Causal`: what it learns to go on from is the very
prompt that it is given later, with what a retriever and `generators.context` found, cut alike.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

import encoders
from bench.answering import SPARE, Answers, answered, passage, passages
from bench.answers import ANSWER_MEASURES, answer_measure
from generators.base import Passage
from generators.causal import Causal
from generators.context import Context
from generators.decoding import padded
from qrels.answers import gold_answers, unanswerable
from qrels.data import Run, Suite
from qrels.errors import UsageError
from retrievers.tokenise import STOP_WORDS
from training.heads import evaluating
from training.marginal import IGNORED
from training.mining import relevant_documents
from training.penalties import NAMES, Wanted, counted
from training.retriever import Model, ranked

if TYPE_CHECKING:
    from training.cozyrag import OPTIONS

SILENCE = "I don't know"
"""What is learnt for a question that has no answer; the generator takes it for an abstention."""

QUESTION_WORDS = frozenset({"how", "what", "when", "where", "which", "who", "whom", "whose", "why"})


class Row(NamedTuple):
    """A question by its number, the tokens of its answer with the end, what is held against it."""

    query: int
    target: list[int]
    keywords: list[int]
    least: int


class Inputs(NamedTuple):
    """A batch of prompts with their answers behind them, padded.

    ids, mask: int64 (n, width). columns: int64 (n_columns,), those after which an answer's token
    comes in some row. places: int64 (n, longest), the column of each token of the answers, by its
    number in `columns`; targets: int64 (n, longest), these tokens or IGNORED.
    """

    ids: Tensor
    mask: Tensor
    columns: Tensor
    places: Tensor
    targets: Tensor
    keywords: Tensor
    least: Tensor


@dataclass
class Parts:
    """Both models over the questions to learn.

    turn: the epoch that `run` was made for: rankings by the encoder as it then was. It learns
    nothing in the generator's epochs, so that they can be made again. measured: the last `measure`.
    """

    suite: Suite
    options: "OPTIONS"
    encoder: Model
    generator: Causal
    rows: list[Row] = field(default_factory=list)
    relevant: list[frozenset[int]] = field(default_factory=list)
    turn: int = -1
    run: Run | None = None
    measured: list[dict[str, Any]] = field(default_factory=list)  # JSON values

    @property
    def model(self) -> Any:  # transformers' own class
        return self.generator._loaded.model

    @property
    def tokenizer(self) -> Any:  # transformers' own class
        return self.generator._loaded.tokenizer

    @property
    def end(self) -> int:
        """The token that ends an answer."""
        return int(self.model.generation_config.eos_token_id[0])

    @property
    def context(self) -> Context:
        options = self.options
        return Context(
            passages=options.passages,
            sentences=options.sentences or None,
            encoder=options.context_encoder,
        )


def load_parts(suite: Suite, encoder: Model, options: "OPTIONS") -> Parts:
    """Everything loaded; UsageError for a model that has no token to end an answer."""
    generator = Causal(
        options.generator,
        template=options.template,
        max_new_tokens=options.max_new_tokens,
        context_tokens=options.context_tokens or None,
        device="cpu",  # until the loop moves it
    )
    generator.load()
    parts = Parts(suite, options, encoder, generator)
    parts.context.check()
    encoders.load(options.context_encoder)  # a wrong name is told now
    if parts.model.generation_config.eos_token_id is None:
        raise UsageError(f"generator {options.generator!r} has no token that ends an answer")
    parts.rows = rows_of(parts, suite)
    parts.relevant = relevant_documents(suite)
    return parts


def rows_of(parts: Parts, suite: Suite) -> list[Row]:
    """A row for each question that has an answer, the gold answer that is given most often."""
    golds = zip(gold_answers(suite.queries), unanswerable(suite.queries).tolist(), strict=True)
    found = []
    for query, (given, none) in enumerate(golds):
        known = [SILENCE] if none else [text.strip() for text in given if text.strip()]
        if known:
            answer = max(known, key=known.count)
            found.append(row_of(parts, query, suite.queries.texts[query], answer))
    return found


def row_of(parts: Parts, query: int, question: str, answer: str) -> Row:
    target = token_ids(parts, answer)[: parts.options.max_new_tokens - 1]
    texts = {"answer": (answer,), "question": (question,), "both": (answer, question)}
    keywords = keyword_ids(parts, texts[parts.options.keywords_of])
    return Row(query, [*target, parts.end], keywords, max(1, min(parts.options.least, len(target))))


def token_ids(parts: Parts, text: str) -> list[int]:
    """The tokens of *text* as an answer behind a prompt: after a space, without special ones."""
    ids: list[int] = parts.tokenizer(f" {text}", add_special_tokens=False)["input_ids"]
    return ids


def keyword_ids(parts: Parts, texts: Sequence[str]) -> list[int]:
    """The tokens of the texts, each once, without stop words and punctuation; all if no others."""
    ids = list(dict.fromkeys(token for text in texts for token in token_ids(parts, text)))
    dull = STOP_WORDS["english"] | QUESTION_WORDS

    def tells(token: int) -> bool:
        said = parts.tokenizer.decode([token]).strip().lower()
        return said not in dull and any(map(str.isalnum, said))

    return [token for token in ids if tells(token)] or ids


def longest_prompts(parts: Parts) -> list[int]:
    """The most tokens that each row can have, whatever is found for its question."""
    limit, most = parts.generator._limit, parts.generator.context_tokens
    found = []
    for row in parts.rows:
        bare = len(parts.generator._encoded(parts.suite.queries.texts[row.query], [])[1])
        prompt = limit if most is None else min(limit, bare + most)
        found.append(prompt + len(row.target))
    return found


def collate(parts: Parts, epoch: int, rows: Sequence[Row]) -> Inputs:
    """Prompts from what the encoder finds in this epoch, answers behind them, padded."""
    prompts = prompts_of(parts, epoch, rows)
    texts = [[*asked, *row.target] for asked, row in zip(prompts, rows, strict=True)]
    ids, mask = padded(texts, parts.model.generation_config.pad_token_id, "cpu")
    pairs = list(zip(prompts, rows, strict=True))
    before = [[len(p) - 1 + k for k in range(len(row.target))] for p, row in pairs]
    columns = sorted({column for some in before for column in some})
    number = {column: place for place, column in enumerate(columns)}
    return Inputs(
        ids,
        mask,
        torch.tensor(columns),
        filled([[number[column] for column in some] for some in before], 0),
        filled([row.target for row in rows], IGNORED),
        filled([row.keywords for row in rows], -1),
        torch.tensor([row.least for row in rows]),
    )


def filled(rows: Sequence[list[int]], value: int) -> Tensor:
    """int64 (n_rows, longest), *value* where a row is shorter."""
    return padded(rows, value, "cpu")[0]


def prompts_of(parts: Parts, epoch: int, rows: Sequence[Row]) -> list[list[int]]:
    """The token ids of each row's prompt."""
    run = rankings(parts, epoch)
    chosen = [row.query for row in rows]
    found = passages(parts.suite.corpus, Run(run.docs[chosen], run.scores[chosen]), depth(parts))
    if parts.options.gold_context:
        found = [with_gold(parts, *pair) for pair in zip(chosen, found, strict=True)]
    questions = [parts.suite.queries.texts[query] for query in chosen]
    contexts = parts.context.select(questions, found)
    pairs = zip(questions, contexts, strict=True)
    made = [parts.generator._prompt(*parts.generator._harmless(*pair)) for pair in pairs]
    return [prompt.ids[0] for prompt in made]


def rankings(parts: Parts, epoch: int) -> Run:
    """What the encoder finds for all questions; made once an epoch."""
    if parts.run is None or parts.turn != epoch:
        deep = replace(parts.suite, depth=depth(parts))
        with evaluating(parts.encoder):
            parts.turn, parts.run = epoch, ranked(parts.encoder, deep, parts.options)
    return parts.run


def depth(parts: Parts) -> int:
    """Passages that the context gets to choose from, as many as the harness gives it."""
    return 2 * parts.options.passages + SPARE


def with_gold(parts: Parts, query: int, found: list[Passage]) -> list[Passage]:
    """The passages, a relevant one the last of those that count where none is among them."""
    corpus, most = parts.suite.corpus, parts.options.passages
    relevant = sorted(parts.relevant[query])
    ids = {corpus.doc_ids[doc] for doc in relevant}
    if not relevant or any(one.doc_id in ids for one in found[:most]):
        return found
    return [*found[: most - 1], passage(corpus, relevant[0], 0.0), *found[most - 1 :]]


def answer_logits(model: Any, inputs: Inputs) -> Tensor:  # model: transformers' own class
    """The logits of each token of the answers, float32 (n, longest, n_tokens).

    The vocabulary is large: only the columns that are asked for are multiplied by it.
    """
    given = {"input_ids": inputs.ids, "attention_mask": inputs.mask, "use_cache": False}
    if takes_columns(model):
        logits = model(**given, logits_to_keep=inputs.columns).logits
    else:
        logits = model(**given).logits[:, inputs.columns]
    places = inputs.places[:, :, None].expand(-1, -1, logits.shape[2])
    found: Tensor = logits.gather(1, places).float()
    return found


def takes_columns(model: Any) -> bool:  # transformers' own class
    import inspect

    return "logits_to_keep" in inspect.signature(model.forward).parameters


def wanted_of(parts: Parts, inputs: Inputs) -> Wanted:
    mask = inputs.targets != IGNORED
    return Wanted(mask, inputs.keywords, inputs.least, parts.end, parts.options.ngram)


def measure(parts: Parts, suite: Suite, names: Sequence[str]) -> dict[str, float]:
    """Means over the suite's questions, which are answered from what is found for them.

    names: measures of answers and of rankings. Beside them are the three penalties of the answers
    that were generated. `parts.measured` holds all this, and some of the answers.
    """
    from training.measuring import means

    run = ranked(parts.encoder, suite, parts.options)
    given = passages(suite.corpus, run, depth(parts))
    given = parts.context.select(suite.queries.texts, given)
    said = Answers(given, parts.generator.generate(suite.queries.texts, given))
    found = answered(suite, said)
    of_answers = [name for name in names if name in ANSWER_MEASURES]
    values = {
        **{name: float(answer_measure(name).values(found).mean()) for name in of_answers},
        **means(suite, run, [name for name in names if name not in of_answers]),
        **faults(parts, suite, said),
    }
    parts.measured = [{"measures": values}, *samples(suite, said, parts.options.samples)]
    return values


def faults(parts: Parts, suite: Suite, said: Answers) -> dict[str, float]:
    """The mean of each penalty over the answers that were generated, where there is one to give."""
    none = unanswerable(suite.queries)
    found = []
    for row in rows_of(parts, suite):
        if not none[row.query]:
            text = said.answers[row.query].text
            tokens = token_ids(parts, text) if text else []
            found.append(counted(tokens, row.keywords, row.least, parts.options.ngram))
    return {name: float(np.mean([row[name] for row in found])) for name in NAMES if found}


def samples(suite: Suite, said: Answers, number: int) -> list[dict[str, Any]]:
    """Some questions with what was answered and what would have been right."""
    rows = zip(suite.queries.texts, said.answers, gold_answers(suite.queries), strict=True)
    return [
        {"question": question, "answer": one.text, "gold": list(gold)}
        for question, one, gold in list(rows)[:number]
    ]


def save_parts(parts: Parts, folder: Path) -> None:
    """Write folder/encoder and folder/generator, which load by path."""
    (folder / "encoder").mkdir(parents=True)
    parts.encoder.save_pretrained(str(folder / "encoder"), create_model_card=False)
    for own in (parts.model, parts.tokenizer):
        own.save_pretrained(folder / "generator")


def about(values: Mapping[str, float]) -> str:
    """The measures in a line."""
    return "  ".join(f"{name} {value:.4f}" for name, value in values.items())
