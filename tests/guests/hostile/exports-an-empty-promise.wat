;; It exports the interface, and nothing in it.
;; says: cannot be called: nacre:plugin/search@0.1.0 has no function filter
(component
  
  (instance $none)
  (export "nacre:plugin/search@0.1.0" (instance $none)))
