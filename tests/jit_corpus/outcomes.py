"""What calls with numpy's arrays come to, warnings and shared memory included, to be compared."""

from __future__ import annotations

import warnings

import numpy as np

import opcodon

NEW_NUMPY = int(np.__version__.split(".")[0]) >= 2


def described(value):
    if isinstance(value, np.ndarray):
        data = np.ascontiguousarray(value)
        if data.dtype.kind == "f":
            data = np.where(np.isnan(data), np.nan, data)
        return value.dtype, value.shape, value.strides, data.tobytes()
    return type(value), str(value)


def again(args):
    """The same arguments in memory of their own, shared among them as before."""
    copies = {}

    def copied(value):
        if not isinstance(value, np.ndarray):
            return value
        owner = value
        while isinstance(owner.base, np.ndarray):
            owner = owner.base
        if id(owner) not in copies:
            copies[id(owner)] = owner.copy(order="K")
        start = [each.__array_interface__["data"][0] for each in (value, owner)]
        buffer = copies[id(owner)].ravel(order="K").view(np.uint8)
        offset = start[0] - start[1]
        made = np.ndarray(value.shape, value.dtype, buffer, offset, value.strides)
        made.flags.writeable = value.flags.writeable
        return made

    return tuple(map(copied, args))


def outcome(function, args):
    """What a call gives and what its arguments are then, as something to be compared."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = function(*args)
        except Exception as error:
            result = type(error), str(error)
    told = [(each.category, str(each.message)) for each in caught]
    results = result if isinstance(result, tuple) else (result,)
    return [described(each) for each in [*results, *args]], told


def check(function, *args, passes=True):
    """Compares a function with itself as machine code, arguments included."""
    jitted = opcodon.jit(function)
    for _ in range(3):
        assert outcome(jitted, again(args)) == outcome(function, again(args)), args
    told = any("in one pass" in line.why for line in jitted.report().lines)
    if passes is not None and NEW_NUMPY:
        assert told == passes, str(jitted.report())


def reals(*shape, seed=0):
    return np.random.default_rng(seed).uniform(0.5, 2, shape)
