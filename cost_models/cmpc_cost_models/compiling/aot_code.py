"""The C that all networks have in common which are compiled to one function, see ``aot``.

It is C and C++ alike: whichever compiler links networks compiles it. It stands here rather than in
a file of its own so that ``identity`` sees when it changes.

    HEAD, memory, declarations of kernels and tensors, the function itself, TAIL
"""

__all__ = ["DECLARATIONS", "HEAD", "MEMORY", "TAIL"]

HEAD = r"""
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <tvm/ffi/c_api.h>

#ifdef __cplusplus
extern "C" {
#endif
#define HIDDEN __attribute__((visibility("hidden")))
#define TENSOR(name, place, size)                        \
  static int64_t name##_shape = size;                    \
  static DLTensor name = {                               \
      (void*)(place), {kDLCPU, 0}, 1, {kDLFloat, 32, 1}, \
      &name##_shape, NULL, 0};
#define AT(name) {kTVMFFIDLTensorPtr, {0}, {.v_ptr = &name}}
#define KERNEL(name) \
  HIDDEN int __tvm_ffi_##name(void*, const TVMFFIAny*, int32_t, TVMFFIAny*);
#define CALL(kernel, storage, ...)                                                       \
  {                                                                                      \
    storage const TVMFFIAny arguments[] = {__VA_ARGS__};                                 \
    const int32_t count = sizeof(arguments) / sizeof(arguments[0]);                      \
    if (stamps_ns) *stamps_ns++ = now_ns();                                              \
    if (__tvm_ffi_##kernel(NULL, arguments, count, &nothing)) return -1;                 \
  }

/* Scratch memory of kernels, in place of TVM's: blocks one upon another, kept from run to run.
 * Each begins with a pointer to one that was made before it: all are freed with the library. */
#define MOST_BLOCKS 8
static __thread struct {
  char* data;
  uint64_t size;
} blocks[MOST_BLOCKS];
static __thread int num_blocks;
static void* latest_block;

static char* new_block(uint64_t size) {
  void** block = (void**)aligned_alloc(64, 64 + (size + 63) / 64 * 64);
  if (block == NULL) return NULL;
  *block = __atomic_exchange_n(&latest_block, (void*)block, __ATOMIC_ACQ_REL);
  return (char*)block + 64;
}

static void* begin_scratch(int device, int number, uint64_t size, int code, int bits) {
  (void)device, (void)number, (void)code, (void)bits;
  if (num_blocks == MOST_BLOCKS) return NULL;
  if (blocks[num_blocks].size < size) {
    char* data = new_block(size);
    if (data == NULL) return NULL;
    blocks[num_blocks].data = data;
    blocks[num_blocks].size = size;
  }
  return blocks[num_blocks++].data;
}

__attribute__((destructor)) static void free_blocks(void) {
  while (latest_block != NULL) {
    void* block = latest_block;
    latest_block = *(void**)block;
    free(block);
  }
}

static int end_scratch(int device, int number, void* data) {
  (void)device, (void)number, (void)data;
  --num_blocks;
  return 0;
}

HIDDEN void* (*__TVMBackendAllocWorkspace)(int, int, uint64_t, int, int) = begin_scratch;
HIDDEN int (*__TVMBackendFreeWorkspace)(int, int, void*) = end_scratch;

static int64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static DLTensor* tensor_of(const TVMFFIAny* argument) {
  if (argument->type_index == kTVMFFIDLTensorPtr) return (DLTensor*)argument->v_ptr;
  return (DLTensor*)((char*)argument->v_obj + sizeof(TVMFFIObject));
}
"""

MEMORY = r"""
__asm__(
    ".pushsection .rodata\n"
    ".balign {alignment}\n"
    ".globl network_weights\n"
    ".hidden network_weights\n"
    "network_weights:\n"
    ".incbin {path}\n"
    ".popsection\n");
extern const char network_weights[] HIDDEN;
static char arena[{arena_bytes}] __attribute__((aligned({alignment})));
"""

DECLARATIONS = """
{kernels}

{tensors}

static inline __attribute__((always_inline)) int run(const TVMFFIAny* given, int64_t* stamps_ns) {{
  TVMFFIAny nothing = {{kTVMFFINone, {{0}}, {{0}}}};
{calls}
  if (stamps_ns) *stamps_ns = now_ns();
  return 0;
}}

static const int64_t answer_shape[] = {{{answer_shape}}};
"""

TAIL = """
int __tvm_ffi_network_run(void* self, const TVMFFIAny* given, int32_t count, TVMFFIAny* result) {
  (void)self, (void)count, (void)result;
  return run(given, NULL);
}

int __tvm_ffi_network_stamps(void* self, const TVMFFIAny* given, int32_t count, TVMFFIAny* result) {
  const DLTensor* stamps = tensor_of(&given[2]);
  int64_t* stamps_ns = (int64_t*)stamps->data;
  (void)self, (void)count, (void)result;
  for (int64_t row = 0; row < stamps->shape[0]; ++row) {
    if (run(given, stamps_ns + row * stamps->shape[1])) return -1;
  }
  return 0;
}

int __tvm_ffi_network_answer_size(
    void* self, const TVMFFIAny* given, int32_t count, TVMFFIAny* result) {
  const int64_t axis = given[0].v_int64, rank = sizeof(answer_shape) / sizeof(answer_shape[0]);
  (void)self, (void)count;
  result->type_index = kTVMFFIInt;
  result->zero_padding = 0;
  result->v_int64 = axis < rank ? answer_shape[axis] : 0;
  return 0;
}
#ifdef __cplusplus
}
#endif
"""
