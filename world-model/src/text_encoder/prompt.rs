//! What the text encoder reads: the prompt as a chat, at a fixed number of tokens.
//!
//! Source: `cosmos_predict2/_src/predict2/text_encoders/text_encoder.py@50369b8` and the chat template of Qwen2.5-VL.
//! Differs: nothing.

/// What the system says before every prompt.
pub const SYSTEM_PROMPT: &str = "You are a helpful assistant who will provide prompts to an image generator.";

/// What the released base models are told to avoid where nothing else is said.
///
/// Source: `cosmos_predict2/config.py@2ac6ee5` (`DEFAULT_NEGATIVE_PROMPT`): published data, which the weights are used with.
pub const NEGATIVE_PROMPT: &str = "The video captures a series of frames showing ugly scenes, static with no \
    motion, motion blur, over-saturation, shaky footage, low resolution, grainy texture, pixelated images, poorly lit \
    areas, underexposed and overexposed scenes, poor color balance, washed out colors, choppy sequences, jerky \
    movements, low frame rate, artifacting, color banding, unnatural transitions, outdated special effects, fake \
    elements, unconvincing visuals, poorly edited content, jump cuts, visual noise, and flickering. Overall, the video \
    is of poor quality.";

/// Number of tokens that every prompt is brought to.
pub const CONTEXT_TOKENS: usize = 512;

/// Token that fills up short prompts; its id in the released tokenizer is 151643.
pub const PAD_TOKEN: &str = "<|endoftext|>";

/// Writes a prompt as the chat that the released networks were trained on.
///
/// Special tokens that are spelt out in the prompt count as such, as they do upstream.
///
/// ```
/// use worldloop_world_model::text_encoder::chat_prompt;
///
/// assert!(chat_prompt("a red cube").ends_with("<|im_start|>user\na red cube<|im_end|>\n"));
/// ```
pub fn chat_prompt(prompt: &str) -> String {
    format!("<|im_start|>system\n{SYSTEM_PROMPT}<|im_end|>\n<|im_start|>user\n{prompt}<|im_end|>\n")
}

/// Brings ids to a length: padding follows a short prompt, and a long one is cut at its end.
///
/// The networks see the padding too: there is no mask, neither here nor in the transformer.
pub fn pad_or_cut(mut ids: Vec<u32>, pad_id: u32, length: usize) -> Vec<u32> {
    ids.resize(length, pad_id);
    ids
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chat_is_that_of_the_template() {
        let expected = "<|im_start|>system\nYou are a helpful assistant who will provide prompts to an image \
                        generator.<|im_end|>\n<|im_start|>user\npush the cube<|im_end|>\n";
        assert_eq!(chat_prompt("push the cube"), expected);
    }

    #[test]
    fn the_negative_prompt_is_one_paragraph_of_single_spaces() {
        assert!(NEGATIVE_PROMPT.starts_with("The video captures a series of frames showing ugly scenes, static"));
        assert!(NEGATIVE_PROMPT.ends_with("Overall, the video is of poor quality."));
        assert!(!NEGATIVE_PROMPT.contains("  ") && !NEGATIVE_PROMPT.contains('\n'));
        assert_eq!(NEGATIVE_PROMPT.len(), 538);
    }

    #[test]
    fn a_short_prompt_is_padded_at_its_end() {
        assert_eq!(pad_or_cut(vec![7, 8], 9, 4), [7, 8, 9, 9]);
    }

    #[test]
    fn a_cut_prompt_keeps_its_start() {
        assert_eq!(pad_or_cut(vec![1, 2, 3, 4], 9, 2), [1, 2]);
    }
}
