;; It is made for interfaces that this nacre does not have.
;; says: is made for plugin API 0.9.0, this nacre has 0.1: use a version of the plugin made for 0.1, or another nacre
(component (instance $none) (export "nacre:plugin/search@0.9.0" (instance $none)))
