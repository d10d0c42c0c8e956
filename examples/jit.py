"""A Python function as machine code: the escape times of the Mandelbrot set.

Run it: the same function in Python and compiled, and what ran as machine code.
"""

import time

import opcodon


def escape(c_re, c_im, limit):
    x = y = 0.0
    for k in range(limit):
        x2, y2 = x * x, y * y
        if x2 + y2 > 4.0:
            return k
        y = 2.0 * x * y + c_im
        x = x2 - y2 + c_re
    return limit


def mandelbrot(width, height, limit):
    total = 0
    for j in range(height):
        for i in range(width):
            total += escape(3.0 * i / width - 2.0, 2.5 * j / height - 1.25, limit)
    return total


if __name__ == "__main__":
    compiled = opcodon.jit(mandelbrot)
    compiled(4, 4, 10)
    for name, function in (("Python", mandelbrot), ("machine code", compiled)):
        start = time.perf_counter()
        total = function(160, 120, 100)
        print(f"{name:12} {1e3 * (time.perf_counter() - start):8.2f} ms  {total}")
    print(compiled.report())
