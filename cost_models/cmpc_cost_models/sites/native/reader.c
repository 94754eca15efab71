/* Reads files of the machine that loads this library, and pins the thread that calls it.
 *
 * A device is reached through TVM's RPC, which hands out files of its own folder only. What it
 * tells of itself is in /proc and /sys; this library is sent there and called as packed functions.
 *
 * ABI: TVMFFISafeCallType in tvm/ffi/c_api.h. Nothing but the C library is needed where it runs.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <glob.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <tvm/ffi/c_api.h>

#ifdef __cplusplus
extern "C" {
#endif

static DLTensor* tensor_of(const TVMFFIAny* argument) {
  if (argument->type_index == kTVMFFIDLTensorPtr) return (DLTensor*)argument->v_ptr;
  return (DLTensor*)((char*)argument->v_obj + sizeof(TVMFFIObject));
}

static int give(TVMFFIAny* result, int64_t value) {
  result->type_index = kTVMFFIInt;
  result->zero_padding = 0;
  result->v_int64 = value;
  return 0;
}

/* Append the path and the content of one file, each ended by a zero; return the bytes in use. */
static int64_t append_file(char* out, int64_t room, int64_t used, const char* path) {
  int64_t needed = (int64_t)strlen(path) + 2;
  FILE* file = fopen(path, "rb");
  if (!file) return used;
  if (used + needed < room) {
    strcpy(out + used, path);
    used += needed - 1;
    used += (int64_t)fread(out + used, 1, (size_t)(room - used - 1), file);
    out[used++] = 0;
  }
  fclose(file);
  return used;
}

/* read_files(patterns uint8 [P], out uint8 [N]) -> bytes written.
 *
 * The patterns are glob's, each ended by a zero; what is not there is left out. */
__attribute__((visibility("default"))) int __tvm_ffi_read_files(
    void* self, const TVMFFIAny* args, int32_t num_args, TVMFFIAny* result) {
  DLTensor *patterns = tensor_of(args), *out = tensor_of(args + 1);
  const char* pattern = (const char*)patterns->data;
  const char* end = pattern + patterns->shape[0];
  int64_t used = 0;
  (void)self, (void)num_args;
  for (; pattern < end; pattern += strlen(pattern) + 1) {
    glob_t found;
    if (glob(pattern, 0, NULL, &found)) continue;
    for (size_t i = 0; i < found.gl_pathc; ++i) {
      used = append_file((char*)out->data, out->shape[0], used, found.gl_pathv[i]);
    }
    globfree(&found);
  }
  return give(result, used);
}

/* pin(cpu) -> 0 if the calling thread runs there alone from now on. */
__attribute__((visibility("default"))) int __tvm_ffi_pin(
    void* self, const TVMFFIAny* args, int32_t num_args, TVMFFIAny* result) {
  cpu_set_t cpus;
  (void)self, (void)num_args;
  CPU_ZERO(&cpus);
  CPU_SET(args[0].v_int64, &cpus);
  return give(result, sched_setaffinity(0, sizeof cpus, &cpus));
}

#ifdef __cplusplus
}
#endif
