#include "cluster/node/key_command.hpp"

#include <algorithm>
#include <utility>

#include "cluster/base/log.hpp"
#include "cluster/node/command_replies.hpp"
#include "cluster/proto/key_box.hpp"
#include "cluster/wire/codec.hpp"
#include "cluster/wire/codec_types.hpp"

namespace cluster {

using wire::Value;

Value KeyCommand::run(const proto::CommandRequest& request, Instant now) {
  const auto& what = request.args.front();
  if (what == "list") return list();
  if (what == "add" && request.args.size() > 1)
    return replies::failure(
        Error(Errc::invalid_argument, "a file is read where the command is given, not here"));
  if (what == "add") return request.payload.is_nil() ? offer(now) : changed(add(request.payload, now));
  const auto id = proto::key_id_from(request.args[1]).value();
  return changed(what == "use" ? keys_.use(id) : keys_.remove(id));
}

Value KeyCommand::list() const {
  const auto& keyring = keys_.keyring();
  const auto peers = kernel_.peers();
  Value::Array keys;
  for (std::size_t i = 0; i < keyring.size(); ++i) {
    const auto connections = std::ranges::count_if(
        peers, [&](const net::PeerStatus& peer) { return peer.connected && peer.key == keyring.id(i); });
    keys.push_back(Value::map({{"fingerprint", proto::fingerprint(keyring.id(i))},
                               {"use", i == 0 ? "dials and accepts" : "accepts"},
                               {"connections", static_cast<std::uint64_t>(connections)}}));
  }
  return replies::answer(std::move(keys));
}

Value KeyCommand::offer(Instant now) {
  offer_ = Offer{crypto::x25519_generate(), now + kOfferPeriod};
  return replies::answer(Value::map({{"public_key", hex(offer_->pair.public_key)}}));
}

Result<void> KeyCommand::add(const Value& payload, Instant now) {
  const auto offer = std::exchange(offer_, std::nullopt);
  if (!offer || now >= offer->until)
    return Error(Errc::refused, "no public key was asked for, or too long ago: begin again", Executed::no);
  const auto box = wire::decode<proto::KeyBox>(wire::encode(payload));
  if (!box) return box.error();
  const auto key = proto::open_key(offer->pair, *box);
  if (!key) return key.error();
  return keys_.add(*key);
}

Value KeyCommand::changed(const Result<void>& result) {
  if (!result) return replies::failure(result.error());
  kernel_.set_keyring(keys_.keyring());
  log::info("keyring", "changed: ", keys_.keyring().size(), " keys, dials with ",
            proto::fingerprint(keys_.keyring().id(0)));
  auto reply = list();
  if (data_ != nullptr)
    data_->write(kKeyFileName, keys_.file());
  else
    reply.set("note", "until this node restarts, for it has no data directory; change its cookie file, too");
  return reply;
}

}  // namespace cluster
