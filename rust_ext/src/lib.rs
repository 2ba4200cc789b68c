//! Bytes and ranks: the o200k_harmony tokenizer under `harmony_py`. Knows no messages.

mod classes;
mod merge;
mod pairs;
mod pretokenize;
mod python;
mod special;
mod tokenizer;
mod vocab;
