//! Byte-pair merging of one piece: the pair of neighbours with the lowest rank first, leftmost on a tie.

pub mod heap;
