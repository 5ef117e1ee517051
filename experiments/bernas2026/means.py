"""Numbers of a model: means over the sites of a run, then over seeds with Student's interval."""

import math
import statistics

from conescope._intervals import student_interval

NAMES = {
    "decoder": "decoder, from scratch",
    "encoder": "encoder, from scratch",
    "minilm": "MiniLM on CoLA",
    "smollm2": "SmolLM2 on WikiText-2",
}


def of_model(facts, model):
    """Return the runs of a model."""
    return [run for run in facts["runs"] if run["model"] == model]


def over_sites(run, phase, name):
    """Return the mean over the sites of a run, of those that have a number; the ratio's is geometric."""
    values = [site["phases"][phase][name] for site in run["sites"]]
    known = [value for value in values if value is not None]
    if not known:
        return None
    if name == "ratio" and min(known) > 0:
        return statistics.geometric_mean(known)
    return statistics.fmean(known)


def over_seeds(runs, number):
    """Return mean, low and high of a number of each run; None without one, ends None with one alone."""
    known = [value for value in map(number, runs) if value is not None]
    if not known:
        return None
    return (statistics.fmean(known), *(student_interval(known) or (None, None)))


def rho(run, when, layer, measure):
    """Return a rank correlation, None if there is none."""
    value = run["frequency"][when][layer][measure]["rho"]
    return None if value is None or math.isnan(value) else value
