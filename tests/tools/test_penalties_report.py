"""The page on penalties: its questions, its trainings in small, and what it makes of them."""

import json
import re

import numpy as np
import pytest

PLAN = {"seeds": 1, "epochs": 2, "share": 0.65, "unseen": 3}


@pytest.fixture(scope="module")
def train(tool):
    return tool("penalties_train")


@pytest.fixture(scope="module")
def pages(tool, train):
    return tool("penalties_page")


@pytest.fixture(scope="module")
def trained(tool, train, tmp_path_factory):
    """All forms of one seed, with few questions and steps."""
    folder, data = tmp_path_factory.mktemp("penalties"), tool("penalties_data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "THINGS", data.THINGS[:2])
        patch.setattr(data, "NAMES", data.NAMES[:2])
        patch.setenv("HF_HUB_OFFLINE", "1")
        patch.setenv("BENCH_CACHE", str(folder / "cache"))
        patch.delenv("WORLD_SIZE", raising=False)
        return train.train_arms(train.Plan(**PLAN), 1, folder, lambda _: None)


def rows_of(folder, name):
    return [json.loads(line) for line in (folder / name).read_text().splitlines()]


def test_argmax_is_none_to_the_bit_and_expected_forms_are_not(train, trained):
    """Generators: argmax is none though its loss is larger, all others differ from each other.
    Encoders are all the same."""
    none, hard = trained[train.NONE], trained[train.ARGMAX]
    assert hard.generator.digest == none.generator.digest
    assert train.largest_difference(hard.generator, none.generator) == 0
    assert hard.loss > none.loss + 0.1
    np.testing.assert_array_equal(hard.values, none.values)
    soft = {arm: one for arm, one in trained.items() if arm != train.ARGMAX}
    assert len({one.generator.digest for one in soft.values()}) == len(train.ARMS) - 1
    assert train.largest_difference(soft["expected, default"].generator, none.generator) > 0
    assert len({one.encoder.digest for one in trained.values()}) == 1


def test_the_command_writes_a_page_with_every_row(tool, train, trained, tmp_path, monkeypatch):
    """A row of each form in each table, what argmax does in words, and the figure beside it; no
    other file."""
    monkeypatch.setattr(train, "train_arms", lambda *_: trained)
    out = tmp_path / "some" / "page.md"
    assert tool("penalties").main(["--seeds", "1", "--epochs", "2", "--out", str(out)]) == 0
    text = out.read_text()
    kinds = len(tool("penalties_data").KINDS)
    for arm in train.ARMS:
        rows = re.findall(rf"^\| {re.escape(arm)} +\|", text, re.MULTILINE)
        assert len(rows) == 1 + (1 + kinds) + (0 if arm == train.NONE else 2)
    assert "**Argmax teaches nothing.** In 1 of 1 seeds" in text
    assert "The largest difference of any weight is 0." in text
    others = len(train.ARMS) - 1
    assert f"In {others} of the {others} trainings with penalties the bi-encoder" in text
    assert "nan" not in text
    found = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert sorted(found) == [out, out.parent / "plots" / "penalties.svg"]
    (picture,) = re.findall(r"!\[[^]]*\]\(([^)]*)\)", text)
    assert (out.parent / picture).read_text().count("<svg") == 1


def test_argmax_that_taught_something_would_be_told(train, pages, trained):
    """Where the weights of argmax are others, the page says so."""
    arms = {arm: [one] for arm, one in trained.items()}
    other = trained["expected, default"]
    line, *_ = pages.findings({**arms, train.ARGMAX: [other]})
    assert line.startswith("**Argmax teaches something.** In 0 of 1 seeds")
    apart = train.largest_difference(other.generator, trained[train.NONE].generator)
    assert f"any weight is {apart:g}." in line


def test_means_and_paired_differences_by_hand(train, pages, trained):
    """Two seeds, and only those differences in bold whose interval leaves 0 out."""
    one = trained[train.NONE]

    def seeds(*values):
        return [one._replace(values=np.full((5, 5), value)) for value in values]

    arms = {arm: seeds(0.1, 0.3, 0.2) for arm in train.ARMS}
    arms["expected, default"] = seeds(0.3, 0.6, 0.6)  # +0.2, +0.3, +0.4: 0.3 ± 4.303 · 0.1 / √3
    assert pages.mean(arms, "expected, default", None, "EM") == pytest.approx(0.5)
    found = pages.to_none(arms, "expected, default", "brief", "short")
    assert found == pytest.approx((0.3, 0.0516, 0.5484), abs=1e-4)
    assert pages.difference(found) == "**+0.300 [0.052, 0.548]**"
    text = pages.finding(arms, "expected, default")
    assert text.endswith("By kind higher for repeating, vague, brief, sound, refrain.")
    alike = pages.finding(arms, "expected, 1 each")
    assert "0.000 [0.000, 0.000]. By kind not shown to differ for repeating" in alike
    assert pages.interval(np.array([0.5])) == (0.5, -np.inf, np.inf)


def test_unseen_questions_are_unseen_and_right(tool, tmp_path):
    """No learnt question, of any kind, asks for their thing and place; of the answers that are
    learnt just the share that is told is faulty, of the others none."""
    data = tool("penalties_data")
    made = data.make_questions(tmp_path, 12, 0.65, np.random.default_rng(1))
    learnt = rows_of(made.learnt, "queries.jsonl")
    asked = {row["text"].split(" the ", 1)[1] for row in learnt}
    passages = {row["_id"][1:]: row["text"] for row in rows_of(made.learnt, "corpus.jsonl")}

    def faulty(row, kind):
        name, _, town, *_ = passages[row["_id"][1:]].split()
        assert row["answers"][0] in (kind.right(name, town), kind.faulty(name, town))
        return row["answers"][0] != kind.right(name, town)

    for folder, kind in zip(made.unseen, data.KINDS.values(), strict=True):
        new = rows_of(folder, "queries.jsonl")
        assert len(new) == 12
        assert not asked & {row["text"].split(" the ", 1)[1] for row in new}
        assert not any(faulty(row, kind) for row in new)
        mine = [row for row in learnt if row["text"].split()[1] == kind.verb]
        wrong = 0 if kind.right is kind.faulty else data.number_of_faults(len(mine), 0.65)
        assert sum(faulty(row, kind) for row in mine) == wrong


def test_the_models_know_every_word(tool, tmp_path):
    """Nothing that is asked, told or answered, nor the prompt around it, is an unknown token."""
    from transformers import AutoTokenizer

    from generators.prompts import TEMPLATES

    data = tool("penalties_data")
    made = data.make_questions(tmp_path / "data", 12, 0.65, np.random.default_rng(1))
    data.write_tokenizer(tmp_path / "tokenizer")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "tokenizer")
    rows = [row for name in ("corpus", "queries") for row in rows_of(made.learnt, f"{name}.jsonl")]
    texts = [text for row in rows for text in (row["text"], *row.get("answers", ()))]
    texts.append(TEMPLATES["cozyrag"].format(question="", context="[1] [2]"))
    for text in texts:
        assert tokenizer.unk_token_id not in tokenizer(text)["input_ids"], text
