"""Retrieval and a generator at work on models that are being trained.

Encoder and generator are those of `encoders.dpr` and `generators.seq2seq`; the models in them are
the ones that learn. So the form of what is read, the passages that are found and what is measured
in between are those of the saved folders.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.answering import SPARE, Answers, answered, passage, passages
from bench.answers import ANSWER_MEASURES, answer_measure
from generators.context import Context
from generators.seq2seq import FusionInDecoder, Seq2Seq
from qrels.data import Suite
from qrels.errors import UsageError
from training.distributed import gathered, share
from training.dual import Dual, encode, load_dual, save_dual, vectors
from training.measuring import means, nearest

if TYPE_CHECKING:
    from training.dpr_t5 import OPTIONS

FORMS: Mapping[str, type[Seq2Seq]] = {"seq2seq": Seq2Seq, "fusion-in-decoder": FusionInDecoder}


@dataclass
class Parts:
    """Encoders, index and generator over the passages of a suite.

    models: "question", "context" and "generator", and the index as a buffer, float32 (n_docs,
    dimension). texts: what the context encoder reads of each passage. kept: passage vectors of
    other suites, where they stay the same. made: whether this process has made the index.
    """

    suite: Suite
    options: "OPTIONS"
    dual: Dual
    generator: Seq2Seq
    models: torch.nn.ModuleDict
    texts: Sequence[str]
    kept: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    made: bool = False

    @property
    def index(self) -> Tensor:
        return self.models.get_buffer("index")

    def before_step(self, step: int) -> None:
        """Make the index where there is none yet, and anew where it is time.

        One that changes while training is in the checkpoints; one that does not is made again.
        """
        learns, every = self.options.train_context, self.options.refresh
        if (step == 0 if learns else not self.made) or (every and step % every == 0):
            own = encode(self.dual, share(self.texts), "passage")
            with torch.no_grad():
                self.index.copy_(gathered(torch.from_numpy(own).to(self.index.device)))
            self.made = True

    def nearest(self, questions: Sequence[str]) -> Tensor:
        """Positions of the passages nearest to each question, best first, int64 (n, k)."""
        asked = torch.from_numpy(encode(self.dual, questions, "query")).to(self.index.device)
        return (asked @ self.index.T).topk(self.options.passages, dim=1).indices.cpu()

    def vectors(self, wanted: Tensor | Mapping[str, Tensor]) -> Tensor:
        """Vectors of passages, float32: of the index by positions, of the encoder by tokens."""
        if isinstance(wanted, Tensor):
            return self.index[wanted.flatten()]
        return vectors(self.models["context"], wanted)

    def prompt(self, question: str, position: int) -> list[int]:
        """What the generator reads of a question with one passage, as token ids."""
        given = [passage(self.suite.corpus, position, 0.0)]
        ids: list[int] = self.generator._prompt(*self.generator._harmless(question, given)).ids[0]
        return ids

    def answer(self, text: str) -> list[int]:
        """The tokens of an answer, with the one that ends it."""
        tokenizer = self.generator._loaded.tokenizer
        end = tokenizer.eos_token_id
        ids = [token for token in tokenizer(text)["input_ids"] if token != end]
        return [*ids[: self.options.max_answer - 1], end]

    @property
    def pad(self) -> int:
        return int(self.generator._loaded.model.generation_config.pad_token_id)

    @property
    def longest_row(self) -> int:
        """The most tokens that a question with its passages can take."""
        options = self.options
        read = options.generator_length or self.generator.own_length
        context = options.max_length if options.train_context else 0
        return options.max_length + options.max_answer + options.passages * (read + context)


def load_parts(suite: Suite, options: "OPTIONS") -> Parts:
    """Everything loaded, the context encoder fixed unless it is to learn."""
    if options.passages > len(suite.corpus):
        raise UsageError(
            f"passages = {options.passages}; {suite.name} has {len(suite.corpus)} passages"
        )
    dual = load_dual(options.question, options.context, options.max_length)
    dual.models["context"].requires_grad_(options.train_context)
    generator = FORMS[options.form](
        options.generator,
        max_new_tokens=options.max_answer,
        device="cpu",  # until the loop moves it
        max_length=options.generator_length or None,
    )
    generator.load()
    models = torch.nn.ModuleDict({**dual.models, "generator": generator._loaded.model})
    size = encode(dual, [""], "query").shape[1]
    models.register_buffer(
        "index", torch.zeros(len(suite.corpus), size), persistent=options.train_context
    )
    texts = suite.corpus.joined(options.fields or None)
    return Parts(suite, options, dual, generator, models, texts)


def save_parts(parts: Parts, folder: Path) -> None:
    """Write folder/question, folder/context and folder/generator."""
    save_dual(parts.dual, folder)
    for own in parts.generator._loaded[:2]:
        own.save_pretrained(folder / "generator")


def measured(parts: Parts, suite: Suite, names: Sequence[str]) -> dict[str, float]:
    """Means over the suite's questions of measures of answers and of rankings.

    All of the suite's own passages are ranked, and the generator answers from the first ones.
    """
    asked = encode(parts.dual, suite.queries.texts, "query")
    run = nearest(asked, passage_vectors(parts, suite), suite)
    context = Context(passages=parts.options.read)
    given = passages(suite.corpus, run, 2 * context.passages + SPARE)
    given = context.select(suite.queries.texts, given)
    said = Answers(given, parts.generator.generate(suite.queries.texts, given))
    found = answered(suite, said)
    ranking = [name for name in names if name not in ANSWER_MEASURES]
    return {
        **{n: float(answer_measure(n).values(found).mean()) for n in names if n not in ranking},
        **means(suite, run, ranking),
    }


def passage_vectors(parts: Parts, suite: Suite) -> NDArray[np.float32]:
    """Vectors of a suite's passages; made once where the context encoder stays as it is."""
    texts = suite.corpus.joined(parts.options.fields or None)
    if parts.options.train_context:
        return encode(parts.dual, texts, "passage")
    if suite.digest not in parts.kept:
        parts.kept[suite.digest] = encode(parts.dual, texts, "passage")
    return parts.kept[suite.digest]
