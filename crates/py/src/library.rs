//! `LoadedLibrary`: the native half of `opcodon.Library`.
//!
//! Initialisers and finalisers run with the interpreter lock held, as when Python imports a module:
//! a library that is made for Python may call Python in them.
use opcodon_elf::{Dependencies, ElfError, Library, Loader, Object, Options};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::error::elf_error;
use crate::machine::{Guard, MachineFunction, convention};

/// A library in memory.
#[pyclass(frozen, module = "opcodon._core", name = "LoadedLibrary")]
pub(crate) struct LoadedLibrary {
    library: Library,
}

/// A symbol as a tuple: key, name, version, kind, size.
type Row<'a> = (String, &'a str, Option<&'a str>, &'static str, u64);

#[pymethods]
impl LoadedLibrary {
    /// Loads the library of a name, or from bytes.
    #[staticmethod]
    fn load(
        py: Python<'_>,
        name: &str,
        data: Option<Vec<u8>>,
        loader: &str,
        dependencies: &str,
    ) -> PyResult<Self> {
        let wrong = |what, known: Vec<&str>, found| {
            let known = known.join(", ");
            PyValueError::new_err(format!("{what} must be one of {known}, not {found:?}"))
        };
        let options = Options {
            loader: Loader::from_name(loader).ok_or_else(|| {
                let known = Loader::ALL.iter().map(|loader| loader.name());
                wrong("loader", known.collect(), loader)
            })?,
            dependencies: Dependencies::from_name(dependencies).ok_or_else(|| {
                let known = Dependencies::ALL.iter().map(|choice| choice.name());
                wrong("dependencies", known.collect(), dependencies)
            })?,
        };
        let loaded = match data {
            None => Library::open(name, &options),
            Some(data) => Library::from_bytes(name, data, &options),
        };
        Self::of(py, loaded)
    }

    /// Links objects, each a name and perhaps its bytes.
    #[staticmethod]
    fn link(
        py: Python<'_>,
        objects: Vec<(String, Option<Vec<u8>>)>,
        libraries: Vec<String>,
    ) -> PyResult<Self> {
        let objects = objects.into_iter().map(|(name, data)| match data {
            None => Object::read(&name),
            Some(data) => Ok(Object { name, data }),
        });
        let objects = objects.collect::<Result<Vec<Object>, ElfError>>();
        let linked = objects.and_then(|objects| opcodon_elf::link(&objects, &libraries));
        Self::of(py, linked)
    }

    #[pyo3(signature = (name, signature, abi=None, returns=None, guard=None))]
    fn function(
        &self,
        py: Python<'_>,
        name: &str,
        signature: &str,
        abi: Option<&str>,
        returns: Option<Py<PyAny>>,
        guard: Option<Guard>,
    ) -> PyResult<MachineFunction> {
        let (parsed, abi) = convention(py, signature, abi)?;
        let function = self.library.function(name, parsed, abi);
        let function = function.map_err(|error| elf_error(py, &error))?;
        MachineFunction::of(function, Some(name.to_owned()), returns, guard)
    }

    fn address(&self, py: Python<'_>, name: &str) -> PyResult<usize> {
        let address = self.library.address(name);
        address.map_err(|error| elf_error(py, &error))
    }

    fn symbols(&self) -> Vec<Row<'_>> {
        let exports = self.library.symbols().iter();
        exports
            .map(|export| {
                let version = export.version.as_deref();
                let kind = export.kind.name();
                (
                    export.key(),
                    export.name.as_str(),
                    version,
                    kind,
                    export.size,
                )
            })
            .collect()
    }

    fn close(&self) {
        self.library.close();
    }

    #[getter]
    fn closed(&self) -> bool {
        self.library.is_closed()
    }

    #[getter]
    fn name(&self) -> &str {
        self.library.name()
    }

    #[getter]
    fn loader(&self) -> &'static str {
        self.library.loader().name()
    }

    #[getter]
    fn reason(&self) -> Option<&str> {
        self.library.reason()
    }

    #[getter]
    fn files(&self) -> Vec<String> {
        self.library.files().to_vec()
    }
}

impl LoadedLibrary {
    fn of(py: Python<'_>, library: Result<Library, ElfError>) -> PyResult<Self> {
        match library {
            Ok(library) => Ok(Self { library }),
            Err(error) => Err(elf_error(py, &error)),
        }
    }
}
