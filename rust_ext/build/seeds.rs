//! Seeds that spread the pairs over the lines of their table so that none overflows: a lookup then reads
//! one line, always.

use crate::pair_hash::{LINES_LOG2, SEEDS_LOG2, SLOTS, group, key, line};

/// From the packed merge list: the seeds, as little-endian `u16`s.
pub fn pack(merges: &[u8]) -> Vec<u8> {
    let mut groups = vec![Vec::new(); 1 << SEEDS_LOG2];
    for merge in merges.as_chunks::<8>().0 {
        let half = |at: usize| u32::from_le_bytes(merge[at..at + 4].try_into().expect("4 bytes"));
        if half(4) != crate::merges::BYTE {
            let key = key(half(0), half(4));
            groups[group(key)].push(key);
        }
    }
    let mut order: Vec<usize> = (0..groups.len()).collect();
    order.sort_by_key(|&group| std::cmp::Reverse(groups[group].len()));

    let mut seeds = [0; 1 << SEEDS_LOG2];
    let mut taken = vec![0u8; 1 << LINES_LOG2];
    for group in order {
        let placed = (0..=u16::MAX).any(|seed| {
            seeds[group] = seed;
            place(&groups[group], &seeds, &mut taken)
        });
        assert!(placed, "no seed fits group {group}");
    }
    seeds.iter().flat_map(|seed| seed.to_le_bytes()).collect()
}

/// Takes a slot for each key, or none if some line would overflow.
fn place(keys: &[u64], seeds: &[u16; 1 << SEEDS_LOG2], taken: &mut [u8]) -> bool {
    for (placed, &k) in keys.iter().enumerate() {
        let slots = &mut taken[line(k, seeds)];
        if usize::from(*slots) == SLOTS {
            for &k in &keys[..placed] {
                taken[line(k, seeds)] -= 1;
            }
            return false;
        }
        *slots += 1;
    }
    true
}
