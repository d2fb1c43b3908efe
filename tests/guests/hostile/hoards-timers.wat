;; It makes timers and never gives one back.
;; says: uses too many handles; report it to its author
(component
  (import "wasi:io/poll@0.2.0" (instance $poll (export "pollable" (type (sub resource)))))
  (alias export $poll "pollable" (type $pollable))
  (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
    (alias outer 1 $pollable (type $timer))
    (export "subscribe-duration" (func (param "when" u64) (result (own $timer))))))
  (core func $lowered (canon lower (func $clock "subscribe-duration")))
  (core module $m
    (import "" "subscribe" (func $subscribe (param i64) (result i32)))
    (func $hoard (loop (drop (call $subscribe (i64.const 0))) (br 0)))
    (start $hoard))
  (core instance (instantiate $m (with "" (instance (export "subscribe" (func $lowered))))))
  (instance $none)
  (export "nacre:plugin/search@0.1.0" (instance $none)))
