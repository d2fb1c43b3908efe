;; It fills 60 MiB of memory in single instructions, again and again.
;; says: took longer than 1 s: raise [limits] time in its plugin.toml or report it to its author
(module
  (memory (export "memory") 960)
  ;; A bump allocator, so that arguments can be passed.
  (global $free (mut i32) (i32.const 65536))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (global.set $free (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
    (global.get $free)
    (global.set $free (i32.add (global.get $free) (local.get 3))))
  (func (export "nacre:plugin/search@0.1.0#filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (loop (memory.fill (i32.const 0) (i32.const 1) (i32.const 62914560)) (br 0))
    (unreachable)))
