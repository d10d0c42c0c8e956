//! Genomes survive being stored; damaged and hostile files are refused with a reason.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use common::everything;
use opcodon_evo::Rng;
use opcodon_mcode::{LinearCode, Tier, TreeCode};

#[test]
fn genomes_come_back_as_they_were() {
    for tier in Tier::ALL {
        let repertoire = everything(tier, 9);
        let mut rng = Rng::new(2, 2);
        for _ in 0..200 {
            let linear = LinearCode::random(&mut rng, &repertoire, 50);
            let text = serde_json::to_string(&linear).unwrap();
            assert_eq!(serde_json::from_str::<LinearCode>(&text).unwrap(), linear);
            let tree = TreeCode::random(&mut rng, &repertoire, 6);
            let text = serde_json::to_string(&tree).unwrap();
            assert_eq!(serde_json::from_str::<TreeCode>(&text).unwrap(), tree);
        }
    }
}

#[test]
fn what_is_wrong_with_a_file_is_said() {
    let expr = opcodon_expr::parse("x0 + 2.5", None).unwrap().expr;
    let tree = TreeCode::from_expression(&expr, Tier::Avx512, 1).unwrap();
    let good = serde_json::to_string(&tree).unwrap();
    assert_eq!(
        good,
        r#"{"version":1,"kind":"tree","tier":"avx512","columns":1,"slots":"3e62f1fd4828478"#
            .to_owned()
            + r#"03e62f2fd48194e803e3e62f1fd4858c1","constants":["2.5"],"marks":[[0,1,0],[1,2,0],[0,3,2]]}"#
    );
    for (from, to, expected) in [
        (
            "\"version\":1",
            "\"version\":2",
            "version 2, but this program reads version 1",
        ),
        ("tree", "linear", "kind Linear, not Tree"),
        (
            "avx512",
            "avx2",
            "slot 0 holds 3e 62 f1 fd 48 28 47 80, which is no allowed",
        ),
        ("avx512", "neon", "unknown variant `neon`"),
        ("2.5", "two", "constant 0 is \"two\", which is no number"),
        ("\"2.5\"", "", "it has 0 constants, but its slots read 1"),
        ("[0,3,2]", "[1,3,2]", "mark 2 does not agree"),
        (",[0,3,2]", "", "mark 2 does not agree"),
        (
            "3e62f1",
            "3ez2f1",
            "character 2 of its slots is no hexadecimal digit",
        ),
        ("3e62f1fd4828", "3e62f1fd482", "47 digits"),
        ("3e62f1fd48284780", "", "slot 0 breaks the order of a tree"),
        (
            "3e62f1fd48284780",
            "3e62f1fd48284781",
            "slot 0 reads column 1, but 1 are declared",
        ),
        ("3e62f1fd48284780", "3e62f1fd48294780", "slot 0 holds"),
        ("3e62f1fd48284780", "9090909090909090", "slot 0 holds"),
        ("3e62f1fd48284780", "0f05c3cccccccccc", "slot 0 holds"),
        (
            "\"columns\":1",
            "\"columns\":999",
            "it declares 999 columns",
        ),
        ("\"columns\":1,", "", "missing field `columns`"),
        ("3e62f1fd4828478", "", "33 digits"),
    ] {
        assert!(good.contains(from), "{from}");
        let bad = good.replacen(from, to, 1);
        let error = serde_json::from_str::<TreeCode>(&bad)
            .unwrap_err()
            .to_string();
        assert!(error.contains(expected), "{bad}\n{error}");
    }
}

#[test]
fn any_damaged_byte_of_a_file_makes_an_error_or_another_genome() {
    let repertoire = everything(Tier::Avx2, 3);
    let mut rng = Rng::new(8, 2);
    for _ in 0..30 {
        let tree = TreeCode::random(&mut rng, &repertoire, 5);
        let text = serde_json::to_string(&tree).unwrap().into_bytes();
        for at in 0..text.len() {
            let mut bytes = text.clone();
            bytes[at] ^= 1 << rng.below(7);
            if let Ok(read) = serde_json::from_slice::<TreeCode>(&bytes) {
                assert_eq!(read.check(), Ok(()));
            }
            assert!(serde_json::from_slice::<TreeCode>(&text[..at]).is_err());
        }
    }
}
