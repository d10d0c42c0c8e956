"""What `import opcodon` costs and offers."""

import subprocess
import sys

import pytest

import opcodon

# Each takes longer to import than Opcodon may take as a whole, or is optional.
HEAVY = ["numpy", "scipy", "sklearn", "pandas", "sympy", "matplotlib", "deap", "joblib", "ray"]


def run(program):
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    ).stdout


def test_import_is_light():
    program = (
        "import sys; before = set(sys.modules); import opcodon; "
        "print(*sorted(set(sys.modules) - before))"
    )
    loaded = run(program).split()
    assert [name for name in loaded if name.partition(".")[0] in HEAVY] == []
    assert len(loaded) < 60, loaded


def test_every_public_name_exists():
    program = (
        "import opcodon; print(*(type(getattr(opcodon, n)).__name__ for n in opcodon.__all__))"
    )
    assert len(run(program).split()) == len(opcodon.__all__)
    assert dir(opcodon) == sorted(opcodon.__all__)


def test_unknown_names_are_reported():
    with pytest.raises(AttributeError, match="no attribute 'Regressor'"):
        opcodon.Regressor  # noqa: B018


def test_the_core_has_the_version_of_the_distribution():
    from importlib.metadata import version

    assert opcodon.__version__ == version("opcodon")
