// Nothing is pushed as `latest`: whoever deploys it would not know what it is.
#include "nacre.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool ends_with(nacre_string_t text, const char *end) {
  size_t len = strlen(end);
  return text.len >= len && memcmp(text.ptr + text.len - len, end, len) == 0;
}

bool exports_nacre_plugin_reviewer_review(exports_nacre_plugin_reviewer_request_t *request,
                                          exports_nacre_plugin_reviewer_decision_t *decision,
                                          exports_nacre_plugin_reviewer_error_t *error) {
  decision->tag = EXPORTS_NACRE_PLUGIN_REVIEWER_DECISION_ALLOW;
  if (request->operation != EXPORTS_NACRE_PLUGIN_REVIEWER_OPERATION_PUSH) return true;
  if (!request->name.is_some || !ends_with(request->name.val, ":latest")) return true;
  char message[256];
  snprintf(message, sizeof message, "%.*s has the tag latest", (int)request->name.val.len, request->name.val.ptr);
  exports_nacre_plugin_reviewer_diagnostic_t *diagnostic = calloc(1, sizeof *diagnostic);
  nacre_string_dup(&diagnostic->code, "latest");
  nacre_string_dup(&diagnostic->message, message);
  diagnostic->help.is_some = true;
  nacre_string_dup(&diagnostic->help.val, "push it with a version as its tag");
  decision->tag = EXPORTS_NACRE_PLUGIN_REVIEWER_DECISION_DENY;
  decision->val.deny.ptr = diagnostic;
  decision->val.deny.len = 1;
  return true;
}
