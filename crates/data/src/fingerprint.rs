//! A number that tells one table from another.

/// FNV-1a over the number of inputs and the lengths and bits of all columns, as text.
///
/// ```
/// use opcodon_data::fingerprint;
/// let (x, y) = ([1.0, 2.0], [3.0, 4.0]);
/// assert_ne!(fingerprint(&[x], &y, None), fingerprint(&[y], &x, None));
/// assert_ne!(fingerprint(&[x, y], &y, None), fingerprint(&[x], &y, Some(&y)));
/// ```
#[must_use]
pub fn fingerprint<C: AsRef<[f64]>>(
    inputs: &[C],
    target: &[f64],
    weights: Option<&[f64]>,
) -> String {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut add = |bits: u64| {
        hash = (hash ^ bits).wrapping_mul(0x0100_0000_01b3);
        hash ^= hash >> 32;
    };
    add(inputs.len() as u64);
    let inputs = inputs.iter().map(AsRef::as_ref);
    for column in inputs.chain([target]).chain(weights) {
        add(column.len() as u64);
        for value in column {
            add(value.to_bits());
        }
    }
    format!("{hash:016x}")
}
