//! What is decided before code is made: types, rules, ranges of integers, liveness, ownership.

use std::rc::Rc;

use crate::globals::Global;
use crate::infer::Inference;
use crate::program::{Bin, Cmp, Program, Un, all_statements};
use crate::rules;
use crate::runtime::Runtime;
use crate::types::*;
use crate::unit::{FunctionInfo, Unit};

/// A program of these parameters, locals, globals and statements.
fn program(params: &[&str], locals: &[&str], globals: &[&str], body: &str) -> Program {
    let names = |names: &[&str]| {
        let quoted = names.iter().map(|name| format!("{name:?}"));
        format!("[{}]", quoted.collect::<Vec<_>>().join(","))
    };
    let all = [params, locals].concat();
    let globals = globals.iter().map(|path| format!("{{\"path\":{path:?}}}"));
    let text = format!(
        "{{\"name\":\"f\",\"file\":\"f.py\",\"line\":1,\"params\":{},\"locals\":{},\"globals\":[{}],\
         \"consts\":0,\"handlers\":false,\"body\":[{body}]}}",
        names(params),
        names(&all),
        globals.collect::<Vec<_>>().join(","),
    );
    Program::from_json(&text).expect("a program")
}

/// The same with what its globals are: builtins.
fn info(params: &[&str], locals: &[&str], globals: &[&str], body: &str) -> FunctionInfo {
    let builtin = |name: &&str| Global::Builtin {
        name: (*name).to_owned(),
        address: 0,
    };
    let found = globals.iter().map(builtin).collect();
    let program = program(params, locals, globals, body);
    FunctionInfo::new(program, found, Vec::new(), std::collections::HashMap::new())
}

/// Where everything is known of Python that types depend on.
fn runtime() -> Rc<Runtime> {
    Rc::new(Runtime {
        ob_item: 24,
        unboxed_new: 1,
        table_new: 1,
        ..Runtime::default()
    })
}

/// The type of what a function returns for parameters of such types.
fn returned(info: FunctionInfo, params: &[Ty]) -> String {
    let mut unit = Unit::new(runtime(), 0);
    let id = unit.add(info);
    format!("{:?}", Inference::run(&mut unit, id, params).ret)
}

fn samples() -> Vec<Ty> {
    let array = ArrayTy {
        dtype: Dtype::Float64,
        ndim: 2,
        contiguous: true,
        writable: true,
    };
    vec![
        Ty::default(),
        Ty::of(UNSET),
        Ty::of(NONE),
        Ty::truth(),
        Ty::of(INT),
        Ty::count(),
        Ty::integer(-7),
        Ty::of(FLOAT),
        Ty::of(COMPLEX),
        Ty::of(CHAR),
        Ty::of(OBJECT),
        Ty::of(NP_F32),
        Ty::of(RANGE),
        Ty::object(Form::Str),
        Ty::object(Form::Dict),
        Ty::object(Form::Array(array)),
        Ty::object(Form::List(Box::new(Ty::of(INT)))),
        Ty::object(Form::List(Box::new(Ty::of(FLOAT)))),
        Ty::object(Form::Unboxed(Box::new(Ty::of(INT)))),
        Ty::object(Form::Table(Box::default())),
        Ty::object(Form::TupleObject(vec![Ty::of(INT), Ty::of(FLOAT)])),
        Ty::tuple(vec![Ty::of(INT), Ty::of(FLOAT)]),
        Ty::tuple(vec![Ty::of(INT)]),
        Ty::of(FLOAT).boxed(),
        Ty::of(INT).expected(),
    ]
}

#[test]
fn the_join_of_two_types_is_above_both() {
    for a in samples() {
        assert_eq!(a.join(&a), a);
        for b in samples() {
            let both = a.join(&b);
            assert_eq!(both, b.join(&a), "{a:?} and {b:?}");
            assert_eq!(both.join(&a), both, "{a:?} and {b:?}");
            for ty in [&a, &b] {
                // Parts become an object where they meet anything else.
                let parts = Tags::of(TUPLE).or(Tags::of(RANGE));
                let tags = Tags(ty.tags.0 & !parts.0);
                assert!(tags.within(both.tags), "{a:?} and {b:?} give {both:?}");
                assert!(both.natural <= ty.natural || !ty.tags.any(Tags::INTS));
                assert!(both.int_room() <= ty.int_room());
            }
        }
    }
}

#[test]
fn joins_in_any_order_are_the_same() {
    for a in samples() {
        for b in samples() {
            for c in samples() {
                let (left, right) = (a.join(&b).join(&c), a.join(&b.join(&c)));
                assert_eq!(left.tags, right.tags, "{a:?}, {b:?}, {c:?}");
            }
        }
    }
}

#[test]
fn ranges_of_integers_hold() {
    let samples = [
        0,
        1,
        -1,
        2,
        3,
        -8,
        63,
        64,
        255,
        -256,
        1 << 31,
        (1 << 40) - 1,
        -(1 << 52),
        1 << 61,
        i64::MAX,
        i64::MIN,
    ];
    let fits = |ty: &Ty, value: i64| {
        let limit = 1i128 << (63 - ty.room);
        let value = i128::from(value);
        if ty.natural {
            (0..limit).contains(&value)
        } else {
            (-limit..=limit).contains(&value)
        }
    };
    let results = |op: Bin, a: i64, b: i64| match op {
        Bin::Add => a.checked_add(b),
        Bin::Sub => a.checked_sub(b),
        Bin::Mul => a.checked_mul(b),
        Bin::FloorDiv if b != 0 => a.checked_div_euclid(b).map(|quotient| {
            let exact = a.wrapping_sub(quotient.wrapping_mul(b)) == 0;
            if b < 0 && !exact {
                quotient - 1
            } else {
                quotient
            }
        }),
        Bin::Mod if b != 0 => a.checked_rem(b).map(|rest| {
            if rest != 0 && (rest < 0) != (b < 0) {
                rest + b
            } else {
                rest
            }
        }),
        Bin::And => Some(a & b),
        Bin::Or => Some(a | b),
        Bin::Xor => Some(a ^ b),
        Bin::RShift if (0..64).contains(&b) => Some(a >> b),
        Bin::LShift if (0..64).contains(&b) => {
            i64::try_from(i128::from(a).checked_shl(u32::try_from(b).ok()?)?).ok()
        }
        Bin::Pow => a.checked_pow(u32::try_from(b).ok()?),
        _ => None,
    };
    for op in [
        Bin::Add,
        Bin::Sub,
        Bin::Mul,
        Bin::FloorDiv,
        Bin::Mod,
        Bin::And,
        Bin::Or,
        Bin::Xor,
        Bin::RShift,
        Bin::LShift,
        Bin::Pow,
    ] {
        for a in samples {
            assert!(fits(&Ty::integer(a), a), "{a}");
            for b in samples {
                let (x, y) = (Ty::integer(a), Ty::integer(b));
                let Some(ty) = rules::bin(op, &x, &y, Some(b)) else {
                    continue;
                };
                match results(op, a, b) {
                    Some(value) if ty.tags == Tags::of(INT) => {
                        assert!(fits(&ty, value), "{op:?} {a} {b}: {value} is not in {ty:?}");
                    }
                    // Where there is room it cannot go beyond 64 bits.
                    None if matches!(op, Bin::Add | Bin::Sub | Bin::Mul) => {
                        assert!(!rules::fits(op, &x, &y, Some(b)), "{op:?} {a} {b}");
                    }
                    _ => {}
                }
            }
        }
    }
}

#[test]
fn operations_have_the_types_that_python_and_numpy_say() {
    let (int, float, truth) = (Ty::of(INT), Ty::of(FLOAT), Ty::truth());
    let (complex, text, char) = (Ty::of(COMPLEX), Ty::object(Form::Str), Ty::of(CHAR));
    let (single, wide) = (Ty::of(NP_F32), Ty::of(NP_INT));
    let none = Ty::of(NONE);
    for (op, a, b, expected) in [
        (Bin::Add, &int, &int, "int"),
        (Bin::Add, &truth, &truth, "int"),
        (Bin::Add, &int, &float, "float"),
        (Bin::TrueDiv, &int, &int, "float"),
        (Bin::FloorDiv, &float, &int, "float"),
        (Bin::And, &truth, &truth, "bool"),
        (Bin::Pow, &int, &float, "float"),
        (Bin::Mul, &complex, &float, "complex"),
        (Bin::TrueDiv, &truth, &complex, "complex"),
        (Bin::FloorDiv, &complex, &int, "object"),
        (Bin::Add, &text, &char, "str"),
        (Bin::Add, &char, &char, "str"),
        (Bin::Mul, &char, &int, "str"),
        (Bin::Add, &single, &float, "numpy.float32"),
        (Bin::Add, &single, &wide, "numpy.float64"),
        (Bin::Add, &none, &int, "nothing"),
    ] {
        let found = rules::bin(op, a, b, None);
        let found = found.map_or("nothing".to_owned(), |ty| format!("{ty:?}"));
        assert_eq!(found, expected, "{a:?} {op:?} {b:?}");
    }
    for (op, a, expected) in [
        (Un::Neg, &truth, "int"),
        (Un::Not, &float, "bool"),
        (Un::Invert, &float, "nothing"),
        (Un::Neg, &complex, "complex"),
        (Un::Not, &char, "bool"),
    ] {
        let found = rules::un(op, a);
        let found = found.map_or("nothing".to_owned(), |ty| format!("{ty:?}"));
        assert_eq!(found, expected, "{op:?} {a:?}");
    }
    for (op, a, b, expected) in [
        (Cmp::Lt, &int, &float, "bool"),
        (Cmp::Eq, &char, &text, "bool"),
        (Cmp::Eq, &complex, &float, "bool"),
        (Cmp::Is, &complex, &none, "bool"),
        (Cmp::Is, &int, &int, "nothing"),
        (Cmp::Is, &int, &truth, "bool"),
    ] {
        let found = rules::cmp(op, a, b);
        let found = found.map_or("nothing".to_owned(), |ty| format!("{ty:?}"));
        assert_eq!(found, expected, "{a:?} {op:?} {b:?}");
    }
}

/// `s = 0`, `for x in xs: s += x`, `return s`.
const SUM: &str = r#"
    {"id":0,"line":1,"s":"set","to":1,"e":{"atom":{"i":0}}},
    {"id":1,"line":2,"s":"for","to":2,"iter":{"l":0},"else":[],"body":[
        {"id":2,"line":3,"s":"set","to":1,"e":{"ibin":"add","a":{"l":1},"b":{"l":2}}}]},
    {"id":3,"line":4,"s":"return","a":{"l":1}}"#;

#[test]
fn what_is_read_later_is_live() {
    let info = info(&["xs"], &["s", "x"], &[], SUM);
    let live = |set: &crate::liveness::Locals| (0..3).map(|at| set.has(at)).collect::<Vec<_>>();
    let liveness = &info.liveness;
    assert_eq!(live(&liveness.before[0]), [true, false, false]);
    assert_eq!(live(&liveness.after[0]), [true, true, false]);
    assert_eq!(live(&liveness.head[1]), [false, true, false]);
    assert_eq!(live(&liveness.before[2]), [false, true, true]);
    assert_eq!(live(&liveness.after[1]), [false, true, false]);
}

#[test]
fn a_loop_is_inferred_to_a_fixpoint() {
    for (element, expected) in [
        (Ty::of(INT), "int"),
        (Ty::of(FLOAT), "int|float"),
        (Ty::of(COMPLEX), "int|object|complex"),
    ] {
        let list = Ty::object(Form::List(Box::new(element)));
        let found = returned(info(&["xs"], &["s", "x"], &[], SUM), &[list]);
        assert_eq!(found, expected);
    }
}

/// `d = {}`, `for k in range(n): d[k] = 1.5`, then `last`, with the local 4 to spare.
fn table_program(last: &str) -> FunctionInfo {
    let body = format!(
        r#"{{"id":0,"line":1,"s":"set","to":1,"e":{{"dict":[]}}}},
        {{"id":1,"line":2,"s":"set","to":3,"e":{{"call":{{"g":0}},"args":[{{"l":0}}]}}}},
        {{"id":2,"line":2,"s":"for","to":2,"iter":{{"l":3}},"else":[],"body":[
            {{"id":3,"line":3,"s":"setitem","of":{{"l":1}},"item":{{"l":2}},"value":{{"f":"0x1.8p+0"}}}}]}},
        {last}"#
    );
    info(
        &["n"],
        &["d", "k", ".t0", ".t1"],
        &["range", "print"],
        &body,
    )
}

#[test]
fn a_table_is_own_unless_somebody_sees_it() {
    let back = r#"{"id":4,"line":4,"s":"return","a":{"l":1}}"#;
    assert!(table_program(back).own_tables[1].is_some());
    assert_eq!(returned(table_program(back), &[Ty::of(INT)]), "dict");
    let item = r#"{"id":4,"line":4,"s":"set","to":4,"e":{"item":{"i":0},"of":{"l":1}}},
        {"id":5,"line":5,"s":"return","a":{"l":4}}"#;
    assert_eq!(returned(table_program(item), &[Ty::of(INT)]), "float");
    let pair = r#"{"id":4,"line":4,"s":"set","to":4,"e":{"tuple":[{"l":1},{"l":0}]}},
        {"id":5,"line":5,"s":"return","a":{"l":4}}"#;
    assert!(table_program(pair).own_tables[1].is_some());
    let twice = pair.replace(r#"{"l":0}]"#, r#"{"l":1}]"#);
    let seen = r#"{"id":4,"line":4,"s":"set","to":4,"e":{"call":{"g":1},"args":[{"l":1}]}}"#;
    let in_a_list = r#"{"id":4,"line":4,"s":"set","to":4,"e":{"list":[{"l":1}]}}"#;
    let deleted_in_a_loop = r#"{"id":4,"line":4,"s":"for","to":4,"iter":{"l":1},"else":[],"body":[
        {"id":5,"line":5,"s":"delitem","of":{"l":1},"item":{"i":0}}]}"#;
    for last in [twice.as_str(), seen, in_a_list, deleted_in_a_loop] {
        assert_eq!(table_program(last).own_tables[1], None, "{last}");
    }
}

/// `for i, x in enumerate(xs): pass`, where the unpacking may be of another local.
fn enumerated(unpacked: usize) -> FunctionInfo {
    let body = format!(
        r#"{{"id":0,"line":1,"s":"set","to":1,"e":{{"call":{{"g":0}},"args":[{{"l":0}}]}}}},
        {{"id":1,"line":1,"s":"for","to":2,"iter":{{"l":1}},"else":[],"body":[
            {{"id":2,"line":1,"s":"unpack","to":[3,4],"a":{{"l":{unpacked}}}}}]}},
        {{"id":3,"line":2,"s":"return","a":{{"l":4}}}}"#
    );
    info(&["xs"], &[".t0", ".t1", "i", "x"], &["enumerate"], &body)
}

#[test]
fn a_loop_over_enumerate_holds_the_sequence() {
    let info = enumerated(2);
    let lockstep = info.locksteps.get(&1).expect("the loop");
    assert_eq!((lockstep.call, lockstep.start), (0, Some(0)));
    assert!(enumerated(0).locksteps.is_empty());
    let text = Ty::object(Form::Str);
    assert_eq!(returned(enumerated(2), &[text]), "character");
}

#[test]
fn every_statement_of_nested_blocks_is_found_once() {
    let info = table_program(r#"{"id":4,"line":4,"s":"return","a":{"l":1}}"#);
    let mut ids = all_statements(&info.program.body)
        .map(|statement| statement.id)
        .collect::<Vec<_>>();
    ids.sort_unstable();
    assert_eq!(ids, [0, 1, 2, 3, 4]);
}

#[test]
fn what_is_no_program_is_an_error_that_names_the_place() {
    for (text, place) in [
        ("", "program"),
        ("{}", "globals"),
        (r#"{"globals":[],"locals":[]}"#, "params"),
        (r#"{"globals":[],"locals":[],"params":["a"]}"#, "locals"),
    ] {
        let error = Program::from_json(text)
            .expect_err("no program")
            .to_string();
        assert!(error.starts_with(place), "{error}");
    }
}
