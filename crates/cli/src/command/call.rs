//! `opcodon call`: raw machine code, or a function of a library, with arguments.
//!
//! The call runs in a process of its own, so that code which fails is told of and not suffered.

use std::ffi::CString;

use clap::{Args, ValueEnum};
use opcodon::codemem::{
    Abi, Cause, Fault, Function, GuardError, Limits, REGISTERS, Signature, Ty, Value, call_guarded,
};
use opcodon::elf::{Library, Options};
use opcodon::listing::{Listing, Syntax};
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
    /// Seconds that the call may take.
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0)]
    time_limit: f64,
    /// Run the code in this process: whatever it does wrong may end it.
    #[arg(long)]
    in_process: bool,
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
        flags.in_process |= word == "--in-process";
        word != "--json" && word != "--in-process"
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
    // Texts that addresses point to.
    let mut texts: Vec<CString> = Vec::new();
    let mut args = Vec::new();
    for (k, (ty, text)) in params.iter().zip(&flags.args).enumerate() {
        let value = value(*ty, text, &mut texts);
        args.push(value.map_err(|failure| failure.about(format_args!("argument {}", k + 1)))?);
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
    let result = if flags.in_process {
        #[expect(
            unsafe_code,
            reason = "to run bytes that the user vouches for is this flag's job"
        )]
        // SAFETY: number and types of the arguments are those of the signature. That the bytes are
        // a function of it is what the user asserts by the flag, whose help says so.
        unsafe { function.call(&args) }?
    } else {
        let ended = guarded(&function, args, flags.time_limit)?;
        match ended {
            Ok(value) => value,
            Err(fault) => return Err(told(&fault, &function, json)),
        }
    };
    let shown = shown(&result);
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

/// Calls in another process: a result, or how it ended.
fn guarded(
    function: &Function,
    args: Vec<Value>,
    seconds: f64,
) -> Result<Result<Value, Fault>, Failure> {
    let time = std::time::Duration::try_from_secs_f64(seconds).ok();
    let time_ms = time.and_then(|time| u64::try_from(time.as_millis()).ok());
    let limits = Limits {
        time_ms: time_ms
            .filter(|&time| (1..1 << 40).contains(&time))
            .ok_or_else(|| {
                Failure::input(format_args!(
                    "--time-limit: {seconds} is no number of seconds"
                ))
            })?,
        ..Limits::default()
    };
    let (code, signature, abi) = (function.code(), function.signature(), function.abi());
    #[expect(unsafe_code, reason = "the command line has no other thread")]
    // SAFETY: the code is confined to its process, and this program's only other threads, if any,
    // are those of libraries that it loaded.
    let ended = unsafe { call_guarded(code, signature, abi, args, &[], &[], limits, || true) };
    match ended {
        Ok(value) => Ok(Ok(value)),
        Err(GuardError::Fault(fault)) => Ok(Err(*fault)),
        Err(error) => Err(Failure::system(error)),
    }
}

/// A fault as a failure; with `--json` what is known of it is written here.
fn told(fault: &Fault, function: &Function, json: bool) -> Failure {
    let state = fault.state.as_ref();
    let offset = state.and_then(|state| state.offset);
    let bytes = match (offset, state) {
        (Some(offset), _) => function.code().bytes().get(offset..).unwrap_or_default(),
        (None, Some(state)) => &state.bytes,
        (None, None) => &[],
    };
    let listing = Listing::new(bytes, Syntax::Intel);
    let instruction = listing.lines().first().map(|line| line.text.as_str());
    let message = match instruction {
        Some(instruction) => format!("{fault}: {instruction}"),
        None => fault.to_string(),
    };
    if !json {
        return Failure::input(message);
    }
    let registers: serde_json::Map<String, serde_json::Value> = REGISTERS
        .iter()
        .zip(state.iter().flat_map(|state| state.registers))
        .map(|(name, value)| ((*name).to_owned(), json!(format!("{value:#x}"))))
        .collect();
    let details = json!({
        "cause": fault.cause.name(),
        "exit_code": match fault.cause {
            Cause::Exit(code) => Some(code),
            _ => None,
        },
        "address": fault.address.map(|address| format!("{address:#x}")),
        "offset": offset,
        "instruction": instruction,
        "registers": registers,
    });
    Failure::input(message).with_details(details)
}

/// A result as JSON: a structure is a list.
fn shown(value: &Value) -> serde_json::Value {
    match value {
        Value::F64(value) => number(*value),
        Value::F32(value) => number(f64::from(*value)),
        Value::I8(value) => json!(value),
        Value::I16(value) => json!(value),
        Value::I32(value) => json!(value),
        Value::I64(value) => json!(value),
        Value::U8(value) => json!(value),
        Value::U16(value) => json!(value),
        Value::U32(value) => json!(value),
        Value::U64(value) => json!(value),
        Value::Bool(value) => json!(value),
        Value::Ptr(address) => json!(format!("{address:#x}")),
        Value::Struct(record) => record.fields().iter().map(shown).collect(),
        _ => serde_json::Value::Null,
    }
}

/// An argument of a type from its text. Where an address of constant bytes is asked for, the text
/// itself is meant.
fn value(ty: Ty, text: &str, texts: &mut Vec<CString>) -> Result<Value, Failure> {
    if ty != Ty::ConstPtr {
        return Ok(Value::parse(ty, text)?);
    }
    let text = CString::new(text)?;
    let address = text.as_ptr() as usize;
    texts.push(text);
    Ok(Value::Ptr(address))
}
