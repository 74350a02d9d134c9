"""The sentence that is most like the question, as the answer: no language model, no download."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import encoders
from encoders.cache import CachedEncoder, Loads
from generators.base import Answer, Passage
from generators.sentences import sentences
from generators.similarity import similarities, titled
from qrels.errors import UsageError


class Extractive:
    """Answers with the sentence of all passages whose vector has the best cosine to the question.

    Abstains where that is below *threshold*, or there is no sentence; cites the passage that the
    sentence is from, of equal ones the first. encoder: a spec of `encoders.load`. titles: whether
    a passage's title is read before each of its sentences, never part of the answer.

    The default of *threshold* is the end of the last band of 0.05 in which fewer than one answer
    in ten holds a gold answer, over the dev queries of `qa` and 3,000 of SQuAD 2.0 dev together,
    five passages each by MiniLM (the next band has 10.2 %: a close call). There, 10 of 11
    abstentions on qa and 141 of 146 on SQuAD spare a wrong answer, and containment on answerable
    questions goes from .380 to .360 and from .624 to .620. So it withholds answers that are off
    the subject; it does not tell unanswerable questions, which are written to look answerable:
    none of 8 on qa and 7 % on SQuAD stay without an answer (at 0.5 1 of 8 and 25 %, for a
    containment of .300 and .586). Without a threshold titles raise containment from .260 to .380
    and from .617 to .624.
    """

    needs_passages = True

    def __init__(
        self, encoder: str = "minilm", threshold: float = 0.4, titles: bool = True
    ) -> None:
        self.encoder = encoder
        self.threshold = threshold
        self.titles = titles

    def generate(
        self, questions: Sequence[str], contexts: Sequence[Sequence[Passage]]
    ) -> list[Answer]:
        """An answer a question; UsageError for a threshold that no cosine can have."""
        self.check()
        split: dict[str, list[str]] = {}  # passages are shared by many questions
        said = [
            [(passage, sentence) for passage in passages for sentence in _split(passage, split)]
            for passages in contexts
        ]
        groups = [[titled(*one) if self.titles else one[1] for one in some] for some in said]
        found = []
        for some, cosines in zip(said, similarities(self.encoder, questions, groups), strict=True):
            best = int(cosines.argmax()) if some else None
            if best is None or cosines[best] < self.threshold:
                found.append(Answer("", abstained=True))
            else:
                passage, sentence = some[best]
                found.append(Answer(sentence, (passage.doc_id,)))
        return found

    def load(self) -> None:
        """Load the encoder's model now, so that no answer's time holds it."""
        if isinstance(self._encoder.inner, Loads):
            self._encoder.inner.load()

    def describe(self) -> dict[str, Any]:
        """The parameters and the encoder, for the record."""
        return {**self._parameters(), "encoder": self._encoder.describe(), "digest": self.digest}

    @property
    def digest(self) -> str:
        """What decides the answers: parameters and the encoder's digest."""
        decides = {**self._parameters(), "encoder": self._encoder.digest}
        return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()

    @property
    def _encoder(self) -> CachedEncoder:
        return encoders.load(self.encoder)

    def _parameters(self) -> dict[str, Any]:
        return {"encoder": self.encoder, "threshold": self.threshold, "titles": self.titles}

    def check(self) -> None:
        """UsageError for a parameter out of range."""
        if not isinstance(self.threshold, (int, float)) or not -1 <= self.threshold <= 1:
            raise UsageError(f"extractive: threshold is {self.threshold!r}; expected -1 to 1")
        if not isinstance(self.titles, bool):
            raise UsageError(f"extractive: titles is {self.titles!r}; expected true or false")


def _split(passage: Passage, known: dict[str, list[str]]) -> list[str]:
    """The passage's sentences without the white space between them, split once for each text."""
    if passage.text not in known:
        found = (sentence.strip() for sentence in sentences(passage.text))
        known[passage.text] = [sentence for sentence in found if sentence]
    return known[passage.text]
