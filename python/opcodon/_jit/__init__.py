"""The front end of `opcodon.jit`: from a Python function to its program, and back."""
