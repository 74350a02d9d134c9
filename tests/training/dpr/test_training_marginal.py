"""Marginal likelihoods, against sums over everything that could have been."""

from itertools import product

import numpy as np
import pytest
import torch

from training.marginal import IGNORED, LIKELIHOODS, answer_tokens, sequence_log

LENGTHS = [3, 1, 2]


def numbers(passages):
    """Log-priors, log-probabilities of tokens, which tokens count; noise in the padding."""
    rng = np.random.default_rng(passages)
    priors = rng.normal(0, 2, (len(LENGTHS), passages))
    priors -= np.log(np.exp(priors).sum(axis=1, keepdims=True))
    tokens = np.log(rng.uniform(0.01, 1, (len(LENGTHS), passages, max(LENGTHS))))
    real = np.arange(max(LENGTHS)) < np.array(LENGTHS)[:, None]
    return priors, tokens, real


def enumerated(kind, prior, chances):
    """log p(answer): chances (k, T) summed over one passage, or over a passage for each token."""
    k, length = chances.shape
    if kind == "sequence":
        return np.log(sum(prior[z] * np.prod(chances[z]) for z in range(k)))
    ways = product(range(k), repeat=length)
    return np.log(
        sum(np.prod([prior[z] * chances[z, t] for t, z in enumerate(way)]) for way in ways)
    )


@pytest.mark.parametrize("passages", [1, 2, 4])
@pytest.mark.parametrize("kind", ["sequence", "token"])
def test_the_likelihood_is_the_sum_over_all_ways(kind, passages):
    """Each way of choosing a passage, or one for each token, counted one by one."""
    priors, tokens, real = numbers(passages)
    found = LIKELIHOODS[kind](*map(torch.tensor, (priors, tokens, real)))
    expected = [
        enumerated(kind, np.exp(prior), np.exp(chances[:, :length]))
        for prior, chances, length in zip(priors, tokens, LENGTHS, strict=True)
    ]
    assert found.tolist() == pytest.approx(expected, rel=1e-12)


def test_the_two_are_one_for_one_passage_or_one_token():
    """Where there is nothing to choose they agree; elsewhere they differ."""
    priors, tokens, real = map(torch.tensor, numbers(4))
    sequence, token = (each(priors, tokens, real) for each in LIKELIHOODS.values())
    assert sequence[1].item() == pytest.approx(token[1].item(), rel=1e-12)
    assert abs(sequence[0] - token[0]) > 0.01
    one = [each(priors[:, :1] * 0, tokens[:, :1], real) for each in LIKELIHOODS.values()]
    assert one[0].tolist() == pytest.approx((tokens[:, 0] * real).sum(dim=1).tolist(), rel=1e-12)
    assert one[1].tolist() == pytest.approx(one[0].tolist(), rel=1e-12)


def test_scores_move_from_prior_to_posterior():
    """The gradient of a passage's score is its share after the answer less that before it."""
    priors, tokens, real = map(torch.tensor, numbers(4))
    scores = priors.clone().requires_grad_()
    sequence_log(scores.log_softmax(dim=1), tokens, real).sum().backward()
    before = priors.exp()
    after = before * (tokens * real[:, None]).sum(dim=2).exp()
    after /= after.sum(dim=1, keepdim=True)
    assert torch.allclose(scores.grad, after - before, atol=1e-12)


def test_answers_that_are_all_but_impossible_have_a_finite_likelihood():
    """Nothing overflows or becomes no number where a chance is exp(-1e5)."""
    priors, tokens, real = map(torch.tensor, numbers(2))
    for likelihood in LIKELIHOODS.values():
        scores = priors.clone().requires_grad_()
        found = likelihood(scores.log_softmax(dim=1), tokens * 1e5, real).sum()
        found.backward()
        assert torch.isfinite(found)
        assert torch.isfinite(scores.grad).all()


def test_tokens_are_those_of_one_text_at_a_time(tiny):
    """Padding changes nothing, and one passage gives the model's own cross-entropy."""
    from transformers import AutoTokenizer, T5ForConditionalGeneration

    model = T5ForConditionalGeneration.from_pretrained(tiny.generator).eval()
    tokenizer = AutoTokenizer.from_pretrained(tiny.generator)
    texts = ["w1 w2 w3", "w4", "w5 w41 w6", "w7 w8 w9 w10 w42"]
    answers = ["w41 w3 w9", "w42"]
    given = tokenizer(texts, padding=True, return_tensors="pt")
    labels = tokenizer(answers, padding=True, return_tensors="pt")["input_ids"]
    labels[labels == 0] = IGNORED
    with torch.no_grad():
        found = answer_tokens(model, given["input_ids"], given["attention_mask"], labels)
        assert found.shape == (2, 2, 4)
        for place, text in enumerate(texts):
            row, passage = divmod(place, 2)
            alone = tokenizer([text], return_tensors="pt", return_token_type_ids=False)
            wanted = labels[row : row + 1]
            loss = model(**alone, labels=wanted).loss
            count = int((wanted != IGNORED).sum())
            assert -found[row, passage].sum() / count == pytest.approx(float(loss), abs=1e-5)
            assert (found[row, passage, count:] == 0).all()
