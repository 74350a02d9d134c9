"""A working directory with a small suite and a plug-in, for processes that know no fixtures."""

import json

import pytest

PLUGIN = """
import os
import numpy as np

class Plain:
    def __init__(self, die=False, print_=False):
        self.die = die
        self.print_ = print_
    def index(self, corpus):
        self.size = len(corpus)
    def search(self, queries, k):
        if self.print_:
            print("a line on stdout, from a plug-in that talks")
        if self.die:
            os._exit(7)
        docs = np.tile(np.arange(k, dtype=np.int32) % self.size, (len(queries), 1))
        return docs, np.tile(np.arange(k, 0, -1, dtype=np.float32), (len(queries), 1))
"""


@pytest.fixture
def folder(tmp_path):
    """A folder with the suite `small` (four documents, three queries) and `plainly.py`."""
    small = tmp_path / "small"
    (small / "qrels").mkdir(parents=True)
    texts = {"cats": "a cat sleeps", "dogs": "a dog barks", "mars": "a red planet", "sofa": "warm"}
    rows = [json.dumps({"_id": name, "title": name, "text": text}) for name, text in texts.items()]
    (small / "corpus.jsonl").write_text("\n".join(rows) + "\n")
    queries = {"q1": "sleeping cat", "q2": "planet", "q3": "dog"}
    rows = [json.dumps({"_id": name, "text": text}) for name, text in queries.items()]
    (small / "queries.jsonl").write_text("\n".join(rows) + "\n")
    (small / "qrels" / "test.tsv").write_text(
        "query-id\tcorpus-id\tscore\nq1\tcats\t1\nq2\tmars\t1\nq3\tdogs\t1\n"
    )
    (tmp_path / "plainly.py").write_text(PLUGIN)
    return tmp_path
