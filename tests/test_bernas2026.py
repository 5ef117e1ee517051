"""The study of learning dynamics: its corpus, its summary, its claims, and all of it in miniature."""

import json
import math
import random
import re
from pathlib import Path

import pytest
import torch
from experiments.bernas2026.claims import outcome
from experiments.bernas2026.corpus import IGNORED, MASK, SPECIALS, masked, order, sequences
from experiments.bernas2026.means import over_seeds, over_sites
from experiments.bernas2026.models import watched
from experiments.bernas2026.run import SEEDS, load_proxies, main
from experiments.bernas2026.summary import means, span
from experiments.bernas2026.table import table, verdicts
from experiments.bernas2026.tasks import NAMES, PLANS
from experiments.bernas2026.training import fit_steps
from torch import nn

HERE = Path(__file__).parents[1] / "experiments" / "bernas2026"
WORDS = [first + last for first in ("ka", "lo", "mi", "ru", "ten") for last in ("bo", "da", "fel", "gu", "s")]


def test_masking_is_that_of_bert():
    rows = torch.randint(3, 1000, (400, 250), generator=torch.Generator().manual_seed(0))
    inputs, labels = masked(rows, 1000, torch.Generator().manual_seed(1))
    chosen = labels != IGNORED
    assert torch.equal(labels[chosen], rows[chosen])
    assert torch.equal(inputs[~chosen], rows[~chosen])
    assert float(chosen.double().mean()) == pytest.approx(0.15, abs=0.005)
    hidden, same = (inputs == MASK)[chosen], (inputs == rows)[chosen]
    assert float(hidden.double().mean()) == pytest.approx(0.8, abs=0.01)
    assert float(same.double().mean()) == pytest.approx(0.1, abs=0.01)
    assert int(inputs[chosen & (inputs != MASK)].min()) >= len(SPECIALS)


def test_every_row_comes_before_any_comes_again():
    found = order(5, 12, seed=3)
    assert sorted(found[:5].tolist()) == sorted(found[5:10].tolist()) == [0, 1, 2, 3, 4]
    assert len(found) == 12
    assert order(5, 12, seed=3).tolist() == found.tolist()
    assert sequences(torch.arange(7), 3).tolist() == [[0, 1, 2], [3, 4, 5]]


def test_the_first_the_middle_and_the_last_block_are_watched():
    model = nn.Sequential(nn.Linear(2, 2), nn.ModuleList([nn.Sequential(nn.Linear(2, 2)) for _ in range(5)]))
    assert watched(model) == ["1.0.0", "1.2.0", "1.4.0"]


def step(number, energy, shuffled):
    """Return a sampled step with an energy and its shuffled null; all else is 0."""
    names = ("ratio", "excess", "delta", "variance_share", "normal", "random", "following", "uncentered")
    return {"step": number, "energy": energy, "shuffled": shuffled} | dict.fromkeys(names, 0.0)


def test_phases_of_the_summary_are_those_of_the_instrument():
    steps = [step(number, 0.5, 0.25) for number in range(10, 111, 10)]
    assert [one["step"] for one in span(steps, 0)] == [10, 20, 30, 40]
    assert [one["step"] for one in span(steps, 1)] == [80, 90, 100, 110]
    assert means([step(0, 0.5, 0.25), step(1, 0.5, 0.5)])["over_shuffled"] == 1.333  # 1 / 0.75
    assert means([step(0, 0.5, None)])["over_shuffled"] is None


def test_means_over_sites_and_seeds():
    run = {"sites": [{"phases": {"late": {"ratio": r, "delta": r}}} for r in (1.0, 100.0, None)]}
    assert over_sites(run, "late", "ratio") == pytest.approx(10)  # of ratios: geometric
    assert over_sites(run, "late", "delta") == 50.5
    center, low, high = over_seeds([1.0, 2.0, 3.0], lambda value: value)
    assert center == 2
    assert high - 2 == pytest.approx(4.302653 / math.sqrt(3), rel=1e-6)  # Student, two degrees of freedom
    assert 2 - low == pytest.approx(high - 2)


def test_a_claim_holds_if_the_interval_lies_on_its_side():
    assert outcome((2, 1, 3)) == "holds"
    assert outcome((2, 1, 3), 1.5) == "open"
    assert outcome((2, 1, 3), 4) == "turned around"
    assert outcome((2, 1, 3), side=-1) == "turned around"
    assert outcome((-2, -3, -1), side=-1) == "holds"
    assert outcome((2, None, None)) == "open"


def test_the_committed_table_is_that_of_the_results():
    assert (HERE / "table.md").read_text() == table(json.loads((HERE / "results.json").read_text())) + "\n"


def test_every_interval_that_the_text_quotes_is_in_the_table():
    quoted = re.findall(r"[\d.]+ \[[^\]]*\d\]", (HERE / "README.md").read_text())
    known = (HERE / "table.md").read_text()
    assert len(quoted) > 5
    assert [one for one in quoted if one not in known] == []


def test_signs_of_delta_are_counted():
    def run(*deltas):
        phase = {"verdict": "mechanical"}
        sites = [{"phases": dict.fromkeys(("early", "after", "late"), phase | {"delta": d})} for d in deltas]
        return {"sites": sites}

    runs = [run(0.1, -0.2) | {"model": name} for name in NAMES] + [
        run(0.3, None) | {"model": name} for name in NAMES
    ]
    lines = verdicts({"runs": runs}).splitlines()
    assert lines[0].endswith("| Delta above 0 |")
    assert all(line.endswith("| 0 | 4 | 0 | 0 of 2 | 2 of 4 |") for line in lines[2:])
    assert len(lines) == 2 + 3 * len(NAMES)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder of four runs in miniature, from texts of invented words; copies stand in for the others."""
    root, draw = tmp_path_factory.mktemp("bernas"), random.Random(0)
    lines = [" ".join(draw.choices(WORDS, range(1, 26), k=14)) for _ in range(100)]
    for name in ("test", "valid"):
        (root / f"{name}.txt").write_text("\n\n".join(lines))
    rows = [f"{line}\t{number % 2}" for number, line in enumerate(lines)]
    for name in ("train", "dev"):
        (root / f"{name}.tsv").write_text("\n".join(["sentence\tlabel", *rows]))
    out = root / "out"
    texts = ["--wikitext", str(root), "--cola", str(root), "--folder", str(out), "--quick"]
    main([*texts, "--seeds", "0", "--only", "decoder", "--only", "encoder", "--only", "minilm"])
    main([*texts, "--seeds", "1", "--only", "decoder"])
    assert not (out / "results.json").exists()
    runs = {path.stem: json.loads(path.read_text()) for path in out.glob("*.json")}
    for name in NAMES:
        for seed in SEEDS:
            source = runs[f"{'decoder' if name == 'smollm2' else name}-0"] | {"model": name, "seed": seed}
            (out / f"{name}-{seed}.json").write_text(json.dumps(runs.get(f"{name}-{seed}", source)))
    return out, texts


def test_all_of_it_in_miniature(folder):
    place, texts = folder
    main(texts)  # all runs are there
    facts = json.loads((place / "results.json").read_text())
    assert [(run["model"], run["seed"]) for run in facts["runs"]] == [(n, s) for n in NAMES for s in SEEDS]
    for run in facts["runs"]:
        assert run["replayed"]  # the first steps, done again: every loss is the same
        assert [one["step"] for one in run["steps"]] == [0, 4, 8, 12]  # of the fit, and after it
        assert len(run["sites"]) == 3 * (7 if run["model"] in ("decoder", "smollm2") else 6)
        for site in run["sites"]:
            assert 0 < site["phases"]["early"]["energy"] < 1
            assert site["skipped"] == 0
    other = {(run["model"], run["seed"]): run["other"] for run in facts["runs"]}
    assert [one["step"] for one in other["decoder", 1]] == [0, 4, 8, 12]
    assert not any(steps for run, steps in other.items() if run != ("decoder", 1))
    written = (place / "table.md").read_text()
    assert "Frequent tokens closer to their centroid" in written
    assert written == table(facts) + "\n"


def test_another_seed_needs_the_proxies_of_the_first(tmp_path):
    with pytest.raises(SystemExit, match="run seed 0 first"):
        load_proxies(tmp_path / "decoder-proxies.pt")


def test_the_fit_is_thirty_percent_in_whole_samples():
    assert {name: fit_steps(plan) for name, plan in PLANS.items()} == {
        "decoder": 56,
        "encoder": 56,
        "minilm": 36,
        "smollm2": 15,
    }
