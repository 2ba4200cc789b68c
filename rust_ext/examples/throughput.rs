use _rust::{special::SpecialTokens, tokenizer::Tokenizer};
struct Instant(f64);
impl Instant {
    fn now() -> Self {
        let mut t = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut t) };
        Self(t.tv_sec as f64 + t.tv_nsec as f64 * 1e-9)
    }
    fn elapsed(&self) -> std::time::Duration {
        std::time::Duration::from_secs_f64(Self::now().0 - self.0)
    }
}
fn main() {
    let t = Tokenizer { special: SpecialTokens::new(vec![]).unwrap() };
    let s = Instant::now();
    let mut o = Vec::new();
    t.encode_ordinary("Hello world", &mut o);
    println!("first ids {:?}", s.elapsed());
    for path in std::env::args().skip(1) {
        let text = std::fs::read_to_string(&path).unwrap();
        let mut mid = text.len() / 2;
        while !text.is_char_boundary(mid) {
            mid += 1
        }
        if let Some(n) = text[mid..].find('\n') {
            if n < 10000 {
                mid += n + 1
            }
        }
        let (a, b) = text.split_at(mid);
        let mut out = Vec::with_capacity(text.len());
        t.encode_ordinary(a, &mut out);
        out.clear();
        let s = Instant::now();
        t.encode_ordinary(b, &mut out);
        let fresh = b.len() as f64 / s.elapsed().as_secs_f64() / 1e6;
        let mut best = 0f64;
        for _ in 0..7 {
            out.clear();
            let s = Instant::now();
            t.encode_ordinary(b, &mut out);
            best = best.max(b.len() as f64 / s.elapsed().as_secs_f64() / 1e6);
        }
        println!(
            "{:32} {:9} bytes {:8} ids  fresh {fresh:7.1}  repeat {best:7.1} MB/s",
            path.rsplit('/').next().unwrap(),
            b.len(),
            out.len()
        );
    }
}
