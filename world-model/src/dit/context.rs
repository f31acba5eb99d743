//! The projected text, ready for every step of an episode.

use burn::tensor::Tensor;

/// Keys and values of one attention layer, `[batch, context_tokens, heads, head_dim]` each.
#[derive(Debug, Clone)]
pub struct KeyValue {
    /// Normed keys.
    pub key: Tensor<4>,
    /// Values.
    pub value: Tensor<4>,
}

/// What one block's cross-attention reads.
#[derive(Debug, Clone)]
pub struct BlockContext {
    /// Keys and values of the text.
    pub text: KeyValue,
    /// Those of a reference image, where the network attends to one.
    pub image: Option<KeyValue>,
}

impl BlockContext {
    /// Appends tokens to the text.
    pub(super) fn with_tokens(&self, tokens: KeyValue) -> Self {
        let join = |text: &Tensor<4>, tokens: Tensor<4>| {
            let (contexts, batch) = (text.dims()[0], tokens.dims()[0]);
            // One text serves all clips, but each has its own tokens.
            let text = if contexts == batch {
                text.clone()
            } else {
                text.clone().repeat_dim(0, batch / contexts)
            };
            Tensor::cat(vec![text, tokens], 1)
        };
        Self {
            text: KeyValue {
                key: join(&self.text.key, tokens.key),
                value: join(&self.text.value, tokens.value),
            },
            image: self.image.clone(),
        }
    }

    /// Gives each view of every clip its own share of the text, and the image of all; see [`KeyValue::per_view`].
    pub(super) fn per_view(&self, batch: usize, views: usize) -> Self {
        Self {
            text: self.text.per_view(batch, views),
            image: self.image.clone(),
        }
    }
}

impl KeyValue {
    /// Gives each view of every clip its own share of the context, in which the views follow each other.
    ///
    /// # Shapes
    /// - output: `[batch * views, context_tokens / views, heads, head_dim]` each
    ///
    /// # Panics
    /// If the context is no whole number of views, or there are neither one nor `batch` contexts.
    fn per_view(&self, batch: usize, views: usize) -> Self {
        let [contexts, context_tokens, heads, head_dim] = self.key.dims();
        assert!(
            contexts == 1 || contexts == batch,
            "{contexts} contexts cannot serve a batch of {batch}"
        );
        assert!(
            context_tokens.is_multiple_of(views),
            "a context of {context_tokens} tokens cannot be shared by {views} views"
        );
        let share = |tensor: &Tensor<4>| {
            let shares = [contexts * views, context_tokens / views, heads, head_dim];
            tensor.clone().reshape(shares).repeat_dim(0, batch / contexts)
        };
        Self {
            key: share(&self.key),
            value: share(&self.value),
        }
    }
}

/// A text context with the keys and values of every block, computed once per episode.
///
/// Made by [`Dit::project_context`](super::Dit::project_context) or
/// [`project_context_with_image`](super::Dit::project_context_with_image). A batch of one serves any batch of clips.
#[derive(Debug, Clone)]
pub struct Context {
    /// Projected text, `[batch, context_tokens, crossattn_emb_channels]`; with several views, one text after the other.
    pub tokens: Tensor<3>,
    /// Projected image, `[batch, image_tokens, model_channels]`, where the network attends to one.
    pub image: Option<Tensor<3>>,
    /// Keys and values, one entry per block.
    pub blocks: Vec<BlockContext>,
}

impl Context {
    /// Joins the texts of several views to the context of their clip, in the order of the views.
    ///
    /// The image, where there is one, is that of the first view.
    ///
    /// # Panics
    /// If there is no view, or the texts differ in length: each view attends to an equal share of the tokens.
    pub fn of_views(views: &[Self]) -> Self {
        let first = views.first().expect("a clip has at least one view");
        let equal = views.iter().all(|view| view.num_tokens() == first.num_tokens());
        assert!(equal, "the texts of the views differ in length");
        let join = |of: &dyn Fn(&Self) -> Tensor<4>| Tensor::cat(views.iter().map(of).collect(), 1);
        let block = |(index, block): (usize, &BlockContext)| BlockContext {
            text: KeyValue {
                key: join(&|view| view.blocks[index].text.key.clone()),
                value: join(&|view| view.blocks[index].text.value.clone()),
            },
            image: block.image.clone(),
        };
        Self {
            tokens: Tensor::cat(views.iter().map(|view| view.tokens.clone()).collect(), 1),
            image: first.image.clone(),
            blocks: first.blocks.iter().enumerate().map(block).collect(),
        }
    }

    /// Returns the number of text tokens.
    pub fn num_tokens(&self) -> usize {
        self.tokens.dims()[1]
    }

    /// Tells whether another context has the same values.
    ///
    /// Guidance between two equal contexts (with the same action) is a no-op, so that a sampler may skip the second
    /// evaluation. Reads the values back from the device: ask once per episode.
    pub fn matches(&self, other: &Self) -> bool {
        let images = match (&self.image, &other.image) {
            (Some(image), Some(other)) => are_equal(image, other),
            (None, None) => true,
            _ => false,
        };
        images && are_equal(&self.tokens, &other.tokens)
    }
}

fn are_equal(left: &Tensor<3>, right: &Tensor<3>) -> bool {
    left.dims() == right.dims() && left.clone().equal(right.clone()).all().into_scalar::<bool>()
}
