"""The page of a training that was watched: energy in tangent directions with its nulls, layers over steps."""

from collections import Counter
from pathlib import Path
from typing import Any

from conescope._files import write_text
from conescope.report.drawing import Figure, Json, View, axis, label, layout, rounded
from conescope.report.heatmaps import ROW, _heat, _heat_layout, _ticks
from conescope.report.html import _render
from conescope.report.wording import meaning, number, spoken
from conescope.results.dynamics import (
    Mean,
    PhaseName,
    TangentPhase,
    TangentResult,
    TangentSite,
    TangentStep,
    Trajectory,
)

PHASES: tuple[PhaseName, ...] = ("early", "late", "all")
ENERGIES = (  # field of a step, what it is called, color, dash
    ("energy", "in the tangent proxy", "var(--class-0)", "solid"),
    ("variance_share", "share of the inputs' variance in it", "var(--class-1)", "solid"),
    ("shuffled", "shuffled gradients", "var(--class-2)", "solid"),
    ("normal", "normal frames", "var(--muted)", "solid"),
    ("random", "random frames", "var(--muted)", "dot"),
    ("following", "next principal directions", "var(--class-3)", "dash"),
    ("uncentered", "uncentered principal directions", "var(--class-4)", "dash"),
    ("other", "proxy of another run", "var(--class-5)", "dash"),
)
EVENTS = {
    "collapse": ("collapse", "x", "var(--worse)"),
    "recovery": ("recovery", "circle", "var(--improved)"),
}
SIGNS = {"beyond mechanical": "▲", "mechanical": "≈", "not known": "?"}


def dynamics_html(tangent: TangentResult, trajectory: Trajectory, *, title: str = "") -> str:
    """Return the page of a training as one HTML document that needs nothing else.

    Raises:
        ImportError: if plotly or jinja2 is missing; the message has the line that installs them.
    """
    return _render("dynamics.html", dynamics_page(tangent, trajectory, title=title))


def write_dynamics(
    tangent: TangentResult, trajectory: Trajectory, path: str | Path, *, title: str = ""
) -> None:
    """Write the page to a file, whole or not at all; its folder is made if it is missing."""
    write_text(path, dynamics_html(tangent, trajectory, title=title))


def dynamics_page(tangent: TangentResult, trajectory: Trajectory, *, title: str = "") -> dict[str, Any]:
    """Return everything the template dynamics.html needs."""
    energies, scalars = energies_figure(tangent), scalars_figure(trajectory)
    layers = [layers_figure(trajectory, name) for name in trajectory.tables] if trajectory.steps else []
    return {
        "title": title or f"Training of {tangent.architecture}",
        "tangent": tangent,
        "headline": headline(tangent),
        "facts": _facts(tangent),
        "energies": energies,
        "layers": layers,
        "scalars": scalars,
        "figures": [each for each in (energies, *layers, scalars) if each.views],
        "meanings": dict(zip([each.name for each in layers], map(meaning, trajectory.tables), strict=False)),
        "legend": [
            (called, color, "circle" if dash == "solid" else "dashed")
            for field, called, color, dash in ENERGIES
            if any(_share(step, field) is not None for site in tangent.sites for step in site.steps)
        ],
        "events": [(event.layer, event.step, event.kind) for event in trajectory.events],
        "rows": [(site, [_row(site, site.phase(name)) for name in PHASES]) for site in tangent.sites],
    }


def headline(tangent: TangentResult) -> str:
    """Return the verdict over all linear maps in one sentence.

    >>> headline(TangentResult(architecture="A", fitted=1, seen=1, every=1, draws=1, seed=0, sites=()))
    'No linear map was measured.'
    """
    counts = Counter(site.phase().verdict for site in tangent.sites)
    several = len(tangent.sites)
    if not several:
        return "No linear map was measured."
    beyond = counts["beyond mechanical"]
    if beyond:
        return (
            f"In {beyond} of {several} linear maps gradients follow the data beyond what variance and shared "
            f"means explain; in {counts['mechanical']} they do not, and in {counts['not known']} it is not "
            "known."
        )
    if counts["mechanical"]:
        return (
            f"In none of {several} linear maps do gradients follow the data beyond what variance or shared "
            f"means explain; in {counts['not known']} it is not known."
        )
    return f"Whether gradients follow the data is not known in any of {several} linear maps."


def energies_figure(tangent: TangentResult) -> Figure:
    """Return the energy and all nulls over the sampled steps: a view for each linear map that has some."""
    views = [
        View(site.module, _energy_words(site), [line for each in ENERGIES if (line := _line(site, *each))])
        for site in tangent.sites
        if site.steps
    ]
    look = layout(axis("optimizer step"), axis("share of the squared gradient"))
    look["xaxis"]["nticks"] = 8
    look["yaxis"] |= {"rangemode": "tozero", "nticks": 6}
    look |= {"hovermode": "x unified", "height": 380}
    return Figure("energies", "Energy over the steps", look, views)


def layers_figure(trajectory: Trajectory, name: str) -> Figure:
    """Return layer x step of a measure as a heatmap, with collapses and recoveries marked."""
    layers, steps, table = trajectory.layers, trajectory.steps, trajectory.tables[name]
    trace: Json = {
        **_heat(),
        "x": list(range(len(steps))),
        "y": list(range(len(layers))),
        "z": [[None if value is None else rounded([value])[0] for value in row] for row in table],
        "customdata": [
            [
                f"{label(spoken(name))}, layer {label(layer)}<br>step {step}: {number(value)}"
                for step, value in zip(steps, row, strict=True)
            ]
            for layer, row in zip(layers, table, strict=True)
        ],
    }
    data = [trace]
    for kind, (called, symbol, color) in EVENTS.items():
        seen = [event for event in trajectory.events if event.kind == kind]
        if seen:
            data.append(
                {
                    "type": "scatter",
                    "mode": "markers",
                    "x": [steps.index(event.step) for event in seen],
                    "y": [layers.index(event.layer) for event in seen],
                    "marker": {
                        "symbol": symbol,
                        "size": 10,
                        "color": color,
                        "line": {"width": 1, "color": "var(--card)"},
                    },
                    "hovertemplate": f"{called} of the effective rank<extra></extra>",
                }
            )
    look = _heat_layout("step")
    look["xaxis"] |= _ticks([str(step) for step in steps])
    look["yaxis"] |= _ticks(list(layers))
    look["yaxis"]["title"]["text"] = "layer"
    look["height"] = min(max(len(layers) * ROW + 110, 240), 640)
    events = "; ".join(
        f"{event.kind} of layer {event.layer} at step {event.step}" for event in trajectory.events
    )
    alt = f"{spoken(name)} in {len(layers)} layers at {len(steps)} steps. {events or 'No collapse'}."
    return Figure(f"layers-{name}".replace("_", "-"), spoken(name), look, [View(name, alt, data)])


def scalars_figure(trajectory: Trajectory) -> Figure:
    """Return the numbers of the training itself, as the noise scale, over its steps: a view for each."""
    views = []
    for name, found in trajectory.scalars.items():
        known = [(step, value) for step, value in found.items() if value is not None]
        if not known:
            continue
        first, last = known[0], known[-1]
        alt = f"{spoken(name)}: {number(first[1])} at step {first[0]}, {number(last[1])} at step {last[0]}."
        views.append(View(spoken(name), alt, [_curve(known, spoken(name), "var(--class-0)", 2.0)]))
    look = layout(axis("step"), axis())
    look["xaxis"]["nticks"] = 8
    look |= {"hovermode": "x unified", "height": 260}
    return Figure("scalars", "Beside the layers", look, views)


def _line(site: TangentSite, field: str, called: str, color: str, dash: str) -> Json | None:
    values = [(step.step, _share(step, field)) for step in site.steps]
    known = [(step, value) for step, value in values if value is not None]
    if not known:
        return None
    return _curve(known, called, color, 2.0 if field == "energy" else 1.2, dash)


def _curve(
    known: list[tuple[int, float]], called: str, color: str, width: float, dash: str = "solid"
) -> Json:
    return {
        "type": "scatter",
        "mode": "lines" if len(known) > 30 else "lines+markers",
        "name": label(called),
        "x": rounded(step for step, _ in known),
        "y": rounded(value for _, value in known),
        "line": {"color": color, "width": width, "dash": dash},
        "marker": {"color": color, "size": 6 if width == 2 else 4},
        "hovertemplate": "%{y:.4g}<extra>%{fullData.name}</extra>",
    }


def _share(step: TangentStep, field: str) -> float | None:
    value: float | None = getattr(step, field)
    return value


def _energy_words(site: TangentSite) -> str:
    first, last = site.steps[0], site.steps[-1]
    return (
        f"{site.module}: energy in the tangent proxy {number(first.energy)} at step {first.step} and "
        f"{number(last.energy)} at step {last.step}; its variance share {number(first.variance_share)} and "
        f"{number(last.variance_share)}; normal frames {number(first.normal)} and {number(last.normal)}."
    )


def _row(site: TangentSite, phase: TangentPhase) -> dict[str, Any]:
    numbers = (phase.energy, phase.ratio, phase.over_shuffled, phase.over_variance, phase.delta)
    return {
        "phase": phase.name,
        "steps": phase.steps,
        "cells": [(number(mean.value), _interval(mean)) for mean in numbers],
        "others": [
            number(mean.value) for mean in (phase.random, phase.following, phase.uncentered, phase.other)
        ]
        + [number(phase.p)],
        "verdict": phase.verdict,
        "sign": SIGNS[phase.verdict],
        "css": "changed" if phase.verdict == "beyond mechanical" else "unchanged",
        "why": phase.why,
    }


def _interval(mean: Mean) -> str:
    return "" if mean.low is None else f"{number(mean.low)} to {number(mean.high)}"


def _facts(tangent: TangentResult) -> list[tuple[str, str]]:
    sampled = max((len(site.steps) for site in tangent.sites), default=0)
    return [
        ("model", tangent.architecture),
        ("linear maps", str(len(tangent.sites))),
        ("steps", str(tangent.seen)),
        ("of them for the fit", "none" if tangent.fitted is None else str(tangent.fitted)),
        ("sampled after it", str(sampled)),
        ("random frames", str(tangent.draws)),
        ("smallest p", number(1 / (1 + tangent.draws))),
    ]
