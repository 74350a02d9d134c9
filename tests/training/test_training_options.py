"""Options of recipes: where they come from, and what is refused."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from qrels.errors import DataError, UsageError
from training.cli import RECIPES, main, parser
from training.config import Options, as_table, describe, option, read_options

ROOT = Path(__file__).parents[2]
HEAVY = {"torch", "transformers", "sentence_transformers", "pandas", "scipy", "matplotlib", "faiss"}


@dataclass(frozen=True)
class Kind(Options):
    """A recipe's options: another default, and a list of its own."""

    learning_rate: float = option(1e-3, "rate", least=0)
    names: tuple[str, ...] = option((), "names")


def test_a_recipe_has_all_options_with_its_own_defaults():
    """What every recipe takes comes first, with the recipe's defaults."""
    found = read_options(Kind)
    assert (found.learning_rate, found.names, found.seed) == (1e-3, (), 13)
    assert [name for name, _, _ in describe(Kind)][-1] == "names"


def test_the_command_line_goes_before_the_file(tmp_path):
    """A file changes defaults, and what is written on the command line changes the file."""
    path = tmp_path / "o.toml"
    path.write_text('seed = 5\nlearning_rate = 1\nnames = ["a", "b"]\ncheckpointing = true\n')
    found = read_options(Kind, path, [("seed", "7"), ("warmup-steps", "500")])
    assert (found.seed, found.learning_rate, found.warmup_steps) == (7, 1.0, 500)
    assert isinstance(found.learning_rate, float)
    assert found.names == ("a", "b")
    assert found.checkpointing is True
    assert as_table(found) == json.loads(json.dumps(as_table(found)))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("sed = 1", "unknown option 'sed'; did you mean 'seed'?"),
        ("seed = 1.5", "seed = 1.5; expected a whole number"),
        ("seed = true", "seed = True; expected a whole number"),
        ("seed = -1", "seed = -1; expected at least 0"),
        ("learning_rate = nan", "learning_rate = nan; expected a number"),
        ("checkpointing = 1", "checkpointing = 1; expected true or false"),
        ("schedule = 'wild'", "schedule = 'wild'; expected one of linear, cosine, constant"),
        ("names = 'a'", "names = 'a'; expected a list of strings"),
        ("names = [1]", "names = [1]; expected a list of strings"),
        ("seed = ", "Invalid value"),
    ],
)
def test_what_a_file_may_not_hold_is_one_line(tmp_path, line, message):
    """The message names the file, the key, the value and what is allowed."""
    path = tmp_path / "o.toml"
    path.write_text(line)
    with pytest.raises(DataError) as caught:
        read_options(Kind, path)
    assert str(caught.value).startswith(str(path))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("key", "text", "message"),
    [
        ("sed", "1", "unknown option 'sed'"),
        ("seed", "many", "seed = 'many'; expected a whole number"),
        ("learning_rate", "Infinity", "expected a number"),
        ("checkpointing", "yes", "expected true or false"),
        ("num-epochs", "0", "num_epochs = 0; expected at least 1"),
    ],
)
def test_what_the_command_line_may_not_hold_is_one_line(key, text, message):
    """The same for --set and flags."""
    with pytest.raises(UsageError, match=message):
        read_options(Kind, None, [(key, text)])


def test_commas_make_a_list():
    """A list on the command line is its items with commas between."""
    assert read_options(Kind, None, [("names", "a,b")]).names == ("a", "b")


def test_a_missing_file_is_one_line(tmp_path, capsys):
    """A configuration that is not there is exit 2."""
    assert main(["split", "--config", str(tmp_path / "none.toml")]) == 2
    assert "none.toml: No such file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["split", "--set", "seed"], "cannot read --set 'seed'; expected key=value"),
        (["split", "--set", "sede=1"], "unknown option 'sede'; did you mean 'seed'?"),
        (["split", "--seed", "x"], "seed = 'x'; expected a whole number"),
        (["split"], "no folder to write to; give --out FOLDER"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_2(words, message, capsys):
    """Nothing but the line, and nothing is done."""
    assert main(words) == 2
    assert capsys.readouterr().err == f"training: {message}\n"


def test_an_unknown_recipe_is_exit_2(capsys):
    """argparse lists those that there are."""
    with pytest.raises(SystemExit) as caught:
        main(["nothing"])
    assert caught.value.code == 2
    error = capsys.readouterr().err
    assert all(name in error for name in RECIPES)


@pytest.mark.parametrize("name", RECIPES)
def test_help_shows_every_option_with_its_default(name):
    """`NAME --help` is made from the dataclass."""
    command = parser(name)._subparsers._group_actions[0].choices[name]
    shown = command.format_help()
    for key, default, _ in describe(sys.modules[RECIPES[name]].OPTIONS):
        assert "--" + key.replace("_", "-") in shown
        assert "".join(f"[{default!r}]".split()) in "".join(shown.split())  # lines break anywhere


@pytest.mark.parametrize("words", [["--help"], *([name, "--help"] for name in RECIPES)])
def test_help_imports_nothing_heavy(words):
    """Help answers at once: no torch, no transformers."""
    code = (
        "import json, sys\nfrom training.cli import main\n"
        f"try: main({words!r})\nexcept SystemExit as stop: code = stop.code\n"
        "print(json.dumps([code, sorted({name.partition('.')[0] for name in sys.modules})]))\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout
    code, modules = json.loads(answer.splitlines()[-1])
    assert code == 0
    assert not HEAVY & set(modules)
