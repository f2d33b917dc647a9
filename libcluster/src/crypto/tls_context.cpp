#include "tls_context.hpp"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <sys/stat.h>

#include <cstring>
#include <ctime>
#include <optional>
#include <utility>

#include "cluster/base/assert.hpp"
#include "cluster/base/log.hpp"

namespace cluster::crypto {
namespace {

// Of a peer's certificate and those behind it: room for five of RSA with 4,096 bits.
constexpr long kChainBytesMax = 16 * 1024;
// What a stranger can have computed before any proof: the great groups of OpenSSL's defaults take 300 times
// as long.
constexpr const char* kGroups = "X25519:P-256";

using File = std::unique_ptr<BIO, Freer<&BIO_free>>;
using Names = std::unique_ptr<GENERAL_NAMES, Freer<&GENERAL_NAMES_free>>;
using StoreContext = std::unique_ptr<X509_STORE_CTX, Freer<&X509_STORE_CTX_free>>;

Error wrong(const char* what, const std::string& file, const std::string& why) {
  return Error(Errc::invalid_argument, std::string(what) + " '" + file + "' " + why);
}

/// Nobody is asked for a passphrase.
int no_passphrase(char*, int, int, void*) { return 0; }

WallTime time_of(const ASN1_TIME* time) {
  std::tm parts{};
  CLUSTER_ASSERT(ASN1_TIME_to_tm(time, &parts) == 1);  // what OpenSSL has read is a time
  return wall_from_micros(static_cast<std::int64_t>(::timegm(&parts)) * 1'000'000);
}

std::string day_of(const ASN1_TIME* time) {
  std::tm parts{};
  CLUSTER_ASSERT(ASN1_TIME_to_tm(time, &parts) == 1);
  std::array<char, 16> text{};
  return {text.data(), std::strftime(text.data(), text.size(), "%Y-%m-%d", &parts)};
}

std::optional<Error> use_key(SSL_CTX& context, const TlsFiles& files) {
  const File file{BIO_new_file(files.key.c_str(), "r")};
  if (!file) return wrong("the key", files.key, "cannot be read: " + take_openssl_error());
  const Key key{PEM_read_bio_PrivateKey(file.get(), nullptr, &no_passphrase, nullptr)};
  if (!key)
    return wrong("the key", files.key,
                 "is no private key in PEM without a passphrase: " + take_openssl_error());
  if (X509_check_private_key(SSL_CTX_get0_certificate(&context), key.get()) != 1) {
    ERR_clear_error();
    return wrong("the key", files.key, "does not belong to the certificate '" + files.certificate + "'");
  }
  if (SSL_CTX_use_PrivateKey(&context, key.get()) != 1)
    return wrong("the key", files.key, "cannot be used: " + take_openssl_error());
  return std::nullopt;
}

void warn_if_open(const std::string& key) {
  struct stat status {};  // a pipe or a device has no readers but those that hold it
  if (::stat(key.c_str(), &status) == 0 && S_ISREG(status.st_mode) &&
      (status.st_mode & (S_IRWXG | S_IRWXO)) != 0)
    log::warn("tls", key, " can be read by others than its owner: chmod 600 ", key);
}

/// What a peer would say of it, said at once.
std::optional<Error> check_own(SSL_CTX& context, const TlsFiles& files, TlsUse use) {
  X509* own = SSL_CTX_get0_certificate(&context);
  const ASN1_TIME* end = X509_get0_notAfter(own);
  if (X509_cmp_current_time(end) < 0)
    return wrong("the certificate", files.certificate, "has expired on " + day_of(end));
  const ASN1_TIME* begin = X509_get0_notBefore(own);
  if (X509_cmp_current_time(begin) > 0)
    return wrong("the certificate", files.certificate, "is not valid before " + day_of(begin));
  STACK_OF(X509)* chain = nullptr;
  SSL_CTX_get0_chain_certs(&context, &chain);
  const StoreContext check{X509_STORE_CTX_new()};
  CLUSTER_ASSERT(check &&
                 X509_STORE_CTX_init(check.get(), SSL_CTX_get_cert_store(&context), own, chain) == 1);
  if (X509_verify_cert(check.get()) != 1) {
    ERR_clear_error();
    return wrong("the certificate", files.certificate,
                 "is not of the authority in '" + files.authority +
                     "': " + X509_verify_cert_error_string(X509_STORE_CTX_get_error(check.get())));
  }
  const auto limits = [](const std::string& purpose) {
    return ": if it limits its use, it must name " + purpose + ", and digitalSignature";
  };
  if (X509_check_purpose(own, X509_PURPOSE_SSL_CLIENT, 0) != 1)
    return wrong("the certificate", files.certificate, "is not for one who dials" + limits("clientAuth"));
  if (use == TlsUse::both && X509_check_purpose(own, X509_PURPOSE_SSL_SERVER, 0) != 1)
    return wrong("the certificate", files.certificate, "is not for one who listens" + limits("serverAuth"));
  return std::nullopt;
}

}  // namespace

std::string take_openssl_error() {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  if (code == 0) return "no reason is known";
  if (ERR_SYSTEM_ERROR(code)) return std::strerror(ERR_GET_REASON(code));
  const char* text = ERR_reason_error_string(code);
  return text == nullptr ? "no reason is known" : text;
}

std::vector<std::string> uris_of(const X509& certificate) {
  std::vector<std::string> uris;
  const Names names{
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(&certificate, NID_subject_alt_name, nullptr, nullptr))};
  ERR_clear_error();
  for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type != GEN_URI) continue;
    const ASN1_STRING* text = name->d.uniformResourceIdentifier;
    uris.emplace_back(reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
                      static_cast<std::size_t>(ASN1_STRING_length(text)));
  }
  return uris;
}

Result<std::shared_ptr<const TlsContext>> TlsContext::load(const TlsFiles& files, TlsUse use) {
  ERR_clear_error();
  auto state = std::make_unique<State>();
  state->context.reset(SSL_CTX_new(TLS_method()));
  SSL_CTX* context = state->context.get();
  CLUSTER_ASSERT(context != nullptr && SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) == 1 &&
                 SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) == 1 &&
                 SSL_CTX_set_num_tickets(context, 0) == 1 && SSL_CTX_set1_groups_list(context, kGroups) == 1);
  SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_max_cert_list(context, kChainBytesMax);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);

  if (SSL_CTX_use_certificate_chain_file(context, files.certificate.c_str()) != 1)
    return wrong("the certificate", files.certificate, "cannot be read: " + take_openssl_error());
  if (auto error = use_key(*context, files)) return std::move(*error);
  warn_if_open(files.key);
  if (SSL_CTX_load_verify_file(context, files.authority.c_str()) != 1)
    return wrong("the authority's certificate", files.authority, "cannot be read: " + take_openssl_error());
  if (auto error = check_own(*context, files, use)) return std::move(*error);

  const X509* own = SSL_CTX_get0_certificate(context);
  state->uris = uris_of(*own);
  state->expires = time_of(X509_get0_notAfter(own));
  state->file = files.certificate;
  return std::shared_ptr<const TlsContext>(new TlsContext(std::move(state)));
}

TlsContext::TlsContext(std::unique_ptr<State> state) : state_(std::move(state)) {}
TlsContext::~TlsContext() = default;
const std::vector<std::string>& TlsContext::uris() const noexcept { return state_->uris; }
WallTime TlsContext::expires() const noexcept { return state_->expires; }
const std::string& TlsContext::file() const noexcept { return state_->file; }

}  // namespace cluster::crypto
