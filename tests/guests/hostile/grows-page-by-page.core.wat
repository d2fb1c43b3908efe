;; It takes memory, a page at a time, until there is none.
;; says: needs more than 64 MiB: raise [limits] memory in its plugin.toml or report it to its author
(module
  (memory (export "memory") 4)
  ;; A bump allocator, so that arguments can be passed.
  (global $free (mut i32) (i32.const 65536))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (global.set $free (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
    (global.get $free)
    (global.set $free (i32.add (global.get $free) (local.get 3))))
  (func (export "nacre:plugin/search@0.1.0#filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (loop (drop (memory.grow (i32.const 1))) (br 0))
    (unreachable)))
