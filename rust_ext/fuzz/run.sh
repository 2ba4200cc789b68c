#!/usr/bin/env bash
# run.sh TARGET [libFuzzer's options]: fuzz with coverage as a guide. A stable toolchain and a C++ compiler are
# enough: the instrumentation is LLVM's own, so neither a nightly toolchain nor cargo-fuzz is needed.
# `cargo fuzz run --sanitizer none TARGET` does the same.
set -euo pipefail
cd "$(dirname "$0")"
target=$1 && shift
host=$(rustc -vV | sed -n 's/^host: //p')
coverage="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4"
coverage+=" -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table"
coverage+=" -Cllvm-args=-sanitizer-coverage-trace-compares"
export RUSTFLAGS="--cfg fuzzing -Ccodegen-units=1 $coverage"
# Where there is a target of its own, build scripts and macros are not instrumented.
cargo build --quiet --release --target "$host" --bin "$target"
mkdir -p "corpus/$target" "artifacts/$target"
exec "target/$host/release/$target" "-artifact_prefix=artifacts/$target/" "$@" "corpus/$target"
