//! Where names are looked up that nobody here defines: as any library would in this process, then
//! in what the system loaded for the library that asks.

use std::sync::Arc;

use crate::seal::{self, System};
use crate::tls::{Lookup, Module};

/// The process, and libraries that the system loaded and keeps as long as this exists.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scope {
    systems: Vec<Arc<System>>,
}

impl Scope {
    pub(crate) fn add(&mut self, system: System) {
        self.systems.push(Arc::new(system));
    }

    /// The address of a name; of a thread-local variable, that of this thread.
    pub(crate) fn find(&self, name: &str, version: Option<&str>) -> Option<usize> {
        seal::find(name, version).or_else(|| {
            let mut systems = self.systems.iter();
            systems.find_map(|system| system.find(name, version))
        })
    }

    /// A thread-local variable as a module of its own.
    pub(crate) fn variable(&self, name: &str, version: Option<&str>) -> Module {
        let (scope, name) = (self.clone(), name.to_owned());
        let version = version.map(str::to_owned);
        Module::Elsewhere(Lookup(Arc::new(move || {
            scope.find(&name, version.as_deref())
        })))
    }

    /// How far a thread-local variable is from the thread pointer, if that is the same in all
    /// threads.
    pub(crate) fn static_offset(&self, name: &str, version: Option<&str>) -> Option<u64> {
        seal::static_offset(&|| self.find(name, version))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::{Number, address};

    #[test]
    fn versions_without_a_name_are_not_found() {
        assert!(seal::find("malloc", None).is_some());
        assert_eq!(seal::find("malloc", Some("")), None);
        assert_eq!(seal::find("malloc", Some("NO_SUCH_VERSION")), None);
    }

    #[test]
    fn variables_of_the_process_are_found() {
        let number = Number::new();
        number.define(Scope::default().variable("errno", Some("GLIBC_PRIVATE")));
        let Some(here) = seal::find("errno", Some("GLIBC_PRIVATE")) else {
            opcodon_testkit::skip!("this C library has no symbol errno");
        };
        assert_eq!(address(number.get()), here);
    }
}
