"""The penalties on answers: by hand, by all sequences there are, and by their gradients."""

import itertools

import numpy as np
import pytest
import torch

from training.penalties import MODES, NAMES, Wanted, argmax, counted, expected, until

END, SIZE = 0, 5


def wanted(lengths, keywords, least, ngram=2, longest=None):
    longest = longest or max(lengths)
    mask = torch.arange(longest) < torch.tensor(lengths)[:, None]
    most = max(map(len, keywords))
    padded = torch.tensor([[*row, *[-1] * (most - len(row))] for row in keywords])
    return Wanted(mask, padded, torch.tensor(least), END, ngram)


def one_hot(tokens, longest):
    """Logits of which the softmax is 1, in float32, for each token."""
    rows = torch.tensor([*tokens, *[0] * (longest - len(tokens))])
    return torch.nn.functional.one_hot(rows, SIZE).double() * 1000.0


@pytest.mark.parametrize(
    ("tokens", "keywords", "least", "ngram", "values"),
    [
        ([1, 2, 1, 2], [1, 2], 3, 2, (1 / 3, 0, 0)),
        ([1, 1, 1, 1], [2], 3, 1, (3 / 4, 1, 0)),
        ([1, 1, 1, 1], [1, 2], 3, 2, (2 / 3, 1 / 2, 0)),
        ([1], [1, 2, 3], 4, 2, (0, 2 / 3, 3 / 4)),
        ([], [1], 2, 1, (0, 1, 1)),
        ([3, 2], [], 1, 2, (0, 0, 0)),
    ],
    ids=["pairs", "tokens", "overlapping", "short", "nothing", "no-keywords"],
)
def test_counted_penalties_by_hand(tokens, keywords, least, ngram, values):
    """What is said again, left out, or missing, as a share."""
    assert tuple(counted(tokens, keywords, least, ngram).values()) == pytest.approx(values)


def test_where_the_softmax_is_one_hot_expected_is_argmax_is_counted():
    """400 random answers of 1 to 6 tokens, some with the end in their middle."""
    rng = np.random.default_rng(4)
    for _ in range(100):
        lengths = rng.integers(1, 7, 4).tolist()
        answers = [rng.integers(0, SIZE, n).tolist() for n in lengths]
        keywords = [rng.permutation([1, 2, 3, 4])[: rng.integers(1, 4)].tolist() for _ in answers]
        least = [int(rng.integers(1, n + 1)) for n in lengths]
        held = wanted(lengths, keywords, least, int(rng.integers(1, 4)))
        logits = torch.stack([one_hot(answer, max(lengths)) for answer in answers])
        soft, hard = expected(logits, held), argmax(logits, held)
        rows = zip(answers, keywords, least, strict=True)
        by_hand = [counted(until(a, END), k, n, held.ngram) for a, k, n in rows]
        for name in NAMES:
            assert soft[name].tolist() == pytest.approx([row[name] for row in by_hand], abs=1e-9)
            assert hard[name].tolist() == pytest.approx([row[name] for row in by_hand], abs=1e-9)


@pytest.mark.parametrize("name", ["keywords", "short"])
def test_expected_is_the_average_over_all_sequences(name):
    """Every sequence of 4 tokens out of 5, weighted by its chance, the end at any place."""
    torch.manual_seed(8)
    logits = torch.randn(1, 4, SIZE, dtype=torch.float64)
    keywords, least = [1, 3], 3
    chances = logits.softmax(2)[0]
    average = 0.0
    for tokens in itertools.product(range(SIZE), repeat=4):
        chance = np.prod([float(chances[place, token]) for place, token in enumerate(tokens)])
        average += chance * counted(until(list(tokens), END), keywords, least, 2)[name]
    found = expected(logits, wanted([4], [keywords], [least]))
    assert float(found[name]) == pytest.approx(average, abs=1e-12)


def test_expected_repeats_are_near_the_average_over_all_sequences():
    """Exact for two tokens; else near, for single tokens and for pairs."""
    torch.manual_seed(8)
    logits = torch.randn(1, 2, SIZE, dtype=torch.float64)
    first, second = logits.softmax(2)[0].tolist()
    same = sum(a * b for a, b in zip(first[1:], second[1:], strict=True))
    there = (1 - first[END]) * (2 - second[END])
    found = expected(logits, wanted([2], [[1]], [1], ngram=1))
    assert float(found["repeats"]) == pytest.approx(same / there, abs=1e-12)
    assert there > 1
    logits = torch.randn(1, 5, SIZE, dtype=torch.float64)
    logits[:, :, END] -= 2
    chances = logits.softmax(2)[0]
    for ngram in (1, 2):
        repeated = there = 0.0
        for tokens in itertools.product(range(SIZE), repeat=5):
            chance = np.prod([float(chances[place, token]) for place, token in enumerate(tokens)])
            said = until(list(tokens), END)
            grams = max(0, len(said) - ngram + 1)
            repeated += chance * grams * counted(said, [1], 1, ngram)["repeats"]
            there += chance * grams
        found = expected(logits, wanted([5], [[1]], [1], ngram=ngram))
        assert float(found["repeats"]) == pytest.approx(repeated / max(1, there), abs=0.04)


@pytest.mark.parametrize("name", NAMES)
def test_only_expected_penalties_have_a_gradient(name):
    """Expected: not zero. Argmax: no gradient at all, and nothing by differences either."""
    torch.manual_seed(2)
    logits = torch.randn(3, 6, SIZE, dtype=torch.float64, requires_grad=True)
    held = wanted([6, 4, 5], [[1, 2], [3], [4]], [3, 3, 2], ngram=2)
    value = expected(logits, held)[name].sum()
    (gradient,) = torch.autograd.grad(value, logits)
    assert float(gradient.abs().max()) > 1e-3
    assert float(gradient[1, 4:].abs().max()) == 0, "behind the answer there is nothing to learn"
    assert torch.autograd.gradcheck(lambda x: expected(x, held)[name], logits, eps=1e-6, atol=1e-6)
    assert not argmax(logits, held)[name].requires_grad
    moved = (logits + 1e-6 * torch.randn_like(logits)).detach()
    assert torch.equal(argmax(moved, held)[name], argmax(logits, held)[name])


@pytest.mark.parametrize("scale", [1.0, 30.0, 1000.0], ids=["soft", "hard", "one-hot"])
def test_gradients_are_numbers_however_sure_the_model_is(scale):
    """Nothing overflows where a token, or the end, has all of the probability."""
    torch.manual_seed(2)
    logits = (torch.randn(20, 7, SIZE) * scale).requires_grad_()
    held = wanted([7] * 10 + [3] * 10, [[1, 2]] * 20, [3] * 20)
    found = expected(logits, held)
    sum(value.sum() for value in found.values()).backward()
    assert torch.isfinite(logits.grad).all()
    for value in found.values():
        assert (value >= -1e-6).all()
        assert (value <= 1 + 1e-6).all()


@pytest.mark.parametrize(
    ("name", "tokens", "keywords"),
    [("repeats", [1, 1, 1, 1, 0], [1]), ("keywords", [1, 2, 1, 2, 0], [3, 4]),
     ("short", [1, 0, 1, 2, 0], [1])],
    ids=NAMES,
)  # fmt: skip
def test_descending_a_penalty_lowers_what_it_counts(name, tokens, keywords):
    """From logits that lean to a faulty answer the likeliest tokens lose the fault."""
    logits = torch.nn.functional.one_hot(torch.tensor([tokens]), SIZE).double() * 3
    logits = (logits + 0.1 * torch.randn(1, 5, SIZE, generator=torch.manual_seed(1))).detach()
    logits.requires_grad_()
    held = wanted([5], [keywords], [4])
    before = float(argmax(logits, held)[name])
    steps = torch.optim.Adam([logits], lr=0.1)
    for _ in range(100):
        steps.zero_grad()
        expected(logits, held)[name].sum().backward()
        steps.step()
    assert before > 0.5
    assert float(argmax(logits, held)[name]) == 0


def test_none_takes_nothing():
    """Without penalties there is nothing to add."""
    assert MODES["none"](torch.zeros(1, 1, SIZE), wanted([1], [[1]], [1])) == {}
