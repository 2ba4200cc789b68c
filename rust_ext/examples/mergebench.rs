use _rust::{
    cuts,
    merge::{batch::Batch, heap},
    pairs::Pairs,
    pretokenize::scalar,
};
use std::collections::HashSet;
struct Instant(f64);
impl Instant {
    fn now() -> Self {
        let mut t = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut t) };
        Self(t.tv_sec as f64 + t.tv_nsec as f64 * 1e-9)
    }
    fn s(&self) -> f64 {
        Self::now().0 - self.0
    }
}
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
fn run(b: &mut Batch, p: &Pairs, pieces: &[Vec<u8>], n: &mut usize) {
    b.merge(p, pieces.iter().map(|v| v.as_slice()), |_, t| *n += t.len());
}
fn main() {
    for path in std::env::args().skip(1) {
        let text = std::fs::read_to_string(&path).unwrap();
        let mut at = 0;
        let mut seen = HashSet::new();
        let mut pieces = vec![];
        while at < text.len() {
            let end = scalar::piece_end(&text, at);
            while at < end {
                let e = cuts::segment_end(text.as_bytes(), at, end);
                let p = &text.as_bytes()[at..e];
                if p.len() <= 32 && seen.insert(p.to_vec()) {
                    let mut o = vec![];
                    heap::merge(p, &mut o);
                    if o.len() > 1 {
                        pieces.push(p.to_vec());
                    }
                }
                at = e;
            }
        }
        let bytes: usize = pieces.iter().map(|p| p.len()).sum();
        let mut b = Batch::new();
        let pairs = Pairs::get();
        for _ in 0..3 {
            let t = Instant::now();
            let mut n = 0;
            unsafe { run(&mut b, pairs, &pieces, &mut n) };
            let s = t.s();
            println!(
                "{path} {} pieces {bytes} bytes {n} tokens: {:.1} ns/piece {:.1} ns/merge",
                pieces.len(),
                s * 1e9 / pieces.len() as f64,
                s * 1e9 / (bytes - n) as f64
            );
        }
    }
}
