//! `opcodon doctor`: what the processor offers, and whether every operator works on it.

use clap::Args;
use opcodon::codemem::{self, cpu};
use opcodon::expr::{Expr, Op};
use opcodon::jit::{Batch, Goal, JitError, Panel, Tier};
use serde_json::json;

use crate::{Failure, out};

/// Flags of `opcodon doctor`: none yet.
#[derive(Debug, Args)]
pub(crate) struct Flags {}

pub(crate) fn run(_: &Flags, json: bool) -> Result<(), Failure> {
    let features: Vec<_> = cpu::Features::detect()
        .named()
        .into_iter()
        .filter(|(_, present)| *present)
        .collect();
    let features: Vec<_> = features.into_iter().map(|(name, _)| name).collect();
    let memory = codemem::probe();
    let mut tiers = Vec::new();
    let mut faults = Vec::new();
    for tier in Tier::ALL {
        if !tier.is_available() {
            tiers.push(json!({ "tier": tier.name(), "available": false }));
            continue;
        }
        let wrong = test(tier).unwrap_or_else(|error| vec![error.to_string()]);
        tiers.push(json!({
            "tier": tier.name(), "available": true, "operators": Op::ALL.len(), "wrong": wrong,
        }));
        faults.extend(wrong.into_iter().map(|what| format!("{tier}: {what}")));
    }
    let chosen = Tier::best();
    if let Err(error) = &memory {
        faults.push(error.to_string());
    }
    if let Err(error) = &chosen {
        faults.push(error.to_string());
    }
    let memory = memory.map_or_else(|_| "refused".to_owned(), |mapping| format!("{mapping:?}"));
    if json {
        out(json!({
            "version": env!("CARGO_PKG_VERSION"),
            "processor": std::env::consts::ARCH,
            "features": features,
            "code_memory": memory,
            "tiers": tiers,
            "chosen": chosen.as_ref().ok().map(|tier| tier.name()),
            "ok": faults.is_empty(),
        }));
    } else {
        out(format_args!("opcodon      {}", env!("CARGO_PKG_VERSION")));
        out(format_args!(
            "processor    {}: {}",
            std::env::consts::ARCH,
            features.join(" ")
        ));
        out(format_args!("code memory  {memory} mapping"));
        for tier in &tiers {
            let name = tier["tier"].as_str().unwrap_or_default();
            let wrong = tier["wrong"].as_array().map(Vec::len);
            out(match wrong {
                None => format!("tier {name:8}not on this processor"),
                Some(0) => format!(
                    "tier {name:8}{} operators agree with the reference",
                    Op::ALL.len()
                ),
                Some(n) => format!("tier {name:8}{n} results are wrong"),
            });
        }
        if let Ok(tier) = chosen {
            out(format_args!("in use       {tier} (OPCODON_TIER overrides)"));
        }
    }
    if faults.is_empty() {
        Ok(())
    } else {
        Err(Failure::system(faults.join("\n       ")))
    }
}

/// Compares every operator with the reference on a tier; tells what is wrong.
fn test(tier: Tier) -> Result<Vec<String>, JitError> {
    const N_ROWS: usize = 257;
    /// Irregular points between −4 and 4, and some that are special.
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    fn point(column: usize, row: usize) -> f64 {
        const SPECIAL: [f64; 6] = [0.0, -0.0, 1.0, -1.0, f64::INFINITY, f64::NAN];
        match (row * 7 + column * 3) % 40 {
            k if k < SPECIAL.len() => SPECIAL[k],
            _ => ((row * 2_654_435_761 + column * 40_503) % 8009) as f64 / 1001.0 - 4.0,
        }
    }
    let panel = Panel::<f64>::from_fn(3, N_ROWS, point);
    let mut batch = Batch::<f64>::new(tier)?;
    let mut out = vec![0.0; N_ROWS];
    let mut wrong = Vec::new();
    for &op in Op::ALL {
        let operands: Vec<Expr> = (0u32..).take(op.arity()).map(Expr::var).collect();
        let expr = Expr::apply(op, &operands);
        batch.compile([&expr], 3, Goal::Predict)?;
        batch.predict(0, &panel, &mut out)?;
        let bad = (0..N_ROWS).find(|&row| {
            let expected = expr.eval(&[point(0, row), point(1, row), point(2, row)]);
            let close = (out[row] - expected).abs() <= expected.abs() * 1e-14;
            !(close || out[row] == expected || (out[row].is_nan() && expected.is_nan()))
        });
        if let Some(row) = bad {
            wrong.push(format!("{} at row {row} gives {}", op.spelling(), out[row]));
        }
    }
    Ok(wrong)
}
