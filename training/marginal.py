"""The likelihood of an answer over several passages, any of which may have been the right one.

Source: Lewis et al. 2020, arXiv 2005.11401, section 2.1: RAG-Sequence and RAG-Token.

Everywhere n questions have k passages each, and answers at most T tokens. priors: (n, k),
log p(passage | question), a log-softmax of retrieval scores. tokens: (n, k, T), the
log-probability of each token of the answer after those before it, given the passage. real: bool
(n, T), which of them are the answer's and not padding.
"""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor
from torch.nn.functional import cross_entropy

IGNORED = -100
"""The label of a token that is padding."""


def sequence_log(priors: Tensor, tokens: Tensor, real: Tensor) -> Tensor:
    """(n,): one passage for all of an answer, log sum_z p(z) prod_t p(y_t | z, y_<t)."""
    answers = (tokens * real[:, None]).sum(dim=2)
    return (priors + answers).logsumexp(dim=1)


def token_log(priors: Tensor, tokens: Tensor, real: Tensor) -> Tensor:
    """(n,): a passage for each token, sum_t log sum_z p(z) p(y_t | z, y_<t)."""
    each = (priors[:, :, None] + tokens).logsumexp(dim=1)
    return (each * real).sum(dim=1)


LIKELIHOODS: Mapping[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "sequence": sequence_log,
    "token": token_log,
}


def answer_tokens(
    model: Any,  # an encoder-decoder of transformers
    texts: Tensor,
    mask: Tensor,
    labels: Tensor,
) -> Tensor:
    """*tokens* as above, float32 (n, k, T).

    texts, mask: int64 (n * k, length), a question's passages one after another. labels: int64
    (n, T), IGNORED where padded.
    """
    passages = len(texts) // len(labels)
    wanted = labels.repeat_interleave(passages, dim=0)
    said = model.prepare_decoder_input_ids_from_labels(labels=wanted)
    logits = model(
        input_ids=texts, attention_mask=mask, decoder_input_ids=said, use_cache=False
    ).logits
    losses = cross_entropy(
        logits.float().flatten(0, 1), wanted.flatten(), ignore_index=IGNORED, reduction="none"
    )
    return -losses.view(len(labels), passages, -1)
