// `nacre {{name}} IMAGE` counts the files of an image.
#include "nacre.h"
#include <inttypes.h>
#include <stdio.h>

bool exports_nacre_plugin_runner_run(nacre_string_t *command, exports_nacre_plugin_runner_list_kv_t *args, uint8_t *exit,
                                     exports_nacre_plugin_runner_error_t *error) {
  nacre_plugin_store_own_image_t image;
  nacre_plugin_images_own_listing_t files;
  if (!nacre_plugin_store_open(&args->ptr[0].value, NULL, &image, error)) return false;
  if (!nacre_plugin_images_method_image_files(nacre_plugin_images_borrow_image(image), &files, error)) return false;
  uint64_t count = 0, size = 0;
  for (;;) {
    nacre_plugin_files_list_entry_t entries;
    if (!nacre_plugin_files_method_listing_next(nacre_plugin_files_borrow_listing(files), 1000, &entries, error)) return false;
    if (entries.len == 0) break;
    count += entries.len;
    for (size_t i = 0; i < entries.len; i++) size += entries.ptr[i].size;
    nacre_plugin_files_list_entry_free(&entries);
  }
  char text[80];
  nacre_string_t line;
  snprintf(text, sizeof text, "%" PRIu64 " files, %" PRIu64 " bytes", count, size);
  nacre_string_set(&line, text);
  *exit = 0;
  return nacre_plugin_terminal_text(&line, error);
}
