//! What genes say, for people: a short text a gene, beside listings and in pictures.

use opcodon_expr::{Expr, Node, print};

use crate::code::Code;
use crate::formula::{integer_text, operation};
use crate::gene::{Gene, Opcode, Operand};

impl Code {
    /// What each gene does, with its first slot: `r0 = r0 + mass`. Columns without a name are
    /// called `x0`, `x1` and so on.
    #[must_use]
    pub fn notes(&self, names: &[String]) -> Vec<(usize, String)> {
        let note = |(slot, gene): (usize, Gene)| {
            (slot, format!("r{} = {}", gene.dst, self.value(gene, names)))
        };
        self.genes().map(note).collect()
    }

    /// The value that a gene computes.
    fn value(&self, gene: Gene, names: &[String]) -> String {
        let (words, integers) = (self.is_on_words(), self.is_on_integers());
        let (last, name) = match gene.b {
            Operand::Constant(k) => {
                let value = self.constants()[usize::from(k)];
                let bits = value.to_bits();
                if integers {
                    (Node::Var(1), integer_text(bits))
                } else if words {
                    (Node::Var(1), u8::from(bits != 0).to_string())
                } else {
                    (Node::Const(value), String::new())
                }
            }
            Operand::Register(number) => (Node::Var(1), format!("r{number}")),
            Operand::Column(number) => {
                let given = names.get(usize::from(number)).cloned();
                (Node::Var(1), given.unwrap_or_else(|| format!("x{number}")))
            }
        };
        let first = format!("r{}", gene.a);
        if gene.opcode == Opcode::If {
            return format!("r{} ? {first} : {name}", gene.dst);
        }
        if let Some(symbol) = gene.opcode.symbol() {
            let text = operation(symbol, &first, &name);
            let bare = text
                .strip_prefix('(')
                .and_then(|text| text.strip_suffix(')'));
            return bare.unwrap_or(&text).to_owned();
        }
        if gene.opcode == Opcode::Load && words {
            return name;
        }
        let operands = [Node::Var(0), last];
        let mut nodes = operands[2 - gene.opcode.arity().max(1)..].to_vec();
        nodes.extend(gene.opcode.op().map(Node::Op));
        let expr = Expr::from_postfix(nodes).expect("operands and their operator");
        print::infix(&expr, &[first, name])
    }
}
