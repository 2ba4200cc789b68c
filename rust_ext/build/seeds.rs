//! Seeds that spread the keys of a static table over its lines so that none overflows.

use crate::placement::Layout;

/// The seeds for keys with these hashes, as little-endian `u16`s.
pub fn pack(layout: &Layout, hashes: impl Iterator<Item = u64>) -> Vec<u8> {
    let mut groups = vec![Vec::new(); layout.seeds()];
    for hash in hashes {
        groups[layout.group(hash)].push(hash);
    }
    let mut order: Vec<usize> = (0..groups.len()).collect();
    // The largest groups are the hardest to place: first, while there is room.
    order.sort_by_key(|&group| std::cmp::Reverse(groups[group].len()));

    let mut seeds = vec![0; layout.seeds()];
    let mut taken = vec![0; layout.lines()];
    for group in order {
        let seed = (0..=u16::MAX).find(|&seed| place(layout, &groups[group], seed, &mut taken));
        seeds[group] = seed.unwrap_or_else(|| panic!("no seed fits group {group}"));
    }
    seeds.iter().flat_map(|seed| seed.to_le_bytes()).collect()
}

/// Takes a slot for each key, or none if some line would overflow.
fn place(layout: &Layout, hashes: &[u64], seed: u16, taken: &mut [usize]) -> bool {
    for (placed, &hash) in hashes.iter().enumerate() {
        let slots = &mut taken[layout.line(hash, seed)];
        if *slots == layout.slots {
            for &hash in &hashes[..placed] {
                taken[layout.line(hash, seed)] -= 1;
            }
            return false;
        }
        *slots += 1;
    }
    true
}
