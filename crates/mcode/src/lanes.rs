//! Eight words at a time: what breeding and verifying do to whole genomes, by AVX-512.
//!
//! Genomes are short, and how long their pieces are cannot be predicted, so loops over single
//! slots, and copies of a few bytes, cost more in mispredicted branches than in work. Here a chunk
//! of a child is put together from chunks of all the pieces that it might lie in, with masks for
//! what does; the only branches count chunks.
//!
//! # Invariant
//! Each function computes what the plain Rust next to where it is called does. Slices are touched by
//! `load`, `load_rest`, `store` and `look_up` only, which compare what they touch with the slice that
//! they are given, lane by lane; `join` and `keep` write whole chunks to room that they have reserved.
#![allow(
    unsafe_code,
    reason = "instructions that not every processor has, and loads under a mask"
)]

use std::ops::Range;

use opcodon_codemem::cpu::Avx512;

use crate::dialect::{Dialect, Pattern};

macro_rules! avx512 {
    ($($(#[$doc:meta])* fn $name:ident($($argument:ident: $type:ty),* $(,)?) $(-> $result:ty)?;)*) => {$(
        $(#[$doc])*
        #[inline]
        pub(crate) fn $name(_: Avx512, $($argument: $type),*) $(-> $result)? {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the token is the proof that the processor has the instructions.
            return unsafe { eight::$name($($argument),*) };
            #[cfg(not(target_arch = "x86_64"))]
            {
                let _ = ($($argument),*);
                unreachable!("a token of AVX-512")
            }
        }
    )*};
}

avx512! {
    /// As `Dialect::count_whole_narrow`.
    fn count_whole(dialect: &Dialect, n_columns: usize, slots: &[u64]) -> Option<usize>;

    /// As `Dialect::is_on_words`.
    fn is_on_words(dialect: &Dialect, slots: &[u64]) -> bool;

    /// How many of the slots before each of two places fit.
    fn count_before(pattern: Pattern, slots: &[u64], places: [usize; 2]) -> [usize; 2];

    /// As `Code::splice_from`, of slots and constants.
    fn splice(
        pattern: Pattern,
        child: (&mut Vec<u64>, &mut Vec<f64>),
        first: (&[u64], &[f64]),
        cut: Range<usize>,
        second: (&[u64], &[f64]),
        donor: Range<usize>,
    );

    /// Adds to those that fit.
    fn add(pattern: Pattern, slots: &mut [u64], by: u64);

    /// As `Dialect::keep`.
    fn keep(slots: &[u64], bits: &[u64], kept: &mut Vec<u8>);

    /// As many of eight words as there are, and zeros.
    fn first_eight(words: &[u64]) -> [u64; 8];
}

/// Answers to eight words after the other; those that are not there are 0. The closure has to be
/// inlined.
#[inline]
pub(crate) fn each_eight<T>(
    _: Avx512,
    words: &[u64],
    answers: &mut [T],
    ask: impl Fn(&[u64; 8], &mut [T; 8]),
) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the token is the proof that the processor has the instructions.
    return unsafe { eight::each_eight(words, answers, ask) };
    #[cfg(not(target_arch = "x86_64"))]
    {
        let _ = (words, answers, ask);
        unreachable!("a token of AVX-512")
    }
}

#[cfg(target_arch = "x86_64")]
mod eight {
    use std::arch::x86_64::*;
    use std::hint::select_unpredictable;
    use std::ops::Range;

    use bytemuck::Pod;

    use super::{Dialect, Pattern};
    use crate::Tier;
    use crate::dialect::{COLUMN, CONSTANT, IS_REGISTER, MANY, N_KEYS, Places};
    use crate::slot::{HEAD, INNER, SLOT_BYTES};

    macro_rules! wide {
        ($($item:item)*) => {$(
            #[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx2,fma,popcnt,bmi1,bmi2")]
            $item
        )*};
    }

    const LANES: usize = 8;
    /// Chunks between two branches on how many there are: a short genome's all.
    const TOGETHER: usize = 4;

    wide! {
        #[inline]
        fn all(word: u64) -> __m512i {
            _mm512_set1_epi64(word.cast_signed())
        }

        /// The numbers of eight lanes, of which the first has this.
        #[inline]
        fn from(first: usize) -> __m512i {
            _mm512_add_epi64(all(first as u64), _mm512_set_epi64(7, 6, 5, 4, 3, 2, 1, 0))
        }

        /// Of a few chunks from `start` on, a bit for each word before `end`.
        #[inline]
        #[expect(clippy::cast_possible_truncation, reason = "at most 32 bits are set")]
        fn before(start: usize, end: usize) -> u32 {
            let n = end.saturating_sub(start).min(TOGETHER * LANES);
            ((1_u64 << n) - 1) as u32
        }

        /// A few chunks from `start` on of words that lie one behind the other, piece by piece, and
        /// a bit for each that is of a piece. What is behind all of them is 0.
        #[inline]
        fn load<const PIECES: usize, const CHUNKS: usize>(
            start: usize,
            pieces: [&[u64]; PIECES],
        ) -> ([u32; PIECES], [__m512i; CHUNKS]) {
            let (mut first, mut known) = (0, 0);
            let mut which = [0; PIECES];
            let mut chunks = [all(0); CHUNKS];
            for (which, words) in which.iter_mut().zip(pieces) {
                let upto = before(start, first + words.len());
                *which = upto & !known;
                for (k, chunk) in chunks.iter_mut().enumerate() {
                    let at = (start + LANES * k).wrapping_sub(first);
                    let lanes = which.to_le_bytes()[k];
                    let place = words.as_ptr().wrapping_add(at);
                    // SAFETY: a lane is read if its bit is set, which is so of words between the
                    // first of this piece and its end; others are not touched.
                    let found = unsafe { _mm512_maskz_loadu_epi64(lanes, place.cast()) };
                    *chunk = _mm512_or_epi64(*chunk, found);
                }
                (first, known) = (first + words.len(), upto);
            }
            (which, chunks)
        }

        /// Eight words from a place that is no further than the end, and which of them exist; the
        /// others are 0.
        #[inline]
        fn load_rest(words: &[u64], at: usize) -> (__mmask8, __m512i) {
            let rest = &words[at..];
            let there = 0xff_u8 >> LANES.saturating_sub(rest.len());
            // SAFETY: as many lanes are read as there are words, or all.
            (there, unsafe { _mm512_maskz_loadu_epi64(there, rest.as_ptr().cast()) })
        }

        /// Writes as many of eight words from `at` on as there is room for.
        #[inline]
        fn store(words: &mut [u64], at: usize, values: __m512i) {
            if let Some(whole) = words.get_mut(at..at + LANES) {
                // SAFETY: the slice is of eight words.
                return unsafe { _mm512_storeu_epi64(whole.as_mut_ptr().cast(), values) };
            }
            let there = _mm512_cmplt_epu64_mask(from(at), all(words.len() as u64));
            let first = words.as_mut_ptr().wrapping_add(at);
            // SAFETY: a lane is written if its number is below the length; others are not touched.
            unsafe { _mm512_mask_storeu_epi64(first.cast(), there, values) };
        }

        /// What a table has for the keys of some lanes; the others are 0. A gather of all lanes would
        /// wait for whatever the register was before that is set to all ones.
        #[inline]
        fn look_up(table: &[u64; N_KEYS], lanes: __mmask8, keys: __m512i) -> __m512i {
            let (places, none) = (_mm512_and_epi64(keys, all(N_KEYS as u64 - 1)), all(0));
            // SAFETY: places are below the length, which is a power of two.
            unsafe { _mm512_mask_i64gather_epi64::<8>(none, lanes, places, table.as_ptr().cast()) }
        }

        #[inline]
        fn fits(pattern: Pattern, slots: __m512i) -> __mmask8 {
            let decisive = _mm512_and_epi64(slots, all(pattern.mask));
            _mm512_cmpeq_epi64_mask(decisive, all(pattern.bits))
        }

        #[inline]
        pub(super) fn count_before(pattern: Pattern, slots: &[u64], places: [usize; 2]) -> [usize; 2] {
            let mut counts = [0; 2];
            for start in (0..slots.len()).step_by(MANY) {
                let end = slots.len().min(start + MANY);
                let mut fitting = 0;
                for at in (start..end).step_by(LANES) {
                    // A word of zeros does not fit.
                    fitting |= u64::from(fits(pattern, load_rest(slots, at).1)) << (at - start);
                }
                for (count, place) in counts.iter_mut().zip(places) {
                    let before = match place.saturating_sub(start) {
                        n if n < MANY => fitting & ((1 << n) - 1),
                        _ => fitting,
                    };
                    *count += before.count_ones() as usize;
                }
            }
            counts
        }

        pub(super) fn splice(
            pattern: Pattern,
            (slots, constants): (&mut Vec<u64>, &mut Vec<f64>),
            first: (&[u64], &[f64]),
            cut: Range<usize>,
            second: (&[u64], &[f64]),
            donor: Range<usize>,
        ) {
            let (start, donors) = (cut.start, &second.0[donor]);
            let pieces = [&first.0[..start], donors, &first.0[cut.end..]];
            // Constants are numbered anew; how many each piece has, and where the donor has its
            // first one, tells which they are.
            let (mut kept, mut given, mut total, mut place) = (0_u32, 0_u32, 0_u32, usize::MAX);
            let field = all(pattern.field());
            let steps = [0, 1, 2, 3, 4, 5, 6, 7].map(|lane| pattern.numbered(lane).cast_signed());
            let [a, b, c, d, e, f, g, h] = steps;
            let steps = _mm512_set_epi64(h, g, f, e, d, c, b, a);
            join(slots, pieces, |at, [in_first, in_second], chunks: &mut [_; TOGETHER]| {
                let mut together = 0_u32;
                for (k, chunk) in chunks.iter_mut().enumerate() {
                    let fitting = fits(pattern, *chunk);
                    let number = u64::from(total + together.count_ones());
                    let numbers = _mm512_add_epi64(steps, all(number << pattern.shift));
                    let numbers = _mm512_maskz_expand_epi64(fitting, numbers);
                    // Of those that fit, the bits of the field are those of the number.
                    *chunk = _mm512_mask_ternarylogic_epi64::<0xb8>(*chunk, fitting, field, numbers);
                    together |= u32::from(fitting) << (LANES * k);
                }
                let in_donor = together & in_second;
                kept += (together & in_first).count_ones();
                given += in_donor.count_ones();
                total += together.count_ones();
                let first = at + in_donor.trailing_zeros() as usize;
                place = select_unpredictable(in_donor == 0, place, place.min(first));
            });
            let [kept, given, total] = [kept, given, total].map(|count| count as usize);
            let first_given = match given {
                0 => 0,
                _ => pattern.number(donors[place - start]),
            };
            let behind = first.1.len() - (total - kept - given);
            let pieces = [
                &first.1[..kept],
                &second.1[first_given..first_given + given],
                &first.1[behind..],
            ];
            join(constants, pieces, |_, _, _: &mut [_; 1]| {});
        }

        /// Becomes three pieces one after the other; some chunks at a time are changed, knowing the
        /// place of the first and which words come from the first two pieces.
        #[inline]
        fn join<const CHUNKS: usize, T: Pod>(
            out: &mut Vec<T>,
            pieces: [&[T]; 3],
            mut change: impl FnMut(usize, [u32; 2], &mut [__m512i; CHUNKS]),
        ) {
            const { assert!(size_of::<T>() == 8 && CHUNKS <= TOGETHER) };
            let pieces = pieces.map(bytemuck::cast_slice::<T, u64>);
            let n = pieces.iter().map(|piece| piece.len()).sum::<usize>();
            out.clear();
            out.reserve(n.next_multiple_of(CHUNKS * LANES));
            let room = out.spare_capacity_mut().chunks_exact_mut(CHUNKS * LANES);
            for (start, room) in (0..n).step_by(CHUNKS * LANES).zip(room) {
                let ([first, second, _], mut chunks) = load(start, pieces);
                change(start, [first, second], &mut chunks);
                let (room, _) = room.as_chunks_mut::<LANES>();
                for (room, chunk) in room.iter_mut().zip(chunks) {
                    // SAFETY: there is room for eight values of eight bytes.
                    unsafe { _mm512_storeu_epi64(room.as_mut_ptr().cast(), chunk) };
                }
            }
            // SAFETY: the loop has written whole chunks up to there, which were reserved.
            unsafe { out.set_len(n) };
        }

        pub(super) fn add(pattern: Pattern, slots: &mut [u64], by: u64) {
            for at in (0..slots.len()).step_by(LANES) {
                let (_, chunk) = load_rest(slots, at);
                let more = _mm512_mask_add_epi64(chunk, fits(pattern, chunk), chunk, all(by));
                store(slots, at, more);
            }
        }

        pub(super) fn keep(slots: &[u64], bits: &[u64], kept: &mut Vec<u8>) {
            let len = kept.len();
            kept.reserve(SLOT_BYTES * slots.len().next_multiple_of(LANES));
            let room = kept.spare_capacity_mut();
            let mut n = 0;
            for at in (0..slots.len()).step_by(LANES) {
                let (there, chunk) = load_rest(slots, at);
                let chosen = bits[at / MANY].to_le_bytes()[at / LANES % LANES] & there;
                let room = &mut room[SLOT_BYTES * n..][..SLOT_BYTES * LANES];
                let chosen_words = _mm512_maskz_compress_epi64(chosen, chunk);
                // SAFETY: the slice is of as many bytes as eight words.
                unsafe { _mm512_storeu_epi64(room.as_mut_ptr().cast(), chosen_words) };
                n += chosen.count_ones() as usize;
            }
            // SAFETY: the loop has written so many words there.
            unsafe { kept.set_len(len + SLOT_BYTES * n) };
        }

        #[inline]
        pub(super) fn each_eight<T>(
            words: &[u64],
            answers: &mut [T],
            ask: impl Fn(&[u64; 8], &mut [T; 8]),
        ) {
            let answers = answers.as_chunks_mut::<LANES>().0;
            for (words, answers) in words.chunks(LANES).zip(answers) {
                ask(&first_eight(words), answers);
            }
        }

        #[inline]
        pub(super) fn first_eight(words: &[u64]) -> [u64; 8] {
            let mut eight = [0; 8];
            store(&mut eight, 0, load_rest(words, 0).1);
            eight
        }

        /// As `Places::key`.
        #[inline]
        fn keys(places: Places, words: __m512i) -> __m512i {
            let [memory, register] = places.opcode.map(|place| all(place.into()));
            let is_register = _mm512_testn_epi64_mask(words, all(places.memory_bit));
            let place = _mm512_mask_blend_epi64(is_register, memory, register);
            let opcode = _mm512_srlv_epi64(words, place);
            let opcode = _mm512_and_epi64(opcode, all(IS_REGISTER - 1));
            _mm512_mask_or_epi64(opcode, is_register, opcode, all(IS_REGISTER))
        }

        pub(super) fn is_on_words(dialect: &Dialect, slots: &[u64]) -> bool {
            let places = Places::of(dialect.tier);
            let mut any = 0;
            for at in (0..slots.len()).step_by(LANES) {
                let (there, chunk) = load_rest(slots, at);
                let found = look_up(&dialect.checks.on_words, there, keys(places, chunk));
                let prefix = _mm512_and_epi64(chunk, all(0xff));
                let whole = [HEAD, INNER].map(|of| _mm512_cmpneq_epi64_mask(prefix, all(of.into())));
                any |= _mm512_mask_test_epi64_mask(there & whole[0] & whole[1], found, found);
            }
            any != 0
        }

        pub(super) fn count_whole(dialect: &Dialect, n_columns: usize, slots: &[u64]) -> Option<usize> {
            // What is known of a tier is in the code that way.
            match dialect.tier {
                Tier::Avx512 => count_whole_of::<true>(dialect, n_columns, slots),
                Tier::Avx2 => count_whole_of::<false>(dialect, n_columns, slots),
            }
        }

        #[inline]
        fn count_whole_of<const EVEX: bool>(dialect: &Dialect, n_columns: usize, slots: &[u64]) -> Option<usize> {
            let places = Places::of(if EVEX { Tier::Avx512 } else { Tier::Avx2 });
            let checks = &*dialect.checks;
            let (index_place, index_bits) = places.index;
            let [fixed, lowest] = [&checks.fixed, &checks.lowest].map(|of| load_rest(of, 0).1);
            let n_columns = all(n_columns as u64);
            let (mut bad, mut past, mut n_constants) = (all(0), 0, 0_u32);
            for start in (0..slots.len()).step_by(TOGETHER * LANES) {
                let ([there], chunks) = load::<1, TOGETHER>(start, [slots]);
                for (chunk, there) in chunks.into_iter().zip(there.to_le_bytes()) {
                    let classed = look_up(&checks.classed, there, keys(places, chunk));
                    // The class is what vectors are permuted by.
                    let lowest = _mm512_permutexvar_epi64(classed, lowest);
                    let fixed = _mm512_permutexvar_epi64(classed, fixed);
                    let differs = _mm512_ternarylogic_epi64::<0x96>(chunk, classed, lowest);
                    bad = _mm512_ternarylogic_epi64::<0xf8>(bad, differs, fixed);
                    let index = _mm512_srl_epi64(chunk, _mm_set_epi64x(0, index_place.into()));
                    let index = _mm512_ternarylogic_epi64::<0x78>(all(index_bits), index, all(0xff));
                    let reads_column = _mm512_test_epi64_mask(classed, all(COLUMN));
                    past |= _mm512_mask_cmpge_epu64_mask(reads_column, index, n_columns);
                    let reads = _mm512_test_epi64_mask(classed, all(CONSTANT));
                    let expected = _mm512_maskz_expand_epi64(reads, from(n_constants as usize));
                    let disorder = _mm512_maskz_xor_epi64(reads, index, expected);
                    bad = _mm512_or_epi64(bad, disorder);
                    n_constants += reads.count_ones();
                }
            }
            (past | _mm512_test_epi64_mask(bad, bad) == 0).then_some(n_constants as usize)
        }
    }
}
