// `nacre save --format {{name}} -o FILE IMAGE` writes a line for each file: mode, size and path.
#include "nacre.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static bool write_line(nacre_plugin_files_entry_t *entry, exports_nacre_plugin_exporter_borrow_sink_t out,
                       exports_nacre_plugin_exporter_error_t *error) {
  size_t size = entry->path.len + 64;
  char *text = malloc(size);
  int len = snprintf(text, size, "%04o %" PRIu64 " %.*s\n", (unsigned)entry->mode, entry->size, (int)entry->path.len, entry->path.ptr);
  nacre_list_u8_t data = {.ptr = (uint8_t *)text, .len = len};
  bool done = nacre_plugin_bytes_method_sink_write(out, &data, error);
  free(text);
  return done;
}

bool exports_nacre_plugin_exporter_write(nacre_string_t *format, exports_nacre_plugin_exporter_borrow_image_t image,
                                         exports_nacre_plugin_exporter_borrow_sink_t out,
                                         exports_nacre_plugin_exporter_list_kv_t *opts,
                                         exports_nacre_plugin_exporter_error_t *error) {
  nacre_plugin_images_own_listing_t files;
  if (!nacre_plugin_images_method_image_files(image, &files, error)) return false;
  for (;;) {
    nacre_plugin_files_list_entry_t entries;
    if (!nacre_plugin_files_method_listing_next(nacre_plugin_files_borrow_listing(files), 1000, &entries, error)) return false;
    if (entries.len == 0) return true;
    for (size_t i = 0; i < entries.len; i++) {
      if (!write_line(&entries.ptr[i], out, error)) return false;
    }
    nacre_plugin_files_list_entry_free(&entries);
  }
}
