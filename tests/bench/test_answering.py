"""Systems that answer: what is run for them, what is checked, and what the record says."""

import json
from dataclasses import replace

import numpy as np
import pytest

from bench.answering import answer, passages
from bench.config import Experiment, System, parse_system, ranking_of, read_experiment
from bench.journal import journal
from bench.plan import planned
from bench.runner import Options, Progress, run_experiment
from bench.system import index, make, retrieve
from bench.tasks import bounds, distinct
from generators.base import Answer
from qrels.answers import answers_of
from qrels.errors import UsageError

QUALITY = Options(protocol=None)
HASHED = "extractive?encoder=hashing&threshold=-1"
GENERATOR = {"encoder": "hashing", "threshold": -1.0}
ANSWERING = System("bm25+extractive", "bm25", generator="extractive", generator_params=GENERATOR)


class Parrot:
    """A generator that says the same to every question, or does what it should not."""

    def __init__(self, how="fine"):
        self.how = how

    def generate(self, questions, contexts):
        made = {
            "fine": lambda: [Answer("jupiter")] * len(questions),
            "short": lambda: [Answer("jupiter")] * (len(questions) - 1),
            "text": lambda: ["jupiter"] * len(questions),
            "contradicts itself": lambda: [Answer("jupiter", abstained=True)] * len(questions),
            "cites": lambda: [Answer("jupiter", ("elsewhere",))] * len(questions),
            "none": lambda: None,
        }
        if self.how == "raises":
            raise RuntimeError("the parrot is ill")
        return made[self.how]()


PARROT = f"{__name__}:Parrot"


@pytest.fixture
def suite(toy_suite):
    """The toy suite with gold answers for two queries and a third that has none."""
    metadata = [
        {"answers": ["on the warm sofa"]}, {"answers": ["jupiter", "Jupiter!"]},
        {"answers": [], "unanswerable": True},
    ]  # fmt: skip
    return replace(toy_suite, depth=4, queries=replace(toy_suite.queries, metadata=metadata))


def run(suite, systems, folder=None, **options):
    return run_experiment(Experiment([suite], systems), folder, replace(QUALITY, **options))


def test_a_generator_makes_a_second_task(suite):
    """Rankings of all systems without their generators, then answers with floor and ceiling."""
    plan = planned(Experiment([suite], [System("bm25", "bm25"), ANSWERING, System("lsa", "lsa")]))
    (first, ranked), (second, answering) = plan
    assert (first.task, first.split) == ("retrieval", "test")
    assert [system.name for system in ranked] == ["bm25", "lsa"]
    assert all(system.generator is None for system in ranked)
    assert (second.task, second.split) == ("answers", "test answers")
    assert [system.retriever for system in answering] == ["bm25", "random", "gold"]
    assert {system.generator for system in answering} == {"extractive"}


def test_a_spelled_system_is_ranked_under_its_shorter_name():
    """And not again where that system is there itself."""
    spelled = parse_system("bm25+extractive?k1=1.2&generator.threshold=0.1&context.passages=2")
    assert spelled.generator == "extractive"
    assert spelled.generator_params == {"threshold": 0.1}
    assert spelled.context == {"passages": 2}
    assert ranking_of(spelled) == parse_system("bm25?k1=1.2")
    names = [system.name for system in distinct([spelled, parse_system("bm25?k1=1.2")])]
    assert names == ["bm25?k1=1.2"]


def test_a_reranker_may_stand_between():
    """Three names are retriever, reranker and generator; two are told apart by the registry."""
    three = parse_system("bm25+late-interaction+extractive")
    assert (three.reranker, three.generator) == ("late-interaction", "extractive")
    assert parse_system("bm25+late-interaction").generator is None
    for wrong in ("bm25+a+b+c", "bm25+", "bm25?generator.x=1", "bm25?context.passages=1"):
        with pytest.raises(UsageError):
            parse_system(wrong)


def test_what_a_language_model_knows_by_itself_is_its_floor():
    """A generator that can do without passages gets none, one that quotes gets random ones."""
    causal = System("a", "bm25", generator="causal", generator_params={"model": "gpt2"})
    assert [system.retriever for system in bounds([causal])] == ["none", "gold"]
    assert [system.retriever for system in bounds([ANSWERING])] == ["random", "gold"]
    twice = bounds([ANSWERING, replace(ANSWERING, name="b", retriever="lsa")])
    assert len(twice) == 2
    other = replace(ANSWERING, name="b", context={"passages": 1})
    assert len(bounds([ANSWERING, other])) == 4


def test_bounds_are_named_after_their_system():
    """By its spec where that is its name, and by its own name where it has one."""
    names = [system.name for system in bounds([parse_system("bm25+extractive")])]
    assert names == ["random+extractive", "gold+extractive"]
    names = [system.name for system in bounds([replace(ANSWERING, name="mine")])]
    assert names == ["mine, random passages", "mine, gold passages"]
    both = [parse_system("bm25+extractive"), parse_system("gold+extractive")]
    assert [system.name for system in bounds(both)] == ["random+extractive"]


def test_the_record_holds_answers_beside_floor_and_ceiling(suite, tmp_path):
    """Measures per query, unanswerable ones among them, and the answers in a file."""
    record = run(suite, [ANSWERING], tmp_path)
    ranked, answering = record.suites
    assert (ranked.task, ranked.queries) == ("retrieval", 3)
    assert (answering.task, answering.queries) == ("answers", 3)
    cells = [cell for cell in record.cells if cell.split == "test answers"]
    assert [cell.bound for cell in cells] == [None, "floor", "ceiling"]
    for cell in cells:
        assert set(cell.values) == set(answering.measures)
        assert {len(values) for values in cell.values.values()} == {3}
        lines = (tmp_path / cell.answers_file).read_text("utf-8").splitlines()
        said = [json.loads(line) for line in lines]
        assert [one["query_id"] for one in said] == ["q1", "q2", "q3"]
        assert said[1]["gold"] == ["jupiter", "Jupiter!"]
    gold = cells[2].values["Containment"]
    assert gold[1] == 1.0  # jupiter is in the planet's passage
    assert {one.measure for one in record.comparisons if one.split == "test answers"} == set()


def test_bounds_are_no_candidates(suite):
    """They are in no pair and in no example, whatever they reach."""
    other = replace(ANSWERING, name="lsa+extractive", retriever="lsa")
    record = run(suite, [ANSWERING, other])
    pairs = {frozenset((pair.a, pair.b)) for one in record.comparisons for pair in one.pairs}
    assert pairs == {frozenset(("bm25+extractive", "lsa+extractive"))}
    shown = {name for one in record.examples for name in one.systems}
    assert shown == {"bm25+extractive", "lsa+extractive"}
    some = [one for one in record.examples if one.split == "test answers"]
    assert some[0].answers.keys() == set(some[0].systems)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("short", "expected 3 answers"),
        ("none", "expected 3 answers"),
        ("text", "expected an Answer"),
        ("contradicts itself", "abstained and said"),
        ("cites", "which it was not given"),
        ("raises", "the parrot is ill"),
    ],
)
def test_a_bad_generator_fails_alone(suite, how, said):
    """Its cells say why; the other systems finish."""
    bad = System("bad", "bm25", generator=PARROT, generator_params={"how": how})
    record = run(suite, [bad, ANSWERING])
    by_name = {cell.system: cell for cell in record.cells if cell.split == "test answers"}
    assert said in by_name["bad"].error
    assert by_name["bm25+extractive"].error is None


def test_the_same_comes_from_a_process_of_its_own(suite, tmp_path, monkeypatch):
    """With a time limit, or isolated, the cells are those made here."""
    (tmp_path / "tests_parrot.py").write_text(
        "from generators.base import Answer\n"
        "class Parrot:\n"
        "    def generate(self, questions, contexts):\n"
        "        return [Answer('jupiter')] * len(questions)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    fine = System("fine", "bm25", generator="tests_parrot:Parrot")
    here = run(suite, [ANSWERING, fine])
    apart = run(suite, [ANSWERING, fine], timeout=120.0, isolate=True)
    assert [replace(cell, cost=None) for cell in here.cells] == list(apart.cells)


def test_an_interrupted_run_takes_answers_from_the_journal(suite, tmp_path):
    """What is taken up again equals what was made, files included."""
    plan = planned(Experiment([suite], [ANSWERING]))
    records = []
    with journal("k") as kept:
        for name in ("first", "second"):
            folder = tmp_path / name
            folder.mkdir()
            done = Progress()
            found = run_experiment(
                Experiment([suite], [ANSWERING]), folder, QUALITY, progress=done, plan=plan,
                journal=kept,
            )  # fmt: skip
            records.append(replace(found, created=""))
        kept.remove()
    assert records[0] == records[1]
    names = sorted(path.name for path in (tmp_path / "first" / "answers").iterdir())
    assert len(names) == 3
    for name in names:
        one, two = (tmp_path / part / "answers" / name for part in ("first", "second"))
        assert one.read_bytes() == two.read_bytes()


def test_a_passage_is_a_document_as_a_reader_sees_it(toy_suite):
    """Title and text where the corpus has such fields, else all fields joined; scores kept."""
    built = make(ANSWERING, toy_suite.corpus)
    index(built)
    run = retrieve(built, ["cat sofa"], 2)
    ((first, second),) = passages(toy_suite.corpus, run, 2)
    assert (first.doc_id, first.title) == ("cats", "cats")
    assert first.text == "a cat sleeps on the warm sofa"
    assert first.score > second.score
    fields = {"name": ["x"] * 6, "note": ["y"] * 6}
    other = replace(toy_suite.corpus, fields=fields)
    assert passages(other, run, 1)[0][0].text == "x\ny"


def test_the_context_decides_what_is_seen(suite):
    """A system's `context` is the generator's view; a wrong key is said before anything runs."""
    built = make(replace(ANSWERING, context={"passages": 1}), suite.corpus)
    index(built)
    said = answer(built, ["where does the cat sleep?"], retrieve(built, ["cat"], 6))
    assert len(said.contexts[0]) == 1
    with pytest.raises(UsageError, match="passages"):
        planned(Experiment([suite], [replace(ANSWERING, context={"passagez": 1})]))


def test_a_suite_without_answers_is_refused(toy_suite):
    """The line says what its queries need."""
    with pytest.raises(UsageError, match="answers"):
        planned(Experiment([toy_suite], [ANSWERING]))
    gold = replace(toy_suite.queries, metadata=[{"answers": ["a"]}] * 3)
    answers = answers_of(replace(toy_suite, queries=gold))
    with pytest.raises(UsageError, match="none of the systems has a generator"):
        planned(Experiment([answers], [System("bm25", "bm25")]))


def test_an_experiment_file_names_generators(tmp_path):
    """With their parameters and what they see, lists as grids."""
    path = tmp_path / "a.toml"
    path.write_text(
        'suites = ["qa"]\n[[system]]\nretriever = "bm25"\ngenerator = "extractive"\n'
        "generator_params = { threshold = [0.1, 0.2] }\ncontext = { passages = 3 }\n"
    )
    systems = read_experiment(path).systems
    assert [system.generator_params["threshold"] for system in systems] == [0.1, 0.2]
    assert {system.context["passages"] for system in systems} == {3}
    assert [system.name for system in systems] == [
        "bm25+extractive?generator.threshold=0.1", "bm25+extractive?generator.threshold=0.2",
    ]  # fmt: skip


def test_without_texts_there_is_no_file_of_answers(suite, tmp_path):
    """Answers are texts, and so are those of the queries worth reading."""
    record = run(suite, [ANSWERING], tmp_path, with_text=False)
    assert not (tmp_path / "answers").exists()
    assert all(cell.answers_file is None for cell in record.cells)
    assert all(not one.answers and not one.gold for one in record.examples)


def test_measures_are_taken_by_the_task_they_fit(suite):
    """An experiment may name both kinds; each task gets its own."""
    (ranked, _), (answering, _) = planned(
        Experiment([suite], [ANSWERING], measures=["nDCG@3", "EM"])
    )
    assert ranked.measures == ["nDCG@3", "Judged@3"]
    assert answering.measures == ["EM"]


def test_two_calls_give_the_same_answers(suite):
    """Nothing depends on chance."""
    first, second = (replace(run(suite, [ANSWERING]), created="") for _ in range(2))
    assert first == second
    assert np.isfinite([v for c in first.cells for v in c.values[next(iter(c.values))]]).all()
