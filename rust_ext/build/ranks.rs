//! Where the rank table comes from, and the check that it is the published one.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha2::{Digest, Sha256};
use std::{env, fmt::Write as _, fs};

/// Name of the environment variable that points at an `o200k_base.tiktoken` file to build from.
pub const FILE_VARIABLE: &str = "HARMONY_PY_VOCAB_FILE";

const TOKENS: u32 = 199_998;
const SHA256: &str = "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d";

/// The bytes of every token, by rank. Panics (and so fails the build) on any table but the published one.
pub fn load() -> Vec<Vec<u8>> {
    let (tokens, source) = match env::var_os(FILE_VARIABLE) {
        Some(path) => {
            println!("cargo:rerun-if-changed={}", path.display());
            let text = fs::read_to_string(&path)
                .unwrap_or_else(|e| panic!("{FILE_VARIABLE}={}: {e}", path.display()));
            (parse(&text), path.display().to_string())
        }
        None => (from_crate(), "the tiktoken-rs crate".to_owned()),
    };
    let found = hash(&tokens);
    assert!(
        found == SHA256,
        "the rank table from {source} has sha256 {found} in tiktoken's format; o200k_base has {SHA256}"
    );
    tokens
}

fn from_crate() -> Vec<Vec<u8>> {
    let bpe = tiktoken_rs::o200k_base().expect("tiktoken-rs carries o200k_base");
    let token = |rank: u32| bpe.decode_bytes(&[rank]).unwrap_or_else(|e| panic!("token {rank}: {e:?}"));
    (0..TOKENS).map(token).collect()
}

fn parse(text: &str) -> Vec<Vec<u8>> {
    let mut tokens = Vec::with_capacity(TOKENS as usize);
    for (line, rank) in text.lines().zip(0u32..) {
        let (token, stated) = line.split_once(' ').unwrap_or_else(|| panic!("line {rank}: no rank"));
        assert!(stated.parse() == Ok(rank), "line {rank}: ranks must be in order, found {stated}");
        tokens.push(STANDARD.decode(token).unwrap_or_else(|e| panic!("line {rank}: {e}")));
    }
    tokens
}

fn hash(tokens: &[Vec<u8>]) -> String {
    let mut hasher = Sha256::new();
    for (rank, token) in tokens.iter().enumerate() {
        hasher.update(format!("{} {rank}\n", STANDARD.encode(token)));
    }
    hasher.finalize().iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
