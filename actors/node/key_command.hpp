#pragma once
#include <optional>

#include "cluster/base/time.hpp"
#include "cluster/crypto/x25519.hpp"
#include "cluster/net/net_kernel.hpp"
#include "cluster/node/data_writer.hpp"
#include "cluster/node/node_keys.hpp"
#include "cluster/proto/command.hpp"
#include "cluster/wire/value.hpp"

namespace cluster {

/// The command `key`: changes which cookies this node accepts and dials with, at once, and has that written
/// to its disk. A new key comes sealed (proto/key_box.hpp): `add` without a payload answers with a public
/// key, and `add` with a payload that was sealed for it adds the key. Of the command server's turn.
class KeyCommand {
 public:
  static constexpr Duration kOfferPeriod = 60s;  ///< how long a public key may be used, once

  /// `data` is null if nothing is saved.
  KeyCommand(NodeKeys keys, net::NetKernel& kernel, DataWriter* data)
      : keys_(std::move(keys)), kernel_(kernel), data_(data) {}

  /// Of a checked request, at `now`.
  [[nodiscard]] wire::Value run(const proto::CommandRequest& request, Instant now);

 private:
  struct Offer {
    crypto::KeyPair pair;
    Instant until;
  };
  [[nodiscard]] wire::Value list() const;
  [[nodiscard]] wire::Value offer(Instant now);
  [[nodiscard]] Result<void> add(const wire::Value& payload, Instant now);
  [[nodiscard]] wire::Value changed(const Result<void>& result);

  NodeKeys keys_;
  net::NetKernel& kernel_;
  DataWriter* data_;
  std::optional<Offer> offer_;
};

}  // namespace cluster
