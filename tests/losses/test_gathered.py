"""Two processes with gloo against one process that has all points."""

import os

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from conescope.losses import Balanced, Gathered, PerClass, PersistentEntropyLoss, Remembered

SPLITS = {"even": (12, 12), "uneven": (17, 7), "one rank empty": (24, 0)}


def data():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(24, 5, generator=generator, dtype=torch.float64), torch.arange(24) % 3


def model():
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 4)).double()


LOSSES = {
    "entropy": lambda: PersistentEntropyLoss(selection=None),
    "per class": lambda: PerClass(lambda p, _: (p - p.mean(0)).square().sum(1).mean(), min_points=2),
    "remembered": lambda: Remembered(PersistentEntropyLoss(selection=None), size=40),
}


def run(network, loss, points, labels):
    """Return the values and the parameter gradients of two calls."""
    found = []
    for labelled in (labels, None):
        network.zero_grad()
        value = loss(network(points), labelled)
        value.backward()
        found.append((value.detach(), [parameter.grad.clone() for parameter in network.parameters()]))
    return found


def on_one_rank(rank, folder):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    points, labels = data()
    found = {}
    for split, sizes in SPLITS.items():
        own = slice(0, sizes[0]) if rank == 0 else slice(sizes[0], None)
        for name, make in LOSSES.items():
            network = DistributedDataParallel(model())
            loss = Gathered(make(), equal_sizes=split == "even" and name == "entropy")
            found[split, name] = run(network, loss, points[own], labels[own])
            found[split, name, "observed"] = loss.observed
    found["errors"] = {}
    for what, (dim, labelled) in {"the dimension": (3 + rank, True), "having labels": (3, rank == 0)}.items():
        try:
            Gathered(LOSSES["entropy"]())(torch.ones(4, dim), torch.zeros(4).long() if labelled else None)
        except ValueError as problem:
            found["errors"][what] = str(problem)
    balanced = Balanced(LOSSES["entropy"](), share=0.5, momentum=0.0, start=1.0)
    balanced.observe(torch.tensor((0.6, 0.8)[rank]), torch.tensor((0.8, 0.6)[rank]) * 0.75)
    found["balanced"] = balanced.weight
    torch.save(found, f"{folder}/{rank}.pt")
    dist.barrier()
    os._exit(0)  # all is written; threads of gloo may abort a process that ends in the usual way


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gloo")
    started = mp.start_processes(on_one_rank, (str(folder),), nprocs=2, join=False, start_method="spawn")
    try:
        while not started.join(timeout=120):
            pass
    finally:
        for process in started.processes:
            process.kill()
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("name", LOSSES)
def test_values_and_parameter_gradients_are_those_of_one_process(ranks, split, name):
    loss = LOSSES[name]()
    points, labels = data()
    expected = run(model(), loss, points, labels)
    for rank in ranks:
        torch.testing.assert_close(rank[split, name], expected, rtol=1e-6, atol=1e-9)
        torch.testing.assert_close(rank[split, name, "observed"], loss.observed)
    assert all(gradient.abs().max() > 0 for _, gradients in expected for gradient in gradients[:1])


def test_values_are_the_same_on_every_rank(ranks):
    for key in ((split, name) for split in SPLITS for name in LOSSES):
        first, second = ([value for value, _ in rank[key]] for rank in ranks)
        assert first == second


def test_ranks_that_differ_are_named_on_every_rank(ranks):
    for rank in ranks:
        assert (
            "dimension of the points must be the same on every rank, got [3, 4]"
            in rank["errors"]["the dimension"]
        )
        assert "having labels must be the same on every rank, got [1, 0]" in rank["errors"]["having labels"]


def test_balanced_knows_the_norms_of_all_ranks(ranks):
    for rank in ranks:  # norms over both ranks: 1 for the task, 0.75 for the loss
        assert rank["balanced"].item() == pytest.approx(4 / 3)


def test_outside_of_torch_distributed_it_is_the_loss_itself():
    points, labels = data()
    module = Gathered(PersistentEntropyLoss())
    torch.testing.assert_close(module(points, labels), PersistentEntropyLoss()(points, labels))
    assert module.observed["bars"] == 21
    points.requires_grad_()
    assert torch.autograd.gradcheck(lambda p: module(p, labels), points)


@pytest.mark.usefixtures("without_shape_checks")
def test_bad_labels_are_named():
    with pytest.raises(ValueError, match=r"expected shape \(24,\)"):
        Gathered(PersistentEntropyLoss())(data()[0], torch.zeros(3, dtype=torch.int64))
