//! Initial weights that depend on the seed alone.

use std::sync::{Mutex, PoisonError};

use burn::module::Module;
use burn::tensor::Device;

use crate::parameters::Parameters;

/// Whoever seeds the device's generator holds this while it draws.
static GENERATOR: Mutex<()> = Mutex::new(());

/// Builds a network whose weights depend on the seed alone.
///
/// A device has one generator for the whole process, and anything that builds a layer meanwhile takes numbers from it.
/// So the weights are drawn until two draws in a row agree.
pub(crate) fn draw<M: Module>(device: &Device, seed: u64, make: impl Fn() -> M) -> (M, Parameters) {
    let _drawing = GENERATOR.lock().unwrap_or_else(PoisonError::into_inner);
    let once = || {
        device.seed(seed);
        let network = make();
        let parameters = Parameters::collect(&network);
        (network, parameters)
    };
    let (_, mut previous) = once();
    loop {
        let (network, parameters) = once();
        if parameters == previous {
            return (network, parameters);
        }
        previous = parameters;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use burn::nn::LinearConfig;
    use burn::tensor::{Distribution, Tensor};

    use super::*;

    #[test]
    fn weights_are_the_seeds_while_others_draw_too() {
        let device = Device::flex();
        let make = || LinearConfig::new(40, 50).init(&device);
        let (_, alone) = draw(&device, 7, make);
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    let _noise = Tensor::<1>::random([3], Distribution::Default, &device);
                }
            });
            let drawn: Vec<_> = (0..20).map(|_| draw(&device, 7, make).1).collect();
            done.store(true, Ordering::Relaxed);
            assert!(drawn.iter().all(|parameters| *parameters == alone));
        });
    }
}
