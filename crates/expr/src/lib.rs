//! Expressions: operator table, postfix tree, parser, printers, reference, derivative.
