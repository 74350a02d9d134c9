"""Which package may import which, and what must not be imported before it is needed."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ALLOWED = {
    "qrels": set(),
    "reports": set(),
    "encoders": {"qrels"},
    "retrievers": {"qrels", "encoders"},
    "rerankers": {"qrels", "encoders", "retrievers"},
    "generators": {"qrels", "encoders", "retrievers"},
    "bench": {"qrels", "encoders", "retrievers", "rerankers", "generators", "reports"},
    "training": {
        "qrels",
        "encoders",
        "retrievers",
        "rerankers",
        "generators",
        "bench",
        "reports",
    },
}
HEAVY = {
    "bm25s", "faiss", "matplotlib", "pandas", "rank_bm25", "scipy", "sentence_transformers",
    "nltk", "rouge_score", "sacrebleu", "sklearn", "torch", "transformers",
}  # fmt: skip


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found


@pytest.mark.parametrize("package", ALLOWED)
def test_a_package_imports_only_those_below_it(package):
    """The table of allowed edges holds for every module."""
    modules = sorted((ROOT / package).rglob("*.py"))
    assert modules
    for path in modules:
        others = imports(path) & set(ALLOWED) - {package}
        assert others <= ALLOWED[package], path


@pytest.mark.parametrize("package", ["rerankers", "generators"])
def test_later_stages_take_only_registry_and_protocols_of_the_retrievers(package):
    """A reranker or a generator needs no retriever."""
    for path in (ROOT / package).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("retrievers"):
                assert node.module in ("retrievers.registry", "retrievers.base"), path


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["run", "--help"], ["list"], ["evaluate", "QRELS", "RUN", "nDCG@10"]],
    ids=["help", "run-help", "list", "evaluate"],
)
def test_light_commands_import_nothing_heavy(arguments, tmp_path):
    """--help, list and evaluate never pay for torch, transformers, faiss, pandas or plots."""
    (tmp_path / "qrels").write_text("q 0 a 1\nq 0 b 0\n")
    (tmp_path / "run").write_text("q Q0 b 1 2.5 t\nq Q0 a 2 1.5 t\n")
    files = {"QRELS": str(tmp_path / "qrels"), "RUN": str(tmp_path / "run")}
    code = (
        "import json, sys\n"
        "from bench.cli import main\n"
        f"try: code = main({[files.get(word, word) for word in arguments]!r})\n"
        "except SystemExit as stop: code = stop.code\n"
        "print(json.dumps([code, sorted({name.partition('.')[0] for name in sys.modules})]))\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path,
        env=environment_with_project(),
    ).stdout  # fmt: skip
    exit_code, modules = json.loads(answer.splitlines()[-1])
    assert exit_code == 0
    assert not HEAVY & set(modules)


def environment_with_project():
    """The environment, with the checkout on the path where the project is not installed."""
    import os
    from importlib.util import find_spec

    folder = str(Path(find_spec("bench").origin).parents[1])
    return {**os.environ, "PYTHONPATH": folder}


def test_no_module_hides_one_of_the_standard_library():
    """A module named `statistics` or `types` would be found first when run as a script."""
    names = {path.stem for package in ALLOWED for path in (ROOT / package).rglob("*.py")}
    assert not (names - {"__init__", "__main__"}) & set(sys.stdlib_module_names)
