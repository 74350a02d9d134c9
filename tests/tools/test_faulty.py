"""The retrievers that are broken on purpose are broken in the way that they say."""

import numpy as np
import pytest

from qrels.data import ABSENT, Corpus


@pytest.fixture
def corpus():
    """Ten documents, each with one word of its own in the title and one in the text."""
    words = [f"w{chr(97 + i)}" for i in range(10)]
    return Corpus(
        [f"d{i}" for i in range(10)],
        {"title": [f"{word}title" for word in words], "text": [f"{word}text" for word in words]},
    )


def found(retriever, corpus, field):
    """The document that each one's own word of *field* finds first, (10,)."""
    retriever.index(corpus)
    return retriever.search(corpus.fields[field], 3).docs[:, 0].tolist()


def test_lost_documents_are_never_found_and_the_others_are(tool, corpus):
    """Every fifth document is gone; the rest keep their positions."""
    lost = tool("faulty").LostDocuments(every=5)
    kept = [ABSENT if i % 5 == 0 else i for i in range(10)]
    assert found(lost, corpus, "text") == kept


def test_a_shuffled_field_finds_other_documents(tool, corpus):
    """Words of the shuffled field lead elsewhere, each to one document; other fields are whole."""
    shuffled = tool("faulty").ShuffledField(field="title")
    order = np.random.default_rng(1).permutation(10)
    assert found(shuffled, corpus, "title") == np.argsort(order).tolist()
    assert np.argsort(order).tolist() != list(range(10))
    assert found(shuffled, corpus, "text") == list(range(10))
