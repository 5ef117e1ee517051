"""What a TangentEnergy holds so far, as tensors and JSON: a training that was stopped goes on with it.

On disk it is one safetensors file whose metadata is the JSON, written whole or not at all; nothing in it is
run when it is read. Sums of a step that did not end are not kept: a checkpoint lies between two steps.
"""

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from conescope._files import whole_file
from conescope._optional import require
from conescope.dynamics.proxy import Proxy
from conescope.dynamics.site_record import SiteRecord
from conescope.dynamics.streamed import Streamed
from conescope.dynamics.tangent_energy import TangentEnergy
from conescope.results.dynamics import TangentStep

SCHEMA = "conescope.tangent-state/1"
KEY, PROXIES = "tangent", "proxies"  # of the metadata
LEFT_OUT = ("site", "sums")  # the module itself, and what lasts as long as a step
KINDS: dict[str, Any] = {kind.__name__: kind for kind in (Streamed, Proxy)}


def packed(energy: TangentEnergy) -> tuple[str, dict[str, Tensor]]:
    """Return what was fitted and recorded so far: as JSON, and the tensors that it names, on the CPU.

    Raises:
        TypeError: for a record that holds something else than numbers, texts and tensors.
    """
    tensors: dict[str, Tensor] = {}
    records = [
        {
            field.name: _pack(getattr(record, field.name), tensors)
            for field in fields(SiteRecord)
            if field.name not in LEFT_OUT
        }
        for record in energy.records
    ]
    header = {
        "schema": SCHEMA,
        "settings": _settings(energy),
        "seen": energy.steps_seen,
        "records": records,
    }
    return json.dumps(header), tensors


def unpack(energy: TangentEnergy, header: str, tensors: Mapping[str, Tensor]) -> None:
    """Give a TangentEnergy that was just made what `packed` returned for another one of the same settings.

    Raises:
        ValueError: for other settings, modules or proxies of another run, or a text of another kind.
    """
    try:
        known = json.loads(header)
        fits = known["schema"] == SCHEMA
    except (ValueError, KeyError, TypeError):
        fits = False
    if not fits:
        raise ValueError(f"expected a state of schema {SCHEMA}; start the training anew")
    settings = json.loads(json.dumps(_settings(energy)))
    for name, value in settings.items():
        if known["settings"].get(name) != value:
            raise ValueError(
                f"the stored tangent energy was measured with {name} = {known['settings'].get(name)}, "
                f"and now {value} is asked for; go on with the same settings, or start the training anew"
            )
    for record, held in zip(energy.records, known["records"], strict=True):
        device = cast(Tensor, record.site.module.weight).device
        moved = {name: tensors[name].to(device) for name in _named(held)}
        found = {name: _unpack(value, moved) for name, value in held.items()}
        if not _same(record.other, found["other"]):
            raise ValueError(
                f"the stored tangent energy of {record.site.name} was measured beside other proxies than "
                "these of another run; go on with the same `others`, or start the training anew"
            )
        for name, value in found.items():
            setattr(record, name, value)
    energy.steps_seen = known["seen"]


def save(energy: TangentEnergy, path: str | Path) -> None:
    """Write what was fitted and recorded so far to a safetensors file.

    Raises:
        ImportError: if safetensors is missing.
    """
    require("safetensors", extra="files")
    from safetensors.torch import save_file

    header, tensors = packed(energy)
    with whole_file(path) as temporary:
        save_file({name: value.contiguous() for name, value in tensors.items()}, temporary, {KEY: header})


def load(energy: TangentEnergy, path: str | Path) -> None:
    """Give a TangentEnergy that was just made what `save` wrote.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no such state, or one of other settings.
        ImportError: if safetensors is missing.
    """
    unpack(energy, *_opened(path, KEY))


def save_proxies(proxies: Mapping[str, Proxy], path: str | Path) -> None:
    """Write proxies by module to a safetensors file, for a run of another seed.

    Raises:
        ImportError: if safetensors is missing.
    """
    require("safetensors", extra="files")
    from safetensors.torch import save_file

    tensors: dict[str, Tensor] = {}
    header = {name: _pack(proxy, tensors) for name, proxy in proxies.items()}
    with whole_file(path) as temporary:
        save_file(
            {name: value.contiguous() for name, value in tensors.items()},
            temporary,
            {PROXIES: json.dumps(header)},
        )


def load_proxies(path: str | Path) -> dict[str, Proxy]:
    """Return what `save_proxies` wrote.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it holds no proxies.
        ImportError: if safetensors is missing.
    """
    header, tensors = _opened(path, PROXIES)
    try:
        found = {name: _unpack(value, tensors) for name, value in json.loads(header).items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        found = {}
    if not found or not all(isinstance(proxy, Proxy) for proxy in found.values()):
        raise ValueError(f"{path} holds no proxies; give the proxies.safetensors of a watched training")
    return found


def _opened(path: str | Path, key: str) -> tuple[str, dict[str, Tensor]]:
    """Return an entry of the metadata, empty if it is not there, and the tensors."""
    require("safetensors", extra="files")
    from safetensors import SafetensorError, safe_open

    if not Path(path).is_file():
        raise FileNotFoundError(f"no file {path}")
    try:
        with safe_open(path, "pt") as file:
            return (file.metadata() or {}).get(key, ""), {
                name: file.get_tensor(name)
                for name in file.keys()  # noqa: SIM118
            }
    except SafetensorError as problem:
        raise ValueError(f"{path}: no whole safetensors file ({problem}); start the training anew") from None


def _settings(energy: TangentEnergy) -> dict[str, Any]:
    return {
        "modules": [record.site.name for record in energy.records],
        "rank": energy.rank,
        "steps of the fit": energy.fit_steps,
        "every": energy.every,
        "draws": energy.draws,
        "seed": energy.seed,
        "proxy": energy.proxy,
        "refit_every": energy.refit_every,
        "reservoir": energy.reservoir,
    }


def _pack(value: Any, tensors: dict[str, Tensor]) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Tensor):
        name = f"t{len(tensors)}"
        tensors[name] = value.detach().cpu().clone()  # two names must not share memory in the file
        return {"tensor": name}
    if isinstance(value, TangentStep):
        return {"step": value.model_dump()}
    kind = type(value).__name__
    if kind in KINDS:
        return {"kind": kind, "fields": {n: _pack(v, tensors) for n, v in value._asdict().items()}}
    if isinstance(value, list | tuple):
        packed_values = [_pack(each, tensors) for each in value]
        return packed_values if isinstance(value, list) else {"tuple": packed_values}
    raise TypeError(f"a record of tangent energy that holds a {kind} can not be stored")


def _unpack(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    if isinstance(value, list):
        return [_unpack(each, tensors) for each in value]
    if not isinstance(value, dict):
        return value
    if "tensor" in value:
        return tensors[value["tensor"]]
    if "step" in value:
        return TangentStep.model_validate(value["step"])
    if "tuple" in value:
        return tuple(_unpack(each, tensors) for each in value["tuple"])
    given = {name: _unpack(each, tensors) for name, each in value["fields"].items()}
    return KINDS[value["kind"]](**given)


def _same(one: Proxy | None, other: Proxy | None) -> bool:
    if one is None or other is None:
        return one is other
    return torch.equal(one.tangent.cpu(), other.tangent.cpu())


def _named(value: Any) -> list[str]:
    """Return the names of the tensors in a packed value."""
    if isinstance(value, list):
        return [name for each in value for name in _named(each)]
    if not isinstance(value, dict):
        return []
    if isinstance(value.get("tensor"), str):
        return [value["tensor"]]
    return [name for each in value.values() for name in _named(each)]
