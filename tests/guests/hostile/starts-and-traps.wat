;; It crashes before it is called.
;; says: crashed: wasm trap: wasm `unreachable` instruction executed; report it to its author
(component
  (core module $m (func $f unreachable) (start $f))
  (core instance (instantiate $m))
  (instance $none)
  (export "nacre:plugin/search@0.1.0" (instance $none)))
