//! Merging with a priority queue: O(n log n) on any input. The slow twin of the faster ways.

use crate::{
    pairs::{NONE as NO_TOKEN, Pairs},
    vocab,
};
use std::{cmp::Reverse, collections::BinaryHeap};

const NONE: u32 = u32::MAX;

/// A doubly linked list over the piece's byte positions; each live position starts one token.
struct Symbols {
    token: Vec<u32>,
    next: Vec<u32>,
    previous: Vec<u32>,
}

/// Appends the tokens of `piece` to `out`.
pub fn merge(piece: &[u8], out: &mut Vec<u32>) {
    let pairs = Pairs::get();
    let bytes = vocab::byte_tokens();
    let n = piece.len() as u32;
    let mut symbols = Symbols {
        token: piece.iter().map(|&byte| bytes[byte as usize]).collect(),
        next: (1..=n).collect(),
        previous: (0..n).map(|i| i.wrapping_sub(1)).collect(),
    };
    let mut queue: BinaryHeap<Reverse<(u32, u32, u32)>> = BinaryHeap::new();
    // An entry (rank, position, right neighbour's position) is stale once either token has changed;
    // both still merging into `rank` means that neither has.
    let push = |queue: &mut BinaryHeap<_>, symbols: &Symbols, at: u32| {
        let right = symbols.next[at as usize];
        if right < n {
            let rank = pairs.merged(symbols.token[at as usize], symbols.token[right as usize]);
            if rank != NO_TOKEN {
                queue.push(Reverse((rank, at, right)));
            }
        }
    };
    for at in 0..n {
        push(&mut queue, &symbols, at);
    }
    while let Some(Reverse((rank, at, right))) = queue.pop() {
        let live = symbols.token[at as usize] != NONE
            && symbols.next[at as usize] == right
            && symbols.token[right as usize] != NONE
            && pairs.merged(symbols.token[at as usize], symbols.token[right as usize]) == rank;
        if !live {
            continue;
        }
        let after = symbols.next[right as usize];
        symbols.token[at as usize] = rank;
        symbols.token[right as usize] = NONE;
        symbols.next[at as usize] = after;
        if after < n {
            symbols.previous[after as usize] = at;
        }
        push(&mut queue, &symbols, at);
        if at > 0 {
            push(&mut queue, &symbols, symbols.previous[at as usize]);
        }
    }
    out.extend(symbols.token.into_iter().filter(|&token| token != NONE));
}
