#pragma once
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

#include "cluster/crypto/tls.hpp"

/// Authorities and certificates for tests, in a folder that goes with them.
namespace cluster::test {

class Certificates {
 public:
  Certificates() {
    std::string name = (std::filesystem::temp_directory_path() / "certificates.XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
    add_authority("ca");
  }
  ~Certificates() {
    std::filesystem::remove_all(folder_);
    for (auto& authority : authorities_) {
      X509_free(authority.certificate);
      EVP_PKEY_free(authority.key);
    }
  }
  Certificates(const Certificates&) = delete;
  Certificates& operator=(const Certificates&) = delete;

  void add_authority(const std::string& name) {
    EVP_PKEY* key = EVP_EC_gen("P-256");
    X509* certificate = make(name, key, "", 0, 3'600);
    X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
    extend(certificate, NID_basic_constraints, "critical,CA:TRUE");
    X509_sign(certificate, key, EVP_sha256());
    write(name, certificate, nullptr);
    authorities_.push_back({name, certificate, key});
  }
  /// Files of a certificate with these alternative names, such as "URI:lcluster:node:foo"; good from `from`
  /// to `to`, in seconds from now, for `usage`, such as "serverAuth" (null: it does not say).
  crypto::TlsFiles issue(const std::string& name, const std::string& names, long from = -60, long to = 3'600,
                         const std::string& authority = "ca", const char* usage = nullptr) {
    const auto& by = find(authority);
    EVP_PKEY* key = EVP_EC_gen("P-256");
    X509* certificate = make(name, key, names, from, to);
    if (usage != nullptr) extend(certificate, NID_ext_key_usage, usage);
    X509_set_issuer_name(certificate, X509_get_subject_name(by.certificate));
    X509_sign(certificate, by.key, EVP_sha256());
    write(name, certificate, key);
    X509_free(certificate);
    EVP_PKEY_free(key);
    return {file(name + ".pem"), file(name + ".key"), file(authority + ".pem")};
  }
  crypto::TlsFiles of_node(const std::string& id) { return issue(id, "URI:lcluster:node:" + id); }

  [[nodiscard]] std::string file(const std::string& name) const { return folder_ + '/' + name; }

 private:
  struct Authority {
    std::string name;
    X509* certificate;
    EVP_PKEY* key;
  };

  const Authority& find(const std::string& name) const {
    for (const auto& authority : authorities_)
      if (authority.name == name) return authority;
    throw std::logic_error("no such authority");
  }
  X509* make(const std::string& name, EVP_PKEY* key, const std::string& names, long from, long to) {
    X509* certificate = X509_new();
    X509_set_version(certificate, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++serial_);
    X509_gmtime_adj(X509_getm_notBefore(certificate), from);
    X509_gmtime_adj(X509_getm_notAfter(certificate), to);
    X509_set_pubkey(certificate, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>(name.data()),
                               static_cast<int>(name.size()), -1, 0);
    if (!names.empty()) extend(certificate, NID_subject_alt_name, names.c_str());
    return certificate;
  }
  static void extend(X509* certificate, int kind, const char* value) {
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, kind, value);
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
  }
  void write(const std::string& name, X509* certificate, EVP_PKEY* key) const {
    BIO* to = BIO_new_file(file(name + ".pem").c_str(), "w");
    PEM_write_bio_X509(to, certificate);
    BIO_free(to);
    if (key == nullptr) return;
    to = BIO_new_file(file(name + ".key").c_str(), "w");
    PEM_write_bio_PrivateKey(to, key, nullptr, nullptr, 0, nullptr, nullptr);
    BIO_free(to);
    std::filesystem::permissions(file(name + ".key"),
                                 std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  }

  std::string folder_;
  std::vector<Authority> authorities_;
  long serial_ = 0;
};

}  // namespace cluster::test
