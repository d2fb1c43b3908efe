;; It imports what nobody has heard of, with a name made for terminals.
;; says: imports *, which no capability in its plugin.toml allows: nothing of it was run
(component
  (import "acme:root/shell" (instance))
  (instance $none)
  (export "nacre:plugin/search@0.1.0" (instance $none)))
