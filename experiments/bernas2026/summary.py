"""One run -> what is committed of it: means by site and phase, means over sites by step."""

import statistics

NUMBERS = (
    "energy",
    "ratio",
    "excess",
    "over_shuffled",
    "delta",
    "shuffled",
    "variance_share",
    "normal",
    "random",
    "following",
    "uncentered",
)
OVER_STEPS = ("energy", "normal", "random", "following", "uncentered", "shuffled", "variance_share")
SHARE = 0.3
DIGITS = 4


def summary(found):
    """Return the summary of one run.

    The phases: `early`, the steps of the fit, seen when they were repeated (all sampled ones); `after` and
    `late`, the first and last 30 % of the span of sampled steps that followed the fit.
    """
    own, opening, other = (found[name] for name in ("own", "opening", "other"))
    begins = {site["module"]: site for site in opening["sites"]}
    others = {} if other is None else {site["module"]: site for site in other["sites"]}
    kept = ("model", "seed", "plan", "corpus", "parameters", "validation", "replayed", "frequency", "seconds")
    return {name: found[name] for name in kept} | {
        "sites": [_site(site, begins[site["module"]], others.get(site["module"])) for site in own["sites"]],
        "steps": _over_sites(opening["sites"]) + _over_sites(own["sites"]),
        "other": _over_sites(other["sites"]) if other else [],
        "trajectory": _short(found["trajectory"]),
        "losses": [_rounded(loss) for loss in found["losses"]],
    }


def _site(site, begin, other):
    parts = {"early": begin["steps"], "after": span(site["steps"], 0), "late": span(site["steps"], 1)}
    verdicts = {
        "early": verdict(begin, "all"),
        "after": verdict(site, "early"),
        "late": verdict(site, "late"),
    }
    return {
        "module": site["module"],
        "o": site["o"],
        "d": site["d"],
        "k": site["k"],
        "explained": _rounded(site["explained"]),
        "skipped": site["zero"] + site["not_finite"] + begin["zero"] + begin["not_finite"],
        "phases": {
            name: means(steps)
            | {"steps": len(steps), "verdict": verdicts[name]}
            | {"other": _rounded(_mean(in_the_same(other, steps)))}
            for name, steps in parts.items()
        },
    }


def span(steps, end):
    """Return the first (`end` 0) or last (1) 30 % of the span of some steps."""
    if not steps:
        return []
    first, last = steps[0]["step"], steps[-1]["step"]
    reach = SHARE * (last - first)
    if end:
        return [step for step in steps if step["step"] >= last - reach]
    return [step for step in steps if step["step"] <= first + reach]


def verdict(site, phase):
    """Return the verdict that the instrument gave a site in a phase."""
    return next(one["verdict"] for one in site["phases"] if one["name"] == phase)


def means(steps):
    """Return the means of all numbers over some steps, and mean energy over mean shuffled energy."""
    known = [step for step in steps if step["shuffled"] is not None]
    null = _mean([step["shuffled"] for step in known])
    ratio = _mean([step["energy"] for step in known]) / null if null else None
    rest = {
        name: _rounded(_mean([step[name] for step in steps])) for name in NUMBERS if name != "over_shuffled"
    }
    return {name: _rounded(ratio) if name == "over_shuffled" else rest[name] for name in NUMBERS}


def in_the_same(other, steps):
    """Return the energies in the proxy of another seed at these steps."""
    if other is None:
        return []
    wanted = {step["step"] for step in steps}
    return [step["energy"] for step in other["steps"] if step["step"] in wanted]


def _over_sites(sites):
    """Return the means over sites of every sampled step."""
    numbers = sorted({step["step"] for site in sites for step in site["steps"]})
    return [
        {"step": number}
        | {
            name: _rounded(
                _mean([step[name] for site in sites for step in site["steps"] if step["step"] == number])
            )
            for name in OVER_STEPS
        }
        for number in numbers
    ]


def _short(trajectory):
    tables = {
        name: [[_rounded(value) for value in layer] for layer in table]
        for name, table in trajectory["tables"].items()
    }
    return trajectory | {"tables": tables}


def _mean(values):
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None


def _rounded(value):
    return None if value is None else float(f"{value:.{DIGITS}g}")
