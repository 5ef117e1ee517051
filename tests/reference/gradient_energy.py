"""Gradient energy and its nulls as their definitions read, in NumPy: sums of squares and all permutations."""

from itertools import permutations

import numpy as np


def gradient(inputs: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    return sum(np.outer(g, x) for g, x in zip(gradients, inputs, strict=True))


def energy(weight_gradient: np.ndarray, basis: np.ndarray) -> float:
    projected = [[float(row @ column) for column in basis.T] for row in weight_gradient]
    return float(np.sum(np.square(projected)) / np.sum(np.square(weight_gradient)))


def shuffled_energy(inputs: np.ndarray, gradients: np.ndarray, basis: np.ndarray) -> float:
    """Expected square inside over expected square, over every order of the gradients."""
    orders = [gradient(inputs, gradients[list(order)]) for order in permutations(range(len(inputs)))]
    inside = np.mean([np.sum((each @ basis) ** 2) for each in orders])
    return float(inside / np.mean([np.sum(each**2) for each in orders]))


def without(weight_gradient: np.ndarray, basis: np.ndarray) -> np.ndarray:
    return weight_gradient @ (np.eye(len(basis)) - basis @ basis.T)
