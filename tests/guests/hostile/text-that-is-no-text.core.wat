;; Its error message is not UTF-8.
;; says: broke the rules of its interface: *; nothing of its answer was used; report it to its author
(module
  (memory (export "memory") 4)
  ;; A bump allocator, so that arguments can be passed.
  (global $free (mut i32) (i32.const 65536))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (global.set $free (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
    (global.get $free)
    (global.set $free (i32.add (global.get $free) (local.get 3))))
  (func (export "nacre:plugin/search@0.1.0#filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (i32.store8 (i32.const 16) (i32.const 1))
    (i32.store8 (i32.const 20) (i32.const 7))
    (i32.store (i32.const 24) (i32.const 512))
    (i32.store (i32.const 28) (i32.const 3))
    (i32.store8 (i32.const 512) (i32.const 0xff))
    (i32.const 16)))
