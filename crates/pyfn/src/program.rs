//! The program: one Python function in normal form, as the front end hands it over.
//!
//! The text is JSON: every statement does at most one operation that can fail or have an effect,
//! operands are atoms, and each statement has a number under which Python can resume the function.
//! Nothing here knows types. What does not fit the format is an [`ProgramError`] that names the
//! place, never a panic: the text comes from outside.

use serde_json::Value;

use crate::progression;

/// Index of a local variable.
pub type Local = usize;

/// Number of a statement: dense, in the order of the text.
pub type Id = usize;

/// Why a text is not a program.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{place}: expected {expected}")]
pub struct ProgramError {
    place: String,
    expected: String,
}

/// A function in normal form.
#[derive(Debug, Clone)]
pub struct Program {
    /// The function's name.
    pub name: String,
    /// The file that its lines refer to.
    pub file: String,
    /// Line of the `def`.
    pub line: u32,
    /// The first locals are the parameters.
    pub n_params: usize,
    /// Names of the locals; those of temporaries begin with a dot.
    pub locals: Vec<String>,
    /// Paths of the globals, as written.
    pub globals: Vec<String>,
    /// Number of constants handed over beside the text.
    pub n_consts: usize,
    /// Whether positional arguments, as many as there are parameters, are all there is to a call.
    pub is_positional: bool,
    /// How many parameters are positional, and how many after them are only named; then comes one for
    /// all other positional arguments, if there is one.
    pub n_plain: usize,
    /// See `n_plain`.
    pub n_named: usize,
    /// Whether there is one for all other arguments with names.
    pub takes_all_names: bool,
    /// Number of statements.
    pub n_statements: usize,
    /// Whether Python may read locals where the statements do not show it: in handlers.
    pub has_handlers: bool,
    /// Whether integers may wrap around at 64 bits.
    pub wraps: bool,
    /// The statements.
    pub body: Vec<Statement>,
}

/// An operand.
#[derive(Debug, Clone, PartialEq)]
pub enum Atom {
    /// A local variable.
    Local(Local),
    /// An integer.
    Int(i64),
    /// A floating-point number.
    Float(f64),
    /// True or false.
    Bool(bool),
    /// `None`.
    None,
    /// Text.
    Str(String),
    /// Another constant.
    Const(usize),
    /// A frozen global.
    Global(usize),
}

/// An index: one atom, a slice, or several of them.
#[derive(Debug, Clone, PartialEq)]
pub enum Index {
    /// One atom.
    Atom(Atom),
    /// `lower:upper:step`.
    Slice([Option<Atom>; 3]),
    /// Several, separated by commas.
    Tuple(Vec<Index>),
}

/// A binary operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "the names are those of Python's operator module"
)]
pub enum Bin {
    Add,
    Sub,
    Mul,
    TrueDiv,
    FloorDiv,
    Mod,
    Pow,
    LShift,
    RShift,
    And,
    Or,
    Xor,
    MatMul,
}

impl Bin {
    /// The method that stands for the operator, without what surrounds its name.
    #[must_use]
    pub const fn method(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Sub => "sub",
            Self::Mul => "mul",
            Self::TrueDiv => "truediv",
            Self::FloorDiv => "floordiv",
            Self::Mod => "mod",
            Self::Pow => "pow",
            Self::LShift => "lshift",
            Self::RShift => "rshift",
            Self::And => "and",
            Self::Or => "or",
            Self::Xor => "xor",
            Self::MatMul => "matmul",
        }
    }

    /// How the operator is written.
    #[must_use]
    pub const fn symbol(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Sub => "-",
            Self::Mul => "*",
            Self::TrueDiv => "/",
            Self::FloorDiv => "//",
            Self::Mod => "%",
            Self::Pow => "** or pow()",
            Self::LShift => "<<",
            Self::RShift => ">>",
            Self::And => "&",
            Self::Or => "|",
            Self::Xor => "^",
            Self::MatMul => "@",
        }
    }

    /// All of them, in order.
    pub const ALL: [Self; 13] = [
        Self::Add,
        Self::Sub,
        Self::Mul,
        Self::TrueDiv,
        Self::FloorDiv,
        Self::Mod,
        Self::Pow,
        Self::LShift,
        Self::RShift,
        Self::And,
        Self::Or,
        Self::Xor,
        Self::MatMul,
    ];
}

/// A unary operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "the names are those of Python's operator module"
)]
pub enum Un {
    Neg,
    Pos,
    Invert,
    Not,
}

/// A comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "the names are those of Python's operator module"
)]
pub enum Cmp {
    Lt,
    Le,
    Eq,
    Ne,
    Gt,
    Ge,
    Is,
    IsNot,
    In,
    NotIn,
}

/// An operation.
#[derive(Debug, Clone, PartialEq)]
pub enum Expr {
    /// The value of an atom.
    Atom(Atom),
    /// `a op b`, in place if the flag says so.
    Bin(Bin, Atom, Atom, bool),
    /// `op a`.
    Un(Un, Atom),
    /// `a op b`.
    Cmp(Cmp, Atom, Atom),
    /// A call, with named arguments behind the positional ones.
    Call(Atom, Vec<Atom>, Vec<(String, Atom)>),
    /// A call of a method; the local holds it, if it was looked up before.
    Method(String, Atom, Vec<Atom>, Vec<(String, Atom)>, Option<Local>),
    /// An attribute.
    Attr(String, Atom),
    /// `of[index]`.
    Item(Atom, Index),
    /// `(a, b)`.
    Tuple(Vec<Atom>),
    /// `[a, b]`.
    List(Vec<Atom>),
    /// The integers from the first on up to, or down to, the second in steps of the third, for a loop.
    Range([i64; 3]),
    /// `{a: b}`.
    Dict(Vec<(Atom, Atom)>),
    /// `{a, b}`.
    Set(Vec<Atom>),
    /// `bool(a)`.
    Truth(Atom),
    /// Whether patterns of sequences may match it.
    IsSequence(Atom),
    /// The value of a name in a dictionary of globals.
    Global(String, Atom),
    /// `iter(a)`.
    Iter(Atom),
    /// `f"text {a!r:format}"`, and whether the result is but a part of another one: then a number may
    /// stand for its text.
    Format(Vec<Part>, bool),
    /// Whether the operation on these, which comes next, fails in that way, as far as machine code can
    /// tell.
    Fails(Failure, Atom, Atom),
    /// What the front end writes that is not known here: Python does it.
    Unknown(String),
}

/// How an operation fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// `a / b`, `a // b` or `a % b`, where `b` is zero.
    Zero,
    /// `a[b]`, where the sequence is not as long.
    Index,
    /// `a[b]`, where there is no such key.
    Key,
}

/// A part of an f-string.
#[derive(Debug, Clone, PartialEq)]
pub enum Part {
    /// Text.
    Text(String),
    /// A value, its conversion, `s`, `r`, `a` or 0, and its format, if there is one.
    Value(Atom, u8, Option<String>),
}

/// A statement with its number and its line.
#[derive(Debug, Clone)]
pub struct Statement {
    /// The number under which Python resumes before it.
    pub id: Id,
    /// Line in the file.
    pub line: u32,
    /// What it does.
    pub kind: Kind,
    /// Whether it is in an exception handler that is reached without an exception.
    pub is_handled: bool,
}

impl Statement {
    /// The blocks inside.
    #[must_use]
    pub fn blocks(&self) -> [&[Self]; 2] {
        match &self.kind {
            Kind::If(_, then, otherwise) => [then, otherwise],
            Kind::Try(_, body, handler) => [body, handler],
            Kind::Loop(body) => [body, &[]],
            Kind::For(_, _, body, otherwise) => [body, otherwise],
            _ => [&[], &[]],
        }
    }
}

/// The statements of a block and of all blocks inside, in no particular order.
pub(crate) fn all_statements(block: &[Statement]) -> impl Iterator<Item = &Statement> {
    let mut todo = block.iter().collect::<Vec<_>>();
    std::iter::from_fn(move || {
        let statement = todo.pop()?;
        todo.extend(statement.blocks().into_iter().flatten());
        Some(statement)
    })
}

/// Which exceptions of a block are caught, and what is known of one in the handler.
#[derive(Debug, Clone)]
pub struct Catch {
    /// What the exception is bound to.
    pub error: Local,
    /// What is bound to the number of the statement that raised it; to `-1` less it if the exception's
    /// traceback has an entry for it.
    pub at: Local,
    /// What is bound to the number of the class, as it stands beside the class.
    pub which: Local,
    /// Classes with numbers; the first that fits counts.
    pub kinds: Vec<(usize, Atom)>,
}

/// What a statement does.
#[derive(Debug, Clone)]
pub enum Kind {
    /// `to = e`.
    Set(Local, Expr),
    /// `e`, for its effect.
    Expr(Expr),
    /// `of[item] = value`.
    SetItem(Atom, Index, Atom),
    /// `of.attr = value`.
    SetAttr(Atom, String, Atom),
    /// `name = value`, where the name is in a dictionary of globals.
    SetGlobal(Atom, String, Atom),
    /// `del of[item]`.
    DelItem(Atom, Index),
    /// `local = of.attr`, for a call of the method later.
    Lookup(Local, String, Atom),
    /// `del local`.
    Unset(Local),
    /// `a, b = value`.
    Unpack(Vec<Local>, Atom),
    /// Two branches.
    If(Atom, Vec<Statement>, Vec<Statement>),
    /// `while True`.
    Loop(Vec<Statement>),
    /// `for to in iterable`, and what follows if it is not left by `break`.
    For(Local, Atom, Vec<Statement>, Vec<Statement>),
    /// A block, and what is done if one of its statements raises such an exception.
    Try(Catch, Vec<Statement>, Vec<Statement>),
    /// `raise a`, where a handler may catch it.
    Raise(Atom),
    /// An exception is not being handled any more, which was raised there.
    EndHandler(Atom, Atom),
    /// Leaves the innermost loop.
    Break,
    /// The next turn of the innermost loop.
    Continue,
    /// Ends the function.
    Return(Atom),
    /// Python does what follows, and why.
    Leave(String),
}

type Result<T> = std::result::Result<T, ProgramError>;

fn wrong<T>(place: &str, expected: &str) -> Result<T> {
    Err(ProgramError {
        place: place.to_owned(),
        expected: expected.to_owned(),
    })
}

/// What is read besides the statements, and the limits that they have to keep.
struct Reader {
    n_locals: usize,
    n_globals: usize,
    n_consts: usize,
    ids: Vec<bool>,
    depth: usize,
}

/// Statements nested deeper than this are left to Python, whose own parser gives up near it.
const DEPTH_MAX: usize = 200;

impl Program {
    /// Reads a program.
    ///
    /// # Errors
    /// If the text is no JSON, or does not describe a program; the error names the place.
    pub fn from_json(text: &str) -> Result<Self> {
        let Ok(value) = serde_json::from_str::<Value>(text) else {
            return wrong("program", "JSON");
        };
        let names = |key: &str| -> Result<Vec<String>> {
            let Some(list) = value.get(key).and_then(Value::as_array) else {
                return wrong(key, "a list of names");
            };
            list.iter().map(|name| string(name, key)).collect()
        };
        let globals = match value.get("globals").and_then(Value::as_array) {
            None => return wrong("globals", "a list"),
            Some(list) => list
                .iter()
                .map(|global| string(&global["path"], "globals"))
                .collect::<Result<Vec<_>>>()?,
        };
        let locals = names("locals")?;
        let params = names("params")?;
        if params.len() > locals.len() || locals[..params.len()] != params[..] {
            return wrong("locals", "the parameters first");
        }
        let n_consts = match &value["consts"] {
            Value::Array(consts) => consts.len(),
            Value::Null => 0,
            count => usize_of(count, "consts")?,
        };
        let mut reader = Reader {
            n_locals: locals.len(),
            n_globals: globals.len(),
            n_consts,
            ids: Vec::new(),
            depth: 0,
        };
        let mut body = reader.block(&value["body"], false)?;
        progression::count_instead(&mut body, &locals);
        let n_named = value["kwonly"].as_array().map_or(0, Vec::len);
        let [has_rest, takes_all_names] = ["vararg", "kwarg"].map(|name| !value[name].is_null());
        let n_others = n_named + usize::from(has_rest) + usize::from(takes_all_names);
        Ok(Self {
            name: string(&value["name"], "name")?,
            file: string(&value["file"], "file")?,
            line: u32::try_from(usize_of(&value["line"], "line")?).unwrap_or(0),
            n_params: params.len(),
            locals,
            globals,
            n_consts,
            n_statements: reader.ids.len(),
            is_positional: n_others == 0,
            n_plain: params.len().saturating_sub(n_others),
            n_named,
            takes_all_names,
            has_handlers: value["handlers"].as_bool().unwrap_or(true),
            wraps: value["wrap"].as_bool().unwrap_or(false),
            body,
        })
    }
}

impl Program {
    /// The attributes of the first parameter that are assigned, in the order of the statements.
    #[must_use]
    pub fn assigned_to_first(&self) -> Vec<String> {
        let mut assigned = all_statements(&self.body)
            .filter_map(|statement| match &statement.kind {
                Kind::SetAttr(Atom::Local(0), name, _) => Some((statement.id, name.clone())),
                _ => None,
            })
            .collect::<Vec<_>>();
        assigned.sort();
        assigned.into_iter().map(|(_, name)| name).collect()
    }

    /// The methods that stand for its operators and the like.
    pub fn operators(&self) -> impl Iterator<Item = String> {
        let operators = all_statements(&self.body).filter_map(|statement| match &statement.kind {
            Kind::Set(_, Expr::Bin(op, ..)) => Some(op.method()),
            _ => None,
        });
        let specials = all_statements(&self.body)
            .filter_map(|statement| crate::special::methods_of(&statement.kind));
        operators
            .flat_map(|name| [format!("__{name}__"), format!("__i{name}__")])
            .chain(specials.map(str::to_owned))
    }

    /// Everything that has to be a text object: names of attributes and methods, strings, and the
    /// names of arguments under [`names_key`](crate::names_key).
    #[must_use]
    pub fn texts(&self) -> Vec<Text> {
        let mut texts = Vec::new();
        for statement in all_statements(&self.body) {
            crate::liveness::for_each_atom(&statement.kind, &mut |atom| {
                if let Atom::Str(text) = atom {
                    texts.push(Text::One(text.clone()));
                }
            });
            let (name, named) = match &statement.kind {
                Kind::SetAttr(_, name, _)
                | Kind::Lookup(_, name, _)
                | Kind::SetGlobal(_, name, _) => (Some(name), None),
                Kind::Set(_, e) | Kind::Expr(e) => match e {
                    Expr::Attr(name, _) | Expr::Global(name, _) => (Some(name), None),
                    Expr::Format(parts, _) => {
                        let written = parts.iter().filter_map(|part| match part {
                            Part::Text(text) | Part::Value(_, _, Some(text)) => Some(text),
                            Part::Value(..) => None,
                        });
                        texts.extend(written.cloned().map(Text::One));
                        (None, None)
                    }
                    Expr::Method(name, _, _, named, _) => (Some(name), Some(named)),
                    Expr::Call(_, _, named) => (None, Some(named)),
                    _ => (None, None),
                },
                _ => (None, None),
            };
            texts.extend(name.map(|name| Text::One(name.clone())));
            if let Some(named) = named.filter(|named| !named.is_empty()) {
                let names = named.iter().map(|(name, _)| name.clone()).collect();
                texts.push(Text::Names(crate::names_key(named), names));
            }
        }
        texts
    }
}

/// A text object that a program needs.
#[derive(Debug, Clone)]
pub enum Text {
    /// A string under itself.
    One(String),
    /// A tuple of strings under a key.
    Names(String, Vec<String>),
}

fn string(value: &Value, place: &str) -> Result<String> {
    match value.as_str() {
        Some(text) => Ok(text.to_owned()),
        None => wrong(place, "text"),
    }
}

fn usize_of(value: &Value, place: &str) -> Result<usize> {
    match value.as_u64().and_then(|count| usize::try_from(count).ok()) {
        Some(count) => Ok(count),
        None => wrong(place, "a number that is not negative"),
    }
}

/// Reads `float.hex()`.
fn float(text: &str) -> Option<f64> {
    let (sign, body) = match text.strip_prefix('-') {
        Some(body) => (-1.0, body),
        None => (1.0, text),
    };
    let value = match body {
        "inf" => f64::INFINITY,
        "nan" => f64::NAN,
        _ => {
            let (mantissa, exponent) = body.strip_prefix("0x")?.split_once('p')?;
            let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
            if fraction.len() > 13 || whole.len() != 1 {
                return None;
            }
            let digits = u64::from_str_radix(&format!("{whole}{fraction}"), 16).ok()?;
            let scale = i32::try_from(4 * fraction.len()).ok()?;
            let exponent = exponent.parse::<i32>().ok()? - scale;
            // At most 53 bits, so both products are exact, also where the result is subnormal.
            #[expect(clippy::cast_precision_loss, reason = "at most 53 bits")]
            let digits = digits as f64;
            let half = exponent / 2;
            digits * 2f64.powi(half) * 2f64.powi(exponent - half)
        }
    };
    Some(sign * value)
}

impl Reader {
    fn local(&self, value: &Value, place: &str) -> Result<Local> {
        let local = usize_of(value, place)?;
        if local < self.n_locals {
            Ok(local)
        } else {
            wrong(place, "the number of a local")
        }
    }

    fn atom(&self, value: &Value, place: &str) -> Result<Atom> {
        let Some((key, inner)) = value.as_object().and_then(|object| object.iter().next()) else {
            return wrong(place, "an atom");
        };
        let atom = match key.as_str() {
            "l" => Some(Atom::Local(self.local(inner, place)?)),
            "i" => inner.as_i64().map(Atom::Int),
            "f" => inner.as_str().and_then(float).map(Atom::Float),
            "b" => inner.as_bool().map(Atom::Bool),
            "none" => Some(Atom::None),
            "str" => inner.as_str().map(|text| Atom::Str(text.to_owned())),
            "c" => Some(usize_of(inner, place)?)
                .filter(|&index| index < self.n_consts)
                .map(Atom::Const),
            "g" => Some(usize_of(inner, place)?)
                .filter(|&index| index < self.n_globals)
                .map(Atom::Global),
            _ => None,
        };
        atom.map_or_else(|| wrong(place, "an atom"), Ok)
    }

    fn atoms(&self, value: &Value, place: &str) -> Result<Vec<Atom>> {
        let Some(list) = value.as_array() else {
            return wrong(place, "a list of atoms");
        };
        list.iter().map(|atom| self.atom(atom, place)).collect()
    }

    fn named(&self, value: &Value, place: &str) -> Result<Vec<(String, Atom)>> {
        let Some(list) = value.as_array() else {
            return if value.is_null() {
                Ok(Vec::new())
            } else {
                wrong(place, "a list of named atoms")
            };
        };
        let pair = |pair: &Value| Ok((string(&pair[0], place)?, self.atom(&pair[1], place)?));
        list.iter().map(pair).collect()
    }

    fn index(&self, value: &Value, place: &str) -> Result<Index> {
        if let Some(parts) = value.get("tuple").and_then(Value::as_array) {
            let parts = parts.iter().map(|part| self.index(part, place));
            return Ok(Index::Tuple(parts.collect::<Result<_>>()?));
        }
        if let Some(parts) = value.get("slice").and_then(Value::as_array) {
            if parts.len() != 3 {
                return wrong(place, "three parts of a slice");
            }
            let part = |part: &Value| {
                if part.is_null() {
                    Ok(None)
                } else {
                    self.atom(part, place).map(Some)
                }
            };
            return Ok(Index::Slice([
                part(&parts[0])?,
                part(&parts[1])?,
                part(&parts[2])?,
            ]));
        }
        self.atom(value, place).map(Index::Atom)
    }

    /// A part of an f-string.
    fn part(&self, value: &Value, place: &str) -> Result<Part> {
        let text = |key: &str| string(&value[key], place);
        if !value["text"].is_null() {
            return Ok(Part::Text(text("text")?));
        }
        let conversion = match text("conversion")?.as_bytes() {
            [] => 0,
            &[letter @ (b's' | b'r' | b'a')] => letter,
            _ => return wrong(place, "a conversion"),
        };
        let format = Some(text("spec")?).filter(|format| !format.is_empty());
        Ok(Part::Value(
            self.atom(&value["value"], place)?,
            conversion,
            format,
        ))
    }

    fn expr(&self, value: &Value, place: &str) -> Result<Expr> {
        let Some(object) = value.as_object() else {
            return wrong(place, "an operation");
        };
        let atom = |key: &str| self.atom(&value[key], place);
        let has = |key: &str| object.contains_key(key);
        let name = |key: &str| string(&value[key], place);
        Ok(if has("atom") {
            Expr::Atom(atom("atom")?)
        } else if has("bin") || has("ibin") {
            let in_place = has("ibin");
            let Some(op) = bin(&name(if in_place { "ibin" } else { "bin" })?) else {
                return wrong(place, "a binary operator");
            };
            Expr::Bin(op, atom("a")?, atom("b")?, in_place)
        } else if has("un") {
            let op = match name("un")?.as_str() {
                "neg" => Un::Neg,
                "pos" => Un::Pos,
                "invert" => Un::Invert,
                "not" => Un::Not,
                _ => return wrong(place, "a unary operator"),
            };
            Expr::Un(op, atom("a")?)
        } else if has("cmp") {
            let Some(op) = cmp(&name("cmp")?) else {
                return wrong(place, "a comparison");
            };
            Expr::Cmp(op, atom("a")?, atom("b")?)
        } else if has("call") {
            let args = self.atoms(&value["args"], place)?;
            Expr::Call(atom("call")?, args, self.named(&value["kw"], place)?)
        } else if has("method") {
            let args = self.atoms(&value["args"], place)?;
            let named = self.named(&value["kw"], place)?;
            let bound = match &value["bound"] {
                Value::Null => None,
                bound => Some(self.local(&bound["l"], place)?),
            };
            Expr::Method(name("method")?, atom("of")?, args, named, bound)
        } else if has("attr") {
            Expr::Attr(name("attr")?, atom("of")?)
        } else if has("item") {
            Expr::Item(atom("of")?, self.index(&value["item"], place)?)
        } else if has("tuple") {
            Expr::Tuple(self.atoms(&value["tuple"], place)?)
        } else if has("list") {
            Expr::List(self.atoms(&value["list"], place)?)
        } else if has("set_") {
            Expr::Set(self.atoms(&value["set_"], place)?)
        } else if has("dict") {
            let Some(pairs) = value["dict"].as_array() else {
                return wrong(place, "a list of pairs");
            };
            let pair =
                |pair: &Value| Ok((self.atom(&pair[0], place)?, self.atom(&pair[1], place)?));
            Expr::Dict(pairs.iter().map(pair).collect::<Result<_>>()?)
        } else if has("fails") {
            let how = match string(&value["fails"], place)?.as_str() {
                "zero" => Failure::Zero,
                "index" => Failure::Index,
                "key" => Failure::Key,
                _ => return wrong(place, "a way to fail"),
            };
            Expr::Fails(how, atom("a")?, atom("b")?)
        } else if has("format") {
            let Some(parts) = value["format"].as_array() else {
                return wrong(place, "a list of parts");
            };
            let parts = parts.iter().map(|part| self.part(part, place));
            let is_part = value["part"].as_bool().unwrap_or(false);
            Expr::Format(parts.collect::<Result<_>>()?, is_part)
        } else if has("global") {
            Expr::Global(name("global")?, atom("of")?)
        } else if has("sequence") {
            Expr::IsSequence(atom("sequence")?)
        } else if has("truth") {
            Expr::Truth(atom("truth")?)
        } else if has("iter") {
            Expr::Iter(atom("iter")?)
        } else {
            let what = object.keys().next().map_or("", String::as_str);
            Expr::Unknown(what.to_owned())
        })
    }

    fn catch(&self, value: &Value, place: &str) -> Result<Catch> {
        let Some(kinds) = value["kinds"].as_array() else {
            return wrong(place, "a list of classes");
        };
        let kind = |kind: &Value| Ok((usize_of(&kind[0], place)?, self.atom(&kind[1], place)?));
        let local = |key: &str| self.local(&value[key], place);
        Ok(Catch {
            error: local("error")?,
            at: local("at")?,
            which: local("which")?,
            kinds: kinds.iter().map(kind).collect::<Result<_>>()?,
        })
    }

    fn block(&mut self, value: &Value, in_loop: bool) -> Result<Vec<Statement>> {
        let Some(list) = value.as_array() else {
            return wrong("a block", "a list of statements");
        };
        if self.depth >= DEPTH_MAX {
            return wrong("a block", "fewer levels of nesting");
        }
        self.depth += 1;
        let block = list.iter().map(|value| self.statement(value, in_loop));
        let block = block.collect::<Result<_>>()?;
        self.depth -= 1;
        Ok(block)
    }

    fn statement(&mut self, value: &Value, in_loop: bool) -> Result<Statement> {
        let id = usize_of(&value["id"], "the number of a statement")?;
        let place = format!("statement {id}");
        let place = place.as_str();
        if id != self.ids.len() {
            return wrong(place, &format!("the number {}", self.ids.len()));
        }
        self.ids.push(true);
        let line = usize_of(&value["line"], place)?;
        let line = u32::try_from(line).unwrap_or(0);
        let atom = |key: &str| self.atom(&value[key], place);
        let kind = match string(&value["s"], place)?.as_str() {
            "set" => {
                let to = self.local(&value["to"], place)?;
                Kind::Set(to, self.expr(&value["e"], place)?)
            }
            "expr" => Kind::Expr(self.expr(&value["e"], place)?),
            "setitem" => {
                let index = self.index(&value["item"], place)?;
                Kind::SetItem(atom("of")?, index, atom("value")?)
            }
            "setattr" => {
                let name = string(&value["attr"], place)?;
                Kind::SetAttr(atom("of")?, name, atom("value")?)
            }
            "setglobal" => {
                let name = string(&value["name"], place)?;
                Kind::SetGlobal(atom("of")?, name, atom("value")?)
            }
            "delitem" => Kind::DelItem(atom("of")?, self.index(&value["item"], place)?),
            "lookup" => {
                let to = self.local(&value["to"], place)?;
                Kind::Lookup(to, string(&value["attr"], place)?, atom("of")?)
            }
            "unset" => Kind::Unset(self.local(&value["l"], place)?),
            "unpack" => {
                let Some(targets) = value["to"].as_array() else {
                    return wrong(place, "a list of locals");
                };
                let targets = targets.iter().map(|to| self.local(to, place));
                Kind::Unpack(targets.collect::<Result<_>>()?, atom("a")?)
            }
            "if" => {
                let test = atom("c")?;
                let then = self.block(&value["then"], in_loop)?;
                Kind::If(test, then, self.block(&value["else"], in_loop)?)
            }
            "loop" => Kind::Loop(self.block(&value["body"], true)?),
            "for" => {
                let to = self.local(&value["to"], place)?;
                let iterable = atom("iter")?;
                let body = self.block(&value["body"], true)?;
                Kind::For(to, iterable, body, self.block(&value["else"], in_loop)?)
            }
            "try" => {
                let catch = self.catch(value, place)?;
                let body = self.block(&value["body"], in_loop)?;
                Kind::Try(catch, body, self.block(&value["handler"], in_loop)?)
            }
            "raise" => Kind::Raise(atom("a")?),
            "handled" => Kind::EndHandler(atom("error")?, atom("at")?),
            "break" | "continue" if !in_loop => return wrong(place, "a loop around it"),
            "break" => Kind::Break,
            "continue" => Kind::Continue,
            "return" => Kind::Return(atom("a")?),
            "leave" => Kind::Leave(value["why"].as_str().unwrap_or("unsupported").to_owned()),
            _ => Kind::Leave("unknown statement".to_owned()),
        };
        Ok(Statement {
            id,
            line,
            kind,
            is_handled: value["handled"].as_bool().unwrap_or(false),
        })
    }
}

fn bin(name: &str) -> Option<Bin> {
    Some(match name {
        "add" => Bin::Add,
        "sub" => Bin::Sub,
        "mul" => Bin::Mul,
        "truediv" => Bin::TrueDiv,
        "floordiv" => Bin::FloorDiv,
        "mod" => Bin::Mod,
        "pow" => Bin::Pow,
        "lshift" => Bin::LShift,
        "rshift" => Bin::RShift,
        "and" => Bin::And,
        "or" => Bin::Or,
        "xor" => Bin::Xor,
        "matmul" => Bin::MatMul,
        _ => return None,
    })
}

fn cmp(name: &str) -> Option<Cmp> {
    Some(match name {
        "lt" => Cmp::Lt,
        "le" => Cmp::Le,
        "eq" => Cmp::Eq,
        "ne" => Cmp::Ne,
        "gt" => Cmp::Gt,
        "ge" => Cmp::Ge,
        "is" => Cmp::Is,
        "isnot" => Cmp::IsNot,
        "in" => Cmp::In,
        "notin" => Cmp::NotIn,
        _ => return None,
    })
}
