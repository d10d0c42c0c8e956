//! The entry that Python itself calls.
//!
//! By PEP 590 an object may say which function is to be called with the arguments as they are. For
//! a version whose parameters are floats, small integers, arrays or objects of some known type, that
//! function is generated: it looks at the guards and at the arguments, takes the numbers out of
//! their objects, calls the native function, and makes an object of what that returns. Whatever is
//! not as expected goes to the next entry, in the end to the general one.

use cranelift_codegen::ir::{
    self, AbiParam, Block, InstBuilder, Type, Value, condcodes::IntCC, types,
};
use cranelift_codegen::isa::{CallConv, OwnedTargetIsa};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};

use super::{frame::depth_of, native_signature, trusted};
use crate::classes::Classes;
use crate::runtime::{Context, Runtime};
use crate::types::{ArrayTy, BOOL, COUNT_ROOM, Dtype, FLOAT, Form, INT, NONE, OBJECT, RAISED, Ty};

/// What the entry of a function looks at before anything else, and where it goes otherwise.
#[derive(Debug, Clone, Default)]
pub struct EntryGuards {
    /// Words in memory, and where the values are that they must have.
    pub words: Vec<(usize, usize)>,
    /// A byte that is not zero once the code must not be entered any more.
    pub refuted: usize,
    /// The function that is called with the same arguments if anything is not as expected.
    pub otherwise: usize,
}

/// A parameter that the entry can take out of an object.
fn is_simple(runtime: &Runtime, ty: &Ty) -> bool {
    match (ty.tags.single(), &ty.form) {
        (Some(FLOAT), _) => runtime.ob_fval != 0,
        (Some(INT), _) => runtime.digits30,
        (Some(NONE | BOOL), _) => true,
        (Some(OBJECT), Form::Array(array)) => type_number(array.dtype).is_some(),
        (Some(OBJECT), Form::Str | Form::Bytes | Form::Dict | Form::TupleObject(_)) => true,
        (Some(OBJECT), Form::Instance(_)) => true,
        _ => false,
    }
}

/// numpy's number of a dtype.
fn type_number(dtype: Dtype) -> Option<i64> {
    Some(match dtype {
        Dtype::Bool => 0,
        Dtype::Int8 => 1,
        Dtype::UInt8 => 2,
        Dtype::Int16 => 3,
        Dtype::UInt16 => 4,
        Dtype::Int32 => 5,
        Dtype::UInt32 => 6,
        Dtype::Int64 => 7,
        Dtype::UInt64 => 8,
        Dtype::Float32 => 11,
        Dtype::Float64 => 12,
        Dtype::Complex128 => 15,
    })
}

struct Builder<'a, 'f> {
    b: FunctionBuilder<'f>,
    rt: &'a Runtime,
    classes: &'a Classes,
    otherwise: Block,
}

/// Emits the entry; `cell` is where the address of the native function is, a leaf is a function that
/// calls no native one, so that it never looks at what there is of the stack.
///
/// Returns `false` if the parameters are not such that there can be one.
pub(super) fn entry(
    func: &mut ir::Function,
    builder_context: &mut FunctionBuilderContext,
    (params, ret, cell, is_leaf): (&[Ty], &Ty, usize, bool),
    guards: &EntryGuards,
    (rt, classes): (&Runtime, &Classes),
    isa: &OwnedTargetIsa,
) -> bool {
    if !params.iter().all(|ty| is_simple(rt, ty)) {
        return false;
    }
    let mut signature = ir::Signature::new(CallConv::SystemV);
    for _ in 0..4 {
        signature.params.push(AbiParam::new(types::I64));
    }
    signature.returns.push(AbiParam::new(types::I64));
    func.signature = signature.clone();
    let mut b = FunctionBuilder::new(func, builder_context);
    let block = b.create_block();
    b.append_block_params_for_function_params(block);
    b.switch_to_block(block);
    b.seal_block(block);
    let all = b.block_params(block).to_vec();
    let [_, args, n_args, names] = *all.as_slice() else {
        return false;
    };
    let otherwise = b.create_block();
    b.set_cold_block(otherwise);
    let mut builder = Builder {
        b,
        rt,
        classes,
        otherwise,
    };
    builder.must_be(names, 0);
    let n_args = builder.b.ins().ishl_imm_u(n_args, 1);
    builder.must_be(n_args, i64::try_from(2 * params.len()).unwrap_or(0));
    for &(word, expected) in &guards.words {
        let (word, expected) = (builder.word_at(word), builder.word_at(expected));
        builder.must_equal(word, expected);
    }
    let refuted = builder.address(guards.refuted);
    let refuted = builder.b.ins().uload8(types::I64, trusted(), refuted, 0);
    builder.must_be(refuted, 0);
    let mut values = Vec::new();
    for (at, ty) in params.iter().enumerate() {
        let offset = i32::try_from(8 * at).unwrap_or(0);
        let object = builder.load(types::I64, args, offset);
        values.extend(builder.unboxed(object, ty));
    }
    let result = builder.call(&values, params, cell, is_leaf);
    builder.boxed(&result, ret);
    let Builder { mut b, .. } = builder;
    b.switch_to_block(otherwise);
    let signature = b.import_signature(signature);
    #[expect(clippy::cast_possible_wrap, reason = "the bits are meant")]
    let target = b.ins().iconst(types::I64, guards.otherwise as i64);
    let call = b.ins().call_indirect(signature, target, &all);
    let object = b.inst_results(call)[0];
    b.ins().return_(&[object]);
    b.seal_all_blocks();
    b.finalize(isa.frontend_config());
    true
}

impl Builder<'_, '_> {
    fn address(&mut self, address: usize) -> Value {
        #[expect(clippy::cast_possible_wrap, reason = "the bits are meant")]
        let bits = address as i64;
        self.b.ins().iconst(types::I64, bits)
    }

    fn load(&mut self, ty: Type, at: Value, offset: i32) -> Value {
        self.b.ins().load(ty, trusted(), at, offset)
    }

    fn word_at(&mut self, address: usize) -> Value {
        let address = self.address(address);
        self.load(types::I64, address, 0)
    }

    fn must(&mut self, condition: Value) {
        let next = self.b.create_block();
        self.b.ins().brif(condition, next, &[], self.otherwise, &[]);
        self.b.switch_to_block(next);
    }

    fn must_be(&mut self, value: Value, wanted: i64) {
        let is = self.b.ins().icmp_imm_s(IntCC::Equal, value, wanted);
        self.must(is);
    }

    fn must_equal(&mut self, a: Value, b: Value) {
        let is = self.b.ins().icmp(IntCC::Equal, a, b);
        self.must(is);
    }

    fn must_have_type(&mut self, object: Value, type_: usize) {
        let (found, type_) = (self.load(types::I64, object, 8), self.address(type_));
        self.must_equal(found, type_);
    }

    /// What is passed for a parameter.
    fn unboxed(&mut self, object: Value, ty: &Ty) -> Option<Value> {
        match (ty.tags.single(), &ty.form) {
            (Some(FLOAT), _) => {
                self.must_have_type(object, self.rt.float_type);
                Some(self.load(types::F64, object, self.rt.ob_fval))
            }
            (Some(INT), _) => {
                self.must_have_type(object, self.rt.long_type);
                let size = self.load(types::I64, object, 16);
                let above = self.b.ins().iadd_imm_s(size, 1);
                let small = self
                    .b
                    .ins()
                    .icmp_imm_s(IntCC::UnsignedLessThanOrEqual, above, 2);
                self.must(small);
                let digit = self.b.ins().uload32(trusted(), object, 24);
                Some(self.b.ins().imul(digit, size))
            }
            (Some(BOOL), _) => {
                let (yes, no) = (self.address(self.rt.true_), self.address(self.rt.false_));
                let is_true = self.b.ins().icmp(IntCC::Equal, object, yes);
                let is_false = self.b.ins().icmp(IntCC::Equal, object, no);
                let either = self.b.ins().bor(is_true, is_false);
                self.must(either);
                Some(self.b.ins().uextend(types::I64, is_true))
            }
            (Some(NONE), _) => {
                let none = self.address(self.rt.none);
                self.must_equal(object, none);
                None
            }
            (_, form) => {
                match form {
                    Form::Array(array) => self.must_be_array(object, *array),
                    Form::Str => self.must_have_type(object, self.rt.str_type),
                    Form::Bytes => self.must_have_type(object, self.rt.bytes_type),
                    Form::Dict => self.must_have_type(object, self.rt.dict_type),
                    Form::Instance(class) => {
                        self.must_have_type(object, self.classes.address(class.id))
                    }
                    _ => self.must_have_type(object, self.rt.tuple_type),
                }
                Some(object)
            }
        }
    }

    /// numpy's own stable interface: `PyArrayObject_fields`, `PyArray_Descr`.
    fn must_be_array(&mut self, object: Value, array: ArrayTy) {
        self.must_have_type(object, self.rt.ndarray_type);
        let ndim = self.b.ins().uload32(trusted(), object, 24);
        self.must_be(ndim, i64::try_from(array.ndim).unwrap_or(0));
        let flags = self.b.ins().uload32(trusted(), object, 64);
        let flags = self.b.ins().band_imm_s(flags, 0x501);
        let contiguous = i64::from(array.contiguous);
        let writable = i64::from(array.writable) << 10;
        self.must_be(flags, contiguous | writable | 0x100);
        let descr = self.load(types::I64, object, 56);
        let number = self.b.ins().uload32(trusted(), descr, 28);
        self.must_be(number, type_number(array.dtype).unwrap_or(-1));
        let order = self.b.ins().uload8(types::I64, trusted(), descr, 26);
        let fine = self
            .b
            .ins()
            .icmp_imm_s(IntCC::NotEqual, order, i64::from(b'>'));
        self.must(fine);
        let sizes = self.load(types::I64, object, 32);
        for at in 0..array.ndim {
            let size = self.load(types::I64, sizes, i32::try_from(8 * at).unwrap_or(0));
            let limit = self.b.ins().iconst(types::I64, 1 << (63 - COUNT_ROOM));
            let fits = self.b.ins().icmp(IntCC::SignedLessThan, size, limit);
            self.must(fits);
        }
    }

    /// Calls the native function: tag, word, double.
    fn call(&mut self, values: &[Value], params: &[Ty], cell: usize, is_leaf: bool) -> Vec<Value> {
        let size = u32::try_from(size_of::<Context>()).unwrap_or(0);
        let room = ir::StackSlotData::new(ir::StackSlotKind::ExplicitSlot, size, 3);
        let room = self.b.create_sized_stack_slot(room);
        let context = self.b.ins().stack_addr(types::I64, room, 0);
        if !is_leaf {
            let mut signature = ir::Signature::new(CallConv::SystemV);
            signature.params.push(AbiParam::new(types::I64));
            signature.returns.push(AbiParam::new(types::I64));
            let signature = self.b.import_signature(signature);
            let fill = self.address(self.rt.enter);
            let call = self.b.ins().call_indirect(signature, fill, &[context]);
            let fine = self.b.inst_results(call)[0];
            self.must(fine);
        }
        let depth = if is_leaf {
            self.b.ins().iconst(types::I64, 0)
        } else {
            depth_of(&mut self.b, context)
        };
        let mut all = vec![context, depth];
        all.extend(values);
        let native = self.word_at(cell);
        let signature = self.b.import_signature(native_signature(params));
        let call = self.b.ins().call_indirect(signature, native, &all);
        self.b.inst_results(call).to_vec()
    }

    /// Returns the object of a result.
    fn boxed(&mut self, result: &[Value], ret: &Ty) {
        let [tag, word, flt] = *result else {
            return;
        };
        let cases: [(u8, usize, Type, Value); 2] = [
            (FLOAT, self.rt.make_float, types::F64, flt),
            (INT, self.rt.make_int, types::I64, word),
        ];
        for (wanted, function, ty, value) in cases {
            if !ret.tags.has(wanted) {
                continue;
            }
            let no = self.unless(tag, wanted);
            self.return_call(function, &[(ty, value)]);
            self.b.switch_to_block(no);
        }
        let null = self.b.ins().iconst(types::I64, 0);
        // An object is also what a call that was left to Python returns.
        for (wanted, object) in [(OBJECT, word), (RAISED, null)] {
            let no = self.unless(tag, wanted);
            self.b.ins().return_(&[object]);
            self.b.switch_to_block(no);
        }
        let bits = self
            .b
            .ins()
            .bitcast(types::I64, ir::MemFlagsData::new(), flt);
        let words = [tag, word, bits].map(|value| (types::I64, value));
        self.return_call(self.rt.box_value, &words);
    }

    /// Continues where the tag is the one that is wanted; the block where it is not.
    fn unless(&mut self, tag: Value, wanted: u8) -> Block {
        let wanted = i64::from(wanted);
        let is = self.b.ins().icmp_imm_s(IntCC::Equal, tag, wanted);
        let (yes, no) = (self.b.create_block(), self.b.create_block());
        self.b.ins().brif(is, yes, &[], no, &[]);
        self.b.switch_to_block(yes);
        no
    }

    fn return_call(&mut self, function: usize, args: &[(Type, Value)]) {
        let mut signature = ir::Signature::new(CallConv::SystemV);
        let params = args.iter().map(|&(ty, _)| AbiParam::new(ty));
        signature.params.extend(params);
        signature.returns.push(AbiParam::new(types::I64));
        let signature = self.b.import_signature(signature);
        let function = self.address(function);
        let args = args.iter().map(|&(_, value)| value).collect::<Vec<_>>();
        let call = self.b.ins().call_indirect(signature, function, &args);
        let object = self.b.inst_results(call)[0];
        self.b.ins().return_(&[object]);
    }
}
