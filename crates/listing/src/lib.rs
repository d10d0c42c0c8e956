//! Bytes and code map to annotated disassembly (iced-x86).
