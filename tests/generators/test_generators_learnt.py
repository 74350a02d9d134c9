"""Prompt, decoding and clean-up of every architecture, by models that know their answers."""

import dataclasses

import pytest

from generators import create

KINDS = {
    "gpt2": "causal",
    "llama": "causal",
    "lfm2": "causal",
    "t5": "seq2seq",
    "fid": "fusion-in-decoder",
}


@pytest.fixture(scope="module")
def generator_of(learnt):
    made = {}

    def make(kind, **params):
        key = (kind, *sorted(params.items()))
        if key not in made:
            made[key] = create(KINDS[kind], {"model": learnt(kind), "max_new_tokens": 12, **params})
        return made[key]

    return make


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_that_knows_the_answers_gives_them(kind, generator_of, lesson):
    """Exact match is 1.0 through the real `generate`, in batches of unequal prompts."""
    questions, contexts, answers = lesson
    found = generator_of(kind).generate(questions, contexts)
    assert [answer.text for answer in found] == answers
    assert not any(answer.abstained for answer in found)
    first = [(passages[0].doc_id,) if KINDS[kind] == "causal" else () for passages in contexts]
    assert [answer.citations for answer in found] == first


@pytest.mark.parametrize("kind", KINDS)
def test_batched_answers_equal_those_one_by_one(kind, generator_of, lesson):
    """A batch changes nothing but the time: also passages of other numbers and none at all."""
    questions, contexts, _ = lesson
    questions = [*questions[:4], *questions[:3]]
    contexts = [*contexts[:4], contexts[0][:1], [], contexts[3] * 3]
    generator = generator_of(kind)
    single = [generator.generate([q], [c])[0] for q, c in zip(questions, contexts, strict=True)]
    assert [dataclasses.replace(answer, first_token_ns=0) for answer in single] == (
        generator.generate(questions, contexts)
    )
    assert all(answer.first_token_ns > 0 for answer in single)
    assert generator_of(kind, batch_tokens=1).generate(questions, contexts) == (
        generator.generate(questions, contexts)
    )
