//! Packs what the tokenizer needs into the extension: the vocabulary and the Unicode classes.
//!
//! Both are facts that must not drift, so both are checked here: the rank table against its published
//! hash, the merge list against the table it came from. A wrong input stops the build.

mod cuts;
mod merges;
mod ranks;
mod unicode;

// What the build and the encoder must compute alike.
#[path = "../src/boundary.rs"]
mod boundary;

use std::{env, fs, path::Path};

fn main() {
    for path in ["build", "src/boundary.rs"] {
        println!("cargo:rerun-if-changed={path}");
    }
    println!("cargo:rerun-if-env-changed={}", ranks::FILE_VARIABLE);

    let tokens = ranks::load();
    let out = env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    let out = Path::new(&out);
    write(&out.join("merges.bin"), &merges::pack(&tokens));
    write(&out.join("cuts.bin"), &cuts::pack(&tokens));
    write(&out.join("classes.bin"), &unicode::pack());
}

fn write(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).unwrap_or_else(|e| panic!("cannot write {}: {e}", path.display()));
}
