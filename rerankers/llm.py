"""A causal language model asked whether a document answers a query: Yes against No.

Source of the idea: Nogueira et al. 2020, doi 10.18653/v1/2020.findings-emnlp.63 (with T5).
"""

import inspect
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from encoders.language import CAUSAL, load_language, load_tokenizer, positions_of
from qrels.errors import UsageError
from rerankers.models import KIND, Pair, PairReranker
from rerankers.prompts import Prompts

TEMPLATE = """Decide whether the item answers the query.

Query: {query}

Item: {document}

Does the item answer the query? Reply with Yes or No.
Answer:"""


class Loaded(NamedTuple):
    """A model with its prompts; yes and no are the token ids of the two answers."""

    model: Any  # transformers' own classes
    prompts: Prompts
    yes: list[int]
    no: list[int]


class LLMYesNo(PairReranker):
    """Scores each pair by the log-odds of Yes against No as a language model's next token.

    The score is log(P(Yes) / P(No)) from the logits after the prompt, in float32: above 0 where
    Yes is more probable, and P(Yes) / (P(Yes) + P(No)) = 1 / (1 + exp(-score)). The probability
    of an answer is summed over its spellings that are one token: with or without a space before
    it, as written, in lower case, capitalised.
    model: a folder or a hub id with its *revision*. template: the prompt, with {query} and
    {document} once each, by default TEMPLATE. fields: those joined into the document, all by
    default. max_length: tokens a prompt; a document too long loses its end. chat: whether the
    template is a user's turn of the model's chat template; by default wherever it has one.
    Errors: UsageError for an answer without a token, answers that share one, and a query that
    alone fills the prompt; DataError where the model cannot be loaded.
    """

    pointwise = True

    def __init__(
        self,
        model: str,
        template: str | None = None,
        fields: Sequence[str] | None = None,
        batch_size: int = 8,
        max_length: int = 1024,
        yes: str = "Yes",
        no: str = "No",
        device: str | None = None,
        dtype: str = "float32",
        revision: str | None = None,
        trust_remote_code: bool = False,
        chat: bool | None = None,
    ) -> None:
        self.model = model
        self.template = template
        self.fields = fields
        self.batch_size = batch_size
        self.max_length = max_length
        self.yes = yes
        self.no = no
        self.device = device
        self.dtype = dtype
        self.revision = revision
        self.trust_remote_code = trust_remote_code
        self.chat = chat

    def _scores(self, pairs: Sequence[Pair]) -> NDArray[np.float32]:
        tokens = [self._loaded.prompts.tokens(*pair) for pair in pairs]
        order = sorted(range(len(tokens)), key=lambda row: -len(tokens[row]))
        scores = np.empty(len(tokens), np.float32)
        for start in range(0, len(order), self.batch_size):
            rows = order[start : start + self.batch_size]
            scores[rows] = self._log_odds([tokens[row] for row in rows])
        return scores

    def _log_odds(self, tokens: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """float32 (n_prompts,)."""
        import torch

        _, _, yes, no = self._loaded
        logits = next_logits(self._loaded.model, tokens).float()
        odds = torch.logsumexp(logits[:, yes], 1) - torch.logsumexp(logits[:, no], 1)
        return np.asarray(odds.cpu().numpy(), np.float32)

    def _load(self, device: str) -> Loaded:
        tokenizer = load_tokenizer(KIND, self.model, **self._source)
        if self.chat and not tokenizer.chat_template:
            raise UsageError(f"model {self.model!r} has no chat template, which chat=true needs")
        yes, no = (answer_tokens(tokenizer, answer) for answer in (self.yes, self.no))
        if set(yes) & set(no):
            raise UsageError(f"yes={self.yes!r} and no={self.no!r} share a token of {self.model!r}")
        model = load_language(KIND, self.model, CAUSAL, self.dtype, device, **self._source)
        model.config.use_cache = False
        limit = min(self.max_length, positions_of(model) or self.max_length)
        chat = bool(tokenizer.chat_template) if self.chat is None else self.chat
        return Loaded(model, Prompts(tokenizer, self.template or TEMPLATE, limit, chat), yes, no)


def answer_tokens(tokenizer: Any, answer: str) -> list[int]:
    """The ids of the single tokens that spell *answer*; UsageError where there are none."""
    plain = answer.strip()
    words = (plain, plain.lower(), plain.capitalize())
    spellings = [space + word for word in words for space in ("", " ")]
    found = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in spellings]
    single = {ids[0] for ids in found if len(ids) == 1} - {tokenizer.unk_token_id}
    if not single:
        raise UsageError(f"the answer {answer!r} is no single token of this model's tokenizer")
    return sorted(single)


def next_logits(model: Any, tokens: Sequence[Sequence[int]]) -> Any:  # torch.Tensor
    """The logits after the last token of each prompt, (n_prompts, vocabulary).

    Padded on the right: what follows a token cannot change it in a causal model, whichever way
    the model counts positions or carries state along.
    """
    import torch

    rows = [torch.tensor(ids) for ids in tokens]
    ids = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True).to(model.device)
    last = torch.tensor([len(row) - 1 for row in rows], device=model.device)
    mask = torch.arange(ids.shape[1], device=model.device) <= last[:, None]
    kept: dict[str, Any] = {}  # without it, logits of every token: gigabytes for large vocabularies
    if "logits_to_keep" in inspect.signature(model.forward).parameters:
        places, last = torch.unique(last, return_inverse=True)
        kept = {"logits_to_keep": places}
    with torch.inference_mode():
        logits = model(input_ids=ids, attention_mask=mask.long(), **kept).logits
    return logits[torch.arange(len(rows), device=model.device), last]
