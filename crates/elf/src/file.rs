//! What every ELF file here has in common: the header that says whether it is ours at all.
//!
//! Source: System V ABI, "Object Files"; AMD64 supplement, chapter 4.

use object::LittleEndian;
use object::elf::{self, FileHeader64};
use object::read::elf::FileHeader as _;

use crate::{ElfError, ElfErrorKind};

/// The byte order of x86-64.
pub(crate) const LE: LittleEndian = LittleEndian;

/// The header of a file for this processor.
pub(crate) type Header = FileHeader64<LittleEndian>;

/// Bytes with the name they go by in errors.
#[derive(Clone, Copy)]
pub(crate) struct Named<'d> {
    pub(crate) name: &'d str,
    pub(crate) data: &'d [u8],
}

impl<'d> Named<'d> {
    pub(crate) fn error(&self, kind: ElfErrorKind) -> ElfError {
        ElfError::new(self.name, kind)
    }

    /// The file makes no sense at an offset.
    pub(crate) fn damaged(&self, what: &'static str, offset: u64) -> ElfError {
        self.error(ElfErrorKind::Damaged { what, offset })
    }

    /// The header, if the file is for 64-bit little-endian x86-64 and of the right kind.
    pub(crate) fn header(&self, kind: elf::FileType) -> Result<&'d Header, ElfError> {
        let wrong = |offset, found: String, expected, hint| {
            self.error(ElfErrorKind::Format {
                offset,
                found,
                expected,
                hint,
            })
        };
        let ident = self.data.get(..elf::ELFMAG.len() + 4);
        match ident {
            Some(ident) if ident.starts_with(&elf::ELFMAG) => {}
            _ if self.data.starts_with(&elf::ELFMAG) => {
                return Err(self.damaged("the file header, which is cut off,", 0));
            }
            _ if self.data.starts_with(b"!<arch>") => {
                let hint = "; unpack the objects of the archive with ar";
                return Err(wrong(0, "an archive".into(), "an ELF file", hint));
            }
            _ if self.data.starts_with(b"/* GNU ld script") => {
                let hint = "; load the files that the script names";
                return Err(wrong(0, "a linker script".into(), "an ELF file", hint));
            }
            _ => {
                let start = &self.data[..self.data.len().min(4)];
                let found = format!("a file that begins with {start:02x?}");
                return Err(wrong(0, found, "an ELF file (7f 45 4c 46)", ""));
            }
        }
        let class = self.data[4];
        if class != elf::ELFCLASS64.0 {
            let found = if class == elf::ELFCLASS32.0 {
                "a 32-bit file".into()
            } else {
                format!("file class {class}")
            };
            return Err(wrong(4, found, "a 64-bit file", ""));
        }
        let order = self.data[5];
        if order != elf::ELFDATA2LSB.0 {
            let found = if order == elf::ELFDATA2MSB.0 {
                "a big-endian file".into()
            } else {
                format!("byte order {order}")
            };
            return Err(wrong(5, found, "a little-endian file", ""));
        }
        let header = Header::parse(self.data).map_err(|_| self.damaged("the file header", 0))?;
        let machine = header.e_machine(LE);
        if machine != elf::EM_X86_64 {
            let found = match machine {
                elf::EM_386 => "code for 32-bit x86".into(),
                elf::EM_AARCH64 => "code for AArch64".into(),
                elf::EM_ARM => "code for ARM".into(),
                elf::EM_RISCV => "code for RISC-V".into(),
                elf::EM_PPC64 => "code for PowerPC".into(),
                elf::EM_S390 => "code for S/390".into(),
                other => format!("code for machine {}", other.0),
            };
            return Err(wrong(0x12, found, "code for x86-64", ""));
        }
        let found = header.e_type(LE);
        if found != kind {
            let found = match found {
                elf::ET_REL => "a relocatable object".into(),
                elf::ET_EXEC => "a program".into(),
                elf::ET_DYN => "a shared library".into(),
                elf::ET_CORE => "a core dump".into(),
                other => format!("file type {}", other.0),
            };
            let (expected, hint) = if kind == elf::ET_DYN {
                (
                    "a shared library",
                    "; relocatable objects (.o) are for link",
                )
            } else {
                (
                    "a relocatable object (.o)",
                    "; shared libraries are for load_library",
                )
            };
            return Err(wrong(0x10, found, expected, hint));
        }
        Ok(header)
    }
}

/// A length or an address as the machine has it; whatever does not fit is nowhere.
pub(crate) fn size(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

/// A number of eight bytes.
pub(crate) fn word(bytes: &[u8], offset: usize) -> Option<u64> {
    let bytes = bytes.get(offset..offset.checked_add(8)?)?;
    bytes.try_into().ok().map(u64::from_le_bytes)
}

/// A number of four bytes.
pub(crate) fn half(bytes: &[u8], offset: usize) -> Option<u32> {
    let bytes = bytes.get(offset..offset.checked_add(4)?)?;
    bytes.try_into().ok().map(u32::from_le_bytes)
}
