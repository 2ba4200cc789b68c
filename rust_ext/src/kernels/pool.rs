//! Threads that wait for work, so that a call of a millisecond need not start any.
//!
//! The calling thread works, too, and never waits for one that has not begun: what others do not take it
//! does itself. A waiting thread looks for work for some microseconds, then sleeps. A child process finds
//! its parent's pool without its threads, and makes one of its own; a second caller at the same time works
//! alone.

use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    process,
    sync::{
        Condvar, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicPtr, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// No machine that decodes on its processor needs more.
const MOST: usize = 256;

/// How long to look for work before sleeping: a thread that sleeps takes longer than this to wake.
const PATIENCE: Duration = Duration::from_micros(20);

/// How many threads there are to use: one for each processor that this process may run on.
pub fn available() -> usize {
    static AVAILABLE: OnceLock<usize> = OnceLock::new();
    *AVAILABLE.get_or_init(|| thread::available_parallelism().map_or(1, usize::from))
}

/// The numbers below a limit, each given out once.
pub struct Units {
    next: AtomicUsize,
    limit: usize,
}

impl Units {
    pub fn next(&self) -> Option<usize> {
        let unit = self.next.fetch_add(1, Ordering::Relaxed);
        (unit < self.limit).then_some(unit)
    }
}

/// Calls `work` on up to `threads` threads, the calling one included. Together they take `units` units.
pub fn run(threads: usize, units: usize, work: impl Fn(&Units) + Sync) {
    let taken = Units { next: AtomicUsize::new(0), limit: units };
    let threads = threads.min(units).min(MOST);
    if threads <= 1 {
        return work(&taken);
    }
    Pool::current().run(threads, &|| work(&taken));
}

/// Work that outlives its use: `Pool::run` returns when nobody has it any more.
#[derive(Clone, Copy)]
struct Job(*const (dyn Fn() + Sync));

// SAFETY: what it points to is `Sync`, and is there for as long as a thread may call it.
unsafe impl Send for Job {}

#[derive(Default)]
struct State {
    job: Option<Job>,
    /// How many more threads may take the job.
    tickets: usize,
    running: usize,
    workers: usize,
    has_caller: bool,
    panicked: bool,
}

struct Pool {
    process: u32,
    state: Mutex<State>,
    /// Jobs so far, and threads that run one: what the impatient look at without the lock.
    jobs: AtomicUsize,
    running: AtomicUsize,
    work: Condvar,
    done: Condvar,
}

impl Pool {
    /// This process's pool. Pools are never freed: their threads look at them.
    fn current() -> &'static Self {
        static CURRENT: AtomicPtr<Pool> = AtomicPtr::new(std::ptr::null_mut());
        let process = process::id();
        let found = CURRENT.load(Ordering::Acquire);
        // SAFETY: null, or a pool that was leaked below.
        if let Some(pool) = unsafe { found.as_ref() }
            && pool.process == process
        {
            return pool;
        }
        let new: &'static Self = Box::leak(Box::new(Self {
            process,
            state: Mutex::default(),
            jobs: AtomicUsize::new(0),
            running: AtomicUsize::new(0),
            work: Condvar::new(),
            done: Condvar::new(),
        }));
        let pointer = std::ptr::from_ref(new).cast_mut();
        // Where two threads come at once, both pools work; the later one stays.
        CURRENT.store(pointer, Ordering::Release);
        new
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&'static self, threads: usize, job: &(dyn Fn() + Sync)) {
        let mut state = self.lock();
        if state.has_caller {
            drop(state);
            return job();
        }
        state.has_caller = true;
        while state.workers < threads - 1 {
            let started = thread::Builder::new().name("harmony-kernel".into()).spawn(|| self.work());
            if started.is_err() {
                // Fewer threads do the same.
                break;
            }
            state.workers += 1;
        }
        // SAFETY: only the lifetime changes; `finish` returns when no thread has the job.
        state.job = Some(Job(unsafe {
            std::mem::transmute::<*const (dyn Fn() + Sync + '_), *const (dyn Fn() + Sync)>(job)
        }));
        state.tickets = state.workers.min(threads - 1);
        self.jobs.fetch_add(1, Ordering::Release);
        drop(state);
        self.work.notify_all();
        let own = catch_unwind(AssertUnwindSafe(job));
        let panicked = self.finish();
        if let Err(panic) = own {
            resume_unwind(panic);
        }
        assert!(!panicked, "a thread of a kernel panicked");
    }

    /// Takes the job back and waits for the threads that run it; whether one of them panicked.
    fn finish(&self) -> bool {
        let mut state = self.lock();
        state.tickets = 0;
        state.job = None;
        drop(state);
        wait_for(|| self.running.load(Ordering::Acquire) == 0);
        let mut state = self.lock();
        while state.running > 0 {
            state = self.done.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.has_caller = false;
        std::mem::take(&mut state.panicked)
    }

    /// What a thread of the pool does, for ever.
    fn work(&self) {
        let mut seen = 0;
        loop {
            wait_for(|| self.jobs.load(Ordering::Acquire) != seen);
            let mut state = self.lock();
            let job = loop {
                seen = self.jobs.load(Ordering::Acquire);
                match state.job {
                    Some(job) if state.tickets > 0 => break job,
                    _ => state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner),
                }
            };
            state.tickets -= 1;
            state.running += 1;
            self.running.store(state.running, Ordering::Release);
            drop(state);
            // SAFETY: `run` waits in `finish` until this thread no longer counts as running.
            let result = catch_unwind(AssertUnwindSafe(|| unsafe { (*job.0)() }));
            let mut state = self.lock();
            state.running -= 1;
            state.panicked |= result.is_err();
            self.running.store(state.running, Ordering::Release);
            if state.running == 0 {
                self.done.notify_one();
            }
        }
    }
}

/// Looks until `happened`, for a short while.
fn wait_for(happened: impl Fn() -> bool) {
    let start = Instant::now();
    while !happened() && start.elapsed() < PATIENCE {
        std::hint::spin_loop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_done_once() {
        for threads in 0..5 {
            let counts: Vec<AtomicUsize> = (0..1000).map(|_| AtomicUsize::new(0)).collect();
            run(threads, counts.len(), |units| {
                while let Some(unit) = units.next() {
                    counts[unit].fetch_add(1, Ordering::Relaxed);
                }
            });
            assert!(counts.iter().all(|count| count.load(Ordering::Relaxed) == 1), "{threads} threads");
        }
    }

    #[test]
    fn callers_at_once_and_calls_within_calls_all_end() {
        let done = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        run(3, 4, |units| {
                            while units.next().is_some() {
                                run(2, 2, |inner| {
                                    while inner.next().is_some() {
                                        done.fetch_add(1, Ordering::Relaxed);
                                    }
                                });
                            }
                        });
                    }
                });
            }
        });
        assert_eq!(done.into_inner(), 4 * 200 * 4 * 2);
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_pool_lives_on() {
        for _ in 0..20 {
            let caught = catch_unwind(|| {
                run(3, 8, |units| {
                    while let Some(unit) = units.next() {
                        assert!(unit != 5);
                    }
                });
            });
            assert!(caught.is_err());
        }
        every_unit_is_done_once();
    }
}
