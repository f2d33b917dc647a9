#pragma once
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <memory>
#include <string>
#include <vector>

#include "cluster/crypto/tls.hpp"
#include "evp.hpp"

namespace cluster::crypto {

using Certificate = std::unique_ptr<X509, Freer<&X509_free>>;

struct TlsContext::State {
  std::unique_ptr<SSL_CTX, Freer<&SSL_CTX_free>> context;
  std::vector<std::string> uris;
  WallTime expires{};
  std::string file;
};

/// The first of OpenSSL's errors of this thread as text; all are forgotten.
[[nodiscard]] std::string take_openssl_error();
[[nodiscard]] std::vector<std::string> uris_of(const X509& certificate);

}  // namespace cluster::crypto
