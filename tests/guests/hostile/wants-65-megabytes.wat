;; It begins with more memory than it may have.
;; says: needs more than 64 MiB: raise [limits] memory in its plugin.toml or report it to its author
(component
  (core module $m (memory 1040))
  (core instance (instantiate $m))
  (instance $none)
  (export "nacre:plugin/search@0.1.0" (instance $none)))
