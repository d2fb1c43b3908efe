;; Its code does not type-check.
;; says: cannot be compiled: *
(component
  (core module $m (func (result i32)))
  (core instance (instantiate $m))
  (instance $none)
  (export "nacre:plugin/search@0.1.0" (instance $none)))
