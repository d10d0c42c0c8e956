//! Calls: functions put in place, and those of numbers that are a few instructions.

use std::collections::HashMap;
use std::rc::Rc;

use super::graph::{Id, Lane, Op, Range, Test};
use super::libm::Function;
use super::read::{Flow, Frame, N_FRAMES_MAX, Reader, Val};
use super::routines::routine;
use crate::globals::{FunctionId, Global};
use crate::program::{Atom, Cmp};
use crate::rules::{self, Intrinsic};
use crate::types::{Class, Dtype, FLOAT, NP_F32, Tags, Ty};

impl Reader<'_> {
    pub(super) fn call(
        &mut self,
        function: usize,
        atoms: &[Atom],
        args: &[Val],
        path: Option<Id>,
    ) -> Option<Val> {
        let info = Rc::clone(&self.frames.last()?.info);
        match &info.globals[function] {
            Global::Function { id, .. } => self.put_in_place(*id, args, path),
            Global::Builtin { name, .. } => {
                let types = args.iter().map(|arg| Ty::tags(arg.tags));
                let types = types.collect::<Vec<_>>();
                let (how, ty) = rules::call(&info.globals, name, atoms, &types, &[]);
                self.intrinsic(how, &ty, args, path)
            }
            _ => None,
        }
    }

    pub(super) fn put_in_place(
        &mut self,
        id: FunctionId,
        args: &[Val],
        path: Option<Id>,
    ) -> Option<Val> {
        let info = Rc::clone(&self.of.unit.functions[id]);
        if !info.is_small || args.len() != info.program.n_params || self.frames.len() > N_FRAMES_MAX
        {
            return None;
        }
        self.frames.push(Frame {
            info: Rc::clone(&info),
            bound: args.iter().cloned().enumerate().collect(),
            ranges: HashMap::new(),
            shapes: HashMap::new(),
            is_loop: false,
            result: None,
        });
        let flow = self.block(&info.program.body, path);
        let frame = self.frames.pop()?;
        // All paths have to return something.
        match flow? {
            Flow::Ended => frame.result,
            Flow::On(_) => None,
        }
    }

    pub(super) fn intrinsic(
        &mut self,
        how: Intrinsic,
        ty: &Ty,
        args: &[Val],
        path: Option<Id>,
    ) -> Option<Val> {
        let result = |id: Id| {
            Some(Val {
                id,
                tags: ty.tags,
                linear: None,
            })
        };
        match (how, args) {
            (Intrinsic::Sqrt, [a]) => {
                let x = self.double(a)?;
                let zero = self.graph.double(0.0);
                let fine = self.graph.compare(Test::Ge, x, zero);
                let odd = self.not(fine);
                self.graph.stop(path, odd);
                let root = self.graph.float(Op::Sqrt, Lane::Double, &[x]);
                if ty.tags == Tags::of(NP_F32) {
                    // Rounded twice it is what is rounded once.
                    let root = Self::val(root, FLOAT);
                    return self.single(&root, path).and_then(result);
                }
                result(root)
            }
            (Intrinsic::Libm(name), [a]) => {
                let x = self.double(a)?;
                let value = match self.by_routine(name, &[x], path) {
                    Some(value) => value,
                    None => self.of_libm(Function::of(name), x, path)?,
                };
                result(value)
            }
            (Intrinsic::Libm2(name), [a, b]) => {
                let args = [self.double(a)?, self.double(b)?];
                if name == "pow" {
                    let value = self.power(args, path)?;
                    return result(value);
                }
                let value = self.by_routine(name, &args, path)?;
                result(value)
            }
            (Intrinsic::Ufunc(known), _) => {
                let value = self.ufunc(known, args, path)?;
                result(value)
            }
            (Intrinsic::Fabs, [a]) => {
                let x = self.double(a)?;
                result(self.magnitude(x))
            }
            (Intrinsic::Abs, [a]) => match self.graph.node(a.id).lane {
                Lane::Double | Lane::Single => {
                    let id = self.magnitude(a.id);
                    Some(Val { id, ..a.clone() })
                }
                _ => {
                    let x = self.int(a)?;
                    let range = self.graph.node(x).range;
                    let most = range.high.max(-range.low);
                    if most > Range::FULL.high {
                        return None;
                    }
                    let (zero, both) = (self.graph.int(0), Range::new(-range.high, -range.low));
                    let minus = self.graph.add(Op::Sub, Lane::Int, both, &[zero, x]);
                    let is_negative = self.graph.compare(Test::Lt, x, zero);
                    let range = Range::new(0, most);
                    let args = [is_negative, minus, x];
                    result(self.graph.add(Op::Select, Lane::Int, range, &args))
                }
            },
            (Intrinsic::FloorFloat | Intrinsic::CeilFloat, [a]) => {
                let x = self.double(a)?;
                let mode = if how == Intrinsic::FloorFloat { 1 } else { 2 };
                result(self.graph.float(Op::Round(mode), Lane::Double, &[x]))
            }
            (Intrinsic::Floor | Intrinsic::Ceil | Intrinsic::Trunc, [a]) => {
                let mode = match how {
                    Intrinsic::Floor => 1,
                    Intrinsic::Ceil => 2,
                    _ => 3,
                };
                let x = self.double(a)?;
                let whole = self.graph.float(Op::Round(mode), Lane::Double, &[x]);
                self.truncate(whole, path).and_then(result)
            }
            (Intrinsic::IsNan, [a]) => {
                let x = self.double(a)?;
                result(self.graph.compare(Test::Ne, x, x))
            }
            (Intrinsic::IsFinite, [a]) => {
                let x = self.double(a)?;
                let odd = self.graph.mask(Op::NonFinite, &[x]);
                result(self.not(odd))
            }
            (Intrinsic::Scale(by), [a]) => {
                let (x, by) = (self.double(a)?, self.graph.double(by));
                result(self.graph.float(Op::Mul, Lane::Double, &[x, by]))
            }
            (Intrinsic::Min | Intrinsic::Max, [first, rest @ ..]) => {
                let mut best = first.clone();
                for item in rest {
                    best = self.better(how == Intrinsic::Min, &best, item, path)?;
                }
                Some(best)
            }
            (Intrinsic::ToFloat | Intrinsic::ToNumpyFloat, [a]) => {
                let id = self.double(a)?;
                result(id)
            }
            (Intrinsic::ToInt, [a]) => match Self::class(a)? {
                Class::Int => {
                    let id = self.int(a)?;
                    let linear = a.linear.clone();
                    result(id).map(|value| Val { linear, ..value })
                }
                _ => self.truncate(a.id, path).and_then(result),
            },
            (Intrinsic::ToNumpyInt, [a]) => {
                let id = self.whole(a, path)?;
                result(id)
            }
            (Intrinsic::ToNarrow(Dtype::Float32), [a]) => {
                self.check_exact(a, path)?;
                self.single(a, path).and_then(result)
            }
            (Intrinsic::ToNarrow(dtype), [a]) => {
                let x = self.whole(a, path)?;
                let id = self.clip(x, Range::of(dtype)?, path)?;
                result(id)
            }
            (Intrinsic::ToBool, [a]) => {
                let id = self.truth(a)?;
                result(id)
            }
            _ => None,
        }
    }

    /// A power; of the C library if the exponent is written in the program.
    pub(super) fn power(&mut self, [x, y]: [Id; 2], path: Option<Id>) -> Option<Id> {
        let exponent = self.graph.constant(y).map(f64::from_bits);
        if self.of.unit.fast_math && exponent == Some(2.0) {
            let value = self.graph.float(Op::Mul, Lane::Double, &[x, x]);
            return Some(self.finite_or_stop(value, path));
        }
        if let Some(value) = self.by_routine("pow", &[x, y], path) {
            return Some(value);
        }
        self.of_libm(Function::Pow(exponent?), x, path)
    }

    /// A function by vector math, if that may be.
    fn by_routine(&mut self, name: &str, args: &[Id], path: Option<Id>) -> Option<Id> {
        if !self.of.unit.fast_math {
            return None;
        }
        let op = Op::Routine([routine(name, self.of.isa)?; 2]);
        let value = self.graph.float(op, Lane::Double, args);
        Some(self.finite_or_stop(value, path))
    }

    /// A row stops at what is not finite: the scalar code leaves there.
    fn finite_or_stop(&mut self, value: Id, path: Option<Id>) -> Id {
        let leaves = self.graph.mask(Op::NonFinite, &[value]);
        self.graph.stop(path, leaves);
        value
    }

    /// A function of the C library; a row stops where it leaves.
    pub(super) fn of_libm(&mut self, function: Function, x: Id, path: Option<Id>) -> Option<Id> {
        let thunk = function.thunk(self.of.libm, self.of.isa)?;
        let (usual, odd) = function.value(&mut self.graph, x);
        let odd = self.graph.on_path(path, odd);
        let call = Op::Call(thunk);
        let value = self.graph.float(call, Lane::Double, &[x, odd, usual]);
        Some(self.finite_or_stop(value, path))
    }

    pub(super) fn magnitude(&mut self, x: Id) -> Id {
        let lane = self.graph.node(x).lane;
        let sign = match lane {
            Lane::Single => self.graph.single(-0.0),
            _ => self.graph.double(-0.0),
        };
        self.graph.float(Op::AndNot, lane, &[sign, x])
    }

    /// A number without its fraction as an integer.
    fn whole(&mut self, a: &Val, path: Option<Id>) -> Option<Id> {
        match Self::class(a)? {
            Class::Int => self.int(a),
            _ => self.truncate(a.id, path),
        }
    }

    /// A float without its fraction as an integer; larger ones are left to the scalar loop.
    pub(super) fn truncate(&mut self, x: Id, path: Option<Id>) -> Option<Id> {
        let lane = self.graph.node(x).lane;
        let size = self.magnitude(x);
        let (limit, range) = if lane == Lane::Single {
            let limit = self.graph.single(2_147_483_648.0);
            (limit, Range::signed(32))
        } else {
            let limit = self.graph.double(2_251_799_813_685_248.0);
            (limit, Range::signed(52))
        };
        let fits = self.graph.compare(Test::Lt, size, limit);
        let odd = self.not(fits);
        self.graph.stop(path, odd);
        Some(self.graph.add(Op::Convert, Lane::Int, range, &[x]))
    }

    /// `item` if it is below (above) `best`, else `best`.
    pub(super) fn better(
        &mut self,
        is_min: bool,
        best: &Val,
        item: &Val,
        path: Option<Id>,
    ) -> Option<Val> {
        let op = if is_min { Cmp::Lt } else { Cmp::Gt };
        let truth = self.cmp(op, item, best, path)?;
        let selected = self.select(truth.id, item.clone(), best.clone())?;
        let node = *self.graph.node(selected.id);
        // Of twice the same there is nothing to select.
        if node.lane != Lane::Int || node.op != Op::Select {
            return Some(selected);
        }
        let (a, b) = (self.int(best)?, self.int(item)?);
        let (a, b) = (self.graph.node(a).range, self.graph.node(b).range);
        let range = if is_min {
            Range::new(a.low.min(b.low), a.high.min(b.high))
        } else {
            Range::new(a.low.max(b.low), a.high.max(b.high))
        };
        let args = [node.args[0]?, node.args[1]?, node.args[2]?];
        let id = self.graph.add(Op::Select, Lane::Int, range, &args);
        Some(Val { id, ..selected })
    }
}
