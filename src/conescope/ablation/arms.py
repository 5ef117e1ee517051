"""One arm of an ablation, written as text: a regularizer, its options, and the wrappers around it.

`koleo:weight=0.1,per_class=true,sphere=true` is the KoLeo loss on unit vectors, within each class, with
weight 0.1. Options of the loss are the parameters of its class in `conescope.losses`; those of the wrappers
are in `WRAPPERS`.
"""

import ast
import contextlib
import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError
from torch import nn

from conescope.losses import (
    Balanced,
    CosineLoss,
    IsoScoreLoss,
    KoLeoLoss,
    Layers,
    OnSphere,
    OrthogonalLoss,
    PerClass,
    PersistentEntropyLoss,
    Remembered,
    SlicedGaussianLoss,
    SpectralEntropyLoss,
    UniformityLoss,
    VarianceCovarianceLoss,
)
from conescope.results import AblationArm, AblationRun

PLAIN = "plain"
LOSSES: dict[str, type[nn.Module]] = {
    "cosine": CosineLoss,
    "iso-score": IsoScoreLoss,
    "koleo": KoLeoLoss,
    "orthogonal": OrthogonalLoss,
    "persistent-entropy": PersistentEntropyLoss,
    "sliced-gaussian": SlicedGaussianLoss,
    "spectral-entropy": SpectralEntropyLoss,
    "uniformity": UniformityLoss,
    "variance-covariance": VarianceCovarianceLoss,
}
WRAPPERS: dict[str, Any] = {  # from option to type
    "weight": float,  # of the loss; left out, it is chosen or 1
    "sphere": bool,  # OnSphere
    "per_class": bool,  # PerClass
    "memory": int,  # Remembered: points in the cloud
    "layers": str,  # Layers: numbers joined by +, as in -1+3
    "balanced": float,  # Balanced: share of the gradient, in place of a weight
}
NOT_TEXT = ("reference",)  # parameters that are tensors


@dataclass(frozen=True)
class ArmSpec:
    """A regularizer with the options that are not its defaults, sorted; or plain training."""

    loss_name: str | None = None  # a key of LOSSES; None is plain training
    options: tuple[tuple[str, Any], ...] = ()

    def __post_init__(self) -> None:
        if self.loss_name is None and self.options:
            raise ValueError("plain training has no options; name a regularizer, or drop them")
        if self.loss_name is not None:
            self.loss(1.0)  # refuses what it can not use before anything is trained

    @property
    def name(self) -> str:
        """What `parse_arm` reads back, in one spelling; "plain" for plain training."""
        if self.loss_name is None:
            return PLAIN
        words = ",".join(f"{option}={_spelled(value)}" for option, value in self.options)
        return f"{self.loss_name}:{words}" if words else self.loss_name

    @property
    def weight(self) -> float | None:
        """The weight that the text gives, if it does."""
        found = dict(self.options).get("weight")
        return None if found is None else float(found)

    @property
    def balanced(self) -> bool:
        """Whether the weight follows the gradient of the task."""
        return "balanced" in dict(self.options)

    @property
    def fixed(self) -> bool:
        """Whether there is no weight to choose: plain, given, or balanced."""
        return self.loss_name is None or self.balanced or self.weight is not None

    @property
    def settings(self) -> dict[str, Any] | None:
        """What determines the regularizer apart from a weight that was chosen; None for plain training."""
        return None if self.loss_name is None else {"name": self.loss_name, **dict(self.options)}

    def with_weight(self, weight: float) -> "ArmSpec":
        """Return the arm with this weight; plain training, a given weight and a balanced arm stay."""
        if self.fixed:
            return self
        return ArmSpec(self.loss_name, tuple(sorted([*self.options, ("weight", weight)])))

    def loss(self, weight: float | None = None) -> nn.Module | None:
        """Return a new module; None for plain training.

        Args:
            weight: used where the text gives none and it is not balanced; None is 1.
        """
        if self.loss_name is None:
            return None
        wrappers = {name: value for name, value in self.options if name in WRAPPERS}
        own = {name: value for name, value in self.options if name not in WRAPPERS}
        kind = LOSSES[self.loss_name]
        if "seed" in inspect.signature(kind).parameters:
            own.setdefault("seed", 0)  # its draws must not come from the generator of the dropout
        own["weight"] = wrappers.get("weight", 1.0 if weight is None or self.balanced else weight)
        if "layers" in wrappers:
            numbers = _layer_numbers(wrappers["layers"])
            found: nn.Module = Layers({number: _wrapped(kind(**own), wrappers) for number in numbers})
        else:
            found = _wrapped(kind(**own), wrappers)
        return Balanced(found, share=wrappers["balanced"]) if self.balanced else found


def with_runs(arm: ArmSpec, weight: float | None, runs: Sequence[AblationRun]) -> AblationArm:
    """Return an arm with the weight it got and its runs, as the statistics compare it."""
    return AblationArm(
        name=arm.name, specification=arm.name, settings=arm.settings, weight=weight, runs=tuple(runs)
    )


def parse_arm(text: str) -> ArmSpec:
    """Return the arm that a text describes: `name` or `name:option=value,option=value`.

    `none` and `plain` are plain training. A semicolon separates options as a comma does, so that a list of
    arms may be separated by commas. `true`, `false` and `None` are read in any case. An option with its
    default value is the same arm as without it.

    Raises:
        ValueError: for a name, an option or a value that is none, with those that there are.

    >>> parse_arm("koleo:sphere=true;weight=0.1").name
    'koleo:sphere=true,weight=0.1'
    >>> parse_arm("persistent-entropy:selection=None,min_points=5").name
    'persistent-entropy:selection=None'
    """
    name, _, rest = text.strip().partition(":")
    words = [word.strip() for word in rest.replace(";", ",").split(",") if word.strip()]
    if name in ("none", PLAIN):
        if words:
            raise ValueError(f"{text!r}: plain training has no options; name a regularizer, or drop them")
        return ArmSpec()
    if name not in LOSSES:
        raise ValueError(f"no regularizer {name!r}; there are none, {', '.join(LOSSES)}")
    options = _options(text, name, words)
    if "balanced" in options and "weight" in options:
        raise ValueError(f"{text!r}: a balanced weight follows the task; give either balanced or weight")
    if name == "persistent-entropy" and options.get("per_class"):
        raise ValueError(f"{text!r}: persistent-entropy is per class by itself; drop per_class")
    if name == "iso-score" and options.get("zeta") != 0 and {"per_class", "layers"} & set(options):
        raise ValueError(
            f"{text!r}: the reference covariance is that of one whole space; add zeta=0 to use none, "
            "or drop per_class and layers"
        )
    return ArmSpec(name, tuple(sorted(options.items())))


def _options(text: str, name: str, words: list[str]) -> dict[str, Any]:
    """Return the options that are not the defaults."""
    defaults = _defaults(name)
    options: dict[str, Any] = {}
    for word in words:
        option, equals, value = (part.strip() for part in word.partition("="))
        if option not in defaults:
            raise ValueError(f"{name} has no option {option!r}; there are {', '.join(defaults)}")
        if not equals:
            raise ValueError(f"{text!r}: an option is written option=value, got {word!r}")
        if option in options:
            raise ValueError(f"{text!r}: option {option!r} is given twice")
        options[option] = _value(name, option, defaults[option][0], value)
    return {option: value for option, value in options.items() if value != defaults[option][1]}


def _defaults(name: str) -> dict[str, tuple[Any, Any]]:
    """Return type and default of each option; the defaults of weight, memory and so on are absence."""
    found: dict[str, tuple[Any, Any]] = {
        parameter.name: (parameter.annotation, parameter.default)
        for parameter in inspect.signature(LOSSES[name], eval_str=True).parameters.values()
        if parameter.name not in (*WRAPPERS, *NOT_TEXT)
    }
    return found | {option: (kind, False if kind is bool else None) for option, kind in WRAPPERS.items()}


def _value(name: str, option: str, kind: Any, text: str) -> Any:
    """Return the value of that type: what Python reads in the text, or the text itself."""
    plain = {"true": True, "false": False, "none": None}
    candidates: list[Any] = [plain[text.lower()]] if text.lower() in plain else []
    with contextlib.suppress(ValueError, SyntaxError):
        candidates.append(ast.literal_eval(text))
    for candidate in [*candidates, text]:
        try:
            return TypeAdapter(kind).validate_python(candidate, strict=True)
        except ValidationError:
            continue
    wanted = kind.__name__ if isinstance(kind, type) else str(kind).replace("typing.", "")
    raise ValueError(f"{name}: option {option} takes {wanted}, got {text!r}")


def _layer_numbers(text: str) -> list[int]:
    try:
        return list(dict.fromkeys(int(part) for part in text.split("+")))
    except ValueError as problem:
        raise ValueError(f"layers are whole numbers joined by +, as in -1+3, got {text!r}") from problem


def _wrapped(loss: nn.Module, wrappers: dict[str, Any]) -> nn.Module:
    """Return the loss of one layer inside its wrappers; a memory holds points of all classes."""
    if wrappers.get("sphere"):
        loss = OnSphere(loss)
    if wrappers.get("per_class"):
        loss = PerClass(loss)
    return Remembered(loss, size=wrappers["memory"]) if "memory" in wrappers else loss


def _spelled(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and float(short := f"{value:g}") == value:
        return short
    return str(value)
