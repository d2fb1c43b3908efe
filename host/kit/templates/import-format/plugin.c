// `nacre import hello.sh` makes an image of a shell script: all it holds, and what it runs.
#include "nacre.h"
#include <string.h>

exports_nacre_plugin_importer_confidence_t exports_nacre_plugin_importer_probe(nacre_string_t *format,
                                                                               exports_nacre_plugin_importer_head_t *head) {
  bool script = head->raw.len >= 9 && memcmp(head->raw.ptr, "#!/bin/sh", 9) == 0;
  return script ? EXPORTS_NACRE_PLUGIN_IMPORTER_CONFIDENCE_MAYBE : EXPORTS_NACRE_PLUGIN_IMPORTER_CONFIDENCE_NO;
}

bool exports_nacre_plugin_importer_convert(nacre_string_t *format, exports_nacre_plugin_importer_list_own_source_t *sources,
                                           exports_nacre_plugin_importer_borrow_builder_t image,
                                           exports_nacre_plugin_importer_list_kv_t *opts,
                                           exports_nacre_plugin_importer_error_t *error) {
  if (sources->len != 1) {
    error->tag = NACRE_PLUGIN_TYPES_ERROR_OTHER;
    nacre_string_dup(&error->val.other, "one script makes one image");
    return false;
  }
  nacre_plugin_bytes_borrow_source_t script = nacre_plugin_bytes_borrow_source(sources->ptr[0]);
  nacre_plugin_files_entry_t entry = {.kind = NACRE_PLUGIN_FILES_KIND_FILE, .mode = 0755};
  nacre_plugin_files_content_t content = {.tag = NACRE_PLUGIN_FILES_CONTENT_SOURCE, .val.source = script};
  nacre_plugin_files_own_layer_t layer;
  nacre_string_t created_by, config;
  nacre_string_set(&entry.path, "run");
  nacre_string_set(&created_by, "{{name}}");
  nacre_string_set(&config, "{\"Entrypoint\": [\"/run\"]}");
  return nacre_plugin_bytes_method_source_size(script, &entry.size, error) &&
         nacre_plugin_images_method_builder_layer(image, &created_by, &layer, error) &&
         nacre_plugin_files_method_layer_add(nacre_plugin_files_borrow_layer(layer), &entry, &content, error) &&
         nacre_plugin_images_method_builder_set_config(image, &config, error);
}
