;; It is a core module and not a component.
;; says: plugin.wasm is a core module, not a component: build it for the target wasm32-wasip2
(module)
