// `nacre build --frontend {{name}} -f Imagefile .`: a file of `from IMAGE`, `copy SOURCE DEST` and `cmd PROGRAM`.
#include "nacre.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef exports_nacre_plugin_frontend_request_t request_t;
typedef nacre_plugin_graph_operation_t operation_t;

typedef struct {
  nacre_plugin_graph_list_vertex_t vertices;
  char cmd[256];
} graph_t;

// Adds an operation and returns its position.
static uint32_t push(graph_t *graph, operation_t operation, const char *label, const request_t *request, uint32_t line) {
  size_t index = graph->vertices.len++;
  graph->vertices.ptr = realloc(graph->vertices.ptr, graph->vertices.len * sizeof *graph->vertices.ptr);
  nacre_plugin_graph_vertex_t *vertex = &graph->vertices.ptr[index];
  memset(vertex, 0, sizeof *vertex);
  vertex->operation = operation;
  nacre_string_dup(&vertex->label, label);
  vertex->at.is_some = line > 0;
  if (line > 0) {
    nacre_string_dup_n(&vertex->at.val.file, (char *)request->file.ptr, request->file.len);
    vertex->at.val.line = line;
    vertex->at.val.col = 1;
  }
  return index;
}

static void platform_dup(nacre_plugin_graph_platform_t *to, const nacre_plugin_graph_platform_t *from) {
  memset(to, 0, sizeof *to);
  nacre_string_dup_n(&to->os, (char *)from->os.ptr, from->os.len);
  nacre_string_dup_n(&to->arch, (char *)from->arch.ptr, from->arch.len);
  to->variant.is_some = from->variant.is_some;
  if (from->variant.is_some) nacre_string_dup_n(&to->variant.val, (char *)from->variant.val.ptr, from->variant.val.len);
}

static operation_t scratch(void) {
  operation_t operation = {.tag = NACRE_PLUGIN_GRAPH_OPERATION_SOURCE};
  operation.val.source.tag = NACRE_PLUGIN_GRAPH_SOURCE_SCRATCH;
  return operation;
}

static operation_t image_source(const char *name, const nacre_plugin_graph_platform_t *platform) {
  operation_t operation = {.tag = NACRE_PLUGIN_GRAPH_OPERATION_SOURCE};
  operation.val.source.tag = NACRE_PLUGIN_GRAPH_SOURCE_IMAGE;
  operation.val.source.val.image.name.tag = NACRE_PLUGIN_GRAPH_IMAGE_NAME_REFERENCE;
  nacre_string_dup(&operation.val.source.val.image.name.val.reference, name);
  platform_dup(&operation.val.source.val.image.platform, platform);
  return operation;
}

static operation_t files(void) {
  operation_t operation = {.tag = NACRE_PLUGIN_GRAPH_OPERATION_SOURCE};
  operation.val.source.tag = NACRE_PLUGIN_GRAPH_SOURCE_FOLDER;
  nacre_string_dup(&operation.val.source.val.folder.context, "context");
  return operation;
}

static operation_t copy(uint32_t base, uint32_t from, const char *source, const char *dest) {
  nacre_plugin_graph_action_t *action = calloc(1, sizeof *action);
  char path[512];
  snprintf(path, sizeof path, "/%s", source);
  action->tag = NACRE_PLUGIN_GRAPH_ACTION_COPY;
  action->val.copy.from = from;
  nacre_string_dup(&action->val.copy.source, path);
  nacre_string_dup(&action->val.copy.dest, dest);
  operation_t operation = {.tag = NACRE_PLUGIN_GRAPH_OPERATION_FILE};
  operation.val.file.base = base;
  operation.val.file.actions.ptr = action;
  operation.val.file.actions.len = 1;
  return operation;
}

static bool build(const request_t *request, const exports_nacre_plugin_frontend_platform_t *platform,
                  exports_nacre_plugin_frontend_image_t *image, exports_nacre_plugin_frontend_error_t *error) {
  graph_t graph = {0};
  uint32_t output = push(&graph, scratch(), "scratch", request, 0);
  char *text = strndup((char *)request->content.ptr, request->content.len);
  uint32_t number = 0;
  for (char *rest = text, *line; (line = strsep(&rest, "\n"));) {
    number++;
    char word[16] = "", one[256] = "", two[256] = "", more[2] = "";
    int count = sscanf(line, "%15s %255s %255s %1s", word, one, two, more);
    if (count <= 0) continue;
    if (count == 2 && strcmp(word, "from") == 0) {
      output = push(&graph, image_source(one, platform), line, request, number);
    } else if (count == 3 && strcmp(word, "copy") == 0) {
      uint32_t from = push(&graph, files(), "files", request, 0);
      output = push(&graph, copy(output, from, one, two), line, request, number);
    } else if (count == 2 && strcmp(word, "cmd") == 0 && !strpbrk(one, "\"\\")) {
      snprintf(graph.cmd, sizeof graph.cmd, "\"%s\"", one);
    } else {
      char message[128];
      snprintf(message, sizeof message, "line %u: want from IMAGE, copy SOURCE DEST or cmd PROGRAM", number);
      error->tag = NACRE_PLUGIN_TYPES_ERROR_OTHER;
      nacre_string_dup(&error->val.other, message);
      return false;
    }
  }
  free(text);
  char config[512];
  snprintf(config, sizeof config, "{\"os\":\"%.*s\",\"architecture\":\"%.*s\",\"config\":{\"Cmd\":[%s]}}", (int)platform->os.len,
           platform->os.ptr, (int)platform->arch.len, platform->arch.ptr, graph.cmd);
  platform_dup(&image->platform, platform);
  image->definition.vertices = graph.vertices;
  image->definition.output = output;
  nacre_string_dup(&image->config, config);
  return true;
}

bool exports_nacre_plugin_frontend_build(nacre_string_t *frontend, exports_nacre_plugin_frontend_request_t *request,
                                         exports_nacre_plugin_frontend_list_image_t *images,
                                         exports_nacre_plugin_frontend_error_t *error) {
  // Without --platform it is for this machine.
  bool any = request->platforms.len == 0;
  images->len = any ? 1 : request->platforms.len;
  images->ptr = calloc(images->len, sizeof *images->ptr);
  for (size_t i = 0; i < images->len; i++) {
    if (!build(request, any ? &request->build_platform : &request->platforms.ptr[i], &images->ptr[i], error)) return false;
  }
  return true;
}
