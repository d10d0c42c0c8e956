"""The table in docs/jit.md is the corpus's."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "jit_corpus"))

from table import PAGE, with_table


def test_table_is_up_to_date():
    text = PAGE.read_text(encoding="utf-8")
    assert with_table(text) == text, "run tests/jit_corpus/table.py"
