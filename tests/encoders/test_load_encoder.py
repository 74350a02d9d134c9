"""Encoders by spec: the same object for the same spec, clear errors for what is wrong."""

import pytest

import encoders
from encoders.base import Encoder, TokenEncoder, device_scope
from qrels.errors import UsageError


def test_the_same_spec_is_the_same_object():
    """A model is loaded once a process."""
    assert encoders.load("hashing?dimension=64") is encoders.load("hashing?dimension=64")
    assert encoders.load("hashing?dimension=64") is not encoders.load("hashing?dimension=32")


def test_another_device_is_another_object():
    """A model stays on the device it was loaded on."""
    with device_scope("cuda"):
        other = encoders.load("hashing")
    assert other is not encoders.load("hashing")


def test_parameters_reach_the_encoder():
    """Numbers are read as numbers, text as text."""
    assert encoders.load("hashing?dimension=64&seed=3").inner.seed == 3
    found = encoders.load("org/name?query_prompt=query: &normalise=false").inner
    assert (found.model, found.query_prompt, found.normalise) == ("org/name", "query: ", False)


def test_what_is_loaded_keeps_both_protocols():
    """Sentence vectors and token vectors, behind the cache."""
    assert isinstance(encoders.load("hashing"), Encoder)
    assert isinstance(encoders.load("hashing"), TokenEncoder)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("minlm", "unknown encoder 'minlm'; did you mean 'minilm'"),
        ("hashing?dimensions=3", "'dimensions'; did you mean 'dimension'"),
        ("org/name?query_prmpt=a", "'query_prmpt'; did you mean 'query_prompt'"),
        ("hashing?dimension=many", "dimension is 'many'; expected int"),
        ("hashing?dimension=true", "dimension is True; expected int"),
        ("hashing?dimension", "cannot read 'dimension' .* expected key=value"),
    ],
)
def test_mistakes_are_usage_errors(spec, message):
    """The message names the value and what is allowed."""
    with pytest.raises(UsageError, match=message):
        encoders.load(spec)
