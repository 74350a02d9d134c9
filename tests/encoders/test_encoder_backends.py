"""The backends of a BERT: the same vectors, exported once, cached by content, without torch."""

import json
import shutil
import subprocess
import sys
import textwrap
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import encoders
from encoders import exported as module
from encoders import packages
from encoders.base import device_scope
from encoders.bert import BertEncoder
from encoders.engines import threads
from encoders.exported import exported
from encoders.layout import bert_folder
from encoders.minilm import MiniLM
from encoders.sentence_transformer import SentenceTransformerEncoder
from encoders.wordpieces import cuts, padded
from qrels.errors import MissingPackageError, UsageError

ROOT = Path(encoders.__file__).parents[1]
LIBRARIES = {"torch": (), "onnx": ("onnx", "onnxruntime"), "openvino": ("onnx", "openvino")}
TEXTS = ["the cat sat on the mat", "", "a big planet", "dog " * 60, "unknown wörds", "planet"]
QUESTIONS = ["Which planet is the biggest?", "", "ab " * 254, "Größe 日本語 🪐", "retrieval " * 90]


def installed(backend):
    for name in LIBRARIES[backend]:
        if find_spec(name) is None:
            pytest.skip(f"the package {name} is not installed")
    return backend


@pytest.fixture(params=["onnx", "openvino"])
def engine(request):
    """The backends that run an exported model."""
    return installed(request.param)


@pytest.fixture(params=list(LIBRARIES))
def backend(request):
    """All backends."""
    return installed(request.param)


@pytest.fixture
def reference(tiny_model):
    """The tiny model by torch in float32."""
    return SentenceTransformerEncoder(str(tiny_model))


def test_float32_is_torch(engine, tiny_model, reference):
    """Vectors and token vectors of a tiny BERT, texts of all lengths, to 1e-5."""
    found = SentenceTransformerEncoder(str(tiny_model), backend=engine)
    np.testing.assert_allclose(
        found.encode(TEXTS, "query"), reference.encode(TEXTS, "query"), atol=1e-5
    )
    known = TEXTS[:4]  # the library takes an unknown word for a special token
    ours, theirs = (each.encode_tokens(known, "query") for each in (found, reference))
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine, other, atol=1e-5)


def test_int8_is_close_to_float32(backend, tiny_model, reference):
    """Rounded to 8 bits, a vector keeps its direction (cosine above .99) and unit length."""
    found = SentenceTransformerEncoder(str(tiny_model), backend=backend, dtype="int8")
    if backend == "torch":
        found = BertEncoder(tiny_model, "", 32, dtype="int8")
    vectors, expected = found.encode(TEXTS, "query"), reference.encode(TEXTS, "query")
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert (vectors * expected).sum(1).min() > 0.99
    assert np.abs(vectors - expected).max() > 2e-6


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_minilm_is_minilm(engine, minilm, minilm_folder, dtype):
    """The default encoder: float32 to 1e-5, int8 with a cosine above .98."""
    found = MiniLM(str(minilm_folder), backend=engine, dtype=dtype).encode(QUESTIONS, "query")
    expected = minilm.encode(QUESTIONS, "query")
    if dtype == "float32":
        np.testing.assert_allclose(found, expected, atol=1e-5)
    assert (found * expected).sum(1).min() > 0.98


def test_onnx_int8_is_torch_int8(minilm_folder):
    """Two implementations of one rounding agree ten times closer than either does with float32."""
    installed("onnx")
    onnx, torch, plain = (
        MiniLM(str(minilm_folder), backend=backend, dtype=dtype).encode(QUESTIONS[:4], "query")
        for backend, dtype in (("onnx", "int8"), ("torch", "int8"), ("torch", "float32"))
    )
    assert np.abs(onnx - torch).max() < np.abs(onnx - plain).max() / 2


def test_onnx_int8_does_not_depend_on_the_batch(minilm_folder):
    """A text's 8-bit vector is the same alone as among longer ones, to 1e-5."""
    found = MiniLM(str(minilm_folder), backend=installed("onnx"), dtype="int8")
    alone = np.concatenate([found.encode([text], "query") for text in QUESTIONS])
    np.testing.assert_allclose(found.encode(QUESTIONS, "query"), alone, atol=1e-5)


def test_another_backend_is_another_encoder(minilm_folder):
    """No two of backend and dtype share a digest, so none reads another's vectors."""
    folder = str(minilm_folder)
    digests = [
        MiniLM(folder, backend=backend, dtype=dtype).digest
        for backend in LIBRARIES
        for dtype in ("float32", "int8")
    ]
    assert len(set(digests)) == 6


def test_the_record_says_what_runs_it():
    """Backend, dtype and the library's version are in the record, without loading anything."""
    found = encoders.load("minilm?backend=onnx&dtype=int8").describe()
    assert (found["backend"], found["dtype"]) == ("onnx", "int8")
    assert found["library"].startswith("onnxruntime ")


def test_a_model_is_exported_once(engine, tiny_model, monkeypatch):
    """The second use reads the cache, and an entry with a flipped byte is made again."""
    dialect, model = engine, bert_folder(tiny_model, "tiny")
    first = exported(model, "int8", dialect)
    path = next(module.cache_folder().glob("models-1/*/*.onnx"))
    made = []
    build = module.bert_graph
    monkeypatch.setattr(module, "bert_graph", lambda *given: made.append(1) or build(*given))
    assert exported(model, "int8", dialect) == first
    assert made == []
    path.write_bytes(first[:-1] + bytes([first[-1] ^ 1]))
    assert exported(model, "int8", dialect) == first
    assert made == [1]
    assert exported(model, "float32", dialect) != first
    assert made == [1, 1]


def test_a_cache_that_cannot_be_written_is_a_warning(tiny_model, tmp_path, monkeypatch):
    """The model is exported and used all the same."""
    installed("onnx")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "file"))
    with pytest.warns(RuntimeWarning, match="the exported model is not cached"):
        assert exported(bert_folder(tiny_model, "tiny"), "float32", "onnx")


def test_once_exported_search_needs_no_torch(engine, minilm_folder, tmp_path):
    """`bench index` and `bench search` by an exported encoder work where torch cannot be imported.

    Neither can transformers or sentence_transformers, nor, once exported, onnx.
    """
    MiniLM(str(minilm_folder), backend=engine, dtype="int8").load()
    texts = [("d1", "bread is baked from flour"), ("d2", "Jupiter is the largest planet")]
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_text("".join(f'{{"_id": "{i}", "title": "", "text": "{t}"}}\n' for i, t in texts))
    system = f'dense?encoder="minilm?backend={engine}\\u0026dtype=int8"'
    target = ["--corpus", str(corpus), "--system", system]
    code = f"""
        import sys
        for name in ("torch", "transformers", "sentence_transformers", "onnx"):
            sys.modules[name] = None
        from bench.cli import main
        sys.exit(main(["index", *{target}]) or main(["search", "which planet is big?", *{target}]))
    """
    answer = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, cwd=ROOT
    )
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.index("Jupiter") < answer.stdout.index("bread")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("minilm?backend=onxn", "unknown backend 'onxn'; did you mean 'onnx'"),
        ("minilm?dtype=int4", "unknown dtype 'int4'; did you mean 'int8'"),
        ("minilm?backend=onnx&dtype=float16", "unknown dtype 'float16'"),
        ("org/name?backend=onnx", "backend 'onnx' takes a local folder"),
    ],
)
def test_mistyped_backends_are_usage_errors(spec, message, minilm_folder):
    """The message names the value and what is allowed."""
    with pytest.raises(UsageError, match=message):
        encoders.load(spec).inner.load()


def test_a_missing_package_is_one_line(engine, tiny_model, monkeypatch):
    """The message says what to install."""
    monkeypatch.setattr(packages, "find_spec", lambda name: None)
    with pytest.raises(MissingPackageError, match=r'pip install "retrieval-bench\[') as error:
        SentenceTransformerEncoder(str(tiny_model), backend=engine).load()
    assert "\n" not in str(error.value)


def test_an_exported_model_refuses_a_gpu(tiny_model):
    """Asked for CUDA, the message says that this backend runs on the CPU."""
    with device_scope("cuda"), pytest.raises(UsageError, match="'onnx' runs on the CPU"):
        SentenceTransformerEncoder(str(tiny_model), backend="onnx").encode(["a"], "query")


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("config.json", {"model_type": "roberta"}, "its model_type is 'roberta', expected 'bert'"),
        ("config.json", {"hidden_act": "relu"}, "its hidden_act is 'relu', expected 'gelu'"),
        ("pool/config.json", {"pooling_mode_max_tokens": True}, "its pooling is"),
        ("pool/config.json", {"pooling_mode_mean_tokens": False}, r"its pooling is \[\]"),
        ("modules.json", [{"path": "", "type": "models.Dense"}], "it has a module 'Dense'"),
    ],
)
def test_what_is_no_plain_bert_is_refused(tiny_model, tmp_path, file, change, message):
    """One line names the file's value, what is expected, and the backend that takes it."""
    copy = shutil.copytree(tiny_model, tmp_path / "model")
    found = json.loads((copy / file).read_text())
    changed = found + change if isinstance(change, list) else {**found, **change}
    (copy / file).write_text(json.dumps(changed))
    with pytest.raises(UsageError, match=message):
        bert_folder(copy, "")


def test_cls_pooling_is_that_of_the_library(engine, tiny_model, tmp_path):
    """A model that takes the first token's state has the library's vectors too."""
    copy = shutil.copytree(tiny_model, tmp_path / "model")
    pooling = {"word_embedding_dimension": 8, "pooling_mode_mean_tokens": False}
    (copy / "pool" / "config.json").write_text(
        json.dumps({**pooling, "pooling_mode_cls_token": True})
    )
    ours, theirs = (
        SentenceTransformerEncoder(str(copy), backend=name).encode(TEXTS, "query")
        for name in (engine, "torch")
    )
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize(("value", "expected"), [("1", 1), ("3", 3), ("2,1", 2), (" 4 ", 4)])
def test_threads_are_the_protocols(monkeypatch, value, expected):
    """OMP_NUM_THREADS decides; without a number, all processors of this process are taken."""
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    assert threads() == expected
    for other in ("", "0", "many"):
        monkeypatch.setenv("OMP_NUM_THREADS", other)
        assert threads() >= 1


def test_other_threads_open_the_model_again(tiny_model, monkeypatch):
    """A session keeps its threads; with another number there is another session."""
    found = SentenceTransformerEncoder(str(tiny_model), backend=installed("onnx"))
    opened = []
    for number in ("1", "1", "2"):
        monkeypatch.setenv("OMP_NUM_THREADS", number)
        found.load()
        opened.append(found._exported._open)
    assert opened[0] is opened[1]
    assert [each[0] for each in opened] == [1, 1, 2]


@pytest.mark.parametrize(
    ("lengths", "tokens", "expected"),
    [([], 8, [0]), ([9, 9], 8, [0, 1, 2]), ([4, 4, 2, 2, 2], 8, [0, 2, 5]), ([2] * 4, 8, [0, 4])],
    ids=["none", "each alone", "by the longest", "all"],
)
def test_batches_hold_as_many_as_fit(lengths, tokens, expected):
    """A batch's texts times its longest stay within the tokens, but one text always goes."""
    assert cuts(lengths, tokens) == expected


def test_padding_is_masked():
    """Ids are 0 and the mask is 0 beyond a text's last token."""
    ids, mask = padded([[5, 6, 7], [8]])
    assert ids.tolist() == [[5, 6, 7], [8, 0, 0]]
    assert mask.tolist() == [[1, 1, 1], [1, 0, 0]]
