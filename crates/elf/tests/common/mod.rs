//! What the tests share: a C compiler's output, and calls.
#![allow(
    unsafe_code,
    unreachable_pub,
    dead_code,
    clippy::unwrap_used,
    reason = "tests call what they load"
)]

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use opcodon_codemem::{Abi, Signature, Value};
use opcodon_elf::Library;

/// A folder that goes when this is dropped.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Self {
        static LAST: AtomicUsize = AtomicUsize::new(0);
        let number = LAST.fetch_add(1, Ordering::Relaxed);
        let name = format!("opcodon-elf-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }

    /// Compiles C or C++ (`.cc`) into a file of the folder, an object or with `-shared` a library;
    /// `None` without a compiler.
    pub fn build(&self, name: &str, source: &str, flags: &[&str]) -> Option<PathBuf> {
        let input = self.join(name);
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
        let why = match done {
            Ok(done) if done.status.success() => return Some(output),
            Ok(done) => String::from_utf8_lossy(&done.stderr).into_owned(),
            Err(error) => error.to_string(),
        };
        opcodon_testkit::report_skip(&format!("{name}: {compiler}: {why}"));
        None
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What a compiler makes of C or C++ (`.cc`); `None` without a compiler.
pub fn compile(name: &str, source: &str, flags: &[&str]) -> Option<Vec<u8>> {
    let folder = Folder::new();
    let path = folder.build(name, source, flags)?;
    Some(std::fs::read(path).unwrap())
}

/// Calls a function.
pub fn call(library: &Library, name: &str, signature: &str, args: &[Value]) -> Value {
    let signature = Signature::parse(signature).unwrap();
    let function = library.function(name, signature, Abi::SysV).unwrap();
    // SAFETY: the tests know the functions they call.
    unsafe { function.call(args) }.unwrap()
}
