//! Skips that are counted: a test that cannot run on this machine must not look like one that
//! passed.
//!
//! The line goes straight to standard error, past the capturing of the test harness, so that
//! `grep -c '^skipped: '` counts it also when the test passes.

use std::io::Write;

/// Writes the line `skipped: <reason>` to standard error, uncaptured.
pub fn report_skip(reason: &str) {
    // One write, so that lines of tests that run side by side do not mix. A closed standard
    // error is no reason to fail a test.
    let _ = std::io::stderr().write_all(format!("skipped: {reason}\n").as_bytes());
}

/// Reports `skipped: <reason>` and returns from the test. Takes what `format!` takes.
///
/// ```
/// fn a_test() {
///     if !std::path::Path::new("/proc/self/maps").exists() {
///         opcodon_testkit::skip!("no /proc here");
///     }
/// }
/// # a_test();
/// ```
#[macro_export]
macro_rules! skip {
    ($($reason:tt)+) => {{
        $crate::report_skip(&::std::format!($($reason)+));
        return;
    }};
}

macro_rules! require {
    ($(#[$doc:meta])* $name:ident, $tier:literal, $($feature:tt)+) => {
        $(#[$doc])*
        #[must_use]
        pub fn $name(test_name: &str) -> bool {
            #[cfg(target_arch = "x86_64")]
            let present = $(std::is_x86_feature_detected!($feature))&&+;
            #[cfg(not(target_arch = "x86_64"))]
            let present = false;
            if !present {
                report_skip(&format!(concat!("{}: this processor has no ", $tier), test_name));
            }
            present
        }
    };
}

require! {
    /// Whether AVX2 and FMA are there; if not, reports the test as skipped.
    require_avx2, "AVX2 with FMA", "avx2" "fma"
}
require! {
    /// Whether AVX-512 F, DQ, BW and VL are there; if not, reports the test as skipped.
    require_avx512, "AVX-512 (F, DQ, BW, VL)", "avx512f" "avx512dq" "avx512bw" "avx512vl"
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    const CHILD: &str = "OPCODON_TESTKIT_SKIP_CHILD";

    /// Runs itself as a child, captured by the harness, and looks for the line.
    #[test]
    fn skips_are_seen_through_the_capture_of_the_harness() {
        if std::env::var_os(CHILD).is_some() {
            crate::skip!("no {} here", "unicorn");
        }
        let output = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "skip::tests::skips_are_seen_through_the_capture_of_the_harness",
            ])
            .env(CHILD, "1")
            .output()
            .unwrap();
        assert!(output.status.success());
        let stderr = String::from_utf8(output.stderr).unwrap();
        let lines = stderr
            .lines()
            .filter(|line| *line == "skipped: no unicorn here")
            .count();
        assert_eq!(lines, 1, "{stderr}");
    }

    #[test]
    fn require_follows_detection() {
        #[cfg(target_arch = "x86_64")]
        assert_eq!(
            crate::require_avx2("require_follows_detection"),
            std::is_x86_feature_detected!("avx2") && std::is_x86_feature_detected!("fma")
        );
        #[cfg(not(target_arch = "x86_64"))]
        assert!(!crate::require_avx2("require_follows_detection"));
    }
}
