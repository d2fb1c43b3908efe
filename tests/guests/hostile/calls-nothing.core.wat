;; It calls a function that is not there.
;; says: crashed: wasm trap: *; report it to its author
(module
  (memory (export "memory") 4)
  ;; A bump allocator, so that arguments can be passed.
  (global $free (mut i32) (i32.const 65536))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (global.set $free (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
    (global.get $free)
    (global.set $free (i32.add (global.get $free) (local.get 3))))
  (table $t 1 funcref)
  (func (export "nacre:plugin/search@0.1.0#filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (call_indirect $t (param) (i32.const 0))
    (unreachable)))
