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
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

namespace ffi = tvm::ffi;

struct HostMemory {
  void AllocData(DLTensor* tensor) {
    tensor->data = std::aligned_alloc(64, (ffi::GetDataSize(*tensor) + 63) / 64 * 64);
    if (tensor->data == nullptr) throw std::bad_alloc();
  }
  void FreeData(DLTensor* tensor) { std::free(tensor->data); }
};

static ffi::Tensor NewTensor(const ffi::Shape& shape) {
  return ffi::Tensor::FromNDAlloc(HostMemory(), shape, DLDataType{kDLFloat, 32, 1},
                                  DLDevice{kDLCPU, 0});
}

using Network = std::function<ffi::Tensor(const ffi::Tensor&)>;

// Runs the one function of a network that was compiled ahead.
static Network AheadOfTime(const ffi::Function& run, const ffi::Function& answer_size) {
  std::vector<int64_t> sizes;
  for (int axis = 0; const int64_t size = answer_size(axis).cast<int64_t>(); ++axis) {
    sizes.push_back(size);
  }
  const ffi::Tensor answer = NewTensor(ffi::Shape(sizes.begin(), sizes.end()));
  return [run, answer](const ffi::Tensor& image) {
    run(image, answer);
    return answer;
  };
}

static Network VirtualMachine(const ffi::Module& library) {
  ffi::Module machine = library->GetFunction("vm_load_executable").value()().cast<ffi::Module>();
  const int pooled_memory = 2;
  machine->GetFunction("vm_initialization").value()(static_cast<int>(kDLCPU), 0, pooled_memory);
  const ffi::Function main = machine->GetFunction("main").value();
  return [machine, main](const ffi::Tensor& image) { return main(image).cast<ffi::Tensor>(); };
}

// The library says itself which of the two it needs.
static Network NetworkOf(const ffi::Module& library) {
  if (const auto run = library->GetFunction("network_run")) {
    return AheadOfTime(run.value(), library->GetFunction("network_answer_size").value());
  }
  return VirtualMachine(library);
}

static ffi::Tensor ReadInput(const std::string& path) {
  ffi::Tensor image = NewTensor(ffi::Shape({INPUT_SHAPE}));
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
  const ffi::Module library = ffi::Module::LoadFromFile((folder / "network.so").string());
  const Network network = NetworkOf(library);

  const ffi::Tensor image = ReadInput(argv[1]);
  WriteOutput(argv[2], network(image));
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
