;; It computes without end before it is called.
;; says: took longer than 1 s: raise [limits] time in its plugin.toml or report it to its author
(component
  (core module $m (func $f (loop br 0)) (start $f))
  (core instance (instantiate $m))
  (instance $none)
  (export "nacre:plugin/search@0.1.0" (instance $none)))
