//! Which implementations there are, and which of them this processor can run.

#[cfg(target_arch = "aarch64")]
use super::neon;
#[cfg(target_arch = "x86_64")]
use super::{avx2, avx512, avx512bf16};
use super::{kernel::Runnable, number::Bf16, scalar};

/// What is multiplied with what is held as f32, and as bf16 where there is a faster way.
#[derive(Clone, Copy)]
pub struct Implementation {
    pub name: &'static str,
    pub f32: Runnable<f32>,
    pub bf16: Option<Runnable<Bf16>>,
}

impl Implementation {
    /// Those that this processor can run, the best first.
    pub fn all() -> impl Iterator<Item = Self> {
        let scalar = Self {
            name: "scalar",
            // SAFETY: plain Rust.
            f32: unsafe { Runnable::new(&scalar::KERNEL) },
            bf16: None,
        };
        vector().into_iter().chain([scalar])
    }

    /// The one called `name`, or the best.
    pub fn named(name: Option<&str>) -> Option<Self> {
        Self::all().find(|implementation| name.is_none_or(|name| implementation.name == name))
    }
}

#[cfg(target_arch = "x86_64")]
fn vector() -> Vec<Implementation> {
    let mut found = Vec::new();
    let has_avx512 = is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl");
    if has_avx512 {
        // SAFETY: the features were just found.
        let f32 = unsafe { Runnable::new(&avx512::KERNEL) };
        if is_x86_feature_detected!("avx512bf16") && is_x86_feature_detected!("avx512vbmi") {
            // SAFETY: the features were just found.
            let bf16 = Some(unsafe { Runnable::new(&avx512bf16::KERNEL) });
            found.push(Implementation { name: "avx512bf16", f32, bf16 });
        }
        found.push(Implementation { name: "avx512", f32, bf16: None });
    }
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        // SAFETY: the features were just found.
        let f32 = unsafe { Runnable::new(&avx2::KERNEL) };
        found.push(Implementation { name: "avx2", f32, bf16: None });
    }
    found
}

#[cfg(target_arch = "aarch64")]
fn vector() -> Vec<Implementation> {
    // SAFETY: every processor of this kind has NEON.
    let f32 = unsafe { Runnable::new(&neon::KERNEL) };
    vec![Implementation { name: "neon", f32, bf16: None }]
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn vector() -> Vec<Implementation> {
    Vec::new()
}
