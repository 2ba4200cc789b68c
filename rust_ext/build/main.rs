//! Packs what the tokenizer needs into the extension: the vocabulary and the Unicode classes.
//!
//! Both are facts that must not drift, so both are checked here: the rank table against its published
//! hash, the merge list against the table it came from. A wrong input stops the build.

mod cuts;
mod merges;
mod ranks;
mod seeds;
mod unicode;

// What the tables and the build must compute alike.
#[path = "../src/boundary.rs"]
mod boundary;
#[allow(dead_code, reason = "only the tables look keys up")]
#[path = "../src/key.rs"]
mod key;
#[path = "../src/pair_hash.rs"]
mod pair_hash;
#[allow(dead_code, reason = "only the tables read seeds")]
#[path = "../src/placement.rs"]
mod placement;

use std::{env, fs, path::Path};

fn main() {
    for path in ["build", "src/boundary.rs", "src/key.rs", "src/pair_hash.rs", "src/placement.rs"] {
        println!("cargo:rerun-if-changed={path}");
    }
    println!("cargo:rerun-if-env-changed={}", ranks::FILE_VARIABLE);

    let tokens = ranks::load();
    let out = env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    let out = Path::new(&out);
    let splits = merges::splits(&tokens);
    let short = tokens.iter().filter(|token| token.len() <= key::SHORT);
    write(&out.join("merges.bin"), &merges::pack(&splits));
    write(&out.join("pair_seeds.bin"), &seeds::pack(&placement::PAIRS, merges::pair_hashes(&splits)));
    write(
        &out.join("piece_seeds.bin"),
        &seeds::pack(&placement::PIECES, short.map(|token| key::Key::of(token).hash())),
    );
    write(&out.join("cuts.bin"), &cuts::pack(&tokens));
    write(&out.join("classes.bin"), &unicode::pack());
}

fn write(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).unwrap_or_else(|e| panic!("cannot write {}: {e}", path.display()));
}
