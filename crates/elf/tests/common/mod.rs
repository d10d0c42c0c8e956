//! What the tests share: a C compiler's output, and calls.
#![allow(
    unsafe_code,
    unreachable_pub,
    dead_code,
    reason = "tests call what they load"
)]

use std::path::PathBuf;
use std::process::Command;

use opcodon_codemem::{Abi, Signature, Value};
use opcodon_elf::Library;

/// A folder of its own for each test.
pub fn folder(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("opcodon-elf-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&path).unwrap();
    path
}

/// Compiles C or C++ (`.cc`) and gives the file's bytes; `None` without a compiler.
pub fn compile(name: &str, source: &str, flags: &[&str]) -> Option<Vec<u8>> {
    let path = build(name, source, flags)?;
    Some(std::fs::read(path).unwrap())
}

/// Compiles C or C++ (`.cc`) and gives the file's path; `None` without a compiler.
pub fn build(name: &str, source: &str, flags: &[&str]) -> Option<PathBuf> {
    let folder = folder(name);
    let input = folder.join(name);
    std::fs::write(&input, source).unwrap();
    let is_library = flags.contains(&"-shared");
    let output = input.with_extension(if is_library { "so" } else { "o" });
    let compiler = if name.ends_with(".cc") { "c++" } else { "cc" };
    let done = Command::new(compiler)
        .args(if is_library {
            &["-O1"][..]
        } else {
            &["-O1", "-c"]
        })
        .arg(&input)
        .arg("-o")
        .arg(&output)
        .args(flags)
        .output();
    let Ok(done) = done else {
        opcodon_testkit::report_skip(&format!("{name}: there is no {compiler}"));
        return None;
    };
    let errors = String::from_utf8_lossy(&done.stderr);
    if !done.status.success() {
        opcodon_testkit::report_skip(&format!("{name}: {compiler} refuses: {errors}"));
        return None;
    }
    Some(output)
}

/// Calls a function.
pub fn call(library: &Library, name: &str, signature: &str, args: &[Value]) -> Value {
    let signature = Signature::parse(signature).unwrap();
    let function = library.function(name, signature, Abi::SysV).unwrap();
    // SAFETY: the tests know the functions they call.
    unsafe { function.call(args) }.unwrap()
}
