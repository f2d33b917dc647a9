// What protecting and copying bytes costs on one core, by OpenSSL and by memcpy. Workload `crypto`:
//   sign     HMAC-SHA256 with its pads hashed once, by EVP_MD_CTX_copy_ex, as libcluster does it
//   dup      the same by EVP_MAC_CTX_dup; one-shot: HMAC() with the key each time
//   seal     AES-256-GCM, encrypting
//   memcpy   64 KiB within the cache, and 64 MiB that is not
#include <openssl/core_names.h>
#include <openssl/hmac.h>
#include <openssl/params.h>

#include "peer.hpp"
#include "protection.hpp"

namespace {
using namespace peer;

const Results result("raw crypto");

template <class Once>
double nanoseconds_each(long times, Once&& once) {
  for (long i = 0; i < times / 10 + 1; ++i) once();
  const auto start = Clock::now();
  for (long i = 0; i < times; ++i) once();
  return seconds_since(start) / static_cast<double>(times) * 1e9;
}

/// Small pieces by the time of one, large ones by the bytes a second.
void print(const std::string& what, std::size_t bytes, double nanoseconds) {
  if (bytes <= 1024)
    result("crypto", what + " " + std::to_string(bytes) + "B", "ns", nanoseconds);
  else
    result("crypto", what + " " + std::to_string(bytes >> 10) + "KiB", "MB/s",
           static_cast<double>(bytes) / nanoseconds * 1e3);
}

void crypto(Scale scale) {
  std::array<char, kTagBytes> tag{};
  std::array<unsigned char, 32> key{0x42}, digest{};
  std::size_t digest_bytes = 0;
  std::unique_ptr<EVP_MAC, decltype(&EVP_MAC_free)> mac{EVP_MAC_fetch(nullptr, "HMAC", nullptr),
                                                        &EVP_MAC_free};
  std::unique_ptr<EVP_MAC_CTX, decltype(&EVP_MAC_CTX_free)> keyed{EVP_MAC_CTX_new(mac.get()),
                                                                  &EVP_MAC_CTX_free};
  std::array<char, 7> sha256{"SHA256"};
  const std::array<OSSL_PARAM, 2> parameters{
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, sha256.data(), 0), OSSL_PARAM_construct_end()};
  if (EVP_MAC_init(keyed.get(), key.data(), key.size(), parameters.data()) != 1) fail("EVP_MAC_init");

  for (const std::size_t bytes : {std::size_t{64}, std::size_t{1024}, std::size_t{65536}}) {
    std::vector<char> from(bytes, 7), to(bytes);
    const auto* message = reinterpret_cast<const unsigned char*>(from.data());
    const long times = scale(bytes == 64 ? 200'000 : bytes == 1024 ? 100'000 : 4'000);
    Protector signer(Protection::sign), sealer(Protection::seal);
    print("sign", bytes,
          nanoseconds_each(times, [&] { signer.protect(from.data(), to.data(), bytes, tag.data()); }));
    print("seal", bytes,
          nanoseconds_each(times, [&] { sealer.protect(from.data(), to.data(), bytes, tag.data()); }));
    print("sign by dup", bytes, nanoseconds_each(times, [&] {
            EVP_MAC_CTX* context = EVP_MAC_CTX_dup(keyed.get());
            EVP_MAC_update(context, message, bytes);
            EVP_MAC_final(context, digest.data(), &digest_bytes, digest.size());
            EVP_MAC_CTX_free(context);
          }));
    print("sign one-shot", bytes, nanoseconds_each(times, [&] {
            HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), message, bytes, digest.data(),
                 nullptr);
          }));
  }
  for (const std::size_t bytes : {std::size_t{64} << 10, std::size_t{64} << 20}) {
    std::vector<char> from(bytes, 7), to(bytes);
    print("memcpy", bytes, nanoseconds_each(scale(static_cast<long>((2ul << 30) / bytes)), [&] {
            std::memcpy(to.data(), from.data(), bytes);
            asm volatile("" : : "r"(to.data()) : "memory");
          }));
  }
}

}  // namespace

int main(int argc, char** argv) { return run(argc, argv, {{"crypto", crypto}}); }
