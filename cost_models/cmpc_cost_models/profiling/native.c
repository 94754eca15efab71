/* A stopwatch for the calls of TVM's virtual machine, and loops that find the limits of a core.
 *
 * The machine calls `instrument` before and after each call (VirtualMachine.set_instrument), with
 * args[2] telling which. A stamp costs a few tens of nanoseconds; nothing is allocated or printed.
 * The peak loops do arithmetic on independent sums, or walk over memory, and do nothing else.
 *
 * ABI of `__tvm_ffi_instrument`: TVMFFISafeCallType in tvm/ffi/c_api.h. LANES: floats of a vector.
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <tvm/ffi/c_api.h>

#ifdef __cplusplus
extern "C" {
#endif

static int64_t* stamps_ns; /* positive before a call, negative after it */
static int64_t capacity, num_stamps;

static int64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Begin to write into a buffer of `size` stamps; what does not fit is counted and dropped. */
void stopwatch_start(int64_t* buffer, int64_t size) {
  stamps_ns = buffer;
  capacity = size;
  num_stamps = 0;
}

int64_t stopwatch_count(void) { return num_stamps; }

__attribute__((visibility("default"))) int __tvm_ffi_instrument(
    void* self, const TVMFFIAny* args, int32_t num_args, TVMFFIAny* result) {
  int64_t now = now_ns(); /* first of all: after a call it is the end */
  int is_before = num_args > 2 && args[2].v_int64 != 0;
  (void)self;
  result->type_index = kTVMFFIInt;
  result->zero_padding = 0;
  result->v_int64 = 0; /* VMInstrumentReturnKind::kNoOp */
  if (num_stamps >= capacity) {
    ++num_stamps;
    return 0;
  }
  if (is_before) {
    stamps_ns[num_stamps++] = now_ns(); /* last of all: before a call it is the start */
  } else {
    stamps_ns[num_stamps++] = -now;
  }
  return 0;
}

typedef float vector __attribute__((vector_size(4 * LANES)));

/* More sums than any core needs to hide the latency of multiply-add, 4 or 5 cycles on two units, and
 * few enough for 16 registers. Each has a name: an array would live in memory. */
#define NUM_SUMS 12
#define EACH_SUM(DO) \
  DO(a) DO(b) DO(c) DO(d) DO(e) DO(f) DO(g) DO(h) DO(i) DO(j) DO(k) DO(l)
#define STEPS 16

/* Return the seconds that `turns` turns of NUM_SUMS * STEPS vector multiply-adds take. */
double peak_multiply_add(int64_t turns, float seed) {
  vector factor, addend;
  for (int lane = 0; lane < LANES; ++lane) factor[lane] = 0.999f, addend[lane] = seed;
#define BEGIN(sum) vector sum = addend * (float)(#sum[0]);
#define MULTIPLY_ADD(sum) sum = sum * factor + addend;
#define GATHER(sum) total += sum;
  EACH_SUM(BEGIN)
  int64_t start = now_ns();
  for (int64_t turn = 0; turn < turns; ++turn) {
    for (int step = 0; step < STEPS; ++step) {
      EACH_SUM(MULTIPLY_ADD)
    }
  }
  double seconds = (now_ns() - start) * 1e-9;
  vector total = addend;
  EACH_SUM(GATHER)
  volatile float kept = total[0];
  (void)kept;
  return seconds;
}

int64_t peak_flops_per_turn(void) { return 2LL * NUM_SUMS * STEPS * LANES; }

/* Return the seconds that reading `size` bytes `turns` times takes. */
double peak_read(const float* data, int64_t size, int64_t turns) {
  int64_t count = size / (4 * LANES);
  const vector* vectors = (const vector*)data;
  vector first = {0}, second = {0}, third = {0}, fourth = {0};
  int64_t start = now_ns();
  for (int64_t turn = 0; turn < turns; ++turn) {
    for (int64_t i = 0; i + 4 <= count; i += 4) {
      first += vectors[i];
      second += vectors[i + 1];
      third += vectors[i + 2];
      fourth += vectors[i + 3];
    }
    __asm__ volatile("" ::: "memory");
  }
  double seconds = (now_ns() - start) * 1e-9;
  volatile float kept = (first + second + third + fourth)[0];
  (void)kept;
  return seconds;
}

/* Return the seconds that copying `size` bytes `turns` times takes. */
double peak_copy(float* to, const float* from, int64_t size, int64_t turns) {
  int64_t start = now_ns();
  for (int64_t turn = 0; turn < turns; ++turn) {
    memcpy(to, from, (size_t)size);
    __asm__ volatile("" ::: "memory");
  }
  return (now_ns() - start) * 1e-9;
}

#ifdef __cplusplus
}
#endif
