;; It imports HTTP.
;; says: imports wasi:http/outgoing-handler@0.2.0, which no capability in its plugin.toml allows: nothing of it was run
(component
  (import "wasi:http/outgoing-handler@0.2.0" (instance))
  (instance $none)
  (export "nacre:plugin/search@0.1.0" (instance $none)))
