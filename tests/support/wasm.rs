//! Modules written by hand: commands of WASI, as functions of kpt are.

#![allow(dead_code, reason = "each test uses its own part of this")]

/// A command with this body, which has a word of five letters at 16.
pub(crate) fn command(word: &str, body: &str) -> String {
    format!(
        "(module
          (import \"wasi_snapshot_preview1\" \"fd_read\" (func $read (param i32 i32 i32 i32) (result i32)))
          (import \"wasi_snapshot_preview1\" \"fd_write\" (func $write (param i32 i32 i32 i32) (result i32)))
          (import \"wasi_snapshot_preview1\" \"proc_exit\" (func $exit (param i32)))
          (import \"wasi_snapshot_preview1\" \"sock_accept\" (func $sock (param i32 i32 i32) (result i32)))
          (memory (export \"memory\") 1)
          (data (i32.const 16) \"{word}\")
          (func (export \"_start\") {body}))"
    )
}

/// Says the word, and copies the input to the output.
pub(crate) const COPY: &str = "
    (i32.store (i32.const 0) (i32.const 16)) (i32.store (i32.const 4) (i32.const 5))
    (drop (call $write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 8)))
    (block $done (loop $more
      (i32.store (i32.const 0) (i32.const 1024)) (i32.store (i32.const 4) (i32.const 1000))
      (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
      (br_if $done (i32.eqz (i32.load (i32.const 8))))
      (i32.store (i32.const 4) (i32.load (i32.const 8)))
      (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
      (br $more)))";
