//! Any code units, as a Python `str` may store them: they become the UTF-8 that the standard library makes.
#![no_main]

libfuzzer_sys::fuzz_target!(|units: &[u8]| harmony_core::checks::storage(units));
