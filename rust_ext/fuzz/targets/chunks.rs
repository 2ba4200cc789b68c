//! Any text cut anywhere: encoded as it grows, and cut up for threads, it has the ids of the whole.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: (u8, &str)| harmony_core::checks::chunks(input.0, input.1));
