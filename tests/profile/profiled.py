"""Profiles by hand: the values of one measure or more in the layers of a stack."""

from conescope.results import Layer, MeasuredValue, Measurement, Profile


def values(**measures):
    """Return measured values; each is a number, (value, half width), (value, half width, healthy) or None."""
    found = []
    for name, given in measures.items():
        value, half, healthy = (*(given if isinstance(given, tuple) else (given, None)), None)[:3]
        ends = {} if half is None else {"low": value - half, "high": value + half}
        found.append(
            MeasuredValue(
                name=name, value=value, healthy=healthy, note="" if value is not None else "n", **ends
            )
        )
    return tuple(found)


def layer(depth, kind=None, stack="", constant=False, d=8, tables=(), **measures):
    return Layer(
        stack=stack,
        depth=depth,
        module=f"blocks.{depth}",
        kind=kind or ("block" if depth else "input"),
        constant=constant,
        measurement=Measurement(n=100, d=d, values=values(**measures)),
        tables=tables,
    )


def profile(*layers, title="model", **more):
    given = {"architecture": "Made", "modality": "text", "pooling": "mean", "special_tokens": False}
    return Profile(**{"title": title, "inputs": 100, "seed": 0, **given, **more, "layers": layers})


def cosines(*given, title="model", **more):
    """Return a profile of mean cosines, each with half width 0.01."""
    layers = [layer(depth, mean_cosine=(value, 0.01)) for depth, value in enumerate(given)]
    return profile(*layers, title=title, **more)
