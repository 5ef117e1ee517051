"""One training under the instrument: the loop, the trajectory, and the loop again for its first steps."""

import time
from contextlib import ExitStack

import torch
from experiments.bernas2026.models import watched

from conescope.dynamics import Recorder, TangentEnergy, frequency_geometry

FIT = 0.3
WARM_UP = 0.1
RECORDED = 12  # times in a run
LAYERS = 7  # that are recorded, at most
MEASURES = ("mean_cosine", "anisotropy_1", "effective_rank")


def fit_steps(plan):
    """Return the steps of the fit: 30 % of all, rounded to a multiple of `every`."""
    return max(round(FIT * plan.steps / plan.every), 1) * plan.every


def run(task, seed, other):
    """Return what is kept of a run and its proxies; `other` are the proxies of another seed, or None."""
    began = time.perf_counter()
    recorder = Recorder(MEASURES, every=max(task.plan.steps // RECORDED, 1), sample=1024)
    torch.manual_seed(seed)
    model = task.model()
    before = _frequency(model, task)
    first = _validated(model, task)
    own = instrument(model, task, seed, None)
    given = [] if other is None else [instrument(model, task, seed, other)]
    losses = trained(model, task, seed, [own, *given], recorder=recorder)
    found = {
        "model": task.name,
        "seed": seed,
        "plan": task.plan._asdict() | {"fit": fit_steps(task.plan)},
        "corpus": task.corpus,
        "parameters": sum(weight.numel() for weight in model.parameters()),
        "validation": {"before": first, "after": _validated(model, task)},
        "losses": losses,
        "own": own.result().model_dump(mode="json"),
        "other": given[0].result().model_dump(mode="json") if given else None,
        "trajectory": recorder.trajectory().model_dump(mode="json"),
        "frequency": {"before": before, "after": _frequency(model, task)},
    }
    del model
    found |= replay(task, seed, own.proxies(), losses)
    return found | {"seconds": round(time.perf_counter() - began, 1)}, own.proxies()


def replay(task, seed, proxies, losses):
    """Train the steps of the fit once more, and measure their gradients in the proxies that they gave."""
    torch.manual_seed(seed)
    model = task.model()
    opening = instrument(model, task, seed, proxies)
    again = trained(model, task, seed, [opening], stop=fit_steps(task.plan))
    return {"opening": opening.result().model_dump(mode="json"), "replayed": again == losses[: len(again)]}


def instrument(model, task, seed, proxies):
    """Return the instrument, not yet open."""
    plan = task.plan
    return TangentEnergy(
        model,
        modules=watched(model),
        rank=plan.rank,
        fit_fraction=fit_steps(plan) / plan.steps,
        total_steps=plan.steps,
        every=plan.every,
        seed=seed,
        proxies=proxies,
    )


def trained(model, task, seed, instruments, *, stop=None, recorder=None):
    """Train a model, and return the loss of every step."""
    torch.manual_seed(seed + 1)  # of dropout
    plan = task.plan
    optimizer = torch.optim.AdamW(model.parameters(), lr=plan.rate, weight_decay=0.01, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, plan.steps))
    losses = []
    began = time.perf_counter()
    with ExitStack() as stack:
        for each in instruments:
            stack.enter_context(each)
        for step in range(plan.steps if stop is None else stop):
            if recorder is not None and step % recorder.every == 0:
                recorder.see(step, states(model, task.probe))
            model.train()
            with torch.autocast("cpu", torch.bfloat16):
                loss = model(**task.batch(seed, step)).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            losses.append(round(loss.item(), 6))
            if (step + 1) % max(plan.steps // 10, 1) == 0:
                spent = time.perf_counter() - began
                print(
                    f"{task.name} {seed}: step {step + 1} of {plan.steps}, loss {losses[-1]:.3f}, "
                    f"{spent:.0f} s",
                    flush=True,
                )
    return losses


def _rate(step, steps):
    """Return the learning rate's factor: a linear rise, then a cosine to 0."""
    warm = max(round(WARM_UP * steps), 1)
    if step < warm:
        return (step + 1) / warm
    return float(0.5 * (1 + torch.cos(torch.tensor(torch.pi * (step - warm) / max(steps - warm, 1)))))


def states(model, inputs, layers=LAYERS):
    """Return the hidden states of real tokens by layer, of at most so many layers, ends included."""
    model.eval()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        found = model(**inputs, output_hidden_states=True).hidden_states
    real = inputs.get("attention_mask", torch.ones_like(inputs["input_ids"])).bool()
    last = len(found) - 1
    chosen = sorted({round(last * number / (layers - 1)) for number in range(layers)}) if last else [0]
    return {f"layer {number}": found[number][real].float() for number in chosen}


@torch.no_grad()
def _validated(model, task):
    model.eval()
    with torch.autocast("cpu", torch.bfloat16):
        return {name: round(value, 6) for name, value in task.validate(model).items()}


def _frequency(model, task):
    """Return both rank correlations with log count, for the vectors of the middle and the last layer."""
    if task.frequency is None:
        return None
    rows, counts = task.frequency
    batches = [states(model, {"input_ids": part}, layers=3) for part in rows.split(64)]
    layers = {name: torch.cat([batch[name] for batch in batches]) for name in list(batches[0])[1:]}
    found = {name: frequency_geometry(points, rows.flatten(), counts) for name, points in layers.items()}
    return {
        name: {"distance": one.distance._asdict(), "visibility": one.visibility._asdict()}
        for name, one in found.items()
    }
