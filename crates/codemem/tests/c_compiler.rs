//! Calls to and from compiled C, over thousands of drawn signatures, under both conventions.
//!
//! The C compiler knows the conventions best, so it is the judge: for every signature it compiles a
//! function that stores what it receives and returns what it is told to, and one that calls a
//! callback with what it is told to and stores what comes back. Only the fields are compared, since
//! nobody promises what lies between them.

#![cfg(all(target_arch = "x86_64", target_os = "linux"))]
#![expect(clippy::unwrap_used, reason = "a test that fails may panic")]
#![expect(unsafe_code, reason = "calls machine code")]

use std::collections::HashMap;
use std::ffi::{CString, c_void};
use std::fmt::Write as _;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};

use opcodon_codemem::{Abi, Callback, Record, Signature, Struct, Ty, Value, call_address};

/// Signatures a convention; each is called, called back, and each fourth is variadic too.
const N_SIGNATURES: usize = 1000;

/// Signatures a file: compilers take more than twice the time for twice the functions.
const FILE: usize = 100;

/// Bytes of the buffers through which the compiled functions and the tests talk.
const BUFFER: usize = 1 << 16;

/// A counter-based generator: the draws are the same in every run.
struct Draw(u64);

impl Draw {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let bytes = self.bits().to_le_bytes();
        std::array::from_fn(|index| bytes[index])
    }

    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.bits() % n as u64).unwrap()
    }

    fn scalar(&mut self) -> Ty {
        Ty::ALL[self.below(12)]
    }

    /// A number, or a structure of numbers, arrays and structures, mostly small.
    fn ty(&mut self, depth: usize) -> Ty {
        if self.below(3) > 0 {
            return self.scalar();
        }
        let n = [1, 1, 2, 2, 2, 3, 4, 9 - 3 * depth][self.below(8)];
        let uniform = (self.below(3) == 0).then(|| self.scalar());
        let fields: Vec<Ty> = (0..n)
            .map(|_| match uniform {
                Some(ty) => ty,
                None if depth < 2 => self.ty(depth + 1),
                None => self.scalar(),
            })
            .collect();
        Struct::new(&fields).map_or(Ty::F64, Ty::Struct)
    }

    fn signature(&mut self) -> Signature {
        let n_max = [3, 8, 14][self.below(3)];
        let n = self.below(n_max + 1);
        let params = (0..n).map(|_| self.ty(0)).collect();
        let result = if self.below(12) == 0 {
            Ty::Void
        } else {
            self.ty(0)
        };
        Signature::new(params, result).unwrap()
    }

    fn value(&mut self, ty: Ty) -> Value {
        match ty {
            Ty::Struct(layout) => {
                let types = layout.fields().iter();
                let fields: Vec<Value> = types.map(|&(_, ty)| self.value(ty)).collect();
                Value::Struct(Record::new(layout, &fields).unwrap())
            }
            Ty::F64 => Value::F64(f64::from_bits(self.bits())),
            Ty::F32 => Value::F32(f32::from_bits(u32::from_le_bytes(self.bytes()))),
            Ty::I8 => Value::I8(i8::from_le_bytes(self.bytes())),
            Ty::I16 => Value::I16(i16::from_le_bytes(self.bytes())),
            Ty::I32 => Value::I32(i32::from_le_bytes(self.bytes())),
            Ty::I64 => Value::I64(i64::from_le_bytes(self.bytes())),
            Ty::U8 => Value::U8(u8::from_le_bytes(self.bytes())),
            Ty::U16 => Value::U16(u16::from_le_bytes(self.bytes())),
            Ty::U32 => Value::U32(u32::from_le_bytes(self.bytes())),
            Ty::U64 => Value::U64(u64::from_le_bytes(self.bytes())),
            Ty::Bool => Value::Bool(self.bits() & 1 == 1),
            Ty::Void => Value::Void,
            _ => Value::Ptr(usize::from_le_bytes(self.bytes())),
        }
    }
}

/// The bytes of all numbers in a value, in order.
fn leaves(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::F64(x) => out.extend(x.to_bits().to_le_bytes()),
        Value::F32(x) => out.extend(x.to_bits().to_le_bytes()),
        Value::I8(x) => out.extend(x.to_le_bytes()),
        Value::I16(x) => out.extend(x.to_le_bytes()),
        Value::I32(x) => out.extend(x.to_le_bytes()),
        Value::I64(x) => out.extend(x.to_le_bytes()),
        Value::U8(x) => out.extend(x.to_le_bytes()),
        Value::U16(x) => out.extend(x.to_le_bytes()),
        Value::U32(x) => out.extend(x.to_le_bytes()),
        Value::U64(x) => out.extend(x.to_le_bytes()),
        Value::Bool(x) => out.push(u8::from(*x)),
        Value::Ptr(x) => out.extend(x.to_le_bytes()),
        Value::Struct(record) => record.fields().iter().for_each(|field| leaves(field, out)),
        _ => {}
    }
}

fn bytes(values: &[Value]) -> Vec<u8> {
    let mut out = Vec::new();
    values.iter().for_each(|value| leaves(value, &mut out));
    out
}

/// C text: structures are declared once, by name.
#[derive(Default)]
struct Source {
    text: String,
    structures: HashMap<Ty, String>,
}

impl Source {
    fn ty(&mut self, ty: Ty) -> String {
        let name = match ty {
            Ty::F64 => "double",
            Ty::F32 => "float",
            Ty::I8 => "signed char",
            Ty::I16 => "short",
            Ty::I32 => "int",
            Ty::I64 => "long long",
            Ty::U8 => "unsigned char",
            Ty::U16 => "unsigned short",
            Ty::U32 => "unsigned",
            Ty::U64 => "unsigned long long",
            Ty::Bool => "_Bool",
            Ty::Void => "void",
            Ty::Struct(layout) => return self.structure(ty, layout),
            _ => "void *",
        };
        name.to_owned()
    }

    fn structure(&mut self, ty: Ty, layout: Struct) -> String {
        if let Some(name) = self.structures.get(&ty) {
            return name.clone();
        }
        let fields: Vec<String> = layout.fields().iter().map(|&(_, ty)| self.ty(ty)).collect();
        let name = format!("struct s{}", self.structures.len());
        write!(self.text, "{name} {{").unwrap();
        for (index, field) in fields.iter().enumerate() {
            write!(self.text, " {field} f{index};").unwrap();
        }
        self.text.push_str(" };\n");
        self.structures.insert(ty, name.clone());
        name
    }

    /// Applies a macro to every number of a variable.
    fn each(&mut self, call: &str, path: &str, ty: Ty) {
        match ty {
            Ty::Struct(layout) => {
                for (index, &(_, ty)) in layout.fields().iter().enumerate() {
                    self.each(call, &format!("{path}.f{index}"), ty);
                }
            }
            Ty::Void => {}
            _ => write!(self.text, " {call}({path});").unwrap(),
        }
    }

    /// The functions for a signature: one to be called, one that calls.
    fn functions(&mut self, index: usize, signature: &Signature, abi: Abi) {
        let attribute = match abi {
            Abi::SysV => "__attribute__((sysv_abi))",
            Abi::Win64 => "__attribute__((ms_abi))",
        };
        let types: Vec<String> = signature.params().iter().map(|&ty| self.ty(ty)).collect();
        let result = self.ty(signature.result());
        let numbered = types.iter().enumerate();
        let params: Vec<String> = numbered.map(|(k, ty)| format!("{ty} a{k}")).collect();
        let list = if params.is_empty() {
            "void".to_owned()
        } else {
            params.join(", ")
        };
        let is_void = signature.result() == Ty::Void;

        write!(
            self.text,
            "{attribute} {result} called{abi}{index}({list}) {{ BEGIN"
        )
        .unwrap();
        for (k, &ty) in signature.params().iter().enumerate() {
            self.each("OUT", &format!("a{k}"), ty);
        }
        if !is_void {
            write!(self.text, " {result} r;").unwrap();
            self.each("IN", "r", signature.result());
            self.text.push_str(" return r;");
        }
        self.text.push_str(" }\n");

        let names: Vec<String> = (0..types.len()).map(|k| format!("a{k}")).collect();
        let (types, names) = (types.join(", "), names.join(", "));
        let types = if types.is_empty() { "void" } else { &types };
        write!(
            self.text,
            "void calls{abi}{index}({attribute} {result} (*f)({types})) {{ BEGIN"
        )
        .unwrap();
        for (param, (k, &ty)) in params.iter().zip(signature.params().iter().enumerate()) {
            write!(self.text, " {param};").unwrap();
            self.each("IN", &format!("a{k}"), ty);
        }
        if is_void {
            write!(self.text, " f({names});").unwrap();
        } else {
            write!(self.text, " {result} r = f({names});").unwrap();
            self.each("OUT", "r", signature.result());
        }
        self.text.push_str(" }\n");
    }

    /// A function with variable arguments, which it takes by the types given.
    fn variadic(&mut self, index: usize, fixed: &[Ty], rest: &[Ty], abi: Abi) {
        let (attribute, prefix) = match abi {
            Abi::SysV => ("__attribute__((sysv_abi))", "__builtin_"),
            Abi::Win64 => ("__attribute__((ms_abi))", "__builtin_ms_"),
        };
        let params: Vec<String> = fixed
            .iter()
            .enumerate()
            .map(|(k, &ty)| format!("{} a{k}", self.ty(ty)))
            .collect();
        let (params, last) = (params.join(", "), fixed.len() - 1);
        write!(
            self.text,
            "{attribute} long long variadic{abi}{index}({params}, ...) {{ BEGIN \
             {prefix}va_list list; {prefix}va_start(list, a{last});"
        )
        .unwrap();
        for (k, &ty) in fixed.iter().enumerate() {
            self.each("OUT", &format!("a{k}"), ty);
        }
        for (k, &ty) in rest.iter().enumerate() {
            let name = self.ty(ty);
            write!(
                self.text,
                " {name} b{k} = __builtin_va_arg(list, {name}); OUT(b{k});"
            )
            .unwrap();
        }
        writeln!(self.text, " {prefix}va_end(list); return {index}; }}").unwrap();
    }
}

/// A type as a prototype in C spells it, structures with their fields.
fn spelled(ty: Ty, source: &mut Source) -> String {
    match ty {
        Ty::Struct(layout) => {
            let fields: Vec<String> = layout
                .fields()
                .iter()
                .enumerate()
                .map(|(k, &(_, ty))| format!("{} f{k};", spelled(ty, source)))
                .collect();
            format!("struct point {{ {} }}", fields.join(" "))
        }
        _ => source.ty(ty),
    }
}

/// The compiled functions.
struct Library {
    handle: *mut c_void,
}

impl Library {
    /// Compiles the files side by side; `None` if there is no C compiler.
    fn compile(sources: &[String]) -> Option<Self> {
        let directory = std::env::temp_dir().join(format!("opcodon-c-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let library = directory.join("calls.so");
        let compile = |(index, source): (usize, &String)| -> Option<Child> {
            let file = directory.join(format!("calls{index}.c"));
            std::fs::write(&file, source).unwrap();
            let object = file.with_extension("o");
            // Optimised code uses more registers, other code is compiled faster.
            let level = if index % 4 == 0 { "-O2" } else { "-O0" };
            let mut command = Command::new("cc");
            command
                .args([level, "-w", "-fPIC", "-c", "-o"])
                .args([&object, &file]);
            command.spawn().ok()
        };
        let files: Vec<(usize, &String)> = sources.iter().enumerate().collect();
        let mut is_there = true;
        for two in files.chunks(2) {
            let running: Vec<Option<Child>> = two.iter().copied().map(compile).collect();
            for compiler in running {
                let Some(mut compiler) = compiler else {
                    is_there = false;
                    continue;
                };
                assert!(
                    compiler.wait().unwrap().success(),
                    "the C compiler refuses a file"
                );
            }
        }
        let loaded = is_there.then(|| {
            let objects = (0..sources.len()).map(|index| directory.join(format!("calls{index}.o")));
            let mut linker = Command::new("cc");
            linker.args(["-shared", "-o"]).arg(&library).args(objects);
            assert!(
                linker.status().unwrap().success(),
                "the files cannot be linked"
            );
            let path = CString::new(library.to_str().unwrap()).unwrap();
            // SAFETY: the library has no initialisers.
            let handle = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW) };
            assert!(!handle.is_null());
            Self { handle }
        });
        std::fs::remove_dir_all(&directory).unwrap();
        loaded
    }

    fn address(&self, name: &str) -> *mut u8 {
        let c_name = CString::new(name).unwrap();
        // SAFETY: the handle is that of a loaded library.
        let address = unsafe { libc::dlsym(self.handle, c_name.as_ptr()) };
        assert!(!address.is_null(), "no {name}");
        address.cast()
    }

    /// Writes what the next function reads.
    fn give(&self, bytes: &[u8]) {
        assert!(bytes.len() <= BUFFER);
        let to = self.address("given");
        // SAFETY: the buffer is that long.
        unsafe { to.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    }

    /// What the last function stored.
    fn seen(&self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        let from = self.address("seen");
        // SAFETY: the buffer is longer than what any signature carries.
        unsafe { from.copy_to_nonoverlapping(bytes.as_mut_ptr(), len) };
        bytes
    }
}

/// Everything that is tried.
struct Plan {
    signatures: Vec<(Abi, Signature)>,
    variadic: Vec<(Abi, Vec<Ty>, Vec<Ty>)>,
}

fn plan(draw: &mut Draw) -> Plan {
    let (mut signatures, mut variadic) = (Vec::new(), Vec::new());
    for abi in Abi::ALL {
        for index in 0..N_SIGNATURES {
            signatures.push((abi, draw.signature()));
            if index % 4 == 0 {
                // C's own promotions leave these; `va_start` needs a last parameter that is one.
                let promoted = [Ty::I32, Ty::U32, Ty::I64, Ty::U64, Ty::F64, Ty::Ptr];
                let mut some = |n_max: usize, n_min: usize| -> Vec<Ty> {
                    let n = n_min + draw.below(n_max);
                    (0..n).map(|_| promoted[draw.below(6)]).collect()
                };
                variadic.push((abi, some(6, 1), some(14, 0)));
            }
        }
    }
    Plan {
        signatures,
        variadic,
    }
}

fn sources(plan: &Plan) -> Vec<String> {
    let n_files = plan.signatures.len().div_ceil(FILE);
    let mut sources: Vec<Source> = (0..n_files).map(|_| Source::default()).collect();
    for (index, source) in sources.iter_mut().enumerate() {
        let linkage = if index == 0 { "" } else { "extern " };
        write!(
            source.text,
            "{linkage}unsigned char given[{BUFFER}], seen[{BUFFER}];\n\
             #define BEGIN unsigned char *in = given, *out = seen;\n\
             #define IN(x) __builtin_memcpy(&x, in, sizeof x); in += sizeof x;\n\
             #define OUT(x) __builtin_memcpy(out, &x, sizeof x); out += sizeof x;\n"
        )
        .unwrap();
    }
    for (index, (abi, signature)) in plan.signatures.iter().enumerate() {
        sources[index / FILE].functions(index, signature, *abi);
    }
    for (index, (abi, fixed, rest)) in plan.variadic.iter().enumerate() {
        sources[index % n_files].variadic(index, fixed, rest, *abi);
    }
    sources.into_iter().map(|source| source.text).collect()
}

#[test]
fn compiled_c_agrees_in_both_directions() {
    let mut draw = Draw(1);
    let plan = plan(&mut draw);
    let Some(library) = Library::compile(&sources(&plan)) else {
        opcodon_testkit::report_skip("no C compiler");
        return;
    };
    for (index, (abi, signature)) in plan.signatures.iter().enumerate() {
        check_call(&library, index, *abi, signature, &mut draw);
        check_callback(&library, index, *abi, signature, &mut draw);
        check_spelling(*abi, signature);
    }
    for (index, (abi, fixed, rest)) in plan.variadic.iter().enumerate() {
        let types: Vec<&str> = fixed.iter().map(|ty| ty.name()).collect();
        let text = format!("i64({}, ...)", types.join(", "));
        let signature = Signature::parse_for(&text, *abi).unwrap();
        let args: Vec<Value> = fixed.iter().chain(rest).map(|&ty| draw.value(ty)).collect();
        let address = library.address(&format!("variadic{abi}{index}"));
        // SAFETY: the function takes arguments of these types.
        let result = unsafe { call_address(address, &signature, *abi, &args) }.unwrap();
        assert_eq!(result, Value::I64(i64::try_from(index).unwrap()));
        let sent = bytes(&args);
        assert_eq!(library.seen(sent.len()), sent, "{abi} {signature} {rest:?}");
    }
    println!(
        "{} signatures called and called back, {} with variable arguments",
        plan.signatures.len(),
        plan.variadic.len()
    );
}

fn check_call(library: &Library, index: usize, abi: Abi, signature: &Signature, draw: &mut Draw) {
    let args: Vec<Value> = signature
        .params()
        .iter()
        .map(|&ty| draw.value(ty))
        .collect();
    let result = bytes(&[draw.value(signature.result())]);
    library.give(&result);
    let address = library.address(&format!("called{abi}{index}"));
    // SAFETY: the compiler made the function for this signature.
    let returned = unsafe { call_address(address, signature, abi, &args) }.unwrap();
    let sent = bytes(&args);
    assert_eq!(library.seen(sent.len()), sent, "{abi} {signature}");
    assert_eq!(bytes(&[returned]), result, "{abi} {signature}");
}

fn check_callback(
    library: &Library,
    index: usize,
    abi: Abi,
    signature: &Signature,
    draw: &mut Draw,
) {
    let args: Vec<Value> = signature
        .params()
        .iter()
        .map(|&ty| draw.value(ty))
        .collect();
    let sent = bytes(&args);
    library.give(&sent);
    let result = draw.value(signature.result());
    let expected = bytes(std::slice::from_ref(&result));
    let received = Arc::new(Mutex::new(None));
    let store = Arc::clone(&received);
    let callback = Callback::new(signature.clone(), abi, move |args| {
        *store.lock().unwrap() = Some(bytes(args));
        result.clone()
    })
    .unwrap();
    let caller = Signature::parse("void(ptr)").unwrap();
    let address = library.address(&format!("calls{abi}{index}"));
    let argument = Value::Ptr(callback.address() as usize);
    // SAFETY: the function takes the address of a function of this signature.
    unsafe { call_address(address, &caller, Abi::SysV, &[argument]) }.unwrap();
    let received = received.lock().unwrap().take();
    assert_eq!(received.as_ref(), Some(&sent), "{abi} {signature}");
    assert_eq!(library.seen(expected.len()), expected, "{abi} {signature}");
}

/// The normal form and C's spelling are read as what was drawn.
fn check_spelling(abi: Abi, signature: &Signature) {
    let mut source = Source::default();
    let params: Vec<String> = signature
        .params()
        .iter()
        .enumerate()
        .map(|(k, &ty)| format!("{} a{k}", spelled(ty, &mut source)))
        .collect();
    let result = spelled(signature.result(), &mut source);
    for text in [
        signature.to_string(),
        format!("{result} f({});", params.join(", ")),
    ] {
        let read = Signature::parse_for(&text, abi).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(read, *signature, "{text}");
    }
}

/// A callback runs a closure that calls compiled code, which calls the callback: the frames nest.
#[test]
fn callbacks_nest() {
    for abi in Abi::ALL {
        let signature = Signature::parse("i64(i64, ptr)").unwrap();
        let inner = signature.clone();
        let factorial = Callback::new(signature.clone(), abi, move |args| {
            let [Value::I64(n), Value::Ptr(itself)] = *args else {
                panic!("{args:?}")
            };
            if n <= 1 {
                return Value::I64(1);
            }
            let args = [Value::I64(n - 1), Value::Ptr(itself)];
            // SAFETY: the address is that of this callback.
            let rest = unsafe { call_address(itself as *const u8, &inner, abi, &args) };
            let Value::I64(rest) = rest.unwrap() else {
                panic!()
            };
            Value::I64(n * rest)
        })
        .unwrap();
        let itself = factorial.address();
        let args = [Value::I64(20), Value::Ptr(itself as usize)];
        // SAFETY: the callback is alive.
        let result = unsafe { call_address(itself, &signature, abi, &args) }.unwrap();
        assert_eq!(result, Value::I64(2_432_902_008_176_640_000));
    }
}

#[test]
fn callbacks_refuse_variable_arguments() {
    let signature = Signature::parse("i32(...)").unwrap();
    let refused = Callback::new(signature, Abi::SysV, |_| Value::I32(0)).unwrap_err();
    assert!(
        refused
            .to_string()
            .contains("a callback takes the arguments of its signature only")
    );
}
