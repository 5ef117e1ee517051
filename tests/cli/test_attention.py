"""`conescope attention` as a user meets it: a folder with a model, a file of texts, errors of one line."""

import pytest
import transformers

from conescope.cli import main
from conescope.profile import profile_attention
from conescope.results import AttentionProfile

SENTENCES = ["the cat sat", "a dog ran off", "the sun", "cats and dogs sat"] * 6
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *sorted({word for line in SENTENCES for word in line.split()})]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return a folder with a small BERT of random weights and its tokenizer; texts.txt stands beside it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    (tmp_path / "vocab.txt").write_text("\n".join(WORDS))
    (tmp_path / "texts.txt").write_text("\n".join(SENTENCES))
    config = transformers.BertConfig(
        vocab_size=len(WORDS),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=32,
    )
    transformers.set_seed(0)
    transformers.BertModel(config).save_pretrained(tmp_path / "model")
    tokenizer = transformers.BertTokenizer({word: place for place, word in enumerate(WORDS)})
    tokenizer.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def run(capsys):
    def run(*arguments):
        """Return exit code, stdout and stderr."""
        with pytest.raises(SystemExit) as stopped:
            main(["attention", *map(str, arguments)])
        return stopped.value.code or 0, *capsys.readouterr()

    return run


def test_json_is_what_python_returns_and_the_folder_holds_the_same(folder, run):
    code, out, _ = run(folder, "--data", "texts.txt", "--json", "-o", "out", "--seed", "3")
    assert code == 0
    found = AttentionProfile.model_validate_json(out)
    assert found == profile_attention(folder, SENTENCES, seed=3)
    assert (folder.parent / "out" / "attention.json").read_text() == out.removesuffix("\n")
    assert found.value("special_weight", 0, 0) > 0  # [CLS] and [SEP] are known


def test_the_table_shows_each_head_and_the_correlations(folder, run):
    code, out, _ = run(folder, "--data", "texts.txt")
    assert code == 0
    found = profile_attention(folder, SENTENCES)
    lines = {line.split()[0]: line.split()[1:] for line in out.splitlines() if line.strip()}
    assert out.startswith("model (BertModel): 24 inputs, 8 heads\n")
    for head in found.heads:
        cells = lines[f"{head.layer}.{head.head}"]
        assert cells[2] == f"{head.measured('cosine').value:.4f}"
        assert cells[4] == f"{head.measured('entropy').value:.4f}"
    for one in found.correlations:
        names = f"{one.drift} {one.sharpness}".replace("query_drift*key_drift", "drift Q*K").split()
        row = next(line for line in out.splitlines() if line.split()[: len(names)] == names)
        rank, _, _, linear, _, _ = map(float, row.split()[len(names) :])  # each with an interval; 0 is "0"
        assert rank == pytest.approx(one.rank.value, abs=5.1e-5)
        assert linear == pytest.approx(one.linear.value, abs=5.1e-5)
    assert "heads of one model are not independent" in " ".join(out.split())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--data", "none.txt"], "no file or folder none.txt"),
        (["--data", "texts.txt", "--modality", "smell"], "--modality must be one of text, audio, image"),
        (["--data", "texts.txt", "--column", "a"], "has no column 'a'"),
    ],
)
def test_bad_input_is_one_line(folder, run, arguments, said):
    code, out, err = run(folder, *arguments)
    assert (code, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1


def test_a_model_that_is_not_there_is_one_line(folder, run, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    code, _, err = run(folder.parent / "nowhere", "--data", "texts.txt")
    assert code == 2
    told, problem = err.splitlines()
    assert told.startswith("profiling ")
    assert problem.startswith("conescope: no model ")
    assert "nowhere" in problem
