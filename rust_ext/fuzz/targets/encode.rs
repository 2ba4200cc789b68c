//! Any text: the encoder's ids are the slow twin's, with every set of instructions.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| harmony_core::checks::encode(text));
