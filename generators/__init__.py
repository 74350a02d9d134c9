"""Generators by name. To add one: a module here and a line in the table below."""

from collections.abc import Mapping

from generators.base import Generator
from retrievers.registry import Params, Registry, parse_spec

BUILTINS: Mapping[str, str] = {
    "causal": "generators.causal:Causal",
    "chat": "generators.chat:Chat",
    "extractive": "generators.extractive:Extractive",
    "fusion-in-decoder": "generators.seq2seq:FusionInDecoder",
    "reader": "generators.reader:Reader",
    "seq2seq": "generators.seq2seq:Seq2Seq",
}

GENERATORS = Registry("generator", BUILTINS, "bench.generators")


def create(spec: str, params: Params | None = None) -> Generator:
    """A generator by name, entry point, `module:Class` or `name?key=value&...`."""
    name, written = parse_spec(spec)
    made: Generator = GENERATORS.create(name, {**written, **(params or {})})
    return made
