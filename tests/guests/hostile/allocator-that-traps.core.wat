;; It crashes when it gets its arguments.
;; says: crashed: wasm trap: wasm `unreachable` instruction executed; report it to its author
(module
  (memory (export "memory") 4)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (unreachable))
  (func (export "nacre:plugin/search@0.1.0#filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (i32.const 16)))
