r"""A small ReLU network with its gradient and Adam, in plain numpy.

Problem
-------
Fit a scalar function of a few hundred inputs, at sizes where a framework costs more than the
arithmetic.

Algorithm
---------
x_0 = input, z_k = W_k x_{k-1} + b_k, x_k = max(z_k, 0), output w . x_last + c.             (1)
Backward: the derivative of the loss by z_k is that by x_k where z_k > 0, zero elsewhere.   (2)
Adam (with optional AMSGrad and decoupled decay) on one flat vector of parameters:

    m = b1 m + (1 - b1) g,  v = b2 v + (1 - b2) g^2,
    p -= rate (m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps) + decay p).                    (3)

Guarantee
---------
Gradients equal finite differences up to rounding (tested).

Cost
----
A few products per step: tens of microseconds for a batch of 32 at 32 hidden units.

Deviations
----------
None.

References
----------
kingma2015; reddi2018 for AMSGrad.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdplib.errors import InvalidModelError

Floats = NDArray[np.float64]
Layer = tuple[Floats, Floats]


@dataclass(eq=False, repr=False)
class Network:
    """A ReLU network with a scalar output.

    Parameters
    ----------
    layers : list of (W, b)
        W (m, k) and b (m,) of each layer; the last has m = 1.

    Raises
    ------
    InvalidModelError
        If shapes do not chain, or a weight is not finite; the message names the layer.

    Examples
    --------
    >>> net = Network([(np.array([[1.0, -1.0]]), np.zeros(1)), (np.array([[2.0]]), np.ones(1))])
    >>> net(np.array([[3.0, 1.0], [1.0, 3.0]]))
    array([5., 1.])
    """

    layers: list[Layer]

    def __post_init__(self):
        checked: list[Layer] = []
        for k, (W, b) in enumerate(self.layers):
            W, b = np.array(W, dtype=np.float64), np.array(b, dtype=np.float64).ravel()
            if W.ndim != 2 or b.shape != (W.shape[0],):
                raise InvalidModelError(f"layer {k} has W {W.shape} and b {b.shape}")
            if checked and checked[-1][0].shape[0] != W.shape[1]:
                raise InvalidModelError(
                    f"layer {k} takes {W.shape[1]} inputs and layer {k - 1} gives "
                    f"{checked[-1][0].shape[0]}"
                )
            if not (np.isfinite(W).all() and np.isfinite(b).all()):
                raise InvalidModelError(
                    f"layer {k} has weights that are not finite; train with a smaller rate"
                )
            checked.append((W, b))
        if not checked or checked[-1][0].shape[0] != 1:
            raise InvalidModelError("the last layer must have one output")
        sizes = [W.size + b.size for W, b in checked]
        self.parameters = np.empty(sum(sizes))
        self.layers, at = [], 0
        for W, b in checked:  # the layers are views of one vector
            w = self.parameters[at : at + W.size].reshape(W.shape)
            w[:] = W
            c = self.parameters[at + W.size : at + W.size + b.size]
            c[:] = b
            self.layers.append((w, c))
            at += W.size + b.size

    @classmethod
    def random(
        cls, inputs: int, hidden: tuple[int, ...], rng: np.random.Generator, *, silent: bool = False
    ) -> Network:
        """Return a network with He-scaled weights.

        Parameters
        ----------
        inputs : int
            Number of inputs.
        hidden : tuple of int
            Units of each hidden layer.
        rng : numpy.random.Generator
            Source of the weights.
        silent : bool
            Whether the output begins as zero.

        Returns
        -------
        Network
        """
        sizes = [inputs, *hidden, 1]
        layers = [
            (rng.normal(size=(m, k)) * np.sqrt(2.0 / k), np.zeros(m))
            for k, m in itertools.pairwise(sizes)
        ]
        if silent:
            layers[-1][0][:] = 0.0
        return cls(layers)

    def copy(self) -> Network:
        """Return a network of its own with the same weights."""
        return Network([(W.copy(), b.copy()) for W, b in self.layers])

    def __call__(self, x: ArrayLike) -> Floats:
        """Return the output, (n,), of inputs (n, k)."""
        x = np.asarray(x, dtype=np.float64)
        for W, b in self.layers[:-1]:
            x = np.maximum(x @ W.T + b, 0.0)  # (1)
        W, b = self.layers[-1]
        return (x @ W.T + b)[:, 0]

    def gradient(self, x: Floats, slope: Floats) -> Floats:
        """Return the derivative of ``sum_i slope_i f(x_i)`` by the parameters.

        Parameters
        ----------
        x : (n, k) float64
            Inputs.
        slope : (n,) float64
            Derivative of the loss by each output.

        Returns
        -------
        (p,) float64
            In the order of `parameters`.
        """
        outputs = [x]
        for W, b in self.layers[:-1]:
            outputs.append(np.maximum(outputs[-1] @ W.T + b, 0.0))
        flow, parts = slope[:, None], []
        for k in range(len(self.layers) - 1, -1, -1):
            parts.append((flow.T @ outputs[k], flow.sum(axis=0)))
            if k:
                flow = (flow @ self.layers[k][0]) * (outputs[k] > 0)  # (2)
        return np.concatenate([np.concatenate([W.ravel(), b]) for W, b in reversed(parts)])

    def __repr__(self) -> str:
        sizes = [self.layers[0][0].shape[1], *(W.shape[0] for W, _ in self.layers)]
        return f"Network({'-'.join(map(str, sizes))})"


@dataclass
class Adam:
    """Adam on a flat vector.

    Parameters
    ----------
    size : int
        Number of parameters.
    rate : float
        Learning rate.
    decay : float
        Decoupled weight decay.
    amsgrad : bool
        Whether the second moment never falls.
    b1, b2, eps : float
        As usual.
    """

    size: int
    rate: float = 1e-3
    decay: float = 0.0
    amsgrad: bool = False
    b1: float = 0.9
    b2: float = 0.999
    eps: float = 1e-8
    t: int = 0
    m: Floats = field(init=False)
    v: Floats = field(init=False)
    top: Floats = field(init=False)

    def __post_init__(self):
        self.m, self.v, self.top = np.zeros(self.size), np.zeros(self.size), np.zeros(self.size)

    def step(self, parameters: Floats, gradient: Floats) -> None:
        """Move the parameters, in place."""
        self.t += 1
        self.m += (1 - self.b1) * (gradient - self.m)
        self.v += (1 - self.b2) * (gradient * gradient - self.v)
        second = self.v / (1 - self.b2**self.t)
        if self.amsgrad:
            self.top = np.maximum(self.top, second)
            second = self.top
        move = self.m / (1 - self.b1**self.t) / (np.sqrt(second) + self.eps)
        parameters -= self.rate * (move + self.decay * parameters)  # (3)
