//! The precision of weights and of matrix products.

use std::cell::Cell;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{DType, Tensor};

use super::linear::untracked_cast;

thread_local! {
    static ROUNDED: Cell<bool> = const { Cell::new(false) };
}

/// Returns a module with its weights in another dtype, cast one by one.
///
/// The networks keep in float32 what the released ones do, whatever the dtype of their weights: time embedding, modulation
/// and last layer of a transformer.
pub fn cast_module<M: Module>(module: M, dtype: DType) -> M {
    module.map(&mut CastTo(dtype))
}

struct CastTo(DType);

impl ModuleMapper for CastTo {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|weight| untracked_cast(weight, self.0))
    }
}

/// Runs work whose large matrix products round their factors to bfloat16 and add up in float32.
///
/// It holds for what the calling thread computes, gradients of it included, in float32 networks on the CPU; the fp32
/// islands of the networks are left alone. On machines with matrix registers (AMX) this is several times as fast as
/// float32; on others it is slower and gives the same up to the order of sums.
///
/// ```
/// use worldloop_world_model::layers::with_bfloat16_products;
///
/// let answer = with_bfloat16_products(|| 42);
/// assert_eq!(answer, 42);
/// ```
pub fn with_bfloat16_products<R>(work: impl FnOnce() -> R) -> R {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            ROUNDED.set(self.0);
        }
    }
    let _restore = Restore(ROUNDED.replace(true));
    work()
}

/// Tells whether the calling thread is within [`with_bfloat16_products`].
#[cfg(feature = "flex")]
pub(crate) fn products_are_rounded() -> bool {
    ROUNDED.get()
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;

    #[test]
    fn the_setting_ends_with_its_work_even_by_a_panic() {
        let caught = std::panic::catch_unwind(|| {
            with_bfloat16_products(|| {
                assert!(products_are_rounded());
                panic!("on purpose")
            })
        });
        assert!(caught.is_err() && !products_are_rounded());
    }
}
