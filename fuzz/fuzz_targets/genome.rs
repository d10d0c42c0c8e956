//! Words and files that say they are genomes: whatever the verifier lets through has a meaning, is
//! bred into what it lets through again, and runs.
//!
//! The first bytes choose a tier, a number of columns and of constants; the others are slots. Text
//! is read as a file. A corpus of genomes finds more than one of nothing: their slots behind three
//! such bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use opcodon_mcode::{Batch, Blocks, Code, Fold, Individual, LinearCode, Tier, TreeCode};

fuzz_target!(|data: &[u8]| {
    if let Ok(read) = serde_json::from_slice::<Individual>(data) {
        use_it(read.code());
        return;
    }
    let [tier, n_columns, n_constants, words @ ..] = data else {
        return;
    };
    let tier = Tier::ALL[usize::from(tier % 2)];
    let constants = vec![0.5; usize::from(n_constants % 8)];
    let (words, _) = words.as_chunks::<8>();
    let slots: Vec<u64> = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
    if let Ok(code) = Code::verify(tier, usize::from(n_columns % 8), slots, constants) {
        use_it(&code);
    }
});

/// Everything that verified code is good for.
fn use_it(code: &Code) {
    assert_eq!(code.check(), Ok(()));
    let genes: usize = code.genes().map(|(_, gene)| gene.opcode.n_slots()).sum();
    assert_eq!(
        genes,
        code.slots().len(),
        "verified code is genes and nothing else"
    );
    let _ = code.to_expression(1000);
    let _ = code.to_boolean_text(1000);
    if let Ok(tree) = TreeCode::try_from(code.clone()) {
        let root = tree.marks().len() - 1;
        if let Ok(child) = tree.splice(0, &tree, root) {
            assert_eq!(child.check(), Ok(()));
        }
    }
    if let Ok(linear) = LinearCode::try_from(code.clone()) {
        assert_eq!(linear.strip().code().check(), Ok(()));
        let end = linear.effective().slots.len();
        if let Ok(child) = linear.splice(0..0, &linear, 0..end) {
            assert_eq!(child.code().check(), Ok(()));
        }
    }
    if code.tier().is_available() {
        let column = [1.0, -2.0, f64::NAN];
        let columns = vec![&column[..]; code.n_columns()];
        let blocks = Blocks::new(code.tier(), &columns, Some(&column)).expect("a table");
        let mut batch = Batch::new(code.tier(), code.n_columns(), Fold::Squares).expect("memory");
        batch.load([code]).expect("memory");
        batch.loss(0, &blocks).expect("a table of its kind");
    }
}
