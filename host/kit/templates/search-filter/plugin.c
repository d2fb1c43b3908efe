// `nacre search --filter {{name}}=10 TERM` shows the results that at least ten people starred.
#include "nacre.h"
#include <stdlib.h>

// Reads a number; texts do not end with a zero byte here.
static bool number(nacre_string_t text, uint64_t *number) {
  *number = 0;
  for (size_t i = 0; i < text.len; i++) {
    if (text.ptr[i] < '0' || text.ptr[i] > '9' || i > 17) return false;
    *number = *number * 10 + (text.ptr[i] - '0');
  }
  return text.len > 0;
}

bool exports_nacre_plugin_search_filter(nacre_string_t *term, exports_nacre_plugin_search_list_kv_t *opts,
                                        exports_nacre_plugin_search_list_hit_t *hits,
                                        exports_nacre_plugin_search_list_pick_t *picks,
                                        exports_nacre_plugin_search_error_t *error) {
  uint64_t least = 0;
  for (size_t i = 0; i < opts->len; i++) {
    if (!number(opts->ptr[i].value, &least)) {
      error->tag = NACRE_PLUGIN_TYPES_ERROR_OTHER;
      nacre_string_dup(&error->val.other, "{{name}}: want a number of stars");
      return false;
    }
  }
  picks->ptr = malloc((hits->len + 1) * sizeof *picks->ptr);
  picks->len = 0;
  for (size_t i = 0; i < hits->len; i++) {
    if (hits->ptr[i].stars >= least) picks->ptr[picks->len++] = (exports_nacre_plugin_search_pick_t){.index = i};
  }
  return true;
}
