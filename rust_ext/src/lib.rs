//! Bytes and ranks: the o200k_harmony tokenizer under `harmony_py`. Knows no messages.

mod classes;
mod decode;
mod incremental;
mod merge;
mod pairs;
mod pretokenize;
mod python;
mod special;
mod threads;
mod tokenizer;
mod unstable;
mod utf8;
mod vocab;
