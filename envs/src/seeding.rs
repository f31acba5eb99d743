//! Random numbers that depend on the seed and on nothing else.

use rand::SeedableRng;

/// The generator used everywhere: small, fast, the same on every machine.
pub type Rng = rand_pcg::Pcg64;

/// Makes a generator from a seed.
///
/// `stream` separates independent uses of one seed, such as the scene and the policy.
pub fn rng(seed: u64, stream: u64) -> Rng {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes[8..16].copy_from_slice(&stream.to_le_bytes());
    // The remaining bytes choose the increment, which must differ between streams too.
    bytes[16..24].copy_from_slice(&stream.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes());
    Rng::from_seed(bytes)
}
