;; It nests components far deeper than anybody needs.
;; says: *
(component
  (component (component (component (component (component (component (component (component (component (component (component (component (component (component (component (component (component (component (component (component (component (component (component (component (component (component (component (component (component (component (component (component (component (component (component (component (component (component (component (component (component (component (component (component (component (component (component (component (component (component (component (component (component (component (component (component (component (component (component (component (component (component (component (component (component (component (component (component (component (component (component (component (component (component (component (component (component (component (component (component ))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))
  (instance $none)
  (export "nacre:plugin/search@0.1.0" (instance $none)))
