//! Files that are nearly right.

use proptest::prelude::*;
use proptest::sample::Index;

/// Numbers that lengths and offsets are replaced by.
const EXTREMES: [u64; 9] = [
    0,
    1,
    0xff,
    0xffff,
    0x7fff_ffff,
    0xffff_ffff,
    1 << 40,
    i64::MAX as u64,
    u64::MAX,
];

/// One change of a file.
#[derive(Debug, Clone)]
pub(super) enum Mutation {
    /// Flips one bit.
    Flip(Index, u8),
    /// Cuts the file.
    Cut(Index),
    /// Writes a number over two, four or eight bytes, little-endian.
    Number(Index, u64, usize),
    /// Repeats a part.
    Repeat(Index, usize),
    /// Leaves a part out.
    Remove(Index, usize),
    /// Replaces a digit, of which headers in text have many.
    Digits(Index, u64),
}

/// Returns one to four changes.
pub(super) fn mutations() -> impl Strategy<Value = Vec<Mutation>> {
    let part = || 1..80usize;
    let one = prop_oneof![
        3 => (any::<Index>(), 0..8u8).prop_map(|(at, bit)| Mutation::Flip(at, bit)),
        1 => any::<Index>().prop_map(Mutation::Cut),
        3 => (any::<Index>(), prop::sample::select(EXTREMES.to_vec()), prop::sample::select(vec![2, 4, 8]))
            .prop_map(|(at, number, len)| Mutation::Number(at, number, len)),
        1 => (any::<Index>(), part()).prop_map(|(at, len)| Mutation::Repeat(at, len)),
        1 => (any::<Index>(), part()).prop_map(|(at, len)| Mutation::Remove(at, len)),
        2 => (any::<Index>(), prop::sample::select(EXTREMES.to_vec()))
            .prop_map(|(at, number)| Mutation::Digits(at, number)),
    ];
    prop::collection::vec(one, 1..5)
}

/// Changes a file.
pub(super) fn mutated(whole: &[u8], mutations: &[Mutation]) -> Vec<u8> {
    let mut bytes = whole.to_vec();
    for mutation in mutations.iter().filter(|_| !whole.is_empty()) {
        let len = bytes.len();
        if len == 0 {
            break;
        }
        let end = |start: usize, part: usize| (start + part).min(len);
        match mutation {
            Mutation::Flip(at, bit) => bytes[at.index(len)] ^= 1 << bit,
            Mutation::Cut(at) => bytes.truncate(at.index(len)),
            Mutation::Number(at, number, part) => {
                let start = at.index(len);
                let part = end(start, *part) - start;
                bytes[start..start + part].copy_from_slice(&number.to_le_bytes()[..part]);
            }
            Mutation::Repeat(at, part) => {
                let start = at.index(len);
                let copy = bytes[start..end(start, *part)].to_vec();
                bytes.splice(start..start, copy);
            }
            Mutation::Remove(at, part) => {
                let start = at.index(len);
                bytes.drain(start..end(start, *part));
            }
            Mutation::Digits(at, number) => {
                let digits: Vec<usize> = (0..len).filter(|&index| bytes[index].is_ascii_digit()).collect();
                if !digits.is_empty() {
                    let start = digits[at.index(digits.len())];
                    bytes.splice(start..=start, number.to_string().into_bytes());
                }
            }
        }
    }
    bytes
}
