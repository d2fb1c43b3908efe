// `nacre image prune --policy {{name}},days=7` deletes images that were not used for a week.
#include "nacre.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static const uint64_t DAY = 24 * 60 * 60;

// Reads a number; texts do not end with a zero byte here.
static bool number(nacre_string_t text, uint64_t *number) {
  *number = 0;
  for (size_t i = 0; i < text.len; i++) {
    if (text.ptr[i] < '0' || text.ptr[i] > '9' || i > 17) return false;
    *number = *number * 10 + (text.ptr[i] - '0');
  }
  return text.len > 0;
}

bool exports_nacre_plugin_prune_decide(nacre_string_t *policy, uint64_t now, exports_nacre_plugin_prune_list_kv_t *opts,
                                       exports_nacre_plugin_prune_list_summary_t *images,
                                       exports_nacre_plugin_prune_list_verdict_t *verdicts,
                                       exports_nacre_plugin_prune_error_t *error) {
  uint64_t days = 30;
  for (size_t i = 0; i < opts->len; i++) {
    if (!number(opts->ptr[i].value, &days)) {
      error->tag = NACRE_PLUGIN_TYPES_ERROR_OTHER;
      nacre_string_dup(&error->val.other, "days: want a number");
      return false;
    }
  }
  verdicts->ptr = malloc((images->len + 1) * sizeof *verdicts->ptr);
  verdicts->len = 0;
  for (size_t i = 0; i < images->len; i++) {
    exports_nacre_plugin_prune_summary_t *image = &images->ptr[i];
    uint64_t last = image->last_used.is_some ? image->last_used.val : image->pulled.is_some ? image->pulled.val : image->created;
    uint64_t idle = now > last ? (now - last) / DAY : 0;
    if (idle <= days || image->pinned || image->in_use) continue;
    char reason[64];
    snprintf(reason, sizeof reason, "unused for %" PRIu64 " days", idle);
    exports_nacre_plugin_prune_verdict_t *verdict = &verdicts->ptr[verdicts->len++];
    verdict->index = i;
    verdict->action = EXPORTS_NACRE_PLUGIN_PRUNE_ACTION_DELETE;
    nacre_string_dup(&verdict->reason, reason);
  }
  return true;
}
