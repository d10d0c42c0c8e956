//! Where libraries are: from a name such as `libm.so.6` to a file.
//!
//! The order is that of the system's loader: `LD_LIBRARY_PATH`, the folders that whoever needs the
//! library names (with `$ORIGIN` for its own), the cache of the system, the usual folders.
//!
//! Sources: `ld.so(8)`; glibc, `sysdeps/generic/dl-cache.h`.

use std::path::{Path, PathBuf};

use crate::file::{half, word};

/// The folders that are searched last.
const USUAL: [&str; 6] = [
    "/lib/x86_64-linux-gnu",
    "/usr/lib/x86_64-linux-gnu",
    "/lib64",
    "/usr/lib64",
    "/lib",
    "/usr/lib",
];

const CACHE: &str = "/etc/ld.so.cache";

/// Who needs a library: where its file is, and in which folders it has others looked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origin {
    folder: Option<PathBuf>,
    folders: Vec<PathBuf>,
}

impl Origin {
    /// The folders are as written in the file; those that are relative to a file that has no
    /// folder are left out.
    pub(crate) fn new(folder: Option<PathBuf>, paths: &[String]) -> Self {
        let mut origin = Self {
            folder,
            folders: Vec::new(),
        };
        let expanded = paths.iter().filter_map(|path| origin.expanded(path));
        origin.folders = expanded.map(PathBuf::from).collect();
        origin
    }

    /// With the folders of whoever needs it behind its own: an old way to name folders
    /// (`DT_RPATH`) holds for what a library needs in turn.
    pub(crate) fn inheriting(mut self, other: &Self) -> Self {
        self.folders.extend_from_slice(&other.folders);
        self
    }

    /// A path with the folder of the file in place of `$ORIGIN`.
    pub(crate) fn expanded(&self, path: &str) -> Option<String> {
        if !path.contains("$ORIGIN") && !path.contains("${ORIGIN}") {
            return Some(path.to_owned());
        }
        let folder = self.folder.as_ref()?.to_str()?;
        let path = path.replace("${ORIGIN}", folder);
        Some(path.replace("$ORIGIN", folder))
    }

    /// The file of that name in one of the folders.
    pub(crate) fn find(&self, name: &str) -> Option<PathBuf> {
        let mut paths = self.folders.iter().map(|folder| folder.join(name));
        paths.find(|path| path.is_file())
    }
}

/// The file of a library, or the places in which it is not.
pub(crate) fn find(name: &str, origin: &Origin) -> Result<PathBuf, Vec<String>> {
    let Some(name) = origin.expanded(name) else {
        return Err(vec![name.to_owned()]);
    };
    if name.contains('/') {
        let path = PathBuf::from(&name);
        return if path.is_file() {
            Ok(path)
        } else {
            Err(vec![name])
        };
    }
    let variable = std::env::var("LD_LIBRARY_PATH").unwrap_or_default();
    let first = variable
        .split([':', ';'])
        .filter(|folder| !folder.is_empty());
    let mut searched = Vec::new();
    let mut look = |folder: &Path| {
        let path = folder.join(&name);
        if path.is_file() {
            return Some(path);
        }
        searched.push(folder.display().to_string());
        None
    };
    let here = first
        .map(PathBuf::from)
        .chain(origin.folders.iter().cloned());
    for folder in here {
        if let Some(path) = look(&folder) {
            return Ok(path);
        }
    }
    let cached = std::fs::read(CACHE)
        .ok()
        .and_then(|cache| cached(&cache, &name));
    if let Some(path) = cached.filter(|path| path.is_file()) {
        return Ok(path);
    }
    for folder in USUAL {
        if let Some(path) = look(Path::new(folder)) {
            return Ok(path);
        }
    }
    searched.push(CACHE.to_owned());
    Err(searched)
}

/// What the system's cache says of a name.
fn cached(cache: &[u8], name: &str) -> Option<PathBuf> {
    const MAGIC: &[u8] = b"glibc-ld.so.cache1.1";
    const ENTRY_LEN: usize = 24;
    /// A library of glibc for x86-64.
    const FLAGS: u32 = 0x0303;
    let start = cache
        .windows(MAGIC.len())
        .position(|window| window == MAGIC)?;
    let cache = &cache[start..];
    let string = |offset: u32| {
        let rest = cache.get(usize::try_from(offset).ok()?..)?;
        let len = rest.iter().position(|&byte| byte == 0)?;
        std::str::from_utf8(&rest[..len]).ok()
    };
    let count = half(cache, MAGIC.len())? as usize;
    let entries = cache.get(48..)?.chunks_exact(ENTRY_LEN).take(count);
    let mut entries = entries.filter(|entry| {
        // Those for some processors only have a set of features in the last field.
        half(entry, 0) == Some(FLAGS)
            && word(entry, 16) == Some(0)
            && half(entry, 4).and_then(string) == Some(name)
    });
    let path = half(entries.next()?, 8).and_then(string)?;
    Some(PathBuf::from(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_c_library_is_found_by_name() {
        let nobody = Origin::default();
        if !cfg!(target_os = "linux") || std::fs::read(CACHE).is_err() {
            opcodon_testkit::skip!("no {CACHE} here");
        }
        let path = find("libc.so.6", &nobody).unwrap();
        assert!(path.ends_with("libc.so.6"), "{}", path.display());
        let searched = find("libnothing.so.1", &nobody).unwrap_err();
        assert!(searched.contains(&CACHE.to_owned()), "{searched:?}");
    }

    #[test]
    fn origin_is_the_folder_of_the_file() {
        let folder = std::env::current_dir().unwrap();
        let paths = ["$ORIGIN/src".to_owned(), "${ORIGIN}".to_owned()];
        let origin = Origin::new(Some(folder.clone()), &paths);
        assert_eq!(origin.find("lib.rs"), Some(folder.join("src/lib.rs")));
        assert_eq!(origin.find("Cargo.toml"), Some(folder.join("Cargo.toml")));
        assert_eq!(origin.find("nothing"), None);
        let file = find("$ORIGIN/src/lib.rs", &origin);
        assert_eq!(file, Ok(folder.join("src/lib.rs")));
        let heir = Origin::new(None, &["$ORIGIN/src".to_owned()]);
        assert_eq!(heir.find("lib.rs"), None);
        let heir = heir.inheriting(&origin);
        assert_eq!(heir.find("lib.rs"), Some(folder.join("src/lib.rs")));
    }

    #[test]
    fn no_cache_makes_the_search_panic() {
        for len in 0..200 {
            let mut cache = b"glibc-ld.so.cache1.1".to_vec();
            cache.resize(20 + len, 0xff);
            assert_eq!(cached(&cache, "libm.so.6"), None);
        }
    }
}
