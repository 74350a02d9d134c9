"""Language models of transformers, and prompts for them, as generators and rerankers need both."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from encoders.loading import loading
from encoders.sentence_transformer import DTYPES
from qrels.errors import DataError, UsageError, unknown

CAUSAL = "AutoModelForCausalLM"


def load_tokenizer(kind: str, model: str, **source: Any) -> Any:  # transformers' own class
    """The fast tokenizer of a model; UsageError where it has none, DataError where no files.

    kind: the word for the model in messages. source: as `encoders.loading.source` gives it.
    """
    from transformers import AutoTokenizer

    with loading(kind, model):
        tokenizer = AutoTokenizer.from_pretrained(model, **source)
    if not tokenizer.is_fast:
        raise UsageError(f"{kind} {model!r} has no fast tokenizer, which prompts need")
    return tokenizer


def load_language(
    kind: str, model: str, wanted: str, dtype: str, device: str, **options: Any
) -> Any:  # transformers' own class
    """A model in evaluation mode on its device, from safetensors only.

    kind: the word for it in messages. wanted: a class of transformers, "AutoModelForCausalLM"
    say. options: more arguments of its `from_pretrained`, those of `encoders.loading.source` among
    them; a "device_map" places the model instead of *device*. Errors: DataError where files or
    weights are missing.
    """
    if dtype not in DTYPES:
        raise unknown("dtype", dtype, DTYPES)
    import torch
    import transformers

    load: Callable[..., Any] = getattr(transformers, wanted).from_pretrained
    with loading(kind, model):
        found, report = load(
            model,
            use_safetensors=True,
            dtype=getattr(torch, dtype),
            output_loading_info=True,
            **options,
        )
    if missing := sorted(report["missing_keys"]):
        raise DataError(f"{kind} {model!r} lacks the weights {missing[0]} of {wanted}")
    return (found if "device_map" in options else found.to(device)).eval()


def positions_of(model: Any) -> int | None:
    """How many tokens a model has positions for, None where it does not say."""
    found = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    return int(found) if found else None


def check_template(template: str, names: Sequence[str]) -> None:
    """UsageError where *template* does not hold {name} once for each of the names."""
    if sorted(_placeholders(names).findall(template)) != sorted(names):
        wanted = " and ".join(f"{{{name}}}" for name in names)
        raise UsageError(f"template is {template!r}; expected {wanted} in it, once each")


def fill(template: str, values: Mapping[str, str]) -> str:
    """*template* with the values at their {names}, in one pass: braces in a value stay."""
    return _placeholders(values).sub(lambda found: values[found[1]], template)


def _placeholders(names: Sequence[str] | Mapping[str, str]) -> re.Pattern[str]:
    return re.compile(rf"\{{({'|'.join(names)})\}}")


def chat_text(tokenizer: Any, turns: Sequence[Mapping[str, str]]) -> str:
    """The turns by the tokenizer's chat template, the assistant's turn open for the answer.

    DataError where the template is broken, or refuses these turns.
    """
    from jinja2 import TemplateError

    try:
        text: str = tokenizer.apply_chat_template(
            turns, tokenize=False, add_generation_prompt=True, enable_thinking=False
        )  # a template that knows no such switch ignores it
    except TemplateError as error:
        raise DataError(f"the chat template of {tokenizer.name_or_path}: {error}") from error
    return text


def prompt_ids(tokenizer: Any, text: str, chat: bool) -> list[int]:
    """Token ids of a prompt, open at its end.

    It begins with the token that the tokenizer itself begins texts with, if any; text by a chat
    template brings its own.
    """
    begin = [] if chat else tokenizer("")["input_ids"][:1]
    ids = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
    return [*(begin if begin == [tokenizer.bos_token_id] else []), *ids]


def token_ends(tokenizer: Any, text: str) -> list[int]:
    """Where each token of *text* ends, in characters."""
    found = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    return [end for _, end in found["offset_mapping"]]


def special_pattern(tokenizer: Any) -> re.Pattern[str]:
    """What finds a tokenizer's special tokens spelt out in a text."""
    added = (str(t) for t in tokenizer.added_tokens_decoder.values() if t.special)
    special = {text for text in (*tokenizer.all_special_tokens, *added) if len(text) > 1}
    longest_first = sorted(special, key=lambda text: (-len(text), text))
    return re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")


def broken_up(special: re.Pattern[str], text: str) -> str:
    """*text* with a space after the first character of each special token spelt out in it."""
    return special.sub(lambda found: f"{found[0][0]} {found[0][1:]}", text)
