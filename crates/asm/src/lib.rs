//! x86-64 … AVX-512 assembler: operands in, bytes and offsets out.
