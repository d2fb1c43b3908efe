;; It does not export what its plugin.toml promises.
;; says: plugin.toml says that it provides search-filter, but plugin.wasm does not export nacre:plugin/search@0.1.0
(component)
