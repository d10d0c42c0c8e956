//! `opcodon call`: raw machine code, or a function of a library, with arguments.

use clap::{Args, ValueEnum};
use opcodon::codemem::{Abi, Function, Signature, Ty, Value};
use opcodon::elf::{Library, Options};
use serde_json::json;

use super::eval::number;
use crate::{Failure, out};

/// Flags of `opcodon call`.
#[derive(Debug, Args)]
pub(crate) struct Flags {
    /// The code as hexadecimal digits, such as "f20f58c1c3"; with --library or --object the name
    /// of a function.
    code: String,
    /// Its signature, such as "f64(f64, f64)" or "double(double, int)".
    signature: String,
    /// The arguments.
    #[arg(allow_hyphen_values = true)]
    args: Vec<String>,
    /// The shared library that has the function: a name such as libm.so.6, or a path.
    #[arg(long, conflicts_with = "objects")]
    library: Option<String>,
    /// An object file that has the function; may be given several times to link several.
    #[arg(long = "object", value_name = "FILE")]
    objects: Vec<String>,
    /// The calling convention; the host's unless given.
    #[arg(long, value_enum)]
    abi: Option<Convention>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Convention {
    Sysv,
    Win64,
}

pub(crate) fn run(mut flags: Flags, mut json: bool) -> Result<(), Failure> {
    // Hyphens are allowed among the arguments for negative numbers, so flags land there too.
    flags.args.retain(|word| {
        json |= word == "--json";
        word != "--json"
    });
    let abi = match flags.abi {
        None => Abi::host(),
        Some(Convention::Sysv) => Abi::SysV,
        Some(Convention::Win64) => Abi::Win64,
    };
    let signature = Signature::parse_for(&flags.signature, abi)
        .map_err(|error| Failure::input(error.render()))?;
    let params = signature.params();
    if params.len() != flags.args.len() {
        return Err(Failure::input(format_args!(
            "{signature} takes {} arguments, {} given",
            params.len(),
            flags.args.len()
        )));
    }
    let mut args = Vec::new();
    for (k, (ty, text)) in params.iter().zip(&flags.args).enumerate() {
        let value = value(*ty, text).ok_or_else(|| {
            Failure::input(format_args!(
                "argument {}: {text:?} is no {}",
                k + 1,
                ty.name()
            ))
        })?;
        args.push(value);
    }
    let function = if let Some(name) = &flags.library {
        let library = Library::open(name, &Options::default());
        let library = library.map_err(|error| Failure::elf(&error))?;
        library.function(&flags.code, signature, abi)
    } else if flags.objects.is_empty() {
        Ok(Function::new(&super::hex(&flags.code)?, signature, abi)?)
    } else {
        let library = super::link::linked(&flags.objects, &[])?;
        library.function(&flags.code, signature, abi)
    };
    let function = function.map_err(|error| Failure::elf(&error))?;
    #[expect(
        unsafe_code,
        reason = "to run bytes that the user vouches for is this command's job"
    )]
    // SAFETY: number and types of the arguments are those of the signature. That the bytes are a
    // function of it is what the user asserts by running the command, whose help says so.
    let result = unsafe { function.call(&args) }?;
    let shown = match result {
        Value::F64(value) => number(value),
        Value::F32(value) => number(f64::from(value)),
        Value::I8(value) => json!(value),
        Value::I16(value) => json!(value),
        Value::I32(value) => json!(value),
        Value::I64(value) => json!(value),
        Value::U8(value) => json!(value),
        Value::U16(value) => json!(value),
        Value::U32(value) => json!(value),
        Value::U64(value) => json!(value),
        Value::Bool(value) => json!(value),
        Value::Ptr(address) => json!(format!("{address:?}")),
        _ => serde_json::Value::Null,
    };
    if json {
        out(
            json!({ "signature": function.signature().to_string(), "abi": abi.name(), "result": shown }),
        );
    } else if let serde_json::Value::String(text) = shown {
        out(text);
    } else if !shown.is_null() {
        out(shown);
    }
    Ok(())
}

/// An argument of a type from its text; `None` if the text is none.
fn value(ty: Ty, text: &str) -> Option<Value> {
    Some(match ty {
        Ty::F64 => Value::F64(text.parse().ok()?),
        Ty::F32 => Value::F32(text.parse().ok()?),
        Ty::I8 => Value::I8(text.parse().ok()?),
        Ty::I16 => Value::I16(text.parse().ok()?),
        Ty::I32 => Value::I32(text.parse().ok()?),
        Ty::I64 => Value::I64(text.parse().ok()?),
        Ty::U8 => Value::U8(text.parse().ok()?),
        Ty::U16 => Value::U16(text.parse().ok()?),
        Ty::U32 => Value::U32(text.parse().ok()?),
        Ty::U64 => Value::U64(text.parse().ok()?),
        Ty::Bool => Value::Bool(match text {
            "true" | "1" => true,
            "false" | "0" => false,
            _ => return None,
        }),
        _ => return None,
    })
}
