//! What text means and what it does not: examples, round trips, and nonsense.

use arbtest::arbtest;
use expect_test::{Expect, expect};
use opcodon_listing::{Dialect, Syntax, assemble, disassemble};

fn hex(bytes: &[u8]) -> String {
    let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    digits.join(" ")
}

#[track_caller]
fn check(text: &str, expected: &str) {
    match assemble(text, 0, Dialect::Intel) {
        Ok(code) => assert_eq!(hex(&code), expected, "{text}"),
        Err(error) => panic!("{text}\n{}", error.render()),
    }
}

#[track_caller]
fn check_error(text: &str, expected: Expect) {
    let error = assemble(text, 0, Dialect::Intel).expect_err(text);
    expected.assert_eq(&format!(
        "{}\nline {}, column {}\n",
        error.render(),
        error.line,
        error.column
    ));
}

/// The sizes of a frame keep their order in AT&T's syntax, whatever the letter.
#[test]
fn frames_in_att_syntax() {
    for (text, expected) in [
        ("enter $0x1234, $1", "c8 34 12 01"),
        ("enterq $0x1234, $1", "c8 34 12 01"),
        ("enterw $0x1234, $1", "66 c8 34 12 01"),
    ] {
        let code = assemble(text, 0, Dialect::Att).expect(text);
        assert_eq!(hex(&code), expected, "{text}");
    }
}

#[test]
fn operands() {
    let cases = [
        ("addsd xmm0, xmm1\nret", "f2 0f 58 c1 c3"),
        ("mov rax, qword ptr [rax + rcx*8 + 16]", "48 8b 44 c8 10"),
        ("mov rax, qword [16 + 8*rcx + rax]", "48 8b 44 c8 10"),
        ("mov rax, 16[rax][rcx*8]", "48 8b 44 c8 10"),
        ("mov eax, fs:[0x28]", "64 8b 04 25 28 00 00 00"),
        ("mov eax, [fs:0x28]", "64 8b 04 25 28 00 00 00"),
        ("MOV EAX, DWORD PTR FS:0x28", "64 8b 04 25 28 00 00 00"),
        ("lea rax, [rip + 16]", "48 8d 05 10 00 00 00"),
        ("lea rax, [rel 16]", "48 8d 05 09 00 00 00"),
        ("mov rax, [rsp*1 + rcx]", "48 8b 04 0c"),
        ("mov rax, [ecx*4]", "67 48 8b 04 8d 00 00 00 00"),
        ("mov ecx, (1 << 4 | 3) - 2*(3 + 1)/4", "b9 11 00 00 00"),
        ("mov al, 'A'", "b0 41"),
        ("add eax, 0xfffffff0", "83 c0 f0"),
        ("add rax, -128", "48 83 c0 80"),
        ("mov rax, -1", "48 c7 c0 ff ff ff ff"),
        ("mov rax, 0x80000000", "48 b8 00 00 00 80 00 00 00 00"),
        (
            "push 5\npush qword 500\npush word 5",
            "6a 05 68 f4 01 00 00 66 6a 05",
        ),
        ("imul eax, 5", "6b c0 05"),
        ("shl eax\nshl eax, 1\nsal eax, 2", "d1 e0 d1 e0 c1 e0 02"),
        ("lock inc dword ptr [rdi]", "f0 ff 07"),
        ("rep movsb\nrepne scasb\nmovsd", "f3 a4 f2 ae a5"),
        ("movsd xmm0, [rdi]", "f2 0f 10 07"),
        ("movs byte ptr es:[rdi], byte ptr fs:[rsi]", "64 a4"),
        (
            "fadd st(3)\nfaddp\nfld qword ptr [rax]",
            "d8 c3 de c1 dd 00",
        ),
        ("vaddpd zmm1{k1}{z}, zmm2, [rax]{1to8}", "62 f1 ed d9 58 08"),
        (
            "vaddpd zmm1{k1}{z}, zmm2, qword bcst [rax]{1to8}",
            "62 f1 ed d9 58 08",
        ),
        ("vaddpd zmm1, zmm2, zmm3, {rn-sae}", "62 f1 ed 18 58 cb"),
        ("vaddpd zmm1, zmm2, zmm3{rz-sae}", "62 f1 ed 78 58 cb"),
        ("vcmpltpd k1{k2}, zmm2, zmm3, {sae}", "62 f1 ed 1a c2 cb 01"),
        ("vaddps xmm1, xmm2, xmm3", "c5 e8 58 cb"),
        ("{evex} vaddps xmm1, xmm2, xmm3", "62 f1 6c 08 58 cb"),
        ("vpdpbusd xmm1, xmm2, xmm3", "62 f2 6d 08 50 cb"),
        ("{vex} vpdpbusd xmm1, xmm2, xmm3", "c4 e2 69 50 cb"),
        (
            "vpgatherdd zmm1{k1}, [rax + zmm2*4]",
            "62 f2 7d 49 90 0c 90",
        ),
        ("jecxz .\naddr32 loop .", "67 e3 fd 67 e2 fd"),
        ("cmovz eax, ecx\nsetnae al", "0f 44 c1 0f 92 c0"),
        ("movabs rax, 5", "48 b8 05 00 00 00 00 00 00 00"),
    ];
    for (text, expected) in cases {
        check(text, expected);
    }
}

#[test]
fn labels_and_directives() {
    let cases = [
        ("a: jmp a\njmp $\njmp .", "eb fe eb fe eb fe"),
        (
            "jmp end\ntimes 127 nop\nend:",
            &format!("eb 7f{}", " 90".repeat(127)),
        ),
        (
            "jmp end\ntimes 128 nop\nend:",
            &format!("e9 80 00 00 00{}", " 90".repeat(128)),
        ),
        (
            "jmp near next\nnext: jmp short next",
            "e9 00 00 00 00 eb fe",
        ),
        ("1: jmp 1f\njmp 1b\n1: jmp 1b", "eb 02 eb fc eb fe"),
        (
            "a:\n.x: jmp .x\nb:\n.x: jmp .x\njmp a.x",
            "eb fe eb fe eb fa",
        ),
        (
            "n equ 4*2\nm = n + 1\n.set k, m - n\ndb n, m, k",
            "08 09 01",
        ),
        ("later: db end - later, last\nend: last equ 7", "02 07"),
        (
            "mov ecx, end - start\nstart: nop\nend:",
            "b9 01 00 00 00 90",
        ),
        ("mov eax, offset x\nx:", "b8 05 00 00 00"),
        (
            "movsd xmm0, [rel half]\nret\nhalf: dq 0.5",
            "f2 0f 10 05 01 00 00 00 c3 00 00 00 00 00 00 e0 3f",
        ),
        ("lea rax, [rip + x]\nx:", "48 8d 05 00 00 00 00"),
        (
            "db 1, -1, 'ab', \"c\"\ndw 0x1234, 'abc'\ndd 1.5\ndq 1",
            "01 ff 61 62 63 34 12 61 62 63 00 00 00 c0 3f 01 00 00 00 00 00 00 00",
        ),
        (
            ".byte 1\n.word 2\n.long 3\n.quad 4",
            "01 02 00 03 00 00 00 04 00 00 00 00 00 00 00",
        ),
        (
            ".ascii \"a\\n\\x41\\101\"\n.asciz \"b\"",
            "61 0a 41 41 62 00",
        ),
        (
            ".double 1\n.float -0.5, 2",
            "00 00 00 00 00 00 f0 3f 00 00 00 bf 00 00 00 40",
        ),
        (
            ".fill 2, 2, 0x102\n.zero 2\nresb 1\ntimes 2 db 7",
            "02 01 02 01 00 00 00 07 07",
        ),
        (
            "nop\nalign 4\nnop\n.p2align 3, 0xcc",
            "90 0f 1f 00 90 cc cc cc",
        ),
        ("db 5\ntimes 4 - ($ - $$) db 0", "05 00 00 00"),
        ("x db 1\ny: db 2\ndb y - x", "01 02 01"),
        ("nop ; a\nnop # b\nnop // c\n/* d\n */ nop", "90 90 90 90"),
        (
            ".intel_syntax noprefix\n.text\n.globl f\nf: ret\n.size f, .-f",
            "c3",
        ),
        ("bits 64\nsection .text\nglobal f\nf: ret", "c3"),
    ];
    for (text, expected) in cases {
        check(text, expected);
    }
}

#[test]
fn the_origin_is_where_the_code_stands() {
    let code = assemble("dq $\nx: dq x\njmp 0x1000", 0x1000, Dialect::Intel).unwrap();
    assert_eq!(
        hex(&code),
        "00 10 00 00 00 00 00 00 08 10 00 00 00 00 00 00 eb ee"
    );
    // An address that does not fit into 32 bits takes the long form.
    let code = assemble("x: mov rax, offset x", 1 << 40, Dialect::Intel).unwrap();
    assert_eq!(hex(&code), "48 b8 00 00 00 00 00 01 00 00");
}

#[test]
fn errors_say_what_and_where() {
    check_error(
        "nop\nadsd xmm0, xmm1",
        expect![[r#"
        adsd xmm0, xmm1
        ^^^^
        unknown instruction `adsd`; did you mean `add` or `addsd`?
        line 2, column 1
    "#]],
    );
    check_error(
        ".bite 1",
        expect![[r#"
        .bite 1
        ^^^^^
        unknown directive `.bite`; did you mean `.byte`?
        line 1, column 1
    "#]],
    );
    check_error(
        "addsd xmm0, eax",
        expect![[r#"
        addsd xmm0, eax
              ^^^^^^^^^
        `addsd` does not take (xmm0, eax); there is ADDSD xmm1, xmm2/m64
        line 1, column 7
    "#]],
    );
    check_error(
        "ret 1, 2",
        expect![[r#"
        ret 1, 2
            ^^^^
        `ret` does not take (a number, a number); there is RET imm16; RET
        line 1, column 5
    "#]],
    );
    check_error(
        "inc [rax]",
        expect![[r#"
        inc [rax]
            ^^^^^
        the size of this operand of `inc` is not known; write `byte ptr` or `word ptr` or `dword ptr` or `qword ptr`
        line 1, column 5
    "#]],
    );
    check_error(
        "addsd xmm0, dword ptr [rax]",
        expect![[r#"
        addsd xmm0, dword ptr [rax]
                    ^^^^^^^^^^^^^^^
        `addsd` does not access 4 bytes here; write `qword ptr`
        line 1, column 13
    "#]],
    );
    check_error(
        "mov al, 256",
        expect![[r#"
        mov al, 256
                ^^^
        256 does not fit into 8 bits
        line 1, column 9
    "#]],
    );
    check_error(
        "add rax, 0x123456789",
        expect![[r#"
            add rax, 0x123456789
                     ^^^^^^^^^^^
            4886718345 does not fit into 32 bits with a sign
            line 1, column 10
        "#]],
    );
    check_error(
        "mov rax, [rax + 0x123456789]",
        expect![[r#"
        mov rax, [rax + 0x123456789]
                        ^^^^^^^^^^^
        4886718345 does not fit into the 32 bits of a displacement
        line 1, column 17
    "#]],
    );
    check_error(
        "x: times 200 nop\nloop x",
        expect![[r#"
        loop x
             ^
        the target 0x0 is too far away for this branch
        line 2, column 6
    "#]],
    );
    check_error(
        "mov rax, x\nx:",
        expect![[r#"
        mov rax, x
                 ^
        write `[rel x]` for the memory at the label, `offset x` for its address as a number
        line 1, column 10
    "#]],
    );
    check_error(
        "jmp hare\nhere:",
        expect![[r#"
        jmp hare
            ^^^^
        unknown name `hare`; did you mean `here`?
        line 1, column 5
    "#]],
    );
    check_error(
        "jmp 2b",
        expect![[r#"
        jmp 2b
            ^^
        unknown name `2b`
        line 1, column 5
    "#]],
    );
    check_error(
        "x: nop\nx: nop",
        expect![[r#"
        x: nop
        ^
        `x` is already defined in line 1
        line 2, column 1
    "#]],
    );
    check_error(
        "rax: nop",
        expect![[r#"
        rax: nop
        ^^^
        `rax` is a register and cannot be the name of something else
        line 1, column 1
    "#]],
    );
    check_error(
        "a equ b\nb equ a",
        expect![[r#"
        b equ a
        ^
        `b` is defined by itself
        line 2, column 1
    "#]],
    );
    check_error(
        "db 1/0",
        expect![[r#"
        db 1/0
           ^^^
        this expression has no value: it divides by zero
        line 1, column 4
    "#]],
    );
    check_error(
        "db 1 << 64",
        expect![[r#"
        db 1 << 64
           ^^^^^^^
        this expression has no value: it is beyond all bounds
        line 1, column 4
    "#]],
    );
    check_error(
        "vaddpd zmm1{k9}, zmm2, zmm3",
        expect![[r#"
        vaddpd zmm1{k9}, zmm2, zmm3
                   ^^^^
        unknown decoration `{k9}`; there are {k1}…{k7}, {z}, {1to2}…{1to32}, {sae}, {rn-sae}, {rd-sae}, {ru-sae}, {rz-sae}, {vex} and {evex}
        line 1, column 12
    "#]],
    );
    check_error(
        "vaddpd ymm1, ymm2, ymm3, {rn-sae}",
        expect![[r#"
        vaddpd ymm1, ymm2, ymm3, {rn-sae}
               ^^^^^^^^^^^^^^^^
        `vaddpd` with these operands does not take a rounding
        line 1, column 8
    "#]],
    );
    check_error(
        "vaddpd zmm1, zmm2, [rax]{1to4}",
        expect![[r#"
        vaddpd zmm1, zmm2, [rax]{1to4}
               ^^^^^^^^^^^^^^^^^
        `vaddpd` with these operands does not take {1to4}
        line 1, column 8
    "#]],
    );
    check_error(
        "lock mov [rax], eax",
        expect![[r#"
        lock mov [rax], eax
                 ^^^^^^^^^^
        `mov` with these operands does not take `lock`
        line 1, column 10
    "#]],
    );
    check_error(
        "mov rax, [rax - rcx]",
        expect![[r#"
        mov rax, [rax - rcx]
                        ^^^
        a register cannot be subtracted in an address
        line 1, column 17
    "#]],
    );
    check_error(
        "mov rax, [rax + rcx*3]",
        expect![[r#"
        mov rax, [rax + rcx*3]
                        ^^^^^
        a register can be multiplied with 1, 2, 4 or 8 in an address
        line 1, column 17
    "#]],
    );
    check_error(
        "mov rax, [rax + rcx + rdx]",
        expect![[r#"
        mov rax, [rax + rcx + rdx]
                              ^^^
        an address has at most a base, an index and a displacement
        line 1, column 23
    "#]],
    );
    check_error(
        "mov rax, [rax",
        expect![[r#"
        mov rax, [rax
                     ^
        expected `+`, `-` or `]`, but found the end of the statement
        line 1, column 14
    "#]],
    );
    check_error(
        "mov rax,",
        expect![[r#"
        mov rax,
                ^
        expected a number, a name or `(`, but found the end of the statement
        line 1, column 9
    "#]],
    );
    check_error(
        "mov rax rcx",
        expect![[r#"
        mov rax rcx
                ^^^
        expected `,` or the end of the statement, but found `rcx`
        line 1, column 9
    "#]],
    );
    check_error(
        "mov eax, (1 + 2",
        expect![[r#"
        mov eax, (1 + 2
                       ^
        expected an operator or `)`, but found the end of the statement
        line 1, column 16
    "#]],
    );
    check_error(
        "mov eax, 12x",
        expect![[r#"
        mov eax, 12x
                 ^^^
        `12x` is no number; write 10, 0xa, 0ah, 0b1010, 1010b or 0o12
        line 1, column 10
    "#]],
    );
    check_error(
        "mov eax, 010",
        expect![[r#"
        mov eax, 010
                 ^^^
        `010` is no number; write 10, 0xa, 0ah, 0b1010, 1010b or 0o12
        line 1, column 10
    "#]],
    );
    check_error(
        "mov rax, 0x123456789abcdef01",
        expect![[r#"
        mov rax, 0x123456789abcdef01
                 ^^^^^^^^^^^^^^^^^^^
        `0x123456789abcdef01` has more than 64 bits
        line 1, column 10
    "#]],
    );
    check_error(
        "db \"abc",
        expect![[r#"
        db "abc
           ^
        this string is not closed: its quotation mark is missing
        line 1, column 4
    "#]],
    );
    check_error(
        "vaddpd zmm1{k1, zmm2, zmm3",
        expect![[r#"
        vaddpd zmm1{k1, zmm2, zmm3
                   ^
        this brace is not closed: `}` is missing
        line 1, column 12
    "#]],
    );
    check_error(
        "nop /* and so on",
        expect![[r#"
        nop /* and so on
            ^^
        this comment is not closed: `*/` is missing
        line 1, column 5
    "#]],
    );
    check_error(
        "nop \u{a7}",
        expect![[r#"
        nop §
            ^
        unexpected character `§`
        line 1, column 5
    "#]],
    );
    check_error(
        "align 3",
        expect![[r#"
        align 3
              ^
        3 does not fit into an alignment, which is a power of two
        line 1, column 7
    "#]],
    );
    check_error(
        "times -1 nop",
        expect![[r#"
        times -1 nop
              ^^
        -1 does not fit into a count, which starts at 0
        line 1, column 7
    "#]],
    );
    check_error(
        "times 100000000 nop",
        expect![[r#"
        times 100000000 nop
        ^^^^^^^^^^^^^^^^^^^
        the code is longer than 67108864 bytes
        line 1, column 1
    "#]],
    );
    check_error(
        "a: times 10 - (b - a) db 0\nb:",
        expect![[r#"
        a: times 10 - (b - a) db 0
           ^^^^^^^^^^^^^^^^^^^^^^^
        the length of this depends on itself and does not settle
        line 1, column 4
    "#]],
    );
    check_error(
        "bits 32",
        expect![[r#"
        bits 32
             ^^
        expected 64: there is no other mode, but found the number 32
        line 1, column 6
    "#]],
    );
    check_error(
        "default rel",
        expect![[r#"
        default rel
                ^^^
        expected abs; write `[rel name]` where an address is relative, but found `rel`
        line 1, column 9
    "#]],
    );
    check_error(
        ".att_syntax",
        expect![[r#"
        .att_syntax
        ^
        expected the syntax that was chosen; the text is read as Intel's, but found the end of the statement
        line 1, column 1
    "#]],
    );
    // The end of this message is the encoder's own.
    let error = assemble("mov ah, r8b", 0, Dialect::Intel).expect_err("no such encoding");
    assert!(
        error.to_string().starts_with("`mov` cannot be encoded: "),
        "{error}"
    );
    check_error(
        "rep movs",
        expect![[r#"
        rep movs
            ^^^^
        `movs` does not take (); there is MOVSB; MOVSW; MOVSD; MOVSQ
        line 1, column 5
    "#]],
    );
    check_error(
        "mov rax, xmm0",
        expect![[r#"
        mov rax, xmm0
            ^^^^^^^^^
        `mov` does not take (rax, xmm0); there is MOV r/m8, r8; MOV r/m16, r16; MOV r/m32, r32; MOV r/m64, r64; MOV r8, r/m8; MOV r16, r/m16; MOV r32, r/m32; MOV r64, r/m64; MOV r/m16, Sreg; MOV r32/m16, Sreg; MOV r64/m16, Sreg; MOV Sreg, r/m16; and 22 more
        line 1, column 5
    "#]],
    );
    check_error(
        "db 300",
        expect![[r#"
        db 300
           ^^^
        300 does not fit into a byte
        line 1, column 4
    "#]],
    );
    check_error(
        "5",
        expect![[r#"
        5
        ^
        expected an instruction, a directive or a label, but found the number 5
        line 1, column 1
    "#]],
    );
}

/// What a listing prints can be assembled, and prints the same again.
fn round_trip(syntax: Syntax, dialect: Dialect) {
    let (mut n_same, mut n_refused) = (0_usize, 0_usize);
    arbtest(|u| {
        let bytes: [u8; 15] = u.arbitrary()?;
        let text = disassemble(&bytes, syntax);
        let line = text.lines().next().unwrap_or_default();
        // Branches go to addresses outside of these bytes; nothing can be said of bad bytes.
        if line.starts_with("(bad)") || line.contains('L') || line.starts_with("hint") {
            return Ok(());
        }
        match assemble(line, 0, dialect) {
            Ok(code) => {
                let again = disassemble(&code, syntax);
                // A segment that is the only one there is says nothing, nor does the number of
                // the top of the stack.
                let plain = |line: &str| {
                    line.replace("es:[rdi]", "[rdi]")
                        .replace("es:[edi]", "[edi]")
                        .replace("st(0)", "st")
                };
                let line = plain(line);
                let same = plain(again.lines().last().unwrap_or_default());
                // The listing names some 16-bit forms like the 64-bit ones that people mean.
                let is_old = ["pushf", "popf", "iret"].contains(&line.as_str());
                assert!(same == line || is_old, "{line} became {again}");
                n_same += 1;
            }
            Err(_) => n_refused += 1,
        }
        Ok(())
    })
    .budget_ms(2_000);
    eprintln!("round trips of random instructions: {n_same} same, {n_refused} refused");
    assert!(n_same > 50 * n_refused.max(1), "{n_same} {n_refused}");
}

#[test]
fn listings_assemble_to_what_they_show() {
    round_trip(Syntax::Intel, Dialect::Intel);
}

#[test]
fn nonsense_is_refused_without_a_panic() {
    const WORDS: [&str; 60] = [
        "mov",
        "vaddpd",
        "jmp",
        "call",
        "rax",
        "eax",
        "xmm1",
        "zmm31",
        "k1",
        "st",
        "(",
        ")",
        "[",
        "]",
        ",",
        ":",
        "+",
        "-",
        "*",
        "/",
        "<<",
        "{k1}",
        "{z}",
        "{1to8}",
        "{rn-sae}",
        "\n",
        "db",
        "dq",
        "times",
        "equ",
        "=",
        ".set",
        "x",
        ".y",
        "1",
        "1f",
        "1b",
        "0x7fffffffffffffff",
        "$",
        "$$",
        "\"a\"",
        "'b'",
        "1.5",
        "align",
        ".fill",
        "rel",
        "rip",
        "qword",
        "ptr",
        "offset",
        "short",
        "lock",
        "rep",
        "fs",
        "%",
        "~",
        "vgatherdps",
        "enter",
        "vpermil2ps",
        "tmm1",
    ];
    for dialect in Dialect::ALL {
        arbtest(|u| {
            let mut text = String::new();
            for _ in 0..u.int_in_range(1..=24)? {
                text.push_str(u.choose(&WORDS)?);
                text.push_str(if u.ratio(3, 4)? { " " } else { "" });
            }
            if let Err(error) = assemble(&text, u.arbitrary()?, dialect) {
                assert!(!error.render().is_empty() && text.get(error.span.clone()).is_some());
            }
            Ok(())
        })
        .budget_ms(1_500);
        arbtest(|u| {
            let bytes: Vec<u8> = u.arbitrary()?;
            let text = String::from_utf8_lossy(&bytes);
            let _ = assemble(&text, 0, dialect);
            Ok(())
        })
        .budget_ms(500);
    }
}

#[test]
fn depth_and_length_have_no_limit_but_memory() {
    let n = 100_000;
    let deep = format!("db {}1{}", "(".repeat(n), ")".repeat(n));
    check(&deep, "01");
    let chain: String = (1..n)
        .map(|k| format!("x{k} equ x{} + 0\n", k - 1))
        .collect();
    check(&format!("{chain}x0 equ 7\ndb x{}", n - 1), "07");
    let signs = format!("db {}1", "-".repeat(n));
    check(&signs, "01");
}
