# Shared by the scripts here; source it. Sets `top` (the repository), `build` (where to build:
# CLUSTER_BUILD_DIR, else build/) and `cores`, and offers the steps that more than one script takes. Meant
# for Debian 12.

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=${CLUSTER_BUILD_DIR:-$top/build}
cores=$(nproc)

build_packages=(g++ cmake ninja-build libcaf-dev libboost1.81-dev libssl-dev openssl libxxhash-dev
                librocksdb-dev libcli11-dev libedit-dev nlohmann-json3-dev libspdlog-dev doctest-dev python3
                python3-jsonschema python3-yaml dpkg-dev file valgrind iproute2)
web_packages=(chromium)  # what the dashboard is built with, where there is none of another source, and tested in
command -v npm >/dev/null || web_packages+=(npm)
format_packages=(clang-format-14)
fuzz_packages=(clang)
peer_packages=(erlang-base libzmq3-dev golang-go golang-github-hashicorp-memberlist-dev
               redis-server etcd-server golang-etcd-server-dev)  # what bench/peers needs beyond build_packages

say() { printf '\n== %s\n' "$*"; }
die() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; exit 1; }

# need_packages PACKAGE...: installs the Debian packages that are missing, and says which. As another
# user than root it asks for sudo; where nothing is missing it touches nothing.
need_packages() {
  local missing=() package
  for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  command -v apt-get >/dev/null || die "these Debian packages are needed: ${missing[*]}"
  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || die "install these packages first (there is no sudo): ${missing[*]}"
    as_root=(sudo)
  fi
  say "installing Debian packages: ${missing[*]}"
  "${as_root[@]}" apt-get update -q
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}"
}

# configure_and_build DIR [TARGET... [-- CMAKE_OPTION...]]: without a target builds everything. As unity builds, in
# little more than half the time; so names in the anonymous namespaces of one target must differ.
configure_and_build() {
  local dir=$1 targets=() options=(-DCMAKE_UNITY_BUILD=ON)
  shift
  while [ $# -gt 0 ] && [ "$1" != -- ]; do targets+=("$1"); shift; done
  [ $# -eq 0 ] || { shift; options+=("$@"); }
  if command -v ccache >/dev/null; then options+=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache); fi
  cmake -G Ninja -S "$top" -B "$dir" "${options[@]}"
  cmake --build "$dir" --parallel "$cores" ${targets[0]+--target "${targets[@]}"}
}

# run_ctest DIR [CTEST_OPTION...]: runs the tests of a build and adds what they say to `passed`, `failed` and
# `skipped`: test cases where a program reports them, else one for the program. Fails if a test fails.
passed=0
failed=0
skipped=0
run_ctest() {
  local dir=$1 status=0 counts
  shift
  rm -f "$dir/Testing/Temporary/LastTest.log"
  # Two places for each core: tests that wait for other processes take one, those that compute take two.
  ctest --test-dir "$dir" --parallel $((2 * cores)) --output-on-failure --no-tests=error "$@" || status=1
  if [ -f "$dir/Testing/Temporary/LastTest.log" ]; then
    read -r -a counts < <(awk -f "$top/scripts/count_tests.awk" "$dir/Testing/Temporary/LastTest.log")
    [ $((counts[0] + counts[1] + counts[2])) -gt 0 ] || counts=(0 1 0)  # tests ran, and their log is lost
    passed=$((passed + counts[0]))
    failed=$((failed + counts[1]))
    skipped=$((skipped + counts[2]))
  else
    failed=$((failed + 1))
  fi
  [ $status -eq 0 ] || [ "$failed" -gt 0 ] || failed=1
  return $status
}

# check NAME COMMAND...: a step that is not a test program; it counts as one test.
check() {
  local name=$1
  shift
  say "$name"
  if "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)); printf 'FAILED: %s\n' "$name"; fi
}

# counted NAME COMMAND...: a step whose last line counts, as that of scripts/test does.
counted() {
  local name=$1 last
  shift
  say "$name"
  last=$("$@" 2>&1 | tee >(cat >&2) | tail -n 1)
  if [[ $last =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed(,\ ([0-9]+)\ skipped)?$ ]]; then
    passed=$((passed + BASH_REMATCH[1]))
    failed=$((failed + BASH_REMATCH[2]))
    skipped=$((skipped + ${BASH_REMATCH[4]:-0}))
  else
    failed=$((failed + 1))
    printf 'FAILED: %s\n' "$name"
  fi
}

# The last line of a test run, and its exit status.
report_tests() {
  printf '%d passed, %d failed' "$passed" "$failed"
  [ "$skipped" -eq 0 ] || printf ', %d skipped' "$skipped"
  printf '\n'
  [ "$failed" -eq 0 ]
}
