//! Which frames each model call of a long video makes, and what it starts from.
//!
//! Source: `cosmos_predict2/_src/predict2/inference/video2world.py@fc646ba` (`generate_autoregressive_from_batch`).
//! Differs: the overlap is counted in frames throughout, unless [`Chunking::overlap_as_latents`] asks for upstream's
//! count.

use super::error::GenerationError;

/// How a video longer than one clip is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunking {
    /// Frames of a chunk, those given at its start included.
    pub chunk_size: usize,
    /// Frames that a chunk shares with the one before it.
    pub chunk_overlap: usize,
    /// Whether the overlap counts latent frames when a chunk is sampled, though it counts frames when chunks are
    /// joined, as upstream has it. Frames that are then missing are filled up: black after text or an image, the last
    /// given frame after a video.
    pub overlap_as_latents: bool,
}

/// One model call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Chunk {
    /// Its index, which is added to the seed.
    pub(super) index: u32,
    /// Frames that are kept of it, from its start.
    pub(super) frames: usize,
    /// How many of these the chunk before has already made.
    pub(super) overlap: usize,
    /// Frames that it is given; those beyond `overlap` are filled up.
    pub(super) given: usize,
}

impl Chunking {
    /// Upstream's chunks: 77 frames, one of them shared.
    pub const DEFAULT: Self = Self {
        chunk_size: 77,
        chunk_overlap: 1,
        overlap_as_latents: false,
    };

    /// Returns the model calls for a video of `frames` frames whose first chunk is given `given` of them; `time` is by
    /// how much the VAE shrinks the frame rate.
    ///
    /// # Errors
    /// [`GenerationError::Chunks`] if the numbers do not fit each other.
    pub(super) fn plan(&self, frames: usize, given: usize, time: usize) -> Result<Vec<Chunk>, GenerationError> {
        let (size, overlap) = (self.chunk_size, self.chunk_overlap);
        let error = |advice: String| GenerationError::Chunks { size, overlap, advice };
        if overlap >= size {
            return Err(error("the overlap must be smaller than the chunk".to_owned()));
        }
        if given >= size && frames > size {
            return Err(error(format!("a chunk must be longer than the {given} given frames")));
        }
        let later_given = match overlap {
            0 => 0,
            _ if self.overlap_as_latents => time * (overlap - 1) + 1,
            _ if overlap % time == 1 % time => overlap,
            _ => {
                let below = (overlap - 1) / time * time + 1;
                return Err(error(format!(
                    "the overlap must be 0 or one more than a multiple of {time}, such as {below} or {}; --like-reference takes \
                     every one, as latent frames",
                    below + time
                )));
            }
        };
        if later_given >= size {
            return Err(error(format!(
                "an overlap of {overlap} latent frames is {later_given} frames, as many as a chunk has"
            )));
        }
        let mut chunks = vec![Chunk {
            index: 0,
            frames: size.min(frames),
            overlap: 0,
            given,
        }];
        let mut start = size - overlap;
        while start + overlap < frames {
            chunks.push(Chunk {
                index: chunks.len() as u32,
                frames: size.min(frames - start),
                overlap,
                given: later_given,
            });
            start += size - overlap;
        }
        Ok(chunks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(frames: usize, chunk_size: usize, chunk_overlap: usize) -> Vec<(usize, usize)> {
        let chunking = Chunking {
            chunk_size,
            chunk_overlap,
            overlap_as_latents: false,
        };
        let chunks = chunking.plan(frames, 1, 4).expect("it fits");
        let new: usize = chunks.iter().map(|chunk| chunk.frames - chunk.overlap).sum();
        assert_eq!(new, frames, "{chunks:?}");
        chunks.iter().map(|chunk| (chunk.frames, chunk.overlap)).collect()
    }

    #[test]
    fn chunks_cover_every_frame_once() {
        assert_eq!(plan(77, 77, 1), [(77, 0)]);
        assert_eq!(plan(50, 77, 1), [(50, 0)]);
        assert_eq!(plan(153, 77, 1), [(77, 0), (77, 1)]);
        assert_eq!(plan(154, 77, 1), [(77, 0), (77, 1), (2, 1)]);
        assert_eq!(plan(21, 9, 5), [(9, 0), (9, 5), (9, 5), (9, 5)]);
        assert_eq!(plan(20, 10, 0), [(10, 0), (10, 0)]);
    }

    #[test]
    fn the_reference_counts_the_overlap_twice() {
        let mut chunking = Chunking {
            chunk_size: 21,
            chunk_overlap: 5,
            overlap_as_latents: false,
        };
        assert_eq!(chunking.plan(37, 1, 4).expect("it fits")[1].given, 5);
        chunking.overlap_as_latents = true;
        assert_eq!(chunking.plan(37, 1, 4).expect("it fits")[1].given, 17);
        chunking.chunk_overlap = 1;
        assert_eq!(chunking.plan(37, 1, 4).expect("it fits")[1].given, 1);
    }

    #[test]
    fn numbers_that_do_not_fit_are_told_with_those_that_do() {
        let message = |chunk_size, chunk_overlap, given| {
            let chunking = Chunking {
                chunk_size,
                chunk_overlap,
                overlap_as_latents: false,
            };
            let error = chunking.plan(100, given, 4).expect_err("it does not fit");
            error.to_string()
        };
        assert!(
            message(9, 9, 1).contains("smaller than the chunk"),
            "{}",
            message(9, 9, 1)
        );
        assert!(message(9, 4, 1).contains("1 or 5"), "{}", message(9, 4, 1));
        assert!(message(5, 1, 5).contains("5 given frames"), "{}", message(5, 1, 5));
    }
}
