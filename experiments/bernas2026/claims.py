"""The claims of the paper, each with the numbers that decide it: sentences computed from results.json.

A claim about a number holds if the 95 % interval over seeds lies on its side, is turned around if it lies on
the other, and is open otherwise.
"""

import math

from experiments.bernas2026.means import NAMES, of_model, over_seeds, over_sites, rho

DECODERS = ("decoder", "smollm2")
PAIRS = (("encoder", "decoder"), ("minilm", "smollm2"))


def outcome(found, limit=0.0, side=1):
    """Return "holds", "turned around" or "open" for a mean with its interval against a limit."""
    if found is None or found[1] is None or found[2] is None:
        return "open"
    low, high = sorted((side * (found[1] - limit), side * (found[2] - limit)))
    if low > 0:
        return "holds"
    return "turned around" if high < 0 else "open"


def claims(facts):
    """Return one sentence a claim and model."""
    parts = (_larger, _orders, _mechanical, _isotropy, _weaker_late, _weaker_encoders, _frequency)
    return [line for part in parts for line in part(facts)]


def _larger(facts):
    for model in NAMES:
        found = _of(facts, model, "early", "ratio", math.log)
        yield (
            f"More energy in the proxy than in normal frames, early, {NAMES[model]}: {outcome(found)} "
            f"(ratio {_said(found, math.exp)})."
        )


def _orders(facts):
    for model in DECODERS:
        found = _of(facts, model, "early", "ratio", math.log)
        yield (
            f"By orders of magnitude (100 or more) for decoders, {NAMES[model]}: "
            f"{outcome(found, math.log(100))} (ratio {_said(found, math.exp)})."
        )


def _mechanical(facts):
    for model in NAMES:
        for phase in ("early", "late"):
            nulls = {
                "shuffled gradients": _of(facts, model, phase, "over_shuffled"),
                "the variance share": _of(facts, model, phase, "excess"),
            }
            parts = [f"{outcome(one, 1)} against {name} ({_said(one)})" for name, one in nulls.items()]
            yield f"More than mechanics explain, {phase}, {NAMES[model]}: {', '.join(parts)}."


def _isotropy(facts):
    for model in NAMES:
        for phase in ("early", "late"):
            found = _of(facts, model, phase, "delta")
            yield (
                f"Rows more even without the proxy than without normal frames, {phase}, {NAMES[model]}: "
                f"{outcome(found)} (Delta {_said(found)})."
            )


def _weaker_late(facts):
    for model in NAMES:
        for name, change in (("ratio", math.log), ("excess", math.log), ("delta", None)):
            found = over_seeds(
                of_model(facts, model),
                lambda run, n=name, c=change: _minus(_one(run, "late", n, c), _one(run, "early", n, c)),
            )
            word = "late / early" if change else "late - early"
            yield (
                f"Weaker late, {name}, {NAMES[model]}: {outcome(found, side=-1)} "
                f"({word} {_said(found, math.exp if change else None)})."
            )


def _weaker_encoders(facts):
    for encoder, decoder in PAIRS:
        for name, change in (("ratio", math.log), ("excess", math.log), ("delta", None)):
            others = {run["seed"]: run for run in of_model(facts, decoder)}
            found = over_seeds(
                of_model(facts, encoder),
                lambda run, n=name, c=change, o=others: _minus(
                    _one(run, "early", n, c), _one(o[run["seed"]], "early", n, c)
                ),
            )
            word = "ratio of the two" if change else "difference"
            yield (
                f"Weaker for encoders, early, {name}, {NAMES[encoder]} against {NAMES[decoder]}: "
                f"{outcome(found, side=-1)} ({word} {_said(found, math.exp if change else None)})."
            )


def _frequency(facts):
    for model in ("decoder", "encoder"):
        runs = of_model(facts, model)
        for layer in runs[0]["frequency"]["after"]:
            found = over_seeds(runs, lambda run, n=layer: rho(run, "after", n, "distance"))
            change = over_seeds(
                runs,
                lambda run, n=layer: _minus(
                    rho(run, "after", n, "distance"), rho(run, "before", n, "distance")
                ),
            )
            yield (
                f"Frequent tokens closer to their centroid, {NAMES[model]}, {layer}: "
                f"{outcome(found, side=-1)} (rho {_said(found)}); learned: {outcome(change, side=-1)} "
                f"(change {_said(change)})."
            )


def _of(facts, model, phase, name, change=None):
    return over_seeds(of_model(facts, model), lambda run: _one(run, phase, name, change))


def _one(run, phase, name, change):
    value = over_sites(run, phase, name)
    return value if value is None or change is None else change(value)


def _minus(one, other):
    return None if one is None or other is None else one - other


def _said(found, back=None):
    if found is None:
        return "unknown"
    value, *ends = (None if part is None else back(part) if back else part for part in found)
    return f"{value:.3g}" + ("" if None in ends else f" [{ends[0]:.3g}, {ends[1]:.3g}]")
