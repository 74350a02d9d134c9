"""One item of the hub as a document: which of its sources is believed, and what is no value."""

import pytest

from bench.acquire.items import KINDS, document, item_id
from qrels.columns import make_column

CARD = "---\nlicense: apache-2.0\nlanguage: de\n---\nText"


def found(column, listed, readme="", kind="models"):
    return document(KINDS[kind], {"id": "org/name", **listed}, readme)["metadata"][column]


CASES = {
    "card-before-tags": ("license", {"cardData": {"license": "mit"}, "tags": ["license:x"]}, "mit"),
    "tag": ("license", {"tags": ["license:mit", "region:us"]}, "mit"),
    "tag-that-says-more": ("base_model", {"tags": ["base_model:finetune:a/b", "base_model:a/b"]},
                           ["a/b"]),
    "one-value-as-list": ("language", {"cardData": {"language": "en"}}, ["en"]),
    "no-value-as-list": ("language", {"cardData": {"language": []}}, None),
    "values-twice": ("language", {"cardData": {"language": ["en", "en", 7, " "]}}, ["en"]),
    "license-list": ("license", {"cardData": {"license": ["mit", "gpl"]}}, "mit"),
    "author": ("author", {"author": "me"}, "me"),
    "author-out-of-the-id": ("author", {}, "org"),
    "downloads": ("downloads", {"downloads": 0}, 0),
    "downloads-below-zero": ("downloads", {"downloads": -1}, None),
    "downloads-true": ("downloads", {"downloads": True}, None),
    "downloads-as-text": ("downloads", {"downloads": "7"}, None),
    "downloads-beyond-float": ("downloads", {"downloads": 2**60}, None),
    "date": ("created_at", {"createdAt": "2024-01-02T03:04:05.000Z"}, "2024-01-02T03:04:05.000Z"),
    "no-date": ("created_at", {"createdAt": "yesterday"}, None),
    "half-a-surrogate": ("author", {"author": "a\ud800"}, "a?"),
    "card-that-is-no-mapping": ("license", {"cardData": ["license"]}, None),
}  # fmt: skip


@pytest.mark.parametrize(("column", "listed", "value"), CASES.values(), ids=CASES)
def test_a_value_is_of_its_kind_or_missing(column, listed, value):
    """What the hub has in another form is turned into it; what is no value is null."""
    assert found(column, listed) == value
    make_column(KINDS["models"].columns[column], [value], str)  # or raises


def test_front_matter_stands_in_for_a_card_that_the_list_lacks():
    """The card is the same text; where the list has one it is not read twice."""
    assert found("license", {}, CARD) == "apache-2.0"
    assert found("language", {}, CARD) == ["de"]
    assert found("license", {"cardData": {"license": "mit"}}, CARD) == "mit"


def test_datasets_keep_every_license_and_their_tasks():
    """A data set may have several."""
    listed = {"cardData": {"license": ["mit", "gpl"], "task_categories": ["qa"]}}
    assert found("license", listed, kind="datasets") == ["mit", "gpl"]
    assert found("task_categories", listed, kind="datasets") == ["qa"]


@pytest.mark.parametrize(
    ("listed", "name"),
    [({"id": "a/b"}, "a/b"), ({"modelId": "a/b"}, "a/b"), ({}, ""), ({"id": 3}, "")],
)
def test_an_id_is_text(listed, name):
    """An item without one is left out of the list."""
    assert item_id(listed) == name
