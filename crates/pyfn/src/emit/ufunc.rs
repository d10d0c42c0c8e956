//! Calls of numpy's functions of numbers.

use cranelift_codegen::ir::{InstBuilder, MemFlagsData, types};

use super::{Emitter, Val, trusted};
use crate::program::Atom;
use crate::types::{Dtype, Ty};
use crate::ufunc::{ScalarUfunc, is_single};

impl Emitter<'_, '_> {
    /// Where a number belongs in an array in order: before those that are not less.
    pub(super) fn search_sorted(&mut self, args: &[Val], ty: Ty) -> Option<Val> {
        let [of, key] = args else { return None };
        let fields = of.array.as_ref()?;
        let (data, size, step) = (fields.data?, fields.sizes[0], fields.strides[0]);
        let is_float = of.ty.array()?.dtype == Dtype::Float64;
        let bits = if is_float {
            let flt = self.flt(key);
            self.b.ins().bitcast(types::I64, MemFlagsData::new(), flt)
        } else {
            self.word(key)
        };
        let is_float = self.int(i64::from(is_float));
        let args = [data, size, step, bits, is_float];
        let place = self.call_word(self.rt.search_sorted, &args);
        Some(Self::from_word(ty, place))
    }

    /// A call: by the function's inner loop, or by Python where numpy has something to say.
    pub(super) fn ufunc(
        &mut self,
        known: &ScalarUfunc,
        function: &Atom,
        args: &[Val],
        ty: &Ty,
    ) -> Val {
        let tags = args.iter().map(|arg| arg.ty.tags).collect::<Vec<_>>();
        let is_single = is_single(&tags);
        let numbers = args.iter().map(|arg| match is_single {
            true => self.single_of(arg),
            false => self.number_to_flt(arg),
        });
        let numbers = numbers.collect::<Vec<_>>();
        let room = self.scratch(known.n_args + 1);
        let offset = |at: usize| i32::try_from(8 * at).unwrap_or(0);
        for (at, &number) in numbers.iter().enumerate() {
            self.store(number, room, offset(at));
        }
        let n = self.int(i64::try_from(known.n_args).unwrap_or(0));
        let is_done = match self.rt.ufunc_loops.get(&(known.name, is_single)) {
            Some(&[address, data]) => {
                let (address, data) = (self.address(address), self.address(data));
                self.call_word(self.rt.ufunc_once, &[address, data, room, n])
            }
            None => self.int(0),
        };
        let (by_python, done) = (self.cold_block(), self.new_block());
        self.b.ins().brif(is_done, done, &[], by_python, &[]);
        self.start(by_python);
        let function = self.atom(function);
        let function = self.word(&function);
        let singles = self.int(i64::from(is_single));
        let status = self.call_word(self.rt.ufunc_call, &[function, room, n, singles]);
        self.fail_if_negative(status);
        self.jump(done, &[]);
        self.start(done);
        let at = offset(known.n_args);
        if known.is_test {
            let word = self.b.ins().uload8(types::I64, trusted(), room, at);
            return Self::from_word(ty.clone(), word);
        }
        let flt = if is_single {
            let single = self.load(types::F32, room, at);
            self.b.ins().fpromote(types::F64, single)
        } else {
            self.load(types::F64, room, at)
        };
        Self::from_flt(ty.clone(), flt)
    }
}
