//! What `perf` reads: the map of names and addresses, and the dump of code.
//!
//! A map is enough as long as addresses are not used again; the dump also has times and bytes, so
//! that `perf inject --jit` can tell codes apart and `perf annotate` shows them.
//!
//! Sources: `tools/perf/Documentation/jit-interface.txt` and `jitdump-specification.txt` in Linux.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;

use opcodon_codemem::observe::{SourceLines, mark_for_perf, monotonic_ns, thread_id};

/// `/tmp/perf-PID.map`, appended to, since the interpreter may write there too.
#[derive(Default)]
pub(crate) struct PerfMap {
    file: Option<(u32, File)>,
}

impl PerfMap {
    pub(crate) fn add(&mut self, name: &str, code: &[u8]) {
        let process = std::process::id();
        // After a fork the map is another one.
        if self
            .file
            .as_ref()
            .is_none_or(|(owner, _)| *owner != process)
        {
            let path = format!("/tmp/perf-{process}.map");
            let file = OpenOptions::new().create(true).append(true).open(path).ok();
            self.file = file.map(|file| (process, file));
        }
        if let Some((_, file)) = &mut self.file {
            let name = name.replace(['\n', '\r'], " ");
            let line = format!("{:x} {:x} {name}\n", code.as_ptr() as usize, code.len());
            // What cannot be written is left out.
            let _ = file.write_all(line.as_bytes());
        }
    }
}

/// `jit-PID.dump`.
#[derive(Default)]
pub(crate) struct JitDump {
    file: Option<(u32, File)>,
}

const MAGIC: u32 = 0x4a69_5444;
const VERSION: u32 = 1;
const X86_64: u32 = 62;
const HEADER: u32 = 40;
const CODE_LOAD: u32 = 0;
/// Lines of the code whose load record is next.
const CODE_DEBUG_INFO: u32 = 2;
/// Bytes of a load record before the name.
const LOAD: usize = 56;

impl JitDump {
    pub(crate) fn add(
        &mut self,
        name: &str,
        code: &[u8],
        number: u64,
        lines: Option<&SourceLines>,
    ) {
        let process = std::process::id();
        if self
            .file
            .as_ref()
            .is_none_or(|(owner, _)| *owner != process)
        {
            self.file = begun(process).map(|file| (process, file));
        }
        let Some((_, file)) = &mut self.file else {
            return;
        };
        let name = name.replace('\0', " ");
        let size = LOAD + name.len() + 1 + code.len();
        let address = code.as_ptr() as u64;
        let mut record = Vec::with_capacity(size);
        if let Some(lines) = lines.filter(|lines| !lines.lines.is_empty()) {
            add_lines(&mut record, address, lines);
        }
        record.extend(CODE_LOAD.to_le_bytes());
        record.extend(u32::try_from(size).unwrap_or(u32::MAX).to_le_bytes());
        record.extend(monotonic_ns().to_le_bytes());
        record.extend(process.to_le_bytes());
        record.extend(thread_id().to_le_bytes());
        for word in [address, address, code.len() as u64, number] {
            record.extend(word.to_le_bytes());
        }
        record.extend(name.as_bytes());
        record.push(0);
        record.extend(code);
        // What cannot be written is left out.
        let _ = file.write_all(&record);
    }
}

/// A record that says which lines code is for.
fn add_lines(record: &mut Vec<u8>, address: u64, lines: &SourceLines) {
    let mut entries = Vec::new();
    for (offset, line) in &lines.lines {
        entries.extend((address + *offset as u64).to_le_bytes());
        entries.extend(line.to_le_bytes());
        entries.extend(0_u32.to_le_bytes());
        entries.extend(lines.file.bytes().filter(|&byte| byte != 0));
        entries.push(0);
    }
    let size = 32 + entries.len();
    record.extend(CODE_DEBUG_INFO.to_le_bytes());
    record.extend(u32::try_from(size).unwrap_or(u32::MAX).to_le_bytes());
    record.extend(monotonic_ns().to_le_bytes());
    record.extend(address.to_le_bytes());
    record.extend((lines.lines.len() as u64).to_le_bytes());
    record.extend(entries);
}

/// A dump with its header, marked for `perf record`.
fn begun(process: u32) -> Option<File> {
    let path: PathBuf = std::env::temp_dir().join(format!("jit-{process}.dump"));
    let mut options = OpenOptions::new();
    let mut file = options
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(path)
        .ok()?;
    let mut header = Vec::new();
    for word in [MAGIC, VERSION, HEADER, X86_64, 0, process] {
        header.extend(word.to_le_bytes());
    }
    header.extend(monotonic_ns().to_le_bytes());
    header.extend(0_u64.to_le_bytes());
    file.write_all(&header).ok()?;
    // Where nothing may be executed, perf must be told of the file by hand.
    let _ = mark_for_perf(&file);
    Some(file)
}
