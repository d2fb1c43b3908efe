;; It imports the store without the capability for it.
;; says: imports nacre:plugin/store@0.1.0, which no capability in its plugin.toml allows: nothing of it was run
(component
  (import "nacre:plugin/store@0.1.0" (instance))
  (instance $none)
  (export "nacre:plugin/search@0.1.0" (instance $none)))
