//! The most similar name: what a mistyped column was probably meant to be.

/// The candidate closest to `name`, if it is close enough to be a typing mistake: equal but for
/// case, blanks and punctuation, or at most a third of its characters away.
pub(crate) fn nearest<'a>(name: &str, candidates: &'a [String]) -> Option<&'a String> {
    const MAX_CHARS: usize = 100;
    let wanted = folded(name);
    if wanted.len() > MAX_CHARS {
        return None;
    }
    candidates
        .iter()
        .map(|candidate| {
            let found = folded(candidate);
            let limit = (wanted.len().max(found.len()) / 3).max(1);
            // A name too long to be close is not worth comparing.
            let close = wanted.len().abs_diff(found.len()) <= limit;
            let distance = if close {
                distance(&wanted, &found)
            } else {
                usize::MAX
            };
            (distance, limit, candidate)
        })
        // A single character is not a typing mistake of another.
        .filter(|&(distance, limit, c)| {
            distance == 0 || distance <= limit && wanted.len().min(c.chars().count()) > 1
        })
        .min_by_key(|&(distance, ..)| distance)
        .map(|(.., candidate)| candidate)
}

/// Lower case without anything but letters and digits; the name itself if nothing remains.
fn folded(name: &str) -> Vec<char> {
    let letters: Vec<char> = name
        .chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect();
    if letters.is_empty() {
        name.chars().collect()
    } else {
        letters
    }
}

/// Number of insertions, deletions, replacements and swaps of neighbours between two names
/// (optimal string alignment).
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for i in 0..a.len() {
        let mut row = vec![i + 1];
        for j in 0..b.len() {
            let replace = above[j] + usize::from(a[i] != b[j]);
            let mut best = replace.min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_names() {
        let names: Vec<String> = [
            "mass",
            "period",
            "semi_major_axis",
            "x1",
            "x10",
            "y",
            "Größe",
        ]
        .map(String::from)
        .into();
        let rows = [
            ("mas", Some("mass")),
            ("MASS", Some("mass")),
            ("amss", Some("mass")),
            ("preiod", Some("period")),
            ("Semi Major Axis", Some("semi_major_axis")),
            ("semimajoraxis", Some("semi_major_axis")),
            ("x2", Some("x1")),
            ("Y", Some("y")),
            ("z", None),
            ("grösse", Some("Größe")),
            ("temperature", None),
            ("", None),
            ("?", None),
        ];
        for (name, expected) in rows {
            assert_eq!(
                nearest(name, &names).map(String::as_str),
                expected,
                "{name:?}"
            );
        }
        assert_eq!(nearest(&"x".repeat(10_000), &names), None);
        assert_eq!(nearest("x", &[]), None);
    }
}
