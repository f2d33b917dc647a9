#include <cstdint>
#include <cstdio>
#include <map>
#include <string>

#include "cluster/node/node.hpp"

struct Deposit {
  std::string account;
  std::int64_t cents = 0;
  using reply = std::int64_t;  // a call of Deposit answers with the new balance
};
struct Freeze {
  std::string account;
};

class Bank : public cluster::GenServer<Bank, Deposit, Freeze> {
 public:
  cluster::Result<std::int64_t> handle_call(const Deposit& m) {
    if (frozen_[m.account]) return cluster::Error(cluster::Errc::refused, m.account + " is frozen");
    return balance_[m.account] += m.cents;
  }
  void handle_cast(const Freeze& m) { frozen_[m.account] = true; }

 private:
  std::map<std::string, std::int64_t> balance_;
  std::map<std::string, bool> frozen_;
};

int main() {
  auto node =
      cluster::Node::start({.id = "foo", .port = 0, .cookie = "a secret of the whole cluster"}).value();
  auto bank = node.spawn<Bank>({.name = "bank"}).value();
  std::printf("balance: %ld\n", static_cast<long>(node.call(bank, Deposit{"ada", 500}).value()));
  node.cast(bank, Freeze{"ada"}).value();
  auto refused = node.call(bank, Deposit{"ada", 1});
  std::printf("refused: %s\n", refused.error().message().c_str());
}
