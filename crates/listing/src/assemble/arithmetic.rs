//! Tokens to expressions, by the shunting-yard algorithm (Dijkstra 1961): no depth is too deep.

use super::error::Fault;
use super::expr::{Binary, Expr, Step};
use super::names::register;
use super::symbols::Names;
use super::token::{Placed, Token, expected};

/// What waits on the operators' stack of the parser.
enum Waiting {
    Step(Step, u8),
    Open,
}

/// Parses the longest expression that starts at `tokens[*at]`, and moves `at` behind it.
///
/// Words in it become names, defined or not.
pub(super) fn parse(tokens: &[Placed], at: &mut usize, names: &mut Names) -> Result<Expr, Fault> {
    const UNARY: u8 = 7;
    let start = tokens[*at].span.start;
    let mut end = start;
    let mut steps = Vec::new();
    let mut waiting: Vec<Waiting> = Vec::new();
    let mut n_open = 0;
    let mut due = true;
    loop {
        let Placed { token, span } = &tokens[*at];
        if due {
            let step = match token {
                Token::Number(value, label) => names.number(*value, *label, span)?,
                Token::Text(text) if !text.is_empty() && text.len() <= 8 => {
                    let number = text
                        .iter()
                        .rev()
                        .fold(0, |n, &byte| n << 8 | i128::from(byte));
                    Step::Number(number)
                }
                Token::Word(word) => match word.as_str() {
                    "." => Step::Here,
                    _ if register(word).is_some() => {
                        return Err(expected("a number, a name or `(`", &tokens[*at]));
                    }
                    _ => Step::Name(names.refer(word, span)),
                },
                Token::Mark("$") => Step::Here,
                Token::Mark("$$") => Step::Start,
                Token::Mark("(") => {
                    waiting.push(Waiting::Open);
                    n_open += 1;
                    *at += 1;
                    continue;
                }
                Token::Mark("-" | "~" | "+") => {
                    if *token == Token::Mark("-") {
                        waiting.push(Waiting::Step(Step::Negate, UNARY));
                    } else if *token == Token::Mark("~") {
                        waiting.push(Waiting::Step(Step::Not, UNARY));
                    }
                    *at += 1;
                    continue;
                }
                _ => return Err(expected("a number, a name or `(`", &tokens[*at])),
            };
            steps.push(step);
            due = false;
        } else if let Some((binary, strength)) = Binary::of(token) {
            while let Some(Waiting::Step(_, other)) = waiting.last()
                && *other >= strength
                && let Some(Waiting::Step(step, _)) = waiting.pop()
            {
                steps.push(step);
            }
            waiting.push(Waiting::Step(Step::Binary(binary), strength));
            due = true;
        } else if *token == Token::Mark(")") && n_open > 0 {
            n_open -= 1;
            while let Some(Waiting::Step(step, _)) = waiting.pop() {
                steps.push(step);
            }
        } else {
            break;
        }
        end = span.end;
        *at += 1;
    }
    while let Some(last) = waiting.pop() {
        match last {
            Waiting::Step(step, _) => steps.push(step),
            Waiting::Open => return Err(expected("an operator or `)`", &tokens[*at])),
        }
    }
    Ok(Expr {
        steps,
        span: start..end,
    })
}
