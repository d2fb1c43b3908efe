;; It begins with more table elements than it may have.
;; says: uses too many table elements; report it to its author
(component
  (core module $m (table 5000000 funcref))
  (core instance (instantiate $m))
  (instance $none)
  (export "nacre:plugin/search@0.1.0" (instance $none)))
