//! What takes vector instructions: for any processor, and for those that have them.

use crate::{merge::row::Lanes, pretokenize::blocks::Classify};

/// A kind of processor. Only to be used where it is available.
pub trait Processor: Classify + Lanes {
    /// Does `work`, compiled for this kind with all that is inlined into it. It is a function of its own, so
    /// that a loop in `work` has all registers to itself.
    fn run<R>(work: impl FnOnce() -> R) -> R;
}

/// Any processor, and the slow twin of the others.
pub struct Portable;

impl Processor for Portable {
    #[inline(never)]
    fn run<R>(work: impl FnOnce() -> R) -> R {
        work()
    }
}

#[cfg(target_arch = "x86_64")]
pub use x86_64::Avx2;

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use super::Processor;

    /// Processors of the last ten years and more.
    pub struct Avx2;

    impl Avx2 {
        pub fn is_available() -> bool {
            is_x86_feature_detected!("avx2")
                && is_x86_feature_detected!("bmi1")
                && is_x86_feature_detected!("bmi2")
                && is_x86_feature_detected!("lzcnt")
                && is_x86_feature_detected!("popcnt")
        }
    }

    impl Processor for Avx2 {
        #[inline(always)]
        fn run<R>(work: impl FnOnce() -> R) -> R {
            #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
            fn compiled<R>(work: impl FnOnce() -> R) -> R {
                work()
            }
            // SAFETY: whoever names this type has asked `is_available` first.
            unsafe { compiled(work) }
        }
    }
}
