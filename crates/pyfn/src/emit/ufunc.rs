//! Calls of numpy's functions of numbers.

use cranelift_codegen::ir::{InstBuilder, types};

use super::{Emitter, Val, trusted};
use crate::program::Atom;
use crate::types::Ty;
use crate::ufunc::ScalarUfunc;

impl Emitter<'_, '_> {
    /// A call: by the function's inner loop, or by Python where numpy has something to say.
    pub(super) fn ufunc(
        &mut self,
        known: &ScalarUfunc,
        function: &Atom,
        args: &[Val],
        ty: &Ty,
    ) -> Val {
        let numbers = args.iter().map(|arg| self.number_to_flt(arg));
        let numbers = numbers.collect::<Vec<_>>();
        let room = self.scratch(known.n_args + 1);
        let offset = |at: usize| i32::try_from(8 * at).unwrap_or(0);
        for (at, &number) in numbers.iter().enumerate() {
            self.store(number, room, offset(at));
        }
        let n = self.int(i64::try_from(known.n_args).unwrap_or(0));
        let is_done = match self.rt.ufunc_loops.get(known.name) {
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
        let status = self.call_word(self.rt.ufunc_call, &[function, room, n]);
        self.fail_if_negative(status);
        self.jump(done, &[]);
        self.start(done);
        let at = offset(known.n_args);
        if known.is_test {
            let word = self.b.ins().uload8(types::I64, trusted(), room, at);
            return Self::from_word(ty.clone(), word);
        }
        let flt = self.load(types::F64, room, at);
        Self::from_flt(ty.clone(), flt)
    }
}
