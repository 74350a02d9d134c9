"""One command makes again whatever is derived."""

import pytest

RUN = ["run", "--suite", "small", "--out", "reports/published/small"]


@pytest.fixture
def publish(tool, monkeypatch):
    """The script, with `bench` replaced by a list of what it was called with."""
    script = tool("publish")
    script.calls = []
    monkeypatch.setattr("bench.cli.main", lambda arguments: script.calls.append(arguments) or 0)
    return script


@pytest.mark.parametrize(("options", "calls"), [([], [RUN]), (["--no-run"], [])])
def test_everything_derived_is_made(publish, tool, checkout, options, calls):
    """Qrels, both parts of the datasheet and the figure; the run only without --no-run."""
    assert publish.main(options) == 0
    assert publish.calls == calls
    folder = str(checkout / "qrels" / "sets" / "small")
    assert tool("judgements").main([folder, "--check"]) == 0
    assert tool("datasheet").main([folder, "--check"]) == 0


def test_a_suite_may_have_no_log(publish, suite):
    """Qrels that came from elsewhere are left as they are."""
    (suite / "judgements.tsv").unlink()
    before = (suite / "qrels" / "test.tsv").read_text()
    assert publish.main(["--no-run"]) == 0
    assert (suite / "qrels" / "test.tsv").read_text() == before


def test_what_failed_is_said_and_not_run(publish, suite, capsys):
    """A datasheet that cannot be made gives its exit code, and no run is started."""
    (suite / "judgements.tsv").unlink()
    (suite / "README.md").unlink()
    assert publish.main([]) == 2
    assert "No such file" in capsys.readouterr().err
    assert publish.calls == []


def test_elsewhere_there_is_nothing_to_publish(publish, tmp_path, monkeypatch, capsys):
    """Outside the root of a checkout it says so."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        publish.main([])
    assert "from the root of the checkout" in capsys.readouterr().err
