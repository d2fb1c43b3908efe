;; It wants its arguments at an odd address.
;; says: broke the rules of its interface: *; nothing of its answer was used; report it to its author
(module
  (memory (export "memory") 4)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 65537))
  (func (export "nacre:plugin/search@0.1.0#filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (i32.const 16)))
