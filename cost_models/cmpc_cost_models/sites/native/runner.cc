// Runs the network of a bundle without Python: one image in, one embedding out.
//
//   ./run INPUT OUTPUT [REPEATS]
//
// INPUT holds float32 numbers in the order of INPUT_SHAPE (see manifest.json for what they mean);
// OUTPUT gets the embedding's float32 numbers. With REPEATS the mean time of a run is printed.
#include <tvm/ffi/container/tensor.h>
#include <tvm/ffi/extra/module.h>
#include <tvm/ffi/function.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>

namespace ffi = tvm::ffi;

struct HostMemory {
  void AllocData(DLTensor* tensor) {
    tensor->data = std::aligned_alloc(64, (ffi::GetDataSize(*tensor) + 63) / 64 * 64);
    if (tensor->data == nullptr) throw std::bad_alloc();
  }
  void FreeData(DLTensor* tensor) { std::free(tensor->data); }
};

static ffi::Tensor ReadInput(const std::string& path) {
  ffi::Tensor image = ffi::Tensor::FromNDAlloc(HostMemory(), ffi::Shape({INPUT_SHAPE}),
                                               DLDataType{kDLFloat, 32, 1}, DLDevice{kDLCPU, 0});
  const std::size_t size = image.numel() * sizeof(float);
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error(path + " can't be read");
  if (std::filesystem::file_size(path) != size) {
    throw std::runtime_error(path + " must hold " + std::to_string(size) + " bytes");
  }
  file.read(static_cast<char*>(image.data_ptr()), static_cast<std::streamsize>(size));
  return image;
}

static void WriteOutput(const std::string& path, const ffi::Tensor& embedding) {
  std::ofstream file(path, std::ios::binary);
  file.write(static_cast<const char*>(embedding.data_ptr()),
             static_cast<std::streamsize>(embedding.numel() * sizeof(float)));
  if (!file) throw std::runtime_error(path + " can't be written");
}

int main(int argc, char** argv) try {
  if (argc < 3 || argc > 4) {
    std::fprintf(stderr, "usage: %s INPUT OUTPUT [REPEATS]\n", argv[0]);
    return 2;
  }
  // The network lies beside this program, wherever that was called from.
  const auto folder = std::filesystem::canonical("/proc/self/exe").parent_path();
  ffi::Module library = ffi::Module::LoadFromFile((folder / "network.so").string());
  ffi::Module machine = library->GetFunction("vm_load_executable").value()().cast<ffi::Module>();
  const int pooled_memory = 2;
  machine->GetFunction("vm_initialization").value()(static_cast<int>(kDLCPU), 0, pooled_memory);
  ffi::Function network = machine->GetFunction("main").value();

  const ffi::Tensor image = ReadInput(argv[1]);
  WriteOutput(argv[2], network(image).cast<ffi::Tensor>());
  if (argc == 4) {
    const int repeats = std::atoi(argv[3]);
    if (repeats < 1) throw std::runtime_error("REPEATS must be at least 1");
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < repeats; ++i) network(image);
    const std::chrono::duration<double, std::milli> spent = std::chrono::steady_clock::now() - start;
    std::printf("%.6f ms\n", spent.count() / repeats);
  }
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "error: %s\n", error.what());
  return 1;
}
