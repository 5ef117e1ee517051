"""The study: its values are those of the perturbed model by hand, and it goes on where it was stopped."""

import pytest
import torch
import transformers

from conescope.measures import MEASURES, eee, isoscore, mean_cosine, vrm
from conescope.perturb import chosen_weights, perturbed, study
from conescope.perturb.bench import Bench
from conescope.results import Perturbation
from tests.cli.small_models import SENTENCES, bert

TEXTS = SENTENCES[:4] * 3  # 12 texts
NAMES = ["mean_cosine", "isoscore", "eee", "vrm"]
FUNCTIONS = dict(zip(NAMES, (mean_cosine, isoscore, eee, vrm), strict=True))


@pytest.fixture
def folder(tmp_path):
    return bert(tmp_path / "model")


@pytest.fixture
def model(folder):
    return transformers.AutoModel.from_pretrained(folder)


@pytest.fixture
def counted(monkeypatch):
    """Return a list that gets the level and seed of every run that is really made."""
    made = []
    run = Bench._run

    def seen(bench, level, *given):
        made.append(tuple(level))
        return run(bench, level, *given)

    monkeypatch.setattr(Bench, "_run", seen)
    return made


@torch.no_grad()
def points_by_hand(model, folder, special_tokens=True, layer=-1):
    """Return the hidden states of every token, text by text."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    found = []
    for text in TEXTS:
        given = tokenizer(text, return_tensors="pt")
        states = model.eval()(**given, output_hidden_states=True).hidden_states[layer][0]
        found.append(states if special_tokens else states[1:-1])
    return torch.cat(found).double()


@pytest.mark.parametrize("options", [{}, {"special_tokens": False, "layer": 1}])
def test_values_are_those_of_the_perturbed_model_by_hand(folder, model, options):
    found = study(folder, TEXTS, percents=[0, 2, 40], repeats=2, seed=5, measures=NAMES, **options)
    assert [(run.percent, run.seed) for run in found.runs] == [(0, 5), (2, 5), (2, 6), (40, 5), (40, 6)]
    for run in found.runs:
        with perturbed(model, run.percent, run.seed):
            points = points_by_hand(model, folder, **options)
        assert (run.measurement.n, run.measurement.d) == tuple(points.shape)
        for name, function in FUNCTIONS.items():
            assert run.measurement.value(name) == pytest.approx(float(function(points)), abs=1e-5)
    assert found.response("isoscore", 2).low < found.response("isoscore", 2).high


def test_the_model_is_as_before(model, folder):
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model.train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    study(model, TEXTS, percents=[50], repeats=1, measures=["isoscore"], processor=tokenizer)
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_options_reach_the_weights(folder, model):
    given = {"layer_norm": False, "noise": "matched", "parts": "block weights"}
    found = study(folder, TEXTS, percents=[30], repeats=1, seed=2, measures=NAMES, **given)
    with perturbed(model, 30, 2, **given):
        points = points_by_hand(model, folder)
    assert found.runs[0].measurement.value("vrm") == pytest.approx(float(vrm(points)), abs=1e-5)
    weights = chosen_weights(model, layer_norm=False).values()
    assert (found.tensors, found.weights) == (12, sum(map(torch.numel, weights)))
    deviations = sorted(float(weight.detach().double().std(correction=0)) for weight in weights)
    assert found.spread == pytest.approx((deviations[5] + deviations[6]) / 2)


def test_a_stopped_study_goes_on(folder, tmp_path, counted):
    given = {"percents": [0, 5, 10], "repeats": 2, "measures": NAMES}
    whole = study(folder, TEXTS, **given)
    counted.clear()

    def stop(done, total):
        if done == 3 * len(TEXTS):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        study(folder, TEXTS, **given, path=tmp_path / "out", advance=stop)
    assert counted == [(0, 1), (5, 1), (5, 2)]
    assert not (tmp_path / "out" / "perturbation.json").exists()
    counted.clear()
    found = study(folder, TEXTS, **given, path=tmp_path / "out")
    assert counted == [(5, 2), (10, 1), (10, 2)]  # the run in which it was stopped begins anew
    assert found == whole
    assert Perturbation.model_validate_json((tmp_path / "out" / "perturbation.json").read_bytes()) == found
    counted.clear()
    more = study(folder, TEXTS, **(given | {"percents": [0, 5, 7], "repeats": 1}), path=tmp_path / "out")
    assert counted == [(7, 1)]  # what is there is taken
    assert more.response("eee", 5).mean == whole.runs[1].measurement.value("eee")


@pytest.mark.parametrize(
    "other",
    [
        {"measures": ["isoscore"]},
        {"noise": "matched"},
        {"layer_norm": False},
        {"special_tokens": False},
        {"layer": 1},
        {"sample": 20},
        {"pooling": "mean"},
        {"inputs": TEXTS[:8]},
        {"model": "other"},
    ],
    ids=lambda other: next(iter(other)),
)
def test_runs_of_other_settings_are_not_taken(folder, tmp_path, counted, other):
    given = {"inputs": TEXTS, "percents": [5], "repeats": 1, "measures": NAMES, "path": tmp_path / "out"}
    study(folder, **given)
    changed = dict(other)
    model = bert(tmp_path / "other", seed=1) if changed.pop("model", None) else folder
    study(model, **(given | changed))
    assert counted == [(5, 1), (5, 1)]


def test_a_broken_file_is_run_again(folder, tmp_path, counted):
    given = {"percents": [5], "repeats": 1, "measures": NAMES, "path": tmp_path}
    first = study(folder, TEXTS, **given)
    (file,) = (tmp_path / "runs").glob("*.json")
    file.write_text(file.read_text()[:50])
    assert study(folder, TEXTS, **given) == first
    assert counted == [(5, 1), (5, 1)]


def test_progress_ends_with_all_inputs_of_all_runs(folder):
    told, stages = [], []
    study(
        folder,
        TEXTS,
        percents=[0, 5],
        repeats=2,
        measures=["isoscore"],
        batch_size=5,
        advance=lambda done, total: told.append((done, total)),
        stage=stages.append,
    )
    assert {total for _, total in told} == {36}
    done = [done for done, _ in told]
    assert done == sorted(done)
    assert done[-1] == 36
    assert stages == ["0 %, seed 1", "5 %, seed 1", "5 %, seed 2"]


def test_the_default_measures_are_in_the_table(folder):
    found = study(folder, TEXTS, percents=[0], repeats=1)
    assert set(found.names()) <= set(MEASURES)
    assert {"eee", "vrm", "isoscore"} < set(found.names())


def test_several_stacks_ask_for_a_name(tmp_path):
    torch.manual_seed(0)
    config = transformers.T5Config(
        vocab_size=30, d_model=16, d_kv=4, d_ff=24, num_layers=2, num_heads=2, decoder_start_token_id=0
    )
    model = transformers.T5Model(config)
    ids = torch.arange(24).reshape(4, 6)
    inputs = [{"input_ids": row, "decoder_input_ids": row} for row in ids]
    given = {"percents": [0, 20], "repeats": 1, "measures": ["mean_cosine"]}
    with pytest.raises(ValueError, match=r"name one \(--stack\) of: encoder, decoder"):
        study(model, inputs, **given)
    with pytest.raises(ValueError, match="there is no 'middle'"):
        study(model, inputs, **given, stack="middle")
    found = study(model, inputs, **given, stack="encoder")
    assert (found.stack, found.inputs) == ("encoder", 4)
    with torch.no_grad():
        states = model.eval().encoder(input_ids=ids).last_hidden_state.flatten(0, 1).double()
    assert found.response("mean_cosine", 0).mean == pytest.approx(float(mean_cosine(states)), abs=1e-5)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"percents": []}, "a percentage and a repeat at least, got 0 and 3"),
        ({"repeats": 0}, "a percentage and a repeat at least, got 10 and 0"),
        ({"percents": [5, 101]}, "from 0 to 100, got 101"),
        ({"layer": 7}, "there is no layer 7; there are 0, 1, 2, or -1, -2, ... from the end"),
        ({"measures": ["nothing"]}, "there is no measure 'nothing'"),
    ],
)
def test_what_can_not_be_is_said(folder, given, said):
    with pytest.raises(ValueError, match=said):
        study(folder, TEXTS, **given)


def test_states_that_noise_makes_infinite_are_named_with_their_percentage(model, folder):
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        model.encoder.layer[1].output.LayerNorm.weight.fill_(3e38)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(ValueError, match=r"^at 1 percent of noise: .* hold NaN or infinity"):
        study(model, TEXTS, percents=[1], repeats=1, measures=["isoscore"], processor=tokenizer)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
