;; It never says where it wants its arguments.
;; says: took longer than 1 s: raise [limits] time in its plugin.toml or report it to its author
(module
  (memory (export "memory") 4)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (loop (br 0)) (unreachable))
  (func (export "nacre:plugin/search@0.1.0#filter") (param i32 i32 i32 i32 i32 i32) (result i32)
    (i32.const 16)))
