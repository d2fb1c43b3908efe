// `nacre image prune --policy ci-tags,prefix=pr-,days=7` takes away the names of images whose tags all are those of CI
// builds, some days after they were made. An image that is left without a name goes with the next prune.
#include "nacre.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef exports_nacre_plugin_prune_summary_t image_t;
static const uint64_t DAY = 24 * 60 * 60;

static bool is(nacre_string_t text, const char *word) {
  return text.len == strlen(word) && memcmp(text.ptr, word, text.len) == 0;
}

// Reads a number; texts do not end with a zero byte here.
static bool number(nacre_string_t text, uint64_t *number) {
  *number = 0;
  for (size_t i = 0; i < text.len; i++) {
    if (text.ptr[i] < '0' || text.ptr[i] > '9' || i > 8) return false;
    *number = *number * 10 + (text.ptr[i] - '0');
  }
  return text.len > 0;
}

// Whether the name's tag begins with the prefix: `registry:5000/a/b:ci-17`.
static bool has_prefix(nacre_string_t name, nacre_string_t prefix) {
  size_t at = name.len;
  while (at > 0 && name.ptr[at - 1] != ':' && name.ptr[at - 1] != '/') at--;
  return at > 0 && name.ptr[at - 1] == ':' && name.len - at >= prefix.len && memcmp(name.ptr + at, prefix.ptr, prefix.len) == 0;
}

static bool is_build(const image_t *image, nacre_string_t prefix) {
  for (size_t i = 0; i < image->names.len; i++) {
    if (!has_prefix(image->names.ptr[i], prefix)) return false;
  }
  return image->names.len > 0 && !image->pinned && !image->in_use;
}

static bool read_options(exports_nacre_plugin_prune_list_kv_t *opts, nacre_string_t *prefix, uint64_t *days,
                         exports_nacre_plugin_prune_error_t *error) {
  for (size_t i = 0; i < opts->len; i++) {
    nacre_string_t value = opts->ptr[i].value;
    if (is(opts->ptr[i].key, "prefix")) *prefix = value;
    if (is(opts->ptr[i].key, "days") && !number(value, days)) {
      error->tag = NACRE_PLUGIN_TYPES_ERROR_OTHER;
      nacre_string_dup(&error->val.other, "days: want a number of days");
      return false;
    }
  }
  return true;
}

bool exports_nacre_plugin_prune_decide(nacre_string_t *policy, uint64_t now, exports_nacre_plugin_prune_list_kv_t *opts,
                                       exports_nacre_plugin_prune_list_summary_t *images,
                                       exports_nacre_plugin_prune_list_verdict_t *verdicts,
                                       exports_nacre_plugin_prune_error_t *error) {
  nacre_string_t prefix;
  uint64_t days = 3;
  nacre_string_set(&prefix, "ci-");
  if (!read_options(opts, &prefix, &days, error)) return false;
  verdicts->ptr = malloc((images->len + 1) * sizeof *verdicts->ptr);
  verdicts->len = 0;
  for (size_t i = 0; i < images->len; i++) {
    const image_t *image = &images->ptr[i];
    uint64_t age = now > image->created ? (now - image->created) / DAY : 0;
    if (age <= days || !is_build(image, prefix)) continue;
    char reason[64];
    snprintf(reason, sizeof reason, "a CI build of %" PRIu64 " days ago", age);
    exports_nacre_plugin_prune_verdict_t *verdict = &verdicts->ptr[verdicts->len++];
    *verdict = (exports_nacre_plugin_prune_verdict_t){.index = i, .action = EXPORTS_NACRE_PLUGIN_PRUNE_ACTION_UNTAG};
    nacre_string_dup(&verdict->reason, reason);
  }
  return true;
}
