"""`conescope dynamics` as a user meets it: small models in folders, kills, errors of one line."""

import json
from statistics import fmean

import pytest
import torch
import transformers
from safetensors.torch import save_file

from conescope.cli import main
from conescope.cli.tables import number
from conescope.dynamics import watched_training
from conescope.dynamics.objectives import task_of
from conescope.dynamics.stored import load_proxies
from conescope.results import TangentResult, Trajectory
from tests.dynamics.test_tangent_callback import assert_same
from tests.samples import models

MODULES = ["bert.encoder.layer.0.output.dense", "bert.encoder.layer.1.intermediate.dense"]
FAST = ["--epochs", "2", "--batch-size", "8", "--max-length", "16", "--every", "2", "--draws", "4"]
FAST += ["--rank", "2", "--modules", ",".join(MODULES), "--sample", "10", "--record-every", "4"]
FAST += ["--device", "cpu", "--save-steps", "3", "--lr", "0.001"]
GIVEN = {
    "epochs": 2.0,
    "batch_size": 8,
    "max_length": 16,
    "every": 2,
    "draws": 4,
    "rank": 2,
    "modules": MODULES,
    "sample": 10,
    "record_every": 4,
    "device": "cpu",
    "save_steps": 3,
    "lr": 0.001,
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with a model, its tokenizer and data; the training of 10 steps that others compare with."""
    folder = tmp_path_factory.mktemp("made")
    models.save_bert(folder / "model")
    rows = models.sentences(40, seed=0)
    models.write_tsv(folder / "train.tsv", rows)
    (folder / "texts.txt").write_text("\n".join(text for text, _ in rows))
    return folder


@pytest.fixture(scope="module")
def truth(made):
    """What Python returns for the classifier."""
    rows = models.sentences(40, seed=0)
    return watched_training(
        str(made / "model"),
        [text for text, _ in rows],
        made / "truth",
        labels=[name for _, name in rows],
        **GIVEN,
    )


@pytest.fixture
def run(capsys, made, monkeypatch):
    monkeypatch.chdir(made)
    monkeypatch.setenv("COLUMNS", "80")

    def run(*arguments):
        """Return exit code, stdout and stderr."""
        with pytest.raises(SystemExit) as stopped:
            main(["dynamics", *map(str, arguments)])
        return stopped.value.code or 0, *capsys.readouterr()

    return run


def classifier(*more, output):
    given = ["--model", "model", "--train", "train.tsv", "--text", "sentence", "--label", "label"]
    return [*given, *FAST, *more, "-o", output]


def test_json_is_what_python_returns_and_the_folder_holds_the_same(run, truth, tmp_path):
    code, out, err = run(*classifier("--json", output=tmp_path / "out"))
    assert code == 0
    assert err.startswith("training model on train.tsv, seed 0: 10 steps\nWritten: ")
    assert TangentResult.model_validate_json(out) == truth.tangent
    assert (tmp_path / "out" / "tangent.json").read_text() == out.removesuffix("\n")
    trajectory = Trajectory.model_validate_json((tmp_path / "out" / "trajectory.json").read_text())
    assert trajectory == truth.trajectory
    assert trajectory.steps == (0, 4, 8, 10)
    assert list(trajectory.tables) == ["mean_cosine", "anisotropy_1", "effective_rank"]
    assert [step.step for step in truth.tangent.sites[0].steps] == [3, 5, 7, 9]
    assert "model on train.tsv" in (tmp_path / "out" / "report.html").read_text()
    left = {file.name for file in (tmp_path / "out").iterdir()}
    assert left == {"settings.json", "tangent.json", "trajectory.json", "proxies.safetensors", "report.html"}

    # the same command again trains nothing, and prints the table
    code, out, err = run(*classifier(output=tmp_path / "out"))
    assert (code, err) == (0, "")
    lines = out[: out.index("Written: ")].splitlines()
    assert max(map(len, lines)) <= 80
    assert (
        lines[0].rstrip() == "model on train.tsv (BertForSequenceClassification): 10 steps, 4 sampled after"
    )
    said = " ".join(out.split())
    for site in truth.tangent.sites:
        controls = [site.phase("all").energy, site.phase("all").random, site.phase("all").following]
        for mean in (*controls, site.phase("all").uncentered):
            assert number(mean.value) in said
        assert number(fmean(step.normal for step in site.steps)) in said
        for name in ("all", "late"):
            phase = site.phase(name)
            assert f"{phase.ratio.value:.4f}"[:6] in said
            assert f"{phase.over_variance.value:.4f}"[:6] in said
            assert f"{phase.over_shuffled.value:.4f}"[:6] in said
    # and refuses to mix in another training
    code, _, err = run(*classifier("--seed", "1", output=tmp_path / "out"))
    assert code == 2
    assert "holds another training, of another seed; choose another folder" in err


def test_the_proxies_of_another_seed_are_a_control(run, tmp_path):
    code, _, _ = run(*classifier(output=tmp_path / "one"))
    assert code == 0
    given = classifier("--seed", "1", "--others", str(tmp_path / "one"), output=tmp_path / "two")
    code, _, _ = run(*given)
    assert code == 0
    found = TangentResult.model_validate_json((tmp_path / "two" / "tangent.json").read_text())
    others = [site.phase().other.value for site in found.sites]
    assert all(0 < other < 1 for other in others)
    assert others != [site.phase().energy.value for site in found.sites]
    held = load_proxies(tmp_path / "one" / "proxies.safetensors")
    assert {name: proxy.tangent.shape[0] for name, proxy in held.items()} == {
        site.module: site.d for site in found.sites
    }
    # a folder that has none is told, and so is another one than before
    code, _, err = run(*classifier("--others", str(tmp_path), output=tmp_path / "three"))
    assert (code, err.count("\n")) == (2, 1)
    assert "no file" in err
    code, _, err = run(*classifier("--seed", "1", output=tmp_path / "two"))
    assert (code, "of another others" in err) == (2, True)
    (tmp_path / "odd").mkdir()
    save_file({"x": torch.zeros(1)}, tmp_path / "odd" / "proxies.safetensors")
    code, _, err = run(*classifier("--others", str(tmp_path / "odd"), output=tmp_path / "three"))
    assert (code, err.count("\n")) == (2, 1)
    assert "holds no proxies" in err


def test_a_run_that_was_killed_goes_on_to_the_same_numbers(made, truth, tmp_path):
    rows = models.sentences(40, seed=0)
    seen = []

    def kill(step, steps, loss):
        if step == 8:
            raise KeyboardInterrupt

    def again(advance):
        return watched_training(
            str(made / "model"),
            [text for text, _ in rows],
            tmp_path,
            labels=[name for _, name in rows],
            advance=advance,
            **GIVEN,
        )

    with pytest.raises(KeyboardInterrupt):
        again(kill)
    assert not (tmp_path / "tangent.json").exists()
    found = again(lambda step, steps, loss: seen.append(step))
    assert_same(found.tangent, truth.tangent)
    assert found.trajectory == truth.trajectory
    assert seen == [7, 8, 9, 10]  # the last checkpoint is that of step 6


@pytest.mark.parametrize(
    ("options", "architecture"),
    [([], "BertForMaskedLM"), (["--objective", "causal", "--from-scratch"], "BertLMHeadModel")],
)
def test_plain_texts_train_a_language_model(run, tmp_path, options, architecture):
    code, out, _ = run(
        "--model", "model", "--train", "texts.txt", *FAST, *options, "--json", "-o", tmp_path / "out"
    )
    assert code == 0
    found = TangentResult.model_validate_json(out)
    assert (found.architecture, found.seen) == (architecture, 10)
    assert [len(site.steps) for site in found.sites] == [4, 4]
    settings = json.loads((tmp_path / "out" / "settings.json").read_text())
    assert settings["from_scratch"] == ("--from-scratch" in options)


def test_the_objective_is_that_of_the_class_and_weights_are_those_of_the_folder(made, tmp_path):
    config = transformers.GPT2Config(
        vocab_size=23, n_embd=16, n_layer=2, n_head=2, n_positions=32, bos_token_id=2, eos_token_id=3
    )
    transformers.GPT2LMHeadModel(config).save_pretrained(tmp_path)
    transformers.AutoTokenizer.from_pretrained(made / "model").save_pretrained(tmp_path)
    options = {"max_length": 8, "from_scratch": False}
    task = task_of(str(tmp_path), ["the cat", "one dog runs"], None, None, None, **options)
    assert task.objective == "causal"  # although its tokenizer has a mask
    stored = transformers.GPT2LMHeadModel.from_pretrained(tmp_path)
    for one, other in zip(task.model.parameters(), stored.parameters(), strict=True):
        assert one.equal(other)
    fresh = task_of(str(tmp_path), ["the cat"], None, None, None, max_length=8, from_scratch=True)
    assert not fresh.model.transformer.wte.weight.equal(stored.transformer.wte.weight)
    batch = task.collate(task.rows)
    assert batch["labels"][0].tolist()[:4] == task.rows[0]["input_ids"]
    assert set(task.plain(task.rows)) & {"labels"} == set()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--train", "none.txt"], "no file or folder none.txt"),
        (["--train", "texts.txt", "--rank", "x"], "--rank must be auto or a number of directions"),
        (["--train", "texts.txt", "--text-pair", "b"], "--text-pair goes with --label"),
        (["--train", "texts.txt", "--objective", "classify"], "to classify, texts need labels"),
        (
            ["--train", "texts.txt", "--objective", "sort"],
            "must be one of classify, causal, masked, got 'sort'",
        ),
        (["--train", "texts.txt", "--modules", "nope"], "'nope' is no linear map of BertForMaskedLM"),
        (["--train", "texts.txt", "--measures", "beauty"], "there is no measure 'beauty'"),
        (["--train", "texts.txt", "--precision", "fp8"], "precision must be one of"),
        (["--train", "texts.txt", "--lr", "0"], "lr must be positive, got 0"),
        (["--train", "train.tsv", "--text", "sentence", "--label", "kind"], "no column 'kind'"),
    ],
)
def test_bad_input_is_one_line(run, arguments, said, tmp_path, without_shape_checks):
    code, out, err = run("--model", "model", *arguments, "--device", "cpu", "-o", tmp_path / "out")
    assert (code, out) == (2, "")
    assert said in err
    assert err.startswith("conescope: ")
    assert len(err.splitlines()) == 1


def test_texts_longer_than_the_model_are_one_line(made, tmp_path):
    config = transformers.BertConfig.from_pretrained(made / "model", max_position_embeddings=8)
    transformers.BertForMaskedLM(config).save_pretrained(tmp_path)
    transformers.AutoTokenizer.from_pretrained(made / "model").save_pretrained(tmp_path)
    texts = ["the cat", "one dog runs fast and one bird sings not"]
    options = {"pairs": None, "labels": None, "objective": None, "from_scratch": False}
    with pytest.raises(ValueError, match=r"has 11 tokens, and .* has 8 positions; take a max_length <= 8"):
        task_of(str(tmp_path), texts, max_length=20, **options)
    assert len(task_of(str(tmp_path), texts, max_length=8, **options).rows) == 2


def test_no_model_is_one_line(run, tmp_path):
    code, out, err = run("--model", tmp_path / "nothing", "--train", "texts.txt", "-o", tmp_path / "out")
    assert (code, out) == (2, "")
    assert "neither a folder with a transformers model and its tokenizer" in err
    assert len(err.splitlines()) == 1
