//! The code heap: single functions that live as long as somebody holds them.
use std::sync::Arc;

use crate::CodeError;
use crate::pages::{Pages, publish};

/// Where single functions live.
#[derive(Debug)]
pub struct CodeHeap {}

impl CodeHeap {
    /// The heap of this process.
    #[must_use]
    pub fn global() -> &'static Self {
        static GLOBAL: CodeHeap = CodeHeap {};
        &GLOBAL
    }

    /// Makes a copy of `code` callable, until the last clone of the result is dropped.
    ///
    /// # Errors
    /// [`CodeError::Empty`] for no bytes, [`CodeError::Denied`] or [`CodeError::Map`] if there is
    /// no memory for code.
    pub fn install(&self, code: &[u8]) -> Result<Code, CodeError> {
        if code.is_empty() {
            return Err(CodeError::Empty);
        }
        let mut pages = Pages::new(code.len())?;
        pages.commit(code.len())?;
        pages.write(0, code);
        pages.make_executable()?;
        publish();
        Ok(Code {
            pages: Arc::new(pages),
            len: code.len(),
        })
    }
}

/// Code that stays callable as long as one clone of this exists.
#[derive(Clone, Debug)]
pub struct Code {
    pages: Arc<Pages>,
    len: usize,
}

#[expect(clippy::len_without_is_empty, reason = "code is never empty")]
impl Code {
    /// Where the code is.
    #[must_use]
    pub fn address(&self) -> *const u8 {
        self.pages.address(0).as_ptr()
    }

    /// The code, as it is run.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.pages.bytes(0, self.len)
    }

    /// Number of bytes, at least 1.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }
}
