//! Listings of known code, of bad code, and of any bytes at all.

#![allow(clippy::unwrap_used, reason = "tests")]

use arbtest::arbtest;
use expect_test::{Expect, expect};
use opcodon_listing::{Listing, Syntax, disassemble};

fn check(code: &[u8], syntax: Syntax, expected: Expect) {
    expected.assert_eq(&Listing::new(code, syntax).to_string());
}

/// A broadcast memory operand, a relative one, a jump into an instruction, a bad byte.
const CODE: &[u8] = b"\x62\xf1\xfd\x58\x58\x4f\x08\xf2\x0f\x10\x05\x10\0\0\0\xeb\xf1\x06";

/// A loop: two labels, one ahead and one behind, a call out of the code.
const LOOP: &[u8] = b"\x48\x83\xe9\x08\x72\x0f\xc5\xf5\x58\x0f\x48\x83\xc7\x20\
    \xe8\x00\x10\x00\x00\xeb\xeb\xc3";

#[test]
fn every_syntax_writes_its_own_way() {
    check(
        CODE,
        Syntax::Intel,
        expect![[r#"
        0000  62 f1 fd 58 58 4f 08     vaddpd zmm1,zmm0,[rdi+0x40]{1to8}
        0007  f2 0f 10 05 10 00 00 00  movsd xmm0,[rip+0x10]
        000f  eb f1                    jmp 0x2
        0011  06                       (bad)
    "#]],
    );
    check(
        &CODE[..7],
        Syntax::Att,
        expect![[r#"
        0000  62 f1 fd 58 58 4f 08  vaddpd 0x40(%rdi){1to8},%zmm0,%zmm1
    "#]],
    );
    check(
        &CODE[..7],
        Syntax::Masm,
        expect![[r#"
        0000  62 f1 fd 58 58 4f 08  vaddpd zmm1,zmm0,qword bcst [rdi+0x40]
    "#]],
    );
    check(
        &CODE[..7],
        Syntax::Nasm,
        expect![[r#"
        0000  62 f1 fd 58 58 4f 08  vaddpd zmm1,zmm0,[rdi+0x40]{1to8}
    "#]],
    );
}

#[test]
fn branches_go_to_labels_in_every_syntax() {
    check(
        LOOP,
        Syntax::Intel,
        expect![[r#"
            L0:
            0000  48 83 e9 08     sub rcx,0x8
            0004  72 0f           jb L1
            0006  c5 f5 58 0f     vaddpd ymm1,ymm1,[rdi]
            000a  48 83 c7 20     add rdi,0x20
            000e  e8 00 10 00 00  call 0x1013
            0013  eb eb           jmp L0
            L1:
            0015  c3              ret
        "#]],
    );
    check(
        LOOP,
        Syntax::Att,
        expect![[r#"
            L0:
            0000  48 83 e9 08     sub $0x8,%rcx
            0004  72 0f           jb L1
            0006  c5 f5 58 0f     vaddpd (%rdi),%ymm1,%ymm1
            000a  48 83 c7 20     add $0x20,%rdi
            000e  e8 00 10 00 00  call 0x1013
            0013  eb eb           jmp L0
            L1:
            0015  c3              ret
        "#]],
    );
    for syntax in Syntax::ALL {
        let listing = Listing::new(LOOP, syntax);
        let labels: Vec<_> = listing.lines().iter().map(|line| line.label).collect();
        assert_eq!(labels, [Some(0), None, None, None, None, None, Some(1)]);
        let targets: Vec<_> = listing.lines().iter().map(|line| line.target).collect();
        assert_eq!(targets, [None, Some(21), None, None, None, Some(0), None]);
        let branches: Vec<_> = listing.lines().iter().map(|line| line.is_branch).collect();
        assert_eq!(branches, [false, true, false, false, true, true, false]);
        assert!(disassemble(LOOP, syntax).starts_with("L0:\n"));
    }
}

#[test]
fn branches_out_of_the_code_name_an_address() {
    let listing = Listing::at(0x7000_0000_0000, LOOP, LOOP.len(), Syntax::Intel);
    assert_eq!(listing.address(), 0x7000_0000_0000);
    assert_eq!(listing.lines()[4].text, "call 0x700000001013");
    assert_eq!(listing.lines()[5].text, "jmp L0");
    // At the ends of the address space.
    for address in [u64::MAX, u64::MAX - 10, 1 << 63] {
        let listing = Listing::at(address, LOOP, LOOP.len(), Syntax::Intel);
        assert_eq!(listing.lines()[5].text, "jmp L0", "{address:#x}");
    }
}

/// A byte that starts no instruction is one line, and the next byte may start one.
#[test]
fn bad_bytes() {
    check(
        b"\x06\xc3\x0f\x04\xc3\x62\xf1",
        Syntax::Intel,
        expect![[r#"
            0000  06     (bad)
            0001  c3     ret
            0002  0f     (bad)
            0003  04 c3  add al,0xc3
            0005  62     (bad)
            0006  f1     (bad)
        "#]],
    );
    // An instruction that is cut off.
    check(
        b"\xc3\x48\xb8\x01\x02",
        Syntax::Intel,
        expect![[r#"
            0000  c3  ret
            0001  48  (bad)
            0002  b8  (bad)
            0003  01  (bad)
            0004  02  (bad)
        "#]],
    );
    check(b"", Syntax::Intel, expect![[r""]]);
}

#[test]
fn data_is_not_decoded_and_notes_stand_in_one_column() {
    let mut code = b"\xc5\xfb\x58\x05\x08\0\0\0\xc3\xcc\xcc\xcc\xcc\xcc\xcc\xcc".to_vec();
    code.extend(1.0_f64.to_le_bytes());
    code.extend([1, 2]);
    let listing = Listing::with_data(&code, 9, Syntax::Intel)
        .annotated(|span| (span.start < 9).then(|| format!("from {}", span.start)));
    expect![[r#"
        0000  c5 fb 58 05 08 00 00 00  vaddsd xmm0,xmm0,[rip+0x8]  ; from 0
        0008  c3                       ret                         ; from 8
        0009  cc cc cc cc cc cc cc     .byte 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc
        0010  00 00 00 00 00 00 f0 3f  .quad 0x3ff0000000000000
        0018  01 02                    .byte 0x01, 0x02
    "#]]
    .assert_eq(&listing.to_string());
}

#[test]
fn notes_go_to_the_line_that_holds_the_byte() {
    let mut listing = Listing::new(LOOP, Syntax::Intel);
    let note = |offset, text: &str| (offset, text.to_owned());
    listing.annotate(&[
        note(0, "n -= 8"),
        note(8, "x0 + …"),
        note(9, "x1"),
        note(100, "nowhere"),
    ]);
    listing.annotate(&[note(LOOP.len() - 1, "done")]);
    expect![[r#"
        L0:
        0000  48 83 e9 08     sub rcx,0x8             ; n -= 8
        0004  72 0f           jb L1
        0006  c5 f5 58 0f     vaddpd ymm1,ymm1,[rdi]  ; x0 + …; x1
        000a  48 83 c7 20     add rdi,0x20
        000e  e8 00 10 00 00  call 0x1013
        0013  eb eb           jmp L0
        L1:
        0015  c3              ret                     ; done
    "#]]
    .assert_eq(&listing.to_string());
}

/// The text without escape sequences of colours.
fn without_colours(text: &str) -> String {
    let mut parts = text.split("\x1b[");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        text + part.split_once('m').map_or("", |(_, rest)| rest)
    })
}

#[test]
fn colours_are_those_of_terminals() {
    let mut listing = Listing::new(LOOP, Syntax::Intel);
    listing.annotate(&[(0, "a note".to_owned())]);
    let coloured = listing.coloured().to_string();
    assert_eq!(without_colours(&coloured), listing.to_string());
    for part in [
        "\x1b[1;33mL0:\x1b[0m\n",
        "\x1b[1msub\x1b[0m rcx,0x8",
        "\x1b[1;35mjb\x1b[0m L1",
        "\x1b[32m; a note\x1b[0m\n",
    ] {
        assert!(coloured.contains(part), "{part:?} in {coloured:?}");
    }
}

#[test]
fn json() {
    let mut listing = Listing::new(&LOOP[..6], Syntax::Intel);
    listing.annotate(&[(0, "\"quoted\" \\ and\nbroken".to_owned())]);
    expect![[r#"{"style":"intel","address":0,"lines":[{"offset":0,"length":4,"bytes":"4883e908","mnemonic":"sub","operands":"rcx,0x8","text":"sub rcx,0x8","note":"\"quoted\" \\ and\nbroken","is_branch":false,"target":null,"label":null,"reads":["rcx"],"writes":["rcx","of","sf","zf","af","cf","pf"],"features":["x64"]},{"offset":4,"length":2,"bytes":"720f","mnemonic":"jb","operands":"0x15","text":"jb 0x15","note":"","is_branch":true,"target":null,"label":null,"reads":["cf"],"writes":[],"features":["x64"]}]}"#]].assert_eq(&listing.to_json());
    let whole: serde_json::Value =
        serde_json::from_str(&Listing::new(LOOP, Syntax::Nasm).to_json()).unwrap();
    assert_eq!(whole["lines"][5]["target"], 0);
    assert_eq!(whole["lines"][0]["label"], "L0");
    assert_eq!(whole["style"], "nasm");
}

#[test]
fn lines_are_the_bytes_whatever_they_are() {
    arbtest(|u| {
        let address: u64 = u.arbitrary()?;
        let n_instruction_bytes: usize = u.int_in_range(0..=80)?;
        let code = u.bytes(u.len().min(64))?;
        for syntax in Syntax::ALL {
            let listing = Listing::at(address, code, n_instruction_bytes, syntax);
            let bytes: Vec<u8> = listing
                .lines()
                .iter()
                .flat_map(|line| listing.bytes(line).to_vec())
                .collect();
            assert_eq!(bytes, code);
            for line in listing.lines() {
                assert!(!line.text.is_empty());
                assert!(line.text != "(bad)" || line.span.len() == 1);
                // A target that starts a line has a label there, and the text says so.
                let Some(target) = line.target else { continue };
                let there = listing
                    .lines()
                    .iter()
                    .find(|line| line.span.start == target);
                if let Some(there) = there.filter(|there| there.span.start < n_instruction_bytes) {
                    let label = format!("L{}", there.label.unwrap());
                    assert!(line.text.contains(&label), "{listing}");
                }
            }
            let json: serde_json::Value = serde_json::from_str(&listing.to_json()).unwrap();
            assert_eq!(
                json["lines"].as_array().unwrap().len(),
                listing.lines().len()
            );
            assert!(!disassemble(code, syntax).is_empty() || code.is_empty());
            let plain = without_colours(&listing.coloured().to_string());
            assert_eq!(plain, listing.to_string());
        }
        Ok(())
    })
    .size_max(512)
    .budget_ms(500);
}

#[test]
fn names_lead_back_to_the_syntax() {
    for syntax in Syntax::ALL {
        assert_eq!(Syntax::from_name(syntax.name()), Some(syntax));
    }
    assert_eq!(Syntax::from_name("plan9"), None);
}
