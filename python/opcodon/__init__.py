"""Genetic programming whose programs are machine code, and a machine-code workbench."""

from opcodon._core import __version__ as __version__
