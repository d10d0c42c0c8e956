//! Loads whose results nobody uses.
//!
//! Emitting loads all that may be needed behind a loop, and joins all that may be different; the
//! code generator drops what is computed for nothing, but no load, and no parameter of a block that
//! keeps one alive. So they are taken out before: what is live is found from the instructions with
//! effects backwards, through the arguments of jumps, and the rest goes.

use std::collections::HashMap;

use cranelift_codegen::ir::{Block, BlockArg, BlockCall, Function, Inst, Opcode, Value, ValueDef};

struct Search<'f> {
    func: &'f Function,
    /// The jumps to each block.
    jumps: HashMap<Block, Vec<(Inst, usize)>>,
    is_live: Vec<bool>,
    todo: Vec<Value>,
}

fn index(value: Value) -> usize {
    value.as_u32() as usize
}

impl Search<'_> {
    fn mark(&mut self, value: Value) {
        let value = self.func.dfg.resolve_aliases(value);
        if !std::mem::replace(&mut self.is_live[index(value)], true) {
            self.todo.push(value);
        }
    }

    fn mark_operands(&mut self, inst: Inst) {
        for &arg in self.func.dfg.inst_args(inst) {
            self.mark(arg);
        }
    }

    fn run(&mut self) {
        while let Some(value) = self.todo.pop() {
            match self.func.dfg.value_def(value) {
                ValueDef::Result(inst, _) => self.mark_operands(inst),
                ValueDef::Param(block, at) => {
                    for (inst, way) in self.jumps.get(&block).cloned().unwrap_or_default() {
                        let dfg = &self.func.dfg;
                        let call = &dfg.insts[inst]
                            .branch_destination(&dfg.jump_tables, &dfg.exception_tables)[way];
                        if let Some(BlockArg::Value(arg)) = call.args(&dfg.value_lists).nth(at) {
                            self.mark(arg);
                        }
                    }
                }
                ValueDef::Union(a, b) => {
                    self.mark(a);
                    self.mark(b);
                }
            }
        }
    }
}

/// Whether an instruction is only there for its result.
fn is_only_a_value(func: &Function, inst: Inst) -> bool {
    let opcode = func.dfg.insts[inst].opcode();
    let has_effects = opcode.is_call()
        || opcode.is_branch()
        || opcode.is_terminator()
        || opcode.is_return()
        || opcode.can_trap()
        || opcode.can_store()
        || opcode.other_side_effects()
        || opcode == Opcode::GetPinnedReg;
    !has_effects
}

/// Takes out what is computed for nothing, loads among it, and parameters of blocks that nobody
/// uses. No load may be one that has to be made.
pub(super) fn remove_unused(func: &mut Function) {
    let mut search = Search {
        is_live: vec![false; func.dfg.num_values()],
        func,
        jumps: HashMap::new(),
        todo: Vec::new(),
    };
    let mut computed = Vec::new();
    for block in func.layout.blocks() {
        for inst in func.layout.block_insts(block) {
            let dfg = &func.dfg;
            let calls = dfg.insts[inst].branch_destination(&dfg.jump_tables, &dfg.exception_tables);
            for (way, call) in calls.iter().enumerate() {
                let to = call.block(&dfg.value_lists);
                search.jumps.entry(to).or_default().push((inst, way));
            }
            if !is_only_a_value(func, inst) {
                search.mark_operands(inst);
            } else {
                computed.push(inst);
            }
        }
    }
    search.run();
    let (is_live, jumps) = (search.is_live, search.jumps);
    for inst in computed {
        let is_used = |value: &Value| is_live[index(*value)];
        if !func.dfg.inst_results(inst).iter().any(is_used) {
            func.layout.remove_inst(inst);
        }
    }
    let entry = func.layout.entry_block();
    for (block, jumps) in jumps {
        let params = func.dfg.block_params(block).to_vec();
        let keeps = params.iter().map(|&param| is_live[index(param)]);
        let keeps = keeps.collect::<Vec<_>>();
        if Some(block) == entry || keeps.iter().all(|&keeps| keeps) {
            continue;
        }
        for (inst, way) in jumps {
            let dfg = &mut func.dfg;
            let call = &mut dfg.insts[inst]
                .branch_destination_mut(&mut dfg.jump_tables, &mut dfg.exception_tables)[way];
            let args = call.args(&dfg.value_lists).zip(&keeps);
            let args = args.filter(|(_, keeps)| **keeps).map(|(arg, _)| arg);
            let args = args.collect::<Vec<_>>();
            *call = BlockCall::new(block, args, &mut dfg.value_lists);
        }
        for (&param, keeps) in params.iter().zip(keeps).rev() {
            if !keeps {
                func.dfg.remove_block_param(param);
            }
        }
    }
}
