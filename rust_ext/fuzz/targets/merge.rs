//! Any bytes as one piece: every way of merging gives the heap's tokens.
#![no_main]

libfuzzer_sys::fuzz_target!(|piece: &[u8]| harmony_core::checks::merge(piece));
